"""The distribution that centroids describe, prepared once and read as often as wanted.

A window is read from a few of these side by side: what has closed is prepared once and kept, only
what is still open is prepared anew. Reading two parts gives what reading all their centroids as
one would.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

__all__ = ["Centroid", "Distribution", "read_quantiles"]

Centroid: TypeAlias = tuple[float, float, float, float, int]
"""(mean, weight, lowest, highest, different values: 1, 2 or 3 for more).

A plain tuple, which the cyclic collector lets go of.
"""

_Step: TypeAlias = tuple[float, float, float]
"""(value, mass that lies on it, change of the density there)."""

_HAIR: Final = 1e-9
"""Share of the total weight that rounding may have cost."""


class Distribution:
    """Cumulated centroids: at each of `values` the weight up to it and the density after it."""

    __slots__ = ("_densities", "_upto", "maximum", "n", "values")

    def __init__(self, centroids: Iterable[Centroid], n: int, maximum: float) -> None:
        self.n = n
        self.maximum = maximum
        self.values: list[float] = []
        self._upto: list[float] = []
        self._densities: list[float] = []
        rank = density = here = 0.0
        for value, mass, change in sorted(_steps(centroids)):
            rank += density * (value - here) + mass
            here = value
            density += change
            if density < 0.0:  # rounding
                density = 0.0
            self.values.append(value)
            self._upto.append(rank)
            self._densities.append(density)

    def upto(self, value: float) -> float:
        """Return the weight of what is at most `value`."""
        return self._reached(bisect_right(self.values, value) - 1, value)

    def below(self, value: float) -> tuple[float, float, float]:
        """Return the weight of what is less than `value`, the density just below it, and where
        that density begins."""
        index = bisect_left(self.values, value) - 1
        if index < 0:
            return 0.0, 0.0, self.values[0] if self.values else value
        return self._reached(index, value), self._densities[index], self.values[index]

    def _reached(self, index: int, value: float) -> float:
        if index < 0:
            return 0.0
        return self._upto[index] + self._densities[index] * (value - self.values[index])


def read_quantiles(
    parts: Iterable[Distribution], probabilities: Sequence[float]
) -> tuple[float | None, ...]:
    """Return the quantiles of `parts` together at `probabilities` (0 to 1).

    The smallest value whose rank reaches p × n: exact while every centroid is a point, else
    interpolated within the centroids that span the rank. All None where there is no sample.
    """
    filled = [part for part in parts if part.n]
    if not filled:
        return (None,) * len(probabilities)
    total = sum(part.n for part in filled)
    return tuple(_read(filled, probability * total, total) for probability in probabilities)


def _read(parts: Sequence[Distribution], rank: float, total: int) -> float:
    hair = _HAIR * total
    if rank >= total - hair:
        return max(part.values[-1] for part in parts)
    reached = (_first_reaching(part, parts, rank - hair) for part in parts)
    value = min(found for found in reached if found is not None)
    found = [part.below(value) for part in parts]
    density = sum(density for _, density, _ in found)
    if density <= 0.0 or rank > sum(below for below, _, _ in found):
        return value
    begin = max(begin for _, _, begin in found if begin < value)
    return min(value, begin + max(0.0, rank - sum(part.upto(begin) for part in parts)) / density)


def _first_reaching(part: Distribution, parts: Sequence[Distribution], rank: float) -> float | None:
    """Return the first of the part's values up to which all parts together reach the rank."""
    low, high = 0, len(part.values)
    while low < high:
        middle = (low + high) // 2
        value = part.values[middle]
        if sum(each.upto(value) for each in parts) >= rank:
            high = middle
        else:
            low = middle + 1
    return part.values[low] if low < len(part.values) else None


def _steps(centroids: Iterable[Centroid]) -> list[_Step]:
    steps: list[_Step] = []
    for mean, weight, low, high, different in centroids:
        if different == 1:
            steps.append((mean, weight, 0.0))
            continue
        # What lies below and above the mean, in the proportion that gives this mean.
        below = weight * (high - mean) / (high - low)
        above = weight - below
        if different == 2:
            steps += ((low, below, 0.0), (high, above, 0.0))
            continue
        below /= mean - low
        above /= high - mean
        steps += ((low, 0.0, below), (mean, 0.0, above - below), (high, 0.0, -above))
    return steps
