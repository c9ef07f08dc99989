"""Who would be told of what happens in a made-up run, by the judge that a run has."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Final

from probes.diagnosis import Diagnostician
from probes.events import Alert, Derived
from probes.run.verdicts import Judge

from . import scenarios
from .stream import Stream
from .trouble import Outline

STAYS_S: Final = 240.0
"""Twice what an incident that hurts nobody must stand for."""


def alerts_of(
    outline: Outline, seed: int, see: Callable[[Derived], object] = lambda _: None
) -> list[Alert]:
    """Return all alerts of a run; what is suspected is probed more often, as an engine would.

    `see` is shown all that is derived of the run.
    """
    stream, judge = Stream(outline, seed), Judge(Diagnostician())
    found: list[Alert] = []
    for event in stream.events():
        for told in judge.fold(event):
            if isinstance(told, Alert):
                found.append(told)
            see(told)
        stream.suspects = judge.diagnostician.suspects
    return found


def run_of(name: str, seed: int) -> Outline:
    """Return the run of a scenario in which the fault stays long enough for anybody to get up."""
    case, setting = scenarios.named()[name]
    acts = tuple(
        replace(act, lasts_s=max(act.lasts_s, STAYS_S)) if not act.flap_s else act
        for act in case.acts
    )
    return scenarios.outline(replace(case, acts=acts), setting, Random(f"{name} {seed}"))
