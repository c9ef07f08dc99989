"""Keys on the home screen: what they send, and what they change on the screen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import made
import pytest
from changed import replace
from fakes import FakeBoard, FakeClock, FakeSession, FakeStatus, config
from grid import Grid
from textual.geometry import Region
from textual.pilot import Pilot
from textual.widgets import Input

from probes.board.views import PaceView, RetryView, Snapshot
from probes.config import Config
from probes.control.commands import (
    AcceptUsual,
    Burst,
    Command,
    EndCoolDown,
    Pause,
    SetKnob,
    WatchText,
)
from probes.kit.clock import NS_PER_S
from tui.app import LlmtopApp
from tui.panes.pane import Pane
from tui.screens.cockpit import CockpitState
from tui.screens.help import HelpScreen
from tui.screens.home import HomeScreen
from tui.screens.route import RouteScreen

pytestmark = pytest.mark.anyio


class Cockpit:
    """A running cockpit and what a test wants of it."""

    def __init__(
        self, app: LlmtopApp, session: FakeSession, pilot: Pilot[None], clock: FakeClock
    ) -> None:
        self.app = app
        self.session = session
        self.pilot = pilot
        self.clock = clock

    @property
    def board(self) -> HomeScreen:
        screen = self.app.screen_stack[1]
        assert isinstance(screen, HomeScreen)
        return screen

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    def text(self, selector: str) -> str:
        pane = self.board.query_one(selector, Pane)
        return "\n".join(pane.render_line(y).text for y in range(pane.size.height))

    def shown(self) -> set[int]:
        numbered = self.board.query("Pane.numbered").results(Pane)
        return {pane.spec.number for pane in numbered if pane.is_on_screen}

    def opened(self) -> set[int]:
        numbered = self.board.query("Pane.numbered").results(Pane)
        return {p.spec.number for p in numbered if p.is_on_screen and not p.folded}


@asynccontextmanager
async def cockpit(
    size: tuple[int, int] = (160, 50),
    session: FakeSession | None = None,
    settings: Config | None = None,
) -> AsyncIterator[Cockpit]:
    session = session or FakeSession()
    clock = FakeClock()
    app = LlmtopApp(session, settings or config(), clock)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        yield Cockpit(app, session, pilot, clock)


@pytest.mark.parametrize(("size", "lines"), [((160, 50), 3), ((80, 24), 2), ((80, 9), 1)])
async def test_verdicts_stand_under_the_header_as_many_as_there_is_room_for(
    size: tuple[int, int], lines: int
) -> None:
    async with cockpit(size) as screen:
        verdicts = screen.board.query_one("#verdicts", Pane)
        assert verdicts.region == Region(0, 1, size[0], lines)
        told = screen.text("#verdicts").splitlines()
        assert told[0].startswith(" ✖ eastus-gpt ")
        assert told[-1].rstrip().endswith(f" +{5 - lines} n")


async def test_verdicts_come_and_go_with_what_is_wrong() -> None:
    mild = (made.route("busy-llama", "slow"),)
    session = FakeSession(board=FakeBoard(made.snapshot(incidents=(), recoveries=(), routes=mild)))
    async with cockpit(session=session) as screen:
        assert not screen.board.query_one("#verdicts", Pane).display
        assert screen.board.query_one("#routes", Pane).region.y == 1
        session.board.whole = made.snapshot(incidents=made.incidents()[:1], version=2, routes=mild)
        screen.board.pull()
        await screen.pilot.pause()
        assert screen.board.query_one("#verdicts", Pane).region == Region(0, 1, 160, 2)
        assert "✓ deepseek-eu recovered" in screen.text("#verdicts")
        session.board.whole = made.snapshot(incidents=(), recoveries=(), version=3, routes=mild)
        screen.board.pull()
        await screen.pilot.pause()
        assert screen.board.query_one("#routes", Pane).region.y == 1


@pytest.mark.parametrize(
    ("key", "command"),
    [
        ("+", SetKnob(route="busy-llama", knob="concurrency", value=9.0)),
        ("-", SetKnob(route="busy-llama", knob="concurrency", value=7.0)),
        ("*", SetKnob(route="busy-llama", knob="concurrency", value=16.0)),
        ("_", SetKnob(route="busy-llama", knob="concurrency", value=4.0)),
        ("<", SetKnob(route="busy-llama", knob="interval", value=2.0)),
        (">", SetKnob(route="busy-llama", knob="interval", value=10.0)),
        ("{", SetKnob(route="busy-llama", knob="max_tokens", value=32.0)),
        ("}", SetKnob(route="busy-llama", knob="max_tokens", value=128.0)),
        ("b", Burst(route="busy-llama", count=8)),
        ("B", Burst(route="busy-llama", count=1)),
        ("p", Pause(route="busy-llama", paused=True)),
        ("P", Pause(paused=True, cancel=True)),
        ("c", EndCoolDown(route="busy-llama")),
        ("v", WatchText(route="busy-llama")),
    ],
)
async def test_a_knob_sends_its_command(key: str, command: Command) -> None:
    async with cockpit() as it:
        await it.press("j", key)
        assert it.session.commands == [command]


@pytest.mark.parametrize(("key", "rate"), [("<", 5.0), (">", 2.0)])
async def test_the_keys_of_the_pace_turn_the_rate_of_an_open_one(key: str, rate: float) -> None:
    pace = PaceView(kind="poisson", rate=3.0)
    rows = (made.route("busy-llama", pace=pace), made.route("queue-eu"))
    session = FakeSession(board=FakeBoard(made.snapshot(routes=rows, incidents=())))
    async with cockpit(session=session) as it:
        await it.press("g", key)
        assert it.session.commands == [SetKnob(route="busy-llama", knob="rate", value=rate)]
        await it.press("u")
        assert it.session.commands[-1] == SetKnob(route="busy-llama", knob="rate", value=3.0)


async def test_a_new_level_is_taken_for_the_usual_one() -> None:
    async with cockpit() as it:
        rows = it.board.cockpit.frames.latest.routes
        queueing = next(row for row in rows if row.name == "queue-eu")
        await it.press("j", "j")
        assert it.board.view.selected == queueing.name
        await it.press("U")
        assert it.session.commands == [AcceptUsual(route="queue-eu")]
        assert not it.app._notifications


async def test_where_no_new_level_is_open_nothing_is_taken_for_the_usual_one() -> None:
    async with cockpit() as it:
        await it.press("j", "U")
        assert it.board.view.selected == "busy-llama", "it throttles us, and has no new level"
        assert it.session.commands == []
        assert [told.message for told in it.app._notifications] == [
            "No new level is open on this route; what fails is never the usual."
        ]


async def test_keys_add_up_and_undo_one_another_on_a_screen_that_stands_still() -> None:
    async with cockpit() as it:
        await it.press("j", "space", "+", "p")
        it.clock.now_ns += 60 * NS_PER_S
        await it.press("+", "p")
        assert it.session.commands == [
            SetKnob(route="busy-llama", knob="concurrency", value=9.0),
            Pause(route="busy-llama", paused=True),
            SetKnob(route="busy-llama", knob="concurrency", value=10.0),
            Pause(route="busy-llama", paused=False),
        ]


async def test_the_cursor_moves_and_its_row_is_marked() -> None:
    async with cockpit() as it:
        await it.press("j", "down", "k")
        assert it.board.view.selected == "busy-llama"
        row = next(line for line in it.text("#routes").splitlines() if "▸" in line)
        assert "busy-llama" in row
        assert "busy-llama" in str(it.board.query_one("#arrival").border_title)
        await it.press("G")
        assert it.board.view.selected == "new-route"
        await it.press("g")
        assert it.board.view.selected is None
        assert "eastus-gpt" in str(it.board.query_one("#arrival").border_title)


async def test_the_cursor_follows_the_worst_until_the_user_moves_it_and_again_after_esc() -> None:
    async with cockpit() as it:
        routes = it.board.query_one("#routes", Pane)
        rows = made.routes()

        async def looks_worst(name: str) -> None:
            worst = next(row for row in rows if row.name == name)
            others = tuple(row for row in rows if row is not worst)
            whole = it.session.board.whole
            it.session.board.whole = replace(
                whole, routes=(worst, *others), version=whole.version + 1
            )
            it.clock.now_ns += NS_PER_S
            it.board.pull()
            await it.pilot.pause()

        assert "cursor follows the worst" in str(routes.border_subtitle)
        await looks_worst("queue-eu")
        assert "queue-eu" in str(it.board.query_one("#arrival").border_title)
        await it.press("j")
        assert "g follows the worst" in str(routes.border_subtitle)
        mine = it.board.view.selected
        await looks_worst("busy-llama")
        assert it.board.view.selected == mine
        await it.press("escape")
        assert "busy-llama" in str(it.board.query_one("#arrival").border_title)


async def test_a_knob_that_is_turned_keeps_the_cursor_on_its_route() -> None:
    async with cockpit() as it:
        assert it.board.view.selected is None
        await it.press("+")
        assert it.board.view.selected == "eastus-gpt"
        await it.press("g", "m")
        assert it.board.view.selected is None, "a mark is no route's"


async def test_the_page_of_a_route_stays_with_it_and_the_cursor_follows_again_after_it() -> None:
    async with cockpit() as it:
        await it.press("enter")
        assert it.board.view.selected == "eastus-gpt"
        await it.press("escape")
        assert it.app.screen is it.board
        assert it.board.view.selected is None
        await it.press("j", "enter", "escape")
        assert it.board.view.selected == "busy-llama"


async def test_only_what_hurts_is_a_key() -> None:
    async with cockpit() as it:
        await it.press("x")
        assert "deepseek-eu" not in it.text("#routes")
        assert "3 hidden" in str(it.board.query_one("#routes").border_title)
        await it.press("x")
        assert "deepseek-eu" in it.text("#routes")


def many(number: int) -> FakeSession:
    rows = tuple(made.route(f"route-{index:02d}") for index in range(number))
    details = {row.name: made.detail(row.name) for row in rows}
    return FakeSession(board=FakeBoard(made.snapshot(routes=rows, details=details)))


def told_above(pane: Pane) -> str:
    title = pane._border_title
    return "" if title is None else title.plain


async def test_hidden_rows_are_counted_in_the_border_and_the_wheel_brings_them() -> None:
    async with cockpit(session=many(41)) as it:
        routes = it.board.query_one("#routes", Pane)
        assert told_above(routes).endswith(" 1–19 of 41")
        routes.post_message(Pane.Pointed(routes, 3, 3, turned=1))
        await it.pilot.pause()
        assert told_above(routes).endswith(" 4–22 of 41")
        assert it.board.view.selected is None
        await it.press("G")
        assert told_above(routes).endswith(" 23–41 of 41")


async def test_a_click_on_a_head_sorts_by_it_and_again_turns_it_round() -> None:
    async with cockpit() as it:
        head = it.text("#routes").splitlines()[0]
        at = (head.index("429/m") + 2, 1)
        await it.pilot.click("#routes", offset=at)
        await it.pilot.pause()
        assert (it.board.view.sort, it.board.view.reversed) == ("throttled", False)
        await it.pilot.click("#routes", offset=at)
        await it.pilot.pause()
        assert (it.board.view.sort, it.board.view.reversed) == ("throttled", True)


async def test_a_double_click_opens_the_page() -> None:
    async with cockpit() as it:
        await it.pilot.click("#routes", offset=(10, 4), times=2)
        await it.pilot.pause()
        assert isinstance(it.app.screen, RouteScreen)
        assert it.board.view.selected == "queue-eu"


async def test_a_click_on_a_verdict_goes_to_its_route() -> None:
    async with cockpit() as it:
        await it.pilot.click("#verdicts", offset=(30, 1))
        await it.pilot.pause()
        assert it.board.view.selected == "busy-llama"


async def test_the_wheel_scrolls_the_pane_it_is_over() -> None:
    async with cockpit() as it:
        pane = it.board.query_one("#throttling", Pane)
        pane.post_message(Pane.Pointed(pane, 3, 3, turned=1))
        await it.pilot.pause()
        assert it.board.view.offset("throttling") == 3
        assert it.board.current == 1


def calm(version: int = 1) -> Snapshot:
    rows = tuple(replace(row, retries_per_min=0.0) for row in made.routes())
    details = {row.name: made.detail(row.name, retries=RetryView()) for row in rows}
    return made.snapshot(routes=rows, throttles=(), limits=(), details=details, version=version)


async def test_panes_with_nothing_to_say_are_one_line_with_their_names() -> None:
    async with cockpit(session=FakeSession(board=FakeBoard(calm()))) as it:
        throttling = it.board.query_one("#throttling", Pane)
        assert throttling.region == Region(0, 48, 53, 1)
        assert it.text("#throttling").rstrip() == " ⁴throttling  no 429 yet"
        assert it.text("#retries").strip() == "⁵retries  none"
        await it.press("4")
        assert not throttling.folded
        assert throttling.size.height > 1
        await it.press("1")
        assert throttling.folded
        await it.pilot.click("#retries", offset=(3, 0))
        await it.pilot.pause()
        assert it.board.current == 5


async def test_panes_change_their_heights_every_few_seconds_at_most() -> None:
    async with cockpit(session=FakeSession(board=FakeBoard(calm()))) as it:
        throttling = it.board.query_one("#throttling", Pane)

        async def beat(whole: Snapshot, seconds: float) -> bool:
            it.session.board.whole = whole
            it.clock.now_ns += int(seconds * NS_PER_S)
            it.board.pull()
            await it.pilot.pause()
            return throttling.folded

        assert not await beat(made.snapshot(version=2), 5)
        assert not await beat(calm(3), 1)
        assert not await beat(calm(4), 3)
        assert await beat(calm(5), 1)
        assert await beat(made.snapshot(version=6), 4)
        assert not await beat(made.snapshot(version=7), 1)


async def test_the_preview_follows_the_worst_row_while_the_cursor_rests_on_it() -> None:
    async with cockpit() as it:
        await it.press("v")
        young = made.snapshot(version=2, header=made.header(elapsed_s=3.0))
        worst = tuple(reversed(young.routes))
        it.board.view = replace(it.board.view, selected=None)
        it.session.board.whole = replace(young, routes=worst)
        it.board.pull()
        assert it.session.commands[0] == WatchText(route="eastus-gpt")
        assert it.session.commands[-1] == WatchText(route=worst[0].name)


async def test_the_preview_follows_the_cursor() -> None:
    async with cockpit() as it:
        await it.press("j", "v", "j", "v")
        assert it.session.commands == [
            WatchText(route="busy-llama"),
            WatchText(route="queue-eu"),
            WatchText(route=""),
        ]


async def test_a_line_to_type_on_takes_its_room_from_the_panes() -> None:
    async with cockpit() as it:
        footer = it.board.query_one("#footer", Pane)
        assert footer.region.y == 49
        await it.press("colon")
        prompt = it.board.query_one("#prompt").region
        assert prompt.bottom == 50
        assert footer.region.bottom == prompt.y
        assert all(
            pane.region.bottom <= prompt.y for pane in it.board.query(Pane) if pane.is_on_screen
        )
        await it.press("escape")
        assert footer.region.y == 49


async def test_the_filter_narrows_while_typing_and_escape_widens() -> None:
    async with cockpit() as it:
        await it.press("slash", *"queue")
        assert "busy-llama" not in it.text("#routes")
        assert "queue-eu" in it.text("#routes")
        assert it.session.commands == []
        await it.press("enter")
        assert it.app.focused is it.board.query_one("#routes")
        assert it.board.view.filter == "queue"
        await it.press("escape")
        assert "busy-llama" in it.text("#routes")
        assert not it.board.query_one("#filter", Input).display


async def test_sort_and_reverse() -> None:
    async with cockpit() as it:
        await it.press("s")
        assert "by name" in str(it.board.query_one("#routes").border_title)
        first = it.text("#routes").splitlines()[1]
        await it.press("r")
        assert first != it.text("#routes").splitlines()[1]
        assert "new-route" not in first


async def test_the_window_goes_round() -> None:
    async with cockpit() as it:
        assert "now = last 1 m" in str(it.board.query_one("#routes").border_title)
        await it.press("w")
        assert it.session.board.asked[-1][0] == "5m"
        title = str(it.board.query_one("#routes").border_title)
        assert "last 5 m" in title
        assert "now" not in title


async def test_freeze_holds_the_screen_and_counts() -> None:
    async with cockpit() as it:
        await it.press("space")
        it.session.board.whole = made.snapshot(version=341, routes=(made.route("other"),))
        it.clock.now_ns += NS_PER_S
        it.board.pull()
        assert "busy-llama" in it.text("#routes")
        assert "FROZEN 1s · 340 events since" in it.text("#header")
        await it.press("w")
        assert it.board.view.window == "1m"
        await it.press("j")
        assert "busy-llama" in str(it.board.query_one("#arrival").border_title)
        assert "#8812" in it.text("#arrival")


async def test_space_again_goes_on() -> None:
    async with cockpit() as it:
        await it.press("space", "space")
        assert "LIVE" in it.text("#header")


async def test_a_number_goes_to_a_pane_and_again_gives_it_the_screen() -> None:
    async with cockpit() as it:
        assert it.shown() == {1, 2, 3, 4, 5, 6}
        await it.press("4")
        assert it.shown() == {1, 2, 3, 4, 5, 6}
        await it.press("4")
        assert it.shown() == {4}
        await it.press("2")
        assert it.shown() == {2}
        await it.press("escape")
        assert it.shown() == {1, 2, 3, 4, 5, 6}
        await it.press("z")
        assert it.shown() == {2}
        await it.press("2")
        assert it.shown() == {1, 2, 3, 4, 5, 6}


async def test_a_small_terminal_shows_the_pane_that_is_asked_for() -> None:
    async with cockpit((80, 24)) as it:
        assert it.opened() == {1, 2}
        assert it.shown() == {1, 2, 4, 5, 6}
        await it.press("5")
        assert it.opened() == {1, 5}


async def test_page_keys_scroll_the_current_pane() -> None:
    async with cockpit() as it:
        await it.press("4", "pagedown")
        assert it.board.view.offset("throttling") == 5
        await it.press("pageup", "pageup")
        assert it.board.view.offset("throttling") == 0
        await it.press("1", "pagedown")
        assert it.board.view.selected == "new-route"


async def test_a_click_selects_the_row() -> None:
    async with cockpit() as it:
        await it.pilot.click("#routes", offset=(10, 4))
        await it.pilot.pause()
        assert it.board.view.selected == "queue-eu"


async def test_help_opens_over_the_board() -> None:
    async with cockpit() as it:
        await it.press("question_mark")
        assert isinstance(it.app.screen, HelpScreen)
        await it.press("escape")
        assert it.app.screen is it.board


async def test_an_engine_that_gave_up_is_on_the_banner_and_r_retries() -> None:
    async with cockpit() as it:
        banner = it.board.query_one("#banner", Pane)
        assert not banner.display
        await it.press("R")
        assert it.session.retried == 0
        it.session.status = FakeStatus("gave_up", 12.0, "MemoryError", 3, "exit status 1")
        it.board.pull()
        await it.pilot.pause()
        assert banner.display
        assert "last words: MemoryError" in it.text("#banner")
        assert "DEAD" in it.text("#header")
        await it.press("R")
        assert it.session.retried == 1


async def test_a_ledger_in_doubt_is_on_the_banner_and_l_lifts_that() -> None:
    doubted = made.snapshot(header=made.header(budget_doubt="database is locked"))
    async with cockpit() as it:
        await it.press("L")
        assert it.session.lifted == 0
    async with cockpit(session=FakeSession(board=FakeBoard(doubted))) as it:
        assert it.board.query_one("#banner", Pane).display
        assert "BUDGET UNKNOWN" in it.text("#banner")
        await it.press("L")
        assert it.session.lifted == 1


async def test_a_doubt_that_nobody_can_lift_is_not_lifted_and_says_why() -> None:
    header = made.header(budget_doubt="the bus is away", budget_doubt_kind="away")
    async with cockpit(session=FakeSession(board=FakeBoard(made.snapshot(header=header)))) as it:
        await it.press("L")
        assert it.session.lifted == 0
        (told,) = it.app._notifications
        assert told.message.endswith("nothing lifts that.")


async def test_new_budgets_are_lifted_too() -> None:
    header = made.header(budget_doubt="new until 14:03:10 UTC", budget_doubt_kind="new")
    async with cockpit(session=FakeSession(board=FakeBoard(made.snapshot(header=header)))) as it:
        assert not it.board.query_one("#banner", Pane).display
        await it.press("L")
        assert it.session.lifted == 1


async def test_nothing_new_repaints_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with cockpit() as it:
        refreshed: list[Pane] = []
        monkeypatch.setattr(Pane, "show", lambda self, *_: refreshed.append(self))
        it.board.pull()
        it.board.pull()
        assert refreshed == []


def drawn_by(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Return a list that fills with the ids of the panes that are drawn from here on."""
    ids: list[str | None] = []
    show = Pane.show

    def noted(pane: Pane, *what: object) -> None:
        ids.append(pane.id)
        show(pane, *what)  # type: ignore[arg-type]

    monkeypatch.setattr(Pane, "show", noted)
    return ids


