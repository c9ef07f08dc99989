"""The page of adapting says how a limit is found, and by which numbers."""

import re

import pytest
from pages import Page, each_of, per_cent

from probes.adapting import adaptive_limits, edge_search
from probes.simulator import scenario_names

PAGE = Page("probes/adapting/README.md")

NUMBERS = {
    "How it is found": (
        f"empty within {edge_search.RUNS_OUT_S:g} s",
        f"{per_cent(1 - edge_search.GENTLE)} where it is of requests",
        f"after {edge_search.AGAIN_S:g} s",
        f"once {edge_search.PAID} answers have paid",
        f"Below {per_cent(edge_search.SHORT)} of the requests",
        f"above {per_cent(edge_search.LONG)}, or two",
        f"more than {per_cent(edge_search.GOAL_SHARE)} of {edge_search.GOAL_SAMPLES} answers",
        f"From {per_cent(adaptive_limits.ABOUT_SPENT)} of a budget",
    ),
}


@each_of(NUMBERS)
def test_the_page_says_what_the_program_has(title: str, words: str) -> None:
    assert words in PAGE.line(title)


def test_tenths_and_halves_are_those_of_the_program() -> None:
    assert (edge_search.GROWTH, edge_search.SURPRISES, edge_search.IN_VAIN) == (1.5, 0.7, 0.6)


def test_every_provider_of_known_capacity_was_raced() -> None:
    raced = re.findall(r"`(edge-[a-z-]+)`", PAGE.section("Measured"))
    assert sorted(set(raced)) == [name for name in scenario_names() if name.startswith("edge-")]


@pytest.mark.parametrize("line", [one for one in PAGE.text.splitlines() if "**ours**" in one])
def test_the_figures_of_ours_are_as_asked(line: str) -> None:
    refused, throughput = re.findall(r"([\d.]+) %", line)
    assert float(refused) <= 1.0
    assert float(throughput) >= 90.0
