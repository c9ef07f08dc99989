"""The samples of one slice of time, in bounded memory; `quantiles.py` reads them.

Rule 1: a sample is kept exactly while there are few. When `BUFFER` are held, a sketch of the
`tdigest` or the `fastdigest` package takes them.
Rule 2: what is closed is compacted to at most `CENTROIDS` centroids, which know their own spread.
The packages' own reading lacks that: of 0.2 (900 times) and 0.5 (90 times) `tdigest` reads a
median of 0.23.
Rule 3: a window is read as the union of its slices' centroids. Digests are never merged for it: a
merge costs 17 ms with `tdigest`, and each one blurs.
Rule 4: what nobody changes any more is held in arrays that copies share, and a sketch between two
of its meals is held so, too: a run's digests are most of what a copy of a board has for itself.
"""

import math
import pickle
import zlib
from array import array
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from struct import Struct
from typing import Final

from probes.kit.frozen_array import FrozenArray
from probes.kit.shared import Shared, slots_of
from probes.stats.centroids import Centroid, merged, point
from probes.stats.sketch import Sketch, new_sketch

CENTROIDS: Final = 64
"""Most centroids a compacted digest keeps: with fewer p99 leaves its tolerance of 0.002 in rank."""
BUFFER: Final = 512
"""Samples or centroids held before a sketch takes them: sketches take many at once for the price of
a few, and most slices never come to so many."""
_COLUMNS: Final = 5
"""Numbers in a centroid."""
_SAMPLES, _CENTROIDS = b"s", b"c"
"""What a packed digest begins with: what follows are samples, or a head and centroids."""
_HEAD: Final = Struct("<qd")
"""Their number and the greatest of them, which centroids do not know."""


class Points(FrozenArray[float]):
    """Samples that are known each, in the place of as many centroids: a fifth of the memory."""

    __slots__ = ()


class Digest:
    """Samples of one metric: `add`, and `compact` once they are closed.

    Deterministic: the same samples in the same order give the same centroids. Compacting is the
    caller's decision; reading changes nothing.
    """

    __slots__ = ("_is_compact", "_packed", "_samples", "_shared_sketch", "_sketch", "maximum", "n")

    def __init__(self) -> None:
        self.n = 0
        self.maximum = -math.inf
        self._samples: list[float] | FrozenArray[float] = []
        """Frozen once it is compacted: a fifth of the memory of as many centroids."""
        self._packed: tuple[FrozenArray[float], ...] = ()
        """Centroids one after the other: a quarter of the memory of as many tuples. Of what is
        compacted one array; what absorbs others has theirs."""
        self._sketch: Sketch | None = None
        self._shared_sketch: Shared | None = None
        """The sketch in bytes, as copies have it; where only that is known, it is read on need."""
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
        self._packed += other._frozen()
        held = [len(one) if type(one) is Points else len(one) // _COLUMNS for one in self._packed]
        if sum(held) >= BUFFER:
            self._spill()

    def __getstate__(self) -> tuple[None, dict[str, object]]:
        """Return what a copy is made of; see rule 4."""
        if self._sketch is not None and self._shared_sketch is None:
            packed = pickle.dumps(self._sketch, pickle.HIGHEST_PROTOCOL)
            self._shared_sketch = Shared((zlib.compress(packed, 1),))
        return None, {**slots_of(self), "_sketch": None}

    def compact(self) -> int:
        """Merge everything to at most `CENTROIDS` centroids; n and the maximum stay exact.

        Returns how many samples and centroids there were.
        """
        many = self.centroids()
        if not self._is_compact:
            kept = merged(many, CENTROIDS)
            if len(kept) == self.n:  # all differ, and each is known
                self._samples, self._packed = FrozenArray("d", [one[0] for one in kept]), ()
            else:
                self._samples = []
                self._packed = (FrozenArray("d", chain.from_iterable(kept)),)
            self._sketch, self._shared_sketch, self._is_compact = None, None, True
        return len(many)

    def pack(self) -> bytes:
        """Return what is compact in bytes."""
        if not self._packed:
            return _SAMPLES + array("d", self._samples).tobytes()
        (centroids,) = self._packed
        return _CENTROIDS + _HEAD.pack(self.n, self.maximum) + centroids.tobytes()

    @classmethod
    def unpacked(cls, packed: bytes) -> "Digest":
        """Return what was packed, compact."""
        made = cls()
        if packed.startswith(_SAMPLES):
            made._samples = FrozenArray("d", packed[1:])
            made.n = len(made._samples)
            made.maximum = made._samples[-1] if made.n else -math.inf  # they are in order
        else:
            made.n, made.maximum = _HEAD.unpack_from(packed, 1)
            made._packed = (FrozenArray("d", packed[1 + _HEAD.size :]),)
        return made

    def centroids(self) -> list[Centroid]:
        """Return all centroids, in no particular order."""
        found = [centroid for packed in self._packed for centroid in _unpacked(packed)]
        sketch = self._opened_sketch()
        if sketch is not None:
            found.extend(sketch.centroids())
        found.extend(map(point, self._samples))
        return found

    def samples(self) -> Sequence[float] | None:
        """Return all samples while each is known, in no particular order; else None."""
        if not self._packed and self._sketch is None and self._shared_sketch is None:
            return self._samples
        packed = array("d", chain.from_iterable(map(_columns, self._packed)))
        means, weights = packed[::_COLUMNS], packed[1::_COLUMNS]
        if sum(weights) + len(self._samples) != self.n or max(packed[4::_COLUMNS]) > 1:
            return None
        if len(means) + len(self._samples) == self.n:
            return [*means, *self._samples]
        counts = map(int, weights)  # of equal samples, which compacting has joined
        return [*chain.from_iterable(map(repeat, means, counts)), *self._samples]

    def _open(self) -> None:
        """Make ready for more: what is frozen may be somebody else's too."""
        self._samples, self._is_compact = list(self._samples), False

    def _frozen(self) -> tuple[FrozenArray[float], ...]:
        """Return all centroids in arrays, where possible those that it holds itself."""
        if self._is_compact and self._packed:
            return self._packed
        if self._is_compact:
            return (Points("d", self._samples),)
        return (FrozenArray("d", chain.from_iterable(self.centroids())),)

    def _opened_sketch(self) -> Sketch | None:
        if self._sketch is None and self._shared_sketch is not None:
            packed: bytes = self._shared_sketch[0]
            self._sketch = pickle.loads(zlib.decompress(packed))  # noqa: S301 - our own
        return self._sketch

    def _spill(self) -> None:
        sketch = self._opened_sketch() or new_sketch()
        sketch.absorb(chain(*map(_unpacked, self._packed), map(point, self._samples)))
        self._sketch, self._shared_sketch = sketch, None
        self._samples, self._packed = [], ()


def _columns(packed: "FrozenArray[float]") -> Iterable[float]:
    """Return centroids one after the other."""
    return chain.from_iterable(map(point, packed)) if type(packed) is Points else packed


def _unpacked(packed: "FrozenArray[float]") -> list[Centroid]:
    if type(packed) is Points:
        return list(map(point, packed))
    columns = [iter(packed)] * _COLUMNS
    return list(zip(*columns, strict=True))
