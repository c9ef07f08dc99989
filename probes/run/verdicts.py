"""Verdicts and alerts put into the stream of a run, live and replayed alike.

Rule 1: the diagnostician sees each durable event once, in the order in which it is recorded, and
nothing else: what a replay cannot bring back (transient events, bounds of batches, our clock) must
not decide.
Rule 2: a verdict stands right after the event that decided, and so does what is usual, which it
compares with; behind them the alerts that come of it all. Each has a line like any durable event,
so that board, recording, JSON lines and subscribers have it in one order.
Rule 3: what comes of these with the events of a source is dropped. It is derived, and there is one
judge: a recording gives the same with its own and without.
Rule 4: every other line stays as it came, byte for byte: it may hold fields that we do not know.
"""

from typing import Final, Protocol, get_args

from probes.diagnosis import Alerts, Diagnostician
from probes.events import DURABLE_TYPES, Derived, Event, encode_event

_DURABLE: Final = frozenset(DURABLE_TYPES)
_DERIVED: Final = frozenset(get_args(Derived))


class Fold(Protocol):
    """What decides something of a stream, event by event."""

    def fold(self, event: Event, /) -> tuple[Derived, ...]:
        """Take one event; return what it decided, mostly nothing."""
        ...


class Judge:
    """All that is derived of a run's events: verdicts, what is usual, and alerts."""

    def __init__(self, diagnostician: Diagnostician) -> None:
        """Begin a run with a diagnostician that has heard nothing of another."""
        self.diagnostician = diagnostician
        self._alerts = Alerts()

    def fold(self, event: Event) -> tuple[Derived, ...]:
        """Take one durable event; return what it decided, in the order in which that stands."""
        alerts = self._alerts.fold(event)
        verdicts = self.diagnostician.fold(event)
        if not verdicts:
            return alerts
        told = (alert for verdict in verdicts for alert in self._alerts.fold(verdict))
        return (*verdicts, *alerts, *told)


def with_verdicts(judge: Fold, events: list[Event], lines: bytes) -> tuple[list[Event], bytes]:
    """Return a batch with what is made of it, and the JSON lines of that.

    `lines` has one line for each durable event, in order. What decides nothing, which is nearly
    every batch, is returned as it is.
    """
    decided: dict[int, tuple[Derived, ...]] = {}
    for place, event in enumerate(events):
        kind = type(event)
        if kind in _DERIVED:
            decided[place] = ()
        elif kind in _DURABLE and (verdicts := judge.fold(event)):
            decided[place] = verdicts
    if not decided:
        return events, lines
    told: list[Event] = []
    written: list[bytes] = []
    given = iter(lines.split(b"\n"))
    for place, event in enumerate(events):
        line = next(given) + b"\n" if type(event) in _DURABLE else b""
        if type(event) not in _DERIVED:
            told.append(event)
            written.append(line)
        for verdict in decided.get(place, ()):
            told.append(verdict)
            written.append(encode_event(verdict))
    return told, b"".join(written)
