"""One request and its answer, with the truth about both written down as it happens."""

from email.utils import formatdate
from typing import Literal, TypeAlias

from probes.kit.clock import Clock, seconds
from probes.simulator.chat import ApiError, error_body
from probes.simulator.truth import TruthRecord
from probes.simulator.wire import ClientConnection, HttpRequest

Headers: TypeAlias = tuple[tuple[str, str], ...]

HangUp: TypeAlias = Literal["", "closed", "reset", "cut", "dropped"]

_JSON: Headers = (("content-type", "application/json"),)
_FRESH: Headers = (("cache-control", "no-cache"),)


class ServedExchange:
    """Writes one answer; every write is stamped in `record`."""

    def __init__(
        self, connection: ClientConnection, request: HttpRequest, record: TruthRecord, clock: Clock
    ) -> None:
        """Begin with a request that was read whole."""
        self.request = request
        self.record = record
        self.limit_headers: Headers = ()
        """Sent with whatever answer follows."""
        self.hang_up: HangUp = ""
        """How to end the connection once nobody reads from it any more."""
        self.error_body = error_body
        """Writes the body of an error in the form that the client speaks."""
        self.is_last = False
        """The answer says that the connection ends with it."""
        self._connection = connection
        self._clock = clock

    async def _start(self, status: int, headers: Headers) -> None:
        self.record.status = status
        self.record.headers_ns = await self._connection.start(status, (*self._common(), *headers))

    def _common(self) -> Headers:
        date = formatdate(seconds(self._clock.wall_ns()), usegmt=True)
        identity = (("date", date), ("x-request-id", self.record.request_id))
        # Its writer takes the header at its word: no further request is read.
        close = (("connection", "close"),) if self.is_last else ()
        return (*identity, *close, *self.limit_headers)

    async def start_stream(self, content_type: str) -> None:
        """Write the headers of a stream."""
        await self._start(200, (("content-type", content_type), *_FRESH))

    async def chunk(self, data: bytes, tokens: int = 0) -> None:
        """Write one piece of the body in one send."""
        self.record.chunks_ns.append(await self._connection.body(data))
        self.record.chunk_tokens.append(tokens)
        self.record.output_tokens += tokens

    async def end_stream(self, ending: Literal["streamed", "unfinished"] = "streamed") -> None:
        """Write the end of a stream."""
        self.record.ended_ns = await self._connection.end()
        self.record.ending = ending

    async def answer(
        self, status: int, body: bytes, headers: Headers = (), *, tokens: int = 0
    ) -> None:
        """Write a whole JSON answer that carries `tokens` tokens of output."""
        length = ("content-length", str(len(body)))
        await self._start(status, (*_JSON, length, *headers))
        await self.chunk(body, tokens)
        self.record.ended_ns = await self._connection.end()
        self.record.ending = "answered"

    async def answer_error(self, error: ApiError) -> None:
        """Write an error answer."""
        await self.answer(error.status, self.error_body(error), error.headers)

    def finish(self) -> None:
        """End the connection if that was asked for, and complete the truth."""
        record = self.record
        if record.ended_ns is not None:
            return
        record.ended_ns = self._clock.monotonic_ns()
        record.ending = self.hang_up or "disconnected"
        if self.hang_up in ("closed", "dropped"):
            self._connection.close()
        elif self.hang_up:
            self._connection.reset()


async def error_answer(connection: ClientConnection, error: ApiError) -> None:
    """Answer a request that could not be read, if it still can be answered, and say goodbye."""
    if not connection.can_answer:
        return
    body = error_body(error)
    close: Headers = (("connection", "close"), ("content-length", str(len(body))))
    await connection.start(error.status, (*_JSON, *close))
    await connection.body(body)
    await connection.end()
    await connection.linger()
