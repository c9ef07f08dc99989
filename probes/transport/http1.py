"""HTTP/1.1 as bytes: a request written, an answer parsed by llhttp (RFC 9112)."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Final

import httptools
import httpx

from probes.config.urls import Url, UrlError, read_url
from probes.kit.words import quoted

MAX_SILENT: Final = 131_072
"""Bytes that a server may send before a body: heads, those of interim answers included."""
MAX_SILENT_IN_BODY: Final = 16_384
"""Bytes without any of a body that it may send after the head: chunk extensions, trailers."""

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[^\x00\r\n]*")
_LINE_END: Final = re.compile(rb"\n\r?\n")
_STATUS_LINE: Final = b"HTTP/"
_LENGTHS: Final = re.compile(rb"^content-length[ \t]*:[ \t]*([^\r\n]*?)[ \t]*\r?\n", re.I | re.M)
_TOO_MUCH: Final = f"more than {MAX_SILENT} bytes before a body"
_CODINGS: Final = frozenset({"chunked", "identity"})
_MOST_PLAIN: Final = 4096
"""Bytes of the chunks that are taken without llhttp; a token's has 100 to 500."""
_SIZE_LINES: Final = {
    len(line) + size + 2: line for size in range(1, _MOST_PLAIN) for line in (b"%x\r\n" % size,)
}
"""How a read begins that is one whole chunk, by its length, as all servers that were seen write it.
No two sizes have one length: with more digits the line is longer too."""


class Target:
    """Where a request goes."""

    __slots__ = ("authority", "host", "is_tls", "path", "port")

    def __init__(self, url: Url) -> None:
        """Take what was read of a URL."""
        self.is_tls = url.is_tls
        self.host = url.host
        self.port = url.port
        self.authority = url.authority
        self.path = url.target if url.path else f"/{url.target}"

    @property
    def url(self) -> str:
        """The whole of it, in its one spelling."""
        return f"{'https' if self.is_tls else 'http'}://{self.authority}{self.path}"

    @property
    def name(self) -> str:
        """What the server's certificate must name: without the dot that ends an absolute name."""
        return self.host.removesuffix(".")

    @property
    def place(self) -> tuple[bool, str, int]:
        """What a connection must share to be used again."""
        return self.is_tls, self.host, self.port


@lru_cache(maxsize=256)
def target_of(url: str) -> Target:
    """Return the target of a URL.

    Raises:
        httpx.InvalidURL: it is none that can be used.
    """
    try:
        return Target(read_url(url))
    except UrlError as error:
        raise httpx.InvalidURL(f"the URL {error}") from error


def request_head(
    method: str,
    target: Target,
    headers: Iterable[tuple[str, str]],
    size: int | None,
    *,
    absolute: bool = False,
) -> bytes:
    """Return the head of a request with a body of `size` bytes; None where its headers tell.

    `absolute` names the whole URL, as a proxy must be told it.

    Raises:
        httpx.LocalProtocolError: a header that cannot be written.
    """
    asked = target.url if absolute else target.path
    # Host first, as RFC 9112 (section 3.2) asks, and no other one: a gateway may believe either.
    lines = [f"{method} {asked} HTTP/1.1", f"Host: {target.authority}"]
    for name, value in headers:
        # A value with a line end would be a header of its own, or a second request.
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise httpx.LocalProtocolError(f"a header that cannot be sent: {quoted(name[:80])}")
        if name.lower() not in ("host", "content-length"):
            lines.append(f"{name}: {value.strip()}")
    if size is not None:
        lines.append(f"Content-Length: {size}")
    try:
        return "\r\n".join([*lines, "", ""]).encode("latin-1")
    except UnicodeEncodeError as error:
        raise httpx.LocalProtocolError("a header that is not Latin-1") from error


