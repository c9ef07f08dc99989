"""What a scenario does with the session that watches it, and how one is asked for."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import pytest
from made import NOW_NS

from probes.control.commands import Command, SetKnob
from probes.control.knobs import KNOBS
from probes.events import Event, Health, Tick
from probes.kit.clock import NS_PER_S
from probes.run.session import Sink
from probes.simulator import KnobTurn, load_scenario, scenario_names
from probes.simulator.scenario import TurnedKnob
from tui.cli import main
from tui.commands.demo import turn_knobs

ROOT = Path(__file__).parents[3]


@dataclass
class Told:
    """A session that only keeps what it is told."""

    commands: list[Command] = field(default_factory=list)
    sinks: list[Sink] = field(default_factory=list)

    def subscribe(self, sink: Sink) -> None:
        self.sinks.append(sink)

    def command(self, command: Command) -> None:
        self.commands.append(command)

    def tick(self, at_s: float) -> list[Command]:
        """Let the engine's clock tick, and return what was asked of it since."""
        before = len(self.commands)
        at_ns = NOW_NS + round(at_s * NS_PER_S)
        events: list[Event] = [Tick(at_ns=at_ns, wall_ns=at_ns, health=Health(), routes={})]
        for sink in self.sinks:
            sink(events, b"")
        return self.commands[before:]


def turn(at_s: float, value: float) -> KnobTurn:
    return KnobTurn(at_s=at_s, route="r", knob="concurrency", value=value)


def test_a_knob_is_turned_once_as_soon_as_the_engines_clock_has_come_there() -> None:
    session = Told()
    turn_knobs(session, turns=(turn(20, 2), turn(10, 6)), started_ns=NOW_NS)
    assert session.tick(9.9) == []
    assert session.tick(10.2) == [SetKnob(route="r", knob="concurrency", value=6, who="scenario")]
    assert session.tick(11.2) == []
    assert [one.value for one in session.tick(25)] == [2]
    assert session.tick(26) == []


def test_what_was_missed_is_turned_in_its_order() -> None:
    session = Told()
    turn_knobs(session, turns=(turn(20, 2), turn(10, 6)), started_ns=NOW_NS)
    assert [one.value for one in session.tick(60)] == [6, 2]


def test_a_scenario_without_turns_asks_nothing_of_a_session() -> None:
    session = Told()
    turn_knobs(session, turns=(), started_ns=NOW_NS)
    assert session.sinks == []


def test_a_scenario_may_turn_the_knobs_that_there_are() -> None:
    assert set(get_args(TurnedKnob)) == KNOBS.keys()


@pytest.mark.parametrize("command", ["demo", "simulate"])
def test_every_scenario_is_listed_with_its_title(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0].strip() for line in lines] == list(scenario_names())
    for line in lines:
        name, _, title = line.partition("  ")
        assert title.strip() == load_scenario(name).title


@pytest.mark.parametrize(
    ("scenario", "complaint"),
    [
        ("no-anwser", 'no scenario is named "no-anwser", did you mean no-answer? (llmtop demo'),
        ("./mine", "the name of a file ends in .toml"),
        ("nowhere/mine.toml", "nowhere/mine.toml: cannot be read: No such file or directory"),
    ],
)
@pytest.mark.parametrize("command", [["demo", "--headless"], ["simulate"]], ids=" ".join)
def test_a_scenario_that_is_not_there_is_one_line(
    command: list[str], scenario: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--scenario", scenario]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("llmtop: --scenario: ")
    assert complaint in line


def test_a_mistake_in_a_file_of_ones_own_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('title = "Mine"\n[faults]\nerror_share = 3\n')
    assert main(["demo", "--headless", "--scenario", str(path)]) == 2
    told = capsys.readouterr().err
    why = f"{path}: faults.error_share is 3: Expected `float` <= 1.0"
    assert told == f"llmtop: --scenario: {why}\n"


def test_the_demo_plays_a_file_of_ones_own_and_turns_its_knobs(tmp_path: Path) -> None:
    # Two seconds of wall time: a real engine and provider in processes of their own.
    path = tmp_path / "mine.toml"
    path.write_text(
        """
        title = "Mine"
        faults = { refuse_share = 1.0, refuse = "quota" }
        route = { interval = 0.2, retries = 0 }
        turns = [{ at_s = 0, route = "mine", knob = "concurrency", value = 5 }]
        """
    )
    options = ["--headless", "--duration", "2", "--no-record", "--scenario", path.name]
    ended = subprocess.run(
        [sys.executable, "-m", "tui.cli", "demo", *options],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(tmp_path)},
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    knobs = [one for one in events if one["type"] == "knob"]
    assert [(one["route"], one["after"], one["who"]) for one in knobs] == [("mine", 5, "scenario")]
    reasons = {one["reason"] for one in events if one["type"] == "attempt_finished"}
    assert reasons == {"quota"}
