"""Windows are the open slice and the last closed ones, and never more than is kept."""

import random
from bisect import bisect_right
from dataclasses import fields
from typing import Any

import pytest
from board_streams import ProbeScript

from probes.kit.clock import NS_PER_S
from probes.stats.digest import CENTROIDS
from probes.stats.samples import SampleWindows
from probes.stats.tally import Tally, TallyWindows
from probes.stats.windows import WINDOWS, Slices, WindowName, Windows, elapsed_s, slice_index

pytestmark = pytest.mark.usefixtures("package")


def ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)


def seal(windows: Windows[Any], now_s: float) -> None:
    while windows.seal(ns(now_s)):
        pass


def n_of(samples: SampleWindows, window: WindowName, now_s: float) -> int:
    return samples.read(window, ns(now_s)).n


def counted(*stamps_s: float) -> TallyWindows:
    windows = TallyWindows()
    for stamp in stamps_s:
        for tally in windows.at(ns(stamp)):
            tally.finished += 1
    return windows


@pytest.mark.parametrize(("offset_s", "index"), [(-3, 0), (0, 0), (9.999, 0), (10, 1), (905.0, 90)])
def test_slices_are_aligned_to_the_start(offset_s: float, index: int) -> None:
    assert slice_index(ns(offset_s)) == index


@pytest.mark.parametrize(
    ("window", "now_s", "covered_s"),
    [
        ("1m", 0, 1.0),
        ("1m", 5, 5.0),
        ("1m", 60, 60.0),
        ("1m", 69.5, 69.5),
        ("1m", 70, 60.0),
        ("5m", 200, 200.0),
        ("5m", 1_234, 304.0),
        ("15m", 1_234, 904.0),
        ("1h", 1_234, 1_234.0),
        ("1h", 7_230, 3_630.0),
        ("run", 7_230, 7_230.0),
    ],
)
def test_a_rate_uses_the_time_a_window_truly_covers(
    window: WindowName, now_s: float, covered_s: float
) -> None:
    assert elapsed_s(window, ns(now_s)) == pytest.approx(covered_s)


@pytest.mark.parametrize(
    ("window", "expected"), [("1m", 2), ("5m", 3), ("15m", 4), ("1h", 5), ("run", 6)]
)
def test_each_window_reaches_as_far_back_as_its_name(window: WindowName, expected: int) -> None:
    now = 10_000
    windows = counted(1, now - 3_599, now - 899, now - 299, now - 59, now - 2)
    assert windows.total(window, ns(now)).finished == expected


def test_the_oldest_slice_falls_out_when_the_next_one_opens() -> None:
    windows = counted(5)
    assert windows.total("1m", ns(69.9)).finished == 1
    assert windows.total("1m", ns(70)).finished == 0


def test_a_late_count_enters_the_slice_of_its_own_stamp() -> None:
    windows = counted(5, 65)
    assert windows.total("1m", ns(69)).finished == 2
    assert windows.total("1m", ns(71)).finished == 1
    for tally in windows.at(ns(25)):
        tally.finished += 1
    assert windows.total("1m", ns(71)).finished == 2
    assert windows.total("1m", ns(95)).finished == 1


@pytest.mark.parametrize("window", WINDOWS)
def test_a_total_is_a_copy(window: WindowName) -> None:
    windows = counted(1, 15)
    windows.total(window, ns(20)).finished += 100
    assert windows.total(window, ns(20)).finished == 2


def test_what_is_too_old_to_be_kept_counts_for_the_run_only() -> None:
    windows = counted(20_000, 3)
    assert windows.total("run", ns(20_000)).finished == 2
    assert windows.total("1h", ns(20_000)).finished == 1
    assert windows.slices.get(0) is None


def test_the_number_of_slices_is_bounded() -> None:
    windows = TallyWindows()
    for stamp in range(0, 40_000, 7):
        for tally in windows.at(ns(stamp)):
            tally.finished += 1
        seal(windows, stamp)
    assert len(windows.slices) <= 91
    assert len(windows.minutes) <= 61
    assert windows.total("run", ns(40_000)).finished == len(range(0, 40_000, 7))


def test_slices_keep_the_newest() -> None:
    slices: Slices[list[int]] = Slices(3, list)
    for index in range(8):
        slices.at(index).append(index)
    assert slices.between(0, 10) == [[4], [5], [6], [7]]


def test_ages_without_a_sample_cost_no_time() -> None:
    slices: Slices[list[int]] = Slices(3, list)
    slices.at(1).append(7)
    assert slices.between(0, 10**18) == [[7]]


def test_a_slice_is_sealed_a_second_after_its_end_and_compacted_then() -> None:
    samples = SampleWindows()
    for number in range(100):
        samples.add(ns(number * 0.1), float(number))
    seal(samples, 10.9)
    [digest] = samples.slices.between(0, 1)
    assert (samples.slices.sealed, len(digest.centroids())) == (0, 100)
    seal(samples, 11.0)
    assert samples.slices.sealed == 1
    assert len(digest.centroids()) <= CENTROIDS


def test_samples_go_from_slices_to_minutes_to_the_run_and_none_is_lost_or_read_twice() -> None:
    samples = SampleWindows()
    for number in range(2_000):
        samples.add(ns(number * 0.1), float(number))
        seal(samples, number * 0.1)
        assert n_of(samples, "run", number * 0.1) == number + 1
        assert n_of(samples, "1h", number * 0.1) == number + 1
    assert n_of(samples, "1m", 199.9) == 700
    assert samples.read("1m", ns(199.9)).at(0.0, 1.0) == (1_300.0, 1_999.0)
    assert [digest.n for digest in samples.minutes.between(0, 3)] == [600, 600, 600]
    assert samples.run.n == 1_800


