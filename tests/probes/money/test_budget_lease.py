"""A run's money: leased ahead, never beyond the ledger."""

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import anyio
import msgspec
import pytest
from changed import replace
from clocks import ManualClock

from probes.config import Budget, Price, Route
from probes.control.commands import Allow, Allowance, Burst, ProbeNow
from probes.events import (
    AttemptFinished,
    AttemptStarted,
    Batch,
    Committed,
    DoubtKind,
    Event,
    Health,
    Hello,
    MoneyReport,
    RouteInfo,
    StampLadder,
)
from probes.money.budget_lease import BudgetLease, unenforceable_budgets
from probes.money.lease_rules import OVERALL, Ask, Grant, route_key
from probes.money.ledger import Ledger
from probes.money.ledger_file import LedgerError
from probes.money.run_ledger import RunLedger

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("closed_ledgers")]

ROUTE = Route(name="r", base_url="http://x", model="m", prompt="x" * 40, max_tokens=90)
PROBE = 100  # tokens a probe may cost: 10 of the prompt and the cap
BUDGET = Budget(tokens_per_hour=100_000, route_tokens_per_hour=50_000)


class Scripted:
    """A shared ledger that grants what a test says, and keeps what it is told."""

    doubt = ""
    doubt_kind: DoubtKind = "unknown"

    def __init__(self, *grants: int) -> None:
        self.grants = list(grants)
        self.asks: list[Ask] = []

    def take_news(self) -> list[str]:
        return []

    def introduce(self, routes: Iterable[Route]) -> None:
        pass

    def attribute(self, run: str, recording: str) -> None:
        pass

    async def exchange(
        self, run: str, asks: Sequence[Ask], budget: Budget, *, engine: int = 0
    ) -> dict[str, Grant]:
        self.asks += asks
        grant = Grant(self.grants.pop(0) if self.grants else 0, 0.0, 0, 0.0)
        return {OVERALL: grant, **{ask.route: grant for ask in asks}}

    async def release(self, run: str) -> None:
        pass

    async def lift(self) -> None:
        pass


class Money:
    """The lease of a run's only engine, and the ledger as the run has it."""

    def __init__(
        self,
        ledger: Ledger | Scripted,
        route: Route = ROUTE,
        budget: Budget = BUDGET,
        *,
        clock: ManualClock | None = None,
        apart: Path | None = None,
    ) -> None:
        clock = clock or ManualClock()
        self.run = RunLedger(ledger, [route], budget, clock=clock, apart=apart)
        self.lease = BudgetLease(self.run, [route], clock=clock)
        self.begun = False

    def fold(self, *events: Event) -> None:
        for event in events:
            self.lease.fold(event)

    async def top_up(self) -> Allow | None:
        """Ask for more; a new engine begins with that."""
        if self.begun:
            return await self.lease.top_up()
        self.begun = True
        return await self.lease.begin()

    async def topped_up(self, *, anew: bool = False) -> Allow:
        """Ask for more until there is an answer."""
        self.begun = self.begun and not anew
        while (allow := await self.top_up()) is None:
            pass
        return allow

    async def close(self, *, in_order: bool = True) -> None:
        await self.lease.close(in_order=in_order)
        await self.run.close()


def started(reserved: int = PROBE) -> AttemptStarted:
    """Return the start of an attempt that reserves so much."""
    return AttemptStarted(
        at_ns=1,
        route="r",
        probe="1",
        attempt=0,
        scheduled_ns=0,
        admitted_ns=0,
        cohort="",
        reserved_tokens=reserved,
    )


def finished(charged: int, reserved: int = PROBE, usd: float | None = None) -> AttemptFinished:
    """Return the end of an attempt that was charged so much."""
    return AttemptFinished(
        at_ns=2,
        route="r",
        probe="1",
        attempt=0,
        outcome="ok",
        stamps_ns=StampLadder(),
        charged_tokens=charged,
        reserved_tokens=reserved,
        cost_usd=usd,
    )


def of_route(allow: Allow, route: str = "r") -> Allowance:
    """Return one route's allowance."""
    (allowance,) = (one for one in allow.allowances if one.route == route)
    return allowance


