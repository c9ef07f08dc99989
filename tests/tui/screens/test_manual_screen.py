"""The manual in the cockpit: found, read, turned, searched."""

import pytest
from test_home_screen import Cockpit, cockpit
from test_typing import told, typed
from textual.containers import VerticalScroll
from textual.widgets import Input

from tui.draw.text import line_text, line_width
from tui.manual import find, topics
from tui.screens.manual import ManualScreen, ManualText, list_lines

pytestmark = pytest.mark.anyio


def opened(it: Cockpit) -> ManualScreen:
    screen = it.app.screen
    assert isinstance(screen, ManualScreen)
    return screen


def shown(it: Cockpit) -> str:
    text = it.app.screen.query_one(ManualText)
    return "\n".join(text.render_line(y).text.rstrip() for y in range(text.size.height))


async def test_a_topic_opens_by_its_name() -> None:
    async with cockpit() as it:
        await typed(it, "manual exit")
        assert opened(it).topic == find("exit statuses")[0]
        assert shown(it).startswith("Exit statuses\n")
        assert "129, 130," in shown(it)
        await it.press("escape", "escape")
        assert it.app.screen is it.board


async def test_several_topics_are_a_list_to_choose_from() -> None:
    async with cockpit() as it:
        await typed(it, "manual keys")
        assert opened(it).topic is None
        assert [line.split()[0] for line in shown(it).splitlines()] == ["▸", "tui"]
        await it.press("j", "enter")
        topic = opened(it).topic
        assert topic is not None
        assert topic.name == "tui/Keys"


async def test_a_topic_that_is_none_is_told() -> None:
    async with cockpit() as it:
        await typed(it, "manual frob")
        assert told(it) == ["No topic of the manual begins with frob."]
        assert it.app.screen is it.board


async def test_topics_are_turned_and_listed() -> None:
    async with cockpit() as it:
        await typed(it, "manual tui/states")
        at = topics().index(find("tui/states")[0])
        await it.press("right")
        assert opened(it).topic == topics()[at + 1]
        await it.press("left", "left")
        assert opened(it).topic == topics()[at - 1]
        await it.press("escape")
        assert opened(it).topic is None
        line = shown(it).splitlines()[at - 1]
        assert line.startswith("▸")


async def test_the_manual_is_searched() -> None:
    async with cockpit() as it:
        await typed(it, "manual")
        assert len(shown(it).splitlines()) == len(topics())
        await it.press("slash", *"waterfall ttfa")
        listed = shown(it).splitlines()
        assert 0 < len(listed) < len(topics()) / 2
        await it.press("enter", "enter")
        assert opened(it).topic is not None
        assert not it.app.screen.query_one(Input).display
        await it.press("slash", *"nosuchword", "enter", "enter")
        assert shown(it) == "nothing has these words in it"
        await it.press("j", "right", "q")
        assert it.app.screen is it.board


@pytest.mark.parametrize("size", [(20, 5), (60, 20), (200, 60)])
async def test_it_stays_on_the_screen_and_its_cursor_in_sight(size: tuple[int, int]) -> None:
    async with cockpit(size) as it:
        await typed(it, "manual")
        await it.press(*["j"] * 30)
        await it.pilot.pause()
        box = it.app.screen.query_one(VerticalScroll)
        assert box.region.right <= size[0]
        assert box.region.bottom <= size[1]
        text = it.app.screen.query_one(ManualText)
        assert box.region.y < text.region.y + text.at < box.region.bottom


async def test_a_click_opens_a_topic() -> None:
    async with cockpit() as it:
        await typed(it, "manual")
        await it.pilot.click(ManualText, offset=(5, 3))
        assert opened(it).topic == topics()[3]


@pytest.mark.parametrize("width", [10, 40, 100])
def test_the_list_is_no_wider_than_it_may_be(width: int) -> None:
    lines = list_lines(topics(), 2, width)
    assert all(line_width(line) <= width for line in lines)
    assert line_text(list_lines((), 0, width)[0]).startswith("nothing")
