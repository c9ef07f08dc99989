"""The durable events of a place on their way to the bus, as they are.

Rule 1: who gives us events never waits: they are queued (`UnsentEvents`), and sent by a task.
Rule 2: one message at a time, each behind the one that the stream has as the place's last. So in
the stream nothing is doubled or out of order, and whoever lost the place sends nothing more.
Rule 3: where nobody knows whether a message came, the stream is asked before it is sent again.
Rule 4: what moves stamps to Unix time is settled when the first event of an engine's life is sent,
by the clock of the bus's server; then it stays, and goes with each message.
Rule 5: a server that lost what it had taken, as in a power cut, is given that again, as far back as
it may lose it.
Rule 6: what an earlier life recorded and did not send goes first, under that life's own id.
"""

import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import msgspec
from anyio import to_thread

from probes.bus.connection import (
    BusError,
    BusLostError,
    MessageTooLargeError,
    NoAnswerError,
    StreamMessage,
    WrongRevisionError,
)
from probes.bus.messages import KeptHello, encode
from probes.bus.names import (
    BATCH_BYTES,
    BATCH_S,
    FIRST_HEADER,
    HELLOS_BUCKET,
    OFFSET_HEADER,
    RUN_HEADER,
    events_of,
)
from probes.bus.presence import PlaceTakenError
from probes.events import Event
from probes.exports.recorded_lives import Missing, RecordedLife, forget_life, recorded_chunks
from probes.exports.unsent import EngineLife, EventChunk, UnsentEvents
from probes.kit.back_off import waits
from probes.kit.clock import Clock, seconds
from probes.kit.short_figures import counted
from probes.kit.signals import Signal

_AGAIN_S: Final = (0.2, 5.0)
"""Before a message that was refused is tried again, at first and at last."""
_KEPT_S: Final = 150.0
"""A server writes its files through to the disk each two minutes (`sync_interval`)."""
_KEPT_BYTES: Final = 8 << 20
_RUN: Final = re.compile("[0-9]{20}")
_FIRST: Final = re.compile("[0-9]{1,19}")


class _Putting(Protocol):
    async def put(self, key: str, value: bytes) -> int: ...


class SendingBus(Protocol):
    """The connection to the bus, as far as events need it."""

    async def wait_connected(self) -> None: ...

    async def publish(
        self,
        subject: str,
        payload: bytes,
        headers: Mapping[str, str] | None = None,
        *,
        after: int | None = None,
    ) -> int: ...

    async def last(self, subject: str) -> StreamMessage | None: ...

    async def restore(self) -> None: ...

    def bucket(self, name: str) -> _Putting: ...


