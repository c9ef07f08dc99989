"""One place's part of budgets that several share over a bus."""

import time
from typing import Any

import anyio
import pytest
from bucket_of_budgets import BucketServer, FakeBucket
from clocks import NS, ManualClock

from probes.bus.connection import WrongRevisionError
from probes.config import Budget, Route
from probes.config.places import routes_at
from probes.money.bus_book import GRACE_S, MOST_HOLDERS, Book, decoded, report_of
from probes.money.bus_ledger import (
    AHEAD_S,
    BOOK_KEY,
    CROWDED_S,
    FENCE_S,
    RENEW_S,
    RETRY_S,
    SETTLE_S,
    SHORT_S,
    BusLedger,
)
from probes.money.lease_rules import (
    HOUR_S,
    LEASE_S,
    OVERALL,
    Amount,
    Ask,
    emergency_part,
    route_key,
)
from probes.money.ledger import Report
from probes.money.ledger_file import LedgerError
from probes.money.run_ledger import RunLedger

pytestmark = pytest.mark.anyio

BUDGET = Budget(tokens_per_hour=100_000, route_tokens_per_hour=60_000)
PART = emergency_part(BUDGET).route_tokens_per_hour


class Bus:
    """A bus, and places that share its budgets."""

    def __init__(self, *, new: bool = False) -> None:
        self.clock = ManualClock()
        self.server = BucketServer(self.clock)
        if not new:
            book = Book("begun", began_s=self.now_s - GRACE_S)
            self.server.set(BOOK_KEY, book.encoded(), 0)

    @property
    def now_s(self) -> int:
        """The bus's own time."""
        return self.server.now_ns() // NS

    @property
    def book(self) -> Book:
        return decoded(self.server.entries[BOOK_KEY].value)

    @property
    def report(self) -> Report:
        return report_of(self.book, self.now_s)

    @property
    def taken(self) -> int:
        """What counts as spent of all routes, told or held."""
        book = self.book
        book.forget(self.now_s)
        return sum(one.tokens for one in book.taken().values())


class Place:
    """One agent of a place, and its way to the bus."""

    def __init__(self, bus: Bus, name: str, budget: Budget = BUDGET) -> None:
        self.bus = bus
        self.bucket: FakeBucket = bus.server.bucket()
        self.ledger = BusLedger(
            self.bucket, place=name, clock=bus.clock, command="llmtop agent", jitter=lambda: 0.5
        )
        self.budget = budget

    async def ask(
        self, want: int = 0, *, spent: int = 0, least: int = 0, route: str = "r", **more: Any
    ) -> int:
        """Exchange once; return the lease in tokens."""
        engine = more.pop("engine", 0)
        ask = Ask(route, spent_tokens=spent, want_tokens=want, least_tokens=least, **more)
        grants = await self.ledger.exchange("run", [ask], self.budget, engine=engine)
        return grants[route].tokens

    async def after(self, seconds: float, want: int = 0, **asked: Any) -> int:
        """Exchange once after some seconds; return the lease in tokens."""
        await self.bus.clock.advance(seconds)
        return await self.ask(want, **asked)

    async def used(self, route: str = OVERALL) -> int:
        """Return what this place is told to be used by all."""
        await self.bus.clock.advance(RENEW_S)
        return (await self.ledger.exchange("run", [Ask("r")], self.budget))[route].used_tokens

    @property
    def reserve(self) -> int:
        """Its share of the emergency part, by the book."""
        (mine,) = [one for one in self.bus.book.holders.values() if one.place == self.name]
        return sum(one.reserve.tokens for one in mine.held.values())

    @property
    def name(self) -> str:
        return self.ledger._place


# -------------------------------------------------------------------------------- sharing


async def test_places_share_one_limit() -> None:
    bus = Bus()
    eu, us = Place(bus, "eu"), Place(bus, "us")
    assert await eu.ask(50_000) == 50_000
    assert await us.ask(50_000) == 60_000 - 50_000 - eu.reserve
    assert await us.ask(50_000, route="s") == 100_000 - 60_000


