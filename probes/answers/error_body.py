"""Error bodies of every provider, brought to one shape.

OpenAI `{"error": {message, type, code}}`, the same with a string for the object, Anthropic
`{"type": "error", "error": {type, message, details}, request_id}`, older vLLM
`{"object": "error", …}`, FastAPI `{"detail": …}`, Cloudflare `{"errors": […]}`, problem+json
`{title, status, detail, error_code}`, TGI `{"error": "…", "error_type"}`, MiniMax
`{"base_resp": {status_code, status_msg}}`, AWS `{"__type", "Message"}` and a bare
`{message, code}`.

Rule 1: names of fields are read without regard to case, `_` and `-`.
Rule 2: an error that quotes another one (as JSON, as a Python dict, as a status in words such as
"Error code: 429 - {…}") says what the quoted one says, three levels deep: of the words the
innermost are shown, the innermost status counts, and the codes of all levels do.
Rule 3: numbers whose meaning goes by where they stand (gRPC's, MiniMax's) are told as words.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from probes.answers.finish_reason import squashed
from probes.answers.lenient import mapping
from probes.kit.tolerant_json import first_value

LONGEST_MESSAGE: Final = 500
"""The sentence that counts comes first; what follows is often the prompt, quoted."""
_LONGEST_CODE: Final = 80
_LONGEST_ID: Final = 200
_LONGEST_QUOTATION: Final = 8 * 1024
"""In which a quoted error is looked for: quotations are decoded in several spellings."""
_QUOTED_LEVELS: Final = 3
"""A gateway quotes another that quotes a provider."""
_MOST_KEYS: Final = 100
"""Of an object that is looked into; so of a list the details, and of copied headers."""
_MOST_DETAILS: Final = 16
_MOST_HEADERS: Final = 48
_MOST_CODE: Final = 10**12
"""A larger number is an id or a time, not a code."""
_REQUEST_IDS: Final = ("requestid", "traceid")
_FAILED: Final = re.compile(r"err|fail|invalid|denied|unavailable|exhausted", re.IGNORECASE)
_STATUSES: Final = range(400, 600)
_SUCCESSES: Final = range(200, 300)
_MESSAGES: Final = ("message", "msg", "errormessage", "errormsg", "statusmsg")
_CODES: Final = ("code", "errorcode", "statuscode", "errortype", "type")
_FAILING_CODES: Final = _CODES[:-1]
"""A bare object's `type` alone tells no failure: whatever is no error has one too."""
_HTTP_STATUSES: Final = (
    *("httpcode", "httpstatus", "httpstatuscode", "statuscode", "status", "originalstatuscode"),
    *("upstreamstatus", "upstreamstatuscode"),
)
"""Fields that name an HTTP status, be it that of the server behind a gateway."""
_WELL: Final = ("", "ok", "success", "succeeded", "null", "none")
"""Codes that say that nothing is wrong."""
_HTML_TITLE: Final = re.compile(r"<(title|h1)[^>]{0,200}>([^<]{1,500})", re.IGNORECASE)
_KNOWN_STATUSES: Final = (
    r"(40[0-9]|41[0-3]|42[2469]|498|499|50[0-4]|52[0-7]|529|530)"  # the field's, not all numbers
)
_STATUS_IN_WORDS: Final = re.compile(
    r"(?:\b(?:error|status)[ _-]?code|\bstatus|\bhttp(?:[ _-](?:status|error|code)|/[0-9.]{1,3})?"
    r"|\breturned(?: an?)?(?: http)?(?: error)?|\bresponse code)"
    rf"[\s:=('\"-]{{0,5}}{_KNOWN_STATUSES}\b"
    rf"|\[{_KNOWN_STATUSES}(?:[ \]])"
    rf"|\b{_KNOWN_STATUSES} (?:bad request|unauthorized|payment required|forbidden|not found"
    r"|page not found|too many requests|internal server error|bad gateway|service unavailable"
    r"|gateway time-?out)"
    rf"|\A\s*{_KNOWN_STATUSES}(?=\s*(?:[:{{-]|\Z))",
    re.IGNORECASE,
)
_PYTHON_TOKEN: Final = re.compile(
    r"\"(?:[^\"\\]|\\.)*\"|'(?P<single>(?:[^'\\]|\\.)*)'|\b(?P<word>None|True|False)\b", re.DOTALL
)
_PYTHON_WORDS: Final = {"None": "null", "True": "true", "False": "false"}
_GRPC: Final = {
    1: "CANCELLED",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    12: "UNIMPLEMENTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    16: "UNAUTHENTICATED",
}
_MINIMAX: Final = {
    "1001": "timeout",
    "1002": "rate_limit",
    "1004": "authentication_failed",
    "1008": "insufficient_balance",
    "1026": "input_content_filter",
    "1027": "output_content_filter",
    "1039": "tpm_limit",
    "1041": "concurrency_limit",
    "2013": "invalid_request",
    "2045": "rate_limit",
    "2049": "invalid_api_key",
    "2056": "usage_limit_exceeded",
    "2064": "overloaded",
}
"""MiniMax's own numbers, which other vendors use for other things (Zhipu's 1002 is a bad token). It
writes them into `base_resp`, or in brackets at the end of its words: "insufficient balance (1008)".
"""
_MINIMAX_AT_THE_END: Final = re.compile(r"\(([12][0-9]{3})\)\s*\Z")


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
    quotas: tuple[str, ...] = ()
    """Ids of the quotas that a `google.rpc.QuotaFailure` says are violated."""
    request_id: str = ""
    """The id that the body itself tells, at most 200 characters."""
    source: object = None
    """The JSON value it was read from, for those who look for limits and waits in it."""


