"""How much more often a route may be probed while something is suspected, and when never.

Rule 1: one probe a second in all, 20 s at a time, within concurrency and budget. It costs little,
and what it tells of a slow route comes in seconds instead of minutes.
Rule 2: never where we might feed what we report. A server that asked for less (429, overload, spent
quota) is left to its pace for a minute, and so is a route that is paused, cools down or is held.
Rule 3: whoever sends the probes keeps to this, whatever whoever suspects asks for.
"""

from typing import Final

from probes.events import Outcome

EVIDENCE_EVERY_S: Final = 1.0
"""From one start of the route to the next. Judged is by the second: faster ones tell no more."""
LONGEST_EVIDENCE_S: Final = 20.0
"""At a time. A ×3 is known within that, and whoever is gone or wrong does not go on spending."""
CALM_S: Final = 60.0
"""After a server asked for less. Most limits count by the minute."""
_LESS: Final = ("overloaded", "quota")
"""Reasons that ask for less under other outcomes than `throttled`."""


def asks_for_less(outcome: Outcome, reason: str, retry_after_s: float | None) -> bool:
    """Tell whether an answer says that its server is asked too much, or is to be left alone."""
    return outcome == "throttled" or reason in _LESS or bool(retry_after_s)
