"""What became of everything that a route began: nothing is counted twice, nothing is forgotten.

Rule 1: attempts begun = the sum over their outcomes + those that are open.
Rule 2: probes begun = finished + cancelled + those that are open.
Rule 3: attempts begun = probes begun + retries + attempts asked again: an attempt is the first of
its probe, or a planned retry of it, or the same request once more, adapted to a server's refusal.
Rule 4: what an engine left open that is gone is cancelled. Where its end is told afterwards, that
counts instead.
"""

from collections import Counter
from typing import Final

from probes.events import Outcome

_ASSUMED_KEPT: Final = 8_192


class Begun:
    """The probes and attempts of one route's run, by what became of them."""

    __slots__ = ("_assumed", "asked_again", "attempts", "outcomes", "probes", "probes_lost")

    def __init__(self) -> None:
        self.probes = 0
        self.attempts = 0
        self.asked_again = 0
        """Attempts that are neither the first of their probe nor a retry."""
        self.outcomes: Counter[Outcome] = Counter()
        """Of the attempts that have ended."""
        self.probes_lost = 0
        """Probes of an engine that is gone, of whose end nobody has told."""
        self._assumed: dict[tuple[str, int | None], None] = {}
        """Attempts, and probes as an attempt of no number, that are taken for cancelled."""

    @property
    def open_attempts(self) -> int:
        """Attempts that have begun and not ended."""
        return self.attempts - self.outcomes.total()

    def attempt_ended_late(self, probe: str, attempt: int, outcome: Outcome) -> bool:
        """Take how an attempt ended that was taken for cancelled; return whether it was."""
        assumed = self._forget((probe, attempt))
        if assumed:
            self.outcomes["cancelled"] -= 1
            self.outcomes[outcome] += 1
        return assumed

    def unknown_probe_ended(self, probe: str, outcome: Outcome) -> None:
        """Take the end of a probe that is not open: of a lost one, or of one whose stream is read
        from its middle, and that had an attempt which ended like it."""
        if self._forget((probe, None)):
            self.probes_lost -= 1
            return
        self.probes += 1
        self.attempts += 1
        self.outcomes[outcome] += 1

    def lose(self, probe: str, attempt: int | None) -> None:
        """Take an open probe, and its open attempt if any, for cancelled."""
        self.probes_lost += 1
        self._assume((probe, None))
        if attempt is not None:
            self.outcomes["cancelled"] += 1
            self._assume((probe, attempt))

    def _assume(self, key: tuple[str, int | None]) -> None:
        if len(self._assumed) >= _ASSUMED_KEPT:
            del self._assumed[next(iter(self._assumed))]
        self._assumed[key] = None

    def _forget(self, key: tuple[str, int | None]) -> bool:
        if key not in self._assumed:
            return False
        del self._assumed[key]
        return True
