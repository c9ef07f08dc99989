"""The ledger that places share over a bus, as the run of one of them has it.

1. The place leases for all its engines at once, some seconds ahead, and hands that on to them: the
   bus is asked every few seconds, not for each probe, and may be away for a while unnoticed.
2. A change of the book is made by compare-and-set. Who was late works it out again on what is there
   by then, after a random moment. Where an answer was lost the next look at the book tells.
3. Without the bus the place spends what it has leased, then its reserve, then nothing, and says so.
   What it spends meanwhile is told with its next change of the book, in which it leases anew.
4. A place that was not heard for `FENCE_S` stops, whatever it has left: others count its lease as
   spent at a moment, and it must not be spent after that.
5. A place that has never reached the bus has nothing to spend: nobody knows what others have.
6. What engines have in their hands is the ledger's word, not the bus's: it is never more than the
   book holds for the place.
"""

import math
import os
import platform
import random
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final, Protocol, TypeVar

import anyio
import msgspec

from probes.bus.connection import BusError, Entry, WrongRevisionError
from probes.config import Budget, Route
from probes.config.urls import mask_url
from probes.events import DoubtKind
from probes.kit.back_off import waits
from probes.kit.clock import NS_PER_S, Clock, seconds
from probes.kit.short_figures import counted
from probes.money.bus_book import (
    MOST_HOLDERS,
    Account,
    Book,
    Holder,
    Holding,
    Need,
    changed,
    clock_words,
    decoded,
    minute_of,
    new_words,
    recovered,
    report_of,
    struck,
    total,
)
from probes.money.lease_rules import (
    HOUR_S,
    LEASE_S,
    NOTHING,
    OVERALL,
    SHARE_OF_LIMIT,
    Amount,
    Ask,
    Grant,
    route_key,
    settled,
    topped_up,
)
from probes.money.ledger import Report, Struck, new_run
from probes.money.ledger_file import BrokenLedgerError, LedgerError
from probes.money.shared_ledger import STRIKES

BOOK_KEY: Final = "book"
CLOCK_KEY: Final = "clock"
"""What is put there says what time it is: the server dates it."""

AHEAD_S: Final = 10.0
"""So far ahead a place leases for what its engines will want: two changes of the book, so that one
may fail, and little enough that an agent that is killed costs no more than that."""
SETTLE_S: Final = 5.0
"""What was spent is told within so long: twenty places change the book four times a second."""
RENEW_S: Final = 20.0
"""A place that spends nothing says so often that it is there: less than a new book waits."""
SHORT_S: Final = 5.0
"""A place that was refused asks again after so long: spending falls out of the hour by minutes."""
RETRY_S: Final = 2.0
"""Between two tries while the bus is away; without a connection a try costs nothing."""
TURN_S: Final = 2.5
"""A change of the book may take so long, with all its tries: engines wait for it."""
FENCE_S: Final = LEASE_S / 2
"""Half of what others wait before they take it that a silent place has stopped: clocks are set, and
what has begun ends later."""
CLOCK_S: Final = 60.0
"""The bus's clock is looked at so often: it may be set, and ours goes its own way."""
CROWDED_S: Final = 30.0
"""A place that has lost all races for so long cannot reach the book, whatever the reason."""
_BACK_OFF_S: Final = (0.02, 0.64)
"""After the first lost race, and at last: a round trip near by, and one around the world. Half as
long or half as much again, by chance: who is far away must win, too."""
_TRIES: Final = 10
"""Of a person's change: twenty places change the book four times a second, and this one may be far
away; with the waits between them four seconds."""
_RATE_S: Final = 5.0
"""Over about so long a place's rate is taken."""
_Result = TypeVar("_Result")


class BudgetBucket(Protocol):
    """What is needed of the bucket: it raises BusError, and WrongRevisionError for a lost race."""

    async def get(self, key: str) -> Entry | None:
        """Return what a key holds, and when the server took it; not from a copy that lags."""
        ...

    async def put(self, key: str, value: bytes) -> int:
        """Set a key whatever it holds."""
        ...

    async def create(self, key: str, value: bytes) -> int:
        """Set a key that holds nothing."""
        ...

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Set a key that still has a revision."""
        ...


class _Failure(msgspec.Struct, frozen=True):
    """The book cannot be changed now."""

    since_s: int
    """By the bus's clock, else by ours."""
    why: str
    times: int
    is_there: bool
    """The bus can be reached: it is what stands there that cannot be used."""

    @property
    def what(self) -> str:
        """What fails, for a person."""
        if self.is_there:
            return "the budgets on the bus cannot be used"
        return "the bus of the budgets cannot be reached"


