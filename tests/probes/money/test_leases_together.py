"""What one run may spend, leased by several engines: never too much, and never stranded."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio
import pytest
from clocks import NS, ManualClock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probes.config import Budget, Price, Route
from probes.config.places import routes_at
from probes.control.commands import Allow, Allowance, Burst, SetKnob
from probes.events import (
    AttemptFinished,
    AttemptStarted,
    Batch,
    Event,
    Health,
    Held,
    StampLadder,
)
from probes.money.budget_lease import BudgetLease
from probes.money.lease_rules import route_key
from probes.money.ledger import Ledger
from probes.money.run_ledger import RunLedger
from probes.money.spending import AttemptReservation, Spending

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("closed_ledgers", "no_threads")]

ROUTE = Route(name="r", base_url="http://x", model="m", prompt="x" * 40, max_tokens=90)
PROBE = 100  # tokens a probe may cost: 10 of the prompt and the cap


@pytest.fixture
def no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the ledger in memory answer in the test's own thread."""

    async def at_once(work: Callable[..., Any], *args: Any, **_: Any) -> Any:
        return work(*args)

    monkeypatch.setattr("anyio.to_thread.run_sync", at_once)


def of_route(allow: Allow, route: str = "r") -> Allowance:
    """Return one route's allowance."""
    (allowance,) = (one for one in allow.allowances if one.route == route)
    return allowance


@dataclass
class Engine:
    """An engine that spends, whose commands and words are on their way for a while."""

    spending: Spending = field(default_factory=Spending)
    commands: deque[Allow] = field(default_factory=deque)
    words: deque[Event] = field(default_factory=deque)
    reserved: list[AttemptReservation] = field(default_factory=list)
    spent: int = 0
    waits: bool = False
    held: bool = False

    def obey(self) -> None:
        """Take one command; who waited for money tries again."""
        if self.commands:
            command = self.commands.popleft()
            self.spending.allow(command.allowances, command.number)
            if self.waits:
                self.begin_attempt()

    def begin_attempt(self) -> bool:
        """Reserve a probe; return whether that was allowed. Who must wait says so."""
        reservation = self.spending.reserve("r", PROBE)
        self.waits = reservation is None
        held = reservation is None and not self.spending.awaits_more("r")
        if held != self.held:
            self.held = held
            self.words.append(Held(at_ns=1, reason="budget", route="r", released=not held))
        if reservation is None:
            return False
        self.reserved.append(reservation)
        self.words.append(
            AttemptStarted(
                at_ns=1,
                route="r",
                probe="1",
                attempt=0,
                scheduled_ns=0,
                admitted_ns=0,
                cohort="",
                reserved_tokens=PROBE,
            )
        )
        return True

    def end_attempt(self, charged: int) -> None:
        """Settle an open reservation."""
        if self.reserved:
            self.spending.settle(self.reserved.pop(), charged, 0.0)
            self.spent += charged
            self.words.append(finished(charged))

    def speak(self) -> None:
        """Say what is spent and reserved."""
        self.words.append(Batch(at_ns=1, seq=1, health=Health(), money=self.spending.report()))


def finished(charged: int) -> AttemptFinished:
    """Return the end of an attempt that was charged so much."""
    return AttemptFinished(
        at_ns=2,
        route="r",
        probe="1",
        attempt=0,
        outcome="ok",
        stamps_ns=StampLadder(),
        charged_tokens=charged,
        reserved_tokens=PROBE,
    )