def test_a_late_sample_joins_its_sealed_slice_minute_and_run() -> None:
    samples = SampleWindows()
    for stamp in (1, 75):
        samples.add(ns(stamp), 1.0)
        seal(samples, 75)
    samples.add(ns(2), 9.0)
    seal(samples, 75)
    for window in WINDOWS:
        inside = 1 if window == "1m" else 3
        assert n_of(samples, window, 75) == inside
        assert samples.read(window, ns(75)).at(1.0) == (1.0 if inside == 1 else 9.0,)
    assert (samples.minutes.between(0, 1)[0].n, samples.run.n) == (2, 2)


def test_nothing_is_lost_when_time_jumps_over_more_than_is_kept() -> None:
    windows = counted(5, 12)
    for tally in windows.at(ns(20_000)):
        tally.finished += 1
    seal(windows, 20_002)
    for tally in windows.at(ns(20_001)):
        tally.finished += 1
    assert windows.total("run", ns(20_003)).finished == 4
    assert windows.total("1h", ns(20_003)).finished == 2


@pytest.mark.parametrize("window", WINDOWS)
def test_a_sample_for_a_slice_that_is_not_sealed_yet_is_read_at_once(window: WindowName) -> None:
    samples, windows = SampleWindows(), TallyWindows()
    for stamp in (5.0, 35.0):
        samples.add(ns(stamp), 1.0)
        windows.at(ns(stamp))[0].finished += 1
    assert n_of(samples, window, 35) == windows.total(window, ns(35)).finished == 2
    samples.add(ns(6), 9.0)
    windows.at(ns(6))[0].finished += 1
    assert n_of(samples, window, 35) == windows.total(window, ns(35)).finished == 3
    assert samples.read(window, ns(35)).at(1.0) == (9.0,)


def test_tallies_add_up_numbers_and_reasons() -> None:
    one, other = Tally(finished=3, ok=1), Tally(finished=2, cost_usd=0.5)
    one.count_retry("rate_limit", 1, 1.5)
    other.count_retry("rate_limit", 1, 0.0)
    other.count_retry("overloaded", 2, 0.5)
    other.recovered_by["overloaded"] = other.recovered = 1
    one.absorb(other)
    assert (one.finished, one.failures, one.cost_usd, one.retries) == (5, 4, 0.5, 3)
    assert one.retried == {("rate_limit", 1): 2, ("overloaded", 2): 1}
    assert (one.recovered, one.recovered_by) == (1, {"overloaded": 1})
    assert one.waited_by == {"rate_limit": 1.5, "overloaded": 0.5}


def test_everything_a_tally_counts_is_absorbed() -> None:
    for item in fields(Tally):
        counts: Any = {"reason": 2} if item.name.endswith("_by") else 2
        counts = {("reason", 1): 2} if item.name == "retried" else counts
        tally = Tally(**{item.name: counts})
        whole = Tally()
        whole.absorb(tally)
        assert whole == tally


def test_reasons_are_bounded_when_counted_and_when_absorbed() -> None:
    tally, failed = Tally(), ProbeScript("e1-1", 0.0, outcome="timeout").probe_finished()
    for number in range(1_000):
        tally.count_retry(f"reason{number}", 1, 1.0)
        tally.count_probe(failed, False, (f"reason{number}",))
    assert tally.retries == 1_000
    assert len(tally.retried) <= 33
    assert sum(tally.retried.values()) == 1_000
    assert len(tally.waited_by) <= 33
    assert tally.exhausted_by["other"] == 1_000 - 32
    whole = Tally()
    for number in range(100):
        whole.absorb(Tally(throttled_by={f"reason{number}": 1}))
    assert len(whole.throttled_by) <= 33
    assert sum(whole.throttled_by.values()) == 100


@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_is_read_within_the_tolerated_ranks_whenever_it_was_read_before(
    window: WindowName,
) -> None:
    chance = random.Random(7)
    watched, unwatched = SampleWindows(), SampleWindows()
    kept: list[tuple[int, float]] = []
    for second in range(1_300):
        for _ in range(3):
            late_s = 40.0 if chance.random() < 0.01 else 0.0
            offset, value = ns(max(0.0, second - late_s)), chance.lognormvariate(0.0, 0.7)
            kept.append((offset, value))
            watched.add(offset, value)
            unwatched.add(offset, value)
        for samples in (watched, unwatched):
            seal(samples, second)
        watched.read(window, ns(second)).at(0.5)
    now = ns(1_299)
    probabilities, tolerances = (0.5, 0.95, 0.99), (0.01, 0.005, 0.002)
    found = watched.read(window, now).at(*probabilities)
    assert found == unwatched.read(window, now).at(*probabilities)
    reach_s = elapsed_s(window, now)
    inside = sorted(value for offset, value in kept if offset >= now - ns(reach_s))
    assert watched.read(window, now).n == len(inside)
    for value, probability, tolerance in zip(found, probabilities, tolerances, strict=True):
        assert value is not None
        rank = bisect_right(inside, value) / len(inside)
        assert abs(rank - probability) <= tolerance + 1 / len(inside)
