"""A run's money: what its engine spends, what it has leased, and when it needs more.

Folds attempts from the stream; tops leases up from the ledger, in a worker thread, before the
engine would run dry. Rules:

1. The engine is never allowed more than it has settled plus what has been leased to this run.
2. What an engine that is killed had in its hands counts as spent.
3. A lease is near to what is in flight: what is reserved, and what will be in the next two seconds.
   A run that is killed loses no more.
4. A ledger that fails is no new budget. What is spent is carried until it can be settled, the
   ledger is tried again and again, and meanwhile the emergency part of each budget is all that
   may be spent, unless somebody lifts that: then the budgets count from what this run knows.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

import anyio
from anyio import to_thread

from probes.config import Budget, Price, Route
from probes.config.prompts import estimate_tokens
from probes.control.commands import Allow, Allowance
from probes.control.wanted import Wanted
from probes.events import AttemptFinished, AttemptStarted, Event, Hello, Notice
from probes.kit.clock import NS_PER_S, Clock, seconds
from probes.money.ledger import (
    OVERALL,
    Ask,
    Grant,
    Ledger,
    emergency_part,
    is_ours_alone,
    new_run,
    route_key,
)
from probes.money.ledger_file import LedgerError
from probes.money.pricing import (
    LearnedUse,
    dearest_usd_per_token,
    price_of,
    usd_charged,
    wants_list,
)

AHEAD_S: Final = 2.0
"""So far ahead a lease reaches: a top-up a second, and as long again for a busy machine."""
RATE_S: Final = 0.5
"""Over about so long a route's rate is taken: a route that begins is known within a second."""
MAX_BURST_AHEAD: Final = 100
RETRY_S: Final = 5.0
"""Between two tries of a ledger that fails: each may wait for others in its thread for 2 s."""
ANSWER_S: Final = 10.0
"""A call that takes longer, on a disk that hangs, is given up."""
STRIKES: Final = 2
"""So many failures in a row before the emergency is declared: one may be others that write."""
_SHARE_OF_LIMIT: Final = 10
"""A lease takes at most this part of a route's limit, so that one run starves no other."""
_Result = TypeVar("_Result")
_Amount = TypeVar("_Amount", int, float)
_ROUNDING: Final = 1e-9
"""Part by which sums of USD may differ that are meant to be the same."""
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
    owed_tokens: int = 0
    """Spent while the shared ledger failed, and not yet told to it."""
    owed_usd: float = 0.0
    reserved: int = 0
    """Of attempts that are open."""
    burst: int = 0
    """Probes asked for beside the pace and not begun yet."""
    paced: int = 0
    """Spent since the rate was last looked at."""
    rate: float = 0.0
    """Tokens a second, smoothed."""
    want: int = 0
    ahead: int = 0
    """Of what was wanted: beyond what was reserved then."""
    learned: LearnedUse = field(default_factory=LearnedUse)
    grant: Grant = _NO_GRANT
    known: Grant = _NO_GRANT
    """What the shared ledger last told."""

    @property
    def left(self) -> int:
        return self.grant.tokens - self.fresh_tokens - self.dead_tokens - self.reserved

    @property
    def granted(self) -> bool:
        """All that was wanted was granted, in tokens and in USD."""
        usd = self.want * self.usd_per_token
        return self.grant.tokens >= self.want > 0 and self.grant.usd >= usd * (1 - _ROUNDING)

    @property
    def runs_low(self) -> bool:
        """A lease that was granted whole is half used; at the budget asking again is no help."""
        if self.repriced:
            return True
        return self.granted and self.left < self.ahead // 2

    @property
    def at_rest(self) -> bool:
        """Nothing is open or untold, and all that was wanted was granted."""
        untold = self.fresh_tokens or self.dead_tokens or self.reserved or self.burst
        return not untold and self.granted

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

    def lose(self, tokens: int, usd: float) -> None:
        """Count what a killed engine had in its hands as spent."""
        self.fresh_tokens += max(0, tokens)
        self.fresh_usd += max(0.0, usd)

    def lose_all(self) -> None:
        """Count all that is handed out as spent: its ends will never be told."""
        usd = self.grant.usd - self.fresh_usd - self.dead_usd - self.reserved * self.usd_per_token
        self.lose(self.left, usd)

    def ask(self, want_tokens: int = 0) -> Ask:
        self.want, self.ahead = want_tokens, max(0, want_tokens - self.reserved)
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

    def start(self, event: AttemptStarted) -> None:
        self.reserved += event.reserved_tokens
        self.burst = max(0, self.burst - 1)

    def spend(self, event: AttemptFinished) -> None:
        self.learned.learn(event.charged_tokens)
        self.fresh_tokens += event.charged_tokens
        self.fresh_usd += usd_charged(event)
        self.paced += event.charged_tokens
        self.reserved = max(0, self.reserved - event.reserved_tokens)


