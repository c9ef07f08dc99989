"""What comes with more load, and where it begins: pure judgements over points.

Rule 1: nothing is called an edge that is not sure by its interval. What a step saw too little of is
no edge: the next one asks for more, or its figures are told as what they are.
Rule 2: of requests at once, a queue shows in two points. By Little's law what is in flight is the
throughput times the time that each takes, so of the requests that one point has more than another,
those wait for their first token whose wait makes up for them: the slope of TTFT against requests in
flight, times the throughput. Where that is surely more than half, and throughput did not surely
grow by half of what it could have, more requests are mostly a longer queue. Source: J. D. C.
Little, A Proof for the Queuing Formula L = λW, Operations Research 9 (1961); P. J. Denning, J. P.
Buzen, The Operational Analysis of Queueing Network Models, ACM Computing Surveys 10 (1978).
Rule 3: of requests a second a queue shows in one point: requests in flight and TTFT both surely
rise while it is measured, and less comes back than is asked for.
Rule 4: where a queue is known, so is the knee: what is in flight without those that wait; or what
comes back a second. Its edge lies between the loads next to that.
Rule 5: a 429 for requests at once comes at that many. One for requests or tokens a minute comes
when a bucket is empty, and how much is let in between two of them is how fast it fills: that is the
limit, whatever was in the bucket before.
"""

from collections.abc import Iterable, Sequence
from math import inf, sqrt
from statistics import median
from typing import Final

from probes.events import Limit
from probes.sweeping.estimates import Estimate, share
from probes.sweeping.plan import CLOSE, FEWEST_OF_STEP, SweepPlan
from probes.sweeping.views import EdgeKind, LimitKind, SweepEdge, SweepLimit, SweepPoint

FAILING: Final = 0.05
"""Share of failures that are no 429, above which they surely are more than chance."""
REFUSED: Final = 0.01
"""Share of 429s from which they belong to the load."""
_LEAST_REFUSED: Final = 2
QUEUED: Final = 0.5
"""Share of further requests from which most of them only wait."""
SERVED: Final = 0.98
"""Of what is asked for in a second: where less comes back, the rest piles up."""
PILED: Final = 0.05
"""And this share of it at least stays in flight each second: half of what an edge is known to."""
SERVED_BEFORE: Final = 0.95
_STEADY: Final = 0.15
"""Half the spread of what was in flight at refusals, as a share of it, up to which they are for
requests at once: a bucket is empty at any number."""
_AGREES: Final = 0.1


def is_refused(point: SweepPoint) -> bool:
    """Tell whether 429s belong to a load."""
    return point.throttled >= max(_LEAST_REFUSED, REFUSED * point.n)


def is_failing(point: SweepPoint) -> bool:
    """Tell whether failures other than 429s are surely more than chance."""
    found = share(point.failed + point.hung, point.n)
    return found is not None and found.low > FAILING


def queued(before: SweepPoint, point: SweepPoint) -> Estimate | None:
    """Return which share of the requests that a point has more than another one waits for its first
    token; None where that is not known."""
    more = point.load - before.load
    ttft, usual, served = point.ttft_mean, before.ttft_mean, point.requests_per_s
    if more <= 0 or ttft is None or usual is None or served is None:
        return None
    risen_s = ttft.value - usual.value
    value = served.value * risen_s / more
    spread_s = sqrt((ttft.high - ttft.value) ** 2 + (usual.high - usual.value) ** 2)
    reach = served.value * spread_s / more
    return Estimate(value, value - reach, value + reach)


def is_saturated(sound: Sequence[SweepPoint], point: SweepPoint, plan: SweepPlan) -> bool:
    """Tell whether more load is mostly a longer queue than at any of some smaller loads at which it
    is not."""
    served = point.requests_per_s
    if served is None:
        return False
    if plan.by == "rate":
        grows, waits = point.in_flight_slope, point.ttft_slope
        if grows is None or waits is None or grows.low <= 0 or waits.low <= 0:
            return False
        return grows.value > PILED * point.load and served.value < SERVED * point.load
    return any(_only_queues(before, point) for before in sound)


def _only_queues(before: SweepPoint, point: SweepPoint) -> bool:
    usual, served, waits = before.requests_per_s, point.requests_per_s, queued(before, point)
    if usual is None or served is None or waits is None or not waits.low > QUEUED:
        return False
    return served.low < usual.value * (1 + QUEUED * (point.load / before.load - 1))


def edges_of(points: Sequence[SweepPoint], plan: SweepPlan) -> tuple[SweepEdge, ...]:
    """Return the edges that points show, the nearest first; of one load its last point counts."""
    ordered = _by_load(points)
    marks: dict[EdgeKind, list[bool]] = {
        "refused": [is_refused(one) for one in ordered],
        "failing": [is_failing(one) for one in ordered],
    }
    knee = knee_of(points, plan)
    if knee is not None:
        marks["saturated"] = [one.load > knee for one in ordered]
    # Last: of edges that begin at one load, what is a limit is closed in on before a wish.
    marks["goal"] = [one.missed for one in ordered]
    found: list[SweepEdge] = []
    for kind, bad in marks.items():
        if True not in bad:
            continue
        first = bad.index(True)
        begins = ordered[first].load
        holds = ordered[first - 1].load if first else None
        found.append(SweepEdge(kind, holds, begins, _is_closed(holds, begins, plan)))
    return tuple(sorted(found, key=lambda edge: edge.begins))


