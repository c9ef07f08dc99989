"""Whether what costs money may begin: what it may cost is said first, and somebody is asked."""

import sys

from tui.commands.output import UsageError, complain, warn


def may_begin(cost: str, *, agreed: bool) -> bool:
    """Say what it may cost, and ask; return whether it may begin. `agreed`: nobody need be asked.

    Raises:
        UsageError: nobody can be asked.
    """
    if agreed:
        complain([cost])
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{cost}: where nobody can be asked, say --yes")
    complain([cost])
    warn(["Begin? [y/N] "])
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    complain(["nothing was sent"])
    return False
