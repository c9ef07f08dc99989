"""Two samples compared: could so great a difference come by chance?

Rule 1: two-sided, and without an assumption of how the figures are distributed: latencies are not
normal, and nobody knows beforehand which way a knob moves them.
Rule 2: each sample counts as independent of the others. Where all of a gust are slow together, that
is one event seen many times, and a difference looks surer than it is.
Rule 3: who looks again and again finds something sooner or later. So there are few looks, each at
twice the samples of the one before, and each is stricter than the whole shall be: see `LOOKS`.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from math import comb, erfc, sqrt
from typing import Final, NamedTuple

LOOKS: Final = (20, 40, 80, 160, 320, 640, 1280, 2560)
"""Samples of the second sample at which the two are compared. From 20 on the normal approximation
of the rank test holds within a few per cent; 2,560 are more than five minutes at eight a second."""
SURE_OVER_ALL: Final = 0.99
"""How sure what is said shall be, of all looks together."""
SURE: Final = 0.001
"""Below this p a look is sure. Where nothing differs, 0.4 % of rank tests are sure at any of the
eight looks; at 0.01 it would be 4.4 % (of 10,000, each of 200 samples against as many as there are
looks for). So a judgement on four figures together is still wrong in 2 % alone."""


class RankTest(NamedTuple):
    """What the ranks of two samples say."""

    p: float
    """How probable so great a difference of ranks is where both are of one distribution."""
    larger: float
    """How probable a sample of the second is larger than one of the first; of equal ones half."""


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> RankTest:
    """Compare two samples by their ranks: the test of Mann and Whitney.

    By the normal approximation, with the corrections for ties and for continuity, as `mannwhitneyu`
    of SciPy has it with `method="asymptotic"`.
    Source: H. B. Mann, D. R. Whitney, On a Test of Whether one of Two Random Variables is
    Stochastically Larger than the Other, Annals of Mathematical Statistics 18 (1947).

    Raises:
        ValueError: one of them is empty.
    """
    n_first, n_second = len(first), len(second)
    if not n_first or not n_second:
        raise ValueError("a sample is empty")
    ordered = sorted(first)
    # Twice the pairs that the second wins: equal ones count as half.
    twice = sum(bisect_left(ordered, one) + bisect_right(ordered, one) for one in second)
    pairs, n = n_first * n_second, n_first + n_second
    tied = sum(many**3 - many for many in Counter(chain(first, second)).values() if many > 1)
    variance = pairs / 12 * (n + 1 - tied / (n * (n - 1)))
    larger = twice / (2 * pairs)
    if variance <= 0:  # all of them are equal
        return RankTest(1.0, larger)
    z = (abs(twice - pairs) / 2 - 0.5) / sqrt(variance)
    return RankTest(min(1.0, erfc(z / sqrt(2))), larger)


def fisher_exact(hits: int, n: int, other_hits: int, other_n: int) -> float:
    """Return how probable two shares at least as unlikely are where both are the same: the exact
    test of Fisher, two-sided.

    All tables with the same sums count that are no more probable than this one, as `fisher_exact`
    of SciPy has it. Source: R. A. Fisher, Statistical Methods for Research Workers (1934), §21.02.

    Args:
        hits: how many of the first `n` were counted.
        n: size of the first sample.
        other_hits: the same of the second.
        other_n: size of the second sample.
    """
    together = hits + other_hits
    least, most = max(0, together - other_n), min(n, together)
    # How many ways lead to each table, as whole numbers: none overflows, and equal ones are equal.
    ways = comb(n, least) * comb(other_n, together - least)
    weights = [ways]
    for found in range(least, most):
        ways *= (n - found) * (together - found)
        ways //= (found + 1) * (other_n - together + found + 1)
        weights.append(ways)
    observed = weights[hits - least]
    return sum(one for one in weights if one <= observed) / sum(weights)
