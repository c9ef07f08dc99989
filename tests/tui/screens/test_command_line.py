"""What can be typed after `:`, how it is read and how it is completed."""

import pytest

from probes.control.knobs import KNOBS
from tui.screens.command_line import (
    VERBS,
    CommandError,
    Known,
    TypedCommand,
    completions,
    hint,
    read,
)

KNOWN = Known(
    routes={"alpha": "alpha", "alpine": "alpine", "beta": "the-true-name"},
    themes=("llmtop", "llmtop-light"),
    sorts={"hurt": "", "good": "good", "ttft-p95": "ttft_p95"},
)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("conc 4", TypedCommand("conc", value=4.0)),
        ("concurrency 4", TypedCommand("conc", value=4.0)),
        ("interval 2.5", TypedCommand("interval", value=2.5)),
        ("cap 128", TypedCommand("cap", value=128.0)),
        ("theme llmtop-light", TypedCommand("theme", "llmtop-light")),
        ("theme llmtop", TypedCommand("theme", "llmtop")),
        ("window 5m", TypedCommand("window", "5m")),
        ("sort good", TypedCommand("sort", "good")),
        ("sort ttft", TypedCommand("sort", "ttft_p95")),
        ("sort hurt", TypedCommand("sort", "")),
        ("filter eu gpt", TypedCommand("filter", "eu gpt")),
        ("filter", TypedCommand("filter")),
        ("mark deploy of 14:03", TypedCommand("mark", "deploy of 14:03")),
        ("only hurt", TypedCommand("only", "hurt")),
        ("route BETA", TypedCommand("route", "the-true-name")),
        ("pause", TypedCommand("pause")),
        ("pause all", TypedCommand("pause", "all")),
        ("  undo ", TypedCommand("undo")),
        ("q", TypedCommand("q")),
        ("quit", TypedCommand("q")),
        ("he", TypedCommand("help")),
    ],
)
def test_a_line_is_read(text: str, asked: TypedCommand) -> None:
    assert read(text, KNOWN) == asked


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("conc 4000", "conc: got 4000, expected a whole number from 1 to 1,000"),
        ("conc 1.5", "conc: got 1.5, expected a whole number from 1 to 1,000"),
        ("conc 0", "conc: got 0, expected a whole number from 1 to 1,000"),
        ("conc nan", "conc: got nan, expected a whole number from 1 to 1,000"),
        ("conc many", "conc: got many, expected a whole number from 1 to 1,000"),
        ("conc", "conc: expected N: a whole number from 1 to 1,000"),
        ("interval -1", "interval: got -1, expected seconds from 0 to 86,400"),
        ("cap inf", "cap: got inf, expected a whole number from 1 to 1,000,000"),
        ("window 2m", "window: got 2m, expected one of 1m, 5m, 15m, 1h, run"),
        ("route al", "route: got al, expected one of alpha, alpine"),
        ("route gamma", "route: got gamma, expected one of alpha, alpine, beta"),
        ("only me", "only: got me, expected one of hurt, all"),
        ("undo it", "undo: got it, expected nothing after it"),
    ],
)
def test_what_cannot_be_is_one_line(text: str, complaint: str) -> None:
    with pytest.raises(CommandError) as caught:
        read(text, KNOWN)
    assert str(caught.value) == complaint


@pytest.mark.parametrize("word", ["frobnicate", "", "c"])
def test_a_word_that_is_none_names_those_that_it_could_be(word: str) -> None:
    with pytest.raises(CommandError) as caught:
        read(word, KNOWN)
    told = str(caught.value).partition("expected one of ")[2].split(", ")
    assert told == [verb.name for verb in VERBS if word != "c" or verb.name.startswith("c")]


def test_bounds_are_those_of_the_knobs() -> None:
    for verb in VERBS:
        if verb.knob is not None:
            for value in (KNOBS[verb.knob].least, KNOBS[verb.knob].most):
                assert read(f"{verb.name} {value:.0f}", KNOWN).value == value


def test_words_and_names_are_completed() -> None:
    assert completions("th", KNOWN) == ("theme ",)
    assert completions("c", KNOWN) == ("conc ", "cap ", "compare ")
    assert completions("u", KNOWN) == ("undo", "untag")
    assert completions("route al", KNOWN) == ("route alpha", "route alpine")
    assert completions("route A", KNOWN) == ("route alpha", "route alpine")
    assert completions("window ", KNOWN)[0] == "window 1m"
    assert completions("nope al", KNOWN) == ()
    assert completions("filter e", KNOWN) == ()


def test_whatever_is_completed_is_read() -> None:
    for verb in VERBS:
        for line in completions(f"{verb.name} ", KNOWN):
            assert read(line, KNOWN).verb == verb.name


def test_the_hint_says_what_can_follow() -> None:
    assert hint("", KNOWN).split() == [verb.name for verb in VERBS]
    assert hint("c", KNOWN) == "conc  cap  compare"
    assert hint("conc ", KNOWN).endswith("a whole number from 1 to 1,000")
    assert hint("route al", KNOWN).endswith("alpha  alpine")
    assert hint("xyz", KNOWN).startswith("got xyz, expected one of ")
