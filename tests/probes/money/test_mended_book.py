"""What a person may mend in the budgets that places share: a record is struck, a doubt lifted."""

import anyio
import msgspec
import pytest
from bucket_of_budgets import FakeBucket
from test_bus_ledger import PART, Bus, Place

from probes.bus.connection import Entry
from probes.money.bus_book import GRACE_S
from probes.money.bus_ledger import (
    BOOK_KEY,
    FENCE_S,
    RENEW_S,
    SETTLE_S,
    SHORT_S,
    Lifted,
    lift_on_bus,
    strike_on_bus,
)
from probes.money.lease_rules import HOUR_S, LEASE_S
from probes.money.ledger import RunSpending, Struck
from probes.money.ledger_file import BrokenLedgerError, LedgerError

pytestmark = pytest.mark.anyio


def run_of(bus: Bus, place: str) -> RunSpending:
    (run,) = [one for one in bus.report.runs if one.host.endswith(f" at {place}")]
    return run


async def strike(bus: Bus, place: str) -> Struck:
    told: list[Struck] = []
    run = run_of(bus, place).id[:8]
    struck = await strike_on_bus(bus.server.bucket(), bus.clock, run, tell=told.append)
    assert told == [struck]
    return struck


def spent(bus: Bus) -> dict[str, int]:
    return {route.key: route.tokens for route in bus.report.routes if route.tokens}


async def test_one_that_is_dead_frees_what_it_has_spent_and_all_that_it_held() -> None:
    bus = Bus()
    eu, us = Place(bus, "eu"), Place(bus, "us")
    await us.ask(1_000, route="s")
    await us.after(SETTLE_S, 1_000, route="s", spent=70)
    await eu.ask(1_000)
    await eu.after(SETTLE_S, 1_000, spent=400)
    await eu.after(SETTLE_S, 1_000, spent=200)
    held = run_of(bus, "eu").leased_tokens
    assert held >= 1_000 + eu.reserve > 1_000
    await bus.clock.advance(LEASE_S)
    await us.after(1, 1_000, route="s")
    before = bus.taken
    struck = await strike(bus, "eu")
    assert (struck.tokens, struck.keeps_lease) == (600 + held, False)
    assert before - bus.taken == 600 + held
    assert spent(bus) == {"s": 70}
    assert [run.host.rpartition(" ")[2] for run in bus.report.runs] == ["us"]


async def test_one_that_may_live_keeps_what_it_holds() -> None:
    bus = Bus()
    eu = Place(bus, "eu")
    await eu.ask(1_000)
    await eu.after(SETTLE_S, 1_000, spent=400)
    await bus.clock.advance(LEASE_S - 1)  # it cannot be seen, and still may spend for all we know
    assert run_of(bus, "eu").alive is None
    held = run_of(bus, "eu").leased_tokens
    struck = await strike(bus, "eu")
    assert (struck.tokens, struck.keeps_lease) == (400, True)
    assert run_of(bus, "eu").leased_tokens == held
    assert bus.taken == held


async def test_one_that_comes_back_tells_what_it_spent_since_and_nothing_twice() -> None:
    bus = Bus()
    eu = Place(bus, "eu")
    await eu.ask(1_000)
    await eu.after(SETTLE_S, 1_000, spent=400)
    await bus.clock.advance(LEASE_S + 1)
    await strike(bus, "eu")
    assert bus.taken == 0
    assert await eu.ask(1_000, spent=30) == 1_000
    assert spent(bus) == {"r": 30}
    assert run_of(bus, "eu").tokens == 30
    await eu.after(SETTLE_S, 1_000, spent=5)
    assert spent(bus) == {"r": 35}


async def test_one_that_lives_goes_on_as_if_nothing_were() -> None:
    bus = Bus()
    eu, us = Place(bus, "eu"), Place(bus, "us")
    await eu.ask(30_000)
    await eu.after(SETTLE_S, 30_000, spent=29_000)
    before = await us.after(1, 30_000)
    struck = await strike(bus, "eu")
    assert struck.tokens == 29_000
    assert before < 1_000 < 29_000 <= await us.after(SHORT_S, 30_000)
    await eu.after(SETTLE_S, 30_000, spent=100)
    assert spent(bus) == {"r": 100}


async def test_of_a_life_longer_than_an_hour_what_is_freed_is_the_hours() -> None:
    bus = Bus()
    eu = Place(bus, "eu")
    await eu.ask(1_000)
    for spent_of_r in (700, 40):
        await eu.after(SETTLE_S, 1_000, spent=spent_of_r)
        await eu.ask(1_000, route="s", spent=10)
        await bus.clock.advance(FENCE_S)  # the next one tells it
        await eu.after(RENEW_S, 1_000)
        await bus.clock.advance(HOUR_S if spent_of_r == 700 else 0)
    await eu.after(RENEW_S, 1_000)
    assert spent(bus) == {"r": 40, "s": 10}
    await bus.clock.advance(LEASE_S + 1)
    struck = await strike(bus, "eu")
    assert struck.run.tokens == 50
    assert spent(bus) == {}


