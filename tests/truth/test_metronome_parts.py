"""The parts of the truth mode, without sockets where that goes."""

import socket
import struct
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from truth.arrival import ArrivalReader
from truth.log import Histogram
from truth.schedule import Pace, Schedule

BEAT_NS = 20_000_000


class Scripted:
    """A clock that gives the moments it was given, and then stays."""

    def __init__(self, *monotonic_ns: int, wall_ns: int) -> None:
        self.moments = list(monotonic_ns)
        self.wall = wall_ns

    def monotonic_ns(self) -> int:
        return self.moments.pop(0) if len(self.moments) > 1 else self.moments[0]

    def wall_ns(self) -> int:
        return self.wall


class Socket:
    """A socket on which bytes wait that came with a stamp, or without."""

    def __init__(self, *, stamp_ns: int | None) -> None:
        self.stamp_ns = stamp_ns

    def recvmsg(self, _size: int, _ancillary: int) -> tuple[bytes, list[object], int, None]:
        if self.stamp_ns is None:
            return b"x", [], 0, None
        data = struct.pack("@ll", *divmod(self.stamp_ns, 1_000_000_000))
        return b"x", [(socket.SOL_SOCKET, 35, data)], 0, None


@pytest.fixture
def reader_at():
    readers = []

    def make(clock: Scripted) -> ArrivalReader:
        readers.append(ArrivalReader(clock))
        readers[-1].kernel = True
        return readers[-1]

    yield make
    for reader in readers:
        reader.close()


WALL_NS = 1_700_000_000_000_000_000


def test_a_kernels_stamp_is_mapped_to_the_monotonic_clock(reader_at) -> None:
    reader = reader_at(Scripted(5_000_000, wall_ns=WALL_NS))
    assert reader.read(Socket(stamp_ns=WALL_NS - 3_000_000)) == (b"x", 2_000_000)


def test_without_a_stamp_the_read_counts(reader_at) -> None:
    reader = reader_at(Scripted(5_000_000, wall_ns=WALL_NS))
    assert reader.read(Socket(stamp_ns=None)) == (b"x", 5_000_000)


@pytest.mark.parametrize("stamp_ns", [WALL_NS + 1_000, WALL_NS - 3_600_000_000_000])
def test_a_stamp_that_cannot_be_is_not_believed(reader_at, stamp_ns: int) -> None:
    reader = reader_at(Scripted(10**13, wall_ns=WALL_NS))
    assert reader.read(Socket(stamp_ns=stamp_ns)) == (b"x", 10**13)


def test_the_clocks_are_compared_again_when_something_came_between(reader_at) -> None:
    interrupted = (1_000_000, 9_000_000)
    reader = reader_at(Scripted(*interrupted, 9_000_100, 9_000_200, wall_ns=WALL_NS))
    assert reader.read(Socket(stamp_ns=WALL_NS - 1_000_000))[1] == 8_000_150


def moments(pace: Pace, seed: int, count: int, arrived_ns: int = 10**12) -> list[int]:
    schedule = Schedule(pace, Random(seed))
    return [schedule.first_ns(arrived_ns) for _ in range(count)]


def test_a_seed_repeats_the_delays_of_a_run() -> None:
    pace = Pace(first_after_s=(0.1, 0.3))
    assert moments(pace, 7, 50) == moments(pace, 7, 50)
    assert moments(pace, 7, 50) != moments(pace, 8, 50)


def test_the_first_token_comes_within_its_bounds_and_one_beat() -> None:
    delays = [at - 10**12 for at in moments(Pace(first_after_s=(0.1, 0.3)), 1, 500)]
    assert min(delays) >= 100_000_000
    assert max(delays) < 300_000_000 + BEAT_NS
    assert max(delays) - min(delays) > 150_000_000


def test_streams_that_arrive_together_are_spread_evenly_over_the_beat() -> None:
    """Of 500 in 20 ms each has 40 µs; by chance the widest gap would be some 270 µs."""
    turns = sorted(at % BEAT_NS for at in moments(Pace(), 1, 500))
    gaps = [late - early for early, late in pairwise(turns)]
    assert min(gaps) > 10_000
    assert max(gaps) < 110_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"tokens": 0},
        {"tokens": 20_000},
        {"tokens_per_s": 0.0},
        {"tokens_per_s": float("nan")},
        {"first_after_s": (0.3, 0.1)},
        {"first_after_s": (-1.0, 0.1)},
    ],
)
def test_an_impossible_pace_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"tokens|delay"):
        Pace(**wrong)


def test_the_histogram_gives_quantiles_within_a_bucket_and_the_exact_maximum() -> None:
    histogram = Histogram()
    for duration_us in range(1_000):
        histogram.add(duration_us * 1_000)
    spread = histogram.spread()
    assert spread.n == 1_000
    assert 500_000 <= spread.p50 <= 500_000 * 17 / 16
    assert 989_000 <= spread.p99 <= spread.max == 999_000


@given(st.integers(0, 8 * 10**12))
def test_a_bucket_is_never_wider_than_a_sixteenth_of_what_is_in_it(duration_ns: int) -> None:
    histogram = Histogram()
    histogram.add(duration_ns)
    histogram.add(10**14)
    told = histogram.spread().p50
    assert duration_ns <= told <= duration_ns * 17 / 16


def test_the_histogram_is_bounded_and_takes_what_is_out_of_it() -> None:
    histogram = Histogram()
    histogram.add(-5)
    histogram.add(10**12)
    assert histogram.spread().max == 10**12
    assert histogram.spread().n == 2


def test_an_empty_histogram_says_nothing() -> None:
    spread = Histogram().spread()
    assert (spread.n, spread.p50, spread.p99, spread.max) == (0, 0, 0, 0)
