"""A run's money: leased ahead, never beyond the ledger."""

import threading
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec
import pytest
from changed import replace
from clocks import ManualClock

from probes.config import Budget, Price, Route
from probes.control.commands import Allow, Allowance
from probes.control.wanted import wanted_of
from probes.events import AttemptFinished, AttemptStarted, Hello, RouteInfo, StampLadder
from probes.money.budget_lease import Purse, unenforceable_budgets
from probes.money.ledger import Ask, Grant, Ledger
from probes.money.ledger_file import LedgerError

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("closed_ledgers")]

ROUTE = Route(name="r", base_url="http://x", model="m", prompt="x" * 40, max_tokens=90)
PROBE = 100  # tokens a probe may cost: 10 of the prompt and the cap
BUDGET = Budget(tokens_per_hour=100_000, route_tokens_per_hour=50_000)


def purse(ledger: Ledger, route: Route = ROUTE, budget: Budget = BUDGET) -> Purse:
    """Return the purse of a run of one route."""
    return Purse(ledger, [route], budget, clock=ManualClock())


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


async def topped_up(money: Purse, route: Route = ROUTE, *, anew: bool = False) -> Allow:
    """Ask for more; return the answer, which there is."""
    allow = await money.top_up(wanted_of((route,)), anew=anew, patient=False)
    assert allow is not None
    return allow


@pytest.mark.parametrize(
    ("concurrency", "interval", "engines", "probes"),
    [
        (1, 5.0, 1, 2),  # the one to come, and one more
        (1, 0.0, 1, 2),
        (8, 0.0, 1, 9),  # all of them may begin at once
        (50, 5.0, 1, 21),  # two seconds of them
        (50, 500.0, 1, 2),
        (8, 0.0, 2, 10),  # each engine has one more
        (1, 5.0, 2, 2),  # one has no workers
    ],
)
async def test_leased_is_what_will_be_in_flight_in_two_seconds(
    concurrency: int, interval: float, engines: int, probes: int
) -> None:
    route = msgspec.structs.replace(ROUTE, concurrency=concurrency, interval=interval)
    money = Purse(Ledger(None), [route], BUDGET, clock=ManualClock(), engines=engines)
    allow = await topped_up(money, route)
    assert of_route(allow).tokens == of_route(allow, "").tokens == probes * PROBE
    assert of_route(allow).limit_tokens == 50_000
    assert of_route(allow, "").limit_tokens == 100_000
    assert of_route(allow).more


async def test_what_is_in_flight_is_leased_and_the_next_of_each_worker() -> None:
    route = msgspec.structs.replace(ROUTE, concurrency=8, interval=0.0)
    money = purse(Ledger(None), route)
    await topped_up(money, route)
    for _ in range(8):
        money.fold(started())
    assert of_route(await topped_up(money, route)).tokens == (8 + 9) * PROBE


async def test_a_fast_route_leases_two_seconds_of_its_rate_and_a_slow_one_gives_it_up_again() -> (
    None
):
    clock = ManualClock()
    money = Purse(Ledger(None), [ROUTE], BUDGET, clock=clock)
    await topped_up(money)
    spent = 0
    for _ in range(10):
        for _ in range(10):
            money.fold(started())
            money.fold(finished(PROBE))
        spent += 10 * PROBE
        await clock.advance(1.0)
        allow = await topped_up(money)
    assert 1_900 <= of_route(allow).tokens - spent <= 2_000
    await clock.advance(60.0)
    await topped_up(money)
    for _ in range(18):
        money.fold(started())
        money.fold(finished(PROBE))
    await clock.advance(60.0)
    assert of_route(await topped_up(money)).tokens == spent + 18 * PROBE + 2 * PROBE


async def test_allowances_count_up_with_what_was_spent() -> None:
    money = purse(Ledger(None))
    await topped_up(money)
    money.fold(started())
    money.fold(finished(60))
    allow = await topped_up(money)
    assert of_route(allow).tokens == 60 + 2 * PROBE
    assert of_route(allow).used_tokens == 60


