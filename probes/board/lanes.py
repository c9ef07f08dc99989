"""Token arrival: one lane for each open or just-finished attempt of a route.

Rule 1: while a stream is open its lane grows by what arrived in each 100 ms slot. Chunks are not
tokens: where the server does not count as it streams, tokens are an estimate from characters.
Rule 2: when it has ended, the lane is rebuilt from the attempt's own exact account.
Rule 3: a recording has no slots. Whoever reads it knows how an attempt will end that is open, and
draws so much of that account as had come: on the lane alone, of which no figure is made.
"""

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from operator import attrgetter
from typing import Final

import msgspec

from probes.board.views import LaneView
from probes.events import Arrival, Arrivals, AttemptFinished, AttemptStarted, FirstToken, Outcome
from probes.kit.clock import NS_PER_S
from probes.stats.chunk_gaps import Stall, stalls_between
from probes.stats.tokens import CharactersPerToken, is_exact

CELL_NS: Final = 100_000_000
"""One slot of the engine's batches."""
CELLS_KEPT: Final = 600
"""A minute: no screen is so wide that it shows more."""
_ENDED_KEPT: Final = 24
"""More than a pane has lines for."""
_ENDED_SHOWN_NS: Final = 10 * NS_PER_S
_OPEN_KEPT: Final = 4096
"""As many as there are accounts of open probes: an end that never comes must not be kept for."""
_MOST_A_CHARACTER: Final = 4
"""No tokeniser spends more tokens on a character: it has at most four bytes."""
_SHORTEST_SPEED_NS: Final = CELL_NS
"""Less than one cell of a stream says nothing of its speed."""


_STARTED: Final = attrgetter("started_ns")


class SlotTokens(msgspec.Struct, frozen=True):
    """Output tokens that arrived in a slot of time."""

    tokens: int
    estimated: bool
    """Some of them are an estimate from characters."""


