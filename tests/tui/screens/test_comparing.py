"""Tags, the menu, the question, and the page of a comparison."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import made
import made_comparison
import pytest
from changed import replace
from fakes import FakeReplayed, FakeSession, FakeTimeline
from made_comparison import FakeComparison, FakeComparisons
from test_home_screen import Cockpit, cockpit

from probes.comparing.arms import MOST_ARMS, ArmChange
from probes.control.commands import MarkTime
from tui.draw.text import line_text, line_width
from tui.panes.pane import Pane
from tui.panes.view import ARM_LETTERS
from tui.screens.compare_menu import CompareMenu, choices_for, menu_lines
from tui.screens.comparison import ComparisonScreen
from tui.screens.prompt import PromptLine
from tui.screens.route import RouteScreen

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def comparing(
    size: tuple[int, int] = (160, 50),
) -> AsyncIterator[tuple[Cockpit, FakeComparisons]]:
    source = FakeComparisons()
    async with cockpit(size, FakeSession(comparisons=source)) as it:
        yield it, source


def shown(it: Cockpit) -> str:
    pane = it.app.screen.query_one("#comparison", Pane)
    return "\n".join(pane.render_line(y).text for y in range(pane.size.height))


def strip(it: Cockpit, name: str = "#header") -> str:
    return it.app.screen.query_one(name, Pane).render_line(0).text


def toasts(it: Cockpit) -> str:
    return " ".join(str(one.message) for one in it.app._notifications)


def marks(it: Cockpit) -> list[str]:
    return [one.text for one in it.session.commands if isinstance(one, MarkTime)]


def question(it: Cockpit) -> str:
    (prompt,) = it.app.screen.query(PromptLine)
    return " ".join(str(part.render()) for part in prompt.query("Static"))


async def ask_and_agree(it: Cockpit, source: FakeComparisons) -> FakeComparison:
    """Compare the first two rows."""
    await it.press("g", "t", "j", "t", "C", "y")
    await it.pilot.pause()
    return source.made[-1]


def test_there_is_a_letter_for_each_arm() -> None:
    assert len(ARM_LETTERS) == MOST_ARMS


# Tags.


async def test_a_tag_is_a_letter_in_the_row_and_goes_again() -> None:
    async with comparing() as (it, _):
        before = it.text("#routes").splitlines()
        await it.press("g", "t", "j", "t")
        rows = it.text("#routes").splitlines()
        assert [row[1] for row in rows[1:4]] == ["A", "B", " "]
        assert rows[1][0] == " "
        assert rows[2][0] == "▸"
        assert rows[1][2:6] == before[1][1:5]
        title = str(it.board.query_one("#routes", Pane).border_title)
        assert "2 tagged, C compares" in title
        await it.press("k", "t")
        assert [row[1] for row in it.text("#routes").splitlines()[1:3]] == [" ", "A"]
        assert "1 tagged ·" in str(it.board.query_one("#routes", Pane).border_title)


async def test_a_fifth_is_not_tagged_and_told_why() -> None:
    async with comparing() as (it, _):
        await it.press("g", "t", "j", "t", "j", "t", "j", "t", "j", "t")
        assert len(it.board.view.tagged) == MOST_ARMS
        assert "4 are tagged, and more are not compared at once: t on one" in toasts(it)


async def test_escape_takes_the_tags_away_before_it_gives_the_cursor_back() -> None:
    async with comparing() as (it, _):
        await it.press("g", "j", "t", "escape")
        assert it.board.view.tagged == ()
        assert it.board.view.selected is not None
        await it.press("escape")
        assert it.board.view.selected is None


async def test_tags_can_be_typed() -> None:
    async with comparing() as (it, _):
        await it.press("colon", *"tag busy", "enter")
        assert it.board.view.tagged == ("busy-llama",)
        await it.press("colon", *"untag", "enter")
        assert it.board.view.tagged == ()
        await it.press("colon", *"tag", "enter")
        await it.pilot.pause()
        assert len(it.board.view.tagged) == 1


async def test_the_page_of_a_route_tells_its_tag() -> None:
    async with comparing() as (it, _):
        await it.press("enter")
        assert isinstance(it.app.screen, RouteScreen)
        await it.press("t")
        assert "tagged A" in strip(it, "#crumbs")
        await it.press("t")
        assert "tagged" not in strip(it, "#crumbs")


# The question.


async def test_nothing_is_sent_before_a_yes() -> None:
    async with comparing() as (it, source):
        await it.press("g", "t", "j", "t", "C")
        assert "up to 300 pairs, 51k tokens, $0.03? y n" in question(it)
        (comparison,) = source.made
        assert comparison.runs == 0
        await it.press("n")
        assert not it.app.screen.query(PromptLine)
        assert comparison.runs == 0
        assert not marks(it)


async def test_it_is_asked_about_the_tagged_routes_in_their_order() -> None:
    async with comparing() as (it, source):
        names = [row.name for row in it.board.latest.routes]
        await it.press("g", "j", "t", "k", "t", "j", "j", "t", "C")
        assert source.proposed == [((names[1], names[0], names[2]), None)]
        told = question(it)
        assert f"compare A {names[1]} against B {names[0]} against C {names[2]}" in told


async def test_a_yes_begins_it_and_shows_its_page() -> None:
    async with comparing() as (it, source):
        comparison = await ask_and_agree(it, source)
        assert comparison.runs == 1
        assert isinstance(it.app.screen, ComparisonScreen)
        comparison.go_on(made_comparison.view())
        it.app.screen.pull()
        await it.pilot.pause()
        assert "×1.22 to ×1.49" in shown(it)
        assert made_comparison.SENTENCE[:60] in shown(it)
        first, second = source.proposed[0][0]
        assert marks(it) == [f"comparison begun: {first} against {second}"]


async def test_what_cannot_be_compared_is_told() -> None:
    async with comparing() as (it, source):
        source.refusal = "the key of alpha goes to its own host alone"
        await it.press("g", "t", "j", "t", "C")
        assert source.refusal in toasts(it)
        assert not it.app.screen.query(PromptLine)


async def test_prices_that_are_not_known_are_told_before_it_begins() -> None:
    async with comparing() as (it, source):
        await it.press("g", "t", "j", "t")
        cost = replace(made_comparison.COST, usd=None, unpriced=("eastus-gpt",))
        source_propose = source.propose

        def propose(routes: tuple[str, ...], change: ArmChange | None = None) -> FakeComparison:
            found = source_propose(routes, change)
            found.view = replace(found.view, cost=cost)
            return found

        source.propose = propose  # type: ignore[method-assign]
        await it.press("C")
        told = question(it)
        assert "up to 300 pairs, 51k tokens? y n" in told
        assert "no price is known of eastus-gpt" in told


async def test_a_recording_asks_nothing() -> None:
    async with cockpit((160, 50), FakeSession(replayed=FakeReplayed())) as it:
        await it.press("C")
        assert "A recording asks nothing" in toasts(it)


async def test_what_is_probed_from_elsewhere_is_compared_there() -> None:
    async with cockpit() as it:
        await it.press("C")
        assert "That is probed elsewhere: compare it there" in toasts(it)


# The menu.


async def test_without_tags_a_menu_tells_what_can_be_changed_of_the_route() -> None:
    async with comparing() as (it, source):
        await it.press("g", "C")
        menu = it.app.screen
        assert isinstance(menu, CompareMenu)
        name = it.board.latest.routes[0].name
        assert f"compare {name}" in menu.lines.parent.border_title
        await it.press("j", "j", "enter")
        assert source.proposed == [((name,), ArmChange("prompt", "4000"))]
        await it.press("escape", "C", "1")
        assert source.proposed[-1] == ((name,), ArmChange("fresh"))
        await it.press("escape", "C", "escape")
        assert it.app.screen is it.board


async def test_the_menu_compares_with_another_route_too() -> None:
    async with comparing() as (it, source):
        await it.press("g", "C", "4")
        ((routes, change),) = source.proposed
        assert routes[0] == it.board.latest.routes[0].name
        assert len(routes) == 2
        assert change is None


async def test_one_tagged_route_is_the_one_of_the_menu() -> None:
    async with comparing() as (it, source):
        await it.press("g", "t", "j", "j", "C", "1")
        assert source.proposed == [((it.board.latest.routes[0].name,), ArmChange("fresh"))]


async def test_a_change_can_be_typed() -> None:
    async with comparing() as (it, source):
        name = it.board.latest.routes[0].name
        await it.press("g", "colon", *"compare prompt=8000", "enter")
        await it.pilot.pause()
        assert source.proposed == [((name,), ArmChange("prompt", "8000"))]
        await it.press("escape", "colon", *"compare promt=1", "enter")
        await it.pilot.pause()
        assert "got promt, expected one of fresh, stream, prompt, base-url" in toasts(it)


def test_routes_of_the_same_model_come_first() -> None:
    rows = (
        replace(made.route("a"), model="m"),
        replace(made.route("b"), model="other"),
        replace(made.route("c"), model="m"),
    )
    heads = [one.head for one in choices_for((), rows[0], rows, None)]
    assert heads[-2:] == ["against c", "against b"]
    tagged = choices_for(("b", "c"), rows[0], rows, made_comparison.view())
    assert tagged[0].routes == ("b", "c")
    assert [one for one in tagged if one.is_last]


def test_a_route_of_long_prompts_is_compared_with_a_short_one() -> None:
    row = replace(made.route("a"), input_tokens=3_000.0)
    (found,) = [
        one.change
        for one in choices_for((), row, (row,), None)
        if one.change and one.change.kind == "prompt"
    ]
    assert found.value == "100"


@pytest.mark.parametrize("width", [20, 60, 96])
def test_the_menu_is_no_wider_than_its_place(width: int) -> None:
    rows = tuple(made.route(f"route-of-a-very-long-name-{at}漢字") for at in range(12))
    choices = choices_for((), rows[0], rows, None)
    lines = menu_lines(choices, width, 2)
    assert len(lines) == len(choices)
    assert all(line_width(line) <= width for line in lines)
    whole = menu_lines(choices, 400, 2)
    for line, full in zip(lines, whole, strict=True):
        assert line_text(line) == line_text(full) or "…" in line_text(line)


# While it runs.


async def test_it_goes_on_behind_other_screens_and_the_header_tells() -> None:
    async with comparing() as (it, source):
        comparison = await ask_and_agree(it, source)
        comparison.go_on(made_comparison.view())
        await it.press("escape")
        assert it.app.screen is it.board
        it.board.pull()
        await it.pilot.pause()
        assert "comparing 84/300" in strip(it)
        await it.press("enter")
        assert "comparing 84/300" in strip(it, "#crumbs")
        await it.press("C")
        assert isinstance(it.app.screen, ComparisonScreen)
        assert "comparing 84/300" not in strip(it, "#crumbs")


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (160, 50)])
async def test_that_it_runs_is_told_at_any_width(size: tuple[int, int]) -> None:
    async with comparing(size) as (it, source):
        comparison = await ask_and_agree(it, source)
        comparison.go_on(made_comparison.view())
        await it.press("escape")
        it.board.pull()
        await it.pilot.pause()
        assert "comparing 84/300" in strip(it)


async def test_a_frozen_screen_tells_how_far_it_is() -> None:
    async with comparing() as (it, source):
        comparison = await ask_and_agree(it, source)
        await it.press("escape", "space")
        comparison.go_on(made_comparison.view())
        it.board.pull()
        await it.pilot.pause()
        assert "comparing 84/300" in strip(it)


@pytest.mark.parametrize("key", ["x", "s"])
async def test_it_can_be_stopped_and_stands_as_it_was(key: str) -> None:
    async with comparing() as (it, source):
        comparison = await ask_and_agree(it, source)
        comparison.go_on(made_comparison.view())
        await it.press(key)
        await it.pilot.pause()
        it.app.screen.pull()
        assert comparison.stopped == 1
        assert "‖ stopped" in shown(it)
        assert marks(it)[-1].startswith("comparison over: So far busy-llama takes ×1.35")
        await it.press(key)
        assert "It is over" in toasts(it)


async def test_one_is_compared_at_a_time() -> None:
    async with comparing() as (it, source):
        await ask_and_agree(it, source)
        await it.press("C")
        assert isinstance(it.app.screen, ComparisonScreen)
        await it.press("escape", "colon", *"compare fresh", "enter")
        await it.pilot.pause()
        assert len(source.made) == 1
        assert "One at a time: x on its page stops the one that runs." in toasts(it)


async def test_an_end_that_nobody_saw_is_told_until_it_is_seen() -> None:
    async with comparing() as (it, source):
        comparison = await ask_and_agree(it, source)
        await it.press("escape")
        comparison.go_on(made_comparison.view(state="decided"))
        await it.pilot.pause()
        it.board.pull()
        await it.pilot.pause()
        assert "comparison over: C" in strip(it)
        await it.press("C")
        assert "✓ decided" in shown(it)
        await it.press("escape")
        assert "comparison over" not in strip(it)


async def test_the_last_one_stays_behind_the_key() -> None:
    async with comparing() as (it, source):
        comparison = await ask_and_agree(it, source)
        comparison.go_on(made_comparison.view(state="decided"))
        await it.pilot.pause()
        it.app.screen.pull()
        await it.press("escape", "escape", "C")
        menu = it.app.screen
        assert isinstance(menu, CompareMenu)
        place = next(at for at, one in enumerate(menu.lines.choices) if one.is_last)
        await it.press(str(place + 1))
        assert isinstance(it.app.screen, ComparisonScreen)
        await it.press("C")
        assert isinstance(it.app.screen, CompareMenu)
        assert not any(one.is_last for one in it.app.screen.lines.choices)


async def test_one_that_breaks_is_told_and_the_cockpit_goes_on() -> None:
    async with comparing() as (it, source):
        comparison = await ask_and_agree(it, source)
        comparison.breaks = OSError("no more processes")
        comparison.ended.set()
        await it.pilot.pause()
        it.app.screen.pull()
        assert "✖ failed" in shown(it)
        assert "It broke off: OSError: no more processes" in shown(it)
        assert marks(it)[-1] == "comparison over: It broke off: OSError: no more processes"


async def test_it_ends_with_the_cockpit() -> None:
    async with comparing() as (it, source):
        comparison = await ask_and_agree(it, source)
        assert comparison.stopped == 0
    assert comparison.stopped == 1
    assert comparison.ended.is_set()


async def test_the_page_scrolls_where_it_is_longer_than_the_screen() -> None:
    async with comparing((60, 20)) as (it, source):
        comparison = await ask_and_agree(it, source)
        comparison.go_on(made_comparison.view("a", "b", "c", "d"))
        it.app.screen.pull()
        await it.pilot.pause()
        top = shown(it)
        assert "lines 1–" in str(it.app.screen.query_one("#comparison", Pane).border_title)
        await it.press("G")
        assert shown(it) != top
        await it.press("g")
        assert shown(it) == top


async def test_the_page_can_be_copied() -> None:
    async with comparing() as (it, source):
        comparison = await ask_and_agree(it, source)
        comparison.go_on(made_comparison.view(state="decided"))
        it.app.screen.pull()
        await it.press("y")
        assert made_comparison.SENTENCE[:50] in it.app.clipboard
        assert "×1.22 to ×1.49" in it.app.clipboard
        assert all(len(line) <= 100 for line in it.app.clipboard.splitlines())


async def test_back_in_time_it_compares_now_and_says_so() -> None:
    source = FakeComparisons()
    session = FakeSession(comparisons=source, timeline=FakeTimeline())
    async with cockpit((160, 50), session) as it:
        await it.press("left")
        await it.app.workers.wait_for_complete()
        assert not it.board.cockpit.travel.is_live
        await it.press("g", "t", "j", "t", "C")
        assert "it compares now, not at the moment of the past" in question(it)
        await it.press("y")
        await it.pilot.pause()
        assert "it compares now, not in the past that is shown" in shown(it)
        assert ", 10s ago" in strip(it, "#crumbs")
        assert "┤ now" in strip(it, "#axis"), "as on every page of the past"
        source.made[0].go_on(made_comparison.view())
        it.app.screen._beat()
        await it.pilot.pause()
        assert "×1.22 to ×1.49" in shown(it), "it goes on though the past stands still"
        await it.press("left")
        await it.app.workers.wait_for_complete()
        assert ", 20s ago" in strip(it, "#crumbs")
        await it.press("F")
        assert not it.app.screen.query_one("#axis").display
        assert "it compares now" not in shown(it)


@pytest.mark.parametrize(("rows", "is_there"), [(8, True), (7, False)])
async def test_the_axis_goes_where_the_page_would_have_no_room(rows: int, is_there: bool) -> None:
    source = FakeComparisons()
    session = FakeSession(comparisons=source, timeline=FakeTimeline())
    async with cockpit((80, rows), session) as it:
        await it.press("g", "t", "j", "t", "C", "y")
        await it.pilot.pause()
        await it.press("left")
        await it.app.workers.wait_for_complete()
        assert it.app.screen.query_one("#axis").display is is_there


async def test_names_are_masked() -> None:
    async with comparing() as (it, source):
        await it.press("M", "g", "t", "j", "t", "C")
        names = [row.name for row in it.session.board.whole.routes]
        assert not [name for name in names if name in question(it)]
        await it.press("y")
        await it.pilot.pause()
        shown_names = source.proposed[0][0]
        words = f"{shown_names[1]} is slower than {shown_names[0]}"
        source.made[0].go_on(made_comparison.view(*shown_names, sentence=words))
        it.app.screen.pull()
        await it.pilot.pause()
        everything = shown(it) + strip(it, "#crumbs")
        assert not [name for name in names if name in everything]
        assert "is slower than route" in everything
        await it.press("M")
        assert words in shown(it)
