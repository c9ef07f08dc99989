"""The engine: commands in, events out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby

import anyio
import pytest
from clocks import NS, ManualClock, settle
from scripted import Network, Script, chat, sse

from probes.config import Route
from probes.control.commands import (
    AcceptUsual,
    Allow,
    Allowance,
    Burst,
    Command,
    Configure,
    Go,
    MarkTime,
    Pause,
    ProbeNow,
    SetKnob,
    Stop,
    Thicken,
    WatchText,
)
from probes.engine.engine import run_engine
from probes.events import (
    Arrivals,
    AttemptStarted,
    Batch,
    Event,
    Held,
    Hello,
    Knob,
    Mark,
    Notice,
    Preview,
    ProbeFinished,
    Tick,
    decode_event,
)

pytestmark = pytest.mark.anyio


def route(name: str, **settings: object) -> Route:
    return Route(name=name, base_url="http://127.0.0.1/v1", model="m", **settings)


class Engine:
    """An engine with a pipe at each end."""

    def __init__(self, *scripts: Script) -> None:
        self.clock = ManualClock()
        self.network = Network(list(scripts) or [chat("a", "b")])
        self.batches: list[bytes] = []
        self.writable = anyio.Event()
        self.writable.set()
        self._send, self._receive = anyio.create_memory_object_stream[Command](100)

    async def write(self, batch: bytes) -> None:
        await self.writable.wait()
        self.batches.append(batch)

    def tell(self, *commands: Command) -> None:
        for command in commands:
            self._send.send_nowait(command)

    def hang_up(self) -> None:
        self._send.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async def work() -> None:
            await run_engine(
                self._commands(),
                self.write,
                clock=self.clock,
                transport=self.network.transport,
            )

        with self._send, self._receive:
            async with anyio.create_task_group() as group:
                group.start_soon(work)
                await settle()
                yield
                self._send.close()
                await self.clock.advance(1)

    async def _commands(self) -> AsyncIterator[Command]:
        async for command in self._receive:
            yield command

    def events(self) -> list[Event]:
        return [decode_event(line) for line in b"".join(self.batches).splitlines()]

    def of(self, kind: type) -> list:
        return [event for event in self.events() if isinstance(event, kind)]


def configure(*routes: Route) -> Configure:
    return Configure(engine="1", routes=routes, seed=1)


async def test_it_says_hello_first_and_probes_only_after_go() -> None:
    engine = Engine()
    async with engine.running():
        engine.tell(configure(route("a"), route("b")))
        await engine.clock.advance(5)
        assert isinstance(engine.events()[0], Hello)
        assert [info.name for info in engine.events()[0].routes] == ["a", "b"]
        assert engine.network.requests == []
        engine.tell(Go())
        await engine.clock.advance(5)
        assert {event.route for event in engine.of(ProbeFinished)} == {"a", "b"}


async def test_batches_come_ten_times_a_second_in_sequence_and_ticks_once() -> None:
    engine = Engine(chat("a", wait_s=10.0))
    async with engine.running():
        engine.tell(configure(route("a")), Go())
        await engine.clock.advance(3)
        sequence = [event.seq for event in engine.of(Batch)]
        assert sequence == list(range(1, len(sequence) + 1))
        assert 29 <= len(sequence) <= 31
        assert 3 <= len(engine.of(Tick)) <= 4


async def test_ticks_come_each_second_where_batches_come_late() -> None:
    """As on a machine that is busy with other things, or with a reader that takes its time."""
    engine = Engine(chat("a", wait_s=20.0))

    async def late(batch: bytes) -> None:
        engine.batches.append(batch)
        await engine.clock.sleep(0.4)

    engine.write = late  # type: ignore[method-assign]
    async with engine.running():
        engine.tell(configure(route("a")), Go())
        await engine.clock.advance(10)
        assert 9 <= len(engine.of(Tick)) <= 11
        assert len(engine.of(Batch)) < 30


async def test_a_tick_tells_the_oldest_open_request_and_a_batch_does_not() -> None:
    output = sse({"choices": [{"index": 0, "delta": {"content": "a"}}]})
    hangs = Script(wait_s=2.5, parts=((2.0, output), (60.0, b"")))
    engine = Engine(hangs)
    async with engine.running():
        engine.tell(configure(route("a"), route("b", paused=True)), Go())
        await engine.clock.advance(7)
        ticks = engine.of(Tick)
        (started,) = engine.of(AttemptStarted)
        told = [(count.oldest_open_ns, count.oldest_phase) for count in ticks[-1].routes]
        assert told == [(ticks[-1].at_ns - started.at_ns, "streaming"), (None, None)]
        phases = [tick.routes[0].oldest_phase for tick in ticks]
        assert [phase for phase, _ in groupby(phases)][-3:] == ["sent", "headers", "streaming"]
        assert {count.oldest_open_ns for one in engine.of(Batch) for count in one.routes} == {None}


async def test_a_request_that_hangs_before_it_is_sent_is_open_and_connecting() -> None:
    engine = Engine(Script(connect_s=30.0))
    async with engine.running():
        engine.tell(configure(route("a")), Go())
        await engine.clock.advance(5)
        assert len(engine.of(AttemptStarted)) == 1
        (count,) = engine.of(Tick)[-1].routes
        assert count.oldest_phase == "connecting"
        assert count.oldest_open_ns is not None
        assert count.oldest_open_ns > 3.5 * NS


async def test_of_several_open_requests_the_oldest_counts_and_none_when_it_has_ended() -> None:
    engine = Engine(chat("a", wait_s=4.5), chat("a", wait_s=60))
    async with engine.running():
        engine.tell(configure(route("a", concurrency=2, interval=4.0)), Go())
        await engine.clock.advance(4.3)
        first, second = engine.of(AttemptStarted)
        tick = engine.of(Tick)[-1]
        assert tick.routes[0].oldest_open_ns == tick.at_ns - first.at_ns
        await engine.clock.advance(1)
        tick = engine.of(Tick)[-1]
        assert tick.routes[0].oldest_open_ns == tick.at_ns - second.at_ns


async def test_where_nothing_happens_it_only_ticks() -> None:
    engine = Engine()
    async with engine.running():
        engine.tell(configure(route("a")), Pause(paused=True), Go())
        await engine.clock.advance(1)
        before = len(engine.of(Batch))
        await engine.clock.advance(5)
        assert 5 <= len(engine.of(Batch)) - before <= 6
        engine.tell(MarkTime(text="now"))
        await engine.clock.advance(0.11)
        assert engine.of(Mark)[-1].text == "now"


async def test_knobs_pauses_marks_and_bursts_are_events() -> None:
    engine = Engine()
    async with engine.running():
        engine.tell(configure(route("a")), Go())
        engine.tell(
            SetKnob(route="a", knob="concurrency", value=3),
            MarkTime(text="now"),
            MarkTime(text="then", about_ns=5),
            Burst(route="a", count=2),
            Pause(paused=True),
        )
        await engine.clock.advance(1)
        assert [event.knob for event in engine.of(Knob)] == ["concurrency", "burst", "paused"]
        now, then = engine.of(Mark)
        assert (now.text, now.about_ns) == ("now", None)
        assert (then.text, then.about_ns) == ("then", 5)
        assert then.at_ns == now.at_ns, "it stands in the stream where it was put"


async def test_a_level_that_is_accepted_is_told_and_changes_nothing() -> None:
    engine = Engine()
    async with engine.running():
        engine.tell(configure(route("a"), route("b")), Go(), AcceptUsual(route="b", who="ann"))
        await engine.clock.advance(1)
        (knob,) = engine.of(Knob)
        assert (knob.route, knob.knob, knob.before, knob.after, knob.who) == (
            "b",
            "usual",
            0.0,
            1.0,
            "ann",
        )


async def test_one_probe_is_sent_where_it_is_asked_for() -> None:
    engine = Engine()
    async with engine.running():
        engine.tell(configure(route("a", concurrency=0), route("b", concurrency=0)), Go())
        engine.tell(ProbeNow(route="b"), ProbeNow(route="nobody"))
        await engine.clock.advance(3)
        assert [event.route for event in engine.of(ProbeFinished)] == ["b"]
        assert engine.of(Knob) == []
        assert [event.text for event in engine.of(Notice)] == ["no such route"]


async def test_a_route_is_thickened_by_a_command_and_no_other_with_it() -> None:
    engine = Engine()
    async with engine.running():
        engine.tell(configure(route("a", interval=60.0), route("b", interval=60.0)), Go())
        await engine.clock.advance(2)
        engine.tell(Thicken(route="a", for_s=5.0), Thicken(route="nobody", for_s=5.0))
        await engine.clock.advance(10)
        beside = [event for event in engine.of(ProbeFinished) if event.evidence]
        assert [event.route for event in beside] == ["a"] * 5
        assert engine.of(Knob) == []
        assert [event.text for event in engine.of(Notice)] == ["no such route"]


async def test_what_it_does_not_know_it_says_and_goes_on() -> None:
    engine = Engine()
    async with engine.running():
        engine.tell(configure(route("a")), Go())
        engine.tell(Pause(route="nobody", paused=True), SetKnob(route="a", knob="volume", value=1))
        await engine.clock.advance(2)
        assert [event.text for event in engine.of(Notice)] == [
            "no such route",
            "no knob is called volume",
        ]
        assert engine.of(ProbeFinished)


async def test_token_arrival_is_told_while_it_happens() -> None:
    engine = Engine(chat(*"abcdefgh", gap_s=0.05))
    async with engine.running():
        engine.tell(configure(route("a")), Go())
        await engine.clock.advance(1)
        chunks = sum(a.chunks for event in engine.of(Arrivals) for a in event.arrivals)
        assert chunks == 8
        assert len(engine.of(Arrivals)) > 2


async def test_the_servers_own_count_is_told_while_it_streams() -> None:
    parts = [
        (0.3, sse({"choices": [{"delta": {"content": "a"}}], "usage": usage(3 * number)}))
        for number in range(1, 4)
    ]
    finish = sse({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    engine = Engine(Script(parts=(*parts, (0.1, finish))))
    async with engine.running():
        engine.tell(configure(route("a", continuous_usage=True)), Go())
        await engine.clock.advance(2)
        told = [a.tokens for event in engine.of(Arrivals) for a in event.arrivals]
    assert told == [3, 6, 9]
    assert b'"continuous_usage_stats":true' in engine.network.requests[0].body


def usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 9, "completion_tokens": tokens}


async def test_text_is_sent_along_only_while_somebody_watches() -> None:
    engine = Engine(chat("secret words"))
    async with engine.running():
        engine.tell(configure(route("a", interval=1.0)), Go())
        await engine.clock.advance(0.9)
        assert b"secret words" not in b"".join(engine.batches)
        engine.tell(WatchText(route="a"))
        await engine.clock.advance(2)
        assert "secret words" in "".join(event.text for event in engine.of(Preview))
        engine.tell(WatchText())
        await settle()
        engine.batches.clear()
        await engine.clock.advance(3)
        assert engine.of(Preview) == []


async def test_a_budget_holds_a_route_and_more_allowance_lets_it_go_on() -> None:
    engine = Engine()
    async with engine.running():
        allowance = Allowance(route="", tokens=100, used_tokens=3, limit_tokens=100)
        engine.tell(configure(route("a", interval=0.5)), Allow(allowances=(allowance,)), Go())
        await engine.clock.advance(20)
        spent = len(engine.of(ProbeFinished))
        assert [(event.reason, event.released) for event in engine.of(Held)] == [("budget", False)]
        assert engine.of(Tick)[-1].budgets[0].used_tokens == 3
        engine.tell(Allow(allowances=(Allowance(route="", tokens=10_000),)))
        await engine.clock.advance(3)
        assert len(engine.of(ProbeFinished)) > spent


async def test_a_reader_that_stops_pauses_admissions_until_it_reads_again() -> None:
    engine = Engine()
    async with engine.running():
        engine.tell(configure(route("a", interval=1.0)), Go())
        await engine.clock.advance(2)
        engine.writable = anyio.Event()
        for _ in range(70):
            await engine.clock.advance(1)
        asked = len(engine.network.requests)
        for _ in range(30):
            await engine.clock.advance(1)
        assert len(engine.network.requests) == asked
        engine.writable.set()
        for _ in range(5):
            await engine.clock.advance(1)
        assert len(engine.network.requests) > asked
        held = [event.released for event in engine.of(Held) if event.reason == "reader_stalled"]
        assert held == [False, True]


@pytest.mark.parametrize("ending", ["stop", "eof"])
async def test_at_the_end_open_probes_are_reported_as_cancelled(ending: str) -> None:
    engine = Engine(chat("a", wait_s=60))
    async with engine.running():
        engine.tell(configure(route("a")), Go())
        await engine.clock.advance(1)
        engine.tell(Stop()) if ending == "stop" else engine.hang_up()
        await engine.clock.advance(0.3)
        assert [event.outcome for event in engine.of(ProbeFinished)] == ["cancelled"]


async def test_the_first_command_must_be_configure() -> None:
    engine = Engine()
    engine.tell(Go())
    with pytest.raises(ExceptionGroup, match="unhandled") as caught:
        async with engine.running():
            await engine.clock.advance(1)
    assert caught.group_contains(ValueError, match="must be configure")


async def test_a_stop_during_a_slow_write_is_not_missed() -> None:
    engine = Engine(chat("a", wait_s=60))
    async with engine.running():
        engine.tell(Configure(engine="1", routes=(route("r"),)), Go())
        await engine.clock.advance(1)
        engine.writable = anyio.Event()
        await engine.clock.advance(0.2)
        engine.hang_up()
        await settle()
        engine.writable.set()
        await settle()
        finished = [event for event in engine.events() if isinstance(event, ProbeFinished)]
    assert [event.outcome for event in finished] == ["cancelled"]
