"""The page of sweeping says what is asked for, what is claimed, and how sure that is."""

from typing import get_args

import msgspec
import pytest
from bench.sweep import PROVIDERS
from pages import Page, each_of, first_cells, per_cent, quoted

from probes.run import sweep_run
from probes.run.sweep_run import LONGEST_WAIT_S
from probes.sweeping import edges, step
from probes.sweeping.estimates import SURE
from probes.sweeping.plan import (
    FEWEST_OF_STEP,
    FIRST_OF_RATE,
    MOST_CLOSING,
    MOST_CONCURRENCY,
    MOST_RATE,
    ROUNDS_OF_STEP,
    STEP_S,
)
from probes.sweeping.sweep import CHANGED, SURE_P
from probes.sweeping.views import EdgeKind, SweepPoint
from probes.sweeping.words import LATE_S

PAGE = Page("probes/sweeping/README.md")

NUMBERS = {
    "How it is asked": (
        f"from 1 at once to {MOST_CONCURRENCY} by default",
        f"by rate from {MOST_RATE * FIRST_OF_RATE:g} to {MOST_RATE:g} a second",
        f"in {MOST_CLOSING} further steps at most",
        f"{step.LEAST_WARM_S:g} s at least",
        f"±{per_cent(step.TIGHT_RATE)} (±{per_cent(step.TIGHT_GROWING)} while loads double)",
        f"when its {STEP_S:g} s are over",
        f"after {FEWEST_OF_STEP} probes, or {ROUNDS_OF_STEP} times what is in flight",
        f"asks for more than {LONGEST_WAIT_S:g} s ends it",
        f"answers none of {sweep_run._HOPELESS} probes",
    ),
    "What is claimed": (
        f"{per_cent(edges.REFUSED)} of the probes",
        f"surely more than {per_cent(edges.FAILING)} fail otherwise",
        f"an interval of {per_cent(SURE)}",
        f"moved by {per_cent(CHANGED - 1)} or more",
        f"p < {SURE_P}",
        f"woke more than {LATE_S * 1000:g} ms late",
    ),
    "How it is known": (f"less than {per_cent(edges.SERVED)} of what is asked for comes back",),
}
EXAMPLES = ("takes 90 probes until there is an upper end",)
"""Quantities that limit nothing, or were measured once."""


@each_of(NUMBERS)
def test_the_page_says_what_the_program_has(title: str, words: str) -> None:
    assert words in PAGE.line(title)


def test_no_quantity_is_left_out() -> None:
    assert PAGE.loose(NUMBERS, EXAMPLES, measured=("Measured",)) == []


@pytest.mark.parametrize("words", EXAMPLES)
def test_an_example_is_still_one(words: str) -> None:
    assert words in PAGE.line("")


def test_every_edge_is_told() -> None:
    cells = first_cells(PAGE.rows("What is claimed"))
    assert sorted(cells) == sorted(get_args(EdgeKind))


def test_every_field_of_a_point_is_told() -> None:
    told = {name for row in PAGE.rows("What a point says") for name in quoted(row[0])}
    kept = {field.name for field in msgspec.structs.fields(SweepPoint)}
    assert told == kept - {"samples", "e2e_samples"}


def test_the_table_has_every_provider_of_the_bench() -> None:
    assert [row[0] for row in PAGE.rows("Measured")] == [one.name for one in PROVIDERS]


def test_the_files_are_those_that_there_are() -> None:
    told = {name for row in PAGE.rows("Where to look") for name in quoted(row[0])}
    there = {path.name for path in PAGE.path.parent.glob("*.py")} - {"__init__.py"}
    assert told == there
