"""Figures with their intervals, against what is known of them."""

from math import inf
from random import Random
from statistics import fmean

import pytest

from probes.sweeping.estimates import Estimate, mean, quantile, rate, ratio, share, slope


def test_a_quantile_lies_between_two_of_the_samples() -> None:
    found = quantile([float(number) for number in range(1, 201)], 0.95)
    assert found is not None
    assert found.value == 190
    assert 180 <= found.low < 190 < found.high <= 200


def test_of_few_samples_nobody_knows_how_high_a_p95_is() -> None:
    found = quantile([1.0] * 30, 0.95)
    assert found == Estimate(1.0, 1.0, inf)
    assert found.half_width == inf


def test_failures_are_latencies_without_end() -> None:
    found = quantile([0.1] * 90 + [inf] * 10, 0.95)
    assert found is not None
    assert found.value == inf


def test_of_none_there_is_no_figure() -> None:
    assert quantile([], 0.5) is None
    assert share(0, 0) is None
    assert mean([], 1) is None
    assert rate([1.0], [1.0], 1) is None
    assert ratio([1.0], [0.0]) is None
    assert slope([1.0] * 10, [1.0] * 10) is None


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    # Wilson's interval at z 2.326, reckoned by hand of its formula.
    [(0, 100, 0.0, 0.0513), (100, 100, 0.9487, 1.0), (5, 100, 0.0186, 0.1276)],
)
def test_a_share_has_the_interval_of_wilson(hits: int, n: int, low: float, high: float) -> None:
    found = share(hits, n)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-3)


def test_the_interval_of_a_mean_holds_it_in_98_of_100() -> None:
    random = Random(1)
    held = 0
    for _ in range(500):
        found = mean([random.expovariate(1.0) for _ in range(100)], 4)
        assert found is not None
        held += found.low <= 1.0 <= found.high
    assert held >= 0.95 * 500


def test_what_is_served_together_counts_as_one() -> None:
    random = Random(2)
    values = [one for _ in range(12) for one in [random.gauss(1.0, 0.2)] * 8]
    alone, together = mean(values, 1), mean(values, 8)
    assert alone is not None
    assert together is not None
    assert together.high - together.low >= alone.high - alone.low
    assert mean(values, 50) == Estimate(fmean(values))


def test_a_rate_is_what_came_between_the_first_end_and_the_last() -> None:
    ends = [10.0 + number / 4 for number in range(101)]
    found = rate(ends, [1.0] * 101, 2)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((4.0, 4.0, 4.0))


def test_ends_at_one_moment_have_no_rate() -> None:
    assert rate([5.0] * 50, [1.0] * 50, 1) is None


def test_a_ratio_is_off_by_what_each_pair_is() -> None:
    found = ratio([2.0] * 50, [1.0] * 50)
    assert found == Estimate(2.0, 2.0, 2.0)
    random = Random(3)
    bottoms = [random.uniform(20, 60) for _ in range(200)]
    noisy = ratio([2 * one + random.gauss(0, 5) for one in bottoms], bottoms)
    assert noisy is not None
    assert noisy.low < 2.0 < noisy.high
    assert noisy.half_width < 0.05


def test_a_slope_that_is_there_is_surely_seen_and_one_that_is_not_hardly_ever() -> None:
    random, seen = Random(4), 0
    at = [number / 10 for number in range(200)]
    for _ in range(200):
        flat = slope(at, [random.gauss(5, 1) for _ in at])
        assert flat is not None
        seen += flat.low > 0
    assert seen <= 6
    steep = slope(at, [5 + 0.5 * one + random.gauss(0, 1) for one in at])
    assert steep is not None
    assert steep.low > 0
    assert steep.low < 0.5 < steep.high


def test_at_one_moment_there_is_no_slope() -> None:
    assert slope([1.0] * 40, [float(number) for number in range(40)]) is None
