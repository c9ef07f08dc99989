"""What is to be compared, how sure one wants to be, and what that may cost.

Rule 1: all claims of a comparison together are wrong with probability `alpha` at most, however
often one looks: each figure of each arm has a part of it, and the one that decides has the half.
"""

from typing import Final

import msgspec

from probes.comparing.arms import Arm, ArmChange, changed_words
from probes.comparing.views import ComparisonFigure

MOST_PAIRS: Final = 300
ALPHA: Final = 0.01
MARGIN: Final = 0.05
"""Of a ratio: a difference below it is of no use to anybody, and nobody would move users for it."""


class ComparisonPlan(msgspec.Struct, frozen=True):
    """One comparison."""

    arms: tuple[Arm, ...]
    """Two to four; the first is what the others are compared with."""
    change: ArmChange | None = None
    """The one thing that differs between two arms of one route; None where they are routes."""
    most_pairs: int = MOST_PAIRS
    """Where it does not know by then, it says so."""
    most_tokens: int | None = None
    most_usd: float | None = None
    alpha: float = ALPHA
    margin: float = MARGIN

    @property
    def changed(self) -> str:
        """In words, what differs between the arms."""
        return changed_words(self.change)

    @property
    def deciding(self) -> ComparisonFigure:
        """The figure that ends it: TTFT, or E2E where an arm is not streamed and has no TTFT."""
        return "ttft" if all(arm.route.stream for arm in self.arms) else "e2e"
