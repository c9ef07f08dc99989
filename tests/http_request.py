"""The one reader of HTTP/1.1 requests that the test servers share: whole requests out of bytes.

Rule 1. It waits for nothing and owns no socket: whoever reads bytes appends them to a buffer and
        takes requests off its front, so it serves threads, asyncio and anyio alike.
Rule 2. A body declares its length, as those of all clients of an API do.
Rule 3. What can never become a request is refused with the status a server would give, so that a
        client under test hears of its mistake instead of waiting.

By hand and not by a library because the metronome reads between two beats: some 10 µs a request.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

MAX_HEAD: Final = 32_768
MAX_BODY: Final = 1024 * 1024
"""Bytes; a test server never needs more, and one that reads without end hides a client that sends
without end."""
_LONGEST_LENGTH: Final = 12
"""Digits of a length: `int` of thousands of them takes long."""
_HTTP: Final = (b"HTTP/1.1", b"HTTP/1.0")


class BadRequestError(Exception):
    """What came is no request, and never will be; the connection is of no more use."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request that was read whole."""

    method: str
    target: str
    """As it was sent: a path with its query, an absolute URL to a proxy, `host:port` of CONNECT."""
    headers: dict[str, str]
    """Names in lower case; of repeated ones the last."""
    head: bytes
    """First line and header lines as they came, without the empty line."""
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What follows the first `?`."""
        return self.target.partition("?")[2]

    @property
    def keeps_alive(self) -> bool:
        """Whether the client wants the connection to stay."""
        return self.headers.get("connection", "").lower() != "close"


def take_request(inbox: bytearray, *, most: int = MAX_BODY) -> HttpRequest | None:
    """Take one request off the front of `inbox`, its body of at most `most` bytes; None while it is
    not whole.

    Raises:
        BadRequestError: 400, 411, 413 or 431.
    """
    end = inbox.find(b"\r\n\r\n", 0, MAX_HEAD)
    if end < 0:
        if len(inbox) >= MAX_HEAD:
            raise BadRequestError(431, "The header is too large.")
        return None
    head = bytes(inbox[:end])
    first, *lines = head.split(b"\r\n")
    headers = _headers(lines)
    body_end = end + 4 + _body_length(headers, most)
    if len(inbox) < body_end:
        return None
    body = bytes(inbox[end + 4 : body_end])
    del inbox[:body_end]
    parts = first.split(b" ")
    if len(parts) != 3 or parts[2] not in _HTTP or not first.isascii():
        raise BadRequestError(400, "This is not an HTTP/1.1 request.")
    return HttpRequest(parts[0].decode("ascii"), parts[1].decode("ascii"), headers, head, body)


async def read_request(reader: asyncio.StreamReader) -> HttpRequest | None:
    """Return the next request of a connection; None at its end.

    Reads no further than the request, so that whoever watches for the client's end sees it next.

    Raises:
        asyncio.IncompleteReadError: the connection ended inside a request.
        BadRequestError: what came is none.
    """
    inbox = bytearray()
    try:
        inbox += await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    lines = bytes(inbox[:-4]).split(b"\r\n")[1:]
    inbox += await reader.readexactly(_body_length(_headers(lines), MAX_BODY))
    return take_request(inbox)


def _headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip():
            raise BadRequestError(400, "A header line is malformed.")
        headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
    return headers


def _body_length(headers: dict[str, str], most: int) -> int:
    if "transfer-encoding" in headers:
        raise BadRequestError(411, "The body must declare its length.")
    declared = headers.get("content-length", "0")
    if not declared.isascii() or not declared.isdigit():
        raise BadRequestError(400, "The content length is malformed.")
    if len(declared) > _LONGEST_LENGTH or int(declared) > most:
        raise BadRequestError(413, f"The body is larger than {most} bytes.")
    return int(declared)
