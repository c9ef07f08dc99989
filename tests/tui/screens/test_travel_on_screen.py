"""The cockpit in the past: what its keys do, what it says, and that nobody waits for a disk."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import made
import made_page
import made_request
import pytest
from changed import replace
from fakes import FakeBoard, FakeClock, FakePast, FakeSession, FakeTimeline, config
from made_happenings import happening
from textual.pilot import Pilot

from probes.board.views import Happening, Marker, Snapshot
from probes.control.commands import Command, MarkTime, Pause, SetKnob
from probes.kit.clock import NS_PER_S
from tui.app import LlmtopApp
from tui.panes.pane import Pane
from tui.screens.cockpit import CockpitState
from tui.screens.home import HomeScreen
from tui.screens.live import LiveScreen
from tui.screens.request import RequestScreen
from tui.screens.route import RouteScreen

pytestmark = pytest.mark.anyio

KNOBS = ("plus", "minus", "asterisk", "less_than_sign", "right_curly_bracket", "u", "b", "B", "c")


class Traveller:
    """A running cockpit with an hour behind it, and what a test wants of it."""

    def __init__(self, app: LlmtopApp, session: FakeSession, pilot: Pilot[None]) -> None:
        self.app = app
        self.session = session
        self.pilot = pilot
        assert isinstance(session.timeline, FakeTimeline)
        self.timeline = session.timeline

    @property
    def screen(self) -> LiveScreen:
        return next(
            one
            for one in reversed(self.app.screen_stack)
            if isinstance(one, LiveScreen) and one.is_current
        )

    @property
    def cockpit(self) -> CockpitState:
        return self.screen.cockpit

    @property
    def commands(self) -> list[Command]:
        return [one for one in self.session.commands if not hasattr(one, "preview")]

    async def press(self, *keys: str) -> None:
        """Press keys and arrive where they lead to."""
        await self.start(*keys)
        await until(lambda: not self.cockpit.travel._is_going)
        await self.pilot.pause()

    async def start(self, *keys: str) -> None:
        """Press keys; the way may take longer."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    def text(self, pane: str) -> str:
        found = self.screen.query_one(f"#{pane}", Pane)
        if not found.display:
            return ""
        return "\n".join(found.render_line(y).text for y in range(found.size.height)).rstrip()

    @property
    def notes(self) -> list[str]:
        return [note.message for note in self.app._notifications]

    @property
    def ago_s(self) -> float:
        place = self.cockpit.travel.place()
        assert place is not None, "one is live"
        return (made.NOW_NS - place.at_ns) / NS_PER_S

    @property
    def is_live(self) -> bool:
        return self.cockpit.travel.is_live


async def until(true: Callable[[], object]) -> None:
    """Wait for a thread."""
    with anyio.fail_after(10):
        while not true():  # noqa: ASYNC110 - a thread sets it
            await anyio.sleep(0.001)


@asynccontextmanager
async def travelling(
    size: tuple[int, int] = (160, 50), *, recorded: bool = True, whole: Snapshot | None = None
) -> AsyncIterator[Traveller]:
    timeline = FakeTimeline(whole)
    calm = tuple(replace(row, state="ok") for row in timeline.whole.routes)
    timeline.whole = replace(timeline.whole, routes=calm)
    timeline.happenings = (
        happening(300, "recovered", "recovered, was down 5m00s", "eastus-gpt", state="down"),
        happening(600, "onset", "is down: 503", "eastus-gpt", state="down"),
        happening(1800, "mark", "deployed"),
    )
    board = FakeBoard() if whole is None else FakeBoard(whole)
    session = FakeSession(board=board, timeline=timeline if recorded else None)
    app = LlmtopApp(session, config(), FakeClock())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        if not recorded:
            session.timeline = timeline  # for the traveller's own use
        yield Traveller(app, session, pilot)


async def test_it_says_that_this_is_not_now_and_how_it_is_now() -> None:
    async with travelling() as it:
        assert "LIVE" in it.text("header")
        assert it.text("axis") == ""
        await it.press("left")
        assert ", 10s ago" in it.text("header")
        assert "LIVE" not in it.text("header")
        assert "live: ✖ 3 hurt  F now" in it.text("header")
        assert "┤ now" in it.text("axis")
        assert "6 ok" not in it.text("header")
        assert it.text("header").count("hurt") == 1, "none of what is shown hurts"
        await it.press("F")
        assert "LIVE" in it.text("header")
        assert it.text("axis") == ""


