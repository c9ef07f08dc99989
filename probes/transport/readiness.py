"""Which sockets have something to read: one epoll set for all connections of an event loop.

The loop watches the set, and each time the set is ready all sockets that are ready are called back,
one after the other. That costs a third of what a loop's own callback does for each, and more than
that only where one socket at a time is ready, when there is time.

Rule 1  A socket is told of as long as it has something to read, be that its failure: the set is
        level-triggered. libuv, on which uvloop stands, tells of a socket that broke once, and of a
        reset that comes with output never; asked so, the kernel tells of it until it is read.
Rule 2  What one callback does wrong is the loop's to report, and takes nothing from the others.
Rule 3  A socket is forgotten before it is closed: its number may soon be another's.
"""

import asyncio
import select
import sys
import weakref
from collections.abc import Callable
from typing import Final
from weakref import WeakKeyDictionary

_MOST_AT_ONCE: Final = 128
"""Sockets that are called back before the loop does anything else: 2 ms."""


class ReadableSockets:
    """Calls back for each socket of one event loop that has something to read.

    Where there is no epoll the loop itself does; its own loops go on telling of what broke.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.proxy(loop)  # which keeps this one, see `_watches`
        self._readers: dict[int, Callable[[], object]] = {}
        self._set: select.epoll | None = None
        """There is one as long as there are sockets: no descriptor is left behind."""

    def add(self, descriptor: int, reader: Callable[[], object]) -> None:
        """Have `reader` called whenever there is something to read, from the loop."""
        self._readers[descriptor] = reader
        if sys.platform != "linux":
            self._loop.add_reader(descriptor, reader)
            return
        if self._set is None:
            self._set = select.epoll()
            self._loop.add_reader(self._set.fileno(), self._call_back)
        self._set.register(descriptor, select.EPOLLIN)

    def discard(self, descriptor: int) -> None:
        """Call back for it no more; harmless when nothing is called."""
        if self._readers.pop(descriptor, None) is None:
            return
        if self._set is None:
            self._loop.remove_reader(descriptor)
            return
        self._set.unregister(descriptor)
        if not self._readers:
            self._loop.remove_reader(self._set.fileno())
            self._set.close()
            self._set = None

    def _call_back(self) -> None:
        assert self._set is not None  # noqa: S101 - it is what the loop watches
        readers = self._readers
        for descriptor, _ in self._set.poll(0, _MOST_AT_ONCE):
            reader = readers.get(descriptor)  # one before it may have discarded it
            if reader is None:
                continue
            try:
                reader()
            except Exception as error:
                context = {"message": f"Exception in {reader!r}", "exception": error}
                self._loop.call_exception_handler(context)


def readable_sockets(loop: asyncio.AbstractEventLoop) -> ReadableSockets:
    """Return the one watch that all connections of a loop share."""
    if loop not in _watches:
        _watches[loop] = ReadableSockets(loop)
    return _watches[loop]


_watches: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, ReadableSockets]] = WeakKeyDictionary()
