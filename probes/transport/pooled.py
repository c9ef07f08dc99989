"""httpx's own transport, for what the stamping one does not do: HTTP/2, and loops without readers.

A worker owns its transport. httpcore's pool scans itself for every request and collapses between
100 and 200 connections, so nothing is shared but the TLS settings.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import anyio
import httpcore
import httpx

from probes.events import ClockSource
from probes.kit.clock import Clock
from probes.transport.backend import Backend
from probes.transport.base import BodySink, Exchange, Request, Steps
from probes.transport.contexts import ssl_context
from probes.transport.http1 import target_of
from probes.transport.http2_words import ended_stream, in_words, words_of_ending
from probes.transport.lock import carries_secret
from probes.transport.options import DIRECT, KEEP_ALIVE_S, Connecting
from probes.transport.path import UNTOLD, PathReading

_CUT: Final = "peer closed connection without sending complete message body"
_STEP_OF_TRACE: Final = {
    "connection.start_tls.complete": "tls",
    "http11.send_request_headers.started": "started",
    "http11.send_request_body.complete": "sent",
    "http11.receive_response_headers.complete": "headers",
    "http2.send_request_headers.started": "started",
    "http2.send_request_body.complete": "sent",
    "http2.receive_response_headers.complete": "headers",
}


class _Dialled(httpx.AsyncHTTPTransport):
    """httpx's transport with a pool of one connection that `backend` opens."""

    def __init__(self, options: Connecting, backend: Backend, *, is_tls: bool) -> None:
        self.is_tls = is_tls
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context(options.tls, http2=options.http2) if is_tls else None,
            # httpcore scans its pool for every request, in quadratic time: one connection each.
            max_connections=1,
            max_keepalive_connections=1 if options.reuse else 0,
            keepalive_expiry=KEEP_ALIVE_S,
            http1=options.http1,
            http2=options.http2,
            network_backend=backend,
        )


class HttpxTransport:
    """httpx's own transport with one connection; arrival is stamped when Python has the bytes."""

    clock_source: ClockSource = "user"
    path: PathReading = UNTOLD
    """Nothing: HTTP/2 sends frames of its own beside requests, and in a tunnel of TLS within TLS
    what the kernel counts is the proxy's."""

    def __init__(self, clock: Clock, options: Connecting = DIRECT) -> None:
        self._clock = clock
        self._options = options
        self._reads = 0
        self._backend = Backend(options)
        self._http: _Dialled | None = None
        self._body: _Body | None = None

    @asynccontextmanager
    async def exchange(self, request: Request, steps: Steps) -> AsyncIterator[Exchange]:
        """Send a request and give its answer; the connection is kept only when read to the end."""
        try:
            response = await self._send(request, steps)
            self._body = body = _Body(response, self._clock)
            headers = {name.lower(): value for name, value in response.headers.items()}
            yield Exchange(
                response.status_code, headers, body.read, http_version=_version(response)
            )
        finally:
            with anyio.CancelScope(shield=True):
                await self._finish()

    @property
    def open_sockets(self) -> int:
        """Connections held, 0 or 1."""
        return self._backend.open

    @property
    def reads(self) -> int:
        """Reads that brought something, since the transport was made."""
        return self._reads + (0 if self._body is None else self._body.reads)

    async def aclose(self) -> None:
        """Close the connection."""
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()

    async def _send(self, request: Request, steps: Steps) -> httpx.Response:
        target = target_of(request.url)
        wire = httpx.Request(
            request.method,
            target.url,
            headers=dict(request.headers),
            content=request.body,
            extensions={"trace": self._tracer(steps)},
        )
        is_tls = target.is_tls
        # Else httpcore takes the Host header for it, with a port or a final dot.
        wire.extensions["sni_hostname"] = self._options.tls.server_name or target.name
        self._forward(wire, forwarded=self._options.forwards and not is_tls)
        self._backend.guarded = carries_secret(self._options, request.headers)
        self._backend.reached = lambda step: steps.reached(step, self._clock.monotonic_ns())
        if self._http is None or self._http.is_tls != is_tls:
            await self.aclose()
            self._http = _Dialled(self._options, self._backend, is_tls=is_tls)
        with _raised_alike(http2=self._options.http2):
            return await self._http.handle_async_request(wire)

    async def _finish(self) -> None:
        """End an exchange; what was not read to its end would go on coming over HTTP/2."""
        body, self._body = self._body, None
        if body is not None:
            self._reads += body.reads
            await body.aclose()
        if body is None or not body.whole:
            await self.aclose()

    def _forward(self, wire: httpx.Request, *, forwarded: bool) -> None:
        """Make a request one to the proxy, where that forwards it."""
        self._backend.forwarded = forwarded and self._options.http1
        proxy = self._options.proxy
        if proxy is None or not self._backend.forwarded:
            return
        wire.extensions["target"] = str(wire.url).encode("ascii")
        if proxy.basic_credentials:
            wire.headers["Proxy-Authorization"] = f"Basic {proxy.basic_credentials}"

    def _tracer(self, steps: Steps) -> Callable[[str, object], Awaitable[None]]:
        """Return what hears httpcore."""
        now = self._clock.monotonic_ns

        async def trace(name: str, _info: object) -> None:
            step = _STEP_OF_TRACE.get(name)
            if step is not None:
                steps.reached(step, now())

        return trace


class _Body:
    """The body of an answer, read once."""

    def __init__(self, response: httpx.Response, clock: Clock) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101 - for the type checker
        self._stream = response.stream
        self._http2 = _version(response) == "HTTP/2"
        self._clock = clock
        self.reads = 0
        self.whole = False
        """Whether it was read to its end."""

    async def read(self, sink: BodySink) -> int:
        """Give every read to a sink; return the monotonic ns of the end."""
        with _raised_alike(http2=self._http2):
            async for data in self._stream:
                self.reads += 1
                sink(data, self._clock.monotonic_ns(), False, ())
        self.whole = True
        return self._clock.monotonic_ns()

    async def aclose(self) -> None:
        """Leave the rest of it."""
        await self._stream.aclose()


def _version(response: httpx.Response) -> str:
    version: bytes = response.extensions.get("http_version", b"")
    return version.decode("ascii", "replace")


@contextmanager
def _raised_alike(*, http2: bool) -> Iterator[None]:
    """Raise what breaks HTTP/2 as the same is raised of HTTP/1.1."""
    try:
        yield
    except (httpx.LocalProtocolError, httpx.RemoteProtocolError) as error:
        reported = str(error)
        if not http2:
            raise
        if isinstance(error, httpx.LocalProtocolError):  # httpcore's word for what h2 refuses
            words = f"the server speaks no HTTP/2: {in_words(reported)}"
            raise httpx.RemoteProtocolError(words) from error
        if ended_stream(reported):
            raise httpx.ReadError(words_of_ending(reported)) from error
        if reported == "Server disconnected":
            raise httpx.RemoteProtocolError(_CUT) from error
        raise httpx.RemoteProtocolError(in_words(reported)) from error