async def test_a_new_engine_counts_from_nothing_but_the_hour_does_not() -> None:
    money = purse(Ledger(None))
    await topped_up(money)
    money.fold(started())
    money.fold(finished(60))
    allow = await topped_up(money, anew=True)
    assert of_route(allow).tokens == 2 * PROBE
    assert of_route(allow).used_tokens == 60


async def test_what_a_killed_engine_had_in_its_hands_is_spent() -> None:
    money = purse(Ledger(None))
    await topped_up(money)
    money.fold(started())
    money.fold(finished(60))
    money.fold(started())
    money.fold(finished(PROBE))  # found open, and charged as reserved
    money.lose_all()
    allow = await topped_up(money, anew=True)
    assert of_route(allow).tokens >= 2 * PROBE
    assert of_route(allow).used_tokens == 2 * PROBE


async def test_at_the_end_an_engine_that_had_to_be_killed_has_spent_all_it_could() -> None:
    ledger = Ledger(None)
    money = purse(ledger)
    await topped_up(money)
    money.fold(started())
    money.fold(finished(60))
    await money.close(in_order=False)
    assert ledger.used() == (2 * PROBE, 0.0)


async def test_at_the_limit_nothing_more_is_allowed() -> None:
    small = Budget(tokens_per_hour=100_000, route_tokens_per_hour=250)
    money = purse(Ledger(None), budget=small)
    allow = await topped_up(money)
    assert of_route(allow).tokens == 200
    for _ in range(2):
        money.fold(started())
        money.fold(finished(100))
    assert of_route(await topped_up(money)).tokens == 250
    assert not money.runs_low


async def test_it_runs_low_before_it_is_dry() -> None:
    money = purse(Ledger(None))
    await money.top_up(wanted_of((ROUTE,)))
    assert not money.runs_low
    for _ in range(2):
        money.fold(started())
    assert money.runs_low
    await money.top_up(wanted_of((ROUTE,)))
    assert not money.runs_low


async def test_the_engines_own_estimate_of_a_prompt_counts() -> None:
    money = purse(Ledger(None))
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
    allow = await topped_up(money)
    assert of_route(allow).tokens == 2 * 150


@pytest.mark.parametrize(("begun", "left"), [(0, 5), (1, 4), (3, 2), (5, 0), (7, 0)])
async def test_what_has_begun_of_a_burst_is_no_longer_ahead(begun: int, left: int) -> None:
    money = purse(Ledger(None))
    usual = of_route(await topped_up(money)).tokens
    money.expect_burst("r", 5)
    for _ in range(begun):
        money.fold(started())
    assert of_route(await topped_up(money)).tokens == usual + (begun + left) * PROBE


async def test_a_burst_is_leased_for_ahead() -> None:
    money = purse(Ledger(None))
    money.expect_burst("r", 60)
    allow = await topped_up(money)
    assert of_route(allow).tokens == 62 * PROBE


async def test_dollars_are_allowed_at_the_dearest_price_of_a_token() -> None:
    route = Route(
        name="r",
        base_url="http://x",
        model="m",
        prompt="x" * 40,
        max_tokens=90,
        price=Price(input=1.0, output=2.0),
    )
    money = purse(Ledger(None), route, Budget(usd_per_hour=1.0))
    allow = await topped_up(money, route)
    assert of_route(allow).usd == pytest.approx(2 * PROBE * 2e-6)
    assert of_route(allow, "").usd == pytest.approx(2 * PROBE * 2e-6)
    money.fold(started())
    money.fold(finished(50, usd=50 * 2e-6))
    allow = await topped_up(money, route)
    assert of_route(allow).used_usd == pytest.approx(50 * 2e-6)


