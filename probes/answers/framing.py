"""How a stream is cut into events: what the decoders of every framing share.

Rule 1  The same events come out however the bytes are cut.
Rule 2  Work is linear in the bytes fed, and memory is bounded: by what one line or one event may
        be, and by what is kept of lines that tell no event.
Rule 3  What is too large ends the decoding; the events before it are told.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final, Literal, TypeAlias

import msgspec

from probes.kit.byte_order_mark import MarkFilter
from probes.kit.tolerant_json import unreadable

Framing: TypeAlias = Literal["events", "lines"]
"""How a stream is cut: server-sent events, or one JSON value a line (NDJSON)."""

DEFAULT_LIMIT: Final = 16 * 1024 * 1024
"""Bytes of a line or an event. An image in base64 comes as one, and is far smaller."""
BYTES_AT_ONCE: Final = 64 * 1024
"""Of a read that inflated to more, so much is decoded before its events are told and let go."""
MOST_KEPT: Final = 16 * 1024
"""Characters kept of what came last: the longest error that was seen whole had 5,000."""
_MOST_FIRST: Final = 1024
"""Kept of what came first, enough for its first 200 characters without white space."""


class EventTooLargeError(ValueError):
    """A line or an event is larger than the decoder keeps in memory."""


class ServerSentEvent(msgspec.Struct, frozen=True, gc=False):
    """One event; a line of JSON is an unnamed one."""

    event: str = "message"
    data: str = ""
    id: str = ""
    """The last event id of the stream so far, as the standard has it."""
    retry: int | None = None
    """Reconnection time in ms, where this event's block set one."""


class Ignored:
    """What came with an answer and is no part of it, kept for its words if the answer ends unwell.

    Servers speak outside of the framing: pretty-printed errors in the middle of an event stream,
    fields that the standard does not know, pages of a proxy. The first words are kept, and as much
    of what came last as an error needs.
    """

    __slots__ = ("_last", "_size", "first")

    def __init__(self) -> None:
        self.first = ""
        """What came first."""
        self._last: deque[str] = deque()
        self._size = 0

    def add(self, line: str) -> None:
        """Take a line."""
        kept = line[:MOST_KEPT]
        if len(self.first) < _MOST_FIRST:
            self.first = f"{self.first}\n{kept[:_MOST_FIRST]}" if self.first else kept[:_MOST_FIRST]
        self._last.append(kept)
        self._size += len(kept) + 1
        while self._size > MOST_KEPT + 1:
            self._size -= len(self._last.popleft()) + 1

    @property
    def text(self) -> str:
        """What came last, a line a line."""
        return "\n".join(self._last)


class StreamDecoder(ABC):
    """Takes bytes as they come and tells what they complete.

    The usual read is exactly one event: `plain` takes it and gives its payload. What that refuses
    goes to `feed`. `EventReader` is how an answer is read with one.
    """

    def __init__(self, max_line: int) -> None:
        self.failure = ""
        """Why nothing more is decoded, once a line or an event was too large."""
        self.ignored = Ignored()
        """Lines that are told of no event."""
        self._max_line = max_line
        self._line = bytearray()
        """The beginning of a line that is not ended yet."""
        self._mark = MarkFilter()
        self.fresh = False
        """The first bytes are known, and nothing that was fed bears on what comes."""

    @property
    def idle(self) -> bool:
        """Whether all that was fed is told."""
        return not self._line

    @property
    @abstractmethod
    def rest(self) -> str:
        """The beginning of a line that was never ended."""

    @property
    @abstractmethod
    def unfinished(self) -> bool:
        """Whether something was begun and never completed."""

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
        payload = self.plain(data) if self.fresh else None
        if payload is not None:
            return [self.event_of(payload)]
        found: list[ServerSentEvent] = []
        try:
            self._feed_lines(data, found)
        except EventTooLargeError as error:
            self.failure = str(error)  # not itself: it holds its frames, and they this decoder
            self._let_go()
            if not found:
                raise
        self.fresh = not self._line and self._mark.passed and self._is_fresh()
        return found

    @abstractmethod
    def plain(self, data: bytes) -> bytes | None:
        """Take `data` and return its payload where it is exactly one event: the usual read.

        None where it is anything else, or where something was fed before that is not told yet; it
        has then not been taken and is to be fed.
        """

    @abstractmethod
    def event_of(self, payload: bytes) -> ServerSentEvent:
        """Return the event of a payload that `plain` gave."""

    @abstractmethod
    def close(self) -> list[ServerSentEvent]:
        """Return what the end of a whole body completes."""

    @abstractmethod
    def _feed_lines(self, data: bytes, found: list[ServerSentEvent]) -> None:
        """Add to `found` what data completes that is not plain."""

    def _is_fresh(self) -> bool:
        return self.idle

    def _let_go(self) -> None:
        """Free what is held of something that was too large."""
        self._line.clear()

    def _keep(self, piece: bytes) -> None:
        """Add to the line that is not ended yet."""
        if len(self._line) + len(piece) > self._max_line:
            raise self._too_long()
        self._line += piece

    def _too_long(self) -> EventTooLargeError:
        return EventTooLargeError(f"a line is longer than {self._max_line} bytes")


class EventReader:
    """Decodes a stream up to what is too large for it, or not to be decoded as JSON."""

    __slots__ = ("_decoder", "broken")

    def __init__(self, decoder: StreamDecoder) -> None:
        self._decoder = decoder
        self.broken = ""
        """Why nothing more is read; empty while it can be."""

    def events(self, data: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that `data` completes, none of them kept."""
        for start in range(0, len(data), BYTES_AT_ONCE):
            if self.broken:
                return
            try:
                events = self._decoder.feed(data[start : start + BYTES_AT_ONCE])
            except EventTooLargeError:
                events = []
            if self._decoder.failure:
                self.broken = "too_large"
            yield from self._readable(events)

    def event_of(self, payload: bytes) -> Iterator[ServerSentEvent]:
        """Yield the event of a payload that the decoder's `plain` gave."""
        return self._readable([self._decoder.event_of(payload)])

    def close(self) -> Iterator[ServerSentEvent]:
        """Yield what the end of a whole body completes."""
        return self._readable(self._decoder.close())

    def _readable(self, events: Iterable[ServerSentEvent]) -> Iterator[ServerSentEvent]:
        for event in events:
            why = unreadable(event.data)
            if why:
                self.broken = why
                return
            yield event