@pytest.mark.parametrize(
    ("keys", "ago_s"),
    [
        (("left", "left", "right"), 10),
        (("comma", "comma", "comma"), 3),
        (("left", "full_stop"), 9),
        (("left_square_bracket",), 300),
        (("alt+left", "alt+left"), 600),
        (("left_square_bracket",) * 3 + ("right_square_bracket",), 600),
    ],
)
async def test_keys_go_through_the_run(keys: tuple[str, ...], ago_s: int) -> None:
    async with travelling() as it:
        await it.press(*keys)
        assert it.ago_s == ago_s


async def test_at_the_ends_it_says_so_or_is_live() -> None:
    async with travelling() as it:
        await it.press("right_square_bracket")
        assert it.notes == ["Nothing is known to have happened after."]
        await it.press(*["left_square_bracket"] * 4)
        assert it.notes[-1] == "Nothing is known to have happened before."
        assert it.ago_s == 1800
        await it.press("F", "left", "right")
        assert it.is_live


async def test_the_axis_tells_what_had_happened_last() -> None:
    async with travelling() as it:
        await it.press("left_square_bracket", "left_square_bracket")
        assert "2/3 ✖ " in it.text("axis")
        assert "eastus-gpt is down: 503" in it.text("axis")
        assert "═" in it.text("axis")


async def test_every_screen_goes_through_time() -> None:
    async with travelling() as it:
        await it.press("enter")
        assert isinstance(it.screen, RouteScreen)
        await it.press("left", "left")
        assert ", 20s ago" in it.text("crumbs")
        assert "┤ now" in it.text("axis")
        await it.press("escape")
        assert isinstance(it.screen, HomeScreen)
        assert ", 20s ago" in it.text("header")
        assert "┤ now" in it.text("axis")


async def test_a_screen_that_is_closed_on_the_way_does_not_end_it() -> None:
    async with travelling() as it:
        await it.press("enter")
        it.timeline.open_road.clear()
        await it.start("left")
        await it.start("escape")
        assert isinstance(it.screen, HomeScreen)
        assert not it.is_live
        it.timeline.open_road.set()
        await it.press()
        assert ", 10s ago" in it.text("header")


async def test_on_the_way_what_was_shown_stays_whatever_is_pressed() -> None:
    """The board of the past fails a test that reads it while a thread moves it."""
    async with travelling() as it:
        await it.press("left")
        it.timeline.open_road.clear()
        await it.start("left")
        await until(lambda: len(it.timeline.ways) == 2)
        before = it.text("routes")
        await it.start("s", "s", "w", "j", "enter", "n", "escape", "6", "6", "space", "M", "M")
        await it.pilot.resize_terminal(120, 40)
        await it.pilot.pause()
        it.screen._beat()
        assert before
        it.timeline.open_road.set()
        await it.press()
        assert it.ago_s == 20


async def test_a_long_way_is_told() -> None:
    async with travelling() as it:
        await it.press("left")
        it.timeline.open_road.clear()
        await it.start("left")
        clock = it.cockpit.clock
        assert isinstance(clock, FakeClock)
        clock.now_ns += NS_PER_S
        it.screen.pull()
        await it.pilot.pause()
        assert " → " in it.text("header")
        it.timeline.open_road.set()
        await it.press()
        assert " → " not in it.text("header")


async def test_who_quits_does_not_wait_for_a_disk() -> None:
    timeline = None
    async with travelling() as it:
        timeline = it.timeline
        timeline.open_road.clear()
        await it.start("left")
        began = time.monotonic()
        await it.pilot.press("q")
    assert time.monotonic() - began < 5
    timeline.open_road.set()


async def test_without_a_recording_there_is_one_clear_line() -> None:
    async with travelling(recorded=False) as it:
        await it.start("left", "comma", "left_square_bracket")
        assert set(it.notes) == {"Nothing is recorded that one could go back to."}
        assert it.is_live
        assert "LIVE" in it.text("header")


async def test_what_cannot_be_read_is_one_line_and_it_is_live() -> None:
    async with travelling() as it:
        it.timeline.trouble = "run.jsonl: line 7 is damaged"
        await it.press("left")
        assert it.notes == ["run.jsonl: line 7 is damaged"]
        assert it.is_live
        assert "LIVE" in it.text("header")


async def test_a_frozen_screen_goes_from_its_own_moment() -> None:
    async with travelling() as it:
        await it.start("space")
        assert "FROZEN" in it.text("header")
        it.timeline.span = it.timeline.span._replace(end_ns=made.NOW_NS + 60 * NS_PER_S)
        await it.press("left")
        assert it.ago_s == 10
        assert "FROZEN" not in it.text("header")
        assert it.session.gathered[-1] == 0.0, "the board learns at once again"


# Knobs.


@pytest.mark.parametrize("key", KNOBS)
async def test_no_knob_turns_in_the_past(key: str) -> None:
    async with travelling() as it:
        await it.press("left")
        await it.start(key)
        assert it.commands == []
        (told,) = it.notes
        assert told == "This is 10s ago, and a knob would turn now. Back to now: F."
        await it.press("F")
        await it.start("plus")
        assert len(it.commands) == 1


