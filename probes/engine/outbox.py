"""Events on their way out: durable ones wait in order, transient ones merge, drops are counted.

The pipe never blocks a probe: whatever the reader does, `emit` returns at once. When the reader
has stopped, new attempts are held back (`stalled`), so that a stopped screen does not go on
spending.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from probes.events import Arrival, Arrivals, Event, Preview, Tick, encode_event
from probes.kit.clock import NS_PER_S, Clock

BATCH_S: Final = 0.1
MAX_WAITING: Final = 10_000
MAX_UNREAD_NS: Final = 60 * NS_PER_S
MAX_PREVIEW: Final = 4_096
MAX_OPEN: Final = 4_096


@dataclass(slots=True)
class Tally:
    """Output of one open attempt since the last batch. Whoever reads the attempt counts here."""

    route: str
    probe: str
    attempt: int
    chunks: int = 0
    characters: int = 0
    last_ns: int = 0
    tokens: int = 0
    """Output tokens of the attempt so far; 0 where its server does not count as it streams."""
    closed: bool = False
    """Nothing more comes; what was counted still goes with the next batch."""

    def taken(self) -> Arrival:
        """Return what was counted, and begin anew."""
        arrival = Arrival(
            self.probe, self.attempt, self.chunks, self.characters, self.last_ns, self.tokens
        )
        self.chunks = self.characters = 0
        return arrival


class Outbox:
    """Bounded queue between the probes and the pipe."""

    def __init__(self, clock: Clock, on_stall: Callable[[bool], None] = lambda _: None) -> None:
        self._clock = clock
        self._on_stall = on_stall
        self._durable: deque[Event] = deque()
        self._tallies: list[Tally] = []
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

    def tally(self, route: str, probe: str, attempt: int) -> Tally:
        """Return where to count the output of an attempt; beyond 4,096 open ones it is dropped."""
        tally = Tally(route, probe, attempt)
        if len(self._tallies) < MAX_OPEN:
            self._tallies.append(tally)
        else:
            self.drops += 1
        return tally

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
        self._tallies = [tally for tally in self._tallies if not tally.closed]
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
        for tally in self._tallies:
            if tally.chunks:
                by_route.setdefault(tally.route, []).append(tally.taken())
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
