"""A recording told as its incidents: what was wrong, since when, and who would have been woken.

Rule 1: the events are judged as a replay judges them; verdicts of the recording are dropped.
Rule 2: what the recording cannot tell is said, so that nobody takes its silence for health: parts
that are damaged, routes of which nothing was measured, too few probes to know what is usual.
Rule 3: no board is folded: nothing here needs a percentile, and an hour is read in half the time.
Rule 4: of several places each sleeps, is heard and is lost by itself: what is said of one is said
by its name, and no time of theirs is added up.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from probes.diagnosis import Diagnostician
from probes.diagnosis.level import GUARD, LEARNED
from probes.diagnosis.places import PlaceTimes
from probes.events import Alert, AttemptFinished, Event, Gap, Hello, ProbeFinished, Tick
from probes.kit.clock import kept_ns, seconds
from probes.kit.short_figures import date_and_time, lasting
from probes.run.incidents import IncidentRecord, RunIncidents
from probes.run.verdicts import Judge, with_verdicts
from probes.store.recording_reader import read_recording, recorded_parts

USUAL_FROM: Final = LEARNED + GUARD
"""Probes of a route that went well from which on it is known what is usual of it."""
_RETICENT_TICKS: Final = 10
"""Ticks with something in flight that told nothing of it: whoever wrote them never does."""

Progress = Callable[[int], object]
"""Takes the bytes that were read so far."""


class RecordedPage(NamedTuple):
    """Somebody would have been woken."""

    wall_ns: int | None
    """When, in Unix ns; None where the recording tells no wall time."""
    alert: Alert
    """That it began to fire."""
    over: Alert | None = None
    """That it was over; None where it was not, at the end."""


class RouteCount(NamedTuple):
    """What came of a route's probes; those we cancelled are in none."""

    name: str
    probes: int
    failed: int


class RecordedIncident(NamedTuple):
    """One incident, and what became of the probes of its routes while it stood."""

    record: IncidentRecord
    probes: int
    """That finished."""
    failed: int


@dataclass(frozen=True, slots=True)
class IncidentReport:
    """What a recording has to tell."""

    names: tuple[str, ...]
    """Of its files."""
    version: str
    """Of llmtop that wrote it; empty where no `hello` is in it."""
    began_ns: int | None
    """Unix ns; None where it tells no wall time."""
    ended_ns: int | None
    lasted_s: float
    """Time that it covers."""
    slept_s: float
    """Of that, when the engine did not run; of several places, that of the one that slept most."""
    routes: tuple[RouteCount, ...]
    places: tuple[str, ...]
    """From where it was probed, sorted; empty where that was one place."""
    incidents: tuple[RecordedIncident, ...]
    """In the order in which they were first spoken of."""
    pages: tuple[RecordedPage, ...]
    missing: tuple[str, ...]
    """What it does not tell, and what follows; for a person."""

    @property
    def probes(self) -> int:
        """Probes that finished, of all routes."""
        return sum(route.probes for route in self.routes)

    @property
    def failed(self) -> int:
        """Those that did not end ok."""
        return sum(route.failed for route in self.routes)


def read_report(
    paths: Sequence[Path],
    *,
    progress: Progress = lambda _bytes: None,
    diagnostician: Diagnostician | None = None,
) -> IncidentReport:
    """Read a recording and return its incidents; `diagnostician` judges in the place of ours.

    Raises:
        RecordingError: it cannot be read.
    """
    missing: list[str] = []
    parts = recorded_parts(paths, missing.append)
    diagnostician = diagnostician or Diagnostician()
    judge, reading = Judge(diagnostician), ReportReading(diagnostician)
    done = 0
    for events, lines in read_recording(parts, missing.append):
        done += len(lines)
        events, _ = with_verdicts(judge, events, lines)
        reading.fold(events)
        progress(done)
    return reading.report(tuple(part.name for part in parts), missing)


class _Ends:
    """When the probes of a route ended: stamps, 8 bytes each."""

    def __init__(self) -> None:
        self.all_ns = array("q")
        self.failed_ns = array("q")


