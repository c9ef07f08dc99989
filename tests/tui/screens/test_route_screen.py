"""The page of a route: its panes, its keys, and that it is of the route one looks at."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import made
import made_page
import pytest
from changed import replace
from fakes import FakeBoard, FakeClock, FakeSession, config
from textual.pilot import Pilot

from probes.board.views import Snapshot
from probes.control.commands import SetKnob
from probes.kit.clock import NS_PER_S
from tui.app import LlmtopApp
from tui.panes.pane import Pane
from tui.screens.home import HomeScreen
from tui.screens.request import RequestScreen
from tui.screens.route import RouteScreen

pytestmark = pytest.mark.anyio


class Page:
    """A cockpit on the page of a route."""

    def __init__(
        self, app: LlmtopApp, session: FakeSession, pilot: Pilot[None], clock: FakeClock
    ) -> None:
        self.app = app
        self.clock = clock
        self.session = session
        self.pilot = pilot

    @property
    def screen(self) -> RouteScreen:
        screen = self.app.screen
        assert isinstance(screen, RouteScreen)
        return screen

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    def text(self, selector: str) -> str:
        pane = self.screen.query_one(selector, Pane)
        return "\n".join(pane.render_line(y).text for y in range(pane.size.height))

    def shown(self) -> set[int]:
        numbered = self.screen.query("Pane.numbered").results(Pane)
        return {pane.spec.number for pane in numbered if pane.is_on_screen}

    def told(self) -> list[str]:
        return [one.message for one in self.app._notifications]

    async def show(self, snapshot: Snapshot) -> None:
        self.session.board.whole = snapshot
        self.clock.now_ns += NS_PER_S  # tables are drawn twice a second
        self.screen.pull()
        await self.pilot.pause()


@asynccontextmanager
async def page(
    size: tuple[int, int] = (160, 50), snapshot: Snapshot | None = None
) -> AsyncIterator[Page]:
    session = FakeSession(board=FakeBoard(snapshot or made_page.snapshot()))
    clock = FakeClock()
    app = LlmtopApp(session, config(), clock)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        home = app.screen
        assert isinstance(home, HomeScreen)
        home.look(replace(home.view, selected=made_page.NAME))
        await pilot.press("enter")
        await pilot.pause()
        yield Page(app, session, pilot, clock)


async def test_the_page_is_of_the_selected_route_and_back_leads_home() -> None:
    async with page() as it:
        assert "routes ▸ queue-eu" in it.text("#crumbs")
        assert "Qwen/Qwen3-235B-A22B-Instruct-2507 · api.example.com · chat" in it.text("#crumbs")
        assert "slow to the first token" in it.text("#verdict")
        assert it.screen.pages() == (made_page.NAME,)
        await it.press("escape")
        assert isinstance(it.app.screen, HomeScreen)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((160, 50), {1, 2, 3, 4}),
        ((120, 40), {1, 2, 3, 4}),
        ((200, 60), {1, 2, 3, 4}),
        ((100, 40), {1, 2, 4}),
        ((80, 24), {1}),
        ((60, 20), {1}),
    ],
)
async def test_as_many_panes_stand_as_there_is_room_for(
    size: tuple[int, int], shown: set[int]
) -> None:
    async with page(size) as it:
        assert it.shown() == shown
        panes = [pane for pane in it.screen.query(Pane).results(Pane) if pane.is_on_screen]
        assert sum(pane.outer_size.width * pane.outer_size.height for pane in panes) == (
            size[0] * size[1]
        ), "no cell is left over and none is covered"


async def test_a_digit_goes_to_its_pane_and_again_gives_it_the_whole_screen() -> None:
    async with page((80, 24)) as it:
        await it.press("3")
        assert it.shown() == {3}
    async with page() as it:
        await it.press("3", "3")
        assert it.shown() == {3}
        await it.press("3")
        assert it.shown() == {1, 2, 3, 4}
        await it.press("z")
        assert it.shown() == {3}
        await it.press("escape")
        assert it.shown() == {1, 2, 3, 4}


async def test_where_the_probes_are_not_shown_the_cursor_shows_them() -> None:
    async with page((80, 24)) as it:
        await it.press("j")
        assert it.shown() == {4}
    async with page() as it:
        await it.press("z", "j")
        assert it.shown() == {4}


async def test_the_cursor_moves_and_stays_on_its_probe() -> None:
    async with page() as it:
        await it.press("j", "j")
        assert it.screen.view.page.probe == "1-1688"
        newer = (made_page.probe(1691, 0.1), *made_page.probes()[:-1])
        await it.show(replace(made_page.snapshot(probes=newer), version=2))
        assert it.screen.view.page.probe == "1-1688"
        await it.press("k", "k", "k")
        assert it.screen.view.page.probe == ""
        await it.press("G")
        assert it.screen.view.page.probe == newer[-1].probe
        await it.press("g")
        assert it.screen.view.page.probe == ""


async def test_paging_moves_the_cursor_in_the_list_and_scrolls_the_figures() -> None:
    async with page((120, 40)) as it:
        await it.press("4", "pagedown")
        assert it.screen.view.page.probe == "1-1685"
        await it.press("3", "pagedown")
        assert "lines 6–" in it.text("#figures")


async def test_the_slowest_first_and_only_those_that_were_not_good() -> None:
    async with page() as it:
        await it.press("j", "o")
        assert it.screen.view.page.slowest
        assert it.screen.view.page.probe == ""
        assert "#1685" in it.text("#probes").splitlines()[1]
        await it.press("x")
        assert "1–9 of 9 (2,209 ended)" in it.text("#probes")
        await it.press("o", "x")
        assert "of 200 (2,209 ended)" in it.text("#probes")


async def test_panes_that_have_no_room_are_counted_and_reached() -> None:
    async with page(size=(80, 24)) as it:
        assert "+3 panes · Tab" in str(it.screen.query_one("#phases", Pane).border_title)
        await it.press("tab")
        assert "+3 panes · Tab" in str(it.screen.query_one("#heat", Pane).border_title)
        await it.press("z")
        assert "pane" not in str(it.screen.query_one("#heat", Pane).border_title)
    async with page(size=(160, 50)) as it:
        titles = [str(pane.border_title) for pane in it.screen.query(Pane)]
        assert not [title for title in titles if "panes" in title]


async def test_the_map_is_of_ttft_or_of_gaps() -> None:
    async with page() as it:
        assert "TTFT" in str(it.screen.query_one("#heat", Pane).border_title)
        await it.press("h")
        assert "gaps between chunks" in str(it.screen.query_one("#heat", Pane).border_title)
        await it.press("h")
        assert "TTFT, all" in str(it.screen.query_one("#heat", Pane).border_title)


async def test_t0_is_kept_and_compared_with() -> None:
    async with page() as it:
        await it.press("0")
        assert it.told() == ["No T0 of this route yet: T takes the figures shown."]
        await it.press("T")
        later = tuple(
            made_page.column("now", 5.2, 9.9) if one.name == "now" else one
            for one in made_page.columns()
        )
        await it.show(replace(made_page.snapshot(columns=later), version=2))
        assert it.text("#figures").splitlines()[0].split()[:3] == ["seconds", "now", "T0"]
        await it.press("0")
        assert "too few to say" in it.text("#figures").splitlines()[0]
        assert "+2.60" in it.text("#figures").splitlines()[2]
        assert "T0" in it.text("#phases")
        await it.press("0")
        assert "usual" in it.text("#figures").splitlines()[0]


async def test_t0_needs_figures() -> None:
    async with page(snapshot=made_page.calm()) as it:
        await it.press("T")
        assert it.told() == ["There are no figures of this route yet."]


async def test_enter_opens_the_selected_probe() -> None:
    async with page() as it:
        await it.press("j", "enter")
        assert isinstance(it.app.screen, RequestScreen)
        assert it.app.screen._probe == "1-1689"
        await it.press("escape")
        assert it.screen.view.page.probe == "1-1689"
    async with page(snapshot=made_page.calm()) as it:
        await it.press("enter")
        assert it.told() == ["No probe has ended yet."]


async def test_a_row_that_is_clicked_is_selected() -> None:
    async with page() as it:
        pane = it.screen.query_one("#probes", Pane)
        await it.pilot.click("#probes", offset=(5, 9))
        await it.pilot.pause()
        wanted = pane.render_line(8).text.split()
        assert it.screen.view.page.probe == f"1-{wanted[1].removeprefix('#')}"


async def test_n_goes_to_the_page_of_the_next_route_that_hurts() -> None:
    async with page() as it:
        await it.press("j", "n")
        assert it.screen.view.selected == "eastus-gpt"
        assert it.screen.view.page.probe == ""
        assert "routes ▸ eastus-gpt" in it.text("#crumbs")
        await it.press("N")
        assert it.screen.view.selected == made_page.NAME


async def test_a_cursor_is_not_taken_along_to_the_page_of_another_route() -> None:
    async with page() as it:
        await it.press("j", "j", "escape")
        await it.press("enter")
        assert it.screen.view.page.probe == ""
        await it.press("j")
        it.screen.go_to("deepseek-eu")
        await it.pilot.pause()
        assert it.screen.view.page.probe == ""
        assert "routes ▸ deepseek-eu" in it.text("#crumbs")


async def test_tab_goes_round_the_panes_whether_they_are_shown_or_not() -> None:
    async with page((80, 24)) as it:
        seen = []
        for _ in range(4):
            await it.press("tab")
            seen.append(it.shown())
        assert seen == [{2}, {3}, {4}, {1}]


async def test_knobs_are_those_of_the_route() -> None:
    async with page() as it:
        before = it.session.wanted.routes[made_page.NAME].concurrency
        await it.press("+")
        command = SetKnob(route=made_page.NAME, knob="concurrency", value=before + 1.0)
        assert it.session.commands == [command]


async def test_what_cannot_be_trusted_is_told_as_on_the_home_screen() -> None:
    shown = made_page.snapshot()
    late = replace(shown, header=made.header(drops=12, drops_shown=True))
    async with page(snapshot=late) as it:
        assert "✖ drops 12: token arrival incomplete" in it.text("#crumbs")
    doubt = replace(shown, header=made.header(budget_doubt="the ledger fails"))
    async with page(snapshot=doubt) as it:
        assert it.screen.query_one("#banner", Pane).display
        assert "BUDGET UNKNOWN" in it.text("#banner")


async def test_the_panes_do_not_jump_as_the_words_of_a_verdict_get_shorter() -> None:
    long = made_page.snapshot()
    async with page((100, 40), long) as it:
        before = it.screen.query_one("#phases", Pane).region
        await it.show(replace(long, happenings=(), version=2))
        assert it.screen.query_one("#phases", Pane).region == before
        well = replace(long, incidents=(), recoveries=(), happenings=(), version=3)
        await it.show(well)
        assert it.screen.query_one("#phases", Pane).region.y < before.y


async def test_the_page_stays_on_its_route_while_others_become_worse() -> None:
    session = FakeSession(board=FakeBoard(made_page.snapshot()))
    app = LlmtopApp(session, config(), FakeClock())
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.pause()
        home = app.screen
        assert isinstance(home, HomeScreen)
        home.look(replace(home.view, selected=None))
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, RouteScreen)
        first = app.screen.pages()
        rows = session.board.whole.routes
        session.board.whole = replace(session.board.whole, routes=rows[::-1], version=2)
        app.screen.pull()
        await pilot.pause()
        assert app.screen.pages() == first


async def test_a_frozen_page_stands_still() -> None:
    async with page() as it:
        before = it.text("#probes")
        await it.press("space")
        newer = (made_page.probe(1691, 0.1), *made_page.probes()[:-1])
        shown = made_page.snapshot(probes=newer)
        await it.show(replace(shown, now_ns=shown.now_ns + NS_PER_S, version=2))
        assert it.text("#probes") == before
        assert "FROZEN" in it.text("#crumbs")
