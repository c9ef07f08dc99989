"""What a response body is, before anybody reads it: its encoding undone, its form recognised."""

import re
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Final, Literal, TypeAlias

from probes.answers.error_body import LONGEST_MESSAGE, ErrorBody, error_in, error_of, html_error
from probes.answers.framing import DEFAULT_LIMIT
from probes.answers.ndjson import is_value
from probes.answers.sse import FIELDS
from probes.kit.charset import as_utf8, is_wide
from probes.kit.tolerant_json import begins_json, first_value, unreadable
from probes.kit.words import quoted

BodyForm: TypeAlias = Literal["stream", "json", "html", "other"]

_BOM: Final = b"\xef\xbb\xbf"
_MOST_BLANK: Final = 4096
"""Blank lines before an answer are keep-alives. After so many its form is what its type says."""
_MOST_AT_ONCE: Final = 4 * 1024 * 1024
"""What one read may inflate to: more is a bomb, and would hold everybody else up."""
_GZIP: Final = 16 + zlib.MAX_WBITS
_OBJECT_AFTER_WORDS: Final = re.compile(rb"\n\s*\{")
_OPENING: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*")
_GZIP_MAGIC: Final = b"\x1f\x8b"
_INFLATED_PIECE: Final = 4096
"""Compressed bytes taken at a time: zlib copies what it leaves of them for each gzip member."""
_JSON_OUTSIDE: Final = re.compile(r"^[ \t]*(error[ \t]*:[ \t]*)?(?=[{\[])", re.MULTILINE)
"""Where JSON may begin in lines outside of a stream's framing; llama.cpp writes a field `error`."""
_MOST_OUTSIDE: Final = 32
"""Places at which JSON is looked for: each may cost the decoding of all that follows."""
_LONGEST_WORDS: Final = 200
"""What a line of the screen has room for."""
_TOKEN: Final = re.compile(rb'["{}\[\]]')
_TOKEN_IN_STRING: Final = re.compile(rb'["\\]')


class UnknownEncodingError(ValueError):
    """The body is in an encoding that was not asked for and cannot be undone."""


class Inflater:
    """Undoes gzip or deflate that nobody asked for, piece by piece, with bounded expansion."""

    def __init__(self, encoding: str, limit: int) -> None:
        """Take the value of `content-encoding`.

        Raises:
            UnknownEncodingError: it is neither gzip nor deflate.
        """
        named = (name.strip().lower() for name in encoding.split(","))
        name = ", ".join(name for name in named if name not in ("", "identity"))
        if name not in ("gzip", "x-gzip", "deflate"):
            raise UnknownEncodingError(f"content-encoding {quoted(name[:40])}")
        self.failed = False
        """The bytes are not what they are said to be; no more is inflated."""
        self._is_gzip = name != "deflate"
        self._limit = limit
        self._stream = zlib.decompressobj(_GZIP)
        self._held: bytes | None = None if self._is_gzip else b""
        self._after = b""
        self._room = 0

    def feed(self, data: bytes) -> bytes:
        """Return what `data` inflates to.

        Bytes that are not what they are said to be end it: what they were before stands, and
        `failed` is set.

        Raises:
            OverflowError: more than the limit came out of it altogether, or too much at once.
        """
        if self._held is not None:
            data = self._with_header_known(data)
        self._room = min(self._limit, _MOST_AT_ONCE)
        starts = range(0, len(data), _INFLATED_PIECE)
        return b"".join([self._members(data[at : at + _INFLATED_PIECE]) for at in starts])

    def _members(self, data: bytes) -> bytes:
        """Inflate a piece, in which gzip members may follow each other."""
        pieces = []
        while data and not self.failed:
            if self._stream.eof:
                data = self._next_member(data)
                if not data:
                    break
            piece = self._inflate(data, self._room)
            self._room -= len(piece)
            self._limit -= len(piece)
            if self._room < 0:
                raise OverflowError("the body inflates beyond its limit")
            pieces.append(piece)
            data = self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail
        return b"".join(pieces)

    def _next_member(self, data: bytes) -> bytes:
        """Return the gzip member that begins after another; what is none, as padding, is let go."""
        head = self._after + data
        if not self._is_gzip or not (head.startswith(_GZIP_MAGIC) or head == _GZIP_MAGIC[:1]):
            self._is_gzip = False
            return b""
        self._after = head if len(head) == 1 else b""
        if self._after:
            return b""
        self._stream = zlib.decompressobj(_GZIP)
        return head

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
        before = self._stream.copy()
        try:
            return self._stream.decompress(data, room + 1)
        except zlib.error:
            self._stream = before
            self.failed = True
            return b"".join(self._up_to_the_error(data, room))

    def _up_to_the_error(self, data: bytes, room: int) -> Iterator[bytes]:
        """Yield what can be inflated: zlib drops what it had when it meets an error."""
        for at in range(len(data)):
            try:
                yield self._stream.decompress(data[at : at + 1], room + 1)
            except zlib.error:
                return


