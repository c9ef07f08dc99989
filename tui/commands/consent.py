"""Whether what costs money may begin: what it may cost is said first, and somebody is asked."""

import sys

from probes.kit.short_figures import counted
from tui.commands.output import UsageError, complain, warn


def budget_words(most_tokens: int | None, most_usd: float | None) -> list[str]:
    """Return in words that it ends at a budget of its own, where it has one."""
    held = [] if most_tokens is None else [counted(most_tokens, "token")]
    held += [] if most_usd is None else [f"${most_usd:.3g}"]
    return [f"it ends at its budget of {' and '.join(held)}"] if held else []


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
