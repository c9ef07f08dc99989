"""Intervals that hold however often one looks: what they contain, and how often they do not."""

import math
from itertools import accumulate, product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.stats.confidence_sequence import Centre, CentreSequence, ShareSequence

ALPHA = 0.01
NEEDED = math.log(1 / ALPHA)
VALUES = st.lists(
    st.floats(-20, 20, allow_nan=False).map(lambda value: round(value, 6)), min_size=1, max_size=60
)


def sequence_of(values: list[float], alpha: float = ALPHA) -> CentreSequence:
    made = CentreSequence(alpha)
    for value in values:
        made.add(value)
    return made


def against(centre: float, values: list[float]) -> float:
    made = Centre(centre)
    for value in values:
        made.add(value)
    return made.against


def test_nothing_is_known_of_nothing() -> None:
    made = CentreSequence(ALPHA)
    assert made.interval == (None, None)
    assert Centre(0.0).against == pytest.approx(0.0)


@pytest.mark.parametrize("sizes", [(1.0, 2.0, 3.0, 4.0), (4.0, 1.0, 3.0, 2.0), (1.0,) * 4])
def test_the_evidence_of_fair_coins_is_1_on_average_whatever_the_sizes(
    sizes: tuple[float, ...],
) -> None:
    # All ways in which the coins can fall: this is what makes it a martingale.
    stakes = [
        math.exp(against(0.0, [sign * size for sign, size in zip(signs, sizes, strict=True)]))
        for signs in product((-1, 1), repeat=len(sizes))
    ]
    assert sum(stakes) / len(stakes) == pytest.approx(1.0)


def test_a_long_run_of_large_values_overflows_nothing() -> None:
    values = [float(number) for number in range(1, 3000)]
    grown = against(0.0, values)
    assert 1000 < grown < math.inf


def test_equal_values_tell_what_values_in_any_order_tell_and_a_zero_tells_nothing() -> None:
    shuffled = Random(1).sample(range(1, 41), 40)
    equal, unequal = against(0.0, [1.0] * 40), against(0.0, [float(one) for one in shuffled])
    assert equal == pytest.approx(unequal, rel=0.2)
    assert against(0.0, [0.0] * 20) < 0


@given(VALUES)
@settings(max_examples=60)
def test_the_evidence_does_not_depend_on_the_unit_nor_on_the_side(values: list[float]) -> None:
    grown = against(0.0, values)
    assert against(0.0, [value * 8 for value in values]) == pytest.approx(grown)
    assert against(0.0, [-value for value in values]) == pytest.approx(grown)


@given(VALUES, st.floats(-3, 3), st.floats(0, 5))
@settings(max_examples=60)
def test_the_ranks_lean_the_less_the_higher_the_centre(
    values: list[float], centre: float, further: float
) -> None:
    low, high = Centre.of(centre, values), Centre.of(centre + further, values)
    assert low.lean >= high.lean


@given(VALUES)
@settings(max_examples=40)
def test_the_interval_is_what_has_too_little_against_it(values: list[float]) -> None:
    made = sequence_of(values, alpha=0.1)
    low, high = made.interval
    assert made.estimate is not None
    assert low is None or low <= made.estimate
    assert high is None or made.estimate <= high
    for end, way in ((low, -1), (high, 1)):
        if end is not None:
            assert against(end + way * 1e-3, values) >= math.log(10) - 0.2
        else:
            assert against(made.estimate + way * 64.0, values) < math.log(10)


def test_the_interval_closes_on_the_true_centre() -> None:
    random = Random(3)
    values = [math.log(1.3) + random.gauss(0, 0.3) for _ in range(400)]
    widths = []
    for n in (50, 100, 200, 400):
        low, high = sequence_of(values[:n]).interval
        assert low is not None
        assert high is not None
        assert low < math.log(1.3) < high
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.15


