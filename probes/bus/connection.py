"""The connection to the bus: the one file that knows the client, nats-py.

Rule 1: one client is one TCP connection. When it is lost that client is done with, and a new one is
made, for ever, with a back-off: nats-py's own way to connect again gives up after a refusal, and
sends what it has in hand at a moment of its own, after what was published since.
Rule 2: whatever was asked of a lost connection ends at once, with `BusLostError`; nobody knows then
whether the server has done it, and whoever asked finds out by looking.
Rule 3: what answers on a subject goes on answering on the next connection. What reads a stream
ends, and begins again where it stood: its reader knows where.
Rule 4: every failure is a `BusError` in words for a person, without a password.
Rule 5: the stream and the buckets are made by whoever comes first, and left as they are by whoever
comes later: an operator may have made them larger.
"""

import asyncio
import logging
import os
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias, TypeVar

import anyio
import msgspec
from anyio.lowlevel import checkpoint

from probes.bus.address import BusAddress
from probes.bus.messages import LONGEST_COMMAND
from probes.bus.names import (
    BUDGETS_BUCKET,
    COCKPIT_INBOX,
    EVENTS_OF_ALL,
    HELLOS_BUCKET,
    PAGERS_BUCKET,
    PLACES_BUCKET,
    STREAM,
    WANTED_BUCKET,
)
from probes.config.tls import no_password
from probes.kit.back_off import waits
from probes.kit.clock import NS_PER_S, Clock
from probes.kit.tls_failures import tls_error, tls_words

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext
    from nats.js.api import ConsumerConfig, StreamConfig
    from nats.js.errors import APIError

MISSING_EXTRA: Final = "a bus needs nats-py: pip install 'llmtop-tui[bus]'"

EVENTS_AGE_S: Final = 25 * 3600.0
"""A day, and an hour for who looks at the day a little late."""
EVENTS_BYTES: Final = 5 << 30
"""Of all places: an hour, which a cockpit reads that comes late, of 20 places of 20 routes at a
probe a second each, which write 1.1 MB a second; or a day of ten places of eight routes at the
default pace."""
LEAST_EVENTS_BYTES: Final = 1 << 30
"""What is asked of a server without room for the other: it promises a stream all of its size."""
_NO_ROOM: Final = 10047
"""JetStream's code for that."""
PRESENCE_TTL_S: Final = 10.0
"""An agent that was killed leaves its place free after so long."""
_DUPLICATES_S: Final = 120.0
"""The server's own window; who reads drops doubles by number, however old."""

_CONNECT_S: Final = 5.0
ANSWER_S: Final = 5.0
"""What the server has to answer in."""
_PING_S: Final = 5.0
_PINGS: Final = 2
"""A server that is gone without a word, such as behind a cut cable, is lost after three pings."""
_BACK_OFF_S: Final = (0.25, 5.0)
"""Before the first try after a loss, and at last: a server that starts again takes a second or two,
and one that is down for a night is not in a hurry."""
_LOOK_S: Final = 1.0
"""Between two looks at a client that may have closed without a word."""
_READ_AHEAD: Final = 64
"""Messages that a reader may be behind before the server is told to wait."""
_REQUESTS_WAITING: Final = 500
"""Of one subject: more than a person sends, and no more of one who floods it."""
_NOT_READY: Final = 10008
"""JetStream's code for "temporarily unavailable": it reads its files, or votes for a leader."""
_WRONG_REVISION: Final = (10071, 10164)
"""JetStream's codes for "the last message of that subject is another"."""

_Result = TypeVar("_Result")


class BusError(Exception):
    """What was asked of the bus cannot be had; one line for a person."""


class NoClientError(BusError):
    """The package that speaks to a bus is not installed."""

    def __init__(self) -> None:
        super().__init__(MISSING_EXTRA)


class BusLostError(BusError):
    """There is no connection, or it was lost meanwhile: it may have been done, or not."""


class NoAnswerError(BusError):
    """The answer did not come in time: it may have been done, or will be, or not."""


class NobodyListensError(NoAnswerError):
    """There is nobody who could: it was not done."""


class WrongRevisionError(BusError):
    """Somebody else was faster: the key or subject is not where the caller last saw it."""


class MessageTooLargeError(BusError):
    """A message has more bytes than the server takes."""