@dataclass(slots=True)
class Lane:
    """One attempt as far as it is known."""

    probe: str
    attempt: int
    started_ns: int
    first_token_ns: int | None = None
    last_token_ns: int | None = None
    """Of an open stream the last chunk that came."""
    ended_ns: int | None = None
    outcome: Outcome | None = None
    reason: str = ""
    status: int | None = None
    cells: list[tuple[int, int]] = field(default_factory=list)
    """(start of a 100 ms slot in ns, output chunks that arrived in it), oldest first."""
    undrawn: Sequence[int] = ()
    """Arrivals from the start in ns, of which no cells are made before somebody looks."""
    chunks: int = 0
    characters: int = 0
    tokens: int | None = None
    """Counted by the server: in the end, or as it streams."""
    counted_since: tuple[int, int] | None = None
    """The first count that came while it was open: tokens, and when."""
    speed: float | None = None
    """Tokens a second of an ended attempt with exact counts."""
    longest_gap_ns: int = 0
    stalls: tuple[Stall, ...] = ()
    """Those that are over."""
    retry_wait_s: float | None = None
    retry_number: int = 0
    is_reported: bool = False
    """Its `attempt_finished` has come: all of it is exact from here on."""

    def draw(self, at_ns: int, chunks: int) -> None:
        """Add output to the 100 ms cell that holds `at_ns`."""
        start = at_ns - at_ns % CELL_NS
        if self.cells and self.cells[-1][0] == start:
            chunks += self.cells.pop()[1]
        self.cells.append((start, chunks))
        if len(self.cells) > CELLS_KEPT:
            del self.cells[0]

    def count(self, arrival: Arrival, sizes: CharactersPerToken) -> SlotTokens:
        """Add the output of one slot, and return it in tokens.

        A first count may hold reasoning that nobody saw, and is then no count of this slot.
        """
        before, self.tokens = self.tokens, arrival.tokens or None
        self.last_token_ns = max(self.last_token_ns or 0, arrival.last_ns)
        self.chunks += arrival.chunks
        self.characters += arrival.characters
        if self.tokens is not None and self.counted_since is None:
            self.counted_since = (self.tokens, arrival.last_ns)
        new = arrival.tokens - (before or 0)
        hidden = before is None and new > _MOST_A_CHARACTER * arrival.characters
        if self.tokens is None or new < 0 or hidden:
            return SlotTokens(sizes.tokens_of(arrival.characters), estimated=True)
        return SlotTokens(new, estimated=False)

    def note_stall(self, last_ns: int, arrival: Arrival, longest_ns: int) -> None:
        """Keep the gap from `last_ns` to a slot's output where it is above `longest_ns`.

        Of several chunks in a slot only the last one is dated, so it is taken for as short as it
        may be.
        """
        earliest = arrival.last_ns - (CELL_NS if arrival.chunks > 1 else 0)
        if earliest - last_ns > longest_ns:
            self.stalls = (*self.stalls, (last_ns, earliest))[-CELLS_KEPT:]

    def finish(self, event: AttemptFinished, per_token_s: float | None) -> None:
        """Replace what was estimated while open by what the whole attempt says."""
        stamps = event.stamps_ns
        self.is_reported = True
        self.started_ns = stamps.started or self.started_ns
        self.first_token_ns = stamps.first_token
        self.last_token_ns = stamps.last_token
        self.ended_ns = stamps.ended or event.at_ns
        self.outcome, self.reason, self.status = event.outcome, event.reason, event.status
        self.chunks = event.chunks
        self.characters = event.characters or event.text_chars
        self.tokens = event.output_tokens if is_exact(event) else None
        self.speed = 1 / per_token_s if per_token_s else None
        self.longest_gap_ns = event.longest_gap_ns
        if event.retry is not None:
            self.retry_wait_s, self.retry_number = event.retry.wait_s, event.retry.number
        self.cells.clear()
        self.stalls = ()
        try:
            # A fifth of the memory of as many numbers, of which few are ever drawn.
            self.undrawn = array("q", event.chunk_offsets_ns)
        except OverflowError:  # in a recording that was edited
            self.undrawn = ()

    def foresee(self, event: AttemptFinished, now_ns: int, longest_ns: int) -> None:
        """Draw what had come by `now_ns`, as the attempt's own account has it, which is still to
        come. Of what nobody counts as it comes, as many characters have come as chunks."""
        began_ns = event.stamps_ns.started or self.started_ns
        arrivals = [began_ns + offset for offset in event.chunk_offsets_ns]
        come = arrivals[: bisect_right(arrivals, now_ns)]
        self.cells.clear()
        for at_ns in come:
            self.draw(at_ns, 1)
        self.stalls = tuple(stalls_between(come, longest_ns)[-CELLS_KEPT:])
        self.last_token_ns = come[-1] if come else None
        self.chunks = len(come)
        self.characters = event.characters * len(come) // max(1, len(arrivals))
        self.tokens = self.counted_since = None

    def view(
        self,
        route: str,
        now_ns: int,
        longest_ns: int,
        retries: int,
        sizes: CharactersPerToken,
    ) -> LaneView:
        """Return the lane as it is at `now_ns`; a gap above `longest_ns` is a stall."""
        if self.undrawn:
            arrivals = [self.started_ns + offset for offset in self.undrawn]
            for at_ns in arrivals:
                self.draw(at_ns, 1)
            self.stalls = tuple(stalls_between(arrivals, longest_ns)[-CELLS_KEPT:])
            self.undrawn = ()
        return LaneView(
            route=route,
            probe=self.probe,
            attempt=self.attempt,
            started_ns=self.started_ns,
            first_token_ns=self.first_token_ns,
            ended_ns=self.ended_ns,
            outcome=self.outcome,
            reason=self.reason,
            status=self.status,
            cells=tuple(self.cells),
            chunks=self.chunks,
            tokens=self.tokens,
            tokens_estimate=sizes.tokens_of(self.characters),
            tokens_per_s=self._tokens_per_s(now_ns, sizes),
            stalled_s=self._stalled_s(now_ns, longest_ns),
            stalls=self._all_stalls(now_ns, longest_ns),
            retry_wait_s=self.retry_wait_s,
            retry_number=self.retry_number,
            retries=retries,
        )

    def _tokens_per_s(self, now_ns: int, sizes: CharactersPerToken) -> float | None:
        """Return the speed so far: of counted tokens where there are any, else of the estimate."""
        if self.is_reported and self.tokens is not None:
            return self.speed
        until_ns = now_ns if self.ended_ns is None else self.last_token_ns
        since = (1, self.first_token_ns)
        if self.tokens is not None and self.counted_since is not None:
            since = self.counted_since
        before, since_ns = since
        if since_ns is None or until_ns is None or until_ns - since_ns < _SHORTEST_SPEED_NS:
            return None
        tokens = self.tokens if self.tokens is not None else sizes.tokens_of(self.characters)
        return (tokens - before) * NS_PER_S / (until_ns - since_ns) if tokens > before else None

    def _stalled_s(self, now_ns: int, longest_ns: int) -> float | None:
        gap = self.longest_gap_ns if self.ended_ns is not None else self._silent_ns(now_ns)
        return gap / NS_PER_S if gap > longest_ns else None

    def _all_stalls(self, now_ns: int, longest_ns: int) -> tuple[Stall, ...]:
        silent_ns = self._silent_ns(now_ns)
        if silent_ns <= longest_ns:
            return self.stalls
        return (*self.stalls, (now_ns - silent_ns, now_ns))

    def _silent_ns(self, now_ns: int) -> int:
        """Return for how long an open stream has brought nothing since its last chunk."""
        last = self.last_token_ns or self.first_token_ns
        return 0 if last is None or self.ended_ns is not None else max(0, now_ns - last)


