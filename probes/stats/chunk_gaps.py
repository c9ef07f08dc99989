"""Gaps between output chunks: which of them is a stall, and how long they are.

A stall is a gap above the route's `stall_after`; this is the one place that says so. It ends with
the chunk after it, so what came before the first chunk is none, nor is what came after the last; a
stream that is open may be in one. The attempt counts stalls as chunks come, lanes show where they
lie; both compare with the nanoseconds from here, as they come by for every chunk.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import islice, pairwise, repeat
from operator import mul, sub
from typing import Final, TypeAlias

from probes.kit.clock import NS_PER_S

Stall: TypeAlias = tuple[int, int]
"""Stamps in ns of the chunk before it and of the chunk after it, or of now."""


def longest_gap_ns(stall_after_s: float) -> int:
    """Return the longest gap in ns that is no stall yet."""
    return round(stall_after_s * NS_PER_S)


def stalls_between(arrivals_ns: Iterable[int], longest_ns: int) -> list[Stall]:
    """Return the stalls of a stream whose chunks came at these stamps.

    >>> stalls_between((0, 200, 450), 200)
    [(200, 450)]
    """
    return [(first, last) for first, last in pairwise(arrivals_ns) if last - first > longest_ns]


class GapBuckets:
    """Counts of gaps in log-spaced buckets, eight to each doubling: within 4.5 % of the truth.

    Gaps come by the thousand, which a digest would be too dear for.
    """

    __slots__ = ("_counts",)

    PER_DOUBLING: Final = 8

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add_between(self, stamps_ns: Sequence[int]) -> None:
        """Count the gaps from each stamp in ns to the next; below 1 ns counts as 1 ns."""
        gaps = list(map(sub, islice(stamps_ns, 1, None), stamps_ns))
        if min(gaps, default=1) < 1:
            gaps = [max(1, gap) for gap in gaps]
        # Truncating is rounding down here: no logarithm of these is below zero.
        self._counts.update(map(int, map(mul, map(math.log2, gaps), repeat(self.PER_DOUBLING))))

    def quantile(self, probability: float) -> float | None:
        """Return the geometric middle in ns of the bucket at that rank; None without samples."""
        rank, wanted = 0, probability * self._counts.total()
        for bucket, count in sorted(self._counts.items()):
            rank += count
            if rank >= wanted:
                return float(2.0 ** ((bucket + 0.5) / self.PER_DOUBLING))
        return None
