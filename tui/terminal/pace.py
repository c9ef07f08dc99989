"""How often the screen is drawn, as asked for or slower on a slow terminal; and what that costs."""

import time
from collections.abc import Callable
from typing import Final

from probes.kit.clock import NS_PER_S, Clock, seconds

_METERED_EVERY_NS: Final = 2 * NS_PER_S

_SLOWEST_HZ: Final = 1.0
_JUDGED_EVERY_NS: Final = NS_PER_S
"""The worst write of a second decides: one that hiccups is not slow for ever."""
_TOO_LONG: Final = 0.5
"""Share of the time between two frames that a write may take. Above it the next frame, or the
answer to a key, would soon wait behind the one before."""
_ROOM: Final = 0.25
"""Share of the time between two frames at the faster rate that a write may take before that rate
is tried: half of what would slow it down again, so that it does not swing to and fro."""
TABLES_NS: Final = NS_PER_S // 2
"""How long a table of figures stands: percentiles are made anew once a second, and figures that
change more often than twice a second are not read."""
_TAKING: Final = 0.04
"""Share of a core that knowing what to draw may take: with hundreds of routes a frame takes 10 ms
to make, and three a second are as good as ten. But one a second there is, whatever it takes."""
_DEAR_NS: Final = TABLES_NS // 2
"""Frames that must lie farther apart than this come when the tables are due: between two of those
they would show less than they cost, and make the tables wait for the next one."""
_CALM_SECONDS: Final = 3
"""Seconds with room before it gets faster."""
_JITTER: Final = 0.5
"""Of the shortest interval: a beat that comes a little early still counts."""


class Pace:
    """Says when a frame is due. Halves the rate on a slow terminal, down to 1 Hz, and comes back.

    While a frame is still being written none is due: at most one waits for the terminal.
    """

    def __init__(self, fastest_hz: float, now_ns: int) -> None:
        self._fastest_hz = fastest_hz
        self._halvings = 0
        self._judged_ns = now_ns
        self._drawn_ns: int | None = None
        self._worst_s = 0.0
        self._calm = 0

    @property
    def slowed_hz(self) -> float | None:
        """The rate where it is lower than asked for; None where it is not."""
        return self._rate(self._halvings) if self._halvings else None

    def due(self, now_ns: int, *, busy: bool, slowest_s: float, taken_s: float = 0.0) -> bool:
        """Return whether to draw now; call it at each beat of the fastest rate.

        `busy` tells whether a frame is still being written, `slowest_s` how long the slowest write
        since the last call took, or has taken so far; `taken_s` is the CPU time that it took to
        know what to draw the last time.
        """
        self._worst_s = max(self._worst_s, slowest_s)
        if (
            self._worst_s > _TOO_LONG / self._rate(self._halvings)
            or now_ns - self._judged_ns >= _JUDGED_EVERY_NS
        ):
            self._judge(now_ns)
        if busy:
            return False
        early_ns = int(_JITTER / self._fastest_hz * NS_PER_S)
        dear_ns = min(taken_s / _TAKING, 1 / _SLOWEST_HZ) * NS_PER_S
        if dear_ns > _DEAR_NS:
            dear_ns = max(dear_ns, TABLES_NS)
        every_ns = max(NS_PER_S / self._rate(self._halvings), dear_ns)
        waited = self._drawn_ns is None or now_ns - self._drawn_ns + early_ns >= every_ns
        if waited:
            self._drawn_ns = now_ns
        return waited

    def _rate(self, halvings: int) -> float:
        """Return frames a second after so many halvings."""
        return max(min(_SLOWEST_HZ, self._fastest_hz), self._fastest_hz / 2.0**halvings)

    def _judge(self, now_ns: int) -> None:
        worst_s, rate = self._worst_s, self._rate(self._halvings)
        if worst_s > _TOO_LONG / rate:
            if seconds(now_ns - self._judged_ns) < 1 / rate:
                return  # it was slowed a moment ago: see first what that brings
            self._halvings += self._rate(self._halvings + 1) < rate
            self._calm = 0
        elif self._halvings and worst_s <= _ROOM / self._rate(self._halvings - 1):
            self._calm += 1
            if self._calm >= _CALM_SECONDS:
                self._halvings, self._calm = self._halvings - 1, 0
        else:
            self._calm = 0
        self._judged_ns, self._worst_s = now_ns, 0.0


class CpuMeter:
    """This process's share of a core, taken anew every two seconds."""

    def __init__(self, clock: Clock, cpu_s: Callable[[], float] = time.process_time) -> None:
        """Begin to measure; `cpu_s` gives the CPU seconds used so far."""
        self._clock = clock
        self._cpu_s = cpu_s
        self._since_ns, self._used_s = clock.monotonic_ns(), cpu_s()
        self._share = 0.0

    def share(self) -> float:
        """Return the share of one core of the last two seconds; 0 before they are over."""
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._since_ns >= _METERED_EVERY_NS:
            used_s = self._cpu_s()
            self._share = (used_s - self._used_s) / seconds(now_ns - self._since_ns)
            self._since_ns, self._used_s = now_ns, used_s
        return self._share
