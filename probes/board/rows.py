"""Rows of the routes table, its totals, and the percentiles pane."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from probes.board.figures import figures, maximum_figure
from probes.board.rates import age_s, per_minute, share, usd_per_hour
from probes.board.retries import amplification, retry_view
from probes.board.route import MARKERS_KEPT, RouteBoard
from probes.board.states import STATE_ORDER
from probes.distribution import read_quantiles
from probes.events import HeldReason
from probes.tally import Tally
from probes.views import (
    ChartPoint,
    Figure,
    Marker,
    PercentileTable,
    RouteDetail,
    RouteState,
    RouteView,
    WindowColumn,
    WindowName,
)

__all__ = [
    "RowFigures",
    "percentile_table",
    "route_detail",
    "route_row",
    "row_figures",
    "totals",
    "window_column",
]

N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True)
class RowFigures:
    """What of a row is computed at most once a second."""

    ttft: tuple[Figure, ...] = (Figure(), Figure(), Figure())
    e2e: tuple[Figure, ...] = (Figure(), Figure())
    speed: float | None = None
    trend: tuple[ChartPoint, ...] = ()


def row_figures(route: RouteBoard, window: WindowName, now_ns: int) -> RowFigures:
    """Return the percentiles of a route's present cohort over `window`."""
    ttft = route.samples("ttft", window, now_ns)
    e2e = route.samples("e2e", window, now_ns)
    return RowFigures(
        ttft=figures(ttft, (0.5, 0.95, 0.99), route.info.goal_ttft_s),
        e2e=figures(e2e, (0.5, 0.95), route.goal_e2e_s),
        speed=read_quantiles(route.samples("speed", window, now_ns), (0.5,))[0],
        trend=route.points("ttft", now_ns),
    )


def route_row(
    route: RouteBoard,
    tally: Tally,
    row: RowFigures,
    *,
    window_s: float,
    now_ns: int,
    everywhere: Collection[HeldReason],
) -> RouteView:
    """Return a route's row; `tally` covers `window_s` seconds, `everywhere` holds all routes."""
    info = route.info
    counted = _counted_row(info.name, route.state, tally, window_s)
    return msgspec.structs.replace(
        counted,
        model=info.model,
        base_url=info.base_url,
        tags=info.tags,
        since_ns=route.since_ns,
        pain=route.pain,
        why=route.why,
        in_flight=len(route.lanes),
        target=route.target,
        interval=route.interval,
        max_tokens=route.max_tokens,
        cohort=route.cohort,
        ttft_p50=row.ttft[0],
        ttft_p95=row.ttft[1],
        ttft_p99=row.ttft[2],
        e2e_p50=row.e2e[0],
        e2e_p95=row.e2e[1],
        stream_tokens_per_s=row.speed,
        success_missed=counted.success is not None and counted.success < info.goal_success,
        oldest_open_s=age_s(route.lanes.oldest_started_ns(), now_ns),
        last_event_s=age_s(route.last_event_ns, now_ns),
        cool_down_s=route.cool_down_s(now_ns),
        skipped=route.skipped,
        trend=row.trend,
        goal_ttft_s=info.goal_ttft_s,
        goal_e2e_s=route.goal_e2e_s,
        held=tuple(sorted(route.held.union(everywhere))),
        streamed=info.streamed,
    )


def totals(rows: Sequence[RouteView], tally: Tally, window_s: float) -> RouteView | None:
    """Return the totals row, without percentiles: those never mix routes and cohorts."""
    if not rows:
        return None
    state = min((row.state for row in rows), key=STATE_ORDER.index)
    return msgspec.structs.replace(
        _counted_row("total", state, tally, window_s),
        since_ns=_least(row.since_ns for row in rows if row.state == state),
        pain=max(row.pain for row in rows),
        in_flight=sum(row.in_flight for row in rows),
        target=sum(row.target for row in rows),
        success_missed=any(row.success_missed for row in rows),
        oldest_open_s=_most(row.oldest_open_s for row in rows),
        last_event_s=_least(row.last_event_s for row in rows),
        cool_down_s=_most(row.cool_down_s for row in rows),
        skipped=sum(row.skipped for row in rows),
        goal_ttft_s=min(row.goal_ttft_s for row in rows),
    )


