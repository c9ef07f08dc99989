"""The benchmark's own arithmetic on made records, and one short run of its smallest client."""

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from measure.client import Task
from measure.clients.baseline import BASELINES
from measure.clients.llmtop import report_of, routes_toml
from measure.clients.tokenizer import write_tokenizer
from measure.clients.tools import aiperf_report, guidellm_report
from measure.machine import Placement, placement
from measure.matching import chunk_errors, compare, keys_of, quantile
from measure.measuring import Measurement, measure
from measure.processes import cpu_ns, descendants, peak_rss_bytes
from measure.provider import provider
from measure.readings import Reading
from measure.table import figures, markdown
from truth import MetronomeRecord, Pace

from probes.config.file import load_config
from probes.events import AttemptFinished, Health, StampLadder, Tick

MS = 1_000_000


def record(request_id: str = "a", **fields: object) -> MetronomeRecord:
    """A stream of two tokens, 100 ms after its request, that took 140 ms."""
    made = {
        "read_ns": 0,
        "chunks_ns": [1 * MS, 100 * MS, 120 * MS, 140 * MS, 140 * MS],
        "chunk_tokens": [0, 1, 1, 0, 0],
        "ended_ns": 140 * MS,
        "ending": "streamed",
        "response_id": f"chatcmpl-{request_id}",
    }
    return MetronomeRecord(request_id=request_id, **{**made, **fields})


def reading(request_id: str = "a", **fields: object) -> Reading:
    """What an exact client that sits 2 ms away says of it."""
    made = {
        "started_ns": -2 * MS,
        "first_ns": 102 * MS,
        "done_ns": 143 * MS,
        "chunks_ns": [102 * MS, 123 * MS],
    }
    return Reading(request_id=request_id, **{**made, **fields})


def test_errors_are_what_the_client_says_less_what_the_server_did() -> None:
    errors = compare([reading()], {"a": record()})
    assert (errors.ttft, errors.e2e) == ([4 * MS], [5 * MS])
    assert errors.chunks == [2 * MS, 3 * MS]
    assert (errors.unmatched, errors.merged) == (0, 0)


def test_a_client_that_reads_too_low_has_a_negative_error() -> None:
    errors = compare([reading(first_ns=90 * MS)], {"a": record()})
    assert errors.ttft == [-8 * MS]


def test_what_a_client_flags_itself_counts_and_is_told_apart() -> None:
    errors = compare([reading(), reading(first_ns=122 * MS, flagged=True)], {"a": record()})
    row = figures(Measurement("llmtop screen", 1, errors))
    assert row["ttft_error_ms"]["p99"] == 24.0
    assert (row["flagged_ttfts"], row["unflagged_ttft_error_ms"]["p99"]) == (1, 4.0)


def test_first_requests_of_connections_do_not_count() -> None:
    truth = {"a": record(first_of_connection=True)}
    errors = compare([reading()], truth)
    assert (errors.ttft, errors.unmatched) == ([], 0)
    assert compare([reading()], truth, cold=True).ttft == [4 * MS]


@pytest.mark.parametrize(
    "truth", [{}, {"a": record(ending="disconnected")}], ids=["unknown", "not streamed"]
)
def test_readings_without_a_truth_are_counted(truth: dict[str, MetronomeRecord]) -> None:
    errors = compare([reading()], truth)
    assert (errors.ttft, errors.unmatched) == ([], 1)


@pytest.mark.parametrize(
    ("sent", "arrived", "errors"),
    [
        ([10, 20, 30], [11, 22, 33], [1, 2, 3]),
        ([10, 20, 30], [22, 33], [12, 2, 3]),
        ([10, 20, 30], [33], [23, 13, 3]),
        ([10, 20, 30], [11, 31], [1, 11, 1]),
    ],
    ids=["one read each", "first two merged", "all merged", "last two merged"],
)
def test_merged_chunks_came_with_the_first_read_after_they_were_sent(
    sent: list[int], arrived: list[int], errors: list[int]
) -> None:
    in_ms = [[stamp * MS for stamp in stamps] for stamps in (sent, arrived)]
    assert chunk_errors(*in_ms) == [error * MS for error in errors]


def test_a_stamp_that_seems_a_little_early_is_still_of_its_own_chunk() -> None:
    sent, arrived = [10 * MS, 20 * MS, 30 * MS], [10 * MS - 2_000, 30 * MS - 2_000]
    assert chunk_errors(sent, arrived) == [-2_000, 10 * MS - 2_000, -2_000]