@pytest.mark.parametrize(
    ("concurrency", "interval", "probes"),
    [
        (1, 5.0, 2),  # the one to come, and one more
        (1, 0.0, 2),
        (8, 0.0, 9),  # all of them may begin at once
        (50, 5.0, 21),  # two seconds of them
        (50, 500.0, 2),
        (0, 5.0, 0),  # the part of one of several engines
    ],
)
async def test_leased_is_what_will_be_in_flight_in_two_seconds(
    concurrency: int, interval: float, probes: int
) -> None:
    route = msgspec.structs.replace(ROUTE, concurrency=concurrency, interval=interval)
    allow = await Money(Ledger(None), route).topped_up()
    assert of_route(allow).tokens == of_route(allow, "").tokens == probes * PROBE
    assert of_route(allow).limit_tokens == 50_000
    assert of_route(allow, "").limit_tokens == 100_000
    assert of_route(allow).more is (probes > 0)


@pytest.mark.parametrize(
    ("concurrency", "rate", "probes"),
    [
        (8, 0.1, 2),  # a slow pace needs no lease for all of its places
        (8, 2.0, 5),  # two seconds of it, and one more
        (8, 100.0, 9),  # no more than there are places for
        (8, 0.0, 1),  # an engine without a part of the pace: for whoever asks for one probe
    ],
)
async def test_leased_is_what_an_open_pace_begins_in_two_seconds(
    concurrency: int, rate: float, probes: int
) -> None:
    route = msgspec.structs.replace(ROUTE, concurrency=concurrency, pace="poisson", rate=rate)
    allow = await Money(Ledger(None), route).topped_up()
    assert of_route(allow).tokens == probes * PROBE


async def test_what_is_in_flight_is_leased_and_the_next_of_each_worker() -> None:
    route = msgspec.structs.replace(ROUTE, concurrency=8, interval=0.0)
    money = Money(Ledger(None), route)
    await money.topped_up()
    for _ in range(8):
        money.fold(started())
    assert of_route(await money.topped_up()).tokens == (8 + 9) * PROBE


async def test_a_fast_route_leases_two_seconds_of_its_rate_and_a_slow_one_gives_it_up_again() -> (
    None
):
    clock = ManualClock()
    money = Money(Ledger(None), ROUTE, BUDGET, clock=clock)
    await money.topped_up()
    spent = 0
    for _ in range(10):
        for _ in range(10):
            money.fold(started())
            money.fold(finished(PROBE))
        spent += 10 * PROBE
        await clock.advance(1.0)
        allow = await money.topped_up()
    assert 1_900 <= of_route(allow).tokens - spent <= 2_000
    await clock.advance(60.0)
    await money.topped_up()
    for _ in range(18):
        money.fold(started())
        money.fold(finished(PROBE))
    await clock.advance(60.0)
    assert of_route(await money.topped_up()).tokens == spent + 18 * PROBE + 2 * PROBE


async def test_allowances_count_up_with_what_was_spent() -> None:
    money = Money(Ledger(None))
    await money.topped_up()
    money.fold(started())
    money.fold(finished(60))
    allow = await money.topped_up()
    assert of_route(allow).tokens == 60 + 2 * PROBE
    assert of_route(allow).used_tokens == 60


async def test_a_new_engine_counts_from_nothing_but_the_hour_does_not() -> None:
    money = Money(Ledger(None))
    await money.topped_up()
    money.fold(started())
    money.fold(finished(60))
    allow = await money.topped_up(anew=True)
    assert of_route(allow).tokens == 2 * PROBE
    assert of_route(allow).used_tokens == 60


async def test_what_a_killed_engine_had_in_its_hands_is_spent() -> None:
    money = Money(Ledger(None))
    await money.topped_up()
    money.fold(started())
    money.fold(finished(60))
    money.fold(started())
    money.fold(finished(PROBE))  # found open, and charged as reserved
    money.lease.end_engine(in_order=False)
    allow = await money.topped_up(anew=True)
    assert of_route(allow).tokens >= 2 * PROBE
    assert of_route(allow).used_tokens == 2 * PROBE


async def test_at_the_end_an_engine_that_had_to_be_killed_has_spent_all_it_could() -> None:
    ledger = Ledger(None)
    money = Money(ledger)
    await money.topped_up()
    money.fold(started())
    money.fold(finished(60))
    await money.close(in_order=False)
    assert ledger.used() == (2 * PROBE, 0.0)


async def test_at_the_limit_nothing_more_is_allowed() -> None:
    small = Budget(tokens_per_hour=100_000, route_tokens_per_hour=250)
    money = Money(Ledger(None), budget=small)
    allow = await money.topped_up()
    assert of_route(allow).tokens == 200
    for _ in range(2):
        money.fold(started())
        money.fold(finished(100))
    assert of_route(await money.topped_up()).tokens == 200  # the 50 that are left pay for no probe
    assert not money.lease.is_due