async def test_an_unknown_price_leaves_the_token_budget_alone_to_bind() -> None:
    budget = Budget(usd_per_hour=1.0)
    allow = await topped_up(purse(Ledger(None), budget=budget))
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
    allow = await topped_up(purse(Ledger(None), budget=budget))
    told = {name: of_route(allow, name) for name in ("", "r")}
    assert (told[""].limit_tokens, told[""].limit_usd) == (100_001, 2.25)
    assert (told["r"].limit_tokens, told["r"].limit_usd) == (50_001, 1.25)


class Failing(Ledger):
    """A ledger that cannot be used while it is told so."""

    failing = False

    def exchange(self, run: str, asks: Sequence[Ask], budget: Budget) -> dict[str, Grant]:
        """Fail, or not."""
        if self.failing:
            raise LedgerError("the spending ledger L cannot be used: it is locked")
        return super().exchange(run, asks, budget)


async def test_a_ledger_that_fails_once_is_asked_again_before_anything_is_said() -> None:
    ledger = Failing(None)
    money = purse(ledger)
    await topped_up(money)
    ledger.failing = True
    assert await money.top_up(wanted_of((ROUTE,))) is None
    assert money.doubt == ""
    ledger.failing = False
    assert await money.top_up(wanted_of((ROUTE,))) is not None
    assert money.take_news() == []