async def test_while_frozen_the_strip_alone_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    async with on_paper() as (it, paper):
        board = await beating(it, paper)
        await it.press("space")
        drawn = drawn_by(monkeypatch)
        for beat in range(100):
            it.session.board.whole = changed(3 + beat, beat / 10)
            it.clock.now_ns += NS_PER_S // 10
            board._beat()
        assert set(drawn) == {"header"}
        assert 9 <= len(drawn) <= 11, "once a second: how long it has stood"


async def test_an_engine_that_ticks_but_once_a_second_redraws_no_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with on_paper() as (it, paper):
        it.session.board.whole = at_rest(changed(2, 0.1))
        board = await beating(it, paper)
        it.clock.now_ns += 4 * NS_PER_S
        board._beat()
        drawn = drawn_by(monkeypatch)
        for beat in range(100):
            silent_s = beat % 11 / 10
            it.session.status = FakeStatus(silent_s=silent_s, since_s=1_000.0 + beat / 10)
            if not beat % 11:
                it.session.board.whole = at_rest(changed(3 + beat, beat / 10))
            it.clock.now_ns += NS_PER_S // 10
            board._beat()
        assert drawn.count("routes") <= 4, "every three seconds, where something has changed"
        assert drawn.count("header") <= 14


async def test_only_changed_rows_are_repainted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with cockpit() as it:
        routes = it.board.query_one("#routes", Pane)
        regions: list[Region] = []
        monkeypatch.setattr(routes, "refresh", lambda *rows, **_: regions.extend(rows))
        rows = list(made.routes())
        rows[3] = made.route("deepseek-eu", ttft=0.7, model="DeepSeek-V3")
        it.session.board.whole = made.snapshot(version=2, routes=tuple(rows))
        it.clock.now_ns += NS_PER_S
        it.board.pull()
        monkeypatch.undo()
        assert [region.y for region in regions] == [4]