async def test_what_engines_will_want_next_is_leased_ahead_and_asked_for_without_the_bus() -> None:
    bus = Bus()
    place = Place(bus, "eu")
    await place.ask(200)
    await place.after(5, 200, spent=100)  # 20 tokens a second
    changes = place.ledger.changes
    assert await place.after(2, 200, spent=40) == 200
    assert await place.after(2, 200, spent=40) == 200
    assert place.ledger.changes == changes
    await place.after(1, 200, spent=20)
    assert place.ledger.changes == changes + 1
    (mine,) = bus.book.holders.values()
    assert 200 < mine.held["r"].lease.tokens <= 200 + 20 * AHEAD_S


async def test_a_place_that_spends_nothing_says_now_and_then_that_it_is_there() -> None:
    bus = Bus()
    place = Place(bus, "eu")
    for _ in range(60):
        await place.after(2)
    (mine,) = bus.book.holders.values()
    assert bus.now_s - mine.heard_s <= RENEW_S
    assert place.ledger.changes <= 120 / RENEW_S + 1


async def test_engines_of_a_place_hand_on_what_one_gives_back_without_the_bus() -> None:
    bus = Bus()
    place = Place(bus, "eu")
    assert await place.ask(500) == 500
    changes = place.ledger.changes
    assert await place.ask(0, keep_tokens=100, keep_usd=0.0) == 100
    assert await place.ask(400, engine=1) == 400
    assert place.ledger.changes == changes


async def test_a_part_that_pays_for_no_probe_is_left_for_another_place() -> None:
    bus = Bus()
    eu, us, asia = (Place(bus, name) for name in ("eu", "us", "asia"))
    await eu.ask(59_950 - PART)
    assert await us.ask(1_000, least=100) == 0
    assert await asia.ask(40) == 40


async def test_dollars_bind_as_tokens_do() -> None:
    bus = Bus()
    budget = Budget(route_usd_per_hour=1.0, usd_per_hour=1.5)
    eu, us = Place(bus, "eu", budget), Place(bus, "us", budget)
    for place, route, wanted, granted in (
        (eu, "r", 0.8, 0.8),
        (us, "r", 0.8, 0.2),
        (us, "s", 0.8, 0.5),
    ):
        grants = await place.ledger.exchange(
            "run", [Ask(route, want_tokens=10, want_usd=wanted)], budget
        )
        assert grants[route].usd == pytest.approx(granted, abs=0.011)
    assert sum(one.usd for one in bus.book.taken().values()) <= 1.5 + 1e-9


async def test_each_place_holds_the_sum_of_all_against_its_own_budget() -> None:
    bus = Bus()
    small = Place(bus, "eu", Budget(tokens_per_hour=2_000, route_tokens_per_hour=1_000))
    large = Place(bus, "us")
    assert await large.ask(5_000) == 5_000
    assert await small.ask(100) == 0
    assert await large.after(RENEW_S, 9_000) == 9_000
    (told,) = small.ledger.take_news()
    assert told == (
        "all places are held to 100,000 tokens an hour, 60,000 a route by us, to 2,000 tokens an"
        " hour, 1,000 a route by eu: the larger budgets bind where both probe"
    )
    await small.after(RENEW_S, 100)
    assert small.ledger.take_news() == []


async def test_a_route_is_one_at_all_places_and_people_know_it_by_its_name() -> None:
    bus = Bus()
    route = Route(name="chat", base_url="http://user:secret@x/v1", model="m")
    for name in ("eu", "us"):
        place = Place(bus, name)
        place.ledger.introduce(routes_at((route,), name))
        await place.ask(100, route=route_key(routes_at((route,), name)[0]))
    (told,) = bus.report.routes
    assert (told.name, told.model, told.leased_tokens) == ("chat", "m", bus.taken)
    assert b"secret" not in bus.server.entries[BOOK_KEY].value


