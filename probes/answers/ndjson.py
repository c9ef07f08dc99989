"""Bytes to lines of JSON: NDJSON, one value a line, as Ollama streams its answers.

Lines end at LF or CRLF and nowhere else: U+2028, U+2029 and U+0085 are text, and so is a lone CR,
which is white space to JSON. A line of blanks is a keep-alive and tells nothing. The last line of a
whole body counts without its line end, as every reader of NDJSON has it.
"""

from probes.answers.ignored import MOST_KEPT, Ignored
from probes.answers.sse import DEFAULT_LIMIT, EventTooLargeError, ServerSentEvent
from probes.kit.byte_order_mark import MarkFilter
from probes.kit.tolerant_json import value_of


def is_value(line: bytes | bytearray) -> bool:
    """Whether a line is one JSON value, as tolerantly as answers are read."""
    try:
        value_of(line.decode("utf-8", "replace"))
    except ValueError:
        return False
    return True


class LineDecoder:
    """An incremental decoder: the same lines come out however the bytes are cut.

    Each line is told as an unnamed event. Work is linear in the bytes fed, memory is bounded by
    `max_line` bytes.
    """

    def __init__(self, max_line: int = DEFAULT_LIMIT) -> None:
        self.failure = ""
        """Why nothing more is decoded, once a line was too large."""
        self.ignored = Ignored()
        """Nothing: every line is told."""
        self._max_line = max_line
        self._line = bytearray()
        self._mark = MarkFilter()
        self._fresh = False
        """The first bytes are known, and no line is open."""

    @property
    def unfinished(self) -> bool:
        """Whether some of a line that was never ended has been read."""
        return bool(self._line.strip())

    @property
    def rest(self) -> str:
        """The line that was never ended."""
        return self._line[:MOST_KEPT].decode("utf-8", "replace").strip()

    @property
    def idle(self) -> bool:
        """Whether all that was fed is told: no line is open."""
        return not self._line

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Return the lines that `data` completes.

        Raises:
            EventTooLargeError: a line exceeded its limit, and none came before it in `data`; else
                it is in `failure`. The decoder is of no use then.
        """
        if self.failure:
            raise EventTooLargeError(self.failure)
        if not self._mark.passed:
            data = self._mark.without(data)
        found: list[ServerSentEvent] = []
        try:
            self._feed_lines(data, found)
        except EventTooLargeError as error:
            self.failure = str(error)  # not itself: it holds its frames, and they this decoder
            self._line.clear()
            if not found:
                raise
        return found

    def _feed_lines(self, data: bytes, found: list[ServerSentEvent]) -> None:
        self._fresh = False
        first, *rest = data.split(b"\n")
        self._keep(first)
        if not rest:
            return
        tail = rest.pop()
        self._take(self._line, found)
        self._line.clear()
        for line in rest:
            self._take(line, found)
        self._keep(tail)
        self._fresh = not tail

    def plain(self, data: bytes) -> bytes | None:
        """Return the payload where `data` is one object on one line: the usual read.

        None where it is anything else, or where something was fed before that is not told yet; it
        has then not been taken and is to be fed. What is returned has been taken.
        """
        if (
            self._fresh
            and data[:1] == b"{"
            and data[-2:] == b"}\n"
            and data.count(b"\n") == 1
            and len(data) <= self._max_line
        ):
            return data[:-1]
        return None

    def event_of(self, payload: bytes) -> ServerSentEvent:
        """Return the line of a payload that `plain` gave."""
        return ServerSentEvent(data=payload.decode("utf-8", "replace"))

    def close(self) -> list[ServerSentEvent]:
        """Return the last line where only the end of the body ended it.

        What is no JSON value is a line that was cut: it stays unfinished.
        """
        found: list[ServerSentEvent] = []
        if is_value(self._line):
            self._take(self._line, found)
            self._line.clear()
        return found

    def _keep(self, piece: bytes) -> None:
        """Add to the line that is not ended yet."""
        if len(self._line) + len(piece) > self._max_line:
            raise EventTooLargeError(f"a line is longer than {self._max_line} bytes")
        self._line += piece

    def _take(self, line: bytes | bytearray, found: list[ServerSentEvent]) -> None:
        if len(line) > self._max_line:
            raise EventTooLargeError(f"a line is longer than {self._max_line} bytes")
        text = line.strip()
        if text:
            found.append(ServerSentEvent(data=text.decode("utf-8", "replace")))
