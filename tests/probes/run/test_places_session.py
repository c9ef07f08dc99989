"""A run of several places without an engine: judged, folded, recorded, commanded from here."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import board_streams as made
import msgspec
import pytest
from clocks import ManualClock, settle
from fake_bus import FakeBus
from judges import FickleDiagnostician
from published import Agent, MemoryBus, hello, shared, tick
from recorded import recorded_events

from probes.bus.names import (
    ALL_PLACES,
    MUTED_KEY,
    PAGERS_BUCKET,
    WANTED_BUCKET,
    caller_key,
)
from probes.control.commands import Adapt, Burst, Lift, MarkTime, Pause, SetKnob, WatchText
from probes.control.wanted import WantedRoute
from probes.events import (
    DURABLE_TYPES,
    Alert,
    Event,
    Harm,
    Hello,
    Knob,
    Mark,
    Notice,
    PlaceReport,
    ProbeFinished,
    Tick,
)
from probes.kit.clock import NS_PER_S
from probes.kit.process_identity import RunIdentity
from probes.run.exporting import Export
from probes.run.on_call import OnCall
from probes.run.places_session import PlacesSession
from probes.run.verdicts import Judge
from probes.sources.bus import BusSource
from probes.store.recording import Recorder

pytestmark = pytest.mark.anyio


@dataclass
class Run:
    """A session over a bus in memory, and what it has told."""

    clock: ManualClock
    bus: MemoryBus
    session: PlacesSession
    heard: list[Event] = field(default_factory=list)
    called: list[Event] = field(default_factory=list)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.heard if isinstance(event, kind)]

    def wanted(self, route: str = "chat@eu") -> WantedRoute:
        return self.session.wanted.routes[route]


@asynccontextmanager
async def running(
    *,
    prepare: Callable[[MemoryBus], object] = lambda _bus: None,
    recorder: Recorder | None = None,
    diagnostician: Any = None,
    exports: Sequence[Export] = (),
    on_call: Callable[[ManualClock], OnCall] | None = None,
) -> AsyncIterator[Run]:
    clock = ManualClock(start_ns=5 * NS_PER_S, wall_ns=shared(0.0))
    bus = MemoryBus(clock)
    prepare(bus)
    session = PlacesSession(
        partial(BusSource, bus, clock=clock),
        recorder=recorder,
        clock=clock,
        diagnostician=diagnostician,
        on_call=None if on_call is None else on_call(clock),
    )
    for export in exports:
        session.export(export)
    run = Run(clock, bus, session)
    session.subscribe(lambda events, _lines: run.heard.extend(events))
    session.subscribe_caller(lambda events, _lines: run.called.extend(events))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.run)
        await settle(30 + 3 * len(bus.stream))
        yield run
        session.stop()


def knob(at_s: float, name: Any, before: float, after: float, place: str = "eu") -> Knob:
    return Knob(at_ns=made.at(at_s), route=f"chat@{place}", knob=name, before=before, after=after)


async def test_the_board_has_the_routes_of_all_places() -> None:
    async with running() as run:
        for place in ("eu", "us"):
            Agent(run.bus, place).publish(hello(place, at_s=0.5), tick(place, 1.0))
        await settle()
        assert set(run.session.board.routes) == {"chat@eu", "chat@us"}
        assert run.session.status.state == "running"


async def test_routes_that_a_place_probes_no_more_are_not_wanted_of_it() -> None:
    async with running() as run:
        eu = Agent(run.bus, "eu")
        Agent(run.bus, "us").publish(hello("us", at_s=0.5))
        for number in range(5):
            eu.publish(hello("eu", f"r{number}", at_s=1.0 + number))
        await settle()
        assert set(run.session.wanted.routes) == {"r4@eu", "chat@us"}
        assert set(run.session.wanted.configured) == {"r4@eu", "chat@us"}


async def test_what_is_told_before_any_place_has_greeted_waits_for_it() -> None:
    def prepare(bus: MemoryBus) -> None:
        Agent(bus, "ap").is_here()  # and nobody knows its routes

    async with running(prepare=prepare) as run:
        await run.clock.advance(7.0)
        assert run.heard == []
        Agent(run.bus, "eu").publish(hello("eu", at_s=7.0), tick("eu", 7.0))
        await settle()
        assert isinstance(run.heard[0], Hello)
        assert ("ap", "silent") in [(one.place, one.state) for one in run.of(PlaceReport)]


async def test_what_is_done_before_any_place_has_greeted_is_dated_by_the_greeting() -> None:
    async with running() as run:
        run.session.command(WatchText(route="chat@eu"))
        run.session.command(MarkTime(text="early"))
        run.session.command(Pause(paused=True))
        assert run.heard == []
        Agent(run.bus, "eu").publish(hello("eu", at_s=7.0), tick("eu", 7.0))
        await settle()
        assert [event.at_ns for event in run.heard if not isinstance(event, PlaceReport)] == [
            shared(7.0)
        ] * 4
        assert isinstance(run.heard[0], Hello)


async def test_a_run_that_heard_nobody_has_a_greeting_of_its_own() -> None:
    async with running() as run:
        pass
    (greeting,) = run.heard
    assert isinstance(greeting, Hello)
    assert greeting.routes == ()


async def test_a_replay_of_what_was_recorded_gives_the_same(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    recorder = Recorder.to_file(path)
    async with running(recorder=recorder, diagnostician=FickleDiagnostician()) as run:
        eu, us = Agent(run.bus, "eu"), Agent(run.bus, "us")
        eu.publish(hello("eu", at_s=0.5), knob(0.6, "interval", 5.0, 2.0))
        us.publish(hello("us", at_s=0.5))
        for second in range(1, 8):
            us.publish(tick("us", float(second)))
            await run.clock.advance(1.0)
        eu.publish(tick("eu", 2.0), taken_s=8.0)
        await settle()
        run.session.command(MarkTime(text="here"))
    events = recorded_events(path)
    assert events == [event for event in run.heard if isinstance(event, DURABLE_TYPES)]
    assert {type(event).__name__ for event in events} >= {"PlaceReport", "Diagnosis", "Mark"}
    judge = Judge(FickleDiagnostician())
    replayed = [
        verdict
        for event in events
        if type(event).__name__ not in ("Diagnosis", "Usual", "Alert")
        for verdict in judge.fold(event)
    ]
    told = [event for event in events if type(event).__name__ in ("Diagnosis", "Usual", "Alert")]
    assert replayed == told


async def test_what_is_recorded_can_be_gone_back_to(tmp_path: Path) -> None:
    recorder = Recorder.to_file(tmp_path / "run.jsonl", flush_s=0.01)
    async with running(recorder=recorder) as run:
        assert run.session.recording_path == ""
        agent = Agent(run.bus, "eu")
        agent.publish(hello("eu", at_s=0.5), tick("eu", 1.0))
        await settle()
        assert run.session.timeline is not None
        assert run.session.timeline.span.end_ns >= shared(1.0)
        with anyio.fail_after(5):
            while not run.session.recording_path:  # noqa: ASYNC110 - a thread writes it
                await anyio.sleep(0.01)
        assert run.session.recording_path == str(tmp_path / "run.jsonl")


async def test_a_mark_is_of_our_own_stream_at_the_present_of_the_bus() -> None:
    async with running() as run:
        agent = Agent(run.bus, "eu")
        agent.publish(hello("eu", at_s=0.5))
        await settle()
        await run.clock.advance(3.0)
        run.session.command(MarkTime(text="deploy", about_ns=shared(1.0)))
        (mark,) = run.of(Mark)
        assert (mark.at_ns, mark.about_ns, mark.text) == (shared(3.5), shared(1.0), "deploy")
        assert agent.obeyed == []


async def test_a_knob_counts_from_the_key_before_it_and_old_reports_change_nothing() -> None:
    async with running() as run:
        agent = Agent(run.bus, "eu")
        agent.obeys()
        agent.publish(hello("eu", at_s=0.5))
        await settle()
        for value in (5, 6, 7):
            run.session.command(SetKnob(route="chat@eu", knob="concurrency", value=value))
        agent.publish(knob(1.0, "concurrency", 4, 5))
        await settle(100)
        assert run.wanted().concurrency == 7
        assert [command.value for command in agent.obeyed] == [5, 6, 7]  # type: ignore[union-attr]


async def test_what_another_cockpit_turned_is_wanted_here_too() -> None:
    async with running() as run:
        agent = Agent(run.bus, "eu")
        agent.publish(hello("eu", at_s=0.5))
        agent.publish(
            knob(1.0, "interval", 5.0, 2.0),
            knob(1.1, "paused", 0, 1),
            knob(1.2, "auto", 0, 1),
            knob(1.3, "burst", 0, 20),
        )
        await settle()
        wanted = run.wanted()
        assert (wanted.interval, wanted.paused, wanted.adaptive) == (2.0, True, True)


async def test_after_a_while_a_place_is_believed_again() -> None:
    async with running() as run:
        agent = Agent(run.bus, "eu")
        agent.obeys()
        agent.publish(hello("eu", at_s=0.5))
        await settle()
        run.session.command(SetKnob(route="chat@eu", knob="interval", value=9.0))
        agent.publish(knob(1.0, "interval", 5.0, 8.0))  # what it made of it
        await settle()
        assert run.wanted().interval == 9.0
        await run.clock.advance(4.0)
        agent.publish(tick("eu", 5.0))
        await settle()
        assert run.wanted().interval == 8.0


async def test_what_was_not_done_is_not_wanted() -> None:
    async with running() as run:
        eu, us = Agent(run.bus, "eu"), Agent(run.bus, "us")
        us.obeys()
        for agent, place in ((eu, "eu"), (us, "us")):
            agent.publish(hello(place, at_s=0.5))
        await settle()
        run.session.command(Pause(paused=True))
        await settle()
        assert not run.wanted("chat@eu").paused  # nobody answered there
        assert run.wanted("chat@us").paused
        assert [(notice.text[:21], notice.route) for notice in run.of(Notice)] == [
            ("pause not done at eu:", "")
        ]


async def test_what_a_place_keeps_of_what_is_wanted_counts_more_than_its_greeting() -> None:
    kept = {
        "run": "1",
        "routes": {"chat@eu": WantedRoute(9.0, 1.5, 128.0, True)},
        "configured": {"chat@eu": WantedRoute(4.0, 5.0, 64.0, False)},
    }

    def prepare(bus: MemoryBus) -> None:
        agent = Agent(bus, "eu")
        agent.publish(hello("eu", at_s=-5.0), knob(-4.0, "interval", 5.0, 2.0))
        bus.put(WANTED_BUCKET, "eu", msgspec.json.encode(kept))

    async with running(prepare=prepare) as run:
        assert run.wanted() == WantedRoute(9.0, 1.5, 128.0, True)
        assert run.session.wanted.configured["chat@eu"].concurrency == 4.0
        Agent(run.bus, "eu", next=3).publish(hello("eu", at_s=1.0))
        await settle()
        assert run.wanted().interval == 1.5


async def test_until_a_place_keeps_something_its_greeting_says_what_is_wanted() -> None:
    async with running() as run:
        paced = made.route_info(
            "paced@eu", place="eu", pace="poisson", rate=2.5, max_tokens=99, paused=True
        )
        closed = made.route_info("chat@eu", place="eu", adaptive=True, rate=7.0)
        Agent(run.bus, "eu").publish(made.hello(paced, closed, at_s=0.5))
        await settle()
        assert run.wanted("paced@eu") == WantedRoute(4.0, 5.0, 99.0, True, rate=2.5)
        assert run.wanted() == WantedRoute(4.0, 5.0, 64.0, False, adaptive=True)


async def test_a_knob_of_a_route_that_keeps_nothing_is_learnt_where_another_does() -> None:
    kept = {
        "routes": {"chat@eu": WantedRoute(9.0, 1.5, 128.0, True)},
        "configured": {
            "chat@eu": WantedRoute(4.0, 5.0, 64.0, False),
            "code@eu": WantedRoute(4.0, 5.0, 64.0, False),
        },
    }

    def prepare(bus: MemoryBus) -> None:
        bus.put(WANTED_BUCKET, "eu", msgspec.json.encode(kept))

    async with running(prepare=prepare) as run:
        turned = Knob(at_ns=made.at(1.0), route="code@eu", knob="interval", before=5.0, after=2.0)
        Agent(run.bus, "eu").publish(
            hello("eu", "chat", "code", at_s=0.5), turned, knob(1.0, "interval", 1.5, 2.0)
        )
        await settle()
        assert run.wanted("code@eu").interval == 2.0
        assert run.wanted("chat@eu").interval == 1.5


@pytest.mark.parametrize(
    "value",
    [b"", b"{}", b"x", b'{"routes":{"chat@us":{"concurrency":1}},"configured":{}}'],
)
async def test_what_is_kept_and_cannot_be_read_changes_nothing(value: bytes) -> None:
    def prepare(bus: MemoryBus) -> None:
        Agent(bus, "eu").publish(hello("eu", at_s=-5.0))
        bus.put(WANTED_BUCKET, "eu", value)

    async with running(prepare=prepare) as run:
        assert [*run.session.wanted.routes] == ["chat@eu"]


async def test_a_concurrency_that_finds_itself_is_the_business_of_its_place() -> None:
    async with running() as run:
        agent = Agent(run.bus, "eu")
        agent.obeys()
        agent.publish(hello("eu", at_s=0.5))
        await settle()
        commands = [Adapt(route="chat@eu", on=True), Burst(route="chat@eu", count=3)]
        for command in commands:
            run.session.command(command)
        await settle()
        assert agent.obeyed == commands
        assert run.wanted().adaptive


async def test_the_text_of_a_stream_is_said_once_not_to_come_from_elsewhere() -> None:
    async with running() as run:
        agent = Agent(run.bus, "eu")
        agent.publish(hello("eu", at_s=0.5))
        await settle()
        for route in ("chat@eu", "", "chat@eu"):
            run.session.command(WatchText(route=route))
        await settle()
        (notice,) = run.of(Notice)
        assert "text of a stream" in notice.text


async def test_budgets_are_lifted_where_they_are_held() -> None:
    async with running() as run:
        agent = Agent(run.bus, "eu")
        agent.obeys()
        agent.publish(hello("eu", at_s=0.5))
        await settle()
        run.session.lift()
        await settle()
        assert agent.obeyed == [Lift()]
        assert run.of(Notice) == []


class AlertingDiagnostician(FickleDiagnostician):
    """Decides an alert with each mark."""

    def fold(self, event: Event) -> Any:
        if not isinstance(event, Mark):
            return ()
        ident, _, state = event.text.partition(" ")
        return (
            Alert(
                at_ns=event.at_ns,
                id=ident,
                state="over" if state else "firing",
                kind="burn",
                routes=("chat@eu",),
                since_ns=event.at_ns,
                harm=Harm(reason="burns"),
            ),
        )


async def test_of_the_past_only_what_still_fires_calls_anybody() -> None:
    def prepare(bus: MemoryBus) -> None:
        agent = Agent(bus, "eu")
        agent.publish(hello("eu", at_s=-50.0))
        for at_s, text in ((-40.0, "a"), (-39.0, "b"), (-30.0, "a over")):
            agent.publish(Mark(at_ns=made.at(at_s), text=text))

    async with running(prepare=prepare, diagnostician=AlertingDiagnostician()) as run:
        calls = [event for event in run.called if isinstance(event, Alert)]
        assert [(call.id, call.state) for call in calls] == [("b", "firing")]
        assert len(run.of(Alert)) == 3
        Agent(run.bus, "eu", next=5).publish(Mark(at_ns=made.at(1.0), text="b over"))
        await settle()
        calls = [event for event in run.called if isinstance(event, Alert)]
        assert calls[-1] == run.of(Alert)[-1]
        assert [(call.id, call.state) for call in calls] == [("b", "firing"), ("b", "over")]


class Exported:
    """Takes what goes to another program."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.is_closed = False

    def receive(self, events: list[Event], _lines: bytes) -> None:
        self.events += events

    def close(self) -> None:
        self.is_closed = True


