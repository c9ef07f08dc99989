"""What the README tells is what the program does: commands, keys, settings, events, states."""

import argparse
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from probes.board import Board
from probes.board.views import HeaderView, RouteState
from probes.config import Budget, Display, Goals, Price, Recording, Route, Timeouts
from probes.config.file import parse_config
from probes.config.knob_ranges import KNOBS, KnobRange
from probes.config.rules import BUDGET_RULES, DISPLAY_RULES, RECORDING_RULES, ROUTE_RULES
from probes.engine.report import route_info
from probes.engine.single import ProbeRecord
from probes.events import (
    DURABLE_TYPES,
    AttemptFinished,
    ClockSource,
    Hello,
    Outcome,
    ProbeFinished,
    StampLadder,
)
from probes.kit.exit_status import ExitStatus
from probes.simulator.library import scenario_names
from tui.cli import parser
from tui.commands.init import PROVIDERS
from tui.commands.once import json_line
from tui.draw.text import line_text
from tui.keys import KEYS, Hotkey
from tui.panes.observer import (
    Cockpit,
    observer_remarks,
)
from tui.panes.routes import STATE_GLYPHS
from tui.screens.glossary import GLOSSARY

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
IN_PROSE = {"^p": "Ctrl-P", "^z": "Ctrl-Z", "⏎": "Enter"}


