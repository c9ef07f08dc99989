"""Digests of a slot in a few bytes: what is kept of its samples for weeks.

Rule 1. A value is kept on a grid of equal ratios: to 0.02 %, from a microsecond to eleven days.
Rule 2. A centroid keeps its spread (lowest, highest) beside mean and weight, as `probes.stats` has
it, so that reading the union of a month's centroids never interpolates across a point mass.
Rule 3. Weights are whole, and their sum is exactly how many samples there were.

A digest in bytes: how many centroids (1 byte), bytes of a weight (1), which of them hold just two
values (4, a bit each), then lowest, mean and highest of all, each in two bytes, then all weights.
"""

import math
import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final

from probes.stats.centroids import Centroid, grouped, joined
from probes.stats.centroids import union as one_of

CENTROIDS: Final = 16
"""Of a slot at most: ranks that are read of it are within 0.01."""
HOUR_CENTROIDS: Final = 24
"""Of an hour, which is merged of slots and so blurred twice."""
_AT_GAPS: Final = 4
"""So many of them are kept to part what lies on two sides of a gap: of two humps the one in the
middle would fill the valley between them."""
_GAP: Final = 0.005
"""A gap matters where its logarithm times the share of the samples on its lighter side is above
this: a twentieth of them beside a gap of a tenth."""
_LEAST: Final = 1e-6
_MOST: Final = 1e6
_STEPS: Final = 65_535
_LOG_LEAST: Final = math.log(_LEAST)
_LOG_STEP: Final = (math.log(_MOST) - _LOG_LEAST) / _STEPS
GRID: Final = math.expm1(_LOG_STEP)
"""Ratio of two neighbouring values, less one."""
_HEAD: Final = struct.Struct("<BBI")
_WIDTHS: Final = ((1, "B", 0xFF), (2, "H", 0xFFFF), (4, "I", 0xFFFF_FFFF))
_FORMATS: Final = {width: letter for width, letter, _ in _WIDTHS}


def pack(centroids: Iterable[Centroid], limit: int = CENTROIDS) -> bytes:
    """Return the centroids, merged to `limit` of them at most, in bytes; nothing of none."""
    kept = _fewer(joined(centroids), limit)
    lows: list[int] = []
    means: list[int] = []
    highs: list[int] = []
    weights: list[int] = []
    upto, given, pairs = 0.0, 0, 0
    for mean, weight, low, high, different in kept:
        # Weights that a sketch has made may be broken; their running sum is rounded, not they.
        upto += weight
        whole = round(upto) - given
        if whole <= 0:
            continue
        given += whole
        if different == 2:
            pairs |= 1 << len(weights)
        lows.append(_place(low))
        means.append(_place(mean))
        highs.append(_place(high))
        weights.append(min(whole, 0xFFFF_FFFF))
    if not weights:
        return b""
    n = len(weights)
    width, letter = next((w, c) for w, c, most in _WIDTHS if max(weights) <= most)
    return _HEAD.pack(n, width, pairs) + struct.pack(
        f"<{3 * n}H{n}{letter}", *lows, *means, *highs, *weights
    )


def unpack(packed: bytes) -> list[Centroid]:
    """Return the centroids of a digest in bytes.

    Raises:
        ValueError: these bytes are none.
    """
    if not packed:
        return []
    n, pairs, found = _read(packed)
    values = [math.exp(_LOG_LEAST + _LOG_STEP * place) for place in found[: 3 * n]]
    centroids: list[Centroid] = []
    for at in range(n):
        low, mean, high = values[at], values[n + at], values[2 * n + at]
        weight = found[3 * n + at]
        if not low < mean < high:
            # Within one step of the grid: nobody can tell such samples apart any more.
            centroids.append((mean, weight, mean, mean, 1))
        else:
            centroids.append((mean, weight, low, high, 2 if pairs >> at & 1 else 3))
    return centroids


def _read(packed: bytes) -> tuple[int, int, tuple[int, ...]]:
    """Return how many centroids are in so many bytes, which of them are pairs, and their places and
    weights in a row. Raises ValueError."""
    try:
        n, width, pairs = _HEAD.unpack_from(packed)
        return n, pairs, struct.unpack_from(f"<{3 * n}H{n}{_FORMATS[width]}", packed, _HEAD.size)
    except (struct.error, KeyError) as error:
        raise ValueError(f"no digest: {error}") from None


def union(digests: Sequence[bytes], limit: int = HOUR_CENTROIDS) -> bytes:
    """Return one digest of what several hold together."""
    held = [digest for digest in digests if digest]
    if len(held) < 2:
        return held[0] if held else b""
    return pack((centroid for digest in held for centroid in unpack(digest)), limit)


