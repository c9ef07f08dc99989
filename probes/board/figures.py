"""All figures of one route at one point of the stream.

Rule 1: what is read side by side must not contradict itself. So everything of a route that is taken
from its counters and samples (its row, the windows side by side, its charts, its retries and what
its state is judged by) is read at one stamp, through one `RouteAt`, and stands until the route's
next turn.
Rule 2: windows that reach back equally far hold the same, as all of them do in a young run: they
are read once, under the name of the shortest.
Rule 3: the shortest window is now: it begins no earlier than the onset of what is wrong, so that it
says how the route is, and not how it was. States are judged by whole windows.
Rule 4: below n = 1/(1−p) a percentile is the maximum of n, and neither graded nor judged by.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, TypeAlias

import msgspec

from probes.board.route import Charted, RouteBoard
from probes.board.views import (
    ChartPoint,
    Figure,
    Grade,
    RetryRow,
    RetryView,
    RoutePage,
    WindowColumn,
)
from probes.kit.clock import NS_PER_S
from probes.stats.quantiles import Quantiles
from probes.stats.samples import Metric
from probes.stats.tally import Tally
from probes.stats.windows import SLICE_NS, WINDOWS, WindowName, elapsed_s, first_slice, slice_index

GREAT_SHARE: Final = 0.6
SLUGGISH_SHARE: Final = 1.5
"""The bands of the KPI guide, as shares of a goal: great ≤ 0.6 s, fine ≤ 1.0, slow ≤ 1.5."""
LEAST_PATIENCE_S: Final = 8.0
"""Before that nobody calls a request hung, however fast others are."""
_PATIENCE_P95S: Final = 3.0
"""So many times the p95: a request in thousands takes longer where nothing is wrong."""
NOW: Final = WINDOWS[0]
SCHEDULED: Final[tuple[Metric, Metric]] = ("scheduled_ttft", "scheduled_e2e")
"""What an open pace has beside TTFT and E2E."""
_CLOSED_CHARTED: Final = 90
"""Slices of a chart beside the open one: 15 minutes."""


def is_enough(n: int, probability: float) -> bool:
    """Return whether n ≥ 1/(1−p): 2 for p50, 10 for p90, 20 for p95, 100 for p99."""
    return n >= round(1.0 / (1.0 - probability))


def grade_of(value: float, goal: float | None) -> Grade:
    """Return the band: great ≤ 0.6 × goal < fine ≤ goal < slow ≤ 1.5 × goal < sluggish."""
    if goal is None:
        return "none"
    if value <= GREAT_SHARE * goal:
        return "great"
    if value <= goal:
        return "fine"
    return "slow" if value <= SLUGGISH_SHARE * goal else "sluggish"


def speed_grade(value: float | None, goal: float | None) -> Grade:
    """Return the band of a speed, which is to reach its goal: the same bands, mirrored."""
    if value is None or goal is None:
        return "none"
    return "sluggish" if value <= 0 else grade_of(goal / value, 1.0)


def share(part: float, whole: float) -> float | None:
    """Return part / whole; None where the whole is nothing."""
    return part / whole if whole else None


def amplification(tally: Tally) -> float | None:
    """Return attempts per finished probe; None without one."""
    return share(tally.probe_attempts, tally.finished)


class Percentiles:
    """The percentiles of one metric over one window; each is read once, however many ask for it."""

    __slots__ = ("_found", "_goal", "n", "samples")

    def __init__(self, samples: Quantiles, goal: float | None) -> None:
        """Take the samples of a window, to be graded by `goal`."""
        self.samples = samples
        self._goal = goal
        self._found: dict[float, Figure] = {}
        self.n = samples.n

    def at(self, *probabilities: float) -> tuple[Figure, ...]:
        """Return one figure for each probability."""
        if not self.n:
            return (_NONE,) * len(probabilities)
        missing = [one for one in probabilities if one not in self._found]
        if missing:
            for probability, value in zip(missing, self.samples.at(*missing), strict=True):
                self._found[probability] = self._figure(probability, value)
        return tuple([self._found[one] for one in probabilities])

    def value(self, probability: float) -> float | None:
        """Return a percentile as it is, however few samples there are; None without any."""
        return self.samples.at(probability)[0]

    def maximum(self) -> Figure:
        """Return the exact maximum, which is never graded."""
        return Figure(self.samples.maximum, self.n, enough=True) if self.n else _NONE

    def _figure(self, probability: float, value: float | None) -> Figure:
        if value is None or not is_enough(self.n, probability):
            return Figure(self.samples.maximum, self.n)
        return Figure(value, self.n, enough=True, grade=grade_of(value, self._goal))


_NONE: Final = Figure()


class RouteAt:
    """A route's counters and samples at the stamp `now_ns`, each read once.

    Made, used up and dropped between two events: what it is asked for later is not of its stamp.
    """

    __slots__ = (
        "_now_percentiles",
        "_now_tally",
        "_percentiles",
        "_shortest",
        "_tallies",
        "now_ns",
        "offset_ns",
        "route",
    )

    def __init__(self, route: RouteBoard, now_ns: int) -> None:
        self.route = route
        self.now_ns = now_ns
        self.offset_ns = now_ns - route.run.origin_ns
        self._shortest = _shortest_alike(slice_index(self.offset_ns))
        self._tallies: dict[WindowName, Tally] = {}
        self._percentiles: dict[tuple[Metric, WindowName, str], Percentiles] = {}
        self._now_tally: Tally | None = None
        self._now_percentiles: dict[Metric, Percentiles] = {}

    def shortest_alike(self, window: WindowName) -> WindowName:
        """Return the shortest window that begins where `window` does."""
        return self._shortest[window]

    def tally(self, window: WindowName) -> Tally:
        """Return the counters over `window`."""
        window = self._shortest[window]
        found = self._tallies.get(window)
        if found is None:
            found = self._tallies[window] = self.route.tallies.total(window, self.offset_ns)
        return found

    def reaches_behind(self, window: WindowName, from_ns: int) -> bool:
        """Return whether a window holds samples of slices that began before a stamp."""
        return first_slice(window, slice_index(self.offset_ns)) < self._first_after(from_ns)

    def percentiles(
        self, metric: Metric, window: WindowName, from_ns: int | None = None, cohort: str = ""
    ) -> Percentiles:
        """Return the percentiles of a metric over a window, of the present cohort or of another,
        graded by the goal that holds at its answer cap.

        With `from_ns` only of slices that began after that stamp.
        """
        cohort = cohort or self.route.cohort
        samples = self.route.cohorts.get(cohort)
        if from_ns is not None and self.reaches_behind(window, from_ns):
            first = self._first_after(from_ns)
            read = _EMPTY if samples is None else samples.of(metric).since(first, self.offset_ns)
            return Percentiles(read, self.route.goal_s(metric, cohort))
        window = self._shortest[window]
        found = self._percentiles.get((metric, window, cohort))
        if found is None:
            read = _EMPTY if samples is None else samples.of(metric).read(window, self.offset_ns)
            found = Percentiles(read, self.route.goal_s(metric, cohort))
            self._percentiles[metric, window, cohort] = found
        return found

    def first_now(self) -> int:
        """Return the first slice of how it is now: of the shortest window, but none from before the
        onset of what is wrong."""
        first = self._first_of_now(NOW)
        return max(0, first_slice(NOW, slice_index(self.offset_ns))) if first is None else first

    def well_slices(self, first: int, end: int) -> list[int]:
        """Return the slices from `first` to before `end` in which no incident was open on the
        route."""
        route, origin_ns = self.route, self.route.run.origin_ns
        is_open = route.run.incidents.of(route.info.name)
        ill = [*route.ill_ns, *[(incident.since_ns, self.now_ns) for incident in is_open]]
        spans = [
            ((since - origin_ns) // SLICE_NS, (until - origin_ns) // SLICE_NS)
            for since, until in ill
        ]
        return [
            index
            for index in range(max(0, first), end)
            if not any(begin <= index <= last for begin, last in spans)
        ]

    def _first_after(self, stamp_ns: int) -> int:
        return slice_index(stamp_ns - self.route.run.origin_ns) + 1

    # What is shown: over the shortest window nothing that was before an incident.

    def shown_tally(self, window: WindowName) -> Tally:
        """Return the counters that stand under the name of a window."""
        first = self._first_of_now(window)
        if first is None:
            return self.tally(window)
        if self._now_tally is None:
            self._now_tally = self.route.tallies.since(first, self.offset_ns)
        return self._now_tally

    def shown_percentiles(self, metric: Metric, window: WindowName) -> Percentiles:
        """Return the percentiles that stand under the name of a window."""
        first = self._first_of_now(window)
        if first is None:
            return self.percentiles(metric, window)
        found = self._now_percentiles.get(metric)
        if found is None:
            samples = self.route.cohorts.get(self.route.cohort)
            read = _EMPTY if samples is None else samples.of(metric).since(first, self.offset_ns)
            found = self._now_percentiles[metric] = Percentiles(read, self.route.goal_s(metric))
        return found

    def shown_s(self, window: WindowName) -> float:
        """Return the seconds that what is shown truly covers, at least one."""
        first = self._first_of_now(window)
        if first is None:
            return elapsed_s(window, self.offset_ns)
        return max(1.0, (self.offset_ns - first * SLICE_NS) / NS_PER_S)

    def _first_of_now(self, window: WindowName) -> int | None:
        """Return the first slice since the onset of what is wrong, where the shortest window would
        reach behind it; else None.

        It is the one that holds the onset, and half of that may be of before: so the next one is,
        as soon as a probe has ended since that began.
        """
        if window != NOW or self.route.onset_ns is None:
            return None
        open_index = slice_index(self.offset_ns)
        onset_ns = self.route.onset_ns - self.route.run.origin_ns
        onset = slice_index(onset_ns)
        if onset < first_slice(window, open_index):
            return None
        later = self.route.tallies.slices.between(onset + 1, open_index + 1)
        if onset_ns > onset * SLICE_NS and any(tally.finished for tally in later):
            onset += 1
        return min(onset, open_index)

    def chart(self, metric: Charted) -> tuple[ChartPoint, ...]:
        """Return a metric's points of the last 15 minutes, oldest first, the open slice last."""
        open_index, known = slice_index(self.offset_ns), self.route.chart_points[metric]
        oldest = max(0, open_index - _CLOSED_CHARTED)
        if len(known) > _CLOSED_CHARTED:
            for stale in [index for index in known if index < oldest]:
                del known[stale]
        indexes = range(oldest, open_index + 1)
        # All but the last are known, each second of each route.
        points = map(known.get, indexes)
        return tuple(
            [point or self._point(metric, at) for at, point in zip(indexes, points, strict=True)]
        )

    def _point(self, metric: Charted, index: int) -> ChartPoint:
        """Return one slice of the chart: the present cohort, or what was measured instead."""
        route = self.route
        here = route.cohorts.get(route.cohort)
        found = None if here is None else here.of(metric).slice(index)
        if found is None:
            others = [samples.of(metric).slice(index) for samples in route.cohorts.values()]
            found = max(filter(None, others), key=lambda other: other.n, default=None)
        p50, p95 = (None, None) if found is None else Quantiles((found,)).at(0.5, 0.95)
        tally = route.tallies.slices.get(index) or Tally()
        point = ChartPoint(
            start_ns=route.run.origin_ns + index * SLICE_NS,
            p50=p50,
            p95=p95,
            n=0 if found is None else found.n,
            failures=tally.failures,
            throttled=tally.throttled,
            finished=tally.finished,
            good=tally.good,
            stalled=tally.stalled,
            recovered=tally.recovered,
        )
        if index < route.tallies.slices.sealed:
            route.chart_points[metric][index] = point
        return point


