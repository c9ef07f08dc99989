"""One run of llmtop without its face: engine, board, recording and money, each with one owner.

The stream of a run begins with a `hello`, whatever happens before an engine has introduced itself:
until then what others tell waits. A run that ends before any engine spoke has a hello of our own.
"""

import os
import queue
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import anyio
import msgspec
from anyio import to_thread

from probes import __version__
from probes.board import Board
from probes.config import Config
from probes.config.proxy_choice import proxy_secrets
from probes.config.scrubbing import Scrubber
from probes.config.secrets import secret_values
from probes.config.tls import unverified
from probes.control.commands import Allow, Burst, Command, Configure, Go, SetKnob
from probes.control.status import HostStatus
from probes.control.wanted import Wanted
from probes.events import (
    DURABLE_TYPES,
    SCHEMA_VERSION,
    Event,
    Hello,
    Notice,
    encode_event,
)
from probes.kit.clock import Clock, SystemClock
from probes.kit.descriptors import raise_descriptor_limit
from probes.money.budget_lease import Purse, unenforceable_budgets
from probes.money.ledger import Ledger
from probes.money.ledger_file import LedgerError
from probes.run.several.group import EngineGroup
from probes.run.sinks import BoardSink, RecorderSink, Sink, Subscriber, Subscribers, WantedSink
from probes.sources.child_process import launch_process
from probes.sources.in_process import InProcessEngine
from probes.sources.rules import HostLimits
from probes.sources.source import Receive, Source
from probes.sources.supervised import Launch, Prepare, SupervisedEngine
from probes.stats.sketch import BACKEND
from probes.store.recording import Recorder

