"""Several engines as one source: real ones, a scripted network, a clock of the test's own."""

import itertools
from collections import Counter
from collections.abc import Sequence

import anyio
import msgspec
import pytest
from clocks import NS, ManualClock
from group_of_engines import Group, route
from scripted import Script, chat, refusal

from probes.board import Board
from probes.config import Route
from probes.control.commands import (
    AcceptUsual,
    Burst,
    Command,
    EndCoolDown,
    MarkTime,
    Pause,
    ProbeNow,
    SetKnob,
    Thicken,
    WatchText,
)
from probes.control.status import HostStatus
from probes.events import (
    AttemptFinished,
    AttemptStarted,
    Batch,
    Held,
    Hello,
    Knob,
    Mark,
    Notice,
    PaceKind,
    Preview,
    ProbeFinished,
    Tick,
    decode_event,
    encode_event,
)
from probes.sources.several import SeveralEngines
from probes.sources.source import Brief, Receive

pytestmark = pytest.mark.anyio


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


async def test_a_burst_before_any_engine_lives_is_not_told() -> None:
    group = Group(route())
    group.send(Burst(route="a", count=5))
    async with group.running():
        await group.clock.advance(1)
        assert group.of(Knob) == []


async def test_one_probe_that_is_asked_for_is_sent_by_one_engine() -> None:
    group = Group(route(concurrency=2, interval=100.0))
    async with group.running():
        await group.clock.advance(60)
        before = len(group.of(ProbeFinished))
        group.send(ProbeNow(route="a"))
        await group.clock.advance(3)
        assert len(group.of(ProbeFinished)) == before + 1
        assert group.of(Knob) == []


async def test_a_mark_appears_once() -> None:
    group = Group(route())
    async with group.running():
        await group.clock.advance(1)
        group.send(MarkTime(text="here"))
        group.send(MarkTime(text="there", about_ns=7))
        await group.clock.advance(0.5)
    told = [(event.text, event.about_ns) for event in group.of(Mark)]
    assert told == [("here", None), ("there", 7)]


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


async def test_cancelling_the_group_leaves_nothing_open() -> None:
    group = Group(route(interval=0.0), scripts=[chat("a", wait_s=9.0)])
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(group.host.run)
        await group.clock.advance(1)
        assert group.network.open == 2
        tasks.cancel_scope.cancel()
    assert group.network.open == 0
    assert [event.reason for event in group.of(ProbeFinished)] == ["stopped", "stopped"]


async def test_only_what_changes_is_told() -> None:
    group = Group(route(), msgspec.structs.replace(route("b"), paused=True))
    async with group.running():
        await group.clock.advance(1)
        for command in (
            SetKnob(route="a", knob="concurrency", value=2),
            SetKnob(route="a", knob="interval", value=-1),
            Pause(paused=True),
            Pause(route="b", paused=False),
            Pause(route="gone", paused=True),
            EndCoolDown(route="a"),
            EndCoolDown(route="gone"),
        ):
            group.send(command)
        await group.clock.advance(1)
    told = [(event.route, event.knob, event.before, event.after) for event in group.of(Knob)]
    assert told == [("a", "interval", 1, 0), ("a", "paused", 0, 1), ("b", "paused", 1, 0)]
    assert group.of(Held) == []


def beside(group: Group) -> Counter[str]:
    """Return how many attempts each life of an engine began beside the pace."""
    began = (event for event in group.of(AttemptStarted) if event.evidence)
    return Counter(event.probe.partition("-")[0] for event in began)


async def test_a_level_is_accepted_once_for_all_engines() -> None:
    group = Group(route(), route("b"))
    group.send(AcceptUsual(route="b"))
    async with group.running():
        await group.clock.advance(1)
        group.send(AcceptUsual(route="a", who="ann"))
        group.send(AcceptUsual(route="gone"))
        await group.clock.advance(1)
    told = [(event.route, event.knob, event.after, event.who) for event in group.of(Knob)]
    assert told == [("b", "usual", 1.0, "user"), ("a", "usual", 1.0, "ann")]
    assert [event.text for event in group.of(Notice)] == ["no such route"]


async def test_a_route_is_thickened_by_one_engine() -> None:
    group = Group(route(concurrency=2, interval=100.0))
    async with group.running():
        await group.clock.advance(60)
        for _ in range(20):  # whoever asks again and again, while a probe is open, too
            group.send(Thicken(route="a", for_s=20.0, fresh=True))
            await group.clock.advance(0.5)
        group.send(Thicken(route="gone", for_s=20.0))
        group.send(Thicken(route="a", for_s=0.0))
        await group.clock.advance(20)
        assert beside(group) in ({"1": 10}, {"1": 11})
        assert group.of(Knob) == []
        assert [event.text for event in group.of(Notice)] == ["no such route"]


