"""The headers of every request: ours, the dialect's, the user's, and the key where it belongs."""

from collections.abc import Mapping
from typing import Final

from probes.answers.dialects.base import Dialect
from probes.config import KeyHeader

_BEARER: Final = "Bearer "
_OURS: Final = {
    "Content-Type": "application/json",
    "Accept": "text/event-stream, application/json",
    "Accept-Encoding": "identity",
    "User-Agent": "llmtop",
}


def request_headers(
    headers: Mapping[str, str], dialect: Dialect, key_header: KeyHeader | None = None
) -> dict[str, str]:
    """Return the headers of a route's requests in a dialect; a user's own come last.

    `headers` are the route's with its secrets, its key as a bearer token; `key_header` moves the
    key elsewhere than the dialect has it.
    """
    where = key_header or dialect.key_header
    own = dict(headers) if where == "authorization" else _keyed(headers, where)
    replaced = {name.lower() for name in own}
    asked = {**_OURS, **dialect.headers}
    return {name: value for name, value in asked.items() if name.lower() not in replaced} | own


def _keyed(headers: Mapping[str, str], where: KeyHeader) -> dict[str, str]:
    """Return headers whose bearer token stands under another name."""
    return {
        where if _is_key(name, value) else name: value.removeprefix(_BEARER)
        if _is_key(name, value)
        else value
        for name, value in headers.items()
    }


def _is_key(name: str, value: str) -> bool:
    return name.lower() == "authorization" and value.startswith(_BEARER)
