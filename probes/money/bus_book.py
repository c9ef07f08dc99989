"""The book of the budgets that several places share: one value, changed by each in its turn.

A pure value: what may be changed in it, and how. Rules:

1. A place's record says what it has spent since its life began, a sum that only grows: telling it
   twice counts it once, and what a server has lost is told again.
2. Spending counts in the minute in which it is told, and for an hour from that minute's end. It is
   told after it was spent, so it never counts too short.
3. What a place holds counts as spent: its lease, and its reserve, which is its share of the
   emergency part for when it cannot be reached. All that a place can ever spend is in the book
   before.
4. A place that is silent holds what it held until `LEASE_S` and an hour after its last word. By
   `LEASE_S` after it the place has stopped by itself: whatever it spent is an hour old then.
5. All reserves together, those of silent places too, are at most one emergency part. They are
   within the budget: who lacks money spends its own reserve first, while nothing is wrong.
6. Each place holds the sum of all against the budget that itself is set to.
7. Of a book that was made anew only the emergency part may be leased until all that live have had
   the time to tell what they know, or somebody says that they have. Who comes with a copy of a lost
   one brings that with it.
8. Seconds are those of the bus's own clock.
9. A record that is struck stays, with the sum that its place has told: one that comes back tells
   what it spent since, and nothing twice. How much of an hour was of which route a record does not
   say: it is shared out by what the place has spent of each, and as a whole it is exact.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from probes.config import Budget
from probes.money.lease_rules import (
    HOUR_S,
    LEASE_S,
    NOTHING,
    Amount,
    Ask,
    emergency_part,
    left_of,
    topped_up,
)
from probes.money.ledger import Report, RouteSpending, RunSpending, Struck, run_called
from probes.money.ledger_file import BrokenLedgerError, LedgerError

MINUTE_S: Final = 60
"""Spending is kept by slices of so many seconds: 61 of a route are about a kilobyte."""
GRACE_S: Final = 30
"""Of a new book (rule 7): each place that lives tells it something more often than that."""
MOST_HOLDERS: Final = 256
"""Records: an agent that is killed and started every 20 s leaves so many in an hour and a half."""
MOST_BYTES: Final = 512 << 10
"""Of the book; a server takes 1 MB. 20 places of 20 routes have some 60 KB."""
_VERSION: Final = 1
_MOST_LIVES: Final = 8


class Holding(msgspec.Struct, frozen=True, array_like=True):
    """What a place may spend of a route without asking."""

    lease: Amount = NOTHING
    reserve: Amount = NOTHING
    """Its share of the emergency part: touched only while the bus cannot be reached."""

    @property
    def whole(self) -> Amount:
        """Both: what counts as spent."""
        return self.lease + self.reserve

    def after(self, spent: Amount, hands: Amount) -> "Holding":
        """Return it after so much was spent of it, with so much in the hands of engines."""
        over = (spent - self.lease).most(NOTHING)
        lease, reserve = (self.lease - spent).most(NOTHING), (self.reserve - over).most(NOTHING)
        # What is in their hands is, whatever a server may have lost of it.
        lack = (hands - lease).most(NOTHING)
        return Holding(lease.most(hands), (reserve - lack).most(NOTHING))


class Holder(msgspec.Struct, omit_defaults=True):
    """One life of a place's agent; only that changes it."""

    place: str
    host: str
    pid: int
    command: str
    began_s: int
    heard_s: int = 0
    """When it last changed the book."""
    number: int = 0
    """Of its changes: one that is lower than its place knows is what a server has left of it."""
    ended: bool = False
    limits: Budget = Budget()
    """What it is set to."""
    spent: dict[str, Amount] = msgspec.field(default_factory=dict)
    """By route, since its life began."""
    held: dict[str, Holding] = msgspec.field(default_factory=dict)
    """By route."""
    hour: dict[int, Amount] = msgspec.field(default_factory=dict)
    """By minute: what is told of it in the hour, over all routes."""


