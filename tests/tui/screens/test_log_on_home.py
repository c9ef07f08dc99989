"""What happened, on the home screen: filters, and where its lines lead."""

import made
import pytest
from fakes import FakeBoard, FakeSession
from made_happenings import HAPPENINGS, happening, turned
from test_home_screen import cockpit

from probes.board.views import Happening
from tui.screens.route import RouteScreen

pytestmark = pytest.mark.anyio


def session_of(*happenings: Happening) -> FakeSession:
    return FakeSession(board=FakeBoard(made.snapshot(happenings=happenings)))


MINE = turned(1.0, "you: CONC 3→6", None, "busy-llama")
OTHERS = happening(2.0, "onset", "provider is down", "deepseek-eu", state="down")
NOBODYS = happening(3.0, "mark", "deploy")


async def test_the_log_shows_less_with_each_key_and_then_all_again() -> None:
    async with cockpit(session=session_of(MINE, OTHERS, NOBODYS)) as it:
        await it.press("j", "6", "6")
        selected = it.board.view.selected
        assert selected == "busy-llama"
        shown = []
        for _ in range(3):
            await it.press("f")
            text = it.text("#happenings")
            shown.append([words for words in ("CONC", "down", "deploy") if words in text])
        assert shown == [["CONC", "deploy"], ["CONC", "down"], ["CONC", "down", "deploy"]]


async def test_enter_opens_the_page_of_the_route_of_the_first_line_that_is_shown() -> None:
    async with cockpit(session=session_of(MINE, OTHERS)) as it:
        await it.press("6", "6", "j", "enter")
        assert isinstance(it.app.screen, RouteScreen)
        assert it.board.view.selected == "deepseek-eu"


async def test_a_line_that_is_about_no_single_route_leads_nowhere() -> None:
    async with cockpit(session=session_of(NOBODYS, MINE)) as it:
        await it.press("6", "enter")
        assert not isinstance(it.app.screen, RouteScreen)
        await it.press("1", "enter")
        assert isinstance(it.app.screen, RouteScreen)


async def test_a_click_on_a_line_selects_its_route_and_two_open_its_page() -> None:
    async with cockpit(session=session_of(MINE, OTHERS)) as it:
        await it.press("6", "6")
        await it.pilot.click("#happenings", offset=(30, 2))
        assert it.board.view.selected == "deepseek-eu"
        await it.pilot.click("#happenings", offset=(30, 1), times=2)
        assert isinstance(it.app.screen, RouteScreen)
        assert it.board.view.selected == "busy-llama"


async def test_it_scrolls_by_lines_and_by_pages_and_says_where_it_is() -> None:
    lines = [happening(float(number), "mark", f"mark {number:03}") for number in range(240)]
    async with cockpit((100, 30), session=session_of(*lines)) as it:
        await it.press("6", "6")
        assert it.text("#happenings").splitlines()[0].strip().endswith("mark 000")
        await it.press("j", "j", "pagedown")
        assert it.text("#happenings").splitlines()[0].strip().endswith("mark 007")
        title = str(it.board.pane(6).border_title)
        assert "8–" in title
        assert "of 240" in title


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40), (160, 50), (300, 100)])
async def test_at_every_size_it_can_be_read(size: tuple[int, int]) -> None:
    async with cockpit(size, session=session_of(*HAPPENINGS)) as it:
        await it.press("6", "6")
        lines = it.text("#happenings").splitlines()
        assert "you: cap 256→64" in lines[0]
        assert "worse" in lines[1]