def _fewer(many: list[Centroid], limit: int) -> list[Centroid]:
    """Return at most `limit` of many centroids, none of them across a wide gap."""
    if len(many) <= limit:
        return many
    groups = grouped(many, limit - _AT_GAPS)
    least = _GAP * sum([centroid[1] for centroid in many])
    gaps = [_widest_gap(group) for group in groups]
    if max(gaps)[0] < least:
        groups, gaps = grouped(many, limit), []  # there is none that matters
    for _ in range(_AT_GAPS if gaps else 0):
        number = max(range(len(groups)), key=gaps.__getitem__)
        size, at = gaps[number]
        if not size:
            break
        halves = [groups[number][:at], groups[number][at:]]
        groups[number : number + 1] = halves
        gaps[number : number + 1] = map(_widest_gap, halves)
    return [one_of(group) if len(group) > 1 else group[0] for group in groups]


def _widest_gap(group: Sequence[Centroid]) -> tuple[float, int]:
    """Return how much would be gained by parting a group at a gap, and where that is: the gap's
    logarithm times the weight of the lighter side, which one centroid would spread over it."""
    best, at = 0.0, 0
    left, right = 0.0, sum([centroid[1] for centroid in group])
    for place, (before, after) in enumerate(pairwise(group), 1):
        left += before[1]
        right -= before[1]
        low, high = before[3], after[2]
        if high > low > _LEAST:
            gain = math.log(high / low) * min(left, right)
            if gain > best:
                best, at = gain, place
    return best, at


def _place(value: float) -> int:
    if not value > _LEAST:
        return 0
    return min(round((math.log(min(value, _MOST)) - _LOG_LEAST) / _LOG_STEP), _STEPS)


class Union:
    """What many digests hold together, read as one: their centroids, never their percentiles.

    It stays on the grid: what lies between lowest, mean and highest of a centroid is spread evenly
    in ratios there. `add` is a hot loop: a month of one route has 35,000 centroids.
    """

    __slots__ = ("_masses", "_slopes", "n")

    def __init__(self) -> None:
        self.n = 0
        """Samples."""
        self._masses: dict[int, float] = {}
        """What lies on a place of the grid."""
        self._slopes: dict[int, float] = {}
        """How the density changes at a place."""

    def add(self, packed: bytes) -> None:
        """Take a digest. Raises ValueError: these bytes are none."""
        if not packed:
            return
        n, pairs, found = _read(packed)
        masses, slopes = self._masses, self._slopes
        weights = found[3 * n :]
        self.n += sum(weights)
        for at in range(n):
            low, mean, high, weight = found[at], found[n + at], found[2 * n + at], weights[at]
            if not low < mean < high:
                masses[mean] = masses.get(mean, 0.0) + weight
                continue
            below = weight * (high - mean) / (high - low)
            if pairs >> at & 1:
                masses[low] = masses.get(low, 0.0) + below
                masses[high] = masses.get(high, 0.0) + weight - below
                continue
            rises, falls = below / (mean - low), (weight - below) / (high - mean)
            slopes[low] = slopes.get(low, 0.0) + rises
            slopes[mean] = slopes.get(mean, 0.0) + falls - rises
            slopes[high] = slopes.get(high, 0.0) - falls

    def absorb(self, other: "Union") -> None:
        """Take what another holds."""
        self.n += other.n
        for ours, theirs in ((self._masses, other._masses), (self._slopes, other._slopes)):
            for place, value in theirs.items():
                ours[place] = ours.get(place, 0.0) + value

    def at(self, *probabilities: float) -> tuple[float | None, ...]:
        """Return the quantiles at ascending `probabilities`; all None without a sample."""
        if not self.n:
            return (None,) * len(probabilities)
        found: list[float | None] = []
        wanted = iter(probabilities)
        rank = self.n * next(wanted)
        hair = 1e-9 * self.n
        upto = density = 0.0
        before = last = 0
        masses, slopes = self._masses, self._slopes
        for place in sorted({*masses, *slopes}):
            grown = upto + density * (place - before)
            while grown >= rank - hair:
                inside = (rank - upto) / density if density > 0.0 else place - before
                found.append(_value(before + max(0.0, inside)))
                if (share := next(wanted, None)) is None:
                    return tuple(found)
                rank = self.n * share
            upto = grown + masses.get(place, 0.0)
            while upto >= rank - hair:
                found.append(_value(place))
                if (share := next(wanted, None)) is None:
                    return tuple(found)
                rank = self.n * share
            density += slopes.get(place, 0.0)
            before = last = place
        missing = len(probabilities) - len(found)
        return (*found, *(_value(last),) * missing)


def _value(place: float) -> float:
    return math.exp(_LOG_LEAST + _LOG_STEP * place)
