import math
import random
from collections import Counter
from collections.abc import Iterable
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.clock import NS_PER_S
from probes.stats.log_buckets import (
    HEAT_ROWS,
    DurationWindows,
    LogBuckets,
    added,
    heat_floor_s,
    heat_row,
)
from probes.stats.windows import WindowName

DURATIONS = st.lists(st.integers(-5, 10**13), max_size=60)


def counted(values_ns: list[int]) -> LogBuckets:
    buckets = LogBuckets()
    buckets.add_all(values_ns)
    return buckets


def test_quantiles_are_within_the_width_of_a_bucket() -> None:
    source = random.Random(2)
    gaps = [round(source.lognormvariate(17.0, 1.0)) for _ in range(5_000)]
    buckets = LogBuckets()
    for begin in range(0, len(gaps), 50):
        buckets.add_all(gaps[begin : begin + 50])
    gaps.sort()
    for probability in (0.5, 0.95, 0.99):
        exact = gaps[math.ceil(probability * len(gaps)) - 1]
        assert buckets.quantile_ns(probability) == pytest.approx(exact, rel=0.037)


def test_without_samples_there_is_no_quantile() -> None:
    assert LogBuckets().quantile_ns(0.5) is None
    assert LogBuckets().longest_ns == 0


@given(st.lists(DURATIONS, max_size=6), st.integers(0, 5))
def test_what_is_added_up_and_compacted_is_what_was_counted(
    parts: list[list[int]], compacted: int
) -> None:
    made = [counted(values) for values in parts]
    for buckets in made[:compacted]:
        buckets.compact()
    one_by_one = LogBuckets()
    for value in (value for values in parts for value in values):
        one_by_one.add(value)
    total = added(made)
    assert total.counts() == one_by_one.counts()
    assert total.rows() == one_by_one.rows()
    assert total.longest_ns == max([0, *(v for values in parts for v in values)])
    assert sum(count for _, count in total.rows()) == sum(map(len, parts))


@given(DURATIONS)
def test_a_heat_map_has_each_duration_in_its_row(values_ns: list[int]) -> None:
    rows = Counter(heat_row(value / NS_PER_S) for value in values_ns)
    assert dict(counted(values_ns).rows()) == rows


@pytest.mark.parametrize("row", range(HEAT_ROWS))
def test_a_row_begins_at_its_floor(row: int) -> None:
    assert heat_row(heat_floor_s(row) * 1.0001) == row
    assert heat_row(heat_floor_s(row) * 0.9999) == max(0, row - 1)


@pytest.mark.parametrize(
    ("seconds", "row"),
    [(0.0, 0), (-1.0, 0), (0.001, 0), (0.01, 8), (1.0, 24), (99.0, 39), (1e9, 39), (math.inf, 39)],
)
def test_what_is_beyond_the_rows_is_in_the_last_of_them(seconds: float, row: int) -> None:
    assert heat_row(seconds) == row


def counted_in(parts: Iterable[LogBuckets]) -> int:
    return sum(added(parts).counts().values())


@given(st.lists(st.tuples(st.integers(0, 9_000), st.booleans()), min_size=1, max_size=120))
def test_a_window_has_what_was_written_in_it_late_or_not(
    written: list[tuple[int, bool]],
) -> None:
    windows, told, now_s = DurationWindows(), [], 0
    for second, is_late in written:
        at_s = min(second, now_s) if is_late else max(second, now_s)
        now_s = max(now_s, at_s)
        windows.add(at_s * NS_PER_S, (at_s + 1) * 1_000)
        told.append(at_s)
    now_ns, newest = now_s * NS_PER_S, now_s // 10
    for window, width in (("1m", 6), ("5m", 30), ("15m", 90)):
        inside = sum(newest - width <= at_s // 10 for at_s in told)
        assert counted_in(windows.total(cast("WindowName", window), now_ns)) == inside
    hour = sum(newest // 6 - 60 <= at_s // 60 for at_s in told)
    assert counted_in(windows.total("1h", now_ns)) == hour
    assert counted_in(windows.total("run", now_ns)) == len(told)
    assert added(windows.total("run", now_ns)).longest_ns == (max(told) + 1) * 1_000
    assert counted_in(windows.since(newest - 2, now_ns)) == sum(
        newest - 2 <= at_s // 10 for at_s in told
    )


def test_time_goes_on_where_nothing_is_written() -> None:
    windows = DurationWindows()
    windows.add(5 * NS_PER_S, 1_000)
    assert counted_in(windows.total("1m", 200 * NS_PER_S)) == 0
    assert counted_in(windows.total("1h", 200 * NS_PER_S)) == 1
    assert counted_in(windows.total("1h", 4_000 * NS_PER_S)) == 0
    assert counted_in(windows.total("run", 4_000 * NS_PER_S)) == 1
