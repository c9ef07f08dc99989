"""Tables: which columns fit, how wide they are, and the lines they make."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tui.draw.table import BLANK, Cell, Column, fit, printed
from tui.draw.text import line_text, line_width

NAME: Column[str] = Column("NAME", 6, lambda row: Cell(row), key="name", flush_left=True)
SIZE: Column[str] = Column("SIZE", 4, lambda row: Cell(str(len(row)), "dim"), 1, key="size")
MARKED: Column[str] = Column(
    "1ST",
    3,
    lambda row: Cell(row[:1], "missed", "!" if row[:1] == "x" else " "),
    2,
    key="first",
    marked=True,
)
COLUMNS = (NAME, SIZE, MARKED)


def test_heads_and_cells_stand_under_each_other() -> None:
    table = fit(COLUMNS, 40, gap=2)
    assert line_text(table.head_line()) == "NAME    SIZE  1ST "
    assert line_text(table.line("xylo")) == "xylo       4    x!"
    assert line_text(table.line("longer-than-six")) == "longe…    15    l "


def test_cells_and_heads_have_their_roles() -> None:
    table = fit(COLUMNS, 40)
    assert [role for _, role in table.line("xylo")] == ["text", "dim", "missed"]
    assert [role for _, role in table.head_line("size")] == ["head", "accent", "head"]


def test_the_least_needed_columns_go_first_and_the_first_one_never() -> None:
    shown = [[column.key for column in fit(COLUMNS, width, gap=2).columns] for width in (18, 17)]
    assert shown == [["name", "size", "first"], ["name", "size"]]
    assert [column.key for column in fit(COLUMNS, 11, gap=2).columns] == ["name"]
    assert [column.key for column in fit(COLUMNS, 0, gap=2).columns] == ["name"]


def test_a_narrower_column_never_takes_the_place_of_a_more_needed_one() -> None:
    small: Column[str] = Column("S", 1, Cell, 9)
    assert fit((*COLUMNS, small), 17, gap=2).columns == (NAME, SIZE)


def test_a_column_that_wants_room_is_shown_only_where_that_is_free() -> None:
    shy = replace(MARKED, room=10)
    assert fit((NAME, shy), 6 + 4 + 7).columns == (NAME, shy)
    assert fit((NAME, shy), 6 + 4 + 6).columns == (NAME,)


def test_what_is_spare_is_given_away_in_turn() -> None:
    table = fit(COLUMNS, 24, gap=2)
    assert table.spare == 6
    grown = table.grown(("size", 6), ("absent", 99), ("name", 99), ("size", 99))
    assert (grown.width("name"), grown.width("size"), grown.spare) == (10, 6, 0)
    assert line_width(grown.line("x")) == 24


def test_a_group_is_named_once_and_widens_the_first_of_it_that_is_shown() -> None:
    def of(head: str, priority: int) -> Column[str]:
        return Column(head, 5, Cell, priority, group="TTFT")

    columns = (of("50", 2), of("95", 0))
    assert line_text(fit(columns, 40, gap=1).head_line()) == "TTFT50    95"
    assert line_text(fit(columns, 11, gap=1).head_line()) == "TTFT95"


def test_cells_can_stand_instead_of_a_rows_own() -> None:
    table = fit(COLUMNS, 40, gap=2)
    line = table.line("xylo", {"name": Cell("all", "head"), "first": BLANK})
    assert line_text(line) == "all        4      "
    assert line[0][1] == "head"


def test_a_column_without_cells_only_keeps_its_place() -> None:
    table = fit((NAME, replace(SIZE, key="trend", cell=None)), 40, gap=2)
    assert table.width("trend") == 4
    assert line_text(table.line("xylo")) == "xylo  "
    assert line_text(table.head_line()) == "NAME  "


def test_blanks_look_like_their_own_cell_or_like_the_one_before() -> None:
    own = fit((NAME, SIZE), 40, gap=2).line("xylo")
    before = fit((NAME, replace(SIZE, gap_like_before=True)), 40, gap=2).line("xylo")
    assert own == (("xylo  ", "text"), ("     4", "dim"))
    assert before == (("xylo    ", "text"), ("   4", "dim"))


def test_printed_columns_are_as_wide_as_their_rows() -> None:
    rows = ["x", "longer-than-six", "漢字"]
    table = printed((NAME, SIZE), rows)
    assert [table.head_text(), *map(table.text, rows)] == [
        "NAME             SIZE",
        "x                   1",
        "longer-than-six    15",
        "漢字                2",
    ]


def test_a_long_printed_text_takes_from_the_blanks_of_the_next_and_the_rest_stands() -> None:
    why: Column[str] = Column("WHY", 8, lambda _: Cell("cap"), flush_left=True)
    table = printed((NAME, why, SIZE))
    assert [table.text(row) for row in ("six", "nine-nine")] == [
        "six     cap          3",
        "nine-nine  cap       9",
    ]


@given(st.text(max_size=30), st.integers(18, 60), st.integers(0, 3))
def test_every_line_of_a_table_has_one_width(text: str, width: int, gap: int) -> None:
    table = fit(COLUMNS, width, gap=gap).grown(("name", 20))
    assert line_width(table.line(text)) == line_width(table.head_line()) <= width


def test_the_sign_of_a_lit_head_takes_the_place_of_a_blank() -> None:
    table = fit(COLUMNS, 40, gap=2)
    bare = line_text(table.head_line())
    for column in COLUMNS:
        signed = line_text(table.head_line(column.key, "↓"))
        assert len(signed) == len(bare)
        assert signed.replace("↓", " ") == bare
        assert "↓" in signed
    assert line_text(table.head_line("", "↓")) == bare
