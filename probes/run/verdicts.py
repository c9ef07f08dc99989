"""Verdicts put into the stream of a run, live and replayed alike.

Rule 1: the diagnostician sees each durable event once, in the order in which it is recorded, and
nothing else: what a replay cannot bring back (transient events, bounds of batches, our clock) must
not decide.
Rule 2: a verdict stands right after the event that decided. It has a line like any durable event,
so that board, recording, JSON lines and subscribers have it in one order.
Rule 3: verdicts that come with the events of a source are dropped. They are derived, and there is
one judge: a recording gives the same with its own and without.
Rule 4: every other line stays as it came, byte for byte: it may hold fields that we do not know.
"""

from typing import Final

from probes.diagnosis import Diagnostician
from probes.events import DURABLE_TYPES, Diagnosis, Event, encode_event

_DURABLE: Final = frozenset(DURABLE_TYPES)


def with_verdicts(
    diagnostician: Diagnostician, events: list[Event], lines: bytes
) -> tuple[list[Event], bytes]:
    """Return a batch with what the diagnostician makes of it, and the JSON lines of that.

    `lines` has one line for each durable event, in order. What decides nothing, which is nearly
    every batch, is returned as it is.
    """
    decided: dict[int, tuple[Diagnosis, ...]] = {}
    for place, event in enumerate(events):
        kind = type(event)
        if kind is Diagnosis:
            decided[place] = ()
        elif kind in _DURABLE and (verdicts := diagnostician.fold(event)):
            decided[place] = verdicts
    if not decided:
        return events, lines
    told: list[Event] = []
    written: list[bytes] = []
    given = iter(lines.split(b"\n"))
    for place, event in enumerate(events):
        line = next(given) + b"\n" if type(event) in _DURABLE else b""
        if type(event) is not Diagnosis:
            told.append(event)
            written.append(line)
        for verdict in decided.get(place, ()):
            told.append(verdict)
            written.append(encode_event(verdict))
    return told, b"".join(written)