_EMPTY: Final = Quantiles(())

Patience: TypeAlias = tuple[float | None, float | None]
"""Seconds that a request may be open before its first output, and with it; None where nothing is
known of how long they take."""


@lru_cache(maxsize=4)
def _shortest_alike(open_index: int) -> Mapping[WindowName, WindowName]:
    """Return for each window the shortest one that begins where it does."""
    by_first: dict[int, WindowName] = {}
    return {
        window: by_first.setdefault(max(0, first_slice(window, open_index)), window)
        for window in WINDOWS
    }


class DetailFigures(msgspec.Struct, frozen=True):
    """What the percentiles pane and the retries pane show beside the row."""

    columns: tuple[WindowColumn, ...]
    e2e_chart: tuple[ChartPoint, ...]
    retries: RetryView


class RouteFigures(msgspec.Struct, frozen=True):
    """What a route shows until its next turn."""

    window: WindowName
    window_s: float
    """Seconds the window truly covered."""
    tally: Tally
    cohort: str
    ttft: tuple[Figure, ...]
    """p50, p95, p99."""
    e2e: tuple[Figure, ...]
    """p50, p95."""
    scheduled: tuple[tuple[Figure, ...], tuple[Figure, ...]] | None
    """TTFT and E2E from when an open pace wanted them, p50, p95, p99; None of a closed one."""
    speed: float | None
    """Median tokens a second of a stream."""
    patience_s: Patience
    trend: tuple[ChartPoint, ...]
    detail: DetailFigures | None
    """None where only its row is looked at."""
    page: RoutePage | None
    """None where nobody looks at its page."""