async def test_it_runs_low_before_it_is_dry() -> None:
    money = Money(Ledger(None))
    await money.top_up()
    assert not money.lease.is_due
    for _ in range(2):
        money.fold(started())
    assert money.lease.is_due
    await money.top_up()
    assert not money.lease.is_due


async def test_the_engines_own_estimate_of_a_prompt_counts() -> None:
    money = Money(Ledger(None))
    info = RouteInfo(
        name="r",
        base_url="http://x",
        model="m",
        dialect="chat",
        concurrency=1,
        interval=5.0,
        max_tokens=90,
        prompt_tokens=60,
        stall_after=1.0,
        goal_ttft_s=1.0,
    )
    money.fold(Hello(at_ns=1, wall_ns=1, engine="1", version="0", routes=(info,), schema=1))
    allow = await money.topped_up()
    assert of_route(allow).tokens == 2 * 150


@pytest.mark.parametrize(("begun", "left"), [(0, 5), (1, 4), (3, 2), (5, 0), (7, 0)])
async def test_what_has_begun_of_a_burst_is_no_longer_ahead(begun: int, left: int) -> None:
    money = Money(Ledger(None))
    usual = of_route(await money.topped_up()).tokens
    money.lease.expect(Burst(route="r", count=5))
    for _ in range(begun):
        money.fold(started())
    assert of_route(await money.topped_up()).tokens == usual + (begun + left) * PROBE


async def test_a_burst_is_leased_for_ahead() -> None:
    money = Money(Ledger(None))
    await money.topped_up()
    money.lease.expect(Burst(route="r", count=60))
    assert of_route(await money.topped_up()).tokens == 62 * PROBE
    assert of_route(await money.topped_up(anew=True)).tokens == 2 * PROBE  # it was not told of it


async def test_a_probe_that_is_asked_for_is_leased_for_and_the_next_one_too() -> None:
    money = Money(Ledger(None), replace(ROUTE, concurrency=0))
    assert of_route(await money.topped_up()).tokens == 0
    money.lease.expect(ProbeNow(route="r"))
    assert of_route(await money.topped_up()).tokens == 2 * PROBE
    money.fold(started(), finished(PROBE))
    assert of_route(await money.topped_up()).tokens == PROBE + 2 * PROBE
    money.lease.expect(ProbeNow(route="nobody"))  # the engine says that there is none


async def test_dollars_are_allowed_at_the_dearest_price_of_a_token() -> None:
    route = Route(
        name="r",
        base_url="http://x",
        model="m",
        prompt="x" * 40,
        max_tokens=90,
        price=Price(input=1.0, output=2.0),
    )
    money = Money(Ledger(None), route, Budget(usd_per_hour=1.0))
    allow = await money.topped_up()
    assert of_route(allow).usd == pytest.approx(2 * PROBE * 2e-6)
    assert of_route(allow, "").usd == pytest.approx(2 * PROBE * 2e-6)
    money.fold(started())
    money.fold(finished(50, usd=50 * 2e-6))
    allow = await money.topped_up()
    assert of_route(allow).used_usd == pytest.approx(50 * 2e-6)


async def test_an_unknown_price_leaves_the_token_budget_alone_to_bind() -> None:
    budget = Budget(usd_per_hour=1.0)
    allow = await Money(Ledger(None), budget=budget).topped_up()
    assert of_route(allow).usd is None
    assert of_route(allow, "").usd is None
    ((route, words),) = unenforceable_budgets([ROUTE], budget)
    assert route == "r"
    assert "cannot be enforced" in words
    assert unenforceable_budgets([ROUTE], BUDGET) == []


async def test_each_limit_is_told_of_its_own_budget() -> None:
    budget = Budget(
        tokens_per_hour=100_001,
        route_tokens_per_hour=50_001,
        usd_per_hour=2.25,
        route_usd_per_hour=1.25,
    )
    allow = await Money(Ledger(None), budget=budget).topped_up()
    told = {name: of_route(allow, name) for name in ("", "r")}
    assert (told[""].limit_tokens, told[""].limit_usd) == (100_001, 2.25)
    assert (told["r"].limit_tokens, told["r"].limit_usd) == (50_001, 1.25)


