"""Figures keep three digits and five cells; durations and moments are short."""

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.short_figures import age, count, counted, lasting, three_digits, time_of_day


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (0.0842, "0.084"),
        (0.84, "0.840"),
        (0.9996, "1.00"),
        (2.914, "2.91"),
        (9.996, "10.0"),
        (41.25, "41.2"),
        (412.3, "412"),
        (1900, "1.9k"),
        (2_000_000, "2.0M"),
    ],
)
def test_three_digits(value: float | None, text: str) -> None:
    assert three_digits(value) == text


@given(st.floats(min_value=0, max_value=1e14))
def test_figures_never_outgrow_five_cells(value: float) -> None:
    assert len(three_digits(value)) <= 5


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (-1, "0.0s"),
        (4.12, "4.1s"),
        (9.96, "10s"),
        (59.6, "1m00s"),
        (72, "1m12s"),
        (7380, "2h03m"),
        (273_600, "3d04h"),
    ],
)
def test_ages(value: float | None, text: str) -> None:
    assert age(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (212, "212"),
        (999.6, "1.0k"),
        (1949, "1.9k"),
        (60_000, "60k"),
        (999_700, "1.0M"),
        (2e6, "2.0M"),
        (3e9, "3.0G"),
        (9.994e14, "999T"),
        (1e20, "≥1P"),
    ],
)
def test_counts(value: float | None, text: str) -> None:
    assert count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-3, "0s"),
        (9.97, "9s"),
        (59.9, "59s"),
        (110.4, "1m50s"),
        (599, "9m59s"),
        (600, "10m"),
        (3599, "59m"),
        (4320, "1h12m"),
        (273_600, "3d04h"),
    ],
)
def test_what_lasts_tells_seconds_below_ten_minutes(value: float, text: str) -> None:
    assert lasting(value) == text


def test_a_stamp_becomes_the_time_of_day() -> None:
    noon_ns = 1_795_867_200 * 10**9
    assert time_of_day(5 * 10**9, noon_ns, UTC) == "12:00:05"
    assert time_of_day(10**30, 0, UTC) == "–"


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0 stalls"), (1, "1 stall"), (2, "2 stalls"), (1_204, "1,204 stalls")],
)
def test_a_noun_agrees_with_its_number(number: int, words: str) -> None:
    assert counted(number, "stall") == words


def test_a_short_number_keeps_to_four_cells_and_decides_by_what_is_shown() -> None:
    assert counted(60_400, "probe", short=True) == "60k probes"
    assert counted(1.2, "token", short=True) == "1 token"
    assert counted(1.6, "token", short=True) == "2 tokens"


def test_what_has_a_plural_of_its_own_says_so() -> None:
    assert counted(1, "further try", "further tries") == "1 further try"
    assert counted(3, "line was", "lines were") == "3 lines were"