def _by_load(points: Iterable[SweepPoint]) -> list[SweepPoint]:
    by_load = {one.load: one for one in points if one.purpose != "check"}
    return [by_load[load] for load in sorted(by_load)]


def knee_of(points: Sequence[SweepPoint], plan: SweepPlan) -> float | None:
    """Return the load beyond which more only queues; None where no point surely shows a queue."""
    ordered = _by_load(points)
    # Whatever came back in a second somewhere is carried: at a smaller rate a queue was chance.
    served = SERVED_BEFORE * _most_served(ordered) if plan.by == "rate" else 0.0
    sound: list[SweepPoint] = []
    beyond: list[SweepPoint] = []
    for point in ordered:
        if beyond or (point.load >= served and is_saturated(sound, point, plan)):
            beyond.append(point)
        elif not is_refused(point) and not is_failing(point):
            sound.append(point)
    if not beyond:
        return None
    if plan.by == "rate":
        # Each counts as long as it lasted: over a few seconds what comes back is chance.
        lasted_s = sum(one.seconds for one in beyond)
        carried = sum(one.ok for one in beyond) / lasted_s if lasted_s > 0 else beyond[0].load
        return plan.rounded(min(carried, beyond[0].load))
    return plan.rounded(min(_knee_by(sound, beyond), beyond[0].load))


def _knee_by(sound: Sequence[SweepPoint], beyond: Sequence[SweepPoint]) -> float:
    """Return what is in flight without those that wait, by all longer queues together: the longest
    tell it most exactly.

    What the first token takes where nobody waits is told by the largest load that is clearly below
    the knee that it gives. One that queues itself gives itself, and one far below may not know how
    prompts that are read side by side slow each other.
    """
    middle = sound[-1].load
    for before in reversed(sound):
        guesses = [
            point.load - waits.value * (point.load - before.load)
            for point in beyond
            if (waits := queued(before, point)) is not None
        ]
        if not guesses:
            continue
        middle = max(before.load, median(guesses))
        if middle >= before.load * CLOSE:
            break
    return middle


def _is_closed(holds: float | None, begins: float, plan: SweepPlan) -> bool:
    if holds is None:
        return True
    next_load = plan.rounded(holds * CLOSE) if plan.by == "rate" else holds + 1
    return begins <= max(holds * CLOSE * (1 + 1e-9), next_load)


def _most_served(points: Iterable[SweepPoint]) -> float:
    """Return the most that came back in a second over a whole step; of few it is chance."""
    told = [one.ok / one.seconds for one in points if one.ok >= FEWEST_OF_STEP and one.seconds > 0]
    return max(told, default=0.0)


def limit_of(points: Sequence[SweepPoint], told: Iterable[Limit]) -> SweepLimit | None:
    """Return the limit that 429s are of; None where there were none."""
    refused = [one for one in points if is_refused(one) and one.refused_at is not None]
    if not refused:
        return None
    named = next((one.refused_for for one in refused if one.refused_for), "")
    at = [one.refused_at for one in refused if one.refused_at is not None]
    steady = all(one.high - one.low <= 2 * _STEADY * one.value for one in at)
    kind: LimitKind
    if named == "concurrency" or (not named and steady):
        kind, value = "concurrency", median(one.value for one in at)
    elif named == "requests":
        kind, value = "requests", _middle(one.let_in_requests for one in refused)
    elif named:
        kind, value = "tokens", _middle(one.let_in_tokens for one in refused)
    else:
        kind, value = "unknown", _middle(one.let_in_requests for one in refused)
    says = [one.limit for one in told if one.limit and _is_of(one, kind)]
    nearest = min(says, key=lambda one: abs(one - value), default=None)
    return SweepLimit(kind, value, nearest)


def _middle(values: Iterable[float | None]) -> float:
    known = [one for one in values if one is not None]
    return median(known) if known else inf


def _is_of(limit: Limit, kind: LimitKind) -> bool:
    if kind == "concurrency":
        return limit.kind == "concurrency"
    return limit.kind == kind and limit.window in ("", "minute")


def load_of_limit(limit: SweepLimit, points: Sequence[SweepPoint], plan: SweepPlan) -> float | None:
    """Return the load that a limit carries, by what the largest point without a 429 needed; None
    where nobody can tell."""
    if not 0 < limit.value < inf:
        return None
    if limit.kind == "concurrency" and plan.by == "concurrency":
        return limit.value
    calm = [
        one
        for one in points
        if one.purpose != "check" and not one.throttled and one.requests_per_s is not None
    ]
    if not calm:
        return None
    last = max(calm, key=lambda one: one.load)
    served = last.requests_per_s
    assert served is not None  # noqa: S101 - as chosen
    if not served.value or not last.in_flight:
        return None
    if limit.kind == "concurrency":
        return limit.value * served.value / last.in_flight
    each = last.reserved if limit.kind == "tokens" else 1.0
    if not each:
        return None
    per_s = limit.value / each / 60
    return per_s if plan.by == "rate" else per_s * last.load / served.value


def agrees(limit: SweepLimit) -> bool:
    """Tell whether the server says what was measured."""
    return limit.told is not None and abs(limit.told - limit.value) <= _AGREES * limit.told
