"""The host's patience as it ships, both sides of each limit, by a clock moved by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import TaskGroup
from clocks import NS, ManualClock, settle

from probes.control.commands import Command, Go
from probes.events import Event, Hello, encode_event
from probes.sources.rules import HostLimits, RestartPolicy
from probes.sources.supervised import SupervisedEngine

pytestmark = pytest.mark.anyio

HELLO = encode_event(Hello(at_ns=1, wall_ns=1, engine="1", version="0", routes=(), schema=1))


class Puppet:
    """An engine that says and does what the test tells it."""

    def __init__(self) -> None:
        self._says, self._heard = anyio.create_memory_object_stream[bytes](16)
        self.deaf = False
        """Whether it ends for nothing but a kill."""
        self.told = self.killed = False
        self._over = anyio.Event()

    def say(self, data: bytes) -> None:
        self._says.send_nowait(data)

    def die(self) -> None:
        self._over.set()
        self._says.close()

    async def read(self) -> bytes:
        try:
            return await self._heard.receive()
        except anyio.EndOfStream:
            self._heard.close()
            return b""

    async def write(self, data: bytes) -> None:
        """Nobody listens."""

    async def close_input(self) -> None:
        if not self.deaf:
            self.die()

    def terminate(self) -> None:
        self.told = True
        if not self.deaf:
            self.die()

    def kill(self) -> None:
        self.killed = self.killed or not self._over.is_set()
        self.die()

    async def wait(self) -> str:
        await self._over.wait()
        return "exit status 1"

    def last_words(self) -> str:
        return ""


class Stage:
    """A host with its default limits, and the engines it has started."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.engines: list[Puppet] = []
        self.host = SupervisedEngine(
            self._prepare, self._receive, launch=self._launch, clock=self.clock
        )

    @property
    def state(self) -> str:
        return self.host.status.state

    async def die(self) -> None:
        self.engines[-1].die()
        await settle()

    async def live_on(self, seconds: float) -> None:
        """Let time pass in which the engine is never silent for long."""
        for _ in range(10):
            self.engines[-1].say(HELLO)
            await self.clock.advance(seconds / 10)

    async def _prepare(self, _engine: str) -> list[Command]:
        return [Go()]

    def _receive(self, events: list[Event], _lines: bytes) -> None:
        """Nobody looks."""

    async def _launch(self, _tasks: TaskGroup) -> Puppet:
        engine = Puppet()
        engine.say(HELLO)
        self.engines.append(engine)
        return engine


@asynccontextmanager
async def staged() -> AsyncIterator[Stage]:
    stage = Stage()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stage.host.run)
        await settle()
        yield stage
        stage.host.stop()


async def test_an_engine_is_silent_after_ten_seconds_and_killed_after_thirty() -> None:
    async with staged() as stage:
        await stage.clock.advance(5)
        first = stage.engines[0]
        first.say(HELLO)
        await stage.clock.advance(9.5)
        assert stage.state == "running"
        await stage.clock.advance(0.5)
        assert (stage.state, stage.host.status.silent_s) == ("silent", 10.0)
        await stage.clock.advance(19.5)
        assert (stage.state, first.killed) == ("silent", False)
        await stage.clock.advance(0.5)
        assert (stage.state, first.killed) == ("restarting", True)
        assert stage.host.status.detail.startswith("the engine ended: killed: silent for 30 s")


async def test_an_engine_that_speaks_again_in_time_is_neither() -> None:
    async with staged() as stage:
        for _ in range(4):
            await stage.clock.advance(29)
            assert stage.state == "silent"
            stage.engines[0].say(HELLO)
            await settle()
            assert stage.state == "running"
        assert len(stage.engines) == 1


@pytest.mark.parametrize(("after_s", "state"), [(60.0, "gave_up"), (60.1, "restarting")])
async def test_the_third_death_within_a_minute_is_the_last(after_s: float, state: str) -> None:
    async with staged() as stage:
        await stage.die()
        assert stage.state == "restarting"
        await stage.clock.advance(1)
        await stage.die()
        await stage.clock.advance(2)
        await stage.live_on(after_s - 3)
        assert (stage.state, len(stage.engines)) == ("running", 3)
        await stage.die()
        assert stage.state == state


async def test_an_engine_that_gave_up_stays_down_until_it_is_asked_for() -> None:
    async with staged() as stage:
        for _ in range(3):
            await stage.die()
            await stage.clock.advance(5)
        assert stage.state == "gave_up"
        await stage.clock.advance(3_600)
        assert (stage.state, len(stage.engines)) == ("gave_up", 3)
        stage.host.retry()
        await settle()
        assert (stage.state, len(stage.engines)) == ("running", 4)
        for _ in range(2):  # earlier deaths count no more: it takes three again
            await stage.die()
            assert stage.state == "restarting"
            await stage.clock.advance(5)
        await stage.die()
        assert stage.state == "gave_up"


def test_the_back_off_is_one_second_doubling_to_thirty() -> None:
    policy = RestartPolicy(HostLimits())
    waits = [policy.died(number * 31 * NS, lived_s=1.0) for number in range(8)]
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


@pytest.mark.parametrize(("lived_s", "wait_s"), [(59.9, 2.0), (60.0, 1.0)])
def test_an_engine_that_lived_a_minute_is_no_crash_loop(lived_s: float, wait_s: float) -> None:
    policy = RestartPolicy(HostLimits())
    policy.died(0, lived_s=1.0)
    assert policy.died(61 * NS, lived_s=lived_s) == wait_s


async def test_an_engine_that_will_not_end_has_a_second_and_then_a_half() -> None:
    async with staged() as stage:
        (engine,) = stage.engines
        engine.deaf = True
        stage.host.stop()
        for seconds, told, killed in ((0.9, 0, 0), (0.1, 1, 0), (0.4, 1, 0), (0.1, 1, 1)):
            await stage.clock.advance(seconds)
            assert (engine.told, engine.killed) == (bool(told), bool(killed))
