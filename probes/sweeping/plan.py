"""What is to be swept, how far, and what that may cost at most.

Rule 1: what is told beforehand is a bound, not a guess: no step sends more than `most_probes` of
its load, the steps are counted, and their loads are at most those that are reckoned with. Most
sweeps cost a fraction of it, for a step ends when it knows or when its time is over.
"""

from typing import Final, Literal, TypeAlias

import msgspec

from probes.config import Route
from probes.sweeping.goals import SweepGoal

SweepBy: TypeAlias = Literal["concurrency", "rate"]
"""Requests at once (closed loop), or requests a second, begun when they are due (open loop)."""

MOST_CONCURRENCY: Final = 32
"""Asked for by default at most: what a key is mostly allowed, and twice what a small server has."""
MOST_RATE: Final = 8.0
"""Requests a second, the same: 32 at once of four seconds each."""
FIRST_OF_RATE: Final = 1 / 32
"""The first rate, as a share of the most: five doublings below, as 1 is of 32."""
GROWTH: Final = 2.0
"""From one step to the next: the edge is found within a factor of two in a few steps."""
CLOSE: Final = 1.1
"""An edge is closed in on until what holds and what does not lie within this factor."""
MOST_CLOSING: Final = 8
"""Steps that close in: three halve a doubling down to a tenth, for two edges, and two to spare."""
MOST_CHECKS: Final = 2
"""Of the first load once more: when the growth ends, and at the end of all."""
MOST_CONFIRMS: Final = 2
"""Of the load at which the growth met an edge: a moment's trouble is no edge, and the growth goes
on; the second edge is believed only when it is met twice, too."""
STEP_S: Final = 30.0
"""Seconds that a step may take, its warm-up not counted."""
LEAST_MEASURED: Final = 40
"""Probes below which a step has not seen enough, however alike they are. Half as many again, twice,
are the 90 that a p95 needs for an upper end."""
LEAST_COMPARED: Final = 8
"""Answers of the first load, then and again, below which nobody can tell whether they differ."""
PATIENCE: Final = 3.0
"""Times its own that a step of the first load may take until it has those."""
FEWEST_OF_STEP: Final = 100
"""Probes that a step measures at most where little is in flight: from 90 on the slowest of them is
surely above the p95, at 98 %."""
ROUNDS_OF_STEP: Final = 6
"""And of what is in flight, that many times: batches of a rate are as long as one round."""
OPEN_REACH_S: Final = 8.0
"""What an open loop may have in flight at most, in seconds of its rate: beyond, it is lost."""


class SweepPlan(msgspec.Struct, frozen=True):
    """One sweep."""

    route: Route
    goals: tuple[SweepGoal, ...]
    by: SweepBy = "concurrency"
    most: float = MOST_CONCURRENCY
    """The largest load that is ever asked for."""
    step_s: float = STEP_S
    most_tokens: int | None = None
    most_usd: float | None = None

    @property
    def first(self) -> float:
        """The smallest load: what the others are judged by."""
        return 1.0 if self.by == "concurrency" else self.rounded(self.most * FIRST_OF_RATE)

    def rounded(self, load: float) -> float:
        """Return the nearest load that can be asked for."""
        if self.by == "concurrency":
            return float(max(1, round(load)))
        return float(f"{load:.3g}")

    @property
    def step_loads(self) -> tuple[float, ...]:
        """The largest load of each step that there can be: what the cost is reckoned with."""
        growing = self.growing
        if len(growing) == 1:
            return growing
        return (
            *growing,
            *[self.most] * (MOST_CONFIRMS + MOST_CLOSING),
            *[self.first] * MOST_CHECKS,
        )

    @property
    def growing(self) -> tuple[float, ...]:
        """The loads of the growth, if nothing ends it."""
        loads = [self.first]
        while loads[-1] < self.most:
            loads.append(min(self.rounded(loads[-1] * GROWTH), self.most))
        return tuple(loads)

    def in_flight(self, load: float) -> int:
        """Return how many may be in flight at a load."""
        return round(load) if self.by == "concurrency" else max(4, round(load * OPEN_REACH_S))

    def most_measured(self, load: float) -> int:
        """Return after how many probes a step of this load ends though it does not know enough."""
        if self.by == "concurrency":
            return max(FEWEST_OF_STEP, ROUNDS_OF_STEP * round(load))
        # Chance makes starts come sooner or later: what is asked for is known by all of the time.
        return max(FEWEST_OF_STEP, round(self.step_s * load))

    def most_probes(self, load: float) -> int:
        """Return how many a step of this load sends at most: to warm up, measured, and in flight at
        its end."""
        return self.most_measured(load) + 3 * self.in_flight(load)
