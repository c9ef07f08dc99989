"""An engine's money: what it spends, what it has leased, and when it needs more.

Folds the engine's own stream; asks the ledger, before the engine would run dry. Rules:

1. The engine is never allowed more than it has settled plus what has been leased for it.
2. What an engine that is killed had in its hands counts as spent.
3. A lease is near to what is in flight: what is reserved, and what will be in the next two seconds.
   A run that is killed loses no more.
4. What is given back is free only when the engine has said that it obeys, and what it had spent
   and reserved by then: until then it may still spend what it was told before.
5. Given back is what it will not need, what pays for no probe, and what another engine of the run
   waits for while this one does not.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from probes.config import Budget, Price, Route
from probes.config.prompts import OVERHEAD_TOKENS
from probes.control.commands import Allow, Allowance, Burst, Command, ProbeNow
from probes.control.wanted import WantedRoute, wanted_of
from probes.events import (
    AttemptFinished,
    AttemptStarted,
    Batch,
    Event,
    Held,
    Hello,
    MoneyReport,
    Notice,
)
from probes.kit.clock import Clock, seconds
from probes.money.lease_rules import (
    NOTHING,
    OVERALL,
    ROUNDING,
    SHARE_OF_LIMIT,
    Amount,
    Ask,
    Grant,
    route_key,
)
from probes.money.pricing import (
    LearnedUse,
    dearest_usd_per_token,
    price_of,
    reserved_usd,
    usd_charged,
    wants_list,
)
from probes.money.run_ledger import NO_GRANT, RunLedger

AHEAD_S: Final = 2.0
"""So far ahead a lease reaches: a top-up a second, and as long again for a busy machine."""
RATE_S: Final = 0.5
"""Over about so long a route's rate is taken: a route that begins is known within a second."""
MAX_BURST_AHEAD: Final = 100
"""Probes of a burst that are leased for at once: a thousand would tie up a budget for minutes."""
ASKED_AHEAD: Final = 2
"""Single probes that are leased for beforehand where they are asked for."""
_TOO_MUCH: Final = 2
"""A lease of so many times what lies ahead is given back in part: rates go up and down, and each
change costs a write to the disk."""


