"""A recording, replayed, gives what its run gave: line by line, and digit by digit at its end."""

import io
import json
import os
import random
import re
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Set
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from board_streams import ProbeScript, at, hello, tick
from changed import replace
from clocks import ManualClock
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import FickleDiagnostician, ListedDiagnostician
from scripted import Network, Script, chat, refusal

from probes.config import Budget, Config, Route
from probes.control.commands import Burst, Command, MarkTime, Pause, SetKnob
from probes.diagnosis import Diagnostician
from probes.engine.engine import run_engine
from probes.events import Diagnosis, Event, Gap, Held, Hello, Knob, Mark, encode_event
from probes.exports.json_lines import JsonLines
from probes.kit.clock import Clock
from probes.money.ledger import Ledger
from probes.run.headless import run_headless
from probes.run.replay import run_replay
from probes.run.session import Session
from probes.sources.child_process import launch_process
from probes.sources.in_process import launch_task
from probes.sources.rules import HostLimits
from probes.stats.sketch import BACKEND
from probes.store.recording import Recorder
from probes.store.recording_reader import RecordingError

pytestmark = pytest.mark.anyio

FAKE = str(Path(__file__).parents[1] / "fake_engine.py")
QUICK = HostLimits(backoff_first_s=0.02, backoff_max_s=0.05, terminate_grace_s=0.2)
VERDICT = b'{"type":"diagnosis"'


async def replayed(
    *paths: Path, only: Set[str] | None = None, judge: Diagnostician | None = None
) -> tuple[bytes, list[str]]:
    """Return what a replay prints, and what it remarks."""
    out, remarks = io.BytesIO(), list[str]()
    replay = run_replay(paths, out=out, report=remarks.append, only=only, diagnostician=judge)
    assert await replay == 0
    return out.getvalue(), remarks


