"""Gaps between output chunks, and which of them is a stall.

A stall is a gap above the route's `stall_after`; this is the one place that says so. It ends with
the chunk after it, so what came before the first chunk is none, nor is what came after the last; a
stream that is open may be in one. The attempt counts stalls as chunks come, lanes show where they
lie; both compare with the nanoseconds from here, as they come by for every chunk.
"""

from collections.abc import Iterable, Sequence
from itertools import islice, pairwise
from operator import sub
from typing import TypeAlias

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


def gaps_between(stamps_ns: Sequence[int]) -> list[int]:
    """Return the times from each stamp in ns to the next."""
    return list(map(sub, islice(stamps_ns, 1, None), stamps_ns))
