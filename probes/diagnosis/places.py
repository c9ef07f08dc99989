"""The places that a stream is of, and what time it is at each.

Rule 1. The time of a place is the newest stamp of its own events, and what is of it is judged by
        that time alone: by how old a request is there, not by what a clock elsewhere says. So what
        one place sends late is not held against it while another's is fresh.
Rule 2. While nothing is heard of a place its time stands still: nothing of it ages, so nothing
        begins to hang, ends or stands for longer. It is neither well nor ill: it is not known.
Rule 3. What it kept meanwhile comes late and in order, and is judged by its own stamps, as if it
        had come in time. Until its time has come to the moment at which it was heard again it is
        *behind*: nobody is alerted then, for what is told may long be over.
Rule 4. Where a place that is heard jumps by more than `HOLE_NS`, events are lost: an engine ticks
        each second, and says itself where it did not run. What was open then has no known age.
Rule 5. What is put into the stream by whoever reads it (a knob, a hold, what is told of a place)
        has the stream's newest stamp, and is no time of the place.
Rule 6. A place may be introduced before it is heard, and then tell of what was before: its time
        goes back to the hello of what it tells.
Rule 7. A stream without places is of one, whose name is empty, and which is always heard.
"""

from typing import Final

from probes.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    FirstToken,
    Gap,
    Held,
    Hello,
    Knob,
    PlaceReport,
    PlaceState,
    ProbeFinished,
    RouteInfo,
    Tick,
)
from probes.events.spoken_of import routes_after, speaks_of
from probes.kit.clock import NS_PER_S

HOLE_NS: Final = 5 * NS_PER_S
"""So long without a tick from an engine that ticks each second."""
_IN_TIME_NS: Final = 3 * NS_PER_S
"""Batches of a place come up to 1.5 s late, and clocks differ by as much as NTP leaves: what is so
near to the newest of all has come in time."""


class PlaceTime:
    """One place."""

    __slots__ = ("_behind_until_ns", "name", "now_ns", "report")

    def __init__(self, name: str, at_ns: int) -> None:
        """Begin with its first event."""
        self.name = name
        """Empty where the stream has no places."""
        self.now_ns = at_ns
        self.report: PlaceReport | None = None
        """What was told last of whether it is heard."""
        self._behind_until_ns = 0

    @property
    def state(self) -> PlaceState:
        """Whether it is heard; a place of which nothing is told is."""
        return "heard" if self.report is None else self.report.state

    @property
    def is_heard(self) -> bool:
        """Whether what was told of it last still holds."""
        return self.state == "heard"

    @property
    def is_behind(self) -> bool:
        """Whether it is not known how it is now: it is not heard, or its backlog is being read."""
        return not self.is_heard or self.now_ns < self._behind_until_ns

    def hear(self, report: PlaceReport) -> None:
        """Take what is told of whether it is heard."""
        self.report = report
        if report.state == "heard":
            self._behind_until_ns = report.at_ns - _IN_TIME_NS


class PlaceTimes:
    """All places of a stream, and which of them each route is of."""

    def __init__(self) -> None:
        self.by_name: dict[str, PlaceTime] = {}
        self.infos: dict[str, RouteInfo] = {}
        """Of all routes, by name, as they were told last."""
        self.newest: PlaceTime | None = None
        """The one that the newest event is of, of those that are of any."""
        self.hole: Gap | None = None
        """What was lost right before the event that was folded last; mostly nothing."""
        self._of: dict[str, PlaceTime] = {}
        self._reports: dict[str, PlaceReport] = {}
        """Of places that have not said hello."""
        self._clock: tuple[str, str] | None = None

    def fold(self, event: Event) -> PlaceTime | None:
        """Take one event, in the order of the stream; return the place that it is of.

        None for what is of no place, or of one that never said hello.
        """
        # For each event of a run: straight on, without a call that can be spared.
        kind = type(event)
        self.hole = None
        if kind in _OF_A_ROUTE:
            place = self._of.get(event.route) or self.by_name.get("")  # type: ignore[union-attr]
        elif kind in _OF_A_PLACE:
            place = self.by_name.get(event.place)  # type: ignore[union-attr]
        elif isinstance(event, Hello):
            place = self._greet(event)
        else:
            return self._not_of_its_time(event)
        if place is None:
            return None
        self.newest = place
        at_ns, before_ns = event.at_ns, place.now_ns
        if at_ns > before_ns:
            place.now_ns = at_ns
            # An engine that says hello begins: what was before it is no matter of loss.
            if at_ns - before_ns > HOLE_NS and place.name and kind is not Hello:
                self.hole = Gap(at_ns=at_ns, started_ns=before_ns, place=place.name)
        return place

    def _not_of_its_time(self, event: Event) -> PlaceTime | None:
        """Return the place of what may have been put into the stream by its reader; without places
        that is the time of the one there is all the same."""
        place: PlaceTime | None = None
        if isinstance(event, PlaceReport):
            place = self._report(event)
        elif isinstance(event, (Knob, Held)):
            name = event.place if isinstance(event, Held) else ""
            place = self._of.get(event.route) or self.by_name.get(name)
            if place is not None and not place.name:
                place.now_ns = max(place.now_ns, event.at_ns)
        if place is not None:
            self.newest = place
        return place

    def of(self, route: str) -> PlaceTime | None:
        """Return the place of a route; None for a route that nobody announced."""
        return self._of.get(route)

    def _greet(self, hello: Hello) -> PlaceTime:
        clock = (hello.boot_id, hello.clock_name)
        if self._clock != clock:
            self._clock = clock
            self.by_name.clear()
            self.infos.clear()
            self._of.clear()
        place = self.by_name.get(hello.place)
        if place is None or (place.name and place.now_ns - hello.at_ns > HOLE_NS):
            # Who was expected at a moment and then tells of what was before it begins there.
            report = self._reports.pop(hello.place, None) if place is None else place.report
            place = self.by_name[hello.place] = PlaceTime(hello.place, hello.at_ns)
            if report is not None:
                place.hear(report)
        if not hello.place:
            self.by_name = {"": place}  # it speaks of all
        there = {info.name: info for info in routes_after(self.infos.values(), hello)}
        self._of = {
            name: place if speaks_of(hello, info) else self._of[name]
            for name, info in there.items()
        }
        self.infos = there
        return place

    def _report(self, report: PlaceReport) -> PlaceTime | None:
        place = self.by_name.get(report.place)
        if place is None:
            self._reports[report.place] = report
            return None
        place.hear(report)
        return place


_OF_A_ROUTE: Final = frozenset((AttemptStarted, FirstToken, AttemptFinished, ProbeFinished))
_OF_A_PLACE: Final = frozenset((Tick, Gap))