async def test_keys_without_a_route_do_nothing() -> None:
    session = FakeSession()
    session.board.whole = made.snapshot(routes=(), totals=None, details={})
    async with cockpit(session=session) as it:
        await it.press("j", "+", "-", "<", "{", "b", "c", "U", "p", "s", "G")
        await it.press("z", "escape", "v")
        assert it.session.commands == []
        assert "waiting for the engine" in it.text("#routes")


async def test_the_strip_shows_the_engine_at_once() -> None:
    async with cockpit() as it:
        assert it.board.cockpit.strips.status == it.session.status


async def test_a_change_of_theme_reaches_the_ground_of_every_pane() -> None:
    async with cockpit() as seen:
        table = seen.board.query_one("#routes", Pane)
        dark = table.render_line(0)
        seen.app.theme = "llmtop-light"
        await seen.pilot.pause()
        light = table.render_line(0)
        grounds = [
            [segment.style.bgcolor for segment in strip if segment.style] for strip in (dark, light)
        ]
        assert set(map(str, grounds[0])).isdisjoint(map(str, grounds[1]))


class Paper:
    """A terminal that keeps what is written to it."""

    def __init__(self) -> None:
        self.busy = False
        self.gone = False
        self.frames: list[str] = []
        self.titles: list[str] = []

    def write(self, data: str) -> None:
        self.frames.append(data)

    def title(self, text: str) -> None:
        self.titles.append(text)

    def slowest_s(self) -> float:
        return 0.0


