"""What was passed over: kept for its words, and looked through for an error."""

import json

import pytest

from probes.answers.body import error_outside, words_outside
from probes.answers.ignored import MOST_KEPT, Ignored


def kept(*lines: str) -> Ignored:
    ignored = Ignored()
    for line in lines:
        ignored.add(line)
    return ignored


def test_the_first_words_and_the_last_lines_are_kept() -> None:
    ignored = kept("one", "two")
    assert (ignored.first, ignored.text) == ("one\ntwo", "one\ntwo")


def test_however_much_comes_the_memory_is_bounded() -> None:
    ignored = kept("first", *("x" * 1000 for _ in range(1000)), "last")
    assert ignored.first.startswith("first\nx")
    assert len(ignored.first) < 3000
    assert ignored.text.endswith("x\nlast")
    assert len(ignored.text) <= MOST_KEPT
    assert len(kept("x" * 10 * MOST_KEPT).text) == MOST_KEPT


def test_an_endless_number_of_empty_lines_is_bounded_too() -> None:
    assert len(kept(*[""] * 100_000).text) <= MOST_KEPT


PRETTY = json.dumps({"error": {"code": 429, "message": "slow down"}}, indent=2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PRETTY, "slow down"),
        (f"junk: 1\n{PRETTY}", "slow down"),
        (f"{PRETTY}\nmore", "slow down"),
        (f'{{"status":"fine"}}\n{PRETTY}', "slow down"),
        (f"[{PRETTY}]", "slow down"),
        ('error: {"code":400,"message":"too long"}', "too long"),
        ('error:{"message":"too long"}', "too long"),
        ('{"code":400,"message":"too long"}', "too long"),
        ('{"detail":"no"}', "no"),
    ],
)
def test_an_error_in_it_is_the_error(text: str, message: str) -> None:
    error = error_outside(text)
    assert error is not None
    assert error.message == message


@pytest.mark.parametrize(
    "text",
    [
        *("", "ping", '{"status":"fine"}', "error: something", '{"error":{"mess', "{" * 5000),
        '{"choices":[{"delta":{"content":"a"}}]}',
    ],
)
def test_words_alone_and_what_is_no_error_are_none(text: str) -> None:
    assert error_outside(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  a\n\n b\t", "a b"),
        ("x" * 300, "x" * 200),
        ("<html><head><title>502 Bad\n Gateway</title></head>", "502 Bad Gateway"),
        ("", ""),
    ],
)
def test_the_words_of_it(text: str, words: str) -> None:
    assert words_outside(text) == words