def error_in(body: object) -> ErrorBody | None:
    """Return the error that a JSON value of a 200 answer carries; None where it carries none."""
    if not isinstance(body, Mapping):
        return None
    is_named = body.get("object") == "error" or body.get("type") == "error"
    here = _plain(body)
    if is_named or _named(here) or _of_minimax(here) or _is_bare_error(here):
        return error_of(body)
    return None


def error_of(body: object) -> ErrorBody:
    """Return the error of a value that is known to be one; an empty one where it says nothing."""
    error = _error_of(body, _QUOTED_LEVELS)
    return msgspec.structs.replace(error, message=error.message[:LONGEST_MESSAGE], source=body)


def with_amazon_type(error: ErrorBody, headers: Mapping[str, str]) -> ErrorBody:
    """Return an error with the type that AWS tells in a header only.

    >>> headers = {"x-amzn-errortype": "ThrottlingException:http://internal.amazon.com/coral/"}
    >>> with_amazon_type(ErrorBody(message="Rate exceeded"), headers).code
    'ThrottlingException'
    """
    kind = headers.get("x-amzn-errortype", "").partition(":")[0].strip()[:_LONGEST_CODE]
    if not kind:
        return error
    words = tuple(dict.fromkeys((*error.words, squashed(kind))))
    return msgspec.structs.replace(error, words=words, code=error.code or kind)


def html_error(text: str) -> ErrorBody:
    """Return the title of an HTML page, or its beginning, as the message."""
    return ErrorBody(message=_page_words(text)[:LONGEST_MESSAGE])


def layers_of(body: object) -> Iterator[dict[str, Any]]:
    """Yield the objects of an error body that may tell of limits and waits, outermost first.

    The keys are plain: lower case, without `_` and `-`.
    """
    yield from _layers(body, _QUOTED_LEVELS)


def copied_headers(body: object) -> dict[str, str]:
    """Return the headers that OpenRouter copies into `error.metadata.headers`."""
    for key in ("error", "metadata", "headers"):
        body = body.get(key) if isinstance(body, Mapping) else None
    if not isinstance(body, Mapping):
        return {}
    return {str(name).lower(): str(value) for name, value in list(body.items())[:_MOST_HEADERS]}


