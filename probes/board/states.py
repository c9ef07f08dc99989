"""How a route is doing, in one word, and how badly."""

from collections.abc import Mapping
from typing import Final, get_args

from probes.board.figures import SLUGGISH_SHARE, figures, is_enough
from probes.board.route import RouteBoard
from probes.events import HeldReason
from probes.tally import Tally
from probes.views import RouteState, WindowName

__all__ = ["STATE_ORDER", "explain", "judge", "worst_first"]

STATE_ORDER: Final[tuple[RouteState, ...]] = get_args(RouteState)
_THROTTLED_SHARE: Final = 0.01
_DOWN_FROM: Final = 3
"""So many probes in a row of the last 10 to 20 s without one that succeeded are an outage."""
_LEAST_TOLERANCE: Final = 0.001
_HOLDING: Final[frozenset[HeldReason]] = frozenset(("budget", "reader_stalled", "restarting"))


def judge(
    route: RouteBoard, now_ns: int, everywhere: frozenset[HeldReason]
) -> tuple[RouteState, float]:
    """Return state and pain of a route at the stamp `now_ns`.

    Success is judged over the last minute, or the last five where nothing finished in it; a p95
    over the last minute where it has 20 samples, else over five where these have, else not at all.
    Down is nothing ok among at least three probes of the last 10 to 20 s, or among all of what
    success is judged by. Throttled is ≥ 1 % of the last minute's attempts, or cooling down.
    `everywhere` is what holds all routes. Pain is the worst ratio of p95, failure share and cost
    to what their goals allow.
    """
    recent, judged = _judged(route, now_ns)
    latency = max(_latency_pain(route, now_ns, metric) for metric in ("ttft", "e2e"))
    pain = max(latency, _failure_pain(route, judged), _cost_pain(route, judged))
    held = route.held | everywhere
    if route.paused or "paused" in held:
        return "paused", pain
    if held & _HOLDING:
        return "held", pain
    if _is_down(route.tallies.newest(now_ns - route.origin_ns), judged):
        return "down", pain
    if judged.finished and judged.ok / judged.finished < route.info.goal_success:
        return "failing", pain
    if _is_throttled(recent) or route.cool_down_s(now_ns) is not None:
        return "throttled", pain
    if not route.tally("run", now_ns).finished:
        return "starting", pain
    return _by_latency(latency), pain


def explain(route: RouteBoard, now_ns: int, state: RouteState) -> str:
    """Return why a route is in `state`, in a few words; empty where the state says it all.

    The most frequent reason of what the state was judged by, with its share where there are others;
    for latency, the worse p95 as a multiple of its goal. Reasons may be a server's words: hostile.
    """
    recent, judged = _judged(route, now_ns)
    match state:
        case "down" | "failing":
            return _most_frequent(judged.failed_by)
        case "throttled":
            return _most_frequent(recent.throttled_by)
        case "sluggish" | "slow":
            pains = {metric: _latency_pain(route, now_ns, metric) for metric in ("ttft", "e2e")}
            metric = max(pains, key=pains.__getitem__)
            return f"{metric.upper()} p95 {pains[metric]:.1f}× goal"
        case _:
            return ""


def worst_first(routes: list[RouteBoard]) -> list[RouteBoard]:
    """Return the routes by state, then pain, then name."""
    order = {state: position for position, state in enumerate(STATE_ORDER)}
    return sorted(routes, key=lambda route: (order[route.state], -route.pain, route.info.name))


def _is_down(newest: Tally, judged: Tally) -> bool:
    """Whether nothing succeeds any more: none of the last few, or none at all."""
    gone = newest.finished >= _DOWN_FROM and not newest.ok
    return gone or (judged.finished > 0 and not judged.ok)


def _judged(route: RouteBoard, now_ns: int) -> tuple[Tally, Tally]:
    """Return the last minute, and what success is judged by."""
    recent = route.tally("1m", now_ns)
    return recent, recent if recent.finished else route.tally("5m", now_ns)


def _most_frequent(counts: Mapping[str, int]) -> str:
    if not counts:
        return ""
    reason = max(sorted(counts), key=counts.__getitem__)
    share = counts[reason] / sum(counts.values())
    return reason if share == 1.0 else f"{reason} {share:.0%}"


def _by_latency(latency: float) -> RouteState:
    if latency > SLUGGISH_SHARE:
        return "sluggish"
    return "slow" if latency > 1.0 else "ok"


def _is_throttled(recent: Tally) -> bool:
    return recent.throttled >= max(1.0, _THROTTLED_SHARE * recent.attempts)


def _latency_pain(route: RouteBoard, now_ns: int, metric: str) -> float:
    goal = route.info.goal_ttft_s if metric == "ttft" else route.goal_e2e_s
    windows: tuple[WindowName, ...] = ("1m", "5m")
    for window in windows if goal is not None else ():
        parts = route.samples(metric, window, now_ns)
        if goal and is_enough(sum(part.n for part in parts), 0.95):
            value = figures(parts, (0.95,), goal)[0].value
            return 0.0 if value is None else value / goal
    return 0.0


def _failure_pain(route: RouteBoard, judged: Tally) -> float:
    if not judged.finished:
        return 0.0
    allowed = max(1.0 - route.info.goal_success, _LEAST_TOLERANCE)
    return judged.failures / judged.finished / allowed


def _cost_pain(route: RouteBoard, judged: Tally) -> float:
    goal = route.info.goal_cost_usd_per_probe
    return judged.cost_usd / judged.finished / goal if goal and judged.finished else 0.0
