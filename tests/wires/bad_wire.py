"""A bad wire on one machine: packets that come late, out of rhythm, or not at all.

A TUN device in a network namespace turns every packet for `FAR` round, so that it comes back to
`HERE` as if from `FAR`. A server that listens on `HERE` is thereby far away at `FAR`, and each of
its packets, and each of its client's, passes this loop, which holds it or drops it.

Rule 1. Source and destination are swapped and nothing else: sums over both stay right, so neither
        IP's nor TCP's checksum has to be made anew.
Rule 2. A wire is a queue: a packet never overtakes one of its own way, whatever the jitter.
        What `overtake` lets pass comes out of order, as over two paths.
Rule 3. The kernel's TCP does the rest: retransmissions, round trips and reordering are its own.
"""

import asyncio
import os
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Final, Literal, TypeAlias

from wires.namespaces import open_tun
from wires.spans import Span, at

HERE: Final = "10.99.0.1"
"""Where servers listen, and what the far side is told its client is called."""
FAR: Final = "10.99.0.2"
"""Where clients find them."""

Way: TypeAlias = Literal["both", "there", "back"]

_PACKET_BYTES: Final = 65_535
_TCP: Final = 6
_SYN_ACK_BITS: Final = 0x12
_SYN: Final = 0x02
_APART_S: Final = 1e-6
"""Between packets that leave one after the other: timers of one moment go off in any order."""
_AT_ONCE: Final = 64
"""Packets read before others have a turn on the loop."""


class Weather(Span, frozen=True, kw_only=True):
    """How bad the wire is for a while, one way; a round trip passes it twice."""

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    """Standard deviation of the delay, which never falls below 0."""
    loss: float = 0.0
    """Share of packets that never arrive."""
    overtake: float = 0.0
    """Share of packets that do not wait for those before them."""
    way: Way = "both"
    """`there`: from client to server. The other way is then as good as loopback."""


_FAIR: Final = Weather(from_s=0.0, to_s=0.0)
_WAYS: Final = {"there": True, "back": False}


class BadWire:
    """Turns packets round on the running loop, as a schedule has it; a context manager."""

    def __init__(
        self,
        schedule: Sequence[Weather],
        elapsed_s: Callable[[], float],
        random: Random,
        *,
        interface: str = "wire0",
    ) -> None:
        """Prepare; `elapsed_s` tells where in the schedule we are."""
        self._schedule = tuple(schedule)
        self._elapsed_s = elapsed_s
        self._random = random
        self._interface = interface
        self._device = -1
        self._servers: set[int] = set()
        """Ports to which connections were opened: their packets go there, the others back."""
        self._last_due_s = {True: 0.0, False: 0.0}
        self.passed = 0
        self.lost = 0

    def __enter__(self) -> "BadWire":
        """Make the device, in the network namespace of this process.

        Raises:
            OSError: it cannot be made.
        """
        self._device = open_tun(self._interface, HERE)
        asyncio.get_running_loop().add_reader(self._device, self._on_readable)
        return self

    def __exit__(self, *_: object) -> None:
        """Let the device go; what is still held is lost."""
        asyncio.get_running_loop().remove_reader(self._device)
        os.close(self._device)
        self._device = -1

    def _on_readable(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                packet = os.read(self._device, _PACKET_BYTES)
            except BlockingIOError:
                return
            if packet[0] >> 4 == 4:  # the kernel also looks for IPv6 routers, of which none is here
                self._turn_round(packet)

    def _turn_round(self, packet: bytes) -> None:
        turned = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
        there = self._goes_there(packet)
        weather = at(self._schedule, self._elapsed_s())
        if weather is None or _WAYS.get(weather.way, there) is not there:
            weather = _FAIR
        if self._random.random() < weather.loss:
            self.lost += 1
            return
        loop = asyncio.get_running_loop()
        wait_s = max(0.0, self._random.gauss(weather.delay_ms, weather.jitter_ms)) / 1000
        due_s = loop.time() + wait_s
        if self._random.random() >= weather.overtake:
            due_s = max(due_s, self._last_due_s[there] + _APART_S)
            self._last_due_s[there] = due_s
        if due_s <= loop.time():
            self._deliver(turned)
        else:
            loop.call_at(due_s, self._deliver, turned)

    def _goes_there(self, packet: bytes) -> bool:
        """Tell whether a packet is on its way to a server; what is no TCP is."""
        header = (packet[0] & 0x0F) * 4
        if packet[9] != _TCP or len(packet) < header + 14:
            return True
        _source, destination = struct.unpack_from("!HH", packet, header)
        if packet[header + 13] & _SYN_ACK_BITS == _SYN:
            self._servers.add(destination)
        return destination in self._servers

    def _deliver(self, packet: bytes) -> None:
        if self._device < 0:
            return
        try:
            os.write(self._device, packet)
        except BlockingIOError:
            self.lost += 1  # as a full queue does it
        else:
            self.passed += 1
