"""The grid of places on the screen: its key, its cursor, its way to a page and back."""

import made_happenings
import made_places
import pytest
from fakes import FakeBoard, FakeSession, FakeStatus
from msgspec.structs import replace
from test_home_screen import Cockpit, cockpit

from probes.board.views import Snapshot
from probes.control.commands import Pause, SetKnob, WatchText
from tui.keys import first_key, hotkey
from tui.panes.footer import footer_parts
from tui.panes.pane import Pane
from tui.panes.places import NOTHING
from tui.screens.home import HomeScreen
from tui.screens.places import PlacesScreen
from tui.screens.route import RouteScreen

pytestmark = pytest.mark.anyio

FAR = made_places.snapshot(far="eu-west")
MANY = made_places.snapshot(made_places.NAMES, made_places.MANY)


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


# Keys on the grid.


async def on_the_grid(it: Cockpit) -> PlacesScreen:
    await it.press(first_key("places"))
    screen = it.app.screen
    assert isinstance(screen, PlacesScreen)
    return screen


async def test_the_next_trouble_is_the_next_cell_that_hurts() -> None:
    shown = made_places.snapshot(far="eu-west", down="chat")
    async with cockpit(session=session_of(shown)) as it:
        await on_the_grid(it)
        assert it.board.view.selected is None  # it follows the worst: chat@ap-south
        names = []
        for _ in range(4):
            await it.press("n")
            names.append(it.board.view.selected)
        assert names == [
            "chat@eu-west",
            "chat@us-east",
            "code-review@eu-west",
            "search-70b@eu-west",
        ]
        await it.press("N")
        assert it.board.view.selected == "code-review@eu-west"
        await it.press("G")
        assert it.board.view.selected == "漢字-summaries@eu-west"
        await it.press("g")
        assert it.board.view.selected is None


async def test_where_nothing_else_hurts_the_next_trouble_is_none() -> None:
    async with cockpit(session=session_of(made_places.snapshot())) as it:
        await on_the_grid(it)
        await it.press("n")
        assert [told.message for told in it.app._notifications] == ["No other route hurts."]


async def test_knobs_turn_the_route_of_the_cell_under_the_cursor() -> None:
    async with cockpit(session=session_of(FAR)) as it:
        await on_the_grid(it)
        await it.press("j", "l", "+", "p", "u")
        commands = [one for one in it.session.commands if not isinstance(one, WatchText)]
        assert commands == [
            SetKnob(route="code-review@us-east", knob="concurrency", value=2.0),
            Pause(route="code-review@us-east", paused=True),
            Pause(route="code-review@us-east", paused=False),
        ]


async def test_the_line_of_a_group_in_the_table_is_its_worst_place_on_the_grid() -> None:
    """What is under the cursor is what a key acts on."""
    shown = made_places.snapshot(far="eu-west", down="chat")
    async with cockpit(session=session_of(shown)) as it:
        it.board.look(replace(it.board.view, selected="search-70b"))
        screen = await on_the_grid(it)
        assert screen.route() is not None
        assert "search-70b@eu-west sluggish" in str(screen.pane(1).border_subtitle)
        await it.press("p")
        assert it.session.commands[-1] == Pause(route="search-70b@eu-west", paused=True)


async def test_what_was_turned_keeps_the_cursor_though_another_becomes_the_worst() -> None:
    async with cockpit(session=session_of(FAR)) as it:
        await on_the_grid(it)
        await it.press("p")
        assert it.board.view.selected == "chat@eu-west"


async def test_rows_are_filtered_whole() -> None:
    async with cockpit((120, 40), session_of(FAR)) as it:
        await on_the_grid(it)
        await it.press("slash", *"code", "enter")
        told = text(it, "#places")
        assert "code-review" in told
        assert "chat" not in told
        assert told.count("·") == 2  # its cells that are well
        assert "filter code: 1 of 4" in str(it.app.screen.query_one("#places").border_title)
        await it.press("slash", *"nothing-like-it", "enter")
        assert "no route matches nothing-like-it" in text(it, "#places")
        await it.press("slash", "enter")
        assert "chat" in text(it, "#places")


