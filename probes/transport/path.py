"""How the way to the other end of a TCP connection is, by the kernel's own word: its TCP_INFO.

Linux tells of a connection its round trips, what it sent again and what came out of order (tcp(7);
`struct tcp_info` in linux/tcp.h). A reading takes a microsecond, and an exchange takes three: as
its request is sent, when the head of its answer is there, and at its end.

Rule 1  Of round trips the sample is told, not the kernel's average. That of the handshake is all
        the kernel knows right after connecting. Later it folds in an eighth of each sample, so
        that of two averages a sample can be had back where exactly one lies between them: one
        acknowledgement came, nothing is or was on its way, nothing was sent again.
Rule 2  An acknowledgement is the network's only if the other end did not hold it back. Where it
        may have waited for the answer, what it tells may be the server's time: then a sample
        counts only where it lies so near the shortest round trip, or so far beyond it, that this
        makes no odds.
Rule 3  What a kernel does not tell is absent, never zero: older ones tell less, and some that only
        look like Linux fill in nothing.
"""

import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from probes.events import RttTo

_NS_PER_US: Final = 1_000
_UNKNOWN: Final = 0xFFFF_FFFF
"""What fills up the answer of a kernel that tells less; also its word for no shortest round trip
yet."""
_LAYOUT: Final = struct.Struct("=24xI40xI28xI36xI4xIII64xI")
"""Eight numbers of 32 bits of `struct tcp_info`, which only ever grew at its end, and has no holes
that depend on the machine."""
_KERNEL_SHARE: Final = 8
"""A sample is one part in so many of the kernel's average (RFC 6298, section 2: alpha)."""
_ROUNDING_US: Final = _KERNEL_SHARE
"""The kernel tells its average in whole µs: by so much a sample that is made of two may be off."""
_SLACK_US: Final = 1_000
"""By so much more than the whole wait for the answer a round trip may seem: jiffies, and two
clocks."""
LINUX_HOLDS_US: Final = 40_000
"""So long Linux holds an acknowledgement back for an answer to go with (TCP_ATO_MIN). macOS takes
up to 100 ms, Windows 40 to 200, and they do so with every one."""
HELD_BACK_US: Final = LINUX_HOLDS_US + 10_000
"""The same with a tick of its timer, which is 4 to 10 ms."""
NEAR_US: Final = 5_000
"""So much more than the shortest round trip is no matter to anyone who waits for tokens."""
NEAR_SHARE: Final = 4
"""Nor is a part in so many of it: jitter on a long way."""


@dataclass(frozen=True, slots=True)
class PathReading:
    """What an exchange showed of the way; its fields are called as those of `AttemptFinished`."""

    rtt_ns: int | None = None
    rtt_min_ns: int | None = None
    retransmits: int | None = None
    reordered: int | None = None
    rtt_to: RttTo | None = None


UNTOLD: Final = PathReading()
"""Of a connection of which nothing is told, or that never came to be."""


class TcpInfo(NamedTuple):
    """One reading of a connection; what the kernel does not tell is `_UNKNOWN`."""

    unacknowledged: int
    """Segments that are on their way."""
    rtt_us: int
    """Smoothed; 0 while there is no sample."""
    retransmits: int
    """Segments that were sent again, the first of the handshake too."""
    segments_in: int
    rtt_min_us: int
    data_segments_in: int
    data_segments_out: int
    """Those sent again too."""
    out_of_order: int
    """Segments that came before one that should have come earlier."""


def read_tcp_info(sock: socket.socket) -> TcpInfo | None:
    """Return what the kernel tells of a connection; None where it is none of TCP, or closed."""
    if sys.platform != "linux":
        return None
    try:
        told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _LAYOUT.size)
    except OSError:
        return None
    return tcp_info_of(told)


def tcp_info_of(told: bytes) -> TcpInfo:
    """Return the reading that `struct tcp_info` is, of which a kernel may know the beginning."""
    whole = len(told) - len(told) % 4
    return TcpInfo(*_LAYOUT.unpack_from(told[:whole].ljust(_LAYOUT.size, b"\xff")))


ReadInfo: TypeAlias = Callable[[socket.socket], TcpInfo | None]

_FRESH: Final = TcpInfo(0, 0, 0, 0, 0, 0, 0, 0)
"""Before the first exchange of a connection, of which the handshake is a part."""


