"""One frame: rows of the routes table, its totals, and the panes below it, of what was read.

What is counted and sampled is of the route's last turn; what is open, held and set is of now.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec

from probes.answers.limits.state import tightest
from probes.board.figures import (
    LEAST_PATIENCE_S,
    RouteFigures,
    amplification,
    hurt_share,
    share,
    speed_grade,
)
from probes.board.incident_log import IncidentLog, KnownIncident
from probes.board.route import Open, RouteBoard, Standing
from probes.board.states import REFUSING, STATE_ORDER, refusal_of, state_made, worst_of
from probes.board.views import (
    IncidentView,
    LimitsView,
    PaceView,
    PercentileTable,
    RecoveryView,
    RouteDetail,
    RouteView,
    UsualView,
)
from probes.config.goals import band_of
from probes.events import Diagnosis
from probes.kit.clock import NS_PER_S
from probes.stats.tally import Tally

N = TypeVar("N", int, float)

_EVIDENCE_NS: Final = 20 * NS_PER_S
"""So long after a probe beside the pace a route is said to be probed more often: longer than the
time between two of them, and than the requests that name what is suspected."""
_NO_USUAL: Final = UsualView()
_RATES: Final = (
    "probes_per_min",
    "good_per_min",
    "throttled_per_min",
    "timeouts_per_min",
    "failures_per_min",
    "retries_per_min",
)


def route_row(route: RouteBoard, figures: RouteFigures, stream_ns: int) -> RouteView:
    """Return a route's row at its place's time; since when something is told by the stream's, as
    verdicts tell it."""
    info, state, now_ns = route.info, route.shown, route.place.now_ns
    counted = _counted(figures.tally, figures.window_s)
    success = counted["success"]
    oldest = route.oldest_open
    overdue = _overdue(route, oldest, figures, now_ns)
    return RouteView(
        **counted,
        name=info.name,
        model=info.model,
        base_url=info.base_url,
        dialect=info.dialect,
        place=info.place,
        shared_name=info.shared_name,
        tags=info.tags,
        state=state.state,
        since_ns=state.since_ns,
        since_s=_age_s(state.since_ns, stream_ns),
        goal_ratio=route.goal_ratio,
        why=route.why,
        said=_said(route, state),
        observer_busy=route.observer_busy,
        in_flight=len(route.lanes),
        target=route.target,
        interval=route.interval,
        pace=_pace_view(route, figures),
        max_tokens=route.max_tokens,
        cohort=figures.cohort,
        ttft_p50=figures.ttft[0],
        ttft_p95=figures.ttft[1],
        ttft_p99=figures.ttft[2],
        e2e_p50=figures.e2e[0],
        e2e_p95=figures.e2e[1],
        stream_tokens_per_s=figures.speed,
        speed_grade=speed_grade(figures.speed, info.goal_tokens_per_s),
        success_missed=success is not None and success < info.goal_success,
        oldest_open_s=_age_s(oldest.started_ns, now_ns) if oldest else None,
        oldest_phase=oldest.phase if oldest else None,
        overdue=_is_overdue(oldest, figures, now_ns),
        overdue_open=overdue,
        hurt_share=hurt_share(figures.tally, overdue),
        window_s=figures.window_s,
        last_event_s=_age_s(route.last_event_ns, stream_ns),
        cool_down_s=route.cool_down_s(now_ns),
        skipped=route.skipped,
        trend=figures.trend,
        goal_ttft_s=info.goal_ttft_s,
        goal_e2e_s=route.goal_e2e_s,
        goal_scaled=route.is_goal_scaled,
        usual=usual_view(route),
        learning=route.usual is None,
        adaptive=route.adaptive,
        evidence=route.evidence_ns is not None and now_ns - route.evidence_ns < _EVIDENCE_NS,
        held=tuple(sorted(route.held.union(route.place.held))),
        streamed=info.streamed,
        price=info.price,
    )


def _pace_view(route: RouteBoard, figures: RouteFigures) -> PaceView | None:
    if route.pace is None or figures.scheduled is None:
        return None
    ttft, e2e = figures.scheduled
    kept = route.pace.kept
    return PaceView(
        kind=route.info.pace,
        rate=route.rate,
        scheduled_ttft=(ttft[0], ttft[1], ttft[2]),
        scheduled_e2e=(e2e[0], e2e[1], e2e[2]),
        begun_per_s=None if kept is None else kept.begun_per_s,
        is_late=kept is not None and kept.is_late and not route.paused,
        why="late" if kept is None else kept.why,
        late_since_ns=None if kept is None else kept.since_ns,
        waiting=route.due_waiting,
        skipped_for=tuple(route.skipped_for.most_common()),
    )


def totals(rows: Sequence[RouteView], tally: Tally) -> RouteView | None:
    """Return the totals row; `tally` is the sum of what the rows have counted.

    Rates are the sums of the rows' own, as each route's window covers a time of its own. There are
    no percentiles: those never mix routes and cohorts.
    """
    if not rows:
        return None
    state = min((row.state for row in rows), key=STATE_ORDER.index)
    counted = _counted(tally, 1.0)
    counted.update((name, sum(getattr(row, name) for row in rows)) for name in _RATES)
    counted["usd_per_hour"] = _sum(row.usd_per_hour for row in rows)
    overdue = sum(row.overdue_open for row in rows)
    return RouteView(
        **counted,
        name="total",
        state=state,
        since_ns=_least(row.since_ns for row in rows if row.state == state),
        goal_ratio=max(row.goal_ratio for row in rows),
        in_flight=sum(row.in_flight for row in rows),
        target=sum(row.target for row in rows),
        success_missed=any(row.success_missed for row in rows),
        oldest_open_s=_most(row.oldest_open_s for row in rows),
        overdue=any(row.overdue for row in rows),
        overdue_open=overdue,
        hurt_share=hurt_share(tally, overdue),
        last_event_s=_least(row.last_event_s for row in rows),
        cool_down_s=_most(row.cool_down_s for row in rows),
        skipped=sum(row.skipped for row in rows),
        goal_ttft_s=min(row.goal_ttft_s for row in rows),
    )


def _counted(tally: Tally, window_s: float) -> dict[str, Any]:
    """Return the fields of a row that follow from the counters over so many seconds."""
    return {
        "n": tally.finished,
        "probes_per_min": tally.finished * 60.0 / window_s,
        "success": share(tally.ok, tally.finished),
        "goodput": share(tally.good, tally.finished),
        "stalled_share": share(tally.stalled, tally.answers),
        "good_per_min": tally.good * 60.0 / window_s,
        "throttled_per_min": tally.throttled * 60.0 / window_s,
        "timeouts_per_min": tally.timeouts * 60.0 / window_s,
        "failures_per_min": tally.failures * 60.0 / window_s,
        "retries_per_min": tally.retries * 60.0 / window_s,
        "amplification": amplification(tally),
        "input_tokens": share(tally.input_tokens, tally.input_counts),
        "output_tokens": share(tally.output_tokens, tally.output_counts),
        "usd_per_hour": tally.cost_usd * 3600.0 / window_s if tally.costs else None,
        "cost_estimated": tally.cost_estimates > 0,
    }


def route_detail(route: RouteBoard, figures: RouteFigures) -> RouteDetail | None:
    """Return what the panes below the table show of one route at its place's time; None where that
    was not read."""
    detail, info, oldest = figures.detail, route.info, route.oldest_open
    now_ns = route.place.now_ns
    if detail is None:
        return None
    percentiles = PercentileTable(
        columns=detail.columns,
        timeline=figures.trend,
        e2e_timeline=detail.e2e_chart,
        markers=route.markers(),
        goal_ttft_s=info.goal_ttft_s,
        goal_e2e_s=route.goal_e2e_s,
        oldest_open_s=None if oldest is None else _age_s(oldest.started_ns, now_ns),
        cohort=figures.cohort,
        overdue=_is_overdue(oldest, figures, now_ns),
        streamed=info.streamed,
        usual=tuple(
            evidence
            for incident in route.run.incidents.of(info.name)
            for evidence in incident.event.evidence
            if evidence.usual is not None
        ),
    )
    return RouteDetail(
        route=info.name,
        now_ns=now_ns,
        lanes=route.lanes.views(info.name, now_ns, info.retries),
        percentiles=percentiles,
        retries=detail.retries,
        preview=route.preview,
        preview_probe=route.preview_probe,
        page=figures.page,
    )


def incident_views(
    incidents: IncidentLog,
    routes: Mapping[str, RouteBoard],
    rows: Sequence[RouteBoard],
) -> tuple[IncidentView, ...]:
    """Return what is open, in the order of the rows that it hits, as they stand: most users hurt
    first. What is not sure comes last; what hits the same row goes by what it makes of it."""
    views = [_incident_view(incident, routes) for incident in incidents]
    places = {route.info.name: number for number, route in enumerate(rows)}

    def place(view: IncidentView) -> tuple[bool, bool, int]:
        hit = [places[name] for name in view.diagnosis.routes if name in places]
        # Ours, which no route is to blame for, is told beside what it may explain.
        is_ours, is_faint = view.state is None, view.diagnosis.state == "perhaps"
        return is_ours, is_faint, min(hit, default=len(places))

    views.sort(key=lambda view: (place(view), _urgency(view)))
    return tuple(views)


def _incident_view(incident: KnownIncident, routes: Mapping[str, RouteBoard]) -> IncidentView:
    hit = [routes[name] for name in incident.event.routes if name in routes]
    made = [state_made(incident, route, route.live) for route in hit]
    state = worst_of(state for state in made if state is not None)
    idle = [route.shown.since_ns for route in hit if route.shown.state in ("paused", "held")]
    return IncidentView(
        diagnosis=_of_now(incident.event, hit),
        state=state,
        said=said_of(incident, hit),
        idle_since_ns=max(idle) if idle and len(idle) == len(hit) else None,
        seen=incident.seen,
    )


def said_of(incident: KnownIncident, hit: Iterable[RouteBoard]) -> str:
    """Return the server's own last words on an incident; nothing where nobody is refused."""
    refusal = refusal_of(incident.event.cause)
    said = [route.said_since(refusal, incident.since_ns) for route in hit] if refusal else []
    return next(filter(None, said), "")


