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
from weakref import WeakKeyDictionary

from probes.kit.clock import NS_PER_S, Clock

READ_BYTES: Final = 65_536
"""Smaller reads would not help: the kernel keeps one stamp for segments that it has merged."""
_TIMESPEC: Final = struct.Struct("@ll")
_unpack: Final = _TIMESPEC.unpack
_SOL_SOCKET: Final = socket.SOL_SOCKET
"""Both are looked up once: it is done for every read."""
_SO_TIMESTAMPNS: Final = 35
"""On every architecture Linux is common on; Python has no name for it."""
_ANCILLARY_BYTES: Final = 64
"""One stamp takes 32 of them; what is too small for it is dropped without a word."""
_SKEW_NS: Final = 50_000
"""By so much a stamp may seem to lie outside of where it must: the two clocks are never compared in
one instant."""
_APART_NS: Final = 5_000
"""Two readings of a clock with another between them lie 0.1 to 0.3 µs apart where nothing
interrupts."""
_COMPARISONS: Final = 5
_COMPARE_EVERY_NS: Final = 50_000_000
"""NTP slews a clock by at most 0.5 ms/s, so 25 µs in this time: half of `_SKEW_NS`."""


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
    keeper = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if not ask_for_stamps(keeper):
        keeper.close()
        return False
    keeper.detach()  # its descriptor stays open as long as the process
    return True


class WallOffset:
    """How far the wall clock is ahead of the monotonic one.

    Linux disciplines both by the same rate, so they only part when somebody sets the wall clock.
    Comparing them costs more than the rest of a read; they are compared 20 times a second, and at
    once where a stamp cannot be true.
    """

    __slots__ = ("_clock", "fresh_until_ns", "ns")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.ns = 0
        """By so much it is ahead."""
        self.fresh_until_ns = 0
        """Monotonic; up to then it need not be compared again."""
        self._compare()

    def arrival(self, stamp_ns: int, not_before_ns: int, now_ns: int) -> int | None:
        """Return a wall-clock stamp as monotonic ns; None where it cannot be true.

        It lies between `not_before_ns`, when these bytes cannot have been there yet, and `now_ns`,
        unless the wall clock was set in between.
        """
        if now_ns > self.fresh_until_ns:
            self._compare()
        arrival_ns = stamp_ns - self.ns
        if not_before_ns <= arrival_ns <= now_ns:
            return arrival_ns
        # Far outside of it somebody has set the wall clock: this stamp says nothing, the next will.
        if not not_before_ns - _SKEW_NS <= arrival_ns <= now_ns + _SKEW_NS:
            self._compare()
            return None
        return min(max(arrival_ns, not_before_ns), now_ns)

    def _compare(self) -> None:
        """Read the one clock between two readings of the other; the closest pair counts."""
        closest_ns = None
        for _ in range(_COMPARISONS):
            before_ns = self._clock.monotonic_ns()
            wall_ns = self._clock.wall_ns()
            now_ns = self._clock.monotonic_ns()
            if closest_ns is None or now_ns - before_ns < closest_ns:
                closest_ns = now_ns - before_ns
                self.ns = wall_ns - (before_ns + now_ns) // 2
            if closest_ns < _APART_NS:  # else we were interrupted between them
                break
        self.fresh_until_ns = now_ns + _COMPARE_EVERY_NS


def shared_offset(clock: Clock) -> WallOffset:
    """Return the one comparison that all sockets of a clock share."""
    if clock not in _offsets:
        _offsets[clock] = WallOffset(clock)
    return _offsets[clock]


_offsets: Final[WeakKeyDictionary[Clock, WallOffset]] = WeakKeyDictionary()


class DatedReads:
    """Reads one socket and dates what it reads."""

    __slots__ = ("_now_ns", "_offset", "at_ns", "by_kernel", "reads")

    def __init__(self, clock: Clock) -> None:
        self._now_ns = clock.monotonic_ns
        self._offset = shared_offset(clock)
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
        now_ns = self._now_ns()
        self.reads += 1
        for level, kind, stamp in ancillary:
            if kind == _SO_TIMESTAMPNS and level == _SOL_SOCKET:
                seconds, nanoseconds = _unpack(stamp)
                wall_ns = seconds * NS_PER_S + nanoseconds
                offset, last_ns = self._offset, self.at_ns
                at_ns = wall_ns - offset.ns
                # Nearly every stamp lies so; `arrival` would say the same, and costs a call.
                if last_ns <= at_ns <= now_ns <= offset.fresh_until_ns:
                    self.at_ns = at_ns
                    return data
                sure_ns = offset.arrival(wall_ns, last_ns, now_ns)
                if sure_ns is not None:
                    self.at_ns = sure_ns
                    return data
        self.at_ns = now_ns
        if data:  # the end of a stream carries no stamp
            self.by_kernel = False
        return data
