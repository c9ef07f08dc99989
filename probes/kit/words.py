"""Words of servers and of the system as text that any encoder takes and a person can read."""

import json
import re
from typing import Final

_NUMBER: Final = re.compile(r"\[Errno -?\d+\] ?")
_ADDRESS: Final = re.compile(r"\('([^']*)', (\d+)(?:, \d+, \d+)?\)")
_QUOTED: Final = re.compile(r"(?<!\w)'([^']*)'(?!\w)")


def clean(text: str) -> str:
    """Return text without lone surrogates: halves that meet become their character, others U+FFFD.

    JSON escapes can spell half a character, and a stream can cut one in two.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def plainly(text: str) -> str:
    """Return what an exception of Python's says without what only Python's programmers know:
    numbers of errors, tuples for addresses, and its quotes."""
    text = _ADDRESS.sub(lambda found: _address(found[1], found[2]), _NUMBER.sub("", text))
    return _QUOTED.sub(r"\1", text)


def _address(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def quoted(text: str | bytes) -> str:
    """Return a text as JSON and TOML write it, for a message; bytes are shown as Latin-1."""
    return json.dumps(text.decode("latin-1") if isinstance(text, bytes) else text)
