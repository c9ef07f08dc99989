"""What a stretch of a run has to tell, gathered from its recording.

Rule 1: everything is read from the recording: the same stretch gives the same facts, live and from
a file, whoever asks.
Rule 2: counts and percentiles are those of the stretch's own probes, exact, each by the moment at
which it ended. States are those that the screen showed.
Rule 3: a probe is good here exactly where it is good on the board: ended ok, within every goal.
Rule 4: what is kept is bounded, and what was left out is counted.
"""

import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from operator import attrgetter, itemgetter
from typing import Final, NamedTuple, TypeAlias

from msgspec.structs import replace

from probes.board.good_probe import e2e_goal_of, is_good_probe
from probes.board.views import Happening, IncidentView, RouteState, RouteView, Snapshot
from probes.events import (
    Alert,
    AttemptFinished,
    Event,
    Gap,
    Health,
    Hello,
    ProbeFinished,
    RouteInfo,
    Tick,
)
from probes.events.spoken_of import speaks_of
from probes.handover.window import Stretch
from probes.kit.clock import NS_PER_S, seconds
from probes.run.incidents import IncidentRecord, RunIncidents
from probes.run.timeline import RunTimeline
from probes.stats.tokens import seconds_per_token

SLICE_NS: Final = 10 * NS_PER_S
_MOST_SLICES: Final = 360
"""Of one chart: an hour by 10 s; what is longer has longer slices."""
_MOST_ATTEMPTS: Final = 200_000
"""Of all routes: an hour of 50 streams. A table of more is opened by nobody."""
LETS_GO_EACH: Final = 200
"""Events, or lines of a table: some milliseconds of work."""
LETS_GO_S: Final = 0.0001
"""Whoever draws comes first: what waits for the interpreter has it then."""
WORST_SHOWN: Final = 8
SLOW_SHOWN: Final = 4
"""Of those that are merely slower than usual: they are all alike."""
IDS_LISTED: Final = 200
"""Request ids of each kind: a provider looks up a few of them."""
_AT_NS: Final = attrgetter("at_ns")
READING: Final = "reading the recording"

HandoverProgress: TypeAlias = Callable[[str, float | None], object]
"""Takes what is being done, in words, and how much of that is done, from 0 to 1; None where that is
not known."""


class ProbeStory(NamedTuple):
    """One probe with its attempts."""

    probe: ProbeFinished
    attempts: tuple[AttemptFinished, ...]
    is_good: bool

    @property
    def ttft_s(self) -> float | None:
        """Felt time to the first token."""
        first_ns = self.probe.first_token_ns
        return None if first_ns is None else seconds(first_ns - self.probe.started_ns)

    @property
    def e2e_s(self) -> float | None:
        """From its start to the end of its answer; None where none came to an end."""
        done_ns = self.probe.done_ns
        return None if done_ns is None else seconds(done_ns - self.probe.started_ns)

    @property
    def scheduled_ttft_s(self) -> float | None:
        """From when its pace wanted it to the first token."""
        first_ns = self.probe.first_token_ns
        return None if first_ns is None else seconds(first_ns - self.probe.scheduled_ns)

    @property
    def scheduled_e2e_s(self) -> float | None:
        """The same to the end of its answer."""
        done_ns = self.probe.done_ns
        return None if done_ns is None else seconds(done_ns - self.probe.scheduled_ns)

    @property
    def lasted_s(self) -> float:
        """From its start to its end, however it ended."""
        return seconds(self.probe.at_ns - self.probe.started_ns)


class ChartSlice(NamedTuple):
    """Some seconds of one route."""

    start_ns: int
    ttft_p50: float | None
    ttft_p95: float | None
    e2e_p50: float | None
    e2e_p95: float | None
    finished: int
    good: int
    failed: int
    throttled: int
    """Attempts, as are retries."""
    retries: int
    tokens_per_s: float | None
    """Median over streams."""


