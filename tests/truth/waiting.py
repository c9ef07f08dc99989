"""Waiting for sockets with a deadline that is kept to some tens of microseconds."""

import select
import selectors
import socket
from typing import Any, Final

_NS_PER_S: Final = 1_000_000_000


class Waiter:
    """Sockets with what to call when they are ready, and a way to interrupt the wait.

    epoll counts in milliseconds and rounds up. So on Linux the epoll descriptor itself is waited
    for with `select`, which counts in microseconds.
    """

    def __init__(self) -> None:
        """Begin with no socket but the one that interrupts."""
        self._selector = selectors.DefaultSelector()
        self._fine = hasattr(select, "epoll")
        self._inner, self._outer = socket.socketpair()
        for end in (self._inner, self._outer):
            end.setblocking(False)
        self._selector.register(self._inner, selectors.EVENT_READ, None)

    def add(self, sock: socket.socket, data: object) -> None:
        """Report when there is something to read from a socket."""
        self._selector.register(sock, selectors.EVENT_READ, data)

    def expect(self, sock: socket.socket, data: object, *, writable: bool) -> None:
        """Report from now on also, or no longer, when there is room to write."""
        writing = selectors.EVENT_WRITE if writable else 0
        self._selector.modify(sock, selectors.EVENT_READ | writing, data)

    def remove(self, sock: socket.socket) -> None:
        """Report nothing of a socket any more."""
        self._selector.unregister(sock)

    def wait(self, wait_ns: int | None) -> list[tuple[Any, bool, bool]]:
        """Return (data, readable, writable) of the sockets that are ready.

        Returns after `wait_ns` at the latest; for None there is no limit, for 0 it does not wait.
        """
        timeout_s = None if wait_ns is None else wait_ns / _NS_PER_S
        if self._fine and timeout_s:
            ready, _, _ = select.select([self._selector.fileno()], [], [], timeout_s)
            if not ready:
                return []
            timeout_s = 0.0
        found = []
        for key, mask in self._selector.select(timeout_s):
            if key.data is None:
                self._inner.recv(4096)
            else:
                writable = bool(mask & selectors.EVENT_WRITE)
                found.append((key.data, bool(mask & selectors.EVENT_READ), writable))
        return found

    def interrupt(self) -> None:
        """End a wait; may be called from any thread and from a signal handler."""
        try:
            self._outer.send(b"!")
        except BlockingIOError:
            return  # so many interruptions wait already that one more says nothing new

    def close(self) -> None:
        """Close what it made itself."""
        self._selector.close()
        self._inner.close()
        self._outer.close()