class Run:
    """Engines of one run and their leases."""

    def __init__(self, shares: list[int], tokens: int, route: Route = ROUTE, **budget: float):
        limits: Any = {"route_tokens_per_hour": tokens, **budget}
        self.clock = ManualClock()
        self.ledger = Ledger(None)
        self.run = RunLedger(
            self.ledger, [route], Budget(**limits), clock=self.clock, engines=len(shares)
        )
        self.engines = [Engine() for _ in shares]
        self.shares = shares
        self.tokens = tokens
        self.dead = 0
        """What engines that are gone have really spent."""
        self.leases = [
            BudgetLease(self.run, [with_concurrency(route, share)], clock=self.clock, engine=place)
            for place, share in enumerate(shares)
        ]

    async def begin(self, *engines: int) -> None:
        """Let engines begin: each obeys its first allowance before it does anything."""
        for engine in engines or range(len(self.engines)):
            self.engines[engine].commands.append(await self.leases[engine].begin())
            self.engines[engine].obey()

    async def ask(self, engine: int) -> None:
        """Put a new allowance on its way."""
        allow = await self.leases[engine].top_up()
        assert allow is not None
        self.engines[engine].commands.append(allow)

    def hear(self, engine: int) -> None:
        """Take one word of an engine."""
        if self.engines[engine].words:
            self.leases[engine].fold(self.engines[engine].words.popleft())

    async def wait_for_more(self, engine: int) -> None:
        """Let an engine use up what it has, and more than there is, and be heard."""
        busy = self.engines[engine]
        while busy.begin_attempt():
            pass
        while busy.words:
            self.hear(engine)
        await self.ask(engine)
        busy.obey()
        while busy.words:
            self.hear(engine)
        assert busy.held

    async def replace(self, engine: int, *, in_order: bool) -> None:
        """Let an engine end and start again; of a killed one the last words are not heard."""
        gone = self.engines[engine]
        self.dead += gone.spent + PROBE * len(gone.reserved)
        while gone.words and in_order:
            self.hear(engine)
        # What it is known to have left open is charged whole, as whoever finds it dead does.
        lease = self.leases[engine]
        for _ in range(lease._routes["r"].reserved // PROBE):
            lease.fold(finished(PROBE))
        lease.end_engine(in_order=in_order)
        self.engines[engine] = Engine()
        await self.begin(engine)

    async def settle(self) -> None:
        """Let all that is on its way arrive, and the money go round."""
        for _ in range(12):
            for number, engine in enumerate(self.engines):
                while engine.commands:
                    engine.obey()
                engine.speak()
                while engine.words:
                    self.hear(number)
            for number in range(len(self.engines)):
                await self.ask(number)
            self.clock.now_ns += NS // 5

    @property
    def committed(self) -> int:
        """What all engines together have really spent and reserved, dead ones included."""
        alive = sum(one.spent + PROBE * len(one.reserved) for one in self.engines)
        return self.dead + alive

    async def close(self) -> int:
        """End the run in order, its open attempts charged whole; return what the ledger knows."""
        for number, engine in enumerate(self.engines):
            while engine.reserved:
                engine.end_attempt(PROBE)
            while engine.words:
                self.hear(number)
            await self.leases[number].close(in_order=True)
        await self.run.close()
        return self.ledger.used()[0]


def with_concurrency(route: Route, share: int) -> Route:
    """Return an engine's part of a route."""
    return Route(
        name=route.name,
        base_url=route.base_url,
        model=route.model,
        prompt=route.prompt,
        max_tokens=route.max_tokens,
        price=route.price,
        concurrency=share,
    )


async def test_engines_at_several_places_share_the_budget_of_their_route() -> None:
    routes = [*routes_at((ROUTE,), "eu"), *routes_at((ROUTE,), "us")]
    clock = ManualClock()
    budget: Any = {"route_tokens_per_hour": 3 * PROBE}
    run = RunLedger(Ledger(None), routes, Budget(**budget), clock=clock, engines=2)
    granted: list[int] = []
    for number, route in enumerate(routes):
        lease = BudgetLease(run, [route], clock=clock, engine=number)
        granted.append(of_route(await lease.begin(), route.name).tokens)
    assert granted == [2 * PROBE, PROBE]


async def test_each_engine_leases_for_its_own_workers() -> None:
    run = Run([3, 1, 0], tokens=100_000)
    await run.begin()
    allowed = [engine.spending._allowances["r"].tokens for engine in run.engines]
    assert allowed == [3 * PROBE, 2 * PROBE, 0]


async def test_the_last_probe_of_a_budget_is_not_stranded_in_halves() -> None:
    run = Run([1, 1], tokens=150)
    await run.begin()
    assert [engine.begin_attempt() for engine in run.engines] == [True, False]


async def test_what_pays_for_no_probe_is_given_back_and_put_together() -> None:
    run = Run([1, 1], tokens=250)
    await run.begin()
    for engine in run.engines:
        if engine.begin_attempt():
            engine.end_attempt(PROBE // 2)
    await run.settle()
    began = sum(engine.begin_attempt() for engine in run.engines for _ in range(3))
    await run.settle()
    began += sum(engine.begin_attempt() for engine in run.engines for _ in range(3))
    assert began == (250 - run.committed + PROBE * began) // PROBE >= 1


async def test_what_an_idle_engine_has_is_given_back_for_one_that_waits() -> None:
    run = Run([1, 1], tokens=400)
    await run.begin()
    busy = run.engines[0]
    assert [busy.begin_attempt() for _ in range(3)] == [True, True, False]
    await run.settle()
    assert len(busy.reserved) == 3
    assert not busy.begin_attempt() or not busy.begin_attempt()
    await run.settle()
    assert len(busy.reserved) == 4


async def test_an_engine_that_waits_too_keeps_what_it_has() -> None:
    run = Run([1, 1], tokens=300)
    await run.begin()
    first, second = run.engines
    assert [first.begin_attempt() for _ in range(3)] == [True, True, False]
    assert [second.begin_attempt() for _ in range(2)] == [True, False]
    await run.settle()
    assert all(engine.held for engine in run.engines)
    assert run.committed == 300
    first.end_attempt(0)
    await run.settle()
    assert run.committed == 300
    assert [first.held, second.held].count(True) == 1


async def test_what_is_given_back_is_free_only_when_the_engine_has_obeyed() -> None:
    run = Run([1, 1], tokens=400)
    await run.begin()
    busy, idle = run.engines
    await run.wait_for_more(0)
    await run.ask(1)
    assert of_route(idle.commands[0]).tokens == 0
    await run.ask(0)
    assert of_route(busy.commands.pop()).tokens == 200
    assert [idle.begin_attempt(), idle.begin_attempt()] == [True, True]  # it has not heard yet
    await run.settle()
    assert not busy.begin_attempt()
    assert run.committed == 400


async def test_an_older_word_of_an_engine_frees_nothing() -> None:
    run = Run([1, 1], tokens=400)
    await run.begin()
    busy, idle = run.engines
    idle.speak()
    await run.wait_for_more(0)
    await run.ask(1)
    run.hear(1)  # said before it was told to give back
    await run.ask(1)
    await run.ask(0)
    assert of_route(busy.commands[-1]).tokens == 200


async def test_what_an_engine_has_reserved_and_not_begun_is_not_given_back() -> None:
    run = Run([1, 1], tokens=400)
    await run.begin()
    await run.wait_for_more(0)
    await run.ask(1)
    idle = run.engines[1]
    assert idle.spending.reserve("r", PROBE) is not None  # admitted, and not sent yet
    idle.obey()
    idle.speak()
    run.hear(1)
    await run.ask(1)
    await run.ask(0)
    assert of_route(run.engines[0].commands[-1]).tokens == 400 - PROBE


async def test_what_was_spent_since_an_engine_obeyed_is_no_more_in_its_hands() -> None:
    run = Run([8], tokens=100_000)
    await run.begin()
    engine = run.engines[0]
    assert [engine.begin_attempt(), engine.begin_attempt()] == [True, True]
    run.leases[0].expect(SetKnob(route="r", knob="concurrency", value=0, part=True))
    while engine.words:
        run.hear(0)
    await run.ask(0)
    engine.obey()
    engine.speak()
    engine.end_attempt(30)
    while engine.words:
        run.hear(0)
    await run.ask(0)
    assert run.ledger.report().routes[0].leased_tokens == 2 * PROBE - 30


async def test_an_engine_that_obeys_the_first_of_two_lower_allowances_may_spend_that() -> None:
    run = Run([1, 1], tokens=2_000)
    await run.begin()
    engine, lease = run.engines[0], run.leases[0]
    lease.expect(Burst(route="r", count=10))
    await run.ask(0)
    engine.obey()
    lease.expect(SetKnob(route="r", knob="max_tokens", value=1))
    await run.ask(0)  # ten probes cost little now
    lease.expect(SetKnob(route="r", knob="concurrency", value=0, part=True))
    lease._routes["r"].burst = 0
    await run.ask(0)
    first, second = (of_route(command).tokens for command in engine.commands)
    assert first > second == 0
    engine.obey()
    engine.speak()
    run.hear(0)
    await run.ask(0)
    assert run.ledger.report().routes[0].leased_tokens == 2 * PROBE + 12 * PROBE
    engine.obey()
    engine.speak()
    run.hear(0)
    await run.ask(0)
    assert run.ledger.report().routes[0].leased_tokens == 2 * PROBE


async def test_an_engine_that_lost_its_workers_gives_back_what_it_had_for_them() -> None:
    run = Run([8, 1], tokens=1_100)
    await run.begin()
    run.leases[0].expect(SetKnob(route="r", knob="concurrency", value=0, part=True))
    await run.settle()
    assert run.ledger.report().routes[0].leased_tokens == 2 * PROBE


async def test_a_route_that_has_become_slow_gives_most_of_its_lease_back() -> None:
    run = Run([1], tokens=100_000)
    await run.begin()
    run.leases[0]._routes["r"].paced = 10**6
    await run.clock.advance(1.0)
    await run.ask(0)
    assert run.ledger.report().routes[0].leased_tokens == 100_000 // 10
    await run.clock.advance(60.0)
    await run.settle()
    assert run.ledger.report().routes[0].leased_tokens == 2 * PROBE


async def test_a_burst_brings_its_money_to_an_engine_without_workers_and_no_more() -> None:
    run = Run([1, 0], tokens=100_000)
    await run.begin()
    run.leases[1].expect(Burst(route="r", count=3))
    await run.settle()
    assert [run.engines[1].begin_attempt() for _ in range(4)] == [True, True, True, False]
    await run.settle()
    assert len(run.engines[1].reserved) == 3


async def test_what_a_killed_engine_had_in_its_hands_is_spent_and_the_others_are_not() -> None:
    run = Run([1, 1], tokens=100_000)
    await run.begin()
    assert run.engines[0].begin_attempt()
    run.engines[0].end_attempt(30)
    await run.replace(0, in_order=False)
    assert run.ledger.used(route_key(ROUTE))[0] == 2 * PROBE
    await run.replace(1, in_order=True)
    await run.settle()
    assert run.ledger.used(route_key(ROUTE))[0] == 2 * PROBE


async def test_what_an_engine_that_was_told_to_give_back_had_counts_whole_when_it_is_killed() -> (
    None
):
    run = Run([1, 1], tokens=400)
    await run.begin()
    await run.wait_for_more(1)
    await run.ask(0)
    assert of_route(run.engines[0].commands[0]).tokens == 0  # and it has not obeyed
    await run.replace(0, in_order=False)
    assert run.ledger.used()[0] == 200


async def test_an_engine_that_is_not_started_again_keeps_no_money() -> None:
    run = Run([1, 1], tokens=100_000)
    await run.begin()
    run.leases[0].end_engine(in_order=True)
    await run.leases[0].top_up()
    assert run.ledger.report().routes[0].leased_tokens == 2 * PROBE


async def test_the_leases_of_a_run_take_no_more_of_a_limit_than_that_of_one_engine() -> None:
    tokens = 100_000
    for engines in (1, 4):
        run = Run([1] * engines, tokens=tokens)
        await run.begin()
        for _ in range(3):
            for number in range(engines):
                run.leases[number].fold(finished(PROBE))
                run.leases[number]._routes["r"].paced = 10**6
            await run.clock.advance(1.0)
            for number in range(engines):
                await run.ask(number)
        assert run.ledger.report().routes[0].leased_tokens <= tokens // 10


async def test_dollars_are_leased_and_given_back_like_tokens() -> None:
    priced = Route(
        name="r",
        base_url="http://x",
        model="m",
        prompt="x" * 40,
        max_tokens=90,
        price=Price(input=2.0, output=2.0),
    )
    probe_usd = PROBE * 2e-6
    run = Run([1, 1], 100_000, priced, route_usd_per_hour=3.5 * probe_usd)
    await run.begin()
    told = [engine.spending._allowances["r"].usd or 0.0 for engine in run.engines]
    assert [round(usd / probe_usd, 6) for usd in told] == [2.0, 1.5]
    run.leases[0].end_engine(in_order=True)
    await run.leases[0].top_up()
    await run.ask(1)
    assert round((of_route(run.engines[1].commands[-1]).usd or 0.0) / probe_usd, 6) == 2.0


async def test_a_budget_in_dollars_is_used_up_to_what_a_probe_really_reserves() -> None:
    dear = Route(
        name="r",
        base_url="http://x",
        model="m",
        prompt="x" * 40_000,
        max_tokens=100,
        price=Price(input=1.0, output=10.0),
    )
    probe_usd = (10_000 * 1.0 + 100 * 10.0) / 1e6
    run = Run([1], 1_000_000, dear, route_usd_per_hour=1.5 * probe_usd)
    await run.begin()
    engine = run.engines[0]
    assert engine.spending.reserve("r", 10_100, probe_usd) is not None
    assert engine.spending.reserve("r", 10_100, probe_usd) is None


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("begin", "end", "speak", "hear", "obey", "ask", "replace", "kill")),
        st.integers(0, 3),
        st.integers(0, PROBE),
    ),
    max_size=60,
)