class ReportReading:
    """What is known of a recording up to an event of it."""

    def __init__(self, diagnostician: Diagnostician) -> None:
        """Begin; `diagnostician` is who judges the events before they are folded."""
        self._diagnostician = diagnostician
        self._log = RunIncidents()
        self._pages: dict[str, RecordedPage] = {}
        self._hello: Hello | None = None
        self._first_ns: int | None = None
        self._last_ns = 0
        """Stamps of the clock that goes by now."""
        self._lasted_ns = 0
        """By the clocks before it."""
        self._slept_ns: Counter[str] = Counter()
        self._lost_ns: Counter[str] = Counter()
        """By place, as the one above: of what time its events are missing."""
        self._places = PlaceTimes()
        self._began_ns: int | None = None
        self._anchor_ns: int | None = None
        self._ended: dict[str, _Ends] = {}
        self._attempts = 0
        self._tells_path = False
        self._reticent_ticks = 0
        self._tells_open = False

    def fold(self, events: Iterable[Event]) -> None:
        """Take some events with all that is derived of them, in the order of the stream."""
        for event in events:
            if self._first_ns is None:
                self._first_ns = self._last_ns = event.at_ns
            self._last_ns = max(self._last_ns, event.at_ns)
            self._places.fold(event)
            if (hole := self._places.hole) is not None:
                self._lost_ns[hole.place] += hole.at_ns - hole.started_ns
            self._count(event)
            self._log.fold(event)

    def _count(self, event: Event) -> None:
        match event:
            case ProbeFinished() if event.outcome != "cancelled":
                ends = self._ended.setdefault(event.route, _Ends())
                ends.all_ns.append(kept_ns(event.at_ns))
                if event.outcome != "ok":
                    ends.failed_ns.append(kept_ns(event.at_ns))
            case AttemptFinished():
                self._attempts += 1
                self._tells_path = self._tells_path or event.rtt_to is not None
            case Tick():
                self._anchor_ns = event.wall_ns - event.at_ns
                self._look_at_what_is_open(event)
            case Hello():
                self._anchor_ns = event.wall_ns - event.at_ns
                self._greet(event)
            case Gap():
                self._slept_ns[event.place] += max(0, event.at_ns - event.started_ns)
            case Alert(state="firing"):
                wall_ns = None if self._anchor_ns is None else event.at_ns + self._anchor_ns
                self._pages[event.id] = RecordedPage(wall_ns, event)
            case Alert() if event.id in self._pages:
                self._pages[event.id] = self._pages[event.id]._replace(over=event)
            case _:
                pass

    def _greet(self, hello: Hello) -> None:
        before, self._hello = self._hello, hello
        if before is None:
            self._began_ns = hello.wall_ns
        if before is None or (before.boot_id, before.clock_name) != (
            hello.boot_id,
            hello.clock_name,
        ):
            if before is not None:
                self._lasted_ns += self._span_ns()
            self._first_ns = self._last_ns = hello.at_ns
        for info in hello.routes:
            self._ended.setdefault(info.name, _Ends())

    def _span_ns(self) -> int:
        return 0 if self._first_ns is None else self._last_ns - self._first_ns

    def _look_at_what_is_open(self, tick: Tick) -> None:
        busy = [counts for counts in tick.routes if counts.in_flight]
        told = any(counts.oldest_open_ns is not None for counts in busy)
        self._tells_open = self._tells_open or told
        self._reticent_ticks += bool(busy) and not told

    def report(self, names: tuple[str, ...], missing: list[str]) -> IncidentReport:
        """Return what the recording has told, now that it was read."""
        hello, anchor_ns = self._hello, self._anchor_ns
        routes = tuple(
            RouteCount(name, len(ends.all_ns), len(ends.failed_ns))
            for name, ends in self._ended.items()
        )
        return IncidentReport(
            names=names,
            version=hello.version if hello else "",
            began_ns=self._began_ns,
            ended_ns=None if anchor_ns is None else self._last_ns + anchor_ns,
            lasted_s=seconds(self._lasted_ns + self._span_ns()),
            slept_s=seconds(max(self._slept_ns.values(), default=0)),
            routes=routes,
            places=tuple(sorted(filter(None, self._places.by_name))),
            incidents=tuple(map(self._with_its_probes, self._log.records)),
            pages=tuple(self._pages.values()),
            missing=(*missing, *self._missing(routes)),
        )

    def _with_its_probes(self, record: IncidentRecord) -> RecordedIncident:
        since_ns = record.since_ns
        until_ns = self._last_ns if record.end is None else record.end.at_ns
        hit = [self._ended[name] for name in record.routes if name in self._ended]
        return RecordedIncident(
            record,
            probes=sum(since_ns <= at_ns <= until_ns for ends in hit for at_ns in ends.all_ns),
            failed=sum(since_ns <= at_ns <= until_ns for ends in hit for at_ns in ends.failed_ns),
        )

    def _missing(self, routes: Sequence[RouteCount]) -> Iterator[str]:
        """Give what the events do not tell, and what follows of it."""
        if self._hello is None:
            yield "no hello is in it, so that no route is known: nothing of it can be judged"
            return
        yield from self._missing_of_places()
        if unprobed := [route.name for route in routes if not route.probes]:
            yield f"no probe of {_listed(unprobed)} finished: nothing is known there"
        few = [one.name for one in routes if one.probes and one.probes - one.failed < USUAL_FROM]
        if few:
            yield (
                f"fewer than {USUAL_FROM} probes went well of {_listed(few)}: what is usual there "
                "is not known, so that only failures and hangs were judged"
            )
        if restless := self._diagnostician.restless:
            least = min(restless.values())
            yield (
                f"the first token of {_listed(sorted(restless))} is too restless to judge: less "
                f"than {least:.1f} times the usual may go unnoticed"
            )
        if self._reticent_ticks >= _RETICENT_TICKS and not self._tells_open:
            yield (
                "it does not tell the age of open requests (an older llmtop wrote it), so that a "
                "hang was known later"
            )
        if self._attempts >= USUAL_FROM and not self._tells_path:
            yield (
                "it tells no round trips (an older llmtop wrote it, or not on Linux), so that the "
                "way there was judged by connects alone"
            )

    def _missing_of_places(self) -> Iterator[str]:
        for name, lost_ns in sorted(self._lost_ns.items()):
            yield (
                f"of {lasting(seconds(lost_ns))} nothing came from {name}: what happened there "
                "then is not known"
            )
        for place in self._places.by_name.values():
            report = place.report
            if report is not None and not place.is_heard:
                at_ns = None if self._anchor_ns is None else place.now_ns + self._anchor_ns
                yield (
                    f"{place.name} was not heard any more from {date_and_time(at_ns)} on: what was "
                    "open there neither stands nor is over"
                )


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
