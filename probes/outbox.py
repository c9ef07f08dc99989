"""Events on their way out: durable ones wait in order, transient ones merge, drops are counted.

The pipe never blocks a probe: whatever the reader does, `emit` returns at once. When the reader
has stopped, new attempts are held back (`stalled`), so that a stopped screen does not go on
spending.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from probes.clock import NS_PER_S, Clock
from probes.events import Arrival, Arrivals, Event, Preview, Tick, encode_event

__all__ = ["BATCH_S", "Outbox"]

BATCH_S: Final = 0.1
MAX_WAITING: Final = 10_000
MAX_UNREAD_NS: Final = 60 * NS_PER_S
MAX_PREVIEW: Final = 4_096
MAX_OPEN: Final = 4_096


@dataclass(slots=True)
class _Tally:
    """Output of one attempt since the last batch."""

    route: str
    chunks: int = 0
    characters: int = 0
    last_ns: int = 0


class Outbox:
    """Bounded queue between the probes and the pipe."""

    def __init__(self, clock: Clock, on_stall: Callable[[bool], None] = lambda _: None) -> None:
        self._clock = clock
        self._on_stall = on_stall
        self._durable: deque[Event] = deque()
        self._tallies: dict[tuple[str, int], _Tally] = {}
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
        if self.stalled and isinstance(event, Tick):
            self._drop_last_tick()
        self._durable.append(event)
        if self._oldest_ns is None:
            self._oldest_ns = self._clock.monotonic_ns()
        self._judge_reader()

    def arrived(self, route: str, probe: str, attempt: int, characters: int, at_ns: int) -> None:
        """Count one output chunk of an open attempt."""
        tally = self._tallies.get((probe, attempt))
        if tally is None:
            if len(self._tallies) >= MAX_OPEN:
                self.drops += 1
                return
            tally = self._tallies[probe, attempt] = _Tally(route)
        tally.chunks += 1
        tally.characters += characters
        tally.last_ns = at_ns

    def preview(self, route: str, probe: str, attempt: int, text: str, reasoning: bool) -> None:
        """Add text of the stream on preview; what does not fit a batch is dropped and counted."""
        key = (route, probe, attempt, reasoning)
        joined = self._preview.get(key, "") + text
        if len(joined) > MAX_PREVIEW:
            self.drops += 1
        self._preview[key] = joined[-MAX_PREVIEW:]

    def take(self) -> bytes:
        """Return everything that waits as JSON lines; durable events first."""
        now_ns = self._clock.monotonic_ns()
        lines = [encode_event(event) for event in self._durable]
        lines.extend(encode_event(event) for event in self._transient(now_ns))
        self._durable.clear()
        self._tallies.clear()
        self._preview.clear()
        self._slot_ns = now_ns
        self._oldest_ns = now_ns if lines else None
        return b"".join(lines)

    def delivered(self) -> None:
        """Note that the reader took all that `take` gave."""
        self._oldest_ns = self._clock.monotonic_ns() if self._durable else None
        self._judge_reader()

    def _transient(self, now_ns: int) -> list[Event]:
        by_route: dict[str, list[Arrival]] = {}
        for (probe, attempt), tally in self._tallies.items():
            arrival = Arrival(probe, attempt, tally.chunks, tally.characters, tally.last_ns)
            by_route.setdefault(tally.route, []).append(arrival)
        events: list[Event] = [
            Arrivals(at_ns=self._slot_ns, route=route, arrivals=tuple(arrivals))
            for route, arrivals in by_route.items()
        ]
        events.extend(
            Preview(
                at_ns=now_ns,
                route=route,
                probe=probe,
                attempt=attempt,
                text=text,
                reasoning=reasoning,
            )
            for (route, probe, attempt, reasoning), text in self._preview.items()
        )
        return events

    def _drop_last_tick(self) -> None:
        if self._durable and isinstance(self._durable[-1], Tick):
            self._durable.pop()
            self.drops += 1

    def _judge_reader(self) -> None:
        unread_ns = self._clock.monotonic_ns() - self._oldest_ns if self._oldest_ns else 0
        stalled = len(self._durable) > MAX_WAITING or unread_ns > MAX_UNREAD_NS
        if stalled != self.stalled:
            self.stalled = stalled
            self._on_stall(stalled)
