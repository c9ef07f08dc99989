"""A stage plays what it is told, at the moment it is told, on real sockets and with a real llmtop.

Each run takes the seconds that its schedule does: a process is started, probes, is hindered, and is
well again.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from wires.bad_wire import FAR, Weather
from wires.certificates import Certificate
from wires.front import Fronting
from wires.namespaces import missing
from wires.playing import Played, play
from wires.resolver import Names
from wires.stage import Stage, WatchedRoute

SCENARIO = """
title = "two models"
[[models]]
name = "m"
incident = "healthy"
serving = { gateway_s = 0.05, answer_tokens = 8 }
"""
OFTEN = {"interval": 0.3, "max_tokens": 4, "retries": 0, "connection": "fresh"}
ROUTES = (
    WatchedRoute(name="far", model="m", settings=OFTEN),
    WatchedRoute(name="near", model="m", is_far=False, settings=OFTEN),
)


def played(folder: Path, **parts: Any) -> tuple[Played, list[dict[str, Any]]]:
    """Play for six seconds; return what was printed, and the attempts that were recorded."""
    stage = Stage(scenario=SCENARIO, routes=ROUTES, duration_s=6.0, **parts)
    run = play(stage, folder)
    assert run.status == 0, run.said
    events = [json.loads(line) for line in run.recording.read_bytes().splitlines()]
    return run, [event for event in events if event["type"] == "attempt_finished"]


def reasons(attempts: list[dict[str, Any]], route: str) -> Counter[str]:
    """How the attempts of a route ended; what was open at the end was cancelled."""
    return Counter(
        one.get("reason", "")
        for one in attempts
        if one["route"] == route and one["outcome"] != "cancelled"
    )


def test_a_front_refuses_when_it_is_told_and_only_the_far_route_suffers(tmp_path: Path) -> None:
    run, attempts = played(tmp_path, fronting=(Fronting(from_s=3.0, to_s=4.5, behaviour="refuse"),))
    assert run.lines[0].event["type"] == "hello"
    assert run.lines[-1].event["type"] == "summary"
    assert {line.event["type"] for line in run.lines} <= {"hello", "diagnosis", "summary"}
    assert set(reasons(attempts, "near")) == {""}
    far = reasons(attempts, "far")
    assert far["connect.refused"] >= 2, far
    refused = [one for one in attempts if one.get("reason") == "connect.refused"]
    assert min(run.after_s(one["at_ns"]) for one in refused) >= 3.0
    well = [run.after_s(one["at_ns"]) for one in attempts if one["outcome"] == "ok"]
    assert [at for at in well if at > 4.5], "it was well again"


def test_a_certificate_goes_bad_in_mid_run(tmp_path: Path) -> None:
    _, attempts = played(
        tmp_path, certificates=(Certificate(from_s=3.0, to_s=9.0, flaw="expired"),)
    )
    assert reasons(attempts, "far")["connect.tls.expired"] >= 2
    assert set(reasons(attempts, "near")) == {""}


@pytest.mark.skipif(bool(missing("tun")), reason=missing("tun"))
def test_a_far_server_is_as_far_as_the_wire_is_long(tmp_path: Path) -> None:
    _, attempts = played(tmp_path, wire=(Weather(from_s=0.0, to_s=9.0, delay_ms=40.0),))
    assert set(reasons(attempts, "far")) == {""}
    connected_ms: dict[str, list[float]] = {"far": [], "near": []}
    for one in attempts:
        if one["outcome"] == "ok":
            stamps = one["stamps_ns"]
            connected_ms[one["route"]].append((stamps["tcp"] - stamps["started"]) / 1e6)
    assert min(connected_ms["far"]) >= 80.0
    assert min(connected_ms["near"]) < 40.0
    hello = json.loads((tmp_path / "recording.jsonl").read_bytes().splitlines()[0])
    assert f"//{FAR}:" in hello["routes"][0]["base_url"]


@pytest.mark.skipif(bool(missing("network", "mounts")), reason=missing("network", "mounts"))
def test_names_fail_in_mid_run(tmp_path: Path) -> None:
    _, attempts = played(
        tmp_path,
        names=(
            Names(from_s=0.0, to_s=3.0),
            Names(from_s=3.0, to_s=9.0, answer="no_such_name"),
        ),
    )
    far = reasons(attempts, "far")
    assert far[""] >= 1
    assert far["connect.dns"] >= 2
    assert set(reasons(attempts, "near")) == {""}


def test_a_stage_that_cannot_be_played_says_why(tmp_path: Path) -> None:
    stage = Stage(scenario="title = 1", routes=ROUTES, duration_s=1.0)
    with pytest.raises(RuntimeError, match=r"(?s)the stage did not start: .*scenario stage"):
        play(stage, tmp_path)


def test_the_far_side_has_one_name() -> None:
    parts: dict[str, Any] = {
        "wire": (Weather(from_s=0.0, to_s=1.0),),
        "names": (Names(from_s=0.0, to_s=1.0),),
    }
    with pytest.raises(ValueError, match="one at most"):
        Stage(scenario=SCENARIO, routes=ROUTES, duration_s=1.0, **parts)