TOP_UP_S: Final = 1.0
_REST_TOP_UP_S: Final = 10.0
"""The same while nothing is spent: only what other runs spend is news."""
_LEAST_TOP_UP_S: Final = 0.1
_HELLO_PATIENCE_S: Final = 60.0
"""An engine that says nothing for half of it is killed; without any, a duration must end too."""


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
        ledger: Ledger,
        in_process: bool = False,
        engines: int = 1,
        clock: Clock | None = None,
        include_text: bool = False,
        apart: Path | None = None,
        limits: HostLimits | None = None,
        launch: Launch = launch_process,
    ) -> None:
        """Prepare a run of `engines` engines, each in a process of its own unless `in_process`.

        `headers` are those of each route with its secrets filled in; `apart` is the ledger that
        takes what the shared one does not at the end.
        """
        self._config = config
        self._headers = {route: dict(values) for route, values in headers.items()}
        self._recorder = recorder
        self._clock = clock or SystemClock()
        self._include_text = include_text
        self._board = Board()
        self._wanted = WantedSink(config.routes)
        self._subscribers = Subscribers()
        recording: list[Sink] = [] if recorder is None else [RecorderSink(recorder)]
        self._sinks: tuple[Sink, ...] = (
            # A subscriber that looks at the board sees the batch that it is called with.
            BoardSink(self._board),
            # One that commands in answer to an event changes what is wanted after it.
            self._wanted,
            # What a subscriber prints, or fails at, is on record already.
            *recording,
            self._subscribers,
        )
        self._engines = engines
        self._purse = Purse(
            ledger,
            config.routes,
            config.budget,
            clock=self._clock,
            engines=engines,
            apart=apart,
            recording="" if recorder is None else recorder.path.name.split(".", 1)[0],
        )
        self._problems: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._top_up_now = anyio.Event()
        self._lift_wanted = False
        self._resting = False
        self._greeted = False
        self._hello_came = anyio.Event()
        self._early: list[Event] = []
        self._event_ns = 0
        self._heard_ns = self._clock.monotonic_ns()
        self._host = self._new_host(in_process, limits, launch)

    @property
    def board(self) -> Board:
        """Everything the stream has told so far."""
        return self._board

    @property
    def wanted(self) -> Wanted:
        """What the user wants of the engines by now."""
        return self._wanted.now

    @property
    def status(self) -> HostStatus:
        """How the engine is."""
        return self._host.status

    @property
    def recording_path(self) -> str:
        """The file being recorded to; empty where nothing is, or was."""
        recorder = self._recorder
        return "" if recorder is None or not recorder.has_begun else str(recorder.path)

    def subscribe(self, callback: Subscriber) -> None:
        """Call back with every batch, after the board has folded it."""
        self._subscribers.add(callback)

    def command(self, command: Command) -> None:
        """Change what is wanted, now and in every engine to come."""
        self._wanted.command(command)
        if isinstance(command, Burst):
            self._purse.expect_burst(command.route, command.count)
        if isinstance(command, (Burst, SetKnob)):
            self._top_up_now.set()
        self._host.send(command)

    def note(self, text: str) -> None:
        """Put a notice of the caller's into the stream, after its hello."""
        self._problems.put(text)

    def hold(self) -> None:
        """Read no more events until `release`; the engine then holds its own admissions."""
        self._host.hold()

    def release(self) -> None:
        """Read on."""
        self._host.release()

    def retry(self) -> None:
        """Start an engine now, after crashes made us give up."""
        self._host.retry()

    def lift(self) -> None:
        """Let the budgets count from what is known, where the ledger is in doubt or fails."""
        self._lift_wanted = True
        self._top_up_now.set()

    async def outlast(self, duration_s: float) -> None:
        """Return so many seconds after the first hello: what a run's duration counts from.

        Where no engine introduces itself, the seconds count from when that is given up.
        """
        with anyio.move_on_after(_HELLO_PATIENCE_S):
            await self._hello_came.wait()
        await self._clock.sleep(duration_s)

    def stop(self) -> None:
        """End the run in order; `run` returns when all is written and nothing is left behind."""
        self._host.stop()

    async def run(self) -> None:
        """Run until `stop`."""
        raise_descriptor_limit()
        if self._recorder is not None:
            self._recorder.start(self._problems.put)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._keep_topped_up)
                await self._host.run()
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._finish()

    async def _finish(self) -> None:
        if not self._greeted:
            self._introduce_ourselves()
        try:
            await self._purse.close(in_order=self._host.in_order)
        except LedgerError as error:
            self._emit(str(error))
        self._tell_problems()
        if self._recorder is not None:
            await to_thread.run_sync(self._recorder.close)
            self._tell_problems()

    def _new_host(self, in_process: bool, limits: HostLimits | None, launch: Launch) -> Source:
        secrets = secret_values(self._headers) | proxy_secrets(self._config.routes, os.environ)
        scrub = Scrubber(secrets).scrub

        def in_this_loop(prepare: Prepare, receive: Receive) -> SupervisedEngine:
            from probes.engine.engine import (
                run_engine,  # a cockpit beside its engine never needs it
            )

            return InProcessEngine(
                prepare,
                receive,
                run_engine=run_engine,
                limits=limits,
                clock=self._clock,
                scrub=scrub,
            )

        def in_a_process(prepare: Prepare, receive: Receive) -> SupervisedEngine:
            return SupervisedEngine(
                prepare, receive, launch=launch, limits=limits, clock=self._clock, scrub=scrub
            )

        make_host = in_this_loop if in_process else in_a_process
        if self._engines == 1:
            return make_host(self._prepare, self._receive)
        return EngineGroup(
            self._prepare,
            self._receive,
            routes=self._config.routes,
            engines=self._engines,
            make_host=make_host,
            clock=self._clock,
            lose=self._purse.lose,
        )

    async def _prepare(self, engine: str) -> Sequence[Command]:
        """Return what a new engine must know; nothing is awaited after the state is read."""
        if self._engines == 1 and not self._host.in_order:
            # The one before was killed; of several engines a group tells what each had.
            self._purse.lose_all()
        allow = await self._top_up(new_engine=True)
        configure = Configure(
            engine=engine,
            routes=self._config.routes,
            headers=self._headers,
            include_text=self._include_text,
            digests=BACKEND,
        )
        wanted = self._wanted.commands(self._engine_now_ns())
        return [configure, *([allow] if allow else []), *wanted, Go()]

    def _engine_now_ns(self) -> int:
        """Return the present on the engine's clock, as far as the host can know it."""
        return self._event_ns + self._clock.monotonic_ns() - self._heard_ns

    def _receive(self, events: list[Event], lines: bytes) -> None:
        if not self._greeted and not any(isinstance(event, Hello) for event in events):
            self._early.extend(events)
            return
        for event in events:
            self._purse.fold(event)
            self._event_ns = max(self._event_ns, event.at_ns)
        self._heard_ns = self._clock.monotonic_ns()
        for sink in self._sinks:
            sink.receive(events, lines)
        if self._purse.runs_low or (self._resting and not self._purse.at_rest):
            self._top_up_now.set()
        self._greet(events)

    def _greet(self, events: list[Event]) -> None:
        """After the first hello, tell what waited for it, what cannot be enforced, and what is not
        verified."""
        hello = next((event for event in events if isinstance(event, Hello)), None)
        if self._greeted or hello is None:
            return
        self._greeted = True
        self._hello_came.set()
        early, self._early = self._early, []
        if early:
            # Their makers knew no time of the engine's.
            self._deliver([msgspec.structs.replace(event, at_ns=hello.at_ns) for event in early])
        self._tell_problems()  # what the ledger and the recorder met before
        routes = self._config.routes
        unenforceable = unenforceable_budgets(routes, self._config.budget)
        for route, text in (*unenforceable, *unverified(routes)):
            self._emit(text, route)

    def _introduce_ourselves(self) -> None:
        """Say hello for engines that never did."""
        from probes.engine.report import (
            route_info,  # which brings httpx: no start should pay for it
        )

        hello = Hello(
            at_ns=self._clock.monotonic_ns(),
            wall_ns=self._clock.wall_ns(),
            engine="",
            version=__version__,
            schema=SCHEMA_VERSION,
            pid=os.getpid(),
            digests=BACKEND,
            routes=tuple(route_info(route) for route in self._config.routes),
        )
        self._deliver([hello])

    def _deliver(self, events: list[Event]) -> None:
        """Put events of our own into the stream."""
        durable = (event for event in events if isinstance(event, DURABLE_TYPES))
        self._receive(events, b"".join(map(encode_event, durable)))

    def _emit(self, text: str, route: str = "") -> None:
        """Put a notice of our own into the stream."""
        self._deliver([Notice(at_ns=self._event_ns, route=route, text=text)])

    async def _keep_topped_up(self) -> None:
        while True:
            self._resting = self._purse.at_rest
            with anyio.move_on_after(_REST_TOP_UP_S if self._resting else TOP_UP_S):
                await self._top_up_now.wait()
            self._top_up_now = anyio.Event()
            if self._lift_wanted:
                await self._lift()
            allow = await self._top_up()
            if allow is not None:
                self._host.send(allow)
            self._tell_problems()
            await self._clock.sleep(_LEAST_TOP_UP_S)

    async def _top_up(self, *, new_engine: bool = False) -> Allow | None:
        """Return new allowances; None where the ledger did not answer and the old ones hold.

        An engine of several takes its part of what all have been allowed since the run began; one
        alone counts anew.
        """
        allow = await self._purse.top_up(
            self._wanted.now, anew=new_engine and self._engines == 1, patient=not new_engine
        )
        for news in self._purse.take_news():
            self._problems.put(news)
        return allow

    async def _lift(self) -> None:
        self._lift_wanted = False
        try:
            lifted = await self._purse.lift()
        except LedgerError as error:
            self._problems.put(str(error))
            return
        if lifted:
            self._problems.put("the emergency is lifted: the budgets count from what is known")

    def _tell_problems(self) -> None:
        while not self._problems.empty():
            self._emit(self._problems.get())
