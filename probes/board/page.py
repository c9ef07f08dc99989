"""The page of one route: what proves its verdict, all of one moment.

Rule 1: everything is read at one stamp, through the same `RouteAt` as the row of the route.
Rule 2: it costs nothing where nobody looks. What has closed is put together once.
Rule 3: now is what the row calls so: the last minute, or the time since the onset of what is wrong.
"""

from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from probes.board.felt import AskedProbes
from probes.board.figures import NOW, SCHEDULED, Percentiles, RouteAt, share
from probes.board.heat import heat_slices
from probes.board.open_load import load_at
from probes.board.phases import phase_rows, phase_slices
from probes.board.probe_log import ProbeViews
from probes.board.views import (
    CohortView,
    FeltColumn,
    FeltFigure,
    OpenLoad,
    RoutePage,
    UsualView,
)
from probes.events import Diagnosis
from probes.kit.clock import NS_PER_S
from probes.stats.log_buckets import added
from probes.stats.quantiles import Quantiles
from probes.stats.samples import CohortSamples, Metric, lost_in
from probes.stats.tally import Tally
from probes.stats.windows import Absorbing, Rolling, WindowName, elapsed_s

_COLUMNS: Final[tuple[WindowName, ...]] = ("5m", "1h", "run")
A = TypeVar("A", bound=Absorbing)

_METRICS: Final[tuple[Metric, ...]] = ("ttft", "e2e")


def route_page(at: RouteAt, usual: UsualView) -> RoutePage:
    """Return the page of a route at one stamp."""
    route = at.route
    probes = route.probe_log.views()
    return RoutePage(
        phases=phase_slices(at),
        phase_rows=phase_rows(at),
        ttft_heat=heat_slices(at, route.ttft_heat),
        gap_heat=heat_slices(at, route.chunk_gaps.slices),
        columns=(_Span(at, None).column(), _usual_column(usual), *_window_columns(at)),
        cohorts=tuple([_cohort_view(at, name) for name in route.cohorts]),
        probes=probes,
        ended=route.probe_log.ended,
        loads=tuple(_loads(at, probes)),
    )


def _loads(at: RouteAt, ended: ProbeViews) -> Iterator[OpenLoad]:
    """Give what the route took at each concurrency that is advised: only then all are looked at."""
    route = at.route
    incidents = route.run.incidents.of(route.info.name)
    for value in sorted({most for one in incidents if (most := _advised_open(one.event)) >= 1}):
        open_ns = [probe.started_ns for probe in route.accounts.open_probes()]
        forgotten = route.probe_log.ended > len(ended)
        load = load_at(value, ended, forgotten, open_ns, route.cohort)
        if load is not None:
            yield load


def _advised_open(event: Diagnosis) -> int:
    """Return to how many at once an incident's advice is to go; 0 where that is none of it."""
    advice = event.advice
    if advice is None or advice.knob != "concurrency" or advice.value is None:
        return 0
    return int(advice.value)


def _window_columns(at: RouteAt) -> Iterator[FeltColumn]:
    """Give the windows' columns; those that reach back equally far are read once."""
    known: dict[WindowName, FeltColumn] = {}
    for window in _COLUMNS:
        shortest = at.shortest_alike(window)
        if shortest not in known:
            known[shortest] = _Span(at, shortest).column()
        yield msgspec.structs.replace(known[shortest], name=window)