class JsonEnd:
    """Finds where the first JSON object or list of a body ends, in one pass however it is cut."""

    __slots__ = ("_depth", "_position", "_quoted", "reached")

    def __init__(self) -> None:
        self.reached = False
        self._depth = 0
        self._position = 0
        self._quoted = False

    def seek(self, body: bytes | bytearray) -> bool:
        """Look on in a body that has grown; return whether the end is there now."""
        while not self.reached:
            tokens = _TOKEN_IN_STRING if self._quoted else _TOKEN
            found = tokens.search(body, self._position)
            if found is None:
                self._position = max(self._position, len(body))
                break
            self._position = found.end()
            self._take(found[0])
        return self.reached

    def _take(self, token: bytes) -> None:
        if token == b'"':
            self._quoted = not self._quoted
        elif token == b"\\":
            self._position += 1  # past what it escapes, which may be yet to come
        else:
            self._depth += 1 if token in b"{[" else -1
            self.reached = self._depth <= 0


def form_of(head: bytes | bytearray, content_type: str) -> BodyForm | None:
    """Return the form of a body from its first bytes; None while they do not tell.

    Blank lines may come first, as keep-alives. The bytes win over the type: JSON comes under
    `text/event-stream`, streams come without a type or as JSON. A line that begins with `{` or `<`
    is no field of an event stream.
    """
    if head in (b"\0", b"\xfe", b"\xff"):  # maybe the first half of two
        return None
    if is_wide(head) and not head.startswith((b"{", b"[", b"<")):
        head = as_utf8(bytes(head[: len(head) // 4 * 4]), content_type)
    text = head.removeprefix(_BOM).lstrip()
    if text.startswith((b"{", b"[")):
        return "json"
    if text.startswith(b"<"):
        return "html"
    if not text or (len(head) < len(_BOM) and _BOM.startswith(head)):
        if len(head) < _MOST_BLANK:
            return None
        return "stream" if "event-stream" in content_type else "json"
    if "event-stream" in content_type or text.startswith((b":", *FIELDS)):
        return "stream"
    if any(field.startswith(text) for field in FIELDS):
        return None
    return "other"


def form_of_lines(head: bytes | bytearray, newest: int = 0) -> BodyForm | None:
    """Return the form of a body that should be lines of JSON; None while its bytes do not tell.

    `newest` is where the bytes of the last read begin. A first line that is a value by itself is a
    stream's, be it the only one; an object that goes on below its first line is a whole answer.
    Words before the first object are keep-alives; words that none follows are no answer.
    """
    match = _OPENING.match(head)
    start = match.end() if match else 0
    opening = head[start : start + 1]
    if not opening or (len(head) < len(_BOM) and _BOM.startswith(head)):
        return None if start < _MOST_BLANK else "stream"
    if opening != b"{":
        return "html" if opening == b"<" else _form_of_words(head, start)
    end = head.find(b"\n", max(start, newest))
    if (len(head) if end < 0 else end) > DEFAULT_LIMIT:
        return "json"  # no line of a stream is that long
    if end < 0:
        return None
    return "stream" if is_value(head[start:end]) else "json"


def form_of_lines_at_end(body: bytes | bytearray) -> BodyForm:
    """Return the form of a whole body of lines whose bytes did not tell as they came."""
    match = _OPENING.match(body)
    opening = body[match.end() : match.end() + 1] if match else b""
    return "stream" if opening in (b"", b"{") else "other"


def _form_of_words(head: bytes | bytearray, start: int) -> BodyForm | None:
    """Return the form of a body of lines that begins with something else than an object."""
    beginning = head[start : start + _MOST_BLANK]
    if beginning.startswith(b"["):  # a list, or a keep-alive such as `[PING]`
        if not beginning[1:].strip():
            return None if len(beginning) < _MOST_BLANK else "json"
        if begins_json(beginning.decode("utf-8", "replace")):
            return "json"
    if _OBJECT_AFTER_WORDS.search(beginning):
        return "stream"
    return None if len(beginning) < _MOST_BLANK else "other"


def json_of(body: bytes) -> object | None:
    """Return the first JSON value of a body; None where there is none.

    What follows it is let go: some gateways glue `data: [DONE]` to a whole answer. Of a list its
    first value is taken.
    """
    text = body.removeprefix(_BOM).decode("utf-8", "replace").lstrip()
    if unreadable(text):
        return None
    try:
        value = first_value(text)
    except ValueError:
        return None
    return value[0] if isinstance(value, list) and value else value


def error_outside(text: str) -> ErrorBody | None:
    """Return the error that stands as JSON in what came outside of a stream's framing, or broken.

    None where there is none: the words alone are not taken for an error.
    """
    for place in islice(_JSON_OUTSIDE.finditer(text), _MOST_OUTSIDE):
        value = json_of(text[place.end() :].encode("utf-8", "replace"))
        if value is not None:
            error = error_of(value) if place[1] else error_in(value)
            if error is not None:
                return error
    return None


def words_outside(text: str) -> str:
    """Return the first words of what was passed over, or the title of a page."""
    if text.lstrip().startswith("<"):
        return html_error(text).message
    return " ".join(text.split())[:_LONGEST_WORDS]


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
