"""A run's money: what its engine spends, what it has leased, and when it needs more.

Folds attempts from the stream; tops leases up from the ledger, in a worker thread, before the
engine would run dry. Invariant: the engine is never allowed more than it has settled plus what
the ledger has leased to this run.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio
from anyio import to_thread

from probes.clock import Clock, seconds
from probes.commands import Allow, Allowance
from probes.config import Budget, Price, Route
from probes.desired import Desired
from probes.events import AttemptFinished, AttemptStarted, Event, Hello, Notice
from probes.ledger import OVERALL, Ask, Grant, Ledger, new_run, route_key
from probes.pricing import LearnedUse, dearest_usd_per_token, price_of, usd_charged, wants_list
from probes.prompts import estimate_tokens

__all__ = ["Purse", "unenforceable_budgets"]

AHEAD_PROBES: Final = 20
AHEAD_S: Final = 10.0
MAX_BURST_AHEAD: Final = 100
_SHARE_OF_LIMIT: Final = 10
"""A lease takes at most this part of a route's limit, so that one run starves no other."""
_NO_GRANT: Final = Grant(tokens=0, usd=0.0, used_tokens=0, used_usd=0.0)


@dataclass(slots=True)
class _Account:
    """One route's money in this run."""

    key: str
    prompt_tokens: int
    usd_per_token: float
    priced: bool = False
    repriced: bool = False
    """A price has come that no lease was asked by yet."""
    engine_tokens: int = 0
    """Spent by this engine and told to the ledger."""
    engine_usd: float = 0.0
    fresh_tokens: int = 0
    """Spent and not yet told to the ledger."""
    fresh_usd: float = 0.0
    asked_tokens: int = 0
    """Of the fresh: what the question to the ledger that is under way tells it."""
    asked_usd: float = 0.0
    dead_tokens: int = 0
    """Spent by engines that are gone, and not yet told to the ledger."""
    dead_usd: float = 0.0
    reserved: int = 0
    """Of attempts that are open."""
    burst: int = 0
    """Probes asked for beside the pace and not begun yet."""
    rate: float = 0.0
    """Tokens a second, smoothed."""
    want: int = 0
    learned: LearnedUse = field(default_factory=LearnedUse)
    grant: Grant = _NO_GRANT

    @property
    def left(self) -> int:
        return self.grant.tokens - self.fresh_tokens - self.dead_tokens - self.reserved

    @property
    def runs_low(self) -> bool:
        """A lease that was granted whole is half used; at the budget asking again is no help."""
        if self.repriced:
            return True
        return self.grant.tokens >= self.want and self.left < self.want // 2

    @property
    def at_rest(self) -> bool:
        """Nothing is open or untold, and all that was wanted was granted."""
        untold = self.fresh_tokens or self.dead_tokens or self.reserved or self.burst
        return not untold and self.grant.tokens >= self.want > 0

    def take_price(self, price: Price) -> None:
        """Reckon with a price from now on."""
        self.priced = self.repriced = True
        self.usd_per_token = dearest_usd_per_token(price)

    def begin_engine(self) -> None:
        """A new engine counts from nothing; what the last one spent is still to be told."""
        self.engine_tokens, self.engine_usd = 0, 0.0
        self.dead_tokens += self.fresh_tokens
        self.dead_usd += self.fresh_usd
        self.fresh_tokens, self.fresh_usd = 0, 0.0

    def ask(self, want_tokens: int = 0) -> Ask:
        self.want = want_tokens
        self.repriced = False
        self.asked_tokens, self.asked_usd = self.fresh_tokens, self.fresh_usd
        return Ask(
            self.key,
            spent_tokens=self.fresh_tokens + self.dead_tokens,
            spent_usd=self.fresh_usd + self.dead_usd,
            want_tokens=want_tokens,
            want_usd=want_tokens * self.usd_per_token,
        )

    def book(self, grant: Grant) -> None:
        """Take over the ledger's answer to the last question."""
        self.fresh_tokens -= self.asked_tokens
        self.fresh_usd -= self.asked_usd
        self.engine_tokens += self.asked_tokens
        self.engine_usd += self.asked_usd
        self.dead_tokens, self.dead_usd = 0, 0.0
        self.grant = grant

    def spend(self, event: AttemptFinished) -> None:
        self.learned.learn(event.charged_tokens)
        self.fresh_tokens += event.charged_tokens
        self.fresh_usd += usd_charged(event)
        self.reserved = max(0, self.reserved - event.reserved_tokens)


