"""When an engine counts as silent, and when a dead one is started again: pure, timed by callers."""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from probes.kit.back_off import waits
from probes.kit.clock import NS_PER_S, seconds

PLACE_SILENT_S: Final = 5.0
"""Nothing heard of a place for so long is told. It ticks each second, and a way that stands still
for less mends itself."""


class HostLimits(msgspec.Struct, frozen=True):
    """The host's patience, in seconds where not said otherwise."""

    silent_after_s: float = 10.0
    """Nothing heard for so long: said on the screen."""
    kill_after_s: float = 30.0
    """Nothing heard for so long: killed and started again."""
    check_s: float = 0.5
    """How often silence is looked at."""
    stop_grace_s: float = 1.0
    """What an engine has to end by itself."""
    terminate_grace_s: float = 0.5
    """What it has after SIGTERM, before SIGKILL."""
    backoff_first_s: float = 1.0
    """Before the first restart; each that follows waits twice as long."""
    backoff_max_s: float = 30.0
    deaths: int = 3
    """So many deaths within `deaths_window_s` end the restarts until a person asks for one."""
    deaths_window_s: float = 60.0
    line_bytes: int = 4 << 20
    """A longer line is thrown away: an event is some hundred bytes, one with preview text 10 kB."""
    bytes_per_s: float = math.inf
    """What is read of it in a second, a line counted as `LINE_COST` bytes more: one that floods is
    read more slowly, which it notices as any engine does whose host does not keep up."""
    hello_within_s: float = math.inf
    """What it has to introduce itself in, however much it says instead."""


LINE_COST: Final = 512
"""Reading a line as an event, or finding that it is none, takes as long as reading so many bytes
does; lines of nothing would else be free."""
_SAVED_S: Final = 4.0
"""What was not used of a rate is kept for so long: an engine may say much at once."""


class ReadRate:
    """How fast a stream is read."""

    def __init__(self, bytes_per_s: float) -> None:
        """Begin with all that can be saved."""
        self._rate = bytes_per_s
        self._left = bytes_per_s * _SAVED_S
        self._counted_ns: int | None = None

    def rest_s(self, size: int, lines: int, now_ns: int) -> float:
        """Count what was read; return the seconds to rest before more is."""
        if math.isinf(self._rate):
            return 0.0
        if self._counted_ns is not None:
            gained = self._rate * seconds(now_ns - self._counted_ns)
            self._left = min(self._rate * _SAVED_S, self._left + gained)
        self._counted_ns = now_ns
        self._left -= size + LINE_COST * lines
        return max(0.0, -self._left / self._rate)


class SilenceMeter:
    """How long an engine has said nothing while we listened.

    One check adds at most two periods: when the host itself did not run (suspended, stopped),
    that time is no silence of the engine's.
    """

    def __init__(self, period_s: float) -> None:
        """Expect a check every `period_s`."""
        self._most_ns = round(2 * period_s * NS_PER_S)
        self._checked_ns: int | None = None
        self._silent_ns = 0

    def heard(self) -> None:
        """Something was read."""
        self._silent_ns = 0

    def check(self, now_ns: int, *, listening: bool) -> float:
        """Return the silence in seconds; time in which we did not listen does not count."""
        if self._checked_ns is not None and listening:
            self._silent_ns += min(now_ns - self._checked_ns, self._most_ns)
        self._checked_ns = now_ns
        return self.silent_s

    @property
    def silent_s(self) -> float:
        """The silence at the last check, in seconds."""
        return seconds(self._silent_ns)


@dataclass(slots=True)
class RestartPolicy:
    """Back-off from `backoff_first_s`, doubling to `backoff_max_s`; gives up on a crash loop."""

    limits: HostLimits
    _deaths_ns: deque[int] = field(default_factory=deque, init=False)
    _waits: Iterator[float] | None = field(default=None, init=False)
    """None as long as nothing has gone wrong."""

    def lost(self, lived_s: float) -> float:
        """Return the seconds to wait before the next try, where the way to an engine failed: it
        may come back at any time, and is never given up."""
        if self._waits is None or lived_s >= self.limits.deaths_window_s:
            self._waits = waits(self.limits.backoff_first_s, self.limits.backoff_max_s)
        return next(self._waits)

    def renewed(self, lived_s: float) -> float:
        """Return the seconds to wait before an engine that was ended on purpose is begun anew: none
        the first time. Where what was wrong with it is wrong with the next one, too, as after a
        loss."""
        is_first = self._waits is None or lived_s >= self.limits.deaths_window_s
        wait_s = self.lost(lived_s)
        return 0.0 if is_first else wait_s

    def died(self, now_ns: int, lived_s: float) -> float | None:
        """Return the seconds to wait before the next start; None to give up."""
        wait_s = self.lost(lived_s)
        self._deaths_ns.append(now_ns)
        while seconds(now_ns - self._deaths_ns[0]) > self.limits.deaths_window_s:
            self._deaths_ns.popleft()
        if len(self._deaths_ns) >= self.limits.deaths:
            return None
        return wait_s

    def forget(self) -> None:
        """A person asked for another try: earlier deaths no longer count."""
        self._deaths_ns.clear()
        self._waits = None