def _counted_row(name: str, state: RouteState, tally: Tally, window_s: float) -> RouteView:
    """Return a row with everything that follows from the counters, and nothing else."""
    none = Figure()
    return RouteView(
        name=name,
        model="",
        base_url="",
        tags=(),
        state=state,
        since_ns=None,
        pain=0.0,
        in_flight=0,
        target=0,
        interval=0.0,
        max_tokens=0,
        cohort="",
        probes_per_min=per_minute(tally.finished, window_s),
        ttft_p50=none,
        ttft_p95=none,
        ttft_p99=none,
        e2e_p50=none,
        e2e_p95=none,
        stream_tokens_per_s=None,
        success=share(tally.ok, tally.finished),
        success_missed=False,
        goodput=share(tally.good, tally.finished),
        good_per_min=per_minute(tally.good, window_s),
        throttled_per_min=per_minute(tally.throttled, window_s),
        timeouts_per_min=per_minute(tally.timeouts, window_s),
        failures_per_min=per_minute(tally.failures, window_s),
        retries_per_min=per_minute(tally.retries, window_s),
        amplification=amplification(tally),
        input_tokens=share(tally.input_tokens, tally.input_counts),
        output_tokens=share(tally.output_tokens, tally.output_counts),
        usd_per_hour=usd_per_hour(tally, window_s),
        cost_estimated=tally.cost_estimates > 0,
        oldest_open_s=None,
        last_event_s=None,
        cool_down_s=None,
        skipped=0,
        n=tally.finished,
        trend=(),
        goal_ttft_s=0.0,
        goal_e2e_s=None,
    )


def percentile_table(
    route: RouteBoard,
    columns: tuple[WindowColumn, ...],
    charts: tuple[tuple[ChartPoint, ...], tuple[ChartPoint, ...]],
    marks: Sequence[Marker],
    now_ns: int,
) -> PercentileTable:
    """Return the windows of a route side by side, with its charts of TTFT and E2E and what happened
    on them."""
    markers = sorted((*route.markers, *marks), key=lambda marker: marker.at_ns)
    return PercentileTable(
        columns=columns,
        timeline=charts[0],
        e2e_timeline=charts[1],
        markers=tuple(markers[-MARKERS_KEPT:]),
        goal_ttft_s=route.info.goal_ttft_s,
        goal_e2e_s=route.goal_e2e_s,
        oldest_open_s=age_s(route.lanes.oldest_started_ns(), now_ns),
        cohort=route.cohort,
        streamed=route.info.streamed,
    )


def route_detail(
    route: RouteBoard, window: WindowName, table: PercentileTable, durable_ns: int, now_ns: int
) -> RouteDetail:
    """Return what the panes below the table show of one route."""
    info = route.info
    return RouteDetail(
        route=info.name,
        lanes=route.lanes.views(info.name, now_ns, info.stall_after, info.retries),
        percentiles=table,
        retries=retry_view(route.tally(window, durable_ns)),
        preview=route.preview,
        preview_probe=route.preview_probe,
    )


def window_column(route: RouteBoard, window: WindowName, now_ns: int) -> WindowColumn:
    """Return the percentiles of a route's present cohort over one window."""
    tally = route.tally(window, now_ns)
    return WindowColumn(
        window=window,
        ttft=_five(route, "ttft", window, now_ns, route.info.goal_ttft_s),
        e2e=_five(route, "e2e", window, now_ns, route.goal_e2e_s),
        failures=tally.failures,
        finished=tally.finished,
        failure_share=share(tally.failures, tally.finished),
    )


def _five(
    route: RouteBoard, metric: str, window: WindowName, now_ns: int, goal: float | None
) -> tuple[Figure, Figure, Figure, Figure, Figure]:
    parts = route.samples(metric, window, now_ns)
    p50, p90, p95, p99 = figures(parts, (0.5, 0.9, 0.95, 0.99), goal)
    return (p50, p90, p95, p99, maximum_figure(parts))


def _least(values: Iterable[N | None]) -> N | None:
    return min((value for value in values if value is not None), default=None)


def _most(values: Iterable[N | None]) -> N | None:
    return max((value for value in values if value is not None), default=None)
