"""All places that somebody watches from here: a run without an engine of its own.

Rule 1: the stream is made by the places and joined by the source; here it is judged, as any run is,
and folded, recorded and handed on in the same order of sinks.
Rule 2: nothing is spent here. Budgets, evidence that is sought and a concurrency that finds itself
are the business of who sends the probes.
Rule 3: what is wanted of a route is what its place keeps of that, or as long as it keeps nothing
what it reports; but for the seconds in which a command of ours is on its way: a key counts from
what was asked for by the key before it.
Rule 4: who comes late calls nobody for what was over before: of the past, alerts are told to those
who call people once it has been read, and those alone that still fire.
"""

import os
import queue
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from contextlib import nullcontext
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

import anyio
import msgspec
from anyio import to_thread

from probes import __version__
from probes.board import Board
from probes.config import Config
from probes.config.settings import Alerting
from probes.control.attention import Attention
from probes.control.commands import Adapt, Command, MarkTime, Pause, SetKnob, WatchText
from probes.control.status import HostStatus
from probes.control.wanted import Wanted, WantedRoute
from probes.control.wanted_record import WantedRecord
from probes.diagnosis import Diagnostician
from probes.events import (
    SCHEMA_VERSION,
    Alert,
    Event,
    Hello,
    Knob,
    KnobKind,
    Mark,
    Notice,
    RouteInfo,
    durable_lines,
)
from probes.events.placing import SHARED_CLOCK
from probes.kit.clock import NS_PER_S, Clock, SystemClock
from probes.run.exporting import Export, alert_exports, close_exports, standing
from probes.run.sinks import Sink, board_sink, recorder_sink
from probes.run.timeline import RunTimeline, in_a_thread
from probes.run.verdicts import Judge, with_verdicts
from probes.sources.source import Receive, Source
from probes.stats.sketch import BACKEND
from probes.store.recording import Recorder

if TYPE_CHECKING:
    from probes.history.keeper import HistoryKeeper
    from probes.run.on_call import OnCall

_HELLO_PATIENCE_S: Final = 60.0
"""A duration must end where no place is heard."""
_OURS_NS: Final = 3 * NS_PER_S
"""So long after a command of ours what a place reports of a knob may be of before it."""
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


