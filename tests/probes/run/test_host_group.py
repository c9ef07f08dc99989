"""Several engines behind one host: real engines, a scripted network, a clock of the test's own."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import pytest
from clocks import ManualClock
from scripted import Network, Script, chat, refusal

from probes.board import Board
from probes.config import Route
from probes.control.commands import (
    Allow,
    Allowance,
    Burst,
    Command,
    Configure,
    EndCoolDown,
    Go,
    MarkTime,
    Pause,
    SetKnob,
    WatchText,
)
from probes.control.wanted import commands_for_restart, wanted_of
from probes.engine.engine import run_engine
from probes.events import (
    AttemptFinished,
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
from probes.kit.clock import Clock
from probes.run.several.group import EngineGroup
from probes.sources.in_process import InProcessEngine
from probes.sources.rules import HostLimits
from probes.sources.source import Receive
from probes.sources.supervised import Prepare, SupervisedEngine

pytestmark = pytest.mark.anyio

Kind = TypeVar("Kind", bound=Event)
PROBE = 82  # tokens a probe of `route` may cost: its prompt and its answer's cap
LIMITS = HostLimits(backoff_first_s=1.0)


def route(name: str = "a", *, concurrency: int = 2, interval: float = 1.0) -> Route:
    """Return a route whose probes cost `PROBE` at most."""
    return Route(
        name=name,
        base_url="http://127.0.0.1/v1",
        model="m",
        prompt="x" * 40,
        concurrency=concurrency,
        interval=interval,
    )


class Group:
    """A group of engines in this loop."""

    def __init__(self, *routes: Route, scripts: Sequence[Script] = (), engines: int = 2) -> None:
        self.clock = ManualClock()
        self.network = Network(list(scripts) or [chat("a", "b")])
        self.routes = routes
        self.allow: Allow | None = None
        self.heard: list[Event] = []
        self.lines = b""
        self.rounds = 0
        self.scopes: list[anyio.CancelScope] = []
        self.pipes: list[anyio.Event] = []
        self.wanted = wanted_of(routes)
        self.host = EngineGroup(
            self._prepare,
            self._receive,
            routes=routes,
            engines=engines,
            make_host=self._make_host,
            clock=self.clock,
        )

    def send(self, command: Command) -> None:
        """Command the group as a session does."""
        self.wanted = self.wanted.after_command(command)
        self.host.send(command)

    def let_spend(self, tokens: int) -> None:
        """Allow so many tokens in all of route a."""
        self.allow = Allow(
            allowances=(
                Allowance(route="", tokens=tokens),
                Allowance(route="a", tokens=tokens, used_tokens=tokens, limit_tokens=tokens),
            )
        )
        self.host.send(self.allow)

    def of(self, kind: type[Kind]) -> list[Kind]:
        """Return the events of one kind that were told."""
        return [event for event in self.heard if isinstance(event, kind)]

    def engines_of(self, kind: type[AttemptStarted] = AttemptStarted) -> Counter[str]:
        """Return how many attempts each life of an engine began."""
        return Counter(event.probe.partition("-")[0] for event in self.of(kind))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the group, and stop it in order."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.host.run)
            yield
            for pipe in self.pipes:
                pipe.set()
            self.host.stop()
            await self.clock.advance(2)
        assert self.host.status.state == "stopped"
        assert self.network.open == 0

    async def _prepare(self, engine: str) -> list[Command]:
        await anyio.lowlevel.checkpoint()
        allow = [self.allow] if self.allow else []
        wanted = commands_for_restart(self.wanted, self.clock.monotonic_ns())
        return [Configure(engine=engine, routes=self.routes, seed=1), *allow, *wanted, Go()]

    def _receive(self, events: list[Event], lines: bytes) -> None:
        self.heard += events
        self.lines += lines
        self.rounds += 1
        for event in events:
            self.wanted = self.wanted.after_event(event)

    def _make_host(self, prepare: Prepare, receive: Receive) -> SupervisedEngine:
        return InProcessEngine(
            prepare, receive, run_engine=self._run_engine, limits=LIMITS, clock=self.clock
        )

    async def _run_engine(
        self,
        commands: AsyncIterator[Command],
        write: Callable[[bytes], Awaitable[None]],
        *,
        clock: Clock,
    ) -> None:
        """Run an engine that a test can kill, and whose pipe it can close."""
        pipe = anyio.Event()
        pipe.set()
        number = len(self.pipes)
        self.pipes.append(pipe)

        async def write_when_open(batch: bytes) -> None:
            await self.pipes[number].wait()
            await write(batch)

        with anyio.CancelScope() as scope:
            self.scopes.append(scope)
            await run_engine(
                commands, write_when_open, clock=clock, transport=self.network.transport
            )


async def test_both_engines_probe_and_speak_as_one() -> None:
    group = Group(route(concurrency=4), route("b", concurrency=1))
    async with group.running():
        await group.clock.advance(3.5)
        (hello,) = group.of(Hello)
        assert group.heard[0] is hello
        assert [info.concurrency for info in hello.routes] == [4, 1]
        assert hello.engines == 2
        ticks = [event.at_ns - hello.at_ns for event in group.of(Tick)]
        assert [round(at_ns / 1e9) for at_ns in ticks] == [0, 1, 2, 3]
        assert 25 <= len(group.of(Batch)) == group.rounds <= 36
        assert [count.target for count in group.of(Tick)[-1].routes] == [4, 1]
        began = group.engines_of()
        assert set(began) == {"1", "2"}
        assert {event.probe[0] for event in group.of(AttemptStarted) if event.route == "b"} == {"1"}


async def test_the_stream_is_in_order_and_replays_to_the_same_board() -> None:
    group = Group(route(concurrency=5, interval=0.2))
    async with group.running():
        await group.clock.advance(4)
        group.send(SetKnob(route="a", knob="concurrency", value=3))
        await group.clock.advance(4)
    durable = [decode_event(line) for line in group.lines.splitlines()]
    assert durable == [event for event in group.heard if type(event) in set(map(type, durable))]
    stamps = [event.at_ns for event in durable]
    assert stamps == sorted(stamps)
    live, replayed = Board(), Board()
    for event in group.heard:
        live.fold(event)
    for event in durable:
        replayed.fold(event)
    assert live.summary() == replayed.summary()
    assert live.summary()["a"]["ok"] == sum(e.outcome == "ok" for e in group.of(ProbeFinished)) > 40


async def test_a_knob_is_told_once_with_its_total_and_obeyed_in_parts() -> None:
    group = Group(route(concurrency=2, interval=0.0), scripts=[chat("a", wait_s=0.5)])
    async with group.running():
        await group.clock.advance(1)
        group.send(SetKnob(route="a", knob="concurrency", value=5))
        group.send(SetKnob(route="a", knob="interval", value=0.1))
        await group.clock.advance(2)
        knobs = [(event.knob, event.before, event.after) for event in group.of(Knob)]
        assert knobs == [("concurrency", 2, 5), ("interval", 0, 0.1)]
        (count,) = group.of(Tick)[-1].routes
        assert (count.target, count.in_flight) == (5, 5)
        assert group.network.most_open == 5
        group.send(SetKnob(route="a", knob="concurrency", value=1))
        await group.clock.advance(2)
        assert group.of(Tick)[-1].routes[0].in_flight == 1


async def test_a_panic_reaches_every_engine_and_is_told_once_a_route() -> None:
    group = Group(route(interval=0.0), route("b"), scripts=[chat("a", wait_s=9.0)])
    async with group.running():
        await group.clock.advance(2)
        assert group.network.open == 4
        group.send(Pause(paused=True, cancel=True))
        await group.clock.advance(0.5)
        assert group.network.open == 0
        assert [(event.route, event.knob) for event in group.of(Knob)] == [
            ("a", "paused"),
            ("b", "paused"),
        ]


async def test_a_burst_is_sent_whole_and_told_once() -> None:
    group = Group(route(concurrency=1, interval=60.0))
    group.let_spend(5 * PROBE + 20)  # the first probe is paid for by then
    async with group.running():
        await group.clock.advance(1)
        group.send(Burst(route="a", count=5))
        await group.clock.advance(2)
        assert len(group.network.requests) == 6
        assert sorted(group.engines_of().values()) == [3, 3]
        (knob,) = group.of(Knob)
        assert (knob.knob, knob.after) == ("burst", 5)


async def test_a_burst_before_any_engine_lives_is_not_told() -> None:
    group = Group(route())
    group.send(Burst(route="a", count=5))
    async with group.running():
        await group.clock.advance(1)
        assert group.of(Knob) == []


async def test_a_mark_appears_once() -> None:
    group = Group(route())
    async with group.running():
        await group.clock.advance(1)
        group.send(MarkTime(text="here"))
        await group.clock.advance(0.5)
    assert [event.text for event in group.of(Mark)] == ["here"]


async def test_a_mistake_is_told_once() -> None:
    group = Group(route())
    async with group.running():
        await group.clock.advance(1)
        group.send(SetKnob(route="gone", knob="concurrency", value=2))
        await group.clock.advance(0.5)
    assert [event.text for event in group.of(Notice)] == ["no such route"]


async def test_the_text_of_one_stream_is_shown_at_a_time() -> None:
    long = chat(*"abcdefghij", gap_s=0.2)
    group = Group(route(interval=0.0), scripts=[long])
    async with group.running():
        group.send(WatchText(route="a"))
        await group.clock.advance(6)
    order = [event.probe for event in group.of(Preview)]
    texts: dict[str, str] = {}
    for event in group.of(Preview):
        texts[event.probe] = texts.get(event.probe, "") + event.text
    assert order == sorted(order, key=list(dict.fromkeys(order)).index)  # never to and fro
    assert list(texts.values())[:2] == ["abcdefghij"] * 2


async def test_the_text_of_another_route_is_shown_at_once() -> None:
    group = Group(route(interval=0.0), route("b"), scripts=[chat(*"x" * 60, gap_s=0.2)])
    async with group.running():
        group.send(WatchText(route="a"))
        await group.clock.advance(3)
        group.send(WatchText(route="b"))
        await group.clock.advance(1)
    assert {event.route for event in group.of(Preview)} == {"a", "b"}
    assert group.of(Preview)[-1].route == "b"


async def test_a_wait_that_one_engine_was_asked_for_is_kept_by_all() -> None:
    group = Group(
        route(concurrency=2, interval=0.5),
        scripts=[refusal(429, retry_after="5"), chat("a")],
    )
    async with group.running():
        await group.clock.advance(3)
        assert set(group.engines_of()) == {"1", "2"}  # both were in flight when it came
        asked = len(group.network.requests)
        assert asked == 2
        await group.clock.advance(1)
        assert len(group.network.requests) == asked
        await group.clock.advance(4)
        assert set(group.engines_of()) == {"1", "2"}
        assert min(group.engines_of().values()) > 2
    holds = [(event.reason, event.released) for event in group.of(Held)]
    assert holds == [("cool_down", False), ("cool_down", True)]


async def test_the_end_of_a_cool_down_by_the_user_lets_all_engines_go_on() -> None:
    group = Group(
        route(concurrency=2, interval=0.5),
        scripts=[refusal(429, retry_after="60"), chat("a")],
    )
    async with group.running():
        await group.clock.advance(3)
        group.send(EndCoolDown(route="a"))
        await group.clock.advance(2)
        assert group.engines_of()["2"] > 2  # the probe that was refused keeps to its own wait
        holds = [(event.released, event.detail) for event in group.of(Held)]
        assert holds == [(False, ""), (True, "ended by user")]
        (knob,) = group.of(Knob)
        assert knob.knob == "cool_down"
        assert 55 < knob.before < 60


async def test_an_engine_that_dies_stops_no_other_and_comes_back_as_it_was() -> None:
    group = Group(route(concurrency=2, interval=0.1), scripts=[chat("a", wait_s=0.3)])
    async with group.running():
        await group.clock.advance(1)
        group.scopes[0].cancel()
        await group.clock.advance(0.5)
        status = group.host.status
        assert (status.state, status.engine) == ("restarting", "engine 1 of 2")
        group.send(SetKnob(route="a", knob="concurrency", value=6))
        await group.clock.advance(0.4)
        assert group.of(Batch)[-1].routes[0].target == 6
        before = group.engines_of()
        await group.clock.advance(3)
        assert group.host.status.state == "running"
        assert group.host.status.restarts == 1
        after = group.engines_of()
        assert after["1"] == before["1"]
        assert after["2"] > before["2"] + 15
        assert after["3"] > 15
        (count,) = group.of(Tick)[-1].routes
        assert (count.target, count.in_flight) == (6, 6)
    assert len(group.of(Hello)) == 1
    assert [event.text[:13] for event in group.of(Notice)] == ["engine 1 of 2"]
    assert group.of(Held) == []
    reasons = Counter(event.reason for event in group.of(AttemptFinished))
    assert reasons["engine_died"] == 1
    started = sorted((event.probe, event.attempt) for event in group.of(AttemptStarted))
    assert started == sorted((event.probe, event.attempt) for event in group.of(AttemptFinished))
    assert [event.knob for event in group.of(Knob)] == ["concurrency"]


async def test_when_all_engines_are_dead_that_is_told_and_taken_back() -> None:
    group = Group(route())
    async with group.running():
        await group.clock.advance(1)
        for scope in group.scopes:
            scope.cancel()
        await group.clock.advance(3)
        holds = [(event.reason, event.released) for event in group.of(Held)]
        assert holds == [("restarting", False), ("restarting", True)]
        assert set(group.engines_of()) == {"1", "2", "3", "4"}


async def test_engines_that_were_given_up_are_started_again_when_someone_asks() -> None:
    group = Group(route())
    async with group.running():
        for _ in range(3):
            await group.clock.advance(2.5)
            (group.scopes[0] if len(group.scopes) == 2 else group.scopes[-1]).cancel()
        await group.clock.advance(1)
        assert group.host.status.state == "gave_up"
        assert group.engines_of()["2"] > 0
        lives = len(group.scopes)
        group.host.retry()
        await group.clock.advance(1)
        assert group.host.status.state == "running"
        assert len(group.scopes) == lives + 1


async def test_money_is_kept_for_no_engine_that_was_given_up() -> None:
    group = Group(route(concurrency=3, interval=0.1))
    async with group.running():
        await group.clock.advance(2)
        for _ in range(3):
            (group.scopes[0] if len(group.scopes) == 2 else group.scopes[-1]).cancel()
            await group.clock.advance(2.5)
        assert group.host.status.state == "gave_up"
        spent = sum(event.charged_tokens for event in group.of(AttemptFinished))
        group.let_spend(spent + 4 * PROBE)
        await group.clock.advance(6)
        spent_since = sum(event.charged_tokens for event in group.of(AttemptFinished)) - spent
        assert 3 * PROBE < spent_since <= 4 * PROBE


async def test_a_silent_engine_does_not_hold_the_others_back() -> None:
    group = Group(route(concurrency=2, interval=0.1))
    async with group.running():
        await group.clock.advance(2)
        group.pipes[0] = anyio.Event()
        heard = group.engines_of()
        await group.clock.advance(2)
        assert group.engines_of()["1"] <= heard["1"] + 1
        assert group.engines_of()["2"] > heard["2"] + 10
        assert 3 <= len(group.of(Tick)) <= 5
        group.pipes[0].set()
        await group.clock.advance(1)
        assert group.engines_of()["1"] > heard["1"] + 10


async def test_a_held_group_delivers_nothing_and_loses_nothing() -> None:
    group = Group(route(concurrency=2, interval=0.1))
    async with group.running():
        await group.clock.advance(1)
        group.host.hold()
        await group.clock.advance(0.5)
        rounds = group.rounds
        await group.clock.advance(1)
        assert group.rounds == rounds
        group.host.release()
        await group.clock.advance(0.5)
        assert group.rounds > rounds
    assert len(group.of(AttemptStarted)) == len(group.network.requests)
    assert len(group.of(ProbeFinished)) == len(group.network.requests)


async def test_together_the_engines_spend_what_is_allowed_and_no_more() -> None:
    group = Group(route(concurrency=3, interval=0.1))
    group.let_spend(10 * PROBE)
    async with group.running():
        await group.clock.advance(8)
        charged = sum(event.charged_tokens for event in group.of(AttemptFinished))
        assert 9 * PROBE < charged <= 10 * PROBE
        holds = [(event.reason, event.released) for event in group.of(Held)]
        assert holds[-1] == ("budget", False)
        before = len(group.network.requests)
        group.let_spend(30 * PROBE)
        await group.clock.advance(1)
        assert len(group.network.requests) > before + 5
        again = [(event.reason, event.released) for event in group.of(Held)][len(holds) :]
        assert again[0] == ("budget", True)


async def test_engines_that_die_do_not_make_the_allowance_grow() -> None:
    group = Group(route(concurrency=3, interval=0.1))
    group.let_spend(20 * PROBE)
    async with group.running():
        for _ in range(3):
            await group.clock.advance(2)
            group.scopes[0].cancel()
            del group.scopes[0]
        await group.clock.advance(10)
        charged = sum(event.charged_tokens for event in group.of(AttemptFinished))
        assert 19 * PROBE < charged <= 20 * PROBE
        assert len(group.engines_of()) > 2


async def test_a_dearer_probe_gets_the_money_of_all_engines_together() -> None:
    group = Group(route(concurrency=2, interval=0.5))
    group.let_spend(0)
    async with group.running():
        await group.clock.advance(1)
        group.send(SetKnob(route="a", knob="max_tokens", value=500))
        group.let_spend(600)
        await group.clock.advance(1)
        assert len(group.network.requests) > 0


async def test_cancelling_the_group_leaves_nothing_open() -> None:
    group = Group(route(interval=0.0), scripts=[chat("a", wait_s=9.0)])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(group.host.run)
        await group.clock.advance(1)
        assert group.network.open == 2
        tasks.cancel_scope.cancel()
    assert group.network.open == 0
    assert [event.reason for event in group.of(ProbeFinished)] == ["stopped", "stopped"]
