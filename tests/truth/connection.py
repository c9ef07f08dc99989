"""One client's connection: bytes that came, bytes that wait to go, and the stream in between."""

import socket
from typing import Final

from truth.stream import Stream

_MAX_BACKLOG: Final = 2 * 1024 * 1024


class MetronomeConnection:
    """A non-blocking socket whose small sends leave at once, each on its own."""

    __slots__ = (
        "arrived_ns", "closing", "free_ns", "inbox", "is_closed", "is_last", "outbox", "requests",
        "sock", "stream",
    )  # fmt: skip

    def __init__(self, sock: socket.socket) -> None:
        """Take over an accepted socket."""
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.inbox = bytearray()
        self.outbox = b""
        """What the client has not had room for."""
        self.arrived_ns = 0
        """Of the newest bytes in the inbox."""
        self.requests = 0
        """Streams begun on it."""
        self.free_ns = 0
        """Since when no stream has been going on; a request may have come before."""
        self.stream: Stream | None = None
        self.is_last = False
        """The client wants no further answer on it."""
        self.closing = False
        """No further request is taken; what the client still sends is thrown away."""
        self.is_closed = False

    @property
    def is_overfull(self) -> bool:
        """Whether the client has sent more ahead than is kept for it."""
        return len(self.inbox) > _MAX_BACKLOG

    def take(self, data: bytes, arrived_ns: int) -> None:
        """Keep what came."""
        if not self.closing:
            self.inbox += data
            self.arrived_ns = arrived_ns

    def send(self, data: bytes) -> bool:
        """Send at once; False where the client has no room, and the rest waits in the outbox.

        Raises:
            OSError: the connection broke.
        """
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent == len(data):
            return True
        self.outbox = data[sent:]
        return False

    def flush(self) -> bool:
        """Send what waits; whether all of it went.

        Raises:
            OSError: the connection broke.
        """
        waiting, self.outbox = self.outbox, b""
        return self.send(waiting)

    def finish(self, stream: Stream) -> None:
        """Let go of a stream whose last body was sent."""
        self.stream = None
        self.free_ns = stream.score.ended_ns or 0

    def end_sending(self) -> None:
        """Tell the client that no more will come, while it may still be sending."""
        self.closing = True
        self.inbox.clear()
        self.sock.shutdown(socket.SHUT_WR)