class FiguresOfRoute(NamedTuple):
    """What came of one route's probes that ended in a part of the stretch."""

    finished: int = 0
    failed: int = 0
    good: int = 0
    attempts: int = 0
    throttled: int = 0
    retries: int = 0
    ttft_p50: float | None = None
    ttft_p95: float | None = None
    e2e_p50: float | None = None
    e2e_p95: float | None = None
    tokens_per_s: float | None = None
    scheduled_ttft: tuple[float | None, float | None] = (None, None)
    """p50 and p95 from when the pace wanted a probe, as the next; without those that went beside
    it."""
    scheduled_e2e: tuple[float | None, float | None] = (None, None)


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """One route in the stretch."""

    info: RouteInfo
    is_hit: bool
    """By the incident."""
    states: tuple[tuple[int, RouteState], ...]
    """Each with the stamp from which it was seen."""
    slices: tuple[ChartSlice, ...]
    before: FiguresOfRoute
    """Before the onset; of a stretch without incident, nothing."""
    during: FiguresOfRoute
    """While the incident stood; without one, in the whole stretch."""
    after: FiguresOfRoute
    row: RouteView | None
    """As the screen showed it at the end of the stretch: its usual, its goals."""


@dataclass(frozen=True, slots=True)
class ObserverHealth:
    """Whether the figures can be trusted: how the observer itself fared in the stretch."""

    ticks: int
    lag_p99_ms: float
    """Worst of any second, as is the one below."""
    lag_max_ms: float
    cpu_share: float
    inexact_share: float
    """Mean share of output chunks whose arrival is only known to lie between two reads."""
    drops: int
    slept_s: float
    short_of: tuple[str, ...]
    silent_s: float
    """Longest time between two ticks, which come each second."""
    place: str = ""
    """Of several places, the one whose engine it is."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that a hand-over tells."""

    hello: Hello
    stretch: Stretch
    anchor_ns: int
    """What makes Unix time of a stamp."""
    incident: IncidentRecord | None
    """The one that is handed over."""
    others: tuple[IncidentRecord, ...]
    """Those that stood in the same stretch."""
    alerts: tuple[Alert, ...]
    """Those that began in the stretch: somebody was told, or would have been."""
    routes: tuple[RouteFacts, ...]
    """Those that were hit first; of either the worst first."""
    probes: tuple[ProbeStory, ...]
    """All that ended in the stretch, in the order of their ends."""
    attempts: tuple[AttemptFinished, ...]
    left_out: int
    """Attempts that are in no figure and no table: there were too many."""
    happenings: tuple[Happening, ...]
    """Oldest first."""
    snapshot: Snapshot
    """Of the end of the stretch."""
    health: ObserverHealth
    """Of several places, the worst of each figure."""
    healths: tuple[ObserverHealth, ...]
    """Of each place; one where there are none."""
    slice_ns: int
    missing: tuple[str, ...]
    """What the recording does not tell; for a person."""

    @property
    def end_ns(self) -> int:
        """When the incident was over; while it is not, the end of the stretch."""
        end = None if self.incident is None else self.incident.end
        return self.stretch.end_ns if end is None else min(end.at_ns, self.stretch.end_ns)

    @property
    def since_ns(self) -> int:
        """The onset; without an incident, the beginning of the stretch."""
        return self.stretch.begin_ns if self.incident is None else self.incident.since_ns

    @property
    def hit(self) -> tuple[RouteFacts, ...]:
        """The routes that it hit; without an incident, all."""
        found = tuple(route for route in self.routes if route.is_hit)
        return found or self.routes

    def wall_ns(self, at_ns: int) -> int:
        """Return a stamp as Unix time."""
        return at_ns + self.anchor_ns


