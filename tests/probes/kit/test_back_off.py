"""Waits before another try."""

from itertools import islice

import pytest

from probes.kit.back_off import waits


@pytest.mark.parametrize(
    ("first_s", "longest_s", "expected"),
    [
        (0.25, 5.0, [0.25, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0]),
        (1.0, 8.0, [1.0, 2.0, 4.0, 8.0, 8.0]),
        (7.0, 3.0, [3.0, 3.0]),
    ],
)
def test_each_is_twice_the_one_before_up_to_the_longest(
    first_s: float, longest_s: float, expected: list[float]
) -> None:
    assert list(islice(waits(first_s, longest_s), len(expected))) == expected


def test_they_never_end() -> None:
    assert next(islice(waits(0.1, 30.0), 5_000, None)) == 30.0


def test_those_of_many_who_lost_the_same_are_spread_by_chance() -> None:
    chances = iter([0.0, 1.0, 0.5, 0.5])
    spread = waits(1.0, 4.0, spread=0.25, chance=lambda: next(chances))
    assert list(islice(spread, 4)) == [0.75, 2.5, 4.0, 4.0]
