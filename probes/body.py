"""What a response body is, before anybody reads it: its encoding undone, its form recognised."""

import json
import re
import zlib
from typing import Final, Literal, TypeAlias

from probes.error_body import LONGEST_MESSAGE, ErrorBody, error_of, html_error
from probes.ndjson import is_value
from probes.sse import DEFAULT_LIMIT

__all__ = [
    "BodyForm",
    "Inflater",
    "UnknownEncodingError",
    "form_of",
    "form_of_lines",
    "json_of",
    "refusal_of",
]

BodyForm: TypeAlias = Literal["stream", "json", "html", "other"]

_BOM: Final = b"\xef\xbb\xbf"
_FIELDS: Final = (b"data", b"event", b"id", b"retry")
_MOST_BLANK: Final = 4096
_MOST_AT_ONCE: Final = 4 * 1024 * 1024
"""What one read may inflate to: more is a bomb, and would hold everybody else up."""
_GZIP: Final = 16 + zlib.MAX_WBITS
_FORMS_BY_OPENING: Final[dict[bytes, BodyForm]] = {b"<": "html", b"[": "json"}
_OPENING: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*")
_decoder: Final = json.JSONDecoder(strict=False)


class UnknownEncodingError(ValueError):
    """The body is in an encoding that was not asked for and cannot be undone."""


class Inflater:
    """Undoes gzip or deflate that nobody asked for, piece by piece, with bounded expansion."""

    def __init__(self, encoding: str, limit: int) -> None:
        """Take the value of `content-encoding`.

        Raises:
            UnknownEncodingError: it is neither gzip nor deflate.
        """
        name = encoding.strip().lower()
        if name not in ("gzip", "x-gzip", "deflate"):
            raise UnknownEncodingError(f"content-encoding {name[:40]!r}")
        self._is_gzip = name != "deflate"
        self._limit = limit
        self._stream = zlib.decompressobj(_GZIP)
        self._held: bytes | None = None if self._is_gzip else b""

    def feed(self, data: bytes) -> bytes:
        """Return what `data` inflates to.

        Raises:
            UnknownEncodingError: the bytes are not what they are said to be.
            OverflowError: more than the limit came out of it altogether, or too much at once.
        """
        if self._held is not None:
            data = self._with_header_known(data)
        pieces = []
        room = min(self._limit, _MOST_AT_ONCE)
        while data:
            if self._stream.eof:
                if not self._is_gzip:
                    break
                self._stream = zlib.decompressobj(_GZIP)  # gzip members may follow each other
            piece = self._inflate(data, room)
            room -= len(piece)
            self._limit -= len(piece)
            if room < 0:
                raise OverflowError("the body inflates beyond its limit")
            pieces.append(piece)
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        return b"".join(pieces)

    def _with_header_known(self, data: bytes) -> bytes:
        """Hold `deflate` back until two bytes tell whether it has the zlib frame it should have."""
        head = (self._held or b"") + data
        if len(head) < 2:
            self._held = head
            return b""
        self._held = None
        framed = head[0] & 0x0F == zlib.DEFLATED and (head[0] * 256 + head[1]) % 31 == 0
        self._stream = zlib.decompressobj(zlib.MAX_WBITS if framed else -zlib.MAX_WBITS)
        return head

    def _inflate(self, data: bytes, room: int) -> bytes:
        try:
            return self._stream.decompress(data, room + 1)
        except zlib.error as error:
            raise UnknownEncodingError(str(error)) from error


def form_of(head: bytes | bytearray, content_type: str) -> BodyForm | None:
    """Return the form of a body from its first bytes; None while they do not tell.

    Blank lines may come first, as keep-alives. The bytes win over the type: JSON comes under
    `text/event-stream`, streams come without a type or as JSON. A line that begins with `{` or `<`
    is no field of an event stream.
    """
    text = head.removeprefix(_BOM).lstrip()
    if text.startswith((b"{", b"[")):
        return "json"
    if text.startswith(b"<"):
        return "html"
    if not text or (len(head) < len(_BOM) and _BOM.startswith(head)):
        if len(head) < _MOST_BLANK:
            return None
        return "stream" if "event-stream" in content_type else "json"
    if "event-stream" in content_type or text.startswith((b":", *_FIELDS)):
        return "stream"
    if any(field.startswith(text) for field in _FIELDS):
        return None
    return "other"


def form_of_lines(head: bytes | bytearray, newest: int = 0) -> BodyForm | None:
    """Return the form of a body that should be lines of JSON; None while its bytes do not tell.

    `newest` is where the bytes of the last read begin. A first line that is a value by itself is a
    stream's, be it the only one; an object that goes on below its first line is a whole answer.
    """
    match = _OPENING.match(head)
    start = match.end() if match else 0
    opening = head[start : start + 1]
    if not opening or (len(head) < len(_BOM) and _BOM.startswith(head)):
        return None if start < _MOST_BLANK else "stream"
    if opening != b"{":
        return _FORMS_BY_OPENING.get(bytes(opening), "other")
    end = head.find(b"\n", max(start, newest))
    if (len(head) if end < 0 else end) > DEFAULT_LIMIT:
        return "json"  # no line of a stream is that long
    if end < 0:
        return None
    return "stream" if is_value(head[start:end]) else "json"


def json_of(body: bytes) -> object | None:
    """Return the first JSON value of a body; None where there is none.

    What follows it is let go: some gateways glue `data: [DONE]` to a whole answer. Of a list its
    first value is taken.
    """
    text = body.removeprefix(_BOM).decode("utf-8", "replace").lstrip()
    try:
        value: object = _decoder.raw_decode(text)[0]
    except (ValueError, RecursionError):
        return None
    return value[0] if isinstance(value, list) and value else value


def refusal_of(body: bytes) -> tuple[object | None, ErrorBody]:
    """Return the JSON of an error body, if it is JSON, and the error it tells in any case."""
    text = body.removeprefix(_BOM).strip()
    if text.startswith((b"data:", b"event:")):
        text = text[text.find(b"data:") + 5 :].lstrip()
    if text.startswith(b"<"):
        return None, html_error(text.decode("utf-8", "replace"))
    value = json_of(text)
    if value is None:
        plain = " ".join(text.decode("utf-8", "replace").split())
        return None, ErrorBody(message=plain[:LONGEST_MESSAGE])
    return value, error_of(value)
