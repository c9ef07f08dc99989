"""Whether gaps are distributed as is claimed: the test of Kolmogorov and Smirnov."""

import math
from collections.abc import Callable, Sequence


def kolmogorov_smirnov(values: Sequence[float], distribution: Callable[[float], float]) -> float:
    """Return how probable so great a distance from a distribution is, where it is the right one.

    Stephens (1970): with λ = D (√n + 0.12 + 0.11/√n) the limit holds from a handful of values on.
    """
    n, distance = len(values), 0.0
    for rank, value in enumerate(sorted(values)):
        share = distribution(value)
        distance = max(distance, share - rank / n, (rank + 1) / n - share)
    scaled = distance * (math.sqrt(n) + 0.12 + 0.11 / math.sqrt(n))
    if scaled < 0.2:  # there the series converges slowly, to 1
        return 1.0
    terms = ((-1) ** (k - 1) * math.exp(-2 * k * k * scaled * scaled) for k in range(1, 101))
    return min(1.0, max(0.0, 2 * sum(terms)))


def exponential(rate: float) -> Callable[[float], float]:
    """Return the distribution of the gaps of a Poisson process."""
    return lambda gap: 1 - math.exp(-rate * gap) if gap > 0 else 0.0
