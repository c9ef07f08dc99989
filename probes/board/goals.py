"""Whether a run met its goals: met, missed or unknown, and why.

Rule 1. Nothing is met by a route that measured nothing: without one finished probe it is unknown.
Rule 2. Success and cost are judged from the first finished probe on.
Rule 3. A p95 is judged from 20 samples on. Of fewer only their maximum is known: where even that is
within the goal the goal is met, else it is unknown, as too few do not tell a tail from a mishap.
Rule 4. A writing speed is judged by its median, from as many samples on as a p95; of fewer it is
unknown.
Rule 5. What was missed outweighs what is unknown, in a route and in the run.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from probes.board.figures import is_enough
from probes.board.happenings import HELD_WORDS
from probes.board.route import RouteBoard
from probes.board.views import Figure
from probes.kit.exit_status import ExitStatus
from probes.stats.tally import Tally

GoalsResult: TypeAlias = Literal["met", "missed", "unknown"]

_STATUSES: Final[Mapping[GoalsResult, ExitStatus]] = {
    "met": ExitStatus.OK,
    "missed": ExitStatus.FAILED,
    "unknown": ExitStatus.UNKNOWN,
}


class GoalsVerdict(msgspec.Struct, frozen=True):
    """What was missed of a route's goals, and what is not known of them."""

    missed: tuple[str, ...] = ()
    """`ttft` and `e2e` (p95), `success`, `cost`, `tokens_per_s` (median)."""
    unknown: tuple[str, ...] = ()
    """Reasons for a person, such as `no probe finished`."""

    @property
    def met(self) -> bool | None:
        """Whether all were met; None where that is not known."""
        if self.missed:
            return False
        return None if self.unknown else True


def goals_verdict(
    route: RouteBoard, tally: Tally, ttft_p95: Figure, e2e_p95: Figure, speed_p50: Figure
) -> GoalsVerdict:
    """Judge the run of one route by what it counted, its two p95s and its median speed."""
    if not tally.finished:
        return GoalsVerdict(unknown=(_why_nothing(route, tally),))
    info = route.info
    cost_goal = info.goal_cost_usd_per_probe
    p95s = (
        ("ttft", ttft_p95, info.goal_ttft_s if info.streamed else None),
        ("e2e", e2e_p95, route.goal_e2e_s),
    )
    speed_goal, speed = info.goal_tokens_per_s, speed_p50.value
    is_timed = speed_goal is not None and is_enough(speed_p50.n, 0.95)
    unknown = [*_unknown_latencies(p95s, tally)]
    if speed_goal is not None and not is_timed and tally.ok:
        unknown.append(f"tokens_per_s: too few samples for a median: {speed_p50.n}")
    verdicts = {
        **{name: figure.grade in ("slow", "sluggish") for name, figure, _ in p95s},
        "success": tally.ok / tally.finished < info.goal_success,
        "cost": cost_goal is not None and tally.cost_usd / tally.finished > cost_goal,
        "tokens_per_s": is_timed and (speed or 0.0) < (speed_goal or 0.0),
    }
    return GoalsVerdict(
        missed=tuple(name for name, missed in verdicts.items() if missed),
        unknown=tuple(unknown),
    )


def _unknown_latencies(
    p95s: Iterable[tuple[str, Figure, float | None]], tally: Tally
) -> Iterator[str]:
    """Give what is not known of a latency goal, though probes finished."""
    for name, p95, goal in p95s:
        if goal is None or p95.enough:
            continue
        if p95.value is not None and p95.value > goal:
            yield f"{name}: too few samples for a p95: {p95.n}, not all of them within the goal"
        elif p95.value is None and tally.ok and name == "e2e":
            # An answer that came whole has no TTFT; it has an E2E, but where a gap spoilt it.
            yield "e2e: no sample that counts"


def _why_nothing(route: RouteBoard, tally: Tally) -> str:
    what = "no probe finished" if route.accounts.attempts else "no probe was started"
    held = {*route.held, *route.place.held}
    if route.paused:
        held.add("paused")
    if route.cool_down is not None:
        held.add("cool_down")
    reasons = [HELD_WORDS.get(reason, reason) for reason in sorted(held)]
    if tally.cancelled:
        reasons.append(f"{tally.cancelled} cancelled at the end of the run")
    return f"{what} ({', '.join(reasons)})" if reasons else what


def run_verdict(summary: Mapping[str, Mapping[str, Any]]) -> GoalsResult:
    """Judge a run by the summary of its routes; without any route nothing was measured."""
    verdicts = {route["goals_met"] for route in summary.values()}
    if False in verdicts:
        return "missed"
    return "met" if verdicts == {True} else "unknown"


def goals_status(summary: Mapping[str, Mapping[str, Any]]) -> ExitStatus:
    """Return what `--fail-on-goals` ends a run with, on a screen and without one."""
    return _STATUSES[run_verdict(summary)]


def goals_remarks(summary: Mapping[str, Mapping[str, Any]]) -> Iterable[str]:
    """Return, a line each, which routes missed goals, or of which that is unknown, and why."""
    for name, route in summary.items():
        if route["goals_missed"]:
            yield f"{name}: goals missed: {', '.join(route['goals_missed'])}"
        elif route["goals_unknown"]:
            yield f"{name}: goals unknown: {'; '.join(route['goals_unknown'])}"
