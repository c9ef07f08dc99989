"""The distribution that centroids describe, prepared once and read as often as wanted.

A window is read from a few of these side by side: what has closed is prepared once and kept, only
what is still open is prepared anew. Reading several parts gives what reading all their centroids
as one would.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice
from operator import add, itemgetter, mul, sub
from typing import Final, TypeAlias

from probes.stats.centroids import Centroid

_Step: TypeAlias = tuple[float, float, float]
"""(value, mass that lies on it, change of the density there)."""

_Table: TypeAlias = tuple["array[float]", "array[float]", "array[float]"]
"""Values, weight up to them, density after them."""

_VALUE: Final = itemgetter(0)
_HAIR: Final = 1e-9
"""Share of the total weight that rounding may have cost."""


class Distribution:
    """Cumulated centroids: at each of `values` the weight up to it and the density after it."""

    __slots__ = ("densities", "maximum", "n", "upto", "values")

    def __init__(self, centroids: Iterable[Centroid], n: int, maximum: float) -> None:
        self.n = n
        self.maximum = maximum
        # Column by column: a loop over the steps takes twice as long.
        steps = sorted(_steps(centroids), key=_VALUE)
        values, masses, changes = zip(*steps, strict=True) if steps else ((), (), ())
        densities = list(accumulate(changes))  # rounding may leave one just off zero
        lengths = map(sub, islice(values, 1, None), values)
        grown = chain((0.0,), map(mul, densities, lengths))
        self.values: array[float] = array("d", values)
        self.upto: array[float] = array("d", list(accumulate(map(add, grown, masses))))
        self.densities: array[float] = array("d", densities)

    @classmethod
    def of_samples(cls, samples: Sequence[float], maximum: float) -> "Distribution":
        """Return what samples that are all there look like: the same as their points would."""
        found = cls((), len(samples), maximum)
        found.values = array("d", sorted(samples))
        found.upto = array("d", range(1, len(samples) + 1))
        found.densities = array("d", bytes(len(found.upto) * found.upto.itemsize))
        return found

    def below(self, value: float) -> tuple[float, float, float]:
        """Return the weight of what is less than `value`, the density just below it, and where
        that density begins."""
        index = bisect_left(self.values, value)
        if index == 0:
            return 0.0, 0.0, self.values[0] if self.values else value
        return self.reached(index, value), self.densities[index - 1], self.values[index - 1]

    def reached(self, index: int, value: float) -> float:
        """Return the weight up to `value`, which lies after `index` of the values."""
        if index == 0:
            return 0.0
        index -= 1
        found: float = self.upto[index] + self.densities[index] * (value - self.values[index])
        return found


def read_quantiles(
    parts: Iterable[Distribution], probabilities: Sequence[float]
) -> tuple[float | None, ...]:
    """Return the quantiles of `parts` together at `probabilities` (0 to 1).

    The smallest value whose rank reaches p × n: exact while every centroid is a point, else
    interpolated within the centroids that span the rank. All None where there is no sample.
    """
    filled = sorted((part for part in parts if part.n), key=lambda part: -len(part.values))
    if not filled:
        return (None,) * len(probabilities)
    total = sum(part.n for part in filled)
    return tuple(_read(filled, probability * total, total) for probability in probabilities)


def _read(parts: Sequence[Distribution], rank: float, total: int) -> float:
    hair = _HAIR * total
    if rank >= total - hair:
        return max(part.values[-1] for part in parts)
    value = _first_reaching(parts, rank - hair, total)
    found = [part.below(value) for part in parts]
    density = sum(density for _, density, _ in found)
    if density <= 0.0 or rank > sum(below for below, _, _ in found):
        return value
    begin = max(begin for _, _, begin in found if begin < value)
    before = sum(part.reached(bisect_right(part.values, begin), begin) for part in parts)
    return min(value, begin + max(0.0, rank - before) / density)


def _first_reaching(parts: Sequence[Distribution], rank: float, total: int) -> float:
    """Return the first of all values up to which all parts together reach the rank."""
    tables = [(part.values, part.upto, part.densities) for part in parts]
    lows, highs = [0] * len(parts), [len(part.values) for part in parts]
    values, upto, _ = tables[0]
    value, share = max(part.values[-1] for part in parts), parts[0].n / total
    wanted, halve = rank * share, False
    while lows[0] < highs[0]:
        # Where the first part alone says that it is, corrected by how far that was off; each other
        # time the middle, so that no distribution can make this slow.
        index = (lows[0] + highs[0]) // 2
        if not halve:
            index = min(bisect_left(upto, wanted, lows[0], highs[0]), highs[0] - 1)
        reached, ends = _reached(tables, values[index], lows, highs)
        if reached >= rank:
            value, highs = values[index], _before(tables, values[index], lows, ends)
        else:
            lows = ends
        wanted, halve = upto[index] + (rank - reached) * share, not halve
    return _first_of_the_rest(tables, rank, value, lows, highs)


def _first_of_the_rest(
    tables: Sequence[_Table], rank: float, value: float, lows: list[int], highs: list[int]
) -> float:
    """Return the first reaching value between the bounds, else `value`, which reaches."""
    while True:
        widths = list(map(sub, highs, lows))
        widest = widths.index(max(widths))
        if not widths[widest]:
            return value
        tried = tables[widest][0][(lows[widest] + highs[widest]) // 2]
        reached, ends = _reached(tables, tried, lows, highs)
        if reached >= rank:
            value, highs = tried, _before(tables, tried, lows, ends)
        else:
            lows = ends


def _reached(
    tables: Sequence[_Table], value: float, lows: list[int], highs: list[int]
) -> tuple[float, list[int]]:
    """Return the weight up to `value`, and in each table how many values are up to it."""
    reached, ends = 0.0, []
    for (values, upto, densities), low, high in zip(tables, lows, highs, strict=True):
        end = bisect_right(values, value, low, high)
        ends.append(end)
        if end:
            end -= 1
            reached += upto[end] + densities[end] * (value - values[end])
    return reached, ends


def _before(tables: Sequence[_Table], value: float, lows: list[int], ends: list[int]) -> list[int]:
    """Return in each table how many values are below `value`."""
    spans = zip(tables, lows, ends, strict=True)
    return [bisect_left(table[0], value, low, end) for table, low, end in spans]


def _steps(centroids: Iterable[Centroid]) -> Iterator[_Step]:
    for mean, weight, low, high, different in centroids:
        if different == 1:
            yield (mean, weight, 0.0)
            continue
        # What lies below and above the mean, in the proportion that gives this mean.
        below = weight * (high - mean) / (high - low)
        above = weight - below
        if different == 2:
            yield (low, below, 0.0)
            yield (high, above, 0.0)
            continue
        below /= mean - low
        above /= high - mean
        yield (low, 0.0, below)
        yield (mean, 0.0, above - below)
        yield (high, 0.0, -above)
