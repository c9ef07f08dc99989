"""The schedule of an open loop, and what becomes of what is due."""

import itertools
import math
from random import Random

import pytest
from clocks import NS
from goodness_of_fit import exponential, kolmogorov_smirnov
from hypothesis import given
from hypothesis import strategies as st

from probes.control.commands import PacePart
from probes.engine.pacing import MOST_COUNTED, OpenPace, Schedule
from probes.events import PaceKind, SkipReason
from probes.sources.division import Division

START_NS = 5_000 * NS + 123_456_789
PATIENCE_NS = 60 * NS


def schedule(
    pace: PaceKind, rate: float, seed: int = 1, *, part: PacePart | None = None
) -> Schedule:
    return Schedule(pace, rate, Random(seed), START_NS, part)


def ticks(of: Schedule, number: int) -> list[int]:
    found = []
    for _ in range(number):
        assert of.due_ns is not None
        found.append(of.due_ns)
        of.advance()
    return found


def gaps_s(stamps: list[int]) -> list[float]:
    return [(after - before) / NS for before, after in itertools.pairwise(stamps)]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("rate", [0.2, 10.0, 900.0])
def test_gaps_of_poisson_are_exponential(rate: float, seed: int) -> None:
    gaps = gaps_s(ticks(schedule("poisson", rate, seed), 2_000))
    assert kolmogorov_smirnov(gaps, exponential(rate)) > 0.001
    # The test has teeth: the same gaps are not those of another rate, nor equal ones.
    assert kolmogorov_smirnov(gaps, exponential(rate * 1.2)) < 0.001
    assert kolmogorov_smirnov([1 / rate] * 2_000, exponential(rate)) < 0.001


def test_gaps_of_poisson_do_not_depend_on_each_other() -> None:
    gaps = gaps_s(ticks(schedule("poisson", 1.0), 20_000))
    pairs = itertools.pairwise(gaps)
    correlation = sum((a - 1) * (b - 1) for a, b in pairs) / len(gaps)
    assert abs(correlation) < 4 / math.sqrt(len(gaps))


@pytest.mark.parametrize("rate", [0.003, 3.0, 7.0, 1_000.0])
def test_gaps_of_constant_are_equal_and_never_drift(rate: float) -> None:
    found = ticks(schedule("constant", rate), 50_000)
    assert found[0] == START_NS
    for number in (1, 2, 49_999):
        assert found[number] - START_NS == pytest.approx(number * NS / rate, rel=1e-9, abs=1)
    assert max(gaps_s(found)) - min(gaps_s(found)) < 1e-5


def test_the_first_probe_is_due_at_once() -> None:
    assert schedule("poisson", 0.001).due_ns == START_NS
    assert schedule("constant", 0.001).due_ns == START_NS


@pytest.mark.parametrize("pace", ["poisson", "constant"])
def test_a_turned_rate_moves_what_is_left_of_the_gap(pace: PaceKind) -> None:
    of = schedule(pace, 0.01)
    of.advance()
    assert of.due_ns is not None
    left_ns = of.due_ns - START_NS
    of.turn(1.0, START_NS)
    assert of.due_ns == pytest.approx(START_NS + left_ns / 100, abs=2)
    of.turn(0.0, START_NS)
    assert of.due_ns is None
    of.turn(2.0, START_NS)
    assert of.due_ns is not None


@pytest.mark.parametrize("seed", range(5))
def test_a_rate_that_is_turned_again_and_again_stays_poisson(seed: int) -> None:
    of, random, gaps, now_ns = schedule("poisson", 1.0, seed), Random(seed), [], START_NS
    of.advance()
    last_ns, in_rates = START_NS, 0.0
    while len(gaps) < 1_500:
        rate, until_ns = of.rate, now_ns + round(0.7 * NS)
        while of.due_ns is not None and of.due_ns <= until_ns:
            gaps.append(in_rates + (of.due_ns - last_ns) / NS * rate)
            last_ns, in_rates = of.due_ns, 0.0
            of.advance()
        # In units of the rate that held, gaps across a turn are exponential, too.
        in_rates += (until_ns - last_ns) / NS * rate
        last_ns = now_ns = until_ns
        of.turn(random.choice([0.3, 1.0, 4.0]), now_ns)
    assert kolmogorov_smirnov(gaps, exponential(1.0)) > 0.001


