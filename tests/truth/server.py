"""The loop: one thread, all sockets, a heap of what is due."""

import heapq
import socket
from random import Random
from typing import Final, TypeAlias

import msgspec
from http_request import HttpRequest

from probes.events import ClockSource
from probes.kit.clock import NS_PER_S, Clock
from probes.simulator.access import check_host
from probes.simulator.chat import ApiError, ChatRequest, decode_request, models_body
from truth.answers import answer, error_answer, next_request, record_number
from truth.arrival import ArrivalReader
from truth.connection import MetronomeConnection
from truth.log import MetronomeLog, Score
from truth.schedule import Pace, Schedule
from truth.script import Scripts, stream_head
from truth.stream import Stream
from truth.waiting import Waiter

_HOST: Final = "127.0.0.1"
_BACKLOG: Final = 2_048
_MAX_CONNECTIONS: Final = 8_192
_CAPACITY: Final = 20_000
_MOST_SENDS: Final = 64
"""Between two looks at the sockets."""
_LONGEST_ID: Final = 128
_MODEL: Final = "metronome"

_Due: TypeAlias = tuple[int, int, MetronomeConnection, Stream]


def listen(port: int = 0) -> socket.socket:
    """Return a listener on 127.0.0.1; port 0 takes a free one.

    Raises:
        OSError: the port cannot be had.
    """
    return socket.create_server((_HOST, port), backlog=_BACKLOG)