def section(title: str) -> str:
    """Return the text under a heading, up to the next of its level or above."""
    level = re.search(rf"^(#+) {re.escape(title)}$", README, re.MULTILINE)
    assert level, title
    rest = README[level.end() :]
    return re.split(rf"^#{{1,{len(level[1])}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def defaults_told(text: str) -> dict[str, str]:
    """Return the default of each setting that a table of `text` tells."""
    told: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("| `"):
            names, default, _meaning = (cell.strip() for cell in line[1:-1].split("|"))
            told.update(dict.fromkeys(re.findall(r"`([a-z_0-9.]+)`", names), default))
    return told


def test_the_test_command_is_where_ci_looks_for_it() -> None:
    script = r"sed -n '/<!-- test command -->/,/```$/p' README.md | sed '1,2d;$d'"
    command = subprocess.run(
        ["/bin/sh", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert command.count("\n") == 1
    assert command.endswith(".venv/bin/pytest -n 6\n")


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.id)
def test_every_key_is_in_the_table_of_keys(key: Hotkey) -> None:
    told = set(re.findall(r"`([^`]+)`", section("Keys")))
    shown = IN_PROSE.get(key.shown, key.shown).split(" ")
    if key.id.startswith("pane_"):
        assert {"1", "5"} <= told
    else:
        assert set(shown) <= told


def test_every_setting_of_a_route_is_told_with_its_default() -> None:
    told = defaults_told(section("Configuration"))
    route = Route(name="r", base_url="https://h", model="m")
    for key, rule in ROUTE_RULES.items():
        for name in [f"{key}.{inner}" for inner in rule] if isinstance(rule, dict) else [key]:
            assert name in told
    numbers = {
        "max_tokens": route.max_tokens,
        "concurrency": route.concurrency,
        "interval": route.interval,
        "stall_after": route.stall_after,
        "retries": route.retries,
        "goals.ttft_s": Goals().ttft_s,
        "goals.e2e_s": route.e2e_goal_s,
        "goals.success": Goals().success,
        **{f"timeouts.{name}": value for name, value in values_of(Timeouts())},
    }
    assert {name: float(told[name]) for name in numbers} == numbers
    for name in ("dialect", "cap_field", "cache", "connection", "prompt", "proxy"):
        assert told[name] == f'`"{getattr(route, name)}"`'
    assert told["insecure"] == told["paused"] == told["http2"] == "false"
    assert told["stream"] == "true"
    assert told["tls.verify"] == str(route.tls.verify).lower()
    assert {f"price.{name}" for name in Price.__struct_fields__} <= told.keys()


@pytest.mark.parametrize("knob", KNOBS.values(), ids=lambda knob: knob.name)
def test_the_range_of_a_knob_is_told_beside_its_setting(knob: KnobRange) -> None:
    row = next(
        line for line in section("Configuration").splitlines() if f"| `{knob.name}` |" in line
    )
    assert f"{knob.least:,} to {knob.most:,}" in row


def values_of(table: object) -> list[tuple[str, float]]:
    return [(name, getattr(table, name)) for name in table.__struct_fields__]


def test_every_other_setting_is_told_with_its_default() -> None:
    text = section("Configuration")
    for table, rules in (
        ("budget", BUDGET_RULES),
        ("recording", RECORDING_RULES),
        ("display", DISPLAY_RULES),
    ):
        rows = "\n".join(line for line in text.splitlines() if f"| `[{table}]`" in line)
        assert {key for key in rules if f"`{key}`" not in rows} == set()
    assert f"| {Budget().tokens_per_hour:,} |" in text
    assert f"| {Budget().route_tokens_per_hour:,} |" in text
    assert f"| {Recording().max_mb:g}, {Recording().max_days:g} |" in text
    assert f"| {Display().refresh_hz:g} |" in text
    assert f'| `"{Display().window}"` |' in text


def test_every_event_is_in_the_vocabulary() -> None:
    told = set(re.findall(r"^\| `([a-z_]+)` \|", section("The event stream"), re.MULTILINE))
    assert told - {"type"} == {kind.__struct_config__.tag for kind in DURABLE_TYPES} | {"summary"}
    ladder = section("The event stream").split("stamp ladder")[1]
    assert {name for name in StampLadder.__struct_fields__ if f"`{name}`" not in ladder} == set()


def test_every_state_and_outcome_is_told() -> None:
    reading = section("Reading the screen")
    for state in get_args(RouteState):
        assert f"| `{STATE_GLYPHS[state]} {state}` |" in reading
    outcomes = section("How each number is defined")
    assert [outcome for outcome in get_args(Outcome) if f"\n| `{outcome}`" not in outcomes] == []


def test_every_figure_of_the_glossary_is_defined() -> None:
    text = section("How each number is defined").replace(" ", "")
    figures = next(part for part in GLOSSARY if part.title == "figures")
    columns = [term.shown for term in figures.terms if "/" in term.shown or term.shown.isupper()]
    assert [shown for shown in columns if f"|{shown.replace(' ', '')}" not in text] == []


def test_every_field_of_once_is_told() -> None:
    text = section("`once --json`")
    record = ProbeRecord(
        ProbeFinished(at_ns=1, route="r", probe="1-1", outcome="ok", attempts=0, started_ns=0,
                      scheduled_ns=0),
        (),
    )  # fmt: skip
    fields = json.loads(json_line(record, include_text=True))
    assert {name for name in fields if f"`{name}`" not in text} == set()
    named = re.findall(r"`([a-z_]+)`", text.split("| `attempts` |")[1].splitlines()[0])
    assert set(named) - {"attempt_finished"} <= set(AttemptFinished.__struct_fields__)


def test_every_command_and_option_is_told() -> None:
    top = parser()
    (commands,) = [action for action in top._actions if isinstance(action.choices, dict)]
    parsers: list[argparse.ArgumentParser] = [top, *commands.choices.values()]
    options = {name for each in parsers for act in each._actions for name in act.option_strings}
    told = set(re.findall(r"--[a-z][a-z0-9-]+", README))
    assert options - told <= {"-h", "--help", "--version", "--stdout"}
    assert [name for name in commands.choices if f"llmtop {name}" not in README] == []


def test_every_exit_status_is_told_and_no_other() -> None:
    table = section("Without a screen").split("| exit status |")[1].split("\n\n")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    told = [int(number) for cell in first_cells for number in re.findall(r"\d+", cell)]
    assert sorted(told) == sorted(ExitStatus)
    assert len(told) == len(set(told))


def test_the_fields_of_the_summary_that_tell_of_goals_are_named() -> None:
    board = Board()
    route = route_info(Route(name="r", base_url="https://h", model="m"))
    board.fold(Hello(at_ns=1, wall_ns=1, engine="1", version="0", routes=(route,), schema=1))
    (row,) = board.summary().values()
    goals = {name for name in row if name.startswith("goals_")}
    assert goals == set(re.findall(r"`(goals_\w+)`", section("Without a screen")))


def test_the_pythons_that_are_tested_are_told_and_newer_ones_are_let_in() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"
    named = [
        kind.rpartition(" ")[2] for kind in project["classifiers"] if re.search(r":: 3\.\d+$", kind)
    ]
    assert f"Python {named[0]} or newer" in section("Try it")
    listed = f"{', '.join(named[:-1])} and {named[-1]} are tested"
    assert listed in " ".join(section("Try it").split())


def test_every_scenario_and_provider_is_named() -> None:
    assert [name for name in scenario_names() if f"`{name}`" not in README] == []
    text = section("Your first own route, in a minute")
    prefixes = [provider.variable.removesuffix("API_KEY") for provider in PROVIDERS]
    assert [prefix for prefix in prefixes if f"`{prefix}" not in text] == []


def test_the_example_settings_are_good() -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert tomllib.loads(example)
    keys = dict.fromkeys(("DEEPINFRA_API_KEY", "ANTHROPIC_API_KEY"), "k" * 20)
    config = parse_config(example, Path("routes.toml"), keys)
    assert config.routes[0].goals.ttft_s == 0.8


def test_every_link_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings}
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (
            target.startswith("https:")
            or target.removeprefix("#") in anchors
            or (ROOT / target).is_file()
        ), target


@pytest.mark.parametrize("clock", ["kernel", "user"])
def test_every_reading_of_the_observer_and_its_words_are_explained(clock: ClockSource) -> None:
    text = section("Is the observer well?")
    well = HeaderView(clock=clock, loop_lag_p99_s=0.0003, engine_cpu=0.07, inexact_share=0.06)
    ill = HeaderView(
        clock=clock,
        loop_lag_p99_s=0.048,
        engine_cpu=0.98,
        drops=12,
        drops_shown=True,
        inexact_share=0.35,
        short_of="descriptors",
    )
    calm = observer_remarks(well, Cockpit(cpu_share=0.09))
    alarmed = observer_remarks(ill, Cockpit(cpu_share=0.95, slowed_hz=5.0))
    for remark in (*calm, *alarmed):
        for part in line_text(remark.line).strip().split(": "):
            if part != "cpu 98/95%":
                assert part in text, part