async def test_only_what_hurts_leaves_rows_out_and_no_cell() -> None:
    shown = made_places.snapshot(down="chat")
    async with cockpit((120, 40), session_of(shown)) as it:
        await on_the_grid(it)
        await it.press("x")
        told = text(it, "#places")
        assert "code-review" not in told
        assert told.count("✖ 100%") == 3
    async with cockpit((120, 40), session_of(made_places.snapshot())) as it:
        await on_the_grid(it)
        await it.press("x")
        assert "none hurts" in text(it, "#places")


async def test_the_window_is_said_and_turned() -> None:
    async with cockpit(session=session_of(FAR)) as it:
        screen = await on_the_grid(it)
        assert "last 1 m" in str(screen.pane(1).border_title)
        await it.press("w")
        assert "last 5 m" in str(screen.pane(1).border_title)


async def test_each_key_that_the_footer_offers_does_something_there() -> None:
    async with cockpit((300, 50), session_of(FAR)) as it:
        screen = await on_the_grid(it)
        for part in footer_parts(it.board.view, 300, "places"):
            if part.id:
                name = hotkey(part.id).action.partition("(")[0].removeprefix("app.")
                assert hasattr(screen, f"action_{name}") or hasattr(it.app, f"action_{name}")


async def test_a_banner_that_names_a_key_has_it_on_every_screen() -> None:
    header = replace(FAR.header, budget_doubt="the ledger fails")
    async with cockpit((160, 50), session_of(replace(FAR, header=header))) as it:
        await on_the_grid(it)
        assert "L counts on" in text(it, "#banner")
        await it.press("L")
        assert it.session.lifted == 1


async def test_keys_that_do_nothing_over_places_are_not_offered_and_say_what_does() -> None:
    session = session_of(FAR)
    session.asks = session.has_text = False
    async with cockpit((300, 50), session) as it:
        footer = it.text("#footer")
        assert not any(word in footer for word in ("sweep", "compare", "text"))
        offered = {one.title for one in it.app.get_system_commands(it.app.screen)}
        assert not offered & {"sweep (K)", "compare (C)", "tag (t)", "text (v)"}
        assert "places (W)" in offered
        it.board.look(replace(it.board.view, selected="chat@eu-west"))
        for key, words in (
            ("C", "compare it there, with `llmtop compare chat` on the machine of eu-west."),
            ("K", "sweep it there, with `llmtop sweep chat` on the machine of eu-west."),
            ("t", "compare it there, with `llmtop compare chat` on the machine of eu-west."),
            ("v", "The text of a stream stays where it is probed."),
        ):
            it.app.clear_notifications()
            await it.press(key)
            (told,) = it.app._notifications
            assert told.message.endswith(words)
        assert it.board.view.tagged == ()
        assert not it.board.view.preview
        await on_the_grid(it)
        it.app.clear_notifications()
        await it.press("M", "K")
        (told,) = it.app._notifications
        assert "`llmtop sweep ROUTE`" in told.message
        assert "chat" not in told.message
        assert "eu-west" not in told.message


async def test_what_happened_stands_below_the_grid_where_there_is_room() -> None:
    happened = replace(FAR, happenings=made_happenings.HAPPENINGS)
    async with cockpit((120, 40), session_of(happened)) as it:
        screen = await on_the_grid(it)
        grid, log = screen.panes["places"], screen.panes["happenings"]
        assert grid.size.height == len(made_places.NAMES[:4]) + 2
        assert log.region.y == grid.region.bottom
        assert log.region.bottom == 39
        assert "what happened · all routes" in str(log.border_title)
        await it.press("f")
        assert "what happened · chat@eu-west" in str(log.border_title)
    async with cockpit(
        (80, 24), session_of(replace(MANY, happenings=made_happenings.HAPPENINGS))
    ) as it:
        screen = await on_the_grid(it)
        grid, log = screen.panes["places"], screen.panes["happenings"]
        assert (grid.display, log.display) == (True, False)
        await it.press("6")
        assert (grid.display, log.display) == (False, True)
        before = text(it, "#happenings")
        await it.press("j", "pagedown")
        assert text(it, "#happenings") != before
        assert it.board.view.selected is None
        await it.press("escape")
        assert (grid.display, log.display) == (True, False)
        await it.press("6", "6")
        assert (grid.display, log.display) == (True, False)
        await it.press("escape")
        assert isinstance(it.app.screen, HomeScreen)