def _of_now(event: Diagnosis, hit: Iterable[RouteBoard]) -> Diagnosis:
    """Return a diagnosis with the age of what is open as it is now: a hang grows older."""
    if all(one.figure != "open_age" for one in event.evidence):
        return event
    open_s = _most(
        _age_s(oldest.started_ns, route.place.now_ns)
        for route in hit
        if (oldest := route.oldest_open) is not None
    )
    evidence = tuple(
        one
        if one.figure != "open_age" or open_s is None
        else msgspec.structs.replace(one, now=max(one.now, open_s))
        for one in event.evidence
    )
    return msgspec.structs.replace(event, evidence=evidence)


def _urgency(view: IncidentView) -> tuple[Any, ...]:
    event = view.diagnosis
    rank = len(STATE_ORDER) if view.state is None else STATE_ORDER.index(view.state)
    return rank, -len(event.routes), event.since_ns, event.id


def recovery_views(incidents: IncidentLog, now_ns: int) -> tuple[RecoveryView, ...]:
    """Return what was cleared in the last five minutes, newest first."""
    return tuple(
        RecoveryView(incident.event, worst_of(incident.worst.values()))
        for incident in incidents.recovered(now_ns)
    )


def _said(route: RouteBoard, state: Standing) -> str:
    """Return the server's last words on a state; nothing where it refuses nobody."""
    if state.state == "ok":
        return ""  # as nearly always
    if state.state == "throttled":
        return route.said_since("throttled", state.since_ns)
    if state.state not in REFUSING:
        return ""
    said = route.said_since("failed", state.since_ns)
    return said or route.said_since("wrong", state.since_ns)


