"""The weekly check: is what we ask as long as it was? Jumps of the mean input size, by day.

A prompt template that grows, a history that is not cut any more, a gateway that adds a system
prompt: none of it fails, all of it costs. So each day's mean of the input tokens is compared with
the days around it.

Rule 1. A day counts with `LEAST_N` counted attempts or more: fewer say little of a mix of prompts.
Rule 2. A jump is a day from which on the level is another: the median of up to `REACH` days from it
on against the median of as many before it, in ratio `LEAST_RATIO` or more, up or down.
Rule 3. It must be seen: at least `LEAST_BEFORE` days before and `LEAST_AFTER` from then on, and of
all pairs of a day before and one after, `SURE` must lie on the right side of half the jump (on the
logarithm). So neither a single odd day nor a slow drift is one, and one day of noise hides none.
Rule 4. Of neighbouring days that all show it the one that parts best is its date; then each side is
looked at by itself.
"""

import math
from collections.abc import Sequence
from statistics import median
from typing import Final, NamedTuple

LEAST_N: Final = 20
LEAST_RATIO: Final = 1.2
"""Less is what an estimate of tokens is off by; nobody acts on it."""
REACH: Final = 14
LEAST_BEFORE: Final = 3
LEAST_AFTER: Final = 2
"""Yesterday and today: a check by the week should not wait for another."""
SURE: Final = 0.9
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
    best, best_score, place = None, 0.0, 0
    for at in range(begin + LEAST_BEFORE, end - LEAST_AFTER + 1):
        before, after = days[max(begin, at - REACH) : at], days[at : min(end, at + REACH)]
        old, new = median(day.mean for day in before), median(day.mean for day in after)
        step = math.log(new / old)
        if abs(step) < math.log(LEAST_RATIO):
            continue
        middle = math.sqrt(old * new)
        # Of a before and an after each its own side: how many pairs does the middle part?
        low = sum((day.mean < middle) == (step > 0) for day in before) / len(before)
        high = sum((day.mean > middle) == (step > 0) for day in after) / len(after)
        if low * high < SURE:
            continue
        # Apart, and how much of it: the scatter within both sides counts against a date that
        # leaves a day of one level on the side of the other.
        scatter = sum(
            abs(math.log(day.mean / level))
            for side, level in ((before, old), (after, new))
            for day in side
        ) / (len(before) + len(after))
        score = abs(step) / (scatter + 0.01)
        if score > best_score:
            best_score, place = score, at
            best = Jump(days[at], old, new, len(before), len(after))
    if best is None or len(found) >= _MOST_JUMPS:
        return
    found.append(best)
    _look(days, begin, place, found)
    _look(days, place, end, found)
