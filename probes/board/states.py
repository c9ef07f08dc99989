"""How a route is doing, in one word, and how badly."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Final, NamedTuple, get_args

from probes.board.figures import SLUGGISH_SHARE, is_enough
from probes.board.reading import Reading
from probes.board.route import RouteBoard
from probes.board.views import RouteState
from probes.events import HeldReason
from probes.stats.tally import Tally
from probes.stats.windows import WindowName

STATE_ORDER: Final[tuple[RouteState, ...]] = get_args(RouteState)
_THROTTLED_SHARE: Final = 0.01
_DOWN_FROM: Final = 3
"""So many probes in a row of the last 10 to 20 s without one that succeeded are an outage."""
_LEAST_TOLERANCE: Final = 0.001
_HOLDING: Final[frozenset[HeldReason]] = frozenset(("budget", "reader_stalled", "restarting"))


class Judgement(NamedTuple):
    """What is to be said of a route."""

    state: RouteState
    pain: float
    """Worst ratio of p95, failure share and cost to what their goals allow."""
    why: str
    """In a few words; empty where the state says it all; may be a server's words: hostile."""


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What a route is judged by."""

    recent: Tally
    """The last minute."""
    judged: Tally
    """What success is judged by: the last minute, or five where nothing finished in it."""
    newest: tuple[int, int]
    """Probes of the last 10 to 20 s: how many finished, how many of them ok."""
    pains: Mapping[str, float]
    """p95 of each latency as a multiple of its goal."""


def judge(reading: Reading, everywhere: frozenset[HeldReason]) -> Judgement:
    """Judge a route at the moment of `reading`.

    Success is judged over the last minute, or the last five where nothing finished in it; a p95
    over the last minute where it has 20 samples, else over five where these have, else not at all.
    Down is nothing ok among at least three probes of the last 10 to 20 s, or among all of what
    success is judged by. Throttled is ≥ 1 % of the last minute's attempts, or cooling down.
    `everywhere` is what holds all routes. The reason is the most frequent one of what the state was
    judged by, with its share where there are others; for latency, the worse p95 as a multiple of
    its goal.
    """
    route, recent = reading.route, reading.tally("1m")
    found = _Evidence(
        recent=recent,
        judged=recent if recent.finished else reading.tally("5m"),
        newest=reading.newest(),
        pains={metric: _latency_pain(reading, metric) for metric in ("ttft", "e2e")},
    )
    pain = max(
        *found.pains.values(), _failure_pain(route, found.judged), _cost_pain(route, found.judged)
    )
    state = _state(reading, found, route.held | everywhere)
    return Judgement(state, pain, _why(found, state))


def _state(reading: Reading, found: _Evidence, held: Set[HeldReason]) -> RouteState:
    route, judged = reading.route, found.judged
    if route.paused or "paused" in held:
        return "paused"
    if held & _HOLDING:
        return "held"
    if _is_down(found.newest, judged):
        return "down"
    if judged.finished and judged.ok / judged.finished < route.info.goal_success:
        return "failing"
    if _is_throttled(found.recent) or route.cool_down_s(reading.now_ns) is not None:
        return "throttled"
    if not judged.finished and not reading.tally("run").finished:
        return "starting"
    return _by_latency(max(found.pains.values()))


def _why(found: _Evidence, state: RouteState) -> str:
    match state:
        case "down" | "failing":
            return _most_frequent(found.judged.failed_by)
        case "throttled":
            return _most_frequent(found.recent.throttled_by)
        case "sluggish" | "slow":
            metric = max(found.pains, key=found.pains.__getitem__)
            return f"{metric.upper()} p95 {found.pains[metric]:.1f}× goal"
        case _:
            return ""


def worst_first(routes: list[RouteBoard]) -> list[RouteBoard]:
    """Return the routes by state, then pain, then name."""
    order = {state: position for position, state in enumerate(STATE_ORDER)}
    return sorted(routes, key=lambda route: (order[route.state], -route.pain, route.info.name))


def _is_down(newest: tuple[int, int], judged: Tally) -> bool:
    """Whether nothing succeeds any more: none of the last few, or none at all."""
    finished, ok = newest
    gone = finished >= _DOWN_FROM and not ok
    return gone or (judged.finished > 0 and not judged.ok)


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


def _latency_pain(reading: Reading, metric: str) -> float:
    goal = reading.route.goal_s(metric)
    windows: tuple[WindowName, ...] = ("1m", "5m")
    for window in windows if goal else ():
        figures = reading.figures(metric, window)
        if goal and is_enough(figures.n, 0.95):
            value = figures.at(0.95)[0].value
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
