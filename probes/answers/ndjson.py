"""Bytes to lines of JSON: NDJSON, one value a line, as Ollama streams its answers.

Lines end at LF or CRLF and nowhere else: U+2028, U+2029 and U+0085 are text, and so is a lone CR,
which is white space to JSON. A line of blanks is a keep-alive and tells nothing. The last line of a
whole body counts without its line end, as every reader of NDJSON has it.
"""

from probes.answers.framing import DEFAULT_LIMIT, MOST_KEPT, ServerSentEvent, StreamDecoder
from probes.kit.tolerant_json import value_of


def is_value(line: bytes | bytearray) -> bool:
    """Whether a line is one JSON value, as tolerantly as answers are read."""
    try:
        value_of(line.decode("utf-8", "replace"))
    except ValueError:
        return False
    return True


class LineDecoder(StreamDecoder):
    """A decoder of lines, each told as an unnamed event; memory is bounded by `max_line` bytes."""

    def __init__(self, max_line: int = DEFAULT_LIMIT) -> None:
        super().__init__(max_line)

    @property
    def unfinished(self) -> bool:
        """Whether some of a line that was never ended has been read."""
        return bool(self._line.strip())

    @property
    def rest(self) -> str:
        """The line that was never ended."""
        return self._line[:MOST_KEPT].decode("utf-8", "replace").strip()

    def plain(self, data: bytes) -> bytes | None:
        """Take one object on one line."""
        if (
            self.fresh
            and data[:1] == b"{"
            and data[-2:] == b"}\n"
            and data.count(b"\n") == 1
            and len(data) <= self._max_line
        ):
            return data[:-1]
        return None

    def event_of(self, payload: bytes) -> ServerSentEvent:
        """Return the line as an event."""
        return ServerSentEvent(data=payload.decode("utf-8", "replace"))

    def close(self) -> list[ServerSentEvent]:
        """Return the last line where only the end of the body ended it.

        What is no JSON value is a line that was cut: it stays unfinished.
        """
        found: list[ServerSentEvent] = []
        if is_value(self._line):
            self._add_line(self._line, found)
            self._line.clear()
        return found

    def _feed_lines(self, data: bytes, found: list[ServerSentEvent]) -> None:
        first, *rest = data.split(b"\n")
        self._keep(first)
        if not rest:
            return
        tail = rest.pop()
        self._add_line(self._line, found)
        self._line.clear()
        for line in rest:
            self._add_line(line, found)
        self._keep(tail)

    def _add_line(self, line: bytes | bytearray, found: list[ServerSentEvent]) -> None:
        if len(line) > self._max_line:
            raise self._too_long()
        text = line.strip()
        if text:
            found.append(ServerSentEvent(data=text.decode("utf-8", "replace")))
