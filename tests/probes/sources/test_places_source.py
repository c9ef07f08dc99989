"""Several places as one source: sources that a test speaks for, a clock of the test's own."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
import pytest
from clocks import NS, ManualClock

from probes import __version__
from probes.config import Config, Route
from probes.config.places import GivenPlace, config_at
from probes.control.commands import (
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
from probes.control.status import HostState, HostStatus
from probes.events import (
    SCHEMA_VERSION,
    AttemptStarted,
    Batch,
    Event,
    Gap,
    Health,
    Held,
    Hello,
    Mark,
    Notice,
    PlaceReport,
    RouteCounts,
    Tick,
    decode_event,
)
from probes.sources.places import DRIFT_SEEN_NS, SeveralPlaces, SharedLine
from probes.sources.source import Brief, Receive

pytestmark = pytest.mark.anyio

Kind = TypeVar("Kind", bound=Event)
CONFIG = Config(
    routes=(
        Route(name="chat", base_url="http://127.0.0.1:1/v1", model="m"),
        Route(name="code", base_url="http://127.0.0.1:1/v1", model="m"),
    )
)
EU, US, HERE = (
    GivenPlace("eu", "ssh", "eu.example"),
    GivenPlace("us", "ssh", "us.example"),
    GivenPlace("here", "local"),
)


class FakeEngine:
    """The source of one place, which says what a test has it say.

    Its machine's monotonic clock is `ahead_s` before ours, and what it says is `way_s` on its way.
    """

    def __init__(self, clock: ManualClock, routes: Sequence[Route], brief: Brief, receive: Receive):
        self.clock = clock
        self.routes = routes
        self.brief = brief
        self.receive = receive
        self.ahead_s = 0.0
        self.way_s = 0.0
        self.state: HostState = "starting"
        self.silent_s = 0.0
        self.detail = ""
        self.sent: list[Command] = []
        self.done: list[str] = []
        self._stopped = anyio.Event()

    @property
    def now_ns(self) -> int:
        """The stamp of what we hear now."""
        return self.clock.monotonic_ns() + round((self.ahead_s - self.way_s) * NS)

    def hello(self, *, wall_ns: int = 0, version: str = __version__) -> None:
        self.state = "running"
        told = Hello(
            at_ns=self.now_ns,
            wall_ns=wall_ns,
            engine="1",
            version=version,
            schema=SCHEMA_VERSION,
            boot_id="boot",
            routes=(),
        )
        self.say(told)

    def say(self, *events: Event) -> None:
        """Have a batch heard."""
        self.receive([*events, Batch(at_ns=self.now_ns, seq=1, health=Health(), routes=())], b"")

    def begin(self, route: str) -> int:
        """Have an attempt begun; return its stamp."""
        at_ns = self.now_ns
        self.say(
            AttemptStarted(
                at_ns=at_ns,
                route=route,
                probe="1-1",
                attempt=0,
                scheduled_ns=at_ns - 3,
                admitted_ns=at_ns - 2,
                cohort="64/256",
            )
        )
        return at_ns

    def die(self, detail: str = "killed") -> None:
        self.state, self.detail = "restarting", detail
        self.receive([Held(at_ns=self.now_ns, reason="restarting", detail=detail)], b"")

    @property
    def status(self) -> HostStatus:
        return HostStatus(self.state, silent_s=self.silent_s, end=self.detail)

    def send(self, command: Command) -> None:
        self.sent.append(command)

    def hold(self) -> None:
        self.done.append("hold")

    def release(self) -> None:
        self.done.append("release")

    def gather(self, for_s: float) -> None:
        self.done.append("gather")

    def retry(self) -> None:
        self.done.append("retry")

    def renew(self, why: str) -> None:
        assert why
        self.done.append("renew")

    def stop(self) -> None:
        self._stopped.set()

    async def run(self) -> None:
        await self._stopped.wait()
        self.state = "stopped"


class Run:
    """Several places, and all that is heard of them."""

    def __init__(self, *places: GivenPlace) -> None:
        self.clock = ManualClock()
        self.config = config_at(CONFIG, *(place.name for place in places))
        self.engines: list[FakeEngine] = []
        self.heard: list[Event] = []
        self.lines = b""
        self.wanted: list[Command] = []
        self.headers = {route.name: {"Authorization": "s3cret"} for route in self.config.routes}
        self.host = SeveralPlaces(
            self._brief,
            self._receive,
            routes=self.config.routes,
            places=places,
            make_engine=self._make,
            clock=self.clock,
        )

    def of(self, kind: type[Kind]) -> list[Kind]:
        """Return the events of one kind."""
        return [event for event in self.heard if isinstance(event, kind)]

    def begun(self, route: str) -> AttemptStarted:
        """Return the last attempt of a route."""
        return [event for event in self.of(AttemptStarted) if event.route == route][-1]

    def states(self, place: str) -> list[str]:
        """Return what was told of a place."""
        return [report.state for report in self.of(PlaceReport) if report.place == place]

    @property
    def wall_ns(self) -> int:
        return self.clock.wall_ns()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[list[FakeEngine]]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.host.run)
            await self.clock.advance(0)
            yield self.engines
            self.host.stop()
            await self.clock.advance(1)
        assert self.host.status.state == "stopped"
        told = [decode_event(line) for line in self.lines.splitlines()]
        durable = [event for event in self.heard if not isinstance(event, Batch)]
        assert told == durable

    def _make(
        self, number: int, routes: Sequence[Route], brief: Brief, receive: Receive
    ) -> FakeEngine:
        assert number == len(self.engines)
        self.engines.append(FakeEngine(self.clock, routes, brief, receive))
        return self.engines[-1]

    def _brief(self, engine: str) -> list[Command]:
        configure = Configure(engine=engine, routes=self.config.routes, headers=self.headers)
        return [configure, *self.wanted, Go()]

    def _receive(self, events: list[Event], lines: bytes) -> None:
        self.heard += events
        self.lines += lines


async def test_each_place_has_its_routes_and_only_this_machine_is_given_keys() -> None:
    run = Run(EU, HERE)
    eu, here = run.engines
    assert [route.name for route in eu.routes] == ["chat@eu", "code@eu"]
    run.wanted = [
        SetKnob(route="chat@here", knob="concurrency", value=3),
        EndCoolDown(route="code@eu", until_s=4.0),
    ]
    configure, end, go = eu.brief("?")
    assert isinstance(configure, Configure)
    assert configure.headers == {}
    assert [route.name for route in configure.routes] == ["chat@eu", "code@eu"]
    assert (end.route, go) == ("code@eu", Go())
    of_here, knob, _go = here.brief("?")
    assert isinstance(of_here, Configure)
    assert of_here.headers == {
        name: {"Authorization": "s3cret"} for name in ("chat@here", "code@here")
    }
    assert knob.route == "chat@here"
    # Probes are told apart by the ids of their engines.
    assert (configure.engine, of_here.engine) == ("1", "2")
    again, *_ = eu.brief("?")
    assert again.engine == "3"


async def test_stamps_are_moved_by_the_quickest_way_of_the_first_second() -> None:
    run = Run(EU)
    async with run.running() as (eu,):
        eu.ahead_s, eu.way_s = 50_000.0, 0.4
        eu.hello(wall_ns=17)  # its wall clock lies, and is not asked
        for way_s in (0.09, 0.05, 0.3):
            eu.way_s = way_s
            at_ns = eu.begin("chat@eu")
            await run.clock.advance(0.4)
        assert not run.of(Hello) or run.clock.monotonic_ns() >= 1_001 * NS
        (hello,) = run.of(Hello)
        assert hello.place == "eu"
        assert (hello.clock_name, hello.boot_id) == ("CLOCK_REALTIME", "")
        assert hello.wall_ns == hello.at_ns == run.wall_ns - round(1.2 * NS) - round(0.35 * NS)
        # One constant: what lies between two stamps is what it was.
        begun = run.begun("chat@eu")
        assert begun.at_ns - begun.scheduled_ns == 3
        assert begun.at_ns - hello.at_ns == at_ns - (1_000 * NS + round(49_999.6 * NS))
        # A batch that is quicker later moves nothing.
        eu.way_s = 0.0
        eu.begin("chat@eu")
        await run.clock.advance(0.3)
        assert run.begun("chat@eu").at_ns - hello.at_ns == round(1.6 * NS)


async def test_an_engine_of_this_machine_waits_for_nothing_and_is_placed_exactly() -> None:
    run = Run(HERE)
    async with run.running() as (here,):
        here.way_s = 0.2
        here.hello()
        await run.clock.advance(0.1)
        (hello,) = run.of(Hello)
        assert hello.at_ns == run.wall_ns - round(0.3 * NS)


async def test_each_life_has_a_constant_of_its_own_after_a_boot_too() -> None:
    run = Run(EU)
    async with run.running() as (eu,):
        eu.ahead_s = 50_000.0
        eu.hello()
        await run.clock.advance(1.5)
        eu.say()
        await run.clock.advance(1)
        eu.die()
        eu.ahead_s = -900.0
        await run.clock.advance(5)
        eu.hello()
        await run.clock.advance(1.1)
        eu.say()
        await run.clock.advance(0.3)
        first, second = run.of(Hello)
        assert second.at_ns - first.at_ns == round(7.5 * NS)
        (held,) = (event for event in run.of(Held) if not event.released)
        assert (held.place, held.at_ns - first.at_ns) == ("eu", round(2.5 * NS))


async def test_the_stream_is_in_order_of_the_line() -> None:
    run = Run(EU, HERE)
    async with run.running() as (eu, here):
        eu.ahead_s = 7.0
        eu.hello()
        here.hello()
        await run.clock.advance(1.2)
        for _ in range(30):
            eu.begin("chat@eu")
            await run.clock.advance(0.05)
            here.begin("chat@here")
            await run.clock.advance(0.05)
        stamps = [event.at_ns for event in run.of(AttemptStarted)]
        assert stamps == sorted(stamps)
        assert len(stamps) > 50


async def test_ticks_gaps_and_holds_say_whose_they_are() -> None:
    run = Run(EU, US)
    async with run.running() as (eu, us):
        for engine in (eu, us):
            engine.hello()
        await run.clock.advance(1.1)
        now_ns = eu.now_ns
        tick = Tick(at_ns=now_ns, wall_ns=3, health=Health(), routes=())
        us.say(tick, Gap(at_ns=now_ns, started_ns=now_ns - 5), Held(at_ns=now_ns, reason="budget"))
        await run.clock.advance(0.5)
        for kind in (Tick, Gap, Held):
            assert [event.place for event in run.of(kind)] == ["us"]
        (gap,) = run.of(Gap)
        assert gap.at_ns - gap.started_ns == 5
        assert run.of(Tick)[0].wall_ns == gap.at_ns


async def test_a_command_goes_to_the_place_of_its_route_and_one_without_to_all() -> None:
    run = Run(EU, US)
    eu, us = run.engines
    turn = SetKnob(route="chat@us", knob="concurrency", value=2)
    run.host.send(turn)
    burst = Burst(route="code@eu", count=3)
    run.host.send(burst)
    panic = Pause(paused=True, cancel=True)
    run.host.send(panic)
    run.host.send(WatchText(route="chat@eu"))
    assert eu.sent == [burst, panic, WatchText(route="chat@eu")]
    assert us.sent == [turn, panic, WatchText()]
    for name in ("hold", "release", "retry"):
        getattr(run.host, name)()
    run.host.gather(2.0)  # their streams are merged: none is waited for as long
    assert eu.done == us.done == ["hold", "release", "retry"]


async def test_a_mark_is_made_once_and_a_route_that_no_place_has_is_said_to_be_none() -> None:
    run = Run(EU, HERE)
    async with run.running() as (_eu, here):
        here.hello()
        await run.clock.advance(0.5)
        run.host.send(MarkTime(text="deploy", about_ns=run.wall_ns - 5))
        run.host.send(Pause(route="chat", paused=True))
        await run.clock.advance(0.5)
        (mark,) = run.of(Mark)
        assert (mark.text, mark.about_ns) == ("deploy", mark.at_ns - 5)
        (notice,) = run.of(Notice)
        assert (notice.route, notice.text) == ("chat", "no such route")


async def test_a_place_that_is_lost_is_told_with_since_when_and_the_others_go_on() -> None:
    run = Run(EU, US)
    async with run.running() as (eu, us):
        eu.hello()
        us.hello()
        await run.clock.advance(1.5)
        eu.begin("chat@eu")
        await run.clock.advance(0.5)
        assert run.states("eu") == run.states("us") == ["heard"]
        heard_ns = run.begun("chat@eu").at_ns
        eu.die("no way to eu.example: cut")
        await run.clock.advance(3)
        us.begin("chat@us")
        await run.clock.advance(0.5)
        assert run.begun("chat@us").at_ns > heard_ns + 2 * NS
        assert run.states("us") == ["heard"]
        report = run.of(PlaceReport)[-1]
        assert (report.state, report.detail) == ("unknown", "no way to eu.example: cut")
        assert report.since_ns >= heard_ns
        assert report.since_ns - heard_ns < NS
        assert run.host.status.state == "restarting"
        assert run.host.status.engine == "place eu"
        eu.hello()
        await run.clock.advance(2)
        assert run.states("eu") == ["heard", "unknown", "heard"]
        first, _, again = (one for one in run.of(PlaceReport) if one.place == "eu")
        assert [first.since_ns, again.since_ns] == [
            hello.at_ns for hello in run.of(Hello) if hello.place == "eu"
        ]


@pytest.mark.parametrize(
    ("state", "silent_s", "told"),
    [("gave_up", 0.0, "gone"), ("running", 6.0, "silent"), ("silent", 12.0, "silent")],
)
async def test_a_place_is_told_to_be_gone_or_silent(
    state: HostState, silent_s: float, told: str
) -> None:
    run = Run(EU, HERE)
    async with run.running() as (eu, here):
        eu.hello()
        here.hello()
        await run.clock.advance(1.5)
        eu.state, eu.silent_s, eu.detail = state, silent_s, "why"
        await run.clock.advance(1)
        assert run.states("eu") == ["heard", told]
        assert run.of(PlaceReport)[-1].detail == ("" if told == "silent" else "why")
        assert run.host.given_up == ([("eu", "why")] if state == "gave_up" else [])
        assert not run.host.is_given_up


async def test_a_place_that_was_never_reached_is_unknown_after_a_while() -> None:
    run = Run(EU, HERE)
    async with run.running() as (eu, here):
        here.hello()
        await run.clock.advance(4)
        assert run.states("eu") == []
        await run.clock.advance(2)
        assert run.states("eu") == ["unknown"]
        eu.die("no way")
        await run.clock.advance(1)
        (held,) = run.of(Held)
        assert (held.place, held.detail) == ("eu", "no way")
        assert run.wall_ns - held.at_ns < 2 * NS  # it has no stamp of its own: now
        eu.state = here.state = "gave_up"
        assert run.host.is_given_up
        assert run.host.status.engine == "places eu, here"


async def test_another_version_is_said_once_with_its_hello() -> None:
    run = Run(EU)
    async with run.running() as (eu,):
        eu.hello(version="9.9\x1b[31m")
        await run.clock.advance(1.1)
        eu.say()
        await run.clock.advance(0.5)
        (notice,) = run.of(Notice)
        assert notice.place == "eu"
        assert notice.text.startswith("there it is llmtop 9.9")
        assert "\x1b" not in notice.text
        assert isinstance(run.heard[0], Hello)


async def test_a_place_counts_its_own_routes_alone_and_does_not_say_that_another_is_gone() -> None:
    run = Run(EU, HERE)
    async with run.running() as (eu, here):
        here.hello()
        eu.hello()
        await run.clock.advance(1.1)
        counts = tuple(
            RouteCounts(route=name, in_flight=0, target=4) for name in ("chat@eu", "chat@here")
        )
        now_ns = eu.now_ns
        eu.say(
            Tick(at_ns=now_ns, wall_ns=3, health=Health(), routes=counts),
            PlaceReport(at_ns=now_ns, place="here", state="gone", since_ns=now_ns),
        )
        await run.clock.advance(0.5)
        (tick,) = run.of(Tick)
        assert [one.route for one in tick.routes] == ["chat@eu"]
        assert {report.state for report in run.of(PlaceReport)} == {"heard"}


async def test_a_place_speaks_of_its_own_routes_alone() -> None:
    run = Run(EU, HERE)
    async with run.running() as (eu, here):
        here.hello()
        eu.hello()
        await run.clock.advance(1.1)
        for _ in range(3):
            eu.begin("chat@here")
            eu.begin("chat@eu")
            await run.clock.advance(0.3)
        assert {event.route for event in run.of(AttemptStarted)} == {"chat@eu"}
        (notice,) = run.of(Notice)
        assert (notice.place, notice.text) == (
            "eu",
            "it speaks of a route that is not probed there: chat@here",
        )


@pytest.mark.parametrize(
    ("ahead_s", "is_seen"), [(20.0, True), (-20.0, False), (-3.0, False), (3.0, False)]
)
async def test_stamps_that_ran_away_begin_the_engine_anew(ahead_s: float, is_seen: bool) -> None:
    run = Run(EU)
    async with run.running() as (eu,):
        eu.hello()
        await run.clock.advance(1.5)
        eu.say()
        eu.ahead_s += ahead_s  # as where its machine did not sleep with ours, or slept alone
        eu.begin("chat@eu")
        await run.clock.advance(0.5)
        assert eu.done.count("renew") == is_seen
        assert len(run.of(AttemptStarted)) == (not is_seen)
        eu.done.clear()
        for _ in range(2 * DRIFT_SEEN_NS // NS + 5):
            eu.say()
            await run.clock.advance(1)
        # What comes late may have been long on its way: only when nothing comes in time.
        late = ahead_s == -20.0
        assert bool(eu.done.count("renew")) == (late or is_seen)


async def test_a_stamp_of_the_future_in_the_first_second_is_not_the_present_of_all() -> None:
    run = Run(EU, HERE)
    async with run.running() as (eu, here):
        here.hello()
        eu.hello()
        await run.clock.advance(0.2)
        eu.ahead_s += 3600.0  # in one event alone; its batch is dated as before
        ahead_ns = eu.now_ns
        eu.ahead_s -= 3600.0
        eu.say(Mark(at_ns=ahead_ns, text="of tomorrow"))
        await run.clock.advance(1.5)
        assert not run.of(Mark)
        assert eu.done.count("renew") == 1
        assert max(event.at_ns for event in run.heard) <= run.wall_ns + NS


async def test_all_begin_anew_where_this_machine_slept() -> None:
    run = Run(EU, HERE)
    async with run.running() as (eu, here):
        eu.hello()
        here.hello()
        await run.clock.advance(2)
        run.clock.set_wall(3600.0)
        await run.clock.advance(1)
        assert eu.done == here.done == ["renew"]
        here.hello()
        await run.clock.advance(1)
        assert abs(run.of(Hello)[-1].at_ns - run.wall_ns) <= NS


def test_the_line_never_goes_back() -> None:
    clock = ManualClock()
    line = SharedLine(clock)
    before_ns = line.now_ns
    clock.set_wall(-600.0)
    assert not line.catch_up()
    assert line.now_ns == before_ns
    clock.set_wall(1_200.0)
    assert line.catch_up()
    assert line.now_ns == before_ns + 600 * NS == clock.wall_ns()


async def test_what_waited_for_its_constant_is_told_at_the_end() -> None:
    run = Run(EU)
    async with run.running() as (eu,):
        eu.hello()
        eu.begin("chat@eu")
        await run.clock.advance(0.2)
    assert [type(event) for event in run.heard][:2] == [Hello, Batch]
    assert run.of(AttemptStarted)


async def test_an_engine_that_dies_at_once_is_placed_when_it_was_heard() -> None:
    run = Run(EU)
    async with run.running() as (eu,):
        hello = Hello(at_ns=5, wall_ns=0, engine="1", version=__version__, schema=1, routes=())
        eu.state = "restarting"
        eu.receive([hello], b"")
        eu.receive([Held(at_ns=9, reason="restarting", detail="killed")], b"")
        heard_ns = run.wall_ns
        await run.clock.advance(0.5)
        assert run.of(Hello)[0].at_ns == heard_ns
        assert run.of(Held)[0].at_ns == heard_ns + 4
