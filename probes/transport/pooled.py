"""httpx's own transport, for what the stamping one does not do: proxies, and loops without readers.

A worker owns its transport. httpcore's pool scans itself for every request and collapses between
100 and 200 connections, so nothing is shared but the TLS settings (an SSL context costs 24 ms and
0.8 MB to make).
"""

import ssl
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import Final
from urllib.parse import urlsplit

import httpx

from probes.clock import Clock
from probes.config.urls import is_loopback
from probes.events import ClockSource
from probes.transport.base import Exchange, Request, Sink, Steps

__all__ = ["HttpxTransport", "environment_proxy", "shared_ssl_context"]

KEEP_ALIVE_S: Final = 60.0


_DIALLING: Final = ("connection.connect_tcp.started", "socks.connect_tcp.started")
_TUNNELLED: Final = "proxy.start_tls.complete"
_STEP_OF_TRACE: Final = {
    **dict.fromkeys(_DIALLING, "started"),
    "http11.send_request_headers.started": "started",
    "connection.connect_tcp.complete": "tcp",
    "socks.connect_tcp.complete": "tcp",
    "connection.start_tls.complete": "tls",
    "socks.start_tls.complete": "tls",
    _TUNNELLED: "tls",
    "http11.send_request_body.complete": "sent",
    "http11.receive_response_headers.complete": "headers",
}


@lru_cache(maxsize=1)
def shared_ssl_context() -> ssl.SSLContext:
    """Return the one context all transports share."""
    return httpx.create_ssl_context()


def environment_proxy(url: str) -> str | None:
    """Return the proxy that the environment names for a URL (`HTTPS_PROXY`, `NO_PROXY`, …).

    A loopback address is always reached directly.
    """
    parts = urlsplit(url)
    if is_loopback(url) or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


class _NoTransport(httpx.AsyncBaseTransport):
    """Stands for a proxy that cannot be used: every request fails, nothing else does."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ProxyError(
            "the proxy that the environment names cannot be used", request=request
        ) from self._error


def _open_transport(proxy: str | None, *, reuse: bool) -> httpx.AsyncBaseTransport:
    try:
        return httpx.AsyncHTTPTransport(
            verify=shared_ssl_context(),
            limits=httpx.Limits(
                max_connections=1,
                max_keepalive_connections=1 if reuse else 0,
                keepalive_expiry=KEEP_ALIVE_S,
            ),
            proxy=proxy,
        )
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        if proxy is None:
            raise
        return _NoTransport(error)


class HttpxTransport:
    """httpx's own transport with one connection; arrival is stamped when Python has the bytes."""

    clock_source: ClockSource = "user"

    def __init__(self, clock: Clock, *, proxy: str | None = None, reuse: bool = True) -> None:
        self._clock = clock
        self._reuse = reuse
        self._connected = False
        self.reads = 0
        self._proxied = proxy is not None
        self._http = _open_transport(proxy, reuse=reuse)

    @asynccontextmanager
    async def exchange(self, request: Request, steps: Steps) -> AsyncIterator[Exchange]:
        """Send a request and give its answer; the connection is kept only when read to the end."""
        response = await self._send(request, steps)
        stream = response.stream
        assert isinstance(stream, httpx.AsyncByteStream)  # noqa: S101 - for the type checker
        try:
            headers = {name.lower(): value for name, value in response.headers.items()}
            yield Exchange(response.status_code, headers, partial(self._read_body, stream))
        except BaseException:
            self._connected = False
            raise
        finally:
            await stream.aclose()
            self._connected &= self._reuse and not _ends_connection(response)

    @property
    def open_sockets(self) -> int:
        """Connections held, 0 or 1."""
        return int(self._connected)

    async def aclose(self) -> None:
        """Close the connection."""
        self._connected = False
        await self._http.aclose()

    async def _send(self, request: Request, steps: Steps) -> httpx.Response:
        tunnel = self._proxied and request.url.startswith("https:")
        try:
            wire = httpx.Request(
                "POST",
                request.url,
                headers=dict(request.headers),
                content=request.body,
                extensions={"trace": self._tracer(steps, tunnel=tunnel)},
            )
        except UnicodeError as error:  # a host name that IDNA does not allow
            raise httpx.InvalidURL(str(error)) from error
        try:
            return await self._http.handle_async_request(wire)
        except BaseException:
            self._connected = False
            raise

    async def _read_body(self, stream: httpx.AsyncByteStream, sink: Sink) -> int:
        async for data in stream:
            self.reads += 1
            sink(data, self._clock.monotonic_ns(), False, ())
        return self._clock.monotonic_ns()

    def _tracer(self, steps: Steps, *, tunnel: bool) -> Callable[[str, object], Awaitable[None]]:
        """Return what hears httpcore; what makes a tunnel through a proxy is not our request."""
        now = self._clock.monotonic_ns
        through = True

        async def trace(name: str, _info: object) -> None:
            nonlocal through
            step = _STEP_OF_TRACE.get(name)
            self._connected |= step == "tcp"
            if tunnel and name in (*_DIALLING, _TUNNELLED):
                through = name == _TUNNELLED
            if step is not None and (through or step in ("started", "tcp")):
                steps.reached(step, now())

        return trace


def _ends_connection(response: httpx.Response) -> bool:
    """Whether the connection is not kept after this answer (RFC 9112, section 9.3)."""
    said = response.headers.get("connection", "").lower()
    old = response.extensions.get("http_version") == b"HTTP/1.0"
    return "close" in said or (old and "keep-alive" not in said)
