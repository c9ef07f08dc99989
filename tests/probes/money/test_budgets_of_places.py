"""Many places with one budget, on a bus that fails: what is billed in an hour is never more."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

import anyio
import pytest
from bucket_of_budgets import BucketServer, FakeBucket
from clocks import NS, ManualClock

from probes.config import Budget
from probes.money.bus_book import decoded
from probes.money.bus_ledger import BOOK_KEY, BusLedger
from probes.money.lease_rules import NOTHING, Ask

pytestmark = pytest.mark.anyio

HOUR_S, LEASE_S = 600, 120
"""An hour that passes sooner, so that budgets are used up and come free again many times."""
PROBE = 10
"""Tokens that a probe may cost at most."""
BUDGET = Budget(tokens_per_hour=30_000, route_tokens_per_hour=20_000)
ROUTES = ("r", "s")


@pytest.fixture(autouse=True)
def short_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an hour pass sooner."""
    shorten(monkeypatch.setattr)


def shorten(set_to: Callable[[str, float], object]) -> None:
    """Make an hour shorter, and what follows from it."""
    for module in ("bus_book", "bus_ledger"):
        set_to(f"probes.money.{module}.HOUR_S", HOUR_S)
        set_to(f"probes.money.{module}.LEASE_S", LEASE_S)
    set_to("probes.money.bus_ledger.FENCE_S", LEASE_S / 2)


@dataclass
class Billed:
    """What a provider has billed of a route in the hour."""

    requests: deque[tuple[int, int]] = field(default_factory=deque)
    tokens: int = 0

    def bill(self, now_s: int, tokens: int) -> None:
        self.requests.append((now_s, tokens))
        self.tokens += tokens

    def forget(self, now_s: int) -> None:
        """Drop what is an hour old."""
        while self.requests and self.requests[0][0] <= now_s - HOUR_S:
            self.tokens -= self.requests.popleft()[1]


class Place:
    """An agent with one engine, which spends what it is allowed as it likes."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.chance = Random(world.chance.random())
        self.bucket: FakeBucket = world.server.bucket(
            delay_s=self.chance.choice([0.001, 0.02, 0.15]), chance=self.chance
        )
        self.bucket.lost = world.lost
        self.clock = world.clock
        self.ledger = BusLedger(
            self.bucket, place=name, clock=self.clock, jitter=self.chance.random
        )
        self.scope = anyio.CancelScope()
        self.rate = self.chance.choice([0.0, 0.5, 2.0, 2.0])
        """Probes a second that it would begin of each route."""
        self.allowed = dict.fromkeys(ROUTES, 0)
        """What the engine may spend of the last grant, and has not."""
        self.fresh = dict.fromkeys(ROUTES, 0)
        """Billed, and not told to the ledger."""

    async def run(self) -> None:
        with self.scope:
            while True:
                await self.clock.sleep(self.chance.uniform(0.5, 1.5))
                await self.ask()
                self.spend()

    async def ask(self) -> None:
        told, self.fresh = self.fresh, dict.fromkeys(ROUTES, 0)
        # It goes on spending while the question is under way: of the same money.
        in_hand = dict(self.allowed)
        want = 0 if not self.rate else round(PROBE * (1 + 2 * self.rate))
        asks = [
            Ask(route, spent_tokens=told[route], want_tokens=want, least_tokens=min(want, PROBE))
            for route in ROUTES
        ]
        grants = await self.ledger.exchange("run", asks, self.world.budget)
        for route in ROUTES:
            meanwhile = in_hand[route] - self.allowed[route]
            self.allowed[route] = grants[route].tokens - meanwhile

    def spend(self) -> None:
        for route in ROUTES:
            for _ in range(4):
                if self.chance.random() < self.rate / 2 and self.allowed[route] >= PROBE:
                    tokens = self.chance.randint(10, PROBE)
                    self.allowed[route] -= tokens
                    self.fresh[route] += tokens
                    self.world.billed[route].bill(self.world.now_s, tokens)


class World:
    """Places, their bus, the provider, and what goes wrong."""

    def __init__(self, seed: int, places: int, *, lost: float = 0.0, budget: Budget = BUDGET):
        self.chance = Random(seed)
        self.lost = lost
        self.budget = budget
        self.clock = ManualClock()
        self.server = BucketServer(self.clock)
        self.billed = {route: Billed() for route in ROUTES}
        self.places = [Place(self, f"p{number}") for number in range(places)]
        self.lives = places
        self.most = dict.fromkeys((*ROUTES, ""), 0)

    @property
    def now_s(self) -> int:
        return self.clock.monotonic_ns() // NS

    def kill(self, number: int, start: Callable[[Place], None]) -> None:
        """Kill a place's agent; another life of it begins, and knows nothing."""
        self.places[number].scope.cancel()
        self.lives += 1
        self.places[number] = Place(self, f"p{number}")
        start(self.places[number])

    def check(self) -> None:
        """Hold what was billed in the last hour against the budgets, and against the book."""
        for one in self.billed.values():
            one.forget(self.now_s)
        billed = {route: one.tokens for route, one in self.billed.items()}
        for route, tokens in {**billed, "": sum(billed.values())}.items():
            self.most[route] = max(self.most[route], tokens)
        assert max(billed.values()) <= self.budget.route_tokens_per_hour
        assert sum(billed.values()) <= self.budget.tokens_per_hour
        entry = self.server.entries.get(BOOK_KEY)
        if entry is not None:
            taken = decoded(entry.value).taken()
            for route, tokens in billed.items():
                assert tokens <= taken.get(route, NOTHING).tokens


async def lived_through(world: World, hours: float) -> None:
    """Let a world live, with outages of the bus and of single ways to it, and kills."""
    chance = world.chance
    async with anyio.create_task_group() as tasks:

        def start(place: Place) -> None:
            tasks.start_soon(place.run)

        for place in world.places:
            start(place)
        until_s = world.now_s + hours * HOUR_S
        bus_back_s = 0.0
        while world.now_s < until_s:
            await world.clock.advance(2)
            world.check()
            if not world.server.up and world.now_s >= bus_back_s:
                world.server.up = True
            if chance.random() < 0.005:
                world.server.up = False
                bus_back_s = world.now_s + chance.choice([3, 10, 30, 90, 400])
            for number, place in enumerate(world.places):
                if chance.random() < 0.008:
                    place.bucket.up = not place.bucket.up
                if chance.random() < 0.01:
                    place.rate = chance.choice([0.0, 0.5, 2.0, 2.0])
                if chance.random() < 0.002:
                    world.kill(number, start)
        tasks.cancel_scope.cancel()


async def test_what_is_billed_in_an_hour_is_never_more_than_the_budget() -> None:
    world = World(1, places=5, lost=0.01)
    await lived_through(world, hours=2)
    assert world.most[""] > 0.9 * BUDGET.tokens_per_hour  # and nearly all of it can be used


@pytest.mark.long
@pytest.mark.parametrize("seed", range(12))
async def test_nor_is_it_in_many_hours_of_many_places(seed: int) -> None:
    world = World(seed, places=8, lost=0.02)
    await lived_through(world, hours=6)
    assert world.most[""] > 0.9 * BUDGET.tokens_per_hour
