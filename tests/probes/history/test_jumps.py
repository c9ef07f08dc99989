"""The weekly check: a level that changed is dated, and nothing else is called a jump."""

import random
from collections.abc import Sequence

import pytest

from probes.history.jumps import LEAST_N, Day, jumps


def days(means: Sequence[float], n: int = 200) -> list[Day]:
    return [Day(86_400.0 * at, f"day {at}", mean, n) for at, mean in enumerate(means)]


def found(means: Sequence[float]) -> list[tuple[str, float]]:
    return [(jump.day.label, round(jump.after / jump.before, 2)) for jump in jumps(days(means))]


def noisy(level: float, count: int, sigma: float, seed: int = 1) -> list[float]:
    chance = random.Random(seed)
    return [level * chance.lognormvariate(0, sigma) for _ in range(count)]


def test_a_jump_is_dated_with_both_levels() -> None:
    (jump,) = jumps(days([812.0] * 14 + [1940.0] * 9))
    assert (jump.day.label, jump.before, jump.after) == ("day 14", 812.0, 1940.0)
    assert (jump.days_before, jump.days_after) == (14, 9)


def test_a_fall_is_a_jump_too() -> None:
    assert found([500.0] * 6 + [250.0] * 6) == [("day 6", 0.5)]


def test_yesterday_and_today_are_enough_and_today_alone_is_not() -> None:
    assert found([100.0] * 5 + [300.0] * 2) == [("day 5", 3.0)]
    assert found([100.0] * 5 + [300.0]) == []
    assert found([100.0] * 2 + [300.0] * 9) == []


def test_one_odd_day_is_no_jump_and_hides_none() -> None:
    assert found([100.0] * 8 + [900.0] + [100.0] * 8) == []
    assert found([100.0] * 8 + [900.0] + [100.0] * 3 + [240.0] * 9) == [("day 12", 2.4)]


@pytest.mark.parametrize("seed", range(10))
def test_noise_and_drift_are_none(seed: int) -> None:
    assert found(noisy(500, 60, 0.08, seed)) == []
    drift = [500 * 1.008**day * noise for day, noise in enumerate(noisy(1, 30, 0.02, seed))]
    assert found(drift) == []


@pytest.mark.parametrize("seed", range(10))
def test_a_jump_in_noise_is_dated_within_a_day(seed: int) -> None:
    means = noisy(500, 20, 0.1, seed) + noisy(1000, 20, 0.1, seed + 50)
    ((label, ratio),) = found(means)
    assert abs(int(label.removeprefix("day ")) - 20) <= 1
    assert ratio == pytest.approx(2.0, rel=0.15)


def evenings(means: Sequence[float], first: int) -> list[list[tuple[str, float]]]:
    """Return what is told on each evening of the days before it, a month at most."""
    told = (found(means[max(0, day - 30) : day]) for day in range(first, len(means) + 1))
    return [jumps for jumps in told if jumps]


@pytest.mark.parametrize("weekend", [1 / 3, 0.5, 0.75, 1.5])
def test_no_evening_calls_a_weekend_a_jump_once_two_have_been_seen(weekend: float) -> None:
    means = [
        level * (weekend if day % 7 > 4 else 1.0) for day, level in enumerate(noisy(800, 60, 0.02))
    ]
    assert evenings(means, 15) == []


def test_looking_every_evening_at_days_that_scatter_seldom_finds_a_jump() -> None:
    """A tenth of scatter a day is a mix of prompts at twenty attempts a day."""
    looks = [evenings(noisy(800, 60, 0.1, seed), 15) for seed in range(40)]
    assert sum(map(bool, looks)) <= 6


def test_a_level_of_a_few_days_is_found_with_both_of_its_ends() -> None:
    means = [800.0] * 20 + [1600.0] * 5 + [800.0] * 20
    assert found(means) == [("day 20", 2.0), ("day 25", 0.5)]


def test_several_jumps_are_all_found_in_order() -> None:
    assert found([100.0] * 10 + [200.0] * 10 + [100.0] * 10) == [("day 10", 2.0), ("day 20", 0.5)]


def test_less_than_a_fifth_is_none() -> None:
    assert found([100.0] * 9 + [115.0] * 9) == []


def test_days_of_few_attempts_do_not_count() -> None:
    assert jumps(days([100.0] * 9 + [300.0] * 9, n=LEAST_N - 1)) == []
    few = [*days([100.0] * 9), *(day._replace(n=1) for day in days([100.0] * 9 + [700.0] * 9)[9:])]
    assert jumps(few) == []


def test_nothing_is_said_of_nothing() -> None:
    assert jumps([]) == []
    assert found([0.0] * 9 + [100.0] * 2) == []