def gather(
    timeline: RunTimeline,
    stretch: Stretch,
    *,
    incident: str = "",
    known: Iterable[IncidentRecord] = (),
    missing: Sequence[str] = (),
    progress: HandoverProgress = lambda _words, _share: None,
) -> Facts:
    """Read a stretch of a run and return what it tells.

    Args:
        timeline: of the run.
        stretch: in ns of its stream.
        incident: id of the one that is handed over; empty for none.
        known: incidents of the run that may have begun before the stretch.
        missing: what is known to be absent from the recording.
        progress: takes what is being done and how far it is, in this thread.

    Raises:
        RecordingError: what is recorded cannot be read.
    """
    reading = _Reading(stretch)
    lasts_ns = max(1, stretch.end_ns - stretch.begin_ns)
    for number, event in enumerate(timeline.between(stretch.begin_ns, stretch.end_ns)):
        reading.take(event)
        if number % LETS_GO_EACH == 0:
            progress(READING, min(1.0, max(0, event.at_ns - stretch.begin_ns) / lasts_ns))
            time.sleep(LETS_GO_S)
    past = timeline.past()
    past.go(stretch.end_ns)
    snapshot = past.board.snapshot(window="run", anew=True)
    # What somebody noted about it afterwards is told too.
    later = [one for one in timeline.happenings if one.is_put_after(stretch.end_ns)]
    happenings = sorted((*later, *snapshot.happenings), key=_AT_NS, reverse=True)
    snapshot = replace(snapshot, happenings=tuple(happenings))
    states = {
        name: _within(past.board.states_of(name), stretch.begin_ns) for name in past.board.routes
    }
    return reading.facts(snapshot, states, incident, known, missing)


def _within(
    states: Sequence[tuple[int, RouteState]], begin_ns: int
) -> tuple[tuple[int, RouteState], ...]:
    """Return the states from a stamp on; the first is the one that held there."""
    place = max(0, bisect_right(states, begin_ns, key=itemgetter(0)) - 1)
    return tuple((max(at_ns, begin_ns), state) for at_ns, state in states[place:])


