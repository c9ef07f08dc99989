"""Where in time a cockpit stands, and how it gets elsewhere.

Rule 1. Live is one of the places: there the board of the run is shown. Everywhere else a board of
its own is shown, which stands still or is played. A recording has no present: its cockpit is never
live.
Rule 2. Going takes time, so it is done in a thread, one way at a time. Whoever asks for another
place meanwhile gets there next: places that were asked for in between are passed over.
Rule 3. A board is shown only while nobody moves it. Until the new place is reached, what was shown
stays.
Rule 4. Where one stands is what was asked for, not the last event before it: a step through a
silence is a step.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Final

import msgspec
from anyio import to_thread

from probes.board.views import Happening, HappeningKind
from probes.kit.clock import NS_PER_S, Clock
from tui.session import BoardSource, PastBoard, Replayed, Span, TimelineSource

SPEEDS: Final = (1.0, 10.0, 60.0, math.inf)
"""Seconds of the run that pass in one; the last is as fast as it can be read."""
_WAY_NS: Final = NS_PER_S // 5
"""So long the way to the next place may take while it is played: fewer places a second are no film.
Where the speed wants more, it is played more slowly than it was asked for."""
_LEAST_REACH_NS: Final = NS_PER_S
_MOST_REACH_NS: Final = 600 * NS_PER_S
_LONG_NS: Final = 3 * NS_PER_S // 10
"""A way that takes longer than this is told of: before that the place is there sooner than read."""
_STOPS: Final[frozenset[HappeningKind]] = frozenset(
    ("onset", "cause", "recovered", "knob", "mark", "gap", "engine")
)
"""What one goes to; of 429s and notices there may be hundreds, and all are in the log."""
_AT_NS: Final = attrgetter("at_ns")


class PlaceInTime(msgspec.Struct, frozen=True):
    """A moment of the run that is shown, in ns of its stream."""

    at_ns: int
    """What is shown."""
    wanted_ns: int
    """Where one goes; what is shown where one has arrived."""
    begin_ns: int
    end_ns: int
    """Between these one can go. The end is the present, or how far a recording has been read."""
    is_cut: bool = False
    """The run began earlier, and that part of the recording was deleted."""
    speed: float = SPEEDS[0]
    """Seconds of the run that pass in one while it is played."""
    is_playing: bool = False
    is_far: bool = False
    """The way to what is wanted takes long."""


class Travel:
    """Goes through a run for one cockpit. All methods but `go` return at once.

    Methods that return whether `go` is to be called ask for that of whoever called them: it is not
    while somebody goes.
    """

    def __init__(
        self,
        timeline: TimelineSource | None,
        clock: Clock,
        *,
        has_present: bool = True,
        replayed: Replayed | None = None,
    ) -> None:
        """Begin live; a recording, which has no present, begins with its first moment: it is
        `replayed`, where it is still being read.

        `timeline` is None where nothing is recorded.
        """
        self._timeline = timeline
        self._clock = clock
        self.has_present = (has_present and replayed is None) or timeline is None
        self._replayed = replayed
        self.awaited_ns: int | None = None
        """Where one goes as soon as the recording has been read so far."""
        self._past: PastBoard | None = None
        self._board: BoardSource | None = None
        self._at_ns = 0
        self._wanted_ns: int | None = None
        self._way_ns: int | None = None
        """Where the way that is being gone leads to."""
        self._since_ns = 0
        """When it was begun, by our clock."""
        self._is_going = False
        self._is_live = self.has_present
        self.speed = SPEEDS[0]
        self.is_playing = False
        self._known: Sequence[Happening] = ()
        self._stops: tuple[Happening, ...] = ()
        """Of what was known then."""
        self._beat_ns = 0
        self._reach_ns = _LEAST_REACH_NS
        """So far one gets in the time that a way may take, as far as is known."""
        self.problem = ""
        """Why the last way led nowhere; empty where it did not."""

    @property
    def can_go_back(self) -> bool:
        """Whether there is anything to go back to."""
        return self._timeline is not None

    @property
    def is_live(self) -> bool:
        """Whether the present is shown."""
        return self._is_live

    @property
    def board(self) -> BoardSource | None:
        """The board of the past that is shown; None while it is being moved, and live."""
        return None if self._is_live or self._way_ns is not None else self._board

    def place(self) -> PlaceInTime | None:
        """Return where one stands; None live, and of a recording of which nothing is shown yet."""
        if self._is_live or self._timeline is None:
            return None
        span = self._timeline.span
        far = self._way_ns is not None and self._clock.monotonic_ns() - self._since_ns > _LONG_NS
        return PlaceInTime(
            self._at_ns,
            self._goal_ns,
            span.begin_ns,
            span.end_ns,
            span.is_cut,
            self.speed,
            self.is_playing,
            far,
        )

    @property
    def _goal_ns(self) -> int:
        """Where one is going, or stands."""
        if self.awaited_ns is not None:
            return self.awaited_ns
        if self._wanted_ns is not None:
            return self._wanted_ns
        return self._at_ns if self._way_ns is None else self._way_ns

    @property
    def span(self) -> Span | None:
        """What there is of the run, read or not; None where nothing is recorded."""
        if self._timeline is None:
            return None
        span, here_ns = self._timeline.span, self.here_ns
        return PlaceInTime(here_ns, here_ns, span.begin_ns, self.end_ns, span.is_cut)

    @property
    def end_ns(self) -> int:
        """The end of the run: the present, or that of a recording, read or not."""
        read_ns = 0 if self._timeline is None else self._timeline.span.end_ns
        return read_ns if self._replayed is None else max(read_ns, self._replayed.end_ns)

    @property
    def here_ns(self) -> int:
        """Where a step begins: live at the present, else where one is going."""
        if self._is_live and self._timeline is not None:
            return self._timeline.span.end_ns
        return self._goal_ns

    def want(self, at_ns: int) -> bool:
        """Ask for a place; return whether `go` is to be called.

        What lies behind the end of a run that goes on is its present; what of a recording has not
        been read yet is waited for.
        """
        if self._timeline is None:
            return False
        span, replayed = self._timeline.span, self._replayed
        self.awaited_ns = None
        if replayed is not None and at_ns > span.end_ns and replayed.read_share < 1:
            self.awaited_ns = min(at_ns, max(replayed.end_ns, span.end_ns))
            return False
        if self.has_present and at_ns >= span.end_ns:
            return self.follow()
        if self._is_live:
            self._is_live, self._at_ns = False, span.end_ns
        self._wanted_ns = min(max(at_ns, span.begin_ns), span.end_ns)
        self._beat_ns = self._clock.monotonic_ns()
        if self._is_going:
            return False
        self._is_going = True
        return True

    def step(self, by_ns: int, from_ns: int | None = None) -> bool:
        """Ask for what lies so far from a moment; without one, from where one is going. Return
        whether `go` is to be called."""
        if from_ns is None and self._is_live and by_ns >= 0:
            return False
        return self.want((self.here_ns if from_ns is None else from_ns) + by_ns)

    def stops(self) -> Sequence[Happening]:
        """Return what happened that one goes to, oldest first, as far as it can be shown."""
        timeline = self._timeline
        if timeline is None:
            return ()
        known = timeline.happenings
        if known is not self._known:
            self._known = known
            chosen = (one for one in known if one.kind in _STOPS)
            self._stops = tuple(sorted(chosen, key=_AT_NS))
        return self._stops[bisect_left(self._stops, timeline.span.begin_ns, key=_AT_NS) :]

    def stop(self, step: int, from_ns: int | None = None) -> Happening | None:
        """Return what happened next (1) or before (-1); None where nothing did.

        From a moment, or without one from where one is going.
        """
        stops = self.stops()
        if from_ns is None:
            from_ns = self.here_ns
        if step < 0:
            place = bisect_left(stops, from_ns, key=_AT_NS) - 1
        else:
            place = bisect_right(stops, from_ns, key=_AT_NS)
        return stops[place] if 0 <= place < len(stops) else None

    def follow(self) -> bool:
        """Show the present again; of a recording its end. Return whether `go` is to be called."""
        self.is_playing = False
        if not self.has_present and self._timeline is not None:
            return self.want(self._timeline.span.end_ns)
        self._is_live, self._wanted_ns = True, None
        self._past = self._board = None
        return False

    # Playing.

    def play(self, on: bool) -> None:
        """Let time pass, or stand still; live it passes by itself."""
        self.is_playing = on and not self._is_live
        self._beat_ns = self._clock.monotonic_ns()

    def turn_speed(self, faster: bool) -> float:
        """Take the next speed, or the one before; return it."""
        at = SPEEDS.index(self.speed) + (1 if faster else -1)
        self.speed = SPEEDS[min(max(at, 0), len(SPEEDS) - 1)]
        return self.speed

    def beat(self) -> bool:
        """Ask for the next place where it is played; return whether `go` is to be called.

        It is called often. A recording begins to be shown as soon as any of it has been read.
        """
        timeline = self._timeline
        if timeline is None or self._is_live or self._way_ns is not None or self.problem:
            return False
        span = timeline.span
        if self._board is None:
            return span.end_ns > 0 and self._wanted_ns is None and self.want(span.begin_ns)
        if self.awaited_ns is not None:
            is_read = self._replayed is None or self._replayed.read_share >= 1
            return (is_read or self.awaited_ns <= span.end_ns) and self.want(self.awaited_ns)
        if not self.is_playing or self._wanted_ns is not None:
            return False
        now_ns = self._clock.monotonic_ns()
        passed_ns = now_ns - self._beat_ns
        if self._at_ns >= span.end_ns:
            # What is still being read grows many times a second; what does not is over.
            self.is_playing = passed_ns < NS_PER_S
            return False
        reach_ns = self._reach_ns
        by_ns = reach_ns if self.speed == math.inf else min(round(passed_ns * self.speed), reach_ns)
        return by_ns > 0 and self.want(min(self._at_ns + by_ns, span.end_ns))

    def _learn_reach(self, covered_ns: int, took_ns: int) -> None:
        """Know how far one gets while it is played, from one way forward."""
        if took_ns > _WAY_NS:
            self._reach_ns = max(covered_ns * _WAY_NS // took_ns, _LEAST_REACH_NS)
        elif covered_ns >= self._reach_ns // 2:
            self._reach_ns = min(2 * self._reach_ns, _MOST_REACH_NS)

    # The way.

    async def go(self, arrived: Callable[[], object]) -> None:
        """Go where somebody wants to be; `arrived` is called at each place that is reached, and
        where one cannot be.

        It must not be cancelled but at the end of the program: a thread that moves a board goes on,
        and nobody would know when that is over.
        """
        timeline = self._timeline
        while timeline is not None:
            await self._arrive(timeline, arrived)
            if not self._is_live and self._past is not None and not self.is_playing:
                await self._prepare(timeline, self._past)
            if self._wanted_ns is None:
                break
        self._is_going = False

    async def _arrive(self, timeline: TimelineSource, arrived: Callable[[], object]) -> None:
        """Go until nothing else is wanted."""
        while (way_ns := self._wanted_ns) is not None:
            self._wanted_ns, self._way_ns, self.problem = None, way_ns, ""
            self._since_ns = self._clock.monotonic_ns()
            past = self._past = self._past or timeline.past()
            try:
                # Abandoned where the program ends: leaving must not wait for a disk.
                await to_thread.run_sync(past.go, way_ns, abandon_on_cancel=True)
            except timeline.failure as error:
                self._way_ns = None
                if self._past is past and not self._is_live:
                    self._give_up(past, str(error))
                    arrived()
                continue
            self._way_ns = None
            if self._past is past and not self._is_live:
                self._learn_reach(way_ns - self._at_ns, self._clock.monotonic_ns() - self._since_ns)
                self._board, self._at_ns = past.board, way_ns
                arrived()

    def _give_up(self, past: PastBoard, problem: str) -> None:
        """Be where one can be after a way led nowhere."""
        self.problem, self.is_playing, self._wanted_ns = problem, False, None
        if self.has_present:
            self.follow()
        else:
            self._board, self._at_ns = past.board, past.at_ns

    async def _prepare(self, timeline: TimelineSource, past: PastBoard) -> None:
        """Make the next steps short, for as long as nobody wants one."""
        steps = past.prepare()
        try:
            while self._wanted_ns is None and self._past is past:
                if await to_thread.run_sync(next, steps, True, abandon_on_cancel=True):
                    break
        except timeline.failure:
            # The step that needs what cannot be read says so; this one was for nobody.
            return