async def test_a_knob_that_is_typed_is_refused_on_its_line() -> None:
    async with travelling() as it:
        await it.press("left")
        await it.start("colon", *"conc 4", "enter")
        assert it.commands == []
        assert it.notes == []
        await it.start("escape")


async def test_brakes_work_and_say_that_they_act_on_now() -> None:
    async with travelling() as it:
        await it.press("left")
        await it.start("P")
        (command,) = it.commands
        assert isinstance(command, Pause)
        assert command.paused
        assert it.notes == ["Now, not 10s ago: all routes paused."]
        await it.start("p")
        assert isinstance(it.commands[-1], Pause)


async def test_a_mark_is_about_the_moment_that_is_shown() -> None:
    async with travelling() as it:
        await it.start("m", *"live", "enter")
        await it.press("left")
        at = it.text("header").partition("◀ ")[2][:8]
        await it.start("m", *"deploy", "enter")
        about_ns = made.NOW_NS - 10 * NS_PER_S
        assert it.commands == [MarkTime(text="live"), MarkTime(text="deploy", about_ns=about_ns)]
        assert it.notes == [f"A mark is put at {at}."]


async def test_a_mark_that_was_put_later_stands_where_it_was_put_and_after_it() -> None:
    """The board of the past does not know it: it was not put yet."""
    async with travelling() as it:
        about_ns = made.NOW_NS - 20 * NS_PER_S
        put = Happening(
            at_ns=about_ns,
            kind="mark",
            text="deploy · put 20s later",
            put_ns=made.NOW_NS,
            note="deploy",
        )
        it.timeline.happenings = (put, *it.timeline.happenings)
        await it.press("left_square_bracket")
        assert it.ago_s == 20
        assert "deploy · put 20s later" in it.text("axis")
        for _ in range(2):
            latest = it.screen.latest
            assert put in latest.happenings
            (detail,) = latest.details.values()
            marks = detail.percentiles.markers
            assert Marker(about_ns, "deploy", "mark") in marks
            assert list(marks) == sorted(marks, key=lambda one: one.at_ns)
            await it.press("right")
        assert it.screen.latest.details, "and it is the same marks, so that no chart is drawn again"
        before = it.screen.latest
        it.screen.pull()
        for name, detail in it.screen.latest.details.items():
            assert detail.percentiles.markers is before.details[name].percentiles.markers
        await it.press("left", "left", "left")
        assert put not in it.screen.latest.happenings
        assert put in it.cockpit.frames.past().stops  # type: ignore[union-attr]


async def test_what_was_turned_before_can_be_undone_after() -> None:
    async with travelling() as it:
        await it.start("plus")
        await it.press("left")
        await it.start("u")
        assert len(it.commands) == 1
        await it.press("F")
        await it.start("u")
        assert [type(one) for one in it.commands] == [SetKnob, SetKnob]


# Seeking.


@pytest.mark.parametrize(
    ("typed", "ago_s"), [("-5m", 300), ("-90", 90), ("start", 3600), ("-2h", 3600)]
)
async def test_one_seeks_by_what_is_typed(typed: str, ago_s: int) -> None:
    async with travelling() as it:
        await it.press("colon", *f"seek {typed}", "enter")
        assert it.ago_s == ago_s


async def test_one_seeks_from_where_one_stands_and_back_to_now() -> None:
    async with travelling() as it:
        await it.press("colon", *"seek -5m", "enter")
        await it.press("colon", *"seek +1m", "enter")
        assert it.ago_s == 240
        await it.press("colon", *"seek now", "enter")
        assert it.is_live


async def test_a_time_that_is_none_of_the_run_stays_on_the_line() -> None:
    async with travelling() as it:
        await it.start("colon", *"seek lunch", "enter")
        assert it.is_live
        assert it.timeline.ways == []


# Playing.


async def test_space_plays_the_past_and_lets_it_stand() -> None:
    async with travelling() as it:
        clock = it.cockpit.clock
        assert isinstance(clock, FakeClock)
        await it.press("left_square_bracket")
        await it.start("right_parenthesis", "space")
        assert "▶ 10×" in it.text("header")
        assert "space pause" in it.text("footer")
        clock.now_ns += NS_PER_S // 10
        it.screen._beat()
        await it.press()
        assert it.ago_s == 299
        await it.start("space")
        assert "◀" in it.text("header")
        assert not it.cockpit.travel.is_playing


