"""Seconds become samples, and figures are told without what nobody feels."""

import math

import pytest
from diagnosis_streams import GOLDEN

from probes.diagnosis.series import INPUT, RTT, WAIT, JudgedSeries, Shares

S = 1_000_000_000


def known(kind=WAIT, usual: float = 0.3, seconds: int = 120) -> JudgedSeries:  # type: ignore[no-untyped-def]
    series = JudgedSeries(kind)
    for second in range(seconds):
        series.add(usual * (1 + 0.1 * (second * GOLDEN % 1.0)), second * S, evidence=False)
        series.close((second + 1) * S)
    assert series.rank == 0
    return series


def test_what_comes_in_one_second_is_one_sample_the_median() -> None:
    many, one = known(), known()
    for second in range(120, 130):
        for value in (0.1, 0.9, 5.0, 5.0, 0.2, 0.9, 0.9):
            many.add(value, second * S, evidence=False)
        one.add(0.9, second * S, evidence=False)
        many.close((second + 1) * S)
        one.close((second + 1) * S)
    assert many.level.samples_since == one.level.samples_since == 10
    shifts = many.shift(), one.shift()
    assert shifts[0] == shifts[1]


def test_two_in_a_second_after_none_count_as_two() -> None:
    series = known()
    for second in range(120, 140, 2):
        series.add(0.9, second * S, evidence=False)
        series.add(0.9, second * S, evidence=False)
        series.close((second + 1) * S)
        series.close((second + 2) * S)
    assert series.level.samples_since == 20


def test_a_second_without_samples_changes_nothing() -> None:
    series = known()
    before = series.level.n_usual
    series.close(200 * S)
    assert (series.level.n_usual, series.rank, series.since_ns) == (before, 0, None)


def test_figures_are_told_without_the_floor_and_the_ratio_is_theirs() -> None:
    series = known(usual=0.3)
    for second in range(120, 150):
        series.add(0.9, second * S, evidence=False)
        series.close((second + 1) * S)
    told = series.evidence()
    assert told is not None
    assert (told.figure, told.unit, told.now) == ("ttft", "s", 0.9)
    assert told.usual == pytest.approx(0.315, rel=0.02)
    assert told.low is not None
    assert told.high is not None
    assert told.low <= told.now / (told.usual or 1) <= told.high
    usual = series.usual(0.5)
    assert usual == pytest.approx(0.315, rel=0.02)


def test_what_is_too_small_to_be_felt_is_no_shift() -> None:
    series = known(RTT, usual=0.0001)
    for second in range(120, 200):
        series.add(0.0015, second * S, evidence=False)
        series.close((second + 1) * S)
    assert series.rank < 2


def test_below_the_floor_the_ratio_is_no_larger_than_what_is_felt() -> None:
    series = known(RTT, usual=0.0001)
    for second in range(120, 160):
        series.add(0.040, second * S, evidence=False)
        series.close((second + 1) * S)
    shift = series.shift()
    assert series.rank == 3
    assert shift is not None
    assert shift.ratio == pytest.approx(0.048 / 0.0081, rel=0.01)
    assert shift.now == pytest.approx(0.040)


@pytest.mark.parametrize("value", [0, -5.0, 1e300, 10**400, math.inf, math.nan])
def test_no_value_breaks_it(value: float) -> None:
    series = known(INPUT, usual=20.0)
    for second in range(120, 180):
        series.add(value, second * S, evidence=False)
        series.close((second + 1) * S)
    told = series.evidence()
    assert told is None or all(map(math.isfinite, (told.now, told.low or 0, told.high or 0)))


def test_what_waits_lends_its_age_and_gets_it_back() -> None:
    series = known()
    series.lend([(120 * S, 6.0), (121 * S, 5.0)], 126 * S)
    assert series.rank > 0
    assert series.since_ns == 120 * S
    series.lend([], 127 * S)
    assert (series.rank, series.since_ns) == (0, None)


def test_a_share_is_told_of_how_many() -> None:
    shares = Shares("failed_share")
    for second in range(100):
        shares.add(second * S, False, second * S)
    for second in range(100, 108):
        shares.add(second * S, True, second * S)
    told = shares.evidence()
    assert (shares.rank, shares.since_ns) == (3, 100 * S)
    assert (told.figure, told.now, told.usual, told.n_now, told.unit) == (
        *("failed_share", 1.0, 0.0),
        *(8, "share"),
    )
    assert shares.evidence(0.5, 20).now == 0.5
    assert shares.evidence(0.5, 20).n_now == 20
