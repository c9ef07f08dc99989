"""An incident played live and judged: what was said, whether it is right, how the machine was."""

import json
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

import msgspec
from attacks.running import LLMTOP, home_of

from probes.kit.clock import NS_PER_S
from wires.catalogue import Course, Expected, Incident, Scene
from wires.namespaces import missing
from wires.playing import Line, play
from wires.verdicts import Judgement, Truth, judge

FACTS: Final = "facts.json"
ENDS: Final = (0, 4)
"""Statuses of a run that went to its end; 4: an incident was named, for whoever asked that."""


@dataclass(frozen=True)
class Observer:
    """What the ticks of a run say of the machine it ran on, in ms."""

    lag_before: float
    """The loop's largest lag of a second, p95 of the seconds before the onset."""
    lag_during: float


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is true of a recording, kept beside it so that it can be judged again."""

    incident: str
    start_ns: int
    """Monotonic; the seconds of what is expected count from here."""
    end_ns: int
    expected: tuple[Expected, ...]

    @property
    def truths(self) -> list[Truth]:
        """Return them on the recording's own clock."""
        return [
            Truth(
                one.cause,
                one.routes,
                self.start_ns + round(one.from_s * NS_PER_S),
                self.start_ns + round(one.to_s * NS_PER_S),
                one.within_s,
                one.also,
                one.grace_s,
            )
            for one in self.expected
        ]


@dataclass
class Outcome:
    """How an incident fared."""

    incident: str
    judgement: Judgement
    observer: Observer
    attempts: Counter[str]
    """By route, outcome and reason, for whoever asks why."""
    replays_alike: bool
    """A replay of the recording says the same, line by line."""


def why_not(scene: Scene) -> str:
    """Return why a scene cannot be played on this machine; empty where it can."""
    needs = scene.stage.needs
    return missing(*needs) if needs else ""


def run(incident: Incident, course: Course, folder: Path) -> Outcome:
    """Play an incident to its end; `folder` takes its files, recording and facts among them.

    Raises:
        RuntimeError: it could not be played.
    """
    scene = incident.scene(course)
    played = play(scene.stage, folder)
    if played.status not in ENDS:
        raise RuntimeError(f"llmtop ended with {played.status}: {played.said[-2000:]}")
    end_ns = played.start_ns + round(scene.stage.duration_s * NS_PER_S)
    facts = Facts(
        incident=incident.name,
        start_ns=played.start_ns,
        end_ns=end_ns,
        expected=scene.expected,
    )
    (folder / FACTS).write_bytes(msgspec.json.encode(facts))
    live = [line.event for line in played.lines if line.event["type"] == "diagnosis"]
    alike = live == _replayed(played.recording)
    return _outcome(facts, played.lines, played.recording, alike=alike)


def again(recording: Path, facts: Path) -> Outcome:
    """Replay a recording with the llmtop of today, and judge what that says.

    A line counts as read at the stamp of the event that decided.

    Raises:
        RuntimeError: it cannot be replayed.
    """
    lines = [Line(event["at_ns"], event) for event in _replayed(recording)]
    known = msgspec.json.decode(facts.read_bytes(), type=Facts)
    return _outcome(known, lines, recording, alike=True)


def _replayed(recording: Path) -> list[dict[str, Any]]:
    """Return the verdicts of a replay.

    Raises:
        RuntimeError: it cannot be replayed.
    """
    argv = [*LLMTOP, "replay", str(recording), "--headless", "--only", "diagnosis"]
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(argv, env=home_of(Path(home)), capture_output=True)
    if done.returncode not in ENDS:
        raise RuntimeError(f"the replay ended with {done.returncode}: {done.stderr.decode()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _outcome(facts: Facts, lines: Sequence[Line], recording: Path, *, alike: bool) -> Outcome:
    truths = facts.truths
    onset_ns = min((truth.from_ns for truth in truths), default=facts.end_ns)
    events = [json.loads(line) for line in recording.read_bytes().splitlines()]
    return Outcome(
        facts.incident,
        judge(lines, truths, facts.end_ns),
        _observer(events, onset_ns),
        _attempts(events),
        alike,
    )


def _observer(events: list[dict[str, Any]], onset_ns: int) -> Observer:
    lags: dict[bool, list[float]] = {True: [], False: []}
    for event in events:
        if event["type"] == "tick":
            lag_ns = event["health"].get("loop_lag_max_ns", 0)
            lags[event["at_ns"] < onset_ns].append(lag_ns / 1e6)
    return Observer(_p95(lags[True]), _p95(lags[False]))


def _p95(values: list[float]) -> float:
    return quantiles(values, n=20)[-1] if len(values) > 1 else 0.0


def _attempts(events: list[dict[str, Any]]) -> Counter[str]:
    return Counter(
        " ".join((event["route"], event["outcome"], event.get("reason", ""))).strip()
        for event in events
        if event["type"] == "attempt_finished"
    )