class _Reading:
    """What is known of a stretch up to an event of it."""

    def __init__(self, stretch: Stretch) -> None:
        self._stretch = stretch
        self._hello: Hello | None = None
        self._anchor_ns = 0
        self._infos: dict[str, RouteInfo] = {}
        self._log = RunIncidents()
        self._alerts: dict[str, Alert] = {}
        self._attempts: list[AttemptFinished] = []
        self._of_probe: dict[tuple[str, str], list[AttemptFinished]] = defaultdict(list)
        self._probes: list[ProbeStory] = []
        self._left_out = 0
        self._healths: dict[str, list[tuple[int, Health]]] = defaultdict(list)
        """By place."""
        self._gaps: list[Gap] = []

    def take(self, event: Event) -> None:
        self._log.fold(event)
        match event:
            case Hello():
                self._hello = event
                self._anchor_ns = event.wall_ns - event.at_ns
                self._infos |= {info.name: info for info in event.routes}
            case Tick():
                self._anchor_ns = event.wall_ns - event.at_ns
                self._healths[event.place].append((event.at_ns, event.health))
            case Alert():
                self._alerts.setdefault(event.id, event)
            case Gap():
                self._gaps.append(event)
            case AttemptFinished() if len(self._attempts) >= _MOST_ATTEMPTS:
                self._left_out += 1
            case AttemptFinished():
                self._attempts.append(event)
                self._of_probe[event.route, event.probe].append(event)
            case ProbeFinished():
                attempts = self._of_probe.pop((event.route, event.probe), ())
                self._probes.append(ProbeStory(event, tuple(attempts), self._is_good(event)))
            case _:
                pass

    def _is_good(self, probe: ProbeFinished) -> bool:
        """Whether it ended ok, within every goal; as the board judges it."""
        info = self._infos.get(probe.route)
        if info is None:
            return probe.outcome == "ok"
        gaps = (gap for gap in self._gaps if speaks_of(gap, info))
        is_measured = not (probe.flagged or any(gap.at_ns > probe.started_ns for gap in gaps))
        goal_s = e2e_goal_of(info, probe.cohort)
        return is_good_probe(probe, info, goal_s, is_measured=is_measured)

    def facts(
        self,
        snapshot: Snapshot,
        states: Mapping[str, tuple[tuple[int, RouteState], ...]],
        incident: str,
        known: Iterable[IncidentRecord],
        missing: Sequence[str],
    ) -> Facts:
        stretch = self._stretch
        records = {record.word.id: record for record in self._log.records}
        # What was said before the stretch knows when it was named.
        records |= {record.word.id: record for record in known if _touches(record, stretch)}
        for view in snapshot.incidents:
            records.setdefault(view.diagnosis.id, _record_of(view, self._anchor_ns))
        told = records.pop(incident, None)
        hit = frozenset(() if told is None else told.routes)
        slice_ns = _slice_ns(stretch)
        by_route: dict[str, list[ProbeStory]] = defaultdict(list)
        for story in self._probes:
            by_route[story.probe.route].append(story)
        tried: dict[str, list[AttemptFinished]] = defaultdict(list)
        for attempt in self._attempts:
            tried[attempt.route].append(attempt)
        end_ns = told.end.at_ns if told is not None and told.end is not None else stretch.end_ns
        since_ns = stretch.begin_ns if told is None else told.since_ns
        rows = {row.name: row for row in snapshot.routes}
        routes = tuple(
            RouteFacts(
                info=info,
                is_hit=name in hit,
                states=states.get(name, ()),
                slices=_slices(stretch, slice_ns, by_route[name], tried[name]),
                before=_figures(by_route[name], tried[name], stretch.begin_ns, since_ns - 1),
                during=_figures(by_route[name], tried[name], since_ns, end_ns),
                after=_figures(by_route[name], tried[name], end_ns + 1, stretch.end_ns),
                row=rows.get(name),
            )
            for name, info in self._infos.items()
        )
        if self._hello is None:  # `between` gives one first
            raise ValueError("no hello")
        healths = tuple(map(self._health, sorted(self._healths))) or (self._health(""),)
        return Facts(
            hello=self._hello,
            stretch=stretch,
            anchor_ns=self._anchor_ns,
            incident=told,
            others=tuple(one for one in records.values() if one.named_ns is not None),
            alerts=tuple(one for one in self._alerts.values() if one.state == "firing"),
            routes=tuple(sorted(routes, key=_worst_first)),
            probes=tuple(self._probes),
            attempts=tuple(self._attempts),
            left_out=self._left_out,
            happenings=tuple(
                one
                for one in reversed(snapshot.happenings)
                if stretch.begin_ns <= one.at_ns <= stretch.end_ns
            ),
            snapshot=snapshot,
            health=_worst_of(healths),
            healths=healths,
            slice_ns=slice_ns,
            missing=tuple(missing),
        )

    def _health(self, place: str) -> ObserverHealth:
        told = self._healths[place]
        healths = [health for _, health in told]
        between = [after - before for (before, _), (after, _) in pairwise(told)]
        gaps = [gap for gap in self._gaps if gap.place == place]
        return ObserverHealth(
            ticks=len(healths),
            lag_p99_ms=max((one.loop_lag_p99_ns for one in healths), default=0) / 1e6,
            lag_max_ms=max((one.loop_lag_max_ns for one in healths), default=0) / 1e6,
            cpu_share=max((one.busiest_cpu_share or one.cpu_share for one in healths), default=0.0),
            inexact_share=sum(one.inexact_share for one in healths) / max(1, len(healths)),
            drops=max(0, healths[-1].drops - healths[0].drops) if healths else 0,
            slept_s=seconds(sum(max(0, gap.at_ns - gap.started_ns) for gap in gaps)),
            short_of=tuple(sorted({str(one.short_of) for one in healths if one.short_of})),
            silent_s=seconds(max(between, default=0)),
            place=place,
        )


def _worst_of(healths: Sequence[ObserverHealth]) -> ObserverHealth:
    """Return the worst of each figure: machines of several places have no health together."""
    if len(healths) == 1:
        return healths[0]
    return ObserverHealth(
        ticks=sum(one.ticks for one in healths),
        lag_p99_ms=max(one.lag_p99_ms for one in healths),
        lag_max_ms=max(one.lag_max_ms for one in healths),
        cpu_share=max(one.cpu_share for one in healths),
        inexact_share=max(one.inexact_share for one in healths),
        drops=sum(one.drops for one in healths),
        slept_s=max(one.slept_s for one in healths),
        short_of=tuple(sorted({short for one in healths for short in one.short_of})),
        silent_s=max(one.silent_s for one in healths),
    )


