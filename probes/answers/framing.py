"""How a stream is cut into what its dialect reads."""

from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from probes.answers.body import unreadable
from probes.answers.dialects.base import Framing
from probes.answers.ignored import Ignored
from probes.answers.ndjson import LineDecoder
from probes.answers.sse import Decoder, EventTooLargeError, ServerSentEvent

BYTES_AT_ONCE: Final = 64 * 1024
"""Of a read that inflated to more, so much is decoded before its events are told and let go."""


class StreamDecoder(Protocol):
    """Takes bytes as they come and tells what they complete; `sse` says how to use it."""

    @property
    def failure(self) -> str:
        """Why nothing more is decoded; empty while it can be."""
        ...

    @property
    def idle(self) -> bool:
        """Whether all that was fed is told."""
        ...

    @property
    def ignored(self) -> Ignored:
        """Lines that are told of no event."""
        ...

    @property
    def rest(self) -> str:
        """The beginning of a line that was never ended."""
        ...

    @property
    def unfinished(self) -> bool:
        """Whether something was begun and never completed."""
        ...

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Return what `data` completes; raise `EventTooLargeError` beyond a limit."""
        ...

    def plain(self, data: bytes) -> bytes | None:
        """Take `data` and return its payload where it is exactly one event; else None."""
        ...

    def event_of(self, payload: bytes) -> ServerSentEvent:
        """Return the event of a payload that `plain` gave."""
        ...

    def close(self) -> list[ServerSentEvent]:
        """Return what the end of a whole body completes."""
        ...


def decoder_for(framing: Framing, usual_event: str) -> StreamDecoder:
    """Return a decoder of streams that are framed so; most events have the name `usual_event`."""
    return LineDecoder() if framing == "lines" else Decoder(usual_event=usual_event)


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
            yield from self._readable(self._decoded(data[start : start + BYTES_AT_ONCE]))

    def event_of(self, payload: bytes) -> Iterator[ServerSentEvent]:
        """Yield the event of a payload that the decoder's `plain` gave."""
        return self._readable([self._decoder.event_of(payload)])

    def close(self) -> Iterator[ServerSentEvent]:
        """Yield what the end of a whole body completes."""
        return self._readable(self._decoder.close())

    def _decoded(self, data: bytes) -> list[ServerSentEvent]:
        try:
            events = self._decoder.feed(data)
        except EventTooLargeError:
            events = []
        if self._decoder.failure:
            self.broken = "too_large"
        return events

    def _readable(self, events: Iterable[ServerSentEvent]) -> Iterator[ServerSentEvent]:
        for event in events:
            why = unreadable(event.data)
            if why:
                self.broken = why
                return
            yield event
