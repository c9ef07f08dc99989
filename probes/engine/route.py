"""One route at work: its workers, their pace, its knobs, its gate.

Rule 1. Each worker has a connection of its own and sends one probe at a time; it keeps its place
        through a probe's retries and waits.
Rule 2. When a probe is due is the pace's to say (`engine.pacing`). In an open loop it begins then,
        on the connection that was used last of those that are idle, up to `concurrency` at once.
Rule 3. Knobs act at once and cancel nothing in flight.
Rule 4. While something is suspected, probes go beside the pace (`thicken`): workers that rest lend
        themselves to them. The pace goes on as it was: a worker's next start stays where it is.
Rule 5. A probe that is asked for goes on a connection that no worker has and that is kept for the
        next one, so that who compares routes by such probes can compare kept connections, too.
Rule 6. A defect of ours in one probe is told and survived; no other route notices.
"""

import os
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random
from typing import Final, TypeAlias

import anyio
import msgspec
from anyio.abc import TaskGroup

from probes.config import Route
from probes.config.scrubbing import Scrubber
from probes.control.commands import PacePart
from probes.control.evidence import EVIDENCE_EVERY_S
from probes.control.knobs import KnobName
from probes.engine.answer_checks import AnswerChecker
from probes.engine.gate import Gate
from probes.engine.health import GapWatch, Shortages, Work
from probes.engine.outbox import Outbox
from probes.engine.pacing import (
    FAILURE_PAUSE_S,
    OpenPace,
    Schedule,
    first_start_ns,
    next_start_ns,
)
from probes.engine.preview import TextPreview
from probes.engine.probe import Probe, ProbeTools
from probes.events import (
    LOCAL,
    WRONG_ANSWER,
    ClockSource,
    Fault,
    Knob,
    KnobKind,
    ProbeFinished,
    RouteCounts,
    SkipReason,
)
from probes.kit.clock import NS_PER_S, Clock
from probes.kit.words import clean
from probes.money.spending import Spending
from probes.transport import Transport, connecting, open_transport

TransportFactory: TypeAlias = Callable[[Route, Clock], Transport]

MAX_BACK_OFF_S: Final = 30.0
"""A worker that a defect of ours stops again and again tries so seldom at last."""
FIRST_SHORT_S: Final = 0.5
MOST_SHORT_S: Final = 10.0
"""What a worker waits that has met a shortage of ours, doubling up to this: what is not there is
not there sooner for being asked for by a hundred workers twice a second."""
EVIDENCE_EVERY_NS: Final = round(EVIDENCE_EVERY_S * NS_PER_S)
NEAR_NS: Final = EVIDENCE_EVERY_NS // 2
"""A probe of the pace so shortly after one beside it is due takes its place: two starts within half
a second tell a judge by the second no more than one."""
HELD_AGAIN_NS: Final = NS_PER_S // 10
"""So often an open pace looks whether what holds it back is over: nobody waits to be let go."""
COUNT_AGAIN_NS: Final = NS_PER_S
"""So often it counts what a pause skips: its end rings."""
LOOK_AGAIN_S: Final = 0.2
"""How often one looks for a worker that rests while a probe beside the pace is due."""
LONGEST_FAULT: Final = 20_000
"""Characters of a traceback that are told."""


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
    checker: AnswerChecker | None = None
    """Looks at answers of which something is expected; None for nobody."""


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker's place; it retires when its number is above the target."""

    number: int
    start_ns: int
    """When its pace wants its next probe."""
    short_s: float = 0.0
    """What it waited last for a shortage of ours; 0 where it met none."""
    rest: anyio.CancelScope = field(default_factory=anyio.CancelScope)
    """Its wait for the next start; cancelled, it wakes alone."""
    evidence: bool = False
    """Its next probe goes now, beside the pace."""


