"""The rules of leases, for every ledger: what is asked and granted, and how much may be.

1. Spent and leased of a route, and of all together, never exceed what the asking run is set to.
2. A lease shrinks by what was spent and by what is given back, and by nothing else.
3. It grows to what is wanted, or by what is left of that; but a part with which nothing can be done
   is not leased: it would lie with one who cannot use it, and another would lack it.
4. While nobody knows what has been spent the emergency part of a budget is all there is.
"""

import hashlib
from typing import Annotated, Final

import msgspec

from probes.config import Budget, Route

OVERALL: Final = ""
"""Stands for all routes together."""
HOUR_S: Final = 3_600
"""Budgets are of so long."""
LEASE_S: Final = 600
"""A lease whose run cannot be looked at runs out after so long without a word of it."""
EMERGENCY_SHARE: Final = 0.01
"""What may be spent of each budget while nobody knows what has been: 5,000 tokens of a route's
default budget are some 70 probes, enough to see a route by and nothing that hurts."""
SHARE_OF_LIMIT: Final = 10
"""A run's leases take at most this part of a route's limit ahead of what is in flight, so that one
run starves no other."""
ROUNDING: Final = 1e-9
"""Part by which sums of USD may differ that are meant to be the same."""
_UNLIMITED: Final = float("inf")


class Amount(msgspec.Struct, frozen=True, array_like=True):
    """Tokens and USD."""

    # Checked where it is read: below nothing it would be a budget that nobody gave.
    tokens: Annotated[int, msgspec.Meta(ge=0, le=1 << 62)] = 0
    usd: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.tokens + other.tokens, self.usd + other.usd)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(self.tokens - other.tokens, self.usd - other.usd)

    def __bool__(self) -> bool:
        return bool(self.tokens or self.usd)

    def least(self, other: "Amount") -> "Amount":
        """Return the lesser of each."""
        return Amount(min(self.tokens, other.tokens), min(self.usd, other.usd))

    def most(self, other: "Amount") -> "Amount":
        """Return the greater of each."""
        return Amount(max(self.tokens, other.tokens), max(self.usd, other.usd))

    def covers(self, other: "Amount") -> bool:
        """Tell whether it is enough of both."""
        return self.tokens >= other.tokens and self.usd >= other.usd * (1 - ROUNDING)


NOTHING: Final = Amount()


class Ask(msgspec.Struct, frozen=True):
    """What an engine of a run tells of one route, and wants for it."""

    route: str
    """The route's key."""
    spent_tokens: int = 0
    """Spent since it last asked."""
    spent_usd: float = 0.0
    want_tokens: int = 0
    """What its unspent lease should come up to."""
    want_usd: float = 0.0
    least_tokens: int = 0
    """With less than this nothing can be done: no lease is then better than a part of one."""
    least_usd: float = 0.0
    keep_tokens: int | None = None
    """What its unspent lease is lowered to, where it is more: nobody will spend the rest."""
    keep_usd: float | None = None

    @property
    def spent(self) -> Amount:
        """Spent since it last asked."""
        return Amount(self.spent_tokens, self.spent_usd)

    @property
    def want(self) -> Amount:
        """What its unspent lease should come up to."""
        return Amount(self.want_tokens, self.want_usd)

    @property
    def least(self) -> Amount:
        """With less than this nothing can be done."""
        return Amount(self.least_tokens, self.least_usd)


class Grant(msgspec.Struct, frozen=True):
    """An engine's unspent lease of a route, and what all runs used of it in the last hour."""

    tokens: int
    usd: float
    used_tokens: int
    used_usd: float


def settled(ask: Ask, had: Amount) -> Amount:
    """Return what is left of a lease after what was spent and is given back (rule 2)."""
    left = (had - ask.spent).most(NOTHING)
    if ask.keep_tokens is not None:
        left = left.least(Amount(ask.keep_tokens, left.usd))
    if ask.keep_usd is not None:
        left = left.least(Amount(left.tokens, ask.keep_usd))
    return left


def topped_up(ask: Ask, had: Amount, left: Amount) -> Amount:
    """Return a lease that was asked to grow, with so much left for it (rule 3)."""
    grown = had + (ask.want - had).least(left).most(NOTHING)
    return grown if grown.covers(ask.least) else had


def left_of(budget: Budget, route: Amount, overall: Amount) -> Amount:
    """Return what is left of a route's budget and of that of all (rule 1), less than nothing where
    more is spent and leased; `route` and `overall` are what is."""
    tokens = min(
        budget.route_tokens_per_hour - route.tokens, budget.tokens_per_hour - overall.tokens
    )
    usd = [
        limit - used.usd
        for limit, used in ((budget.route_usd_per_hour, route), (budget.usd_per_hour, overall))
        if limit is not None
    ]
    return Amount(tokens, min(usd, default=_UNLIMITED))


def emergency_part(budget: Budget) -> Budget:
    """Return what may be spent of a budget while nobody knows what has been."""

    def part(usd: float | None) -> float | None:
        return None if usd is None else usd * EMERGENCY_SHARE

    return Budget(
        tokens_per_hour=int(budget.tokens_per_hour * EMERGENCY_SHARE),
        route_tokens_per_hour=int(budget.route_tokens_per_hour * EMERGENCY_SHARE),
        usd_per_hour=part(budget.usd_per_hour),
        route_usd_per_hour=part(budget.route_usd_per_hour),
    )


def route_key(route: Route) -> str:
    """Return what a route is known by in a ledger: its name, base URL and model, hashed.

    Its name without the place: what it spends at one place is spent for all.
    """
    return recorded_key(route.shared_name, route.base_url, route.model)


def recorded_key(name: str, base_url: str, model: str) -> str:
    """Return the key of a route of which a recording tells; `name` is the one at every place."""
    return hashlib.sha256("\0".join((name, base_url, model)).encode()).hexdigest()[:32]