class BusState(msgspec.Struct, frozen=True):
    """Whether there is a connection, and since when."""

    connected: bool
    since_ns: int
    """Monotonic ns."""
    why: str = ""
    """Why there is none, for a person; empty where nobody has tried yet."""


class StreamMessage(NamedTuple):
    """One message as the stream keeps it."""

    subject: str
    data: bytes
    headers: Mapping[str, str]
    sequence: int
    """Its number in the stream; those of one stream only grow, with gaps."""
    at_ns: int
    """When the server took it, in Unix ns of the server's clock."""
    pending: int = 0
    """How many were behind it, of those that a reader asked for, when it was sent to the reader."""


class Entry(NamedTuple):
    """The value of one key of a bucket."""

    key: str
    value: bytes
    """Empty where the key was deleted."""
    revision: int
    at_ns: int
    """When the server took it, in Unix ns of the server's clock."""


Answer: TypeAlias = Callable[[bytes], Awaitable[bytes]]
"""Takes a request and returns the reply; raises nothing."""


class BusConnection:
    """A connection to the bus that comes back. For the event loop's thread."""

    def __init__(
        self,
        address: BusAddress,
        *,
        clock: Clock,
        name: str = "llmtop",
        inbox: str = COCKPIT_INBOX,
        changed: Callable[[BusState], object] = lambda _state: None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Prepare; `name` is what the server's monitoring shows, answers come below `inbox`,
        `changed` hears of each change of `state`, `jitter` gives numbers from 0 to 1."""
        self._address = address
        self._clock = clock
        self._name = name
        self._inbox = inbox
        self._changed = changed
        self._jitter = jitter
        self._link: _Link | None = None
        self._answers: dict[str, Answer] = {}
        self._up = anyio.Event()
        self.state = BusState(False, clock.monotonic_ns())
        """Frozen, and another object after each change."""

    @property
    def shown(self) -> str:
        """The address for people and records."""
        return self._address.shown

    async def connect(self) -> None:
        """Connect, and make sure that the stream and the buckets are there; once.

        Raises:
            BusError: the client is not installed, no server can be reached, it refuses us, or it
                has no JetStream.
        """
        try:
            link = await self._linked()
        except BusError as error:
            self._set_state(False, str(error))
            raise
        self._link = link
        self._set_state(True, "")
        self._up.set()

    async def run(self) -> None:
        """Keep connected until cancelled; connects first where that was not done."""
        tries = self._tries()
        while True:
            link = self._link
            if link is None:
                with suppress(BusError):  # `state` says why
                    await self.connect()
                    continue
                await self._clock.sleep(next(tries))
                continue
            tries = self._tries()
            while not link.is_lost:
                with anyio.move_on_after(_LOOK_S):
                    await link.lost.wait()
                # Where it is lost while something waits to be written, nats-py closes the client
                # and tells nobody.
                if link.client.is_closed:
                    await link.closed()
            self._link = None
            self._up = anyio.Event()
            self._set_state(False, link.why)
            with anyio.CancelScope(shield=True):
                await link.close()
            # Also after a loss: a server that takes us and throws us out at once is not asked anew
            # without a pause.
            await self._clock.sleep(next(self._tries()))

    def _tries(self) -> Iterator[float]:
        """Give the waits between tries: agents that lost one server must not come back at once."""
        return waits(*_BACK_OFF_S, spread=0.25, chance=self._jitter)

    async def wait_connected(self) -> None:
        """Return when there is a connection; lets others run in any case."""
        await checkpoint()
        while self._link is None or self._link.is_lost:
            if self._up.is_set():  # it is lost, and `run` has not been told yet
                await checkpoint()
            else:
                await self._up.wait()

    async def close(self) -> None:
        """Let the connection go; what was published is sent before."""
        link, self._link = self._link, None
        if link is not None:
            link.lose("closed")
            with anyio.CancelScope(shield=True):
                await link.close()
        self._set_state(False, "closed")

    async def publish(
        self,
        subject: str,
        payload: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        after: int | None = None,
    ) -> int:
        """Add a message to the stream of a subject; return its sequence there once it is kept.

        `after` is the sequence of the subject's last message, 0 where it has none: only behind
        that is it taken, so that nothing gets between and nothing comes twice.

        Raises:
            WrongRevisionError: another message is the last.
            NoAnswerError: no stream takes it, or the server did not answer: ask before trying
                again.
            MessageTooLargeError: it has more bytes than the server takes.
            BusError: it was refused, such as by a full disk.
        """
        given: dict[str, Any] = dict(headers or {})
        if after is not None:
            given["Nats-Expected-Last-Subject-Sequence"] = str(after)

        async def operate(link: _Link) -> int:
            if len(payload) > link.client.max_payload:
                most = link.client.max_payload
                raise MessageTooLargeError(
                    f"{len(payload)} bytes are more than the bus takes ({most})"
                )
            ack = await link.stream.publish(subject, payload, headers=given, timeout=ANSWER_S)
            return ack.seq

        return await self._do(operate)

    async def restore(self) -> None:
        """Make the stream and the buckets anew that somebody has deleted. Raises BusError."""
        await self._do(_ensure, timeout_s=4 * ANSWER_S)

    async def last(self, subject: str, *, stream: str = STREAM) -> StreamMessage | None:
        """Return the last message of a subject; None without one. Raises BusError."""

        async def operate(link: _Link) -> StreamMessage | None:
            from nats.js.errors import NotFoundError

            try:
                # Not the direct way: of several servers one may lag behind.
                found = await link.stream.get_msg(stream, subject=subject)
            except NotFoundError:
                return None
            at_ns = 0 if found.time is None else _ns_of(found.time)
            sequence = found.seq or 0
            return StreamMessage(subject, found.data or b"", found.headers or {}, sequence, at_ns)

        return await self._do(operate)

    async def request(self, subject: str, payload: bytes, *, timeout_s: float = ANSWER_S) -> bytes:
        """Return what whoever answers on a subject says.

        Raises:
            NoAnswerError: nobody listens there, or the answer did not come in time.
        """

        async def operate(link: _Link) -> bytes:
            return (await link.client.request(subject, payload, timeout=timeout_s)).data

        return await self._do(operate, timeout_s=timeout_s + 1.0)

    async def answer(self, subject: str, answer: Answer) -> None:
        """Answer requests on a subject from now on, one at a time. Raises BusError."""
        self._answers[subject] = answer
        if self._link is not None:
            await self._do(partial(_Link.serve, subject=subject, answer=answer))

    def bucket(self, name: str) -> "Bucket":
        """Return a key-value bucket of those in `probes.bus.names`."""
        return Bucket(self, name)

    @asynccontextmanager
    async def messages(
        self,
        subject: str,
        *,
        stream: str = STREAM,
        after: int | None = None,
        since_ns: int | None = None,
        last_of_each: bool = False,
    ) -> AsyncIterator[AsyncIterator[StreamMessage]]:
        """Give the messages of a subject (`*` and `>` are wild) in order, then those that come.

        They begin behind the sequence `after`, or at `since_ns` in Unix ns of the server's clock,
        or with the last one of each subject; else with the next that comes. They end when the
        connection is lost, when the stream was deleted, and with the block; then ask again, with
        the last sequence as `after`. Where the reader is slow the server waits.

        Raises:
            BusError: they cannot be had.
        """
        send, receive = anyio.create_memory_object_stream[StreamMessage](_READ_AHEAD)
        link = self._linked_now()

        async def take(message: "Msg") -> None:
            about = message.metadata
            headers = message.headers or {}
            taken = StreamMessage(
                message.subject,
                message.data,
                headers,
                about.sequence.stream,
                _ns_of(about.timestamp),
                about.num_pending,
            )
            with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await send.send(taken)

        async def subscribe(link: _Link) -> Any:
            return await link.stream.subscribe(
                subject,
                stream=stream,
                cb=take,
                ordered_consumer=True,
                config=_beginning(after, since_ns, last_of_each=last_of_each),
                # As soon as the reader is gone the server may forget it.
                inactive_threshold=60.0,
            )

        with send, receive:
            subscription = await self._do(subscribe)
            link.senders.add(send)
            if link.is_lost:
                send.close()
            try:
                yield receive
            finally:
                link.senders.discard(send)
                with anyio.CancelScope(shield=True), suppress(BusError):
                    await self._do(lambda _link: subscription.unsubscribe(), link=link)

    def _linked_now(self) -> "_Link":
        if self._link is None or self._link.is_lost:
            why = self.state.why or "not connected yet"
            raise BusLostError(why if self.shown in why else f"{self.shown}: {why}")
        return self._link

    async def _do(
        self,
        operate: Callable[["_Link"], Awaitable[_Result]],
        *,
        timeout_s: float = ANSWER_S + 1.0,
        link: "_Link | None" = None,
    ) -> _Result:
        """Do something with the connection of this moment, for as long as it lasts."""
        used = link or self._linked_now()
        if used.is_lost:
            raise BusLostError(f"{self.shown}: {used.why}")
        # The client's own time-outs do not cover a server that has stopped reading.
        with anyio.CancelScope(deadline=anyio.current_time() + timeout_s) as scope:
            used.scopes.add(scope)
            try:
                return await operate(used)
            except BusError:
                raise
            except Exception as error:
                if used.client.is_closed:
                    # It fails without waiting for anything: whoever tries again at once would let
                    # nobody else find out.
                    used.lose("lost")
                raise self._in_words(error, used) from error
            finally:
                used.scopes.discard(scope)
        if used.is_lost:
            raise BusLostError(f"{self.shown}: {used.why}")
        raise NoAnswerError(f"{self.shown}: no answer within {timeout_s:g} s")

    async def _linked(self) -> "_Link":
        """Return a new connection, with all that is needed on the other side."""
        try:
            import nats.errors
            from nats.aio.client import Client
        except ImportError as error:
            raise NoClientError from error
        # What it has to say comes as errors; its own lines would be written over a screen.
        logging.getLogger("nats").addHandler(logging.NullHandler())
        logging.getLogger("nats").propagate = False
        logging.getLogger("asyncio").addFilter(_no_news)
        address = self._address
        link = _Link(_guarded(Client, encrypted=address.is_encrypted)())
        options: dict[str, Any] = {}
        if address.credentials:
            options["user_credentials"] = address.credentials
        if address.is_encrypted:
            options["tls"] = _tls(address)
        try:
            with anyio.fail_after(2 * len(address.servers) * _CONNECT_S + 1):
                await link.client.connect(
                    list(address.servers),
                    name=self._name,
                    inbox_prefix=self._inbox,
                    error_cb=link.note,
                    closed_cb=link.closed,
                    allow_reconnect=False,
                    # Twice: once more after the moment that a server needs to begin to listen.
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0.1,  # type: ignore[arg-type]
                    connect_timeout=_CONNECT_S,  # type: ignore[arg-type]
                    ping_interval=_PING_S,  # type: ignore[arg-type]
                    max_outstanding_pings=_PINGS,
                    **options,
                )
            link.stream = link.client.jetstream(timeout=ANSWER_S)
            self._link, before = link, self._link
            try:
                await self._do(_ensure, link=link, timeout_s=4 * ANSWER_S)
                for subject, answer in self._answers.items():
                    await self._do(partial(_Link.serve, subject=subject, answer=answer), link=link)
            finally:
                self._link = before
        except BaseException as error:
            link.lose("not connected")
            with anyio.CancelScope(shield=True):
                await link.close()
            if isinstance(error, BusError) or not isinstance(error, Exception):
                raise
            told = link.last_error if isinstance(error, nats.errors.NoServersError) else None
            raise self._in_words(told or error, link) from error
        return link

    def _in_words(self, error: Exception, link: "_Link") -> BusError:
        """Return what went wrong in a line for a person."""
        import nats.errors
        import nats.js.errors

        where = self.shown
        if isinstance(error, nats.js.errors.APIError):
            return _of_jetstream(error, where)
        text = self._address.scrub(str(error)).removeprefix("nats: ").strip("'")
        if told := _of_another_kind(error, self._address):
            return BusError(f"{where}{told}")
        match error:
            case nats.errors.NoRespondersError():
                return NobodyListensError(f"{where}: nobody listens there")
            case nats.js.errors.NoStreamResponseError():
                return NobodyListensError(f"{where}: no stream takes that: it was deleted")
            case nats.errors.ConnectionClosedError():
                return BusLostError(f"{where}: {link.why}")
            case TimeoutError() if link.refusal:
                # Without a permission the server does not answer, and says so beside it: of this,
                # and not of what is late some other time.
                refusal, link.refusal = link.refusal, ""
                return BusError(f"{where} refuses: {self._address.scrub(refusal)}")
            case TimeoutError():
                return NoAnswerError(f"{where}: no answer in time")
            case OSError():
                # asyncio puts its own words, with the address, in the place of the system's.
                known = os.strerror(error.errno) if error.errno and error.errno > 0 else ""
                return BusLostError(f"{where} cannot be reached: {known or error.strerror or text}")
            case ImportError():  # nats-py's own extra, for .creds files
                return BusError("a credentials file needs nkeys: pip install 'llmtop-tui[bus]'")
            case _:
                return BusError(f"{where} refuses: {text or type(error).__name__}")

    def _set_state(self, connected: bool, why: str) -> None:
        if (connected, why) == (self.state.connected, self.state.why):
            return
        since_ns = self.state.since_ns
        if connected != self.state.connected or not self.state.why:
            since_ns = self._clock.monotonic_ns()
        self.state = BusState(connected, since_ns, why)
        self._changed(self.state)


class Bucket:
    """Keys and values that are compared before they are set. Every method raises BusError."""

    def __init__(self, connection: BusConnection, name: str) -> None:
        self._connection = connection
        self._stream = f"KV_{name}"
        self._prefix = f"$KV.{name}."

    async def get(self, key: str) -> Entry | None:
        """Return what a key holds; None where it holds nothing."""
        found = await self._connection.last(self._prefix + key, stream=self._stream)
        if found is None or "KV-Operation" in found.headers:
            return None
        return Entry(key, found.data, found.sequence, found.at_ns)

    async def put(self, key: str, value: bytes) -> int:
        """Set a key whatever it holds; return its revision."""
        return await self._connection.publish(self._prefix + key, value)

    async def create(self, key: str, value: bytes) -> int:
        """Set a key that holds nothing; return its revision.

        Raises:
            WrongRevisionError: it holds something.
        """
        try:
            return await self.update(key, value, 0)
        except WrongRevisionError:
            # A key that was deleted has a marker in its place.
            subject = self._prefix + key
            found = await self._connection.last(subject, stream=self._stream)
            if found is None or "KV-Operation" not in found.headers:
                raise
            return await self.update(key, value, found.sequence)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Set a key that still has a revision; return the next one.

        Raises:
            WrongRevisionError: it has another, or holds nothing any more.
        """
        return await self._connection.publish(self._prefix + key, value, after=revision)

    async def delete(self, key: str, revision: int | None = None) -> None:
        """Let a key hold nothing, where it still has that revision if one is given.

        Raises:
            WrongRevisionError: it has another.
        """
        headers = {"KV-Operation": "DEL"}
        await self._connection.publish(self._prefix + key, b"", headers, after=revision)

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[Entry]]:
        """Give what all keys hold, then each change; see `BusConnection.messages`.

        What vanishes by its age is not told: nobody says that somebody is silent.
        """
        subject = f"{self._prefix}>"
        messages = self._connection.messages(subject, stream=self._stream, last_of_each=True)
        async with messages as found:
            yield (self._entry(message) async for message in found)

    def _entry(self, message: StreamMessage) -> Entry:
        key = message.subject.removeprefix(self._prefix)
        value = b"" if "KV-Operation" in message.headers else message.data
        return Entry(key, value, message.sequence, message.at_ns)


