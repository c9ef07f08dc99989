"""The engine watching itself: loop lag, CPU, and gaps in which nothing could be measured."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from probes.clock import NS_PER_S, Clock

__all__ = ["BEAT_S", "GAP_NS", "GapWatch", "LoopLag", "LoopWatch", "suspended_ns"]

BEAT_S: Final = 0.025
"""Seconds between two beats of the watch."""

GAP_NS: Final = 2 * NS_PER_S
"""A pause of the loop beyond this is a gap: suspend, a stopped process, a frozen machine."""


def suspended_ns() -> int:
    """Return for how long (ns) the machine has slept since boot; 0 where the system cannot tell.

    CLOCK_BOOTTIME counts sleep and CLOCK_MONOTONIC does not (Linux, clock_gettime(2)).
    """
    boot_clock = getattr(time, "CLOCK_BOOTTIME", None)
    if boot_clock is None:
        return 0
    return time.clock_gettime_ns(boot_clock) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)


@dataclass(frozen=True, slots=True)
class LoopLag:
    """How late the event loop woke, in ns, over the last second."""

    p50_ns: int = 0
    p99_ns: int = 0
    max_ns: int = 0


class GapWatch:
    """Knows when the engine last was not running."""

    def __init__(self, now_ns: int, asleep_ns: Callable[[], int] = suspended_ns) -> None:
        self._last_beat_ns = now_ns
        self._last_gap_ns: int | None = None
        self._asleep = asleep_ns
        self._asleep_ns = asleep_ns()

    def beat(self, now_ns: int) -> int | None:
        """Note that the loop runs; return when the gap that just ended began, None without one."""
        before, self._last_beat_ns = self._last_beat_ns, now_ns
        asleep_before, self._asleep_ns = self._asleep_ns, self._asleep()
        if now_ns - before < GAP_NS and self._asleep_ns - asleep_before < GAP_NS:
            return None
        self._last_gap_ns = now_ns
        return before

    def overlaps(self, since_ns: int, now_ns: int) -> bool:
        """Return whether a gap lies in the span; one that no beat has seen yet counts too."""
        if now_ns - self._last_beat_ns >= GAP_NS:
            return True
        if self._asleep() - self._asleep_ns >= GAP_NS:
            return True
        return self._last_gap_ns is not None and self._last_gap_ns >= since_ns


class LoopWatch:
    """Beats, and measures how late each beat comes."""

    def __init__(self, clock: Clock, gaps: GapWatch, on_gap: Callable[[int, int], None]) -> None:
        self._clock = clock
        self._gaps = gaps
        self._on_gap = on_gap
        self._lags: deque[int] = deque(maxlen=round(1 / BEAT_S))
        self._cpu_ns = time.process_time_ns()
        self._cpu_at_ns = clock.monotonic_ns()

    async def run(self) -> None:
        """Beat until cancelled; `on_gap(started_ns, ended_ns)` is told of gaps."""
        while True:
            before_ns = self._clock.monotonic_ns()
            await self._clock.sleep(BEAT_S)
            now_ns = self._clock.monotonic_ns()
            self._lags.append(max(0, now_ns - before_ns - round(BEAT_S * NS_PER_S)))
            started_ns = self._gaps.beat(now_ns)
            if started_ns is not None:
                self._on_gap(started_ns, now_ns)

    def lag(self) -> LoopLag:
        """Return the loop's lag over the last second."""
        ordered = sorted(self._lags)
        if not ordered:
            return LoopLag()
        last = len(ordered) - 1
        return LoopLag(ordered[last // 2], ordered[round(last * 0.99)], ordered[-1])

    def cpu_share(self) -> float:
        """Return the share of one core this process used since the last call."""
        cpu_ns, now_ns = time.process_time_ns(), self._clock.monotonic_ns()
        spent, elapsed = cpu_ns - self._cpu_ns, now_ns - self._cpu_at_ns
        self._cpu_ns, self._cpu_at_ns = cpu_ns, now_ns
        return spent / elapsed if elapsed > 0 else 0.0
