"""Rows written past Textual: the terminal ends up with what Textual would have drawn."""

from io import StringIO

import pytest
from grid import Grid
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.style import Style
from textual.color import Color
from textual.filter import NoColor

from tui.draw.ink import Brush, pens_for, trimmed, trims
from tui.draw.text import ROLES, Line, pad
from tui.draw.theme import ANSI, ANSI_LIGHT, DARK, LIGHT, PLAIN, role_styles

CONSOLE = Console(file=StringIO(), force_terminal=True, color_system="truecolor")
GROUND = Style.parse("#c8c8c8 on #0b0d0f")
PENS = pens_for(role_styles(DARK), GROUND, CONSOLE)
WIDTH = 30


def drawn(*lines: Line) -> list[tuple[str, frozenset[str]]]:
    """Return the row that is left after the lines were written one over the other."""
    grid, before = Grid(), None
    for line in lines:
        brush = Brush()
        after = pad(line, WIDTH)
        brush.row(0, 3, before, after, PENS)
        grid.write(brush.take())
        before = after
    return grid.row(3, WIDTH)


spans = st.tuples(st.text("ab ▃·", min_size=1, max_size=6), st.sampled_from(ROLES))
lines = st.lists(spans, max_size=6).map(tuple)


@given(lines, lines)
def test_what_is_changed_ends_as_what_is_drawn_whole(before: Line, after: Line) -> None:
    assert drawn(before, after) == drawn(after)


@given(lines)
def test_an_equal_row_writes_nothing(line: Line) -> None:
    brush = Brush()
    brush.row(0, 0, pad(line, WIDTH), pad(line, WIDTH), PENS)
    assert brush.take() == ""


def test_every_role_looks_as_its_style() -> None:
    for role in ROLES:
        shown = drawn(((f"x{role}", role),))[0]
        strip = CONSOLE.render_str("x", style=GROUND + role_styles(DARK)[role])
        with CONSOLE.capture() as captured:
            CONSOLE.print(strip, end="", style=GROUND + role_styles(DARK)[role])
        grid = Grid()
        grid.write(captured.get())
        assert shown == grid.cells[0, 0], role


def test_only_the_cells_that_changed_are_written() -> None:
    brush = Brush()
    before: Line = (("name      ", "text"), (" 41.2", "dim"), (" 0.61", "great"))
    after: Line = (("name      ", "text"), (" 43.0", "dim"), (" 0.61", "great"))
    brush.row(10, 2, before, after, PENS)
    frame = brush.take()
    assert frame.startswith("\x1b[3;21H")
    assert "43.0" in frame
    assert "name" not in frame
    assert "0.61" not in frame


def test_a_colour_alone_is_set_where_nothing_else_differs() -> None:
    brush = Brush()
    brush.row(0, 0, None, (("a", "text"), ("b", "dim"), ("c", "title")), PENS)
    frame = brush.take()
    assert frame.count("48;2;11;13;15") == 2, "once for the row, once more for what is bold"


@pytest.mark.parametrize(("wide", "x"), [("漢字", 4), ("ab", 2)])
def test_wide_characters_count_two_cells(wide: str, x: int) -> None:
    brush = Brush()
    brush.row(0, 0, ((wide, "text"), ("a", "dim")), ((wide, "text"), ("b", "dim")), PENS)
    assert brush.take().startswith(f"\x1b[1;{x + 1}H")


def test_without_colours_none_is_written() -> None:
    pens = pens_for(role_styles(DARK), GROUND, CONSOLE, [NoColor()], Color(0, 0, 0))
    brush = Brush()
    brush.row(0, 0, None, (("a", "missed"), ("b", "great")), pens)
    assert "38;2" not in brush.take()


def test_sixteen_colours_stay_sixteen() -> None:
    console = Console(file=StringIO(), force_terminal=True, color_system="standard")
    pens = pens_for(role_styles(ANSI), Style.null(), console)
    brush = Brush()
    brush.row(0, 0, None, (("a", "missed"), ("b", "text")), pens)
    assert brush.take() == "\x1b[1;1H\x1b[0;1;91ma\x1b[0;39mb\x1b[0m"


def test_the_blanks_around_a_marked_figure_are_bare_and_an_alert_is_a_block() -> None:
    for theme in (PLAIN, ANSI_LIGHT):
        styles = role_styles(theme)
        assert trims("missed", styles["missed"])
        assert not trims("alert", styles["alert"])
        assert not trims("title", styles["title"])
    assert trimmed(("   0.0 ", "missed")) == (("   ", "text"), ("0.0", "missed"), (" ", "text"))
    assert trimmed(("a b", "missed")) == (("a b", "missed"),)
    assert trimmed(("  ", "missed")) == (("  ", "text"),)
    for dressed in (DARK, LIGHT):
        assert not any(trims(role, style) for role, style in role_styles(dressed).items())
