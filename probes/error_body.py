"""Error bodies of every provider, brought to one shape.

OpenAI `{"error": {message, type, code}}`, the same with a string for the object, Anthropic
`{"type": "error", "error": {type, message, details}, request_id}`, older vLLM
`{"object": "error", …}`, FastAPI `{"detail": …}`, Cloudflare `{"errors": […]}` and a bare
`{message, code}`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

__all__ = ["LONGEST_MESSAGE", "ErrorBody", "error_in", "error_of", "html_error"]

LONGEST_MESSAGE: Final = 500
_LONGEST_CODE: Final = 80
_LONGEST_ID: Final = 200
_MOST_CODE: Final = 10**12
_REQUEST_IDS: Final = ("request_id", "requestId", "request-id", "requestID", "trace_id")
_FAILED: Final = re.compile(r"err|fail|invalid|denied|unavailable|exhausted", re.IGNORECASE)
_STATUSES: Final = range(400, 600)
_HTML_TITLE: Final = re.compile(r"<(title|h1)[^>]{0,200}>([^<]{1,500})", re.IGNORECASE)


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """What a server said went wrong; every word of it is hostile input."""

    message: str = ""
    """At most `LONGEST_MESSAGE` characters, unscrubbed."""
    code: str = ""
    """The most telling code: of `details.error_code`, `code`, `type` the first that is a word."""
    words: tuple[str, ...] = ()
    """Codes and types, lower case, letters and digits only, for matching."""
    numbers: tuple[str, ...] = ()
    """Codes that are numbers, such as Zhipu's `1113`."""
    status: int | None = None
    """The HTTP status that the body itself names."""
    flagged: bool = False
    """A moderation's reasons are given."""
    request_id: str = ""
    """The id that the body itself tells, at most 200 characters."""


def error_in(body: object) -> ErrorBody | None:
    """Return the error that a JSON value of a 200 answer carries; None where it carries none."""
    if not isinstance(body, Mapping):
        return None
    inner = body.get("error") or body.get("errors")
    told = body.get("object") == "error" or body.get("type") == "error"
    if inner or told or _of_minimax(body) or _is_bare_error(body):
        return error_of(body)
    return None


def error_of(body: object) -> ErrorBody:
    """Return the error of a value that is known to be one; an empty one where it says nothing."""
    if isinstance(body, str):
        return ErrorBody(message=body.strip()[:LONGEST_MESSAGE])
    if isinstance(body, list):
        return error_of(body[0]) if body else ErrorBody()
    if not isinstance(body, Mapping):
        return ErrorBody()
    inner = body.get("error") or body.get("errors")
    if isinstance(inner, list):
        inner = inner[0] if inner else None
    if isinstance(inner, Mapping):
        return _from_object(inner, outer=body)
    if isinstance(inner, str):
        return _from_object({**body, "message": inner}, outer={})
    return _from_object(_of_minimax(body) or body, outer={})


def _of_minimax(body: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the error of a MiniMax answer, `{"base_resp": {status_code, status_msg}}`.

    It answers 200 to all; code 0 is no error.
    """
    base = _mapping(body.get("base_resp"))
    code = base.get("status_code")
    return {"message": base.get("status_msg"), "code": code} if code else {}


def _is_bare_error(body: Mapping[Any, Any]) -> bool:
    """Whether an object that is no answer speaks of an error without naming it so."""
    if "choices" in body:
        return False
    said = any(body.get(key) for key in ("message", "msg", "error_message", "error_msg"))
    coded = any(body.get(key) for key in ("code", "error_code", "status_code"))
    failed = coded or _tells_failure(body.get("status"))
    return bool(body.get("detail")) or (said and failed)


def _tells_failure(status: object) -> bool:
    """Whether a `status` is an HTTP error or a word for one; `queued` and `processing` are not."""
    return _status((status,)) is not None or bool(_FAILED.search(str(status)))


def html_error(text: str) -> ErrorBody:
    """Return the title of an HTML page, or its beginning, as the message."""
    found = _HTML_TITLE.search(text)
    said = found.group(2) if found else text
    return ErrorBody(message=" ".join(said.split())[:LONGEST_MESSAGE])


def _from_object(error: Mapping[Any, Any], outer: Mapping[Any, Any]) -> ErrorBody:
    details = _mapping(error.get("details"))
    metadata = _mapping(error.get("metadata"))
    inner = _mapping(error.get("innererror"))
    named = (
        details.get("error_code"),
        error.get("code"),
        error.get("error_code"),
        error.get("type"),
        inner.get("code"),
        error.get("reason"),
        error.get("status"),
        outer.get("code"),
        outer.get("type"),
    )
    codes = [value[:_LONGEST_CODE] for value in named if isinstance(value, str) and value.strip()]
    words = [code for code in codes if not code.isdigit() and code != "error"]
    statuses = (*named, error.get("status_code"), outer.get("status"), outer.get("status_code"))
    return ErrorBody(
        message=_message(error, metadata)[:LONGEST_MESSAGE],
        code=next(iter(words or codes), ""),
        words=tuple(re.sub(r"[^a-z0-9]", "", word.lower()) for word in words),
        numbers=tuple(filter(None, map(_digits, named))),
        status=_status(statuses),
        flagged=bool(metadata.get("reasons")),
        request_id=_request_id(error, outer, details),
    )


def _request_id(*places: Mapping[Any, Any]) -> str:
    """Anthropic writes it beside the error, others into it, under several spellings."""
    named = (place.get(name) for place in places for name in _REQUEST_IDS)
    return next((found[:_LONGEST_ID] for found in named if isinstance(found, str) and found), "")


def _message(error: Mapping[Any, Any], metadata: Mapping[Any, Any]) -> str:
    for key in ("message", "msg", "error_message", "error_msg", "detail", "details", "title"):
        said = _text(error.get(key))
        if said:
            raw = _text(metadata.get("raw"))
            return f"{said}: {raw}" if raw and raw not in said else said
    return ""


def _text(value: object) -> str:
    """Return the words of a message that may be a string, an object, or FastAPI's list."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, Mapping):
        where = value.get("loc")
        said = _text(value.get("message")) or _text(value.get("msg")) or _text(value.get("error"))
        place = ".".join(map(str, where)) if isinstance(where, list) else ""
        return f"{place}: {said}" if place and said else said
    if isinstance(value, list):
        return "; ".join(filter(None, map(_text, value[:10])))
    return ""


def _status(values: Iterable[object]) -> int | None:
    for value in values:
        if isinstance(value, str) and re.fullmatch(r"\s?[0-9]{3}\s?", value):
            value = int(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and value in _STATUSES:
            return int(value)
    return None


def _digits(value: object) -> str:
    """Return a code that is a number, as text; empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return ""
    if isinstance(value, int) and value > _MOST_CODE:
        return ""
    return str(value) if re.fullmatch(r"[0-9]{1,12}", str(value)[:13]) else ""


def _mapping(value: object) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}