def _layers(body: object, levels: int) -> Iterator[dict[str, Any]]:
    if isinstance(body, str) and levels:
        yield from _layers(_quoted(body)[1], levels - 1)
    elif isinstance(body, list) and levels:
        for one in body[:_MOST_DETAILS]:
            yield from _layers(one, levels - 1)
    elif isinstance(body, Mapping):
        here = _plain(body)
        metadata = _plain(mapping(here.get("metadata")))
        yield here
        yield metadata
        for detail in _details_of(here):
            yield detail
            yield _plain(mapping(detail.get("metadata")))
        inner = (_named(here), here.get("detail"), here.get("message"), metadata.get("raw"))
        for one in inner if levels else ():
            yield from _layers(one, levels)


def _error_of(body: object, levels: int) -> ErrorBody:
    """Return what an error says, with what it quotes; its message is not cut yet."""
    if isinstance(body, list):
        return _error_of(body[0], levels) if body else ErrorBody()
    if isinstance(body, str):
        return _with_quotation(ErrorBody(message=body.strip()), levels)
    if not isinstance(body, Mapping):
        return ErrorBody()
    here = _plain(body)
    inner = _named(here)
    if isinstance(inner, list):
        inner = inner[0] if inner else None
    if isinstance(inner, Mapping):
        found = _from_object(_plain(inner), outer=here)
    elif isinstance(inner, str):
        found = _from_object({**here, "message": inner}, outer={})
    elif isinstance(inner, int) and not isinstance(inner, bool):
        found = _from_object({"message": here.get("message"), "code": inner}, outer={})
    elif isinstance(here.get("detail"), Mapping) and not here.get("message"):
        found = _from_object(_plain(here["detail"]), outer=here)  # FastAPI's, with an object
        found = found if found.message else _from_object(here, outer={})
    else:
        found = _from_object(_of_minimax(here) or here, outer={})
    return _with_quotation(found, levels)


def _with_quotation(error: ErrorBody, levels: int) -> ErrorBody:
    """Return an error with what it quotes, and with the status that its words name."""
    message = error.message
    if message.startswith("<"):
        message = _page_words(message)
    found = _STATUS_IN_WORDS.search(message[:_LONGEST_QUOTATION])
    named = int(found[found.lastindex or 0]) if found else None
    lead, quoted = _quoted(message) if levels else ("", None)
    inner = ErrorBody() if quoted is None else _error_of(quoted, levels - 1)
    if not (inner.message or inner.status or inner.words):
        return msgspec.structs.replace(
            error, message=message, status=named if named is not None else error.status
        )
    lead = lead.strip(" \t\r\n-:,")
    words = inner.message or message
    return ErrorBody(
        message=f"{lead}: {words}" if lead and inner.message and lead not in words else words,
        code=inner.code or error.code,
        words=tuple(dict.fromkeys((*error.words, *inner.words))),
        numbers=(*error.numbers, *inner.numbers),
        status=next((one for one in (inner.status, named, error.status) if one is not None), None),
        flagged=error.flagged or inner.flagged,
        quotas=(*error.quotas, *inner.quotas),
        request_id=error.request_id or inner.request_id,
    )


def _quoted(text: str) -> tuple[str, Mapping[Any, Any] | None]:
    """Return what stands before a quoted error, and the error: JSON, escaped JSON, a Python dict.

    Objects that are no error (a schema, a message of the prompt) are not taken for one.
    """
    start = text.find("{", 0, _LONGEST_QUOTATION)
    if start < 0:
        return "", None
    piece = text[start : start + _LONGEST_QUOTATION]
    spellings = [piece]
    if '\\"' in piece:
        spellings.append(piece.replace('\\"', '"').replace("\\\\", "\\").replace("\\n", " "))
    if "'" in piece:
        spellings.append(_PYTHON_TOKEN.sub(_as_json, piece))
    for spelling in spellings:
        try:
            value = first_value(spelling)
        except ValueError:
            continue
        if isinstance(value, Mapping) and _speaks(_plain(value)):
            return text[:start].removesuffix("[").removesuffix("b'"), value
    return "", None


