"""The engine watching itself: loop lag, CPU, and gaps in which nothing could be measured.

Rule 1. A beat every 25 ms measures how late the loop wakes; that is how late a user-space stamp is.
Rule 2. A pause of the loop of 2 s is a gap: whatever overlaps it was not measured, and a deadline
        that passed in it says nothing of the server.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple, get_args

from probes.events import LOCAL, Shortage
from probes.events.stream import BEAT_S
from probes.kit.clock import NS_PER_S, Clock

GAP_NS: Final = 2 * NS_PER_S
"""A pause of the loop beyond this is a gap: suspend, a stopped process, a frozen machine."""

SHORT_FOR_NS: Final = 15 * NS_PER_S
"""So long a shortage is told: longer than a worker that met one waits before it tries again."""


def suspended_ns() -> int:
    """Return for how long (ns) the machine has slept since boot; 0 where the system cannot tell.

    CLOCK_BOOTTIME counts sleep and CLOCK_MONOTONIC does not (Linux, clock_gettime(2)).
    """
    boot_clock = getattr(time, "CLOCK_BOOTTIME", None)
    if boot_clock is None:
        return 0
    return time.clock_gettime_ns(boot_clock) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class LoopLag(NamedTuple):
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

    def ended_between(self, since_ns: int, now_ns: int) -> bool:
        """Return whether a gap ended in the span, or lasts; what began before and was over counts
        for those who looked then."""
        return now_ns > since_ns and self.overlaps(since_ns + 1, now_ns)


class LoopWatch:
    """Beats, and measures how late each beat comes."""

    def __init__(self, clock: Clock, gaps: GapWatch, on_gap: Callable[[int, int], None]) -> None:
        self._clock = clock
        self._gaps = gaps
        self._on_gap = on_gap
        self._lags: deque[int] = deque(maxlen=round(1 / BEAT_S))

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


class Work(NamedTuple):
    """What was read so far: counts that only grow."""

    reads: int = 0
    """Reads of sockets that brought something."""
    chunks: int = 0
    """Reads that carried output."""
    inexact_chunks: int = 0
    """Of these, the ones whose arrival is an upper bound."""


class Cost(NamedTuple):
    """What the engine's work cost, over the time since it was last asked."""

    cpu_share: float = 0.0
    """Of one core."""
    reads_per_s: float = 0.0
    inexact_share: float = 0.0
    """Of the output chunks; 0 without any."""


class Shortages:
    """What we had too little of to send probes, as long as it is news."""

    def __init__(self) -> None:
        self._what: Shortage = ""
        self._at_ns = 0

    def note(self, reason: str, now_ns: int) -> None:
        """Take the reason of a probe that was not sent or not ended: `local.descriptors`."""
        what = reason.removeprefix(LOCAL)
        self._what = next((known for known in get_args(Shortage) if known == what), "memory")
        self._at_ns = now_ns

    def now(self, now_ns: int) -> Shortage:
        """Return what is short; empty where nothing has been for `SHORT_FOR_NS`."""
        return self._what if self._what and now_ns - self._at_ns < SHORT_FOR_NS else ""


class CostMeter:
    """Turns growing counts into rates."""

    def __init__(self, clock: Clock, cpu_ns: Callable[[], int] = time.process_time_ns) -> None:
        """Begin to measure; `cpu_ns` tells the processor time this process has used."""
        self._clock = clock
        self._cpu = cpu_ns
        self._cpu_ns = cpu_ns()
        self._at_ns = clock.monotonic_ns()
        self._work = Work()

    def measure(self, work: Work) -> Cost:
        """Return the cost since the last call."""
        cpu_ns, now_ns, before = self._cpu(), self._clock.monotonic_ns(), self._work
        spent_ns, elapsed_ns = cpu_ns - self._cpu_ns, now_ns - self._at_ns
        self._cpu_ns, self._at_ns, self._work = cpu_ns, now_ns, work
        if elapsed_ns <= 0:
            return Cost()
        chunks = work.chunks - before.chunks
        return Cost(
            cpu_share=spent_ns / elapsed_ns,
            reads_per_s=(work.reads - before.reads) * NS_PER_S / elapsed_ns,
            inexact_share=(work.inexact_chunks - before.inexact_chunks) / chunks if chunks else 0.0,
        )
