"""What can be typed after `:`, how it is read and how it is completed."""

from datetime import UTC, datetime, timedelta

import pytest
from fakes import FakeSpan

from probes.control.knobs import KNOBS
from probes.kit.clock import NS_PER_S
from tui.screens.command_line import (
    VERBS,
    CommandError,
    Known,
    TypedCommand,
    completions,
    hint,
    read,
    read_moment,
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
        ("conc 4000", "conc: got 4000, expected a whole number from 1 to 1,000, or auto"),
        ("conc 1.5", "conc: got 1.5, expected a whole number from 1 to 1,000, or auto"),
        ("conc 0", "conc: got 0, expected a whole number from 1 to 1,000, or auto"),
        ("conc nan", "conc: got nan, expected a whole number from 1 to 1,000, or auto"),
        ("conc many", "conc: got many, expected a whole number from 1 to 1,000, or auto"),
        ("conc", "conc: expected N|auto: a whole number from 1 to 1,000, or auto"),
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
                assert read(f"{verb.name} {value:g}", KNOWN).value == value


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
    assert hint("conc ", KNOWN).endswith("a whole number from 1 to 1,000, or auto")
    assert hint("route al", KNOWN).endswith("alpha  alpine")
    assert hint("xyz", KNOWN).startswith("got xyz, expected one of ")


# Moments.

_ANCHOR_NS = 1_795_000_000 * NS_PER_S
_NOON = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)


def at(*, days: int = 0, hours: int = 0, minutes: int = 0, seconds: int = 0) -> int:
    """Return the stamp of a moment after noon."""
    after = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    return int((_NOON + after).timestamp()) * NS_PER_S - _ANCHOR_NS


def moment(text: str, span: FakeSpan | None = None, here_ns: int | None = None) -> int:
    """Return what is read in a run from 12:00:30 to 14:30:00."""
    span = span or FakeSpan(at(seconds=30), at(hours=2, minutes=30))
    return read_moment(text, span, span.end_ns if here_ns is None else here_ns, _ANCHOR_NS, UTC)


@pytest.mark.parametrize(
    ("text", "stamp"),
    [
        ("14:03", at(hours=2, minutes=3)),
        ("14:03:20", at(hours=2, minutes=3, seconds=20)),
        (" 14:03 ", at(hours=2, minutes=3)),
        ("-5m", at(hours=2, minutes=25)),
        ("- 1h 30m", at(hours=1)),
        ("+30s", at(hours=2, minutes=30, seconds=30)),
        ("-90", at(hours=2, minutes=28, seconds=30)),
        ("start", at(seconds=30)),
        ("NOW", at(hours=2, minutes=30)),
        ("12:00", at()),  # the minute in which it began
    ],
)
def test_a_moment_is_a_time_of_day_or_a_step(text: str, stamp: int) -> None:
    assert moment(text) == stamp


def test_a_step_begins_where_one_stands() -> None:
    assert moment("-5m", here_ns=at(hours=1)) == at(minutes=55)


def test_a_time_of_day_is_the_last_of_its_kind_in_the_run() -> None:
    span = FakeSpan(at(days=-2), at(hours=2))
    assert moment("13:00", span) == at(hours=1)
    assert moment("20:00", span) == at(days=-1, hours=8)


@pytest.mark.parametrize(
    "text",
    ["lunch", "25:00", "14:60", "14:3", "11:59", "15:00", "-", "-x", "5m", "-1e9w", "-9" * 90],
)
def test_what_is_no_moment_of_the_run_is_told_with_those_that_are(text: str) -> None:
    with pytest.raises(CommandError) as told:
        moment(text)
    assert str(told.value).startswith(
        f"seek: got {text}, expected a time from 12:00:30 to 14:30:00"
    )
    assert "\n" not in str(told.value)


def test_a_run_of_days_is_told_with_its_days() -> None:
    with pytest.raises(CommandError, match="from 28 Nov 12:00:00 to 30 Nov 14:00:00"):
        moment("lunch", FakeSpan(at(days=-2), at(hours=2)))


def test_a_clock_that_is_in_no_calendar_is_told() -> None:
    with pytest.raises(CommandError, match="no calendar"):
        moment("14:03", FakeSpan(0, 10**30))
