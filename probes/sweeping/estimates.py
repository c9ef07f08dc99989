"""Figures with the intervals in which they lie: of quantiles, shares, means and rates.

Rule 1: an interval is one of `SURE`, both sides together. A step looks a few times before it ends
(`probes.sweeping.step`), and each look is at half as many samples again: what is called sure is
wrong a little more often than once in fifty, never always at the next look.
Rule 2: a quantile counts failures as latencies without end, so that failing makes nobody fast. By
ranks alone, whatever the distribution: see `probes.stats.order_statistics`.
Rule 3: a share is given Wilson's interval, which holds at 0 and at 1 too. Source: E. B. Wilson,
Probable Inference, the Law of Succession, and Statistical Inference, Journal of the American
Statistical Association 22 (1927).
Rule 4: answers that are served together are late together. So a mean and a rate are known by the
means of batches in a row, each about as long as all that is in flight takes to be served, and by
Student's t. Source: R. W. Conway, Some Tactical Problems in Digital Simulation, Management Science
10 (1963).
"""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, inf, sqrt
from statistics import fmean, linear_regression, stdev
from typing import Final

import msgspec

from probes.stats.order_statistics import ranks_around

SURE: Final = 0.98
_Z: Final = 2.326
"""Of the normal distribution, at `SURE`."""
_T: Final = (31.82, 6.965, 4.541, 3.747, 3.365, 3.143, 2.998, 2.896, 2.821)
"""Student's t at `SURE`, by degrees of freedom from 1 on."""
_MOST_BATCHES: Final = len(_T) + 1
"""More would be shorter than what is in flight, and not independent of each other."""
_LEAST_BATCHES: Final = 3
"""Two have an interval that says nothing."""
LEAST_SLOPED: Final = 3 * _MOST_BATCHES
"""Values below which a batch would be one or two of them."""


class Estimate(msgspec.Struct, frozen=True):
    """A figure and where it lies."""

    value: float
    """`inf` of a latency that most never see the end of."""
    low: float = 0.0
    high: float = inf
    """`inf` where it may be anything above."""

    @property
    def half_width(self) -> float:
        """How far the interval goes from the figure, as a share of it; `inf` where that is open."""
        if not 0 < self.value < inf:
            return inf
        return max(self.high - self.value, self.value - self.low) / self.value


def quantile(values: Sequence[float], probability: float) -> Estimate | None:
    """Return a quantile of latencies, `inf` among them for those that failed; None of none."""
    if not values:
        return None
    ordered = sorted(values)
    low, high = ranks_around(len(ordered), probability, SURE)
    at = max(1, ceil(probability * len(ordered)))
    return Estimate(
        ordered[at - 1],
        0.0 if low is None else ordered[low - 1],
        inf if high is None else ordered[high - 1],
    )


def share(hits: int, n: int) -> Estimate | None:
    """Return a share by Wilson's interval; None of none."""
    if not n:
        return None
    square = _Z**2
    middle = (hits + square / 2) / (n + square)
    spread = _Z / (n + square) * sqrt(hits * (n - hits) / n + square / 4)
    value = hits / n
    # Rounding must not put 0 of n or n of n out of their own interval.
    return Estimate(value, min(value, max(0.0, middle - spread)), max(value, middle + spread))


def mean(values: Sequence[float], together: int) -> Estimate | None:
    """Return the mean of values in the order of their time, of which so many are in flight at once;
    None of none."""
    if not values:
        return None
    middle = fmean(values)
    batches = _batches(len(values), together)
    if batches < _LEAST_BATCHES:
        return Estimate(middle)
    means = [fmean(values[begin:end]) for begin, end in _cuts(len(values), batches)]
    reach = _reach(means)
    return Estimate(middle, middle - reach, middle + reach)


def ratio(tops: Sequence[float], bottoms: Sequence[float]) -> Estimate | None:
    """Return a sum over another one, of pairs that are independent of each other; None where the
    lower one is 0. Its interval is by what each pair is off that ratio.

    Source: W. G. Cochran, Sampling Techniques (1977), §2.11.
    """
    whole = sum(bottoms)
    if whole <= 0:
        return None
    value = sum(tops) / whole
    if len(tops) < LEAST_SLOPED:
        return Estimate(value)
    off = [top - value * bottom for top, bottom in zip(tops, bottoms, strict=True)]
    reach = _Z * stdev(off) * sqrt(len(off)) / whole
    return Estimate(value, max(0.0, value - reach), value + reach)


def rate(ends_s: Sequence[float], amounts: Sequence[float], together: int) -> Estimate | None:
    """Return how much came a second, between the first end and the last.

    Args:
        ends_s: when each ended, in seconds, in that order.
        amounts: what each brought.
        together: how many are in flight at once.
    """
    if len(ends_s) < 2 or ends_s[-1] <= ends_s[0]:
        return None
    # The first end opens the interval: what it brought was made before.
    value = sum(amounts[1:]) / (ends_s[-1] - ends_s[0])
    batches = _batches(len(ends_s) - 1, together)
    if batches < _LEAST_BATCHES:
        return Estimate(value)
    rates = []
    for begin, end in _cuts(len(ends_s) - 1, batches):
        lasted_s = ends_s[end] - ends_s[begin]
        if lasted_s <= 0:
            return Estimate(value)
        rates.append(sum(amounts[begin + 1 : end + 1]) / lasted_s)
    reach = _reach(rates)
    return Estimate(value, max(0.0, value - reach), value + reach)


def slope(at_s: Sequence[float], values: Sequence[float]) -> Estimate | None:
    """Return by how much values grow in a second, by least squares over the means of ten batches in
    a row; None where there are too few.

    Each value of a queue is nearly that before it: taken one by one they would make any walk look
    like a slope.
    """
    if len(at_s) < LEAST_SLOPED:
        return None
    cuts = _cuts(len(at_s), _MOST_BATCHES)
    x = [fmean(at_s[begin:end]) for begin, end in cuts]
    y = [fmean(values[begin:end]) for begin, end in cuts]
    if x[-1] <= x[0]:
        return None
    steep, base = linear_regression(x, y)
    middle = fmean(x)
    spread = sum((at - middle) ** 2 for at in x)
    rest = sum((one - base - steep * at) ** 2 for at, one in zip(x, y, strict=True))
    reach = _T[len(x) - 3] * sqrt(rest / (len(x) - 2) / spread)
    return Estimate(steep, steep - reach, steep + reach)


def _batches(n: int, together: int) -> int:
    return min(_MOST_BATCHES, n // max(1, together))


def _cuts(n: int, batches: int) -> list[tuple[int, int]]:
    edges = [round(n * number / batches) for number in range(batches + 1)]
    return list(pairwise(edges))


def _reach(values: Sequence[float]) -> float:
    return _T[len(values) - 2] * stdev(values) / sqrt(len(values))
