"""URLs of routes and proxies: read once into a record, and never decided on as text again.

Rule 1: `read_url` is the one reader. Whoever asks for a scheme, a host or a port asks its record;
whoever dials or writes a request takes these from the record, so that what was judged is what is
reached. Rule 2: one place has one spelling: scheme and host in small letters, addresses in their
shortest form, the scheme's own port left out. Rule 3: what two readers could understand in two ways
is refused, not guessed at: user and password, blanks, control characters, backslashes and escapes
before the path, one slash after the scheme, numbers that C libraries take for addresses
(`127.1`, `0x7f000001`, `2130706433`, `0177.0.0.1`), IPv6 zones, letters beyond ASCII in a host.
Rule 4: what is loopback is decided by the address. A name is none; `localhost` is taken for one
(RFC 6761) until it is dialled, and then its peer's address is looked at (`probes.transport.lock`).
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final

import msgspec

_EXPECTED: Final = "expected a URL such as https://api.example.com/v1"
# The longer of two ends comes first.
_DIALECT_PATHS: Final = (
    *("/chat/completions", "/completions", "/responses", "/messages", "/api/chat"),
)
_MASK: Final = "***"
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_HOST_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_LONGEST_HOST: Final = 253
_LIKELY_HOST: Final = re.compile(
    r"^[0-9a-f:]*:[0-9a-f:.]*$|\.([a-z]{2,24}|xn--[a-z0-9-]+|[0-9]{1,3})$"
)
"""Ends in what a public name or an address ends in."""
_EMPTY_XN: Final = re.compile(r"(^|\.)xn--(\.|$)")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label of a host that the resolver may take for an address (RFC 3493, inet_aton)."""
_PARTS: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)"
    r"(?:\?(?P<query>[^#]*))?(?:#(?P<fragment>.*))?",
    re.DOTALL,
)
_AUTHORITY: Final = re.compile(
    r"(?:(?P<user>.*)@)?(?P<host>\[[^\[\]]*\]|[^:\[\]@]*)(?::(?P<port>[0-9]{0,5}))?", re.DOTALL
)
_IN_NO_URL: Final = re.compile(r'[^!-~]|["<>\\]')


class UrlError(ValueError):
    """A text is no URL that can be used; it says why, without anything of the URL."""


class Place(msgspec.Struct, frozen=True):
    """Where a URL leads: what stands before its path."""

    scheme: str
    """In small letters."""
    host: str
    """A name in small letters, or an address in its shortest form, without brackets."""
    port: int | None
    """None where the URL names none."""
    user: str | None
    """User and password as they stand there; None where there is no `@`."""
    path: str
    query: str | None
    fragment: str | None


class Url(msgspec.Struct, frozen=True):
    """An http or https URL, in its one spelling."""

    scheme: str
    host: str
    """A name in small letters, or an address in its shortest form, without brackets."""
    port: int
    path: str
    """As it was written; empty, or with a leading slash."""
    query: str | None = None

    def __str__(self) -> str:
        """Return the URL."""
        return f"{self.scheme}://{self.authority}{self.target}"

    @property
    def is_tls(self) -> bool:
        """Whether it is https."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """What a Host header says: the host, and the port where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def target(self) -> str:
        """Path and query."""
        return self.path if self.query is None else f"{self.path}?{self.query}"

    @property
    def is_loopback(self) -> bool:
        """Whether it leads to this machine as far as the URL can tell.

        127.0.0.0/8, ::1, and `localhost` (RFC 6761), which a resolver may still lead elsewhere.
        """
        name = self.host.removesuffix(".")
        if name == "localhost" or name.endswith(".localhost"):
            return True
        return is_loopback_address(self.host)


def read_place(text: str) -> Place:
    """Return the parts of a URL of any scheme, its host in its one spelling.

    Raises:
        UrlError: it is none, or its host or port is none.
    """
    parts = _PARTS.fullmatch(text)
    if parts is None:
        raise UrlError("cannot be read as a URL")
    authority = _AUTHORITY.fullmatch(parts["authority"])
    if authority is None:
        raise UrlError("cannot be read as a URL")
    port = int(authority["port"]) if authority["port"] else None
    if port is not None and not 0 < port <= 65_535:
        raise UrlError("cannot be read as a URL: a port is from 1 to 65535")
    return Place(
        scheme=parts["scheme"].lower(),
        host=_read_host(authority["host"]),
        port=port,
        user=authority["user"],
        path=parts["path"],
        query=parts["query"],
        fragment=parts["fragment"],
    )