class _Span:
    """What is read of a route over one span of time: a window, or now."""

    def __init__(self, at: RouteAt, window: WindowName | None) -> None:
        self._at, self._window, self._route = at, window, at.route
        self._samples = at.route.cohorts.get(at.route.cohort) or CohortSamples()

    def column(self) -> FeltColumn:
        """Return its figures."""
        tally, lost = self._tally(), lost_in(self._of(self._samples.lost))
        gaps, rtt = added(self._of(self._route.chunk_gaps)), added(self._of(self._route.rtt))
        is_open = self._route.pace is not None
        return FeltColumn(
            name=self._window or "now",
            ttft=self._felt("ttft", lost.silent),
            e2e=self._felt("e2e", lost.failed),
            scheduled_ttft=self._felt("scheduled_ttft", lost.silent) if is_open else None,
            scheduled_e2e=self._felt("scheduled_e2e", lost.failed) if is_open else None,
            tokens_per_s=self._quantiles("speed").at(0.5)[0],
            gap_p99_s=_seconds(gaps.quantile_ns(0.99)),
            gap_max_s=_seconds(gaps.longest_ns or None),
            cached_share=share(tally.cached_tokens, tally.cached_of),
            rtt_s=_seconds(rtt.quantile_ns(0.5)),
            cold_share=share(tally.cold, tally.attempts),
            lost_segments=share(tally.resent + tally.reordered, tally.paths),
            stalled_share=share(tally.stalled, tally.answers),
            input_tokens=share(tally.input_tokens, tally.input_counts),
            output_tokens=share(tally.output_tokens, tally.output_counts),
            finished=tally.finished,
            good=tally.good,
            failed=tally.failures,
            throttled=tally.throttled,
            usd_per_hour=tally.cost_usd * 3600.0 / self._elapsed_s() if tally.costs else None,
        )

    def _felt(self, metric: Metric, lost: int) -> tuple[FeltFigure, FeltFigure, FeltFigure]:
        route, is_scheduled = self._route, metric in SCHEDULED
        is_ttft = metric in ("ttft", "scheduled_ttft")
        if is_ttft and not route.info.streamed:
            return (FeltFigure(), FeltFigure(), FeltFigure())
        ages_s = [
            max(0, self._at.now_ns - (probe.scheduled_ns if is_scheduled else probe.started_ns))
            / NS_PER_S
            for probe in route.accounts.open_probes()
            if probe.cohort in ("", route.cohort)
            and not (is_ttft and probe.has_felt_ttft)
            and (probe.scheduled_ns or not is_scheduled)
        ]
        asked = AskedProbes(self._quantiles(metric), lost, ages_s, route.goal_s(metric))
        # Of now alone somebody may ask how sure it is: it is what T0 is taken of.
        read = asked.spanned if self._window is None else asked.at
        p50, p95, p99 = read(0.5, 0.95, 0.99)
        return (p50, p95, p99)

    def _quantiles(self, metric: Metric) -> Quantiles:
        if self._window is None:
            return self._at.shown_percentiles(metric, NOW).samples
        return self._at.percentiles(metric, self._window).samples

    def _tally(self) -> Tally:
        if self._window is None:
            return self._at.shown_tally(NOW)
        return self._at.tally(self._window)

    def _elapsed_s(self) -> float:
        if self._window is None:
            return self._at.shown_s(NOW)
        return elapsed_s(self._window, self._at.offset_ns)

    def _of(self, rolling: Rolling[A]) -> list[A]:
        if self._window is None:
            return rolling.since(self._at.first_now(), self._at.offset_ns)
        return rolling.total(self._window, self._at.offset_ns)


def _usual_column(usual: UsualView) -> FeltColumn:
    def figure(value: float | None) -> FeltFigure:
        return FeltFigure() if value is None else FeltFigure(value, n=usual.n, enough=True)

    return FeltColumn(
        name="usual",
        ttft=(figure(usual.ttft_p50), figure(usual.ttft_p95), FeltFigure()),
        e2e=(figure(usual.e2e_p50), figure(usual.e2e_p95), FeltFigure()),
        tokens_per_s=usual.tokens_per_s,
    )


def _cohort_view(at: RouteAt, name: str) -> CohortView:
    ttft, e2e = [_of_run(at, metric, name).at(0.5, 0.95) for metric in _METRICS]
    return CohortView(
        name=name,
        ttft=(ttft[0], ttft[1]),
        e2e=(e2e[0], e2e[1]),
        is_current=name == at.route.cohort,
    )


def _of_run(at: RouteAt, metric: Metric, cohort: str) -> Percentiles:
    if cohort == at.route.cohort:
        return at.percentiles(metric, "run")
    samples = at.route.cohorts[cohort].of(metric).read("run", at.offset_ns)
    return Percentiles(samples, at.route.goal_s(metric, cohort))


def _seconds(span_ns: float | None) -> float | None:
    return None if span_ns is None else span_ns / NS_PER_S
