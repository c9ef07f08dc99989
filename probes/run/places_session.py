"""All places that somebody watches from here: a run without an engine of its own.

Rule 1: the stream is made by the places and joined by the source; what becomes of it here is
`RunStream`'s, as in any run.
Rule 2: nothing is spent here. Budgets, evidence that is sought and a concurrency that finds itself
are the business of who sends the probes.
Rule 3: who comes late calls nobody for what was over before: of the past, alerts are told to those
who call people once it has been read, and those alone that still fire.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from probes.board import Board
from probes.config import Config
from probes.config.settings import Alerting
from probes.control.attention import Attention
from probes.control.commands import Command, Lift, MarkTime, WatchText
from probes.control.status import HostStatus
from probes.control.wanted import Wanted
from probes.control.wanted_elsewhere import WantedElsewhere
from probes.control.wanted_record import WantedRecord
from probes.diagnosis import Diagnostician
from probes.events import Alert, Event, Mark, durable_lines
from probes.events.placing import at_place
from probes.kit.clock import Clock, SystemClock
from probes.run.exporting import Export, alert_exports, standing
from probes.run.run_stream import RunStream, own_hello
from probes.run.sinks import Sink
from probes.run.timeline import RunTimeline
from probes.run.with_past import with_past
from probes.sources.source import Receive, Source
from probes.store.recording import Recorder

if TYPE_CHECKING:
    from probes.history.keeper import HistoryKeeper
    from probes.run.on_call import OnCall

_NO_TEXT: Final = "the text of a stream does not come from other places"


class PlacesSource(Source, Protocol):
    """Who gives the events of several places."""

    @property
    def now_ns(self) -> int:
        """The present on the line of time that all places share."""
        ...


class MakeSource(Protocol):
    """Makes a source."""

    def __call__(
        self,
        receive: Receive,
        *,
        failed: Callable[[Command, str], object],
        wanted: Callable[[WantedRecord], object],
        caught_up: Callable[[], object],
    ) -> PlacesSource:
        """Return one whose events `receive` takes; `failed` hears of each command that a place has
        not done, `wanted` of what is wanted by now of a place's routes, and `caught_up` once the
        past has been read."""
        ...


class PlacesSession:
    """Shows, records and commands what is probed elsewhere.

    All methods are for the event loop's thread; all but `run` return at once.
    """

    def __init__(
        self,
        make_source: MakeSource,
        *,
        config: Config | None = None,
        recorder: Recorder | None = None,
        clock: Clock | None = None,
        diagnostician: Diagnostician | None = None,
        history: "HistoryKeeper | None" = None,
        goes_back: bool = True,
        on_call: "OnCall | None" = None,
    ) -> None:
        """Prepare; of `config` what is done about alerts is taken, and nothing else. `history`
        keeps what comes of it for weeks: of the past it is told what another cockpit may have kept
        already, which doubles nothing. Without `goes_back` nothing is kept for who would look at
        its past. `on_call` knows whether it is on this run to call people, where others do."""
        self._clock = clock or SystemClock()
        self._wanted = WantedElsewhere(self._clock)
        self._stream = RunStream(
            diagnostician or Diagnostician(),
            clock=self._clock,
            recorder=recorder,
            history=history,
            goes_back=goes_back,
            begins_from_history=False,
            learn=self._wanted.receive,
            follow=self._call,
        )
        self._callers: list[Sink] = []
        self._firing: dict[str, Alert] | None = {}
        """Alerts of the past that fire; None once the present has come."""
        self._told_no_text = False
        self.attention = Attention(self._clock)
        """What somebody does about its alerts."""
        self._on_call = on_call
        if on_call is not None:
            self._stream.subscribe(on_call.receive)
        alerting = Alerting() if config is None else config.alerts
        for one in alert_exports(
            alerting,
            environ=os.environ,
            secrets=frozenset(),  # those of the routes are where these are probed from
            scrub=str,
            report=self._stream.note,
            attention=self.attention,
            on_call=on_call,
        ):
            caller = with_past(one, self._clock, history=history)
            self._stream.close_with_it(caller)
            self._callers.append(caller.receive)
        self._source = make_source(
            self._stream.receive,
            failed=self._wanted.not_done,
            wanted=self._wanted.keep,
            caught_up=self._catch_up,
        )

    # What a cockpit asks of a session.

    @property
    def board(self) -> Board:
        """Everything the stream has told so far."""
        return self._stream.board

    @property
    def timeline(self) -> RunTimeline | None:
        """What can be gone back to; None where nothing is recorded."""
        return self._stream.timeline

    @property
    def replayed(self) -> None:
        """It is no recording."""
        return

    @property
    def comparisons(self) -> None:
        """None can be made from here: its pairs would come from another place."""
        return

    @property
    def sweeps(self) -> None:
        """The same of sweeps."""
        return

    @property
    def wanted(self) -> Wanted:
        """What is wanted of each route by now."""
        return self._wanted.now

    @property
    def status(self) -> HostStatus:
        """How the way to the places is."""
        return self._source.status

    @property
    def given_up(self) -> tuple[tuple[str, str], ...]:
        """None is: agents come back by themselves, and are waited for."""
        return ()

    @property
    def is_over(self) -> bool:
        """Whether nobody will be heard any more: never, for the same reason."""
        return False

    @property
    def asks(self) -> bool:
        """Whether its routes can be compared and swept: that is done where they are probed."""
        return False

    @property
    def has_text(self) -> bool:
        """Whether the text of open streams can be had: it is never kept, nor sent anywhere."""
        return False

    @property
    def recording_path(self) -> str:
        """The file being recorded to; empty where nothing is, or was."""
        return self._stream.recording_path

    def subscribe(self, sink: Sink) -> None:
        """Call back with every batch, after the board has folded it and it is being recorded."""
        self._stream.subscribe(sink)

    def subscribe_caller(self, sink: Sink) -> None:
        """The same for who calls people: with what is of now, and the alerts that still fire."""
        self._callers.append(sink)

    def export(self, export: Export) -> None:
        """Give every batch to what goes to another program, and close it with the run; of the past
        it is given how things stand, and nothing that counts: who comes late counts from now on."""

        def receive(events: list[Event], lines: bytes) -> None:
            if self._firing is None:
                export.receive(events, lines)
            else:
                export.receive(standing(events), b"")

        self._stream.subscribe(receive)
        self._stream.close_with_it(export)

    def command(self, command: Command) -> None:
        """Hand a command to the place of its route, or to all places."""
        match command:
            case MarkTime():
                at_ns = max(self._source.now_ns, self._stream.newest_ns)
                mark = Mark(at_ns=at_ns, text=command.text, about_ns=command.about_ns)
                self._stream.deliver([mark])
            case WatchText():
                if command.route and not self._told_no_text:
                    self._told_no_text = True
                    self._stream.emit(_NO_TEXT, command.route)
            case _:
                self._wanted.command(command)
                self._source.send(command)

    def note(self, text: str) -> None:
        """Put a notice of the caller's into the stream, after its hello."""
        self._stream.note(text)

    def hold(self) -> None:
        """Read no more events until `release`."""
        self._source.hold()

    def release(self) -> None:
        """Read on."""
        self._source.release()

    def gather(self, for_s: float) -> None:
        """Take events about so many seconds after they came, much at once; 0: as they come."""
        self._source.gather(for_s)

    def retry(self) -> None:
        """Do nothing: what is lost is tried again and again."""
        self._source.retry()

    def lift(self) -> None:
        """Have it done where the budgets are held."""
        self._source.send(Lift())

    async def outlast(self, duration_s: float) -> None:
        """Return so many seconds after the first hello, or after that is given up."""
        await self._stream.outlast(duration_s)

    def stop(self) -> None:
        """End in order; `run` returns when all is written."""
        self._source.stop()

    async def run(self) -> None:
        """Run until `stop`."""
        self._stream.start()
        async with nullcontext() if self._on_call is None else self._on_call.at_work():
            try:
                await self._stream.during(self._source.run)
            finally:
                with anyio.CancelScope(shield=True):
                    await self._stream.close(self._own_hello)

    def _own_hello(self) -> Event:
        """Say hello for places that never did."""
        now_ns = self._source.now_ns
        return at_place(own_hello(now_ns, now_ns, ()), "", 0)

    # Who calls people.

    def _call(self, events: list[Event], lines: bytes) -> None:
        """Give a batch to those who do; of the past note what fires."""
        if self._firing is None:
            for caller in self._callers:
                caller(events, lines)
        else:
            self._note_alerts(self._firing, events)

    def _note_alerts(self, firing: dict[str, Alert], events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Alert):
                if event.state == "firing":
                    firing[event.id] = event
                else:
                    firing.pop(event.id, None)

    def _catch_up(self) -> None:
        """Know that the present has come: call for what still fires."""
        if self._on_call is not None:
            self._on_call.begin()
        firing, self._firing = self._firing, None
        events: list[Event] = [*(firing or {}).values()]
        if events:
            for caller in self._callers:
                caller(events, durable_lines(events))