def _speaks(here: Mapping[str, Any]) -> bool:
    """Whether an object has what errors have: an error's name, or words beside a code."""
    if _named(here) or _of_minimax(here):
        return True
    has_words = any(isinstance(here.get(key), str) for key in (*_MESSAGES, "detail", "title"))
    return has_words and any(here.get(key) for key in (*_CODES, *_HTTP_STATUSES, "detail"))


def _as_json(found: re.Match[str]) -> str:
    """Return a token of a Python literal as JSON writes it."""
    word, single = found["word"], found["single"]
    if word:
        return _PYTHON_WORDS[word]
    if single is None:
        return found[0].replace("\\'", "'").replace("\\x", "\\u00")
    text = re.sub(r'(?<!\\)"', r"\"", single).replace("\\'", "'").replace("\\x", "\\u00")
    return f'"{text}"'


def _plain(body: Mapping[Any, Any]) -> dict[str, Any]:
    """Return an object with plain keys; of two that become one the first counts."""
    found: dict[str, Any] = {}
    for key, value in list(body.items())[:_MOST_KEYS]:
        found.setdefault(re.sub(r"[_\s-]", "", str(key)[:_LONGEST_CODE]).lower(), value)
    return found


def _of_minimax(here: Mapping[str, Any]) -> dict[str, Any]:
    """Return the error of a MiniMax answer, `{"base_resp": {status_code, status_msg}}`.

    It answers 200 to all; code 0 is no error.
    """
    base = _plain(mapping(here.get("baseresp")))
    code = base.get("statuscode")
    if not code:
        return {}
    return {
        "message": base.get("statusmsg"),
        "code": code,
        "type": _MINIMAX.get(_digits(code)),
        "requestid": here.get("requestid"),
    }


def _named(here: Mapping[str, Any]) -> object:
    """Return what stands under the name of an error; None where that says nothing.

    Some servers write all their keys in every chunk: an object of nulls, zeros and empty strings
    is no error. Bedrock's event streams name the exception by the key.
    """
    inner = here.get("error") or here.get("errors")
    if inner is None and len(here) == 1:
        name, value = next(iter(here.items()))
        if name.endswith("exception") and isinstance(value, Mapping):
            inner = {"code": name, **value}
    if isinstance(inner, Mapping) and not any(inner.values()):
        return None
    return inner or None


def _is_bare_error(here: Mapping[str, Any]) -> bool:
    """Whether an object that is no answer speaks of an error without naming it so."""
    if here.get("choices"):
        return False
    has_words = any(here.get(key) for key in _MESSAGES)
    if len(here) == 1 and isinstance(here.get("message"), str):
        return here["message"].strip().lower() not in _WELL  # a gateway's: nothing else was to say
    coded = any(_is_failing(here.get(key)) for key in _FAILING_CODES)
    coded = coded or (
        has_words and isinstance(here.get("type"), str) and "exception" in _amazon(here)
    )
    failed = coded or here.get("success") is False or _tells_failure(here.get("status"))
    detailed = "choices" not in here and bool(here.get("detail"))
    return detailed or _is_failing(here.get("errorcode")) or (has_words and failed)


def _amazon(here: Mapping[str, Any]) -> str:
    """Return the type of an AWS error, `com.amazon.coral#ThrottlingException`, in small letters."""
    kind = here.get("type")
    return kind.rpartition("#")[2].lower() if isinstance(kind, str) else ""


def _is_failing(code: object) -> bool:
    """Whether a code is one of a failure: some gateways number their successes, 0 or 200."""
    if isinstance(code, str):
        code = code.strip().lower()
        return code not in _WELL and not re.fullmatch(r"0+|2[0-9]{2}", code)
    return isinstance(code, int | float) and bool(code) and code not in _SUCCESSES


def _tells_failure(status: object) -> bool:
    """Whether a `status` is an HTTP error or a word for one; `queued` and `processing` are not."""
    return _status((status,)) is not None or bool(_FAILED.search(str(status)))


def _page_words(text: str) -> str:
    found = _HTML_TITLE.search(text)
    return " ".join((found.group(2) if found else text).split())


