"""One step of a sweep: a load, what ended under it, and the point that it comes to.

Rule 1: its warm-up is thrown away: as many probes as are in flight, and a second at least. What
began before the load was reached saw another one.
Rule 2: it measures what ends in a stretch of time. Answers that begin and end in it alone would be
the short ones. What hangs is in it too: a probe still open at the end for twice as long as any
that ended took counts as a failure, and as a latency of at least that.
Rule 3: it ends when its intervals are tight enough, when its time is over, or when its probes are
used up, whichever comes first; it is told which. It looks at half as many again each time, so that
it does not look until chance shows it what it wants to see.
Rule 4: every moment is the engine's: a stamp of an event. No clock is asked.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from math import inf
from statistics import fmean, median
from typing import Final

from msgspec.structs import replace

from probes.sweeping.estimates import Estimate, mean, quantile, rate, ratio, share, slope
from probes.sweeping.plan import FEWEST_OF_STEP, LEAST_COMPARED, LEAST_MEASURED, PATIENCE, SweepPlan
from probes.sweeping.results import SweepProbe
from probes.sweeping.views import JudgedGoal, StepEnd, StepPurpose, SweepPoint

LEAST_WARM_S: Final = 1.0
MOST_WARM: Final = 0.5
"""Of a step's time: where an answer takes longer than that, it is measured as it is."""
MOST_EMPTY: Final = 5
"""Times of a step after which one in which nothing ended is over: starts that come by chance may
all be late, and where they are few that says nothing of who answers."""
TIGHT_RATE: Final = 0.05
"""Half the interval of throughput, as a share of it: half of what an edge is closed in on."""
TIGHT_GROWING: Final = 0.1
"""The same while loads double: what comes next is twice as much."""
CLEAR: Final = 0.5
"""Of a goal: while loads double, a p95 that is shorter than that is no question."""
TIGHT_LATENCY: Final = 0.15
"""The same of the mean TTFT, where no goal decides."""
HUNG: Final = 2.0
"""Times what the longest that ended took: what is open for longer is no slow answer."""
_LOOK_AGAIN: Final = 1.5
_LEAST_REFUSED: Final = 2
"""One refusal may be somebody else's on the same key, or a place that is not free yet."""


