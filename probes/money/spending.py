"""What the engine may still spend: reservations before an attempt, settled at its end."""

from dataclasses import dataclass

from probes.control.commands import Allowance
from probes.events import BudgetState, Committed, MoneyReport

OVERALL = ""


@dataclass(frozen=True, slots=True)
class Reservation:
    """What one attempt may cost at most."""

    route: str
    tokens: int
    usd: float


@dataclass(slots=True)
class _Account:
    """Spent and reserved by this engine since it started."""

    tokens: int = 0
    usd: float = 0.0

    def fits(self, tokens: int, usd: float, allowance: Allowance | None) -> bool:
        if allowance is None:
            return True
        if self.tokens + tokens > allowance.tokens:
            return False
        return allowance.usd is None or self.usd + usd <= allowance.usd

    def add(self, tokens: int, usd: float) -> None:
        self.tokens += tokens
        self.usd += usd


class Spending:
    """Accounts of each route and of all together, held within the host's allowances.

    Invariant: spent + reserved never exceeds an allowance. Without any allowance nothing is
    limited; the host of a real run always sends some.
    """

    def __init__(self) -> None:
        self._allowances: dict[str, Allowance] = {}
        self._accounts: dict[str, _Account] = {}
        self._number = 0

    def allow(self, allowances: tuple[Allowance, ...], number: int = 0) -> None:
        """Take over new allowances, by route; `number` is that of their command."""
        self._number = number
        self._allowances.update({allowance.route: allowance for allowance in allowances})

    def reserve(self, route: str, tokens: int, usd: float = 0.0) -> Reservation | None:
        """Return a reservation, or None where a budget does not allow it."""
        for name in (route, OVERALL):
            if not self._account(name).fits(tokens, usd, self._allowances.get(name)):
                return None
        for name in (route, OVERALL):
            self._account(name).add(tokens, usd)
        return Reservation(route, tokens, usd)

    def awaits_more(self, route: str) -> bool:
        """Tell whether the lease of a route is dry and not its budget: more is on its way."""
        allowance = self._allowances.get(route)
        return allowance is not None and allowance.more

    def shortage(self, route: str) -> str:
        """Return what the budgets that bind a route say, for a person; empty where none does."""
        told = [self._allowances[name] for name in (route, OVERALL) if name in self._allowances]
        words = [
            f"{allowance.route or 'all routes'}: {allowance.used_tokens:,} of"
            f" {allowance.limit_tokens:,} tokens{_usd_words(allowance)} in the last hour"
            for allowance in told
        ]
        return "; ".join([*words, *(allowance.doubt for allowance in told if allowance.doubt)])

    def settle(self, reservation: Reservation, tokens: int, usd: float) -> None:
        """Replace a reservation by what the attempt really cost."""
        for name in (reservation.route, OVERALL):
            self._account(name).add(tokens - reservation.tokens, usd - reservation.usd)

    def report(self) -> MoneyReport | None:
        """Return what is spent and reserved by route; None where the commands are not numbered."""
        if not self._number:
            return None
        committed = (
            Committed(name, account.tokens, account.usd)
            for name, account in self._accounts.items()
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
            )
            for allowance in self._allowances.values()
        )

    def _account(self, name: str) -> _Account:
        return self._accounts.setdefault(name, _Account())


def _usd_words(allowance: Allowance) -> str:
    """Return what a budget in USD says; nothing where there is none, or none that can be held."""
    if allowance.usd is None or allowance.limit_usd is None:
        return ""
    return f" and {allowance.used_usd:.3g} of {allowance.limit_usd:g} USD"
