"""Where p50, p95 and p99 are computed: the quantiles of a window's samples.

Rule 1: a quantile at p is the smallest value whose rank reaches p × n.
Rule 2: it is exact while every sample is known; else it is interpolated within the centroids that
span the rank, never across a point mass.
Rule 3: several parts read together give what reading all their centroids as one would. So what has
closed is prepared once and kept, and only what is still open is prepared anew.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, islice
from math import ceil, inf
from operator import add, itemgetter, mul, sub
from typing import Final, TypeAlias

from probes.stats.centroids import Centroid
from probes.stats.digest import BUFFER, Digest

_Step: TypeAlias = tuple[float, float, float]
"""(value, mass that lies on it, change of the density there)."""

_Table: TypeAlias = tuple["array[float]", "array[float]", "array[float]"]
"""Values, weight up to them, density after them."""

_VALUE: Final = itemgetter(0)
_HAIR: Final = 1e-9
"""Share of the total weight that rounding may have cost."""
_SORTED: Final = BUFFER - 1
"""Up to so many samples, all of them known, putting them in order is cheaper than a search in
several tables: 3 µs for 60 and 11 for 500, against 11 to 14 for each quantile. No sketch has had a
hand in so few, so their weights are whole."""
_NOTHING: Final = array("d")


class Distribution:
    """What some digests hold together, prepared once and read as often as wanted.

    At each of `values` the weight up to it and the density after it. Where `is_exact`, each value
    is one sample.
    """

    __slots__ = ("_densities", "_upto", "is_exact", "maximum", "n", "values")

    def __init__(self, digests: Sequence[Digest]) -> None:
        # Plain loops: an open slice is prepared anew each second, and is mostly a handful of
        # samples, for which comprehensions cost more than the work.
        self.n, self.maximum = 0, -inf
        for digest in digests:
            self.n += digest.n
            self.maximum = max(self.maximum, digest.maximum)
        self.is_exact = self.n <= _SORTED
        samples: list[float] = []
        if self.is_exact:
            for digest in digests:
                known = digest.samples()
                if known is None:
                    self.is_exact = False
                    break
                samples += known
        if self.is_exact:
            samples.sort()
            self.values = array("d", samples)
            self._upto = self._densities = _NOTHING
        else:
            self._cumulate(chain.from_iterable(digest.centroids() for digest in digests))

    def _cumulate(self, centroids: Iterable[Centroid]) -> None:
        # Column by column: a loop over the steps takes twice as long.
        steps = sorted(_steps(centroids), key=_VALUE)
        values, masses, changes = zip(*steps, strict=True) if steps else ((), (), ())
        densities = list(accumulate(changes))  # rounding may leave one just off zero
        lengths = map(sub, islice(values, 1, None), values)
        grown = chain((0.0,), map(mul, densities, lengths))
        self.values = array("d", values)
        self._upto = array("d", list(accumulate(map(add, grown, masses))))
        self._densities = array("d", densities)

    def table(self) -> _Table:
        """Return values, weight up to them and density after them; all of one length."""
        if len(self._upto) < len(self.values):  # made only where exact parts stand beside others
            self._upto = array("d", range(1, len(self.values) + 1))
            self._densities = array("d", bytes(len(self._upto) * self._upto.itemsize))
        return self.values, self._upto, self._densities


class Quantiles:
    """The samples of a window, in parts that are ready to be read."""

    __slots__ = ("_is_exact", "_ordered", "_parts", "n")

    def __init__(self, parts: Sequence[Distribution]) -> None:
        self._parts = parts
        self.n, self._is_exact = 0, True
        for part in parts:
            self.n += part.n
            self._is_exact = self._is_exact and part.is_exact
        self._ordered: list[float] | None = None

    @property
    def is_exact(self) -> bool:
        """Whether every sample is known, and so every rank is right."""
        return self._is_exact

    @property
    def maximum(self) -> float:
        """The greatest sample, exactly; -inf without any."""
        return max((part.maximum for part in self._parts), default=-inf)

    def at(self, *probabilities: float) -> tuple[float | None, ...]:
        """Return the quantiles at `probabilities` (0 to 1); all None where there is no sample."""
        if not self.n:
            return (None,) * len(probabilities)
        if self.n <= _SORTED and self._is_exact:
            if self._ordered is None:
                self._ordered = sorted(chain.from_iterable([part.values for part in self._parts]))
            last, hair = self.n - 1, _HAIR * self.n
            ranks = [ceil(probability * self.n - hair) - 1 for probability in probabilities]
            return tuple([self._ordered[min(max(0, rank), last)] for rank in ranks])
        filled = sorted((part for part in self._parts if part.n), key=lambda p: -len(p.values))
        tables, share = [part.table() for part in filled], filled[0].n / self.n
        return tuple(_read(tables, p * self.n, self.n, share) for p in probabilities)

    def upto(self, value: float) -> float:
        """Return how many samples are at most `value`."""
        if self.n <= _SORTED and self._is_exact:
            return sum([bisect_right(part.values, value) for part in self._parts])
        tables = [part.table() for part in self._parts if part.n]
        reached, _ = _reached(tables, value, [0] * len(tables), [len(one[0]) for one in tables])
        return min(max(0.0, reached), self.n)


def _read(tables: Sequence[_Table], rank: float, total: int, share: float) -> float:
    """Return the value at `rank` of `total`; the first table has that `share` of all samples."""
    hair = _HAIR * total
    if rank >= total - hair:
        return max(values[-1] for values, _, _ in tables)
    value = _first_reaching(tables, rank - hair, share)
    below = density = 0.0
    begin = -inf
    for values, upto, densities in tables:
        index = bisect_left(values, value) - 1
        if index >= 0:
            below += upto[index] + densities[index] * (value - values[index])
            density += densities[index]
            begin = max(begin, values[index])
    if density <= 0.0 or rank > below:
        return value
    lows, highs = [0] * len(tables), [len(table[0]) for table in tables]
    before, _ = _reached(tables, begin, lows, highs)
    return min(value, begin + max(0.0, rank - before) / density)


def _first_reaching(tables: Sequence[_Table], rank: float, share: float) -> float:
    """Return the first of all values up to which all tables together reach the rank."""
    lows, highs = [0] * len(tables), [len(table[0]) for table in tables]
    values, upto, _ = tables[0]
    value = max(table[0][-1] for table in tables)
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
