"""The whole app on a run that is made up: its events are folded as fast as they can be.

The clock goes by the events, so that tables and lanes are drawn as they would be live.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.incident_streams.stream import START_NS, Stream
from bench.incident_streams.trouble import Outline
from fakes import FakeClock, FakeSession, config
from staged import Stage

from probes.board import Board
from probes.control.wanted import Wanted, WantedRoute
from probes.diagnosis import Diagnostician
from probes.events import Event
from probes.kit.clock import NS_PER_S
from tui.app import LlmtopApp
from tui.screens.cockpit import CockpitState
from tui.screens.live import LiveScreen


@dataclass
class Run:
    """A made-up run and the board that it is folded into, verdicts included."""

    outline: Outline
    seed: int = 1
    board: Board = field(default_factory=Board)
    passed_s: float = 0.0
    """Of the run; what came until then is folded."""

    def __post_init__(self) -> None:
        self._stream = Stream(self.outline, self.seed)
        self._diagnostician = Diagnostician()
        self._events: Iterator[Event] = self._stream.events()
        self._next: Event | None = next(self._events)

    def until(self, passed_s: float) -> None:
        """Fold what comes until so many seconds of the run."""
        end_ns = START_NS + round(passed_s * NS_PER_S)
        while self._next is not None and self._next.at_ns <= end_ns:
            self.board.fold(self._next)
            for verdict in self._diagnostician.fold(self._next):
                self.board.fold(verdict)
            self._stream.suspects = self._diagnostician.suspects
            self._next = next(self._events, None)
        self.passed_s = passed_s


class RunSession(FakeSession):
    """A session whose board is that of a run."""

    def __init__(self, run: Run) -> None:
        super().__init__(board=run.board)  # type: ignore[arg-type]
        self.run_shown = run

    @property
    def wanted(self) -> Wanted:
        """As the routes of the run are."""
        routes = {
            one.name: WantedRoute(one.workers, one.interval, one.max_tokens, paused=False)
            for one in self.run_shown.outline.natures
        }
        return Wanted(routes, routes)


class Streamed(Stage):
    """The app on a run."""

    def __init__(self, app: LlmtopApp, session: FakeSession, pilot: Any, clock: FakeClock) -> None:
        super().__init__(app, session, pilot)
        self.clock = clock

    @property
    def run(self) -> Run:
        session = self.session
        assert isinstance(session, RunSession)
        return session.run_shown

    @property
    def live(self) -> LiveScreen:
        """The screen in front."""
        assert isinstance(self.app.screen, LiveScreen)
        return self.app.screen

    @property
    def cockpit(self) -> CockpitState:
        return self.live.cockpit

    async def until(self, passed_s: float) -> None:
        """Go on to a moment of the run, and draw a whole frame."""
        self.run.until(passed_s)
        self.clock.now_ns = START_NS + round(passed_s * NS_PER_S)
        before = self._arranged()
        self.live.pull()
        if self._arranged() != before:  # panes have come or gone: they get their places later
            await self.pilot.pause()

    def _arranged(self) -> list[object]:
        panes = self.live.panes.values()
        return [(pane.display, pane.styles.height) for pane in panes]


@asynccontextmanager
async def streamed(
    outline: Outline,
    seed: int = 1,
    size: tuple[int, int] = (160, 50),
    board: Board | None = None,
) -> AsyncIterator[Streamed]:
    """Run the app on a made-up run, at its beginning."""
    run, clock = Run(outline, seed, board or Board()), FakeClock()
    run.until(1.0)
    clock.now_ns = START_NS + NS_PER_S
    session = RunSession(run)
    app = LlmtopApp(session, config(), clock)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield Streamed(app, session, pilot, clock)
