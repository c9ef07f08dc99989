"""How a stream is cut into what its dialect reads."""

from typing import Protocol

from probes.dialects.base import Framing
from probes.ndjson import LineDecoder
from probes.sse import Decoder, ServerSentEvent

__all__ = ["StreamDecoder", "decoder_for"]


class StreamDecoder(Protocol):
    """Takes bytes as they come and tells what they complete; `probes.sse` says how to use it."""

    @property
    def idle(self) -> bool:
        """Whether all that was fed is told."""
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
