"""The App at every size, its themes, its signals, and the engine's lifetime around it."""

import gc
import re

import made
import pytest
from fakes import FakeClock, FakeSession, config
from textual._styles_cache import StylesCache
from textual.command import CommandPalette

from probes.config import Config, Display
from tui.app import LlmtopApp
from tui.draw.theme import ANSI, DARK
from tui.panes.pane import Pane

pytestmark = pytest.mark.anyio

SIZES = ((80, 24), (120, 40), (160, 50), (200, 50), (300, 100), (20, 5), (1, 1))


def make_app(session: FakeSession | None = None) -> LlmtopApp:
    return LlmtopApp(session or FakeSession(), config(), FakeClock())


def text_of(pane: Pane) -> str:
    return "\n".join(pane.render_line(y).text for y in range(pane.size.height))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_every_size_shows_what_fits(size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        shown = [pane for pane in app.screen.query(Pane) if pane.display]
        assert shown
        for pane in shown:
            assert pane.region.right <= size[0]
            assert pane.region.bottom <= size[1]
            assert all(pane.render_line(y).cell_length == pane.size.width for y in range(9))


async def test_a_terminal_may_shrink_to_nothing_and_grow_again() -> None:
    app = make_app()
    async with app.run_test(size=(160, 50)) as pilot:
        before = text_of(app.screen.query_one("#routes", Pane))
        await pilot.resize_terminal(20, 5)
        await pilot.pause()
        await pilot.resize_terminal(160, 50)
        await pilot.pause()
        assert text_of(app.screen.query_one("#routes", Pane)) == before


async def test_hostile_names_reach_no_cell() -> None:
    session = FakeSession()
    row = made.route(made.HOSTILE, model=made.HOSTILE)
    header = made.header(notices=(made.HOSTILE,))
    details = {row.name: made.detail(row.name, preview=made.HOSTILE)}
    session.board.whole = made.snapshot(routes=(row,), header=header, details=details)
    app = make_app(session)
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.press("v")
        await pilot.pause()
        screen = "".join(text_of(pane) for pane in app.screen.query(Pane) if pane.display)
        titles = "".join(str(pane.border_title) for pane in app.screen.query(Pane))
    for character in "\x1b\x07\u202e\u200b\ufdfd":
        assert character not in screen + titles


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_a_key_leaves(key: str) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.press(key)
        await pilot.pause()
        assert app._exit
    assert app.return_code == 0


async def test_the_palette_has_every_key() -> None:
    app = make_app()
    async with app.run_test() as pilot:
        titles = {command.title for command in app.get_system_commands(app.screen)}
        assert {"burst (b)", "pause all (P)"} <= titles
        await pilot.press("ctrl+p")
        assert isinstance(app.screen, CommandPalette)


async def test_a_palette_closed_while_a_search_begins_does_no_harm() -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.press("ctrl+p")
        palette = app.screen
        assert isinstance(palette, CommandPalette)
        await palette.query("*").remove()
        await palette._gather_commands("c").wait()
        assert not app._exception


@pytest.mark.parametrize("opening", ["question_mark", "ctrl+p", "colon", "S"])
async def test_what_was_closed_is_given_back(opening: str) -> None:
    """Each widget has one such cache, with all the lines it has drawn."""

    def held() -> int:
        gc.collect()
        return sum(type(thing) is StylesCache for thing in gc.get_objects())

    app = make_app()
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.pause()
        home = app.screen
        # Textual keeps the last layout of a screen, with what was on it.
        await pilot.press(opening, "escape")
        await pilot.pause(0.1)
        before = held()
        for _ in range(4):
            await pilot.press(opening, "escape")
            await pilot.pause()
        # A closing screen ends its workers first (the palette's search), which takes
        # as many turns of the loop as the machine likes: what never goes is the fault.
        for _ in range(100):
            if app.screen is home and held() <= before:
                break
            await pilot.pause(0.05)
        assert app.screen is home
        assert held() <= before


async def test_the_collector_is_given_back() -> None:
    before = gc.get_threshold()
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.pause()
        assert gc.get_threshold() != before
    assert gc.get_threshold() == before


@pytest.mark.parametrize(
    ("environ", "theme"),
    [
        ({"TERM": "xterm"}, "llmtop-ansi"),
        ({"TERM": "xterm-256color"}, "llmtop"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "llmtop-plain"),
    ],
)
async def test_the_theme_is_what_the_terminal_can_show(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], theme: str
) -> None:
    for name in ("COLORTERM", "NO_COLOR", "COLORFGBG", "CLICOLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert make_app().theme == theme


async def test_an_unknown_theme_falls_back() -> None:
    settings = Config(routes=(), display=Display(theme="no such theme"))
    assert LlmtopApp(FakeSession(), settings).theme in (DARK.name, ANSI.name)


@pytest.mark.parametrize("theme", ["llmtop-light", "llmtop-ansi", "dracula"])
async def test_other_themes_draw_too(theme: str) -> None:
    app = make_app()
    async with app.run_test(size=(160, 50)) as pilot:
        app.theme = theme
        await pilot.pause()
        assert "LIVE" in text_of(app.screen.query_one("#header", Pane))


async def test_without_colour_the_words_remain_and_what_hurts_is_loudest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    app = make_app()
    async with app.run_test(size=(160, 50)) as pilot:
        await pilot.pause()
        pane = app.screen.query_one("#routes", Pane)
        text = text_of(pane)
        drawn = "".join(pane.render_line(y).render(app.console) for y in range(pane.size.height))
        pens = pane._pens_of(highlighted=False)
    for mark in ("✖ eastus-gpt", "⊘ busy-llama", "2.91▲", "1.34△", "97.2▼"):
        assert mark in text
    assert not re.search(r"\x1b\[[\d;]*(3[0-8]|4[0-8]|9\d|10\d)[;m]", drawn)
    assert "1;7" in pens["missed"].whole
    assert pens["fine"].whole == pens["text"].whole
    assert not {"1", "7"} & set(pens["fine"].whole[4:-1].split(";"))