def test_quantiles_are_of_the_samples_and_none_of_none() -> None:
    values = [float(value) for value in range(100)]
    assert (quantile(values, 0.5), quantile(values, 0.99), quantile([], 0.5)) == (50.0, 99.0, None)


def measurement(**fields: object) -> Measurement:
    errors = compare([reading(), reading(first_ns=90 * MS)], {"a": record()})
    made = {"errors": errors, "chunks": 2_000, "cpu_ns": {"engine": 90 * MS, "cockpit": 10 * MS}}
    return Measurement("llmtop screen", 10, **{**made, **fields})


def test_a_row_has_absolute_quantiles_a_signed_median_and_cpu_by_process() -> None:
    row = figures(measurement(start_s=[0.4, 0.5, 0.9], rss_bytes={"engine": 3 << 20}))
    assert row["ttfts"] == 2
    assert row["ttft_error_ms"] == {"p50": 8.0, "p99": 8.0, "median_signed": 4.0}
    assert row["cpu_ms_per_1000_chunks"] == {"engine": 45.0, "cockpit": 5.0}
    assert row["peak_rss_mib"] == {"engine": 3.0}
    assert row["first_request_s"] == 0.5
    assert row["loop_lag_p99_ms"] is None
    json.dumps(row)


def test_a_client_that_keeps_no_connection_is_marked() -> None:
    row = figures(measurement(always_cold=True))
    assert "| 2 cold |" in markdown([row])


def test_rounds_of_the_same_add_up() -> None:
    total = Measurement("llmtop screen", 10)
    total.add(measurement(rss_bytes={"engine": 5}, server_late_ns=[7 * MS], start_s=[1.0]))
    total.add(measurement(rss_bytes={"engine": 3}, server_late_ns=[9 * MS], start_s=[2.0]))
    row = figures(total)
    assert (row["ttfts"], row["chunks"]) == (4, 4_000)
    assert row["cpu_ms_per_1000_chunks"]["engine"] == 45.0
    assert total.rss_bytes == {"engine": 5}
    assert row["server_late_p99_ms"] == 9.0


def test_the_table_has_a_cell_for_every_column_and_a_dash_for_what_is_not_known() -> None:
    full, empty = figures(measurement()), figures(Measurement("floor", 500))
    head, rule, first, second = markdown([full, empty]).splitlines()
    assert head.count("|") == rule.count("|") == first.count("|") == second.count("|")
    assert "| 45.0 engine + 5.00 cockpit |" in first
    assert "| – / – (–) |" in second
    assert "|  |" not in second


def tick(at_ns: int, lag_ns: int) -> Tick:
    health = Health(loop_lag_p99_ns=lag_ns)
    return Tick(at_ns=at_ns, wall_ns=0, health=health, routes=(), budgets=())


def attempt(**stamps: int | None) -> AttemptFinished:
    ladder = {"started": 5, "first_token": 7, "done": 9, "ended": 9}
    return AttemptFinished(
        at_ns=9,
        route="r",
        probe="p",
        attempt=0,
        outcome="ok",
        stamps_ns=StampLadder(**{**ladder, **stamps}),
        request_id="a",
        chunk_offsets_ns=(2, 3),
    )


def test_llmtops_events_become_readings() -> None:
    unfinished = attempt(done=None)
    report = report_of([tick(1, MS), attempt(), unfinished, tick(6, 3 * MS)], since_ns=5)
    assert report.readings == [
        Reading(request_id="a", started_ns=5, first_ns=7, done_ns=9, chunks_ns=[7, 8])
    ]
    assert report.loop_lag_ms == 3.0
    flagged = msgspec.structs.replace(attempt(), inexact=("first_token",))
    assert report_of([flagged]).readings[0].flagged
    assert report_of([attempt()], since_ns=6).readings == []


@pytest.mark.parametrize(("streams", "shares"), [(1, [1]), (10, [2, 2, 1, 1, 1, 1, 1, 1])])
def test_llmtops_settings_share_the_streams_over_eight_routes(
    tmp_path: Path, streams: int, shares: list[int]
) -> None:
    path = tmp_path / "routes.toml"
    path.write_text(routes_toml(Task("http://127.0.0.1:1", streams, 64, tmp_path, 1.0)))
    path.chmod(0o600)
    config = load_config(path, {})
    assert [route.concurrency for route in config.routes] == shares
    assert {route.interval for route in config.routes} == {0.0}
    assert {route.max_tokens for route in config.routes} == {64}


