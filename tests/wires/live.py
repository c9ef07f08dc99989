"""An incident played live and judged: what was said, whether it is right, how the machine was."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

from probes.kit.clock import NS_PER_S
from wires.catalogue import Expected, Incident, Scene, Times
from wires.namespaces import missing
from wires.playing import Played, play
from wires.verdicts import Judgement, Truth, judge


@dataclass(frozen=True)
class Observer:
    """What the ticks of a run say of the machine it ran on, in ms."""

    lag_before: float
    """The loop's largest lag of a second, p95 of the seconds before the onset."""
    lag_during: float


@dataclass
class Outcome:
    """How an incident fared."""

    incident: Incident
    judgement: Judgement
    played: Played
    observer: Observer
    attempts: Counter[str] = field(default_factory=Counter)
    """By route, outcome and reason, for whoever asks why."""


def why_not(scene: Scene) -> str:
    """Return why a scene cannot be played on this machine; empty where it can."""
    needs = scene.stage.needs
    if scene.stage.load and scene.stage.load_is_realtime and (said := missing("network")):
        return said
    return missing(*needs) if needs else ""


def run(incident: Incident, times: Times, folder: Path) -> Outcome:
    """Play an incident to its end; `folder` takes its files, the recording among them.

    Raises:
        RuntimeError: it could not be played.
    """
    scene = incident.scene(times)
    played = play(scene.stage, folder)
    if played.status not in (0, 4):  # 4: an incident was named, where that was asked for
        raise RuntimeError(f"llmtop ended with {played.status}: {played.said[-2000:]}")
    end_ns = played.start_ns + round(scene.stage.duration_s * NS_PER_S)
    truths = [_truth(expected, played.start_ns) for expected in scene.expected]
    onset_ns = min((truth.from_ns for truth in truths), default=end_ns)
    events = [json.loads(line) for line in played.recording.read_bytes().splitlines()]
    return Outcome(
        incident,
        judge(played.lines, truths, end_ns),
        played,
        _observer(events, onset_ns),
        _attempts(events),
    )


def _truth(expected: Expected, start_ns: int) -> Truth:
    return Truth(
        expected.cause,
        expected.routes,
        start_ns + round(expected.from_s * NS_PER_S),
        start_ns + round(expected.to_s * NS_PER_S),
        expected.within_s,
        expected.also,
        expected.grace_s,
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
