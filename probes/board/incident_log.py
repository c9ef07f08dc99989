"""What is wrong by the diagnosis: incidents that are open, and those that have just ended.

Rule 1: an incident is all events of one id; each replaces the one before it. `cleared` and
`settled` end it. Its routes recover one by one: how it ends is told of all that it was.
Rule 2: nothing is judged here. What an incident makes of a route is said in `states.py`.
"""

from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from msgspec.structs import replace

from probes.board.views import RouteState
from probes.events import Cause, Diagnosis, DiagnosisState, SeenBefore
from probes.events.spoken_of import tells_of
from probes.kit.clock import NS_PER_S, kept_ns

RECOVERED_SHOWN_NS: Final = 300 * NS_PER_S
"""How long it is told that something is over: as long as the home window reaches back."""
_OPEN_KEPT: Final = 512
"""More than the routes of any run have at once: an end that never comes must not be kept for."""
_ENDED_KEPT: Final = 32
_FAILURES_KEPT: Final = 1024
"""Stamps of failures: an onset is known long before so many came since."""
_ENDS: Final[frozenset[DiagnosisState]] = frozenset(("cleared", "settled"))


@dataclass(slots=True)
class KnownIncident:
    """One incident as far as it is known."""

    event: Diagnosis
    """The newest of its events."""
    cause_ns: int
    """Since when it has its present cause; at first its onset."""
    was_named: bool
    """It has been sure once."""
    word: Diagnosis
    """What it was: the newest of its events but for those that merely say that routes recover."""
    routes: tuple[str, ...]
    """All that it ever hit, sorted; once it was named, those that were named."""
    places: tuple[str, ...] = ()
    """The same of the places that see it."""
    ended_ns: int | None = None
    worst: dict[str, RouteState] = field(default_factory=dict)
    """Route → the worst state it was in for this reason."""
    lost_before: dict[str, int] = field(default_factory=dict)
    """Route → probes that had failed before the onset."""
    lost: int = 0
    """Probes that have failed since; known at its end."""
    told_cause: Cause | None = None
    """The cause that was told last; None before it was sure."""
    seen: SeenBefore | None = None
    """What was told of such incidents before it; None where nothing was."""

    @property
    def since_ns(self) -> int:
        """Its onset, as far as it is known."""
        return self.event.since_ns

    @property
    def is_named(self) -> bool:
        """Whether it is sure, and not over."""
        return self.event.state == "named"


class FailureStamps:
    """When probes of one route failed: an onset is known only later, and what failed since is lost
    to it."""

    __slots__ = ("_newest", "n")

    def __init__(self) -> None:
        self.n = 0
        self._newest = array("q")

    def add(self, at_ns: int) -> None:
        """Take a probe that failed."""
        self.n += 1
        self._newest.append(kept_ns(at_ns))
        if len(self._newest) > 2 * _FAILURES_KEPT:
            del self._newest[:_FAILURES_KEPT]

    def before(self, at_ns: int) -> int:
        """Return how many had failed before a stamp."""
        return self.n - len(self._newest) + bisect_left(self._newest, at_ns)


class IncidentLog:
    """The incidents of one run."""

    __slots__ = ("_ended", "_open")

    def __init__(self) -> None:
        self._open: dict[str, KnownIncident] = {}
        self._ended: deque[KnownIncident] = deque(maxlen=_ENDED_KEPT)

    def __iter__(self) -> Iterator[KnownIncident]:
        return iter(self._open.values())

    def of(self, route: str) -> list[KnownIncident]:
        """Return those that are open on a route, oldest id first."""
        return [incident for incident in self._open.values() if route in incident.event.routes]

    def diagnosed(self, event: Diagnosis) -> tuple[KnownIncident, frozenset[str]]:
        """Take an event; return its incident and the routes it was on before or is on now."""
        known = self._open.get(event.id)
        if known is None:
            if len(self._open) >= _OPEN_KEPT:
                del self._open[next(iter(self._open))]
            known = self._open[event.id] = KnownIncident(
                event, event.since_ns, was_named=False, word=event, routes=event.routes
            )
        touched = frozenset((*known.event.routes, *event.routes))
        if event.cause != known.event.cause:
            known.cause_ns = event.at_ns
        if event.state in _ENDS:
            self._end(known, event)
        else:
            self._go_on(known, event)
        return known, touched

    @staticmethod
    def _go_on(known: KnownIncident, event: Diagnosis) -> None:
        """Take what it is by now."""
        if (event.cause, event.places) != (known.event.cause, known.event.places):
            known.seen = None  # that was of something else
        is_naming = event.state == "named" and not known.was_named
        if is_naming:
            known.routes = known.places = ()
        known.routes = tuple(sorted({*known.routes, *event.routes}))
        known.places = tuple(sorted({*known.places, *event.places}))
        if is_naming or not event.merely_recovers(known.word):
            if event.since_ns != known.word.since_ns:
                known.lost_before.clear()
            known.word = event
        known.event = event
        known.was_named = known.was_named or event.state == "named"

    def _end(self, known: KnownIncident, event: Diagnosis) -> None:
        """Take its end: of what was left of it by then, routes, places and onset say less than
        what it was."""
        is_whole = event.routes == known.word.routes
        since_ns = event.since_ns if is_whole else known.word.since_ns
        if since_ns != known.word.since_ns:
            known.lost_before.clear()
        known.event = replace(event, routes=known.routes, places=known.places, since_ns=since_ns)
        known.ended_ns = event.at_ns
        del self._open[event.id]
        if known.was_named:
            self._ended.append(known)

    def seen_before(self, event: SeenBefore) -> None:
        """Take what was seen before of what is wrong; of two who tell it of one incident the one
        that has seen more counts."""
        for known in self._open.values():
            if tells_of(event, known.event):
                known.seen = max(filter(None, (event, known.seen)), key=lambda one: one.times)

    def recovered(self, now_ns: int) -> list[KnownIncident]:
        """Return those that were cleared in the last five minutes, newest first, but those of which
        a route suffers again."""
        ill = {name for incident in self if incident.is_named for name in incident.event.routes}
        return [
            incident
            for incident in reversed(self._ended)
            if incident.event.state == "cleared"
            and now_ns - (incident.ended_ns or 0) <= RECOVERED_SHOWN_NS
            and ill.isdisjoint(incident.event.routes)
        ]
