"""What the recordings of the last hour tell of spending."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from probes.money.recollection import RecordedRoute, recollect

NOW_S = 1_800_000_000
NS = 1_000_000_000
OFFSET_NS = 5 * NS
ROUTE = RecordedRoute("r", "http://x/v1", "m")


def line(kind: str, at_s: float, **fields: Any) -> str:
    """Return one event at a wall time."""
    at_ns = round(at_s * NS) - OFFSET_NS
    return json.dumps({"type": kind, "at_ns": at_ns, **fields}, separators=(",", ":"))


def hello(at_s: float = NOW_S - 3_000) -> str:
    route = {"name": "r", "base_url": "http://x/v1", "model": "m", "concurrency": 1}
    return line("hello", at_s, wall_ns=round(at_s * NS), engine="1", routes=[route], schema=1)


def began(at_s: float, probe: str, reserved: int = 80) -> str:
    return line(
        "attempt_started", at_s, route="r", probe=probe, attempt=0, reserved_tokens=reserved
    )


def ended(at_s: float, probe: str, charged: int, **fields: Any) -> str:
    told: Mapping[str, Any] = {"route": "r", "probe": probe, "attempt": 0, **fields}
    return line("attempt_finished", at_s, charged_tokens=charged, stamps_ns={}, **told)


def record(
    folder: Path, *lines: str, name: str = "20270115T080000Z-77-0a1b2c3d", number: int = 1
) -> Path:
    path = folder / f"{name}.{number:04}.jsonl"
    path.write_text("".join(f"{one}\n" for one in lines))
    os.utime(path, (NOW_S, NOW_S))
    return path


def tokens(folder: Path) -> int:
    told = recollect(folder, now_s=NOW_S)
    return sum(spent for run in told.runs for spent, _ in run.spent.values())


def test_what_attempts_were_charged_is_told_by_route_and_moment(tmp_path: Path) -> None:
    at = NOW_S - 100
    record(tmp_path, hello(), began(at, "1"), ended(at + 1, "1", 30, cost_usd=0.25))
    told = recollect(tmp_path, now_s=NOW_S)
    (run,) = told.runs
    assert run.spent == {(ROUTE, at + 1): (30, 0.25)}
    assert (run.pid, run.stem, run.routes) == (77, "20270115T080000Z-77-0a1b2c3d", (ROUTE,))
    assert told.whole


def test_an_attempt_without_an_end_has_spent_its_reservation(tmp_path: Path) -> None:
    record(tmp_path, hello(), began(NOW_S - 5, "1"), began(NOW_S - 4, "2"), ended(NOW_S, "1", 30))
    assert tokens(tmp_path) == 30 + 80


def test_what_is_older_than_an_hour_does_not_count(tmp_path: Path) -> None:
    record(
        tmp_path, hello(NOW_S - 9_000), ended(NOW_S - 3_601, "1", 30), ended(NOW_S - 3_590, "2", 9)
    )
    assert tokens(tmp_path) == 9
    old = record(tmp_path, hello(), ended(NOW_S - 5, "1", 30))
    os.utime(old, (NOW_S - 3_700, NOW_S - 3_700))
    assert tokens(tmp_path) == 0


def test_ticks_correct_the_clock_of_a_machine_that_slept(tmp_path: Path) -> None:
    early = hello(NOW_S - 9_000)
    tick = line("tick", NOW_S - 8_000, wall_ns=(NOW_S - 10) * NS, health={}, routes=[])
    record(tmp_path, early, tick, ended(NOW_S - 7_995, "1", 30))
    assert tokens(tmp_path) == 30


@pytest.mark.parametrize(
    "damage", ["", "{", '{"type":"attempt_finished","at_ns":', "\0" * 50, '{"type":"tick"}', "[]"]
)
def test_lines_that_are_no_events_are_skipped(tmp_path: Path, damage: str) -> None:
    record(tmp_path, hello(), ended(NOW_S - 9, "1", 30), damage, ended(NOW_S - 8, "2", 9))
    assert tokens(tmp_path) == 39


def test_all_segments_and_runs_count_and_foreign_files_do_not(tmp_path: Path) -> None:
    record(tmp_path, hello(), began(NOW_S - 9, "1"))
    record(tmp_path, hello(), ended(NOW_S - 8, "1", 30), number=2)
    record(tmp_path, hello(), ended(NOW_S - 8, "1", 5), name="20270115T080000Z-78-0a1b2c3d")
    record(tmp_path, hello(), ended(NOW_S - 8, "1", 500), name="notes")
    assert tokens(tmp_path) == 35


def test_reading_is_bounded_and_says_that_it_stopped(tmp_path: Path) -> None:
    lines = [ended(NOW_S - 9, str(number), 1) for number in range(5_000)]
    record(tmp_path, hello(), *lines)
    clock = iter(range(10_000))
    told = recollect(tmp_path, now_s=NOW_S, bound_s=3, monotonic=lambda: next(clock))
    assert not told.whole
    assert len(told.runs[0].spent) > 0
    assert sum(spent for spent, _ in told.runs[0].spent.values()) < 5_000


def test_without_recordings_nothing_is_told(tmp_path: Path) -> None:
    assert recollect(tmp_path / "none", now_s=NOW_S).runs == []
    record(tmp_path, hello())
    assert recollect(tmp_path, now_s=NOW_S).runs == []


def test_what_was_spent_at_several_places_is_told_of_one_route(tmp_path: Path) -> None:
    at = NOW_S - 100
    lines: list[str] = []
    for place in ("eu", "us"):
        route = {"name": f"r@{place}", "base_url": "http://x/v1", "model": "m", "place": place}
        lines.append(line("hello", at, wall_ns=at * NS, engine="1", routes=[route], schema=1))
        lines.append(
            line(
                "attempt_finished",
                at + 1,
                route=f"r@{place}",
                probe=place,
                attempt=0,
                charged_tokens=30,
                stamps_ns={},
            )
        )
    record(tmp_path, *lines)
    (run,) = recollect(tmp_path, now_s=NOW_S).runs
    assert run.routes == (ROUTE,)
    assert run.spent == {(ROUTE, at + 1): (60, 0.0)}