class _Link:
    """One connection, and all that ends with it."""

    stream: "JetStreamContext"

    def __init__(self, client: "Client") -> None:
        self.client = client
        self.lost = anyio.Event()
        self.why = ""
        self.refusal = ""
        """What the server said last of what we may not do."""
        self.last_error: Exception | None = None
        self.scopes: set[anyio.CancelScope] = set()
        self.senders: set[Any] = set()

    @property
    def is_lost(self) -> bool:
        return self.lost.is_set()

    async def note(self, error: Exception) -> None:
        self.last_error = error
        if "permissions violation" in str(error).lower():
            self.refusal = str(error).removeprefix("nats: ")

    async def closed(self) -> None:
        error = self.client.last_error or self.last_error
        text = str(error or "").removeprefix("nats: ").strip("'")
        self.lose("lost" if error is None or "EOF" in text else f"lost: {text}")

    def lose(self, why: str) -> None:
        """End all that waits for this connection."""
        if self.is_lost:
            return
        self.why = why
        self.lost.set()
        for scope in self.scopes:
            scope.cancel()
        for send in self.senders:
            send.close()

    async def close(self) -> None:
        with suppress(Exception):  # it may have been half way up, and it goes in any case
            with anyio.move_on_after(2.0):
                await self.client.close()
        # Where something waits to be written to a connection that is broken, nats-py's own end
        # fails half way: its readers wait for ever then, and its socket stays open.
        for subscription in self.client._subs.values():
            if subscription._wait_for_msgs_task is not None:
                subscription._wait_for_msgs_task.cancel()
        self.client._subs.clear()
        writer = getattr(self.client._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()
            await checkpoint()

    async def serve(self, subject: str, answer: Answer) -> None:
        async def take(message: "Msg") -> None:
            reply = await answer(message.data)
            if message.reply:
                await self.client.publish(message.reply, reply)

        # What waits is bounded: of a flood the client drops what comes beyond, and tells nobody.
        await self.client.subscribe(
            subject,
            cb=take,
            pending_msgs_limit=_REQUESTS_WAITING,
            pending_bytes_limit=_REQUESTS_WAITING * LONGEST_COMMAND,
        )


def _of_jetstream(error: "APIError", where: str) -> BusError:
    """Return in words what JetStream did not do."""
    from nats.js.errors import ServiceUnavailableError

    if error.err_code in _WRONG_REVISION:
        return WrongRevisionError(f"{where}: somebody else was faster")
    if error.err_code == _NOT_READY:
        return NoAnswerError(f"{where}: JetStream is not ready yet")
    if isinstance(error, ServiceUnavailableError):
        return BusError(f"{where} has no JetStream: start it with `nats-server -js`")
    if error.err_code == _NO_ROOM:
        least = LEAST_EVENTS_BYTES >> 30
        return BusError(
            f"{where} has no room for events: its JetStream's max_file_store leaves less than "
            f"{least} GB"
        )
    return BusError(f"{where} refuses: {error.description or error.code}")


def _of_another_kind(error: Exception, address: BusAddress) -> str:
    """Return what follows on the address where something else is there than what it names: other
    TLS, or no NATS; empty where that is not it."""
    told = _of_tls(error, address)
    if told:
        return f": TLS: {told}"
    return " answers, and not as a NATS server does" if _is_no_nats(error) else ""


def _of_tls(error: Exception, address: BusAddress) -> str:
    """Return what is wrong with TLS; empty where it is not TLS."""
    import nats.errors

    tls = tls_error((error,))
    if tls is not None:
        own, has_own = "--bus-certificate", bool(address.certificate)
        return tls_words(tls, authority="--bus-ca", own=own, has_own=has_own)
    if isinstance(error, nats.errors.SecureConnWantedError):
        return "the server speaks none there"
    ended = isinstance(error, BrokenPipeError | ConnectionResetError | ssl.SSLError)
    if ended and address.is_encrypted and not address.certificate:
        # Of TLS 1.3 a server says so only when all is agreed on, and may end it without a word.
        return "the server ended it; it may want a certificate of ours, --bus-certificate"
    return ""


def _is_no_nats(error: Exception) -> bool:
    """Whether what came is nothing that a NATS server says: nats-py reads it as it comes, and fails
    at what it finds."""
    words = str(error).lower()
    if isinstance(error, OSError) or "permissions" in words:
        return False
    odd = (TypeError, ValueError, AttributeError, KeyError, asyncio.LimitOverrunError)
    return isinstance(error, odd) or "info message" in words


def _no_news(record: logging.LogRecord) -> bool:
    """Leave out what asyncio warns of at the end of each connection whose TLS began later than it,
    which is how NATS begins it: standard error is the screen's."""
    return "eof_received() has no effect" not in record.msg


def _tls(address: BusAddress) -> ssl.SSLContext:
    """Return whom we believe, and what we show.

    Raises:
        BusLostError: a file is not what it was when it was looked at. Certificates are renewed:
            it may be there again in a moment.
    """
    try:
        context = ssl.create_default_context(cafile=address.authority or None)
        if address.certificate:
            context.load_cert_chain(address.certificate, password=no_password)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise BusLostError(f"the files of TLS for the bus cannot be used now: {why}") from None
    return context


def _guarded(client: "type[Client]", *, encrypted: bool) -> "type[Client]":
    """Return the client that tells a server nothing before TLS where that was asked for.

    nats-py speaks TLS where the server asks for it, and would hand its password in clear to one
    that does not.
    """
    if not encrypted:
        return client

    class EncryptedClient(client):  # type: ignore[misc, valid-type]
        def _connect_command(self) -> bytes:
            import nats.errors

            if not self._server_info.get("tls_required"):
                raise nats.errors.SecureConnWantedError
            command: bytes = super()._connect_command()
            return command

    return EncryptedClient


def _beginning(after: int | None, since_ns: int | None, *, last_of_each: bool) -> "ConsumerConfig":
    """Return from where a reader is to be given messages."""
    from nats.js.api import ConsumerConfig, DeliverPolicy

    if last_of_each:
        return ConsumerConfig(deliver_policy=DeliverPolicy.LAST_PER_SUBJECT)
    if after is not None:
        return ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=after + 1
        )
    if since_ns is not None:
        since = datetime.fromtimestamp(since_ns / NS_PER_S, UTC)
        return ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=since)
    return ConsumerConfig(deliver_policy=DeliverPolicy.NEW)