@given(
    shares=st.lists(st.integers(0, 7), min_size=1, max_size=5).filter(any),
    rate=st.floats(0.01, 1_000),
)
def test_several_engines_send_the_ticks_of_one_constant_pace(
    shares: list[int], rate: float
) -> None:
    division = Division({"r": sum(shares)}, len(shares))
    parts = [division.pace_part("r", engine, rate) for engine in range(len(shares))]
    assert sum(part.own_rate for part in parts) == pytest.approx(rate)
    merged: list[int] = []
    for part in parts:
        if part.ticks:
            merged += ticks(schedule("constant", part.own_rate, part=part), 3 * len(part.ticks))
    merged.sort()
    # A cycle of ticks and more, each by one engine: none is missing, none comes twice.
    gap_ns = NS / rate
    assert [round(gap / gap_ns * NS, 2) for gap in gaps_s(merged)] == [1.0] * (len(merged) - 1)


@pytest.mark.parametrize("seed", range(5))
def test_several_engines_send_one_poisson_pace(seed: int) -> None:
    division, merged = Division({"r": 5}, 3), list[int]()
    for engine in range(3):
        part = division.pace_part("r", engine, 10.0)
        of = schedule("poisson", part.own_rate, seed * 3 + engine, part=part)
        merged += [stamp for stamp in ticks(of, 2_000) if stamp < START_NS + 150 * NS]
    assert kolmogorov_smirnov(gaps_s(sorted(merged)), exponential(10.0)) > 0.001


def pace(rate: float = 10.0, kind: PaceKind = "constant") -> OpenPace:
    return OpenPace(schedule(kind, rate), PATIENCE_NS, START_NS)


def test_what_is_due_waits_in_its_order() -> None:
    of = pace()
    of.look(START_NS + NS // 4, None)
    assert list(of.waiting) == [START_NS, START_NS + NS // 10, START_NS + NS // 5]
    assert (of.due, of.skipped.total()) == (3, 0)


def test_what_waited_longer_than_a_first_token_may_take_is_skipped_as_late() -> None:
    of = pace()
    of.look(START_NS + PATIENCE_NS, None)
    assert (len(of.waiting), of.skipped) == (601, {})
    of.look(START_NS + PATIENCE_NS + NS, None)
    assert of.skipped == {"late": 10}
    of.look(START_NS + 10 * PATIENCE_NS, None)
    assert of.due == 6_001 == of.skipped.total() + len(of.waiting)
    assert len(of.waiting) == 601


@pytest.mark.parametrize("held", ["paused", "cool_down", "budget", "reader_stalled", "gap"])
def test_what_is_due_while_something_holds_it_is_skipped_for_that(held: SkipReason) -> None:
    of = pace()
    of.look(START_NS + NS, None)
    assert len(of.waiting) == 11
    of.look(START_NS + 2 * NS, held)
    assert not of.waiting
    assert of.skipped == {held: 21}
    # Nothing of it is sent in a burst afterwards.
    of.look(START_NS + 2 * NS, None)
    assert not of.waiting
    of.look(START_NS + 2 * NS + NS // 10, None)
    assert len(of.waiting) == 1


@pytest.mark.parametrize("kind", ["constant", "poisson"])
def test_a_very_long_standstill_is_reckoned_and_not_counted_out(kind: PaceKind) -> None:
    of, hours = pace(1_000.0, kind), 8 * 3_600
    of.look(START_NS + hours * NS, "gap")
    assert of.due == pytest.approx(hours * 1_000, rel=1e-6)
    assert of.due > MOST_COUNTED
    assert of.schedule.due_ns is not None
    assert 0 < of.schedule.due_ns - (START_NS + hours * NS) < NS


@given(
    looks=st.lists(
        st.tuples(st.floats(0, 90), st.sampled_from([None, "paused", "budget"]), st.integers(0, 9))
    ),
    seed=st.integers(0, 99),
)
def test_due_is_begun_and_waiting_and_skipped(
    looks: list[tuple[float, SkipReason | None, int]], seed: int
) -> None:
    of = OpenPace(schedule("poisson", 2.0, seed), PATIENCE_NS, START_NS)
    begun, now_ns = 0, START_NS
    for passed_s, held, places in looks:
        now_ns += round(passed_s * NS)
        of.look(now_ns, held)
        for _ in range(min(places, len(of.waiting))):
            of.waiting.popleft()
            begun += 1
        assert of.due == begun + len(of.waiting) + of.skipped.total()
        assert all(now_ns - due_ns <= PATIENCE_NS for due_ns in of.waiting)
