"""When bytes arrived: the kernel's stamp where it gives one, else the time of the read.

Linux stamps a segment as it enters the machine's network stack, so the figure does not care how
late this process wakes. The stamp is of CLOCK_REALTIME; it is mapped to CLOCK_MONOTONIC at the
read, so a wall clock that is set or slewed shifts a stamp by no more than it moved in between.
"""

import socket
import struct
import sys
from typing import Final

from probes.kit.clock import NS_PER_S, Clock

_READ_SIZE: Final = 65_536
_SO_TIMESTAMPNS: Final = 35
"""Of asm-generic/socket.h; Python's socket module does not name it."""
_TIMESPEC: Final = struct.Struct("@ll")
_ANCILLARY_SIZE: Final = socket.CMSG_SPACE(_TIMESPEC.size) if hasattr(socket, "CMSG_SPACE") else 0
_MOST_AGE_NS: Final = 60 * NS_PER_S
_MOST_BRACKET_NS: Final = 2_000
_MOST_TRIES: Final = 3


class ArrivalReader:
    """Reads from sockets together with the arrival of what was read, in monotonic ns.

    The kernel switches stamping on with the first socket that asks and off with the last, and what
    arrived before has no stamp; so one socket that asks stays open as long as the reader.
    """

    def __init__(self, clock: Clock) -> None:
        """Ask the kernel for stamps; `kernel` tells whether it will give them."""
        self._clock = clock
        self._keeper = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.kernel = sys.platform == "linux" and self._ask(self._keeper)
        """Whether the kernel stamps arrivals."""

    def watch(self, sock: socket.socket) -> None:
        """Have the arrivals of a socket stamped."""
        if self.kernel:
            self._ask(sock)

    def read(self, sock: socket.socket) -> tuple[bytes, int]:
        """Return what waits on a socket and the arrival of its last segment.

        Raises:
            BlockingIOError: nothing waits.
            OSError: the connection broke.
        """
        if not self.kernel:
            return sock.recv(_READ_SIZE), self._clock.monotonic_ns()
        data, ancillary, _, _ = sock.recvmsg(_READ_SIZE, _ANCILLARY_SIZE)
        return data, self._arrival_ns(ancillary)

    def close(self) -> None:
        """Let the kernel stop stamping for us."""
        self._keeper.close()

    @staticmethod
    def _ask(sock: socket.socket) -> bool:
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        except OSError:
            return False
        return True

    def _arrival_ns(self, ancillary: list[tuple[int, int, bytes]]) -> int:
        offset_ns, now_ns = self._wall_offset()
        for level, kind, data in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
                seconds, nanoseconds = _TIMESPEC.unpack(data[: _TIMESPEC.size])
                arrived_ns = seconds * NS_PER_S + nanoseconds - offset_ns
                if 0 <= now_ns - arrived_ns < _MOST_AGE_NS:
                    return int(arrived_ns)
        return now_ns

    def _wall_offset(self) -> tuple[int, int]:
        """Return wall − monotonic time, and the latter now; tried again when interrupted."""
        best_ns, offset_ns, after_ns = 0, 0, 0
        for attempt in range(_MOST_TRIES):
            before_ns = self._clock.monotonic_ns()
            wall_ns = self._clock.wall_ns()
            after_ns = self._clock.monotonic_ns()
            bracket_ns = after_ns - before_ns
            if not attempt or bracket_ns < best_ns:
                best_ns, offset_ns = bracket_ns, wall_ns - (before_ns + after_ns) // 2
            if best_ns <= _MOST_BRACKET_NS:
                break
        return offset_ns, after_ns
