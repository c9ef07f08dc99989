"""Percentiles of all that was asked, against the textbook's estimate of Kaplan and Meier."""

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.board.felt import AskedProbes
from probes.board.views import FeltFigure
from probes.stats.digest import Digest
from probes.stats.quantiles import Distribution, Quantiles

PROBABILITIES = (0.5, 0.95, 0.99)


def quantiles(values: list[float]) -> Quantiles:
    digest = Digest()
    for value in values:
        digest.add(value)
    return Quantiles((Distribution((digest,)),))


def asked(
    came: list[float], lost: int = 0, ages_s: list[float] | None = None, goal: float | None = 1.0
) -> AskedProbes:
    return AskedProbes(quantiles(came), lost, ages_s or [], goal)


def by_the_book(
    came: list[float], lost: int, ages: list[float], probability: float
) -> float | None:
    """Return the product-limit estimate of a quantile in exact arithmetic; None if not reached."""
    wanted = 1 - Fraction(probability).limit_denominator(1_000)
    left = Fraction(1)
    for value in sorted(set(came)):
        at_risk = sum(one >= value for one in came) + sum(age >= value for age in ages) + lost
        left *= 1 - Fraction(came.count(value), at_risk)
        if left <= wanted:
            return value
    return None


TIMES = st.lists(st.integers(1, 40).map(float), max_size=60)


@given(came=TIMES, lost=st.integers(0, 30), ages=TIMES)
def test_a_percentile_is_that_of_the_textbook(
    came: list[float], lost: int, ages: list[float]
) -> None:
    found = asked(came, lost, ages).at(*PROBABILITIES)
    total = len(came) + lost + len(ages)
    for probability, figure in zip(PROBABILITIES, found, strict=True):
        assert figure.n == total
        if not figure.enough:
            continue
        value = by_the_book(came, lost, ages, probability)
        assert figure.is_least == (value is None)
        assert figure.value == (max([*came, *ages], default=None) if value is None else value)


@given(came=TIMES.filter(bool), lost=st.integers(0, 30))
def test_where_nothing_is_open_it_is_the_plain_percentile_of_all(
    came: list[float], lost: int
) -> None:
    ordered = sorted([*came, *[math.inf] * lost])
    for probability in PROBABILITIES:
        (figure,) = asked(came, lost).at(probability)
        if figure.enough:
            plain = ordered[math.ceil(round(probability * len(ordered), 9)) - 1]
            assert figure.is_least == (plain == math.inf)
            assert figure.value == (max(came) if plain == math.inf else plain)


@given(came=TIMES.filter(bool), lost=st.integers(0, 5), ages=TIMES)
def test_failures_and_hangs_never_make_a_percentile_better(
    came: list[float], lost: int, ages: list[float]
) -> None:
    for probability in PROBABILITIES:
        before, after = asked(came, lost, ages), asked(came, lost + 1, [*ages, 60.0])
        (one,), (worse,) = before.at(probability), after.at(probability)
        if one.enough and worse.enough:
            assert (worse.is_least, worse.value or 0.0) >= (one.is_least, one.value or 0.0)


@pytest.mark.parametrize(("seed", "lost"), [(1, 0), (2, 60), (3, 300)])
def test_of_a_digest_it_is_right_within_a_hundredth_in_rank(seed: int, lost: int) -> None:
    chance, ages = random.Random(seed), [0.02, 1.0, 1.5, 60.0]
    came = [round(chance.lognormvariate(0.0, 0.6), 4) for _ in range(2_000)]
    for probability in (0.5, 0.8):
        (figure,) = asked(came, lost, ages).at(probability)
        near = [by_the_book(came, lost, ages, probability + off) for off in (-0.01, 0.01)]
        assert not figure.is_least
        assert near[0] is not None
        assert near[1] is not None
        assert near[0] <= (figure.value or 0.0) <= near[1]


