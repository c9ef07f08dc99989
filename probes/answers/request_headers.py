"""The headers of every request: ours, the dialect's, the user's, and the key where it belongs."""

from collections.abc import Mapping
from typing import Final

from probes.answers.dialects.base import Dialect
from probes.config import KeyHeader

_BEARER: Final = "Bearer "
_OURS: Final = {
    "Content-Type": "application/json",
    "Accept": "text/event-stream, application/json",
    "Accept-Encoding": "identity",  # a packed stream is held back until a block of it is full
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
    own: dict[str, str] = {}
    for name, value in headers.items():
        is_key = name.lower() == "authorization" and value.startswith(_BEARER)
        if is_key and where != "authorization":  # elsewhere a key stands bare
            own[where] = value.removeprefix(_BEARER)
        else:
            own[name] = value
    replaced = {name.lower() for name in own}
    asked = {**_OURS, **dialect.headers}
    return {name: value for name, value in asked.items() if name.lower() not in replaced} | own
