"""Who is called of an alert learns with the call what the history knows of it.

An alert begins to fire with the event that decides it; what was seen before is looked up aside and
comes some tenths of a second later. A pager is called once, so what calls it waits for that.

Rule 1: it waits `WAITS_S` at most, from the alert on, by the stream or by our clock, whichever is
sooner over; then it hears all that came meanwhile, what was seen before first of all.
Rule 2: whatever is not about an alert that has just begun goes on at once.
"""

from typing import Final

from probes.events import Alert, Event, SeenBefore
from probes.kit.clock import NS_PER_S, Clock
from probes.run.exporting import Export

WAITS_S: Final = 2.0
"""Twice what a busy machine takes to read a large history; nobody gets up for less."""


class WithPast:
    """An export of alerts that is told of each with what was seen before."""

    def __init__(self, export: Export, clock: Clock) -> None:
        self._export = export
        self._clock = clock
        self._kept: list[Event] = []
        self._until_ns: tuple[int, int] | None = None
        """By the stream and by our clock; None while nothing waits."""

    def receive(self, events: list[Event], lines: bytes) -> None:
        """Take a batch."""
        if self._until_ns is None:
            begun = [event.at_ns for event in events if _begins(event)]
            if not begun:
                self._export.receive(events, lines)
                return
            waits_ns = round(WAITS_S * NS_PER_S)
            self._until_ns = begun[0] + waits_ns, self._clock.monotonic_ns() + waits_ns
        self._kept += events
        until_ns, until_our_ns = self._until_ns
        if (
            any(isinstance(event, SeenBefore) for event in events)
            or any(event.at_ns >= until_ns for event in events)
            or self._clock.monotonic_ns() >= until_our_ns
        ):
            self._tell()

    def close(self) -> None:
        """Tell what waits, and close it."""
        self._tell()
        self._export.close()

    def _tell(self) -> None:
        kept, self._kept, self._until_ns = self._kept, [], None
        if kept:
            # A stable order: all else stays as it came. Who calls people reads no lines.
            kept.sort(key=lambda event: not isinstance(event, SeenBefore))
            self._export.receive(kept, b"")


def with_past(export: Export, clock: Clock, *, history: object | None) -> Export:
    """Return what calls people; where a history is kept it waits for what that knows."""
    return export if history is None else WithPast(export, clock)


def _begins(event: Event) -> bool:
    return isinstance(event, Alert) and event.state == "firing" and bool(event.incident)
