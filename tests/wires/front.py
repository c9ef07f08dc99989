"""A front before a server on this machine: passes everything on, until it is told not to.

Rule 1. Requests are read whole, because a front answers for its server's `Host`: the embedded
        provider refuses every name but loopback's, and a far client knows it by another.
Rule 2. Answers are passed on as they come, each read at once and unread: who measures chunks
        through a front measures the server's.
Rule 3. What a change of behaviour means for connections that are open is said at each behaviour,
        since that is what differs in the field.
"""

import asyncio
import socket
import ssl
import struct
from contextlib import suppress
from typing import Final, Literal, TypeAlias, get_args

from http_request import BadRequestError, HttpRequest, take_request

from wires.spans import Span

Behaviour: TypeAlias = Literal["pass", "refuse", "silent", "hang_up", "cut"]
"""
- `pass`: everything goes through.
- `refuse`: nobody listens, as after a crash; what is open is reset.
- `silent`: connections are taken, requests too, and nothing comes back, on those that are open
  neither. What was held goes on when it ends.
- `hang_up`: after each answer the connection is closed, unannounced.
- `cut`: answers are reset in their middle.
"""

_READ_BYTES: Final = 65_536
_CUT_AFTER_BYTES: Final = 1_500
"""Of an answer: behind its head and some output."""
_LAST_CHUNK: Final = b"0\r\n\r\n"
"""Ends an answer in chunks, as streams do; of other answers no end is seen."""
_BACKLOG: Final = 512


class Fronting(Span, frozen=True, kw_only=True):
    """What a front does for a while."""

    behaviour: Behaviour = "pass"


class Front:
    """Listens on a port of its own, on the running loop; an async context manager."""

    def __init__(
        self, server_port: int, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ) -> None:
        """Prepare a front of the server at `server_port` of 127.0.0.1; `tls` is what it shows."""
        self._server_port = server_port
        self._host = host
        self._tls = tls
        self._listener: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = asyncio.Event()
        """Bytes may pass."""
        self.behaviour: Behaviour = "pass"
        self.port = 0
        self.accepted = 0
        """Connections so far."""

    async def __aenter__(self) -> "Front":
        """Listen.

        Raises:
            OSError: the port cannot be had.
        """
        self._open.set()
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close everything."""
        self._deafen()
        self.cut()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def behave(self, behaviour: Behaviour) -> None:
        """Do so from now on.

        Raises:
            OSError: the port was taken by somebody while this refused.
        """
        if behaviour == self.behaviour:
            return
        assert behaviour in get_args(Behaviour)
        self.behaviour = behaviour
        if behaviour == "refuse":
            self._deafen()
            self.cut()
        elif self._listener is None:
            await self._listen()
        if behaviour == "silent":
            self._open.clear()
        else:
            self._open.set()

    async def show(self, tls: ssl.SSLContext) -> None:
        """Show another certificate, as a server does that was started anew: what is open is reset.

        Raises:
            OSError: the port was taken by somebody in between.
        """
        self._tls = tls
        self._deafen()
        self.cut()
        await self._listen()

    def cut(self) -> None:
        """Reset every open connection of a client."""
        for writer in tuple(self._writers):
            _reset(writer)

    async def _listen(self) -> None:
        self._listener = await asyncio.start_server(
            self._accept, self._host, self.port, ssl=self._tls, backlog=_BACKLOG
        )
        self.port = self._listener.sockets[0].getsockname()[1]

    def _deafen(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.accepted += 1
        self._connections.add(task)
        self._writers.add(writer)
        try:
            await self._connection(reader, writer)
        except (OSError, BadRequestError, asyncio.CancelledError):
            pass  # one side has left, or speaks no HTTP; the other is told by the close
        finally:
            self._writers.discard(writer)
            self._connections.discard(task)
            writer.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._open.wait()
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._server_port)
        requests = asyncio.ensure_future(self._requests(reader, to_server))
        answers = asyncio.ensure_future(self._answers(from_server, writer))
        try:
            await asyncio.wait((requests, answers), return_when=asyncio.FIRST_COMPLETED)
        finally:
            # The end of either side is the end of both: no client of an API half-closes.
            for task in (requests, answers):
                task.cancel()
            await asyncio.gather(requests, answers, return_exceptions=True)
            to_server.close()

    async def _requests(self, reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        inbox = bytearray()
        while data := await reader.read(_READ_BYTES):
            inbox += data
            while (request := take_request(inbox)) is not None:
                await self._open.wait()
                to.write(self._for_the_server(request))
                await to.drain()

    def _for_the_server(self, request: HttpRequest) -> bytes:
        first, *lines = request.head.split(b"\r\n")
        host = b"Host: localhost:%d" % self._server_port
        kept = [line for line in lines if not line.lower().startswith(b"host:")]
        return b"\r\n".join((first, host, *kept, b"", request.body))

    async def _answers(self, reader: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        since_answer = 0
        while data := await reader.read(_READ_BYTES):
            await self._open.wait()
            since_answer += len(data)
            if self.behaviour == "cut" and since_answer > _CUT_AFTER_BYTES:
                _reset(to)
                return
            to.write(data)
            await to.drain()
            if data.endswith(_LAST_CHUNK):
                since_answer = 0
                if self.behaviour == "hang_up":
                    return


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a reset, as a crash or a firewall does."""
    raw = writer.get_extra_info("socket")
    with suppress(OSError):  # it has ended by itself
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
