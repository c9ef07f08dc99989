"""Text that is flowed: words stay whole, roles go with them, wide characters are counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.draw.flow import flow, hanging, marked
from tui.draw.text import Span, line_text, line_width


def test_words_are_kept_whole_and_blanks_are_one() -> None:
    lines = flow([("one  two\nthree", "text")], 8)
    assert [line_text(line) for line in lines] == ["one two", "three"]


def test_a_word_of_two_roles_is_one_word() -> None:
    lines = flow([("a ", "text"), ("bold", "title"), (", then", "text")], 6)
    assert lines[0] == (("a", "text"),)
    assert lines[1] == (("bold", "title"), (",", "text"))


def test_a_word_longer_than_a_line_is_broken() -> None:
    assert [line_text(line) for line in flow([("abcdefgh ij", "text")], 5)] == [
        "abcde",
        "fgh",
        "ij",
    ]
    assert [line_text(line) for line in flow([("漢字漢字", "text")], 5)] == ["漢字", "漢字"]


def test_what_stands_between_backticks_is_marked() -> None:
    assert list(marked("press `x` now", "dim")) == [
        ("press ", "dim"),
        ("x", "accent"),
        (" now", "dim"),
    ]


def test_a_term_has_its_meaning_beside_it() -> None:
    lines = hanging(("x", "accent"), [("one two three", "dim")], indent=3, width=10)
    assert [line_text(line) for line in lines] == ["x  one two", "   three"]
    assert [line_text(line) for line in hanging(("x", "text"), [], indent=2, width=9)] == ["x "]


@given(
    st.lists(st.tuples(st.text("ab 漢", max_size=12), st.sampled_from(["text", "dim"]))),
    st.integers(2, 20),
)
def test_nothing_is_lost_and_nothing_is_too_wide(spans: list[Span], width: int) -> None:
    lines = flow(spans, width)
    assert all(line_width(line) <= width for line in lines)
    text = "".join(text for text, _ in spans)
    assert "".join("".join(line_text(line).split()) for line in lines) == "".join(text.split())


@pytest.mark.parametrize("width", [0, -3, 1])
def test_no_width_is_too_small(width: int) -> None:
    assert "".join(line_text(line) for line in flow([("ab c", "text")], width)) == "abc"