class SweepStep:
    """A step that runs."""

    def __init__(self, plan: SweepPlan, load: float, purpose: StepPurpose) -> None:
        """Prepare it; it begins with the first moment it is told of."""
        self.load = load
        self.purpose: StepPurpose = purpose
        self.skipped = 0
        self.lag_s = 0.0
        """How late our own engine woke so far, the worst p99 of a second."""
        self._plan = plan
        self._places = plan.in_flight(load)
        self._began_s: float | None = None
        self._warm_s: float | None = None
        self._now_s = 0.0
        self._probes: list[SweepProbe] = []
        self._look_at = float(LEAST_MEASURED)
        self._end: StepEnd | None = None

    @property
    def n(self) -> int:
        """Probes that were measured so far."""
        return len(self._measured())

    @property
    def is_warm(self) -> bool:
        """Whether it measures."""
        return self._warm_s is not None

    @property
    def end(self) -> StepEnd | None:
        """Why it ended; None while it runs."""
        return self._end

    @property
    def share_done(self) -> float:
        """How much of its time is over, from 0 to 1."""
        if self._warm_s is None:
            return 0.0
        return min(1.0, max(0.0, (self._now_s - self._warm_s) / self._plan.step_s))

    @property
    def seconds_left(self) -> float:
        """How long it takes at most from now on."""
        return (1 - self.share_done) * self._plan.step_s

    def take(self, probe: SweepProbe) -> None:
        """Take a probe that ended; what began before the step is none of its own."""
        if self._end is None and self._began_s is not None and probe.started_s >= self._began_s:
            self._probes.append(probe)
            self.look(probe.ended_s)

    def look(self, now_s: float, started: int = 0) -> None:
        """Learn what time it is, and how many it has sent; it may end by that."""
        if self._began_s is None:
            self._began_s = now_s
        self._now_s = max(self._now_s, now_s)
        if self._end is not None:
            return
        passed_s = self._now_s - self._began_s
        if self._warm_s is None:
            are_round = len(self._probes) >= self._together and passed_s >= LEAST_WARM_S
            if are_round or passed_s >= MOST_WARM * self._plan.step_s:
                self._warm_s = self._now_s
            return
        n = self.n
        if n >= self._plan.most_measured(self.load) or started >= self._most_started:
            self._end = "probes"
        elif self._now_s - self._warm_s >= self._patience_s(n):
            self._end = "time"
        elif n >= self._look_at:
            while self._look_at <= n:
                self._look_at *= _LOOK_AGAIN
            if self._is_tight():
                self._end = "tight"

    def _patience_s(self, n: int) -> float:
        """Return how long it may measure: the first load is what others are judged by."""
        if not n:
            return self._plan.step_s * MOST_EMPTY
        is_short = self.load == self._plan.first and n < LEAST_COMPARED
        return self._plan.step_s * (PATIENCE if is_short else 1.0)

    @property
    def _together(self) -> int:
        """How many are in flight at once: of an open pace as many as begin while one is served."""
        if self._plan.by == "concurrency":
            return self._places
        lasted_s = [one.ended_s - one.started_s for one in self._probes]
        longest = round(self.load * fmean(lasted_s)) if lasted_s else 1
        return min(self._places, max(1, longest))

    @property
    def _most_started(self) -> int:
        return self._plan.most_probes(self.load) - self._places

    def stop(self) -> None:
        """End it as it is."""
        self._end = self._end or "stopped"

    def point(self, open_since_s: Sequence[float] = ()) -> SweepPoint:
        """Return what it came to; `open_since_s` tells when each that is still open began."""
        ended = sorted(self._measured(), key=lambda one: one.ended_s)
        good = [one for one in ended if one.ok]
        longest_s = max((one.ended_s - one.started_s for one in ended), default=0.0)
        own_s = [s for s in open_since_s if self._began_s is not None and s >= self._began_s]
        ages_s = [self._now_s - since_s for since_s in own_s]
        hung = [age_s for age_s in ages_s if 0 < HUNG * longest_s < age_s]
        refused = [one for one in ended if one.throttled]
        n = len(ended) + len(hung)
        figures = self._figures(ended, hung)
        begin_s = self._now_s if self._warm_s is None else self._warm_s
        warm_up = self._probes[: len(self._probes) - len(ended)]
        failures = Counter(one.failure for one in ended if one.failure)
        point = SweepPoint(
            load=self.load,
            purpose=self.purpose,
            end=self._end or "stopped",
            seconds=self._now_s - begin_s,
            n=n,
            ok=len(good),
            failed=len(ended) - len(good) - len(refused),
            throttled=len(refused),
            hung=len(hung),
            skipped=self.skipped,
            lag_s=self.lag_s,
            warm_up=len(warm_up),
            warm_up_failed=sum(not one.ok for one in warm_up),
            in_flight=self._in_flight(own_s, begin_s),
            ttft_slope=self._slope([(one.started_s, one.ttft_s or one.e2e_s) for one in good]),
            in_flight_slope=self._slope(self._flights(own_s, begin_s)),
            success=share(len(good), n),
            usd_per_ktok=self._usd_per_ktok(ended),
            reserved=fmean(one.reserved_tokens for one in good) if good else 0.0,
            tokens=sum(one.tokens for one in self._probes),
            usd=sum(one.usd for one in self._probes),
            failure=failures.most_common(1)[0][0] if failures else "",
            samples=tuple(one.ttft_s for one in good if one.ttft_s is not None),
            e2e_samples=tuple(one.e2e_s for one in good if one.e2e_s is not None),
        )
        point = replace(point, **figures, **self._refusals(own_s))
        judged = tuple(
            JudgedGoal(goal, goal.state(getattr(point, _FIELDS[goal.name])))
            for goal in self._plan.goals
        )
        return replace(point, goals=judged)

    def _measured(self) -> list[SweepProbe]:
        warm_s = self._warm_s
        if warm_s is None:
            return []
        return [one for one in self._probes if one.ended_s > warm_s]

    def _figures(
        self, ended: Sequence[SweepProbe], hung: Sequence[float] = ()
    ) -> dict[str, Estimate | None]:
        good = [one for one in ended if one.ok]
        endless = [inf] * (len(ended) - len(good)) + list(hung)
        ttft_s = [one.ttft_s for one in good if one.ttft_s is not None]
        e2e_s = [one.e2e_s for one in good if one.e2e_s is not None]
        speeds = [one.tokens_per_s for one in good if one.tokens_per_s is not None]
        ends_s = [one.ended_s for one in ended]
        together = self._together
        streamed = self._plan.route.stream
        return {
            "ttft_p50": quantile([*ttft_s, *endless], 0.5) if streamed else None,
            "ttft_p95": quantile([*ttft_s, *endless], 0.95) if streamed else None,
            "ttft_mean": mean(ttft_s, together),
            "e2e_p50": quantile([*e2e_s, *endless], 0.5),
            "e2e_p95": quantile([*e2e_s, *endless], 0.95),
            "requests_per_s": rate(ends_s, [float(one.ok) for one in ended], together),
            "tokens_per_s": rate(ends_s, [float(one.output_tokens) for one in ended], together),
            "stream_tokens_per_s": quantile(speeds, 0.5),
        }

    def _is_tight(self) -> bool:
        """Tell whether more of the same would tell nothing more: throughput is known, and how each
        goal of a latency stands, or the mean where there is none."""
        figures = self._figures(sorted(self._measured(), key=lambda one: one.ended_s))
        grows, requests = self.purpose == "grow", figures["requests_per_s"]
        if self._plan.by == "rate" and self.n < FEWEST_OF_STEP:
            return False
        if self._plan.by == "concurrency":  # else it is known, and chance alone makes it vary
            within = TIGHT_GROWING if grows else TIGHT_RATE
            if requests is None or requests.half_width > within:
                return False
        judged = [goal for goal in self._plan.goals if goal.name in ("ttft_p95", "e2e_p95")]
        for goal in judged:
            figure = figures[_FIELDS[goal.name]]
            is_clear = grows and figure is not None and figure.value <= CLEAR * goal.value
            if not is_clear and goal.state(figure) not in ("met", "missed"):
                return False
        ttft = figures["ttft_mean"]
        return bool(judged) or ttft is None or ttft.half_width <= TIGHT_LATENCY

    def _in_flight(self, open_since_s: Sequence[float], begin_s: float) -> float:
        """Return how many were in flight on average while it measured."""
        lasted_s = self._now_s - begin_s
        if lasted_s <= 0:
            return 0.0
        spans = [(one.started_s, one.ended_s) for one in self._probes]
        spans += [(since_s, self._now_s) for since_s in open_since_s]
        return sum(max(0.0, end - max(start, begin_s)) for start, end in spans) / lasted_s

    def _usd_per_ktok(self, ended: Sequence[SweepProbe]) -> Estimate | None:
        if self._plan.route.price is None:
            return None
        return ratio([1_000 * one.usd for one in ended], [one.output_tokens for one in ended])

    def _flights(self, open_since_s: Sequence[float], begin_s: float) -> list[tuple[float, float]]:
        """Return how many were in flight whenever one began."""
        starts = sorted([one.started_s for one in self._probes] + list(open_since_s))
        ends = sorted(one.ended_s for one in self._probes)
        return [
            (start, float(bisect_right(starts, start) - bisect_right(ends, start)))
            for start in starts
            if start >= begin_s
        ]

    def _slope(self, values: Sequence[tuple[float, float | None]]) -> Estimate | None:
        known = sorted((at, value) for at, value in values if value is not None)
        return slope([at for at, _ in known], [value for _, value in known])

    def _refusals(self, open_since_s: Sequence[float]) -> dict[str, Estimate | float | str]:
        """Return what the 429s of the whole step tell, its warm-up's too: at what they came, and
        what was let in between them."""
        refused = sorted((one for one in self._probes if one.throttled), key=_start)
        if len(refused) < _LEAST_REFUSED:
            return {}
        named = Counter(one.refused_for for one in refused if one.refused_for)
        # What is still open was let in, too.
        taken = [(one.started_s, one.ended_s) for one in self._probes if not one.throttled]
        taken += [(since_s, inf) for since_s in open_since_s]
        at = sorted(
            float(sum(start <= no.started_s < end for start, end in taken)) for no in refused
        )
        # Halves of them lie between the quartiles: a limit of what is at once is met at itself.
        found = Estimate(median(at), at[len(at) // 4], at[-1 - len(at) // 4])
        told: dict[str, Estimate | float | str] = {
            "refused_for": named.most_common(1)[0][0] if named else "",
            "refused_at": found,
        }
        first_s, last_s = refused[0].started_s, refused[-1].started_s
        let_in = sum(first_s < start <= last_s for start, _ in taken)
        sizes = [one.reserved_tokens for one in self._probes if not one.throttled]
        if let_in and sizes and last_s > first_s:
            per_minute = 60 * let_in / (last_s - first_s)
            told["let_in_requests"] = per_minute
            told["let_in_tokens"] = per_minute * fmean(sizes)
        return told


def _start(one: SweepProbe) -> float:
    return one.started_s


_FIELDS: Final = {
    "ttft_p95": "ttft_p95",
    "e2e_p95": "e2e_p95",
    "success": "success",
    "tokens_per_s": "stream_tokens_per_s",
}
"""Which figure of a point a goal is about."""
