"""Percentiles of streams in bounded memory: t-digests, read without lying about duplicates.

A sample is kept exactly while there are few; beyond `BUFFER` it goes through the `tdigest` package.
Adding there costs some 40 µs, so full buffers are first merged to `CENTROIDS` centroids and only
those are added: about 10 µs a sample at the most, and nothing at all at common probe rates.

A centroid here knows its own spread (lowest and highest sample) besides mean and weight. One
without spread is a point mass: a step of the distribution that is never interpolated across. That
is what the package's own reading gets wrong: 0.2 (900 times) and 0.5 (90 times) give it a median
of 0.23. Windows are read as the union of their slices' centroids; digests are never merged for it.

Source: Dunning, Ertl, "Computing extremely accurate quantiles using t-digests" (2019), scale k1.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, Final

from tdigest import TDigest

from probes.distribution import Centroid, Distribution, read_quantiles

__all__ = [
    "BUFFER",
    "CENTROIDS",
    "Centroid",
    "Digest",
    "GapBuckets",
    "distribution",
    "quantiles",
]

CENTROIDS: Final = 64
"""Most centroids a compacted digest keeps."""
BUFFER: Final = 256
"""Samples kept exactly before the package takes over."""
_TREE_LIMIT: Final = 512
"""Centroids in the package's tree before it is merged to half of that."""
_POINT_WIDTH: Final = 1e-9
"""Relative spread below which a centroid is a point: one ns in a second."""


class Digest:
    """Samples of one metric: `add`, `compact` once they are closed, read by `quantiles`.

    Deterministic: the same samples in the same order give the same centroids. Compacting is the
    caller's decision; reading changes nothing.
    """

    __slots__ = ("_buffer", "_centroids", "_tree", "maximum", "minimum", "n")

    def __init__(self) -> None:
        self.n = 0
        self.minimum = math.inf
        self.maximum = -math.inf
        self._buffer: list[float] = []
        self._centroids: tuple[Centroid, ...] = ()
        self._tree: _SpanDigest | None = None

    def add(self, value: float) -> None:
        """Take one finite sample."""
        self.n += 1
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)
        self._buffer.append(value)
        if len(self._buffer) >= BUFFER:
            self._spill()

    def compact(self) -> None:
        """Merge everything to at most `CENTROIDS` centroids; n, minimum and maximum stay exact."""
        if self._buffer or self._tree is not None:
            self._centroids = tuple(_merged(self.centroids(), CENTROIDS))
            self._buffer = []
            self._tree = None

    def centroids(self) -> list[Centroid]:
        """Return all centroids, in no particular order."""
        found = list(self._centroids)
        if self._tree is not None:
            found.extend(self._tree.spans())
        found.extend((value, 1.0, value, value, 1) for value in self._buffer)
        return found

    def _spill(self) -> None:
        if self._tree is None:
            self._tree = _SpanDigest()
        points = chain(self._centroids, ((value, 1.0, value, value, 1) for value in self._buffer))
        for centroid in _merged(points, CENTROIDS):
            self._tree.take(centroid)
        self._buffer = []
        self._centroids = ()


def distribution(digests: Sequence[Digest]) -> Distribution:
    """Return what the samples of all `digests` together look like."""
    centroids = chain.from_iterable(digest.centroids() for digest in digests)
    maximum = max((digest.maximum for digest in digests), default=-math.inf)
    return Distribution(centroids, sum(digest.n for digest in digests), maximum)


def quantiles(
    digests: Iterable[Digest], probabilities: Sequence[float]
) -> tuple[float | None, ...]:
    """Return the quantiles of the union of `digests`; see `read_quantiles`."""
    return read_quantiles([distribution(tuple(digests))], probabilities)


def _merged(centroids: Iterable[Centroid], limit: int) -> list[Centroid]:
    """Return at most `limit` centroids, small at both ends, equal points joined exactly."""
    joined = _joined_points(sorted(centroids))
    if len(joined) <= limit:
        return joined
    total = sum(centroid[1] for centroid in joined)
    # Greedy merging fills k-space nearly, but never surely: aim high and come down.
    delta = 2.0 * limit
    while True:
        merged = _merged_by_scale(joined, total, delta)
        if len(merged) <= limit:
            return merged
        delta *= 0.95


def _joined_points(ordered: Iterable[Centroid]) -> list[Centroid]:
    joined: list[Centroid] = []
    for centroid in ordered:
        if joined and centroid[4] == joined[-1][4] == 1 and centroid[0] == joined[-1][0]:
            mean, weight, low, high, _ = centroid
            joined[-1] = (mean, joined[-1][1] + weight, low, high, 1)
        else:
            joined.append(centroid)
    return joined


