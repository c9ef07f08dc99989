"""The engine watching itself."""

import anyio
import pytest
from clocks import NS, ManualClock

from probes.engine.health import BEAT_S, GapWatch, LoopWatch, Shortages

pytestmark = pytest.mark.anyio


def test_steady_beats_are_no_gap() -> None:
    gaps = GapWatch(0, asleep_ns=lambda: 0)
    assert [gaps.beat(NS * n) for n in range(1, 4)] == [None, None, None]
    assert not gaps.overlaps(0, 3 * NS)


def test_a_pause_of_the_loop_is_a_gap_that_began_with_the_last_beat() -> None:
    gaps = GapWatch(0, asleep_ns=lambda: 0)
    gaps.beat(NS)
    assert gaps.beat(5 * NS) == NS
    assert gaps.overlaps(2 * NS, 6 * NS)
    assert not gaps.overlaps(5 * NS + 1, 6 * NS)


def test_a_gap_counts_before_any_beat_has_seen_it() -> None:
    gaps = GapWatch(0, asleep_ns=lambda: 0)
    assert gaps.overlaps(0, 3 * NS)
    assert not gaps.overlaps(0, NS)


@pytest.mark.parametrize(("pause_s", "is_gap"), [(1.99, False), (2.0, True)])
def test_a_pause_of_two_seconds_is_a_gap(pause_s: float, is_gap: bool) -> None:
    gaps = GapWatch(0, asleep_ns=lambda: 0)
    gaps.beat(NS)
    assert (gaps.beat(NS + round(pause_s * NS)) is not None) is is_gap


@pytest.mark.parametrize(("after_s", "what"), [(14.9, "descriptors"), (15.0, "")])
def test_a_shortage_is_told_for_fifteen_seconds_after_the_last_probe_it_cost(
    after_s: float, what: str
) -> None:
    shortages = Shortages()
    assert shortages.now(0) == ""
    shortages.note("local.descriptors", 3 * NS)
    assert shortages.now(3 * NS + round(after_s * NS)) == what


def test_a_machine_that_slept_has_a_gap_though_its_monotonic_clock_stood_still() -> None:
    asleep = [0]
    gaps = GapWatch(0, asleep_ns=lambda: asleep[0])
    asleep[0] = 3_600 * NS
    assert gaps.overlaps(0, 1)
    assert gaps.beat(NS // 40) == 0


async def test_lag_is_how_late_a_beat_comes() -> None:
    class LateClock(ManualClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            self.now_ns += 7_000_000

    clock = LateClock()
    gaps_seen: list[tuple[int, int]] = []
    watch = LoopWatch(clock, GapWatch(clock.now_ns, lambda: 0), lambda *gap: gaps_seen.append(gap))
    async with anyio.create_task_group() as group:
        group.start_soon(watch.run)
        await clock.advance(BEAT_S * 8)
        group.cancel_scope.cancel()
    assert watch.lag().p50_ns == pytest.approx(7_000_000, abs=2)
    assert watch.lag().max_ns >= watch.lag().p99_ns >= watch.lag().p50_ns
    assert gaps_seen == []


async def test_a_gap_is_told_with_its_two_ends() -> None:
    clock = ManualClock()
    gaps_seen: list[tuple[int, int]] = []
    watch = LoopWatch(clock, GapWatch(clock.now_ns, lambda: 0), lambda *gap: gaps_seen.append(gap))
    began_ns = clock.now_ns
    async with anyio.create_task_group() as group:
        group.start_soon(watch.run)
        await clock.advance(BEAT_S / 2)
        clock.now_ns += 10 * NS
        await clock.advance(0)
        group.cancel_scope.cancel()
    assert gaps_seen == [(began_ns, clock.now_ns)]
