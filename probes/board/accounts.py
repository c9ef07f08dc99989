"""What became of everything that a route began: nothing is counted twice, nothing is forgotten.

Rule 1: attempts begun = the sum over their outcomes + those that are open.
Rule 2: probes begun = finished + cancelled + those that are open.
Rule 3: attempts begun = probes begun + retries + attempts asked again: an attempt is the first of
its probe, or a planned retry of it, or the same request once more, adapted to a server's refusal.
Rule 4: what an engine left open that is gone is cancelled. Where its end is reported afterwards,
that counts instead.
Rule 5: a stream that is read from its middle speaks of attempts that had begun before. They begin
with the first event that names them.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from probes.events import AttemptFinished, Outcome, RetryPlan

_OPEN_KEPT: Final = 4_096
"""Eight times the streams that one engine is built for; beyond it the oldest is given up."""
_ASSUMED_KEPT: Final = 8_192
"""The open probes and attempts of a dead engine, twice over."""


@dataclass(slots=True)
class ProbeAccount:
    """A probe between its first attempt and its end."""

    started_ns: int = 0
    """When its first attempt began, as far as that is known."""
    scheduled_ns: int = 0
    """When an open pace wanted it; 0 where its pace is closed, and of what goes beside it."""
    cohort: str = ""
    attempts: int = 0
    """Attempts of it that have begun."""
    attempt: int | None = None
    """Number of the one that is open."""
    has_felt_ttft: bool = False
    """Its first output has come: later ones are no TTFT of it."""
    reasons: tuple[str, ...] = ()
    """What its retries were for, each once."""
    failed_ns: int = 0
    """When the attempt ended that the planned retry is for."""
    planned: RetryPlan | None = None
    """The retry that it waits for."""


class Accounts:
    """The probes and attempts of one route's run, by what became of them."""

    __slots__ = (
        "_assumed",
        "_open",
        "asked_again",
        "attempts",
        "outcomes",
        "probes",
        "probes_lost",
    )

    def __init__(self) -> None:
        self.probes = 0
        """Begun."""
        self.attempts = 0
        """Begun."""
        self.asked_again = 0
        """Attempts that are neither the first of their probe nor a retry."""
        self.outcomes: Counter[Outcome] = Counter()
        """Of the attempts that have ended."""
        self.probes_lost = 0
        """Probes of an engine that is gone whose end was never reported."""
        self._open: dict[str, ProbeAccount] = {}
        self._assumed: dict[tuple[str, int | None], None] = {}
        """Attempts, and probes as an attempt of no number, that are taken for cancelled."""

    @property
    def open_attempts(self) -> int:
        """Attempts that have begun and not ended."""
        return self.attempts - self.outcomes.total()

    @property
    def oldest_ns(self) -> int | None:
        """When the oldest probe began that is open, its waits included; None where none is."""
        return next(iter(self._open.values())).started_ns if self._open else None

    def open_probes(self) -> Iterable[ProbeAccount]:
        """Return those that have begun and not ended."""
        return self._open.values()

    def attempt_began(self, name: str, attempt: int) -> tuple[ProbeAccount, RetryPlan | None]:
        """Return a probe with this attempt open, and the plan it fulfils where it is a retry that
        only begins with this: what was planned may have been cancelled in its wait."""
        probe = self._open.get(name)
        if probe is None:
            if len(self._open) >= _OPEN_KEPT:
                oldest = next(iter(self._open))
                self._lose(oldest, self._open.pop(oldest))
            probe = self._open[name] = ProbeAccount()
        if probe.attempt == attempt:
            return probe, None
        plan, probe.planned = probe.planned, None
        self.attempts += 1
        if not probe.attempts:
            self.probes += 1
        elif plan is None:
            self.asked_again += 1
        else:
            probe.reasons = tuple(dict.fromkeys((*probe.reasons, plan.reason)))
        probe.attempt, probe.attempts = attempt, probe.attempts + 1
        return probe, plan

    def with_open(self, name: str, attempt: int) -> ProbeAccount | None:
        """Return the probe of an attempt that is open; None where it is not."""
        probe = self._open.get(name)
        return probe if probe is not None and probe.attempt == attempt else None

    def attempt_ended(self, probe: ProbeAccount, event: AttemptFinished) -> None:
        """Take the end of the attempt that is open."""
        probe.attempt = None
        self.outcomes[event.outcome] += 1
        if event.retry is not None:
            probe.planned = event.retry
            probe.failed_ns = event.stamps_ns.ended or event.at_ns

    def attempt_ended_late(self, event: AttemptFinished) -> bool:
        """Take how an attempt ended that was taken for cancelled; return whether it was."""
        was_assumed = self._forget((event.probe, event.attempt))
        if was_assumed:
            self.outcomes["cancelled"] -= 1
            self.outcomes[event.outcome] += 1
        return was_assumed

    def probe_ended(self, name: str, outcome: Outcome) -> tuple[str, ...]:
        """Take the end of a probe; return what its retries were for, each reason once."""
        probe = self._open.pop(name, None)
        if probe is not None:
            return probe.reasons
        if self._forget((name, None)):
            self.probes_lost -= 1
        else:  # its only event: it had an attempt, which ended as it did
            self.probes += 1
            self.attempts += 1
            self.outcomes[outcome] += 1
        return ()

    def engine_died(self) -> None:
        """Take all that is open for cancelled."""
        for name, probe in self._open.items():
            self._lose(name, probe)
        self._open.clear()

    def _lose(self, name: str, probe: ProbeAccount) -> None:
        self.probes_lost += 1
        self._assume((name, None))
        if probe.attempt is not None:
            self.outcomes["cancelled"] += 1
            self._assume((name, probe.attempt))

    def _assume(self, key: tuple[str, int | None]) -> None:
        if len(self._assumed) >= _ASSUMED_KEPT:
            del self._assumed[next(iter(self._assumed))]
        self._assumed[key] = None

    def _forget(self, key: tuple[str, int | None]) -> bool:
        if key not in self._assumed:
            return False
        del self._assumed[key]
        return True