class Metronome:
    """Serves until `stop`. Any model name is right; all streams have the same pace."""

    def __init__(
        self,
        listener: socket.socket,
        pace: Pace,
        *,
        clock: Clock,
        random: Random,
        capacity: int = _CAPACITY,
    ) -> None:
        """Take over a listener; `capacity` is how many ended streams the log keeps."""
        listener.setblocking(False)
        self.base_url = f"http://{_HOST}:{listener.getsockname()[1]}"
        """Without `/v1`."""
        self._listener = listener
        self._now = clock.monotonic_ns
        self._pace = pace
        self._random = random
        self._schedule = Schedule(pace, random)
        self._created = clock.wall_ns() // NS_PER_S
        self._scripts = Scripts(random, self._created)
        self._arrivals = ArrivalReader(clock)
        self._waiter = Waiter()
        self._log = MetronomeLog(capacity, self.arrival_clock)
        self._connections: set[MetronomeConnection] = set()
        self._due: list[_Due] = []
        self._order = 0
        self._running = True

    @property
    def arrival_clock(self) -> ClockSource:
        """Who stamps the arrival of requests."""
        return "kernel" if self._arrivals.kernel else "user"

    def run(self) -> None:
        """Serve; returns after `stop`, with all connections closed."""
        self._waiter.add(self._listener, self)
        try:
            while self._running:
                for data, readable, writable in self._waiter.wait(self._play()):
                    if data is self:
                        self._accept()
                    else:
                        self._serve(data, readable=readable, writable=writable)
        finally:
            self._close()

    def stop(self) -> None:
        """End `run` soon; from any thread, or from a signal handler."""
        self._running = False
        self._waiter.interrupt()

    def _close(self) -> None:
        for connection in tuple(self._connections):
            self._drop(connection)
        self._listener.close()
        self._waiter.close()
        self._arrivals.close()

    def _play(self) -> int | None:
        """Send what is due; return the ns until something is again, None where nothing will be."""
        due = self._due
        for _ in range(_MOST_SENDS):
            if not due:
                return None
            wait_ns = due[0][0] - self._now()
            if wait_ns > 0:
                return wait_ns
            due_ns, order, connection, stream = heapq.heappop(due)
            if connection.stream is stream and self._send_next(connection, stream, due_ns):
                heapq.heappush(due, (stream.due_ns, order, connection, stream))
        return 0

    def _send_next(self, connection: MetronomeConnection, stream: Stream, due_ns: int) -> bool:
        """Send one body; return whether the next one may be waited for."""
        at_token = stream.is_at_token
        body = stream.next_body()
        stamp_ns = self._now()
        try:
            is_whole = connection.send(body)
        except OSError:
            self._drop(connection)
            return False
        log = self._log
        log.sends.add(self._now() - stamp_ns)
        stream.score.stamps.append(stamp_ns)
        if at_token:
            log.late.add(stamp_ns - due_ns)
        if not is_whole:
            self._waiter.expect(connection.sock, connection, writable=True)
        if stream.is_over:
            stream.score.ended_ns = stamp_ns
            self._end(connection, stream, whole=is_whole)
        return is_whole and not stream.is_over

    def _end(self, connection: MetronomeConnection, stream: Stream, *, whole: bool) -> None:
        stream.score.ending = "streamed"
        self._log.add(stream.score)
        connection.finish(stream)
        try:
            if whole:
                self._next_request(connection)
        except OSError:
            self._drop(connection)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return  # the client gave up before we came, or descriptors ran out: neither ends us
        if len(self._connections) >= _MAX_CONNECTIONS:
            sock.close()
            return
        self._arrivals.watch(sock)
        connection = MetronomeConnection(sock)
        self._connections.add(connection)
        self._waiter.add(sock, connection)

    def _serve(self, connection: MetronomeConnection, *, readable: bool, writable: bool) -> None:
        try:
            if writable and connection.outbox and connection.flush():
                self._waiter.expect(connection.sock, connection, writable=False)
                self._resume(connection)
            if readable and not connection.is_closed:
                self._read(connection)
        except OSError:
            self._drop(connection)

    def _resume(self, connection: MetronomeConnection) -> None:
        stream = connection.stream
        if stream is None:
            self._next_request(connection)
        else:
            self._wait_for(connection, stream)

    def _wait_for(self, connection: MetronomeConnection, stream: Stream) -> None:
        self._order += 1
        heapq.heappush(self._due, (stream.due_ns, self._order, connection, stream))

    def _read(self, connection: MetronomeConnection) -> None:
        try:
            data, arrived_ns = self._arrivals.read(connection.sock)
        except BlockingIOError:
            return
        connection.take(data, arrived_ns)
        if not data or connection.is_overfull:
            self._drop(connection)
        elif connection.stream is None and not (connection.outbox or connection.closing):
            self._next_request(connection)

    def _next_request(self, connection: MetronomeConnection) -> None:
        """Answer what came whole, until an answer takes time."""
        while connection.stream is None and not (connection.outbox or connection.is_closed):
            if connection.is_last:
                connection.end_sending()
                return
            try:
                request = next_request(connection.inbox)
            except ApiError as error:
                self._send(connection, error_answer(error, close=True))
                connection.end_sending()
                return
            if request is None:
                return
            connection.is_last = not request.keeps_alive
            self._answer(connection, request)

    def _answer(self, connection: MetronomeConnection, request: HttpRequest) -> None:
        try:
            self._dispatch(connection, request)
        except ApiError as error:
            self._send(connection, error_answer(error))

    def _dispatch(self, connection: MetronomeConnection, request: HttpRequest) -> None:
        check_host(request.headers.get("host"))
        path = request.path
        if path.endswith("/chat/completions"):
            _only(request, "POST")
            self._begin(connection, request)
        elif path.endswith("/models"):
            _only(request, "GET")
            self._send(connection, answer(200, models_body((_MODEL,), self._created)))
        elif path == "/truth":
            _only(request, "GET", "DELETE")
            self._send(connection, answer(200, self._truth(request)))
        else:
            raise ApiError(404, "There is nothing at this URL.", code="unknown_url")

    def _truth(self, request: HttpRequest) -> bytes:
        page = self._log.page(record_number(request, "since"))
        if request.method == "DELETE":
            self._log.clear()
        return msgspec.json.encode(page)

    def _begin(self, connection: MetronomeConnection, request: HttpRequest) -> None:
        asked = decode_request(request.body)
        if not asked.stream:
            raise ApiError(400, "The metronome only streams.", param="stream")
        score = self._score(connection, request, asked)
        stream = Stream(
            self._scripts.script(asked.model, usage=asked.include_usage),
            score,
            offset=self._random.getrandbits(16),
            first_ns=self._schedule.first_ns(max(score.read_ns, connection.free_ns)),
            beat_ns=self._schedule.beat_ns,
        )
        connection.stream = stream
        connection.requests += 1
        self._log.begin(score)
        self._start(connection, stream)

    def _score(
        self, connection: MetronomeConnection, request: HttpRequest, asked: ChatRequest
    ) -> Score:
        prompt = asked.prompt()
        return Score(
            request_id=_request_id(request) or self._identity("req_"),
            response_id=self._identity("chatcmpl-"),
            path=request.path,
            model=asked.model,
            read_ns=connection.arrived_ns,
            prompt_tokens=prompt.tokens,
            count=min(self._pace.tokens, prompt.cap),
            finish_reason="length" if prompt.cap <= self._pace.tokens else "stop",
            first_of_connection=not connection.requests,
        )

    def _identity(self, prefix: str) -> str:
        return f"{prefix}{self._random.getrandbits(96):024x}"

    def _start(self, connection: MetronomeConnection, stream: Stream) -> None:
        """Send the head and the role, each on its own, and wait for the beat."""
        stream.score.headers_ns = self._now()
        self._send(connection, stream_head(stream.score.request_id))
        if not connection.outbox and self._send_next(connection, stream, 0):
            self._wait_for(connection, stream)

    def _send(self, connection: MetronomeConnection, data: bytes) -> None:
        if not connection.send(data):
            self._waiter.expect(connection.sock, connection, writable=True)

    def _drop(self, connection: MetronomeConnection) -> None:
        """Close a connection; an answer it was in the middle of is over."""
        if connection.is_closed:
            return
        connection.is_closed = True
        stream, connection.stream = connection.stream, None
        if stream is not None:
            stream.score.ended_ns = self._now()
            stream.score.ending = "disconnected"
            self._log.add(stream.score)
        self._connections.discard(connection)
        self._waiter.remove(connection.sock)
        connection.sock.close()


def _only(request: HttpRequest, *methods: str) -> None:
    if request.method not in methods:
        message = f"Not allowed to {request.method[:20]} here."
        allow = (("allow", ", ".join(methods)),)
        raise ApiError(405, message, code="method_not_allowed", headers=allow)


def _request_id(request: HttpRequest) -> str:
    """Return the id the client gave its request, so that it can be found in both logs."""
    given = request.headers.get("x-request-id", "")
    safe = given.isascii() and given.replace("-", "").replace("_", "").isalnum()
    return given if safe and len(given) <= _LONGEST_ID else ""