class Book(msgspec.Struct, omit_defaults=True):
    """All that is known of the budgets."""

    life: str
    """Of the book: another one is not this one continued."""
    began_s: int
    version: int = _VERSION
    knows: tuple[str, ...] = ()
    """Lives of lost books whose spending is in this one."""
    routes: dict[str, tuple[str, str, str]] = msgspec.field(default_factory=dict)
    """Name, masked base URL and model by route key: for people."""
    spent: dict[str, dict[int, Amount]] = msgspec.field(default_factory=dict)
    """By route and minute."""
    holders: dict[str, Holder] = msgspec.field(default_factory=dict)

    def encoded(self) -> bytes:
        """Return it as it stands on the bus. Raises LedgerError where that cannot be."""
        value = msgspec.json.encode(self)
        if len(value) > MOST_BYTES:
            raise LedgerError(
                f"the budgets on the bus have {len(value):,} bytes, more than {MOST_BYTES:,}",
                "too many places and routes share them",
            )
        decoded(value)  # what one place could not read again would stop all of them
        return value

    @property
    def new_until_s(self) -> int:
        """Until then who lives may not have told it yet."""
        return self.began_s + GRACE_S

    def lift(self, now_s: int) -> None:
        """Take it that all who live have told what they know."""
        self.began_s = min(self.began_s, now_s - GRACE_S)

    def forget(self, now_s: int) -> None:
        """Drop what is over; count as just spent what was told under a clock set back since."""
        this, oldest = minute_of(now_s), minute_of(now_s - HOUR_S)
        self.began_s = min(self.began_s, now_s)
        for minutes in (*self.spent.values(), *(one.hour for one in self.holders.values())):
            for minute in [one for one in minutes if one < oldest]:
                del minutes[minute]
            for minute in [one for one in minutes if one > this]:
                _add(minutes, this, minutes.pop(minute))
        self.spent = {route: minutes for route, minutes in self.spent.items() if minutes}
        for name, holder in list(self.holders.items()):
            holder.heard_s = min(holder.heard_s, now_s)
            silent_s = now_s - holder.heard_s
            if silent_s > LEASE_S + HOUR_S or (holder.ended and not holder.hour):
                del self.holders[name]
        self._fold(now_s)
        known = {*self.spent, *(route for one in self.holders.values() for route in one.held)}
        self.routes = {key: names for key, names in self.routes.items() if key in known}

    def _fold(self, now_s: int) -> None:
        """Count what the oldest of too many dead hold as spent when they had stopped by
        themselves: as long as it would count in their records."""
        too_many = len(self.holders) - MOST_HOLDERS + 1  # there must be room for another
        dead = sorted(
            (one.heard_s, name)
            for name, one in self.holders.items()
            if one.ended or one.heard_s + LEASE_S < now_s
        )
        for heard_s, name in dead[: max(0, too_many)]:
            for route, holding in self.holders.pop(name).held.items():
                self.note(route, minute_of(heard_s + LEASE_S), holding.whole)

    def note(self, route: str, minute: int, amount: Amount) -> None:
        """Count spending of a route."""
        if amount:
            _add(self.spent.setdefault(route, {}), minute, amount)

    def living(self, now_s: int) -> list[Holder]:
        """Return who may be there: has not ended, and was heard within `LEASE_S`."""
        return [
            one for one in self.holders.values() if not one.ended and one.heard_s + LEASE_S >= now_s
        ]

    def taken(self) -> dict[str, Amount]:
        """Return what is spent and held by route."""
        taken = {route: total(minutes.values()) for route, minutes in self.spent.items()}
        for holder in self.holders.values():
            for route, holding in holder.held.items():
                taken[route] = taken.get(route, NOTHING) + holding.whole
        return taken

    def reserved(self) -> dict[str, Amount]:
        """Return all reserves by route."""
        reserved: dict[str, Amount] = {}
        for holder in self.holders.values():
            for route, holding in holder.held.items():
                reserved[route] = reserved.get(route, NOTHING) + holding.reserve
        return reserved


