"""Which proxy a route goes through: the one its settings name, or what the environment says."""

import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress

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
    return environment_proxy(route.base_url, environ)


def environment_proxy(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """Return the proxy that the environment names for a URL; None where there is none.

    Raises:
        ProxyError: what it names cannot be used.
    """
    named = _environment_proxy(url, environ)
    return read_proxy(named) if named else None


def proxy_secrets(routes: Iterable[Route], environ: Mapping[str, str]) -> frozenset[str]:
    """Return what must never be seen of any proxy that routes go through."""
    secrets: set[str] = set()
    for route in routes:
        with suppress(ProxyError):  # none of what cannot be used is ever sent anywhere
            proxy = proxy_of(route, environ)
            secrets |= proxy.secrets if proxy is not None else set()
    return frozenset(secrets)


def _environment_proxy(url: str, environ: Mapping[str, str]) -> str | None:
    """Return what the environment names for a URL, in either case of its variables' names."""
    parts = read_url(url)
    elsewhere = sys.platform in ("darwin", "win32")  # which have other places for proxies, too
    named = elsewhere or any(name.lower().endswith("_proxy") for name in environ)
    if parts.is_loopback or not named:
        return None
    import urllib.request  # costs what no start without a proxy should pay

    proxies = urllib.request.getproxies()
    # The exceptions that a system keeps count where its own proxies do.
    own = elsewhere and not urllib.request.getproxies_environment()
    if is_bypassed(parts.host, parts.port, proxies.get("no", "")) or (
        own and urllib.request.proxy_bypass(parts.host)
    ):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")
