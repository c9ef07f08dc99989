"""Events of one place on a line of time that several places share.

Rule 1: a place's stamps are all moved by one constant, from its own clock to Unix time, for as
long as one engine lives: every difference between stamps of that engine stays what it measured.
Rule 2: stamps of two places order what happened by their wall clocks and no better; nobody
subtracts them.
Rule 3: every field that holds a stamp is named here; durations and ages stay as they are.
Rule 4: on such a line a stamp is its own wall time, whatever the place's clock says beside it: the
clocks of two places differ, and who shows the line has one anchor.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from probes.events.parts import Arrival, Limit, StampLadder
from probes.events.stream import (
    Alert,
    Arrivals,
    AttemptFinished,
    AttemptStarted,
    Batch,
    Diagnosis,
    Event,
    Fault,
    FirstToken,
    Gap,
    Held,
    Hello,
    Knob,
    LimitReading,
    Mark,
    Notice,
    PlaceReport,
    Preview,
    ProbeFinished,
    Reference,
    SeenBefore,
    Tick,
    Usual,
)

SHARED_CLOCK: Final = "CLOCK_REALTIME"
"""Names the clock of such a line in its hello: Unix time, each place's own."""

_replace = msgspec.structs.replace


def offset_of(event: Hello | Tick) -> int:
    """Return what moves the stamps of an engine to Unix time, in ns."""
    return event.wall_ns - event.at_ns


def at_place(event: Event, place: str, by_ns: int) -> Event:
    """Return an event as it stands in the stream of several places: its stamps moved by `by_ns`,
    and what is not of one route marked with the place."""
    return _MOVES[type(event)](event, place, by_ns)


def _moved(stamp: int | None, by_ns: int) -> int | None:
    return None if stamp is None else stamp + by_ns


def _at(event: Any, _place: str, by_ns: int) -> Event:
    return _replace(event, at_ns=event.at_ns + by_ns)  # type: ignore[no-any-return]


def _of_the_place(event: Any, place: str, by_ns: int) -> Event:
    return _replace(event, at_ns=event.at_ns + by_ns, place=place)  # type: ignore[no-any-return]


def _hello(event: Hello, place: str, by_ns: int) -> Event:
    at_ns = event.at_ns + by_ns
    # One clock for all: who folds the stream goes on where another place says hello.
    return _replace(
        event, at_ns=at_ns, wall_ns=at_ns, place=place, clock_name=SHARED_CLOCK, boot_id=""
    )


def _tick(event: Tick, place: str, by_ns: int) -> Event:
    at_ns = event.at_ns + by_ns
    return _replace(event, at_ns=at_ns, wall_ns=at_ns, place=place)


def _attempt_started(event: AttemptStarted, _place: str, by_ns: int) -> Event:
    return _replace(
        event,
        at_ns=event.at_ns + by_ns,
        scheduled_ns=event.scheduled_ns + by_ns,
        admitted_ns=event.admitted_ns + by_ns,
    )


def _attempt_finished(event: AttemptFinished, _place: str, by_ns: int) -> Event:
    ladder = event.stamps_ns
    return _replace(
        event,
        at_ns=event.at_ns + by_ns,
        stamps_ns=StampLadder(
            **{name: _moved(getattr(ladder, name), by_ns) for name in StampLadder.__struct_fields__}
        ),
        limits=_limits(event.limits, by_ns),
    )


def _limits(limits: tuple[Limit, ...], by_ns: int) -> tuple[Limit, ...]:
    return tuple(
        limit if limit.told_ns is None else _replace(limit, told_ns=limit.told_ns + by_ns)
        for limit in limits
    )


def _probe_finished(event: ProbeFinished, _place: str, by_ns: int) -> Event:
    return _replace(
        event,
        at_ns=event.at_ns + by_ns,
        started_ns=event.started_ns + by_ns,
        scheduled_ns=event.scheduled_ns + by_ns,
        first_token_ns=_moved(event.first_token_ns, by_ns),
        first_answer_ns=_moved(event.first_answer_ns, by_ns),
        done_ns=_moved(event.done_ns, by_ns),
    )


def _limit(event: LimitReading, _place: str, by_ns: int) -> Event:
    return _replace(event, at_ns=event.at_ns + by_ns, limits=_limits(event.limits, by_ns))


def _held(event: Held, place: str, by_ns: int) -> Event:
    until_ns = _moved(event.until_ns, by_ns)
    return _replace(event, at_ns=event.at_ns + by_ns, until_ns=until_ns, place=place)


def _gap(event: Gap, place: str, by_ns: int) -> Event:
    started_ns = event.started_ns + by_ns
    return _replace(event, at_ns=event.at_ns + by_ns, started_ns=started_ns, place=place)


def _mark(event: Mark, _place: str, by_ns: int) -> Event:
    return _replace(event, at_ns=event.at_ns + by_ns, about_ns=_moved(event.about_ns, by_ns))


def _place_report(event: PlaceReport, place: str, by_ns: int) -> Event:
    return _replace(event, at_ns=event.at_ns + by_ns, since_ns=event.since_ns + by_ns, place=place)


def _since(event: Diagnosis, _place: str, by_ns: int) -> Event:
    return _replace(event, at_ns=event.at_ns + by_ns, since_ns=event.since_ns + by_ns)


def _alert(event: Alert, _place: str, by_ns: int) -> Event:
    return _replace(
        event,
        at_ns=event.at_ns + by_ns,
        since_ns=event.since_ns + by_ns,
        ended_ns=_moved(event.ended_ns, by_ns),
    )


def _arrivals(event: Arrivals, _place: str, by_ns: int) -> Event:
    arrivals: tuple[Arrival, ...] = tuple(
        _replace(one, last_ns=one.last_ns + by_ns) for one in event.arrivals
    )
    return _replace(event, at_ns=event.at_ns + by_ns, arrivals=arrivals)


_MOVES: Final[Mapping[type[Event], Callable[[Any, str, int], Event]]] = {
    Hello: _hello,
    AttemptStarted: _attempt_started,
    FirstToken: _at,
    AttemptFinished: _attempt_finished,
    ProbeFinished: _probe_finished,
    Knob: _at,
    LimitReading: _limit,
    Held: _held,
    Gap: _gap,
    Mark: _mark,
    Fault: _at,
    Notice: _of_the_place,
    PlaceReport: _place_report,
    Diagnosis: _since,
    Usual: _at,
    Reference: _at,
    SeenBefore: _at,
    Alert: _alert,
    Tick: _tick,
    Batch: _of_the_place,
    Arrivals: _arrivals,
    Preview: _at,
}