async def _ensure(link: _Link) -> None:
    """Make the stream and the buckets that are missing."""
    from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
    from nats.js.errors import APIError, BadRequestError, NotFoundError

    events = StreamConfig(
        name=STREAM,
        description="llmtop: what all places measure",
        subjects=[EVENTS_OF_ALL],
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        storage=StorageType.FILE,
        max_age=EVENTS_AGE_S,
        max_bytes=EVENTS_BYTES,
        duplicate_window=_DUPLICATES_S,
    )
    buckets = (
        _bucket_config(PLACES_BUCKET, "who probes where", most_mb=4, age_s=PRESENCE_TTL_S),
        _bucket_config(HELLOS_BUCKET, "the newest engine of each place", most_mb=256),
        _bucket_config(WANTED_BUCKET, "knobs and pauses of each place"),
        _bucket_config(BUDGETS_BUCKET, "what all places may spend"),
        _bucket_config(PAGERS_BUCKET, "who calls people, and what they were told"),
    )
    for config in (events, *buckets):
        name = str(config.name)
        try:
            await link.stream.stream_info(name)
        except NotFoundError:
            # Of two that come first at once, one is late: the other has made the same.
            with suppress(BadRequestError):
                try:
                    await link.stream.add_stream(config)
                except TimeoutError:
                    if "stream.create" not in link.refusal.lower():
                        raise
                    if name == f"KV_{PAGERS_BUCKET}":
                        # Of a bus that was made without one: whoever has something to call with
                        # calls, as without a bus.
                        continue
                    # Who may will make it: that is waited for.
                    raise NoAnswerError(
                        f"the bus has no stream {name} yet, and this user may not make it: "
                        "`llmtop --bus` as one who may makes all that is needed"
                    ) from None
                except APIError as error:
                    if error.err_code != _NO_ROOM:
                        raise
                    # Little is ever in a bucket; where no room is left to be promised, no bound is.
                    least = LEAST_EVENTS_BYTES if config is events else -1
                    await link.stream.add_stream(config, max_bytes=least)
            await link.stream.stream_info(name)


def _bucket_config(
    name: str, what: str, *, most_mb: int = 64, age_s: float = 0.0
) -> "StreamConfig":
    """Return a bucket as nats-py's `create_key_value` makes it, in the terms of its stream, but
    with a bound, and without roll-ups: by one header whoever may set one key would delete all."""
    from nats.js.api import DiscardPolicy, StorageType, StreamConfig

    return StreamConfig(
        name=f"KV_{name}",
        description=f"llmtop: {what}",
        subjects=[f"$KV.{name}.>"],
        max_msgs_per_subject=1,
        max_age=age_s,
        max_bytes=most_mb << 20,
        duplicate_window=min(age_s, _DUPLICATES_S) or _DUPLICATES_S,
        allow_rollup_hdrs=False,
        allow_direct=True,
        deny_delete=True,
        # A bucket that is full refuses; it never forgets what somebody set.
        discard=DiscardPolicy.NEW,
        storage=StorageType.FILE,
    )


def _ns_of(moment: datetime) -> int:
    """Return a moment in Unix ns; floats would lose some."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * NS_PER_S + since.microseconds * 1000