def composed(board: HomeScreen) -> list[list[tuple[str, frozenset[str]]]]:
    """Return what Textual draws when it draws everything anew."""
    grid, (width, height) = Grid(), board.size
    for pane in board.query(Pane):
        pane.refresh()
    for y, strip in enumerate(board._compositor.render_strips()):
        grid.write(f"\x1b[{y + 1};1H" + strip.render(board.app.console))
    return [grid.row(y, width) for y in range(height)]


@asynccontextmanager
async def on_paper() -> AsyncIterator[tuple[Cockpit, Paper]]:
    paper, session, clock = Paper(), FakeSession(), FakeClock()
    app = LlmtopApp(session, config(), clock)
    app.attach_terminal(paper)
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.pause()
        it = Cockpit(app, session, pilot, clock)
        yield it, paper


def changed(version: int, moved_s: float) -> Snapshot:
    """Return a frame in which lanes have moved on and two rows have changed."""
    rows = list(made.routes())
    rows[1] = replace(rows[1], in_flight=version, throttled_per_min=float(version))
    rows[3] = made.route("deepseek-eu", ttft=0.7 + version / 10, model="DeepSeek-V3")
    now_ns = made.NOW_NS + int(moved_s * NS_PER_S)
    header = made.header(in_flight=20 + version, failed=20 + version)
    shown = made.snapshot(version=version, now_ns=now_ns, routes=tuple(rows), header=header)
    details = {name: replace(one, now_ns=now_ns) for name, one in shown.details.items()}
    return replace(shown, details=details)


