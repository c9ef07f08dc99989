"""When bytes arrived: the kernel's own word for it where it gives one.

Linux stamps a segment when the network card's interrupt hands it over (SO_TIMESTAMPNS, socket(7)),
however late this process wakes. `recvmsg` then tells the stamp of the newest segment it copied, by
CLOCK_REALTIME. The kernel switches stamping on for the first socket that asks and off again after
the last one, and segments that arrive meanwhile have none: so one socket asks for the life of the
process.
"""

import socket
import struct
import sys
from functools import lru_cache
from typing import Final

from probes.clock import Clock

__all__ = ["READ_BYTES", "Arrivals", "ask_for_stamps", "kernel_stamps", "monotonic_arrival"]

READ_BYTES: Final = 65_536
_TIMESPEC: Final = struct.Struct("@ll")
_SO_TIMESTAMPNS: Final = 35
"""On every architecture Linux is common on; Python has no name for it."""
_ANCILLARY_BYTES: Final = 64
_SKEW_NS: Final = 1_000_000
"""By so much the two clocks may disagree while they are compared."""
_APART_NS: Final = 20_000
_COMPARISONS: Final = 3


def ask_for_stamps(sock: socket.socket) -> bool:
    """Have the kernel stamp what a socket receives; return whether it will."""
    if sys.platform != "linux" or _TIMESPEC.size != 16:
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    except OSError:
        return False
    return True


@lru_cache(maxsize=1)
def kernel_stamps() -> bool:
    """Return whether this machine's kernel stamps arrivals; from the first call on it does."""
    _keeper.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    return ask_for_stamps(_keeper[0])


_keeper: Final[list[socket.socket]] = []


def monotonic_arrival(stamp_ns: int, clock: Clock, not_before_ns: int) -> int | None:
    """Return a wall-clock stamp of just now in monotonic ns; None where it cannot be true.

    It lies between `not_before_ns`, when these bytes cannot have been there yet, and now, unless
    somebody has set the wall clock in between.
    """
    for _ in range(_COMPARISONS):
        before_ns = clock.monotonic_ns()
        wall_ns = clock.wall_ns()
        now_ns = clock.monotonic_ns()
        if now_ns - before_ns < _APART_NS:  # else we were interrupted between the two
            break
    arrival_ns = before_ns - (wall_ns - stamp_ns)
    if not not_before_ns - _SKEW_NS <= arrival_ns <= now_ns + _SKEW_NS:
        return None
    return min(max(arrival_ns, not_before_ns), now_ns)


class Arrivals:
    """Reads one socket and dates what it reads."""

    __slots__ = ("_clock", "at_ns", "by_kernel", "reads")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.at_ns = clock.monotonic_ns()
        """Arrival of the newest byte of the last read, or when reading began."""
        self.by_kernel = kernel_stamps()
        """Whether the kernel has dated all reads since this was set."""
        self.reads = 0

    def begin(self, now_ns: int) -> None:
        """Begin an exchange: nothing of it can have arrived before `now_ns`."""
        self.at_ns = now_ns
        self.by_kernel = kernel_stamps()

    def read(self, sock: socket.socket) -> bytes:
        """Return what is there, nothing at the end of the stream; its date is then in `at_ns`.

        Raises:
            BlockingIOError: there is nothing yet.
            OSError: the connection broke.
        """
        data, ancillary, _, _ = sock.recvmsg(READ_BYTES, _ANCILLARY_BYTES)
        self.reads += 1
        for level, kind, stamp in ancillary:
            if kind == _SO_TIMESTAMPNS and level == socket.SOL_SOCKET:
                seconds, nanoseconds = _TIMESPEC.unpack(stamp)
                wall_ns = seconds * 1_000_000_000 + nanoseconds
                at_ns = monotonic_arrival(wall_ns, self._clock, self.at_ns)
                if at_ns is not None:
                    self.at_ns = at_ns
                    return data
        self.at_ns = self._clock.monotonic_ns()
        if data:  # the end of a stream carries no stamp
            self.by_kernel = False
        return data
