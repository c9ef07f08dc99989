"""One route at work: its workers, its knobs, its gate."""

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from typing import Final, TypeAlias

import anyio
from anyio.abc import TaskGroup

from probes.answers.progress import Progress
from probes.config import Price, Route
from probes.config.scrubbing import Scrubber
from probes.control.knobs import KnobName
from probes.engine.gate import Gate
from probes.engine.health import GapWatch, Shortages, Work
from probes.engine.outbox import Outbox
from probes.engine.pacing import first_start_ns, next_start_ns
from probes.engine.preview import Preview
from probes.engine.probe import Probe, ProbeTools
from probes.engine.report import cohort_of, prompt_tokens
from probes.engine.request_builder import Manner
from probes.engine.retry import RetryPolicy
from probes.events import LOCAL, ClockSource, Fault, Knob, KnobKind, ProbeFinished, RouteCounts
from probes.kit.clock import NS_PER_S, Clock
from probes.kit.words import clean
from probes.money.spending import Spending
from probes.transport import Transport, connecting, open_transport

TransportFactory: TypeAlias = Callable[[Route, Clock], Transport]

MAX_BACK_OFF_S: Final = 30.0
FIRST_SHORT_S: Final = 0.5
MOST_SHORT_S: Final = 10.0
"""What a worker waits that has met a shortage of ours, doubling up to this: what is not there is
not there sooner for being asked for by a hundred workers twice a second."""
LONGEST_FAULT: Final = 20_000


def default_transport(route: Route, clock: Clock) -> Transport:
    """Return a transport for one worker of a route."""
    return open_transport(clock, connecting(route, os.environ))


@dataclass(frozen=True, slots=True)
class RouteTools:
    """What the engine lends to its routes."""

    engine: str
    clock: Clock
    random: Random
    gaps: GapWatch
    outbox: Outbox
    spending: Spending
    scrub: Scrubber
    numbers: "count[int]"
    """Numbers of probes, one sequence for all routes."""
    include_text: bool = False
    transport: TransportFactory = default_transport
    shortages: Shortages = field(default_factory=Shortages)


@dataclass(slots=True)
class _Worker:
    """A worker's place; it retires when its number is above the target."""

    number: int
    start_ns: int
    short_s: float = 0.0
    """What it waited last for a shortage of ours; 0 where it met none."""