async def test_what_others_spent_on_the_same_route_stays() -> None:
    bus = Bus()
    eu, us = Place(bus, "eu"), Place(bus, "us")
    for place in (eu, us):
        await place.ask(1_000)
        await place.ask(1_000, route="s")
    await eu.ask(1_000, spent=300)
    await eu.after(SETTLE_S, 1_000, spent=1, route="s")
    await us.ask(1_000, spent=7)
    await us.after(SETTLE_S, 1_000, spent=900, route="s")
    await strike(bus, "eu")
    assert sum(spent(bus).values()) == 907
    assert spent(bus) == {"r": 7, "s": 900}


async def test_a_record_that_nobody_knows_is_none() -> None:
    bus = Bus(new=True)
    for name in ("", "x", "abc"):
        with pytest.raises(KeyError):
            await strike_on_bus(bus.server.bucket(), bus.clock, name, tell=print)
        if not bus.server.entries.get(BOOK_KEY):
            await Place(bus, "eu").ask(100)


class Racing(FakeBucket):
    """The way to a bus on which others are faster, so many times."""

    def __init__(self, bus: Bus, times: int, other: Place) -> None:
        super().__init__(bus.server, 0.0, None)
        self.times, self.other = times, other

    async def get(self, key: str) -> Entry | None:
        entry = await super().get(key)
        if key == BOOK_KEY and self.times:
            self.times -= 1
            await self.other.ask(100, spent=10)
            await self.other.ledger._change()
        return entry


async def test_what_others_change_meanwhile_is_kept() -> None:
    bus = Bus()
    eu, us = Place(bus, "eu"), Place(bus, "us")
    await eu.ask(1_000)
    await eu.after(SETTLE_S, 1_000, spent=400)
    await us.ask(100)
    bucket, told = Racing(bus, 2, us), list[Struck]()
    run = run_of(bus, "eu").id
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: strike_on_bus(bucket, bus.clock, run, tell=told.append))
        await bus.clock.advance(1)
    assert [struck.tokens for struck in told] == [400]
    assert run_of(bus, "eu").tokens == 0
    assert spent(bus) == {"r": 20}


async def test_who_is_never_fast_enough_says_so() -> None:
    bus = Bus()
    us = Place(bus, "us")
    await us.ask(100)
    bucket = Racing(bus, 1_000, us)
    async with anyio.create_task_group() as tasks:

        async def give_up() -> None:
            with pytest.raises(LedgerError, match="places were always faster"):
                await strike_on_bus(bucket, bus.clock, run_of(bus, "us").id, tell=print)

        tasks.start_soon(give_up)
        await bus.clock.advance(10)


async def test_a_new_book_is_lifted_for_all_and_one_that_is_not_new_is_left() -> None:
    bus = Bus(new=True)
    assert await lift_on_bus(bus.server.bucket(), bus.clock) == Lifted()
    assert BOOK_KEY not in bus.server.entries
    place = Place(bus, "eu")
    assert await place.ask(1_000) == PART
    lifted = await lift_on_bus(bus.server.bucket(), bus.clock)
    assert lifted.doubt.startswith("the budgets on the bus are new")
    assert bus.report.doubt == ""
    assert await place.after(SHORT_S, 1_000) == 1_000
    before = bus.server.revision
    assert await lift_on_bus(bus.server.bucket(), bus.clock) == Lifted()
    assert bus.server.entries[BOOK_KEY].revision <= before


async def test_a_book_that_cannot_be_read_is_begun_anew_and_what_places_know_comes_back() -> None:
    bus = Bus()
    eu = Place(bus, "eu")
    await eu.ask(1_000)
    await eu.after(SETTLE_S, 1_000, spent=400)
    bus.server.set(BOOK_KEY, b"[]", None)
    with pytest.raises(BrokenLedgerError):
        await strike_on_bus(bus.server.bucket(), bus.clock, "a", tell=print)
    lifted = await lift_on_bus(bus.server.bucket(), bus.clock)
    assert lifted.is_anew
    assert "cannot be read" in lifted.doubt
    assert bus.report.doubt.startswith("the budgets on the bus are new")
    await eu.after(RENEW_S, 1_000)
    assert spent(bus) == {"r": 400}
    assert await Place(bus, "us").ask(1_000) == 0  # eu holds more than the emergency part
    await bus.clock.advance(GRACE_S)
    assert bus.report.doubt == ""


async def test_a_book_of_a_newer_llmtop_is_left_as_it_is() -> None:
    bus = Bus()
    book = bus.book
    book.version += 1
    newer = msgspec.json.encode(book)
    bus.server.set(BOOK_KEY, newer, None)
    with pytest.raises(LedgerError, match="of a newer llmtop"):
        await lift_on_bus(bus.server.bucket(), bus.clock)
    assert bus.server.entries[BOOK_KEY].value == newer
