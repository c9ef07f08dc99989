"""Events → the figures of every metric: a fold, without any package of Prometheus'.

Rule 1: only durable events count, so a recording gives the same figures.
Rule 2: counts are those of the run's own summary: a probe that we cancelled has no duration, stamps
that do not hold measure nothing, a retry counts when it begins, tokens count by a server's word.
Rule 3: memory is bounded, whatever comes: series by the allow-lists of `metrics`, what is known of
open probes by `open_probes`. A route that no hello named has no series.
Rule 4: who folds and who reads are two threads: both hold the lock, for as short as a copy takes.
"""

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, get_args

from probes.answers.limits.state import tightest
from probes.board.good_probe import e2e_goal_of, is_good_probe
from probes.config.goals import goodput_goal
from probes.config.urls import UrlError, read_url
from probes.events import (
    Alert,
    AttemptFinished,
    AttemptStarted,
    Cause,
    Diagnosis,
    Event,
    Fault,
    FirstToken,
    Gap,
    Held,
    HeldReason,
    Hello,
    Limit,
    LimitReading,
    PlaceReport,
    ProbeFinished,
    RouteInfo,
    SkipReason,
    Tick,
)
from probes.events.spoken_of import routes_after, speaks_of
from probes.exports.metrics import (
    LIMIT_KINDS,
    LIMIT_WINDOWS,
    METRIC,
    METRICS,
    OTHER,
    OUTCOMES,
    REASONS,
)
from probes.exports.open_probes import OpenProbes
from probes.kit.clock import NS_PER_S, seconds
from probes.stats.tokens import seconds_per_token

_INCIDENTS_KEPT: Final = 2_000
_ROUTES_KEPT: Final = 2_000
"""Routes with their model and place that have series of their own; what was counted stays counted,
and other places may name others each time. Any more are `other`."""
_BUILDS_KEPT: Final = 64
_LONGEST_LABEL: Final = 200
_ROUTE_LABELS: Final = ("route", "model", "place")
_OF_NOW: Final = tuple(
    metric
    for metric in METRICS
    if metric.kind == "gauge"
    and metric.name.startswith(
        (
            *("llmtop_requests_in_flight", "llmtop_concurrency_target"),
            *("llmtop_oldest_request_age", "llmtop_budget_", "llmtop_engine_"),
        )
    )
    and metric.name != "llmtop_engine_last_tick_timestamp_seconds"
)
"""What each tick tells anew; not when the last one came, which says since when nothing is known."""
_CAUSES: Final = frozenset(get_args(Cause))
_SKIPS: Final = frozenset(get_args(SkipReason))
_HELD: Final = frozenset(get_args(HeldReason))

Labels: TypeAlias = tuple[str, ...]
Where: TypeAlias = tuple[str, str, str]
"""Route, model and place, as labels."""


class HistogramCounts:
    """What a histogram holds of one series: how many fell into each bucket, and their sum."""

    __slots__ = ("counts", "sum")

    def __init__(self, buckets: int) -> None:
        self.counts = [0] * (buckets + 1)
        """One for each upper end, the last for what is above them all."""
        self.sum = 0.0

    def copy(self) -> "HistogramCounts":
        """Return one that does not change."""
        other = HistogramCounts(0)
        other.counts, other.sum = list(self.counts), self.sum
        return other


