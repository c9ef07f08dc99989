"""The help: every key of the table, every word and glyph of the screen."""

from typing import get_args

import pytest
from changed import replace
from textual.app import App
from textual.containers import VerticalScroll

from probes.board.views import RouteState
from tui.draw.text import line_text, line_width
from tui.draw.theme import THEMES
from tui.keys import KEYS
from tui.panes.routes import COLUMNS, STATE_GLYPHS
from tui.screens.glossary import GLOSSARY, STATE_MEANINGS
from tui.screens.help import HelpScreen, help_lines

pytestmark = pytest.mark.anyio


class Host(App[None]):
    """An app with nothing but the help over it."""

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "llmtop"
        self.push_screen(HelpScreen())


def words(width: int) -> str:
    """Return the help's words without their wrapping."""
    return " ".join(" ".join(line_text(line) for line in help_lines(width)).split())


def test_every_key_is_there_with_what_it_does():
    text = words(60)
    for key in KEYS:
        assert f"{key.shown} {key.tooltip}" in text


def test_a_small_terminal_has_every_key_with_its_label():
    left = [line_text(line)[:26].rstrip() for line in help_lines(72)]
    for key in KEYS:
        assert f"{key.shown:<8}{key.label}" in left


def test_a_key_of_an_unknown_group_is_shown_too():
    odd = replace(KEYS[0], group="elsewhere", tooltip="Does something else.")
    text = "\n".join(line_text(line) for line in help_lines(60, (odd,)))
    assert "elsewhere" in text
    assert "Does something else." in text


def test_every_route_state_is_explained_with_its_glyph():
    assert list(STATE_MEANINGS) == list(get_args(RouteState))
    text = words(60)
    for state, meaning in STATE_MEANINGS.items():
        assert f"{STATE_GLYPHS[state]} {state} {meaning}" in text


def test_every_column_of_the_routes_table_is_explained():
    explained = " ".join(term.shown for section in GLOSSARY for term in section.terms).split()
    plain = {"MODEL", "STATE", "WHY", ""}
    for column in COLUMNS:
        assert column.head in plain or column.head in explained
        assert not column.group or column.group in explained


def test_terms_fit_their_column():
    assert all(len(term.shown) < 12 for section in GLOSSARY for term in section.terms)


@pytest.mark.parametrize("width", [20, 40, 63, 64, 72, 100, 128])
def test_nothing_is_cut_at_any_width(width: int):
    lines = help_lines(width)
    assert all(line_width(line) <= width for line in lines)
    assert not any("…" in line_text(line) for line in lines)


def test_it_has_two_columns_where_they_fit():
    first = line_text(help_lines(72)[0])
    assert "knobs" in first
    assert "figures" in first
    assert "figures" not in line_text(help_lines(50)[0])


async def test_it_scrolls_to_its_end():
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        box = app.screen.query_one(VerticalScroll)
        assert box.max_scroll_y > 0
        await pilot.press("j", "down")
        await pilot.pause()
        assert box.scroll_y >= 1
        await pilot.press("end")
        await pilot.wait_for_scheduled_animations()
        assert box.scroll_y == box.max_scroll_y


@pytest.mark.parametrize("key", ["escape", "question_mark", "q"])
async def test_a_key_closes_it(key: str):
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        await pilot.press(key)
        await pilot.pause()
        assert not isinstance(app.screen, HelpScreen)


@pytest.mark.parametrize("size", [(20, 5), (80, 24), (200, 50)])
async def test_it_stays_on_the_screen(size: tuple[int, int]):
    app = Host()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        box = app.screen.query_one(VerticalScroll)
        assert box.region.right <= size[0]
        assert box.region.bottom <= size[1]