class Need(msgspec.Struct, frozen=True):
    """What a place wants of a route."""

    want: Amount
    """Its lease, with what its engines have in their hands."""
    least: Amount
    """With less than this nothing more can begin there."""
    ahead: Amount
    """Beyond that, so that it need not ask for each probe."""


@dataclass(slots=True)
class Account:
    """What one life of a place's agent tells, and wants."""

    id: str
    holder: Holder
    """As it begins."""
    budget: Budget
    names: Mapping[str, tuple[str, str, str]]
    spent: dict[str, Amount] = field(default_factory=dict)
    """By route, since its life began."""
    hour: dict[tuple[int, str], Amount] = field(default_factory=dict)
    """By minute and route: of that, the last hour's."""
    hands: dict[str, Amount] = field(default_factory=dict)
    """By route: what its engines may spend without asking."""
    needs: dict[str, Need] = field(default_factory=dict)
    ended: bool = False


def minute_of(second: int) -> int:
    """Return the minute of a second."""
    return second // MINUTE_S


def decoded(value: bytes) -> Book:
    """Return the book that stands on the bus.

    Raises:
        BrokenLedgerError: it is none.
        LedgerError: it is of a newer llmtop, and is left as it is.
    """
    try:
        book = msgspec.json.decode(value, type=Book)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenLedgerError(
            f"the budgets on the bus cannot be read: {error}", f"they cannot be read: {error}"
        ) from None
    if book.version > _VERSION:
        raise LedgerError(
            "the budgets on the bus are of a newer llmtop", "they are of a newer llmtop"
        )
    return book


def recovered(found: Book | None, seen: Book | None, account: Account, now_s: int) -> Book | None:
    """Return the book to change: what was found, with what was lost of what this place has seen.

    None where there is none and none was seen.
    """
    if found is None or seen is None:
        return found or seen
    if found.life != seen.life and seen.life not in found.knows:
        for route, minutes in seen.spent.items():
            for minute, amount in minutes.items():
                found.note(route, minute, amount)
        found.holders = {**seen.holders, **found.holders}
        found.knows = (*found.knows, *seen.knows, seen.life)[-_MOST_LIVES:]
    mine, known = found.holders.get(account.id), seen.holders.get(account.id)
    if known is not None and (mine is None or mine.number < known.number):
        # A server came back with an older state: others may have lost what they told, too.
        for name, theirs in seen.holders.items():
            left = found.holders.get(name)
            if now_s - theirs.heard_s > LEASE_S + HOUR_S:
                continue  # it was forgotten in order, as ours was
            if left is None or left.number < theirs.number:
                told = {} if left is None else left.spent
                for route, spent in theirs.spent.items():
                    more = (spent - told.get(route, NOTHING)).most(NOTHING)
                    found.note(route, minute_of(now_s), more)
                found.holders[name] = theirs
    found.routes = {**seen.routes, **found.routes}
    return found