class Failing(Ledger):
    """A ledger that cannot be used while it is told so."""

    failing = False

    def exchange(
        self, run: str, asks: Sequence[Ask], budget: Budget, *, engine: int = 0
    ) -> dict[str, Grant]:
        """Fail, or not."""
        if self.failing:
            raise LedgerError("the spending ledger L cannot be used: it is locked")
        return super().exchange(run, asks, budget, engine=engine)


async def test_a_ledger_that_fails_once_is_asked_again_before_anything_is_said() -> None:
    ledger = Failing(None)
    money = Money(ledger)
    await money.topped_up()
    ledger.failing = True
    assert await money.top_up() is None
    assert money.run.doubt == ""
    ledger.failing = False
    assert await money.top_up() is not None
    assert money.run.take_news() == []


async def test_while_the_ledger_fails_the_emergency_part_is_all_and_all_is_settled_later() -> None:
    clock = ManualClock()
    ledger = Failing(None)
    money = Money(ledger, ROUTE, BUDGET, clock=clock)
    await money.topped_up()
    ledger.failing = True
    allow = await money.topped_up()
    (news,) = money.run.take_news()
    assert "it is locked; until it works again all routes may spend 1,000 tokens" in news
    assert "a route 500" in news
    assert of_route(allow, "").doubt.endswith("it is locked")
    assert of_route(allow).limit_tokens == 500
    spent = 0
    while spent + PROBE <= of_route(allow).tokens:
        money.fold(started())
        money.fold(finished(PROBE, usd=0.25))
        spent += PROBE
        allow = await money.topped_up()
    assert spent == 500
    assert not of_route(allow).more
    ledger.failing = False
    assert of_route(await money.topped_up()).limit_tokens == 500  # it is tried every 5 s
    await clock.advance(5.0)
    allow = await money.topped_up()
    assert ledger.used() == (500, 0.25 * (500 // PROBE))
    assert of_route(allow).tokens == 500 + 2 * PROBE
    assert of_route(allow, "").doubt == money.run.doubt == ""
    assert money.run.take_news() == [
        "the spending ledger works again: what was spent meanwhile is settled"
    ]


def spent_by_another(ledger: Ledger, tokens: int) -> None:
    """Let another run have spent so much of the route."""
    ledger.exchange("other", [Ask(route_key(ROUTE), spent_tokens=tokens)], BUDGET)


@pytest.mark.parametrize(("used", "left"), [(49_600, 400), (50_000, 0), (10_000, 500)])
async def test_an_emergency_is_no_more_than_what_is_left_of_the_budget(
    used: int, left: int
) -> None:
    ledger = Failing(None)
    spent_by_another(ledger, used)
    money = Money(ledger)
    await money.topped_up()
    ledger.failing = True
    money.lease.expect(Burst(route="r", count=100))
    assert of_route(await money.topped_up()).tokens == left


async def test_once_lifted_the_budgets_count_from_what_the_run_knows_and_it_still_settles() -> None:
    clock = ManualClock()
    ledger = Failing(None)
    spent_by_another(ledger, 49_000)
    money = Money(ledger, ROUTE, BUDGET, clock=clock)
    await money.topped_up()
    ledger.failing = True
    money.lease.expect(Burst(route="r", count=100))
    assert of_route(await money.topped_up()).tokens == 500
    money.fold(started())
    money.fold(finished(100))
    await money.topped_up()
    money.run.lift()
    assert of_route(await money.topped_up()).tokens == 1_000
    assert "is lifted" in money.run.take_news()[-1]
    assert money.run.doubt == ""
    money.run.lift()
    allow = await money.topped_up()
    assert money.run.take_news() == []
    assert of_route(allow).tokens == 1_000
    assert of_route(allow).limit_tokens == 50_000
    await clock.advance(5.0)
    ledger.failing = False
    await money.topped_up()
    assert ledger.used() == (49_100, 0.0)


async def test_what_a_run_has_not_settled_at_its_end_is_counted_apart_and_settled_later(
    tmp_path: Path,
) -> None:
    apart = tmp_path / "runtime" / "emergency.sqlite3"
    ledger = Failing(None)
    money = Money(ledger, apart=apart)
    ledger.failing = True
    await money.topped_up()
    money.fold(started())
    money.fold(finished(70))
    with pytest.raises(LedgerError, match="is counted apart and settled later"):
        await money.close()
    later = Ledger(None)
    assert later.absorb(apart) == 70
    assert later.used() == (70, 0.0)
    assert later.absorb(apart) == 0
    assert later.used() == (70, 0.0)
    (run,) = later.report().runs
    assert run.alive is False


async def test_what_can_be_told_to_nobody_is_said_to_be_lost(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    ledger = Failing(None)
    apart = tmp_path / "file" / "emergency.sqlite3"
    money = Money(ledger, apart=apart)
    ledger.failing = True
    await money.topped_up()
    money.fold(finished(70))
    with pytest.raises(LedgerError, match="is lost"):
        await money.close()


class Slow(Ledger):
    """A ledger that answers when it may."""

    def __init__(self) -> None:
        super().__init__(None)
        self.may_answer = threading.Event()
        self.asked = threading.Event()

    def exchange(
        self, run: str, asks: Sequence[Ask], budget: Budget, *, engine: int = 0
    ) -> dict[str, Grant]:
        """Wait, then answer."""
        self.asked.set()
        self.may_answer.wait(10)
        return super().exchange(run, asks, budget, engine=engine)


async def test_what_is_told_while_the_run_is_ended_is_not_told_again() -> None:
    ledger = Slow()
    money = Money(ledger)
    money.fold(started())
    money.fold(finished(70))
    async with anyio.create_task_group() as group:
        group.start_soon(money.top_up)
        while not ledger.asked.is_set():  # noqa: ASYNC110 - a thread sets it
            await anyio.sleep(0.001)
        group.cancel_scope.cancel()
        threading.Timer(0.05, ledger.may_answer.set).start()
    await money.close()
    assert ledger.used() == (70, 0.0)


async def test_a_ledger_that_never_answers_is_one_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("probes.money.shared_ledger.ANSWER_S", 0.05)
    ledger = Slow()
    money = Money(ledger)
    allow = await money.topped_up()
    assert 0 < of_route(allow, "").tokens <= 1_000
    assert "has not answered" in money.run.doubt
    ledger.may_answer.set()


async def test_an_engine_is_never_without_a_limit() -> None:
    ledger = Failing(None)
    ledger.failing = True
    money = Money(ledger)
    allow = await money.top_up()
    assert allow is not None
    assert 0 < of_route(allow, "").tokens <= 1_000


async def test_closing_settles_and_frees_what_was_leased() -> None:
    ledger = Ledger(None)
    money = Money(ledger)
    await money.top_up()
    money.fold(started())
    money.fold(finished(70))
    await money.close()
    assert ledger.used() == (70, 0.0)
    other = Budget(tokens_per_hour=100_000, route_tokens_per_hour=1_000)
    allow = await Money(ledger, budget=other).topped_up()
    assert of_route(allow).tokens == 200


async def test_it_is_at_rest_when_the_ledger_knows_everything_and_gave_everything() -> None:
    one = Money(Ledger(None))
    assert not one.lease.at_rest
    await one.top_up()
    assert one.lease.at_rest
    one.fold(started())
    assert not one.lease.at_rest
    one.fold(finished(60))
    assert not one.lease.at_rest
    await one.top_up()
    assert one.lease.at_rest


async def test_at_the_budget_it_is_never_at_rest() -> None:
    one = Money(Ledger(None), budget=Budget(tokens_per_hour=150, route_tokens_per_hour=150))
    await one.top_up()
    assert not one.lease.at_rest


@pytest.mark.parametrize(("usd", "more"), [(1.0, True), (1e-6, False)])
async def test_a_lease_that_lacks_usd_is_not_whole(usd: float, more: bool) -> None:
    route = replace(ROUTE, price=Price(input=1.0, output=2.0))
    money = Money(Ledger(None), route, Budget(route_usd_per_hour=usd))
    assert of_route(await money.topped_up()).more is more


@pytest.mark.parametrize(("obeyed", "told"), [(None, 400), (0, 0), (100, 100)])
async def test_an_engine_that_dies_before_it_obeyed_has_spent_what_it_was_allowed_before(
    obeyed: int | None, told: int
) -> None:
    ledger = Scripted(400, 0)
    money = Money(ledger)
    await money.topped_up()
    lower = await money.topped_up()
    assert of_route(lower).tokens == 0
    if obeyed is not None:
        committed = (Committed("r", obeyed, 0.0),) if obeyed else ()
        report = MoneyReport(allow=lower.number, committed=committed)
        money.fold(Batch(at_ns=1, seq=1, health=Health(), money=report))
    await money.close(in_order=False)
    assert ledger.asks[-1].spent_tokens == told
