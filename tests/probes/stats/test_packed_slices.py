"""What has closed is packed, and comes out as it was."""

import random
from typing import Any

import pytest

from probes.events import StampLadder
from probes.kit.clock import NS_PER_S
from probes.stats.digest import Digest
from probes.stats.ladders import LadderSlices, SliceLadders
from probes.stats.log_buckets import DurationWindows, LogBuckets
from probes.stats.quantiles import Distribution, Quantiles
from probes.stats.samples import Lost, SampleWindows
from probes.stats.tally import Tally, TallyWindows


def digest(count: int, *, equal: bool = False) -> Digest:
    chance, made = random.Random(count), Digest()
    for _ in range(count):
        made.add(0.5 if equal else chance.lognormvariate(-1, 0.5))
    made.compact()
    return made


@pytest.mark.parametrize(
    "made", [digest(0), digest(1), digest(10), digest(60), digest(400), digest(9, equal=True)]
)
def test_a_digest_comes_out_as_it_was(made: Digest) -> None:
    again = Digest.unpacked(made.pack())
    assert (again.n, again.maximum) == (made.n, made.maximum)
    assert sorted(again.centroids()) == sorted(made.centroids())
    again.add(3.5)
    made.add(3.5)
    at = (0.1, 0.5, 0.95, 0.99)
    assert Quantiles((Distribution([again]),)).at(*at) == Quantiles((Distribution([made]),)).at(*at)


def test_samples_that_are_absorbed_are_the_centroids_that_they_would_be() -> None:
    whole, parts = Digest(), Digest()
    for number in range(30):
        part = digest(40 + number)
        whole.absorb(part)
        parts.absorb(Digest.unpacked(part.pack()))
    assert whole.n == parts.n
    assert sorted(whole.centroids()) == sorted(parts.centroids())


def test_a_tally_comes_out_as_it_was() -> None:
    made = Tally(finished=7, ok=5, good=4, cost_usd=0.25, input_tokens=1 << 40, stalls=3)
    made.count_retry("rate_limit", 2, 1.5)
    made.recovered_by["overloaded"] = 2
    made.throttled_by["tokens"] = 9
    assert Tally.unpacked(made.pack()) == made
    assert Tally.unpacked(Tally().pack()) == Tally()


def test_buckets_spans_and_counts_come_out_as_they_were() -> None:
    buckets = LogBuckets()
    buckets.add_all([10**n for n in range(3, 11)])
    buckets.compact()
    again = LogBuckets.unpacked(buckets.pack())
    assert (again.counts(), again.longest_ns, again.rows()) == (
        *(buckets.counts(), buckets.longest_ns, buckets.rows()),
    )
    ladders = SliceLadders()
    for n in range(600):  # more than are kept
        ladders.add(n, StampLadder(started=n + 5, sent=n + 9, headers=n + 40), n + 90 + n % 7)
    ladders.compact()
    other = SliceLadders.unpacked(ladders.pack())
    assert (other.n, other.medians()) == (ladders.n, ladders.medians())
    for one in (ladders, other):
        one.add(1000, StampLadder(started=1005, sent=1009), 1100)
    assert [list(column) for column in other.spans()] == [list(c) for c in ladders.spans()]
    assert Lost.unpacked(Lost(3, 1).pack()) == Lost(3, 1)


def at(seconds: float) -> int:
    return round(seconds * NS_PER_S)


def sealed(windows: Any, upto_s: float) -> None:
    while windows.seal(at(upto_s)):
        pass


def test_what_comes_late_for_a_packed_slice_is_in_it_and_is_packed_again() -> None:
    windows = SampleWindows()
    for second in range(300):
        windows.add(at(second), 1.0)
        sealed(windows, second)
    before = windows.read("5m", at(299))
    assert (before.n, before.maximum) == (300, 1.0)
    windows.add(at(45), 9.0)
    assert windows.read("5m", at(299)).maximum == 9.0
    sealed(windows, 299)
    again = windows.read("5m", at(299))
    assert (again.n, again.maximum) == (301, 9.0)
    assert 4 not in windows.slices._open
    found = windows.slices.get(4)
    assert found is not None
    assert (found.n, found.maximum) == (11, 9.0)


def test_what_is_read_of_a_closed_slice_is_nobody_elses() -> None:
    windows = TallyWindows()
    for second in range(60):
        for tally in windows.at(at(second)):
            tally.finished += 1
        sealed(windows, second)
    read = windows.slices.get(1)
    assert read is not None
    read.finished = 999
    again = windows.slices.get(1)
    assert again is not None
    assert again.finished == 10


def test_late_durations_and_spans_are_kept_whether_their_slice_is_packed_or_not() -> None:
    durations, ladders = DurationWindows(), LadderSlices()
    for second in range(200):
        durations.add(at(second), 1_000_000)
        ladders.at(second // 10).add(1, StampLadder(started=2), 9)
    durations.add(at(15), 5_000_000_000)
    ladders.at(1).add(1, StampLadder(started=2), 900)
    for second in range(200, 230):
        durations.add(at(second), 1_000_000)
        ladders.at(second // 10).add(1, StampLadder(started=2), 9)
    late, spans = durations.slices.get(1), ladders.get(1)
    assert late is not None
    assert late.longest_ns == 5_000_000_000
    assert spans is not None
    assert spans.n == 11
    assert max(spans.spans()[-1]) == 898


def test_numbers_beyond_64_bits_keep_their_slice_open() -> None:
    windows = TallyWindows()
    for tally in windows.at(at(1)):
        tally.input_tokens = 1 << 70
    sealed(windows, 120)
    for tally in windows.at(at(130)):
        tally.finished += 1
    assert windows.total("run", at(131)).input_tokens == 1 << 70


def test_slices_that_nobody_needs_are_forgotten_packed_or_not() -> None:
    windows = TallyWindows()
    for second in range(0, 4_000, 5):
        for tally in windows.at(at(second)):
            tally.finished += 1
        sealed(windows, second)
    assert len(windows.slices) <= 91
    assert len(windows.slices._blocks) <= 11
    assert len(windows.slices._open) <= 3
