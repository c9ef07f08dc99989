"""All routes, commands in, events out. Runs anywhere anyio runs; touches no disk and no screen.

Rule 1. The first event is `hello`; after that a batch goes out every 100 ms in which anything was
        to be told, and a `tick` every second.
Rule 2. Nothing is probed before `go`, so that the state a host wants is there before.
Rule 3. When it is told to stop, or nobody is left to report to, open attempts have half a second to
        end as `cancelled`.
Rule 4. The cyclic collector runs between batches only: a pass while a chunk waits makes it late.
"""

import gc
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from itertools import count
from random import Random
from typing import Final, TypeAlias

import anyio
from anyio.abc import TaskGroup

from probes import __version__
from probes.config import Price
from probes.config.proxy_choice import proxy_secrets
from probes.config.scrubbing import Scrubber
from probes.config.secrets import query_secrets, secret_values
from probes.control.commands import (
    AcceptUsual,
    Allow,
    Burst,
    Command,
    Configure,
    EndCoolDown,
    Go,
    MarkTime,
    Pause,
    ProbeNow,
    SetKnob,
    Stop,
    Thicken,
    WatchText,
)
from probes.control.knobs import KnobName
from probes.engine.answer_checks import AnswerChecks
from probes.engine.health import Cost, CostMeter, GapWatch, LoopWatch, Shortages, Work
from probes.engine.introduction import route_info
from probes.engine.outbox import BATCH_S, Outbox
from probes.engine.route import RouteRunner, RouteTools, TransportFactory, default_transport
from probes.events import (
    SCHEMA_VERSION,
    Batch,
    Gap,
    Health,
    Hello,
    Mark,
    MoneyReport,
    Notice,
    RouteCounts,
    Tick,
    encode_event,
)
from probes.kit.clock import NS_PER_S, Clock, SystemClock
from probes.kit.descriptors import room_for_connections
from probes.kit.process_identity import boot_id
from probes.kit.short_figures import counted
from probes.kit.signals import Signal
from probes.money.price_list import PriceListError, ask_prices, list_url
from probes.money.pricing import wants_list
from probes.money.spending import Spending
from probes.transport import kernel_stamps

Write: TypeAlias = Callable[[bytes], Awaitable[None]]
"""Takes one batch: several JSON lines. Returns when the reader has room again."""

GRACE_S: Final = 0.5
"""How long open attempts have to end when the engine is told to stop."""
TICK_S: Final = 1.0
_TICK_NS: Final = round((TICK_S - BATCH_S / 2) * NS_PER_S)
"""So early a tick may be, since it goes with a batch and these do not fall on whole seconds."""
FULL_COLLECTION_BATCHES: Final = 600
"""All generations once a minute: what the engine keeps is frozen, so little is left to look at."""


