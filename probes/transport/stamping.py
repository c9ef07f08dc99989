"""A transport on a socket of its own, with arrivals dated by the kernel.

One connection, kept from one request to the next. Sending is dated next to the system call, reading
by the kernel where it does that (Linux), else at the read. It speaks HTTP/1.1, with TLS or without,
over TCP, Unix sockets and proxies; for HTTP/2, and for proxies that are themselves reached over
TLS, there is httpx's own transport.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from probes.events import ClockSource
from probes.kit.clock import NS_PER_S, Clock
from probes.transport.arrivals import kernel_stamps
from probes.transport.base import Exchange, Request, Steps
from probes.transport.connection import Connection
from probes.transport.contexts import ssl_context
from probes.transport.dial import dial
from probes.transport.http1 import Target, request_head, target_of
from probes.transport.lock import carries_secret, refuse_clear_text
from probes.transport.options import DIRECT, KEEP_ALIVE_S, Connecting
from probes.transport.path import UNTOLD, TcpPath
from probes.transport.tls import TlsLayer


class StampingTransport:
    """Serves one worker, one request at a time."""

    def __init__(self, clock: Clock, options: Connecting = DIRECT) -> None:
        """Prepare a transport; of `options`, those of HTTP/2 are for httpx's."""
        self._clock = clock
        self._options = options
        self._connection: Connection | None = None
        self._place: tuple[bool, str, int] | None = None
        self._idle_ns = 0
        self._reads = 0
        self._by_kernel = kernel_stamps() and options.unix_socket is None
        self.path = UNTOLD
        """What the last exchange showed of the way to the other end."""

    @property
    def clock_source(self) -> ClockSource:
        """Who took the arrival stamps of the last exchange; before the first, who will."""
        return "kernel" if self._by_kernel else "user"

    @property
    def open_sockets(self) -> int:
        """Connections held, 0 or 1."""
        return int(self._connection is not None and self._connection.open)

    @property
    def reads(self) -> int:
        """Reads that brought something, since the transport was made."""
        return self._reads + (0 if self._connection is None else self._connection.reads)

    @asynccontextmanager
    async def exchange(self, request: Request, steps: Steps) -> AsyncIterator[Exchange]:
        """Send a request and give its answer; the connection is kept only when read to the end."""
        self.path = UNTOLD
        target = target_of(request.url)
        size = len(request.body) if request.method == "POST" else None
        head = self._head(request.method, target, request.headers.items(), size)
        connection = await self._connected(target, steps)
        try:
            self._guard(connection, target, request.headers)
            parser = await connection.ask(head + request.body, steps)
            yield Exchange(
                parser.status,
                _joined(parser.headers),
                connection.read_body,
                headers_exact=connection.head_exact,
                http_version=f"HTTP/{parser.version}",
            )
        finally:
            self._finish(connection)

    async def aclose(self) -> None:
        """Close the connection."""
        self._drop()

    def _head(
        self, method: str, target: Target, headers: Iterable[tuple[str, str]], size: int | None
    ) -> bytes:
        """Return the head of a request, to a proxy that forwards it with what the proxy wants."""
        proxy = self._options.proxy
        if proxy is None or not self._forwards(target):
            return request_head(method, target, headers, size)
        if proxy.basic_credentials:
            headers = [*headers, ("Proxy-Authorization", f"Basic {proxy.basic_credentials}")]
        return request_head(method, target, headers, size, absolute=True)

    def _guard(self, connection: Connection, target: Target, names: Iterable[str]) -> None:
        """Refuse to write a secret where others can read along.

        Raises:
            ClearTextError: they could.
        """
        through_proxy = self._options.proxy is not None and not target.is_tls
        if connection.is_private and not through_proxy:
            return
        if carries_secret(self._options, names):
            peer = connection.peer
            self._drop()
            raise refuse_clear_text(peer, through_proxy=through_proxy)

    def _forwards(self, target: Target) -> bool:
        return self._options.forwards and not target.is_tls

    async def _connected(self, target: Target, steps: Steps) -> Connection:
        """Return the connection that was kept, or a new one to the target."""
        connection, idle_ns = self._connection, self._clock.monotonic_ns() - self._idle_ns
        fresh = idle_ns < KEEP_ALIVE_S * NS_PER_S
        if connection is not None:
            if connection.reusable and fresh and self._place == target.place:
                return connection
            self._drop()
        self._connection = await self._connect(target, steps)
        self._place = target.place
        return self._connection

    async def _connect(self, target: Target, steps: Steps) -> Connection:
        def reached(step: str) -> None:
            steps.reached(step, self._clock.monotonic_ns())

        # Before the clock starts: what a context costs is ours, not the network's.
        setting = self._options.tls
        context = ssl_context(setting) if target.is_tls else None
        reached("started")
        path = TcpPath("server" if self._options.proxy is None else "proxy")
        sock = await dial(
            self._options,
            target.host,
            target.port,
            reached,
            forwarded=self._forwards(target),
            path=path,
        )
        try:
            tls = None
            if context is not None:
                tls = TlsLayer(context, setting.server_name or target.name)
                await tls.shake_hands(sock)
                reached("tls")
            return Connection(sock, tls, self._clock, path)
        except BaseException:
            path.end()
            self.path = path.take()
            sock.close()
            raise

    def _finish(self, connection: Connection) -> None:
        """End an exchange on a connection, and let the connection go where it cannot be kept."""
        connection.finish()
        self._by_kernel = connection.by_kernel
        self.path = connection.path.take()
        self._idle_ns = self._clock.monotonic_ns()
        if connection is self._connection and not (self._options.reuse and connection.reusable):
            self._drop()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            self._reads += connection.reads
            connection.close()


def _joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers by name; repeated ones joined by a comma (RFC 9110, section 5.3)."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(value)
    return {name: ", ".join(repeated) for name, repeated in values.items()}
