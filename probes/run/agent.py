"""An agent: a run without a screen that gives its events to a bus, and obeys what comes over it.

Rule 1: it takes its place before it probes anything, and probes nothing once somebody else has it.
Rule 2: a bus that is lost stops nothing: probing and recording go on, and what was not sent is sent
when the bus is back.
Rule 3: what is wanted of its routes is on the bus, so that the next agent of the place begins with
it, before its first probe.
Rule 4: an end in order sends all there is, for as long as a bound allows; what is left is recorded,
and the next agent of the place on this machine sends it.
"""

import platform
import signal
import traceback
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import anyio
import msgspec
from anyio import to_thread
from anyio.abc import TaskStatus

from probes import __version__
from probes.bus.address import BusAddress
from probes.bus.connection import (
    Answer,
    Bucket,
    BusConnection,
    BusError,
    BusLostError,
    BusState,
    NoAnswerError,
)
from probes.bus.messages import encode
from probes.bus.names import PLACES_BUCKET, WANTED_BUCKET, commands_of, events_of, inbox_of
from probes.bus.presence import PlaceHeld, PlaceTakenError
from probes.events import Event, Fault, Notice
from probes.exports.bus_events import BusEvents, SendingBus, stands_at
from probes.exports.recorded_lives import (
    RecordedLife,
    RecordedRow,
    default_folder,
    forget_life,
    lives_of,
    write_life,
)
from probes.exports.unsent import UnsentEvents
from probes.kit.clock import Clock, seconds
from probes.kit.exit_status import ExitStatus
from probes.kit.process_identity import current_identity
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import counted
from probes.kit.signals import first_of
from probes.run.bus_commands import TOO_MANY, CommandRate, obey
from probes.run.printing import LOOK_S
from probes.run.session import Session
from probes.run.wanted_on_bus import WantedOnBus
from probes.store.recording import Recorder

FLUSH_S: Final = 10.0
"""What the last events have to be sent in; half of what a supervisor waits before it kills."""
_FLUSH_LOST_S: Final = 2.0
"""The same where the bus is lost by then: it is rarely back just now."""
_CONNECT_S: Final = 2.0
"""Between two tries to reach the bus at the start."""
_ROWS_S: Final = 5.0
"""Between two looks at whether the recording has a new part."""
_REPAIR_S: Final = 5.0
"""Before sending begins anew after a defect of ours."""
_REPORTED: Final = 20
_NAMED_MOST: Final = 8
"""Routes in the first line."""


async def run_agent(
    address: BusAddress,
    place: str,
    make_session: Callable[[BusConnection], Session],
    *,
    recorder: Recorder | None,
    clock: Clock,
    say: Callable[[str], object],
    duration_s: float | None = None,
    folder: Path | None = None,
) -> ExitStatus:
    """Probe for a place until a signal, `duration_s` seconds after the first hello, or until the
    engine crashes again and again.

    Args:
        address: where the bus is.
        place: its name.
        make_session: makes what probes, its routes those of the place, once there is a connection.
        recorder: records the session; without one what is not sent when this ends is lost.
        clock: the time.
        say: takes a line for whoever minds the agent.
        duration_s: seconds; None for ever, and then a bus that cannot be reached is waited for.
        folder: where it is written down what of a recording was not sent; None for the usual one.

    Raises:
        PlaceTakenError: somebody else probes for the place.
        BusError: the bus cannot be had.
    """
    agent: PlaceAgent | None = None

    def changed(state: BusState) -> None:
        if agent is not None and agent.is_running:
            agent.bus_changed(state)

    connection = BusConnection(
        address,
        clock=clock,
        name=f"llmtop agent {place}",
        inbox=inbox_of(place),
        changed=changed,
    )
    try:
        await _connect(connection, clock, say, is_patient=duration_s is None)
        last = await connection.last(events_of(place))
        folder = folder or default_folder()
        try:
            earlier = await to_thread.run_sync(lives_of, folder, place, connection.shown)
        except OSError as error:
            say(f"{folder}: {error.strerror or error}")
            earlier = []
        session = make_session(connection)
        held = PlaceHeld(
            connection.bucket(PLACES_BUCKET),
            place,
            clock=clock,
            host=platform.node(),
            process=current_identity(),
            version=__version__,
            routes=len(session.wanted.routes),
            unsent=lambda: 0 if agent is None else agent.unsent.waiting,
        )
        # Of one that never sent anything only its file knows.
        last_run, _ = stands_at(last)
        await held.take(max([last_run, *(life.run for life in earlier)]))
        agent = PlaceAgent(
            connection,
            place,
            session,
            held,
            earlier=earlier,
            recorder=recorder,
            folder=folder,
            clock=clock,
            say=say,
        )
        status = await agent.run(duration_s)
    finally:
        await connection.close()
    return status


