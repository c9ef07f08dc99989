"""Which proxy a route goes through: the one its settings name, or what the environment says."""

import sys
from collections.abc import Iterable, Iterator, Mapping

from probes.config.fields import named_variable
from probes.config.no_proxy import is_bypassed
from probes.config.proxies import Proxy, ProxyError, read_proxy
from probes.config.settings import Route
from probes.config.urls import read_url


def proxy_of(route: Route, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy on the way to a route's server; None where there is none.

    Of the environment, a loopback address and a Unix socket are always reached directly.

    Raises:
        ProxyError: what the environment names cannot be used.
    """
    if route.proxy == "none" or route.unix_socket is not None:
        return None
    variable = named_variable(route.proxy)
    if variable is not None:
        return read_proxy(environ.get(variable, "").strip())
    if route.proxy != "environment":
        return read_proxy(route.proxy)
    url = _environment_proxy(route.base_url, environ)
    return read_proxy(url) if url else None


def proxy_secrets(routes: Iterable[Route], environ: Mapping[str, str]) -> frozenset[str]:
    """Return what must never be seen of any proxy that routes go through."""
    return frozenset(secret for proxy in _usable(routes, environ) for secret in proxy.secrets)


def _usable(routes: Iterable[Route], environ: Mapping[str, str]) -> Iterator[Proxy]:
    for route in routes:
        try:
            proxy = proxy_of(route, environ)
        except ProxyError:
            continue  # none of it is ever sent anywhere
        if proxy is not None:
            yield proxy


def _environment_proxy(url: str, environ: Mapping[str, str]) -> str | None:
    """Return what the environment names for a URL, in either case of its variables' names."""
    parts = read_url(url)
    if parts.is_loopback or not _may_name_proxies(environ):
        return None
    host = parts.host
    import urllib.request  # costs what no start without a proxy should pay

    proxies = urllib.request.getproxies()
    if is_bypassed(host, parts.port, proxies.get("no", "")) or _system_bypasses(host):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")


def _system_bypasses(host: str) -> bool:
    """Whether the settings of macOS or Windows, where they count, name a host."""
    import urllib.request

    if sys.platform not in ("darwin", "win32") or urllib.request.getproxies_environment():
        return False
    return bool(urllib.request.proxy_bypass(host))


def _may_name_proxies(environ: Mapping[str, str]) -> bool:
    """Whether there can be a proxy: macOS and Windows have other places for them, too."""
    return sys.platform in ("darwin", "win32") or any(
        name.lower().endswith("_proxy") for name in environ
    )
