"""The help: every key of the table, every word and glyph of the screen, and what to do."""

from typing import get_args

import pytest
from changed import replace
from textual.app import App
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Input

from probes.board.views import RouteState
from tui.draw.text import line_text, line_width
from tui.draw.theme import THEMES
from tui.keys import HOME, KEYS, remapped
from tui.panes.header import FIRES
from tui.panes.routes import COLUMNS, STATE_GLYPHS
from tui.screens.alert_list import OVER, SEEN
from tui.screens.glossary import (
    HELP_PAGES,
    PANE_COLUMNS,
    STATES,
    HelpPage,
    Section,
    keys_sections,
    sections_of,
    state_words,
)
from tui.screens.help import HelpScreen, HelpText, found, help_lines

pytestmark = pytest.mark.anyio

ALL = {page: sections_of(page) for page in HELP_PAGES}


class Host(App[None]):
    """An app with nothing but the help over it."""

    def __init__(self, screen: HelpScreen | None = None) -> None:
        super().__init__()
        self._help = screen or HelpScreen()

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "llmtop"
        self.push_screen(self._help)


def words(page: HelpPage, width: int = 70) -> str:
    """Return a page's words without their wrapping and their marks."""
    text = " ".join(line_text(line) for line in help_lines(ALL[page], width))
    return " ".join(text.split())


def plain(text: str) -> str:
    return text.replace("`", "")


def test_every_key_is_there_with_what_it_does():
    text = words("keys") + words("time")
    of_pages = words("pages") + words("compare") + words("observer")
    for key in KEYS:
        if not key.id.startswith("pane_"):
            there = text if key.where >= HOME else of_pages
            assert f"{key.shown or '–'} {key.tooltip}" in there
    assert "1 … 6 Go to a pane; again: the whole screen." in text


def test_the_keys_that_go_to_panes_are_told_as_the_user_has_them():
    keys = remapped({"pane_2": ("f2",), "pane_5": ()})
    text = "\n".join(line_text(line) for line in help_lines(keys_sections(keys), 60))
    assert "1 F2 3 4 6" in text


def test_a_key_of_an_unknown_group_is_shown_too():
    odd = replace(KEYS[0], group="elsewhere", tooltip="Does something else.")
    text = "\n".join(line_text(line) for line in help_lines(keys_sections((odd,)), 60))
    assert "elsewhere" in text
    assert "Does something else." in text


def test_how_an_alert_stands_is_told_with_the_other_marks():
    text = words("marks")
    for glyph in (FIRES, SEEN, OVER):
        assert f" {glyph[0]} " in text
    assert "⚑ Fires, and nobody has acknowledged it" in text
    assert "⚐ Fires, and is acknowledged" in text
    assert found("acknowledged it", ALL.values())


def test_every_state_has_what_it_means_what_to_look_at_and_what_to_do():
    assert list(STATES) == list(get_args(RouteState))
    text = words("states").lower()
    for state in STATES:
        told = state_words(state)
        assert f"{STATE_GLYPHS[state]} {state} {plain(told.meaning)}".lower() in text
        assert told.look == "–" or f"look at {plain(told.look)}".lower() in text
        assert told.do == "–" or f"do {plain(told.do)}".lower() in text


def test_what_to_do_names_the_keys_that_the_user_has():
    assert state_words("throttled").do.startswith("`concurrency`: `-` to below the limit")
    keys = remapped({"fewer": ("d",), "end_cool_down": ()})
    told = state_words("throttled", keys).do
    assert told.startswith("`concurrency`: `d` to below the limit")
    assert told.endswith("your own knowledge: end cool-down")


def test_every_column_of_the_routes_table_is_explained():
    explained = [term.shown for section in ALL["figures"] for term in section.terms if term.meaning]
    for column in COLUMNS:
        assert f"{column.group}{column.head}" in explained


def test_the_first_page_is_of_the_pane_and_of_the_state():
    first, second, *_ = sections_of("here", pane="throttling", state="hanging")
    assert [term.shown for term in first.terms] == ["◷ hanging", "  look at", "  do"]
    assert second.terms == PANE_COLUMNS["throttling"]
    assert not [part for part in sections_of("here", pane="arrival") if not part.terms]