async def _connect(
    connection: BusConnection, clock: Clock, say: Callable[[str], object], *, is_patient: bool
) -> None:
    """Connect; a bus that cannot be reached is waited for, if there is the patience.

    After a power cut everything starts at once, and a supervisor gives up sooner than a bus is
    there. Nothing is probed meanwhile: who has the place is not known, nor what may be spent.

    Raises:
        BusError: it refuses us, or it cannot be reached and is not waited for.
    """
    is_said = False
    while True:
        try:
            await connection.connect()
            return
        except (BusLostError, NoAnswerError) as error:
            if not is_patient:
                raise
            if not is_said:
                say(f"{error}; it is waited for, and nothing is probed before")
            is_said = True
        await clock.sleep(_CONNECT_S)


class AgentBus(SendingBus, Protocol):
    """The connection to the bus, as far as an agent needs it."""

    @property
    def shown(self) -> str: ...

    @property
    def state(self) -> BusState: ...

    async def run(self) -> None: ...

    async def answer(self, subject: str, answer: Answer) -> None: ...

    def bucket(self, name: str) -> Bucket: ...


class PlaceAgent:
    """A run that has its place."""

    def __init__(
        self,
        connection: AgentBus,
        place: str,
        session: Session,
        held: PlaceHeld,
        *,
        earlier: list[RecordedLife],
        recorder: Recorder | None,
        folder: Path,
        clock: Clock,
        say: Callable[[str], object],
    ) -> None:
        """Prepare to run; `earlier` are lives of which something may be left to send."""
        self._connection = connection
        self._place = place
        self._session = session
        self._held = held
        self._earlier = earlier
        self._recorder = recorder
        self._folder = folder
        self._clock = clock
        self._say = say
        self.unsent = UnsentEvents(held.run, recorder, lost=self._lost)
        self._events = BusEvents(
            connection,
            place,
            self.unsent,
            clock=clock,
            server_ahead_ns=held.server_ahead_ns,
            report=self._report,
        )
        self._life = RecordedLife(place, connection.shown, held.run)
        self._commands = CommandRate()
        self._wanted = WantedOnBus(connection.bucket(WANTED_BUCKET), place, session, clock=clock)
        self._all_sent = anyio.Event()
        self._hurry = anyio.Event()
        """Whoever asked for the end has asked again."""
        self._was_lost_ns: int | None = None
        self._status = ExitStatus.OK
        self._has_place = True
        self._reported: deque[str] = deque(maxlen=_REPORTED)
        """What was said of ours, and comes again as a notice."""
        self.is_running = False

    async def run(self, duration_s: float | None) -> ExitStatus:
        """Probe, and send what is measured; see `run_agent`."""
        session = self._session
        self.is_running = True
        session.subscribe(self._events.receive)
        session.subscribe(self._tell_notices)
        session.subscribe(self._wanted.receive)
        if told := await self._wanted.take_up():
            self._say(told)
        names = sorted(session.wanted.routes)
        more = f" and {len(names) - _NAMED_MOST} more" if len(names) > _NAMED_MOST else ""
        routes = f"{counted(len(names), 'route')}: {', '.join(names[:_NAMED_MOST])}{more}"
        self._say(f"probing for {self._place} on {self._connection.shown}, {routes}")
        if self._recorder is None:
            self._say("nothing is recorded: what is not sent when this ends is lost")
        await self._write_life()
        with suppress(BusError):  # it answers as soon as the bus is back
            await self._connection.answer(commands_of(self._place), self._answer)
        async with anyio.create_task_group() as tasks:
            await tasks.start(self._mind_signals)
            tasks.start_soon(self._connection.run)
            tasks.start_soon(self._while_ours, self._keep_place)
            tasks.start_soon(self._while_ours, self._send)
            tasks.start_soon(self._wanted.keep, self._held.run, self._connected_and_ours)
            tasks.start_soon(self._keep_life)
            tasks.start_soon(self._stop_when_given_up)
            if duration_s is not None:
                tasks.start_soon(self._stop_after, duration_s)
            await session.run()
            await self._finish()
            self.is_running = False
            tasks.cancel_scope.cancel()
        return self._status

    def bus_changed(self, state: BusState) -> None:
        """Tell a person that the bus is lost or back."""
        if not state.connected and self._was_lost_ns is None:
            self._was_lost_ns = state.since_ns
            self._say(f"bus {state.why or 'lost'}; probing goes on")
        elif state.connected and self._was_lost_ns is not None:
            away_s = seconds(state.since_ns - self._was_lost_ns)
            self._was_lost_ns = None
            waiting = counted(self.unsent.waiting, "event")
            self._report(f"bus is back after {away_s:,.0f} s; {waiting} to send")

    def _report(self, text: str) -> None:
        """Tell something to whoever minds the agent and to whoever reads its events."""
        self._say(text)
        self._reported.append(text)
        self._session.note(text)

    def _lost(self, count: int) -> None:
        self._report(
            f"{counted(count, 'event')} were lost: neither in memory nor recorded any more"
        )

    def _tell_notices(self, events: list[Event], _lines: bytes) -> None:
        for event in events:
            if isinstance(event, Notice):
                if event.text in self._reported:
                    continue
                route = f"{event.route}: " if event.route else ""
                self._say(neutralise(f"{route}{event.text}"))
            elif isinstance(event, Fault):
                self._say(neutralise(f"{event.route}: {event.error}; it starts again"))

    async def _connected_and_ours(self) -> bool:
        """Return once there is a connection: whether the place is still ours."""
        await self._connection.wait_connected()
        return self._has_place

    async def _answer(self, request: bytes) -> bytes:
        if not self._commands.takes(self._clock.monotonic_ns()):
            return encode(TOO_MANY)
        reply = obey(
            request,
            wanted=self._session.wanted,
            command=self._session.command,
            offset_ns=self._events.offset_ns,
            unliftable=self._session.unliftable,
        )
        self._wanted.look()
        return encode(reply)

    async def _keep_place(self) -> None:
        await self._held.keep(self._connection.wait_connected)

    async def _send(self) -> None:
        """Send what there is until the end; a defect of ours in it stops no probe."""
        while True:
            try:
                await self._events.send_earlier(self._folder, self._earlier)
                await self._events.run()
            except PlaceTakenError:
                raise
            except Exception as error:
                told = "".join(traceback.format_exception_only(error)).strip()
                self._report(neutralise(f"sending failed and begins anew: {told}"))
                await self._clock.sleep(_REPAIR_S)
            else:
                self._all_sent.set()
                return

    async def _while_ours(self, work: Callable[[], Awaitable[object]]) -> None:
        """Do something until somebody else has the place; then end all."""
        try:
            await work()
        except PlaceTakenError as error:
            if self._has_place:
                self._has_place = False
                self._status = ExitStatus.FAILED
                # First: whoever took it probes already.
                self._session.stop()
                told = error if error.holder else await self._held.taken_by()
                self._say(f"{told}: this agent stops probing")

    async def _write_life(self) -> None:
        if self._recorder is None:
            return
        rows = tuple(
            RecordedRow(str(span.part), span.offset, number) for span, number in self.unsent.where()
        )
        # Before it has written anything, its first part is known by name.
        rows = rows or (RecordedRow(str(self._recorder.path), 0, 1),)
        if rows == self._life.rows:
            return
        life = msgspec.structs.replace(self._life, rows=rows)
        try:
            await to_thread.run_sync(write_life, self._folder, life)
        except OSError as error:
            if self._life.rows or not self._folder.exists():
                return
            self._say(f"{self._folder}: {error.strerror or error}: a killed agent loses its unsent")
        self._life = life

    async def _keep_life(self) -> None:
        while True:
            await self._clock.sleep(_ROWS_S)
            await self._write_life()

    async def _mind_signals(self, *, task_status: TaskStatus[None]) -> None:
        names = ["SIGINT", "SIGTERM"]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            names.append("SIGHUP")
        numbers = [getattr(signal, name) for name in names]
        with anyio.open_signal_receiver(*numbers) as signals:
            task_status.started()
            is_first = True
            async for _number in signals:
                if not is_first:
                    self._hurry.set()
                is_first = False
                self._session.stop()

    async def _stop_after(self, duration_s: float) -> None:
        await self._session.outlast(duration_s)
        self._session.stop()

    async def _stop_when_given_up(self) -> None:
        while self._session.status.state != "gave_up":  # noqa: ASYNC110 - nobody tells of it
            await anyio.sleep(LOOK_S)
        self._status = ExitStatus.FAILED
        self._say("the engine ended again and again: given up")
        self._session.stop()

    async def _finish(self) -> None:
        """Send the last events, and leave the place."""
        if self._has_place:
            self._events.end()
            bound_s = FLUSH_S if self._connection.state.connected else _FLUSH_LOST_S
            await first_of(
                self._all_sent.wait, self._hurry.wait, partial(self._clock.sleep, bound_s)
            )
        waiting, sent = self.unsent.waiting, self.unsent.sent_events
        self._say(f"ended: {counted(sent, 'event')} in {counted(self._events.messages, 'message')}")
        if waiting:
            told = counted(waiting, "event was", "events were")
            kept = "lost" if self._recorder is None else "recorded"
            later = "" if self._recorder is None else ", and the next agent here sends them"
            self._say(f"{told} not sent, but {kept}{later}")
        elif self._recorder is not None:
            with suppress(OSError):
                await to_thread.run_sync(forget_life, self._folder, self._life)
        if self._has_place:
            with suppress(BusError), anyio.move_on_after(_FLUSH_LOST_S):
                await self._held.leave()