_FIELDS: Final[Mapping[KnobKind, str]] = MappingProxyType(
    {
        "concurrency": "concurrency",
        "interval": "interval",
        "rate": "rate",
        "max_tokens": "max_tokens",
        "paused": "paused",
        "auto": "adaptive",
    }
)
"""Knobs that stay as they are turned, and the fields of `WantedRoute` that hold them."""


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
        self._recorder = recorder
        self._history = history
        self._judge = Judge(diagnostician or Diagnostician())
        self._board = Board()
        self._wanted = Wanted(MappingProxyType({}), MappingProxyType({}))
        self._reported: dict[str, WantedRoute] = {}
        """Each route as its place reports it."""
        self._kept: set[str] = set()
        """Those of which it keeps what is wanted: what it reports is older."""
        self._configured: dict[str, WantedRoute] = {}
        """Each as its place has it in its settings, where that is known."""
        self._event_ns = 0
        """Newest stamp of the stream."""
        self._ours: dict[tuple[str, str], int] = {}
        """Route and field of our newest commands → until when reports of it are not believed."""
        self._timeline = (
            RunTimeline(self._board, recorder, aside=in_a_thread)
            if goes_back and recorder is not None
            else None
        )
        self._sinks: list[Sink] = [
            # In the order of `Session`, for its reasons.
            board_sink(self._board),
            *([] if recorder is None else [recorder_sink(recorder)]),
            *([] if self._timeline is None else [self._timeline.receive]),
            *([] if history is None else [history.receive]),
        ]
        self._callers: list[Sink] = []
        self._firing: dict[str, Alert] | None = {}
        """Alerts of the past that fire; None once the present has come."""
        self._problems: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._greeted = False
        self._hello_came = anyio.Event()
        self._early: list[Event] = []
        self._told_no_text = False
        self.attention = Attention(self._clock)
        """What somebody does about its alerts."""
        self._exports: list[Export] = []
        self._on_call = on_call
        if on_call is not None:
            self._sinks.append(on_call.receive)
        alerting = Alerting() if config is None else config.alerts
        for one in alert_exports(
            alerting,
            environ=os.environ,
            secrets=frozenset(),  # those of the routes are where these are probed from
            scrub=str,
            report=self._problems.put,
            attention=self.attention,
            on_call=on_call,
        ):
            self._exports.append(one)
            self._callers.append(one.receive)
        self._source = make_source(
            self._receive, failed=self._not_done, wanted=self._keep, caught_up=self._catch_up
        )

    # What a cockpit asks of a session.

    @property
    def board(self) -> Board:
        """Everything the stream has told so far."""
        return self._board

    @property
    def timeline(self) -> RunTimeline | None:
        """What can be gone back to; None where nothing is recorded."""
        return self._timeline

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
        return self._wanted

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
    def recording_path(self) -> str:
        """The file being recorded to; empty where nothing is, or was."""
        recorder = self._recorder
        return "" if recorder is None or not recorder.has_begun else str(recorder.path)

    def subscribe(self, sink: Sink) -> None:
        """Call back with every batch, after the board has folded it and it is being recorded."""
        self._sinks.append(sink)

    def subscribe_caller(self, sink: Sink) -> None:
        """The same for who calls people: with what is of now, and the alerts that still fire."""
        self._callers.append(sink)

    def export(self, export: Export) -> None:
        """Give every batch to what goes to another program, and close it with the run; of the past
        it is given how things stand, and nothing that counts: who comes late counts from now on."""
        self._exports.append(export)

        def receive(events: list[Event], lines: bytes) -> None:
            if self._firing is None:
                export.receive(events, lines)
            else:
                export.receive(standing(events), b"")

        self._sinks.append(receive)

    def command(self, command: Command) -> None:
        """Hand a command to the place of its route, or to all places."""
        match command:
            case MarkTime():
                at_ns = max(self._source.now_ns, self._event_ns)
                mark = Mark(at_ns=at_ns, text=command.text, about_ns=command.about_ns)
                self._deliver([mark])
            case WatchText():
                if command.route and not self._told_no_text:
                    self._told_no_text = True
                    self._emit(_NO_TEXT, command.route)
            case _:
                until_ns = self._clock.monotonic_ns() + _OURS_NS
                self._ours.update(dict.fromkeys(_turned(command, self._wanted), until_ns))
                self._wanted = self._wanted.after_command(command)
                self._source.send(command)

    def note(self, text: str) -> None:
        """Put a notice of the caller's into the stream, after its hello."""
        self._problems.put(text)

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
        """Say that this is done where the budgets are held."""
        self._emit(
            "budgets are held where the probes are sent: they are lifted there, not from here"
        )

    async def outlast(self, duration_s: float) -> None:
        """Return so many seconds after the first hello, or after that is given up."""
        with anyio.move_on_after(_HELLO_PATIENCE_S):
            await self._hello_came.wait()
        await self._clock.sleep(duration_s)

    def stop(self) -> None:
        """End in order; `run` returns when all is written."""
        self._source.stop()

    async def run(self) -> None:
        """Run until `stop`."""
        if self._recorder is not None:
            self._recorder.start(self._problems.put)
        if self._history is not None:
            self._history.start(self._problems.put)
        async with nullcontext() if self._on_call is None else self._on_call.at_work():
            try:
                await self._source.run()
            finally:
                with anyio.CancelScope(shield=True):
                    await self._finish()

    async def _finish(self) -> None:
        await close_exports(self._exports)
        if not self._greeted:
            now_ns = self._source.now_ns
            hello = Hello(
                at_ns=now_ns,
                wall_ns=now_ns,
                engine="",
                version=__version__,
                schema=SCHEMA_VERSION,
                pid=os.getpid(),
                clock_name=SHARED_CLOCK,
                digests=BACKEND,
                routes=(),
            )
            self._deliver([hello])
        if self._history is not None:
            await to_thread.run_sync(self._history.close)
        self._tell_problems()
        # Last: what was said until now is recorded, too.
        if self._recorder is not None:
            await to_thread.run_sync(self._recorder.close)
            self._tell_problems()

    # The stream.

    def _receive(self, events: list[Event], lines: bytes) -> None:
        if not self._greeted:
            first = next((at for at, one in enumerate(events) if isinstance(one, Hello)), None)
            if first is None:
                self._early.extend(events)
                return
            hello_ns = events[first].at_ns
            # Who told something before knew no time of any place.
            early = [
                msgspec.structs.replace(event, at_ns=max(event.at_ns, hello_ns))
                for event in (*self._early, *events[:first])
            ]
            events = [*events[first:], *early]
            self._early = []
            lines = durable_lines(events)
            self._greeted = True
            self._hello_came.set()
        events, lines = with_verdicts(self._judge, events, lines)
        for sink in self._sinks:
            sink(events, lines)
        if self._firing is None:
            for caller in self._callers:
                caller(events, lines)
        else:
            self._note_alerts(self._firing, events)
        self._event_ns = max([self._event_ns, *(event.at_ns for event in events)])
        self._learn(events)
        self._tell_problems()

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

    def _learn(self, events: Sequence[Event]) -> None:
        """Take what places report of their routes for what is wanted of them."""
        moved: set[str] = set()
        for event in events:
            if isinstance(event, Hello):
                self._forget(event.place, {info.name for info in event.routes})
                told = [info for info in event.routes if info.name not in self._kept]
                self._reported.update((info.name, _as_configured(info)) for info in told)
                moved.update(info.name for info in told)
            elif isinstance(event, Knob) and event.route in self._reported.keys() - self._kept:
                field = _FIELDS.get(event.knob)
                if field is not None:
                    is_switch = field in ("paused", "adaptive")
                    value = bool(event.after) if is_switch else event.after
                    self._reported[event.route] = msgspec.structs.replace(
                        self._reported[event.route], **{field: value}
                    )
                    moved.add(event.route)
        now_ns = self._clock.monotonic_ns()
        for key in [key for key, until_ns in self._ours.items() if until_ns <= now_ns]:
            del self._ours[key]
            moved.add(key[0])
        if moved:
            self._believe(moved)

    def _forget(self, place: str, probed: Set[str]) -> None:
        """Let go of the routes of a place that are not probed: one that names others each time
        would fill the memory."""
        gone = {
            name
            for name in {*self._reported, *self._configured}
            if name.endswith(f"@{place}") and name not in probed
        }
        if not gone:
            return
        self._kept -= gone
        for name in gone:
            self._reported.pop(name, None)
            self._configured.pop(name, None)
        routes = {name: one for name, one in self._wanted.routes.items() if name not in gone}
        self._wanted = msgspec.structs.replace(self._wanted, routes=MappingProxyType(routes))

    def _keep(self, kept: WantedRecord) -> None:
        """Take what a place keeps of what is wanted of its routes."""
        for place in {name.rpartition("@")[2] for name in kept.routes}:
            self._forget(place, kept.routes.keys())
        self._kept |= kept.routes.keys()
        self._reported.update(kept.routes)
        self._configured.update(kept.configured)
        self._believe(kept.routes)

    def _believe(self, names: Iterable[str]) -> None:
        """Want of routes what is reported of them, but for what is ours."""
        routes = dict(self._wanted.routes)
        for name in names:
            reported, wanted = self._reported.get(name), routes.get(name)
            if reported is not None:
                ours = (
                    {}
                    if wanted is None
                    else {field: getattr(wanted, field) for of, field in self._ours if of == name}
                )
                routes[name] = msgspec.structs.replace(reported, **ours)
        configured = MappingProxyType({**routes, **self._configured})
        self._wanted = msgspec.structs.replace(
            self._wanted, configured=configured, routes=MappingProxyType(routes)
        )

    def _not_done(self, command: Command, place: str) -> None:
        """Want again what a place reports, where it has not done what was asked for."""
        keys = [key for key in _turned(command, self._wanted) if key[0].endswith(f"@{place}")]
        for key in keys:
            self._ours.pop(key, None)
        self._believe({name for name, _ in keys})

    def _deliver(self, events: list[Event]) -> None:
        """Put events of our own into the stream."""
        self._receive(events, durable_lines(events))

    def _emit(self, text: str, route: str = "") -> None:
        """Put a notice of our own into the stream."""
        self._deliver([Notice(at_ns=self._event_ns, route=route, text=text)])

    def _tell_problems(self) -> None:
        """Say what the recorder and the command for alerts met since."""
        while self._greeted and not self._problems.empty():
            self._emit(self._problems.get())


def _as_configured(info: RouteInfo) -> WantedRoute:
    return WantedRoute(
        float(info.concurrency),
        info.interval,
        float(info.max_tokens),
        info.paused,
        rate=info.rate if info.pace != "interval" else None,
        adaptive=info.adaptive,
    )


def _turned(command: Command, wanted: Wanted) -> list[tuple[str, str]]:
    """Return the routes and the fields of what is wanted of them that a command sets."""
    match command:
        case SetKnob(knob="concurrency"):
            return [(command.route, "concurrency"), (command.route, "adaptive")]
        case SetKnob() if command.knob in _FIELDS.values():
            return [(command.route, command.knob)]
        case Adapt(concurrency=None):
            return [(command.route, "adaptive")]
        case Adapt():
            return [(command.route, "concurrency"), (command.route, "adaptive")]
        case Pause():
            return [(name, "paused") for name in wanted.routes if command.route in ("", name)]
        case _:
            return []
