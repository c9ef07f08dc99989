"""What agents publish, made by hand, and a bus that keeps it in memory."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import anyio
import board_streams as made
import msgspec
from clocks import ManualClock

from probes.bus.connection import (
    BusError,
    BusLostError,
    BusState,
    Entry,
    NobodyListensError,
    StreamMessage,
)
from probes.bus.messages import CommandReply, KeptHello, Presence, encode
from probes.bus.names import (
    FIRST_HEADER,
    HELLOS_BUCKET,
    OFFSET_HEADER,
    PLACES_BUCKET,
    RUN_HEADER,
    commands_of,
    events_of,
)
from probes.control.commands import Command, decode_command
from probes.events import Event, Hello, RouteCounts, Tick, encode_event
from probes.kit.clock import NS_PER_S

UNIX_NS = 1_800_000_000 * NS_PER_S
"""Of `made.START_NS`, where the clock of a place is right."""
OFFSET_NS = UNIX_NS - made.START_NS


def shared(seconds: float) -> int:
    """Return where `made.at(seconds)` stands on the line of time that places share."""
    return made.at(seconds) + OFFSET_NS


def hello(place: str, *names: str, at_s: float = 0.0, **changes: Any) -> Hello:
    """Return the greeting of a place's engine."""
    routes = (made.route_info(f"{name}@{place}", place=place) for name in names or ("chat",))
    return made.hello(*routes, at_s=at_s, **({"engine": f"{place}1"} | changes))


def tick(place: str, at_s: float, *names: str, **changes: Any) -> Tick:
    counts = (
        RouteCounts(route=f"{name}@{place}", in_flight=0, target=4) for name in names or ("chat",)
    )
    return made.tick(at_s, *counts, **changes)


def lines(events: Iterable[Event]) -> bytes:
    return b"".join(map(encode_event, events))


@dataclass
class Agent:
    """Numbers what a place publishes as its agent does."""

    bus: "MemoryBus"
    place: str
    run: str = "1"
    offset_ns: int = OFFSET_NS
    next: int = 1
    obeyed: list[Command] = field(default_factory=list)

    def publish(self, *events: Event, taken_s: float | None = None) -> StreamMessage:
        """Publish events in one message, at the newest of them where nothing else is said."""
        first, self.next = self.next, self.next + len(events)
        return self.publish_lines(lines(events), first, taken_s or _last_s(events))

    def publish_lines(
        self, data: bytes, first: int, taken_s: float, **headers: str
    ) -> StreamMessage:
        given = {
            RUN_HEADER: self.run,
            FIRST_HEADER: str(first),
            OFFSET_HEADER: str(self.offset_ns),
            **headers,
        }
        return self.bus.keep(events_of(self.place), data, given, shared(taken_s))

    def keep_hello(self, greeting: Hello) -> None:
        kept = KeptHello(run=self.run, number=1, offset_ns=self.offset_ns, hello=_raw(greeting))
        self.bus.put(HELLOS_BUCKET, self.place, encode(kept))

    def is_here(self) -> None:
        told = Presence(run=self.run, host="h", pid=1, since_ns=0)
        self.bus.put(PLACES_BUCKET, self.place, encode(told))

    def leaves(self) -> None:
        self.bus.put(PLACES_BUCKET, self.place, b"")

    def obeys(self, refusal: str = "") -> None:
        def answer(data: bytes) -> bytes:
            self.obeyed.append(decode_command(data))
            return encode(CommandReply(refusal=refusal))

        self.bus.answers[commands_of(self.place)] = answer


def _last_s(events: Iterable[Event]) -> float:
    return (max(event.at_ns for event in events) - made.START_NS) / NS_PER_S


def _raw(event: Event) -> Any:
    return msgspec.Raw(encode_event(event).rstrip())


