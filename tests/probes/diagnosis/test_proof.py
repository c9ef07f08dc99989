"""Two healthy route-days, and each cause once: the short form of `tests/bench/detector.py`."""

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import get_args

import anyio
import pytest
from bench.incident_streams import healthy, scenarios
from bench.incident_streams.judge import diagnose
from bench.incident_streams.trouble import Turn
from msgspec import structs

from probes.events import Cause, Diagnosis, Event, decode_event, encode_event
from probes.run.replay import run_replay

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


def test_a_recording_says_the_same_as_the_run_whatever_it_said_itself(tmp_path: Path) -> None:
    recording = tmp_path / "run.jsonl"
    lines: list[bytes] = []
    live: list[Diagnosis] = []

    def see(event: Event, said: Sequence[Diagnosis]) -> None:
        lines.append(encode_event(event))
        lines.extend(encode_event(structs.replace(one, text="as it was said then")) for one in said)
        live.extend(said)

    # With probes for evidence in it, and an engine that dies.
    outline = scenarios.run_of("provider_queueing.x5@every5s", SEED)
    dies = Turn(at_s=outline.troubles[0].onset_s + 60.0, what="die")
    diagnose(replace(outline, turns=(dies,)), SEED, see)
    recording.write_bytes(b"".join(lines))
    out = BytesIO()
    anyio.run(lambda: run_replay([recording], out=out, report=pytest.fail, only={"diagnosis"}))
    assert [decode_event(line) for line in out.getvalue().splitlines()] == live
    assert {one.state for one in live} >= {"named", "cleared"}
