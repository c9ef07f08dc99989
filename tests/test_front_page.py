"""The front page says what the program does: commands, keys, limits, and what was measured."""

import argparse
import re
import tomllib
from pathlib import Path

import pytest
from pages import ROOT, Page, each_of, first_cells, quoted

from probes.board.figures import is_enough
from probes.config import Route
from probes.config.file import parse_config
from probes.control.evidence import LONGEST_EVIDENCE_S
from probes.simulator.library import demo_routes
from probes.stats.windows import WINDOWS
from tui.cli import parser
from tui.keys import KEYS

FRONT = Page("README.md")
TRANSPORT = Page("probes/transport/README.md")
ANSWERS = Page("probes/answers/README.md")
TUI = Page("tui/README.md")
ROUTE = Route(name="r", base_url="https://h", model="m")
P95 = next(n for n in range(1, 1000) if is_enough(n, 0.95))
P99 = next(n for n in range(1, 1000) if is_enough(n, 0.99))


def worst_error() -> tuple[int, float]:
    """Return up to how many streams the table calls llmtop exact, and the worst p99 of its TTFT."""
    exact = [
        (int(row[0]), float(row[2].split(" / ")[1]))
        for row in TRANSPORT.rows("How exact it is")
        if row[1].startswith("llmtop") and int(row[0]) <= 200
    ]
    return max(streams for streams, _ in exact), max(error for _, error in exact)


def failures_reported_as_success() -> tuple[str, str]:
    """Return the figures of the official clients, and ours."""
    rows = ANSWERS.rows("What counts as success")
    return rows[0][1], rows[-1][1]


NUMBERS = {
    "llmtop": ("over {} and the run".format(", ".join(f"{w[:-1]} {w[-1]}" for w in WINDOWS[:-1])),),
    "Money and safety": (
        f"an answer of at most {ROUTE.max_tokens}, every {ROUTE.interval:g} s",
        f"some {3600 / ROUTE.interval * (10 + 60):,.0f} tokens an hour".replace("50,400", "50,000"),
        f"for {LONGEST_EVIDENCE_S:g} s at a time",
    ),
    "Can I trust the figures?": (
        "Up to {} streams of 50 tokens/s, what llmtop says is within {} ms".format(*worst_error()),
        "report {} as successes, llmtop {}".format(*failures_reported_as_success()),
    ),
}
EXAMPLES = ("(a prompt of about 10 tokens",)


@each_of(NUMBERS)
def test_the_page_says_what_the_program_has(title: str, words: str) -> None:
    assert words in FRONT.line(title)


def test_no_quantity_is_left_out() -> None:
    assert FRONT.loose(NUMBERS, EXAMPLES) == []


@pytest.mark.parametrize("words", EXAMPLES)
def test_an_example_is_still_one(words: str) -> None:
    assert words in FRONT.line("")


def test_the_commands_are_those_that_there_are() -> None:
    (commands,) = [act for act in parser()._actions if isinstance(act, argparse._SubParsersAction)]
    told = first_cells(FRONT.rows("Commands at a glance"))
    assert told == ["llmtop", *(name for name in told if name != "llmtop")]
    assert {name.removeprefix("llmtop ") for name in told[1:]} == set(commands.choices)


def test_the_keys_are_keys() -> None:
    shown = {name for key in KEYS for name in key.shown.replace("⏎", "Enter").split(" ")}
    told = {
        name for row in FRONT.rows("Keys") for cell in (row[0], row[2]) for name in quoted(cell)
    }
    assert told <= shown


def test_the_incident_is_one_of_the_demo() -> None:
    name = re.findall(r"Select `([^`]+)`", FRONT.section("An incident, step by step"))
    assert set(name) < {route.name for route in demo_routes("http://127.0.0.1:1")}


def test_the_incident_that_was_is_the_one_that_a_report_tells() -> None:
    (told,) = re.findall(r"```\n(.*?)```", FRONT.section("What was wrong last night"), re.DOTALL)
    whole = TUI.section("`report`: what was wrong").splitlines()  # which is held to the command
    assert [line for line in told.splitlines() if line not in whole] == []


def test_the_example_settings_are_good() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", FRONT.text, re.DOTALL)
    keys = dict.fromkeys(("DEEPINFRA_API_KEY", "ANTHROPIC_API_KEY"), "k" * 20)
    config = parse_config(example, Path("routes.toml"), keys)
    assert config.routes[0].goals.ttft_s == 0.8


def test_the_pythons_that_are_tested_are_told_and_newer_ones_are_let_in() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">=3.11"
    named = [
        kind.rpartition(" ")[2] for kind in project["classifiers"] if re.search(r":: 3\.\d+$", kind)
    ]
    assert f"Python {named[0]} or newer" in FRONT.line("Try it")
    assert f"{', '.join(named[:-1])} and {named[-1]} are tested" in FRONT.line("Try it")