@pytest.mark.usefixtures("no_threads")
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.integers(0, 4), min_size=4, max_size=4).filter(any),
    st.integers(0, 2_000),
    STEPS,
)
def test_together_they_never_overspend_and_nothing_is_stranded(
    shares: list[int], tokens: int, steps: list[tuple[str, int, int]]
) -> None:
    anyio.run(_live, shares, tokens, steps)


async def _live(shares: list[int], tokens: int, steps: list[tuple[str, int, int]]) -> None:
    run = Run(shares, tokens)
    await run.begin()
    for what, number, amount in steps:
        engine = run.engines[number]
        deeds: dict[str, Callable[[], object]] = {
            "begin": engine.begin_attempt,
            "end": partial(engine.end_attempt, amount),
            "speak": engine.speak,
            "hear": partial(run.hear, number),
            "obey": engine.obey,
            "ask": partial(run.ask, number),
            "replace": partial(run.replace, number, in_order=True),
            "kill": partial(run.replace, number, in_order=False),
        }
        done = deeds[what]()
        if isinstance(done, Awaitable):
            await done
        assert run.committed <= run.tokens
    await run.settle()
    open_tokens = PROBE * sum(len(engine.reserved) for engine in run.engines)
    while run.ledger.used()[0] + open_tokens + PROBE <= run.tokens:
        before = run.committed
        for engine, share in zip(run.engines, shares, strict=True):
            if share:
                engine.begin_attempt()
        await run.settle()
        await run.settle()
        for engine, share in zip(run.engines, shares, strict=True):
            if share:
                engine.begin_attempt()
        assert run.committed > before, "stranded"
        assert run.committed <= run.tokens
        await run.settle()
        open_tokens = PROBE * sum(len(engine.reserved) for engine in run.engines)
    committed = run.committed
    assert committed <= await run.close() <= run.tokens