async def test_the_engine_that_has_a_worker_at_rest_is_the_one() -> None:
    hangs = chat("a", wait_s=1_000.0)
    group = Group(route(concurrency=2, interval=100.0), scripts=[hangs, chat("a")])
    async with group.running():
        await group.clock.advance(60)
        assert group.network.open == 1
        (hanging,) = {event.probe for event in group.of(AttemptStarted)} - {
            event.probe for event in group.of(ProbeFinished)
        }
        group.send(Thicken(route="a", for_s=10.0, fresh=True))
        await group.clock.advance(12)
        other = {"1": "2", "2": "1"}[hanging[0]]
        assert beside(group).keys() == {other}
        assert beside(group)[other] >= 9
        assert group.network.most_open == 2


async def test_where_the_turn_goes_to_another_engine_the_first_ends() -> None:
    answers = [chat("a"), chat("a"), chat("a"), chat("a", wait_s=1_000.0), chat("a")]
    group = Group(route(concurrency=2, interval=100.0), scripts=answers)
    async with group.running():
        await group.clock.advance(60)
        group.send(Thicken(route="a", for_s=20.0))
        await group.clock.advance(5)
        assert beside(group) == {"1": 2}  # its only worker waits for an answer by now
        group.send(Thicken(route="a", for_s=20.0))
        await group.clock.advance(5)
        assert beside(group)["1"] == 2
        assert beside(group)["2"] in (4, 5)


async def test_only_where_all_engines_have_one_worker_together_may_one_more_be_sent() -> None:
    hangs = chat("a", wait_s=1_000.0)
    for concurrency, sent in ((1, 2), (2, 2)):
        group = Group(route(concurrency=concurrency, interval=100.0), scripts=[hangs])
        async with group.running():
            await group.clock.advance(60)
            assert group.network.open == concurrency
            group.send(Thicken(route="a", for_s=20.0, fresh=True))
            await group.clock.advance(20)
            assert group.network.open == group.network.most_open == sent


async def test_engines_that_send_one_a_second_together_send_nothing_beside() -> None:
    group = Group(route(concurrency=4, interval=4.0))
    async with group.running():
        await group.clock.advance(5)
        group.send(Thicken(route="a", for_s=20.0))
        await group.clock.advance(20)
        assert beside(group) == {}


@pytest.mark.parametrize("answer", [refusal(429), refusal(529)])
async def test_what_one_engine_is_answered_ends_the_thickening_by_another(answer: Script) -> None:
    answers = [chat("a"), chat("a"), chat("a"), chat("a"), answer, chat("a")]
    routes = msgspec.structs.replace(route(concurrency=2, interval=100.0), retries=0)
    group = Group(routes, scripts=answers)
    async with group.running():
        await group.clock.advance(60)
        group.send(Thicken(route="a", for_s=20.0))
        await group.clock.advance(1.5)
        assert beside(group) == {"1": 2}
        group.host._engines[1].send(Burst(route="a", count=1))
        await group.clock.advance(1)
        assert group.network.scripts == answers[-1:]
        sent = beside(group)["1"]
        group.send(Thicken(route="a", for_s=20.0))
        await group.clock.advance(20)
        assert beside(group)["1"] == sent <= 3
        await group.clock.advance(40)
        group.send(Thicken(route="a", for_s=3.0))
        await group.clock.advance(5)
        assert sum(beside(group).values()) >= sent + 2


async def test_a_new_engine_knows_of_no_thickening() -> None:
    group = Group(route(concurrency=1, interval=100.0), engines=1)
    async with group.running():
        await group.clock.advance(10)
        group.send(Thicken(route="a", for_s=20.0))
        await group.clock.advance(2.5)
        assert beside(group) == {"1": 3}
        group.scopes[0].cancel()
        await group.clock.advance(15)
        assert group.engines_of()["2"] == 1
        assert beside(group) == {"1": 3}


class Silent:
    """An engine that notes what it is told."""

    status = HostStatus("running")

    def __init__(self) -> None:
        self.told: list[Command] = []

    def send(self, command: Command) -> None:
        self.told.append(command)

    def hold(self) -> None: ...

    def release(self) -> None: ...

    def gather(self, for_s: float) -> None: ...

    def retry(self) -> None: ...

    def stop(self) -> None: ...

    async def run(self) -> None: ...