class BusLedger:
    """One place's part of the budgets. For the event loop's thread; it never fails, but holds back.

    One that is not released leaves its leases to be counted as spent, as a killed process does.
    """

    def __init__(
        self,
        bucket: BudgetBucket,
        *,
        place: str,
        clock: Clock,
        command: str = "",
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Begin with nothing leased; the bus need not be there yet.

        `command` is what people know this agent by, `jitter` gives numbers from 0 to 1.
        """
        self._bucket = bucket
        self._clock = clock
        self._jitter = jitter
        self._place = place
        self._turn = anyio.Lock()
        self._budget = Budget()
        self._id = new_run()
        self._new = Holder(place, platform.node(), os.getpid(), command, began_s=0)
        self._names: dict[str, tuple[str, str, str]] = {}
        self._leases: dict[tuple[str, int, str], Amount] = {}
        """In the hands of engines, by run, engine and route."""
        self._asks: dict[tuple[str, int, str], Ask] = {}
        """What each wants, by the same."""
        self._spent: dict[str, Amount] = {}
        """Since the place's life began."""
        self._hour: dict[tuple[int, str], Amount] = {}
        """Of that, the last hour's by minute and route."""
        self._mine: Holder | None = None
        """Our record as the book had it last."""
        self._seen = b""
        """The book as we changed it last: what a server may lose."""
        self._used: dict[str, Amount] = {}
        """What is spent of each route by the book, of all places."""
        self._failure: _Failure | None = None
        self._ahead_ns: int | None = None
        """The bus's clock beyond our monotonic one."""
        self._clock_read_ns = 0
        self._heard_ns = (0, 0)
        """When our last change began, monotonic and wall: a suspended machine counts by one."""
        self._changed_ns = 0
        self._retry_ns = 0
        """Not before then the book is changed, after it could not be."""
        self._short_ns: dict[str, int] = {}
        """By route that was refused more: not before then it is asked for again."""
        self._rates: dict[str, float] = {}
        """Tokens a second, by route."""
        self._short: set[str] = set()
        """Routes of which an engine has not all that it wants."""
        self._is_dry = False
        """An engine has not even what one probe takes."""
        self._is_new_until_s = 0
        self._news: list[str] = []
        self._differing: set[tuple[str, Budget]] = set()
        self.changes = 0
        """So many changes of the book were made."""
        self.conflicts = 0
        """So many races for it were lost."""

    @property
    def doubt(self) -> str:
        """Why less than the budgets may be spent; empty where that is not so."""
        failure = self._failure
        if failure is not None and self._is_away:
            since = clock_words(failure.since_s)
            return f"{failure.what} since {since} ({failure.why}): {self._phase()}"
        return new_words(self._is_new_until_s) if self._is_new else ""

    @property
    def doubt_kind(self) -> DoubtKind:
        """Of what kind that is; it says nothing where there is none."""
        return "away" if self._is_away else "new"

    @property
    def _is_away(self) -> bool:
        # Once may be a moment; but what is held back because of it is said at once.
        holds_back = self._is_dry or self._mine is None
        failure = self._failure
        return failure is not None and (failure.times >= STRIKES or holds_back)

    @property
    def _is_new(self) -> bool:
        return self._now_s() < self._is_new_until_s

    def take_news(self) -> list[str]:
        """Return, once, what a person should know of it."""
        news, self._news = self._news, []
        return news

    def introduce(self, routes: Iterable[Route]) -> None:
        """Learn what people call routes; what is kept of a base URL is masked."""
        for route in routes:
            names = (route.shared_name, mask_url(route.base_url), route.model)
            self._names[route_key(route)] = names

    def attribute(self, run: str, recording: str) -> None:
        """Do nothing: what a lost book knew is told by the places that live."""

    async def exchange(
        self, run: str, asks: Sequence[Ask], budget: Budget, *, engine: int = 0
    ) -> dict[str, Grant]:
        """Settle what an engine of a run has spent, top its leases up, return them by route key."""
        async with self._turn:
            self._budget = budget
            for ask in asks:
                self._settle(run, engine, ask)
            self._top_up(run, engine, asks)
            if self._is_due():
                await self._change()
                self._top_up(run, engine, asks)
                next_ns = self._clock.monotonic_ns() + round(SHORT_S * NS_PER_S)
                self._short_ns = dict.fromkeys(self._short, next_ns)
            self._is_dry = not all(
                self._leases[run, engine, ask.route].covers(ask.least) for ask in asks
            )
            return self._grants(run, engine, asks)

    async def release(self, run: str) -> None:
        """Give back what a run that ends in order has not spent.

        Raises:
            LedgerError: the bus cannot be reached: all that is leased counts as spent.
        """
        async with self._turn:
            for held in (self._leases, self._asks):
                for key in [key for key in held if key[0] == run]:
                    del held[key]
            if self._asks or (self._mine is None and not self._spent):
                return  # of another run of this process; or nothing was ever leased
            await self._change(ended=True)
            if self._mine is None or not self._mine.ended:
                why = "other places were faster" if self._failure is None else self._failure.why
                raise LedgerError(
                    f"the bus of the budgets cannot be reached ({why}): what this place had leased"
                    " counts as spent",
                    why,
                )

    async def lift(self) -> None:
        """Let a new book count as all there is, for all places.

        Raises:
            LedgerError: the book cannot be changed: what others spend is not known.
        """
        async with self._turn:
            if self._failure is None:
                await self._change(lifted=True)
            failure = self._failure
            if failure is not None:
                raise LedgerError(
                    f"that {failure.what} cannot be lifted: other places spend of them, too",
                    failure.why,
                )
            if self._is_new:
                raise LedgerError("the budgets could not be lifted: other places were faster")
            self._short_ns.clear()

    # ---------------------------------------------------------------- what is in the place's hands

    def _settle(self, run: str, engine: int, ask: Ask) -> None:
        key = (run, engine, ask.route)
        if ask.spent:
            self._spent[ask.route] = self._spent.get(ask.route, NOTHING) + ask.spent
            this = minute_of(self._now_s())
            minute = (this, ask.route)
            self._hour[minute] = self._hour.get(minute, NOTHING) + ask.spent
            oldest = minute_of(self._now_s() - HOUR_S)
            self._hour = {one: spent for one, spent in self._hour.items() if one[0] >= oldest}
        self._leases[key] = settled(ask, self._leases.get(key, NOTHING))
        self._asks[key] = ask

    def _top_up(self, run: str, engine: int, asks: Sequence[Ask]) -> None:
        """Hand on what the place has leased; note which routes lack some."""
        fenced, hands = self._is_fenced(), self._in_hands()
        for ask in asks:
            key, in_hands = (run, engine, ask.route), hands.get(ask.route, NOTHING)
            if not fenced:
                free = self._free(ask.route, in_hands)
                self._leases[key] = topped_up(ask, self._leases[key], free)
            if self._leases[key].covers(ask.want):
                self._short.discard(ask.route)
            else:
                self._short.add(ask.route)

    def _free(self, route: str, in_hands: Amount) -> Amount:
        """Return what the place holds of a route and no engine has in its hands."""
        holding, untold = self._held(route), self._untold(route)
        held = holding.whole if self._spends_reserve() else holding.lease
        return (held - untold - in_hands).most(NOTHING)

    def _held(self, route: str) -> Holding:
        return Holding() if self._mine is None else self._mine.held.get(route, Holding())

    def _untold(self, route: str) -> Amount:
        told = NOTHING if self._mine is None else self._mine.spent.get(route, NOTHING)
        return self._spent.get(route, NOTHING) - told

    def _in_hands(self) -> dict[str, Amount]:
        """Return what engines may spend without asking, by route."""
        hands: dict[str, Amount] = {}
        for (_, _, route), lease in self._leases.items():
            hands[route] = hands.get(route, NOTHING) + lease
        return hands

    def _spends_reserve(self) -> bool:
        return self._failure is not None and self._failure.times >= STRIKES

    def _is_fenced(self) -> bool:
        """Whether others may take it that this place has stopped, or it has never begun."""
        if self._mine is None:
            return True
        monotonic_ns, wall_ns = self._heard_ns
        silent_ns = max(self._clock.monotonic_ns() - monotonic_ns, self._clock.wall_ns() - wall_ns)
        return silent_ns > FENCE_S * NS_PER_S

    def _grants(self, run: str, engine: int, asks: Sequence[Ask]) -> dict[str, Grant]:
        """Return what the engine may have; nothing of it behind the fence, and it stays leased."""
        fenced = self._is_fenced()

        def grant(lease: Amount, used: Amount) -> Grant:
            told = NOTHING if fenced else lease
            return Grant(told.tokens, told.usd, used.tokens, used.usd)

        leases = {
            route: lease
            for (of, at, route), lease in self._leases.items()
            if (of, at) == (run, engine)
        }
        used_of_all = total(map(self._used_of, {*self._used, *self._spent}))
        return {
            OVERALL: grant(total(leases.values()), used_of_all),
            **{ask.route: grant(leases[ask.route], self._used_of(ask.route)) for ask in asks},
        }

    def _used_of(self, route: str) -> Amount:
        return self._used.get(route, NOTHING) + self._untold(route)

    # --------------------------------------------------------------------------- the book's changes

    def _is_due(self) -> bool:
        now_ns = self._clock.monotonic_ns()
        if now_ns < self._retry_ns:
            return False
        if self._failure is not None or self._mine is None:
            return True
        if any(now_ns >= self._short_ns.get(route, 0) for route in self._short):
            return True
        patience_s = SETTLE_S if any(map(self._untold, self._spent)) else RENEW_S
        return now_ns - self._changed_ns >= patience_s * NS_PER_S

    async def _change(self, *, ended: bool = False, lifted: bool = False) -> None:
        """Tell and lease in the book; note what became of that."""
        with anyio.move_on_after(TURN_S) as scope:
            try:
                await self._change_it(ended=ended, lifted=lifted)
            except WrongRevisionError:
                self._lost_race()
            except LedgerError as error:
                self._failed(error.why, is_there=True)
            except BusError as error:
                self._failed(str(error))
        if scope.cancelled_caught:
            self._failed(f"no answer within {TURN_S:g} s")

    async def _change_it(self, *, ended: bool, lifted: bool) -> None:
        deadline_ns = self._clock.monotonic_ns() + round(TURN_S * NS_PER_S)
        tries = waits(*_BACK_OFF_S, spread=0.5, chance=self._jitter)
        while True:
            began_ns = (self._clock.monotonic_ns(), self._clock.wall_ns())
            await self._read_clock()
            entry = await self._bucket.get(BOOK_KEY)
            if entry is not None:
                # Whatever the last look at its clock said: the book was there by then.
                self._see_time(entry.at_ns)
            now_s = self._now_s()
            account = self._account(began_ns[0], ended=ended)
            seen = decoded(self._seen) if self._seen else None
            found = None if entry is None else decoded(entry.value)
            book = recovered(found, seen, account, now_s) or Book(new_run(), began_s=now_s)
            if lifted:
                book.lift(now_s)
            mine = changed(book, account, now_s)
            value = book.encoded()
            try:
                if entry is None:
                    await self._bucket.create(BOOK_KEY, value)
                else:
                    await self._bucket.update(BOOK_KEY, value, entry.revision)
            except WrongRevisionError:
                self.conflicts += 1
                pause_s = next(tries)
                if self._clock.monotonic_ns() + pause_s * NS_PER_S > deadline_ns:
                    raise
                await self._clock.sleep(pause_s)
                continue
            self._changed(book, mine, value, began_ns)
            if entry is None and self._is_new:
                self._news.append(f"{new_words(book.new_until_s)} (L in the cockpit lifts that)")
            return

    def _changed(self, book: Book, mine: Holder, value: bytes, began_ns: tuple[int, int]) -> None:
        self.changes += 1
        self._note_rates(began_ns[0])
        self._mine, self._seen = mine, value
        self._heard_ns, self._changed_ns = began_ns, began_ns[0]
        self._used = {route: total(minutes.values()) for route, minutes in book.spent.items()}
        self._is_new_until_s = book.new_until_s
        failure, self._failure = self._failure, None
        if failure is not None and failure.times >= STRIKES:
            away = counted(max(1, self._now_s() - failure.since_s), "second")
            again = (
                "the budgets on the bus can be used again"
                if failure.is_there
                else "the bus of the budgets is there again"
            )
            self._news.append(f"{again} after {away}: what was spent meanwhile is settled")
        for other in book.living(self._now_s()):
            self._compare_limits(other, mine)

    def _compare_limits(self, other: Holder, mine: Holder) -> None:
        """Say once where another place is set to other budgets."""
        if other.limits == mine.limits or (other.place, other.limits) in self._differing:
            return
        if len(self._differing) >= MOST_HOLDERS:
            return  # it was said often enough
        self._differing.add((other.place, other.limits))
        self._news.append(
            f"all places are held to {_limit_words(other.limits)} by {other.place}, to"
            f" {_limit_words(mine.limits)} by {mine.place}: the larger budgets bind where both"
            " probe"
        )

    def _lost_race(self) -> None:
        """Try again soon: the bus is there, and what lies here lasts for a while."""
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._changed_ns > CROWDED_S * NS_PER_S:
            self._failed("other places are always faster")
        self._retry_ns = now_ns + NS_PER_S

    def _failed(self, why: str, *, is_there: bool = False) -> None:
        before, now_ns = self._failure, self._clock.monotonic_ns()
        times = 1 if before is None else before.times + 1
        since_s = self._now_s() if before is None else before.since_s
        self._failure = failure = _Failure(since_s, why, times, is_there)
        self._retry_ns = now_ns + round(RETRY_S * NS_PER_S)
        if times == STRIKES:
            self._news.append(
                f"{failure.what} since {clock_words(since_s)} ({why}): what is leased may be spent,"
                " then this place's share of the emergency part, then nothing until it can be"
            )

    def _phase(self) -> str:
        """Say what may be spent without the bus."""
        if self._mine is None:
            return "nothing may be spent before it was"
        if self._is_fenced():
            return "nothing more may be spent until it can be"
        if self._is_dry:
            return "what was leased before is spent, and nothing more may be"
        hands = self._in_hands()
        if any(
            not holding.lease.covers(self._untold(route) + hands.get(route, NOTHING))
            for route, holding in self._mine.held.items()
        ):
            return "the emergency part is being spent"
        return "what was leased before is being spent"

    def _account(self, now_ns: int, *, ended: bool) -> Account:
        new = msgspec.structs.replace(self._new, began_s=self._new.began_s or self._now_s())
        self._new = new
        hands, needs = self._in_hands(), dict[str, Need]()
        for key, ask in self._asks.items():
            lease, before = self._leases[key], needs.get(ask.route)
            short = (ask.least - lease).most(NOTHING)
            want, least = ask.want.most(lease), short
            if before is not None:
                # Any engine that can begin is better than none.
                want, least = before.want + want, before.least.least(short)
            needs[ask.route] = Need(want, least, NOTHING)
        for route, need in needs.items():
            needs[route] = Need(
                need.want,
                hands[route] + need.least,
                self._ahead(route, need.want, now_ns),
            )
        return Account(
            id=self._id,
            holder=new,
            budget=self._budget,
            names=self._names,
            spent=dict(self._spent),
            hour=self._hour,
            hands=hands,
            needs=needs,
            ended=ended,
        )

    def _ahead(self, route: str, want: Amount, now_ns: int) -> Amount:
        """Return what should lie here for what engines will want next."""
        if not want:
            return NOTHING
        most = self._budget.route_tokens_per_hour // SHARE_OF_LIMIT
        tokens = min(math.ceil(AHEAD_S * self._rate(route, now_ns)), most)
        return Amount(tokens, tokens * want.usd / max(1, want.tokens))

    def _rate(self, route: str, now_ns: int) -> float:
        """Return the tokens a second of a route, smoothed, with what is not told yet."""
        passed_s = seconds(now_ns - self._changed_ns) if self._mine is not None else 0.0
        before = self._rates.get(route, 0.0)
        if passed_s <= 0:
            return before
        weight = 1 - math.exp(-passed_s / _RATE_S)
        return before + weight * (self._untold(route).tokens / passed_s - before)

    def _note_rates(self, now_ns: int) -> None:
        self._rates = {route: self._rate(route, now_ns) for route in self._spent}

    # ----------------------------------------------------------------------------- the bus's clock

    def _now_s(self) -> int:
        """Return the time by the bus's clock, else by ours."""
        if self._ahead_ns is None:
            return self._clock.wall_ns() // NS_PER_S
        return (self._clock.monotonic_ns() + self._ahead_ns) // NS_PER_S

    async def _read_clock(self) -> None:
        began_ns = self._clock.monotonic_ns()
        fresh = began_ns - self._clock_read_ns < CLOCK_S * NS_PER_S
        if self._ahead_ns is not None and fresh and self._failure is None:
            return
        self._ahead_ns = await clock_ahead_ns(self._bucket, self._clock)
        self._clock_read_ns = self._clock.monotonic_ns()

    def _see_time(self, at_ns: int) -> None:
        """Take it that it is no earlier: a machine that was suspended has missed some."""
        now_ns = self._clock.monotonic_ns()
        if self._ahead_ns is not None:
            self._ahead_ns = max(self._ahead_ns, at_ns - now_ns)


async def clock_ahead_ns(bucket: BudgetBucket, clock: Clock) -> int:
    """Return how far the bus's clock is beyond our monotonic one. Raises BusError."""
    began_ns = clock.monotonic_ns()
    await bucket.put(CLOCK_KEY, b"")
    entry = await bucket.get(CLOCK_KEY)
    if entry is None:
        raise BusError("the bus keeps nothing that is put there")
    # Dated between the two, by whoever put it last.
    return entry.at_ns - (began_ns + clock.monotonic_ns()) // 2


async def report_of_bus(bucket: BudgetBucket, clock: Clock) -> Report:
    """Return who has spent what of the budgets on a bus.

    Raises:
        BusError: it cannot be reached.
        LedgerError: what stands there cannot be read.
    """
    now_s = (clock.monotonic_ns() + await clock_ahead_ns(bucket, clock)) // NS_PER_S
    entry = await bucket.get(BOOK_KEY)
    return Report((), (), "") if entry is None else report_of(decoded(entry.value), now_s)


async def strike_on_bus(
    bucket: BudgetBucket, clock: Clock, run: str, *, tell: Callable[[Struck], object]
) -> Struck:
    """Strike what a place has spent from the last hour, and what it holds unless it may live.

    `tell` is called once with what that frees, before it is done.

    Raises:
        KeyError: no record, or more than one, has a name that begins so.
        BusError: the bus cannot be reached.
        LedgerError: what stands there cannot be read, or others were always faster.
    """
    told = False

    def strike(value: bytes, now_s: int) -> tuple[Book, Struck]:
        nonlocal told
        book = decoded(value)
        done = struck(book, run, now_s)
        if not told:
            tell(done)
        told = True
        return book, done

    done = await _mended(bucket, clock, strike)
    if done is None:
        raise KeyError(run)
    return done


class Lifted(msgspec.Struct, frozen=True):
    """What has been done about a doubt of the budgets on a bus."""

    doubt: str = ""
    """The one that this has ended; empty where there was none."""
    is_anew: bool = False
    """What stood there was no book: another was begun, of which this is a doubt again, until all
    places that live have told what they know."""


async def lift_on_bus(bucket: BudgetBucket, clock: Clock) -> Lifted:
    """Let a new book count as all there is, for all places; begin one anew that cannot be read.

    Raises:
        BusError: the bus cannot be reached.
        LedgerError: what stands there is of a newer llmtop, or others were always faster.
    """

    def lift(value: bytes, now_s: int) -> tuple[Book, Lifted] | None:
        try:
            book = decoded(value)
        except BrokenLedgerError as error:
            # As one that is lost: who has seen it brings back what it said.
            return Book(new_run(), began_s=now_s), Lifted(str(error), is_anew=True)
        doubt = report_of(book, now_s).doubt
        book.lift(now_s)
        return (book, Lifted(doubt)) if doubt else None

    return await _mended(bucket, clock, lift) or Lifted()


async def _mended(
    bucket: BudgetBucket,
    clock: Clock,
    mend: Callable[[bytes, int], tuple[Book, _Result] | None],
) -> _Result | None:
    """Change the book for a person; None where there is none, or nothing to be changed in it."""
    ahead_ns = await clock_ahead_ns(bucket, clock)
    for wait_s in islice(waits(*_BACK_OFF_S), _TRIES):
        entry = await bucket.get(BOOK_KEY)
        if entry is None:
            return None
        mended = mend(entry.value, (clock.monotonic_ns() + ahead_ns) // NS_PER_S)
        if mended is None:
            return None
        book, done = mended
        try:
            await bucket.update(BOOK_KEY, book.encoded(), entry.revision)
        except WrongRevisionError:
            await clock.sleep(wait_s)
        else:
            return done
    raise LedgerError("the budgets on the bus were not changed: places were always faster")


def _limit_words(budget: Budget) -> str:
    words = (
        f"{counted(budget.tokens_per_hour, 'token')} an hour,"
        f" {budget.route_tokens_per_hour:,} a route"
    )
    usd = [
        f"{limit:g} USD{of}"
        for limit, of in ((budget.usd_per_hour, ""), (budget.route_usd_per_hour, " a route"))
        if limit is not None
    ]
    return ", ".join([words, *usd])
