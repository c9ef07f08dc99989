"""The event stream on standard output."""

import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from changed import replace
from exported import receiving
from judges import ListedDiagnostician

from probes.config import Alerting, Config, Route
from probes.control.status import HostStatus
from probes.diagnosis import Diagnostician
from probes.events import Diagnosis
from probes.money.ledger import Ledger
from probes.run.headless import run_headless
from probes.run.session import Session
from probes.sources.child_process import launch_process
from probes.sources.rules import HostLimits
from probes.store.recording import Recorder

pytestmark = pytest.mark.anyio

FAKE = str(Path(__file__).parents[1] / "fake_engine.py")
QUICK = HostLimits(backoff_first_s=0.02, backoff_max_s=0.05, terminate_grace_s=0.2)


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A ledger of one test."""
    made = Ledger(None)
    yield made
    made.close()


def session(
    mode: str,
    ledger: Ledger,
    recorder: Recorder | None = None,
    judge: Diagnostician | None = None,
) -> Session:
    """Return a session whose engines all behave as `mode`."""
    return Session(
        Config(routes=(Route(name="r", base_url="http://127.0.0.1:9", model="m"),)),
        {},
        recorder=recorder,
        ledger=ledger,
        limits=QUICK,
        launch=partial(launch_process, argv=[sys.executable, "-P", FAKE, mode]),
        diagnostician=judge,
    )


def parsed(data: bytes) -> list[dict[str, Any]]:
    """Return the JSON of each line."""
    return [json.loads(line) for line in data.splitlines()]


async def test_lines_of_other_types_are_left_out_where_some_are_named(ledger: Ledger) -> None:
    out = io.BytesIO()
    await run_headless(
        session("good", ledger), duration_s=0.3, out=out, fail_on_goals=False, only={"mark"}
    )
    assert {line["type"] for line in parsed(out.getvalue())} == {"mark"}


async def test_durable_events_come_first_and_a_summary_last(ledger: Ledger) -> None:
    out = io.BytesIO()
    status = await run_headless(
        session("good", ledger), duration_s=0.5, out=out, fail_on_goals=False
    )
    lines = parsed(out.getvalue())
    assert status == 0
    assert lines[0]["type"] == "hello"
    assert lines[-1] == {"type": "summary", "routes": {}}
    assert {line["type"] for line in lines} == {"hello", "mark", "summary"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_it_cleanly_with_the_summary(
    ledger: Ledger, number: signal.Signals
) -> None:
    out = io.BytesIO()

    async def interrupt() -> None:
        while b"hello" not in out.getvalue():  # noqa: ASYNC110 - a thread writes it
            await anyio.sleep(0.01)
        os.kill(os.getpid(), number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(interrupt)
        status = await run_headless(
            session("good", ledger), duration_s=None, out=out, fail_on_goals=False
        )
    assert status == 0
    assert parsed(out.getvalue())[-1]["type"] == "summary"
    assert parsed(out.getvalue())[-2]["text"] == "stopping"


async def test_nohup_outlives_the_terminal(ledger: Ledger) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                watched = session("good", ledger)
                out = io.BytesIO()
                run = partial(run_headless, watched, duration_s=None, out=out, fail_on_goals=False)
                tasks.start_soon(run)
                while b"hello" not in out.getvalue():  # noqa: ASYNC110 - a thread writes it
                    await anyio.sleep(0.01)
                os.kill(os.getpid(), signal.SIGHUP)
                await anyio.sleep(0.3)
                assert b"summary" not in out.getvalue()
                watched.stop()
    finally:
        signal.signal(signal.SIGHUP, before)


async def test_a_reader_that_goes_away_ends_it_quietly(ledger: Ledger) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as out, anyio.fail_after(8):
        status = await run_headless(
            session("flood", ledger), duration_s=None, out=out, fail_on_goals=False
        )
    assert status == 0


async def test_a_reader_that_stops_holds_the_engine_in_bounded_memory_and_never_hangs_us(
    ledger: Ledger,
) -> None:
    reading, writing = os.pipe()
    watched = session("flood", ledger)
    taken = 0

    def count(_events: object, lines: bytes) -> None:
        nonlocal taken
        taken += len(lines)

    watched.subscribe(count)
    with os.fdopen(writing, "wb") as out:
        with anyio.fail_after(15):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(
                    partial(run_headless, watched, duration_s=None, out=out, fail_on_goals=False)
                )
                while taken < 4 << 20:  # noqa: ASYNC110 - another process brings it about
                    await anyio.sleep(0.01)
                await anyio.sleep(0.2)
                before = taken
                await anyio.sleep(0.3)
                assert taken == before
                watched.stop()
        os.close(reading)  # frees the thread that waits for the reader
    assert before < 6 << 20


async def test_a_reader_that_pauses_gets_everything(ledger: Ledger) -> None:
    reading, writing = os.pipe()
    data = bytearray()

    def read_late() -> None:
        time.sleep(0.3)
        while block := os.read(reading, 1 << 20):
            data.extend(block)

    reader = threading.Thread(target=read_late)
    reader.start()
    with os.fdopen(writing, "wb") as out:
        await run_headless(session("flood", ledger), duration_s=0.6, out=out, fail_on_goals=False)
    reader.join()
    os.close(reading)
    lines = parsed(bytes(data))
    numbers = [int(line["text"].lstrip("x")) for line in lines[2:-1]]
    assert numbers == list(range(len(numbers)))
    assert lines[-1]["type"] == "summary"


async def test_an_engine_that_is_given_up_ends_it_with_status_one(ledger: Ledger) -> None:
    out = io.BytesIO()
    with anyio.fail_after(10):
        status = await run_headless(
            session("crash", ledger), duration_s=None, out=out, fail_on_goals=False
        )
    lines = parsed(out.getvalue())
    assert status == 1
    assert [line["type"] for line in lines].count("hello") == 3
    assert "exit status 3" in lines[-2]["detail"]
    assert out.getvalue().isascii()


MISSED = {"goals_met": False, "goals_missed": ["ttft"], "goals_unknown": []}
MET = {"goals_met": True, "goals_missed": [], "goals_unknown": []}
UNKNOWN = {"goals_met": None, "goals_missed": [], "goals_unknown": ["no probe finished"]}


@pytest.mark.parametrize(
    ("routes", "fail_on_goals", "status", "remarks"),
    [
        ({"a": MISSED}, False, 0, []),
        ({"a": MET}, True, 0, []),
        ({"a": MET, "b": MISSED}, True, 1, ["b: goals missed: ttft"]),
        ({"a": MET, "b": UNKNOWN}, True, 3, ["b: goals unknown: no probe finished"]),
        (
            {"a": UNKNOWN, "b": MISSED},
            True,
            1,
            ["a: goals unknown: no probe finished", "b: goals missed: ttft"],
        ),
        ({}, True, 3, []),
    ],
)
async def test_goals_are_a_status_only_where_asked(
    ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    routes: dict[str, Any],
    fail_on_goals: bool,
    status: int,
    remarks: list[str],
) -> None:
    watched = session("good", ledger)
    monkeypatch.setattr(type(watched.board), "summary", lambda _board: routes)
    told: list[str] = []
    answer = await run_headless(
        watched, duration_s=0.1, out=io.BytesIO(), fail_on_goals=fail_on_goals, report=told.extend
    )
    assert (answer, told) == (status, remarks)


VERDICT = Diagnosis(at_ns=0, id="1.1", state="named", cause="tls", routes=("r",), since_ns=0)


@pytest.mark.parametrize("state", ["perhaps", "named"])
@pytest.mark.parametrize("asked", [False, True])
async def test_an_incident_that_was_named_is_a_status_only_where_asked(
    ledger: Ledger, asked: bool, state: Any
) -> None:
    watched = session("good", ledger, judge=ListedDiagnostician(replace(VERDICT, state=state)))
    told: list[str] = []
    out = io.BytesIO()
    status = await run_headless(
        watched,
        duration_s=0.1,
        out=out,
        fail_on_goals=False,
        fail_on_incident=asked,
        only={"diagnosis", "summary"},
        report=told.extend,
    )
    found = asked and state == "named"
    assert (status, len(told)) == ((4, 1) if found else (0, 0))
    assert all(remark.startswith("r: tls since ") for remark in told)
    verdict, summary = parsed(out.getvalue())
    assert (verdict["type"], verdict["state"]) == ("diagnosis", state)
    assert summary["type"] == "summary"


async def test_a_duration_counts_from_the_hello(ledger: Ledger) -> None:
    # The engine takes longer to start than the run lasts.
    out = io.BytesIO()
    with anyio.fail_after(10):
        await run_headless(session("late", ledger), duration_s=0.2, out=out, fail_on_goals=False)
    assert "mark" in [line["type"] for line in parsed(out.getvalue())]


async def test_the_stream_begins_with_hello_whatever_failed_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    here = tmp_path / "file" / "below"
    ledger = Ledger(here / "ledger.sqlite3")
    watched = session(
        "late", ledger, recorder=Recorder.to_folder(here, max_mb=1, max_days=1, flush_s=0.01)
    )
    out = io.BytesIO()
    with anyio.fail_after(10):
        await run_headless(watched, duration_s=1.0, out=out, fail_on_goals=False)
    lines = parsed(out.getvalue())
    assert lines[0]["type"] == "hello"
    notices = [line for line in lines if line["type"] == "notice"]
    assert any("not recording" in line["text"] for line in notices)
    assert any("until it works again" in line["text"] for line in notices)
    begun = lines[0]["at_ns"]
    assert all(begun <= line["at_ns"] < begun + 10**10 for line in notices)


async def test_the_stream_of_an_engine_that_never_spoke_has_a_hello_of_ours(
    ledger: Ledger,
) -> None:
    out = io.BytesIO()
    with anyio.fail_after(10):
        status = await run_headless(
            session("mute_crash", ledger), duration_s=None, out=out, fail_on_goals=False
        )
    lines = parsed(out.getvalue())
    assert status == 1
    assert [line["type"] for line in lines] == ["hello", *["held"] * 3, "summary"]
    assert [route["name"] for route in lines[0]["routes"]] == ["r"]
    assert {line["at_ns"] for line in lines[:-1]} == {lines[0]["at_ns"]}
    assert lines[-1]["routes"]["r"]["goals_met"] is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
async def test_an_output_that_takes_no_more_ends_it_with_the_reason(ledger: Ledger) -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    with os.fdopen(descriptor, "wb", 0) as full, pytest.raises(OSError, match="No space left"):
        await run_headless(session("good", ledger), duration_s=20, out=full, fail_on_goals=False)


@pytest.mark.skipif(sys.platform == "win32", reason="needs processes of POSIX")
@pytest.mark.parametrize("is_muted", [False, True])
async def test_the_user_s_command_is_told_each_alert_but_what_is_muted(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_muted: bool
) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-a-key-of-a-route")
    told, environ = tmp_path / "told", tmp_path / "environ"
    route = Route(name="r", base_url="http://127.0.0.1:9", model="m")
    alerts = Alerting(on_alert=("sh", "-c", f"cat >> {told}; env >> {environ}"))
    watched = Session(
        Config(routes=(route,), alerts=alerts),
        {"r": {"authorization": "Bearer sk-a-key-of-a-route"}},
        recorder=None,
        ledger=ledger,
        limits=QUICK,
        launch=partial(launch_process, argv=[sys.executable, "-P", FAKE, "good"]),
        diagnostician=ListedDiagnostician(replace(VERDICT, cause="outage")),
    )
    if is_muted:
        watched.attention.mute(["r"])
    out = io.BytesIO()
    await run_headless(watched, duration_s=0.3, out=out, fail_on_goals=False, only={"alert"})
    (line,) = parsed(out.getvalue())
    if is_muted:
        assert not told.exists(), "it is in the stream, and calls nobody"
        return
    (given,) = parsed(told.read_bytes())
    assert line.items() <= given.items()
    assert (given["state"], given["incident"], given["routes"]) == ("firing", "1.1", ["r"])
    assert given["at"].endswith("Z")
    assert "SOME_KEY" not in environ.read_text()
    assert "PATH=" in environ.read_text()


@pytest.mark.parametrize("is_muted", [False, True])
async def test_a_webhook_is_told_what_begins_changes_and_ends_but_what_is_muted(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, is_muted: bool
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    outage = replace(VERDICT, cause="outage")
    later_ns = time.monotonic_ns() + 300_000_000  # of the clock that the engine stamps with
    with receiving() as receiver:
        monkeypatch.setenv("HOOK", f"{receiver.url}/hook")
        route = Route(name="r", base_url="http://127.0.0.1:9", model="m")
        watched = Session(
            Config(routes=(route,), alerts=Alerting(webhook="env:HOOK")),
            {"r": {"authorization": "Bearer sk-a-key-of-a-route"}},
            recorder=None,
            ledger=ledger,
            limits=QUICK,
            launch=partial(launch_process, argv=[sys.executable, "-P", FAKE, "good"]),
            diagnostician=ListedDiagnostician(
                outage, replace(outage, cause="no_answer", at_ns=later_ns)
            ),
        )
        if is_muted:
            watched.attention.mute(["r"])
        out = io.BytesIO()
        headless = partial(run_headless, watched, duration_s=60.0, out=out, fail_on_goals=False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(headless)
            with anyio.move_on_after(2.0 if is_muted else 30.0):
                # What the engine says at its end is after the change, which is then told.
                while not receiver.sent or time.monotonic_ns() < later_ns:  # noqa: ASYNC110
                    await anyio.sleep(0.02)
            watched.stop()
        lines = parsed(out.getvalue())
        told = [one.json() for one in receiver.sent]
    if is_muted:
        assert told == []
        return
    assert [(one["state"], one["cause"]) for one in told] == [
        ("firing", "outage"),
        ("changed", "no_answer"),
    ]
    (alert,) = [line for line in lines if line["type"] == "alert"]
    assert alert.items() <= told[0].items()
    assert len({one["run"] for one in told}) == 1
    keys = [one.headers["idempotency-key"] for one in receiver.sent]
    assert len({*keys}) == 2
    assert not [line for line in lines if line["type"] == "notice" and "webhook" in line["text"]]


async def test_a_webhook_that_takes_nothing_is_a_notice_and_the_run_goes_on(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with receiving() as receiver:
        receiver.answers = [(410, {})] * 9
        route = Route(name="r", base_url="http://127.0.0.1:9", model="m")
        watched = Session(
            Config(routes=(route,), alerts=Alerting(webhook=f"{receiver.url}/a-secret")),
            {"r": {}},
            recorder=None,
            ledger=ledger,
            limits=QUICK,
            launch=partial(launch_process, argv=[sys.executable, "-P", FAKE, "good"]),
            diagnostician=ListedDiagnostician(replace(VERDICT, cause="outage")),
        )
        out = io.BytesIO()
        await run_headless(watched, duration_s=0.5, out=out, fail_on_goals=False)
    texts = [line["text"] for line in parsed(out.getvalue()) if line["type"] == "notice"]
    assert f"webhook {receiver.url} has not taken alert 1-a1 (firing): answered 410" in texts
    assert "a-secret" not in out.getvalue().decode()


async def test_what_is_waited_for_is_told_once_as_long_as_nothing_comes(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = HostStatus("starting", detail="no place has been heard yet on nats://bus")
    statuses = iter([waits, waits, HostStatus("lost", detail="nats://bus is away")])
    last = HostStatus("running", detail="is no wait")
    monkeypatch.setattr("probes.run.headless._QUIET_S", 0.01)
    monkeypatch.setattr(Session, "status", property(lambda _self: next(statuses, last)))
    told: list[str] = []
    await run_headless(
        session("flood", ledger),
        duration_s=0.3,
        out=io.BytesIO(),
        fail_on_goals=False,
        report=told.extend,
    )
    assert told == ["no place has been heard yet on nats://bus", "nats://bus is away"]
