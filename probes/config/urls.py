"""URLs of routes: what may be probed, what is loopback, and how one is shown without secrets."""

import ipaddress
import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

__all__ = ["is_host_name", "is_loopback", "mask_url", "url_complaint"]

_EXPECTED: Final = "expected a URL such as https://api.example.com/v1"
_DIALECT_PATHS: Final = (
    "/chat/completions",
    "/completions",
    "/responses",
    "/messages",
    "/api/chat",
)
_MASK: Final = "***"
_HOST_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


def url_complaint(url: str) -> str | None:
    """Return what is wrong with a base URL, in words without a secret; None if nothing is."""
    if (
        not url.isascii()
        or not url.isprintable()
        or any(character in url for character in ' "<>\\')
    ):
        return f"has characters that no URL has, {_EXPECTED}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return f"cannot be read as a URL, {_EXPECTED}"
    if "@" in parts.netloc:
        return "has a user or password in it; use api_key_env or api_key_cmd"
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return f"got {mask_url(url)}, {_EXPECTED}" if parts.scheme and parts.netloc else _EXPECTED
    if "%" in parts.hostname:
        return "has an IPv6 zone or an escape in its host, expected a name or a plain address"
    if parts.fragment:
        return "has a #fragment, which is never sent"
    for path in _DIALECT_PATHS:
        if parts.path.rstrip("/").endswith(path):
            return f"ends in {path}, which is added by itself: leave it out"
    return None


def is_host_name(text: str) -> bool:
    """Whether a text is a host's name in ASCII, or an address without brackets."""
    try:
        return "%" not in str(ipaddress.ip_address(text))
    except ValueError:
        return len(text) <= 253 and _HOST_NAME.fullmatch(text) is not None


def is_loopback(url: str) -> bool:
    """Whether a URL can only lead to this machine: 127.0.0.0/8, ::1, localhost (RFC 6761)."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def mask_url(url: str) -> str:
    """Return a URL to show: user and password and query values masked, no fragment.

    The names of a query stay, so that `api-version` is still told from `key`.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "[unreadable URL]"
    return SplitResult(
        parts.scheme, _masked_host(parts.netloc), parts.path, _masked_query(parts.query), ""
    ).geturl()


def _masked_host(netloc: str) -> str:
    userinfo, at, host = netloc.rpartition("@")
    return f"{_MASK}@{host}" if at and userinfo else host


def _masked_query(query: str) -> str:
    return "&".join(_masked_pair(pair) for pair in query.split("&")) if query else ""


def _masked_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    # A bare word in a query may itself be a token.
    return f"{name}={_MASK}" if equals else _MASK