class Lanes:
    """The lanes of one route: open ones, and the last that ended."""

    __slots__ = ("_ended", "_open", "longest_gap_ns", "sizes")

    def __init__(self) -> None:
        self.longest_gap_ns = 0
        """Above it a gap is a stall of this route."""
        self.sizes = CharactersPerToken()
        """Of the tokens that were not counted yet."""
        self._open: dict[tuple[str, int], Lane] = {}
        self._ended: deque[Lane] = deque(maxlen=_ENDED_KEPT)

    def __len__(self) -> int:
        return len(self._open)

    def started(self, event: AttemptStarted) -> None:
        """Open a lane."""
        if len(self._open) >= _OPEN_KEPT:
            del self._open[next(iter(self._open))]
        key = (event.probe, event.attempt)
        self._open[key] = Lane(event.probe, event.attempt, event.at_ns)

    def first_token(self, event: FirstToken) -> None:
        """Note the first output of an open lane."""
        lane = self._open.get((event.probe, event.attempt))
        if lane is not None:
            lane.first_token_ns = event.at_ns

    def arrivals(self, event: Arrivals) -> SlotTokens:
        """Draw the output of one 100 ms slot on the open lanes; return it in tokens."""
        tokens, estimated, longest_ns = 0, False, self.longest_gap_ns
        for arrival in event.arrivals:
            lane = self._open.get((arrival.probe, arrival.attempt))
            if lane is None:
                written = SlotTokens(self.sizes.tokens_of(arrival.characters), estimated=True)
            else:
                lane.draw(arrival.last_ns, arrival.chunks)
                last_ns = lane.last_token_ns or lane.first_token_ns or arrival.last_ns
                if arrival.last_ns - last_ns > longest_ns:
                    lane.note_stall(last_ns, arrival, longest_ns)
                written = lane.count(arrival, self.sizes)
            tokens += written.tokens
            estimated = estimated or written.estimated
        return SlotTokens(tokens, estimated)

    def finished(self, event: AttemptFinished, per_token_s: float | None) -> bool:
        """Close a lane and rebuild it exactly; return False where that was reported before."""
        key = (event.probe, event.attempt)
        lane = self._open.pop(key, None)
        if lane is None:
            lane = next((old for old in self._ended if (old.probe, old.attempt) == key), None)
            if lane is not None:
                news = not lane.is_reported
                lane.finish(event, per_token_s)
                return news
            lane = Lane(event.probe, event.attempt, event.at_ns)
        lane.finish(event, per_token_s)
        for old in self._ended:
            if (old.ended_ns or 0) >= event.at_ns - _ENDED_SHOWN_NS:
                break
            old.undrawn = ()  # it is kept to be known, and shown no longer
        self._ended.append(lane)
        return True

    def open_attempts(self) -> Iterable[tuple[str, int]]:
        """Return the probes and numbers of the attempts that are open."""
        return self._open.keys()

    def foresee(self, event: AttemptFinished, now_ns: int) -> None:
        """Draw on an open lane what had come by `now_ns` of an attempt whose end is known."""
        lane = self._open.get((event.probe, event.attempt))
        if lane is not None:
            lane.foresee(event, now_ns, self.longest_gap_ns)

    def engine_died(self, at_ns: int) -> None:
        """Close every open lane as cancelled: how it ended may never be reported."""
        for lane in self._open.values():
            lane.ended_ns, lane.outcome, lane.reason = at_ns, "cancelled", "engine_died"
            self._ended.append(lane)
        self._open.clear()

    def oldest(self) -> Lane | None:
        """Return the lane of the oldest open attempt."""
        return min(self._open.values(), key=_STARTED) if self._open else None

    def overdue(self, now_ns: int, before_s: float | None, writing_s: float | None) -> int:
        """Return how many are open for longer than so many seconds, before their first output or
        since; None is without end."""
        bounds = tuple(inf if s is None else s * NS_PER_S for s in (before_s, writing_s))
        return sum(
            now_ns - lane.started_ns > bounds[lane.first_token_ns is not None]
            for lane in self._open.values()
        )

    def views(self, route: str, now_ns: int, retries: int) -> tuple[LaneView, ...]:
        """Return open lanes, oldest first, then those of the last 10 s, newest first."""
        open_lanes = sorted(self._open.values(), key=lambda lane: lane.started_ns)
        since = now_ns - _ENDED_SHOWN_NS
        ended = [lane for lane in reversed(self._ended) if (lane.ended_ns or 0) >= since]
        ended.sort(key=lambda lane: -(lane.ended_ns or 0))
        return tuple(
            lane.view(route, now_ns, self.longest_gap_ns, retries, self.sizes)
            for lane in (*open_lanes, *ended)
        )
