"""The ledger that all runs of this machine share, as a command opens it."""

from contextlib import suppress

from probes.money.ledger import Ledger, default_ledger_path, emergency_ledger_path
from probes.money.ledger_file import LedgerError


def machine_ledger(command: str) -> Ledger:
    """Return it, to be closed, with what earlier runs could not bring into it; `command` is what
    people know this run by. What it does not take at the end is for `emergency_ledger_path`."""
    ledger = Ledger(default_ledger_path(), command=command)
    with suppress(LedgerError):  # the run finds that out for itself, and says it
        ledger.absorb(emergency_ledger_path())
    return ledger
