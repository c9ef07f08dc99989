"""The question, the page of a sweep, and what is told of it elsewhere."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import made_sweep
import pytest
from changed import replace
from fakes import FakeReplayed, FakeSession
from made_sweep import FakeSweep, FakeSweeps
from test_comparing import marks, question, strip, toasts
from test_home_screen import Cockpit, cockpit

from probes.control.commands import Pause
from probes.events import Alert, Harm
from tui.panes.pane import Pane
from tui.screens.prompt import PromptLine
from tui.screens.route import RouteScreen
from tui.screens.sweep import SweepScreen

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def sweeping(
    size: tuple[int, int] = (160, 50), *, refusal: str = ""
) -> AsyncIterator[tuple[Cockpit, FakeSweeps]]:
    source = FakeSweeps(refusal)
    async with cockpit(size, FakeSession(sweeps=source)) as it:
        yield it, source


def shown(it: Cockpit) -> str:
    pane = it.app.screen.query_one("#sweep", Pane)
    return "\n".join(pane.render_line(y).text for y in range(pane.size.height))


async def drawn(it: Cockpit) -> None:
    """Draw what there is now."""
    await it.pilot.pause()
    it.app.screen.pull()
    await it.pilot.pause()


async def ask_and_agree(it: Cockpit, source: FakeSweeps) -> FakeSweep:
    """Sweep the route of the page that is opened."""
    await it.press("g", "enter", "K", "y")
    await it.pilot.pause()
    return source.made[-1]


async def test_nothing_is_sent_before_a_yes() -> None:
    async with sweeping() as (it, source):
        await it.press("g", "enter", "K")
        assert isinstance(it.app.screen, RouteScreen)
        told = question(it)
        assert "from 1 at once up to 32 at once, some 8m00s at most" in told
        assert "up to 16 steps, 3.4k probes, 278k tokens, $0." in told
        await it.press("n")
        assert source.made[-1].runs == 0
        assert not it.app.screen.query(PromptLine)
        assert marks(it) == []


async def test_a_yes_begins_it_shows_its_page_and_marks_the_timeline() -> None:
    async with sweeping() as (it, source):
        sweep = await ask_and_agree(it, source)
        assert sweep.runs == 1
        assert isinstance(it.app.screen, SweepScreen)
        name = source.proposed[0][0]
        assert marks(it) == [f"sweep begun: {name}, up to 32 at once: its load is ours"]
        sweep.go_on(made_sweep.view(name))
        await drawn(it)
        assert "So far: within goals up to 16 at once" in shown(it)
        assert f"sweep ▸ {name}" in strip(it, "#crumbs")
        sweep.go_on(made_sweep.view(name, state="done"))
        await drawn(it)
        assert marks(it)[-1].startswith("sweep over: Within goals up to 16 at once")
        assert "✓ done" in shown(it)


async def test_nobody_is_called_for_what_its_route_suffers_meanwhile() -> None:
    async with sweeping() as (it, source):
        sweep = await ask_and_agree(it, source)
        name = source.proposed[0][0]
        harm = Harm("nothing_answered", name)
        suffers = Alert(
            at_ns=2, id="a1", state="firing", kind="incident", routes=(name,), since_ns=1, harm=harm
        )
        attention = it.app.screen.cockpit.desk.attention
        during_ns = attention.muted_until_ns(suffers)
        sweep.go_on(made_sweep.view(name, state="done"))
        await drawn(it)
        after_ns = attention.muted_until_ns(suffers)
        assert during_ns is not None
        assert after_ns is not None
        # Of the eight minutes that it was to take at most, none had passed.
        assert 470 < (during_ns - after_ns) / 1e9 <= 480


def pauses(it: Cockpit) -> list[tuple[str, bool]]:
    return [(one.route, one.paused) for one in it.session.commands if isinstance(one, Pause)]


async def test_the_runs_own_probes_of_the_route_pause_until_it_is_over() -> None:
    async with sweeping() as (it, source):
        sweep = await ask_and_agree(it, source)
        name = source.proposed[0][0]
        assert pauses(it) == [(name, True)]
        sweep.go_on(made_sweep.view(name, state="done"))
        await drawn(it)
        assert pauses(it) == [(name, True), (name, False)]


async def test_a_route_that_was_paused_before_stays_so() -> None:
    async with sweeping() as (it, source):
        await it.press("g", "p", "enter", "K", "y")
        await it.pilot.pause()
        before = pauses(it)
        source.made[-1].go_on(made_sweep.view(source.proposed[0][0], state="done"))
        await drawn(it)
        assert pauses(it) == before


async def test_a_route_that_somebody_resumed_meanwhile_is_left_alone() -> None:
    async with sweeping() as (it, source):
        sweep = await ask_and_agree(it, source)
        name = source.proposed[0][0]
        it.session.command(Pause(paused=False, route=name))
        sweep.go_on(made_sweep.view(name, state="done"))
        await drawn(it)
        assert pauses(it) == [(name, True), (name, False)]


async def test_it_goes_on_behind_other_screens_and_the_header_tells_for_how_much_it_asks() -> None:
    async with sweeping() as (it, source):
        sweep = await ask_and_agree(it, source)
        sweep.go_on(made_sweep.view())
        await it.press("escape")
        await drawn(it)
        assert "sweeping at 20" in strip(it, "#crumbs")
        await it.press("escape")
        await drawn(it)
        assert "sweeping at 20" in strip(it)
        sweep.go_on(made_sweep.view(state="done"))
        await drawn(it)
        assert "sweep over: K" in strip(it)
        await it.press("K")
        assert isinstance(it.app.screen, SweepScreen)
        await it.press("escape")
        await drawn(it)
        assert "sweep" not in strip(it)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (160, 50), (300, 100)])
async def test_that_it_runs_is_told_at_any_width(size: tuple[int, int]) -> None:
    async with sweeping(size) as (it, source):
        sweep = await ask_and_agree(it, source)
        sweep.go_on(made_sweep.view())
        await drawn(it)
        assert "running" in shown(it)
        await it.press("escape", "escape")
        await drawn(it)
        assert "sweeping" in strip(it)


@pytest.mark.parametrize("key", ["x", "s"])
async def test_it_can_be_stopped_and_stands_as_it_was(key: str) -> None:
    async with sweeping() as (it, source):
        sweep = await ask_and_agree(it, source)
        sweep.go_on(made_sweep.view())
        await it.press(key)
        await drawn(it)
        assert sweep.stopped == 1
        assert "‖ stopped" in shown(it)
        await it.press(key)
        assert sweep.stopped == 1
        assert "It is over" in toasts(it)


async def test_there_is_one_at_a_time_and_its_key_shows_it() -> None:
    async with sweeping() as (it, source):
        await ask_and_agree(it, source)
        await it.press("escape", "K")
        await it.pilot.pause()
        assert isinstance(it.app.screen, SweepScreen)
        assert len(source.made) == 1
        await it.press("colon", *"sweep max=4", "enter")
        await it.pilot.pause()
        assert "One at a time: x on its page stops the one that runs." in toasts(it)
        assert len(source.made) == 1


async def test_on_its_page_the_key_sweeps_once_more() -> None:
    async with sweeping() as (it, source):
        sweep = await ask_and_agree(it, source)
        sweep.go_on(made_sweep.view(source.proposed[0][0], state="done"))
        await drawn(it)
        await it.press("escape", "K")
        await it.pilot.pause()
        assert isinstance(it.app.screen, SweepScreen)
        await it.press("K", "y")
        await it.pilot.pause()
        assert len(source.made) == 2
        assert source.made[1].runs == 1


async def test_how_it_is_to_sweep_can_be_typed() -> None:
    async with sweeping() as (it, source):
        await it.press("g", "colon", *"sweep by=rate max=4", "enter")
        await it.pilot.pause()
        assert source.proposed[0][1] == "by=rate max=4"
        assert it.app.screen.query(PromptLine)


async def test_what_cannot_be_swept_so_is_told() -> None:
    async with sweeping(refusal="max: got many, expected a number") as (it, source):
        await it.press("g", "K")
        assert "max: got many, expected a number" in toasts(it)
        assert source.made == []


async def test_a_recording_asks_nothing() -> None:
    async with cockpit((160, 50), FakeSession(replayed=FakeReplayed())) as it:
        await it.press("g", "K")
        assert "A recording asks nothing" in toasts(it)


async def test_what_is_probed_from_elsewhere_is_swept_there() -> None:
    async with cockpit((160, 50), FakeSession()) as it:
        await it.press("g", "K")
        assert "That is probed elsewhere: sweep it there" in toasts(it)


async def test_one_that_breaks_is_told() -> None:
    async with sweeping() as (it, source):
        sweep = await ask_and_agree(it, source)
        sweep.breaks = RuntimeError("boom")
        sweep.ended.set()
        await drawn(it)
        assert "It broke off: RuntimeError: boom" in shown(it)
        assert "✖ failed" in shown(it)


async def test_names_are_masked_where_the_screen_is() -> None:
    async with sweeping() as (it, source):
        sweep = await ask_and_agree(it, source)
        name = source.proposed[0][0]
        ill = replace(made_sweep.view(name), sentence=f"{name} is slow", doing=f"asks {name}")
        sweep.go_on(ill)
        await it.press("M")
        await drawn(it)
        assert name not in shown(it)
        assert name not in strip(it, "#crumbs")


async def test_the_page_can_be_copied() -> None:
    async with sweeping() as (it, source):
        sweep = await ask_and_agree(it, source)
        sweep.go_on(made_sweep.view())
        await drawn(it)
        await it.press("y")
        assert "within goals up to 16 at once" in it.app.clipboard
        assert "●16" in it.app.clipboard


async def test_the_end_of_the_cockpit_ends_it() -> None:
    async with sweeping() as (it, source):
        sweep = await ask_and_agree(it, source)
    assert sweep.stopped == 1