def route_figures(
    at: RouteAt, window: WindowName, *, with_detail: bool, page: RoutePage | None = None
) -> RouteFigures:
    """Return what a route's row shows over `window`, and its panes where asked for, beside the
    page that was read at the same stamp."""
    detail = None
    if with_detail:
        columns = tuple(_column(at, shown) for shown in WINDOWS)
        detail = DetailFigures(columns, at.chart("e2e"), retry_view(at.shown_tally(window)))
    return RouteFigures(
        window=window,
        window_s=at.shown_s(window),
        tally=at.shown_tally(window),
        cohort=at.route.cohort,
        ttft=at.shown_percentiles("ttft", window).at(0.5, 0.95, 0.99),
        e2e=at.shown_percentiles("e2e", window).at(0.5, 0.95),
        scheduled=None if at.route.pace is None else _scheduled(at, window),
        speed=at.shown_percentiles("speed", window).value(0.5),
        patience_s=patience_s(at),
        trend=at.chart("ttft"),
        detail=detail,
        page=page,
    )


def _scheduled(at: RouteAt, window: WindowName) -> tuple[tuple[Figure, ...], tuple[Figure, ...]]:
    ttft, e2e = (at.shown_percentiles(metric, window) for metric in SCHEDULED)
    return ttft.at(0.5, 0.95, 0.99), e2e.at(0.5, 0.95, 0.99)


