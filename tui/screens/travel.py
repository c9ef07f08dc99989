"""Where in time a cockpit stands, and how it gets elsewhere.

Rule 1. Live is one of the places: there the board of the run is shown. Everywhere else a board of
its own is shown, which stands still or is played.
Rule 2. Going takes time, so it is done in a thread, one way at a time. Whoever asks for another
place meanwhile gets there next: places that were asked for in between are passed over.
Rule 3. A board is shown only while nobody moves it. Until the new place is reached, what was shown
stays.
"""

from collections.abc import Callable

import msgspec
from anyio import to_thread

from tui.session import BoardSource, PastBoard, TimelineSource


class Place(msgspec.Struct, frozen=True):
    """A moment of the run that is shown, in ns of its stream."""

    at_ns: int
    """What is shown: the stamp of the last event that is in it."""
    wanted_ns: int
    """Where one goes; what is shown where one has arrived."""
    begin_ns: int
    end_ns: int
    """Between these one can go. The end is the present, or how far a recording has been read."""
    is_cut: bool = False
    """The run began earlier, and that part of the recording was deleted."""
    speed: float = 0.0
    """Seconds of the run that pass in one; 0 where it stands still."""


class Travel:
    """Goes through a run for one cockpit. All methods but `go` return at once."""

    def __init__(self, timeline: TimelineSource | None) -> None:
        """Begin live; `timeline` is None where nothing is recorded."""
        self._timeline = timeline
        self._past: PastBoard | None = None
        self._board: BoardSource | None = None
        self._at_ns = 0
        self._wanted_ns: int | None = None
        self._is_moving = False
        self._is_live = True
        self.speed = 0.0
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
        return None if self._is_live or self._is_moving else self._board

    def place(self) -> Place | None:
        """Return where one stands; None live."""
        if self._is_live or self._timeline is None:
            return None
        span = self._timeline.span
        wanted_ns = self._at_ns if self._wanted_ns is None else self._wanted_ns
        return Place(
            self._at_ns, wanted_ns, span.begin_ns, span.end_ns, span.is_cut, speed=self.speed
        )

    def want(self, at_ns: int) -> bool:
        """Ask for a place; return whether `go` is to be called: it is not while somebody goes."""
        if self._timeline is None:
            return False
        span = self._timeline.span
        self._wanted_ns = min(max(at_ns, span.begin_ns), span.end_ns)
        if self._is_live:
            self._is_live, self._at_ns = False, span.end_ns
        if self._is_moving:
            return False
        self._is_moving = True
        return True

    def step(self, by_ns: int) -> bool:
        """Ask for what lies so far from where one is going; the same return as `want`."""
        if self._timeline is None:
            return False
        place = self.place()
        return self.want((self._timeline.span.end_ns if place is None else place.wanted_ns) + by_ns)

    def follow(self) -> None:
        """Show the present again."""
        self._is_live, self._wanted_ns, self.speed = True, None, 0.0
        self._past = self._board = None

    async def go(self, arrived: Callable[[], object]) -> None:
        """Go where somebody wants to be; `arrived` is called at each place that is reached."""
        timeline = self._timeline
        try:
            while (wanted_ns := self._wanted_ns) is not None and timeline is not None:
                self._wanted_ns, self.problem = None, ""
                past = self._past = self._past or timeline.past()
                try:
                    await to_thread.run_sync(past.go, wanted_ns)
                except timeline.failure as error:
                    self.problem = str(error)
                    break
                if self._past is past and not self._is_live:
                    self._board, self._at_ns = past.board, past.at_ns
                    self._is_moving = False
                    arrived()
                    self._is_moving = True
        finally:
            self._is_moving = False
        arrived()
        past_now = self._past
        if past_now is not None and not self.speed and not self.problem:
            await to_thread.run_sync(past_now.prepare)
