"""Hostile text is shown, and does nothing."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.sanitise import ESCAPE_MARK, JUNK_MARK, NEWLINE_MARK, neutralise

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=200)


@given(ANY_TEXT)
def test_nothing_that_acts_on_a_terminal_is_left(text: str) -> None:
    for character in neutralise(text):
        assert unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(ANY_TEXT)
def test_neutral_text_stays_as_it_is(text: str) -> None:
    once = neutralise(text)
    assert neutralise(once) == once


@given(ANY_TEXT, st.integers(min_value=0, max_value=50))
def test_the_limit_is_never_exceeded(text: str, limit: int) -> None:
    assert len(neutralise(text, limit)) <= limit


@given(st.text(alphabet=st.characters(codec="ascii", categories=["L", "N", "P", "S"])))
def test_plain_ascii_is_kept(text: str) -> None:
    assert neutralise(text) == text


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", f"{ESCAPE_MARK}red{ESCAPE_MARK}"),
        ("\x9b2Jgone", f"{ESCAPE_MARK}gone"),
        ("\x1b]0;title\x07after", f"{ESCAPE_MARK}after"),
        ("\x1b]52;c;Y29weQ==\x1b\\after", f"{ESCAPE_MARK}after"),
        ("\x1bPq#0\x1b\\after", f"{ESCAPE_MARK}after"),
        ("\x1b", ESCAPE_MARK),
        ("one\r\ntwo\nthree", f"one{NEWLINE_MARK}two{NEWLINE_MARK}three"),
        ("a\tb\u00a0c", "a b c"),
        ("user\u202egnp.exe", f"user{JUNK_MARK}gnp.exe"),
        ("\u2066x\u2069", f"{JUNK_MARK}x{JUNK_MARK}"),
        ("zero\u200bwidth\ufeff", f"zero{JUNK_MARK}width{JUNK_MARK}"),
        ("bell\x07 null\x00", f"bell{JUNK_MARK} null{JUNK_MARK}"),
        ("\ud800", JUNK_MARK),
        ("wide \ufdfd", f"wide {JUNK_MARK}"),
        ("e\u0301" + "\u0301" * 50, "e\u0301\u0301"),
        ("\u0301start", "start"),
        ("漢字 é", "漢字 é"),
        ("[red]markup[/]", "[red]markup[/]"),
    ],
)
def test_what_is_shown_instead(hostile: str, shown: str) -> None:
    assert neutralise(hostile) == shown


def test_a_cut_leaves_a_mark() -> None:
    assert neutralise("abcdef", 4) == "abc…"


def test_a_cut_is_marked_even_where_little_is_left_of_much() -> None:
    assert neutralise("\u0301" * 10_000, 10) == "…"
