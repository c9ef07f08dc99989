"""The samples of one slice of time, in bounded memory; `quantiles.py` reads them.

Rule 1: a sample is kept exactly while there are few. When `BUFFER` are held, a sketch of the
`tdigest` or the `fastdigest` package takes them.
Rule 2: what is closed is compacted to at most `CENTROIDS` centroids, which know their own spread.
The packages' own reading lacks that: of 0.2 (900 times) and 0.5 (90 times) `tdigest` reads a
median of 0.23.
Rule 3: a window is read as the union of its slices' centroids. Digests are never merged for it: a
merge costs 17 ms with `tdigest`, and each one blurs.
"""

import math
from array import array
from collections.abc import Sequence
from itertools import chain, repeat
from typing import Final

from probes.kit.frozen_array import FrozenArray
from probes.stats.centroids import Centroid, merged, point
from probes.stats.sketch import Sketch, new_sketch

CENTROIDS: Final = 64
"""Most centroids a compacted digest keeps: with fewer p99 leaves its tolerance of 0.002 in rank."""
BUFFER: Final = 512
"""Samples or centroids held before a sketch takes them: sketches take many at once for the price of
a few, and most slices never come to so many."""
_COLUMNS: Final = 5
"""Numbers in a centroid."""
_NOTHING: Final[FrozenArray[float]] = FrozenArray("d")


class Digest:
    """Samples of one metric: `add`, and `compact` once they are closed.

    Deterministic: the same samples in the same order give the same centroids. Compacting is the
    caller's decision; reading changes nothing.
    """

    __slots__ = ("_is_compact", "_packed", "_samples", "_sketch", "maximum", "n")

    def __init__(self) -> None:
        self.n = 0
        self.maximum = -math.inf
        self._samples: list[float] | FrozenArray[float] = []
        """Frozen once it is compacted: a fifth of the memory of as many centroids."""
        self._packed: array[float] = _NOTHING
        """Centroids one after the other: a quarter of the memory of as many tuples. Frozen where
        nothing but them is held."""
        self._sketch: Sketch | None = None
        self._is_compact = True

    def add(self, value: float) -> None:
        """Take one finite sample."""
        self.n += 1
        if value > self.maximum:
            self.maximum = value
        if self._is_compact:
            self._open()
        self._samples.append(value)
        if len(self._samples) >= BUFFER:
            self._spill()

    def absorb(self, other: "Digest") -> None:
        """Take all samples of `other`, as the centroids it has."""
        self.n += other.n
        self.maximum = max(self.maximum, other.maximum)
        if self._is_compact:
            self._open()
        self._packed = array("d", chain(self._packed, chain.from_iterable(other.centroids())))
        if len(self._packed) >= BUFFER * _COLUMNS:
            self._spill()

    def compact(self) -> int:
        """Merge everything to at most `CENTROIDS` centroids; n and the maximum stay exact.

        Returns how many samples and centroids there were.
        """
        many = self.centroids()
        if not self._is_compact:
            kept = merged(many, CENTROIDS)
            if len(kept) == self.n:  # all differ, and each is known
                self._samples, self._packed = FrozenArray("d", [one[0] for one in kept]), _NOTHING
            else:
                self._samples = []
                self._packed = FrozenArray("d", chain.from_iterable(kept))
            self._sketch, self._is_compact = None, True
        return len(many)

    def centroids(self) -> list[Centroid]:
        """Return all centroids, in no particular order."""
        found = _unpacked(self._packed)
        if self._sketch is not None:
            found.extend(self._sketch.centroids())
        found.extend(map(point, self._samples))
        return found

    def samples(self) -> Sequence[float] | None:
        """Return all samples while each is known, in no particular order; else None."""
        if not self._packed and self._sketch is None:
            return self._samples
        means, weights = self._packed[::_COLUMNS], self._packed[1::_COLUMNS]
        if sum(weights) + len(self._samples) != self.n or max(self._packed[4::_COLUMNS]) > 1:
            return None
        if len(means) + len(self._samples) == self.n:
            return [*means, *self._samples]
        counts = map(int, weights)  # of equal samples, which compacting has joined
        return [*chain.from_iterable(map(repeat, means, counts)), *self._samples]

    def _open(self) -> None:
        """Make ready for more: what is frozen may be somebody else's too."""
        self._samples, self._is_compact = list(self._samples), False

    def _spill(self) -> None:
        if self._sketch is None:
            self._sketch = new_sketch()
        self._sketch.absorb(chain(_unpacked(self._packed), map(point, self._samples)))
        self._samples, self._packed = [], _NOTHING


def _unpacked(packed: "array[float]") -> list[Centroid]:
    columns = [iter(packed)] * _COLUMNS
    return list(zip(*columns, strict=True))
