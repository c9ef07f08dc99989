"""What every live screen does, whichever is in front."""

import pytest
from staged import stage, state_of, troubled

from probes.control.commands import SetKnob
from probes.events.knob_turns import ONE_TURN_NS
from probes.kit.clock import NS_PER_S
from tui.draw.theme import ANSI, ANSI_LIGHT, DARK, LIGHT, PLAIN, role_styles
from tui.screens.home import HomeScreen
from tui.screens.live import LiveScreen

pytestmark = pytest.mark.anyio


async def test_a_screen_under_another_live_one_neither_pulls_nor_draws() -> None:
    async with stage(troubled(6)) as staged:
        home = staged.screen
        assert isinstance(home, HomeScreen)
        await staged.press("enter")
        page = staged.screen
        assert isinstance(page, LiveScreen)
        assert page is not home
        board = staged.session.board
        board.asked.clear()
        pulls: list[LiveScreen] = []
        for screen in (home, page):
            screen.arrange_panes = lambda screen=screen: pulls.append(screen)  # type: ignore[method-assign, misc]
        home._beat()
        home.pull()
        page.pull()
        assert pulls == [page]
        del home.arrange_panes, page.arrange_panes
        await staged.press("escape")
        assert staged.screen is home
        home.arrange_panes = lambda: pulls.append(home)  # type: ignore[method-assign]
        home.pull()
        assert pulls == [page, home]


async def test_under_the_help_it_goes_on() -> None:
    async with stage(troubled(6)) as staged:
        home = staged.screen
        assert isinstance(home, HomeScreen)
        await staged.press("question_mark")
        assert staged.screen is not home
        pulls: list[LiveScreen] = []
        home.arrange_panes = lambda: pulls.append(home)  # type: ignore[method-assign]
        home.pull()
        assert pulls == [home]


@pytest.mark.parametrize("theme", ["llmtop", "llmtop-light", "llmtop-ansi", "llmtop-plain"])
async def test_behind_a_menu_the_routes_are_still_seen(theme: str) -> None:
    async with stage(troubled(6), (160, 50)) as staged:
        staged.app.theme = theme
        await staged.press("S")
        told = staged.app.export_screenshot()
        assert "hurt" in told
        assert "r000x" in told


async def test_another_theme_repaints_all_that_is_drawn() -> None:
    async with stage(troubled(6), (160, 50)) as staged:
        for theme in (ANSI_LIGHT, PLAIN, ANSI, DARK, LIGHT):
            staged.app.theme = theme.name
            await staged.pilot.pause()
            loud = role_styles(theme)["missed"]
            segments = [one for one in staged.strips()[1] if one.text == "answers nothing"]
            (told,) = [one.style for one in segments]
            assert told is not None
            assert (told.reverse or False, told.underline or False, told.bold) == (
                loud.reverse or False,
                loud.underline or False,
                True,
            )
            if theme is not PLAIN:
                assert told.color == loud.color


def set_to(value: float) -> SetKnob:
    return SetKnob(route="r000x", knob="concurrency", value=value)


async def test_what_was_turned_in_several_steps_is_undone_at_once() -> None:
    async with stage(troubled(6)) as staged:
        commands = staged.session.commands
        await staged.press("plus", "plus", "plus", "u")
        assert commands == [set_to(5.0), set_to(6.0), set_to(7.0), set_to(4.0)]
        await staged.press("u")
        assert len(commands) == 4, "there is nothing left to undo"


async def test_another_way_or_a_while_later_is_another_turn() -> None:
    async with stage(troubled(6)) as staged:
        commands, clock = staged.session.commands, state_of(staged.app).clock
        await staged.press("plus", "minus", "u", "u")
        assert commands == [set_to(5.0), set_to(4.0), set_to(5.0), set_to(4.0)]
        commands.clear()
        await staged.press("plus")
        await clock.sleep(ONE_TURN_NS / NS_PER_S + 1)
        await staged.press("plus", "u", "u")
        assert commands == [set_to(5.0), set_to(6.0), set_to(5.0), set_to(4.0)]
