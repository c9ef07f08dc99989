"""Lines fit their cells, figures keep three digits."""

from datetime import UTC

import made
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tui.draw.text import (
    MARK,
    Line,
    age,
    clip,
    count,
    join,
    left,
    line_text,
    line_width,
    pad,
    right,
    share,
    three_digits,
    time_of_day,
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


@given(WORDS, WIDTHS)
def test_left_and_right_fill_exactly_their_cells(text: str, width: int) -> None:
    assert cell_len(left(text, width)) == width
    assert cell_len(right(text, width)) == width


def test_left_and_right_keep_their_side() -> None:
    assert (left("ab", 4), right("ab", 4), right("abcdef", 4)) == ("ab  ", "  ab", "abc…")


def test_lines_are_joined_in_order() -> None:
    assert join([(("a", "text"),), (("b", "dim"),)]) == (("a", "text"), ("b", "dim"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (0.0842, "0.084"),
        (0.84, "0.840"),
        (0.9996, "1.00"),
        (2.914, "2.91"),
        (9.996, "10.0"),
        (41.25, "41.2"),
        (412.3, "412"),
        (1900, "1.9k"),
        (2_000_000, "2.0M"),
    ],
)
def test_three_digits(value: float | None, text: str) -> None:
    assert three_digits(value) == text


@given(st.floats(min_value=0, max_value=1e14))
def test_figures_never_outgrow_five_cells(value: float) -> None:
    assert len(three_digits(value)) <= 5


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (-1, "0.0s"),
        (4.12, "4.1s"),
        (9.96, "10s"),
        (59.6, "1m00s"),
        (72, "1m12s"),
        (7380, "2h03m"),
        (273_600, "3d04h"),
    ],
)
def test_ages(value: float | None, text: str) -> None:
    assert age(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (212, "212"),
        (999.6, "1.0k"),
        (1949, "1.9k"),
        (60_000, "60k"),
        (999_700, "1.0M"),
        (2e6, "2.0M"),
        (3e9, "3.0G"),
        (9.994e14, "999T"),
        (1e20, "≥1P"),
    ],
)
def test_counts(value: float | None, text: str) -> None:
    assert count(value) == text


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


def test_a_stamp_becomes_the_time_of_day():
    assert time_of_day(made.NOW_NS, made.WALL_ANCHOR_NS, UTC) == "22:26:01"
    assert time_of_day(10**30, 0, UTC) == "–"
