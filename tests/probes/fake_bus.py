"""A bus in memory that does what it is told: it is lost, is silent, refuses, and lies about it."""

from collections.abc import Mapping
from typing import Final

import anyio
import anyio.lowlevel

from probes.bus.connection import (
    Answer,
    BusError,
    BusLostError,
    BusState,
    Entry,
    MessageTooLargeError,
    NoAnswerError,
    StreamMessage,
    WrongRevisionError,
)
from probes.kit.clock import Clock

AHEAD_NS: Final = 7_000_000_000
"""What the server's wall clock is ahead of ours."""


class FakeBus:
    """One stream of all subjects, with the server's own rules."""

    def __init__(self, clock: Clock, ahead_ns: int = AHEAD_NS) -> None:
        self._clock = clock
        self._ahead_ns = ahead_ns
        self.kept: list[StreamMessage] = []
        self.faults: list[Exception] = []
        """What the next messages end with; one that is `after` was kept before."""
        self.most_bytes = 1 << 20
        self._up = anyio.Event()
        self._up.set()
        self._sequence = 0
        self.restored = 0
        self.answers: dict[str, Answer] = {}
        self.asked = 0
        """How often somebody wanted to know the last message."""

    def lose(self) -> None:
        self._up = anyio.Event()

    def come_back(self) -> None:
        self._up.set()

    @property
    def shown(self) -> str:
        return "fake://bus"

    @property
    def state(self) -> BusState:
        return BusState(self._up.is_set(), 0)

    async def run(self) -> None:
        await anyio.sleep_forever()

    async def answer(self, subject: str, answer: Answer) -> None:
        self.answers[subject] = answer

    async def wait_connected(self) -> None:
        await self._up.wait()

    def _need(self) -> None:
        if not self._up.is_set():
            raise BusLostError("lost")

    async def publish(
        self,
        subject: str,
        payload: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        after: int | None = None,
    ) -> int:
        await anyio.lowlevel.checkpoint()
        self._need()
        if len(payload) > self.most_bytes:
            raise MessageTooLargeError("too large")
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None and not isinstance(fault, KeptError):
            raise fault
        last = self._last(subject)
        if after is not None and after != (last.sequence if last else 0):
            raise WrongRevisionError("somebody else was faster")
        self._sequence += 1
        at_ns = self._clock.wall_ns() + self._ahead_ns
        message = StreamMessage(subject, payload, dict(headers or {}), self._sequence, at_ns)
        self.kept.append(message)
        if fault is not None:
            raise NoAnswerError("no answer in time")
        return self._sequence

    async def last(self, subject: str) -> StreamMessage | None:
        await anyio.lowlevel.checkpoint()
        self._need()
        self.asked += 1
        return self._last(subject)

    def _last(self, subject: str) -> StreamMessage | None:
        return next((one for one in reversed(self.kept) if one.subject == subject), None)

    async def restore(self) -> None:
        self.restored += 1

    def bucket(self, name: str) -> "FakeBucket":
        return FakeBucket(self, f"{name}.")


class KeptError(BusError):
    """A fault: the message is kept, and the answer never comes."""


class FakeBucket:
    """Keys of one bucket of the bus."""

    def __init__(self, bus: FakeBus, prefix: str) -> None:
        self._bus = bus
        self._prefix = prefix

    async def get(self, key: str) -> Entry | None:
        found = await self._bus.last(self._prefix + key)
        if found is None or not found.data:
            return None
        return Entry(key, found.data, found.sequence, found.at_ns)

    async def put(self, key: str, value: bytes) -> int:
        return await self._bus.publish(self._prefix + key, value)

    async def create(self, key: str, value: bytes) -> int:
        return await self.update(key, value, 0)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        return await self._bus.publish(self._prefix + key, value, after=revision)

    async def delete(self, key: str, revision: int | None = None) -> None:
        last = await self._bus.last(self._prefix + key)
        if revision is not None and (last is None or last.sequence != revision):
            raise WrongRevisionError("somebody else was faster")
        self.expire(key)

    def expire(self, key: str) -> None:
        """Let an entry vanish by its age."""
        subject = self._prefix + key
        self._bus.kept = [one for one in self._bus.kept if one.subject != subject]