@pytest.mark.parametrize(
    ("came", "lost", "ages", "figure"),
    [
        ([], 0, [], FeltFigure()),
        # All fail: nobody knows how long it takes, and it is beyond any goal.
        ([], 9, [], FeltFigure(None, True, 9, enough=True, grade="sluggish")),
        # A hang: nothing came since the onset.
        ([], 0, [41.0, 40.0], FeltFigure(41.0, True, 2, enough=True, grade="sluggish")),
        # More than half failed: the median never came, however fast the others were.
        ([0.2, 0.3], 3, [], FeltFigure(0.3, True, 5, enough=True, grade="sluggish")),
        # What is open and younger than the median says nothing of it.
        ([0.4, 0.5, 0.6], 0, [0.1] * 9, FeltFigure(0.5, False, 12, enough=True, grade="great")),
        # What is open and older is slower, however it ends.
        ([0.4, 0.5, 0.6], 0, [2.0] * 2, FeltFigure(0.6, False, 5, enough=True, grade="great")),
        ([0.4], 0, [0.7], FeltFigure(0.4, False, 2, enough=True, grade="great")),
        ([0.4], 0, [0.7] * 3, FeltFigure(0.7, True, 4, enough=True, grade="fine")),
        # Too few: the maximum, dim.
        ([0.4], 0, [], FeltFigure(0.4, False, 1)),
        ([0.4], 0, [0.1], FeltFigure(0.4, False, 2)),
        ([], 0, [3.0], FeltFigure(3.0, True, 1)),
    ],
)
def test_a_median_of_what_failed_and_what_is_open(
    came: list[float], lost: int, ages: list[float], figure: FeltFigure
) -> None:
    assert asked(came, lost, ages).at(0.5) == (figure,)


def test_without_a_goal_nothing_is_graded() -> None:
    assert {one.grade for one in asked([1.0] * 40, 30, goal=None).at(*PROBABILITIES)} == {"none"}


def test_a_span_holds_the_percentile_by_the_ranks_of_its_samples() -> None:
    values = [float(at) for at in range(1, 101)]
    p50, p95, p99 = asked(values).spanned(*PROBABILITIES)
    assert (p50.value, p50.low, p50.high) == (50.0, 39.0, 62.0)
    assert (p95.value, p95.low, p95.high) == (95.0, 90.0, 100.0)
    assert (p99.value, p99.high) == (99.0, None), "none of a hundred is surely above"
    assert p99.low is not None


def test_the_span_of_a_percentile_among_what_failed_is_open_above() -> None:
    values = [float(at) for at in range(1, 61)]
    (p50,) = asked(values, lost=40).spanned(0.5)
    assert (p50.value, p50.low, p50.high) == (50.0, 39.0, None)
    (never,) = asked(values[:45], lost=55).spanned(0.5)
    assert (never.is_least, never.low, never.high) == (True, 39.0, None)


def test_the_span_of_too_few_is_open() -> None:
    (p50,) = asked([1.0, 2.0, 3.0]).spanned(0.5)
    assert (p50.value, p50.low, p50.high) == (2.0, None, None)


def test_a_difference_lies_between_the_ends_of_both_spans() -> None:
    slow = FeltFigure(2.6, low=2.5, high=2.75)
    fast = FeltFigure(0.7, low=0.65, high=0.8)
    assert slow.more_than(fast) == pytest.approx((1.7, 2.1))
    assert fast.more_than(slow) == pytest.approx((-2.1, -1.7))
    assert FeltFigure(2.6, True, low=2.5).more_than(fast) == (pytest.approx(1.7), None)
    assert slow.more_than(FeltFigure(0.7)) == (None, None)


def test_two_spans_of_one_distribution_are_hardly_ever_told_apart() -> None:
    chance, apart = random.Random(5), 0
    for _ in range(100):
        one, other = [
            asked([chance.lognormvariate(0.0, 0.5) for _ in range(60)]).spanned(0.5)[0]
            for _ in range(2)
        ]
        least, most = one.more_than(other)
        assert least is not None
        assert most is not None
        apart += least > 0 or most < 0
    assert apart <= 5