async def test_while_the_ledger_fails_the_emergency_part_is_all_and_all_is_settled_later() -> None:
    clock = ManualClock()
    ledger = Failing(None)
    money = Purse(ledger, [ROUTE], BUDGET, clock=clock)
    await topped_up(money)
    ledger.failing = True
    allow = await topped_up(money)
    (news,) = money.take_news()
    assert "it is locked; until it works again all routes may spend 1,000 tokens" in news
    assert "a route 500" in news
    assert of_route(allow, "").doubt.endswith("it is locked")
    assert of_route(allow).limit_tokens == 500
    spent = 0
    while spent + PROBE <= of_route(allow).tokens:
        money.fold(started())
        money.fold(finished(PROBE, usd=0.25))
        spent += PROBE
        allow = await topped_up(money)
    assert spent == 500
    assert not of_route(allow).more
    ledger.failing = False
    assert of_route(await topped_up(money)).limit_tokens == 500  # it is tried every 5 s
    await clock.advance(5.0)
    allow = await topped_up(money)
    assert ledger.used() == (500, 0.25 * (500 // PROBE))
    assert of_route(allow).tokens == 500 + 2 * PROBE
    assert of_route(allow, "").doubt == money.doubt == ""
    assert money.take_news() == [
        "the spending ledger works again: what was spent meanwhile is settled"
    ]


@pytest.mark.parametrize(("used", "left"), [(49_600, 400), (50_000, 0), (10_000, 500)])
async def test_an_emergency_is_no_more_than_what_is_left_of_the_budget(
    used: int, left: int
) -> None:
    ledger = Failing(None)
    money = purse(ledger)
    money.fold(started())
    money.fold(finished(used))
    before = of_route(await topped_up(money)).tokens
    ledger.failing = True
    money.expect_burst("r", 100)
    allow = await topped_up(money)
    assert of_route(allow).tokens == used + left
    assert before >= used


async def test_once_lifted_the_budgets_count_from_what_the_run_knows_and_it_still_settles() -> None:
    clock = ManualClock()
    ledger = Failing(None)
    money = Purse(ledger, [ROUTE], BUDGET, clock=clock)
    money.fold(started())
    money.fold(finished(49_000))
    await topped_up(money)
    ledger.failing = True
    money.expect_burst("r", 100)
    assert of_route(await topped_up(money)).tokens == 49_000 + 500
    money.fold(started())
    money.fold(finished(100))
    await topped_up(money)
    assert await money.lift()
    assert money.doubt == ""
    assert not await money.lift()
    allow = await topped_up(money)
    assert of_route(allow).tokens == 50_000
    assert of_route(allow).limit_tokens == 50_000
    await clock.advance(5.0)
    ledger.failing = False
    await topped_up(money)
    assert ledger.used() == (49_100, 0.0)


async def test_what_a_run_has_not_settled_at_its_end_is_counted_apart_and_settled_later(
    tmp_path: Path,
) -> None:
    apart = tmp_path / "runtime" / "emergency.sqlite3"
    ledger = Failing(None)
    money = Purse(ledger, [ROUTE], BUDGET, clock=ManualClock(), apart=apart)
    ledger.failing = True
    await topped_up(money)
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
    money = Purse(ledger, [ROUTE], BUDGET, clock=ManualClock(), apart=apart)
    ledger.failing = True
    await topped_up(money)
    money.fold(finished(70))
    with pytest.raises(LedgerError, match="is lost"):
        await money.close()


class Slow(Ledger):
    """A ledger that answers when it may."""

    def __init__(self) -> None:
        super().__init__(None)
        self.may_answer = threading.Event()
        self.asked = threading.Event()

    def exchange(self, run: str, asks: Sequence[Ask], budget: Budget) -> dict[str, Grant]:
        """Wait, then answer."""
        self.asked.set()
        self.may_answer.wait(10)
        return super().exchange(run, asks, budget)


async def test_what_is_told_while_the_run_is_ended_is_not_told_again() -> None:
    ledger = Slow()
    money = purse(ledger)
    money.fold(started())
    money.fold(finished(70))
    async with anyio.create_task_group() as group:
        group.start_soon(topped_up, money)
        while not ledger.asked.is_set():  # noqa: ASYNC110 - a thread sets it
            await anyio.sleep(0.001)
        group.cancel_scope.cancel()
        threading.Timer(0.05, ledger.may_answer.set).start()
    await money.close()
    assert ledger.used() == (70, 0.0)


async def test_a_ledger_that_never_answers_is_one_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("probes.money.budget_lease.ANSWER_S", 0.05)
    ledger = Slow()
    money = purse(ledger)
    allow = await topped_up(money)
    assert 0 < of_route(allow, "").tokens <= 1_000
    assert "has not answered" in money.doubt
    ledger.may_answer.set()


async def test_an_engine_is_never_without_a_limit() -> None:
    ledger = Failing(None)
    ledger.failing = True
    money = purse(ledger)
    allow = await money.top_up(wanted_of((ROUTE,)), anew=True, patient=False)
    assert allow is not None
    assert 0 < of_route(allow, "").tokens <= 1_000


async def test_closing_settles_and_frees_what_was_leased() -> None:
    ledger = Ledger(None)
    money = purse(ledger)
    await money.top_up(wanted_of((ROUTE,)))
    money.fold(started())
    money.fold(finished(70))
    await money.close()
    assert ledger.used() == (70, 0.0)
    other = Budget(tokens_per_hour=100_000, route_tokens_per_hour=1_000)
    allow = await topped_up(purse(ledger, budget=other))
    assert of_route(allow).tokens == 200


async def test_it_is_at_rest_when_the_ledger_knows_everything_and_gave_everything() -> None:
    one, wanted = purse(Ledger(None)), wanted_of((ROUTE,))
    assert not one.at_rest
    await one.top_up(wanted)
    assert one.at_rest
    one.fold(started())
    assert not one.at_rest
    one.fold(finished(60))
    assert not one.at_rest
    await one.top_up(wanted)
    assert one.at_rest


async def test_at_the_budget_it_is_never_at_rest() -> None:
    one = purse(Ledger(None), budget=Budget(tokens_per_hour=150, route_tokens_per_hour=150))
    await one.top_up(wanted_of((ROUTE,)))
    assert not one.at_rest


@pytest.mark.parametrize(("usd", "more"), [(1.0, True), (1e-6, False)])
async def test_a_lease_that_lacks_usd_is_not_whole(usd: float, more: bool) -> None:
    route = replace(ROUTE, price=Price(input=1.0, output=2.0))
    money = purse(Ledger(None), route, Budget(route_usd_per_hour=usd))
    assert of_route(await money.top_up(wanted_of((route,)))).more is more
