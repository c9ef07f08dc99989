"""How long many things took, in log-spaced buckets: cheap to count, small to keep, exact to add up.

Rule 1: 32 buckets a decade, so a quantile is within 3.7 % of the truth. What comes by the thousand
(gaps between chunks) would be too dear for a digest, and nobody judges a goal by it.
Rule 2: a row of a heat map is four buckets from 1 ms to 100 s, each a third longer than the one
below; what is shorter or longer is in the first or the last. Where rows begin is said here alone.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import mul
from typing import Final

import msgspec

from probes.kit.clock import NS_PER_S
from probes.stats.windows import Rolling

BUCKETS_A_DECADE: Final = 32
_BUCKETS_A_ROW: Final = 4
HEAT_FLOOR_S: Final = 0.001
"""Where the first row begins."""
HEAT_STEPS_A_DECADE: Final = BUCKETS_A_DECADE // _BUCKETS_A_ROW
HEAT_ROWS: Final = 5 * HEAT_STEPS_A_DECADE
_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(tuple[int, list[int], list[int]]).decode
_FLOOR_BUCKET: Final = round(math.log10(HEAT_FLOOR_S * NS_PER_S)) * BUCKETS_A_DECADE


def bucket_of(value_ns: int) -> int:
    """Return the bucket of a duration in ns; what is below 1 ns counts as 1."""
    return int(math.log10(value_ns) * BUCKETS_A_DECADE) if value_ns > 1 else 0


def bucket_row(bucket: int) -> int:
    """Return the row of a heat map that a bucket belongs to."""
    return min(max(0, (bucket - _FLOOR_BUCKET) // _BUCKETS_A_ROW), HEAT_ROWS - 1)


def heat_row(value_s: float) -> int:
    """Return the row of a duration, 0 for the shortest."""
    return bucket_row(bucket_of(round(value_s * NS_PER_S))) if value_s < math.inf else HEAT_ROWS - 1


def heat_floor_s(row: int) -> float:
    """Return the shortest duration of a row, in seconds."""
    return HEAT_FLOOR_S * 10 ** (row / HEAT_STEPS_A_DECADE)


class LogBuckets:
    """Counts of durations by bucket; the longest of them is known exactly."""

    __slots__ = ("_buckets", "_counts", "_rows", "_times", "longest_ns")

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._buckets, self._times = array("H"), array("Q")
        """The counts of what is compacted: a sixth of the memory."""
        self._rows: tuple[tuple[int, int], ...] | None = None
        """Known until something is counted."""
        self.longest_ns = 0
        """0 without any."""

    def add(self, value_ns: int) -> None:
        """Count one duration."""
        bucket, counts = bucket_of(value_ns), self._counts
        counts[bucket] = counts.get(bucket, 0) + 1
        self._rows = None
        if value_ns > self.longest_ns:
            self.longest_ns = value_ns

    def add_all(self, values_ns: Sequence[int]) -> None:
        """Count many durations, for a tenth of what each alone would cost."""
        if not values_ns:
            return
        try:
            # Truncating is rounding down here: no logarithm of these is below zero.
            logs = map(mul, map(math.log10, values_ns), repeat(BUCKETS_A_DECADE))
            buckets = list(map(int, logs))
        except ValueError:  # stamps that do not grow, as in a recording that was edited
            buckets = [bucket_of(value) for value in values_ns]
        self._counts.update(buckets)
        self._rows = None
        longest = max(values_ns)
        if longest > self.longest_ns:
            self.longest_ns = longest

    def absorb(self, other: "LogBuckets") -> None:
        """Add everything `other` has counted."""
        self._rows = None
        self._counts.update(other._counts)
        if other._buckets:
            self._counts.update(dict(zip(other._buckets, other._times, strict=True)))
        self.longest_ns = max(self.longest_ns, other.longest_ns)

    def compact(self) -> int:
        """Make it small, as nothing more is expected; return in how many buckets there is some."""
        if self._counts:
            counts = self._all()
            self._buckets, self._times = array("H", counts), array("Q", counts.values())
            self._counts = Counter()
        return len(self._buckets)

    def pack(self) -> bytes:
        """Return the counts and the longest."""
        return _pack((self.longest_ns, self._buckets.tolist(), self._times.tolist()))

    @classmethod
    def unpacked(cls, packed: bytes) -> "LogBuckets":
        """Return the counts again."""
        made = cls()
        made.longest_ns, buckets, times = _unpack(packed)
        made._buckets, made._times = array("H", buckets), array("Q", times)
        return made

    def _all(self) -> dict[int, int]:
        if not self._buckets:
            return self._counts
        found = dict(zip(self._buckets, self._times, strict=True))
        for bucket, times in self._counts.items():
            found[bucket] = found.get(bucket, 0) + times
        return found

    def counts(self) -> Mapping[int, int]:
        """Return how many there are in each bucket that has any, from the shortest on."""
        return dict(sorted(self._all().items()))

    def quantile_ns(self, probability: float) -> float | None:
        """Return the geometric middle in ns of the bucket at that rank, at most the longest; None
        without samples."""
        counts = self.counts()
        rank, wanted = 0, probability * sum(counts.values())
        for bucket, count in counts.items():
            rank += count
            if rank >= wanted:
                middle: float = 10.0 ** ((bucket + 0.5) / BUCKETS_A_DECADE)
                return min(middle, max(1.0, self.longest_ns))
        return None

    def rows(self) -> tuple[tuple[int, int], ...]:
        """Return how many there are in each row of a heat map that has any, shortest first."""
        if self._rows is None:
            found: dict[int, int] = {}
            for bucket, count in self.counts().items():
                row = bucket_row(bucket)
                found[row] = found.get(row, 0) + count
            self._rows = tuple(found.items())
        return self._rows


class DurationWindows(Rolling[LogBuckets]):
    """Durations of one route by time."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(LogBuckets)

    def add(self, offset_ns: int, value_ns: int) -> None:
        """Count one duration in the slice of its stamp."""
        for buckets in self.at(offset_ns):
            buckets.add(value_ns)

    def add_all(self, offset_ns: int, values_ns: Sequence[int]) -> None:
        """Count many durations in the slice of their stamp."""
        for buckets in self.at(offset_ns):
            buckets.add_all(values_ns)


def added(parts: Iterable[LogBuckets]) -> LogBuckets:
    """Return the sum of some buckets."""
    total = LogBuckets()
    for part in parts:
        total.absorb(part)
    return total
