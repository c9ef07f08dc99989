"""What the engine may still spend: reservations before an attempt, settled at its end.

Rule 1. What is spent and reserved never exceeds an allowance, of the route nor of all together.
Rule 2. Without any allowance nothing is limited; the host of a real run always sends some.
Rule 3. Only the host knows the budgets: here are leases, which it fills as they are used.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from probes.control.commands import Allowance
from probes.events import BudgetState, Committed, MoneyReport
from probes.kit.short_figures import counted

OVERALL: Final = ""
"""Names what all routes have used together."""


@dataclass(frozen=True, slots=True)
class AttemptReservation:
    """What one attempt may cost at most."""

    route: str
    tokens: int
    usd: float


@dataclass(slots=True)
class _Used:
    """What this engine has spent and reserved since it started."""

    tokens: int = 0
    usd: float = 0.0


class Spending:
    """What each route and all together have used, held within the host's allowances."""

    def __init__(self) -> None:
        self._allowances: dict[str, Allowance] = {}
        self._used: defaultdict[str, _Used] = defaultdict(_Used)
        self._number = 0

    def allow(self, allowances: tuple[Allowance, ...], number: int = 0) -> None:
        """Take over new allowances, by route; `number` is that of their command."""
        self._number = number
        self._allowances.update({allowance.route: allowance for allowance in allowances})

    def reserve(self, route: str, tokens: int, usd: float = 0.0) -> AttemptReservation | None:
        """Return a reservation, or None where a budget does not allow it."""
        for name in (route, OVERALL):
            allowance, used = self._allowances.get(name), self._used[name]
            if allowance is None:
                continue
            if used.tokens + tokens > allowance.tokens:
                return None
            if allowance.usd is not None and used.usd + usd > allowance.usd:
                return None
        self._add(route, tokens, usd)
        return AttemptReservation(route, tokens, usd)

    def awaits_more(self, route: str) -> bool:
        """Tell whether the lease of a route is dry and not its budget: more is on its way."""
        allowance = self._allowances.get(route)
        return allowance is not None and allowance.more

    def shortage(self, route: str) -> str:
        """Return what the budgets that bind a route say, for a person; empty where none does."""
        binding = [self._allowances[name] for name in (route, OVERALL) if name in self._allowances]
        words = [
            f"{allowance.route or 'all routes'}: {allowance.used_tokens:,} of"
            f" {counted(allowance.limit_tokens, 'token')}{_usd_words(allowance)} in the last hour"
            for allowance in binding
        ]
        # First: it is why, and the figures may have nothing to say.
        return "; ".join([*(one.doubt for one in binding if one.doubt), *words])

    def settle(self, reservation: AttemptReservation, tokens: int, usd: float) -> None:
        """Replace a reservation by what the attempt really cost."""
        self._add(reservation.route, tokens - reservation.tokens, usd - reservation.usd)

    def report(self) -> MoneyReport | None:
        """Return what is spent and reserved by route; None where the commands are not numbered."""
        if not self._number:
            return None
        committed = (
            Committed(name, used.tokens, used.usd)
            for name, used in self._used.items()
            if name != OVERALL
        )
        return MoneyReport(allow=self._number, committed=tuple(committed))

    def states(self) -> tuple[BudgetState, ...]:
        """Return the budgets for the screen."""
        return tuple(
            BudgetState(
                route=allowance.route,
                used_tokens=allowance.used_tokens,
                limit_tokens=allowance.limit_tokens,
                used_usd=allowance.used_usd,
                limit_usd=allowance.limit_usd,
                doubt=allowance.doubt,
                doubt_kind=allowance.doubt_kind,
            )
            for allowance in self._allowances.values()
        )

    def _add(self, route: str, tokens: int, usd: float) -> None:
        for name in (route, OVERALL):
            self._used[name].tokens += tokens
            self._used[name].usd += usd


def _usd_words(allowance: Allowance) -> str:
    """Return what a budget in USD says; nothing where there is none, or none that can be held."""
    if allowance.usd is None or allowance.limit_usd is None:
        return ""
    return f" and {allowance.used_usd:.3g} of {allowance.limit_usd:g} USD"
