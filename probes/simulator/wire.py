"""One HTTP/1.1 connection of the server: h11 over a socket of its own, with exact send stamps.

The socket is driven directly, so that the stamp of a write is taken next to the system call, and
so that a connection can be reset for real.
"""

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import anyio
import h11

from probes.kit.clock import Clock

MAX_BODY: Final = 4 * 1024 * 1024
"""Largest request body, in bytes."""

_READ_SIZE: Final = 65_536
_MAX_BACKLOG: Final = 262_144
_LINGER_S: Final = 1.0

Headers = Sequence[tuple[str, str]]


class RequestError(Exception):
    """A request that cannot be taken; the connection ends after the answer with `status`."""

    def __init__(self, status: int, message: str) -> None:
        """Keep the status to answer with."""
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request that was read whole."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    body: bytes
    read_ns: int

    def header(self, name: str) -> str | None:
        """Return the value of a header given in lower case."""
        return next((value for key, value in self.headers if key == name), None)


class ClientConnection:
    """Reads requests and writes answers. One task reads and one writes at a time."""

    def __init__(self, sock: socket.socket, clock: Clock) -> None:
        """Take over an accepted socket."""
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = sock
        self._clock = clock
        self._http = h11.Connection(h11.SERVER)

    async def next_request(self) -> HttpRequest | None:
        """Return the next request; None where the client has closed the connection.

        Raises:
            RequestError: it is malformed or too large.
            OSError: the connection broke.
        """
        try:
            head = await self._next_event()
            if not isinstance(head, h11.Request):
                return None
            body = await self._body(head)
        except h11.RemoteProtocolError as error:
            raise RequestError(error.error_status_hint, str(error)) from error
        return HttpRequest(
            method=head.method.decode("ascii"),
            target=head.target.decode("ascii", "replace"),
            headers=tuple((k.decode("ascii"), v.decode("latin-1")) for k, v in head.headers),
            body=body,
            read_ns=self._clock.monotonic_ns(),
        )

    async def _body(self, head: h11.Request) -> bytes:
        declared = dict(head.headers).get(b"content-length", b"0")
        if len(declared) > 12 or int(declared) > MAX_BODY:
            raise RequestError(413, f"The body is larger than {MAX_BODY} bytes.")
        parts, size = [], 0
        while isinstance(event := await self._next_event(), h11.Data):
            parts.append(bytes(event.data))
            size += len(event.data)
            if size > MAX_BODY:
                raise RequestError(413, f"The body is larger than {MAX_BODY} bytes.")
        return b"".join(parts)

    async def _next_event(self) -> h11.Event:
        while True:
            if self._http.they_are_waiting_for_100_continue:
                await self.send(h11.InformationalResponse(status_code=100, headers=[]))
            event = self._http.next_event()
            if not isinstance(event, type):
                return event
            if event is h11.PAUSED:
                raise h11.RemoteProtocolError("a request before the answer to the last")
            self._http.receive_data(await self._receive())

    async def _receive(self) -> bytes:
        while True:
            try:
                return self._socket.recv(_READ_SIZE)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)

    async def wait_disconnect(self) -> None:
        """Return when the client has gone; what it pipelines meanwhile is kept, within bounds."""
        backlog = 0
        while backlog < _MAX_BACKLOG:
            try:
                data = await self._receive()
            except OSError:
                return
            self._http.receive_data(data)
            if not data:
                return
            backlog += len(data)
        await anyio.sleep_forever()

    async def send(self, event: h11.Event) -> int:
        """Write one HTTP event in one send; return the monotonic ns just before it.

        Raises:
            OSError: the connection broke.
        """
        view = memoryview(self._http.send(event) or b"")
        stamp = self._clock.monotonic_ns()
        while view:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)
        return stamp

    async def start(self, status: int, headers: Headers) -> int:
        """Write status and headers; return the stamp before the send."""
        return await self.send(
            h11.Response(status_code=status, reason=_reason(status), headers=list(headers))
        )

    async def body(self, data: bytes) -> int:
        """Write one piece of the body; return the stamp before the send."""
        return await self.send(h11.Data(data=data))

    async def end(self) -> int:
        """Write the end of the body; return the stamp before the send."""
        return await self.send(h11.EndOfMessage())

    def recycle(self) -> bool:
        """Make ready for the next request; False where the connection must end."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    @property
    def can_answer(self) -> bool:
        """Whether no answer has been begun, and one still can be."""
        return self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE)

    async def linger(self) -> None:
        """Read what the client still sends, for a second: closing on it would lose our answer."""
        self._socket.shutdown(socket.SHUT_WR)
        with anyio.move_on_after(_LINGER_S):
            while await self._receive():
                pass

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close the socket; harmless when it is closed."""
        self._socket.close()


def _reason(status: int) -> bytes:
    try:
        return HTTPStatus(status).phrase.encode("ascii")
    except ValueError:
        return b""