class BusEvents:
    """Takes the events of a run, and sends them to the bus."""

    def __init__(
        self,
        bus: SendingBus,
        place: str,
        unsent: UnsentEvents,
        *,
        clock: Clock,
        server_ahead_ns: Callable[[], Awaitable[int]],
        report: Callable[[str], object],
    ) -> None:
        """Prepare to send what is unsent.

        Args:
            server_ahead_ns: how far the server's wall clock is ahead of ours; raises BusError.
            report: takes what a person should read, a line each time.
        """
        self._bus = bus
        self._place = place
        self._subject = events_of(place)
        self._unsent = unsent
        self._clock = clock
        self._server_ahead_ns = server_ahead_ns
        self._report = report
        self._last: int | None = None
        """Sequence of the place's last message in the stream; None where it is to be asked."""
        self._lately: deque[tuple[int, EventChunk]] = deque()
        """What the server has taken lately, each with our monotonic ns."""
        self._lately_bytes = 0
        self._bell = Signal()
        self._waits_from_ns = 0
        self._is_ending = False
        self._is_refused = False
        self._hello: KeptHello | None = None
        self._hello_is_kept = False
        self.messages = 0
        """How many were sent."""

    @property
    def offset_ns(self) -> int:
        """What moves the newest engine's stamps to Unix time, as far as that is known."""
        life = self._unsent.newest_life
        if life is None:
            return 0
        return life.own_offset_ns if life.offset_ns is None else life.offset_ns

    def receive(self, _events: list[Event], lines: bytes) -> None:
        """Take a batch of events in order, and the lines of its durable ones; returns at once."""
        if not lines:
            return
        if not self._unsent.waiting:
            self._waits_from_ns = self._clock.monotonic_ns()
            self._bell.ring()
        self._unsent.add(lines)
        if self._unsent.waiting_bytes > BATCH_BYTES:
            self._bell.ring()

    def end(self) -> None:
        """Let `run` return once all is sent that was given by now."""
        self._is_ending = True
        self._bell.ring()

    async def send_earlier(self, folder: Path, lives: list[RecordedLife]) -> None:
        """Send what earlier lives recorded and did not send, oldest first; each that is done with
        is forgotten, in `folder` and in `lives`.

        Raises:
            PlaceTakenError: somebody else sends for the place by now.
        """
        ours = {self._unsent.run, *(life.run for life in lives)}
        while lives:
            life = lives[0]
            last = await self._last_message()
            run, number = stands_at(last)
            if run <= life.run:
                await self._send_recorded(life, number if run == life.run else 0, last)
            elif run not in ours:
                # Whoever reads drops what is older than what it has.
                self._report(
                    "what was recorded here before another machine had the place is not sent"
                )
            try:
                await to_thread.run_sync(forget_life, folder, life)
            except OSError as error:
                self._report(f"{folder}: {error.strerror or error}")
            del lives[0]

    async def run(self) -> None:
        """Send what is given until `end`.

        Raises:
            PlaceTakenError: somebody else sends for the place by now.
        """
        while True:
            while not self._unsent.waiting:
                if self._is_ending:
                    return
                await self._bell.wait(self._clock)
            while not self._is_ending and self._unsent.waiting_bytes < BATCH_BYTES:
                left_s = BATCH_S - seconds(self._clock.monotonic_ns() - self._waits_from_ns)
                if left_s <= 0:
                    break
                await self._bell.wait(self._clock, left_s)
            chunk = await self._unsent.peek(BATCH_BYTES)
            if chunk is None:  # all that waited was lost
                continue
            await self._send(chunk)
            self._unsent.sent(chunk)
            self._waits_from_ns = self._clock.monotonic_ns()
            if chunk.first == chunk.life.first:
                self._hello = KeptHello(
                    run=chunk.run,
                    number=chunk.first,
                    offset_ns=chunk.life.offset_ns or 0,
                    hello=msgspec.Raw(chunk.life.hello.rstrip()),
                )
                self._hello_is_kept = False
            if self._hello is not None and not self._hello_is_kept:
                await self._keep_hello(self._hello)

    async def _send(self, chunk: EventChunk) -> None:
        """Bring a chunk into the stream, however long that takes.

        Raises:
            PlaceTakenError: somebody else sends for the place by now.
        """
        tries = waits(*_AGAIN_S)
        while True:
            await self._bus.wait_connected()
            try:
                await self._send_once(chunk)
            except PlaceTakenError:
                raise
            except MessageTooLargeError as error:
                self._report(f"{counted(chunk.count, 'event')} left out: {error}")
                return
            except BusError as error:
                self._last = None
                if not isinstance(error, BusLostError | WrongRevisionError):
                    await self._refused(error)
                    await self._clock.sleep(next(tries))
            else:
                if self._is_refused:
                    self._is_refused = False
                    self._report("sending again")
                return

    async def _send_once(self, chunk: EventChunk) -> None:
        """Bring a chunk into the stream, where it is not. Raises BusError."""
        if self._last is None:
            run, number = await self._look(chunk)
            if run == chunk.run and number >= chunk.next - 1:
                return
            for _, lost in [*self._lately]:
                if run < lost.run or (run == lost.run and number < lost.first):
                    await self._publish(lost)
        await self._publish(chunk)
        self._keep(chunk)

    async def _publish(self, chunk: EventChunk) -> None:
        headers = {
            RUN_HEADER: chunk.run,
            FIRST_HEADER: str(chunk.first),
            OFFSET_HEADER: str(await self._offset_ns(chunk.life)),
        }
        self._last = await self._bus.publish(self._subject, chunk.lines, headers, after=self._last)
        self.messages += 1

    def _keep(self, chunk: EventChunk) -> None:
        """Keep what was taken until the server has it for good."""
        now_ns, lately = self._clock.monotonic_ns(), self._lately
        lately.append((now_ns, chunk))
        self._lately_bytes += len(chunk.lines)
        while lately and (
            self._lately_bytes > _KEPT_BYTES or seconds(now_ns - lately[0][0]) > _KEPT_S
        ):
            self._lately_bytes -= len(lately.popleft()[1].lines)

    async def _refused(self, error: BusError) -> None:
        """Say once what the server has against a message; make a stream anew that was deleted."""
        if isinstance(error, NoAnswerError):
            with suppress(BusError):  # the next try says why
                await self._bus.restore()
        elif not self._is_refused:
            self._is_refused = True
            self._report(f"nothing can be sent: {error}; trying again")

    async def _last_message(self) -> StreamMessage | None:
        """Return the place's last message, whatever it takes to learn it."""
        while True:
            await self._bus.wait_connected()
            try:
                return await self._bus.last(self._subject)
            except BusError:
                await self._clock.sleep(_AGAIN_S[0])

    async def _look(self, chunk: EventChunk) -> tuple[str, int]:
        """Find out where the stream stands; return the life of its last message of the place, and
        the number of its last event.

        Raises:
            PlaceTakenError: that life is later than the chunk's.
            BusError: the bus does not answer.
        """
        last = await self._bus.last(self._subject)
        if last is None:
            # A new stream has lost its buckets, too.
            self._hello_is_kept = False
        run, number = stands_at(last)
        if run > chunk.run:
            raise PlaceTakenError(self._place, None)
        self._last = 0 if last is None else last.sequence
        return run, number

    async def _offset_ns(self, life: EngineLife) -> int:
        """Return what moves the stamps of an engine's life to Unix time of the server's clock."""
        if life.offset_ns is None:
            life.offset_ns = life.own_offset_ns + await self._server_ahead_ns()
        return life.offset_ns

    async def _keep_hello(self, hello: KeptHello) -> None:
        with suppress(BusError):  # again with the next message
            await self._bus.bucket(HELLOS_BUCKET).put(self._place, encode(hello))
            self._hello_is_kept = True

    async def _send_recorded(
        self, life: RecordedLife, after: int, last: StreamMessage | None
    ) -> None:
        """Send what a life recorded behind the event of a number."""
        chunks = recorded_chunks(life, after, BATCH_BYTES)
        sent = missing = 0
        is_unknown = False
        while True:
            try:
                chunk = await to_thread.run_sync(next, chunks, None)
            except OSError as error:
                self._report(f"what an earlier agent recorded cannot be read: {error.strerror}")
                break
            if chunk is None:
                break
            if isinstance(chunk, Missing):
                missing += chunk.count
                is_unknown = is_unknown or not chunk.count
                continue
            if last is not None and chunk.life.first <= after and chunk.life.offset_ns is None:
                # It began before what the stream has of it: the same constant goes on.
                chunk.life.offset_ns = _offset_of(last)
            await self._send(chunk)
            sent += chunk.count
        if sent:
            self._report(f"sent {counted(sent, 'event')} that an earlier agent had recorded")
        if missing or is_unknown:
            told = counted(missing, "event") if missing else "some events"
            more = " or more" if missing and is_unknown else ""
            self._report(f"{told}{more} of an earlier agent were deleted before they were sent")


def stands_at(last: StreamMessage | None) -> tuple[str, int]:
    """Return the life of a place's last message, and the number of its last event.

    A message that no agent wrote is of no life: any is later, and is sent behind it.
    """
    if last is None:
        return "", 0
    run, first = last.headers.get(RUN_HEADER, ""), last.headers.get(FIRST_HEADER, "")
    if not (_RUN.fullmatch(run) and _FIRST.fullmatch(first)):
        return "", 0
    return run, int(first) + last.data.count(b"\n") - 1


def _offset_of(last: StreamMessage) -> int | None:
    try:
        return int(last.headers.get(OFFSET_HEADER, ""))
    except ValueError:
        return None
