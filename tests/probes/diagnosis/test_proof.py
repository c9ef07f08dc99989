"""Two healthy route-days, and each cause once: the short form of `tests/bench/detector.py`."""

from typing import get_args

import pytest
from bench.incident_streams import healthy, scenarios
from bench.incident_streams.judge import diagnose

from probes.events import Cause

SEED = 1
ROUTE_DAYS = 2.0
RUNS = healthy.runs(list(healthy.KINDS), ROUTE_DAYS)
OF_CAUSE: dict[str, str] = {}
for case in scenarios.CASES:
    OF_CAUSE.setdefault(case.acts[0].causes[0], case.name)


def test_every_cause_is_tried() -> None:
    assert set(OF_CAUSE) == {*get_args(Cause)} - {"unknown"}


@pytest.mark.parametrize("name", OF_CAUSE.values())
def test_a_cause_is_named_in_time_with_its_routes_and_cleared_after_its_end(name: str) -> None:
    assert diagnose(scenarios.run_of(name, SEED), SEED).faults == []


@pytest.mark.parametrize(("kind", "seed", "length_s"), RUNS, ids=[kind for kind, _, _ in RUNS])
def test_nothing_is_named_of_routes_that_are_well(kind: str, seed: int, length_s: float) -> None:
    report = diagnose(healthy.run_of(kind, seed, length_s), seed)
    named = [
        f"{one.cause} of {one.routes} at {one.begin_s:.0f} s: {one.text}" for one in report.wrong
    ]
    assert named == []