class RouteRunner:
    """Keeps `concurrency` workers probing. Knobs act at once and cancel nothing in flight."""

    def __init__(
        self,
        route: Route,
        headers: dict[str, str],
        tools: RouteTools,
        pace_part: PacePart | None = None,
    ) -> None:
        self.route = route
        self.concurrency = route.concurrency
        self.interval = route.interval
        self.rate = route.rate or 0.0
        self.skipped = 0
        """Ticks of a closed pace that could not be sent."""
        self._pace_part = pace_part
        self._pace: OpenPace | None = None
        """None while it does not run, and where the loop is closed."""
        self._busy = 0
        """Places of an open pace that are taken."""
        self._idle: list[Transport] = []
        """Connections of those that are free, the one used last at the end."""
        self._off_until_ns = 0
        """Until then an open pace sends nothing, for what happened to us."""
        self._off_reason: SkipReason = "local"
        self._off_s = 0.0
        self._tools = tools
        self._limiter = anyio.CapacityLimiter(max(1, route.concurrency))
        self._group: TaskGroup | None = None
        self._workers = 0
        self._resting: set[_Worker] = set()
        """Those that wait for their next start."""
        self._open: dict[str, Probe] = {}
        self._last_start_ns = 0
        """Of any probe."""
        self._evidence_until_ns = 0
        """Until then probes may go beside the pace."""
        self._may_connect = False
        """Whether one of them may do so on a connection of its own."""
        self._seeking = False
        """Whether somebody looks when the next of them is due."""
        self._connecting_anew = False
        """Whether one on a connection of its own is under way."""
        self._asking = anyio.Lock()
        self._asked_transport: Transport | None = None
        """Kept from one probe that was asked for to the next."""
        self._sockets: set[Transport] = set()
        self._closed_reads = 0
        """Of transports that are closed."""
        self._preview = TextPreview(tools.scrub, partial(tools.outbox.preview, route.name))
        self.gate = Gate(
            route.name,
            clock=tools.clock,
            random=tools.random,
            spending=tools.spending,
            emit=tools.outbox.emit,
            reader_stalled=lambda: tools.outbox.stalled,
            usd_of=lambda tokens: self.probe_tools.most_usd(tokens),
        )
        self.gate.paused = route.paused
        self.probe_tools = ProbeTools(
            route=route,
            headers=headers,
            clock=tools.clock,
            random=tools.random,
            gaps=tools.gaps,
            scrub=tools.scrub,
            emit=tools.outbox.emit,
            gate=self.gate,
            include_text=tools.include_text,
            follow=tools.outbox.follow,
            preview=self._preview,
            checker=tools.checker,
        )

    @property
    def max_tokens(self) -> int:
        """The answer cap now."""
        return self.probe_tools.max_tokens

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
        open_attempts = (probe.in_flight for probe in self._open.values())
        recorders = [attempt.recorder for attempt in open_attempts if attempt is not None]
        ended = self.probe_tools
        return Work(
            reads=self._closed_reads + sum(transport.reads for transport in self._sockets),
            chunks=ended.chunks + sum(one.chunks for one in recorders),
            inexact_chunks=ended.inexact_chunks + sum(one.inexact_chunks for one in recorders),
        )

    async def run(self) -> None:
        """Probe until `stop`, and return when the last probe has ended."""
        async with anyio.create_task_group() as group:
            self._group = group
            if self.route.is_open:
                await self._keep_pace()
            self._hire()
            while not self.gate.stopping:
                await self.gate.changed.wait(self._tools.clock)
                self._hire()
        await self._let_go(self._asked_transport)
        while self._idle:
            await self._let_go(self._idle.pop())

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

    def set_knob(
        self,
        knob: KnobName,
        value: float,
        who: str,
        reason: str = "",
        pace_part: PacePart | None = None,
    ) -> None:
        """Change a knob; raising wakes waiters, lowering absorbs releases.

        The command has kept the value within the knob's range. As one of several engines this may
        be told to have no worker at all.
        """
        before = float(getattr(self, knob))
        if knob == "interval":
            self.interval = value
        elif knob == "rate":
            self.rate, self._pace_part = value, pace_part
            if self._pace is not None:
                now_ns = self._tools.clock.monotonic_ns()
                self._pace.schedule.turn(value, now_ns, pace_part)
        elif knob == "concurrency":
            self.concurrency = round(value)
            self._limiter.total_tokens = max(1, self.concurrency)
        else:
            self.probe_tools.max_tokens = round(value)
        if value != before:
            self._say(knob, before, value, who, reason)
        self.gate.changed.ring()

    def pause(self, paused: bool, *, cancel: bool, who: str) -> None:
        """Stop new attempts, or let them go on; what is in flight ends by itself or by `cancel`."""
        if self.gate.paused != paused:
            self._say("paused", float(self.gate.paused), float(paused), who)
        self.gate.paused = paused
        if paused:
            self._evidence_until_ns = 0
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

    def probe_now(self) -> None:
        """Send one probe now, beside the pace, on the connection that is kept for such probes."""
        if self._group is not None and not self.gate.stopping:
            self._group.start_soon(self._run_asked)

    def thicken(self, for_s: float, *, fresh: bool) -> None:
        """Let one probe a second start in all, for some seconds from now; 0 ends that.

        With `fresh` one at a time may go on a connection of its own where the only worker is busy.
        Nothing happens where the settings forbid it, and while the route is paused. Whether the
        gate is calm counts whenever one is to go: a lease may be dry for this very moment.
        """
        forbidden = not self.route.evidence or self.gate.paused
        if forbidden or self._group is None or self.gate.stopping:
            return
        for_ns = round(for_s * NS_PER_S)
        self._evidence_until_ns = self._tools.clock.monotonic_ns() + for_ns
        self._may_connect = fresh
        if for_ns and not self._seeking:
            self._seeking = True
            self._group.start_soon(self._seek_evidence)

    def accept_usual(self, who: str) -> None:
        """Say that the present level is the usual one from now on; whoever judges it hears that."""
        self._say("usual", 0, 1, who)

    def end_cool_down(self, who: str) -> None:
        """Probe at once although the server asked us to wait."""
        left_s = self.gate.cool_down_left_s
        if self.gate.end_cool_down(detail=f"ended by {who}"):
            self._say("cool_down", left_s, 0, who)

    def watch_text(self, watching: bool) -> None:
        """Send the text of the oldest open stream along, or no longer."""
        self._preview.switch(watching)
        for probe in self._open.values():
            probe.hears_output = watching

    def counts(self) -> RouteCounts:
        """Return the route's counters now."""
        counts = RouteCounts(
            route=self.route.name,
            in_flight=sum(probe.open_since_ns is not None for probe in self._open.values()),
            target=self.concurrency,
            waiting=self.gate.waiting,
            skipped=self.skipped,
        )
        pace = self._pace
        if pace is None:
            return counts
        return msgspec.structs.replace(
            counts,
            skipped=pace.skipped.total(),
            due=pace.due,
            due_waiting=len(pace.waiting),
            skipped_for=dict(pace.skipped),
        )

    def counts_and_oldest(self, now_ns: int) -> RouteCounts:
        """Return the same with the oldest open attempt and its age.

        Apart, for ticks alone: of an age that grows every batch would be news.
        """
        oldest_ns, oldest = now_ns, None
        for probe in self._open.values():
            started_ns, attempt = probe.open_since_ns, probe.in_flight
            if started_ns is not None and attempt is not None and started_ns <= oldest_ns:
                oldest_ns, oldest = started_ns, attempt
        counts = self.counts()
        if oldest is None:
            return counts
        return msgspec.structs.replace(
            counts, oldest_open_ns=now_ns - oldest_ns, oldest_phase=oldest.recorder.open_phase
        )

    def _say(self, knob: KnobKind, before: float, after: float, who: str, reason: str = "") -> None:
        self._tools.outbox.emit(
            Knob(
                at_ns=self._tools.clock.monotonic_ns(),
                route=self.route.name,
                knob=knob,
                before=before,
                after=after,
                who=who,
                reason=reason,
            )
        )

    def _hire(self) -> None:
        """Start the workers that the target asks for and that do not run yet."""
        assert self._group is not None  # noqa: S101 - set in run
        now_ns = self._tools.clock.monotonic_ns()
        fresh = 0
        while self._workers < self.concurrency and not self.route.is_open:
            start_ns = first_start_ns(now_ns, fresh, self.concurrency, self.interval)
            self._group.start_soon(self._work, _Worker(self._workers, start_ns))
            self._workers += 1
            fresh += 1

    # An open pace.

    async def _keep_pace(self) -> None:
        """Begin what is due when it is due, until the route stops."""
        clock, route = self._tools.clock, self.route
        now_ns = clock.monotonic_ns()
        schedule = Schedule(route.pace, self.rate, self._tools.random, now_ns, self._pace_part)
        patience_ns = round(route.timeouts.first_token * NS_PER_S)
        pace = self._pace = OpenPace(schedule, patience_ns, now_ns)
        while not self.gate.stopping:
            now_ns = clock.monotonic_ns()
            held = self._holds_pace(pace, now_ns)
            pace.look(now_ns, held)
            self._begin_due()
            due_ns = schedule.due_ns
            if held is not None:
                due_ns = now_ns + (COUNT_AGAIN_NS if held == "paused" else HELD_AGAIN_NS)
            left_s = None if due_ns is None else (due_ns - now_ns) / NS_PER_S
            await self.gate.changed.wait(clock, left_s)

    def _holds_pace(self, pace: OpenPace, now_ns: int) -> SkipReason | None:
        """Return why what is due now is not to begin; None where it is."""
        if self._tools.gaps.ended_between(pace.looked_ns, now_ns):
            return "gap"
        held = self.gate.look(self.probe_tools.most_tokens)
        if held is not None:
            return held
        return self._off_reason if now_ns < self._off_until_ns else None

    def _begin_due(self) -> None:
        """Begin what waits, as far as there are places."""
        pace, group = self._pace, self._group
        if pace is None or group is None:
            return
        now_ns = self._tools.clock.monotonic_ns()
        while self._busy < self.concurrency and not self.gate.stopping:
            due_ns = pace.take(now_ns)
            if due_ns is None:
                break
            self._busy += 1
            group.start_soon(self._run_due, due_ns, False)

    async def _run_due(self, scheduled_ns: int, evidence: bool) -> None:
        """One probe of an open pace, in a place that was taken for it."""
        transport = self._idle.pop() if self._idle else None
        try:
            transport = transport or self._new_transport()
            finished = await self._probe(
                transport, scheduled_ns, evidence=evidence, gives_way=not evidence
            )
            if finished is None and not evidence:
                self._skip_begun()
            elif finished is not None:
                self._stay_off("local", when=finished.reason.startswith(LOCAL))
        except Exception as error:
            self._stay_off("fault", when=True)
            self.fault(error, self._off_s)
        finally:
            self._busy -= 1
            is_kept = len(self._idle) + self._busy < self.concurrency and not self.gate.stopping
            if transport is not None and is_kept:
                self._idle.append(transport)
            self._begin_due()
            if not is_kept:
                await self._let_go(transport)

    def _skip_begun(self) -> None:
        """Count a probe that had a place, and was held back before its first attempt."""
        if self._pace is not None:
            self._pace.skip(self.gate.look(self.probe_tools.most_tokens) or "paused")

    def _stay_off(self, reason: SkipReason, *, when: bool) -> None:
        """Send nothing for a while for what happened to us, longer each time that it does again."""
        now_ns = self._tools.clock.monotonic_ns()
        if not when:
            self._off_s = 0.0
        elif now_ns >= self._off_until_ns:  # what was under way by then says nothing new
            most_s = MOST_SHORT_S if reason == "local" else MAX_BACK_OFF_S
            self._off_s = min(max(FIRST_SHORT_S, self._off_s * 2), most_s)
            self._off_until_ns = now_ns + round(self._off_s * NS_PER_S)
            self._off_reason = reason

    # A closed one.

    async def _work(self, worker: _Worker) -> None:
        """One worker: wait, probe, and so on."""
        transport: Transport | None = None
        back_off_s = 1.0
        try:
            while await self._due(worker):
                try:
                    transport = transport or self._new_transport()
                    await self._worker_probe(worker, transport)
                    back_off_s = 1.0
                except Exception as error:
                    self.fault(error, back_off_s)
                    await self.gate.changed.wait(self._tools.clock, back_off_s)
                    back_off_s = min(back_off_s * 2, MAX_BACK_OFF_S)
        finally:
            self._workers -= 1
            await self._let_go(transport)

    async def _due(self, worker: _Worker) -> bool:
        """Wait for the worker's next start, or until it is to go beside the pace; False when it is
        not needed any more."""
        self._resting.add(worker)
        try:
            while not self.gate.stopping:
                if self._is_surplus(worker):
                    return False
                left_ns = worker.start_ns - self._tools.clock.monotonic_ns()
                if worker.evidence or (left_ns <= 0 and not self.gate.paused):
                    return True
                left_s = None if self.gate.paused else left_ns / NS_PER_S
                interval = self.interval
                with anyio.CancelScope() as worker.rest:
                    await self.gate.changed.wait(self._tools.clock, left_s)
                # The interval may have been changed: that brings this wait forward, or back.
                worker.start_ns += round((self.interval - interval) * NS_PER_S)
            return False
        finally:
            self._resting.discard(worker)

    async def _seek_evidence(self) -> None:
        """Send probes beside the pace where it leaves more than a second between two starts."""
        while not self.gate.stopping:
            now_ns = self._tools.clock.monotonic_ns()
            left_ns = self._evidence_until_ns - now_ns
            if left_ns <= 0:
                break
            wait_ns = self._evidence_due_ns() - now_ns
            if wait_ns <= 0:
                self._send_evidence(now_ns)
                wait_ns = round(LOOK_AGAIN_S * NS_PER_S)
            await self.gate.changed.wait(self._tools.clock, min(wait_ns, left_ns) / NS_PER_S)
        self._seeking = False

    def _evidence_due_ns(self) -> int:
        """Return when the next probe beside the pace is due: a second after the last start, and
        after those that the pace itself brings soon."""
        due_ns = self._last_start_ns + EVIDENCE_EVERY_NS
        starts_ns = [worker.start_ns for worker in self._resting]
        if self._pace is not None and self._pace.schedule.due_ns is not None:
            starts_ns.append(self._pace.schedule.due_ns)
        for start_ns in sorted(starts_ns):
            if start_ns > due_ns + NEAR_NS:
                break
            due_ns = max(due_ns, start_ns + EVIDENCE_EVERY_NS)
        return due_ns

    def _send_evidence(self, now_ns: int) -> None:
        """Send a probe beside the pace, by a worker that rests or as one more; or none."""
        if not self.gate.is_calm or self._tools.shortages.now(now_ns):
            return
        assert self._group is not None  # noqa: S101 - set in run
        if self._pace is not None and self._busy < self.concurrency:
            if self._pace.waiting:
                return
            self._busy += 1
            self._group.start_soon(self._run_due, now_ns, True)
        elif self._resting:
            if self._limiter.available_tokens < 1:
                return  # the target was lowered: more are under way than it allows
            # The one that its own pace needs last.
            worker = max(self._resting, key=lambda one: one.start_ns)
            worker.evidence = True
            worker.rest.cancel()
        elif self._may_connect and self._hangs_alone:
            self._connecting_anew = True
            self._group.start_soon(self._run_anew)
        else:
            return
        self._last_start_ns = now_ns

    @property
    def _hangs_alone(self) -> bool:
        """Whether the only worker is busy, and nothing else is under way."""
        return self.concurrency == 1 and len(self._open) == 1 and not self._connecting_anew

    def _is_surplus(self, worker: _Worker) -> bool:
        return worker.number >= self.concurrency and self._workers > self.concurrency

    async def _worker_probe(self, worker: _Worker, transport: Transport) -> None:
        """Send a worker's probe, and set its next start."""
        evidence, worker.evidence = worker.evidence, False
        paced_ns, interval = worker.start_ns, self.interval
        scheduled_ns = self._tools.clock.monotonic_ns() if evidence else paced_ns
        async with self._limiter:  # where the target was lowered, more workers than turns are left
            if self._is_surplus(worker):
                return  # the target was lowered while it waited for its turn
            start_ns = self._tools.clock.monotonic_ns()
            finished = await self._probe(transport, scheduled_ns, evidence=evidence)
        end_ns = self._tools.clock.monotonic_ns()
        # A wrong answer is a whole one: it came at the server's pace, and hammers nobody.
        failed = finished is not None and not (
            finished.outcome in ("ok", "cancelled") or finished.reason == WRONG_ANSWER.reason
        )
        if evidence:
            # The pace goes on as it was, late where this probe took so long; an interval that was
            # turned meanwhile moves it as it moves one that waits.
            paced_ns += round((self.interval - interval) * NS_PER_S)
            start_ns = paced_ns - round(self.interval * NS_PER_S)  # its ticks count from there
            pause_ns = round(FAILURE_PAUSE_S * NS_PER_S) if failed else 0
            worker.start_ns = max(paced_ns, end_ns + pause_ns)
        else:
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

    async def _run_asked(self) -> None:
        """One probe, after those that were asked for before it."""
        async with self._asking:
            if self.gate.stopping:
                return
            try:
                self._asked_transport = self._asked_transport or self._new_transport()
                scheduled_ns = self._tools.clock.monotonic_ns()
                await self._probe(self._asked_transport, scheduled_ns, evidence=False)
            except Exception as error:
                self.fault(error)

    async def _run_anew(self) -> None:
        """One probe beside the pace, on a connection of its own."""
        try:
            await self._run_once(evidence=True)
        finally:
            self._connecting_anew = False

    async def _run_once(self, *, evidence: bool = False) -> None:
        """One probe on a connection of its own."""
        transport: Transport | None = None
        try:
            transport = self._new_transport()
            await self._probe(transport, self._tools.clock.monotonic_ns(), evidence=evidence)
        except Exception as error:
            self.fault(error)
        finally:
            await self._let_go(transport)

    async def _probe(
        self, transport: Transport, scheduled_ns: int, *, evidence: bool, gives_way: bool = False
    ) -> ProbeFinished | None:
        identity = f"{self._tools.engine}-{next(self._tools.numbers)}"
        probe = Probe(
            identity,
            self.probe_tools,
            transport,
            scheduled_ns=scheduled_ns,
            evidence=evidence,
            gives_way=gives_way,
        )
        self._open[identity] = probe
        self._last_start_ns = self._tools.clock.monotonic_ns()
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
            self._closed_reads += transport.reads
            with anyio.CancelScope(shield=True):  # our own end must not leave a descriptor behind
                await transport.aclose()

    def fault(self, error: Exception, restart_in_s: float = 0.0) -> None:
        """Tell of a defect of ours; what it stopped starts again after so many seconds."""
        scrub = self._tools.scrub.scrub
        event = Fault(
            at_ns=self._tools.clock.monotonic_ns(),
            route=self.route.name,
            error=clean(scrub(f"{type(error).__name__}: {error}"))[:LONGEST_FAULT],
            traceback=clean(scrub("".join(traceback.format_exception(error))))[-LONGEST_FAULT:],
            restart_in_s=restart_in_s,
        )
        self._tools.outbox.emit(event)
