"""When a worker sends next."""

from random import Random

import pytest
from clocks import NS
from hypothesis import given
from hypothesis import strategies as st

from probes.config import Route
from probes.engine.pacing import first_start_ns, next_start_ns


@given(interval=st.floats(0.01, 100), took=st.floats(0, 300), seed=st.integers())
def test_the_next_start_is_an_interval_after_the_last_within_a_tenth(
    interval: float, took: float, seed: int
) -> None:
    end_ns = round(took * NS)
    due_ns = next_start_ns(0, end_ns, interval, Random(seed))
    assert due_ns >= end_ns
    if took < interval * 0.9:
        assert 0.9 * interval * NS - 1 <= due_ns <= 1.1 * interval * NS + 1
    if took > interval * 1.1:
        assert due_ns == end_ns


class Fixed(Random):
    """A chance that always comes out alike."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self._value = value

    def random(self) -> float:
        return self._value


@pytest.mark.parametrize(("chance", "due_s"), [(0.0, 4.5), (0.5, 5.0), (1.0, 5.5)])
def test_the_default_interval_is_five_seconds_more_or_less_a_tenth(
    chance: float, due_s: float
) -> None:
    interval_s = Route(name="r", base_url="http://h", model="m").interval
    assert next_start_ns(0, NS, interval_s, Fixed(chance)) == round(due_s * NS)


@pytest.mark.parametrize(("end_s", "due_s"), [(4.4, 5.0), (4.5, 5.0), (4.6, 5.1)])
def test_the_pause_after_a_failure_is_half_a_second_within_the_interval(
    end_s: float, due_s: float
) -> None:
    due_ns = next_start_ns(0, round(end_s * NS), 5.0, Fixed(0.5), failed=True)
    assert due_ns == round(due_s * NS)


def test_no_interval_is_back_to_back() -> None:
    assert next_start_ns(0, 5 * NS, 0, Random(1)) == 5 * NS


def test_first_starts_are_spread_over_the_interval() -> None:
    starts = [first_start_ns(0, worker, 4, 2.0) / NS for worker in range(4)]
    assert starts == [0.0, 0.5, 1.0, 1.5]


def test_first_starts_differ_even_without_an_interval() -> None:
    starts = [first_start_ns(0, worker, 8, 0.0) / NS for worker in range(8)]
    assert starts == [round(0.05 * worker, 2) for worker in range(8)]


def test_after_a_failure_a_worker_pauses_though_it_runs_back_to_back() -> None:
    assert next_start_ns(0, 5 * NS, 0, Random(1), failed=True) == 5 * NS + NS // 2
