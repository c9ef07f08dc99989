"""The grid of places on the screen: its key, its cursor, its way to a page and back."""

import made_places
import pytest
from fakes import FakeBoard, FakeSession, FakeStatus
from msgspec.structs import replace
from test_home_screen import Cockpit, cockpit

from probes.board.views import Snapshot
from tui.keys import first_key
from tui.panes.pane import Pane
from tui.panes.places import NOTHING
from tui.screens.home import HomeScreen
from tui.screens.places import PlacesScreen
from tui.screens.route import RouteScreen

pytestmark = pytest.mark.anyio

FAR = made_places.snapshot(far="eu-west")


def session_of(shown: Snapshot) -> FakeSession:
    return FakeSession(board=FakeBoard(shown))


def text(it: Cockpit, pane: str) -> str:
    found = it.app.screen.query_one(pane, Pane)
    return "\n".join(found.render_line(y).text for y in range(found.size.height))


@pytest.mark.parametrize("size", [(300, 100), (160, 50), (80, 24), (60, 20), (40, 8)])
async def test_the_key_shows_it_and_escape_leads_back(size: tuple[int, int]) -> None:
    async with cockpit(size, session_of(FAR)) as it:
        await it.press(first_key("places"))
        assert isinstance(it.app.screen, PlacesScreen)
        assert "▲ ×3.1" in text(it, "#places")
        await it.press("escape")
        assert isinstance(it.app.screen, HomeScreen)


async def test_of_one_place_the_key_says_so() -> None:
    one = made_places.snapshot(places=("eu-west",))
    async with cockpit(session=session_of(one)) as it:
        assert "places" not in it.text("#footer")
        await it.press(first_key("places"))
        assert isinstance(it.app.screen, HomeScreen)
        assert [note.message for note in it.app._notifications] == [NOTHING]


async def test_the_footer_offers_it_where_there_are_several_places() -> None:
    async with cockpit((300, 50), session_of(FAR)) as it:
        assert f"{first_key('places')} places" in it.text("#footer")


async def test_the_cursor_moves_by_cells_and_enter_opens_that_page() -> None:
    async with cockpit(session=session_of(FAR)) as it:
        await it.press(first_key("places"), "j", "l")
        assert it.board.view.selected == "code-review@us-east"
        await it.press("h", "k", "enter")
        assert isinstance(it.app.screen, RouteScreen)
        assert it.board.view.selected == "chat@eu-west"
        await it.press("escape")
        assert isinstance(it.app.screen, PlacesScreen)
        await it.press("tab")
        assert it.board.view.selected == "chat@us-east"


async def test_the_verdicts_stand_above_it() -> None:
    async with cockpit(session=session_of(FAR)) as it:
        await it.press(first_key("places"))
        assert "the way is slow" in text(it, "#verdicts")
    async with cockpit(session=session_of(made_places.snapshot())) as it:
        await it.press(first_key("places"))
        assert "all 12 routes well" in text(it, "#verdicts")


async def test_masked_it_has_numbers_for_names_and_stays_a_grid() -> None:
    async with cockpit(session=session_of(FAR)) as it:
        await it.press(first_key("private"), first_key("places"))
        told = text(it, "#places")
        assert "route 1" in told
        assert "chat" not in told
        assert told.count("▲ ×3.1") == 4


async def test_on_the_home_screen_enter_opens_a_group_and_a_place_its_page() -> None:
    async with cockpit(session=session_of(FAR)) as it:
        await it.press("k", "enter")
        assert isinstance(it.app.screen, HomeScreen)
        assert it.board.view.groups == {"chat": False}
        await it.press("enter", "j", "enter")
        assert isinstance(it.app.screen, RouteScreen)
        assert it.board.view.selected == "chat@eu-west"


async def test_while_any_place_is_heard_it_is_live_and_the_banner_names_the_others() -> None:
    session = session_of(made_places.snapshot(silent="us-east"))
    session.status = FakeStatus("restarting", engine="place us-east", silent_s=7.0)
    async with cockpit((200, 50), session) as it:
        assert it.text("#header").startswith(" llmtop ● LIVE")
        assert it.text("#banner").startswith(" PLACE us-east NOT HEARD 7.0s")
        session.status = FakeStatus("gave_up", engine="places eu-west, us-east")
        it.board.pull()
        await it.pilot.pause()
        assert it.text("#banner").startswith(
            " PLACES eu-west, us-east GIVEN UP · R starts it again"
        )
        session.status = FakeStatus(
            "starting", engine="place us-east", detail="ended; again in 1 s"
        )
        it.board.pull()
        await it.pilot.pause()
        assert it.text("#header").startswith(" llmtop ● LIVE")
        assert "12 routes: ∅ 4 silent, 8 ok" in it.text("#header")


async def test_masked_groups_are_those_that_are_open() -> None:
    async with cockpit(session=session_of(FAR)) as it:
        before = it.text("#routes")
        await it.press(first_key("private"))
        after = it.text("#routes")
        assert before.count("@eu-west") == after.count("@eu-west") == 4
        assert "route 1" in after
        assert "chat" not in after


async def test_the_header_says_which_place_is_silent_and_counts_nothing_of_it_as_well() -> None:
    async with cockpit((200, 50), session_of(made_places.snapshot(silent="us-east"))) as it:
        told = it.text("#header")
        assert "12 routes: ∅ 4 silent, 8 ok" in told
        assert "∅ us-east silent 40s" in told
    behind = made_places.snapshot()
    views = tuple(replace(one, behind_s=45.0) for one in behind.header.places[:1])
    header = replace(behind.header, places=(*views, *behind.header.places[1:]))
    async with cockpit((200, 50), session_of(replace(behind, header=header))) as it:
        assert "ap-south 45s behind" in it.text("#header")