def limits_view(route: RouteBoard) -> LimitsView | None:
    """Return what a route has left of its limits; None where nothing is known of any."""
    now_ns = route.place.now_ns
    left_s, parts = route.cool_down_s(now_ns), route.limits.parts
    if not parts and left_s is None:
        return None
    limits = tightest(parts)
    return LimitsView(
        route=route.info.name,
        limits=limits,
        headroom=route.headroom.view(limits, now_ns, route.target, route.interval),
        cool_down_s=left_s,
        cool_down_asked_s=None if route.cool_down is None else route.cool_down.asked_s,
    )


def usual_view(route: RouteBoard) -> UsualView:
    """Return what is usual of the cohort that is shown: of another answer cap nobody knows how long
    answers take, of another band of prompts nobody knows anything."""
    usual = route.usual
    if usual is None or band_of(usual.cohort) != band_of(route.cohort):
        return _NO_USUAL
    is_same = usual.cohort == route.cohort
    return UsualView(
        ttft_p50=usual.ttft_p50_s,
        ttft_p95=usual.ttft_p95_s,
        e2e_p50=usual.e2e_p50_s if is_same else None,
        e2e_p95=usual.e2e_p95_s if is_same else None,
        tokens_per_s=usual.tokens_per_s,
        n=usual.n,
    )


def _overdue(route: RouteBoard, oldest: Open | None, figures: RouteFigures, now_ns: int) -> int:
    """Return how many requests have been open for longer than anybody waits."""
    if oldest is None or now_ns - oldest.started_ns <= LEAST_PATIENCE_S * NS_PER_S:
        return 0  # as nearly always
    found = route.lanes.overdue(now_ns, *figures.patience_s)
    return max(found, _is_overdue(oldest, figures, now_ns))  # one may have begun before the stream


def _is_overdue(oldest: Open | None, figures: RouteFigures, now_ns: int) -> bool:
    """Return whether a request has been open for longer than anybody waits."""
    if oldest is None:
        return False
    patience_s = figures.patience_s[oldest.phase == "streaming"]
    return patience_s is not None and now_ns - oldest.started_ns > patience_s * NS_PER_S


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
