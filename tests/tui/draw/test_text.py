"""Lines fit their cells; shares and dollars are as short as they can be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.draw.text import (
    MARK,
    Line,
    clip,
    fold,
    join,
    left,
    line_text,
    line_width,
    pad,
    right,
    share,
    usd,
)

WORDS = st.text(alphabet="abc 漢字é", max_size=12)
LINES = st.lists(st.tuples(WORDS, st.just("text")), max_size=5).map(tuple)
WIDTHS = st.integers(min_value=0, max_value=40)


@given(LINES, WIDTHS)
def test_a_padded_line_has_exactly_its_width(line: Line, width: int) -> None:
    assert line_width(pad(line, width)) == width


@given(LINES, WIDTHS)
def test_a_cut_line_ends_in_a_mark(line: Line, width: int) -> None:
    clipped = clip(line, width)
    assert line_width(clipped) <= width
    assert clipped == line or not width or line_text(clipped).endswith(MARK)


@given(LINES, st.integers(min_value=2, max_value=40), st.integers(min_value=0, max_value=6))
def test_a_folded_line_keeps_every_character_but_blanks(
    line: Line, width: int, indent: int
) -> None:
    folded = fold(line, width, min(indent, width - 2))
    assert all(line_width(one) <= width for one in folded)
    text = "".join(map(line_text, folded))
    assert text.replace(" ", "") == line_text(line).replace(" ", "")


def test_a_line_is_folded_between_words_and_a_long_word_where_it_must_be() -> None:
    line: Line = (("id ", "dim"), ("req_1 req_0123456789", "text"))
    assert [line_text(one) for one in fold(line, 10, 3)] == [
        "id req_1 ",
        "   req_012",
        "   3456789",
    ]


@given(WORDS, WIDTHS)
def test_left_and_right_fill_exactly_their_cells(text: str, width: int) -> None:
    assert cell_len(left(text, width)) == width
    assert cell_len(right(text, width)) == width


def test_left_and_right_keep_their_side() -> None:
    assert (left("ab", 4), right("ab", 4), right("abcdef", 4)) == ("ab  ", "  ab", "abc…")


def test_lines_are_joined_in_order() -> None:
    assert join([(("a", "text"),), (("b", "dim"),)]) == (("a", "text"), ("b", "dim"))


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.0, "0.0"), (0.972, "97.2"), (0.99999, "99.9"), (1.0, "100")]
)
def test_shares_round_to_the_whole_only_when_whole(value: float | None, text: str) -> None:
    assert share(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (0.0012, "0.001"),
        (0.0001, "<.001"),
        (0.42, "0.42"),
        (12.34, "12.3"),
        (99.97, "100"),
        (1234, "1.2k"),
    ],
)
def test_dollars(value: float | None, text: str) -> None:
    assert usd(value) == text
