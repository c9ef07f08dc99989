"""Tells of a connection that broke where the event loop would tell of it once.

A loop that asks the kernel again, as asyncio's own do, calls back until the failure has been read.
libuv, on which uvloop stands, calls back once for a socket that broke, and watches it no longer: if
that one read brings what the server sent before it reset the connection, the reset itself is never
read, and a stream that was cut looks like one that pauses for ever.

So the sockets of such a loop are in an epoll set of their own, which asks for nothing: the kernel
reports what broke in any case. The loop watches that set, which never breaks. It costs nothing
until something does.
"""

import asyncio
import select
import sys
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary


class BrokenSockets:
    """Calls back for each socket of one event loop that breaks."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._told: dict[int, Callable[[], object]] = {}
        self._set: select.epoll | None = None
        if sys.platform == "linux" and not isinstance(loop, asyncio.SelectorEventLoop):
            self._set = select.epoll()
            loop.add_reader(self._set.fileno(), self._tell)

    def add(self, descriptor: int, tell: Callable[[], object]) -> None:
        """Have `tell` called when the socket breaks: once, until it is added again."""
        if self._set is not None:
            self._told[descriptor] = tell
            self._set.register(descriptor, select.EPOLLONESHOT)

    def discard(self, descriptor: int) -> None:
        """Forget a socket, before it is closed: its number may soon be another's."""
        if self._told.pop(descriptor, None) is not None and self._set is not None:
            self._set.unregister(descriptor)

    def _tell(self) -> None:
        if self._set is not None:
            for descriptor, _ in self._set.poll(0):
                tell = self._told.get(descriptor)
                if tell is not None:
                    tell()


def broken_sockets(loop: asyncio.AbstractEventLoop) -> BrokenSockets:
    """Return the one watch that all connections of a loop share."""
    if loop not in _watches:
        _watches[loop] = BrokenSockets(loop)
    return _watches[loop]


_watches: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, BrokenSockets]] = WeakKeyDictionary()