def _worst_first(route: RouteFacts) -> tuple[bool, float]:
    """Return what puts a route in its order: hit ones first, then by the share that was good."""
    during = route.during
    return not route.is_hit, during.good / during.finished if during.finished else 1.0


def _touches(record: IncidentRecord, stretch: Stretch) -> bool:
    end_ns = stretch.end_ns if record.end is None else record.end.at_ns
    return record.since_ns <= stretch.end_ns and end_ns >= stretch.begin_ns


def _record_of(view: IncidentView, anchor_ns: int) -> IncidentRecord:
    """Return what is known of an incident that was first spoken of before the stretch."""
    word = view.diagnosis
    return IncidentRecord(
        word,
        word.since_ns,
        named_ns=word.at_ns if word.state == "named" else None,
        routes=word.routes,
        causes=[(word.since_ns, word.cause)],
        anchor_ns=anchor_ns,
        seen=view.seen,
    )


def _slice_ns(stretch: Stretch) -> int:
    lasts_ns = stretch.end_ns - stretch.begin_ns
    return SLICE_NS * max(1, ceil(lasts_ns / SLICE_NS / _MOST_SLICES))


@dataclass(slots=True)
class _Sums:
    ttfts: list[float] = field(default_factory=list)
    e2es: list[float] = field(default_factory=list)
    speeds: list[float] = field(default_factory=list)
    finished: int = 0
    good: int = 0
    failed: int = 0
    throttled: int = 0
    retries: int = 0


