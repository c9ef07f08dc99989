"""How httpx's own transport reaches a server: dialled as the stamping transport dials.

So names, addresses, proxies and Unix sockets behave, and fail, in one way. httpcore's own proxies
leave descriptors behind where SOCKS fails, and ask for the server's name at the proxy.
"""

import selectors
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Final

import anyio
import httpcore
import httpx
from anyio.abc import ByteStream, SocketAttribute, SocketStream
from anyio.streams.tls import TLSAttribute, TLSStream

from probes.config.proxies import Proxy
from probes.transport.contexts import proxy_context
from probes.transport.dial import dial, dial_proxy
from probes.transport.lock import is_local, peer_of, refuse_clear_text
from probes.transport.options import Connecting
from probes.transport.tunnel import connect_through, converse

_LOST: Final = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


class Backend(httpcore.AsyncNetworkBackend):
    """Opens the connections of one transport, and knows how many are open."""

    def __init__(self, options: Connecting) -> None:
        self._options = options
        self.reached: Callable[[str], None] = lambda _step: None
        """Is told of `started`, `dns` and `tcp`; set by whoever sends a request."""
        self.forwarded = False
        """Whether the proxy is handed requests whole; set by whoever sends one."""
        self.guarded = False
        """Whether a request carries a secret; set by whoever sends one."""
        self.open = 0
        """Connections that are open."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109 - httpcore's; a watchdog ends it
        local_address: str | None = None,  # noqa: ARG002
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Return a stream to the server, or to the proxy that requests are handed to.

        Raises:
            httpx.ConnectError: no address, or none that answers.
            httpx.ProxyError: the proxy is to blame.
        """
        self.reached("started")
        proxy = self._options.proxy
        if proxy is not None and proxy.scheme == "https":
            return await self._over_tls(proxy, host, port)
        sock = await dial(self._options, host, port, self.reached, forwarded=self.forwarded)
        try:
            # Before TLS with the server, a proxy can read along, wherever it is.
            private = proxy is None and is_local(sock)
        except httpx.ConnectError:
            sock.close()
            raise
        # For Unix sockets too: what anyio has for these cannot be cancelled while a read happens.
        return self._counted(await SocketStream.from_socket(sock), private=private)

    async def _over_tls(self, proxy: Proxy, host: str, port: int) -> httpcore.AsyncNetworkStream:
        """Return a stream through a proxy that is itself reached over TLS."""
        raw = await SocketStream.from_socket(await dial_proxy(self._options, self.reached))
        try:
            stream = await TLSStream.wrap(
                raw,
                hostname=proxy.host,
                ssl_context=proxy_context(),
                standard_compatible=False,
            )
            if not self.forwarded:
                await converse(connect_through(proxy, host, port), stream.send, _receiver(stream))
        except httpx.ProxyError as error:
            await anyio.aclose_forcefully(raw)
            raise httpx.ProxyError(f"the proxy {proxy.shown}: {error}") from error
        except _LOST as error:
            await anyio.aclose_forcefully(raw)
            words = str(error) or "it closed the connection"
            raise httpx.ProxyError(f"the proxy {proxy.shown}: {words}") from error
        except BaseException:
            await anyio.aclose_forcefully(raw)
            raise
        self.reached("tcp")
        return self._counted(stream, private=False)

    def _counted(self, stream: ByteStream, *, private: bool) -> "_PooledStream":
        self.open += 1
        return _PooledStream(
            stream, self._closed, self._guard, http1=self._options.http1, private=private
        )

    def _guard(self, stream: ByteStream) -> None:
        """Refuse to write a secret where others can read along.

        Raises:
            ClearTextError: they could.
        """
        if self.guarded:
            raise refuse_clear_text(
                peer_of(stream.extra(SocketAttribute.raw_socket)),
                through_proxy=self._options.proxy is not None,
            )

    def _closed(self) -> None:
        self.open -= 1


class _PooledStream(httpcore.AsyncNetworkStream):
    """A stream of anyio's as httpcore wants it; it tells once when it is closed."""

    def __init__(
        self,
        stream: ByteStream,
        closed: Callable[[], None],
        guard: Callable[[ByteStream], None],
        *,
        http1: bool,
        private: bool,
    ) -> None:
        self._stream = stream
        self._closed: Callable[[], None] | None = closed
        self._guard = guard
        self._private = private
        self._may_be_http1 = http1

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002, ASYNC109
        """Return what there is, nothing at the end.

        Raises:
            httpcore.ReadError: the connection broke.
            httpcore.RemoteProtocolError: it is HTTP/1, which was not asked for.
        """
        try:
            data = await self._stream.receive(max_bytes)
        except anyio.EndOfStream:
            return b""
        except _LOST as error:
            raise httpcore.ReadError(str(error)) from error
        if not self._may_be_http1 and data.startswith(b"HTTP/1."):
            # h2 would take it for the head of a frame of megabytes, and wait for the rest.
            raise httpcore.RemoteProtocolError("the server speaks no HTTP/2, but HTTP/1")
        self._may_be_http1 = True
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109
        """Write all of it.

        Raises:
            httpcore.WriteError: the connection broke.
            ClearTextError: it carries a secret, and others could read along.
        """
        if not self._private:
            self._guard(self._stream)
        try:
            if buffer:
                await self._stream.send(buffer)
        except _LOST as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        """Close it without waiting for the other side to agree."""
        closed, self._closed = self._closed, None
        if closed is not None:
            closed()
        await anyio.aclose_forcefully(self._stream)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002, ASYNC109
    ) -> httpcore.AsyncNetworkStream:
        """Return the stream with TLS over it; this one is closed where there can be none.

        Raises:
            httpx.ConnectError: the server cannot or may not be spoken to; its cause says why.
            httpx.InvalidURL: no certificate can have such a name.
        """
        try:
            self._stream = await TLSStream.wrap(
                self._stream,
                hostname=server_hostname,
                ssl_context=ssl_context,
                standard_compatible=False,
            )
        except BaseException as error:
            await self.aclose()
            if isinstance(error, _LOST):
                raise httpx.ConnectError(str(error) or type(error).__name__) from error
            if isinstance(error, ValueError):
                raise httpx.InvalidURL(str(error)) from error
            raise
        self._private = True
        return self

    def get_extra_info(self, info: str) -> Any:
        """Return what httpcore asks for: the session, the socket, whether there is something."""
        if info == "ssl_object":
            return self._stream.extra(TLSAttribute.ssl_object, None)
        if info == "socket":
            return self._stream.extra(SocketAttribute.raw_socket, None)
        if info == "is_readable":
            return _is_readable(self._stream)
        return None


def _is_readable(stream: ByteStream) -> bool:
    """Whether something came, or the end did: an idle connection is then of no use."""
    sock = stream.extra(SocketAttribute.raw_socket, None)
    if sock is None or sock.fileno() < 0:
        return True
    # Neither of these needs a descriptor of its own, as an epoll would.
    with (getattr(selectors, "PollSelector", None) or selectors.SelectSelector)() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))


def _receiver(stream: ByteStream) -> Callable[[], Any]:
    async def receive() -> bytes:
        try:
            return await stream.receive()
        except anyio.EndOfStream:
            return b""

    return receive
