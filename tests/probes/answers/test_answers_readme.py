"""The page of the answers says which outcomes, dialects, limits and bounds there are."""

from typing import get_args

import pytest
from pages import KB, MB, SHARES, Page, each_of, first_cells, hour, minute, number, per_cent, quoted
from stream_cases import CASES

from probes.answers import outcome
from probes.answers.answer import MAX_ERROR_BYTES, MAX_STREAM_BYTES, MAX_WHOLE_BYTES
from probes.answers.body import _LONGEST_WORDS
from probes.answers.dialects.search import AGAIN_AFTER_NS
from probes.answers.error_body import _QUOTED_LEVELS
from probes.answers.framing import DEFAULT_LIMIT
from probes.answers.retry_after import LONGEST_WAIT_S
from probes.answers.right_answer import MOST_CHECKED
from probes.config import Dialect, Route
from probes.engine import gate, pacing, retry
from probes.events import Outcome, ServerInterval, Verdict
from probes.events.limit_periods import _UNKNOWN_WINDOW_S
from probes.kit.clock import NS_PER_S
from probes.kit.durations import _EPOCHS, _SKEW_NS
from probes.kit.tolerant_json import _DEEPEST
from probes.transport.failures import _WORDS
from probes.transport.http1 import MAX_SILENT
from tui.panes import throttling

PAGE = Page("probes/answers/README.md")
ROUTE = Route(name="r", base_url="https://h", model="m")
VERDICTS = [
    Verdict(case["expect"]["outcome"], case["expect"]["reason"])
    for case in CASES
    if case["expect"].get("reason")
]

NUMBERS = {
    "Dialects": (f"After a round in vain it rests {minute(AGAIN_AFTER_NS / NS_PER_S)}",),
    "Outcomes": (f"a status that says little ({', '.join(map(str, sorted(outcome._VAGUE)))})",),
    "Reasons": (
        f"busy: 529, {outcome._CAPACITY_EXCEEDED},",
        f"`timeout.server` | the server's own ({outcome._HTTP_TIMEOUT})",
    ),
    "How an answer is judged": (
        f"of more than {MOST_CHECKED:,} characters, is wrong only",
        f"the first {_LONGEST_WORDS} characters are its message",
        f"{number(_QUOTED_LEVELS)} levels deep",
    ),
    "How much is read": (
        f"{MAX_SILENT // KB} KB of heads, {DEFAULT_LIMIT // MB} MB of an event or a whole answer, "
        f"{MAX_STREAM_BYTES // MB} MB of a stream, {MAX_ERROR_BYTES // KB} KB of an error",
        f"nests deeper than {_DEEPEST} is",
    ),
    "Limits": (
        f"Coloured from {per_cent(throttling._SCARCE)} down, and again from "
        f"{per_cent(throttling._LOW)}",
        f"differs from it by more than {_SKEW_NS / NS_PER_S:g} s",
        f"without one: its period, or {minute(_UNKNOWN_WINDOW_S)}",
        f"older than {minute(throttling._LONG_AGO_S)}",
        f"Unix time from 1e{len(str(int(_EPOCHS[-1][0]))) - 1} on",
        f"A wait above {LONGEST_WAIT_S:g} s is never waited for by a probe, whatever the "
        f"status: the probe gives up and the route cools down, at most "
        f"{hour(retry.LONGEST_COOL_DOWN_S)}",
    ),
    "Bills": (f"{' and '.join(map(str, sorted(outcome._PAYMENT)))} are money",),
    "Retries": (
        f"{ROUTE.retries} retries, {retry.FIRST_BACK_OFF_S:g} s doubling to "
        f"{retry.LONGEST_BACK_OFF_S:g} s less up to {SHARES.get(retry.JITTER)} at random, "
        f"`retry-after-ms`, `Retry-After` up to {LONGEST_WAIT_S:g} s",
        f"pauses at least {pacing.FAILURE_PAUSE_S:g} s, even at interval 0",
    ),
    "Where our retries differ": (
        f"a wait beyond {LONGEST_WAIT_S:g} s",
        f"one after another, {gate.STAGGER_S:g} s apart",
    ),
}


@each_of(NUMBERS)
def test_the_page_says_what_the_program_has(title: str, words: str) -> None:
    assert words in PAGE.line(title)


def test_no_quantity_is_left_out() -> None:
    assert PAGE.loose(NUMBERS) == []


def test_a_whole_answer_and_an_event_have_one_bound() -> None:
    assert MAX_WHOLE_BYTES == DEFAULT_LIMIT


def test_the_outcomes_are_those_that_there_are() -> None:
    rows = PAGE.rows("Outcomes")
    assert [quoted(row[0])[0] for row in rows] == list(get_args(Outcome))


def test_the_dialects_are_those_that_there_are() -> None:
    assert set(first_cells(PAGE.rows("Dialects"))) == set(get_args(Dialect))


def test_the_intervals_that_servers_speak_of_are_those_that_there_are() -> None:
    told = first_cells(PAGE.rows("What a server says of its own time"))
    assert set(told) == set(get_args(ServerInterval))


def reasons() -> dict[str, set[str]]:
    """Return the reasons that the page has, by outcome."""
    said: dict[str, set[str]] = {}
    outcome = ""
    for line in PAGE.section("Reasons").splitlines():
        cells = line.split("|")
        if len(cells) < 3 or cells[1].startswith("-"):
            continue
        if not cells[2].strip():
            outcome = quoted(cells[1])[0]
        said.setdefault(outcome, set()).update(quoted(cells[1]))
    return {name: found - {name} if name != "cancelled" else found for name, found in said.items()}


def test_every_outcome_but_ok_has_its_reasons() -> None:
    assert ["ok", *reasons()] == list(get_args(Outcome))


@pytest.mark.parametrize("name", sorted({f"{v.outcome} {v.reason}" for v in VERDICTS}))
def test_every_reason_that_a_case_comes_to_is_told(name: str) -> None:
    outcome, reason = name.split(" ")
    limit = reason.removeprefix("rate_limit.")
    assert reason in reasons()[outcome] or f"`.{limit}`" in PAGE.section("Reasons")


@pytest.mark.parametrize("reason", [*_WORDS, *outcome._SERVER_REASONS.values()])
def test_every_reason_that_has_words_of_its_own_is_told(reason: str) -> None:
    assert reason in set().union(*reasons().values())


@pytest.mark.parametrize("reason", outcome._CLIENT_REASONS.values())
def test_every_reason_of_a_status_is_told(reason: str) -> None:
    assert reason in reasons()["client_error"]
