"""The collector is taken over and given back."""

import gc
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from tui.terminal.collector import Collector, hold_no_strips, no_passes_at_the_start


def test_it_runs_only_when_told_and_is_given_back() -> None:
    before = gc.get_threshold()
    frozen = gc.get_freeze_count()
    collector = Collector()
    collector.start()
    try:
        assert gc.get_threshold()[0] > before[0] * 10
        assert gc.get_freeze_count() > frozen
    finally:
        collector.stop()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_stopping_twice_or_before_the_start_changes_nothing() -> None:
    before = gc.get_threshold()
    collector = Collector()
    collector.stop()
    collector.start()
    collector.stop()
    collector.stop()
    assert gc.get_threshold() == before


@contextmanager
def noted_passes() -> Iterator[list[int]]:
    """Give the generations that are passed over meanwhile."""
    passes: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            passes.append(info["generation"])

    gc.callbacks.append(note)
    try:
        yield passes
    finally:
        gc.callbacks.remove(note)


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have the interpreter say that so many blocks are in use: the last of the list."""
    in_use = [500_000]
    monkeypatch.setattr(sys, "getallocatedblocks", lambda: in_use[-1])
    return in_use


def test_a_full_pass_comes_once_a_minute_where_nothing_grows(blocks: list[int]) -> None:
    collector = Collector()
    collector.start()
    try:
        with noted_passes() as passes:
            for _ in range(180):
                collector.sweep()
    finally:
        collector.stop()
    assert [number for number, one in enumerate(passes, 1) if one == 2] == [60, 120, 180]
    assert set(passes) == {1, 2}


def test_a_full_pass_comes_soon_after_much_has_grown_and_not_more_often_than_that(
    blocks: list[int],
) -> None:
    collector = Collector()
    collector.start()
    try:
        with noted_passes() as passes:
            for number in range(1, 31):
                if number == 10:
                    blocks.append(560_000)
                if number >= 20:
                    blocks.append(blocks[-1] + 60_000)
                collector.sweep()
    finally:
        collector.stop()
    assert [number for number, one in enumerate(passes, 1) if one == 2] == [10, 20, 25, 30]


def test_with_many_routes_more_must_grow(blocks: list[int]) -> None:
    blocks.append(5_000_000)
    collector = Collector()
    collector.start()
    try:
        with noted_passes() as passes:
            blocks.append(5_400_000)
            for _ in range(10):
                collector.sweep()
            assert passes.count(2) == 0
            blocks.append(5_600_000)
            for _ in range(5):
                collector.sweep()
            assert passes.count(2) == 1
    finally:
        collector.stop()


class Circle:
    def __init__(self) -> None:
        self.itself = self


def swept(collector: Collector, times: int, *, stays: bool) -> None:
    for _ in range(times):
        collector.sweep(stays=stays)


@pytest.fixture
def started() -> Iterator[Collector]:
    collector = Collector()
    collector.start()
    try:
        yield collector
    finally:
        collector.stop()


def test_what_has_been_looked_through_and_stays_is_looked_at_no_more(
    blocks: list[int], started: Collector
) -> None:
    frozen = gc.get_freeze_count()
    kept = [[number] for number in range(40_000)]
    swept(started, 10, stays=True)
    assert gc.get_freeze_count() >= frozen + len(kept)
    assert len(gc.get_objects(generation=2)) < 10_000
    with noted_passes() as passes:
        swept(started, 40, stays=True)
    assert set(passes) == {1}, "nothing has become old since"
    more = [[number] for number in range(40_000)]
    with noted_passes() as passes:
        swept(started, 2, stays=True)
    assert passes == [1, 2], "it is looked through when it is old, and not a minute later"
    assert gc.get_freeze_count() >= frozen + len(kept) + len(more)


def test_nothing_is_frozen_that_somebody_may_close_nor_at_once_when_it_was(
    blocks: list[int], started: Collector
) -> None:
    frozen = gc.get_freeze_count()
    kept = [[number] for number in range(40_000)]
    swept(started, 30, stays=False)
    swept(started, 5, stays=True)
    assert gc.get_freeze_count() <= frozen
    swept(started, 1, stays=True)
    assert gc.get_freeze_count() >= frozen + len(kept)


def test_a_circle_that_was_given_up_when_it_was_frozen_is_found_when_memory_has_grown(
    blocks: list[int], started: Collector
) -> None:
    circle, kept = Circle(), [[number] for number in range(40_000)]
    gone = weakref.ref(circle)
    swept(started, 10, stays=True)
    del circle
    swept(started, 90, stays=True)
    assert gone() is not None
    kept += [[number] for number in range(40_000)]
    swept(started, 10, stays=True)
    assert gone() is not None, "no more is in use than before"
    blocks.append(1_100_000)
    kept += [[number] for number in range(40_000)]
    swept(started, 2, stays=True)
    assert gone() is None
    assert gc.get_freeze_count() > len(kept), "what is left is frozen again"


def test_strips_hold_no_circles_and_are_cropped_and_cut_as_before() -> None:
    hold_no_strips()
    hold_no_strips()
    strip = Strip([Segment("abc"), Segment("def", Style(bold=True))])
    assert strip.crop_extend(0, 6, None) is strip
    assert strip.crop_extend(-1, 6, None) is strip
    assert list(strip.divide([6])) == [strip]
    assert list(strip.divide(iter([6, 9]))) == [strip]
    assert strip.crop_extend(1, 5, None).text == "bcde"
    assert strip.crop_extend(0, 8, None).text == "abcdef  "
    assert strip.crop_extend(2, 6, None).text == "cdef"
    assert [part.text for part in strip.divide(iter([2, 6]))] == ["ab", "cdef"]
    assert list(strip.divide([])) == []
    gone: list[bool] = []

    class Watched(Strip):
        def __del__(self) -> None:
            gone.append(True)

    gc.disable()
    try:
        watched = Watched([Segment("abc")])
        watched.crop_extend(0, 3, None)
        watched.divide([3])
        watched.crop_extend(0, 5, None)
        del watched
        assert gone == [True], "no pass is needed to free it"
    finally:
        gc.enable()


def test_a_start_is_not_interrupted_by_passes_and_leaves_them_as_they_were() -> None:
    before = gc.get_threshold()
    with no_passes_at_the_start():
        collector = Collector()
        assert gc.get_threshold()[0] > before[0] * 10
        collector.start()
        collector.stop()
        assert gc.get_threshold()[0] > before[0] * 10
    assert gc.get_threshold() == before
