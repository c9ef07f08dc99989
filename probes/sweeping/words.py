"""What a sweep found, in one sentence; pure.

Rule 1: what is said is sure by its interval, or is said with "about" or "perhaps".
Rule 2: a limit is told with whose word it is: measured, or the server's own where that agrees.
Rule 3: names may be anything a file can hold, so they are made harmless here.
"""

from collections.abc import Iterator, Sequence
from math import inf
from typing import Final

import msgspec

from probes.kit.sanitise import neutralise
from probes.kit.short_figures import counted, three_digits
from probes.sweeping.estimates import Estimate
from probes.sweeping.goals import GoalName, SweepGoal
from probes.sweeping.plan import SweepBy, SweepPlan
from probes.sweeping.views import SweepEdge, SweepLimit, SweepPoint, SweepState

GOAL_NAMES: Final[dict[GoalName, str]] = {
    "ttft_p95": "TTFT p95",
    "e2e_p95": "E2E p95",
    "success": "success",
    "tokens_per_s": "tok/s a stream",
}
LATE_S: Final = 0.03
"""Of our own engine: what wakes it so late slows a provider on the same machine, and every stamp
that no kernel made."""
_LONGEST_WORDS: Final = 160


class Findings(msgspec.Struct, frozen=True):
    """What points come to."""

    plan: SweepPlan
    points: tuple[SweepPoint, ...]
    edges: tuple[SweepEdge, ...] = ()
    knee: float | None = None
    limit: SweepLimit | None = None
    limit_load: float | None = None
    best: SweepPoint | None = None
    per_usd: float | None = None
    lag_s: float = 0.0
    """Of our own engine, the worst of all its steps."""


def load_words(load: float, by: SweepBy) -> str:
    """Return a load: `12 at once`, `7.2 a second`."""
    return f"{load:,.0f} at once" if by == "concurrency" else f"{load:.3g} a second"


def load_number(load: float, by: SweepBy) -> str:
    """Return a load without its unit."""
    return f"{load:,.0f}" if by == "concurrency" else f"{load:.3g}"


def goal_words(goal: SweepGoal) -> str:
    """Return a goal: `TTFT p95 ≤ 1.00 s`, `success ≥ 99 %`."""
    sign = "≥" if goal.at_least else "≤"
    return f"{GOAL_NAMES[goal.name]} {sign} {goal_figure(goal.name, goal.value)}"


def goal_figure(name: GoalName, value: float) -> str:
    """Return the figure of a goal with its unit; `never` for a latency without end."""
    if name == "success":
        return f"{value * 100:.3g} %"
    if value == inf:
        return "never"
    return f"{three_digits(value)} s" if name != "tokens_per_s" else f"{value:.3g} tok/s"


def limit_words(limit: SweepLimit) -> str:
    """Return a limit: `concurrency limit 20`, `limit of 60,000 tokens a minute`."""
    told = limit.told if limit.told is not None and _agrees(limit) else None
    value = limit.value if told is None else told
    about = "" if told is not None or limit.kind == "concurrency" else "about "
    match limit.kind:
        case "concurrency":
            words = f"concurrency limit {value:,.0f}"
        case "requests" | "tokens":
            words = f"limit of {about}{_rounded(value)} {limit.kind} a minute"
        case _:
            if value == inf:
                return "of which limit nobody says"
            words = f"about {counted(float(f'{value:.3g}'), 'request')} a minute let in"
    return words + (", as the server says" if told is not None else "")


def _agrees(limit: SweepLimit) -> bool:
    return limit.told is not None and abs(limit.told - limit.value) <= limit.told / 10


def _rounded(value: float) -> str:
    return f"{float(f'{value:.3g}'):,.3g}" if value < 100 else f"{float(f'{value:.3g}'):,.0f}"


def sentence(found: Findings, state: SweepState, why: str = "") -> str:
    """Return what is found by now, or at all where it is over; `why` it ended, where that is not
    that all was found."""
    told = "; ".join(_clauses(found)) if found.points else ""
    match state:
        case "waiting":
            return "Nothing is asked yet."
        case "running":
            return f"So far: {told}." if told else "Nothing is known yet."
        case "done":
            return f"{_capital(told)}."
        case "ill":
            first = load_words(found.plan.first, found.plan.by)
            return (
                f"The provider changed while it was swept: asked again for {first},"
                f" {neutralise(why, _LONGEST_WORDS)}{_own_lag(found)}. No knee and no limit is"
                " claimed."
            )
        case "failed":
            head = f"It cannot be swept: {neutralise(why, _LONGEST_WORDS)}"
        case "budget":
            head = why or "Its budget is spent"
        case "stopped":
            steps = counted(len(found.points), "step")
            head = f"Stopped after {steps}" + (f": {why}" if why else "")
    return f"{head}. By then: {told}." if told else f"{head}."


