"""Events on their way out.

Rule 1. The pipe never blocks a probe: whatever the reader does, `emit` returns at once.
Rule 2. Durable events wait in their order and are never dropped, but ticks that nobody has read.
Rule 3. Transient ones merge: output is counted by attempt and batch, from its stamp recorder. What
        does not fit is dropped, and the drops are counted.
Rule 4. When the reader has stopped, new attempts are held back (`stalled`): a stopped screen does
        not go on spending.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from probes.engine.stamp_recorder import StampRecorder
from probes.events import Arrival, Arrivals, Event, Preview, Tick, encode_event
from probes.kit.clock import NS_PER_S, Clock

BATCH_S: Final = 0.1
"""A frame of a screen at 10 Hz: more often nobody would see."""
MAX_WAITING: Final = 10_000
"""Some 10 MB: minutes of what a hundred workers tell."""
MAX_UNREAD_NS: Final = 60 * NS_PER_S
"""A terminal that is scrolled or a laptop's lid is back within that."""
MAX_PREVIEW: Final = 4_096
"""Characters of the stream on preview in a batch; a screen shows fewer."""
MAX_OPEN: Final = 4_096
"""Streams whose output is told as it comes; no screen has so many lanes."""


@dataclass(slots=True)
class OpenStream:
    """An attempt whose output is told as it comes, and how much of it was."""

    route: str
    probe: str
    attempt: int
    recorder: StampRecorder
    closed: bool = False
    """Nothing more comes; what was counted still goes with the next batch."""
    _chunks: int = 0
    _characters: int = 0

    def arrival(self) -> Arrival | None:
        """Return what came since the last call; None where nothing did."""
        recorder = self.recorder
        chunks = recorder.chunks - self._chunks
        if not chunks:
            return None
        characters = recorder.characters - self._characters
        self._chunks, self._characters = recorder.chunks, recorder.characters
        last_ns = recorder.last_ns or 0
        return Arrival(self.probe, self.attempt, chunks, characters, last_ns, recorder.tokens)


class Outbox:
    """Bounded queue between the probes and the pipe."""

    def __init__(self, clock: Clock, on_stall: Callable[[bool], None] = lambda _: None) -> None:
        self._clock = clock
        self._on_stall = on_stall
        self._durable: deque[Event] = deque()
        self._streams: list[OpenStream] = []
        self._preview: dict[tuple[str, str, int, bool], str] = {}
        self._slot_ns = clock.monotonic_ns()
        self._oldest_ns: int | None = None
        self.drops = 0
        self.stalled = False

    @property
    def waiting(self) -> int:
        """Durable events that wait for the reader."""
        return len(self._durable)

    def emit(self, event: Event) -> None:
        """Queue a durable event. A tick replaces an unread one before it while stalled."""
        replaces = self.stalled and self._durable and isinstance(self._durable[-1], Tick)
        if replaces and isinstance(event, Tick):
            self._durable.pop()
            self.drops += 1
        self._durable.append(event)
        if self._oldest_ns is None:
            self._oldest_ns = self._clock.monotonic_ns()
        self._judge_reader()

    def follow(self, route: str, probe: str, attempt: int, recorder: StampRecorder) -> OpenStream:
        """Tell an attempt's output from now on; of more than 4,096 streams it is dropped."""
        stream = OpenStream(route, probe, attempt, recorder)
        if len(self._streams) < MAX_OPEN:
            self._streams.append(stream)
        else:
            self.drops += 1
        return stream

    def preview(self, route: str, probe: str, attempt: int, text: str, reasoning: bool) -> None:
        """Add text of the stream on preview; what does not fit a batch is dropped and counted."""
        key = (route, probe, attempt, reasoning)
        joined = self._preview.get(key, "") + text
        if len(joined) > MAX_PREVIEW:
            self.drops += 1
        self._preview[key] = joined[-MAX_PREVIEW:]

    def batch(self) -> bytes:
        """Return everything that waits as JSON lines, once; durable events first."""
        now_ns = self._clock.monotonic_ns()
        by_route: dict[str, list[Arrival]] = {}
        for stream in self._streams:
            arrival = stream.arrival()
            if arrival is not None:
                by_route.setdefault(stream.route, []).append(arrival)
        events: list[Event] = [
            *self._durable,
            *(
                Arrivals(at_ns=self._slot_ns, route=route, arrivals=tuple(arrivals))
                for route, arrivals in by_route.items()
            ),
            *(
                Preview(
                    at_ns=now_ns,
                    route=route,
                    probe=probe,
                    attempt=attempt,
                    text=text,
                    reasoning=reasoning,
                )
                for (route, probe, attempt, reasoning), text in self._preview.items()
            ),
        ]
        self._durable.clear()
        self._streams = [stream for stream in self._streams if not stream.closed]
        self._preview.clear()
        self._slot_ns = now_ns
        self._oldest_ns = now_ns if events else None
        return b"".join(map(encode_event, events))

    def delivered(self) -> None:
        """Note that the reader took all that `batch` gave."""
        self._oldest_ns = self._clock.monotonic_ns() if self._durable else None
        self._judge_reader()

    def _judge_reader(self) -> None:
        unread_ns = self._clock.monotonic_ns() - self._oldest_ns if self._oldest_ns else 0
        stalled = len(self._durable) > MAX_WAITING or unread_ns > MAX_UNREAD_NS
        if stalled != self.stalled:
            self.stalled = stalled
            self._on_stall(stalled)
