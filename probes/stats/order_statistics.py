"""How sure a quantile of a sample is, whatever its distribution.

Rule 1: how many of n samples lie below the true quantile at p is binomial with n and p, however the
samples are distributed. So two of the samples, by their ranks alone, hold it between them with a
known probability. Source: W. R. Thompson, On Confidence Ranges for the Median and Other Expectation
Distributions for Populations of Unknown Distribution Form, Annals of Mathematical Statistics 7
(1936).
Rule 2: it is never less sure than it says: ranks are whole, and rounded outwards.
Rule 3: each sample counts as independent of the others. Where all of a gust are slow together, the
interval is narrower than it should be.
"""

from functools import lru_cache
from math import exp, lgamma, log, sqrt
from typing import Final, NamedTuple

_REACH: Final = 10.0
"""Standard deviations from the middle beyond which nothing lies that could be told."""


class Ranks(NamedTuple):
    """Between which samples a quantile lies, counted from 1 for the smallest."""

    low: int | None
    """None where no sample is surely below it."""
    high: int | None
    """None where none is surely above."""


@lru_cache(maxsize=256)
def ranks_around(n: int, probability: float, sure: float) -> Ranks:
    """Return the ranks of two of `n` samples between which the true quantile lies.

    Args:
        n: samples.
        probability: of the quantile, between 0 and 1.
        sure: how probable it is at least that it lies there; what remains is halved between both
            sides.
    """
    if n <= 0:
        return Ranks(None, None)
    outside = (1.0 - sure) / 2
    middle, spread = n * probability, sqrt(n * probability * (1.0 - probability))
    first = max(0, int(middle - _REACH * spread) - 1)
    low = high = None
    upto = 0.0  # how probable at most `below` samples lie below the quantile
    for below in range(first, min(n, int(middle + _REACH * spread) + 2)):
        upto += _binomial(below, n, probability)
        if upto <= outside:
            low = below + 1
        if upto >= 1.0 - outside:
            high = below + 1
            break
    return Ranks(low, high)


def _binomial(hits: int, n: int, probability: float) -> float:
    """Return how probable so many of n are."""
    ways = lgamma(n + 1) - lgamma(hits + 1) - lgamma(n - hits + 1)
    return exp(ways + hits * log(probability) + (n - hits) * log(1.0 - probability))
