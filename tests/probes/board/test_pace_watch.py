"""Whether an open pace is kept: no false alarm by chance, and none that is missed."""

import heapq
import itertools
from collections import deque
from random import Random

import pytest
from clocks import NS

from probes.board.pace import ENOUGH_DUE, LEAST_NS, PaceWatch
from probes.events import RouteCounts, SkipReason


def counts(due: int, waiting: int = 0, skipped: dict[SkipReason, int] | None = None) -> RouteCounts:
    skipped = skipped or {}
    return RouteCounts(
        route="r",
        in_flight=0,
        target=4,
        due=due,
        due_waiting=waiting,
        skipped=sum(skipped.values()),
        skipped_for=skipped,
    )


def queue(rate: float, busy: float, places: int, seconds: int, seed: int) -> list[tuple[int, int]]:
    """Return what was due and what waited, second by second, where exponential answers keep so
    much of the places busy: chance at its worst."""
    random, free = Random(seed), [0.0] * places
    due_s, came, starts = 0.0, deque[float](), list[float]()
    while due_s < seconds:
        came.append(due_s)
        start_s = max(due_s, heapq.heappop(free))
        heapq.heappush(free, start_s + random.expovariate(rate / (busy * places)))
        starts.append(start_s)
        due_s += random.expovariate(rate)
    starts.sort()
    told, due, begun = [], 0, 0
    for second in range(1, seconds):
        while due < len(came) and came[due] <= second:
            due += 1
        while begun < len(starts) and starts[begun] <= second:
            begun += 1
        told.append((due, due - begun))
    return told


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("rate", "places"), [(0.5, 2), (2.0, 4), (10.0, 10), (50.0, 40)])
def test_chance_lights_no_lamp_while_the_places_suffice(
    rate: float, places: int, seed: int
) -> None:
    watch, late = PaceWatch(), 0
    for second, (due, waiting) in enumerate(queue(rate, 0.8, places, 3_600, seed)):
        watch.count(counts(due, waiting), second * NS)
        late += watch.kept is not None and watch.kept.is_late
    assert late == 0


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("rate", "places"), [(2.0, 4), (10.0, 10), (50.0, 40)])
def test_an_overload_of_half_as_much_again_is_told(rate: float, places: int, seed: int) -> None:
    watch, lit_s = PaceWatch(), None
    for second, (due, waiting) in enumerate(queue(rate, 1.5, places, 600, seed)):
        watch.count(counts(due, waiting), second * NS)
        if watch.kept is not None and watch.kept.is_late:
            lit_s = second if lit_s is None else lit_s
    kept = watch.kept
    assert lit_s is not None
    assert lit_s <= max(LEAST_NS / NS, ENOUGH_DUE / rate) * 2
    assert kept is not None
    assert kept.is_late
    assert kept.begun_per_s == pytest.approx(rate / 1.5, rel=0.2)
    assert kept.since_ns is not None
    assert kept.since_ns <= lit_s * NS


def test_it_stays_lit_where_the_queue_is_full_and_no_longer_grows() -> None:
    watch = PaceWatch()
    for second in range(300):
        watch.count(counts(10 * second, 100, {"late": 3 * second}), second * NS)
    assert watch.kept is not None
    assert watch.kept.is_late
    assert watch.kept.why == "late"
    assert watch.kept.begun_per_s == pytest.approx(7.0, rel=0.01)


def test_what_holds_most_of_it_back_is_named() -> None:
    watch = PaceWatch()
    for second in range(100):
        watch.count(counts(10 * second, 0, {"cool_down": 4 * second}), second * NS)
    assert watch.kept is not None
    assert (watch.kept.is_late, watch.kept.why) == (True, "cool_down")


def test_it_goes_out_when_the_queue_has_been_caught_up_with() -> None:
    watch, was_lit = PaceWatch(), []
    for second in range(200):
        waiting = 3 * min(second, 60) if second < 60 else max(0, 180 - 6 * (second - 60))
        watch.count(counts(10 * second, waiting), second * NS)
        was_lit.append(watch.kept is not None and watch.kept.is_late)
    assert any(was_lit[:70])
    assert not any(was_lit[100:])
    assert sum(a != b for a, b in itertools.pairwise(was_lit)) == 2  # no flicker


def test_nothing_is_said_of_too_little() -> None:
    watch = PaceWatch()
    for second in range(20):
        watch.count(counts(10 * second, 5 * second), second * NS)
    assert watch.kept is None


def test_a_new_engine_begins_at_nothing() -> None:
    watch = PaceWatch()
    for second in range(60):
        watch.count(counts(10 * second, 5 * second), second * NS)
    assert watch.kept is not None
    watch.count(counts(10), 60 * NS)
    assert watch.kept is None
