"""The budget of single probes: reserved in the ledger that all runs share, settled at their end.

The ledger's calls block, so all of them lie before the first probe and after the last. A command
that is killed has spent all it had reserved: its lease says so. With a ledger that cannot be used
nobody knows what has been spent: the probes go, for on call a full disk must not keep anybody from
looking, but they are counted in a ledger apart and there is no more for them than the emergency
part of the budgets, for all commands of an hour together. Without that one, too, nothing is sent.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from probes.config import Config, Route
from probes.engine.single import ProbeRecord
from probes.kit.short_figures import counted
from probes.money.lease_rules import emergency_part, route_key
from probes.money.ledger import (
    Ledger,
    Reservation,
    default_ledger_path,
    emergency_ledger_path,
    is_ours_alone,
    new_run,
)
from probes.money.ledger_file import LedgerError
from probes.money.pricing import reserved_usd, usd_charged
from tui.commands.output import complain


class ProbeReservations:
    """Reservations of one command; those that are not settled count in full when it closes."""

    def __init__(
        self,
        config: Config,
        path: Path | None = None,
        *,
        command: str = "",
        emergency: Path | None = None,
    ) -> None:
        """Spend by the budgets of `config`, from the ledger at `path`.

        `command` is what people know it by, `emergency` the ledger apart.
        """
        self._budget = config.budget
        self._routes = config.routes
        self._command = command
        self._emergency = emergency or emergency_ledger_path()
        self._run = new_run()
        self._ledger = self._opened(path or default_ledger_path())
        self._fell_back = False
        self._open: dict[str, Reservation] = {}

    def __enter__(self) -> "ProbeReservations":
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
        with suppress(LedgerError):  # said where it mattered; what is left there counts in full
            self._ledger.release(self._run)
        self._ledger.close()

    def admit(self, routes: Iterable[Route]) -> list[Route]:
        """Return the routes whose budget allows one probe, which is then reserved."""
        with suppress(LedgerError):  # the first reservation finds that out, and says it
            self._ledger.absorb(self._emergency)
        admitted = [route for route in routes if self._reserve(route)]
        complain(self._ledger.take_news())
        if self._ledger.doubt:
            complain([f"the spending ledger is in doubt: {self._ledger.doubt}"])
        return admitted

    def settle(self, records: Mapping[str, ProbeRecord]) -> None:
        """Note what the probes really cost, by route name."""
        for name, record in records.items():
            reservation = self._open.pop(name, None)
            if reservation is not None:
                tokens = sum(attempt.charged_tokens for attempt in record.attempts)
                usd = sum(map(usd_charged, record.attempts))
                self._settle(reservation, tokens, usd)

    def _reserve(self, route: Route) -> bool:
        attempts, asked = route.retries + 1, route.input_tokens
        tokens = asked + route.max_tokens
        try:
            reservation = self._ledger.reserve(
                route_key(route),
                tokens * attempts,
                self._budget,
                usd=reserved_usd(route.price, asked, tokens) * attempts,
                run=self._run,
            )
        except LedgerError as error:
            if not self._fall_back(error):
                return False
            return self._reserve(route)
        if reservation is not None:
            self._open[route.name] = reservation
        return reservation is not None

    def _fall_back(self, error: LedgerError) -> bool:
        """Count apart from now on; return whether that can be, and say either."""
        if self._fell_back:
            complain([f"{error}; nor can the other: nothing is sent"])
            return False
        self._fell_back = True
        self._ledger.close()
        self._ledger = self._opened(self._emergency)
        self._budget = emergency_part(self._budget)
        if not is_ours_alone(self._emergency.parent, make=True):
            complain([f"{error}; nor is {self._emergency.parent} ours alone: nothing is sent"])
            return False
        complain(
            [
                f"{error}; until it can, probes like this one may spend"
                f" {counted(self._budget.tokens_per_hour, 'token')} an hour,"
                f" {self._budget.route_tokens_per_hour:,} a route: the emergency part of the budget"
            ]
        )
        return True

    def _opened(self, path: Path) -> Ledger:
        ledger = Ledger(path, command=self._command)
        ledger.introduce(self._routes)
        return ledger

    def _settle(self, reservation: Reservation, tokens: int, usd: float) -> None:
        try:
            self._ledger.settle(reservation, tokens, usd)
        except LedgerError as error:
            complain([f"{error}; the probe counts as all it had reserved"])
