"""Engines of one run that wait for money: served by turns."""

from pathlib import Path

import pytest
from clocks import ManualClock

from probes.config import Budget, Route
from probes.money.lease_rules import Ask, route_key
from probes.money.ledger import Ledger
from probes.money.run_ledger import TURN_S, RunLedger

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("closed_ledgers")]

ROUTES = [Route(name=name, base_url="http://x", model="m") for name in ("r", "s")]


class Run:
    """A run of three engines, and which of them were woken."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.ledger = RunLedger(Ledger(None), ROUTES, Budget(), clock=self.clock, engines=3)
        self.woken: list[int] = []
        for engine in range(3):
            self.ledger.join(engine, lambda engine=engine: self.woken.append(engine))

    @property
    def standing_back(self) -> list[int]:
        """The engines that leave money of the first route to another."""
        return [one for one in range(3) if self.ledger.is_wanted_elsewhere(one, "r")]


def test_while_nobody_waits_nobody_stands_back() -> None:
    run = Run()
    assert run.standing_back == []
    assert not run.ledger.somebody_waits


def test_all_others_stand_back_for_the_one_that_has_waited_longest() -> None:
    run = Run()
    for engine in (1, 2, 1):
        run.ledger.wait(engine, "r")
    assert run.standing_back == [0, 2]
    assert run.ledger.somebody_waits
    assert not run.ledger.is_wanted_elsewhere(0, "s")
    run.ledger.go_on(1, "r")
    assert run.standing_back == [0, 1]
    assert run.woken == [2]
    run.ledger.go_on(2, "r")
    run.ledger.go_on(2, "r")
    assert run.standing_back == []
    assert run.woken == [2]


async def test_who_cannot_be_served_in_its_turn_is_the_last_again() -> None:
    run = Run()
    run.ledger.wait(1, "r")
    run.ledger.wait(2, "r")
    await run.clock.advance(TURN_S - 0.01)
    run.ledger.end_turn("r")
    assert run.standing_back == [0, 2]
    await run.clock.advance(0.01)
    run.ledger.end_turn("r")
    assert run.standing_back == [0, 1]
    run.ledger.end_turn("r")
    assert run.standing_back == [0, 1]
    await run.clock.advance(TURN_S)
    run.ledger.end_turn("r")
    assert run.standing_back == [0, 2]


async def test_a_turn_begins_when_its_engine_is_the_next() -> None:
    run = Run()
    run.ledger.wait(0, "r")
    run.ledger.go_on(0, "r")
    await run.clock.advance(60)
    run.ledger.wait(1, "r")
    run.ledger.wait(2, "r")
    run.ledger.end_turn("r")
    assert run.standing_back == [0, 2]
    await run.clock.advance(TURN_S / 2)
    run.ledger.go_on(1, "r")
    await run.clock.advance(TURN_S / 2)
    run.ledger.wait(1, "r")
    run.ledger.end_turn("r")
    assert run.standing_back == [0, 1]


def test_whoever_is_next_is_woken_when_money_comes_free() -> None:
    run = Run()
    run.ledger.serve_next("r")
    run.ledger.wait(2, "r")
    run.ledger.serve_next("r")
    run.ledger.serve_next("s")
    assert run.woken == [2]


async def test_what_a_run_spends_is_reported_under_the_names_of_its_routes() -> None:
    ledger = Ledger(None)
    run = RunLedger(ledger, ROUTES, Budget(), clock=ManualClock(), engines=1)
    await run.settle(0, [Ask(route_key(ROUTES[1]), 7, 0.0)])
    (spent,) = (one for one in ledger.report().routes if one.tokens)
    assert (spent.name, spent.model, spent.tokens) == ("s", "m", 7)


async def test_asking_lifts_no_doubt_and_asking_for_that_does(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"broken" * 999)
    ledger = Ledger(path)
    run = RunLedger(ledger, ROUTES, Budget(), clock=ManualClock(), engines=1)
    await run.exchange(0, [Ask(route_key(ROUTES[0]))])
    assert run.doubt
    run.lift()
    await run.exchange(0, [Ask(route_key(ROUTES[0]))])
    assert run.doubt == ""
    assert [news for news in run.take_news() if "lifted" in news] == [
        "the emergency is lifted: the budgets count from what is known"
    ]