def changed(book: Book, account: Account, now_s: int) -> Holder:
    """Tell and lease for one place, in the book; return its record.

    Raises:
        LedgerError: there is no room for another place.
    """
    book.forget(now_s)
    mine = _told(book, account, now_s)
    book.routes |= account.names
    mine.heard_s, mine.number = now_s, mine.number + 1
    mine.ended, mine.limits = account.ended, account.budget
    taken, reserved = book.taken(), book.reserved()
    living = len(book.living(now_s)) or 1
    is_new = now_s < book.new_until_s
    part = emergency_part(account.budget)
    budget = part if is_new else account.budget
    for route, need in account.needs.items():
        had, hands = mine.held.get(route, Holding()), account.hands.get(route, NOTHING)
        others = (taken.get(route, NOTHING) - had.whole, total(taken.values()) - had.whole)
        holding = Holding(had.lease.least(need.want.most(hands)), had.reserve)
        holding = _leased(holding, need, hands, _left(budget, holding, others))
        if holding.lease.covers(need.want):
            free = _left(budget, holding, others)
            # In equal parts: who asks first must not have all that has come free.
            ahead = need.ahead.least(Amount(free.tokens // living, free.usd / living))
            holding = Holding(holding.lease + ahead, holding.reserve)
            target = NOTHING if is_new else _reserve_of(part, need, living, len(account.needs))
            free_of_part = left_of(  # what the reserves of others leave of one part
                part,
                reserved.get(route, NOTHING) - had.reserve,
                total(reserved.values()) - had.reserve,
            ).most(NOTHING)
            more = holding.reserve + _left(budget, holding, others)
            holding = Holding(holding.lease, target.least(free_of_part).least(more))
        taken[route] = others[0] + holding.whole
        reserved[route] = reserved.get(route, NOTHING) - had.reserve + holding.reserve
        mine.held[route] = holding
    mine.held = {route: holding for route, holding in mine.held.items() if holding.whole}
    return mine


def _told(book: Book, account: Account, now_s: int) -> Holder:
    """Count what a place has spent since it last told; return its record."""
    mine = book.holders.get(account.id)
    if mine is None:
        if len(book.holders) >= MOST_HOLDERS:
            raise LedgerError(
                f"the budgets on the bus have {MOST_HOLDERS} places, which is the most",
                "too many places share them",
            )
        # New here, or forgotten: what it spent in the hour is told by its minutes.
        mine = book.holders[account.id] = msgspec.structs.replace(
            account.holder, spent=dict(account.spent), held={}, hour={}
        )
        for (minute, route), amount in account.hour.items():
            if minute >= minute_of(now_s - HOUR_S):
                book.note(route, min(minute, minute_of(now_s)), amount)
                _add(mine.hour, min(minute, minute_of(now_s)), amount)
    for route in {*account.spent, *mine.held}:
        spent, told = account.spent.get(route, NOTHING), mine.spent.get(route, NOTHING)
        more = (spent - told).most(NOTHING)
        if more:
            book.note(route, minute_of(now_s), more)
            _add(mine.hour, minute_of(now_s), more)
            mine.spent[route] = spent
        hands = account.hands.get(route, NOTHING)
        held = mine.held.get(route, Holding()).after(more, hands)
        if route not in account.needs:
            held = Holding(hands)
        mine.held[route] = held
    return mine


def _left(budget: Budget, holding: Holding, others: tuple[Amount, Amount]) -> Amount:
    """Return what is left beside a holding of a route and what `others` hold and have spent, of
    the route and of all."""
    route, overall = others
    return left_of(budget, route + holding.whole, overall + holding.whole).most(NOTHING)


def _leased(holding: Holding, need: Need, hands: Amount, left: Amount) -> Holding:
    """Return a holding whose lease was topped up out of what is left, then out of its reserve."""
    ask = Ask(
        "",
        want_tokens=need.want.tokens,
        want_usd=need.want.usd,
        least_tokens=need.least.tokens,
        least_usd=need.least.usd,
    )
    lease = topped_up(ask, holding.lease, left + holding.reserve)
    if not lease.covers(need.least):
        return Holding(hands)  # what pays for no probe is for another place
    from_reserve = (lease - holding.lease - left).most(NOTHING)
    return Holding(lease, (holding.reserve - from_reserve).most(NOTHING))


def _reserve_of(part: Budget, need: Need, living: int, routes: int) -> Amount:
    """Return one place's share of the emergency part, of one route, at the price of its probes.

    Who wants nothing, such as of a route that is paused, needs none.
    """
    if not need.want:
        return NOTHING
    tokens = min(part.route_tokens_per_hour, part.tokens_per_hour // routes) // living
    usd = tokens * need.want.usd / max(1, need.want.tokens)
    if part.route_usd_per_hour is not None:
        usd = min(usd, part.route_usd_per_hour / living)
    if part.usd_per_hour is not None:
        usd = min(usd, part.usd_per_hour / routes / living)
    return Amount(tokens, usd)


def report_of(book: Book, now_s: int) -> Report:
    """Return who has spent what in the last hour, most first."""
    book.forget(now_s)
    held: dict[str, Amount] = {}
    runs: list[RunSpending] = []
    for name, holder in book.holders.items():
        for route, holding in holder.held.items():
            held[route] = held.get(route, NOTHING) + holding.whole
        spent, leased = (
            total(holder.hour.values()),
            total(one.whole for one in holder.held.values()),
        )
        gone = holder.ended or holder.heard_s + LEASE_S < now_s
        if gone and not spent and not leased:
            continue  # it counts for nothing any more
        runs.append(
            RunSpending(
                id=name,
                pid=holder.pid,
                host=f"{holder.host} at {holder.place}",
                command=holder.command,
                started_s=min(max(0, holder.began_s), now_s),  # whatever it says: it is shown
                alive=False if gone else True if holder.heard_s + MINUTE_S >= now_s else None,
                tokens=spent.tokens,
                usd=spent.usd,
                leased_tokens=leased.tokens,
                leased_usd=leased.usd,
            )
        )
    routes = [
        RouteSpending(
            route,
            *book.routes.get(route, ("", "", "")),
            tokens=(spent := total(book.spent.get(route, {}).values())).tokens,
            usd=spent.usd,
            leased_tokens=held.get(route, NOTHING).tokens,
            leased_usd=held.get(route, NOTHING).usd,
        )
        for route in book.spent.keys() | held.keys()
    ]
    return Report(
        routes=tuple(sorted(routes, key=lambda one: (-one.tokens - one.leased_tokens, one.key))),
        runs=tuple(sorted(runs, key=lambda one: (-one.tokens - one.leased_tokens, one.id))),
        doubt=new_words(book.new_until_s) if now_s < book.new_until_s else "",
    )


def struck(book: Book, run: str, now_s: int) -> Struck:
    """Strike what a place has spent from the last hour, and what it holds unless it may live.

    Raises:
        KeyError: no record, or more than one, has a name that begins so.
    """
    one = run_called(run, report_of(book, now_s).runs)
    holder = book.holders[one.id]
    freed, of_life = NOTHING, dict(holder.spent)
    # The newest first: of a life that is longer than an hour the rest is what is older.
    for minute, amount in sorted(holder.hour.items(), reverse=True):
        of_routes = {
            route: book.spent[route][minute].least(left)
            for route, left in of_life.items()
            if minute in book.spent.get(route, {})
        }
        for route, part in _shared_out(amount, of_routes).items():
            book.spent[route][minute] -= part
            of_life[route] -= part
            freed += part
    holder.hour = {}
    keeps = one.alive is not False and one.leased_tokens > 0
    if not keeps:
        freed += total(holding.whole for holding in holder.held.values())
        holder.held = {}
    return Struck(one, freed.tokens, freed.usd, keeps)


def _shared_out(amount: Amount, most: Mapping[str, Amount]) -> dict[str, Amount]:
    """Return an amount in parts that are to each other as the most that each may be."""
    whole, shares = total(most.values()), dict[str, Amount]()
    left = amount.least(whole)
    for route, one in most.items():
        # Of what is left, so that the parts are the whole to the last token.
        share = Amount(
            left.tokens * one.tokens // whole.tokens if whole.tokens else 0,
            left.usd * one.usd / whole.usd if whole.usd else 0.0,
        ).least(one)
        left, whole = (left - share).most(NOTHING), (whole - one).most(NOTHING)
        shares[route] = share
    return shares


def new_words(until_s: int) -> str:
    """Say until when only the emergency part may be spent of a new book."""
    until = clock_words(until_s)
    return f"the budgets on the bus are new: until {until} the emergency part is all of each"


def clock_words(second: int) -> str:
    """Return a second of the bus's clock as people read it."""
    return time.strftime("%H:%M:%S UTC", time.gmtime(second))


def total(amounts: Iterable[Amount]) -> Amount:
    """Return a sum."""
    tokens, usd = 0, 0.0
    for amount in amounts:
        tokens += amount.tokens
        usd += amount.usd
    return Amount(tokens, usd)


def _add(minutes: dict[int, Amount], minute: int, amount: Amount) -> None:
    minutes[minute] = minutes.get(minute, NOTHING) + amount
