"""A proxy, read once from what names it, with its password kept out of sight.

A user and a password may only stand in the environment: in HTTPS_PROXY and its like, or in the
variable that `proxy = "env:NAME"` names. Which proxy a route goes through is for
`probes.config.proxy_choice` to say.
"""

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from probes.config.fields import named_variable
from probes.config.urls import UrlError, read_place

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


def proxy_setting(setting: str) -> str:
    """Return a `proxy` setting as it stands in the file.

    Raises:
        ProxyError: it names no proxy; the text says why, without a secret.
    """
    if setting in ("none", "environment") or named_variable(setting):
        return setting
    if "@" in setting:
        raise ProxyError(
            'has a user or password in it; put the whole URL into a variable: "env:NAME"'
        )
    if "://" not in setting or not setting.isprintable():
        raise ProxyError(_EXPECTED)
    try:
        read_proxy(setting)
    except ProxyError as error:
        raise ProxyError(f"{error}, {_EXPECTED}") from None
    return setting
