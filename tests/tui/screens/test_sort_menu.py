"""The menu of columns to sort by."""

import pytest
from test_home_screen import cockpit

from tui.draw.text import line_text, line_width
from tui.panes.routes import COLUMNS, SORT_KEYS
from tui.screens.sort_menu import SortMenu, SortPage, choices, menu_lines

pytestmark = pytest.mark.anyio


def test_every_order_has_its_head_and_what_it_means() -> None:
    assert tuple(choices()) == SORT_KEYS
    assert all(head and meaning for head, meaning in choices().values())
    heads = [head for head, _ in choices().values()]
    assert len(set(heads)) == len(heads)
    assert {f"{column.group}{column.head}" for column in COLUMNS} < set(heads)


@pytest.mark.parametrize("width", [10, 40, 80, 100])
def test_a_line_is_no_wider_than_the_menu_and_a_cut_is_marked(width: int) -> None:
    lines = menu_lines(width, "ok", 3)
    assert len(lines) == len(SORT_KEYS)
    assert all(line_width(line) <= width for line in lines)
    whole = menu_lines(400, "ok", 3)
    for line, full in zip(lines, whole, strict=True):
        assert line_text(line) == line_text(full) or line_text(line).endswith("…")


def test_the_present_order_and_the_cursor_are_marked() -> None:
    lines = [line_text(line) for line in menu_lines(80, "ok", 3)]
    assert [row for row, line in enumerate(lines) if "●" in line] == [SORT_KEYS.index("ok")]
    assert [row for row, line in enumerate(lines) if line.startswith("▸")] == [3]


async def test_a_column_is_picked() -> None:
    async with cockpit() as it:
        await it.press("S")
        assert isinstance(it.app.screen, SortMenu)
        await it.press("j", "j", "k", "enter")
        assert it.board.view.sort == SORT_KEYS[1]
        await it.press("r", "S", "k", "enter")
        assert it.board.view.sort == ""
        assert not it.board.view.reversed


async def test_the_first_letter_picks_or_goes_to_the_next() -> None:
    async with cockpit() as it:
        heads = [head for head, _ in choices().values()]
        one = next(head for head in heads if sum(h[0] == head[0] for h in heads) == 1)
        await it.press("S", one[0].lower())
        assert it.board.view.sort == SORT_KEYS[heads.index(one)]
        await it.press("S", "s")
        menu = it.app.screen
        assert isinstance(menu, SortMenu)
        page = menu.query_one(SortPage)
        assert heads[page.at].startswith("S")
        first = page.at
        await it.press("s")
        assert heads[page.at].startswith("S")
        assert page.at != first


async def test_escape_leaves_the_order_as_it_was() -> None:
    async with cockpit() as it:
        await it.press("s", "S", "j", "j", "escape")
        assert it.board.view.sort == "name"
        assert it.app.screen is it.board


async def test_a_click_picks() -> None:
    async with cockpit() as it:
        await it.press("S")
        await it.pilot.click(SortPage, offset=(3, 2))
        await it.pilot.pause()
        assert it.board.view.sort == SORT_KEYS[2]


@pytest.mark.parametrize("size", [(20, 5), (60, 20), (80, 24)])
async def test_the_cursor_stays_in_sight(size: tuple[int, int]) -> None:
    async with cockpit(size) as it:
        await it.press("S", "end")
        await it.pilot.pause()
        page = it.app.screen.query_one(SortPage)
        box = page.parent
        assert box is not None
        assert page.at == len(SORT_KEYS) - 1
        assert box.region.contains(box.region.x, page.region.y + page.at)
        assert box.region.bottom <= size[1]