class RouteRunner:
    """Keeps `concurrency` workers probing. Knobs act at once and cancel nothing in flight."""

    def __init__(self, route: Route, headers: dict[str, str], tools: RouteTools) -> None:
        self.route = route
        self.concurrency = route.concurrency
        self.interval = route.interval
        self.skipped = 0
        self._tools = tools
        self._limiter = anyio.CapacityLimiter(max(1, route.concurrency))
        self._group: TaskGroup | None = None
        self._workers = 0
        self._open: dict[str, Probe] = {}
        self._sockets: set[Transport] = set()
        self._done_reads = 0
        self._chunks = 0
        self._inexact_chunks = 0
        self._preview = Preview(tools.scrub, partial(tools.outbox.preview, route.name))
        self.gate = Gate(
            route.name,
            clock=tools.clock,
            random=tools.random,
            spending=tools.spending,
            emit=tools.outbox.emit,
            reader_stalled=lambda: tools.outbox.stalled,
            usd_of=lambda tokens: self._probe_tools.most_usd(tokens),
        )
        self.gate.paused = route.paused
        self._probe_tools = ProbeTools(
            route=route,
            manner=Manner(route, headers),
            clock=tools.clock,
            random=tools.random,
            gaps=tools.gaps,
            scrub=tools.scrub,
            emit=tools.outbox.emit,
            turnstile=self.gate,
            policy=RetryPolicy(route.retries, tools.random),
            prompt_tokens=prompt_tokens(route),
            include_text=tools.include_text,
            on_output=self._on_output,
        )
        self._set_cap(route.max_tokens)

    @property
    def max_tokens(self) -> int:
        """The answer cap now."""
        return self._probe_tools.max_tokens

    @property
    def open_sockets(self) -> int:
        """Connections held by all workers."""
        return sum(transport.open_sockets for transport in self._sockets)

    @property
    def clock_source(self) -> ClockSource | None:
        """Who stamps this route's arrivals; None while it has no connection."""
        sources = {transport.clock_source for transport in self._sockets}
        return "user" if "user" in sources else next(iter(sources), None)

    def work(self) -> Work:
        """Return what this route has read so far."""
        reads = self._done_reads + sum(transport.reads for transport in self._sockets)
        return Work(reads, self._chunks, self._inexact_chunks)

    async def run(self) -> None:
        """Probe until `stop`, and return when the last probe has ended."""
        async with anyio.create_task_group() as group:
            self._group = group
            self._hire()
            while not self.gate.stopping:
                await self.gate.changed.wait(self._tools.clock)
                self._hire()

    def stop(self) -> None:
        """Admit nothing more and cancel what is in flight, which is reported as `cancelled`."""
        self.gate.stopping = True
        self.cancel_open()
        self.gate.changed.ring()

    def cancel_open(self) -> None:
        """Cancel what is in flight."""
        for probe in tuple(self._open.values()):
            probe.cancel()
        self.gate.changed.ring()

    def set_knob(self, knob: KnobName, value: float, who: str) -> None:
        """Change a knob; raising wakes waiters, lowering absorbs releases.

        The command has kept the value within the knob's range. As one of several engines this may
        be told to have no worker at all.
        """
        before = float(getattr(self, knob))
        if knob == "interval":
            self.interval = value
        elif knob == "concurrency":
            self.concurrency = round(value)
            self._limiter.total_tokens = max(1, self.concurrency)
        else:
            self._set_cap(round(value))
        if value != before:
            self._say(knob, before, value, who)
        self.gate.changed.ring()

    def pause(self, paused: bool, *, cancel: bool, who: str) -> None:
        """Stop new attempts, or let them go on; what is in flight ends by itself or by `cancel`."""
        if self.gate.paused != paused:
            self._say("paused", float(self.gate.paused), float(paused), who)
        self.gate.paused = paused
        if paused and cancel:
            self.cancel_open()
        self.gate.changed.ring()

    def burst(self, number: int, who: str) -> None:
        """Send probes now, beside the pace and above the concurrency."""
        if self._group is None or self.gate.stopping:
            return
        self._say("burst", 0, number, who)
        for _ in range(number):
            self._group.start_soon(self._run_once)

    def end_cool_down(self, who: str) -> None:
        """Probe at once although the server asked us to wait."""
        left_s = self.gate.cooling_s
        if self.gate.end_cool_down(detail=f"ended by {who}"):
            self._say("cool_down", left_s, 0, who)

    def take_price(self, price: Price) -> None:
        """Reckon with the price that the provider's own list tells."""
        self._probe_tools.take_price(price, self._tools.clock.monotonic_ns())

    def miss_price(self, why: str) -> None:
        """Say why the provider's own list tells no price."""
        self._probe_tools.miss_price(why, self._tools.clock.monotonic_ns())

    def watch_text(self, watching: bool) -> None:
        """Send the text of the oldest open stream along, or no longer."""
        self._preview.switch(watching)

    def counts(self) -> RouteCounts:
        """Return the route's counters now."""
        return RouteCounts(
            route=self.route.name,
            in_flight=sum(probe.open_since_ns is not None for probe in self._open.values()),
            target=self.concurrency,
            waiting=self.gate.waiting,
            skipped=self.skipped,
        )

    def _set_cap(self, max_tokens: int) -> None:
        tools = self._probe_tools
        tools.max_tokens = max_tokens
        tools.cohort = cohort_of(max_tokens, tools.prompt_tokens)

    def _say(self, knob: KnobKind, before: float, after: float, who: str) -> None:
        now_ns = self._tools.clock.monotonic_ns()
        name = self.route.name
        self._tools.outbox.emit(
            Knob(at_ns=now_ns, route=name, knob=knob, before=before, after=after, who=who)
        )

    def _hire(self) -> None:
        """Start the workers that the target asks for and that do not run yet."""
        assert self._group is not None  # noqa: S101 - set in run
        now_ns = self._tools.clock.monotonic_ns()
        fresh = 0
        while self._workers < self.concurrency:
            start_ns = first_start_ns(now_ns, fresh, self.concurrency, self.interval)
            self._group.start_soon(self._work, _Worker(self._workers, start_ns))
            self._workers += 1
            fresh += 1

    async def _work(self, worker: _Worker) -> None:
        """One worker: wait, probe, and so on; a defect is told and survived."""
        transport: Transport | None = None
        back_off_s = 1.0
        try:
            while await self._due(worker):
                try:
                    transport = transport or self._new_transport()
                    await self._paced_probe(worker, transport)
                    back_off_s = 1.0
                except Exception as error:
                    self._fault(error, back_off_s)
                    await self.gate.changed.wait(self._tools.clock, back_off_s)
                    back_off_s = min(back_off_s * 2, MAX_BACK_OFF_S)
        finally:
            self._workers -= 1
            await self._let_go(transport)

    async def _due(self, worker: _Worker) -> bool:
        """Wait for the worker's next start; False when it is not needed any more."""
        while not self.gate.stopping:
            if self._is_surplus(worker):
                return False
            left_ns = worker.start_ns - self._tools.clock.monotonic_ns()
            if left_ns <= 0 and not self.gate.paused:
                return True
            left_s = None if self.gate.paused else left_ns / NS_PER_S
            interval = self.interval
            if await self.gate.changed.wait(self._tools.clock, left_s):
                self._repace(worker, interval)
        return False

    def _is_surplus(self, worker: _Worker) -> bool:
        return worker.number >= self.concurrency and self._workers > self.concurrency

    def _repace(self, worker: _Worker, interval: float) -> None:
        """Bring a wait forward or back when the interval was changed during it."""
        if self.interval != interval:
            worker.start_ns += round((self.interval - interval) * NS_PER_S)

    async def _paced_probe(self, worker: _Worker, transport: Transport) -> None:
        scheduled_ns = worker.start_ns
        async with self._limiter:
            if self._is_surplus(worker):
                return  # the target was lowered while it waited for its turn
            start_ns = self._tools.clock.monotonic_ns()
            finished = await self._probe(transport, scheduled_ns)
        end_ns = self._tools.clock.monotonic_ns()
        failed = finished is not None and finished.outcome not in ("ok", "cancelled")
        worker.start_ns = next_start_ns(
            start_ns, end_ns, self.interval, self._tools.random, failed=failed
        )
        if finished is not None and finished.reason.startswith(LOCAL):
            worker.short_s = min(max(FIRST_SHORT_S, worker.short_s * 2), MOST_SHORT_S)
            worker.start_ns = max(worker.start_ns, end_ns + round(worker.short_s * NS_PER_S))
        else:
            worker.short_s = 0.0
        if self.interval > 0:
            self.skipped += max(0, round((end_ns - start_ns) / (self.interval * NS_PER_S)) - 1)

    async def _run_once(self) -> None:
        """One probe of a burst, on a connection of its own."""
        transport: Transport | None = None
        try:
            transport = self._new_transport()
            await self._probe(transport, self._tools.clock.monotonic_ns())
        except Exception as error:
            self._fault(error, 0.0)
        finally:
            await self._let_go(transport)

    async def _probe(self, transport: Transport, scheduled_ns: int) -> ProbeFinished | None:
        identity = f"{self._tools.engine}-{next(self._tools.numbers)}"
        probe = Probe(identity, self._probe_tools, transport, scheduled_ns=scheduled_ns)
        self._open[identity] = probe
        try:
            finished = await probe.run()
            if finished is not None and finished.reason.startswith(LOCAL):
                self._tools.shortages.note(finished.reason, finished.at_ns)
            return finished
        finally:
            del self._open[identity]
            self._preview.ended(identity)

    def _new_transport(self) -> Transport:
        transport = self._tools.transport(self.route, self._tools.clock)
        self._sockets.add(transport)
        return transport

    async def _let_go(self, transport: Transport | None) -> None:
        if transport is not None:
            self._sockets.discard(transport)
            self._done_reads += transport.reads
            with anyio.CancelScope(shield=True):
                await transport.aclose()

    def _on_output(self, probe: Probe, progress: Progress, at_ns: int) -> None:
        tally = probe.tally
        if tally is None:
            tally = self._tools.outbox.tally(self.route.name, probe.identity, probe.attempt_number)
            probe.tally = tally
        tally.chunks += 1
        tally.characters += progress.characters
        tally.last_ns = at_ns
        tally.tokens = progress.tokens
        self._chunks += 1
        if not progress.first_is_newest:
            self._inexact_chunks += 1
        if self._preview.on:
            self._preview.output(probe.identity, probe.attempt_number, progress)

    def fault(self, error: Exception) -> None:
        """Tell of a defect that stops nothing of the route."""
        self._fault(error, 0.0)

    def _fault(self, error: Exception, restart_in_s: float) -> None:
        scrub = self._tools.scrub.scrub
        event = Fault(
            at_ns=self._tools.clock.monotonic_ns(),
            route=self.route.name,
            error=clean(scrub(f"{type(error).__name__}: {error}"))[:LONGEST_FAULT],
            traceback=clean(scrub("".join(traceback.format_exception(error))))[-LONGEST_FAULT:],
            restart_in_s=restart_in_s,
        )
        self._tools.outbox.emit(event)
