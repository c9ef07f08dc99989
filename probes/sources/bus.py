"""What all places publish on a bus, as a source.

Rule 1: it begins so far back as is asked, in pieces between which the loop goes on, and then lives.
Where that is more than a person waits for, it begins later, and says so.
Rule 2: after a loss it goes on at the moment of the last message, by the bus's own clock, and not
at its number: a bus that lost its store numbers anew. What comes twice is dropped by its place's
numbers.
Rule 3: that a place is silent is judged while everything that came was read, and never while the
bus is lost: then nobody knows.
Rule 4: a command goes to the place of its route (`PlaceCommands`). One that was not done, or may
not have been, is told in the stream.
Rule 5: the present is the bus's: places and readers compare with that alone.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Final, Protocol

import anyio
import msgspec

from probes.bus.connection import (
    PRESENCE_TTL_S,
    BusError,
    BusLostError,
    BusState,
    Entry,
    StreamMessage,
)
from probes.bus.messages import decode_hello
from probes.bus.names import (
    EVENTS_OF_ALL,
    FIRST_HEADER,
    HELLOS_BUCKET,
    OFFSET_HEADER,
    PLACES_BUCKET,
    RUN_HEADER,
    WANTED_BUCKET,
    events_of,
)
from probes.config.places import is_place
from probes.control.commands import Command, Lift, Pause
from probes.control.status import HostStatus
from probes.control.wanted_record import WantedRecord, decode_wanted
from probes.events import Hello, Notice
from probes.events.foreign import decode_foreign
from probes.kit.clock import NS_PER_S, Clock, SystemClock, seconds
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import time_of_day
from probes.sources.place_commands import PlaceCommands
from probes.sources.place_streams import MOST_ROUTES, SILENT_AFTER_NS, PlaceMessage, PlaceStreams
from probes.sources.source import Receive

SINCE_S: Final = 3600.0
"""As much as the board keeps in figures of its own."""
_MOST_READ: Final = 192 << 20
"""Bytes of the past that are read at most: half a minute of a core."""
_PIECE_BYTES: Final = 32 << 10
"""Of lines that are given at once while the past is read: some milliseconds of folding."""
_LOOK_S: Final = 0.5
_LOST_GRACE_NS: Final = 2 * NS_PER_S
"""A server that starts again is back by then."""
_READ_ANEW_NS: Final = 30 * NS_PER_S
"""Silence of all places at once after which the reading is begun anew: it costs nothing, and a
reading that the server has forgotten looks just so."""
_AGAIN_S: Final = 0.5
"""Before what failed is tried again while there is a connection."""
_ASK_HELLO_NS: Final = 2 * NS_PER_S
"""Between two times that a greeting which was not there is asked for."""
_MOST_PLACES: Final = 200
"""More are left out: whoever may publish can make up names without end."""
_LONGEST_RUN: Final = 64
_MOST_NS: Final = 1 << 61
_WORDS_LIMIT: Final = 200
_SUBJECT: Final = events_of("*").split("*")


class _Bucket(Protocol):
    async def get(self, key: str) -> Entry | None: ...

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[Entry]]: ...


class Bus(Protocol):
    """What is needed of a connection; see `probes.bus.connection`."""

    @property
    def state(self) -> BusState: ...

    @property
    def shown(self) -> str: ...

    async def run(self) -> None: ...

    async def wait_connected(self) -> None: ...

    async def close(self) -> None: ...

    async def last(self, subject: str) -> StreamMessage | None: ...

    async def request(self, subject: str, payload: bytes, *, timeout_s: float) -> bytes: ...

    def bucket(self, name: str) -> _Bucket: ...

    def messages(
        self, subject: str, *, since_ns: int | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[StreamMessage]]: ...


class _BusTime:
    """The bus's clock, by when it took what is here now."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ahead_ns: int | None = None
        """It minus ours, as near as a message has told it."""
        self._is_timed = False
        """That was told by one that had just been taken."""

    def note(self, taken_ns: int, *, is_new: bool) -> None:
        """Compare it with ours."""
        ahead_ns = taken_ns - self._clock.monotonic_ns()
        if self._ahead_ns is None or ahead_ns > self._ahead_ns:
            self._ahead_ns = ahead_ns  # what was on its way for the shortest time knows best
        self._is_timed = self._is_timed or is_new

    @property
    def now_ns(self) -> int:
        """The present on it; until anything has told that, our own wall clock's."""
        now_ns = 0
        if self._ahead_ns is not None:
            now_ns = self._ahead_ns + self._clock.monotonic_ns()
        if not self._is_timed:
            # What was taken long before it was read says only that it is later by now.
            now_ns = max(now_ns, self._clock.wall_ns())
        return now_ns