class TcpPath:
    """Reads the path of one connection, exchange by exchange. Its owner says when.

    What happened between two exchanges, while the connection lay idle, is told of neither.
    """

    __slots__ = (
        "_answered",
        "_before",
        "_prompt",
        "_read",
        "_reading",
        "_rtt_us",
        "_socket",
        "_to",
    )

    def __init__(self, to: RttTo, read: ReadInfo = read_tcp_info) -> None:
        """Prepare a path to whoever is going to be connected to; `read` asks the kernel."""
        self._read = read
        self._reading = UNTOLD
        self._to = to
        self._socket: socket.socket | None = None
        self._before: TcpInfo | None = None
        """As the exchange began; None while there is none."""
        self._answered = False
        self._rtt_us: int | None = None
        self._prompt = False
        """The last answer came so soon that by now the other end may wait for an answer before it
        acknowledges a request."""

    def connected(self, sock: socket.socket) -> None:
        """Take a socket on which nothing was sent yet: with its handshake an exchange begins."""
        info = self._read(sock)
        if info is not None:
            self._socket, self._before = sock, _FRESH
            # The other end's kernel answers a handshake at once: no server's time is in it.
            self._rtt_us = info.rtt_us

    def begin(self) -> None:
        """A request is about to be sent."""
        if self._socket is not None and self._before is None:
            self._rtt_us, self._answered = None, False
            self._before = self._read(self._socket)

    def answered(self, waited_ns: int) -> None:
        """The head of the answer came, `waited_ns` after the request was sent."""
        before = self._before
        if self._socket is None or before is None or (info := self._read(self._socket)) is None:
            return
        self._answered, waited_us = True, waited_ns // _NS_PER_US
        late = waited_us > info.rtt_min_us + HELD_BACK_US
        if before is not _FRESH:
            sample_us = self._sample_us(before, info, late=late)
            if sample_us is not None and sample_us <= waited_us + _SLACK_US:
                self._rtt_us = sample_us
        self._prompt = not late

    def end(self) -> None:
        """The exchange is over, well or not. Call it while the socket is open; once will do."""
        before, self._before = self._before, None
        if self._socket is None or before is None or (info := self._read(self._socket)) is None:
            return
        # A request that nobody answered was acknowledged all the same, if it got there.
        if not (self._answered or before is _FRESH):
            self._rtt_us = self._sample_us(before, info, late=True)
        # It has sent, and says that it sent nothing: this is no kernel that counts.
        counts = info.data_segments_out > 0
        self._reading = PathReading(
            rtt_ns=_nanoseconds(self._rtt_us),
            rtt_min_ns=_nanoseconds(info.rtt_min_us),
            retransmits=_increase(before.retransmits, info.retransmits) if counts else None,
            reordered=_increase(before.out_of_order, info.out_of_order) if counts else None,
            rtt_to=self._to,
        )

    def take(self) -> PathReading:
        """Return what the exchange showed that has ended: it is told once."""
        reading, self._reading = self._reading, UNTOLD
        return reading

    def _sample_us(self, before: TcpInfo, after: TcpInfo, *, late: bool) -> int | None:
        """Return the one round trip between two readings; None where in doubt.

        `late` says that the answer came too late for an acknowledgement to go with it.
        """
        sent = after.data_segments_out - before.data_segments_out
        on_their_way = before.unacknowledged or after.unacknowledged
        if sent < 1 or on_their_way or after.retransmits != before.retransmits:
            return None
        # Those that came and were nothing but an acknowledgement.
        alone = (after.segments_in - before.segments_in) - (
            after.data_segments_in - before.data_segments_in
        )
        # Several segments may be acknowledged by one: network cards hand them on as one.
        if sent > 1 and not (late and alone == 1):
            return None
        sample_us = after.rtt_us
        if before.rtt_us:  # else it is the first of all, and so the average itself
            sample_us = _KERNEL_SHARE * after.rtt_us - (_KERNEL_SHARE - 1) * before.rtt_us
        shortest_us = after.rtt_min_us
        # None is shorter than the shortest: what seems so is more than one sample, or none.
        if shortest_us in (0, _UNKNOWN) or sample_us < shortest_us - _ROUNDING_US:
            return None
        excess_us = sample_us - shortest_us
        near_us = max(NEAR_US, shortest_us // NEAR_SHARE)
        if (alone < 1 or self._prompt) and near_us < excess_us <= HELD_BACK_US:
            return None
        return sample_us


def _increase(before: int, after: int) -> int | None:
    return None if after == _UNKNOWN else (after - before) % 2**32


def _nanoseconds(microseconds: int | None) -> int | None:
    return None if microseconds in (None, 0, _UNKNOWN) else microseconds * _NS_PER_US
