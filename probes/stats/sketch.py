"""What takes over when a digest has more samples than it keeps: a t-digest of a package.

`tdigest` is always there. `fastdigest` (Rust, brought by the extra `fast`) is taken instead where
it is installed. Both forget what a centroid here knows beside mean and weight, its spread; each is
helped to it in its own way.
"""

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from itertools import pairwise
from typing import Any, Final, Protocol

from tdigest import TDigest

from probes.stats.centroids import POINT_WIDTH, Centroid, joined, merged, point, union

TREE_LIMIT: Final = 256
"""Centroids in the tree of `tdigest` before it is merged to half of that."""
FAST_LIMIT: Final = 1024
"""Most centroids of `fastdigest`: each point mass takes two, and more cost next to nothing."""
_TAKEN_AT_ONCE: Final = 64
"""Centroids that a batch is merged to before `tdigest` takes it, at 12 to 38 µs each."""


class Sketch(Protocol):
    """A bounded number of centroids, however many were taken."""

    def absorb(self, centroids: Iterable[Centroid]) -> None:
        """Take weighted centroids, most of them points."""
        ...

    def centroids(self) -> list[Centroid]:
        """Return all centroids, in order of their means."""
        ...


class _SpanCentroid:
    """What `tdigest` keeps in its tree, with its spread beside it."""

    __slots__ = ("count", "mean", "spread")

    def __init__(self, centroid: Centroid) -> None:
        self.mean, self.count, *_ = centroid
        self.spread = centroid[2:]

    def span(self) -> Centroid:
        return (self.mean, self.count, *self.spread)


class TreeSketch(TDigest):  # type: ignore[misc]  # the package is untyped
    """The digest of `tdigest`, made deterministic and aware of each centroid's spread.

    The package draws lots among equally near centroids and compresses in random order, so that a
    replay would not give what the live run gave; and it changes weights inside its tree behind the
    tree's back.
    """

    def __init__(self) -> None:
        super().__init__(delta=0.01, K=0.01 * TREE_LIMIT)
        self._taking: Centroid = point(0.0)

    def absorb(self, centroids: Iterable[Centroid]) -> None:
        """Take weighted centroids, few of them: adding is dear here."""
        for centroid in merged(centroids, _TAKEN_AT_ONCE):
            self._taking = centroid
            self.update(centroid[0], centroid[1])

    def centroids(self) -> list[Centroid]:
        """Return all centroids, in order of their means."""
        return [centroid.span() for centroid in self.C.values()]

    def compress(self) -> None:
        """Merge neighbours to half the tree's limit."""
        few = merged(self.centroids(), TREE_LIMIT // 2)
        self.C.clear()
        for centroid in few:
            self._insert(centroid)

    def _find_closest_centroids(self, x: float) -> list[Any]:
        nearest: list[Any] = super()._find_closest_centroids(x)
        return nearest[:1]

    def _add_centroid(self, centroid: Any) -> None:
        self._insert((self._taking[0], centroid.count, *self._taking[2:]))

    def _update_centroid(self, centroid: _SpanCentroid, x: float, w: float) -> None:
        self.C.pop(centroid.mean)
        self._insert(union((centroid.span(), (x, w, *self._taking[2:]))))

    def _insert(self, centroid: Centroid) -> None:
        if centroid[0] in self.C:
            centroid = union((self.C.pop(centroid[0]).span(), centroid))
        self.C.insert(centroid[0], _SpanCentroid(centroid))


class FastSketch:
    """The digest of `fastdigest`, which keeps means and weights only.

    Spread is read from the neighbours: half-way to each of them. A point mass is handed over in two
    halves, because what has a neighbour of its own mean is known again as a point; one that is
    light enough to be merged is spread by a centroid's width, a few tenths of a per cent in rank.
    """

    __slots__ = ("_digest",)

    def __init__(self) -> None:
        """Raises RuntimeError where `fastdigest` is not installed."""
        if _FAST is None:
            raise RuntimeError("fastdigest is not installed: pip install 'llmtop-tui[fast]'")
        self._digest: Any = _FAST(max_centroids=FAST_LIMIT)

    def absorb(self, centroids: Iterable[Centroid]) -> None:
        """Take weighted centroids, as they come, only equal points joined."""
        masses = [part for centroid in joined(centroids) for part in _masses(centroid)]
        if masses:
            means, weights = zip(*masses, strict=True)
            self._digest.batch_update(means, weights)

    def centroids(self) -> list[Centroid]:
        """Return all centroids, in order of their means."""
        masses: list[tuple[float, float]] = self._digest.centroids
        if not masses:
            return []
        means = [mean for mean, _ in masses]
        middles = ((left + right) / 2.0 for left, right in pairwise(means))
        ends = [self._digest.min(), *middles, self._digest.max()]
        near = [False, *(_is_near(left, right) for left, right in pairwise(means)), False]
        return [
            _spanned(mass, ends[index : index + 2], near[index] or near[index + 1])
            for index, mass in enumerate(masses)
        ]


def _masses(centroid: Centroid) -> Sequence[tuple[float, float]]:
    mean, weight, low, high, different = centroid
    if different == 2:
        below = weight * (high - mean) / (high - low)
        return (*_halves(low, below), *_halves(high, weight - below))
    return _halves(mean, weight) if different == 1 and weight > 1.0 else ((mean, weight),)


def _halves(value: float, weight: float) -> Sequence[tuple[float, float]]:
    return ((value, weight / 2.0), (value, weight / 2.0))


def _is_near(left: float, right: float) -> bool:
    return right - left <= POINT_WIDTH * abs(right)


def _spanned(mass: tuple[float, float], ends: Sequence[float], is_point: bool) -> Centroid:
    (mean, weight), (low, high) = mass, ends
    if weight <= 1.0 or is_point or not low < mean < high:
        return point(mean, weight)
    return (mean, weight, low, high, 3)


def _fast_digest() -> Any:
    try:
        return import_module("fastdigest").TDigest
    except ImportError:  # the extra `fast` is not installed
        return None


_FAST: Final[Any] = _fast_digest()

SKETCHES: Final[dict[str, Callable[[], Sketch]]] = {
    "tdigest": TreeSketch,
    "fastdigest": FastSketch,
}
"""What there is to choose from, by the name of its package."""

BACKEND: Final = "tdigest" if _FAST is None else "fastdigest"
"""The package that holds the long digests of this process."""

new_sketch: Final = SKETCHES[BACKEND]
