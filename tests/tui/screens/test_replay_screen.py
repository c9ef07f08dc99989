"""The cockpit on a recording: it plays, waits for what is not read yet, and turns no knob."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import made
import pytest
from fakes import FakeClock, FakeReplayed, FakeSession, FakeTimeline
from textual.pilot import Pilot

from probes.config import Config, Display
from probes.kit.clock import NS_PER_S
from tui.app import LlmtopApp
from tui.panes.pane import Pane
from tui.screens.live import REPLAYED, LiveScreen
from tui.screens.travel import Travel

pytestmark = pytest.mark.anyio

BEGIN_NS = made.NOW_NS - 3600 * NS_PER_S


async def until(true: Callable[[], object]) -> None:
    """Wait for a thread."""
    with anyio.fail_after(10):
        while not true():  # noqa: ASYNC110 - a thread sets it
            await anyio.sleep(0.001)


class Viewer:
    """Somebody who looks at a recording of an hour."""

    def __init__(self, pilot: Pilot[None], replayed: FakeReplayed, timeline: FakeTimeline) -> None:
        self.pilot, self.replayed, self.timeline = pilot, replayed, timeline
        app = pilot.app
        assert isinstance(app, LlmtopApp)
        self.app, self.clock = app, FakeClock()

    @property
    def screen(self) -> LiveScreen:
        screen = self.app.screen
        assert isinstance(screen, LiveScreen)
        return screen

    @property
    def travel(self) -> Travel:
        return self.screen.cockpit.travel

    async def beat(self, after_s: float = 0.2) -> None:
        """Let time pass, and what comes of it."""
        clock = self.screen.cockpit.clock
        assert isinstance(clock, FakeClock)
        clock.now_ns += round(after_s * NS_PER_S)
        self.screen._beat()
        await until(lambda: not self.travel._is_going)
        await self.pilot.pause()
        self.screen.pull()
        await self.pilot.pause()

    def text(self, pane: str) -> str:
        found = self.screen.query_one(f"#{pane}", Pane)
        return found.render_line(0).text.rstrip() if found.display else ""

    @property
    def at_s(self) -> float:
        """Seconds of the run before what is shown."""
        place = self.travel.place()
        assert place is not None
        return (place.at_ns - BEGIN_NS) / NS_PER_S

    @property
    def notes(self) -> list[str]:
        return [note.message for note in self.app._notifications]


@asynccontextmanager
async def viewing(replayed: FakeReplayed, read_s: float = 3600.0) -> AsyncIterator[Viewer]:
    timeline = FakeTimeline()
    timeline.span = timeline.span._replace(end_ns=BEGIN_NS + round(read_s * NS_PER_S))
    session = FakeSession(timeline=timeline, replayed=replayed)
    app = LlmtopApp(session, Config(routes=(), display=Display(refresh_hz=10.0)), FakeClock())
    async with app.run_test(size=(160, 50)) as pilot:
        viewer = Viewer(pilot, replayed, timeline)
        await viewer.beat()
        yield viewer
        assert not [one for one in session.commands if not hasattr(one, "preview")]


async def test_it_plays_from_its_beginning() -> None:
    async with viewing(FakeReplayed()) as viewer:
        assert viewer.at_s == 0.0
        assert viewer.text("header").startswith(" llmtop ▶ REPLAY 1× ")
        await viewer.beat(2.0)
        assert viewer.at_s == pytest.approx(1.0)  # as far as one gets at once, before that is known
        await viewer.pilot.press("space")
        await viewer.beat(2.0)
        assert viewer.at_s == pytest.approx(1.0)
        assert " ‖ REPLAY PAUSED 1× " in viewer.text("header")
        await viewer.pilot.press("right_parenthesis", "space")
        await viewer.beat(0.2)
        assert viewer.at_s == pytest.approx(3.0)
        assert " ▶ REPLAY 10× " in viewer.text("header")
        assert " · 3s of 1h00m" in viewer.text("header")


async def test_at_the_end_it_stands_still_and_says_so() -> None:
    async with viewing(FakeReplayed()) as viewer:
        await viewer.pilot.press("end")
        await viewer.beat()
        assert viewer.at_s == 3600.0
        assert " ■ REPLAY END " in viewer.text("header")
        await viewer.pilot.press("space")
        await viewer.beat(5.0)
        assert viewer.at_s == 3600.0
        assert " ■ REPLAY END " in viewer.text("header")


async def test_what_is_not_read_yet_is_waited_for() -> None:
    async with viewing(FakeReplayed(read_share=0.34), read_s=3000.0) as viewer:
        assert "read 34 %" in viewer.text("header")
        viewer.screen.go_where(viewer.travel.want(BEGIN_NS + 3300 * NS_PER_S))
        await viewer.beat(1.0)
        assert viewer.at_s == 0.0  # it stands where it stood
        assert " → " in viewer.text("header")
        assert ", read 34 %" in viewer.text("header")
        viewer.timeline.span = viewer.timeline.span._replace(end_ns=BEGIN_NS + 3400 * NS_PER_S)
        await viewer.beat()
        assert viewer.at_s == 3300.0
        assert " → " not in viewer.text("header")


async def test_a_moment_that_is_not_read_yet_can_be_typed() -> None:
    async with viewing(FakeReplayed(read_share=0.34), read_s=3000.0) as viewer:
        assert viewer.screen.seek("+3300s") is None
        assert viewer.travel.awaited_ns == BEGIN_NS + 3300 * NS_PER_S


async def test_another_key_ends_the_waiting() -> None:
    async with viewing(FakeReplayed(read_share=0.34), read_s=3000.0) as viewer:
        viewer.screen.go_where(viewer.travel.want(BEGIN_NS + 3300 * NS_PER_S))
        await viewer.pilot.press("F")
        await viewer.beat()
        assert viewer.at_s == 3000.0
        assert viewer.travel.awaited_ns is None


async def test_what_is_waited_for_and_never_comes_ends_at_the_end() -> None:
    replayed = FakeReplayed(read_share=0.34)
    async with viewing(replayed, read_s=3000.0) as viewer:
        viewer.screen.go_where(viewer.travel.want(BEGIN_NS + 3300 * NS_PER_S))
        replayed.read_share, replayed.end_ns = 1.0, BEGIN_NS + 3000 * NS_PER_S
        replayed.failure = "run.0002.jsonl: \x1b[2JPermission denied"
        await viewer.beat()
        assert viewer.at_s == 3000.0
        assert "THE REST CANNOT BE READ · run.0002.jsonl:" in viewer.text("banner")
        assert "\x1b" not in viewer.text("banner")


@pytest.mark.parametrize(
    "key",
    ["plus", "minus", "less_than_sign", "right_curly_bracket", "b", "B", "c", "u", "p", "P", "m"],
)
async def test_nothing_can_be_turned(key: str) -> None:
    async with viewing(FakeReplayed()) as viewer:
        await viewer.pilot.press(key)
        await viewer.pilot.pause()
        assert viewer.notes[-1] == REPLAYED


async def test_what_is_missing_is_told_once() -> None:
    replayed = FakeReplayed(remarks=("run.0003.jsonl: 2 parts, 1 to 2, are left out: deleted",))
    async with viewing(replayed) as viewer:
        await viewer.beat(1.0)
        assert viewer.notes == [*replayed.remarks]
