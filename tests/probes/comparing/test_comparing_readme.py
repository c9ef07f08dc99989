"""The page of comparing says when it ends, what it claims, and how sure that is."""

from typing import get_args

import pytest
from bench.comparisons import NATURES
from pages import Page, each_of, first_cells, per_cent, quoted

from probes.comparing import comparison
from probes.comparing.plan import ALPHA, MARGIN, MOST_PAIRS
from probes.comparing.views import ComparisonVerdict
from probes.run.comparison_run import LONGEST_WAIT_S

PAGE = Page("probes/comparing/README.md")

NUMBERS = {
    "How it is asked": (
        f"asked for more than {LONGEST_WAIT_S:g} s ends it",
        f"its pairs ({MOST_PAIRS} by default)",
        f"answers none in {comparison._PATIENCE} blocks",
    ),
    "What is claimed": (
        f"within ±{per_cent(MARGIN)}",
        f"within ±{MARGIN * 100:g} points",
        f"in at most {per_cent(ALPHA)} of all comparisons",
    ),
    "Measured": (
        f"at most {MOST_PAIRS} pairs",
        f"the bound is {per_cent(ALPHA)}",
    ),
}
EXAMPLES = (
    "`×1.24` is 24 % more",
    "with σ 0.1 about a hundred pairs",
    "1,400 A/A runs 0.4 %",
    "it is 0.75 %",
    "with failures 0.4 %",
)
"""Quantities that limit nothing, or were measured once."""


@each_of(NUMBERS)
def test_the_page_says_what_the_program_has(title: str, words: str) -> None:
    assert words in PAGE.line(title)


def test_no_quantity_is_left_out() -> None:
    assert PAGE.loose(NUMBERS, EXAMPLES, measured=("Measured",)) == []


@pytest.mark.parametrize("words", EXAMPLES)
def test_an_example_is_still_one(words: str) -> None:
    assert words in PAGE.line("")


def test_every_verdict_is_told() -> None:
    cells = first_cells(PAGE.rows("What is claimed"))
    assert sorted(cells) == sorted(get_args(ComparisonVerdict))


def test_the_table_has_every_nature_of_the_bench() -> None:
    assert [row[0] for row in PAGE.rows("Measured")] == [one.name for one in NATURES]


def test_the_files_are_those_that_there_are() -> None:
    told = {name for row in PAGE.rows("Where to look") for name in quoted(row[0])}
    there = {path.name for path in PAGE.path.parent.glob("*.py")} - {"__init__.py"}
    assert told == there
