"""Digests in bytes: few of them, and what is read of them is what went in."""

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.history.packed import CENTROIDS, GRID, HOUR_CENTROIDS, Union, pack, union, unpack
from probes.stats.centroids import point

SHAPES: dict[str, Callable[[random.Random], float]] = {
    "lognormal": lambda chance: chance.lognormvariate(-1, 0.3),
    "long tail": lambda chance: chance.lognormvariate(-1, 0.9),
    "two humps": lambda chance: chance.lognormvariate(chance.choice((-1, 1)), 0.1),
    "few values": lambda chance: chance.choice((0.1, 0.2, 0.2, 0.5, 1.0)),
    "even": lambda chance: chance.random(),
}


def packed(samples: list[float]) -> bytes:
    return pack(map(point, samples))


def read(*digests: bytes) -> Union:
    found = Union()
    for digest in digests:
        found.add(digest)
    return found


def rank_error(samples: list[float], share: float, value: float) -> float:
    """Return by how much a value misses the rank, beyond what the grid and one sample explain."""
    ordered, n = sorted(samples), len(samples)
    low = bisect_left(ordered, value * (1 - 1.5 * GRID)) / n
    high = bisect_right(ordered, value * (1 + 1.5 * GRID)) / n
    return 0.0 if low <= share <= high else min(abs(share - low), abs(share - high)) - 1 / n


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("slots", [1, 6, 24, 144])
def test_what_is_read_of_many_slots_is_within_a_hundredth_in_rank(shape: str, slots: int) -> None:
    chance = random.Random(slots)
    parts = [[SHAPES[shape](chance) for _ in range(600)] for _ in range(slots)]
    samples = [sample for part in parts for sample in part]
    found = read(*map(packed, parts))
    assert found.n == len(samples)
    for share, value in zip((0.5, 0.95, 0.99), found.at(0.5, 0.95, 0.99), strict=True):
        assert value is not None
        assert rank_error(samples, share, value) <= 0.01


@pytest.mark.parametrize("shape", SHAPES)
def test_hours_of_slots_are_read_as_well_over_a_day(shape: str) -> None:
    chance = random.Random(7)
    hours, samples = [], []
    for _ in range(24):
        parts = [[SHAPES[shape](chance) for _ in range(120)] for _ in range(6)]
        samples += [sample for part in parts for sample in part]
        hours.append(union(list(map(packed, parts))))
        assert len(unpack(hours[-1])) <= HOUR_CENTROIDS
    for share, value in zip((0.5, 0.95), read(*hours).at(0.5, 0.95), strict=True):
        assert value is not None
        assert rank_error(samples, share, value) <= 0.01


def test_a_slot_takes_few_bytes_and_few_centroids() -> None:
    chance = random.Random(1)
    digest = packed([chance.lognormvariate(0, 1) for _ in range(5000)])
    assert len(unpack(digest)) <= CENTROIDS
    assert len(digest) <= 6 + CENTROIDS * 8


@given(st.lists(st.floats(1e-6, 1e5), max_size=60))
def test_no_sample_is_lost_and_none_invented(samples: list[float]) -> None:
    found = unpack(packed(samples))
    assert sum(weight for _, weight, _, _, _ in found) == len(samples)
    if samples:
        values = [value for mean, _, low, high, _ in found for value in (mean, low, high)]
        assert min(values) == pytest.approx(min(samples), rel=GRID)
        assert max(values) == pytest.approx(max(samples), rel=GRID)
    union_read = read(packed(samples))
    assert union_read.n == len(samples)
    quantiles = union_read.at(0.0, 0.5, 0.95, 1.0)
    assert (None in quantiles) == (not samples)
    known = [value for value in quantiles if value is not None]
    assert known == sorted(known)


def test_weights_of_a_sketch_are_rounded_and_their_sum_kept() -> None:
    digest = pack([(1.0, 1.4, 1.0, 1.0, 1), (2.0, 1.4, 2.0, 2.0, 1), (3.0, 1.2, 3.0, 3.0, 1)])
    assert sum(centroid[1] for centroid in unpack(digest)) == 4


@pytest.mark.parametrize(("value", "kept"), [(0.0, 1e-6), (-1.0, 1e-6), (1e9, 1e6)])
def test_what_the_grid_does_not_have_is_its_end(value: float, kept: float) -> None:
    ((mean, *_),) = unpack(packed([value]))
    assert mean == pytest.approx(kept, rel=1e-3)


def test_two_values_are_never_interpolated_between() -> None:
    found = read(packed([0.1] * 50 + [0.2] * 50)).at(0.25, 0.5, 0.75, 0.95)
    assert [round(value or 0, 3) for value in found] == [0.1, 0.1, 0.2, 0.2]


def test_large_weights_have_the_bytes_that_they_need() -> None:
    for weight in (200, 60_000, 3_000_000):
        assert unpack(pack([point(1.0, weight)]))[0][1] == weight


def test_what_holds_nothing_reads_as_nothing() -> None:
    assert pack([]) == b""
    assert unpack(b"") == []
    assert union([b"", b""]) == b""
    assert Union().at(0.5, 0.95) == (None, None)


@pytest.mark.parametrize("junk", [b"x", b"\x10\x01\0\0\0\0", b"\x01\x07\0\0\0\0" + b"\0" * 20])
def test_bytes_that_are_no_digest_are_refused(junk: bytes) -> None:
    with pytest.raises(ValueError, match="no digest"):
        unpack(junk)
    with pytest.raises(ValueError, match="no digest"):
        Union().add(junk)


def test_unions_that_absorb_others_hold_what_both_held() -> None:
    one, other = read(packed([1.0, 2.0])), read(packed([3.0]))
    one.absorb(other)
    assert one.n == 3
    assert math.isclose(one.at(1.0)[0] or 0, 3.0, rel_tol=GRID)
