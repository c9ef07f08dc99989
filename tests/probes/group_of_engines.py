"""Several engines as one source: real engines, a scripted network, a clock of the test's own."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

import anyio
from clocks import ManualClock
from scripted import Network, Script, chat

from probes.config import Budget, Route
from probes.control.commands import Command, Configure, Go
from probes.control.wanted import commands_for_restart, wanted_of
from probes.engine.engine import run_engine
from probes.events import AttemptStarted, Event
from probes.kit.clock import Clock
from probes.money.budget_lease import BudgetLease
from probes.money.ledger import Ledger
from probes.money.run_ledger import RunLedger
from probes.run.funded import FundedEngine
from probes.sources.in_process import launch_task
from probes.sources.rules import HostLimits
from probes.sources.several import SeveralEngines
from probes.sources.source import Brief, Receive, Source
from probes.sources.supervised import SupervisedEngine

Kind = TypeVar("Kind", bound=Event)
PROBE = 82  # tokens a probe of `route` may cost: its prompt and its answer's cap
LIMITS = HostLimits(backoff_first_s=1.0)


def route(name: str = "a", *, concurrency: int = 2, interval: float = 1.0) -> Route:
    """Return a route whose probes cost `PROBE` at most."""
    return Route(
        name=name,
        base_url="http://127.0.0.1/v1",
        model="m",
        prompt="x" * 40,
        concurrency=concurrency,
        interval=interval,
    )


class Group:
    """Several engines in this loop; with a budget each spends what it has leased alone."""

    def __init__(
        self,
        *routes: Route,
        scripts: Sequence[Script] = (),
        engines: int = 2,
        tokens: int | None = None,
    ) -> None:
        self.clock = ManualClock()
        self.network = Network(list(scripts) or [chat("a", "b")])
        self.routes = routes
        self.heard: list[Event] = []
        self.lines = b""
        self.rounds = 0
        self.scopes: list[anyio.CancelScope] = []
        self.pipes: list[anyio.Event] = []
        self.wanted = wanted_of(routes)
        self.ledger: Ledger | None = None
        if tokens is not None:
            budget: Any = {"route_tokens_per_hour": tokens}
            self.ledger = Ledger(None)
            self.run = RunLedger(
                self.ledger, routes, Budget(**budget), clock=self.clock, engines=engines
            )
        self.host = SeveralEngines(
            self._brief,
            self._receive,
            routes=routes,
            engines=engines,
            make_engine=self._make_engine,
            clock=self.clock,
        )

    def send(self, command: Command) -> None:
        """Command the group as a session does."""
        self.wanted = self.wanted.after_command(command)
        self.host.send(command)

    def of(self, kind: type[Kind]) -> list[Kind]:
        """Return the events of one kind that were told."""
        return [event for event in self.heard if isinstance(event, kind)]

    def engines_of(self, kind: type[AttemptStarted] = AttemptStarted) -> Counter[str]:
        """Return how many attempts each life of an engine began."""
        return Counter(event.probe.partition("-")[0] for event in self.of(kind))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the group, and stop it in order."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.host.run)
            yield
            for pipe in self.pipes:
                pipe.set()
            self.host.stop()
            await self.clock.advance(2)
        assert self.host.status.state == "stopped"
        assert self.network.open == 0

    def _brief(self, engine: str) -> list[Command]:
        wanted = commands_for_restart(self.wanted, self.clock.monotonic_ns())
        return [Configure(engine=engine, routes=self.routes, seed=1), *wanted, Go()]

    def _receive(self, events: list[Event], lines: bytes) -> None:
        self.heard += events
        self.lines += lines
        self.rounds += 1
        for event in events:
            self.wanted = self.wanted.after_event(event)

    def _make_engine(
        self, engine: int, routes: Sequence[Route], brief: Brief, receive: Receive
    ) -> Source:
        launch = partial(launch_task, run_engine=self._run_engine, clock=self.clock)
        if self.ledger is not None:
            return FundedEngine(
                brief,
                receive,
                lease=BudgetLease(self.run, routes, clock=self.clock, engine=engine),
                launch=launch,
                limits=LIMITS,
                clock=self.clock,
                topped_up=lambda: None,
            )

        async def prepare(name: str) -> Sequence[Command]:
            await anyio.lowlevel.checkpoint()
            return brief(name)

        return SupervisedEngine(prepare, receive, launch=launch, limits=LIMITS, clock=self.clock)

    async def _run_engine(
        self,
        commands: AsyncIterator[Command],
        write: Callable[[bytes], Awaitable[None]],
        *,
        clock: Clock,
    ) -> None:
        """Run an engine that a test can kill, and whose pipe it can close."""
        pipe = anyio.Event()
        pipe.set()
        number = len(self.pipes)
        self.pipes.append(pipe)

        async def write_when_open(batch: bytes) -> None:
            await self.pipes[number].wait()
            await write(batch)

        with anyio.CancelScope() as scope:
            self.scopes.append(scope)
            await run_engine(
                commands, write_when_open, clock=clock, transport=self.network.transport
            )
