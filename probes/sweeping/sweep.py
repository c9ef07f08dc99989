"""A sweep as a pure fold: steps out, points in, a view at any time.

Rule 1: loads double until an edge is met (`probes.sweeping.edges`) or the most is reached. Then the
first load is asked for once more, and only if the provider still is what it was are the edges
closed in on. Before that the load that met one is asked for again: where the edge is gone it was a
moment's, and loads go on to double. At the very end the first load is asked for again.
Rule 2: a provider that fails at the first load, or is slower or faster there than it was, has
changed meanwhile: the points are told, and nothing is concluded from them.
Rule 3: a limit that the server tells is not run into from far above: the load is asked for that it
allows, and then a tenth more.
"""

from collections.abc import Iterable, Iterator, Sequence
from math import ceil, inf, sqrt
from statistics import median
from typing import Final

from probes.events import Limit
from probes.stats.comparison import SURE as SURE_P
from probes.stats.comparison import mann_whitney
from probes.sweeping.edges import (
    edges_of,
    is_failing,
    is_refused,
    knee_of,
    limit_of,
    load_of_limit,
)
from probes.sweeping.plan import (
    CLOSE,
    GROWTH,
    LEAST_COMPARED,
    MOST_CHECKS,
    MOST_CLOSING,
    MOST_CONFIRMS,
    SweepPlan,
)
from probes.sweeping.step import SweepStep
from probes.sweeping.views import (
    SweepCost,
    SweepEdge,
    SweepLimit,
    SweepPoint,
    SweepState,
    SweepView,
)
from probes.sweeping.words import Findings, sentence

CHEAPER: Final = 0.02
"""Of what tokens cost: less is how long answers happened to be."""
CHANGED: Final = 1.3
"""By so many times a median must have moved at the first load: what is less moves no edge by more
than it is known to."""