WALL_OFFSET_NS = 1_700_000_000_000_000_000


def test_aiperfs_records_become_readings_in_monotonic_time() -> None:
    def line(**changes: object) -> bytes:
        about = {
            "x_request_id": "a",
            "request_start_ns": WALL_OFFSET_NS - 2 * MS,
            "request_end_ns": WALL_OFFSET_NS + 143 * MS,
            "was_cancelled": False,
        }
        metrics = {
            "time_to_first_token": {"value": 104.0, "unit": "ms"},
            "inter_chunk_latency": {"value": [21.0], "unit": "ms"},
        }
        return json.dumps({"metadata": {**about, **changes}, "metrics": metrics}).encode()

    unfinished = json.dumps({"metadata": {"was_cancelled": False}, "metrics": {}}).encode()
    report = aiperf_report([line(), line(was_cancelled=True), unfinished], WALL_OFFSET_NS)
    assert report.readings == [reading()]


def test_guidellms_requests_are_known_by_the_id_of_their_chunks() -> None:
    wall_s = 1_700_000_000
    timings = {
        "request_start": wall_s - 0.25,
        "first_token_iteration": wall_s + 0.5,
        "request_end": wall_s + 1.0,
    }
    request = {"response_id": "chatcmpl-a", "info": {"timings": timings}}
    told = {"benchmarks": [{"requests": {"successful": [request]}}]}
    report = guidellm_report(json.dumps(told).encode(), WALL_OFFSET_NS)
    wanted = {"started_ns": -250 * MS, "first_ns": 500 * MS, "done_ns": 1_000 * MS}
    assert report.readings == [reading("chatcmpl-a", chunks_ns=[], **wanted)]
    truth = {key: record() for key in keys_of(record())}
    errors = compare(report.readings, truth)
    assert (errors.ttft, errors.chunks, errors.merged) == ([650 * MS], [], 0)
    assert report.always_cold


def test_the_tokenizer_knows_every_byte_once(tmp_path: Path) -> None:
    write_tokenizer(tmp_path / "made")
    whole = json.loads((tmp_path / "made" / "tokenizer.json").read_text())
    vocabulary = whole["model"]["vocab"]
    assert sorted(vocabulary.values()) == list(range(257))
    assert vocabulary["A"] == 65
    assert vocabulary["Ġ"] == 32  # as GPT-2 writes a space


linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux
def test_a_process_is_found_with_what_it_uses() -> None:
    program = "import sys; sum(range(3_000_000)); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        assert child.pid in descendants(os.getpid())
        assert cpu_ns([child.pid]) > 5 * MS
        assert peak_rss_bytes([child.pid]) > 2 << 20
        child.stdin.close()
    assert cpu_ns([child.pid]) == peak_rss_bytes([child.pid]) == 0


@linux
def test_clients_and_server_are_kept_apart_only_where_asked_for() -> None:
    assert placement(pinned=False, nice=5) == Placement(nice=5)
    apart = placement(pinned=True)
    assert not apart.server & apart.clients
    assert bool(apart.server) == bool(apart.clients) == (len(os.sched_getaffinity(0)) > 1)


@linux
def test_the_floor_is_measured_against_a_real_server() -> None:
    """Two processes and about three seconds of wall time: it measures time itself."""
    floor = BASELINES[0]
    pace = Pace(tokens=2, tokens_per_s=1_000.0, first_after_s=(0.001, 0.002))
    with provider(pace, seed=1, cores=frozenset(), realtime=False) as server:
        measured = measure(floor, server, 2, 0.5, Placement(), warm_up_s=0.3)
    row = figures(measured)
    assert row["ttfts"] >= 20  # more than ten requests of each stream: no id ends one early
    assert row["unmatched"] == 0
    assert min(measured.errors.ttft) > 0
    assert min(measured.errors.chunks) > 0
    assert row["cpu_ms_per_1000_chunks"]["client"] > 0
    assert row["peak_rss_mib"]["client"] > 5
    assert row["first_request_s"] > 0.01
    assert row["server_late_p99_ms"] > 0
