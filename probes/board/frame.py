"""One frame: rows of the routes table, its totals, and the panes below it, of what was read.

What is counted and sampled is of the route's last turn; what is open, held and set is of now.
"""

from collections.abc import Iterable, Sequence
from typing import Final, TypeVar

import msgspec

from probes.answers.limits import tightest
from probes.board.figures import RouteFigures, amplification, share
from probes.board.route import MARKERS_KEPT, RouteBoard
from probes.board.states import STATE_ORDER
from probes.board.views import (
    Figure,
    LimitsView,
    PercentileTable,
    RouteDetail,
    RouteState,
    RouteView,
)
from probes.kit.clock import NS_PER_S
from probes.stats.tally import Tally

N = TypeVar("N", int, float)

_RATES: Final = (
    "probes_per_min",
    "good_per_min",
    "throttled_per_min",
    "timeouts_per_min",
    "failures_per_min",
    "retries_per_min",
)


def route_row(route: RouteBoard, figures: RouteFigures, now_ns: int) -> RouteView:
    """Return a route's row at the stamp `now_ns`."""
    info = route.info
    counted = _counted_row(info.name, route.state, figures.tally, figures.window_s)
    return msgspec.structs.replace(
        counted,
        model=info.model,
        base_url=info.base_url,
        tags=info.tags,
        since_ns=route.since_ns,
        goal_ratio=route.goal_ratio,
        why=route.why,
        in_flight=len(route.lanes),
        target=route.target,
        interval=route.interval,
        max_tokens=route.max_tokens,
        cohort=figures.cohort,
        ttft_p50=figures.ttft[0],
        ttft_p95=figures.ttft[1],
        ttft_p99=figures.ttft[2],
        e2e_p50=figures.e2e[0],
        e2e_p95=figures.e2e[1],
        stream_tokens_per_s=figures.speed,
        success_missed=counted.success is not None and counted.success < info.goal_success,
        oldest_open_s=_age_s(route.lanes.oldest_started_ns(), now_ns),
        last_event_s=_age_s(route.last_event_ns, now_ns),
        cool_down_s=route.cool_down_s(now_ns),
        skipped=route.skipped,
        trend=figures.trend,
        goal_ttft_s=info.goal_ttft_s,
        goal_e2e_s=route.goal_e2e_s,
        held=tuple(sorted(route.held.union(route.run.held))),
        streamed=info.streamed,
        price=info.price,
    )


def totals(rows: Sequence[RouteView], tally: Tally) -> RouteView | None:
    """Return the totals row; `tally` is the sum of what the rows have counted.

    Rates are the sums of the rows' own. There are no percentiles: those never mix routes and
    cohorts.
    """
    if not rows:
        return None
    state = min((row.state for row in rows), key=STATE_ORDER.index)
    return msgspec.structs.replace(
        _counted_row("total", state, tally, 1.0),
        since_ns=_least(row.since_ns for row in rows if row.state == state),
        goal_ratio=max(row.goal_ratio for row in rows),
        in_flight=sum(row.in_flight for row in rows),
        target=sum(row.target for row in rows),
        success_missed=any(row.success_missed for row in rows),
        oldest_open_s=_most(row.oldest_open_s for row in rows),
        last_event_s=_least(row.last_event_s for row in rows),
        cool_down_s=_most(row.cool_down_s for row in rows),
        skipped=sum(row.skipped for row in rows),
        goal_ttft_s=min(row.goal_ttft_s for row in rows),
        **{name: sum(getattr(row, name) for row in rows) for name in _RATES},
        usd_per_hour=_sum(row.usd_per_hour for row in rows),
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
        goal_ratio=0.0,
        in_flight=0,
        target=0,
        interval=0.0,
        max_tokens=0,
        cohort="",
        probes_per_min=_per_minute(tally.finished, window_s),
        ttft_p50=none,
        ttft_p95=none,
        ttft_p99=none,
        e2e_p50=none,
        e2e_p95=none,
        stream_tokens_per_s=None,
        success=share(tally.ok, tally.finished),
        success_missed=False,
        goodput=share(tally.good, tally.finished),
        good_per_min=_per_minute(tally.good, window_s),
        throttled_per_min=_per_minute(tally.throttled, window_s),
        timeouts_per_min=_per_minute(tally.timeouts, window_s),
        failures_per_min=_per_minute(tally.failures, window_s),
        retries_per_min=_per_minute(tally.retries, window_s),
        amplification=amplification(tally),
        input_tokens=share(tally.input_tokens, tally.input_counts),
        output_tokens=share(tally.output_tokens, tally.output_counts),
        usd_per_hour=tally.cost_usd * 3600.0 / window_s if tally.costs else None,
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


def route_detail(route: RouteBoard, figures: RouteFigures, now_ns: int) -> RouteDetail | None:
    """Return what the panes below the table show of one route; None where that was not read."""
    detail, info = figures.detail, route.info
    if detail is None:
        return None
    markers = sorted((*route.markers, *route.run.marks), key=lambda marker: marker.at_ns)
    percentiles = PercentileTable(
        columns=detail.columns,
        timeline=figures.trend,
        e2e_timeline=detail.e2e_chart,
        markers=tuple(markers[-MARKERS_KEPT:]),
        goal_ttft_s=info.goal_ttft_s,
        goal_e2e_s=route.goal_e2e_s,
        oldest_open_s=_age_s(route.lanes.oldest_started_ns(), now_ns),
        cohort=figures.cohort,
        streamed=info.streamed,
    )
    return RouteDetail(
        route=info.name,
        lanes=route.lanes.views(info.name, now_ns, info.retries),
        percentiles=percentiles,
        retries=detail.retries,
        preview=route.preview,
        preview_probe=route.preview_probe,
    )


def limits_view(route: RouteBoard, now_ns: int) -> LimitsView | None:
    """Return what a route has left of its limits; None where nothing is known of any."""
    left_s, parts = route.cool_down_s(now_ns), route.limits.parts
    if not parts and left_s is None:
        return None
    return LimitsView(
        route=route.info.name,
        limits=tightest(parts),
        cool_down_s=left_s,
        cool_down_asked_s=None if route.cool_down is None else route.cool_down.asked_s,
    )


def _per_minute(count: float, window_s: float) -> float:
    return count * 60.0 / window_s


def _age_s(stamp_ns: int | None, now_ns: int) -> float | None:
    """Return the seconds since a stamp, never below zero."""
    return None if stamp_ns is None else max(0, now_ns - stamp_ns) / NS_PER_S


def _least(values: Iterable[N | None]) -> N | None:
    return min((value for value in values if value is not None), default=None)


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _most(values: Iterable[N | None]) -> N | None:
    return max((value for value in values if value is not None), default=None)