def _merged_by_scale(ordered: list[Centroid], total: float, delta: float) -> list[Centroid]:
    merged = [ordered[0]]
    before = 0.0
    bound = _bound(0.0, delta)
    for centroid in ordered[1:]:
        weight = merged[-1][1]
        if before + weight + centroid[1] <= bound * total:
            merged[-1] = _union(merged[-1], centroid)
        else:
            before += weight
            bound = _bound(before / total, delta)
            merged.append(centroid)
    return merged


def _bound(quantile: float, delta: float) -> float:
    """Return how far a centroid that begins at `quantile` may reach: one step of scale k1."""
    angle = math.asin(2.0 * quantile - 1.0) + 2.0 * math.pi / delta
    return 1.0 if angle >= math.pi / 2 else (math.sin(angle) + 1.0) / 2.0


def _union(one: Centroid, other: Centroid) -> Centroid:
    weight = one[1] + other[1]
    low, high = min(one[2], other[2]), max(one[3], other[3])
    mean = one[0] + (other[0] - one[0]) * other[1] / weight
    if high - low <= _POINT_WIDTH * abs(high) or not low < mean < high:
        return (mean, weight, mean, mean, 1)
    ends = {one[2], one[3], other[2], other[3]}
    known = one[4] < 3 and other[4] < 3
    return (mean, weight, low, high, 2 if known and len(ends) == 2 else 3)


class _SpanCentroid:
    """What the package keeps in its tree, with its spread beside it."""

    __slots__ = ("count", "mean", "spread")

    def __init__(self, centroid: Centroid) -> None:
        self.mean, self.count, *_ = centroid
        self.spread = centroid[2:]

    def span(self) -> Centroid:
        return (self.mean, self.count, *self.spread)


class _SpanDigest(TDigest):  # type: ignore[misc]  # the package is untyped
    """The package's digest, made deterministic and aware of each centroid's spread.

    The package draws lots among equally near centroids, compresses in random order, and changes
    weights inside its tree without telling the tree.
    """

    def __init__(self) -> None:
        super().__init__(delta=0.01, K=0.01 * _TREE_LIMIT)
        self._taking: Centroid = (0.0, 0.0, 0.0, 0.0, 1)

    def take(self, centroid: Centroid) -> None:
        """Add one weighted centroid."""
        self._taking = centroid
        self.update(centroid[0], centroid[1])

    def spans(self) -> list[Centroid]:
        """Return all centroids, in order of their means."""
        return [centroid.span() for centroid in self.C.values()]

    def compress(self) -> None:
        """Merge neighbours to half the tree's limit."""
        merged = _merged(self.spans(), _TREE_LIMIT // 2)
        self.C.clear()
        for centroid in merged:
            self._insert(centroid)

    def _find_closest_centroids(self, x: float) -> list[Any]:
        nearest: list[Any] = super()._find_closest_centroids(x)
        return nearest[:1]

    def _add_centroid(self, centroid: Any) -> None:
        self._insert((self._taking[0], centroid.count, *self._taking[2:]))

    def _update_centroid(self, centroid: _SpanCentroid, x: float, w: float) -> None:
        self.C.pop(centroid.mean)
        self._insert(_union(centroid.span(), (x, w, *self._taking[2:])))

    def _insert(self, centroid: Centroid) -> None:
        if centroid[0] in self.C:
            centroid = _union(self.C.pop(centroid[0]).span(), centroid)
        self.C.insert(centroid[0], _SpanCentroid(centroid))


class GapBuckets:
    """Counts of durations in log-spaced buckets, eight to each doubling: within 4.5 % of the truth.

    For what comes by the thousand, such as chunk gaps; also what a heat map draws.
    """

    __slots__ = ("_counts", "n")

    PER_DOUBLING: Final = 8

    def __init__(self) -> None:
        self.n = 0
        self._counts: dict[int, int] = {}

    def add(self, duration_ns: int) -> None:
        """Count one duration in ns; below 1 ns counts as 1 ns."""
        bucket = math.floor(math.log2(max(1, duration_ns)) * self.PER_DOUBLING)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.n += 1

    def merge(self, other: "GapBuckets") -> None:
        """Count everything `other` has counted."""
        for bucket, count in other._counts.items():
            self._counts[bucket] = self._counts.get(bucket, 0) + count
        self.n += other.n

    def quantile(self, probability: float) -> float | None:
        """Return the geometric middle in ns of the bucket at that rank; None without samples."""
        rank = 0
        for bucket, count in sorted(self._counts.items()):
            rank += count
            if rank >= probability * self.n:
                return self._edge(bucket + 0.5)
        return None

    def buckets(self) -> tuple[tuple[float, int], ...]:
        """Return (lower edge in ns, count) of the buckets in use, ascending."""
        return tuple((self._edge(bucket), n) for bucket, n in sorted(self._counts.items()))

    def _edge(self, bucket: float) -> float:
        return float(2.0 ** (bucket / self.PER_DOUBLING))