async def test_other_programs_are_told_how_things_stand_and_count_from_now_on() -> None:
    exported = Exported()
    past, present = (
        made.ProbeScript(name, at_s, route="chat@eu")
        for name, at_s in (("eu1-1", -40.0), ("eu1-2", 1.0))
    )

    def prepare(bus: MemoryBus) -> None:
        agent = Agent(bus, "eu")
        agent.publish(hello("eu", at_s=-50.0), *past.events(), tick("eu", -30.0))

    async with running(prepare=prepare, exports=(exported,)) as run:
        assert {type(event) for event in exported.events} <= {Hello, Tick, PlaceReport}
        assert any(isinstance(event, Hello) for event in exported.events)
        Agent(run.bus, "eu", next=7).publish(*present.events())
        await settle()
        ended = [event.probe for event in exported.events if isinstance(event, ProbeFinished)]
        assert ended == ["eu1-2"]
        assert not exported.is_closed
    assert exported.is_closed


async def test_a_problem_of_ours_is_told_behind_the_greeting() -> None:
    async with running() as run:
        run.session.note("settings left aside: routes.toml: …")
        Agent(run.bus, "eu").publish(hello("eu", at_s=0.5))
        await settle()
        assert [notice.text for notice in run.of(Notice)] == ["settings left aside: routes.toml: …"]