class Purse:
    """Money of the routes of one run; owns the run's leases."""

    def __init__(
        self,
        ledger: Ledger,
        routes: Sequence[Route],
        budget: Budget,
        *,
        clock: Clock,
        engines: int = 1,
    ) -> None:
        """Begin with nothing leased; what is leased will be divided among `engines` engines."""
        self._ledger = ledger
        self._budget = budget
        self._clock = clock
        self._engines = engines
        self._run = new_run()
        self._accounts = {route.name: _account(route) for route in routes}
        self._alone: Ledger | None = None
        self._one_at_a_time = anyio.Lock()
        self._used_overall = _NO_GRANT
        self._asked_ns: int | None = None

    def fold(self, event: Event) -> None:
        """Take one event of the stream."""
        match event:
            case AttemptStarted() if event.route in self._accounts:
                account = self._accounts[event.route]
                account.reserved += event.reserved_tokens
                account.burst = max(0, account.burst - 1)
            case AttemptFinished() if event.route in self._accounts:
                self._accounts[event.route].spend(event)
            case Notice() if event.price is not None and event.route in self._accounts:
                self._accounts[event.route].take_price(price_of(event.price))
            case Hello():
                for route in event.routes:
                    if route.name in self._accounts:
                        self._accounts[route.name].prompt_tokens = route.prompt_tokens
            case _:
                pass

    def expect_burst(self, route: str, probes: int) -> None:
        """Lease ahead for probes that will be sent beside the pace."""
        if route in self._accounts:
            self._accounts[route].burst += max(0, probes)

    @property
    def runs_low(self) -> bool:
        """Whether some route may soon wait for its lease rather than for its budget."""
        return any(account.runs_low for account in self._accounts.values())

    @property
    def at_rest(self) -> bool:
        """Whether a question to the ledger would change nothing of ours."""
        return all(account.at_rest for account in self._accounts.values())

    async def top_up(self, desired: Desired, *, new_engine: bool = False) -> Allow:
        """Settle with the ledger and return what the engine may spend now.

        Raises:
            LedgerError: nothing was settled and nothing leased; what was spent is kept for later.
        """
        async with self._one_at_a_time:
            if new_engine:
                for account in self._accounts.values():
                    account.begin_engine()
            asks = self._asks(desired)
            grants = await to_thread.run_sync(self._ledger.exchange, self._run, asks, self._budget)
            for account in self._accounts.values():
                account.book(grants[account.key])
            self._used_overall = grants[OVERALL]
            return self._allow()

    async def close(self) -> None:
        """Settle what is left and free the leases. Raises LedgerError."""
        async with self._one_at_a_time:
            asks = [account.ask() for account in self._accounts.values()]
            await to_thread.run_sync(self._ledger.exchange, self._run, asks, self._budget)
            await to_thread.run_sync(self._ledger.release, self._run)
            if self._alone is not None:
                self._alone.close()

    async def stand_alone(self) -> None:
        """Go on without the shared ledger: what it knew is kept, what others spend is not."""
        async with self._one_at_a_time:
            alone = Ledger(None)
            known = [
                Ask(account.key, account.grant.used_tokens, account.grant.used_usd)
                for account in self._accounts.values()
            ]
            others = Ask(
                "others",
                self._used_overall.used_tokens - sum(ask.spent_tokens for ask in known),
                self._used_overall.used_usd - sum(ask.spent_usd for ask in known),
            )
            await to_thread.run_sync(alone.exchange, new_run(), [*known, others], self._budget)
            self._ledger = self._alone = alone

    def _asks(self, desired: Desired) -> list[Ask]:
        now_ns = self._clock.monotonic_ns()
        passed_s = seconds(now_ns - self._asked_ns) if self._asked_ns is not None else 0.0
        self._asked_ns = now_ns
        return [
            account.ask(self._wanted(name, account, desired, passed_s))
            for name, account in self._accounts.items()
        ]

    def _wanted(self, name: str, account: _Account, desired: Desired, passed_s: float) -> int:
        """Return the lease that keeps a route going: 20 probes an engine or 10 s of its rate."""
        if passed_s > 0:
            weight = min(1.0, passed_s / AHEAD_S)
            account.rate += weight * (account.fresh_tokens / passed_s - account.rate)
        asked = account.prompt_tokens + round(desired.knob(name, "max_tokens"))
        probe = max(asked, account.learned.tokens)
        workers = round(desired.knob(name, "concurrency"))
        working = max(1, min(self._engines, workers))
        ahead = max(AHEAD_PROBES * probe * working, math.ceil(AHEAD_S * account.rate))
        most = self._budget.route_tokens_per_hour // _SHARE_OF_LIMIT
        needed = (workers + min(account.burst, MAX_BURST_AHEAD) + working) * probe
        return max(needed, min(ahead, most)) + account.reserved

    def _allow(self) -> Allow:
        return Allow(
            allowances=(
                self._overall(),
                *(self._allowance(name, account) for name, account in self._accounts.items()),
            )
        )

    def _allowance(self, name: str, account: _Account) -> Allowance:
        budget = self._budget
        bounded = budget.route_usd_per_hour is not None or budget.usd_per_hour is not None
        usd = account.engine_usd + account.grant.usd
        return Allowance(
            route=name,
            tokens=account.engine_tokens + account.grant.tokens,
            usd=usd if bounded and account.usd_per_token > 0 else None,
            used_tokens=account.grant.used_tokens,
            used_usd=account.grant.used_usd,
            limit_tokens=budget.route_tokens_per_hour,
            limit_usd=budget.route_usd_per_hour,
        )

    def _overall(self) -> Allowance:
        accounts = self._accounts.values()
        usd = sum(account.engine_usd + account.grant.usd for account in accounts)
        priced = all(account.priced for account in accounts)
        enforced = priced and self._budget.usd_per_hour is not None
        return Allowance(
            route=OVERALL,
            tokens=sum(account.engine_tokens + account.grant.tokens for account in accounts),
            usd=usd if enforced else None,
            used_tokens=self._used_overall.used_tokens,
            used_usd=self._used_overall.used_usd,
            limit_tokens=self._budget.tokens_per_hour,
            limit_usd=self._budget.usd_per_hour,
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


def _account(route: Route) -> _Account:
    return _Account(
        key=route_key(route),
        prompt_tokens=estimate_tokens((route.system or "") + route.prompt),
        usd_per_token=dearest_usd_per_token(route.price),
        priced=route.price is not None,
    )
