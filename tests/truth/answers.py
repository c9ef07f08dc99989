"""What the metronome writes but its streams: whole JSON answers, errors among them."""

from http import HTTPStatus
from urllib.parse import parse_qs

from http_request import BadRequestError, HttpRequest, take_request

from probes.simulator.chat import ApiError, error_body

_LONGEST_NUMBER = 18
"""Digits: a record's number fits into 64 bits."""


def next_request(inbox: bytearray) -> HttpRequest | None:
    """Take one request off the front of `inbox`; None while it is not whole.

    Raises:
        ApiError: it will never be a request that can be taken.
    """
    try:
        request = take_request(inbox)
    except BadRequestError as error:
        raise ApiError(error.status, error.words) from error
    if request is not None and not request.target.startswith("/"):
        raise ApiError(400, "The request's target is malformed.")
    return request


def record_number(request: HttpRequest, name: str) -> int:
    """Return a number of the query, 0 where it is not there.

    Raises:
        ApiError: 400, it is no number.
    """
    text = parse_qs(request.query).get(name, ["0"])[-1]
    if not text.isascii() or not text.isdigit() or len(text) > _LONGEST_NUMBER:
        raise ApiError(400, f"{name} must be a record's number.", param=name)
    return int(text)


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
