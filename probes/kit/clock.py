"""Time, injected everywhere, so that tests own it.

Intervals are only ever taken between monotonic stamps of one process; wall time is for people.
"""

import time
from typing import Final, Protocol

import anyio

NS_PER_S: Final = 1_000_000_000
_LAST_NS: Final = (1 << 63) - 1


def kept_ns(stamp_ns: int) -> int:
    """Return a stamp as 64 bits hold it, for an array: a file that somebody edited may say more."""
    return min(max(stamp_ns, -_LAST_NS), _LAST_NS)


class Clock(Protocol):
    """What every part of the engine asks for the time."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds of a clock that never goes back; its zero means nothing."""
        ...

    def wall_ns(self) -> int:
        """Return nanoseconds since the Unix epoch; may jump when the machine's clock is set."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` of this clock; at once for zero and below."""
        ...


class SystemClock:
    """The machine's own clock."""

    monotonic_ns = staticmethod(time.monotonic_ns)
    wall_ns = staticmethod(time.time_ns)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop."""
        await anyio.sleep(max(0.0, seconds))


def seconds(nanoseconds: int) -> float:
    """Return nanoseconds as seconds."""
    return nanoseconds / NS_PER_S
