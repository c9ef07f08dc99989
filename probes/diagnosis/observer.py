"""How the engine of one place fares itself: what it is late with is not its routes' fault.

Rule 1: our own machine is only suspected where its loop is late second after second: a single pause
is not.
Rule 2: lateness alone is no verdict, for arrivals are dated by the kernel: routes must slow
together, and by no more than our lateness can do.
Rule 3: a machine is that of one place. It says nothing of what another's sees.
"""

import math
from collections import deque
from collections.abc import Collection
from typing import Final, NamedTuple

from probes.diagnosis.causes import RouteCauses
from probes.diagnosis.route_watch import RouteWatch
from probes.events import Gap, Health, Tick
from probes.kit.clock import NS_PER_S

_LATE_NS: Final = 20_000_000
"""Lag of our own loop from which on we are late ourselves: a wait of half a second is not misread
by less."""
_LAGS: Final = 10.0
"""How many times its lag a busy machine adds to a wait at most: it sends late, it is told late, and
what answers may stand on it, too."""
_SLOW_BEFORE_NS: Final = 15 * NS_PER_S
"""So long before we were known to be late what slows may have been of it."""
_BUSY: Final = 0.95
"""Share of a core at which an engine has no time left."""
_LATE_OF_NS: Final = 12 * NS_PER_S
_LATE_IN_IT_NS: Final = 6 * NS_PER_S
"""So much of the last `_LATE_OF_NS` late, and our machine is busy: a single pause is not."""
_DOUBT_OF_NS: Final = 5 * NS_PER_S
_DOUBT_IN_IT_NS: Final = 2 * NS_PER_S
"""So much late of the last `_DOUBT_OF_NS`, and latencies are named with care."""
_SPANS_KEPT: Final = 16
"""Spans between ticks; an engine that is held up ticks seldom."""


class _Late(NamedTuple):
    """A time between two ticks in which our loop was late."""

    begin_ns: int
    end_ns: int
    lag_ns: int
    """How late."""


class Observer:
    """The engine of one place."""

    def __init__(self, at_ns: int) -> None:
        self._late: deque[_Late] = deque(maxlen=_SPANS_KEPT)
        self._ticked_ns = at_ns
        self._late_since_ns: int | None = None
        """Since when it is late all the time; None where it is not."""

    def slept(self, gap: Gap) -> None:
        """Note that it did not run."""
        if gap.at_ns > gap.started_ns:
            self._late.append(_Late(gap.started_ns, gap.at_ns, gap.at_ns - gap.started_ns))

    def ticked(self, tick: Tick, now_ns: int) -> None:
        """Take what it says of itself; `now_ns` is the time of its place."""
        lag_ns = tick.health.loop_lag_p99_ns
        if _is_late(tick.health) and tick.at_ns > self._ticked_ns:
            self._late.append(_Late(self._ticked_ns, tick.at_ns, lag_ns))
        self._ticked_ns = tick.at_ns
        late_ns = self._late_in_last(_LATE_OF_NS, now_ns)
        if late_ns >= _LATE_IN_IT_NS:
            from_ns = now_ns - _LATE_OF_NS
            first_ns = min(late.begin_ns for late in self._late if late.end_ns > from_ns)
            self._late_since_ns = self._late_since_ns or first_ns
        elif late_ns <= _LATE_IN_IT_NS // 2:
            self._late_since_ns = None

    def is_late(self, now_ns: int) -> bool:
        """Return whether it was late just now, so that latencies are named with care."""
        return self._late_in_last(_DOUBT_OF_NS, now_ns) >= _DOUBT_IN_IT_NS

    def since(self, routes: Collection[RouteCauses]) -> int | None:
        """Return since when our own machine slows what we see of its routes; None where it does
        not."""
        since_ns = self._late_since_ns
        if since_ns is None:
            return None
        if any("observer" in route.alarms for route in routes):
            return since_ns
        known = [route for route in routes if route.watch.learned and route.watch.is_probed]
        lag_s = max((late.lag_ns for late in self._late), default=0) / NS_PER_S
        if len({route.watch.host for route in known}) > 1:
            lag_s = math.inf  # hosts do not slow together by chance
        from_ns = since_ns - _SLOW_BEFORE_NS
        slow = sum(_may_be_ours(route.watch, from_ns, lag_s) for route in known)
        return since_ns if known and 2 * slow > len(known) else None

    def _late_in_last(self, span_ns: int, now_ns: int) -> int:
        """Return for how long the loop was late in the last `span_ns`, in ns."""
        from_ns = now_ns - span_ns
        return sum(
            late.end_ns - max(late.begin_ns, from_ns)
            for late in self._late
            if late.end_ns > from_ns
        )


def _may_be_ours(watch: RouteWatch, from_ns: int, lag_s: float) -> bool:
    """Return whether a route got slower since, and by no more than our own lateness can do.

    A loop that is 30 ms late makes no first token late by two seconds, however busy the machine.
    """
    for test in (watch.wait_series, watch.band.per_token):
        shift = test.shift() if test.rank >= 2 and (test.since_ns or 0) >= from_ns else None
        if shift is not None and shift.now - shift.usual <= _LAGS * lag_s:
            return True
    return False


def _is_late(health: Health) -> bool:
    """Return whether our own loop is late, or has no time left to be in time."""
    busy = max(health.busiest_cpu_share, health.cpu_share if not health.busiest_cpu_share else 0.0)
    lag_ns = health.loop_lag_p99_ns
    return lag_ns >= _LATE_NS or (busy >= _BUSY and lag_ns >= _LATE_NS // 4)
