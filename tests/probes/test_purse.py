"""A run's money: leased ahead, never beyond the ledger."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from probes.clock import SystemClock
from probes.commands import Allow, Allowance
from probes.config import Budget, Price, Route
from probes.desired import desired_of
from probes.events import AttemptFinished, AttemptStarted, Hello, RouteInfo, StampLadder
from probes.ledger import Ledger, LedgerError
from probes.purse import Purse, unenforceable_budgets

pytestmark = pytest.mark.anyio

ROUTE = Route(name="r", base_url="http://x", model="m", prompt="x" * 40, max_tokens=90)
PROBE = 100  # tokens a probe may cost: 10 of the prompt and the cap
BUDGET = Budget(tokens_per_hour=100_000, route_tokens_per_hour=50_000)


@pytest.fixture(autouse=True)
def _closed_ledgers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close every ledger that a test opened."""
    opened: list[Ledger] = []
    begin = Ledger.__init__

    def note(ledger: Ledger, *args: Any, **settings: Any) -> None:
        begin(ledger, *args, **settings)
        opened.append(ledger)

    monkeypatch.setattr(Ledger, "__init__", note)
    yield
    for ledger in opened:
        ledger.close()


def purse(ledger: Ledger, route: Route = ROUTE, budget: Budget = BUDGET) -> Purse:
    """Return the purse of a run of one route."""
    return Purse(ledger, [route], budget, clock=SystemClock())


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


async def test_twenty_probes_are_leased_ahead() -> None:
    allow = await purse(Ledger(None)).top_up(desired_of((ROUTE,)))
    assert of_route(allow).tokens == 20 * PROBE
    assert of_route(allow, "").tokens == 20 * PROBE
    assert of_route(allow).limit_tokens == 50_000
    assert of_route(allow, "").limit_tokens == 100_000


async def test_twenty_probes_are_leased_ahead_for_each_engine_that_has_workers() -> None:
    for concurrency, working in ((1, 1), (2, 2), (8, 2)):
        route = msgspec.structs.replace(ROUTE, concurrency=concurrency)
        money = Purse(Ledger(None), [route], BUDGET, clock=SystemClock(), engines=2)
        allow = await money.top_up(desired_of((route,)))
        assert of_route(allow).tokens == 20 * PROBE * working


async def test_allowances_count_up_with_what_was_spent() -> None:
    money = purse(Ledger(None))
    await money.top_up(desired_of((ROUTE,)))
    money.fold(started())
    money.fold(finished(60))
    allow = await money.top_up(desired_of((ROUTE,)))
    assert of_route(allow).tokens == 60 + 20 * PROBE
    assert of_route(allow).used_tokens == 60


async def test_a_new_engine_counts_from_nothing_but_the_hour_does_not() -> None:
    money = purse(Ledger(None))
    await money.top_up(desired_of((ROUTE,)))
    money.fold(started())
    money.fold(finished(60))
    allow = await money.top_up(desired_of((ROUTE,)), new_engine=True)
    assert of_route(allow).tokens == 20 * PROBE
    assert of_route(allow).used_tokens == 60


async def test_at_the_limit_nothing_more_is_allowed() -> None:
    small = Budget(tokens_per_hour=100_000, route_tokens_per_hour=250)
    money = purse(Ledger(None), budget=small)
    allow = await money.top_up(desired_of((ROUTE,)))
    assert of_route(allow).tokens == 200
    for _ in range(2):
        money.fold(started())
        money.fold(finished(100))
    assert of_route(await money.top_up(desired_of((ROUTE,)))).tokens == 250
    assert not money.runs_low


async def test_it_runs_low_before_it_is_dry() -> None:
    money = purse(Ledger(None))
    await money.top_up(desired_of((ROUTE,)))
    assert not money.runs_low
    for _ in range(11):
        money.fold(started())
    assert money.runs_low
    await money.top_up(desired_of((ROUTE,)))
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
    allow = await money.top_up(desired_of((ROUTE,)))
    assert of_route(allow).tokens == 20 * 150


async def test_a_burst_is_leased_for_ahead() -> None:
    money = purse(Ledger(None))
    money.expect_burst("r", 60)
    allow = await money.top_up(desired_of((ROUTE,)))
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
    allow = await money.top_up(desired_of((route,)))
    assert of_route(allow).usd == pytest.approx(20 * PROBE * 2e-6)
    assert of_route(allow, "").usd == pytest.approx(20 * PROBE * 2e-6)
    money.fold(started())
    money.fold(finished(50, usd=50 * 2e-6))
    allow = await money.top_up(desired_of((route,)))
    assert of_route(allow).used_usd == pytest.approx(50 * 2e-6)


async def test_an_unknown_price_leaves_the_token_budget_alone_to_bind() -> None:
    budget = Budget(usd_per_hour=1.0)
    allow = await purse(Ledger(None), budget=budget).top_up(desired_of((ROUTE,)))
    assert of_route(allow).usd is None
    assert of_route(allow, "").usd is None
    ((route, words),) = unenforceable_budgets([ROUTE], budget)
    assert route == "r"
    assert "cannot be enforced" in words
    assert unenforceable_budgets([ROUTE], BUDGET) == []


async def test_what_was_spent_while_the_ledger_failed_is_told_later(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger = Ledger(path)
    money = purse(ledger)
    path.write_bytes(b"no database" * 100)
    money.fold(started())
    money.fold(finished(70))
    with pytest.raises(LedgerError):
        await money.top_up(desired_of((ROUTE,)))
    path.unlink()
    await money.top_up(desired_of((ROUTE,)))
    assert ledger.used() == (70, 0.0)
    ledger.close()


async def test_alone_it_still_knows_what_all_had_used(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    money = purse(ledger)
    money.fold(started())
    money.fold(finished(49_500))
    await money.top_up(desired_of((ROUTE,)))
    await money.stand_alone()
    allow = await money.top_up(desired_of((ROUTE,)), new_engine=True)
    assert of_route(allow).used_tokens == 49_500
    assert of_route(allow).tokens == 500
    await money.close()
    ledger.close()


async def test_closing_settles_and_frees_what_was_leased() -> None:
    ledger = Ledger(None)
    money = purse(ledger)
    await money.top_up(desired_of((ROUTE,)))
    money.fold(started())
    money.fold(finished(70))
    await money.close()
    assert ledger.used() == (70, 0.0)
    other = Budget(tokens_per_hour=100_000, route_tokens_per_hour=1_000)
    allow = await purse(ledger, budget=other).top_up(desired_of((ROUTE,)))
    assert of_route(allow).tokens == 200


async def test_it_is_at_rest_when_the_ledger_knows_everything_and_gave_everything() -> None:
    one, desired = purse(Ledger(None)), desired_of((ROUTE,))
    assert not one.at_rest
    await one.top_up(desired)
    assert one.at_rest
    one.fold(started())
    assert not one.at_rest
    one.fold(finished(60))
    assert not one.at_rest
    await one.top_up(desired)
    assert one.at_rest


async def test_at_the_budget_it_is_never_at_rest() -> None:
    one = purse(Ledger(None), budget=Budget(tokens_per_hour=150, route_tokens_per_hour=150))
    await one.top_up(desired_of((ROUTE,)))
    assert not one.at_rest