class ResponseParser:
    """One answer, as its bytes come. Interim answers (1xx) before it are passed over.

    A head is parsed when it is whole, so that its cost does not depend on how it is cut. What is no
    HTTP ends the reading: what was read before it stands, the rest is in `failure`.
    """

    __slots__ = (
        "_between_chunks",
        "_chunk_is_over",
        "_head",
        "_heads",
        "_interim",
        "_parser",
        "_pieces",
        "_silent",
        "chunked",
        "complete",
        "cuts",
        "failure",
        "has_head",
        "headers",
        "keep_alive",
        "status",
        "version",
    )

    def __init__(self) -> None:
        self.status = 0
        self.version = "1.1"
        self.headers: list[tuple[str, str]] = []
        """Lower-case names, in their order; without trailers."""
        self.has_head = False
        self.complete = False
        self.keep_alive = False
        """Whether the connection may be used again, once the answer is complete."""
        self.chunked = False
        self.failure: httpx.RemoteProtocolError | None = None
        """Why no more is read, once it is no HTTP or has no end to its heads."""
        self._head = bytearray()
        self._heads = 0
        self._interim = False
        self._silent = 0
        self._chunk_is_over = True
        """No chunk of the transfer coding has begun that is not over; its size line may have."""
        self._between_chunks = False
        """The next byte is the first of a chunk's size line."""
        self._pieces: list[bytes] = []
        self.cuts: Sequence[int] = ()
        """Where in what was returned last another chunk of the transfer coding begins."""
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        # As tolerant as h11, which most users' clients are built on. What these may confuse is who
        # owns the bytes that follow; nothing that follows an answer is ever taken for another.
        self._parser.set_dangerous_leniencies(
            lenient_chunked_length=True,
            lenient_headers=True,
            lenient_optional_lf_after_cr=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
            lenient_version=True,
        )

    def plain(self, data: bytes) -> bytes | None:
        """Take a read that is one whole chunk of the transfer coding, and return its body.

        Most reads are. None of any other, which was not taken and is to be fed. llhttp need not see
        it: it is between two chunks before it and after it.
        """
        if not self._between_chunks:
            return None
        line = _SIZE_LINES.get(len(data))
        if line is None or not (data.startswith(line) and data.endswith(b"\r\n")):
            return None
        return data[len(line) : -2]

    def feed(self, data: bytes) -> bytes:
        """Take what was read; return what it brought of the body."""
        if self._parser is None:
            self.keep_alive = False  # more than was asked for
            return b""
        self._silent += len(data)
        if self.has_head:
            self._execute(data)
        else:
            self._take_head(data)
        pieces = self._pieces
        # To llhttp a size line without digits is none: where a chunk is over, a read that ends with
        # a line has ended that chunk's.
        self._between_chunks = (
            self._chunk_is_over
            and self.chunked
            and self._parser is not None
            and bool(pieces)
            and data.endswith(b"\r\n")
        )
        if not pieces:
            if self._silent > MAX_SILENT_IN_BODY and self.has_head and not self.complete:
                self._fail(f"more than {MAX_SILENT_IN_BODY} bytes without a body")
            return b""
        self._silent = 0
        if len(pieces) == 1:
            self.cuts = ()
            return pieces.pop()
        self.cuts = tuple(accumulate(map(len, pieces[:-1])))
        body = b"".join(pieces)
        pieces.clear()
        return body

    def end(self) -> None:
        """Take the end of the connection.

        Raises:
            httpx.RemoteProtocolError: the answer was not over, or was none.
        """
        self.close()
        self.keep_alive = False
        if self.failure is not None:
            raise self.failure
        if self.complete:
            return
        if not self.has_head:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        # Without either, the end of the connection is the end of the body (RFC 9112, section 6.3).
        names = {name for name, _ in self.headers}
        if self.chunked or "content-length" in names:
            raise httpx.RemoteProtocolError(
                "peer closed connection without sending complete message body"
            )
        self.complete = True

    def close(self) -> None:
        """Let the parser go; it and this object hold each other."""
        self._parser = None

    def _take_head(self, data: bytes) -> None:
        """Hold the bytes back until a head is whole."""
        held = self._head
        seen = max(0, len(held) - 2)
        held += data
        while not self.has_head and self.failure is None:
            blank = len(held) - len(held.lstrip(b"\r\n"))
            if blank:  # lines before the status line (RFC 9112, section 2.2)
                del held[:blank]
                self._heads += blank
                seen = 0
            end = _LINE_END.search(held, seen)
            self._check_head(held, len(held) if end is None else end.end())
            if end is None or self.failure is not None:
                return
            head, seen = bytes(held[: end.end()]), 0
            del held[: end.end()]
            self._heads += len(head)
            self._execute(_with_one_length(head))
        rest = bytes(held)
        held.clear()
        self._silent = len(rest)
        if rest and self.failure is None:
            self._execute(rest)

    def _check_head(self, held: bytearray, size: int) -> None:
        """Fail where a head of `size` bytes so far is none, or too large."""
        if not _STATUS_LINE.startswith(held[: len(_STATUS_LINE)]):
            self._fail(f"no HTTP/1 answer: {quoted(bytes(held[:40]))}")
        elif self._heads + size > MAX_SILENT:
            self._fail(_TOO_MUCH)
        elif held.find(b"\0", 0, size) >= 0:
            self._fail("a NUL in a head")

    def _execute(self, data: bytes) -> None:
        if self._parser is None:  # the answer is over
            self.keep_alive = False
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail("an upgrade nobody asked for")
        except httptools.HttpParserError as error:
            self.keep_alive = False
            if not self.complete:
                self._fail(str(error) or type(error).__name__)
        if self.complete:
            self.close()

    def _fail(self, why: str) -> None:
        self.failure = self.failure or httpx.RemoteProtocolError(why)
        self.keep_alive = False
        self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header of the head; one of a trailer, or of what nobody asked for, is not."""
        if not self.has_head:
            self.headers.append((name.decode("latin-1").lower(), _text(value).strip(" \t")))

    def on_headers_complete(self) -> None:
        """Take the head, unless it is an interim one."""
        if self.has_head:  # a second answer
            self.keep_alive = False
            return
        assert self._parser is not None  # noqa: S101 - it is what calls
        status = self._parser.get_status_code()
        if status < 100 or status == 101:
            self._fail("an upgrade nobody asked for" if status else "no status")
            raise ValueError
        self._interim = status < 200
        if self._interim:
            self.headers.clear()
            return
        codings = {
            coding.strip().lower()
            for name, value in self.headers
            if name == "transfer-encoding"
            for coding in value.split(",")
        }
        if codings - _CODINGS:
            self._fail("a transfer coding nobody asked for")
            raise ValueError
        self.chunked = "chunked" in codings
        self.status, self.has_head = status, True
        self.version = self._parser.get_http_version()

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body; an interim answer has none."""
        if self.has_head and not self.complete:
            self._pieces.append(data)

    def on_chunk_header(self) -> None:
        """Note that a chunk's size line is read."""
        self._chunk_is_over = False

    def on_chunk_complete(self) -> None:
        """Note that a chunk is read, with the line end after it."""
        self._chunk_is_over = True

    def on_message_complete(self) -> None:
        """Note the end of the answer."""
        if not self._interim and not self.complete:
            assert self._parser is not None  # noqa: S101 - it is what calls
            self.keep_alive = self._parser.should_keep_alive()
            self.complete = True


def _with_one_length(head: bytes) -> bytes:
    """Return a head without the repetitions of a length that are all the same.

    A recipient may take them for one (RFC 9110, section 8.6), and h11 does; llhttp does not.
    """
    lengths = _LENGTHS.findall(head)
    if len(lengths) < 2 and b"," not in b"".join(lengths):
        return head
    claimed = {one.strip() for value in lengths for one in value.split(b",")}
    if len(claimed) > 1:  # whoever is right, llhttp refuses it
        return head
    return _LENGTHS.sub(b"", head).replace(b"\n", b"\nContent-Length: %s\r\n" % claimed.pop(), 1)


def _text(value: bytes) -> str:
    """Header values are ASCII, should have been Latin-1 once, and are UTF-8 where they are not."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