@lru_cache(maxsize=1024)
def read_url(text: str) -> Url:
    """Return the record of an http or https URL.

    Raises:
        UrlError: it is none that can be used; the text says why, without a secret.
    """
    if _IN_NO_URL.search(text):
        raise UrlError(f"has characters that no URL has, {_EXPECTED}")
    if "://" not in text:
        raise UrlError(f"has no https:// or http:// in front, {_meant(text) or _EXPECTED}")
    try:
        place = read_place(text)
    except UrlError as error:
        raise UrlError(f"{error}, {_EXPECTED}") from None
    if place.user is not None:
        raise UrlError("has a user or password in it; use api_key_env or api_key_cmd")
    if place.scheme not in _DEFAULT_PORTS:
        raise UrlError(f"got {mask_url(text)}, {_EXPECTED}")
    if place.fragment is not None:
        raise UrlError("has a #fragment, which is never sent")
    port = place.port or _DEFAULT_PORTS[place.scheme]
    return Url(place.scheme, place.host, port, place.path, place.query)


def _meant(text: str) -> str | None:
    """Return in words what a URL without its scheme most likely is; None where none is likely."""
    if re.match(r"/[^/]", text):
        return None  # a path alone
    rest = re.sub(r"^(https?:?)?/*", "", text, flags=re.IGNORECASE)
    try:
        url = read_url(f"https://{rest}")
    except UrlError:
        return None
    if url.is_loopback:
        url = read_url(f"http://{rest}")
    elif _LIKELY_HOST.search(url.host) is None:
        return None  # it may be a key that was put in the wrong place: nothing of it is shown
    return f"did you mean {mask_url(str(url))}?"


def base_url_of(text: str) -> str:
    """Return a base URL in its one spelling, without a trailing slash.

    Raises:
        UrlError: it is none that can be probed; the text says why, without a secret.
    """
    url = read_url(text)
    for path in _DIALECT_PATHS:
        if url.path.rstrip("/").endswith(path):
            raise UrlError(f"ends in {path}, which is added by itself: leave it out")
    # A query may end in a slash of its own.
    return str(url) if url.query is not None else str(url).rstrip("/")


def _read_host(text: str) -> str:
    """Return a host in its one spelling.

    Raises:
        UrlError: there is no such host, or resolvers differ about it.
    """
    if "%" in text:
        raise UrlError("has an IPv6 zone or an escape in its host")
    if text.startswith("["):
        try:
            return ipaddress.IPv6Address(text[1:-1]).compressed
        except ValueError:
            raise UrlError("cannot be read as a URL: there is no IPv6 address in its []") from None
    if not text.isascii():
        raise UrlError("has letters beyond ASCII in its host; write it in its xn-- form")
    host = text.lower()
    if not host:
        raise UrlError("names no host")
    if _NUMBER.fullmatch(host.removesuffix(".").rpartition(".")[2]):
        try:
            return ipaddress.IPv4Address(host).compressed
        except ValueError:
            raise UrlError("has an odd address: four numbers are one, such as 127.0.0.1") from None
    if len(host) > _LONGEST_HOST or not _HOST_NAME.fullmatch(host) or _EMPTY_XN.search(host):
        raise UrlError("has a host that is no name")
    return host


def is_host_name(text: str) -> bool:
    """Whether a text is a host's name in ASCII, or an address without brackets."""
    try:
        return "%" not in str(ipaddress.ip_address(text))
    except ValueError:
        return len(text) <= _LONGEST_HOST and _HOST_NAME.fullmatch(text.lower()) is not None


def is_loopback_address(text: str) -> bool:
    """Whether an address, with its zone or without, is this machine's own loopback.

    127.0.0.0/8 and ::1, and the former as IPv6 has it (::ffff:127.0.0.1). A name is none.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def mask_url(text: str) -> str:
    """Return a URL to show: user and password and query values masked, no fragment.

    The names of a query stay, so that `api-version` is still told from `key`. Takes any text.
    """
    parts = _PARTS.fullmatch(text)
    if parts is None or parts["authority"].count("[") != parts["authority"].count("]"):
        return "[unreadable URL]"
    userinfo, _, host = parts["authority"].rpartition("@")
    shown = f"{parts['scheme'].lower()}://{f'{_MASK}@' if userinfo else ''}{host}{parts['path']}"
    if not parts["query"]:
        return shown
    pairs = (pair.partition("=") for pair in parts["query"].split("&"))
    # A bare word in a query may itself be a token.
    masked = (f"{name}={_MASK}" if equals else _MASK for name, equals, _ in pairs)
    return f"{shown}?{'&'.join(masked)}"