async def test_rows_written_past_textual_are_those_it_would_draw() -> None:
    async with on_paper() as (it, paper):
        grid, width = Grid(), it.board.size.width
        before = composed(it.board)
        for y, row in enumerate(before):
            grid.cells.update({(y, x): cell for x, cell in enumerate(row)})
        for version in range(2, 7):
            paper.frames.clear()
            it.session.board.whole = changed(version, version * 0.3)
            it.clock.now_ns += NS_PER_S
            it.board.pull()
            for frame in paper.frames:
                grid.write(frame)
            after = composed(it.board)
            assert paper.frames
            assert after != before
            for y, row in enumerate(after):
                # Titles in borders are Textual's own and come with its next repaint.
                inside = [x for x, (character, _) in enumerate(row) if character not in "─╭╮╰╯"]
                if row[0][0] not in "╭╰":
                    shown = grid.row(y, width)
                    assert [shown[x] for x in inside] == [row[x] for x in inside], y
            before = after


async def test_a_frame_is_a_part_of_the_screen() -> None:
    async with on_paper() as (it, paper):
        it.board.pull()
        paper.frames.clear()
        it.session.board.whole = changed(2, 0.1)
        it.clock.now_ns += NS_PER_S
        it.board.pull()
        whole = sum(len(text) for row in composed(it.board) for text, _ in row)
        assert 0 < sum(map(len, paper.frames)) < whole / 2