def _own_lag(found: Findings) -> str:
    """Return that it may have been this machine, where that was late itself."""
    if found.lag_s <= LATE_S:
        return ""
    return f"; perhaps it was this machine, which woke {found.lag_s:.2f} s late"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _clauses(found: Findings) -> Iterator[str]:
    by = found.plan.by
    yield _goals(found)
    knee = next((edge for edge in found.edges if edge.kind == "saturated"), None)
    if found.knee is not None and knee is not None:
        about = "" if knee.closed else "about "
        yield f"knee at {about}{load_words(found.knee, by)}, beyond it more only queues"
    if found.per_usd is not None:
        yield f"best per USD at {load_number(found.per_usd, by)}"
    refused = next((edge for edge in found.edges if edge.kind == "refused"), None)
    if refused is not None:
        yield _refused(found, refused)
    failing = next((edge for edge in found.edges if edge.kind == "failing"), None)
    if failing is not None:
        point = _at(found.points, failing.begins)
        words = neutralise(point.failure, _LONGEST_WORDS)
        yield f"{point.failed + point.hung} of {point.n} fail at {failing.begins:g}: {words}"
    if not found.edges:
        last = found.points[-1]
        yield f"no edge up to {load_words(last.load, by)}"


def _goals(found: Findings) -> str:
    by, best = found.plan.by, found.best
    missed = next((edge for edge in found.edges if edge.kind == "goal"), None)
    if best is None:
        first = found.points[0]
        beyond = _missed_words(first)
        return f"not within goals even at {load_words(first.load, by)}" + (
            f": {beyond}" if beyond else ""
        )
    perhaps = "" if best.surely_within else "perhaps "
    head = f"{perhaps}within goals up to {load_words(best.load, by)}: {_carried(best)}"
    if missed is not None:
        beyond = _missed_words(_at(found.points, missed.begins))
        head += f"; at {load_number(missed.begins, by)} {beyond}"
    return head


def _missed_words(point: SweepPoint) -> str:
    judged = [one.goal for one in point.goals if one.state in ("missed", "beyond")]
    if not judged:
        return ""
    goal = judged[0]
    figure = figure_of(point, goal.name)
    if figure is not None and figure.value == inf:
        unserved = (point.n - point.ok) / max(1, point.n)
        return f"{unserved * 100:.0f} % get no answer"
    value = "unknown" if figure is None else goal_figure(goal.name, figure.value)
    return f"{GOAL_NAMES[goal.name]} {value}"


def figure_of(point: SweepPoint, name: GoalName) -> Estimate | None:
    """Return the figure of a point that a goal is about."""
    match name:
        case "ttft_p95":
            return point.ttft_p95
        case "e2e_p95":
            return point.e2e_p95
        case "success":
            return point.success
        case "tokens_per_s":
            return point.stream_tokens_per_s


def _carried(point: SweepPoint) -> str:
    """Return what a load carries: `TTFT p95 0.94 s, 410 tok/s, 96 requests/min`."""
    parts = []
    latency = point.ttft_p95 or point.e2e_p95
    if latency is not None:
        name: GoalName = "ttft_p95" if point.ttft_p95 else "e2e_p95"
        parts.append(f"{GOAL_NAMES[name]} {goal_figure(name, latency.value)}")
    if point.tokens_per_s is not None:
        parts.append(f"{three_digits(point.tokens_per_s.value)} tok/s")
    if point.requests_per_s is not None:
        parts.append(f"{_rounded(point.requests_per_s.value * 60)} requests/min")
    return ", ".join(parts)


def _refused(found: Findings, edge: SweepEdge) -> str:
    by, limit = found.plan.by, found.limit
    begins = edge.begins
    of_minutes = limit is not None and limit.kind != "concurrency"
    if of_minutes and found.limit_load is not None:
        about = load_words(found.limit_load, by)
        return f"429 from about {about} on ({limit_words(limit)})" if limit else ""
    words = f" ({limit_words(limit)})" if limit is not None else ""
    return f"429 from {load_number(begins, by)} on{words}"


def _at(points: Sequence[SweepPoint], load: float) -> SweepPoint:
    return next(one for one in reversed(points) if one.load == load)