@pytest.mark.parametrize("width", [16, 36, 56, 63, 64, 72, 99, 100, 128])
@pytest.mark.parametrize("page", HELP_PAGES)
def test_nothing_is_cut_at_any_width(page: HelpPage, width: int):
    lines = help_lines(ALL[page], width)
    assert all(line_width(line) <= width for line in lines)
    longest = max(map(len, plain(text_of(ALL[page])).split()))
    if width >= longest + 2:
        told = sorted(" ".join(line_text(line) for line in lines).split())
        assert told == sorted(plain(text_of(ALL[page])).split())


def text_of(sections: tuple[Section, ...]) -> str:
    return " ".join(
        f"{section.title} {term.shown} {term.meaning}"
        if term is section.terms[0]
        else f"{term.shown} {term.meaning}"
        for section in sections
        for term in section.terms
    )


def test_a_page_is_a_screen_or_two_at_the_size_that_terminals_open_with():
    assert {page for page in HELP_PAGES if len(help_lines(ALL[page], 76)) > 2.5 * 22} <= {
        *("keys", "compare")
    }
    for page in HELP_PAGES:
        assert len(help_lines(ALL[page], 128)) <= 48


def test_it_has_two_columns_where_they_fit():
    wide, narrow = help_lines(ALL["marks"], 120), help_lines(ALL["marks"], 80)
    assert len(wide) < len(narrow) * 0.8
    assert "marks on figures" in line_text(wide[0])
    assert len(line_text(wide[0]).split("  ")) > 2


def test_words_are_found_on_all_pages():
    sections = found("retry", ALL.values())
    assert {"columns of the routes table", "marks on figures"} & {part.title for part in sections}
    shown = [term for section in sections for term in section.terms]
    assert len(set(shown)) == len(shown)
    assert found("no such word", ALL.values()) == ()


async def test_it_scrolls_to_its_end():
    app = Host(HelpScreen("keys"))
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


async def test_the_keys_that_the_user_has_for_help_close_it():
    app = Host(HelpScreen(keys=remapped({"help": ("f1",)})))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        assert isinstance(app.screen, HelpScreen)
        await pilot.press("f1")
        await pilot.pause()
        assert not isinstance(app.screen, HelpScreen)


async def test_pages_are_turned():
    app = Host()
    async with app.run_test(size=(80, 24)) as pilot:
        screen = app.screen
        assert isinstance(screen, HelpScreen)
        assert screen.page == "here"
        seen = []
        for key in ("right", "right", "left", "8", "right", "left", "3"):
            await pilot.press(key)
            seen.append(screen.page)
        assert seen == ["keys", "states", "keys", "compare", "time", "compare", "states"]
        assert "states" in str(screen.query_one(VerticalScroll).border_title)


async def test_the_search_shows_what_has_the_words_and_escape_leaves_it():
    app = Host()
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("slash", *"429")
        await pilot.pause()
        text = app.screen.query_one(HelpText)
        shown = [term for section in text.sections for term in section.terms]
        assert shown
        assert all("429" in f"{term.shown} {term.meaning}" for term in shown)
        await pilot.press("escape")
        assert not app.screen.query_one(Input).display
        assert text.sections == ALL["here"]
        await pilot.press("slash", *"nosuchword")
        assert [part.title for part in text.sections] == ["nothing has nosuchword in it"]
        await pilot.press("escape", "escape")
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


@pytest.mark.parametrize("width", [20, 60, 66, 81, 82, 90])
async def test_pages_that_have_no_room_in_the_border_leave_a_mark(width: int):
    app = Host()
    async with app.run_test(size=(width, 20)) as pilot:
        await pilot.pause()
        title = Content.from_markup(str(app.screen.query_one(VerticalScroll).border_title)).plain
        assert title.endswith("9 time" if width >= 90 else " …")
        assert len(title) <= width - 4
