"""The budget of single probes: reserved in the ledger that all runs share, settled at their end.

The ledger's calls block, so all of them lie before the first probe and after the last.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType

from probes.config import Config, Route
from probes.ledger import Ledger, LedgerError, Reservation, default_ledger_path, route_key
from probes.pricing import reserved_usd, usd_charged
from probes.report import prompt_tokens
from probes.single import ProbeRecord
from tui.commands.output import complain

__all__ = ["Purse"]


class Purse:
    """Reservations of one command; those that are not settled count in full when it closes.

    A ledger that cannot be used is said, and the probes go uncounted: one probe a route is little,
    and on call a full disk must not keep anybody from looking.
    """

    def __init__(self, config: Config, path: Path | None = None) -> None:
        """Spend by the budgets of `config`, from the ledger at `path`."""
        self._budget = config.budget
        self._ledger = Ledger(path or default_ledger_path())
        self._open: dict[str, Reservation] = {}

    def __enter__(self) -> "Purse":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for reservation in self._open.values():
            # A probe that was cut off may have cost all that it was allowed.
            self._settle(reservation, reservation.tokens, reservation.usd)
        self._ledger.close()

    def admit(self, routes: Iterable[Route]) -> list[Route]:
        """Return the routes whose budget allows one probe, which is then reserved."""
        return [route for route in routes if self._reserve(route)]

    def settle(self, records: Mapping[str, ProbeRecord]) -> None:
        """Note what the probes really cost, by route name."""
        for name, record in records.items():
            reservation = self._open.pop(name, None)
            if reservation is not None:
                tokens = sum(attempt.charged_tokens for attempt in record.attempts)
                usd = sum(map(usd_charged, record.attempts))
                self._settle(reservation, tokens, usd)

    def _reserve(self, route: Route) -> bool:
        attempts, asked = route.retries + 1, prompt_tokens(route)
        tokens = asked + route.max_tokens
        try:
            reservation = self._ledger.reserve(
                route_key(route),
                tokens * attempts,
                self._budget,
                usd=reserved_usd(route.price, asked, tokens) * attempts,
            )
        except LedgerError as error:
            complain([f"{error}; the probe is not counted"])
            return True
        if reservation is not None:
            self._open[route.name] = reservation
        return reservation is not None

    def _settle(self, reservation: Reservation, tokens: int, usd: float) -> None:
        try:
            self._ledger.settle(reservation, tokens, usd)
        except LedgerError as error:
            complain([f"{error}; the probe is not counted"])
