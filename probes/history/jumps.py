"""The weekly check: is what we ask as long as it was? Jumps of the mean input size, by day.

A prompt template that grows, a history that is not cut any more, a gateway that adds a system
prompt: none of it fails, all of it costs. So each day's mean of the input tokens is compared with
the days around it.

Rule 1. A day counts with `LEAST_N` counted attempts or more: fewer say little of a mix of prompts.
Rule 2. A jump is a day from which on the level is another: the median of the days from it on
against the median of the `BEFORE` days before it, in ratio `LEAST_RATIO` or more, up or down. From
it on the longest of `REACHES` days that shows one is looked at, so that a level that lasts for some
days is seen as well as one that stays. Before it are always two weeks: of weekends, and of what
jumps about, the last few days say the least.
Rule 3. It must be seen: at least `LEAST_BEFORE` days before and `LEAST_AFTER` from then on; of both
`SURE` must lie on their own side of the middle (on the logarithm); and the step must be `APART`
times the mean scatter of the days about their medians. So neither an odd day, a weekend nor a slow
drift is one, and what jumps about every day has no jumps.
Rule 4. Of neighbouring days that all show it the one that parts best is its date; then each side
is looked at by itself.
"""

import math
from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

LEAST_N: Final = 20
LEAST_RATIO: Final = 1.2
"""Less is what an estimate of tokens is off by; nobody acts on it."""
BEFORE: Final = 14
REACHES: Final = (BEFORE, 7, 4)
LEAST_BEFORE: Final = 3
LEAST_AFTER: Final = 2
"""Yesterday and today: a check by the week should not wait for another."""
SURE: Final = 0.9
APART: Final = 4.0
_MOST_JUMPS: Final = 20


class Day(NamedTuple):
    """One day's mean."""

    begins_s: float
    label: str
    mean: float
    n: int
    """Attempts behind it."""


class Jump(NamedTuple):
    """The first day of another level."""

    day: Day
    before: float
    after: float
    days_before: int
    days_after: int


def jumps(days: Sequence[Day]) -> list[Jump]:
    """Return the jumps of a level, in order."""
    counted = [day for day in days if day.n >= LEAST_N and day.mean > 0]
    found: list[Jump] = []
    _look(counted, 0, len(counted), found)
    return sorted(found)


def _look(days: Sequence[Day], begin: int, end: int, found: list[Jump]) -> None:
    """Find the surest jump between two places, and then those of its sides."""
    best, best_score, place = None, APART, 0
    for at in range(begin + LEAST_BEFORE, end - LEAST_AFTER + 1):
        for reach in REACHES:
            before, after = days[max(begin, at - BEFORE) : at], days[at : min(end, at + reach)]
            score = _score(before, after)
            if score > best_score:
                best_score, place = score, at
                best = Jump(
                    days[at],
                    median(day.mean for day in before),
                    median(day.mean for day in after),
                    len(before),
                    len(after),
                )
            if score > APART:
                break
    if best is None or len(found) >= _MOST_JUMPS:
        return
    found.append(best)
    _look(days, begin, place, found)
    _look(days, place, end, found)


def _score(before: Sequence[Day], after: Sequence[Day]) -> float:
    """Return how well a date parts two levels, in steps to scatter; 0 where it is no jump."""
    old, new = median(day.mean for day in before), median(day.mean for day in after)
    step, middle = math.log(new / old), math.sqrt(old * new)
    if abs(step) < math.log(LEAST_RATIO):
        return 0.0
    own = [(day.mean < middle) == (step > 0) for day in before]
    own_after = [(day.mean > middle) == (step > 0) for day in after]
    if sum(own) < SURE * len(own) or sum(own_after) < SURE * len(own_after):
        return 0.0
    # The scatter within both sides counts against a date that leaves a day of one level on the
    # side of the other; of two dates that part alike the longer look is the surer one.
    scatter = [abs(math.log(day.mean / old)) for day in before]
    scatter += [abs(math.log(day.mean / new)) for day in after]
    # Both medians are of these days: of few of them the scatter looks smaller than it is.
    mean = sum(scatter) / (len(scatter) - 2)
    return abs(step) / (mean + 0.01) * (1 + 0.01 * len(scatter))
