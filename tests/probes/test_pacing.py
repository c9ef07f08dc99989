"""When a worker sends next."""

from random import Random

from clocks import NS
from hypothesis import given
from hypothesis import strategies as st

from probes.pacing import first_start_ns, next_start_ns


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


def test_no_interval_is_back_to_back() -> None:
    assert next_start_ns(0, 5 * NS, 0, Random(1)) == 5 * NS


def test_first_starts_are_spread_over_the_interval() -> None:
    starts = [first_start_ns(0, worker, 4, 2.0) / NS for worker in range(4)]
    assert starts == [0.0, 0.5, 1.0, 1.5]


def test_first_starts_differ_even_without_an_interval() -> None:
    assert len({first_start_ns(0, worker, 8, 0.0) for worker in range(8)}) == 8


def test_after_a_failure_a_worker_pauses_though_it_runs_back_to_back() -> None:
    assert next_start_ns(0, 5 * NS, 0, Random(1), failed=True) == 5 * NS + NS // 2
