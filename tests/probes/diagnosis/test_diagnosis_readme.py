"""The page of the diagnosis names every cause, every series and the constants of both."""

import math
from typing import Any, get_args

import pytest
from pages import ROOT, WORDS, Page, each_of, first_cells, per_cent

from probes.config.goals import P95_SHARE
from probes.diagnosis import failure_kinds, series
from probes.diagnosis.burn import LEAST_LONG, LEAST_SHORT, PAIRS
from probes.diagnosis.causes import SURELY_WELL
from probes.diagnosis.failure_kinds import FailureKind
from probes.diagnosis.incidents import SETTLES_NS
from probes.diagnosis.paging import _SCOPE_S
from probes.diagnosis.places import HOLE_NS
from probes.diagnosis.rates import ShareShift
from probes.diagnosis.route_watch import PATIENCE_S, TIMES_USUAL, UNTOLD_PATIENCE_S
from probes.diagnosis.seen_from import _LEAST, _SIDES, _SURE, _WORST_SHARE
from probes.diagnosis.usual import _LEARNS_NS, _MOVED, _TOLD_NS
from probes.events import Cause, Diagnosis, Scope
from probes.events.diagnosis_words import scope_words, what_words
from probes.kit.clock import NS_PER_S

PAGE = Page("probes/diagnosis/README.md")
TENS = {10: "ten"}


def answers_that_tell(ill: float, well: float = 0.01) -> int:
    """Count answers without a failure until a place is known to be well."""
    return max(_LEAST, math.ceil(_SURE / math.log((1 - well) / (1 - ill))))


def test_so_many_answers_tell_that_a_place_is_well() -> None:
    assert round(math.exp(_SURE), -1) == 100
    told = PAGE.line("From where it is seen")
    assert f"{WORDS[math.ceil(_SURE / _SIDES)]} clear ones of a latency" in told
    assert f"{WORDS[answers_that_tell(_WORST_SHARE)]} of an outage" in told
    assert answers_that_tell(0.1) == pytest.approx(50, abs=3)


def test_what_it_says_of_a_scope_is_what_the_program_says() -> None:
    def word(scope: Scope, **changes: Any) -> Diagnosis:
        given: dict[str, Any] = {"cause": "provider_queueing", "places": ("eu",), "of_places": 3}
        return Diagnosis(
            at_ns=1,
            id="e1-1",
            state="named",
            routes=("chat@eu",),
            since_ns=0,
            scope=scope,
            **(given | changes),
        )

    said = {
        "everywhere": scope_words(word("everywhere", places=("ap", "eu", "us"))),
        "way": scope_words(word("way")),
        "network": scope_words(word("network")),
        "machine": what_words(word("machine", cause="local_observer")),
        "only": scope_words(word("only")),
    }
    rows = PAGE.rows("From where it is seen")
    assert {row[0].strip("`"): row[2] for row in rows} == said
    assert set(said) == set(get_args(Scope)) - {""}


def failures_that_name() -> int:
    """Count failures of one a second until a share is named."""
    share, number = ShareShift(), 0
    while share.level != "named":
        share.second(number * NS_PER_S, True, number * NS_PER_S)
        number += 1
    return number


def _of_month(pair: Any) -> float:
    """Return the share of a month's budget that a pair's long window uses up."""
    return round(pair.factor * pair.long_s / (30 * 86_400), 4)


NUMBERS = {
    "Higher than usual": (
        f"has stood for {'an hour' if SETTLES_NS == 3600 * NS_PER_S else '?'} within the goals",
    ),
    "What is usual": (
        f"every {_LEARNS_NS / NS_PER_S:g} s at most while some of it is being learned, later every "
        f"{_TOLD_NS / NS_PER_S:g} s, and only where a figure has moved by {per_cent(_MOVED)}",
    ),
    "Failing more than usual": (
        f"{WORDS[failures_that_name()].capitalize()} failures in a row name it",
        "three in a row are enough, of time-outs two",
        f"is well after {WORDS[SURELY_WELL]} successes in a row",
    ),
    "Nothing comes": (
        f"older than {TENS[TIMES_USUAL]} times what all but one in fifty of them took",
        f"than {PATIENCE_S:g} s ({UNTOLD_PATIENCE_S:g} s where the ticks do not tell its phase)",
    ),
    "Alerts": (
        f"`goodput`: of the probes that must be ok, {per_cent(P95_SHARE)} must be good",
        "A goal of 99 % leaves a budget of 1 %, and a burn rate of 1 uses up just that.",
        *(
            f"{pair.factor:g} | {per_cent(share)} of "
            for pair, share in zip(PAIRS, (_of_month(pair) for pair in PAIRS), strict=True)
        ),
        *(f"{pair.long_s // 3600} h and {pair.short_s // 60} min" for pair in PAIRS),
        f"fewer than {LEAST_SHORT} in the short window or {LEAST_LONG} in the long one",
        "of 30 days in an hour",
        f"it is waited up to {_SCOPE_S:g} s until it is known",
    ),
    "Several places": (f"jumps by more than {HOLE_NS / NS_PER_S:g} s",),
    "Causes": ("retries save 99 % of the probes",),
}


@each_of(NUMBERS)
def test_the_page_says_what_the_program_has(title: str, words: str) -> None:
    assert words in PAGE.line(title)


def test_no_quantity_is_left_out() -> None:
    assert PAGE.loose(NUMBERS, measured=("How true it is",)) == []


def test_every_cause_is_told() -> None:
    told = [cell.strip("`") for cell in first_cells(PAGE.rows("Causes"))]
    assert sorted(told) == sorted(get_args(Cause))


def test_every_series_is_told() -> None:
    kinds = [one for one in vars(series).values() if isinstance(one, series.SeriesKind)]
    told = [
        name.strip(" `")
        for cell in (row[0] for row in PAGE.rows("What it reads"))
        for name in cell.split(",")
    ]
    assert sorted(told) == sorted(kind.figure for kind in kinds)


def test_every_file_of_the_room_is_told() -> None:
    files = {path.name for path in (ROOT / "probes/diagnosis").glob("*.py")} - {"__init__.py"}
    assert set(first_cells(PAGE.rows("Where to look"))) == files


def test_definite_answers_need_three_and_time_outs_two() -> None:
    kinds = [one for one in vars(failure_kinds).values() if isinstance(one, FailureKind)]
    assert {kind.in_a_row for kind in kinds} == {None, 2, 3}
    assert {kind.cause for kind in kinds if kind.in_a_row == 2} == {
        *("no_answer", "network_path", "stream_stalls"),
    }
