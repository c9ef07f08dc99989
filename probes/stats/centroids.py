"""Centroids: what a digest keeps of its samples, and how many become few.

A centroid knows its own spread (lowest and highest sample) besides mean and weight. One without
spread is a point mass: a step of the distribution that is never interpolated across.

Source: Dunning, Ertl, "Computing extremely accurate quantiles using t-digests" (2019), scale k1.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Final, TypeAlias

Centroid: TypeAlias = tuple[float, float, float, float, float]
"""(mean, weight, lowest, highest, different values: 1, 2 or 3 for more).

A plain tuple, which the cyclic collector lets go of.
"""

POINT_WIDTH: Final = 1e-9
"""Relative spread below which a centroid is a point: one ns in a second."""


def point(value: float, weight: float = 1.0) -> Centroid:
    """Return the centroid of equal samples."""
    return (value, weight, value, value, 1)


def joined(centroids: Iterable[Centroid]) -> list[Centroid]:
    """Return the centroids in the order of their means, equal points as one."""
    found: list[Centroid] = []
    before, end = point(math.inf), -math.inf
    for centroid in sorted(centroids):
        if centroid[0] <= end and centroid[4] == before[4] == 1:
            found[-1] = before = point(before[0], before[1] + centroid[1])
        else:
            found.append(centroid)
            before, end = centroid, centroid[0] + POINT_WIDTH * abs(centroid[0])
    return found


def merged(centroids: Iterable[Centroid], limit: int) -> list[Centroid]:
    """Return at most `limit` centroids, small at both ends, equal points joined exactly."""
    return [
        union(group) if len(group) > 1 else group[0] for group in grouped(joined(centroids), limit)
    ]


def grouped(many: Sequence[Centroid], limit: int) -> list[Sequence[Centroid]]:
    """Return centroids that are `joined` in at most `limit` groups of neighbours, small at both
    ends."""
    if len(many) <= limit:
        return [[centroid] for centroid in many]
    upto = list(accumulate(centroid[1] for centroid in many))
    return [many[begin:end] for begin, end in pairwise((0, *_cuts_within(upto, limit)))]


def union(group: Sequence[Centroid]) -> Centroid:
    """Return one centroid for a few."""
    weight = total = 0.0
    low, high = math.inf, -math.inf
    for mean, mass, lowest, highest, _ in group:
        weight += mass
        total += mean * mass
        low = lowest if lowest < low else low
        high = highest if highest > high else high
    mean = min(max(total / weight, low), high)
    if high - low <= POINT_WIDTH * abs(high) or not low < mean < high:
        return point(mean, weight)
    return (mean, weight, low, high, _different(group))


def _different(group: Sequence[Centroid]) -> int:
    if any(centroid[4] > 2 for centroid in group):
        return 3
    ends = {value for centroid in group for value in centroid[2:4]}
    return 2 if len(ends) == 2 else 3


def _cuts_within(upto: Sequence[float], limit: int) -> list[int]:
    # Greedy merging fills k-space nearly, but never surely: aim a little high and come down.
    delta = 1.8 * limit
    while True:
        cuts = _cuts(upto, 2.0 * math.pi / delta)
        if len(cuts) <= limit:
            return cuts
        delta *= min(0.98, limit / len(cuts))


def _cuts(upto: Sequence[float], step: float) -> list[int]:
    """Return where each group ends that reaches one `step` of scale k1 from where it begins.

    `upto` is the cumulated weight. The scale is k1 = asin(2q − 1), so the end of a step is
    sin(asin(x) + step) = x cos(step) + √(1 − x²) sin(step), with x = 2q − 1.
    """
    total, cosine, sine = upto[-1], math.cos(step), math.sin(step)
    cuts: list[int] = []
    end, x = 0, -1.0
    while end < len(upto):
        reach = total
        if x < cosine:
            reach *= (x * cosine + math.sqrt(max(0.0, 1.0 - x * x)) * sine + 1.0) / 2.0
        end = max(end + 1, bisect_right(upto, reach, end))
        cuts.append(end)
        x = 2.0 * upto[end - 1] / total - 1.0
    return cuts