class Engine:
    """The routes of one run."""

    def __init__(
        self,
        configure: Configure,
        write: Write,
        *,
        clock: Clock,
        transport: TransportFactory = default_transport,
    ) -> None:
        self._clock = clock
        self._write = write
        self._outbox = Outbox(clock, self._on_stall)
        self._spending = Spending()
        # Side by side: what lies between the two clocks is told from them.
        now_ns, wall_ns = clock.monotonic_ns(), clock.wall_ns()
        gaps = GapWatch(now_ns)
        self._watch = LoopWatch(clock, gaps, self._on_gap)
        self._shortages = Shortages()
        self._checks = AnswerChecks(clock)
        tools = RouteTools(
            engine=configure.engine,
            clock=clock,
            random=Random(configure.seed),  # noqa: S311 - jitter, not secrecy
            gaps=gaps,
            outbox=self._outbox,
            spending=self._spending,
            scrub=Scrubber(
                secret_values(configure.headers)
                | query_secrets(configure.routes)
                | proxy_secrets(configure.routes, os.environ)
            ),
            numbers=count(1),
            include_text=configure.include_text,
            transport=transport,
            shortages=self._shortages,
            checker=self._checks,
        )
        self._routes = {
            route.name: RouteRunner(
                route,
                configure.headers.get(route.name, {}),
                tools,
                configure.pace_parts.get(route.name),
            )
            for route in configure.routes
        }
        self._headers = configure.headers
        self._transport = transport
        self._sequence = 0
        self._reported: tuple[tuple[RouteCounts, ...], MoneyReport | None] | None = None
        """Of the last batch."""
        self._group: TaskGroup | None = None
        self._running = False
        self._ending = Signal()
        self._ended = False
        self._meter = CostMeter(clock)
        self._cost = Cost()
        self._outbox.emit(
            Hello(
                at_ns=now_ns,
                wall_ns=wall_ns,
                engine=configure.engine,
                version=__version__,
                schema=SCHEMA_VERSION,
                pid=os.getpid(),
                boot_id=boot_id(),
                clock="kernel" if kernel_stamps() else "user",
                digests=configure.digests,
                life=os.urandom(8).hex(),
                routes=tuple(route_info(route) for route in configure.routes),
            )
        )

    async def run(self, commands: AsyncIterator[Command]) -> None:
        """Work until `Stop` or the end of the commands; then report what was open and end."""
        # Outside in: the watch and the batches outlive the routes, whose last words they carry.
        async with anyio.create_task_group() as background:
            background.start_soon(self._watch.run)
            async with anyio.create_task_group() as reporting:
                reporting.start_soon(self._report)
                try:
                    await self._serve(commands)
                finally:
                    await self._checks.aclose()
                self._ended = True
                self._ending.ring()
                reporting.cancel_scope.deadline = anyio.current_time() + GRACE_S
            background.cancel_scope.cancel()

    async def _serve(self, commands: AsyncIterator[Command]) -> None:
        async with anyio.create_task_group() as group:
            self._group = group
            async for command in commands:
                if isinstance(command, Stop):
                    break
                self._obey(command)
            for runner in self._routes.values():
                runner.stop()
            group.cancel_scope.deadline = anyio.current_time() + GRACE_S

    def _obey(self, command: Command) -> None:
        match command:
            case Go():
                self._go()
            case Allow():
                self._spending.allow(command.allowances, command.number)
                self._ring_all()
            case MarkTime():
                now_ns = self._clock.monotonic_ns()
                self._outbox.emit(Mark(at_ns=now_ns, text=command.text, about_ns=command.about_ns))
            case Pause(route=""):
                for runner in self._routes.values():
                    runner.pause(command.paused, cancel=command.cancel, who=command.who)
            case WatchText():
                for name, runner in self._routes.items():
                    runner.watch_text(name == command.route)
            case (
                SetKnob()
                | Pause()
                | Burst()
                | ProbeNow()
                | EndCoolDown()
                | Thicken()
                | AcceptUsual()
            ):
                if command.route in self._routes:
                    self._obey_route(command, self._routes[command.route])
                else:
                    self._notice(command.route, "no such route")
            case _:
                self._notice("", f"command {type(command).__name__} came out of turn")

    def _obey_route(
        self,
        command: SetKnob | Pause | Burst | ProbeNow | EndCoolDown | Thicken | AcceptUsual,
        runner: RouteRunner,
    ) -> None:
        match command:
            case SetKnob(knob="concurrency" | "interval" | "rate" | "max_tokens" as knob):
                self._set_knob(command, knob, runner)
            case Pause():
                runner.pause(command.paused, cancel=command.cancel, who=command.who)
            case Burst():
                runner.burst(command.count, command.who)
            case ProbeNow():
                runner.probe_now()
            case Thicken():
                runner.thicken(command.for_s, fresh=command.fresh)
            case AcceptUsual():
                runner.accept_usual(command.who)
            case EndCoolDown(until_s=0):
                runner.end_cool_down(command.who)
            case EndCoolDown():
                runner.gate.cool_down(command.until_s, self._clock.monotonic_ns())
            case _:
                self._notice(command.route, f"no knob is called {command.knob}")

    def _set_knob(self, command: SetKnob, knob: KnobName, runner: RouteRunner) -> None:
        is_open = runner.route.is_open
        if knob == "rate" and not is_open:
            self._notice(command.route, "its pace has no rate: it goes by the interval")
        elif knob == "interval" and is_open:
            self._notice(command.route, "its pace has no interval: it goes by the rate")
        else:
            runner.set_knob(knob, command.value, command.who, command.reason, command.pace_part)
        if knob == "concurrency":
            self._warn_of_descriptors(command.route)

    def _notice(self, route: str, text: str) -> None:
        self._outbox.emit(Notice(at_ns=self._clock.monotonic_ns(), route=route, text=text))

    def _go(self) -> None:
        assert self._group is not None  # noqa: S101 - set in run
        if self._running:
            return
        self._running = True
        if not gc.isenabled():
            gc.freeze()  # what is here now lives as long as the engine
        for runner in self._routes.values():
            self._group.start_soon(runner.run)
        self._warn_of_descriptors()
        # Routes that ask the same list (its place, the way to it, and their key) share one answer.
        sharing: dict[tuple[object, ...], list[RouteRunner]] = {}
        for runner in self._routes.values():
            route = runner.route
            if wants_list(route):
                key = (route.api_key_env, route.api_key_cmd, route.key_header)
                way = (route.tls, route.proxy, route.http2, route.unix_socket)
                place = (list_url(route), *way, *key, *route.headers.items())
                sharing.setdefault(place, []).append(runner)
        for runners in sharing.values():
            self._group.start_soon(self._ask_prices, runners)

    async def _ask_prices(self, runners: list[RouteRunner]) -> None:
        """Ask a list once for all routes that share it; whatever comes of it harms none of them."""
        first, models = runners[0], {runner.route.model for runner in runners}
        headers = self._headers.get(first.route.name, {})
        listed: Mapping[str, Price | None] | PriceListError
        try:
            transport = self._transport(first.route, self._clock)
            listed = await ask_prices(first.route, headers, transport, models)
        except PriceListError as error:
            listed = error
        except Exception as error:
            first.fault(error)
            return
        for runner in runners:
            runner.probe_tools.learn_price(listed)

    def _warn_of_descriptors(self, route: str = "") -> None:
        """Say so where more workers are wanted than can be connected at once."""
        room = room_for_connections(sum(runner.open_sockets for runner in self._routes.values()))
        workers = sum(runner.concurrency for runner in self._routes.values())
        if room is not None and workers > room:
            self._notice(
                route,
                f"{counted(workers, 'worker')}, but this process may have"
                f" {counted(room, 'connection')} at once;"
                " raise the limit (ulimit -Hn) or lower the concurrency",
            )

    def _ring_all(self) -> None:
        for runner in self._routes.values():
            runner.gate.changed.ring()

    def _on_stall(self, stalled: bool) -> None:
        if not stalled:
            self._ring_all()

    def _on_gap(self, started_ns: int, ended_ns: int) -> None:
        self._outbox.emit(Gap(at_ns=ended_ns, started_ns=started_ns))

    async def _report(self) -> None:
        """Write a batch each 100 ms and a tick each second, whatever the reader does."""
        ending = False
        tick_due_ns = 0
        for number in count():
            # By the clock and not by the batches: on a busy machine these come late, and then of
            # all times a judge needs to hear each second how late.
            now_ns = self._clock.monotonic_ns()
            if now_ns >= tick_due_ns:
                self._tick()
                tick_due_ns = now_ns + _TICK_NS
            await self._flush()
            if ending:
                return
            _collect(number)
            ending = self._ended or await self._ending.wait(self._clock, BATCH_S)

    async def _flush(self) -> None:
        """Write what waits; where nothing has happened nothing is written but a tick a second."""
        lines = self._outbox.batch()
        counts, money = self._counts(), self._spending.report()
        if not lines and (counts, money) == self._reported and not any(c.in_flight for c in counts):
            return
        self._sequence += 1
        self._reported = counts, money
        batch = Batch(
            at_ns=self._clock.monotonic_ns(),
            seq=self._sequence,
            health=self._health(counts),
            routes=counts,
            money=money,
        )
        await self._write(lines + encode_event(batch))  # waits for the reader; `emit` never does
        self._outbox.delivered()

    def _tick(self) -> None:
        now_ns, wall_ns = self._clock.monotonic_ns(), self._clock.wall_ns()
        counts = tuple(runner.counts_and_oldest(now_ns) for runner in self._routes.values())
        works = [runner.work() for runner in self._routes.values()]
        self._cost = self._meter.measure(Work(*map(sum, zip(*works, strict=True))))
        self._outbox.emit(
            Tick(
                at_ns=now_ns,
                wall_ns=wall_ns,
                health=self._health(counts),
                routes=counts,
                budgets=self._spending.states(),
            )
        )

    def _counts(self) -> tuple[RouteCounts, ...]:
        return tuple(runner.counts() for runner in self._routes.values())

    def _health(self, counts: tuple[RouteCounts, ...]) -> Health:
        lag = self._watch.lag()
        # The kernel stamps arrivals only where it does so for all routes.
        sources = {runner.clock_source for runner in self._routes.values()}
        return Health(
            loop_lag_p50_ns=lag.p50_ns,
            loop_lag_p99_ns=lag.p99_ns,
            loop_lag_max_ns=lag.max_ns,
            cpu_share=self._cost.cpu_share,
            reads_per_s=round(self._cost.reads_per_s, 1),
            inexact_share=round(self._cost.inexact_share, 4),
            clock="kernel" if kernel_stamps() and "user" not in sources else "user",
            open_streams=sum(count.in_flight for count in counts),
            open_sockets=sum(runner.open_sockets for runner in self._routes.values()),
            drops=self._outbox.drops,
            waiting=self._outbox.waiting,
            short_of=self._shortages.now(self._clock.monotonic_ns()),
        )


async def run_engine(
    commands: AsyncIterator[Command],
    write: Write,
    *,
    clock: Clock | None = None,
    transport: TransportFactory = default_transport,
) -> None:
    """Run an engine: the first command is `Configure`; ends with `Stop` or the commands' end.

    Raises:
        ValueError: the first command is another one.
    """
    first = await anext(commands, None)
    if first is None:
        return
    if not isinstance(first, Configure):
        raise ValueError(f"the first command must be configure, not {type(first).__name__}")
    engine = Engine(first, write, clock=clock or SystemClock(), transport=transport)
    await engine.run(commands)


def _collect(batch: int) -> None:
    """Let the cyclic collector run between batches: briefly each time, fully once a minute.

    Only where the process has switched its automatic runs off; in a loop shared with a screen
    the collector is not ours.
    """
    if gc.isenabled():
        return
    gc.collect(2 if batch % FULL_COLLECTION_BATCHES == FULL_COLLECTION_BATCHES - 1 else 0)
