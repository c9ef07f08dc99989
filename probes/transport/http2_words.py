"""What HTTP/2 libraries say of a failure, in words: they show their own objects and enumerations.

Sources: RFC 9113, section 7 (error codes); h2's events as `str` shows them.
"""

import re
from typing import Final

_CODES: Final = (
    *("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT"),
    *("STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR"),
    *("CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"),
)
"""By their numbers."""
_MEANINGS: Final = {
    "NO_ERROR": "without an error",
    "INTERNAL_ERROR": "an internal error",
    "REFUSED_STREAM": "it refused the request before doing anything",
    "CANCEL": "it no longer wants it",
    "CONNECT_ERROR": "its own connection was reset",
    "ENHANCE_YOUR_CALM": "it has too much to do with us",
    "INADEQUATE_SECURITY": "the TLS is too weak for it",
    "HTTP_1_1_REQUIRED": "it wants HTTP/1.1",
}
_EVENT: Final = re.compile(r"<?(StreamReset|ConnectionTerminated)\b")
_CODE: Final = re.compile(r"error_code:\s*(?:\w+\.)?(\w+)")
_DEBUG: Final = re.compile(r"additional_data:\s*([0-9a-f]{2,200})\b")
_MEMBER: Final = re.compile(r"\b[A-Z]\w*\.([A-Z][A-Z0-9_]+)\b")
"""A member of an enumeration, such as `ConnectionState.CLOSED`."""


def ended_stream(message: str) -> bool:
    """Whether this tells that the server ended a stream, or the whole connection."""
    return _EVENT.search(message) is not None


def words_of_ending(message: str) -> str:
    """Return how a server ended a stream or a connection, with its code and its own words."""
    event = _EVENT.search(message)
    what = "the stream" if event and event[1] == "StreamReset" else "the connection"
    found = _CODE.search(message)
    code = _name(found[1]) if found else ""
    meaning = _MEANINGS.get(code, "")
    sentence = ": ".join(filter(None, (f"the server broke {what} off", meaning)))
    details = ", ".join(filter(None, (f"HTTP/2 {code}" if code else "", _debug(message))))
    return f"{sentence} ({details})" if details else sentence


def in_words(message: str) -> str:
    """Return a library's message with its enumerations in words."""
    return _MEMBER.sub(lambda found: found[1].replace("_", " ").lower(), message)


def _name(code: str) -> str:
    if not code.isdecimal():
        return "" if code == "None" else code
    return _CODES[int(code)] if len(code) < 4 and int(code) < len(_CODES) else f"error {code[:10]}"


def _debug(message: str) -> str:
    """Return a server's own words, of which h2 shows the first as hexadecimal digits."""
    found = _DEBUG.search(message)
    if found is None or len(found[1]) % 2:
        return ""
    text = bytes.fromhex(found[1]).decode("utf-8", "replace")
    return text if text.isprintable() else ""