class Pair:
    """Two engines of one source, which a test speaks for."""

    def __init__(self) -> None:
        self.engines: list[Silent] = []
        self.hear: list[Receive] = []
        self.clock = ManualClock(start_ns=0)
        self.source = SeveralEngines(
            lambda _: [],
            lambda _events, _lines: None,
            routes=[route()],
            engines=2,
            make_engine=self._make_engine,
            clock=self.clock,
        )

    def cools(self, engine: int, until_s: int, *, at_s: int = 0, asked: bool = True) -> None:
        """Let an engine say that the route cools down."""
        asked_s = 1.0 if asked else None
        until_ns = until_s * NS
        held = Held(
            at_ns=at_s * NS, reason="cool_down", route="a", until_ns=until_ns, asked_s=asked_s
        )
        self.hear[engine]([held], encode_event(held))

    def waits(self, engine: int) -> list[float]:
        """Return the waits that an engine was told of."""
        return [one.until_s for one in self.engines[engine].told if isinstance(one, EndCoolDown)]

    def _make_engine(
        self, _number: int, _routes: Sequence[Route], _brief: Brief, receive: Receive
    ) -> Silent:
        self.hear.append(receive)
        self.engines.append(Silent())
        return self.engines[-1]


def test_a_cool_down_is_news_to_the_others_once_and_when_it_grows() -> None:
    pair = Pair()
    pair.cools(0, 10)
    pair.cools(0, 10)
    pair.cools(1, 10)
    pair.cools(1, 11, asked=False)  # we had said so ourselves
    assert (pair.waits(0), pair.waits(1)) == ([], [10.0])
    pair.cools(1, 12)
    assert (pair.waits(0), pair.waits(1)) == ([12.0], [10.0])


async def test_a_cool_down_of_before_its_end_by_the_user_is_no_news_any_more() -> None:
    pair = Pair()
    await pair.clock.advance(4)
    pair.source.send(EndCoolDown(route="a"))
    pair.cools(0, 10, at_s=3)
    assert pair.waits(1) == [0.0]
    pair.cools(0, 10, at_s=5)
    assert pair.waits(1) == [0.0, 6.0]


def open_route(pace: PaceKind, rate: float, concurrency: int) -> Route:
    return msgspec.structs.replace(route(concurrency=concurrency), pace=pace, rate=rate)


def starts_s(group: Group) -> list[float]:
    began_ns = group.of(Hello)[0].at_ns
    return sorted((event.at_ns - began_ns) / NS for event in group.of(AttemptStarted))


async def test_the_ticks_of_a_constant_pace_are_shared_and_stay_equal() -> None:
    group = Group(open_route("constant", 10.0, 3))
    async with group.running():
        await group.clock.advance(6)
        starts = starts_s(group)
        gaps = [after - before for before, after in itertools.pairwise(starts)]
        assert gaps == pytest.approx([0.1] * len(gaps), abs=1e-6)
        began = group.engines_of()
        assert began["1"] == pytest.approx(2 * began["2"], abs=2)  # as their places
        (info,) = group.of(Hello)[0].routes
        assert (info.rate, info.pace, info.concurrency) == (10.0, "constant", 3)
        assert group.of(Tick)[-1].routes[0].due == pytest.approx(len(starts), abs=2)


async def test_a_turned_rate_is_told_once_and_each_engine_gets_its_part() -> None:
    group = Group(open_route("constant", 1.0, 4))
    async with group.running():
        await group.clock.advance(3)
        group.send(SetKnob(route="a", knob="rate", value=20.0))
        await group.clock.advance(3)
        starts = [at_s for at_s in starts_s(group) if 3.5 < at_s < 5.5]
        gaps = [after - before for before, after in itertools.pairwise(starts)]
        assert gaps == pytest.approx([0.05] * len(gaps), abs=1e-6)
        knobs = [(event.knob, event.before, event.after) for event in group.of(Knob)]
        assert knobs == [("rate", 1.0, 20.0)]


async def test_another_concurrency_deals_the_ticks_anew() -> None:
    group = Group(open_route("constant", 5.0, 1))
    async with group.running():
        await group.clock.advance(2)
        assert set(group.engines_of()) == {"1"}
        group.send(SetKnob(route="a", knob="concurrency", value=4))
        await group.clock.advance(3)
        assert set(group.engines_of()) == {"1", "2"}
        starts = [at_s for at_s in starts_s(group) if at_s > 2.5]
        gaps = [after - before for before, after in itertools.pairwise(starts)]
        assert gaps == pytest.approx([0.2] * len(gaps), abs=1e-6)
        knobs = [(event.knob, event.before, event.after) for event in group.of(Knob)]
        assert knobs == [("concurrency", 1.0, 4.0)]


async def test_an_engine_that_is_started_again_sends_its_part_of_the_rate_as_it_is_wanted() -> None:
    group = Group(open_route("constant", 1.0, 2))
    async with group.running():
        await group.clock.advance(2)
        group.send(SetKnob(route="a", knob="rate", value=10.0))
        await group.clock.advance(1)
        group.scopes[0].cancel()
        await group.clock.advance(4)
        starts = [at_s for at_s in starts_s(group) if at_s > 5.5]
        gaps = [after - before for before, after in itertools.pairwise(starts)]
        assert gaps == pytest.approx([0.1] * len(gaps), abs=1e-6)
