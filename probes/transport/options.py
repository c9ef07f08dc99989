"""How a route's server is reached: one frozen record, read from the route and the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from probes.config import Route, Tls
from probes.config.proxies import Proxy, ProxyError, proxy_of

__all__ = ["DIRECT", "Connecting", "connecting"]


@dataclass(frozen=True, slots=True)
class Connecting:
    """What a transport must know beside the URL."""

    reuse: bool = True
    """Keep the connection for the next request."""
    tls: Tls = field(default_factory=Tls)
    proxy: Proxy | None = None
    unusable_proxy: str = ""
    """Why the proxy that the environment names cannot be used: every request fails with it."""
    http2: bool = False
    http1: bool = True
    """False speaks HTTP/2 without asking, as plain http must (RFC 9113, section 3.3)."""
    unix_socket: str | None = None

    @property
    def forwards(self) -> bool:
        """Whether requests over plain http are handed to the proxy whole, without a tunnel."""
        return self.proxy is not None and self.proxy.scheme in ("http", "https")


DIRECT: Final = Connecting()
"""Nothing between us and the server, and every default."""


def connecting(route: Route, environ: Mapping[str, str]) -> Connecting:
    """Return how a route's server is reached in this environment."""
    proxy, unusable = None, ""
    try:
        proxy = proxy_of(route, environ)
    except ProxyError as error:
        unusable = str(error)
    return Connecting(
        reuse=route.connection == "reuse",
        tls=route.tls,
        proxy=proxy,
        unusable_proxy=unusable,
        http2=route.http2,
        http1=not (route.http2 and route.base_url.startswith("http:")),
        unix_socket=route.unix_socket,
    )
