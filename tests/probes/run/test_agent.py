"""An agent of a place, on a bus in memory: what it takes up, tells, survives, and ends by."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest
from fake_bus import FakeBus

from probes.bus.connection import BusState
from probes.bus.messages import decode_reply
from probes.bus.names import PLACES_BUCKET, RUN_HEADER, WANTED_BUCKET, commands_of, events_of
from probes.bus.presence import PlaceHeld
from probes.config import Config, Route
from probes.control.commands import Pause, SetKnob, encode_command
from probes.control.wanted import wanted_of
from probes.control.wanted_record import decode_wanted, wanted_record
from probes.exports.recorded_lives import lives_of
from probes.kit.clock import SystemClock
from probes.kit.exit_status import ExitStatus
from probes.kit.process_identity import RunIdentity
from probes.money.ledger import Ledger
from probes.run.agent import PlaceAgent
from probes.run.session import Session
from probes.sources.child_process import launch_process
from probes.sources.rules import HostLimits
from probes.store.recording import Recorder

pytestmark = pytest.mark.anyio

FAKE = str(Path(__file__).parents[1] / "fake_engine.py")
ROUTE = Route(name="r@eu", place="eu", base_url="http://127.0.0.1:9", model="m")
QUICK = HostLimits(backoff_first_s=0.02, backoff_max_s=0.05, terminate_grace_s=0.2)
MACHINE = RunIdentity(7, "a boot", "1", "a space")


class Yard:
    """A bus, and an agent on it whose engine behaves as `mode`."""

    def __init__(self, folder: Path, mode: str = "good", *, records: bool = False) -> None:
        self.clock = SystemClock()
        self.bus = FakeBus(self.clock, 0)
        self.said: list[str] = []
        self.folder = folder / "agents"
        self._records = records
        self._recordings = folder / "recordings"
        self._mode = mode
        self.status: ExitStatus | None = None

    async def agent(self) -> PlaceAgent:
        recorder = None
        if self._records:
            recorder = Recorder.to_folder(self._recordings, max_mb=1, max_days=1)
        self.session = Session(
            Config(routes=(ROUTE,)),
            {},
            recorder=recorder,
            ledger=Ledger(None),
            limits=QUICK,
            launch=partial(launch_process, argv=[sys.executable, "-P", FAKE, self._mode]),
        )
        self.held = PlaceHeld(
            self.bus.bucket(PLACES_BUCKET), "eu", clock=self.clock, host="here", process=MACHINE
        )
        earlier = lives_of(self.folder, "eu", "fake://bus")
        await self.held.take(max((life.run for life in earlier), default=""))
        self.made = PlaceAgent(
            self.bus,  # type: ignore[arg-type]
            "eu",
            self.session,
            self.held,
            earlier=earlier,
            recorder=recorder,
            folder=self.folder,
            clock=self.clock,
            say=self.said.append,
        )
        return self.made

    @asynccontextmanager
    async def running(self) -> AsyncIterator[PlaceAgent]:
        agent = await self.agent()

        async def run() -> None:
            self.status = await agent.run(None)

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                yield agent
                self.session.stop()

    @property
    def sent(self) -> bytes:
        return b"".join(one.data for one in self.bus.kept if one.subject == events_of("eu"))

    async def asked(self, command: SetKnob | Pause) -> str:
        reply = await self.bus.answers[commands_of("eu")](encode_command(command))
        return decode_reply(reply).refusal

    async def wanted(self) -> bytes:
        entry = await self.bus.bucket(WANTED_BUCKET).get("eu")
        return b"" if entry is None else entry.value


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not holds():  # noqa: ASYNC110 - another process brings it about
            await anyio.sleep(0.01)


async def test_what_is_measured_is_on_the_bus_and_nothing_is_left_behind(tmp_path: Path) -> None:
    yard = Yard(tmp_path, records=True)
    async with yard.running():
        await until(lambda: b'"type":"hello"' in yard.sent)
        (life,) = lives_of(yard.folder, "eu", "fake://bus")
        assert life.run == yard.held.run
    assert yard.status == ExitStatus.OK
    assert b'"text":"stopping"' in yard.sent  # its last word
    assert await yard.bus.bucket(PLACES_BUCKET).get("eu") is None
    assert lives_of(yard.folder, "eu", "fake://bus") == []
    assert yard.said[0] == "probing for eu on fake://bus, 1 route: r@eu"
    assert yard.said[-1].startswith("ended: ")


async def test_the_first_engine_is_told_what_was_wanted_before_it_begins(tmp_path: Path) -> None:
    yard = Yard(tmp_path)
    turned = wanted_of((ROUTE,)).after_command(Pause(route="r@eu", paused=True))
    await yard.bus.bucket(WANTED_BUCKET).put("eu", wanted_record(turned, "0"))
    async with yard.running():
        await until(lambda: b"stopping" in yard.sent or b"mark" in yard.sent)
    # The fake engine says what it was told between `configure` and `go`.
    assert rb"\"type\": \"pause\"" in yard.sent
    told = "as turned before: r@eu pause; one that you change in the file counts again"
    assert told in yard.said


@pytest.mark.parametrize("record", [b'{"routes": 3}', b'{"x":' + b"[" * 100_000])
async def test_a_record_of_what_was_wanted_that_cannot_be_read_is_said(
    tmp_path: Path, record: bytes
) -> None:
    yard = Yard(tmp_path)
    await yard.bus.bucket(WANTED_BUCKET).put("eu", record)
    async with yard.running():
        await until(lambda: bool(yard.sent))
    assert any("what was wanted of eu cannot be read" in line for line in yard.said)


async def test_what_is_wanted_is_written_at_the_start_and_after_each_command(
    tmp_path: Path,
) -> None:
    yard = Yard(tmp_path)
    async with yard.running():
        await until(lambda: bool(yard.sent))
        assert decode_wanted(await yard.wanted()).routes["r@eu"].concurrency == 1
        assert await yard.asked(SetKnob(route="r@eu", knob="concurrency", value=7)) == ""
        assert await yard.asked(Pause(route="no", paused=True)) != ""
        with anyio.fail_after(5):
            while decode_wanted(await yard.wanted()).routes["r@eu"].concurrency != 7:  # noqa: ASYNC110
                await anyio.sleep(0.01)


async def test_who_lost_the_place_stops_probing_and_leaves_the_other_alone(tmp_path: Path) -> None:
    yard = Yard(tmp_path, records=True)
    async with yard.running():
        await until(lambda: bool(yard.sent))
        other = PlaceHeld(
            yard.bus.bucket(PLACES_BUCKET),
            "eu",
            clock=yard.clock,
            host="there",
            process=RunIdentity(8, "another boot", "1", "another space"),
        )
        yard.bus.bucket(PLACES_BUCKET).expire("eu")
        await other.take(yard.held.run)
        await until(lambda: yard.status is not None)
    assert yard.status == ExitStatus.FAILED
    assert any(
        line.startswith("place eu is taken by there, pid 8, since ")
        and line.endswith(": this agent stops probing")
        for line in yard.said
    )
    assert await yard.bus.bucket(PLACES_BUCKET).get("eu") is not None
    assert b"stopping" not in yard.sent
    assert [life.run for life in lives_of(yard.folder, "eu", "fake://bus")] == [yard.held.run]


async def test_a_defect_in_sending_is_said_and_stops_no_probe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probes.run.agent._REPAIR_S", 0.01)
    yard = Yard(tmp_path)
    yard.bus.faults = []
    publish, failures = yard.bus.publish, [ValueError("odd"), ValueError("odd")]

    async def odd(subject: str, *arguments: object, **more: object) -> int:
        if subject == events_of("eu") and failures:
            raise failures.pop()
        return await publish(subject, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(yard.bus, "publish", odd)
    async with yard.running():
        await until(lambda: bool(yard.sent))
        assert yard.session.status.state == "running"
    assert yard.status == ExitStatus.OK
    assert "sending failed and begins anew: ValueError: odd" in yard.said
    assert b"stopping" in yard.sent


async def test_an_outage_is_said_with_its_end_and_noted_for_whoever_reads_the_events(
    tmp_path: Path,
) -> None:
    yard = Yard(tmp_path)
    async with yard.running() as agent:
        await until(lambda: bool(yard.sent))
        yard.bus.lose()
        now_ns = yard.clock.monotonic_ns()
        agent.bus_changed(BusState(False, now_ns, "lost"))
        agent.bus_changed(BusState(False, now_ns, "fake://bus cannot be reached"))
        yard.bus.come_back()
        agent.bus_changed(BusState(True, now_ns + 12 * 10**9))
        await until(lambda: b"bus is back after 12 s" in yard.sent)
    said = [line for line in yard.said if line.startswith("bus ")]
    assert said[0] == "bus lost; probing goes on"
    assert said[1].startswith("bus is back after 12 s; ")
    assert len(said) == 2


async def test_an_end_without_the_bus_is_soon_and_says_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probes.run.agent._FLUSH_LOST_S", 0.05)
    yard = Yard(tmp_path, records=True)
    async with yard.running():
        await until(lambda: bool(yard.sent))
        yard.bus.lose()
    assert yard.status == ExitStatus.OK
    assert any(
        line.endswith("not sent, but recorded, and the next agent here sends them")
        for line in yard.said
    )
    assert len(lives_of(yard.folder, "eu", "fake://bus")) == 1


async def test_a_signal_ends_it_in_order_and_a_second_one_waits_for_no_bus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probes.run.agent._FLUSH_LOST_S", 60.0)
    yard = Yard(tmp_path, records=True)
    async with yard.running() as agent:
        await until(lambda: bool(yard.sent))
        yard.bus.lose()
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: agent._events._is_ending)
        assert yard.status is None
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: yard.status is not None)
    assert yard.status == ExitStatus.OK
    assert any("not sent, but recorded" in line for line in yard.said)


async def test_the_next_agent_sends_what_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("probes.run.agent._FLUSH_LOST_S", 0.05)
    yard = Yard(tmp_path, records=True)
    async with yard.running():
        await until(lambda: bool(yard.sent))
        yard.bus.lose()
    first = yard.held.run
    yard.bus.come_back()
    yard.bus.bucket(PLACES_BUCKET).expire("eu")
    yard.said.clear()
    async with yard.running():
        await until(lambda: any("that an earlier agent had recorded" in one for one in yard.said))
    runs = [one.headers[RUN_HEADER] for one in yard.bus.kept if one.subject == events_of("eu")]
    assert runs == sorted(runs)
    assert set(runs) == {first, yard.held.run}
    assert yard.sent.count(b'"text":"stopping"') == 2
    assert lives_of(yard.folder, "eu", "fake://bus") == []


async def test_an_engine_that_ends_again_and_again_ends_the_agent(tmp_path: Path) -> None:
    yard = Yard(tmp_path, "crash")
    async with yard.running():
        await until(lambda: yard.status is not None)
    assert yard.status == ExitStatus.FAILED
    assert "the engine ended again and again: given up" in yard.said