class MetricsFold:
    """Folds a stream into the series of all metrics."""

    def __init__(self, dropped: Callable[[], int] = lambda: 0) -> None:
        """Begin with nothing; `dropped` tells how many events never came here."""
        self._dropped = dropped
        self._lock = threading.Lock()
        self._values: dict[str, dict[Labels, float]] = {
            metric.name: {} for metric in METRICS if metric.kind != "histogram"
        }
        self._spreads: dict[str, dict[Labels, HistogramCounts]] = {
            metric.name: {} for metric in METRICS if metric.kind == "histogram"
        }
        self._routes: dict[str, RouteInfo] = {}
        self._where: dict[str, Where] = {}
        self._all: set[Where] = set()
        """All that have series."""
        self._open = OpenProbes()
        self._skipped: dict[tuple[str, str], int] = {}
        """By route and reason, as the engine counts them since it began."""
        self._drops: dict[str, int] = {}
        self._limits: dict[str, list[Labels]] = {}
        """By route, the series that its last reading of limits has."""
        self._incidents: dict[str, list[Labels]] = {}
        """By id of an incident that stands, the series that it counts in."""
        self._alerts: dict[str, list[Labels]] = {}
        self._own_place = ""
        """Where all routes of a stream are probed from that names no place itself."""
        self._clocks: dict[str, tuple[str, str]] = {}
        """By place, name and boot of the clock of its last engine."""
        self._handlers: Mapping[type, Callable[[Any], None]] = {
            Hello: self._hello,
            AttemptStarted: self._attempt_started,
            FirstToken: self._first_token,
            AttemptFinished: self._attempt_finished,
            ProbeFinished: self._probe_finished,
            LimitReading: self._limit,
            Held: self._held,
            Gap: self._gap,
            PlaceReport: self._place,
            Fault: self._fault,
            Diagnosis: self._diagnosis,
            Alert: self._alert,
            Tick: self._tick,
        }

    def wants(self, event: Event) -> bool:
        """Return whether an event changes any figure."""
        return type(event) in self._handlers

    def fold(self, events: Iterable[Event]) -> None:
        """Take events in order."""
        with self._lock:
            for event in events:
                handler = self._handlers.get(type(event))
                if handler is not None:
                    handler(event)

    def read(
        self,
    ) -> tuple[dict[str, dict[Labels, float]], dict[str, dict[Labels, HistogramCounts]]]:
        """Return all values and all spreads of one moment, by metric and labels."""
        with self._lock:
            self._values["llmtop_export_dropped_events_total"][()] = float(self._dropped())
            values = {name: dict(series) for name, series in self._values.items()}
            spreads = {
                name: {labels: spread.copy() for labels, spread in series.items()}
                for name, series in self._spreads.items()
            }
        return values, spreads

    # One event each.

    def _hello(self, event: Hello) -> None:
        build = self._values["llmtop_build_info"]
        version = event.version[:40], event.digests[:40] or "tdigest"
        build[version if version in build or len(build) < _BUILDS_KEPT else (OTHER, OTHER)] = 1.0
        places = {info.place for info in event.routes}
        if not event.place:
            self._own_place = places.pop() if len(places) == 1 else ""
        self._count("llmtop_engine_starts_total", self._at(event.place), 1)
        self._begin(("place",), self._at(event.place))
        there = {info.name for info in routes_after(self._routes.values(), event)}
        for name in self._routes.keys() - there:
            self._forget_gauges(self._where.pop(name))
            del self._routes[name]
        self._skipped = {key: n for key, n in self._skipped.items() if key[0] in there}
        for info in event.routes:
            self._introduce(info)
        # Of the engine before nothing holds any longer: its counts, and what it held back.
        self._drops[event.place] = 0
        for key in [key for key in self._skipped if speaks_of(event, self._routes[key[0]])]:
            self._skipped[key] = 0
        for info in self._routes.values():
            if speaks_of(event, info):
                for reason in _HELD:
                    is_paused = reason == "paused" and info.paused
                    held = self._values["llmtop_route_held"]
                    held[*self._where[info.name], reason] = float(is_paused)
        clock = (event.clock_name, event.boot_id)
        if self._clocks.setdefault(event.place, clock) != clock:
            # Whoever judges has begun anew, and says of no incident before that it is over.
            self._clocks[event.place] = clock
            self._forget_incidents(event.place)

    def _forget_incidents(self, place: str) -> None:
        for name, series in list(self._incidents.items()):
            if not place or any(labels[2] in ("", place) for labels in series):
                self._leave("llmtop_incidents_open", self._incidents.pop(name))

    def _introduce(self, info: RouteInfo) -> None:
        name = info.name
        before, known = self._routes.get(name), self._where.get(name)
        if before == info:
            return
        where = (info.shared_name[:_LONGEST_LABEL], info.model[:_LONGEST_LABEL], info.place)
        if where not in self._all and len(self._all) >= _ROUTES_KEPT:
            where = (OTHER, OTHER, OTHER)
        self._all.add(where)
        if known is not None and known != where:
            self._forget_gauges(known)
        elif before is not None:
            self._values["llmtop_route_info"].pop(_info_labels(where, before), None)
        self._routes[name], self._where[name] = info, where
        for goal, value in (
            ("llmtop_goal_time_to_first_token_seconds", info.goal_ttft_s),
            ("llmtop_goal_probe_duration_seconds", info.goal_e2e_s),
            ("llmtop_goal_success_ratio", info.goal_success),
            ("llmtop_goal_good_ratio", goodput_goal(info.goal_success)),
        ):
            if value is not None:
                self._values[goal][where] = value
        self._values["llmtop_route_info"][_info_labels(where, info)] = 1.0
        self._begin(_ROUTE_LABELS, where)
        for outcome in OUTCOMES:
            self._count("llmtop_probes_total", (*where, outcome), 0)
        self._count("llmtop_attempts_total", (*where, "ok", ""), 0)
        self._spread_of("llmtop_probe_duration_seconds", (*where, "ok"))
        if info.streamed:
            self._spread_of("llmtop_time_to_first_token_seconds", (*where, "ok"))

    def _forget_gauges(self, where: Where) -> None:
        """A route is probed no longer, or another model has come under its name: what was said of
        it would stand for ever. What was counted stays counted."""
        for metric in METRICS:
            if metric.kind == "gauge" and metric.labels[:3] == _ROUTE_LABELS:
                series = self._values[metric.name]
                for labels in [labels for labels in series if labels[:3] == where]:
                    del series[labels]

    def _attempt_started(self, event: AttemptStarted) -> None:
        where = self._where.get(event.route)
        if where is None:
            return
        probe = self._open.probe(event)
        if probe.planned:
            self._count("llmtop_retries_total", (*where, _reason(probe.planned)), 1)
            probe.planned = ""

    def _first_token(self, event: FirstToken) -> None:
        self._open.probe(event).answered(event)

    def _attempt_finished(self, event: AttemptFinished) -> None:
        where = self._where.get(event.route)
        if where is None:
            return
        outcome = event.outcome
        self._count("llmtop_attempts_total", (*where, outcome, _reason(event.reason)), 1)
        if event.retry is not None:
            self._open.probe(event).planned = event.retry.reason or OTHER
        if outcome == "throttled":
            self._count("llmtop_throttled_attempts_total", (*where, _limit_hit(event.reason)), 1)
        for counter, more in (
            ("llmtop_stalls_total", event.stalls),
            ("llmtop_input_tokens_total", event.input_tokens),
            ("llmtop_cached_input_tokens_total", event.cached_tokens),
            ("llmtop_output_tokens_total", event.output_tokens),
            ("llmtop_reasoning_tokens_total", event.reasoning_tokens),
            ("llmtop_cost_usd_total", event.cost_usd),
        ):
            # Other places and edited recordings may say anything: what counts never goes back.
            if more is not None and more > 0:
                self._count(counter, where, more)
        if outcome != "cancelled" and not event.flagged:
            per_token_s = seconds_per_token(event)
            if per_token_s is not None:
                labels = (*where, outcome)
                self._spread("llmtop_time_per_output_token_seconds", labels, per_token_s)

    def _probe_finished(self, event: ProbeFinished) -> None:
        felt_s = self._open.ended(event).felt_s
        info, where = self._routes.get(event.route), self._where.get(event.route)
        if where is None or info is None:
            return
        labels = (*where, event.outcome)
        self._count("llmtop_probes_total", labels, 1)
        is_measured = self._open.is_measured(event, info.place)
        goal_s = e2e_goal_of(info, event.cohort)
        if is_good_probe(event, info, goal_s, is_measured=is_measured):
            self._count("llmtop_good_probes_total", where, 1)
        if event.outcome == "cancelled" or not is_measured:
            return
        if felt_s is not None:
            self._spread("llmtop_time_to_first_token_seconds", labels, felt_s)
        ended_ns = event.at_ns if event.done_ns is None else event.done_ns
        lasted_s = max(0.0, seconds(ended_ns - event.started_ns))
        self._spread("llmtop_probe_duration_seconds", labels, lasted_s)

    def _limit(self, event: LimitReading) -> None:
        where = self._where.get(event.route)
        if where is None:
            return
        remaining, capacity = (
            self._values["llmtop_limit_remaining"],
            self._values["llmtop_limit_capacity"],
        )
        for labels in self._limits.pop(event.route, ()):
            remaining.pop(labels, None)
            capacity.pop(labels, None)
        told = self._limits[event.route] = []
        bounded: dict[tuple[str, str], Limit] = {}
        for limit in tightest(event.limits):
            kind = limit.kind if limit.kind in LIMIT_KINDS else OTHER
            window = limit.window if limit.window in LIMIT_WINDOWS else limit.window and OTHER
            # Of several that are `other` the first one stands for all: rule 2 of `metrics`.
            bounded.setdefault((kind, window), limit)
        for key, limit in bounded.items():
            labels = (*where, *key)
            told.append(labels)
            if limit.remaining is not None:
                remaining[labels] = limit.remaining
            if limit.limit is not None:
                capacity[labels] = limit.limit

    def _held(self, event: Held) -> None:
        if event.route:
            names: Iterable[str] = (event.route,)
        else:
            names = [name for name, info in self._routes.items() if speaks_of(event, info)]
        for name in names:
            where = self._where.get(name)
            if where is not None and event.reason in _HELD:
                labels = (*where, event.reason)
                self._values["llmtop_route_held"][labels] = float(not event.released)

    def _gap(self, event: Gap) -> None:
        labels = self._at(event.place)
        self._open.slept(event)
        self._count("llmtop_engine_gaps_total", labels, 1)
        lasted_s = max(0.0, seconds(event.at_ns - event.started_ns))
        self._count("llmtop_engine_gap_seconds_total", labels, lasted_s)

    def _place(self, event: PlaceReport) -> None:
        self._values["llmtop_place_heard"][event.place,] = float(event.state == "heard")
        if event.state == "heard":
            return
        # It would stand still and look well, while nobody knows how things are there.
        for metric in _OF_NOW:
            series, at = self._values[metric.name], metric.labels.index("place")
            for labels in [labels for labels in series if labels[at] == event.place]:
                del series[labels]

    def _fault(self, event: Fault) -> None:
        where = self._where.get(event.route)
        if where is not None:
            self._count("llmtop_route_faults_total", where, 1)

    def _diagnosis(self, event: Diagnosis) -> None:
        is_new = event.id not in self._incidents
        self._leave("llmtop_incidents_open", self._incidents.pop(event.id, ()))
        if event.state != "named" or len(self._incidents) >= _INCIDENTS_KEPT:
            return
        cause: str = event.cause if event.cause in _CAUSES else OTHER
        stands: list[Labels] = [(*where, cause) for where in self._all_where(event.routes)]
        self._enter("llmtop_incidents_open", stands)
        self._incidents[event.id] = stands
        for labels in stands if is_new else ():
            self._count("llmtop_incidents_total", labels, 1)

    def _alert(self, event: Alert) -> None:
        self._leave("llmtop_alerts_firing", self._alerts.pop(event.id, ()))
        if event.state == "firing" and len(self._alerts) < _INCIDENTS_KEPT:
            cause: str = event.cause or ""
            if cause and cause not in _CAUSES:
                cause = OTHER
            fires: list[Labels] = [
                (*where, event.kind, cause) for where in self._all_where(event.routes)
            ]
            self._enter("llmtop_alerts_firing", fires)
            self._alerts[event.id] = fires

    def _tick(self, event: Tick) -> None:
        health, place = event.health, self._at(event.place)
        busiest = health.busiest_cpu_share or health.cpu_share
        for name, value in (
            ("llmtop_engine_last_tick_timestamp_seconds", event.wall_ns / NS_PER_S),
            ("llmtop_engine_lag_p99_seconds", seconds(health.loop_lag_p99_ns)),
            ("llmtop_engine_lag_max_seconds", seconds(health.loop_lag_max_ns)),
            ("llmtop_engine_cpu_ratio", busiest),
            ("llmtop_engine_inexact_ratio", health.inexact_share),
            ("llmtop_engine_open_sockets", health.open_sockets),
            ("llmtop_engine_short_of_resources", bool(health.short_of)),
        ):
            self._values[name][place] = float(value)
        drops = health.drops - self._drops.get(event.place, 0)
        self._drops[event.place] = health.drops
        self._count("llmtop_engine_dropped_events_total", place, max(0, drops))
        in_flight = self._values["llmtop_requests_in_flight"]
        target = self._values["llmtop_concurrency_target"]
        oldest = self._values["llmtop_oldest_request_age_seconds"]
        for counts in event.routes:
            where = self._where.get(counts.route)
            if where is None:
                continue
            in_flight[where] = counts.in_flight
            target[where] = counts.target
            oldest[where] = seconds(counts.oldest_open_ns or 0)
            for reason, so_far in counts.skipped_for.items():
                key = (counts.route, reason)
                more = so_far - self._skipped.get(key, 0)
                self._skipped[key] = so_far
                known = reason if reason in _SKIPS else OTHER
                self._count("llmtop_skipped_probes_total", (*where, known), max(0, more))
        for budget in event.budgets:
            info = self._routes.get(budget.route)
            if budget.route and info is None:
                continue
            labels = ("" if info is None else info.shared_name, *place)
            self._values["llmtop_budget_used_tokens"][labels] = budget.used_tokens
            self._values["llmtop_budget_limit_tokens"][labels] = budget.limit_tokens
            if budget.limit_usd is not None:
                self._values["llmtop_budget_used_usd"][labels] = budget.used_usd
                self._values["llmtop_budget_limit_usd"][labels] = budget.limit_usd

    # What they share.

    def _at(self, place: str) -> Labels:
        """Return the label of an engine's place: of an agent's own events none is told, but its
        routes all have it."""
        return (place or self._own_place,)

    def _begin(self, names: tuple[str, ...], labels: Labels) -> None:
        """Let the counters with these labels begin, from 0 on: a rate of one that begins at 1
        misses its first."""
        for counter in METRICS:
            if counter.kind == "counter" and counter.labels == names:
                self._count(counter.name, labels, 0)

    def _count(self, name: str, labels: Labels, more: float) -> None:
        series = self._values[name]
        series[labels] = series.get(labels, 0.0) + more

    def _spread(self, name: str, labels: Labels, value: float) -> None:
        spread = self._spread_of(name, labels)
        spread.counts[bisect_left(METRIC[name].buckets, value)] += 1
        spread.sum += value

    def _spread_of(self, name: str, labels: Labels) -> HistogramCounts:
        """Return what a histogram holds of a series, which begins with nothing."""
        series = self._spreads[name]
        spread = series.get(labels)
        if spread is None:
            spread = series[labels] = HistogramCounts(len(METRIC[name].buckets))
        return spread

    def _enter(self, name: str, entered: Iterable[Labels]) -> None:
        for labels in entered:
            self._count(name, labels, 1)

    def _leave(self, name: str, left: Iterable[Labels]) -> None:
        """Take back what was entered; a series stays, at 0: whoever alerts on it sees the end."""
        for labels in left:
            self._count(name, labels, -1)

    def _all_where(self, routes: Iterable[str]) -> list[Where]:
        """Return the labels of routes that are known; none at all where none is named."""
        return [self._where[name] for name in routes if name in self._where] or [("", "", "")]


def _reason(reason: str) -> str:
    return reason if not reason or reason in REASONS else OTHER


def _limit_hit(reason: str) -> str:
    """Return the limit that a 429 names: `rate_limit.tokens` → `tokens`."""
    family, _, kind = reason.partition(".")
    if family != "rate_limit" or not kind:
        return "overloaded" if reason == "overloaded" else "unknown"
    return kind if kind in LIMIT_KINDS else OTHER


def _info_labels(where: Where, info: RouteInfo) -> Labels:
    return (*where, info.dialect, _server(info.base_url)[:_LONGEST_LABEL])


def _server(base_url: str) -> str:
    """Return host and port of a route's server, as its settings have it."""
    try:
        return read_url(base_url).authority
    except UrlError:
        return OTHER  # a recording that was edited