@dataclass(frozen=True, slots=True)
class _Emergency:
    """While the shared ledger fails: a ledger in memory, and what it may give."""

    ledger: Ledger
    budget: Budget
    why: str
    lifted: bool = False


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
        recording: str = "",
        apart: Path | None = None,
    ) -> None:
        """Begin with nothing leased; what is leased will be divided among `engines` engines.

        `recording` is the stem of the names of the files that tell what this run spends, `apart`
        the ledger that takes what is left unsettled at the end.
        """
        self._apart = apart
        self._ledger = ledger
        self._budget = budget
        self._clock = clock
        self._engines = engines
        self._run = new_run()
        self._routes = tuple(routes)
        self._accounts = {route.name: _account(route) for route in routes}
        self._emergency: _Emergency | None = None
        self._strikes = 0
        self._retry_ns = 0
        self._one_at_a_time = anyio.Lock()
        self._known_overall = self._used_overall = _NO_GRANT
        self._asked_ns: int | None = None
        self._news: list[str] = []
        ledger.introduce(routes)
        ledger.attribute(self._run, recording)

    def fold(self, event: Event) -> None:
        """Take one event of the stream."""
        match event:
            case AttemptStarted() if event.route in self._accounts:
                self._accounts[event.route].start(event)
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

    def lose(self, route: str, tokens: int, usd: float) -> None:
        """Count what one of several engines had in its hands as spent: it was killed."""
        if route in self._accounts:
            self._accounts[route].lose(tokens, usd)

    def lose_all(self) -> None:
        """Count all that was handed out as spent: the engine was killed."""
        for account in self._accounts.values():
            account.lose_all()

    @property
    def doubt(self) -> str:
        """Why only the emergency part may be spent; empty where that is not so."""
        if self._emergency is not None:
            return "" if self._emergency.lifted else self._emergency.why
        return self._ledger.doubt

    def take_news(self) -> list[str]:
        """Return, once, what a person should know of the ledger."""
        news, self._news = [*self._ledger.take_news(), *self._news], []
        return news

    @property
    def runs_low(self) -> bool:
        """Whether some route may soon wait for its lease rather than for its budget."""
        return any(account.runs_low for account in self._accounts.values())

    @property
    def at_rest(self) -> bool:
        """Whether a question to the ledger would change nothing of ours."""
        return self._emergency is None and all(a.at_rest for a in self._accounts.values())

    async def top_up(
        self, wanted: Wanted, *, anew: bool = False, patient: bool = True
    ) -> Allow | None:
        """Settle with the ledger and return what the engine may spend now.

        `anew` is for an engine that begins to count. None where the ledger did not answer and
        what was allowed before holds; not so without `patient`, which an engine that was allowed
        nothing yet cannot be: it is never to run without a limit.
        """
        async with self._one_at_a_time:
            if anew:
                for account in self._accounts.values():
                    account.begin_engine()
            wants = self._wants(wanted)
            answered = await self._ask_shared(wants, patient=patient)
            if not answered:
                if self._emergency is None:
                    return None
                await self._ask_emergency(self._emergency, wants)
            return self._allow()

    async def lift(self) -> bool:
        """End the emergency: the budgets count from what is known. False where there is none.

        Raises:
            LedgerError: the ledger's own doubt could not be lifted.
        """
        async with self._one_at_a_time:
            emergency = self._emergency
            if emergency is not None and not emergency.lifted:
                emergency.ledger.close()
                self._emergency = await self._begin_emergency(emergency.why, lifted=True)
                return True
            if emergency is None and self._ledger.doubt:
                await self._call(self._ledger.lift)
                return True
            return False

    async def close(self, *, in_order: bool = True) -> None:
        """Settle what is left and free the leases; all of them are spent if not `in_order`.

        What cannot be told to the ledger is told to the one apart, and settled from there later.

        Raises:
            LedgerError: the ledger cannot be used; its leases are spent, as a dead run's are.
        """
        async with self._one_at_a_time:
            if not in_order:
                self.lose_all()
            if self._emergency is not None:
                self._emergency.ledger.close()
            asks = [self._with_owed(account, account.ask()) for account in self._accounts.values()]
            try:
                await self._call(lambda: self._ledger.exchange(self._run, asks, self._budget))
                await self._call(lambda: self._ledger.release(self._run))
            except LedgerError as error:
                told = await self._call(lambda: self._tell_apart(asks))
                raise LedgerError(f"{error}; {told}") from error

    def _tell_apart(self, asks: Sequence[Ask]) -> str:
        """Leave what was spent where it is settled from later; return how that went."""
        if self._apart is None or not any(ask.spent_tokens or ask.spent_usd for ask in asks):
            return "nothing is left to be settled"
        if not is_ours_alone(self._apart.parent, make=True):
            return f"what was spent meanwhile is lost: {self._apart.parent} is not ours alone"
        apart = Ledger(self._apart)
        try:
            apart.introduce(self._routes)
            apart.exchange(
                self._run, [replace(ask, want_tokens=0, want_usd=0.0) for ask in asks], self._budget
            )
            apart.release(self._run)
        except LedgerError as error:
            return f"what was spent meanwhile is lost: {error}"
        finally:
            apart.close()
        return "what was spent meanwhile is counted apart and settled later"

    async def _call(self, work: Callable[[], _Result]) -> _Result:
        """Do what blocks in a thread, with a bound: a disk may hang. Raises LedgerError.

        A run that is being ended waits, too: what the ledger was told must not be told again.
        """
        with anyio.move_on_after(ANSWER_S, shield=True):
            return await to_thread.run_sync(work, abandon_on_cancel=True)
        raise LedgerError(f"the spending ledger has not answered for {ANSWER_S:g} s")

    async def _ask_shared(self, wants: Mapping[str, int], *, patient: bool) -> bool:
        """Settle with the shared ledger, where that is due; return whether it answered."""
        now_ns = self._clock.monotonic_ns()
        if self._emergency is not None and now_ns < self._retry_ns:
            return False
        asks = [
            self._with_owed(account, account.ask(wants[name]))
            for name, account in self._accounts.items()
        ]
        try:
            grants = await self._call(lambda: self._ledger.exchange(self._run, asks, self._budget))
        except LedgerError as error:
            await self._failed(error, patient=patient)
            return False
        self._strikes = 0
        for account in self._accounts.values():
            account.book(grants[account.key])
            account.known = account.grant
            account.owed_tokens, account.owed_usd = 0, 0.0
        self._known_overall = self._used_overall = grants[OVERALL]
        if self._emergency is not None:
            self._emergency.ledger.close()
            self._emergency = None
            self._news.append(
                "the spending ledger works again: what was spent meanwhile is settled"
            )
        return True

    async def _failed(self, error: LedgerError, *, patient: bool) -> None:
        self._strikes += 1
        self._retry_ns = self._clock.monotonic_ns() + round(RETRY_S * NS_PER_S)
        if self._emergency is not None or (patient and self._strikes < STRIKES):
            return
        why = f"the spending ledger cannot be used: {error.why}"
        self._emergency = await self._begin_emergency(why, lifted=False)
        part = emergency_part(self._budget)
        self._news.append(
            f"{error}; until it works again all routes may spend {part.tokens_per_hour:,} tokens, a"
            f" route {part.route_tokens_per_hour:,}: the emergency part of the budget"
            " (L in the cockpit lifts that)"
        )

    async def _begin_emergency(self, why: str, *, lifted: bool) -> _Emergency:
        """Return a ledger in memory that knows what this run knows.

        It gives out what is left of the budgets as they were last known, in an emergency no more
        than that part of them.
        """
        ledger, whole = Ledger(None), self._budget
        budget = whole if lifted else emergency_part(whole)
        known: list[Ask] = []
        for account in self._accounts.values():
            tokens = account.known.used_tokens + account.owed_tokens
            usd = account.known.used_usd + account.owed_usd
            known.append(
                Ask(
                    account.key,
                    _counted(tokens, whole.route_tokens_per_hour, budget.route_tokens_per_hour),
                    _counted(usd, whole.route_usd_per_hour, budget.route_usd_per_hour),
                )
            )
        owed = sum(account.owed_tokens for account in self._accounts.values())
        owed_usd = sum(account.owed_usd for account in self._accounts.values())
        overall = self._known_overall
        tokens = _counted(overall.used_tokens + owed, whole.tokens_per_hour, budget.tokens_per_hour)
        usd = _counted(overall.used_usd + owed_usd, whole.usd_per_hour, budget.usd_per_hour)
        others = Ask(
            "others",
            max(0, tokens - sum(ask.spent_tokens for ask in known)),
            max(0.0, usd - sum(ask.spent_usd for ask in known)),
        )
        await to_thread.run_sync(ledger.exchange, new_run(), [*known, others], budget)
        return _Emergency(ledger, budget, why, lifted)

    async def _ask_emergency(self, emergency: _Emergency, wants: Mapping[str, int]) -> None:
        asks = [account.ask(wants[name]) for name, account in self._accounts.items()]
        grants = await to_thread.run_sync(
            emergency.ledger.exchange, self._run, asks, emergency.budget
        )
        for account, ask in zip(self._accounts.values(), asks, strict=True):
            account.book(grants[account.key])
            account.owed_tokens += ask.spent_tokens
            account.owed_usd += ask.spent_usd
        self._used_overall = grants[OVERALL]

    @staticmethod
    def _with_owed(account: _Account, ask: Ask) -> Ask:
        return replace(
            ask,
            spent_tokens=ask.spent_tokens + account.owed_tokens,
            spent_usd=ask.spent_usd + account.owed_usd,
        )

    def _wants(self, wanted: Wanted) -> dict[str, int]:
        now_ns = self._clock.monotonic_ns()
        passed_s = seconds(now_ns - self._asked_ns) if self._asked_ns is not None else 0.0
        self._asked_ns = now_ns
        return {
            name: self._wanted(name, account, wanted, passed_s)
            for name, account in self._accounts.items()
        }

    def _wanted(self, name: str, account: _Account, wanted: Wanted, passed_s: float) -> int:
        """Return the lease that keeps a route going: what is in flight, and 2 s more of it.

        As long as its rate is not known that is the next probe of each worker that is due by then.
        """
        if passed_s > 0:
            # Over half a second: one probe that ends right after a question is no rate.
            weight = 1 - math.exp(-passed_s / RATE_S)
            account.rate += weight * (account.paced / passed_s - account.rate)
            account.paced = 0
        asked = account.prompt_tokens + round(wanted.routes[name].max_tokens)
        probe = max(asked, account.learned.tokens)
        workers = round(wanted.routes[name].concurrency)
        interval = max(AHEAD_S, wanted.routes[name].interval)
        # One more for each engine that works: what one has left another cannot use.
        working = max(1, min(self._engines, workers))
        soon = math.ceil(workers * AHEAD_S / interval) + working
        soon += min(account.burst, MAX_BURST_AHEAD)
        ahead = math.ceil(AHEAD_S * account.rate)
        most = self._judged.route_tokens_per_hour // _SHARE_OF_LIMIT
        return max(soon * probe, min(ahead, most)) + account.reserved

    @property
    def _judged(self) -> Budget:
        """The budgets that bind now."""
        return self._budget if self._emergency is None else self._emergency.budget

    def _allow(self) -> Allow:
        return Allow(
            allowances=(
                self._overall(),
                *(self._allowance(name, account) for name, account in self._accounts.items()),
            )
        )

    def _allowance(self, name: str, account: _Account) -> Allowance:
        budget = self._judged
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
            more=account.granted,
        )

    def _overall(self) -> Allowance:
        accounts = self._accounts.values()
        budget = self._judged
        usd = sum(account.engine_usd + account.grant.usd for account in accounts)
        priced = all(account.priced for account in accounts)
        enforced = priced and budget.usd_per_hour is not None
        return Allowance(
            route=OVERALL,
            tokens=sum(account.engine_tokens + account.grant.tokens for account in accounts),
            usd=usd if enforced else None,
            used_tokens=self._used_overall.used_tokens,
            used_usd=self._used_overall.used_usd,
            limit_tokens=budget.tokens_per_hour,
            limit_usd=budget.usd_per_hour,
            doubt=self.doubt,
        )


def _counted(known: _Amount, whole: _Amount | None, part: _Amount | None) -> _Amount:
    """Return what must be counted of a part of a budget so that the whole is kept.

    Of the part no more may be left than of the whole; what is known counts against the whole.
    """
    if whole is None or part is None:
        return known
    return max(known - known, part - max(known - known, whole - known))


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
