"""How a route is doing, in one word, and how badly: the one judge of a route's state.

Rule 1: success is judged over the last minute, or the last five where nothing finished in it; a p95
over the last minute where it has 20 samples, else over five where these have, else not at all.
Rule 2: down is nothing ok among at least three probes of the last 10 to 20 s, or among all of what
success is judged by.
Rule 3: throttled is ≥ 1 % of the last minute's attempts, or cooling down.
Rule 4: what we do ourselves (paused, held) comes before what the route does.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple, get_args

from probes.board.figures import SLUGGISH_SHARE, RouteAt, is_enough
from probes.board.route import RouteBoard
from probes.board.views import RouteState
from probes.events import HeldReason
from probes.stats.samples import Metric
from probes.stats.tally import Tally
from probes.stats.windows import WindowName

STATE_ORDER: Final[tuple[RouteState, ...]] = get_args(RouteState)
_WORST_FIRST: Final = {state: position for position, state in enumerate(STATE_ORDER)}
_THROTTLED_SHARE: Final = 0.01
"""Rarer 429s drown in the retries: no user feels them."""
_DOWN_FROM: Final = 3
"""Failures in a row that are an outage; fewer may be chance."""
_LEAST_TOLERANCE: Final = 0.001
"""A success goal of 100 % allows no failure: the ratio to it must be a number all the same."""
_HOLDING: Final[frozenset[HeldReason]] = frozenset(("budget", "reader_stalled", "restarting"))
_JUDGED: Final[tuple[WindowName, ...]] = ("1m", "5m")


class Judgement(NamedTuple):
    """What is to be said of a route."""

    state: RouteState
    goal_ratio: float
    """Worst ratio of p95, failure share and cost to what their goals allow."""
    why: str
    """The most frequent reason of what the state was judged by, with its share where there are
    others; for latency, the worse p95 as a multiple of its goal. Empty where the state says it all.
    May be a server's words: hostile."""


def judge(at: RouteAt) -> Judgement:
    """Judge a route at one stamp."""
    route, recent = at.route, at.tally("1m")
    judged = recent if recent.finished else at.tally("5m")
    latency = {"TTFT": _latency_ratio(at, "ttft"), "E2E": _latency_ratio(at, "e2e")}
    worst = max(latency.values())
    state = _state(at, recent, judged, worst)
    why = ""
    if state in ("down", "failing"):
        why = _most_frequent(judged.failed_by)
    elif state == "throttled":
        why = _most_frequent(recent.throttled_by)
    elif state in ("sluggish", "slow"):
        why = f"{max(latency, key=latency.__getitem__)} p95 {worst:.1f}× goal"
    ratio = max(worst, _failure_ratio(route, judged), _cost_ratio(route, judged))
    return Judgement(state, ratio, why)


def worst_first(routes: list[RouteBoard]) -> list[RouteBoard]:
    """Return the routes by state, then by the ratio to their goals, then by name."""
    return sorted(
        routes, key=lambda route: (_WORST_FIRST[route.state], -route.goal_ratio, route.info.name)
    )


def _state(at: RouteAt, recent: Tally, judged: Tally, latency: float) -> RouteState:
    route, everywhere = at.route, at.route.run.held
    if route.paused or "paused" in route.held or "paused" in everywhere:
        return "paused"
    if not (_HOLDING.isdisjoint(route.held) and _HOLDING.isdisjoint(everywhere)):
        return "held"
    finished, ok = at.newest()
    if (finished >= _DOWN_FROM and not ok) or (judged.finished and not judged.ok):
        return "down"
    if judged.finished and judged.ok / judged.finished < route.info.goal_success:
        return "failing"
    is_limited = recent.throttled >= max(1.0, _THROTTLED_SHARE * recent.attempts)
    if is_limited or route.cool_down_s(at.now_ns) is not None:
        return "throttled"
    if not judged.finished and not at.tally("run").finished:
        return "starting"
    if latency > SLUGGISH_SHARE:
        return "sluggish"
    return "slow" if latency > 1.0 else "ok"


def _most_frequent(counts: Mapping[str, int]) -> str:
    if not counts:
        return ""
    reason = max(sorted(counts), key=counts.__getitem__)
    share = counts[reason] / sum(counts.values())
    return reason if share == 1.0 else f"{reason} {share:.0%}"


def _latency_ratio(at: RouteAt, metric: Metric) -> float:
    """Return a p95 as a multiple of its goal; 0 without a goal or without enough samples."""
    goal_s = at.route.goal_s(metric)
    if not goal_s:
        return 0.0
    for window in _JUDGED:
        percentiles = at.percentiles(metric, window)
        if is_enough(percentiles.n, 0.95):
            return (percentiles.at(0.95)[0].value or 0.0) / goal_s
    return 0.0


def _failure_ratio(route: RouteBoard, judged: Tally) -> float:
    if not judged.finished:
        return 0.0
    allowed = max(1.0 - route.info.goal_success, _LEAST_TOLERANCE)
    return judged.failures / judged.finished / allowed


def _cost_ratio(route: RouteBoard, judged: Tally) -> float:
    goal_usd = route.info.goal_cost_usd_per_probe
    return judged.cost_usd / judged.finished / goal_usd if goal_usd and judged.finished else 0.0