@dataclass(slots=True)
class _RouteLease:
    """An engine's lease of one route."""

    key: str
    wanted: WantedRoute
    """What the engine is to do."""
    prompt_tokens: int
    price: Price | None
    repriced: bool = False
    """A price has come that no lease was asked by yet."""
    settled: Amount = NOTHING
    """Spent in this life of the engine and told to the ledger."""
    fresh: Amount = NOTHING
    """Spent and not yet told."""
    asked: Amount = NOTHING
    """Of the fresh: what the question that is under way tells."""
    dead: Amount = NOTHING
    """Spent in earlier lives, and not yet told."""
    reserved: int = 0
    """Tokens of attempts that are open."""
    burst: int = 0
    """Probes asked for beside the pace and not begun yet."""
    asked_for: bool = False
    """Single probes are asked for, and more of them will be."""
    paced: int = 0
    """Tokens spent since the rate was last looked at."""
    rate: float = 0.0
    """Tokens a second, smoothed."""
    want: int = 0
    """Tokens that were last asked for."""
    ahead: int = 0
    """Of these: beyond what was reserved then."""
    stands_back: bool = False
    """It asked for nothing ahead, because another engine waits for money."""
    learned: LearnedUse = field(default_factory=LearnedUse)
    grant: Grant = NO_GRANT
    granted: bool = False
    """All that it needs was granted, in tokens and in USD."""
    allowed: Amount = NOTHING
    """What the engine was told last, counted since its life began."""
    before: Amount = NOTHING
    """The most that it was told before, while it has not said that it obeys a lower one."""
    lowered: int | None = None
    """Number of the command that told it so, where that was less than before."""
    bound: Amount | None = None
    """It has said that it will have spent and reserved no more than this."""

    @property
    def probe(self) -> int:
        """Tokens that a probe may take at most, which the engine reserves for it."""
        asked = self.prompt_tokens + round(self.wanted.max_tokens)
        return max(asked, self.learned.tokens)

    @property
    def usd_per_token(self) -> float:
        """The dearest price of a token; 0 without one."""
        return dearest_usd_per_token(self.price)

    def dearest(self, tokens: int) -> Amount:
        """Return so many tokens at the dearest price of one: what a lease must cover."""
        return Amount(tokens, tokens * self.usd_per_token)

    def reserving(self, tokens: int) -> Amount:
        """Return so many tokens of probes at what the engine reserves for one."""
        usd = reserved_usd(self.price, self.prompt_tokens, self.probe)
        return Amount(tokens, tokens * usd / max(1, self.probe))

    @property
    def leased(self) -> Amount:
        """What the ledger holds for it, counted as the engine counts: since its life began."""
        return self.settled + Amount(self.grant.tokens, self.grant.usd)

    @property
    def left(self) -> Amount:
        """Leased and neither spent nor reserved."""
        granted = Amount(self.grant.tokens, self.grant.usd)
        return granted - self.fresh - self.dead - self.reserving(self.reserved)

    @property
    def left_tokens(self) -> int:
        """The same in tokens: asked at each batch."""
        return self.grant.tokens - self.fresh.tokens - self.dead.tokens - self.reserved

    @property
    def runs_low(self) -> bool:
        """A lease that was granted whole is half used; at the budget asking again is no help."""
        return self.repriced or (self.granted and self.left_tokens < self.ahead // 2)

    @property
    def gives_back(self) -> bool:
        """The ledger holds more for it than the engine will ever spend."""
        if self.bound is None:
            return False
        # Sums of USD are rounded in another order by the engine than here.
        kept = (self.bound - self.settled).most(NOTHING)
        usd = self.grant.usd - kept.usd
        return self.grant.tokens > kept.tokens or usd > ROUNDING * max(self.bound.usd, kept.usd)

    @property
    def at_rest(self) -> bool:
        """Nothing is open or untold, and all that was wanted was granted."""
        untold = self.fresh.tokens or self.dead.tokens or self.reserved or self.burst
        return not untold and (self.granted or self.want == 0) and not self.gives_back

    def begin(self) -> None:
        """Count from nothing, as a new engine does; what the last one spent is still to be told."""
        self.dead += self.fresh
        self.settled = self.fresh = self.allowed = self.before = NOTHING
        self.lowered = self.bound = None
        self.burst = 0  # a new engine knows nothing of it

    def count_as_spent(self) -> None:
        """Count all that is handed out as spent: what became of it will never be told.

        That is what the ledger holds for it, and what it may have begun before it heard of less.
        """
        may = self.allowed.most(self.before) if self.bound is None else self.bound
        begun = self.settled + self.fresh + self.reserving(self.reserved)
        self.fresh += self.left.most(may - begun).most(NOTHING)

    def want_ahead(self, passed_s: float, most: int) -> int:
        """Return the lease that keeps a route going: what is in flight, and 2 s more of it.

        As long as its rate is not known that is the next probe of each worker that is due by then.
        """
        if passed_s > 0:
            # Over half a second: one probe that ends right after a question is no rate.
            weight = 1 - math.exp(-passed_s / RATE_S)
            self.rate += weight * (self.paced / passed_s - self.rate)
            self.paced = 0
        workers = round(self.wanted.concurrency)
        soon = min(self.burst, MAX_BURST_AHEAD)
        if self.asked_for:
            # Whoever asks for one asks for the next when it has ended: that should not wait.
            soon = max(soon, ASKED_AHEAD)
        if workers:
            # Of each worker one: what is back to back, or due faster, begins when that has ended.
            soon += math.ceil(min(workers, self.wanted.per_s * AHEAD_S)) + 1
        ahead = math.ceil(AHEAD_S * self.rate) if soon else 0
        return max(soon * self.probe, min(ahead, most))

    def ask(self, ahead: int, *, living: bool = True, stands_back: bool = False) -> Ask:
        """Return the question to the ledger: `ahead` tokens beyond what is reserved.

        Of an engine that does not live nothing is in anybody's hands.
        """
        self.stands_back = stands_back
        self.ahead = 0 if stands_back else ahead
        self.want = self.ahead + self.reserved if living else 0
        self.repriced = False
        self.asked = self.fresh  # attempts end while the question is under way
        spent, wanted = self.fresh + self.dead, self.dearest(self.want)
        # What is reserved is leased already: below one more probe nothing more can begin.
        least = self.reserving(min(self.want, self.probe + self.reserved))
        keep = None if living else NOTHING
        if living and self.bound is not None:
            keep = (self.bound - self.settled - self.fresh).most(NOTHING)
        return Ask(
            self.key,
            spent_tokens=spent.tokens,
            spent_usd=spent.usd,
            want_tokens=wanted.tokens,
            want_usd=wanted.usd,
            least_tokens=least.tokens,
            least_usd=least.usd,
            keep_tokens=None if keep is None else keep.tokens,
            keep_usd=None if keep is None else keep.usd,
        )

    def book(self, grant: Grant) -> None:
        """Take over the ledger's answer to the last question."""
        self.fresh -= self.asked
        self.settled += self.asked
        self.dead = NOTHING
        self.grant = grant
        granted = Amount(grant.tokens, grant.usd).covers(self.dearest(self.want))
        self.granted = granted and self.want > 0 and not self.stands_back

    def allow(self, number: int) -> None:
        """Decide what the engine may spend, which command `number` tells it."""
        allowed = self.leased - self._spare()
        if not allowed.covers(self.allowed):
            self.before = self.before.most(self.allowed).most(self.bound or NOTHING)
            self.lowered, self.bound = number, None
        elif not self.allowed.covers(allowed):
            self.lowered = None  # from now on it may pass what it was lowered to
            if self.bound is not None and not self.bound.covers(allowed):
                self.bound = None
        self.allowed = allowed

    def _spare(self) -> Amount:
        """Return what is to be given back (rule 5)."""
        left = self.left.most(NOTHING)
        if not (self.granted or left.covers(self.reserving(self.probe))):
            return left
        if left.tokens > _TOO_MUCH * self.ahead:
            return left - left.least(self.dearest(self.ahead))
        return NOTHING

    def start(self, event: AttemptStarted) -> None:
        """Take the begin of an attempt."""
        self.reserved += event.reserved_tokens
        self.burst = max(0, self.burst - 1)

    def spend(self, event: AttemptFinished) -> None:
        """Take the end of an attempt."""
        self.learned.learn(event.charged_tokens)
        self.fresh += Amount(event.charged_tokens, usd_charged(event))
        self.paced += event.charged_tokens
        self.reserved = max(0, self.reserved - event.reserved_tokens)

    def take_price(self, price: Price) -> None:
        """Reckon with a price from now on."""
        self.price, self.repriced = price, True


class BudgetLease:
    """Money of one engine's routes; owns its leases.

    `expect` takes what the engine is commanded, `fold` what it tells; `begin` and `top_up` give
    what it may spend.
    """

    def __init__(
        self, ledger: RunLedger, routes: Sequence[Route], *, clock: Clock, engine: int = 0
    ) -> None:
        """Begin with nothing leased; `engine` is its place among those of the run."""
        self._ledger = ledger
        self._clock = clock
        self._engine = engine
        self._wanted = wanted_of(tuple(routes))
        self._routes = {
            route.name: _RouteLease(
                key=route_key(route),
                wanted=self._wanted.routes[route.name],
                # What a template adds the engine's hello tells.
                prompt_tokens=route.input_tokens - OVERHEAD_TOKENS,
                price=route.price,
            )
            for route in routes
        }
        self._living = False
        self._number = 0
        self._overall = NO_GRANT
        self._asked_ns: int | None = None

    def on_due(self, wake: Callable[[], None]) -> None:
        """Call back when the ledger should be asked though the engine has told nothing new."""
        self._ledger.join(self._engine, wake)

    def expect(self, command: Command) -> None:
        """Note what the engine is told to do: what it will need follows from it."""
        if isinstance(command, Burst | ProbeNow) and command.route in self._routes:
            route = self._routes[command.route]
            route.burst += command.count if isinstance(command, Burst) else 1
            route.asked_for = route.asked_for or isinstance(command, ProbeNow)
        self._wanted = self._wanted.after_command(command)
        for name, route in self._routes.items():
            route.wanted = self._wanted.routes[name]

    def fold(self, event: Event) -> None:
        """Take one event of the engine's stream."""
        match event:
            case AttemptStarted() if event.route in self._routes:
                self._routes[event.route].start(event)
            case AttemptFinished() if event.route in self._routes:
                self._routes[event.route].spend(event)
            case Notice() if event.price is not None and event.route in self._routes:
                self._routes[event.route].take_price(price_of(event.price))
            case Held(reason="budget") if event.route in self._routes:
                turn = self._ledger.go_on if event.released else self._ledger.wait
                turn(self._engine, self._routes[event.route].key)
            case Batch() if event.money is not None:
                self._hear(event.money)
            case Hello():
                for info in event.routes:
                    if info.name in self._routes:
                        self._routes[info.name].prompt_tokens = info.prompt_tokens
            case _:
                pass

    def end_engine(self, *, in_order: bool) -> None:
        """Note that the engine has ended; if not `in_order`, it has spent all it had in hand."""
        self._living = False
        for route in self._routes.values():
            self._ledger.go_on(self._engine, route.key)
            if not in_order:
                route.count_as_spent()

    @property
    def is_due(self) -> bool:
        """Whether the ledger should be asked now: a lease runs low, or some of it is for others."""
        routes = self._routes.values()
        if any(route.runs_low or route.gives_back for route in routes):
            return True
        # Asked at each batch: who waits for money is rare.
        return self._ledger.somebody_waits and any(map(self._holds_what_is_wanted, routes))

    @property
    def at_rest(self) -> bool:
        """Whether a question to the ledger would change nothing of ours."""
        asked = self._asked_ns is not None and not self._ledger.fails
        return asked and all(route.at_rest for route in self._routes.values())

    async def begin(self) -> Allow:
        """Return what a new engine may spend, which counts from nothing."""
        async with self._ledger.turn:
            for route in self._routes.values():
                route.begin()
            self._living = True
            allow = await self._ask(patient=False)
            assert allow is not None  # noqa: S101 - without patience there is an answer
            return allow

    async def top_up(self) -> Allow | None:
        """Settle with the ledger and return what the engine may spend now.

        None where the ledger did not answer and what was allowed before holds.
        """
        async with self._ledger.turn:
            return await self._ask()

    async def close(self, *, in_order: bool) -> None:
        """Settle what is left and give the leases back; all is spent if not `in_order`."""
        async with self._ledger.turn:
            self.end_engine(in_order=in_order)
            asks = [route.ask(0, living=False) for route in self._routes.values()]
            await self._ledger.settle(self._engine, asks)

    async def _ask(self, *, patient: bool = True) -> Allow | None:
        now_ns = self._clock.monotonic_ns()
        passed_s = seconds(now_ns - self._asked_ns) if self._asked_ns is not None else 0.0
        self._asked_ns = now_ns
        limit = self._ledger.budget.route_tokens_per_hour
        most = limit // SHARE_OF_LIMIT // self._ledger.engines
        asks: list[Ask] = []
        for route in self._routes.values():
            ahead = route.want_ahead(passed_s, most) if self._living else 0
            if not ahead:
                # Nothing more will begin here: nobody is to stand back for it.
                self._ledger.go_on(self._engine, route.key)
            stands_back = self._ledger.is_wanted_elsewhere(self._engine, route.key)
            asks.append(route.ask(ahead, living=self._living, stands_back=stands_back))
        grants = await self._ledger.exchange(self._engine, asks, patient=patient)
        if grants is None:
            return None
        self._number += 1
        for route in self._routes.values():
            freed = route.gives_back  # the answer is of a question that gave it back
            route.book(grants[route.key])
            route.allow(self._number)
            self._ledger.end_turn(route.key)
            if freed:
                self._ledger.serve_next(route.key)
        self._overall = grants[OVERALL]
        told = (self._allowance(name, route) for name, route in self._routes.items())
        return Allow(allowances=(self._of_all(), *told), number=self._number)

    def _hear(self, report: MoneyReport) -> None:
        told = {one.route: Amount(one.tokens, one.usd) for one in report.committed}
        for name, route in self._routes.items():
            if route.lowered is not None and report.allow >= route.lowered:
                route.bound = route.allowed.most(told.get(name, NOTHING))
                route.before = NOTHING

    def _holds_what_is_wanted(self, route: _RouteLease) -> bool:
        idle = route.left_tokens > 0 and not route.stands_back
        return idle and self._ledger.is_wanted_elsewhere(self._engine, route.key)

    def _allowance(self, name: str, route: _RouteLease) -> Allowance:
        budget = self._ledger.budget
        bounded = budget.route_usd_per_hour is not None or budget.usd_per_hour is not None
        return Allowance(
            route=name,
            tokens=route.allowed.tokens,
            usd=route.allowed.usd if bounded and route.usd_per_token > 0 else None,
            used_tokens=route.grant.used_tokens,
            used_usd=route.grant.used_usd,
            limit_tokens=budget.route_tokens_per_hour,
            limit_usd=budget.route_usd_per_hour,
            more=route.granted,
        )

    def _of_all(self) -> Allowance:
        """Return what the engine may spend on all routes together: the sum of what it has."""
        routes, budget = self._routes.values(), self._ledger.budget
        priced = all(route.price is not None for route in routes)
        enforced = priced and budget.usd_per_hour is not None
        return Allowance(
            route=OVERALL,
            tokens=sum(route.allowed.tokens for route in routes),
            usd=sum(route.allowed.usd for route in routes) if enforced else None,
            used_tokens=self._overall.used_tokens,
            used_usd=self._overall.used_usd,
            limit_tokens=budget.tokens_per_hour,
            limit_usd=budget.usd_per_hour,
            doubt=self._ledger.doubt,
            doubt_kind=self._ledger.doubt_kind,
        )


_UNTIL_LISTED: Final = " until the provider's list tells one"


def unenforceable_budgets(routes: Sequence[Route], budget: Budget) -> list[tuple[str, str]]:
    """Return (route, words) for each route whose USD budget nobody can hold: its price is unknown.

    What the provider itself says an answer cost is still counted and shown.
    """
    if budget.usd_per_hour is None and budget.route_usd_per_hour is None:
        return []
    return [
        (
            route.name,
            f"{route.name}: no price is known, so the USD budget cannot be enforced"
            f"{_UNTIL_LISTED if wants_list(route) else ''}; the token budget holds",
        )
        for route in routes
        if route.price is None
    ]