async def test_a_duration_counts_from_the_first_greeting() -> None:
    async with running() as run:
        ended: list[int] = []

        async def wait() -> None:
            await run.session.outlast(10.0)
            ended.append(run.clock.now_ns)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await run.clock.advance(5.0)
            Agent(run.bus, "eu").publish(hello("eu", at_s=5.0))
            await run.clock.advance(9.0)
            assert not ended
            await run.clock.advance(2.0)
        assert ended


async def test_two_cockpits_of_one_bus_tell_the_same_figures() -> None:
    clock = ManualClock(start_ns=5 * NS_PER_S, wall_ns=shared(0.0))
    bus = MemoryBus(clock)
    sessions = [PlacesSession(partial(BusSource, bus, clock=clock), clock=clock) for _ in "ab"]
    async with anyio.create_task_group() as tasks:
        for session in sessions:
            tasks.start_soon(session.run)
        await settle()
        for number, place in enumerate(("eu", "us")):
            agent = Agent(bus, place)
            agent.publish(hello(place, at_s=0.5))
            for start_s in range(1, 20):
                ttft_s = 0.2 + 0.01 * start_s + number
                script = made.ProbeScript(
                    f"{place}{start_s}", start_s, route=f"chat@{place}", ttft_s=ttft_s
                )
                agent.publish(*script.events())
        await settle(200)
        first, second = (session.board.summary() for session in sessions)
        assert first == second
        assert [route["n"] for route in first.values()] == [19, 19]
        for session in sessions:
            session.stop()


async def test_who_calls_people_is_agreed_on_once_the_past_is_read_and_until_the_end() -> None:
    made_: list[OnCall] = []
    buses: list[FakeBus] = []

    def on_call(clock: ManualClock) -> OnCall:
        buses.append(FakeBus(clock, 0))
        process = RunIdentity(7, "a boot", "1", "a space")
        made_.append(OnCall(buses[0], clock=clock, host="here", process=process))
        return made_[0]

    async with running(on_call=on_call) as run:
        (pagers,) = buses
        bucket = pagers.bucket(PAGERS_BUCKET)
        await run.clock.advance(2.0)
        assert await bucket.get(caller_key(ALL_PLACES)) is not None
        # What is muted here is known to all who call.
        run.session.attention.mute(["chat@eu"])
        await run.clock.advance(1.0)
        muted = await bucket.get(MUTED_KEY)
        assert muted is not None
        assert b"chat@eu" in muted.value
    assert await bucket.get(caller_key(ALL_PLACES)) is None