class Sweep:
    """One sweep by now."""

    def __init__(self, plan: SweepPlan, cost: SweepCost) -> None:
        """Begin with nothing asked; `cost` is what it may use at most."""
        self.plan = plan
        self.cost = cost
        self.state: SweepState = "waiting"
        self.points: list[SweepPoint] = []
        self.step: SweepStep | None = None
        """The one that runs."""
        self._why = ""
        self._changed = ""
        self._told: dict[tuple[str, str], Limit] = {}

    def hear_limits(self, limits: Iterable[Limit]) -> None:
        """Take what a server tells of its limits."""
        for limit in limits:
            if limit.limit is not None:
                self._told[limit.kind, limit.window] = limit

    def next_step(self) -> SweepStep | None:
        """Return the step to make now; None where there is nothing left to find."""
        step = self._next()
        self.step = step
        return step

    def take(self, point: SweepPoint) -> None:
        """Take what a step came to."""
        self.points.append(point)
        self.step = None
        if point.purpose == "check":
            self._changed = self._changed or self._what_changed(point)

    def end(self, state: SweepState, why: str = "") -> None:
        """End it; `why` is told where it is not that all was found."""
        self.step = None
        if state == "done" and self._changed:
            state, why = "ill", self._changed
        self.state, self._why = state, why

    @property
    def is_ill(self) -> bool:
        """Whether the provider is not what it was."""
        return bool(self._changed)

    # What to ask for.

    def _next(self) -> SweepStep | None:
        if self._changed:
            return None
        plan, own = self.plan, [one for one in self.points if one.purpose != "check"]
        if not own:
            return SweepStep(plan, plan.first, "grow")
        checks = len(self.points) - len(own)
        edges = edges_of(own, plan)
        if own[-1].load < plan.most and (not edges or self._may_be_chance(edges, own[-1])):
            return SweepStep(plan, self._grown(own[-1].load), "grow")
        if len(own) == 1:
            return None
        if not checks:
            return SweepStep(plan, plan.first, "check")
        load = self._closing(own, edges)
        if load is not None:
            return SweepStep(plan, load, "confirm" if load == own[-1].load else "close_in")
        if self.points[-1].purpose != "check" and checks < MOST_CHECKS:
            return SweepStep(plan, plan.first, "check")
        return None

    def _closing(self, own: list[SweepPoint], edges: Sequence[SweepEdge]) -> float | None:
        """Return the load that tells most of the edges that were met, first whether there are any;
        None where nothing is left to tell."""
        confirms = sum(one.purpose == "confirm" for one in own)
        if edges and own[-1].purpose == "grow" and confirms < MOST_CONFIRMS:
            return own[-1].load
        if sum(one.purpose == "close_in" for one in own) >= MOST_CLOSING:
            return None
        loads = (self._between(edge, own) for edge in edges)
        return next((load for load in loads if load is not None), None)

    def _may_be_chance(self, edges: Sequence[SweepEdge], last: SweepPoint) -> bool:
        """Tell whether all there is is a queue that one step by rate has seen: queues come and go,
        and twice as much shows whether it stays."""
        if self.plan.by != "rate" or last.purpose != "grow":
            return False
        return [(edge.kind, edge.begins) for edge in edges] == [("saturated", last.load)]

    def _grown(self, load: float) -> float:
        """Return the next load of the growth: a limit that is told is met on the way."""
        plan = self.plan
        grown = min(plan.rounded(load * GROWTH), plan.most)
        told = self._told.get(("concurrency", ""))
        if plan.by == "rate" or told is None or not told.limit:
            return grown
        if load < told.limit < grown:
            return plan.rounded(told.limit)
        if load == told.limit:
            return min(_above(load), plan.most)
        return grown

    def _between(self, edge: SweepEdge, own: list[SweepPoint]) -> float | None:
        """Return the load that tells most of where an edge is; None where it is known."""
        plan, holds, begins = self.plan, edge.holds, edge.begins
        if edge.closed or holds is None:
            return None
        wanted: list[float] = []
        if edge.kind == "saturated":
            knee = knee_of(own, plan)
            wanted = [] if knee is None else [knee, knee * CLOSE]
        elif edge.kind == "refused":
            limit = limit_of(own, self._told.values())
            load = None if limit is None else load_of_limit(limit, own, plan)
            if limit is not None and load is not None:
                if limit.kind == "concurrency":
                    wanted = [load, max(holds, load) * CLOSE]
                elif holds >= load / CLOSE:
                    return None  # what a bucket holds lets more in for a while, and tells nothing
                else:
                    wanted = [load / sqrt(CLOSE)]
        for one in (*wanted, sqrt(holds * begins), holds + 1):
            load = plan.rounded(one)
            if holds < load < begins:
                return load
        return None

    # Whether the provider is still what it was.

    def _what_changed(self, check: SweepPoint) -> str:
        first = next(one for one in self.points if one.load == check.load)
        if is_failing(check) and not is_failing(first):
            return f"{check.failed + check.hung} of {check.n} failed there: {check.failure}"
        if check.ok < LEAST_COMPARED <= first.ok:
            return (
                f"only {check.ok} came back there in {check.seconds:.0f} s, and {first.ok} before"
            )
        for name, before, after in (
            ("to the first token", first.samples, check.samples),
            ("to the end", first.e2e_samples, check.e2e_samples),
        ):
            if min(len(before), len(after)) < LEAST_COMPARED:
                continue
            was, found = median(before), median(after)
            factor = max(found / was, was / found) if was > 0 and found > 0 else 1.0
            if factor >= CHANGED and mann_whitney(before, after).p < SURE_P:
                return (
                    f"the median {name} was {was:.2f} s there, and then {found:.2f} s"
                    f" (n {len(before)}/{len(after)})"
                )
        return ""

    # What there is to show.

    @property
    def limit(self) -> SweepLimit | None:
        """The limit that was met; None where none was, or nothing is claimed."""
        return None if self._changed else limit_of(self.points, self._told.values())

    def view(self) -> SweepView:
        """Return how it stands."""
        plan, points = self.plan, self.points
        own = [one for one in points if one.purpose != "check"]
        edges = () if self._changed else edges_of(own, plan)
        limit = self.limit
        limit_load = None if limit is None else load_of_limit(limit, own, plan)
        findings = Findings(
            plan=plan,
            points=tuple(own),
            lag_s=max((one.lag_s for one in points), default=0.0),
            edges=edges,
            knee=None if self._changed else knee_of(own, plan),
            limit=limit,
            limit_load=limit_load,
            best=None if self._changed else _best(own, edges, limit_load),
            per_usd=None if self._changed else _per_usd(own),
        )
        step = self.step
        return SweepView(
            route=plan.route.name,
            by=plan.by,
            first=plan.first,
            most=plan.most,
            goals=plan.goals,
            state=self.state,
            cost=self.cost,
            sentence=sentence(findings, self.state, self._why),
            points=tuple(points),
            edges=edges,
            knee=findings.knee,
            limit=limit,
            best=None if findings.best is None else findings.best.load,
            per_usd=findings.per_usd,
            load=None if step is None else step.load,
            running=step.point() if step is not None and step.n else None,
            step_share=0.0 if step is None else step.share_done,
            most_tokens=plan.most_tokens,
            most_usd=plan.most_usd,
            left_s=self._left_s() if self.state == "running" else None,
        )

    def _left_s(self) -> float:
        """Return how long it takes from now on, if it goes on as it does."""
        lasted = [one.seconds for one in self.points]
        each_s = sum(lasted) / len(lasted) if lasted else self.plan.step_s
        step_s = 0.0 if self.step is None else self.step.seconds_left
        return step_s + each_s * sum(1 for _ in self._to_come())

    def _to_come(self) -> Iterator[float]:
        """Yield the loads that are probably still asked for."""
        plan, own = self.plan, [one for one in self.points if one.purpose != "check"]
        last = self.step.load if self.step is not None else (own[-1].load if own else 0.0)
        edges = edges_of(own, plan)
        if not edges:
            growing = self.step is None or self.step.purpose == "grow"
            yield from (load for load in plan.growing if load > last and growing)
        open_edges = [edge for edge in edges if not edge.closed and edge.holds is not None]
        yield from (edge.begins for edge in open_edges for _ in range(2))
        yield plan.first


def _above(load: float) -> float:
    return float(max(round(load * CLOSE), round(load) + 1))


def _best(
    own: list[SweepPoint], edges: Iterable[SweepEdge], limit_load: float | None
) -> SweepPoint | None:
    """Return the point of the largest load up to which goals are kept, and no limit is passed: what
    is left in a bucket carries more for a while, and not for longer."""
    missed = min((edge.begins for edge in edges if edge.kind == "goal"), default=None)
    held = ceil(limit_load) if limit_load is not None else inf
    kept = [
        one
        for one in own
        if one.ok
        and one.within
        and not is_refused(one)
        and one.load <= held
        and (missed is None or one.load < missed)
    ]
    return max(kept, key=lambda one: one.load, default=None)


def _per_usd(own: Iterable[SweepPoint]) -> float | None:
    """Return the largest load at which tokens cost least; None where they surely cost more at
    none."""
    costs = {one.load: one.usd_per_ktok for one in own if one.usd_per_ktok is not None}
    if not costs:
        return None
    cheapest = min(costs.values(), key=lambda cost: cost.value)
    dearest = max(costs.values(), key=lambda cost: cost.low)
    if dearest.low <= max(cheapest.high, cheapest.value * (1 + CHEAPER)):
        return None
    cheap = cheapest.value * (1 + CHEAPER)
    return max(load for load, cost in costs.items() if cost.value <= cheap)