class BusSource:
    """Gives the events of all places on a bus, or of those that are asked for."""

    def __init__(
        self,
        bus: Bus,
        receive: Receive,
        *,
        places: Sequence[str] = (),
        since_s: float = SINCE_S,
        clock: Clock | None = None,
        failed: Callable[[Command, str], object] = lambda _command, _place: None,
        wanted: Callable[[WantedRecord], object] = lambda _kept: None,
        caught_up: Callable[[], object] = lambda: None,
    ) -> None:
        """Prepare to read the `places`, or all; `failed` takes each command that was not done or
        may not have been, and by which place, `wanted` what a place keeps of what is wanted of its
        routes, each time that changes, `caught_up` is called once the past has been read."""
        self._bus = bus
        self._receive = receive
        self._asked = tuple(dict.fromkeys(places))
        self._since_s = since_s
        self._clock = clock or SystemClock()
        self._failed = failed
        self._wanted = wanted
        self._caught_up = caught_up
        self._streams = PlaceStreams()
        self._present: dict[str, int] = {}
        """Place → when it last said that it probes, by our clock."""
        self._unheard: dict[str, int] = {}
        """Place that says so and was never heard → since when, by our clock."""
        self._asked_hello_ns: dict[str, int] = {}
        self._wanted_of: set[str] = set()
        """Places that keep something of what is wanted of their routes."""
        self._time = _BusTime(self._clock)
        self._taken_ns = 0
        """When the bus took the last message that was read."""
        self._until = 0
        """Number in the stream up to which the past reaches; 0 where that is not known."""
        self._from = 0
        self._at = 0
        self._is_live = False
        self._has_caught_up = False
        self._reading: anyio.CancelScope | None = None
        self._read_anew_ns = 0
        """Silence of all places at which that was begun anew last."""
        self._reads = False
        """A reading is open: what is silent could be heard."""
        self._refused: tuple[str, int] | None = None
        """Why nothing can be read although there is a connection, and since when by our clock."""
        self._began_late = ""
        """That not all of the past is read, until it is told."""
        self._given_ns = 0
        self._gather_s = 0.0
        self._released = anyio.Event()
        self._released.set()
        self._stopping = anyio.Event()
        self._is_stopped = False
        self._commands = PlaceCommands(bus, self._tell_not_done)

    # What a source is asked.

    @property
    def now_ns(self) -> int:
        """The present on the line of time that all places share."""
        return max(self._time.now_ns, self._streams.newest_ns)

    @property
    def places(self) -> tuple[str, ...]:
        """Those that are known by now."""
        return self._streams.names

    @property
    def status(self) -> HostStatus:
        """How the way to the places is."""
        bus, where = self._bus.state, self._bus.shown
        since_s = seconds(self._clock.monotonic_ns() - bus.since_ns)
        if self._is_stopped:
            return HostStatus(state="stopped")
        if not bus.connected and not bus.why:
            return HostStatus(state="starting", since_s=since_s, detail=f"connecting to {where}")
        if not bus.connected:
            since = time_of_day(self._clock.wall_ns() - round(since_s * NS_PER_S), 0)
            known = "places unknown" if self.places else "no place was heard yet"
            detail = f"since {since}, {known} · {neutralise(bus.why, _WORDS_LIMIT)}"
            return HostStatus(state="lost", since_s=since_s, silent_s=since_s, detail=detail)
        if self._refused is not None:
            why, refused_ns = self._refused
            since_s = seconds(self._clock.monotonic_ns() - refused_ns)
            if not self.places:
                return HostStatus(state="starting", since_s=since_s, detail=why)
            return HostStatus(state="lost", since_s=since_s, silent_s=since_s, detail=why)
        if not self._has_caught_up:
            percent = self._read_percent()
            return HostStatus(state="starting", since_s=since_s, read_percent=percent)
        if not self.places:
            detail = f"no place has been heard yet on {where}"
            return HostStatus(state="starting", since_s=since_s, detail=detail)
        reports = self._streams.reports
        if reports and all(report.state != "heard" for report in reports):
            # Each is told in the stream; that nobody at all is heard must not be overlooked.
            silent_s = seconds(self._streams.silent_ns)
            whose = "all places" if len(reports) > 1 else f"place {reports[0].place}"
            return HostStatus(state="silent", since_s=silent_s, silent_s=silent_s, engine=whose)
        return HostStatus(state="running", since_s=since_s)

    def send(self, command: Command) -> None:
        """Pass a command on to the place of its route, or to all; returns at once."""
        for place in self._places_of(command):
            self._commands.send(place, command)

    def hold(self) -> None:
        """Read no further until `release`; the bus keeps what comes."""
        if self._released.is_set() and not self._stopping.is_set():
            self._released = anyio.Event()

    def release(self) -> None:
        """Read on."""
        self._released.set()

    def gather(self, for_s: float) -> None:
        """Read what comes so many seconds late, much at once; 0: as it comes."""
        self._gather_s = for_s

    def retry(self) -> None:
        """Do nothing: a lost bus is tried again and again."""

    def stop(self) -> None:
        """End; `run` returns."""
        self._stopping.set()
        self._released.set()

    async def run(self) -> None:
        """Give events until `stop`."""
        try:
            async with anyio.create_task_group() as tasks:
                self._commands.tasks = tasks
                tasks.start_soon(self._bus.run)
                tasks.start_soon(self._read)
                tasks.start_soon(self._mind, PLACES_BUCKET, self._note_presence)
                tasks.start_soon(self._mind, WANTED_BUCKET, self._note_wanted)
                tasks.start_soon(self._mind_silence)
                await self._stopping.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._commands.tasks = None
            self._is_stopped = True
            with anyio.CancelScope(shield=True):
                await self._bus.close()

    # Reading.

    async def _read(self) -> None:
        """Read for ever; after each loss from where it stood."""
        subject = events_of(self._asked[0]) if len(self._asked) == 1 else EVENTS_OF_ALL
        while True:
            await self._bus.wait_connected()
            with anyio.CancelScope() as self._reading:
                try:
                    last = await self._bus.last(subject)
                    await self._read_from(subject, self._begin_ns(last), last)
                except BusLostError:
                    self._refused = None  # that it is lost its state tells
                except BusError as error:
                    # No permission to read, or the stream was deleted.
                    if self._refused is None:
                        now_ns = self._clock.monotonic_ns()
                        self._refused = neutralise(str(error), _WORDS_LIMIT), now_ns
            self._reads = False
            await self._clock.sleep(_AGAIN_S)

    def _begin_ns(self, last: StreamMessage | None) -> int:
        """Return from when to read, by the bus's clock."""
        if self._taken_ns:
            return self._taken_ns
        now_ns = max(self._clock.wall_ns(), 0 if last is None else last.at_ns)
        return max(0, now_ns - round(self._since_s * NS_PER_S))

    async def _read_from(self, subject: str, begin_ns: int, last: StreamMessage | None) -> None:
        """Read until the connection is lost. Raises BusError."""
        self._until = last.sequence if last is not None and last.at_ns >= begin_ns else 0
        self._from = self._at = waiting = 0
        self._is_live = False
        if not self._until:
            self._go_live()
        later_ns: int | None = None
        async with self._bus.messages(subject, since_ns=begin_ns) as messages:
            self._reads, self._refused = True, None
            async for message in messages:
                if not self._from:
                    self._from = message.sequence
                    later_ns = None if self._taken_ns else self._later_ns(begin_ns, message, last)
                    if later_ns is not None:
                        break
                self._at = message.sequence
                await self._take(message)
                waiting += len(message.data)
                is_read = message.sequence >= self._until
                if is_read and not self._is_live:
                    self._go_live()
                if waiting >= _PIECE_BYTES or (is_read and self._is_due()):
                    self._give()
                    waiting = 0
                await self._released.wait()
        if later_ns is not None:
            at = time_of_day(later_ns, 0)
            self._began_late = f"the bus keeps more than is read at once: this begins at {at}"
            await self._read_from(subject, later_ns, last)

    def _later_ns(
        self, begin_ns: int, first: StreamMessage, last: StreamMessage | None
    ) -> int | None:
        """Return from when to read in the place of `begin_ns`, where there is more from there on
        than a person waits for; None where there is not.

        The last message stands for all: more of them are like it than like the first.
        """
        if last is None or self._began_late:
            return None
        messages: float = last.sequence - first.sequence + 1
        if len(self._asked) == 1:
            # Other places' messages are counted too; of one place its events are numbered.
            with suppress(KeyError, ValueError, OverflowError):
                if first.headers[RUN_HEADER] == last.headers[RUN_HEADER]:
                    numbers = [int(one.headers[FIRST_HEADER]) for one in (first, last)]
                    messages = 1 + (numbers[1] - numbers[0]) / max(1, last.data.count(b"\n"))
        total = messages * len(last.data)
        if total <= _MOST_READ:
            return None
        return last.at_ns - round((last.at_ns - begin_ns) * _MOST_READ / total)

    def _go_live(self) -> None:
        self._is_live = True
        if not self._has_caught_up:
            self._streams.caught_up(self.now_ns)
            self._give()
            self._has_caught_up = True
            self._caught_up()

    def _read_percent(self) -> int:
        """Return how much of the past has been read."""
        length = self._until - self._from
        return min(99, 100 * (self._at - self._from) // length) if self._from and length > 0 else 0

    def _is_due(self) -> bool:
        """Return whether what was read is to be given now, and not gathered."""
        return self._clock.monotonic_ns() - self._given_ns >= self._gather_s * NS_PER_S

    async def _take(self, message: StreamMessage) -> None:
        """Take one message of the stream."""
        self._time.note(message.at_ns, is_new=message.sequence > self._until)
        self._taken_ns = max(self._taken_ns, message.at_ns)
        place = self._place_of(message.subject)
        if place is None:
            return
        try:
            told = _read_headers(place, message)
        except (KeyError, ValueError):
            self._streams.unreadable(place, message.at_ns)
            return
        kept = await self._kept_hello(place, told) if self._streams.needs_hello(told) else None
        self._streams.take(told, kept)
        if self._began_late and self._streams.newest_ns:
            at_ns, text = self._streams.newest_ns, self._began_late
            self._streams.tell(Notice(at_ns=at_ns, route="", text=text))
            self._began_late = ""

    def _place_of(self, subject: str) -> str | None:
        """Return whose a message is; None where it is to be left out."""
        place = subject.removeprefix(_SUBJECT[0]).removesuffix(_SUBJECT[1])
        if self._asked:
            return place if place in self._asked else None
        if place in self.places:
            return place
        return place if len(self.places) < _MOST_PLACES and is_place(place) else None

    async def _kept_hello(self, place: str, message: PlaceMessage | None = None) -> Hello | None:
        """Return the greeting of a place's newest engine; None where it cannot be had now. It is of
        no known life where the message is of an earlier one."""
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._asked_hello_ns.get(place, -_MOST_NS) < _ASK_HELLO_NS:
            return None
        self._asked_hello_ns[place] = now_ns
        try:
            entry = await self._bus.bucket(HELLOS_BUCKET).get(place)
            if entry is None:
                return None
            kept = decode_hello(entry.value)
            hello = decode_foreign(bytes(kept.hello))
        except (BusError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if not isinstance(hello, Hello):
            return None
        if message is not None and (kept.run != message.run or kept.number > message.first):
            # Whoever counts by lives would count what it had of that one a second time.
            return msgspec.structs.replace(hello, life="")
        return hello

    def _give(self) -> None:
        """Hand on what there is."""
        self._given_ns = self._clock.monotonic_ns()
        events, lines = self._streams.drain()
        if events:
            self._receive(events, lines)

    # Who is there.

    async def _mind(self, bucket: str, note: Callable[[Entry], object]) -> None:
        """Hear for ever of each change in a bucket whose keys are places."""
        while True:
            await self._bus.wait_connected()
            with suppress(BusError):
                async with self._bus.bucket(bucket).watch() as entries:
                    async for entry in entries:
                        if not self._asked or entry.key in self._asked:
                            note(entry)
            await self._clock.sleep(_AGAIN_S)

    def _note_wanted(self, entry: Entry) -> None:
        try:
            kept = decode_wanted(entry.value)
        except msgspec.DecodeError:
            return
        place, names = entry.key, {*kept.routes, *kept.configured}
        if place not in self._wanted_of:
            if len(self._wanted_of) >= _MOST_PLACES or not is_place(place):
                return
            self._wanted_of.add(place)
        if len(names) <= MOST_ROUTES and all(name.endswith(f"@{place}") for name in names):
            self._wanted(kept)

    def _note_presence(self, entry: Entry) -> None:
        place = entry.key
        # It is renewed each few seconds: no entry is old.
        self._time.note(entry.at_ns, is_new=True)
        if not entry.value:
            self._present.pop(place, None)
        elif place in self._present or (len(self._present) < _MOST_PLACES and is_place(place)):
            self._present[place] = self._clock.monotonic_ns()

    def _is_present(self, place: str) -> bool:
        last_ns = self._present.get(place)
        limit_ns = round(PRESENCE_TTL_S * NS_PER_S) + _LOST_GRACE_NS
        return last_ns is not None and self._clock.monotonic_ns() - last_ns < limit_ns

    async def _mind_silence(self) -> None:
        """Tell for ever what is not heard."""
        looked_ns = self._clock.monotonic_ns()
        while True:
            await self._clock.sleep(_LOOK_S)
            now_ns = self._clock.monotonic_ns()
            # While this process did not run itself, nobody was silent.
            span_ns = min(now_ns - looked_ns, round(2 * _LOOK_S * NS_PER_S))
            looked_ns = now_ns
            bus = self._bus.state
            if not bus.connected:
                for_ns = now_ns - bus.since_ns
                if for_ns > _LOST_GRACE_NS and bus.why:
                    why = neutralise(bus.why, _WORDS_LIMIT)
                    self._streams.lost(self.now_ns, self.now_ns - for_ns, why)
                    self._reads = False
                    self._streams.heard_again()
            elif self._reads and self._is_live and self._released.is_set():
                self._streams.listened(span_ns)
                await self._mind_unheard(now_ns)
                self._streams.look(self.now_ns, self._is_present)
                if self._streams.silent_ns - self._read_anew_ns > _READ_ANEW_NS and self._reading:
                    self._read_anew_ns = self._streams.silent_ns
                    self._reading.cancel()
                self._read_anew_ns = min(self._read_anew_ns, self._streams.silent_ns)
            if self._is_live and self._is_due():
                self._give()

    async def _mind_unheard(self, now_ns: int) -> None:
        """Know of places that are asked for, or say that they probe, and are never heard."""
        for place in {*self._asked, *self._present} - {*self.places}:
            since_ns = self._unheard.setdefault(place, now_ns)
            if now_ns - since_ns > SILENT_AFTER_NS:
                self._streams.expect(place, self.now_ns, await self._kept_hello(place))

    # Commands.

    def _places_of(self, command: Command) -> tuple[str, ...]:
        """Return whom a command is for: the place that ends the name of its route, or all."""
        if isinstance(command, Lift):  # who is not heard holds nothing back
            heard = (report for report in self._streams.reports if report.state == "heard")
            return tuple(report.place for report in heard)
        route = getattr(command, "route", "")
        if not route:
            return self.places if isinstance(command, Pause) else ()
        place = route.rpartition("@")[2]
        return (place,) if place in self.places else ()

    def _tell_not_done(self, place: str, command: Command, words: str) -> None:
        route = getattr(command, "route", "")
        self._streams.tell(Notice(at_ns=self.now_ns, route=route, text=words))
        self._failed(command, place)
        self._give()


def _read_headers(place: str, message: StreamMessage) -> PlaceMessage:
    """Return a message as its headers say it is to be read. Raises KeyError and ValueError."""
    headers = message.headers
    run, first, offset_ns = headers[RUN_HEADER], headers[FIRST_HEADER], headers[OFFSET_HEADER]
    told = PlaceMessage(place, run, int(first), int(offset_ns), message.data, message.at_ns)
    if len(run) > _LONGEST_RUN or not 1 <= told.first < _MOST_NS or abs(told.offset_ns) > _MOST_NS:
        raise ValueError(run)
    return told
