"""As much of HTTP/1.1 as the metronome needs: whole requests out of bytes, answers into bytes.

Written by hand because it runs between two beats: a request costs some 10 µs here. Bodies must
declare their length, as those of all clients of an API do.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlsplit

from probes.simulator.chat import ApiError, error_body

MAX_BODY: Final = 1024 * 1024
"""Largest request body, in bytes."""
_MAX_HEAD: Final = 32_768
_LONGEST_LENGTH: Final = 12
_HTTP: Final = (b"HTTP/1.1", b"HTTP/1.0")


@dataclass(frozen=True, slots=True)
class MetronomeRequest:
    """A request that was read whole."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants the connection to stay."""
        return self.headers.get("connection", "").lower() != "close"

    def number(self, name: str) -> int:
        """Return a number of the query, 0 where it is not there.

        Raises:
            ApiError: 400, it is no number.
        """
        text = parse_qs(self.query).get(name, ["0"])[-1]
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise ApiError(400, f"{name} must be a record's number.", param=name)
        return int(text)


def take_request(inbox: bytearray) -> MetronomeRequest | None:
    """Take one request off the front of `inbox`; None while it is not whole.

    Raises:
        ApiError: 400, 411, 413 or 431: it will never be a request that can be taken.
    """
    end = inbox.find(b"\r\n\r\n", 0, _MAX_HEAD)
    if end < 0:
        if len(inbox) >= _MAX_HEAD:
            raise ApiError(431, "The header is too large.")
        return None
    first, *lines = bytes(inbox[:end]).split(b"\r\n")
    headers = _headers(lines)
    body_end = end + 4 + _body_length(headers)
    if len(inbox) < body_end:
        return None
    body = bytes(inbox[end + 4 : body_end])
    del inbox[:body_end]
    method, target = _request_line(first)
    return MetronomeRequest(method, target.path, target.query, headers, body)


def _request_line(line: bytes) -> tuple[str, "_Target"]:
    parts = line.split(b" ")
    if len(parts) != 3 or parts[2] not in _HTTP or not parts[1].startswith(b"/"):
        raise ApiError(400, "This is not an HTTP/1.1 request.")
    try:
        target = urlsplit(parts[1].decode("ascii"))
        return parts[0].decode("ascii"), _Target(target.path, target.query)
    except ValueError as error:
        raise ApiError(400, "The request's target is malformed.") from error


@dataclass(frozen=True, slots=True)
class _Target:
    path: str
    query: str


def _headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise ApiError(400, "A header line is malformed.")
        headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
    return headers


def _body_length(headers: dict[str, str]) -> int:
    if "transfer-encoding" in headers:
        raise ApiError(411, "The body must declare its length.")
    declared = headers.get("content-length", "0")
    if not declared.isascii() or not declared.isdigit():
        raise ApiError(400, "The content length is malformed.")
    if len(declared) > _LONGEST_LENGTH or int(declared) > MAX_BODY:
        raise ApiError(413, f"The body is larger than {MAX_BODY} bytes.")
    return int(declared)


def answer(status: int, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """Return a whole JSON answer."""
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join(head).encode("latin-1") + b"\r\n\r\n" + body


def error_answer(error: ApiError, *, close: bool = False) -> bytes:
    """Return the answer that an error is; `close` says that the connection ends with it."""
    last = (("connection", "close"),) if close else ()
    return answer(error.status, error_body(error), (*error.headers, *last))