class MemoryBus:
    """Stands for a connection to a bus."""

    shown = "nats://bus"

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._sequence = count(1)
        self.stream: list[StreamMessage] = []
        self.buckets: dict[str, dict[str, Entry]] = {}
        self.answers: dict[str, Callable[[bytes], bytes]] = {}
        self.state = BusState(True, clock.monotonic_ns())
        self.closed = False
        self.refusal: BusError | None = None
        """What whoever wants to read is told."""
        self._readers: list[tuple[str, Any]] = []
        self._watchers: list[tuple[str, Any]] = []
        self._up = anyio.Event()
        self._up.set()

    # What a test does.

    def keep(self, subject: str, data: bytes, headers: dict[str, str], at_ns: int) -> StreamMessage:
        message = StreamMessage(subject, data, headers, next(self._sequence), at_ns, 0)
        self.stream.append(message)
        for wanted, send in self._readers:
            if _matches(wanted, subject):
                with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                    send.send_nowait(message)
        return message

    def put(self, bucket: str, key: str, value: bytes) -> None:
        entry = Entry(key, value, next(self._sequence), self._clock.wall_ns())
        self.buckets.setdefault(bucket, {})[key] = entry
        for wanted, send in self._watchers:
            if wanted == bucket:
                send.send_nowait(entry)

    def lose(self, why: str = "nats://bus: lost") -> None:
        self.state = BusState(False, self._clock.monotonic_ns(), why)
        self._up = anyio.Event()
        for _, send in (*self._readers, *self._watchers):
            send.close()
        self._readers, self._watchers = [], []

    def end_readers(self) -> None:
        """End what is read, as when the stream is deleted."""
        for _, send in self._readers:
            send.close()
        self._readers = []

    def forget_readers(self) -> None:
        """Serve those who read no more, and do not say so."""
        self._readers = []

    def come_back(self) -> None:
        self.state = BusState(True, self._clock.monotonic_ns())
        self._up.set()

    # What is asked of a connection.

    async def run(self) -> None:
        await anyio.sleep_forever()

    async def wait_connected(self) -> None:
        await self._up.wait()

    async def close(self) -> None:
        self.closed = True

    async def last(self, subject: str) -> StreamMessage | None:
        found = [message for message in self.stream if _matches(subject, message.subject)]
        return found[-1] if found else None

    async def request(self, subject: str, payload: bytes, *, timeout_s: float) -> bytes:
        if not self.state.connected:
            raise BusLostError("nats://bus: lost")
        if subject not in self.answers:
            raise NobodyListensError("nats://bus: nobody listens there")
        return self.answers[subject](payload)

    def bucket(self, name: str) -> "_MemoryBucket":
        return _MemoryBucket(self, name)

    @asynccontextmanager
    async def messages(
        self, subject: str, *, since_ns: int | None = None
    ) -> AsyncIterator[AsyncIterator[StreamMessage]]:
        if self.refusal is not None:
            raise self.refusal
        send, receive = anyio.create_memory_object_stream[StreamMessage](10_000)
        for message in self.stream:
            if message.at_ns >= (since_ns or 0) and _matches(subject, message.subject):
                send.send_nowait(message)
        self._readers.append((subject, send))
        with send, receive:
            yield receive


class _MemoryBucket:
    def __init__(self, bus: MemoryBus, name: str) -> None:
        self._bus = bus
        self._name = name

    async def get(self, key: str) -> Entry | None:
        found = self._bus.buckets.get(self._name, {}).get(key)
        return found if found is not None and found.value else None

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[AsyncIterator[Entry]]:
        send, receive = anyio.create_memory_object_stream[Entry](1_000)
        for entry in self._bus.buckets.get(self._name, {}).values():
            send.send_nowait(entry)
        self._bus._watchers.append((self._name, send))
        with send, receive:
            yield receive


def _matches(wanted: str, subject: str) -> bool:
    return all(
        one in ("*", other)
        for one, other in zip(wanted.split("."), subject.split("."), strict=True)
    )
