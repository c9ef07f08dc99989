"""Proxies: what a route or the environment names, read once, with its password kept out of sight.

A user and a password may only stand in the environment: in HTTPS_PROXY and its like, or in the
variable that `proxy = "env:NAME"` names.
"""

import sys
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from probes.config.no_proxy import is_bypassed
from probes.config.settings import Route
from probes.config.urls import UrlError, read_place, read_url

_ENVIRONMENT_PREFIX: Final = "env:"
_EXPECTED: Final = (
    'expected a URL such as http://proxy.example:3128 or socks5h://127.0.0.1:1080, "env:NAME", '
    '"none" or "environment"'
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_ALIASES: Final = {"socks": "socks5h"}
"""What desktops put into ALL_PROXY."""
_LONGEST_CREDENTIAL: Final = 255
"""Bytes of a user or password that SOCKS can carry (RFC 1929)."""


class ProxyError(ValueError):
    """A proxy's URL cannot be used; the text says why, without anything of the URL."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a proxy listens and how it is spoken to."""

    scheme: str
    """`http`, `https`, `socks5` (we resolve the server's name) or `socks5h` (the proxy does)."""
    host: str
    port: int
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def shown(self) -> str:
        """How it is called in messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def basic_credentials(self) -> str:
        """User and password as HTTP has them (RFC 7617); empty where there are none."""
        if not self.user and not self.password:
            return ""
        return b64encode(f"{self.user}:{self.password}".encode()).decode()

    @property
    def secrets(self) -> frozenset[str]:
        """What must never be seen of it."""
        return frozenset(filter(None, (self.password, self.basic_credentials)))


def read_proxy(url: str) -> Proxy:
    """Return the proxy that a URL names, a bare `host:port` being an HTTP proxy.

    Raises:
        ProxyError: it names none that can be used.
    """
    if any(ord(character) < 0x20 or character == "\x7f" for character in url):
        raise ProxyError("has control characters in it")
    try:
        place = read_place(url if "://" in url else f"http://{url}")
    except UrlError as error:
        raise ProxyError(str(error)) from None
    scheme = _ALIASES.get(place.scheme, place.scheme)
    if scheme not in _DEFAULT_PORTS:
        raise ProxyError("is no http, https, socks5 or socks5h URL")
    if place.path.strip("/") or place.query or place.fragment:
        raise ProxyError("has more behind host and port")
    user, password = map(unquote, (place.user or "").partition(":")[::2])
    if max(len(user.encode()), len(password.encode())) > _LONGEST_CREDENTIAL:
        raise ProxyError("has a user or password of more than 255 bytes")
    return Proxy(scheme, place.host, place.port or _DEFAULT_PORTS[scheme], user, password)


def named_variable(setting: str) -> str | None:
    """Return the environment variable that a `proxy` setting names, if it names one."""
    if setting.startswith(_ENVIRONMENT_PREFIX):
        return setting.removeprefix(_ENVIRONMENT_PREFIX)
    return None


def proxy_complaint(setting: str) -> str | None:
    """Return what is wrong with a `proxy` setting as it stands in the file; None if nothing is."""
    if setting in ("none", "environment") or named_variable(setting):
        return None
    if "@" in setting:
        return 'has a user or password in it; put the whole URL into a variable: "env:NAME"'
    if "://" not in setting or not setting.isprintable():
        return _EXPECTED
    try:
        read_proxy(setting)
    except ProxyError as error:
        return f"{error}, {_EXPECTED}"
    return None


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