@pytest.mark.parametrize(("faster", "whole"), [(0, False), (1, True)])
async def test_what_is_played_fast_is_of_one_moment(faster: int, whole: bool) -> None:
    """Tables stand for half a second, in which ten times as much of the run has passed."""
    async with travelling() as it:
        clock = it.cockpit.clock
        assert isinstance(clock, FakeClock)
        await it.press("left_square_bracket")
        await it.start(*["right_parenthesis"] * faster, "space")
        rows = it.timeline.whole.routes
        it.timeline.whole = replace(
            it.timeline.whole, routes=(replace(rows[0], state="paused"), *rows[1:])
        )
        clock.now_ns += NS_PER_S // 10
        it.screen._beat()
        await it.press()
        assert ("paused" in it.text("routes")) == whole


async def test_live_there_is_nothing_to_play() -> None:
    async with travelling() as it:
        await it.start("right_parenthesis")
        assert it.notes == ["It is the past that can be played."]


# What else is of that moment, and what is of now.


async def test_the_title_of_the_terminal_tells_of_now() -> None:
    async with travelling() as it:
        titles: list[str] = []

        class Terminal:
            busy = False
            title = staticmethod(titles.append)

        await it.press("left")
        it.app._terminal = Terminal()  # type: ignore[assignment]
        it.app._show_title(it.cockpit)
        it.app._terminal = None
        assert titles == ["✖ 1 down · llmtop"]


async def test_the_banner_tells_of_now() -> None:
    async with travelling() as it:
        paused = tuple(replace(row, state="paused") for row in it.timeline.whole.routes)
        it.timeline.whole = replace(it.timeline.whole, routes=paused)
        await it.press("left")
        assert "ALL ROUTES PAUSED" not in it.text("banner")
        board = it.session.board
        board.whole = replace(board.whole, routes=paused)
        clock = it.cockpit.clock
        assert isinstance(clock, FakeClock)
        clock.now_ns += 2 * NS_PER_S
        it.screen.pull()
        await it.pilot.pause()
        assert "ALL ROUTES PAUSED" in it.text("banner")


async def test_names_are_masked_on_the_axis_too() -> None:
    async with travelling() as it:
        await it.press("left_square_bracket", "M")
        assert "eastus" not in it.text("axis")
        assert "masked" in it.text("header")


async def test_a_probe_is_looked_up_where_one_stands() -> None:
    asked: list[FakePast] = []
    async with travelling() as it:
        past = it.timeline.past()
        past.board.requests[(made_request.ROUTE, "1-7")] = made_request.RETRIED
        it.timeline.past = lambda: asked.append(past) or past  # type: ignore[func-returns-value, method-assign]
        await it.press("left")
        page = RequestScreen(it.cockpit, made_request.ROUTE, "1-7")
        await it.app.push_screen(page)
        await it.pilot.pause()
        assert page._request is made_request.RETRIED
        await it.press("F")
        assert page._request is made_request.RETRIED, "what it shows does not change"


async def test_a_probe_that_is_asked_for_on_the_way_is_looked_up_there() -> None:
    async with travelling() as it:
        past = it.timeline.past()
        past.board.requests[(made_request.ROUTE, "1-7")] = made_request.RETRIED
        it.timeline.past = lambda: past  # type: ignore[method-assign]
        await it.press("left")
        it.timeline.open_road.clear()
        await it.start("left")
        await until(lambda: len(it.timeline.ways) == 2)
        page = RequestScreen(it.cockpit, made_request.ROUTE, "1-7")
        await it.app.push_screen(page)
        await it.pilot.pause()
        assert page._request is None
        it.timeline.open_road.set()
        await it.press()
        assert page._request is made_request.RETRIED


async def test_now_is_compared_with_a_t0_of_the_past() -> None:
    async with travelling(whole=made_page.snapshot()) as it:
        it.screen.look(replace(it.screen.view, selected=made_page.VIEW.selected))
        await it.press("enter", "left", "T")
        page = it.screen.view.page
        assert page.t0_ns == made.NOW_NS - 10 * NS_PER_S
        await it.press("F", "0")
        assert it.screen.view.page.against_t0
        assert "T0" in it.text("figures")
        assert ", 10s ago" not in it.text("crumbs")


async def test_of_a_page_in_the_past_nothing_is_left_to_be_read() -> None:
    """Its probes are made when they are looked at; by then a thread may move their board."""
    whole, name = made_page.snapshot(), made_page.VIEW.selected or ""
    detail = whole.details[name]
    assert detail.page is not None
    lazy = replace(detail, page=replace(detail.page, probes=list(detail.page.probes)))
    whole = replace(whole, details={**whole.details, name: lazy})
    async with travelling(whole=whole) as it:
        it.screen.look(replace(it.screen.view, selected=name))
        await it.press("enter", "left")
        page = it.screen.latest.details[name].page
        assert page is not None
        assert type(page.probes) is tuple
        assert len(page.probes) == len(detail.page.probes)
