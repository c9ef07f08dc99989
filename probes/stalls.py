"""What a stall is: a gap between two output chunks above the route's `stall_after`. The one place.

It ends with the chunk after it, so what came before the first chunk is none, nor is what came after
the last; a stream that is open may be in one. The attempt counts stalls as chunks come (on its hot
path it compares for itself, with the nanoseconds from here), lanes show where they lie.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import TypeAlias

from probes.clock import NS_PER_S

__all__ = ["Stall", "is_stall", "stall_ns", "stalls_between"]

Stall: TypeAlias = tuple[int, int]
"""Stamps of the chunk before it and of the chunk after it, or of now."""


def stall_ns(stall_after_s: float) -> int:
    """Return the longest gap in ns that is no stall yet."""
    return round(stall_after_s * NS_PER_S)


def is_stall(gap_ns: int, stall_after_s: float) -> bool:
    """Tell whether a gap between two chunks is a stall.

    >>> is_stall(250_000_000, 0.2), is_stall(200_000_000, 0.2)
    (True, False)
    """
    return gap_ns > stall_ns(stall_after_s)


def stalls_between(arrivals_ns: Iterable[int], stall_after_s: float) -> list[Stall]:
    """Return the stalls of a stream whose chunks came at these stamps."""
    longest = stall_ns(stall_after_s)
    return [(first, last) for first, last in pairwise(arrivals_ns) if last - first > longest]
