"""Bytes to server-sent events, by the WHATWG standard (HTML, section 9.2.6).

Lines end at CR, LF or CRLF and nowhere else: U+2028, U+2029 and U+0085 are text, which is why no
`splitlines` and no line iterator of an HTTP client is used here. Bytes are decoded per event, so a
character cut by a read is whole again. An event that is not closed by a blank line is discarded.
Lines that are no field of the standard tell no event; they are kept for their words.
"""

from typing import Final

from probes.answers.framing import (
    DEFAULT_LIMIT,
    MOST_KEPT,
    EventTooLargeError,
    ServerSentEvent,
    StreamDecoder,
)

_LONGEST_RETRY: Final = 15
"""Digits: Python refuses to make a number of thousands."""
FIELDS: Final = (b"data", b"event", b"id", b"retry")


class Decoder(StreamDecoder):
    """A decoder of server-sent events.

    Memory is bounded by `max_line` plus `max_event` bytes, however many lines an event has: what
    waits are two buffers of bytes. Of a comment nothing is kept. `usual_event` names the events
    that `plain` takes besides unnamed ones.
    """

    def __init__(
        self,
        max_line: int = DEFAULT_LIMIT,
        max_event: int = DEFAULT_LIMIT,
        usual_event: str = "message",
    ) -> None:
        super().__init__(max_line)
        self.comments = 0
        """Comment lines seen; keep-alives of many gateways."""
        self._max_event = max_event
        self._longest_plain = min(max_line, max_event)
        self._usual_event = usual_event
        self._usual_head = b"event: " + usual_event.encode() + b"\ndata: "
        self._plain_event = "message"
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
        is_field = line.partition(b":")[0] in (b"", *FIELDS)
        return "" if is_field else line.decode("utf-8", "replace")

    @property
    def idle(self) -> bool:
        """Whether all that was fed is told: no line or event is open."""
        return not (self._line or self._data or self._event)

    def _is_fresh(self) -> bool:
        return self.idle and self._retry is None and not self._after_cr

    def plain(self, data: bytes) -> bytes | None:
        """Take one `data: …` line and its blank line; the usual event's name may stand before."""
        if not self.fresh or data[-2:] != b"\n\n" or len(data) > self._longest_plain:
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
        """Return the event, with the name and the id that stand for it."""
        return ServerSentEvent(self._plain_event, payload.decode("utf-8", "replace"), self._id)

    def close(self) -> list[ServerSentEvent]:
        """Return nothing: an event that is not closed by a blank line is discarded."""
        return []

    def _let_go(self) -> None:
        super()._let_go()
        self._data.clear()

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
        self._add_line(bytes(self._line), found)
        self._line.clear()
        for line in rest:
            if line or self._data:
                self._add_line(line, found)
            else:  # a blank line that closes nothing: some servers send a great many
                self._event, self._retry = "", None
        self._keep(tail)

    def _keep(self, piece: bytes) -> None:
        """Add to the line that is not ended yet; of a comment its colon is enough."""
        if not self._line and piece.startswith(b":"):
            self._line += b":"
        if not self._line.startswith(b":"):
            super()._keep(piece)

    def _add_line(self, line: bytes, found: list[ServerSentEvent]) -> None:
        if not line:
            self._dispatch(found)
        elif line.startswith(b":"):
            self.comments += 1
        elif len(line) > self._max_line:
            raise self._too_long()
        else:
            name, _, value = line.partition(b":")
            if name in FIELDS:
                self._set_field(name, value.removeprefix(b" "))
            else:
                self.ignored.add(line[:MOST_KEPT].decode("utf-8", "replace"))

    def _set_field(self, name: bytes, value: bytes) -> None:
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
