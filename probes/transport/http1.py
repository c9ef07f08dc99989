"""HTTP/1.1 as bytes: a request written, an answer parsed by llhttp (RFC 9112)."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import httptools
import httpx

__all__ = ["MAX_SILENT", "ResponseParser", "Target", "request_head", "target_of"]

MAX_SILENT: Final = 131_072
"""Bytes that a server may send without any byte of a body: heads, trailers, chunk extensions."""

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(r"[^\x00\r\n]*")
_PORTS: Final = {"http": 80, "https": 443}


class Target:
    """Where a request goes."""

    __slots__ = ("authority", "host", "is_tls", "path", "port")

    def __init__(self, url: httpx.URL) -> None:
        """Take an absolute URL of http or https.

        Raises:
            httpx.UnsupportedProtocol: it is another one.
            UnicodeError: its host name is none that IDNA allows.
        """
        if url.scheme not in _PORTS or not url.host:
            raise httpx.UnsupportedProtocol(f"no http or https URL: {url.scheme!r}")
        self.is_tls = url.scheme == "https"
        self.host = url.raw_host.decode("ascii")
        self.port = url.port or _PORTS[url.scheme]
        self.authority = url.netloc.decode("ascii")
        self.path = url.raw_path.decode("ascii")

    @property
    def place(self) -> tuple[bool, str, int]:
        """What a connection must share to be used again."""
        return self.is_tls, self.host, self.port


@lru_cache(maxsize=256)
def target_of(url: str) -> Target:
    """Return the target of a URL.

    Raises:
        httpx.InvalidURL: it is none, or its host name is none that IDNA allows.
        httpx.UnsupportedProtocol: it is neither http nor https.
    """
    try:
        return Target(httpx.URL(url))
    except UnicodeError as error:
        raise httpx.InvalidURL(str(error)) from error


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
    asked = f"http://{target.authority}{target.path}" if absolute else target.path
    lines = [f"{method} {asked} HTTP/1.1", f"Host: {target.authority}"]
    for name, value in headers:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise httpx.LocalProtocolError(f"a header that cannot be sent: {name[:80]!r}")
        if name.lower() not in ("host", "content-length"):
            lines.append(f"{name}: {value.strip()}")
    if size is not None:
        lines.append(f"Content-Length: {size}")
    try:
        return "\r\n".join([*lines, "", ""]).encode("latin-1")
    except UnicodeEncodeError as error:
        raise httpx.LocalProtocolError("a header that is not Latin-1") from error


class ResponseParser:
    """One answer, as its bytes come. Interim answers (1xx) before it are passed over."""

    __slots__ = (
        "_interim",
        "_parser",
        "_pieces",
        "_silent",
        "chunked",
        "complete",
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
        self._interim = False
        self._silent = 0
        self._pieces: list[bytes] = []
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        # As tolerant as h11, which most users' clients are built on. What these may confuse is who
        # owns the bytes that follow; nothing that follows an answer is ever taken for another.
        self._parser.set_dangerous_leniencies(
            lenient_chunked_length=True,
            lenient_optional_lf_after_cr=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )

    def feed(self, data: bytes) -> bytes:
        """Take what was read; return what it brought of the body.

        Raises:
            httpx.RemoteProtocolError: it is no HTTP, or there is no end to its heads.
        """
        if self._parser is None:
            self.keep_alive = False  # more than was asked for
            return b""
        self._silent += len(data)
        self._execute(self._parser, data)
        pieces = self._pieces
        if self._silent > MAX_SILENT and not pieces:
            raise httpx.RemoteProtocolError(f"more than {MAX_SILENT} bytes without a body")
        if not pieces:
            return b""
        self._silent = 0
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    def end(self) -> None:
        """Take the end of the connection.

        Raises:
            httpx.RemoteProtocolError: the answer was not over.
        """
        self.close()
        self.keep_alive = False
        if self.complete:
            return
        if not self.has_head:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        names = {name for name, _ in self.headers}
        if self.chunked or "content-length" in names:
            raise httpx.RemoteProtocolError(
                "peer closed connection without sending complete message body"
            )
        self.complete = True

    def close(self) -> None:
        """Let the parser go; it and this object hold each other."""
        self._parser = None

    def _execute(self, parser: httptools.HttpResponseParser, data: bytes) -> None:
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            raise httpx.RemoteProtocolError("an upgrade nobody asked for") from error
        except httptools.HttpParserError as error:
            if not self.complete:
                raise httpx.RemoteProtocolError(str(error) or type(error).__name__) from error
            self.keep_alive = False
        if self.complete:
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
        self._interim = 100 <= status < 200 and status != 101
        if self._interim:
            self.headers.clear()
            return
        self.status, self.has_head = status, True
        self.version = self._parser.get_http_version()
        codings = (value for name, value in self.headers if name == "transfer-encoding")
        self.chunked = any("chunked" in coding.lower() for coding in codings)

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        if not self.complete:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        """Note the end of the answer."""
        if not self._interim and not self.complete:
            assert self._parser is not None  # noqa: S101 - it is what calls
            self.keep_alive = self._parser.should_keep_alive()
            self.complete = True


def _text(value: bytes) -> str:
    """Header values are ASCII, should have been Latin-1 once, and are UTF-8 where they are not."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")
