"""One HTTP/1.1 connection: a socket whose reads are parsed and handed on in the loop's callback.

Rule 1  No task wakes for a read: the loop calls back, the bytes are dated, parsed and given to
        whoever reads the answer. That costs less than waking a task, and no read waits for another
        stream's task.
Rule 2  The usual read, one whole chunk of the transfer coding to somebody who reads, goes straight
        on (`_on_readable`). Everything else goes the long way (`_take`), which would do the same.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Sequence
from typing import Final

import httpx

from probes.kit.clock import Clock
from probes.transport.arrivals import DatedReads
from probes.transport.base import BodySink, Steps
from probes.transport.http1 import ResponseParser
from probes.transport.lock import is_local, peer_of
from probes.transport.path import TcpPath
from probes.transport.readiness import readable_sockets
from probes.transport.tls import TlsLayer

MAX_HELD: Final = 1_048_576
"""Bytes of a body that are kept while nobody reads; then the socket is left alone."""


class Connection:
    """Writes a request, reads its answer, and so on. One exchange at a time.

    It belongs to the event loop it was made on, which must be able to watch descriptors.
    """

    def __init__(
        self, sock: socket.socket, tls: TlsLayer | None, clock: Clock, path: TcpPath
    ) -> None:
        """Take over a connected, non-blocking socket, on which `tls` has shaken hands.

        Raises:
            httpx.ConnectError: it is not connected any more.
        """
        self._socket = sock
        self._tls = tls
        self._clock = clock
        self.path = path
        """How the way to its other end is."""
        self.is_private = tls is not None or is_local(sock)
        """Whether nobody can read along, as long as no proxy is on the way."""
        self._arrivals = DatedReads(clock)
        self._loop = asyncio.get_running_loop()
        self._parser: ResponseParser | None = None
        self._started_ns = 0
        self._head_ns: int | None = None
        self._end_ns: int | None = None
        self._failure: Exception | None = None
        self._write_error: OSError | None = None
        self._unsent = b""
        self._waiter: asyncio.Future[None] | None = None
        self._sink: BodySink | None = None
        self._held: deque[tuple[bytes, int, bool, Sequence[int]]] = deque()
        self._held_size = 0
        self._reading = False
        self._readable = readable_sockets(self._loop)
        self.open = True
        self.head_exact = True
        """Whether the head of the answer was the last thing its read brought."""
        self._watch(True)

    @property
    def by_kernel(self) -> bool:
        """Whether the kernel dated every read of the last exchange."""
        return self._arrivals.by_kernel

    @property
    def peer(self) -> str:
        """The address of its other end; empty for a Unix socket."""
        return peer_of(self._socket)

    @property
    def reads(self) -> int:
        """Reads since the connection was made."""
        return self._arrivals.reads

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent: nothing is open, nothing was left over."""
        return self.open and self._parser is None

    async def ask(self, request: bytes, steps: Steps) -> ResponseParser:
        """Send a request and return its answer, of which the head is there.

        The send is stamped next to the system call; whoever is told of it is told afterwards.

        Raises:
            httpx.TransportError: the connection broke, or what came is no HTTP.
        """
        parser = self._parser = ResponseParser()
        self._head_ns = self._end_ns = None
        self._unsent = self._tls.encrypt(request) if self._tls is not None else request
        self.path.begin()
        # No await between these three lines: one turn of a busy loop here is up to 40 ms in every
        # TTFT. Encrypting lies before the start: what we compute is not the network's.
        started_ns = self._started_ns = self._clock.monotonic_ns()
        self._send()
        sent_ns = self._clock.monotonic_ns()
        self._arrivals.begin(started_ns)
        steps.reached("started", started_ns)
        if self._unsent:
            sent_ns = await self._send_rest()
        steps.reached("sent", sent_ns)
        while self._head_ns is None:
            await self._wait()
        steps.reached("headers", self._head_ns)
        return parser

    async def read_body(self, sink: BodySink) -> int:
        """Give the body to `sink`, read by read, up to its end; return when that came (ns).

        Raises:
            httpx.TransportError: it ended before its end.
            Exception: what the sink raised.
        """
        self._sink = sink
        try:
            while self._held:
                sink(*self._held.popleft())
            self._held_size = 0
            self._watch(self.open)
            while self._end_ns is None:
                await self._wait()
        finally:
            self._sink = None
        return self._end_ns

    def finish(self) -> None:
        """End the exchange. What is not wholly written, read, and kept by both is closed."""
        self.path.end()
        parser, self._parser = self._parser, None
        self._held.clear()
        self._held_size = 0
        if parser is None:
            return
        written = not self._unsent and self._write_error is None
        # What the server still sends of this answer would be read as the next one's.
        if not (written and parser.complete and parser.keep_alive):
            self.close()
        parser.close()

    def close(self) -> None:
        """Close the socket; harmless when it is closed."""
        if self.open:
            self.open = False
            self.path.end()  # it is told nothing of a socket that is closed
            self._watch(False)
            self._socket.close()

    def _send(self) -> None:
        """Write what the socket takes.

        A server that does not want a request may answer before it has read all of it, and close:
        what went wrong with writing is only told where nothing can be read.
        """
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._write_error = error
            self._unsent = b""

    async def _send_rest(self) -> int:
        """Write on as the socket takes it, until the answer comes; return when it was done (ns)."""
        descriptor = self._socket.fileno()
        self._loop.add_writer(descriptor, self._wake)
        try:
            while self._unsent and self._head_ns is None:
                await self._wait()
                if self._failure is None:
                    self._send()
        finally:
            self._loop.remove_writer(descriptor)
        return self._clock.monotonic_ns()

    async def _wait(self) -> None:
        """Return when something happened; raise what went wrong before.

        Whoever waits looks first whether what it waits for has come: what was read before a failure
        stands.
        """
        if self._failure is not None:
            raise self._failure
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _watch(self, reading: bool) -> None:
        if reading == self._reading:
            return
        self._reading = reading
        if reading:
            self._readable.add(self._socket.fileno(), self._on_readable)
        else:
            self._readable.discard(self._socket.fileno())

    def _on_readable(self) -> None:
        arrivals = self._arrivals
        try:
            data = arrivals.read(self._socket)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._fail(_lost(error))
            return
        try:
            ended = not data
            if self._tls is not None:
                data, ended = self._tls.decrypt(data)
                self._answer_tls(self._tls)
            parser, sink = self._parser, self._sink
            if sink is not None and parser is not None and not ended:
                body = parser.plain(data)
                if body is not None:
                    sink(body, arrivals.at_ns, False, ())
                    return
            self._take(data, ended)
        except Exception as error:  # a sink's too: whoever awaits the body must hear of it
            self._fail(error)

    def _take(self, data: bytes, ended: bool) -> None:
        """Take a read: parse it, hand its body on, wake who waits for the head or the end."""
        parser = self._parser
        if parser is None:  # nothing was asked: the server leaves, or is mad
            if data or ended:
                self.close()
            return
        at_ns = self._arrivals.at_ns
        if data:
            self._parse(parser, data, at_ns)
        if ended and not parser.complete:
            self._end(parser)
        if parser.complete:
            self._end_ns = at_ns
            self._wake()
        if ended:
            self.close()

    def _parse(self, parser: ResponseParser, data: bytes, at_ns: int) -> None:
        """Take what a read brought; what came before it was no HTTP any more stands."""
        body = parser.feed(data)
        if body:
            self._hand_on(body, at_ns, parser.cuts, parser.complete and parser.chunked)
        if parser.has_head and self._head_ns is None:
            self._head_ns = at_ns
            self.path.answered(at_ns - self._started_ns)
            self.head_exact = not (self._held or parser.complete)
            self._wake()
        if parser.failure is not None:
            raise parser.failure

    def _end(self, parser: ResponseParser) -> None:
        """Take the end of the stream; of an answer that never began, the write error is why."""
        if self._write_error is not None and not parser.has_head:
            error = httpx.WriteError(str(self._write_error))
            raise error from self._write_error
        parser.end()

    def _answer_tls(self, tls: TlsLayer) -> None:
        """Send what the TLS session itself has to say."""
        extra = tls.unsent()
        if extra:
            self._unsent += extra
            if len(self._unsent) == len(extra):
                self._send()

    def _hand_on(self, body: bytes, at_ns: int, cuts: Sequence[int], trailed: bool) -> None:
        if self._sink is not None and not self._held:
            self._sink(body, at_ns, trailed, cuts)
            return
        self._held.append((body, at_ns, trailed, cuts))
        self._held_size += len(body)
        self._wake()
        if self._held_size > MAX_HELD:
            self._watch(False)

    def _fail(self, error: Exception) -> None:
        self.close()
        self._failure = error
        self._wake()


def _lost(error: OSError) -> httpx.ReadError:
    failure = httpx.ReadError(str(error))
    failure.__cause__ = error
    return failure
