"""A bus as a source: the past in pieces, then the present, losses, silence and commands."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import msgspec
import pytest
from board_streams import START_NS
from clocks import ManualClock, settle
from published import OFFSET_NS, Agent, MemoryBus, hello, shared, tick

from probes.bus.connection import BusError, NoAnswerError
from probes.bus.messages import KeptHello, encode
from probes.bus.names import (
    FIRST_HEADER,
    HELLOS_BUCKET,
    PLACES_BUCKET,
    WANTED_BUCKET,
    commands_of,
)
from probes.control.commands import (
    AcceptUsual,
    Command,
    Lift,
    Pause,
    SetKnob,
    WatchText,
)
from probes.control.wanted_record import WantedRecord
from probes.events import Event, Hello, Notice, PlaceReport, Tick, decode_event, encode_event
from probes.kit.clock import NS_PER_S
from probes.sources import bus as bus_source
from probes.sources.bus import BusSource

pytestmark = pytest.mark.anyio


@dataclass
class Watched:
    """A source that runs, and what it has given."""

    clock: ManualClock
    bus: MemoryBus
    given: list[list[Event]] = field(default_factory=list)
    failed: list[tuple[Command, str]] = field(default_factory=list)
    wanted: list[WantedRecord] = field(default_factory=list)
    caught_up: int = 0
    source: BusSource = field(init=False)

    def receive(self, events: list[Event], lines: bytes) -> None:
        assert [decode_event(line) for line in lines.splitlines()] == events
        self.given.append(events)

    def agent(self, place: str, **changes: Any) -> Agent:
        return Agent(self.bus, place, **changes)

    def has_caught_up(self) -> None:
        self.caught_up += 1

    @property
    def events(self) -> list[Event]:
        return [event for events in self.given for event in events]

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(report.place, report.state) for report in self.of(PlaceReport)]


@asynccontextmanager
async def watching(
    *places: str,
    prepare: Callable[[Watched], object] = lambda _watched: None,
    at_s: float = 0.0,
    since_s: float = 3600.0,
) -> AsyncIterator[Watched]:
    """Run a source from when the wall says `shared(at_s)`."""
    clock = ManualClock(start_ns=5 * NS_PER_S, wall_ns=shared(at_s))
    watched = Watched(clock, MemoryBus(clock))
    prepare(watched)
    watched.source = BusSource(
        watched.bus,
        watched.receive,
        places=places,
        since_s=since_s,
        clock=clock,
        failed=lambda command, place: watched.failed.append((command, place)),
        wanted=watched.wanted.append,
        caught_up=watched.has_caught_up,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watched.source.run)
        await settle(30 + 3 * len(watched.bus.stream))
        yield watched
        watched.source.stop()
    assert watched.bus.closed
    assert watched.source.status.state == "stopped"


async def test_who_comes_late_has_the_last_hour_and_then_the_present() -> None:
    def past(watched: Watched) -> None:
        agent = watched.agent("eu")
        agent.publish(hello("eu", at_s=-7000.0), tick("eu", -7000.0))
        agent.publish(tick("eu", -3000.0))
        agent.publish(tick("eu", -1.0))
        agent.keep_hello(hello("eu", at_s=-7000.0))

    async with watching(prepare=past) as watched:
        assert [event.at_ns for event in watched.of(Tick)] == [shared(-3000.0), shared(-1.0)]
        assert watched.of(Hello)[0].at_ns == shared(-3000.0)
        assert watched.caught_up == 1
        assert watched.source.status.state == "running"
        Agent(watched.bus, "eu", next=5).publish(tick("eu", 1.0))
        await settle()
        assert watched.of(Tick)[-1].at_ns == shared(1.0)
        assert watched.caught_up == 1


async def test_the_past_comes_in_pieces_between_which_others_have_their_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bus_source, "_PIECE_BYTES", 2_000)

    def past(watched: Watched) -> None:
        agent = watched.agent("eu")
        agent.publish(hello("eu", at_s=-900.0))
        for number in range(100):
            agent.publish(tick("eu", -900.0 + number))

    async with watching(prepare=past) as watched:
        assert len(watched.events) == 102
        assert 5 < len(watched.given) < 50


async def test_how_much_of_the_past_is_read_is_told_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[int | None] = []

    def past(watched: Watched) -> None:
        agent = watched.agent("eu")
        agent.publish(hello("eu", at_s=-900.0))
        for number in range(99):
            agent.publish(tick("eu", -900.0 + number))
        size = len(watched.bus.stream[-1].data)
        monkeypatch.setattr(bus_source, "_PIECE_BYTES", 75 * size)
        receive = watched.receive

        def look(events: list[Event], lines: bytes) -> None:
            receive(events, lines)
            shown.append(watched.source.status.read_percent)

        watched.receive = look  # type: ignore[method-assign]

    async with watching(prepare=past) as watched:
        assert watched.source.status.read_percent is None
    assert shown == [74, 99]


async def test_more_past_than_a_person_waits_for_begins_later_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def past(watched: Watched) -> None:
        agent = watched.agent("eu")
        agent.publish(hello("eu", at_s=-1000.0))
        for number in range(1000):
            agent.publish(tick("eu", -1000.0 + number))
        agent.keep_hello(hello("eu"))
        size = len(watched.bus.stream[-1].data)
        monkeypatch.setattr(bus_source, "_MOST_READ", 100 * size)

    async with watching(prepare=past, since_s=1000.0) as watched:
        assert 90 <= len(watched.of(Tick)) <= 110
        (notice,) = watched.of(Notice)
        assert notice.text.startswith("the bus keeps more than is read at once: this begins at ")
        assert isinstance(watched.events[0], Hello)


async def test_of_one_place_of_many_as_much_is_read_as_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def past(watched: Watched) -> None:
        agents = [watched.agent(f"p{number}") for number in range(10)]
        for agent in agents:
            agent.publish(hello(agent.place, at_s=-100.0))
        for number in range(100):
            for agent in agents:
                agent.publish(tick(agent.place, -100.0 + number))
        size = len(watched.bus.stream[-1].data)
        monkeypatch.setattr(bus_source, "_MOST_READ", 150 * size)

    async with watching("p3", prepare=past, since_s=1000.0) as watched:
        assert len(watched.of(Tick)) == 100
        assert watched.of(Notice) == []


async def test_a_greeting_that_is_not_there_is_not_asked_for_at_each_message() -> None:
    asked: list[str] = []

    async with watching() as watched:
        bucket = watched.bus.bucket

        def counted(name: str) -> Any:
            asked.append(name)
            return bucket(name)

        watched.bus.bucket = counted  # type: ignore[method-assign]
        agent = watched.agent("eu", next=100)
        for second in range(20):
            agent.publish(tick("eu", second / 10))
            await watched.clock.advance(0.1)
        assert len(asked) == 1
        await watched.clock.advance(1.0)
        agent.keep_hello(hello("eu"))
        agent.publish(tick("eu", 3.1))
        await settle()
        assert len(watched.of(Tick)) == 1


async def test_only_the_places_that_are_asked_for_are_read() -> None:
    async with watching("eu", "ap") as watched:
        for place in ("eu", "us", "ap"):
            watched.agent(place).publish(hello(place, at_s=0.5), tick(place, 1.0))
        await settle()
        assert {event.place for event in watched.of(Tick)} == {"eu", "ap"}
        assert watched.source.places == ("eu", "ap")


async def test_one_place_is_read_without_the_others_being_sent() -> None:
    async with watching("eu") as watched:
        watched.agent("us").publish(hello("us", at_s=0.5))
        watched.agent("eu").publish(hello("eu", at_s=0.5))
        await settle()
        assert watched.source.places == ("eu",)


@pytest.mark.parametrize(
    "headers",
    [
        {"llmtop-first": "x"},
        {"llmtop-first": "0"},
        {"llmtop-first": "9" * 30},
        {"llmtop-offset-ns": "1e9"},
        {"llmtop-run": "r" * 100},
    ],
)
async def test_a_message_that_no_agent_wrote_costs_itself_alone(headers: dict[str, str]) -> None:
    async with watching() as watched:
        agent = watched.agent("eu")
        agent.publish(hello("eu", at_s=0.5))
        agent.publish_lines(b"{}\n", 2, 1.0, **headers)
        agent.publish(tick("eu", 2.0))
        await settle()
        assert len(watched.of(Tick)) == 1
        assert "no event of this place" in watched.of(Notice)[0].text


@pytest.mark.parametrize("bucket", [HELLOS_BUCKET, PLACES_BUCKET, WANTED_BUCKET])
async def test_a_record_that_nests_without_end_costs_itself_alone(bucket: str) -> None:
    bomb = b'{"routes":{},"configured":{},"x":' + b"[" * 100_000

    def past(watched: Watched) -> None:
        watched.bus.put(bucket, "eu", bomb)
        watched.agent("eu", next=7).publish(tick("eu", 0.5))

    async with watching(prepare=past) as watched:
        watched.agent("us").publish(hello("us", at_s=0.5), tick("us", 1.0))
        await settle()
        assert watched.of(Tick)[-1].place == "us"


async def test_what_is_wanted_is_kept_of_so_many_places_at_most() -> None:
    record = b'{"routes":{"chat@%s":{"concurrency":1,"interval":1,"max_tokens":1,"paused":false}},'
    record += b'"configured":{}}'

    def past(watched: Watched) -> None:
        for number in range(300):
            name = f"p{number}"
            watched.bus.put(WANTED_BUCKET, name, record % name.encode())
        watched.bus.put(WANTED_BUCKET, "EU west", record % b"EU west")

    async with watching(prepare=past) as watched:
        await settle(400)
        assert len(watched.wanted) == 200


@pytest.mark.parametrize(("first", "life"), [(1, ""), (5, "b"), (9, "b")])
async def test_a_kept_greeting_has_no_life_for_what_was_before_it(first: int, life: str) -> None:
    def past(watched: Watched) -> None:
        kept = KeptHello(
            run="1",
            number=5,
            offset_ns=OFFSET_NS,
            hello=msgspec.Raw(encode_event(hello("eu", life="b")).rstrip()),
        )
        watched.bus.put(HELLOS_BUCKET, "eu", encode(kept))
        watched.agent("eu", next=first).publish(tick("eu", 0.5))

    async with watching(prepare=past) as watched:
        (greeting,) = watched.of(Hello)
        assert greeting.life == life


async def test_a_number_of_very_many_digits_costs_its_message_alone() -> None:
    def past(watched: Watched) -> None:
        agent = watched.agent("eu")
        agent.publish(hello("eu", at_s=-9.0))
        agent.publish_lines(b"{}\n", 1, -8.0, **{FIRST_HEADER: "9" * 400})

    async with watching("eu", prepare=past) as watched:
        assert watched.caught_up == 1
        assert len(watched.of(Hello)) == 1


async def test_a_name_that_is_none_is_left_out() -> None:
    async with watching() as watched:
        watched.agent("EU west").publish(hello("EU west", at_s=0.5))
        await settle()
        assert watched.events == []


async def test_after_a_loss_it_goes_on_where_it_stood_and_nothing_comes_twice() -> None:
    async with watching() as watched:
        agent = watched.agent("eu")
        agent.publish(hello("eu", at_s=0.5), tick("eu", 1.0))
        await settle()
        watched.bus.lose()
        await settle()
        agent.publish(tick("eu", 2.0))
        await watched.clock.advance(3.0)
        assert watched.source.status.state == "lost"
        assert watched.states == [("eu", "heard"), ("eu", "unknown")]
        watched.bus.come_back()
        await watched.clock.advance(1.0)
        assert [event.at_ns for event in watched.of(Tick)] == [shared(1.0), shared(2.0)]
        assert watched.states[-1] == ("eu", "heard")
        assert watched.source.status.state == "running"
        assert watched.of(Notice) == []


async def test_a_bus_that_lost_its_store_is_read_on_from_the_moment_and_not_from_the_number() -> (
    None
):
    async with watching() as watched:
        agent = watched.agent("eu")
        for number in range(50):
            agent.publish(*([hello("eu")] if not number else []), tick("eu", 1.0 + number))
        await settle()
        watched.bus.lose()
        await settle()
        watched.bus.stream.clear()
        watched.bus._sequence = iter(range(1, 100))  # type: ignore[assignment]
        watched.bus.come_back()
        await watched.clock.advance(1.0)
        agent.publish(tick("eu", 60.0))
        await settle()
        assert watched.of(Tick)[-1].at_ns == shared(60.0)


async def test_a_loss_of_a_moment_is_not_told_of_the_places() -> None:
    async with watching() as watched:
        watched.agent("eu").publish(hello("eu", at_s=0.5))
        await settle()
        watched.bus.lose()
        await watched.clock.advance(1.0)
        watched.bus.come_back()
        await watched.clock.advance(1.0)
        assert watched.states == [("eu", "heard")]


async def test_while_the_bus_is_lost_its_banner_says_since_when_and_why() -> None:
    async with watching() as watched:
        watched.agent("eu").publish(hello("eu", at_s=0.5))
        await settle()
        watched.bus.lose("nats://bus cannot be reached: Connection refused")
        await watched.clock.advance(10.0)
        status = watched.source.status
        assert status.state == "lost"
        assert status.silent_s == pytest.approx(10.0)
        assert "places unknown" in status.detail
        assert "Connection refused" in status.detail


async def test_a_silent_place_is_told_and_another_is_not() -> None:
    async with watching() as watched:
        eu, us = watched.agent("eu"), watched.agent("us")
        eu.publish(hello("eu", at_s=0.5))
        us.publish(hello("us", at_s=0.5))
        eu.is_here()
        for second in range(1, 9):
            us.publish(tick("us", float(second)))
            await watched.clock.advance(1.0)
        assert watched.states == [("eu", "heard"), ("us", "heard"), ("eu", "silent")]
        report = watched.of(PlaceReport)[-1]
        assert report.since_ns == shared(0.5)
        assert shared(5.5) <= report.at_ns <= shared(8.5)


async def test_where_no_place_at_all_is_heard_the_run_is_silent() -> None:
    async with watching() as watched:
        eu, us = watched.agent("eu"), watched.agent("us")
        eu.publish(hello("eu", at_s=0.5))
        us.publish(hello("us", at_s=0.5))
        await watched.clock.advance(3.0)
        us.publish(tick("us", 3.0))
        await watched.clock.advance(4.0)
        assert watched.source.status.state == "running"  # of one it is told in the stream
        await watched.clock.advance(3.0)
        status = watched.source.status
        assert (status.state, status.engine) == ("silent", "all places")
        assert status.silent_s == pytest.approx(7.0, abs=0.6)
        us.publish(tick("us", 10.0))
        await settle()
        assert watched.source.status.state == "running"


async def test_a_place_that_left_in_order_is_gone_as_soon_as_it_is_silent() -> None:
    async with watching() as watched:
        eu = watched.agent("eu")
        eu.publish(hello("eu", at_s=0.5))
        eu.is_here()
        await settle()
        eu.leaves()
        await watched.clock.advance(7.0)
        assert watched.states == [("eu", "heard"), ("eu", "gone")]


async def test_a_place_that_was_killed_is_silent_and_then_gone() -> None:
    async with watching() as watched:
        eu = watched.agent("eu")
        eu.publish(hello("eu", at_s=0.5))
        eu.is_here()
        await watched.clock.advance(20.0)
        assert watched.states == [("eu", "heard"), ("eu", "silent"), ("eu", "gone")]


async def test_a_reading_that_the_server_has_forgotten_is_begun_anew() -> None:
    async with watching() as watched:
        eu = watched.agent("eu")
        eu.publish(hello("eu", at_s=0.5), tick("eu", 1.0))
        await settle()
        watched.bus.forget_readers()
        for second in range(2, 50):
            eu.publish(tick("eu", float(second)))
            await watched.clock.advance(1.0)
        assert [event.at_ns for event in watched.of(Tick)] == [
            shared(float(second)) for second in range(1, 50)
        ]
        assert [state for _, state in watched.states] == ["heard", "gone", "heard"]


async def test_while_nobody_reads_nobody_is_silent() -> None:
    async with watching() as watched:
        watched.agent("eu").publish(hello("eu", at_s=0.5))
        await settle()
        watched.source.hold()
        watched.agent("eu", next=2).publish(tick("eu", 1.0))  # the one that is under way
        await settle()
        given = len(watched.events)
        watched.agent("eu", next=3).publish(tick("eu", 2.0))
        await watched.clock.advance(60.0)
        assert len(watched.events) == given
        assert watched.states == [("eu", "heard")]
        watched.source.release()
        await settle()
        assert watched.of(Tick)[-1].at_ns == shared(2.0)
        await watched.clock.advance(7.0)
        assert watched.states[-1][1] in ("silent", "gone")


async def test_a_place_that_says_it_probes_and_is_never_heard_is_shown_with_its_routes() -> None:
    def there(watched: Watched) -> None:
        eu = watched.agent("eu")
        eu.is_here()
        eu.keep_hello(hello("eu", "chat", "code"))

    async with watching(prepare=there) as watched:
        await watched.clock.advance(7.0)
        assert [info.name for info in watched.of(Hello)[0].routes] == ["chat@eu", "code@eu"]
        assert watched.states == [("eu", "silent")]


async def test_a_place_that_is_asked_for_and_known_to_nobody_is_gone() -> None:
    async with watching("nowhere", "eu") as watched:
        watched.agent("eu").publish(hello("eu", at_s=0.5))
        await watched.clock.advance(5.0)
        watched.agent("eu", next=2).publish(tick("eu", 5.0))
        await watched.clock.advance(3.0)
        assert watched.states == [("eu", "heard"), ("nowhere", "gone")]


async def test_without_any_place_it_says_what_it_waits_for() -> None:
    async with watching() as watched:
        status = watched.source.status
        assert status.state == "starting"
        assert status.detail == "no place has been heard yet on nats://bus"


async def test_a_bus_that_lets_nobody_read_is_told_with_its_words() -> None:
    def refusing(watched: Watched) -> None:
        watched.bus.refusal = BusError("nats://bus refuses: permissions violation")

    async with watching(prepare=refusing) as watched:
        status = watched.source.status
        assert status.state == "starting"
        assert status.detail == "nats://bus refuses: permissions violation"
        watched.bus.refusal = None
        watched.agent("eu").publish(hello("eu"), tick("eu", 0.0))
        await watched.clock.advance(1.0)
        assert watched.source.status.state == "running"
        watched.bus.refusal = BusError("nats://bus: the stream is gone")
        watched.bus.end_readers()
        await watched.clock.advance(3.0)
        status = watched.source.status
        assert (status.state, status.detail) == ("lost", "nats://bus: the stream is gone")
        assert 2.0 <= status.silent_s <= 3.0


async def test_a_command_goes_to_the_place_of_its_route() -> None:
    async with watching() as watched:
        agents = {place: watched.agent(place) for place in ("eu", "us")}
        for place, agent in agents.items():
            agent.obeys()
            agent.publish(hello(place, at_s=0.5))
        await settle()
        command = SetKnob(route="chat@eu", knob="concurrency", value=7)
        watched.source.send(command)
        await settle()
        assert agents["eu"].obeyed == [command]
        assert agents["us"].obeyed == []
        assert watched.failed == []
        assert watched.of(Notice) == []


async def test_a_command_for_all_routes_goes_to_all_places() -> None:
    async with watching() as watched:
        agents = {place: watched.agent(place) for place in ("eu", "us")}
        for place, agent in agents.items():
            agent.obeys()
            agent.publish(hello(place, at_s=0.5))
        await settle()
        watched.source.send(Pause(paused=True))
        watched.source.send(WatchText())
        await settle()
        assert [agent.obeyed for agent in agents.values()] == [[Pause(paused=True)]] * 2


async def test_budgets_are_lifted_by_all_places_that_are_heard() -> None:
    async with watching() as watched:
        agents = {place: watched.agent(place) for place in ("eu", "us", "ap")}
        for place, agent in agents.items():
            agent.obeys("that cannot be lifted" if place == "us" else "")
            agent.publish(hello(place, at_s=0.5))
        await settle()
        for second in range(1, 9):
            await watched.clock.advance(1.0)
            for place in ("eu", "us"):
                agents[place].publish(tick(place, float(second)))
        await settle()
        assert ("ap", "gone") in [(one.place, one.state) for one in watched.of(PlaceReport)]
        watched.source.send(Lift())
        await settle()
        assert [agent.obeyed for agent in agents.values()] == [[Lift()], [Lift()], []]
        (notice,) = watched.of(Notice)
        assert notice.text == "lift not done at us: that cannot be lifted"


async def test_commands_to_one_place_keep_their_order() -> None:
    async with watching() as watched:
        agent = watched.agent("eu")
        agent.obeys()
        agent.publish(hello("eu", at_s=0.5))
        await settle()
        commands = [
            SetKnob(route="chat@eu", knob="concurrency", value=value) for value in range(2, 9)
        ]
        for command in commands:
            watched.source.send(command)
        await settle(100)
        assert agent.obeyed == commands


@pytest.mark.parametrize(
    ("refusal", "why"),
    [
        ("chat is not probed here", "chat is not probed here"),
        (None, "no agent answers there"),
    ],
)
async def test_a_command_that_was_not_done_is_told_with_its_route_and_why(
    refusal: str | None, why: str
) -> None:
    async with watching() as watched:
        agent = watched.agent("eu")
        if refusal is not None:
            agent.obeys(refusal)
        agent.publish(hello("eu", at_s=0.5))
        await settle()
        command = AcceptUsual(route="chat@eu")
        watched.source.send(command)
        await settle()
        assert watched.failed == [(command, "eu")]
        (notice,) = watched.of(Notice)
        assert (notice.route, notice.text) == ("chat@eu", f"accept usual not done at eu: {why}")


async def test_a_command_that_nobody_has_answered_may_yet_be_done() -> None:
    def sleeps(_data: bytes) -> bytes:
        raise NoAnswerError("nats://bus: no answer in time")

    async with watching() as watched:
        watched.agent("eu").publish(hello("eu", at_s=0.5))
        watched.bus.answers[commands_of("eu")] = sleeps
        await settle()
        watched.source.send(Pause(paused=True, route="chat@eu"))
        await settle()
        assert watched.of(Notice)[0].text == (
            "pause not done at eu: its agent has not answered for 3 s, and may do it later"
        )


async def test_while_the_bus_is_lost_no_command_waits_in_silence() -> None:
    async with watching() as watched:
        watched.agent("eu").publish(hello("eu", at_s=0.5))
        await settle()
        watched.bus.lose()
        watched.source.send(Pause(paused=True, route="chat@eu"))
        await settle()
        assert watched.of(Notice)[0].text == "pause not done at eu: the bus is lost"


async def test_a_place_that_does_not_answer_does_not_take_commands_without_end() -> None:
    async with watching() as watched:
        agent = watched.agent("eu")
        agent.publish(hello("eu", at_s=0.5))
        await settle()
        for _ in range(150):
            watched.source.send(AcceptUsual(route="chat@eu"))
        told = [notice for notice in watched.of(Notice) if "too many wait" in notice.text]
        assert len(told) == 50


async def test_what_nobody_looks_at_is_given_much_at_once() -> None:
    async with watching() as watched:
        agent = watched.agent("eu")
        agent.publish(hello("eu", at_s=0.5))
        await settle()
        watched.source.gather(10.0)
        for second in range(1, 11):
            agent.publish(tick("eu", float(second)))
            await watched.clock.advance(1.0)
        await watched.clock.advance(1.0)
        assert len(watched.of(Tick)) == 10
        assert len(watched.given) <= 3


async def test_the_present_is_the_buss_however_wrong_our_clock_is() -> None:
    async with watching(at_s=-500.0) as watched:
        watched.agent("eu").publish(hello("eu", at_s=0.5), tick("eu", 1.0))
        await settle()
        assert watched.source.now_ns == shared(1.0)
        await watched.clock.advance(2.0)
        assert watched.source.now_ns == shared(3.0)
        assert watched.clock.now_ns != START_NS


async def test_whoever_had_gone_before_the_past_was_read_is_told_at_once() -> None:
    def past(watched: Watched) -> None:
        eu, us = watched.agent("eu"), watched.agent("us")
        eu.publish(hello("eu", at_s=-900.0), tick("eu", -800.0))
        us.publish(hello("us", at_s=-900.0), tick("us", -1.0))
        us.is_here()

    async with watching(prepare=past) as watched:
        assert ("eu", "silent") in watched.states  # as it was while the past was read
        await watched.clock.advance(0.6)
        assert watched.states[-1] == ("eu", "gone")
        report = next(one for one in watched.of(PlaceReport) if one.state == "gone")
        assert report.since_ns == shared(-800.0)
        assert report.at_ns >= shared(0.0)


async def test_where_all_had_gone_they_are_told_at_once_too() -> None:
    def past(watched: Watched) -> None:
        watched.agent("eu").publish(hello("eu", at_s=-900.0), tick("eu", -800.0))

    async with watching(prepare=past) as watched:
        await watched.clock.advance(0.6)
        assert watched.states == [("eu", "heard"), ("eu", "gone")]
