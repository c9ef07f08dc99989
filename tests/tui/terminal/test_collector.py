"""The collector is taken over and given back."""

import gc

from tui.terminal.collector import Collector, no_passes_at_the_start


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


def test_every_sixtieth_sweep_is_a_full_one() -> None:
    passes = []
    gc.callbacks.append(
        lambda phase, info: passes.append(info["generation"]) if phase == "start" else None
    )
    collector = Collector()
    try:
        for _ in range(60):
            collector.sweep()
    finally:
        gc.callbacks.pop()
    assert passes.count(2) == 1
    assert passes.count(1) == 59


def test_a_start_is_not_interrupted_by_passes_and_leaves_them_as_they_were() -> None:
    before = gc.get_threshold()
    with no_passes_at_the_start():
        collector = Collector()
        assert gc.get_threshold()[0] > before[0] * 10
        collector.start()
        collector.stop()
        assert gc.get_threshold()[0] > before[0] * 10
    assert gc.get_threshold() == before