async def test_between_two_tables_only_what_moves_is_drawn() -> None:
    async with on_paper() as (it, _):
        it.session.board.whole = changed(2, 0.1)
        it.clock.now_ns += NS_PER_S
        it.board.pull()
        shown, lanes = it.text("#routes"), it.text("#arrival")
        it.session.board.whole = changed(8, 0.2)
        it.clock.now_ns += NS_PER_S // 10
        it.board.pull()
        assert it.text("#routes") == shown
        assert it.text("#arrival") != lanes
        assert " 22 failed" in it.text("#header"), "the sum of the rows that are shown"
        it.clock.now_ns += NS_PER_S // 2
        it.session.board.whole = changed(9, 0.7)
        it.board.pull()
        assert "9/8" in it.text("#routes")
        assert " 29 failed" in it.text("#header")


def at_rest(snapshot: Snapshot) -> Snapshot:
    """Return a frame without anything that moves by itself."""
    details = {name: replace(one, lanes=()) for name, one in snapshot.details.items()}
    rows = tuple(replace(row, cool_down_s=None) for row in snapshot.routes)
    header = replace(snapshot.header, in_flight=0)
    return replace(snapshot, details=details, routes=rows, header=header)


async def beating(it: Cockpit, paper: Paper) -> HomeScreen:
    """Show a board that beats ten times a second, when a test says so."""
    board = HomeScreen(
        CockpitState(it.session, it.clock, refresh_hz=10.0, window="5m", terminal=paper)
    )
    await it.app.push_screen(board)
    await it.pilot.pause()
    return board