def _slices(
    stretch: Stretch, slice_ns: int, probes: list[ProbeStory], attempts: list[AttemptFinished]
) -> tuple[ChartSlice, ...]:
    number = (stretch.end_ns - stretch.begin_ns) // slice_ns + 1
    sums = [_Sums() for _ in range(number)]
    for story in probes:
        if story.probe.outcome == "cancelled":
            continue
        into = sums[(story.probe.at_ns - stretch.begin_ns) // slice_ns]
        into.finished += 1
        into.good += story.is_good
        into.failed += story.probe.outcome != "ok"
        if story.probe.flagged:
            continue
        if story.ttft_s is not None:
            into.ttfts.append(story.ttft_s)
        if story.e2e_s is not None:
            into.e2es.append(story.e2e_s)
    for attempt in attempts:
        into = sums[(attempt.at_ns - stretch.begin_ns) // slice_ns]
        into.throttled += attempt.outcome == "throttled"
        into.retries += attempt.retry is not None
        if not attempt.flagged and (per_token_s := seconds_per_token(attempt)):
            into.speeds.append(1 / per_token_s)
    return tuple(
        ChartSlice(
            start_ns=stretch.begin_ns + index * slice_ns,
            ttft_p50=quantile(one.ttfts, 0.5),
            ttft_p95=quantile(one.ttfts, 0.95),
            e2e_p50=quantile(one.e2es, 0.5),
            e2e_p95=quantile(one.e2es, 0.95),
            finished=one.finished,
            good=one.good,
            failed=one.failed,
            throttled=one.throttled,
            retries=one.retries,
            tokens_per_s=quantile(one.speeds, 0.5),
        )
        for index, one in enumerate(sums)
    )


def _figures(
    probes: list[ProbeStory], attempts: list[AttemptFinished], begin_ns: int, end_ns: int
) -> FiguresOfRoute:
    ended = [
        story
        for story in probes
        if begin_ns <= story.probe.at_ns <= end_ns and story.probe.outcome != "cancelled"
    ]
    tried = [one for one in attempts if begin_ns <= one.at_ns <= end_ns]
    timed = [story for story in ended if not story.probe.flagged]
    ttfts = [story.ttft_s for story in timed if story.ttft_s is not None]
    e2es = [story.e2e_s for story in timed if story.e2e_s is not None]
    paced = [story for story in timed if not story.probe.evidence]
    waited = [one for story in paced if (one := story.scheduled_ttft_s) is not None]
    waited_for_all = [one for story in paced if (one := story.scheduled_e2e_s) is not None]
    per_token = [seconds_per_token(one) for one in tried if not one.flagged]
    return FiguresOfRoute(
        finished=len(ended),
        failed=sum(story.probe.outcome != "ok" for story in ended),
        good=sum(story.is_good for story in ended),
        attempts=len(tried),
        throttled=sum(one.outcome == "throttled" for one in tried),
        retries=sum(one.retry is not None for one in tried),
        ttft_p50=quantile(ttfts, 0.5),
        ttft_p95=quantile(ttfts, 0.95),
        e2e_p50=quantile(e2es, 0.5),
        e2e_p95=quantile(e2es, 0.95),
        tokens_per_s=quantile([1 / one for one in per_token if one], 0.5),
        scheduled_ttft=(quantile(waited, 0.5), quantile(waited, 0.95)),
        scheduled_e2e=(quantile(waited_for_all, 0.5), quantile(waited_for_all, 0.95)),
    )


def quantile(values: Sequence[float], probability: float) -> float | None:
    """Return the smallest value whose rank reaches the probability, as the board's figures do."""
    if not values:
        return None
    return sorted(values)[max(0, ceil(probability * len(values) - 1e-9) - 1)]


def worst_probes(facts: Facts) -> tuple[ProbeStory, ...]:
    """Return the worst probes of what is handed over, each of another kind as far as that goes.

    A hundred alike tell what one tells: of each way to end the longest, then the longest of all.
    Where an incident made probes worse and none of them bad, they are the longest of those in it.
    """
    bad = sorted(
        bad_of_incident(facts) or bad_probes(facts),
        key=lambda story: story.lasted_s,
        reverse=True,
    )
    if all(story.is_good for story in bad):
        return tuple(bad[:SLOW_SHOWN])
    first: dict[tuple[str, str, str], ProbeStory] = {}
    for story in bad:
        first.setdefault((story.probe.route, story.probe.outcome, story.probe.reason), story)
    rest = [story for story in bad if story not in first.values()][:WORST_SHOWN]
    return tuple([*first.values(), *rest][:WORST_SHOWN])


def bad_of_incident(facts: Facts) -> list[ProbeStory]:
    """Return the probes of the routes that were hit that began while it stood and came to no good,
    however late."""
    names = {route.info.name for route in facts.hit}
    return [
        story
        for story in facts.probes
        if story.probe.route in names
        and not story.is_good
        and story.probe.outcome != "cancelled"
        and facts.since_ns <= story.probe.started_ns <= facts.end_ns
    ]


def bad_probes(facts: Facts) -> tuple[ProbeStory, ...]:
    """Return every probe of the routes that were hit that failed or was late; where there is none,
    those of the incident, which are worse than usual all the same."""
    names = {route.info.name for route in facts.hit}
    bad = (
        story
        for story in facts.probes
        if story.probe.route in names and not story.is_good and story.probe.outcome != "cancelled"
    )
    return tuple(bad) or tuple(_in_incident(facts))


def good_probes(facts: Facts) -> tuple[ProbeStory, ...]:
    """Return good probes of the routes that were hit, the nearest to the onset first: what a
    provider compares with.

    Those of the incident come last: within the goals, they may be worse than usual all the same.
    """
    names = {route.info.name for route in facts.hit}
    good = [story for story in facts.probes if story.is_good and story.probe.route in names]
    of_incident = {id(story) for story in _in_incident(facts)}
    return tuple(
        sorted(
            good,
            key=lambda story: (id(story) in of_incident, abs(story.probe.at_ns - facts.since_ns)),
        )
    )


def _in_incident(facts: Facts) -> list[ProbeStory]:
    """Return the probes of the routes that were hit that were under way while it stood."""
    if facts.incident is None:
        return []
    names = {route.info.name for route in facts.hit}
    return [
        story
        for story in facts.probes
        if story.probe.route in names
        and story.probe.outcome != "cancelled"
        and story.probe.at_ns >= facts.since_ns
        and story.probe.started_ns <= facts.end_ns
    ]
