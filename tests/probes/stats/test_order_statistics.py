"""Which samples hold a quantile between them, against exact sums of the binomial distribution."""

from fractions import Fraction
from math import comb
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.stats.order_statistics import ranks_around


def at_most(hits: int, n: int, p: Fraction) -> Fraction:
    return sum(
        (comb(n, one) * p**one * (1 - p) ** (n - one) for one in range(hits + 1)), Fraction(0)
    )


@given(n=st.integers(1, 60), percent=st.sampled_from([50, 95, 99]))
def test_the_ranks_are_the_narrowest_that_are_sure_on_either_side(n: int, percent: int) -> None:
    p, outside = Fraction(percent, 100), Fraction(1, 80)
    low, high = ranks_around(n, percent / 100, 0.975)
    sure_below = [rank for rank in range(1, n + 1) if at_most(rank - 1, n, p) <= outside]
    sure_above = [rank for rank in range(1, n + 1) if at_most(rank - 1, n, p) >= 1 - outside]
    assert low == max(sure_below, default=None)
    assert high == min(sure_above, default=None)


def test_as_in_the_tables_of_the_sign_test() -> None:
    # Dixon and Massey: of 30 samples the 10th and the 21st hold the median with 95 % at least.
    assert ranks_around(30, 0.5, 0.95) == (10, 21)
    assert ranks_around(100, 0.5, 0.95) == (40, 61)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_of_few_samples_both_sides_are_open(n: int) -> None:
    assert ranks_around(n, 0.5, 0.975) == (None, None)


def test_of_many_samples_too() -> None:
    low, high = ranks_around(100_000, 0.5, 0.975)
    assert low is not None
    assert high is not None
    assert 49_640 < low < 49_650 < 50_350 < high < 50_360


def test_they_hold_the_quantile_as_often_as_they_say() -> None:
    chance, held = Random(3), 0
    low, high = ranks_around(40, 0.5, 0.975)
    assert low is not None
    assert high is not None
    for _ in range(2_000):
        samples = sorted(chance.expovariate(1.0) for _ in range(40))
        held += samples[low - 1] <= 0.6931 <= samples[high - 1]
    assert held / 2_000 >= 0.975 - 0.005