async def test_what_came_last_is_drawn_though_nothing_follows() -> None:
    async with on_paper() as (it, paper):
        board = await beating(it, paper)
        routes = board.query_one("#routes", Pane)
        for version in (8, 9):
            it.session.board.whole = at_rest(changed(version, 0.2))
            it.clock.now_ns += NS_PER_S // 10
            board._beat()
        assert "9/8" not in routes.render_line(2).text
        for _ in range(40):
            it.clock.now_ns += NS_PER_S // 10
            board._beat()
        assert "9/8" in routes.render_line(2).text


async def test_after_a_command_tables_follow_at_once() -> None:
    async with on_paper() as (it, _):
        await it.press("+")
        it.session.board.whole = changed(9, 0.1)
        it.clock.now_ns += NS_PER_S // 10
        it.board.pull()
        assert "9/8" in it.text("#routes")


async def test_under_a_toast_textual_composes() -> None:
    async with on_paper() as (it, paper):
        overlays = Paper.__new__(Paper)
        overlays.children = [object()]  # type: ignore[attr-defined]
        it.board._canvas._overlays = overlays  # type: ignore[union-attr,assignment]
        paper.frames.clear()
        it.session.board.whole = changed(3, 0.3)
        it.clock.now_ns += NS_PER_S
        it.board.pull()
        assert paper.frames == []