async def test_spending_is_free_again_after_an_hour_by_the_bus_and_not_before() -> None:
    bus = Bus()
    place, other = Place(bus, "eu"), Place(bus, "us")
    place.bus.clock.set_wall(-5_000)  # whatever time it is at the place
    await place.ask(60_000)
    await place.after(SETTLE_S, spent=60_000)
    spent_s = bus.now_s
    assert await other.after(HOUR_S - 1, 100) == 0
    await bus.clock.advance(60 - spent_s % 60 + SHORT_S)
    assert await other.ask(100) == 100


async def test_a_bus_whose_clock_is_set_back_neither_frees_money_nor_locks_it_for_ever() -> None:
    bus = Bus()
    place = Place(bus, "eu")
    await place.ask(60_000)
    await place.after(SETTLE_S, 100, spent=60_000)
    bus.server.wall_s = -40 * 86_400
    assert await place.after(120, 100) == 0
    assert await place.after(120, 100) == 0
    assert await place.after(HOUR_S + 60, 100) == 100


# ---------------------------------------------------------------- races and lost answers


async def test_who_was_late_works_it_out_again() -> None:
    bus = Bus()
    eu, us = Place(bus, "eu"), Place(bus, "us")
    change = bus.server.set

    def set_after_another(key: str, value: bytes, revision: int | None) -> int:
        if key == BOOK_KEY and revision:
            bus.server.set = change  # type: ignore[method-assign]
            book = bus.book
            book.note("r", bus.now_s // 60, Amount(59_000))
            change(BOOK_KEY, book.encoded(), None)
        return change(key, value, revision)

    bus.server.set = set_after_another  # type: ignore[method-assign]
    task_done: list[int] = []

    async def ask() -> None:
        task_done.append(await eu.ask(5_000))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await bus.clock.advance(1)
    assert task_done == [1_000]
    assert eu.ledger.conflicts == 1
    assert us.ledger.conflicts == 0


@pytest.mark.parametrize("done", [True, False])
async def test_what_is_told_counts_once_whether_an_answer_or_the_question_was_lost(
    done: bool,
) -> None:
    bus = Bus()
    place = Place(bus, "eu")
    await place.ask(1_000)
    change = bus.server.set

    def set_and_lose(key: str, value: bytes, revision: int | None) -> int:
        if done:
            change(key, value, revision)
        place.bucket.up = False
        return 0

    bus.server.set = set_and_lose  # type: ignore[method-assign]
    assert await place.after(SETTLE_S, 1_000, spent=300) == 700
    bus.server.set = change  # type: ignore[method-assign]
    place.bucket.up = True
    assert await place.after(RETRY_S, 1_000) == 1_000
    assert await place.used() == 300
    assert sum(one.tokens for one in bus.report.routes) == 300


async def test_a_place_that_was_refused_asks_again_after_a_while() -> None:
    bus = Bus()
    place, other = Place(bus, "eu"), Place(bus, "us")
    await other.ask(60_000)
    assert await place.ask(100) == 0
    changes = place.ledger.changes
    for _ in range(3):
        assert await place.after(1, 100) == 0
    assert place.ledger.changes == changes
    await place.after(SHORT_S - 3, 100)
    assert place.ledger.changes == changes + 1
    await other.ledger.release("run")
    assert await place.after(SHORT_S, 100) == 100
    for _ in range(3):
        await place.after(SHORT_S, 100)  # and no more once it has what it wants
    assert place.ledger.changes == changes + 2


async def test_who_loses_all_races_says_so_after_a_while_and_not_before() -> None:
    bus = Bus()
    place = Place(bus, "eu")
    await place.ask(100, least=100)

    async def update(key: str, value: bytes, revision: int) -> int:
        raise WrongRevisionError("somebody else was faster")

    place.bucket.update = update  # type: ignore[method-assign]
    doubts: list[tuple[float, str]] = []
    began_s = bus.now_s

    async def ask() -> None:
        while True:
            await place.ask(100, least=100)
            doubts.append((bus.now_s - began_s, place.ledger.doubt))
            await bus.clock.sleep(1)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await bus.clock.advance(CROWDED_S + 15)
        tasks.cancel_scope.cancel()
    assert all(doubt == "" for at_s, doubt in doubts if at_s < CROWDED_S)
    assert "(other places are always faster)" in doubts[-1][1]
    assert place.ledger.conflicts > 10


async def test_a_bus_that_never_answers_is_one_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("probes.money.bus_ledger.TURN_S", 0.05)
    bus = Bus()
    place = Place(bus, "eu")

    async def get(key: str) -> None:
        await anyio.sleep_forever()

    place.bucket.get = get  # type: ignore[method-assign, assignment]
    assert await place.ask(100) == 0
    assert "(no answer within 0.05 s)" in place.ledger.doubt


# ------------------------------------------------------------------- without the bus


async def test_without_the_bus_its_lease_is_spent_then_its_emergency_part_then_nothing() -> None:
    bus = Bus()
    place = Place(bus, "eu")
    await place.ask(1_000, least=100)
    assert place.reserve == PART
    bus.server.up = False
    assert await place.after(RENEW_S, 1_000, least=100) == 1_000
    assert place.ledger.doubt == ""  # it may be there again at once
    assert await place.after(RETRY_S, 1_000, least=100, spent=400) == 1_000
    assert place.ledger.doubt == (
        f"the bus of the budgets cannot be reached since {clock(bus, -RETRY_S)} (lost): the"
        " emergency part is being spent"
    )
    (told,) = place.ledger.take_news()
    assert "this place's share of the emergency part, then nothing" in told
    assert await place.after(1, 1_000, least=100, spent=1_000) == PART - 400
    assert await place.after(1, 1_000, least=100, spent=PART - 400) == 0
    assert place.ledger.doubt.endswith("what was leased before is spent, and nothing more may be")
    before = bus.taken
    assert before == 1_000 + PART
    bus.server.up = True
    assert await place.after(RETRY_S, 1_000, least=100) == 1_000
    assert place.ledger.doubt == ""
    assert place.ledger.take_news() == [
        "the bus of the budgets is there again after 6 seconds: what was spent meanwhile is settled"
    ]
    assert sum(one.tokens for one in bus.report.routes) == 1_000 + PART


def clock(bus: Bus, seconds: float) -> str:
    """Return what a clock of the bus showed."""
    return time.strftime("%H:%M:%S UTC", time.gmtime(bus.now_s + seconds))


async def test_a_place_that_never_reached_the_bus_spends_nothing_and_says_so() -> None:
    bus = Bus()
    bus.server.up = False
    place = Place(bus, "eu")
    assert await place.ask(100) == 0
    assert place.ledger.doubt.endswith("(lost): nothing may be spent before it was")
    assert await place.after(10, 100) == 0
    bus.server.up = True
    assert await place.after(RETRY_S, 100) == 100
    assert place.ledger.doubt == ""


async def test_what_is_held_back_for_want_of_the_bus_says_so_at_once() -> None:
    bus = Bus()
    place = Place(bus, "eu")
    await place.ask(100, least=100)
    bus.server.up = False
    assert await place.after(SETTLE_S, 100, spent=50, least=100) == 50
    assert place.ledger.doubt.endswith("what was leased before is spent, and nothing more may be")
    assert place.ledger.take_news() == []


async def test_a_place_that_others_must_take_for_dead_has_stopped_long_before() -> None:
    bus = Bus()
    place = Place(bus, "eu")
    assert await place.ask(1_000) == 1_000
    place.bucket.up = False
    assert await place.after(FENCE_S - 1, 1_000) == 1_000
    assert await place.after(2, 1_000) == 0
    assert place.ledger.doubt.endswith("nothing more may be spent until it can be")
    place.bucket.up = True
    assert await place.after(RETRY_S, 1_000) == 1_000  # it was never taken from it


async def test_so_has_one_that_was_suspended() -> None:
    bus = Bus()
    place = Place(bus, "eu")
    assert await place.ask(1_000) == 1_000
    place.bucket.up = False
    bus.clock.set_wall(FENCE_S)  # the monotonic clock stood still meanwhile
    assert await place.after(1, 1_000) == 0


async def test_what_a_killed_place_held_counts_until_it_is_an_hour_old() -> None:
    bus = Bus()
    place, other = Place(bus, "eu"), Place(bus, "us")
    await place.ask(60_000)
    heard_s = bus.now_s
    assert await other.after(LEASE_S, 100) == 0
    (gone,) = [one for one in bus.report.runs if one.host.endswith("at eu")]
    assert (gone.alive, gone.leased_tokens) == (None, 60_000)
    await bus.clock.advance(heard_s + LEASE_S + HOUR_S - bus.now_s)
    assert await other.ask(100) == 0
    assert await other.after(SHORT_S, 100) == 100


async def test_all_reserves_are_one_emergency_part_those_of_killed_places_too() -> None:
    bus = Bus()
    for number in range(30):
        await Place(bus, f"p{number}").ask(100)
    reserves = bus.book.reserved()["r"].tokens
    assert reserves <= PART
    await Place(bus, "p30").after(30, 100)
    assert bus.book.reserved()["r"].tokens <= PART


def reserves(bus: Bus) -> dict[str, dict[str, int]]:
    """Return the shares of the emergency part in tokens, by place and route."""
    return {
        one.place: {route: held.reserve.tokens for route, held in one.held.items()}
        for one in bus.book.holders.values()
    }


async def test_the_emergency_part_is_shared_out_by_places_and_routes_while_there_is_any() -> None:
    bus = Bus()
    whole = emergency_part(BUDGET)
    assert (whole.tokens_per_hour, whole.route_tokens_per_hour) == (1_000, 600)

    async def ask(place: Place, *routes: str) -> None:
        asks = [Ask(route, want_tokens=100) for route in routes]
        await place.ledger.exchange("run", asks, BUDGET)

    await ask(Place(bus, "a"), "r")
    await ask(Place(bus, "b"), "s", "t")
    await ask(Place(bus, "c"), "r", "u")
    assert reserves(bus) == {
        "a": {"r": 600},
        "b": {"s": 1_000 // 2 // 2, "t": 1_000 - 600 - 250},
        "c": {"r": 0, "u": 0},
    }


@pytest.mark.parametrize(("of_all", "share"), [(10.0, 0.05), (4.0, 0.04), (None, 0.05)])
async def test_shares_of_it_are_shares_of_its_dollars_too(
    of_all: float | None, share: float
) -> None:
    bus = Bus()
    budget = Budget(usd_per_hour=of_all, route_usd_per_hour=5.0)
    places = [Place(bus, "eu"), Place(bus, "us")]
    told: list[list[float]] = []
    for _ in range(3):
        for place in places:
            ask = Ask("r", want_tokens=100, want_usd=1.0)
            await place.ledger.exchange("run", [ask], budget)
        told.append([one.held["r"].reserve.usd for one in bus.book.holders.values()])
        await bus.clock.advance(RENEW_S)
    # The first has it all until it asks again.
    assert told[0] == pytest.approx([share, 0.0])
    assert told[2] == pytest.approx([share / 2, share / 2])


async def test_what_is_lacking_is_taken_of_the_reserve_and_the_rest_of_it_stays() -> None:
    bus = Bus()
    place, other = Place(bus, "eu"), Place(bus, "us")
    await place.ask(1_000)
    await other.ask(60_000 - 1_000 - PART - 100)
    assert await place.after(RENEW_S, 1_300) == 1_300
    assert reserves(bus)["eu"]["r"] == PART // 2  # of 100 that were left and 200 of its own


async def test_places_that_live_give_up_what_of_it_is_anothers_share() -> None:
    bus = Bus()
    places = [Place(bus, name) for name in ("eu", "us", "asia")]
    for _ in range(3):
        for place in places:
            await place.after(RENEW_S, 100)
    assert reserves(bus) == {name: {"r": PART // 3} for name in ("eu", "us", "asia")}


async def test_where_money_is_short_the_reserve_is_spent_before_anybody_is_held() -> None:
    bus = Bus()
    place = Place(bus, "eu")
    await place.ask(1_000)
    assert place.reserve == PART
    assert await place.after(SETTLE_S, 60_000, spent=1_000) == 59_000
    assert place.reserve == 0


async def test_who_pauses_holds_nothing_back() -> None:
    bus = Bus()
    place = Place(bus, "eu")
    await place.ask(1_000)
    await place.after(SETTLE_S, keep_tokens=0, keep_usd=0.0)
    await place.after(RENEW_S)
    assert bus.taken == 0


# ------------------------------------------------------------------------------ ends


async def test_a_run_that_ends_gives_back_what_it_has_not_spent() -> None:
    bus = Bus()
    place = Place(bus, "eu")
    await place.ask(1_000)
    await place.ask(0, spent=300, keep_tokens=0)
    await place.ledger.release("run")
    assert bus.taken == 300
    (run,) = bus.report.runs
    assert (run.alive, run.tokens, run.leased_tokens) == (False, 300, 0)


async def test_one_that_ends_without_the_bus_says_that_its_lease_counts_as_spent() -> None:
    bus = Bus()
    place = Place(bus, "eu")
    await place.ask(1_000)
    bus.server.up = False
    with pytest.raises(LedgerError, match="had leased counts as spent"):
        await place.ledger.release("run")
    assert bus.taken == 1_000 + PART


async def test_one_that_never_spent_ends_without_a_word() -> None:
    bus = Bus()
    bus.server.up = False
    await Place(bus, "eu").ledger.release("run")


async def test_a_run_says_what_its_bus_says_and_never_has_an_emergency_of_its_own() -> None:
    bus = Bus()
    route = Route(name="chat@eu", base_url="http://x", model="m", place="eu")
    place = Place(bus, "eu")
    run = RunLedger(place.ledger, [route], BUDGET, clock=bus.clock)
    key = route_key(route)
    bus.server.up = False
    grants = await run.exchange(0, [Ask(key, want_tokens=100)], patient=False)
    assert grants is not None
    assert grants[key].tokens == 0
    assert not run.fails
    assert run.doubt == place.ledger.doubt != ""
    run.lift()
    await run.exchange(0, [Ask(key, want_tokens=100)])
    assert any("cannot be lifted: other places" in news for news in run.take_news())
    bus.server.up = True
    await bus.clock.advance(RETRY_S)
    grants = await run.exchange(0, [Ask(key, want_tokens=100)])
    assert grants is not None
    assert (grants[key].tokens, run.doubt) == (100, "")
    bus.server.up = False
    await run.settle(0, [Ask(key, spent_tokens=60, keep_tokens=0)])
    with pytest.raises(LedgerError, match="what this place had leased counts as spent"):
        await run.close()
    assert bus.taken == 100 + PART


# --------------------------------------------------------------- books lost and found


async def test_of_a_new_book_the_emergency_part_is_all_for_a_while() -> None:
    bus = Bus(new=True)
    place = Place(bus, "eu")
    assert await place.ask(1_000) == PART
    assert place.ledger.doubt.endswith("UTC the emergency part is all of each")
    assert await place.after(GRACE_S, 1_000) == 1_000
    assert place.ledger.doubt == ""


async def test_somebody_may_lift_that_for_all_places() -> None:
    bus = Bus(new=True)
    eu, us = Place(bus, "eu"), Place(bus, "us")
    assert await eu.ask(1_000) == PART
    assert await us.ask(1_000, route="s") == emergency_part(BUDGET).tokens_per_hour - PART
    assert (eu.ledger.doubt_kind, bool(eu.ledger.doubt)) == ("new", True)
    await eu.ledger.lift()
    assert eu.ledger.doubt == bus.report.doubt == ""
    assert await eu.after(1, 1_000) == 1_000
    assert await us.after(SHORT_S, 1_000, route="s") == 1_000
    assert us.ledger.doubt == ""


async def test_what_was_lifted_once_is_not_lifted_of_the_next_new_book() -> None:
    bus = Bus(new=True)
    place = Place(bus, "eu")
    await place.ask(1_000)
    await place.ledger.lift()
    bus.server.entries.clear()
    other = Place(bus, "us")
    await other.ask(1_000)
    assert await place.after(RENEW_S, 2_000, route="s") == 0  # what it holds is the whole part
    assert place.ledger.doubt_kind == "new"
    assert place.ledger.doubt


async def test_that_the_bus_is_away_cannot_be_lifted() -> None:
    bus = Bus()
    place = Place(bus, "eu")
    bus.server.up = False
    await place.ask(1_000)
    assert place.ledger.doubt_kind == "away"
    with pytest.raises(LedgerError, match="other places spend of them, too"):
        await place.ledger.lift()


async def test_a_bus_that_goes_away_while_a_new_book_is_lifted_is_told() -> None:
    bus = Bus(new=True)
    place = Place(bus, "eu")
    await place.ask(1_000)
    bus.server.up = False
    with pytest.raises(LedgerError, match="the bus of the budgets cannot be reached cannot be"):
        await place.ledger.lift()
    assert place.ledger.doubt_kind == "new"  # it may be there again at once


async def test_a_book_that_cannot_be_read_is_told_to_be_there() -> None:
    bus = Bus()
    place = Place(bus, "eu")
    bus.server.set(BOOK_KEY, b"[]", 1)
    assert await place.ask(1_000) == 0
    assert place.ledger.doubt.startswith("the budgets on the bus cannot be used since ")
    assert "(they cannot be read: Expected `object`" in place.ledger.doubt
    assert place.ledger.doubt_kind == "away"
    with pytest.raises(LedgerError, match="that the budgets on the bus cannot be used cannot be"):
        await place.ledger.lift()


async def test_what_a_server_has_lost_is_told_again_of_those_that_are_dead_too() -> None:
    bus = Bus()
    eu, dead = Place(bus, "eu"), Place(bus, "us")
    await eu.ask(500)
    older = dict(bus.server.entries)
    await dead.ask(500)
    await dead.after(SETTLE_S, 500, spent=100)
    await eu.after(SETTLE_S, 500, spent=200)
    (lost,) = [one for one in bus.book.holders.values() if one.place == "us"]
    bus.server.entries = older
    await eu.after(RENEW_S, 500)
    assert sum(one.tokens for one in bus.report.routes) == 300
    assert lost in bus.book.holders.values()


@pytest.mark.parametrize("who", ["one that knew it", "one that did not"])
async def test_a_lost_book_is_made_again_of_what_places_have_seen(who: str) -> None:
    bus = Bus()
    eu, us, dead = Place(bus, "eu"), Place(bus, "us"), Place(bus, "asia")
    for place in (dead, us, eu):
        await place.ask(500)
        await place.after(SETTLE_S, 500, spent=100)
    await us.after(SETTLE_S, 500, spent=50)
    spent = sum(one.tokens for one in bus.report.routes)
    assert spent == 350
    bus.server.entries.clear()
    if who == "one that did not":
        await Place(bus, "new").ask(100)
        assert sum(one.tokens for one in bus.report.routes) == 0
    await eu.after(RENEW_S, 500)
    await us.after(RENEW_S, 500)
    await eu.after(RENEW_S, 500)
    assert sum(one.tokens for one in bus.report.routes) == spent
    assert {run.host.rpartition(" ")[2] for run in bus.report.runs} >= {"eu", "us", "asia"}


async def test_a_place_that_was_forgotten_tells_what_it_spent_in_the_hour() -> None:
    bus = Bus()
    place, other = Place(bus, "eu"), Place(bus, "us")
    await place.ask(1_000)
    await place.after(SETTLE_S, 1_000, spent=500)
    place.bucket.up = False
    await place.after(60, 1_000, spent=100)
    await other.after(LEASE_S + HOUR_S, 100)
    assert [run.host.rpartition(" ")[2] for run in bus.report.runs] == ["us"]
    place.bucket.up = True
    assert await place.after(RETRY_S, 1_000) == 1_000
    assert sum(one.tokens for one in bus.report.routes) == 0  # all of it was long ago


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"\xff{", "cannot be read|malformed|invalid"),
        (b'{"life":"a","began_s":1,"x":' + b"[" * 100_000, "cannot be read|recursion"),
        (b'{"life":"a","began_s":1,"spent":{"r":{"1":[-5,0.0]}}}', "cannot be read|>= 0"),
        (b'{"life": "x", "began_s": 1, "version": 9}', "of a newer llmtop"),
    ],
)
async def test_a_book_that_cannot_be_read_is_left_and_nothing_is_leased(
    value: bytes, why: str
) -> None:
    bus = Bus()
    bus.server.set(BOOK_KEY, value, None)
    place = Place(bus, "eu")
    assert await place.ask(100) == 0
    assert "nothing may be spent" in place.ledger.doubt
    assert bus.server.entries[BOOK_KEY].value == value


async def test_too_many_dead_are_counted_as_spent_as_long_as_in_their_records() -> None:
    bus = Bus()
    for number in range(MOST_HOLDERS):
        await Place(bus, f"p{number}").ask(100)
    assert len(bus.book.holders) == MOST_HOLDERS
    late = Place(bus, "late")
    assert await late.ask(100) == 0
    assert "too many places share them" in late.ledger.doubt
    taken = bus.taken
    assert await late.after(LEASE_S + 1, 100) == 100
    assert len(bus.book.holders) == MOST_HOLDERS
    assert bus.taken >= taken
    assert sum(one.tokens for one in bus.report.routes) >= 100


async def test_what_a_dead_place_held_counts_as_long_without_its_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("probes.money.bus_book.MOST_HOLDERS", 2)
    bus = Bus()
    dead, other = Place(bus, "eu"), Place(bus, "us")
    await dead.ask(50_000)
    heard_s = bus.now_s
    await dead.after(SETTLE_S, 50_000, spent=1_000)
    await other.after(1, 100)
    await bus.clock.advance(LEASE_S + 1)
    await Place(bus, "asia").ask(100)
    assert {one.place for one in bus.book.holders.values()} == {"us", "asia"}
    await bus.clock.advance(heard_s + SETTLE_S + LEASE_S + HOUR_S - bus.now_s)
    await other.after(0, 100)
    assert sum(one.tokens for one in bus.report.routes) >= 50_000


async def test_who_comes_back_without_its_record_tells_what_it_spent_in_the_hour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("probes.money.bus_book.MOST_HOLDERS", 2)
    bus = Bus()
    place, other = Place(bus, "eu"), Place(bus, "us")
    await place.ask(1_000)
    await place.after(SETTLE_S, 1_000, spent=500)
    await other.after(LEASE_S + 1, 100)
    new = Place(bus, "asia")
    await new.ask(100)
    await new.ledger.release("run")
    assert "eu" not in {one.place for one in bus.book.holders.values()}
    await place.ask(1_000)
    (told,) = [one for one in bus.book.holders.values() if one.place == "eu"]
    assert sum(one.tokens for one in told.hour.values()) == 500
    assert told.spent["r"].tokens == 500


async def test_what_could_not_be_read_again_is_not_set() -> None:
    bus = Bus()
    place = Place(bus, "eu")
    before = bus.server.entries[BOOK_KEY]
    asks = [Ask("r", want_tokens=100, want_usd=float("inf"))]
    await place.ledger.exchange("run", asks, BUDGET)
    assert bus.server.entries[BOOK_KEY] == before
    assert "cannot be used" in place.ledger.doubt