def test_an_interval_that_is_read_after_each_value_is_the_one_that_is_read_once() -> None:
    random = Random(4)
    values = [random.gauss(0.4, 1.0) for _ in range(80)]
    read = CentreSequence(ALPHA)
    for value in values:
        read.add(value)
        read.interval  # noqa: B018 - what is told once must not change what is told next
    assert read.interval == pytest.approx(sequence_of(values).interval, abs=2e-3)
    assert read.estimate == pytest.approx(sequence_of(values).estimate, abs=2e-3)


def drifting(random: Random) -> list[float]:
    """Return differences whose size grows and comes in gusts: only the coin is fair."""
    walk = accumulate(random.gauss(0, 0.3) for _ in range(200))
    return [random.choice((-1, 1)) * math.exp(step) for step in walk]


@pytest.mark.parametrize(
    "made",
    [
        lambda random: [random.gauss(0, 1) for _ in range(200)],
        lambda random: [random.choice((-1, 1)) * random.paretovariate(0.7) for _ in range(200)],
        drifting,
    ],
)
def test_fair_coins_are_hardly_ever_found_to_be_unfair(made: object) -> None:
    # At 10 %, so that 300 runs tell: a bound that is passed would be passed by far.
    found = 0
    for number in range(300):
        centre = Centre(0.0)
        for value in made(Random(number)):  # type: ignore[operator]
            centre.add(value)
        found += centre.most_against >= math.log(10)
    assert found <= 0.1 * 300


def test_what_was_once_known_stays_known() -> None:
    centre = Centre(0.0)
    for _ in range(15):
        centre.add(1.0)
    most = centre.most_against
    assert most >= NEEDED
    for _ in range(30):
        centre.add(-1.0)
    assert centre.against < NEEDED
    assert centre.most_against == most


# Shares.


def shares_of(pairs: list[tuple[bool, bool]], alpha: float = ALPHA) -> ShareSequence:
    made = ShareSequence(alpha)
    for first, second in pairs:
        made.add(first, second)
    return made


def test_a_share_is_known_by_the_pairs_that_are_unlike() -> None:
    made = shares_of([(True, True)] * 500 + [(False, False)] * 500)
    assert not made.differs
    assert made.estimate == 0
    assert made.most_against == 0
    made = shares_of([(True, False)] * 14 + [(True, True)] * 100)
    assert made.differs
    assert made.estimate == pytest.approx(-14 / 114)


def test_how_many_unlike_pairs_it_takes() -> None:
    # Beta(1/2, 1/2) pays about sqrt(pi n) / 2^n for n of n; half of alpha is 0.005.
    assert not shares_of([(True, False)] * 10).differs
    assert shares_of([(True, False)] * 11).differs
    assert shares_of([(False, True)] * 11).differs


def test_pairs_that_are_all_alike_leave_room_to_either_side_and_ever_less() -> None:
    (low, high), (later, later_high) = (shares_of([(True, True)] * n).interval for n in (20, 200))
    assert low is not None
    assert later is not None
    assert low == pytest.approx(-(high or 0.0))
    assert -0.5 < low < later < 0
    assert later_high == pytest.approx(-later)


def test_the_interval_of_a_difference_holds_it_and_closes() -> None:
    random = Random(5)
    pairs = [(random.random() < 0.9, random.random() < 0.6) for _ in range(2000)]
    widths = []
    for n in (20, 200, 2000):
        low, high = shares_of(pairs[:n]).interval
        assert low is not None
        assert high is not None
        assert -1 <= low < -0.3 < high <= 1
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.2


def test_equal_shares_are_hardly_ever_found_to_differ() -> None:
    found = 0
    for number in range(400):
        random = Random(number)
        pairs = [(random.random() < 0.8, random.random() < 0.8) for _ in range(200)]
        found += shares_of(pairs, alpha=0.1).differs
    assert found <= 0.1 * 400


def test_the_interval_of_no_pair_is_open() -> None:
    assert ShareSequence(ALPHA).interval == (None, None)
    assert ShareSequence(ALPHA).estimate is None
