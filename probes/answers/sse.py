"""Bytes to server-sent events, by the WHATWG standard (HTML, section 9.2.6).

Lines end at CR, LF or CRLF and nowhere else: U+2028, U+2029 and U+0085 are text, which is why no
`splitlines` and no line iterator of an HTTP client is used here. Bytes are decoded per event, so a
character cut by a read is whole again. An event that is not closed by a blank line is discarded.
Lines that are no field of the standard tell no event; they are kept for their words.
"""

from typing import Final

import msgspec

from probes.answers.ignored import MOST_KEPT, Ignored
from probes.kit.byte_order_mark import MarkFilter

DEFAULT_LIMIT: Final = 16 * 1024 * 1024
_LONGEST_RETRY: Final = 15
_FIELDS: Final = (b"data", b"event", b"id", b"retry")


class EventTooLargeError(ValueError):
    """A line or an event is larger than the decoder keeps in memory."""


class ServerSentEvent(msgspec.Struct, frozen=True, gc=False):
    """One dispatched event."""

    event: str = "message"
    data: str = ""
    id: str = ""
    """The last event id of the stream so far, as the standard has it."""
    retry: int | None = None
    """Reconnection time in ms, where this event's block set one."""


class Decoder:
    """An incremental decoder: the same events come out however the bytes are cut.

    Work is linear in the bytes fed. Memory is bounded by `max_line` plus `max_event` bytes, however
    many lines an event has: what waits are two buffers of bytes. Of a comment nothing is kept.
    `usual_event` names the events that `plain` takes besides unnamed ones.
    """

    def __init__(
        self,
        max_line: int = DEFAULT_LIMIT,
        max_event: int = DEFAULT_LIMIT,
        usual_event: str = "message",
    ) -> None:
        self.comments = 0
        """Comment lines seen; keep-alives of many gateways."""
        self.failure = ""
        """Why nothing more is decoded, once a line or an event was too large."""
        self.ignored = Ignored()
        """Lines that are neither a field of the standard nor a comment."""
        self._max_line = max_line
        self._max_event = max_event
        self._longest_plain = min(max_line, max_event)
        self._usual_event = usual_event
        self._usual_head = b"event: " + usual_event.encode() + b"\ndata: "
        self._plain_event = "message"
        self._fresh = False
        self._line = bytearray()
        self._mark = MarkFilter()
        self._after_cr = False
        self._data = bytearray()
        """The lines of the open event's data, each with its line feed."""
        self._event = ""
        self._id = ""
        self._retry: int | None = None

    @property
    def unfinished(self) -> bool:
        """Whether data of an event that was never closed has been read."""
        return bool(self._data) or self._line.startswith(b"data")

    @property
    def rest(self) -> str:
        """The line that was never ended, where it is no field: of a field nothing is told."""
        line = bytes(self._line[:MOST_KEPT])
        is_field = line.partition(b":")[0] in (b"", *_FIELDS)
        return "" if is_field else line.decode("utf-8", "replace")

    @property
    def idle(self) -> bool:
        """Whether all that was fed is told: no line or event is open."""
        return not (self._line or self._data or self._event)

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Return the events that `data` completes.

        Raises:
            EventTooLargeError: a line or an event exceeded its limit, and no event came before it
                in `data`; else it is in `failure`. The decoder is of no use then.
        """
        if self.failure:
            raise EventTooLargeError(self.failure)
        if not self._mark.passed:
            data = self._mark.without(data)
        plain = self.plain(data)
        if plain is not None:
            return [self.event_of(plain)]
        found: list[ServerSentEvent] = []
        try:
            self._feed_lines(data, found)
        except EventTooLargeError as error:
            self.failure = str(error)  # not itself: it holds its frames, and they this decoder
            self._line.clear()
            self._data.clear()
            if not found:
                raise
        self._fresh = self.idle and self._retry is None and not self._after_cr
        return found

    def plain(self, data: bytes) -> bytes | None:
        """Return the payload where `data` is one `data: …` line and its blank line: the usual read.

        The name of the usual event may stand before it. None where it is anything else, or where
        something was fed before that is not told yet; it has then not been taken and is to be fed.
        What is returned has been taken.
        """
        if not self._fresh or data[-2:] != b"\n\n" or len(data) > self._longest_plain:
            return None
        if data[:6] == b"data: ":
            start, lines = 6, 2
            self._plain_event = "message"
        elif data.startswith(self._usual_head):
            start, lines = len(self._usual_head), 3
            self._plain_event = self._usual_event
        else:
            return None
        return data[start:-2] if data.count(b"\n") == lines and b"\r" not in data else None

    def event_of(self, payload: bytes) -> ServerSentEvent:
        """Return the event of a payload that `plain` gave."""
        return ServerSentEvent(self._plain_event, payload.decode("utf-8", "replace"), self._id)

    def close(self) -> list[ServerSentEvent]:
        """Return nothing: an event that is not closed by a blank line is discarded."""
        return []

    def _feed_lines(self, data: bytes, found: list[ServerSentEvent]) -> None:
        if not data:
            return
        if b"\n" not in data and b"\r" not in data:  # as most reads do that are very small
            self._after_cr = False
            self._keep(data)
            return
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            self._after_cr = False
            if not data:
                return
        self._after_cr = data.endswith(b"\r")
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        first, *rest = data.split(b"\n")
        self._keep(first)
        if not rest:
            return
        tail = rest.pop()
        self._take_line(bytes(self._line), found)
        self._line.clear()
        for line in rest:
            if line or self._data:
                self._take_line(line, found)
            else:  # a blank line that closes nothing: some servers send a great many
                self._event, self._retry = "", None
        self._keep(tail)

    def _keep(self, piece: bytes) -> None:
        """Add to the line that is not ended yet; of a comment its colon is enough."""
        if not self._line and piece.startswith(b":"):
            self._line += b":"
        if self._line.startswith(b":"):
            return
        if len(self._line) + len(piece) > self._max_line:
            raise EventTooLargeError(f"a line is longer than {self._max_line} bytes")
        self._line += piece

    def _take_line(self, line: bytes, found: list[ServerSentEvent]) -> None:
        if not line:
            self._dispatch(found)
        elif line.startswith(b":"):
            self.comments += 1
        elif len(line) > self._max_line:
            raise EventTooLargeError(f"a line is longer than {self._max_line} bytes")
        else:
            name, _, value = line.partition(b":")
            if name in _FIELDS:
                self._take_field(name, value.removeprefix(b" "))
            else:
                self.ignored.add(line[:MOST_KEPT].decode("utf-8", "replace"))

    def _take_field(self, name: bytes, value: bytes) -> None:
        if name == b"data":
            if len(self._data) + len(value) + 1 > self._max_event:
                raise EventTooLargeError(f"an event is larger than {self._max_event} bytes")
            self._data += value
            self._data += b"\n"
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id":
            if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) <= _LONGEST_RETRY:
            self._retry = int(value)

    def _dispatch(self, found: list[ServerSentEvent]) -> None:
        """A block without any data field dispatches nothing; an empty data field does."""
        if self._data:
            del self._data[-1:]
            text = self._data.decode("utf-8", "replace")
            found.append(ServerSentEvent(self._event or "message", text, self._id, self._retry))
            self._data.clear()
        self._event = ""
        self._retry = None
