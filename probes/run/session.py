"""One run of llmtop without its face: the sources of its events, and all that takes them.

Rule 1: what becomes of the events, from the source to all that takes them, is `RunStream`'s.
Rule 2: each engine has a lease of its own on the one ledger; several are merged into one source.
Rule 3: after a batch the engines are asked for more probes of what is suspected by then, and for
the concurrency that a route has found for itself. Whether it does so is ours to know and to tell.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from probes.adapting import AdaptiveLimits
from probes.board import Board
from probes.config import Config, Route
from probes.config.places import GivenPlace
from probes.config.proxy_choice import proxy_secrets
from probes.config.scrubbing import Scrubber
from probes.config.secrets import query_secrets, secret_values
from probes.config.tls import unverified
from probes.control.attention import Attention
from probes.control.commands import Adapt, Command, Configure, Go, Lift, SetKnob
from probes.control.status import HostStatus
from probes.control.wanted import Wanted
from probes.diagnosis import Diagnostician
from probes.engine.introduction import route_info
from probes.events import Event, Hello, Knob
from probes.events.knob_turns import BY_ITSELF
from probes.events.placing import at_place, offset_of
from probes.events.spoken_of import speaks_of
from probes.kit.clock import Clock, SystemClock
from probes.kit.descriptors import raise_descriptor_limit
from probes.money.budget_lease import BudgetLease, unenforceable_budgets
from probes.money.ledger import Ledger
from probes.money.ledger_file import LedgerError
from probes.money.run_ledger import RunLedger
from probes.money.shared_ledger import SharedLedger
from probes.run.exporting import Export, alert_exports
from probes.run.funded import FundedEngine
from probes.run.run_stream import RunStream, own_hello
from probes.run.sinks import Sink, WantedState
from probes.run.thickening import Thickening
from probes.run.timeline import RunTimeline
from probes.run.with_past import with_past
from probes.sources.child_process import launch_process
from probes.sources.rules import HostLimits
from probes.sources.several import SeveralEngines
from probes.sources.source import Brief, Receive, Source
from probes.sources.supervised import EngineWay, Launch
from probes.stats.sketch import BACKEND
from probes.store.recording import Recorder

if TYPE_CHECKING:
    # What a screen asks for; no start should pay for it.
    from probes.comparing.source import ComparisonSource
    from probes.history.keeper import HistoryKeeper
    from probes.run.on_call import OnCall
    from probes.sources.places import SeveralPlaces
    from probes.sweeping.source import SweepSource


class Session:
    """Runs a configuration's routes until stopped.

    All methods are for the event loop's thread; all but `run` return at once.
    """

    def __init__(
        self,
        config: Config,
        headers: Mapping[str, Mapping[str, str]],
        *,
        recorder: Recorder | None,
        ledger: Ledger | SharedLedger,
        in_process: bool = False,
        engines: int = 1,
        clock: Clock | None = None,
        include_text: bool = False,
        apart: Path | None = None,
        limits: HostLimits | None = None,
        launch: Launch = launch_process,
        places: Sequence[GivenPlace] = (),
        way_to: Callable[[GivenPlace], EngineWay] | None = None,
        diagnostician: Diagnostician | None = None,
        compare: "Callable[[], ComparisonSource] | None" = None,
        sweep: "Callable[[], SweepSource] | None" = None,
        history: "HistoryKeeper | None" = None,
        goes_back: bool = True,
        on_call: "OnCall | None" = None,
    ) -> None:
        """Prepare a run of `engines` engines, each in a process of its own unless `in_process`; or
        of one at each of `places`, to which `config` has its routes (`config_at`).

        `headers` are those of each route with its secrets filled in, where it is probed from this
        machine; `way_to` tells how an engine elsewhere is reached, in the place of ssh; `apart` is
        the ledger that takes what the shared one does not at the end; `diagnostician` judges the
        run in the place of a new one of ours; `compare` and `sweep` make what compares and sweeps
        its routes for a screen; `history` keeps what comes of it for weeks, and tells what
        was usual before; without `goes_back` nothing is kept for who would look at its past;
        `on_call` knows whether it is on this run to call people, where others watch the same.
        """
        self._config = config
        self._compare = compare
        self._sweep = sweep
        self._sweeps: SweepSource | None = None
        self._comparisons: ComparisonSource | None = None
        self._headers = {route: dict(values) for route, values in headers.items()}
        self._clock = clock or SystemClock()
        self._include_text = include_text
        self._diagnostician = diagnostician or Diagnostician()
        self._thickening = Thickening({route.name for route in config.routes if route.evidence})
        self._adaptive = AdaptiveLimits()
        self._routes = tuple(route_info(route) for route in config.routes)
        self._begun: set[str] = set()
        """Routes of which an engine has spoken."""
        self._wanted = WantedState(config.routes)
        self._stream = RunStream(
            self._diagnostician,
            clock=self._clock,
            recorder=recorder,
            history=history,
            goes_back=goes_back,
            begins_from_history=True,
            learn=self._wanted.receive,
            follow=self._follow,
        )
        # A screen that is there before its engine shows what is about to be probed.
        self.board.expect(self._routes)
        self._ledger = RunLedger(
            ledger,
            config.routes,
            config.budget,
            clock=self._clock,
            engines=len(places) or engines,
            apart=apart,
            recording="" if recorder is None else recorder.path.name.split(".", 1)[0],
        )
        self._launch = self._launch_in_this_loop() if in_process else launch
        self._limits = limits
        secrets = (
            secret_values(self._headers)
            | query_secrets(config.routes)
            | proxy_secrets(config.routes, os.environ)
        )
        self._scrub = Scrubber(secrets).scrub
        self.attention = Attention(self._clock)
        """What somebody does about its alerts."""
        self._on_call = on_call
        if on_call is not None:
            self._stream.subscribe(on_call.receive)
        for one in alert_exports(
            config.alerts,
            environ=os.environ,
            secrets=secrets,
            scrub=self._scrub,
            report=self._stream.note,
            attention=self.attention,
            on_call=on_call,
        ):
            self.export(with_past(one, self._clock, history=history))
        self._funded: list[FundedEngine] = []
        self._places: SeveralPlaces | None = None
        self._source: Source
        if places:
            self._source = self._places = self._at_places(places, way_to)
        elif engines == 1:
            self._source = self._fund(0, config.routes, self._brief, self._stream.receive)
        else:
            self._source = SeveralEngines(
                self._brief,
                self._stream.receive,
                routes=config.routes,
                engines=engines,
                make_engine=self._fund,
                clock=self._clock,
            )

    @property
    def board(self) -> Board:
        """Everything the stream has told so far."""
        return self._stream.board

    @property
    def wanted(self) -> Wanted:
        """What the user wants of the engines by now."""
        return self._wanted.now

    @property
    def status(self) -> HostStatus:
        """How the engine is."""
        return self._source.status

    @property
    def given_up(self) -> list[tuple[str, str]]:
        """The places that were given up, each with the reason; empty where there are none."""
        return [] if self._places is None else self._places.given_up

    @property
    def is_over(self) -> bool:
        """Whether nobody probes, nor will without being asked to: engines died too often, or none
        could begin. Of several places one that probes is enough."""
        if self._places is not None:
            return self._places.is_given_up
        return self.status.state == "gave_up"

    @property
    def timeline(self) -> RunTimeline | None:
        """What of the run can be gone back to; None where nothing is recorded."""
        return self._stream.timeline

    @property
    def replayed(self) -> None:
        """It is no recording."""
        return None

    @property
    def comparisons(self) -> "ComparisonSource | None":
        """What compares its routes beside it, made when it is first asked for."""
        if self._comparisons is None and self._compare is not None:
            self._comparisons = self._compare()
        return self._comparisons

    @property
    def sweeps(self) -> "SweepSource | None":
        """What sweeps its routes beside it, made when it is first asked for."""
        if self._sweeps is None and self._sweep is not None:
            self._sweeps = self._sweep()
        return self._sweeps

    @property
    def asks(self) -> bool:
        """Whether its routes can be compared and swept from here."""
        return self._compare is not None and self._sweep is not None

    @property
    def has_text(self) -> bool:
        """Whether the text of open streams can be had."""
        return True

    @property
    def recording_path(self) -> str:
        """The file being recorded to; empty where nothing is, or was."""
        return self._stream.recording_path

    def subscribe(self, sink: Sink) -> None:
        """Call back with every batch, after the board has folded it and it is being recorded."""
        self._stream.subscribe(sink)

    def export(self, export: Export) -> None:
        """Give every batch to what goes to another program, and close it with the run."""
        self._stream.subscribe(export.receive)
        self._stream.close_with_it(export)

    def command(self, command: Command) -> None:
        """Change what is wanted, now and in every engine to come."""
        if isinstance(command, Lift):
            self.lift()
            return
        before = self._wanted.now.routes
        self._wanted.command(command)
        if isinstance(command, Adapt):
            if command.concurrency is not None:
                knob, value = "concurrency", command.concurrency
                turn = SetKnob(route=command.route, knob=knob, value=value, who=command.who)
                self._source.send(turn)
        else:
            self._source.send(command)
        if isinstance(command, Adapt | SetKnob) and command.route in before:
            self._tell_adaptive(command, before[command.route].adaptive)

    def _tell_adaptive(self, command: Adapt | SetKnob, was: bool) -> None:
        """Tell where a command has changed whether the concurrency of a route finds itself. Before
        an engine of the route has spoken that is not told: it will stand behind its hello."""
        now = self._wanted.now.routes[command.route].adaptive
        if now != was and command.route in self._begun:
            reason = "" if isinstance(command, Adapt) else "CONC was set by hand"
            self._stream.deliver([self._switched(command.route, now, command.who, reason)])

    def _switched(self, route: str, now: bool, who: str, reason: str = "") -> Knob:
        before, after = float(not now), float(now)
        return Knob(
            at_ns=self._stream.now_ns,
            route=route,
            knob="auto",
            before=before,
            after=after,
            who=who,
            reason=reason,
        )

    def note(self, text: str) -> None:
        """Put a notice of the caller's into the stream, after its hello."""
        self._stream.note(text)

    def hold(self) -> None:
        """Read no more events until `release`; the engine then holds its own admissions."""
        self._source.hold()

    def release(self) -> None:
        """Read on."""
        self._source.release()

    def gather(self, for_s: float) -> None:
        """Take events about so many seconds after they came, much at once; 0: as they come."""
        self._source.gather(for_s)

    def retry(self) -> None:
        """Start an engine now, after crashes made us give up."""
        self._source.retry()

    def lift(self) -> None:
        """Let the budgets count from what is known, where the ledger is in doubt or fails."""
        self._ledger.lift()
        for engine in self._funded:
            engine.top_up()

    @property
    def unliftable(self) -> str:
        """What is in doubt of the budgets and cannot be lifted; empty where nothing is."""
        return self._ledger.doubt if self._ledger.doubt_kind == "away" else ""

    async def outlast(self, duration_s: float) -> None:
        """Return so many seconds after the first hello: what a run's duration counts from.

        Where no engine introduces itself, the seconds count from when that is given up.
        """
        await self._stream.outlast(duration_s)

    def stop(self) -> None:
        """End the run in order; `run` returns when all is written and nothing is left behind."""
        self._source.stop()

    async def run(self) -> None:
        """Run until `stop`."""
        raise_descriptor_limit()
        routes = self._config.routes
        unenforceable = unenforceable_budgets(routes, self._config.budget)
        for route, text in (*unenforceable, *unverified(routes)):
            self._stream.note(text, route)
        self._stream.start()
        async with nullcontext() if self._on_call is None else self._on_call.at_work():
            try:
                await self._stream.during(self._source.run)
            finally:
                with anyio.CancelScope(shield=True):
                    # Before exports take their seconds: what is not given back counts as spent.
                    try:
                        await self._ledger.close()
                    except LedgerError as error:
                        self._stream.note(str(error))
                    self._tell_news()
                    await self._stream.close(self._own_hello)

    def _at_places(
        self, places: Sequence[GivenPlace], way_to: Callable[[GivenPlace], EngineWay] | None
    ) -> "SeveralPlaces":
        """Make the source of an engine at each place."""
        # Most runs have need of neither.
        from probes.sources.places import SeveralPlaces
        from probes.sources.ssh import ssh_way

        def fund(
            number: int, routes: Sequence[Route], brief: Brief, receive: Receive
        ) -> FundedEngine:
            place = places[number]
            way = None if place.way == "local" else (way_to or ssh_way)(place)
            return self._fund(number, routes, brief, receive, way=way)

        return SeveralPlaces(
            self._brief,
            self._stream.receive,
            routes=self._config.routes,
            places=places,
            make_engine=fund,
            clock=self._clock,
        )

    def _fund(
        self,
        engine: int,
        routes: Sequence[Route],
        brief: Brief,
        receive: Receive,
        *,
        way: EngineWay | None = None,
    ) -> FundedEngine:
        """Make the source of one engine, with a lease of its own for its part of the routes.

        It is reached by `way`, or is one of this machine.
        """
        way = way or EngineWay(self._launch, limits=self._limits)
        funded = FundedEngine(
            brief,
            receive,
            lease=BudgetLease(self._ledger, routes, clock=self._clock, engine=engine),
            launch=way.launch,
            limits=way.limits,
            clock=self._clock,
            scrub=self._scrub,
            topped_up=self._tell_news,
            explain=way.explain,
            decode=way.decode,
        )
        self._funded.append(funded)
        return funded

    def _launch_in_this_loop(self) -> Launch:
        # A screen beside its engine never needs what these bring: no start should pay for it.
        from probes.engine.engine import run_engine
        from probes.sources.in_process import launch_task

        return partial(launch_task, run_engine=run_engine, clock=self._clock)

    def _brief(self, engine: str) -> Sequence[Command]:
        """Return what a new engine must know."""
        configure = Configure(
            engine=engine,
            routes=self._config.routes,
            headers=self._headers,
            include_text=self._include_text,
            digests=BACKEND,
        )
        return [configure, *self._wanted.commands(self._stream.now_ns), Go()]

    def _follow(self, events: list[Event], _lines: bytes) -> None:
        """Do what follows from a batch."""
        self._seek_evidence()
        self._adapt(events)
        hellos = [event for event in events if isinstance(event, Hello)]
        if hellos:
            # An engine that begins knows the settings alone, and nothing of what is ours to know.
            # Of several places it says nothing of the routes of another.
            begun = {i.name for i in self._routes if any(speaks_of(one, i) for one in hellos)}
            self._begun |= begun
            wanted = self._wanted.now
            switched: list[Event] = [
                self._switched(name, route.adaptive, "restart")
                for name, route in wanted.routes.items()
                if name in begun and route.adaptive != wanted.configured[name].adaptive
            ]
            if switched:
                self._stream.deliver(switched)

    def _adapt(self, events: list[Event]) -> None:
        """Set the concurrency of routes that find it themselves, where a batch moves it."""
        moves = {move.route: move for event in events if (move := self._adaptive.fold(event))}
        for move in moves.values():
            wanted = self._wanted.now.routes.get(move.route)
            if wanted is not None and wanted.adaptive:
                self.command(
                    SetKnob(
                        route=move.route,
                        knob="concurrency",
                        value=move.concurrency,
                        who=BY_ITSELF,
                        reason=move.reason,
                    )
                )

    def _seek_evidence(self) -> None:
        """Ask the engines for more probes where they would tell more."""
        wanted = self._wanted.now.routes
        suspects = self._diagnostician.suspects
        # What hangs is among them: of nothing, with each batch, it need not be asked.
        hanging = {
            name
            for name in (self._diagnostician.hanging if suspects else ())
            if name in wanted and wanted[name].concurrency == 1
        }
        now_ns = self._clock.monotonic_ns()
        for command in self._thickening.commands(now_ns, suspects, hanging):
            self._source.send(command)

    def _tell_news(self) -> None:
        """Say what the ledger met since."""
        for news in self._ledger.take_news():
            self._stream.note(news)
        self._stream.tell_notes()

    def _own_hello(self) -> Event:
        """Say hello for engines that never did."""
        clock = self._clock
        hello = own_hello(clock.monotonic_ns(), clock.wall_ns(), self._routes)
        # Of several places on their line of time, as all that waited for a hello.
        return hello if self._places is None else at_place(hello, "", offset_of(hello))
