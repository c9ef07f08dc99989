"""How a route's server is reached: one frozen record, read from the route and the environment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from probes.config import Route, Tls
from probes.config.checks import SECRET_HEADERS
from probes.config.fields import named_variable
from probes.config.proxies import Proxy, ProxyError
from probes.config.proxy_choice import proxy_of
from probes.config.urls import read_url

KEEP_ALIVE_S: Final = 60.0
"""How long an idle connection is used again: servers close theirs after 60 to 75 s, and a request
that meets the close on its way is lost."""


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
    secret_headers: frozenset[str] = SECRET_HEADERS
    """Names, in small letters, of the headers that carry a secret where a request has them."""
    insecure: bool = False
    """Write these over plain http to any machine."""

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
        http1=not route.http2 or read_url(route.base_url).is_tls,
        unix_socket=route.unix_socket,
        secret_headers=SECRET_HEADERS | set(_secret_names(route)),
        insecure=route.insecure,
    )


def _secret_names(route: Route) -> Iterator[str]:
    """Yield the names of the headers whose values a route takes from the environment."""
    for name, value in route.headers.items():
        if named_variable(value) is not None:
            yield name.lower()