@pytest.mark.parametrize("key", ["question_mark", "ctrl+p"])
async def test_under_another_screen_textual_composes(key: str) -> None:
    async with on_paper() as (it, paper):
        board = it.board
        await it.press(key)
        assert it.app.screen is not board
        paper.frames.clear()
        it.session.board.whole = changed(3, 0.3)
        it.clock.now_ns += NS_PER_S
        board.pull()
        assert paper.frames == []


async def test_a_busy_terminal_is_given_nothing_more() -> None:
    async with on_paper() as (it, paper):
        it.session.board.whole = changed(3, 0.3)
        it.clock.now_ns += NS_PER_S
        paper.frames.clear()
        paper.busy = True
        it.board._beat()
        assert paper.frames == []
        paper.busy = False
        it.clock.now_ns += 20 * NS_PER_S
        it.board._beat()
        assert paper.frames


async def test_a_key_on_a_busy_terminal_is_answered_with_the_next_frame() -> None:
    async with on_paper() as (it, paper):
        paper.frames.clear()
        paper.busy = True
        await it.press("j")
        assert it.board.view.selected == "busy-llama"
        assert paper.frames == []
        paper.busy = False
        it.clock.now_ns += 20 * NS_PER_S
        it.board._beat()
        assert paper.frames


async def test_a_frozen_screen_wakes_seldom_and_still_answers_keys_at_once() -> None:
    async with on_paper() as (it, paper):
        beats = it.board._beats._active
        await it.press("space")
        assert not beats.is_set()
        paper.busy = True
        await it.press("j")
        assert beats.is_set(), "the key is answered with the next frame"
        paper.busy = False
        it.clock.now_ns += 20 * NS_PER_S
        it.board._beat()
        assert not beats.is_set()
        await it.press("space")
        assert beats.is_set()
        assert not it.board._frozen_beats._active.is_set()


async def test_while_the_screen_is_frozen_what_comes_is_read_much_at_once() -> None:
    async with on_paper() as (it, _):
        gathered = it.board.cockpit.session.gathered
        await it.press("space")
        assert len(gathered) == 1
        assert 0.0 < gathered[0] <= 0.5, "what is to be recorded is on its way within a second"
        await it.press("space")
        assert gathered[1:] == [0.0]


async def test_a_slow_terminal_is_said_in_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    async with on_paper() as (it, paper):
        board = await beating(it, paper)
        monkeypatch.setattr(paper, "slowest_s", lambda: 0.4)
        for version in range(10, 16):
            it.clock.now_ns += NS_PER_S
            it.session.board.whole = changed(version, version / 10)
            board._beat()
        header = board.query_one("#header", Pane)
        assert "Hz: slow terminal" in header.render_line(0).text


async def test_keys_are_those_of_the_settings() -> None:
    keys = {"more": ("i",), "pause": ("f2",), "panic": ()}
    async with cockpit(settings=replace(config(), keys=keys)) as it:
        await it.press("j", "plus", "i", "f2", "p", "P")
        assert it.session.commands == [
            SetKnob(route="busy-llama", knob="concurrency", value=9.0),
            Pause(route="busy-llama", paused=True),
        ]
        footer = it.text("#footer")
        assert " i - conc " in footer
        assert " F2 pause " in footer
        assert "pause all" not in footer
        titles = {command.title for command in it.app.get_system_commands(it.app.screen)}
        assert {"concurrency up (i)", "pause (F2)", "pause all"} <= titles