class Run:
    """A run of real engines in this loop: a scripted network, a clock of the test's own."""

    def __init__(self, folder: Path, seed: int, engines: int) -> None:
        self.chance = random.Random(seed)
        self.clock = ManualClock()
        self.scopes: list[anyio.CancelScope] = []
        self.out = io.BytesIO()
        names = [f"route {number} \u202e\x9b" for number in range(3)]
        routes = tuple(
            Route(name=name, base_url="http://127.0.0.1/v1", model="m", concurrency=2, interval=0.5)
            for name in names
        )
        self.routes = routes
        self.network = Network([self.script() for _ in range(400)])
        recorder = Recorder.to_folder(folder, max_mb=0.8, max_days=1.0, flush_s=0.001)
        self.ledger = Ledger(None)
        launch = partial(launch_task, run_engine=self.run_engine, clock=self.clock)
        self.session = Session(
            Config(
                routes=routes, budget=Budget(tokens_per_hour=10**9, route_tokens_per_hour=10**8)
            ),
            {},
            recorder=recorder,
            ledger=self.ledger,
            engines=engines,
            clock=self.clock,
            limits=HostLimits(backoff_first_s=1.0),
            launch=launch,
            diagnostician=FickleDiagnostician(),
        )
        self.printed = JsonLines(self.out)
        self.session.subscribe(self.printed.receive)

    def script(self) -> Script:
        chance = self.chance
        words = [f"caf\u00e9 {number}" for number in range(chance.randrange(1, 30))]
        return chance.choice(
            (
                chat(*words, wait_s=chance.lognormvariate(-2, 1), gap_s=chance.random() / 20),
                chat(*words, wait_s=chance.random()),
                chat(*words, wait_s=chance.random()),
                refusal(429, "slow down", retry_after="1"),
                refusal(500, "\u202eevil \x9b"),
                Script(error=ConnectionResetError()),
                replace(chat("a"), parts=((0.1, ConnectionResetError()),)),
            )
        )

    async def run_engine(
        self,
        commands: AsyncIterator[Command],
        write: Callable[[bytes], Awaitable[None]],
        *,
        clock: Clock,
    ) -> None:
        """Run an engine that a test can kill."""
        with anyio.CancelScope() as scope:
            self.scopes.append(scope)
            await run_engine(commands, write, clock=clock, transport=self.network.transport)
        if scope.cancelled_caught:
            raise RuntimeError("killed")

    async def run(self, steps: int) -> None:
        """Run, and do to it what happens to runs."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.session.run)
            while not self.out.getvalue():
                await self.clock.advance(0.1)
            for _ in range(steps):
                self.happen()
                await self.clock.advance(self.chance.random())
            self.session.stop()
            while self.session.status.state != "stopped":
                await self.clock.advance(0.1)
        self.printed.end_with(self.session.board.summary())
        await self.printed.finish()
        self.ledger.close()

    def happen(self) -> None:
        chance, route = self.chance, self.chance.choice(self.routes).name
        self.session.command(
            chance.choice(
                (
                    MarkTime(text="here \u2028"),
                    SetKnob(route=route, knob="concurrency", value=float(chance.randrange(1, 5))),
                    SetKnob(route=route, knob="max_tokens", value=float(chance.choice((16, 300)))),
                    Pause(route=route, paused=chance.random() < 0.5),
                    Burst(route=route, count=3),
                )
            )
        )
        if chance.random() < 0.05:
            chance.choice(self.scopes).cancel()
        if chance.random() < 0.05:
            self.clock.now_ns += 5 * 10**9  # the machine has slept


@pytest.mark.parametrize("engines", [1, 2])
@pytest.mark.parametrize("seed", range(3))
async def test_a_replay_prints_what_the_run_printed(
    tmp_path: Path, seed: int, engines: int
) -> None:
    run = Run(tmp_path, seed, engines)
    await run.run(steps=40)
    live = run.out.getvalue()
    parts = sorted(tmp_path.iterdir())  # noqa: ASYNC240
    printed, remarks = await replayed(parts[0], judge=FickleDiagnostician())
    assert remarks == []
    assert printed == live
    summary = json.loads(live.splitlines()[-1])["routes"]
    assert sum(route["attempts_begun"] for route in summary.values()) > 10
    assert live.count(VERDICT) > 10


@pytest.mark.parametrize("engines", [1, 2])
async def test_verdicts_of_the_recording_are_dropped_and_made_anew(
    tmp_path: Path, engines: int
) -> None:
    run = Run(tmp_path / "live", seed=3, engines=engines)
    await run.run(steps=20)
    live = run.out.getvalue()
    content = b"".join(path.read_bytes() for path in sorted((tmp_path / "live").iterdir()))
    assert content.count(VERDICT) > 5
    bare, false = tmp_path / "bare.jsonl", tmp_path / "false.jsonl"
    lines = content.splitlines(keepends=True)
    bare.write_bytes(b"".join(line for line in lines if not line.startswith(VERDICT)))
    false.write_bytes(content.replace(b'"cause":"provider_errors"', b'"cause":"dns"'))
    for path in (bare, false):
        assert await replayed(path, judge=FickleDiagnostician()) == (live, [])
    printed, _ = await replayed(bare)
    assert await replayed(false) == (printed, [])  # nor are they told by a judge that finds none


@pytest.mark.parametrize("state", ["perhaps", "named"])
async def test_an_incident_that_was_named_in_a_recording_is_a_status_where_asked(
    tmp_path: Path, state: Any
) -> None:
    verdict = Diagnosis(
        at_ns=1, id="1.1", state=state, cause="dns", routes=("\u202er",), since_ns=-9
    )
    path = recording(tmp_path, marks(2))
    for asked, expected in ((False, 0), (True, 4 if state == "named" else 0)):
        remarks = list[str]()
        status = await run_replay(
            [path],
            out=io.BytesIO(),
            report=remarks.append,
            fail_on_incident=asked,
            diagnostician=ListedDiagnostician(verdict),
        )
        assert (status, len(remarks)) == (expected, expected and 1)
        assert all("r: dns since " in remark for remark in remarks)


async def test_events_of_types_that_we_do_not_know_are_passed_over(tmp_path: Path) -> None:
    novel = b'{"type":"reference","at_ns":4,"of":{"type":"mark","at_ns":1,"text":"x"}}\n'
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"
    one.write_bytes(encode_event(HELLO) + novel + marks(2) + novel + marks(1))
    other.write_bytes(encode_event(HELLO) + marks(2) + marks(1))
    printed, (remark,) = await replayed(one)
    assert (printed, []) == await replayed(other)
    assert remark == (
        "one.jsonl: 2 lines are left out, the first is line 2: 2 no event that this version knows"
    )


def session(mode: str, ledger: Ledger, recorder: Recorder) -> Session:
    """Return a session whose engine, a process of its own, behaves as `mode`."""
    return Session(
        Config(routes=(Route(name="r", base_url="http://127.0.0.1:9", model="m"),)),
        {},
        recorder=recorder,
        ledger=ledger,
        limits=QUICK,
        launch=partial(launch_process, argv=[sys.executable, "-P", FAKE, mode]),
        diagnostician=FickleDiagnostician(every=1),
    )


@pytest.mark.parametrize("mode", ["good", "spend", "crash", "die_open", "noise", "mute_crash"])
async def test_whatever_becomes_of_the_engine_a_replay_prints_the_same(
    tmp_path: Path, mode: str
) -> None:
    ledger, out = Ledger(None), io.BytesIO()
    path = tmp_path / "run.jsonl"
    watched = session(mode, ledger, Recorder.to_file(path))
    await run_headless(watched, duration_s=0.6, out=out, fail_on_goals=False)
    ledger.close()
    assert out.getvalue().count(VERDICT) > 0
    assert await replayed(path, judge=FickleDiagnostician(every=1)) == (out.getvalue(), [])


HELLO = Hello(at_ns=1, wall_ns=2, engine="1", version="0", routes=(), schema=1, digests=BACKEND)
SUMMARY = b'{"type":"summary","routes":{}}\n'


def marks(count: int, size: int = 10) -> bytes:
    """Return lines of numbered marks."""
    text = "x" * size
    return b"".join(encode_event(Mark(at_ns=number, text=text)) for number in range(count))


def recording(folder: Path, content: bytes, hello: Hello = HELLO) -> Path:
    path = folder / "run.jsonl"
    path.write_bytes(encode_event(hello) + content)
    return path


async def recorded_run(folder: Path) -> bytes:
    """Run for a while; return the lines of the recording."""
    run = Run(folder, seed=7, engines=1)
    await run.run(steps=20)
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))  # noqa: ASYNC240


async def test_of_a_run_that_was_killed_what_is_there_is_told(tmp_path: Path) -> None:
    content = await recorded_run(tmp_path / "live")
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    end = content.rindex(b"\n", 0, len(content) * 2 // 3) + 1
    whole.write_bytes(content[:end])
    cut.write_bytes(content[: end + 30])
    (printed, remarks), (expected, none) = await replayed(cut), await replayed(whole)
    assert printed == expected
    number = content[:end].count(b"\n") + 1
    last = f"line {number} is cut short"
    assert (remarks, none) == ([f"cut.jsonl: 1 line is left out: {last}"], [])


async def test_of_parts_that_retention_has_left_the_summary_is_of_what_is_there(
    tmp_path: Path,
) -> None:
    lines = (await recorded_run(tmp_path / "live")).splitlines(keepends=True)
    third = len(lines) // 3

    def greeted(begin: int, end: int) -> bytes:
        """Return lines as the recorder begins a part with them: with the last hello before."""
        hellos = [line for line in lines[:begin] if line.startswith(b'{"type":"hello"')]
        return b"".join((hellos[-1], *lines[begin:end]))

    one = tmp_path / "one.jsonl"
    one.write_bytes(greeted(third, len(lines)))
    parts = [tmp_path / f"20260101T000000Z-1-00000000.000{number}.jsonl" for number in (2, 3)]
    parts[0].write_bytes(greeted(third, 2 * third))
    parts[1].write_bytes(greeted(2 * third, len(lines)))
    expected, _ = await replayed(one)
    for named in (parts[:1], parts, parts[::-1]):
        printed, remarks = await replayed(*named)
        assert printed == expected
        assert remarks == [f"{parts[0].name}: part 1 is left out: deleted"]


async def test_only_the_lines_of_the_types_that_are_named_are_printed(tmp_path: Path) -> None:
    path = recording(tmp_path, marks(3))
    assert await replayed(path, only={"mark"}) == (marks(3), [])
    assert await replayed(path, only={"summary"}) == (SUMMARY, [])
    assert await replayed(path, only={"hello"}) == (encode_event(HELLO), [])


async def test_damage_costs_a_line_and_no_figure_of_the_others(tmp_path: Path) -> None:
    path = recording(tmp_path, marks(2) + b"?\n" + marks(1))
    printed, remarks = await replayed(path)
    assert printed == encode_event(HELLO) + marks(2) + marks(1) + SUMMARY
    assert remarks == ["run.jsonl: 1 line is left out: line 4 is unreadable"]


@pytest.mark.parametrize("digests", ["", BACKEND])
async def test_the_package_of_the_percentiles_is_named_only_where_it_is_another(
    tmp_path: Path, digests: str
) -> None:
    assert (await replayed(recording(tmp_path, b"", replace(HELLO, digests=digests))))[1] == []
    _, (remark,) = await replayed(recording(tmp_path, b"", replace(HELLO, digests="other")))
    assert remark == (
        f"run.jsonl: its percentiles were held by other, here they are by {BACKEND}: "
        "those of the summary may differ"
    )


async def test_a_recording_without_its_hello_says_that_no_route_is_known(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(marks(1))
    printed, (remark,) = await replayed(path)
    assert printed == marks(1) + SUMMARY
    assert remark == "run.jsonl: has no hello, so that no route is known"


async def test_what_is_no_recording_prints_nothing(tmp_path: Path) -> None:
    out = io.BytesIO()
    for content in (b"", b"?\n", encode_event(replace(HELLO, schema=99)) + marks(2)):
        (tmp_path / "run.jsonl").write_bytes(content)
        with pytest.raises(RecordingError):
            await run_replay([tmp_path / "run.jsonl"], out=out, report=str)
    assert out.getvalue() == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_it_with_the_summary_of_what_was_read(
    tmp_path: Path, number: signal.Signals
) -> None:
    path = recording(tmp_path, marks(5_000, size=10_000))
    out, remarks = io.BytesIO(), list[str]()

    async def interrupt() -> None:
        while not out.getvalue():  # noqa: ASYNC110 - a thread writes it
            await anyio.sleep(0.001)
        os.kill(os.getpid(), number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(interrupt)
        status = await run_replay([path], out=out, report=remarks.append)
    assert (status, remarks) == (0, ["run.jsonl: interrupted; the summary is of what was read"])
    lines = out.getvalue().splitlines(keepends=True)
    assert lines[-1] == SUMMARY
    assert len(lines) < 5_000


async def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path) -> None:
    path = recording(tmp_path, marks(5_000, size=10_000))
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as out, anyio.fail_after(8):
        assert await run_replay([path], out=out, report=str) == 0


async def test_a_slow_reader_gets_everything_and_costs_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Slower than the 2 s that a reader has for the end of a live run: time of the wall is real.
    path = recording(tmp_path, marks(3_000, size=10_000))
    reading, writing = os.pipe()
    data = bytearray()
    waiting: list[int] = []

    def read_late() -> None:
        time.sleep(2.5)
        while block := os.read(reading, 1 << 20):
            data.extend(block)

    receive = JsonLines.receive

    def look(sink: JsonLines, events: list[Event], lines: bytes) -> None:
        receive(sink, events, lines)
        waiting.append(sink.waiting)

    monkeypatch.setattr(JsonLines, "receive", look)
    reader = threading.Thread(target=read_late)
    reader.start()
    with os.fdopen(writing, "wb") as out:
        assert await run_replay([path], out=out, report=str) == 0
    reader.join()
    os.close(reading)
    assert bytes(data) == path.read_bytes() + SUMMARY
    assert max(waiting) < 5 << 20


async def test_who_never_reads_is_waited_for_until_a_signal(tmp_path: Path) -> None:
    path = recording(tmp_path, marks(30, size=10_000))
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as out:
        with anyio.fail_after(8):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(run_replay, [path], out=out, report=str))
                await anyio.sleep(0.3)
                os.kill(os.getpid(), signal.SIGINT)
        os.close(reading)  # frees the thread that waits for the reader


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
async def test_an_output_that_takes_no_more_is_an_error(tmp_path: Path) -> None:
    path = recording(tmp_path, marks(10))
    descriptor = os.open("/dev/full", os.O_WRONLY)
    with os.fdopen(descriptor, "wb", 0) as full, pytest.raises(OSError, match="No space left"):
        await run_replay([path], out=full, report=str)


NUMBERS = (b"0", b"-1", b"1e9", b"null", b"9223372036854775807", b"-9" + b"9" * 30, b"1" * 400)


def recorded_lines() -> list[bytes]:
    """Return the lines of a short run in which everything happens that a board folds."""
    chunks = {"chunk_offsets_ns": (3 * 10**8, 9 * 10**8), "chunks": 2, "longest_gap_ns": 6 * 10**8}
    scripts = [
        ProbeScript("1-1", 0.0, ttft_s=0.3, e2e_s=1.5, finished=chunks),
        ProbeScript("1-2", 0.7, ttft_s=None, outcome="throttled", reason="rate_limit"),
        ProbeScript("1-3", 1.4, ttft_s=0.3, outcome="server_error", cost_usd=0.01),
        ProbeScript("1-4", 2.0, ttft_s=0.2, cohort="300/256", finished=chunks),
    ]
    events = [event for script in scripts for event in script.events()]
    events += [tick(float(second)) for second in range(5)]
    events += [
        Gap(at_ns=at(3.0), started_ns=at(1.0)),
        Knob(at_ns=at(3.0), route="alpha", knob="max_tokens", before=64.0, after=300.0),
        Held(at_ns=at(3.0), route="alpha", reason="cool_down", until_ns=at(9.0), asked_s=6.0),
    ]
    told: list[Event] = [hello(), *sorted(events, key=lambda event: event.at_ns)]
    return [encode_event(event) for event in told]


def edited(lines: list[bytes], chance: random.Random) -> list[bytes]:
    """Return lines to which something was done that a disk or an editor does."""
    place = chance.randrange(len(lines))
    line = lines[place]
    before, after = lines[:place], lines[place + 1 :]
    numbers = list(re.finditer(rb"-?[0-9]+", line))
    match chance.choice(("number", "number", "byte", "cut", "twice", "gone")):
        case "number" if numbers:
            found = chance.choice(numbers)
            line = line[: found.start()] + chance.choice(NUMBERS) + line[found.end() :]
        case "byte":
            begin = chance.randrange(len(line))
            line = line[:begin] + chance.randbytes(1) + line[begin + 1 :]
        case "cut":
            line = line[: chance.randrange(len(line))]
        case "twice":
            after.insert(chance.randint(0, len(after)), line)
        case _:
            line = b""
    return [*before, *([line] if line else []), *after]


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), times=st.integers(1, 6))
def test_no_damage_and_no_editing_breaks_a_replay(
    tmp_path_factory: pytest.TempPathFactory, seed: int, times: int
) -> None:
    lines, chance = recorded_lines(), random.Random(seed)
    for _ in range(times):
        lines = edited(lines, chance)
    path = tmp_path_factory.mktemp("edited") / "run.jsonl"
    path.write_bytes(b"".join(lines))
    try:
        printed, _ = anyio.run(replayed, path)
    except RecordingError as error:
        assert "schema" in str(error)  # noqa: PT017 - an edit may make it one of a later llmtop
    else:
        assert json.loads(printed.splitlines()[-1])["type"] == "summary"