def patience_s(at: RouteAt) -> Patience:
    """Return how long a request may be open before its first output, and with it."""
    # What is not streamed shows nothing before it is whole.
    return (
        _patience_s(at, "ttft" if at.route.info.streamed else "e2e"),
        _patience_s(at, "e2e"),
    )


def hurt_share(tally: Tally, overdue: int) -> float | None:
    """Return the share of the probes that were not good; what is overdue is not, and will not be.

    >>> hurt_share(Tally(finished=3, good=2), overdue=1)
    0.5
    """
    return share(tally.finished - tally.good + overdue, tally.finished + overdue)


def now_hurt_share(at: RouteAt) -> float | None:
    """Return the share of a route's probes that are not good now, whatever is looked at."""
    oldest, overdue = at.route.lanes.oldest(), 0
    if oldest is not None and at.now_ns - oldest.started_ns > LEAST_PATIENCE_S * NS_PER_S:
        overdue = at.route.lanes.overdue(at.now_ns, *patience_s(at))
    return hurt_share(at.shown_tally(NOW), overdue)


def _patience_s(at: RouteAt, metric: Metric) -> float | None:
    """Return how long a request may be open: thrice the p95 of five minutes, else thrice the goal,
    and at least 8 s; None where neither is known."""
    known = at.percentiles(metric, "5m")
    usual = at.route.goal_s(metric)
    if is_enough(known.n, 0.95):
        usual = known.at(0.95)[0].value
    return None if usual is None else max(LEAST_PATIENCE_S, _PATIENCE_P95S * usual)


def _column(at: RouteAt, window: WindowName) -> WindowColumn:
    tally = at.shown_tally(window)
    scheduled = [
        None if at.route.pace is None else _column_figures(at.shown_percentiles(metric, window))
        for metric in SCHEDULED
    ]
    return WindowColumn(
        window=window,
        ttft=_column_figures(at.shown_percentiles("ttft", window)),
        e2e=_column_figures(at.shown_percentiles("e2e", window)),
        failures=tally.failures,
        finished=tally.finished,
        failure_share=share(tally.failures, tally.finished),
        scheduled_ttft=scheduled[0],
        scheduled_e2e=scheduled[1],
    )


def _column_figures(of: Percentiles) -> tuple[Figure, Figure, Figure, Figure, Figure]:
    p50, p90, p95, p99 = of.at(0.5, 0.9, 0.95, 0.99)
    return (p50, p90, p95, p99, of.maximum())


def retry_view(tally: Tally) -> RetryView:
    """Return the retry table of one window, the most frequent reason first."""
    reasons = {reason for reason, _ in tally.retried}
    reasons |= tally.recovered_by.keys() | tally.exhausted_by.keys() | tally.waited_by.keys()
    rows = [_retry_row(reason, tally) for reason in reasons]
    rows.sort(key=lambda row: (-sum(row.by_number), row.reason))
    return RetryView(
        rows=tuple(rows),
        amplification=amplification(tally),
        recovered=tally.recovered,
        exhausted=tally.exhausted,
        added_wait_s=sum(tally.waited_by.values()),
        hidden=tally.hidden_retries,
    )


def _retry_row(reason: str, tally: Tally) -> RetryRow:
    numbers = {number: count for (name, number), count in tally.retried.items() if name == reason}
    return RetryRow(
        reason=reason,
        by_number=tuple(numbers.get(n, 0) for n in range(1, max(numbers, default=0) + 1)),
        recovered=tally.recovered_by.get(reason, 0),
        exhausted=tally.exhausted_by.get(reason, 0),
        added_wait_s=tally.waited_by.get(reason, 0.0),
    )