def _from_object(error: Mapping[str, Any], outer: Mapping[str, Any]) -> ErrorBody:
    details = _details_of(error)
    metadata = _plain(mapping(error.get("metadata")))
    inner = _plain(mapping(error.get("innererror")))
    message = _message(error, metadata)
    at_the_end = _MINIMAX_AT_THE_END.search(message)
    named = (
        *(detail.get("errorcode") for detail in details),
        error.get("code"),
        error.get("errorcode"),
        error.get("type"),
        error.get("errortype"),
        inner.get("code"),
        error.get("reason"),
        error.get("status"),
        outer.get("code"),
        outer.get("type"),
        *(detail.get("reason") for detail in details),
        error.get("errorname"),
        error.get("ratelimittype"),
        metadata.get("errortype"),
        _grpc_name(error),
        _MINIMAX.get(at_the_end[1]) if at_the_end else None,
    )
    codes = [_code(value) for value in named if isinstance(value, str) and value.strip()]
    words = [code for code in codes if not code.isdigit() and code != "error"]
    statuses = (*named, *(part.get(key) for part in (error, outer) for key in _HTTP_STATUSES))
    return ErrorBody(
        message=message,
        code=next(iter(words or codes), ""),
        words=tuple(dict.fromkeys(map(squashed, words))),
        numbers=tuple(filter(None, map(_digits, named))),
        status=_status(statuses),
        flagged=bool(metadata.get("reasons")),
        quotas=tuple(_quota_ids(details)),
        request_id=_request_id(error, outer, *details),
    )


def _details_of(error: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the objects of `details`, and those of Google's older `errors` list beside it."""
    found: list[dict[str, Any]] = []
    for given in (error.get("details"), error.get("errors")):
        listed = given[:_MOST_DETAILS] if isinstance(given, list) else [given]
        found += [_plain(detail) for detail in listed if isinstance(detail, Mapping)]
    return found


def _quota_ids(details: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for detail in details:
        violations = detail.get("violations")
        for violation in violations[:_MOST_DETAILS] if isinstance(violations, list) else []:
            name = _plain(mapping(violation)).get("quotaid")
            if isinstance(name, str):
                yield name[:_LONGEST_ID]


def _grpc_name(error: Mapping[str, Any]) -> str | None:
    """Return the name of a gRPC status, told by a number that can be nothing else.

    A gateway's `grpc_code`, or a small `code` beside the list of `details` that every status has.
    """
    number = error.get("grpccode")
    if number is None and isinstance(error.get("details"), list):
        number = error.get("code")
    return _GRPC.get(number) if isinstance(number, int) else None


def _code(value: str) -> str:
    """Return a code without the namespace that AWS writes before it and the URL behind it."""
    return re.sub(r"\A[\w.]+#|:https?://.*\Z", "", value, flags=re.DOTALL)[:_LONGEST_CODE]


def _request_id(*places: Mapping[str, Any]) -> str:
    """Anthropic writes it beside the error, others into it, under several spellings."""
    named = (place.get(name) for place in places for name in _REQUEST_IDS)
    return next((found[:_LONGEST_ID] for found in named if isinstance(found, str) and found), "")


def _message(error: Mapping[str, Any], metadata: Mapping[str, Any]) -> str:
    for key in (*_MESSAGES, "detail", "details", "title", "text"):
        words = _text(error.get(key))
        if key == "detail" and words:
            title = _text(error.get("title"))  # problem+json: the kind of it, then this one
            words = f"{title}: {words}" if title and title not in words else words
        if words:
            raw = _text(metadata.get("raw"))
            return f"{words}: {raw}" if raw and raw not in words else words
    return ""


def _text(value: object) -> str:
    """Return the words of a message that may be a string, an object, or FastAPI's list."""
    if isinstance(value, str):
        return value.strip()[: 2 * _LONGEST_QUOTATION]
    if isinstance(value, Mapping):
        where = value.get("loc")
        here = _plain(value)
        words = _text(here.get("message")) or _text(here.get("msg")) or _text(here.get("error"))
        place = ".".join(map(str, where)) if isinstance(where, list) else ""
        return f"{place}: {words}" if place and words else words
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
