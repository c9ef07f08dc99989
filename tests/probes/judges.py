"""Diagnosticians of which a test knows what they decide, and when."""

from collections import deque

from probes.diagnosis import Diagnostician
from probes.events import (
    AttemptFinished,
    Diagnosis,
    DiagnosisState,
    Event,
    Held,
    Hello,
    Knob,
    Mark,
    Notice,
    Tick,
)

_LIFE: tuple[DiagnosisState, ...] = ("perhaps", "named", "named", "cleared")


class FickleDiagnostician(Diagnostician):
    """Decides of every few events, by what came before; says so in the verdict's text.

    It is as exacting as a real one: ids follow the engine that was heard last, and a number counts
    every event that was folded, so that one that is missing or doubled changes all that follow.
    """

    def __init__(self, every: int = 3) -> None:
        super().__init__()
        self.folded: deque[Event] = deque(maxlen=10_000)
        self._every = every
        self._count = 0
        self._engine = ""
        self._ended = 0

    def fold(self, event: Event) -> tuple[Diagnosis, ...]:
        self.folded.append(event)
        self._count += 1
        if isinstance(event, Hello):
            self._engine = event.engine
        if isinstance(event, Knob):  # two at once
            return (self._verdict(event, "a", 0), self._verdict(event, "b", 1))
        if isinstance(event, (AttemptFinished, Tick, Held, Notice, Mark)):
            self._ended += 1
            if self._ended % self._every == 0:
                return (self._verdict(event, "c", self._ended // self._every),)
        return ()

    def _verdict(self, event: Event, series: str, number: int) -> Diagnosis:
        route = getattr(event, "route", "")
        return Diagnosis(
            at_ns=event.at_ns,
            id=f"{self._engine}.{series}{number // len(_LIFE)}",
            state=_LIFE[number % len(_LIFE)],
            cause="provider_errors",
            routes=(route,) if route else (),
            since_ns=event.at_ns - 1,
            text=f"{self._count} \u202e events",
        )


class SuspiciousDiagnostician(Diagnostician):
    """Suspects what a test tells it to."""

    def __init__(self, *suspects: str, hanging: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.told, self.hang = frozenset(suspects), frozenset(hanging)

    @property
    def suspects(self) -> frozenset[str]:
        return self.told

    @property
    def hanging(self) -> frozenset[str]:
        return self.hang


class ListedDiagnostician(Diagnostician):
    """Gives verdicts that a test has written, each with the first event at or after its stamp."""

    def __init__(self, *verdicts: Diagnosis) -> None:
        super().__init__()
        self._left = deque(sorted(verdicts, key=lambda verdict: verdict.at_ns))

    def fold(self, event: Event) -> tuple[Diagnosis, ...]:
        decided: list[Diagnosis] = []
        while self._left and self._left[0].at_ns <= event.at_ns:
            decided.append(self._left.popleft())
        return tuple(decided)
