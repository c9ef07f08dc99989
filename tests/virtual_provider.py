"""An engine and its provider in virtual time: the simulator's serving model, asked in process.

`VirtualSession` stands where a sweep has a session: it obeys the same commands, keeps workers busy,
waits as a server asks, and tells events as an engine does. Nothing of it touches a socket, so that
minutes of a sweep take a fraction of a second.
"""

from collections.abc import Callable
from itertools import count
from random import Random

import anyio
import msgspec

from probes.config import Route
from probes.config.prompts import estimate_tokens
from probes.control.commands import Command, Pause, SetKnob
from probes.control.status import HostStatus
from probes.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    Held,
    Hello,
    Limit,
    Outcome,
    ProbeFinished,
    StampLadder,
    Tick,
)
from probes.events.parts import Health, RouteCounts
from probes.events.stream import SCHEMA_VERSION
from probes.kit.clock import NS_PER_S, Clock
from probes.kit.signals import Signal
from probes.simulator.model import Refusal, ServingModel
from probes.simulator.scenario import HostedModel
from probes.simulator.sequence import SentPrompt, SequenceCutError

STAGGER_S = 0.1
"""Between two workers that come back after a cool-down, as in `probes.engine.gate`."""
FAILURE_PAUSE_S = 0.5
"""After a failed probe, as in `probes.engine.route`."""
BACK_S = 0.002
"""From the end of an answer to the next request of the same worker."""


class VirtualSession:
    """One route of one provider."""

    def __init__(
        self, route: Route, hosted: HostedModel, clock: Clock, seed: int, *, others: float = 0.0
    ) -> None:
        """Take the route as the sweep has made it; `others` is how long a network takes, in s."""
        self.route = route
        self.clock = clock
        self.random = Random(seed)
        self.model = ServingModel(hosted, clock=clock, random=Random(seed + 1))
        self.network_s = others
        self.status = HostStatus(state="running")
        self.asked: list[Command] = []
        self.started = 0
        self.charged = 0
        self.skipped = 0
        self.target = 0
        self.rate = 0.0
        self.paused = True
        self.open: dict[str, int] = {}
        self._sinks: list[Callable[[list[Event], bytes], object]] = []
        self._changed = Signal()
        self._numbers = count(1)
        self._workers = 0
        self._cool_until_ns = 0
        self._back = 0
        self._stopping = False
        self._group: anyio.abc.TaskGroup | None = None

    def subscribe(self, sink: Callable[[list[Event], bytes], object]) -> None:
        self._sinks.append(sink)

    def command(self, command: Command) -> None:
        self.asked.append(command)
        match command:
            case SetKnob(knob="concurrency", value=value):
                self.target = round(value)
            case SetKnob(knob="rate", value=value):
                self.rate = value
            case Pause(paused=paused):
                self.paused = paused
        self._changed.ring()
        self._hire()

    def stop(self) -> None:
        self._stopping = True
        if self._group is not None:
            self._group.cancel_scope.cancel()

    async def run(self) -> None:
        async with anyio.create_task_group() as self._group:
            if self._stopping:
                return
            self._group.start_soon(self.model.run)
            self._tell(
                Hello(
                    at_ns=self._now(),
                    wall_ns=self.clock.wall_ns(),
                    engine="virtual",
                    version="0",
                    routes=(),
                    schema=SCHEMA_VERSION,
                )
            )
            if self.route.is_open:
                self._group.start_soon(self._pace)
            while True:
                await self.clock.sleep(1.0)
                self._tell(
                    Tick(
                        at_ns=self._now(),
                        wall_ns=self.clock.wall_ns(),
                        health=Health(),
                        routes=(
                            RouteCounts(
                                route=self.route.name,
                                in_flight=len(self.open),
                                target=self.target,
                                skipped=self.skipped,
                            ),
                        ),
                    )
                )

    def _now(self) -> int:
        return self.clock.monotonic_ns()

    def _tell(self, event: Event) -> None:
        for sink in self._sinks:
            sink([event], b"")

    def _hire(self) -> None:
        if self._group is None or self.route.is_open:
            return
        while self._workers < self.target:
            self._group.start_soon(self._work, self._workers)
            self._workers += 1

    async def _work(self, number: int) -> None:
        await self.clock.sleep(0.05 * (number % 8))
        while True:
            while self.paused or number >= self.target:
                await self._changed.wait(self.clock, None)
            await self._cool()
            if self.paused or number >= self.target:
                continue
            outcome = await self._probe(self._now())
            await self.clock.sleep(BACK_S if outcome == "ok" else FAILURE_PAUSE_S)

    async def _pace(self) -> None:
        """Poisson starts, up to the concurrency at once."""
        assert self._group is not None
        while True:
            while self.paused or not self.rate:
                await self._changed.wait(self.clock, None)
            await self.clock.sleep(self.random.expovariate(self.rate))
            if self.paused:
                continue
            if len(self.open) >= self.route.concurrency or self._cool_until_ns > self._now():
                self.skipped += 1
                continue
            self._group.start_soon(self._probe, self._now())

    async def _cool(self) -> None:
        while (left_ns := self._cool_until_ns - self._now()) > 0:
            await self.clock.sleep(left_ns / NS_PER_S)
            self._back += 1
            await self.clock.sleep(STAGGER_S * (self._back - 1))

    async def _probe(self, scheduled_ns: int) -> Outcome:
        number = next(self._numbers)
        name, started_ns = f"p{number}", self._now()
        self.open[name] = started_ns
        self.started += 1
        reserved = estimate_tokens(self.route.prompt) + 8 + self.route.max_tokens
        self._tell(
            AttemptStarted(
                at_ns=started_ns,
                route=self.route.name,
                probe=name,
                attempt=0,
                scheduled_ns=scheduled_ns,
                admitted_ns=started_ns,
                cohort="64/256",
                reserved_tokens=reserved,
            )
        )
        attempt = AttemptFinished(
            at_ns=started_ns,
            route=self.route.name,
            probe=name,
            attempt=0,
            outcome="ok",
            stamps_ns=StampLadder(scheduled=scheduled_ns, started=started_ns),
            reserved_tokens=reserved,
        )
        attempt = await self._answered(attempt, started_ns)
        self.charged += attempt.charged_tokens
        self._tell(attempt)
        self.open.pop(name)
        stamps = attempt.stamps_ns
        self._tell(
            ProbeFinished(
                at_ns=attempt.at_ns,
                route=self.route.name,
                probe=name,
                outcome=attempt.outcome,
                reason=attempt.reason,
                attempts=1,
                started_ns=started_ns,
                scheduled_ns=scheduled_ns,
                first_token_ns=stamps.first_token,
                done_ns=stamps.done,
                input_tokens=attempt.input_tokens,
                output_tokens=attempt.output_tokens,
            )
        )
        return attempt.outcome

    async def _answered(self, attempt: AttemptFinished, started_ns: int) -> AttemptFinished:
        """Return what came of an attempt, when that has come."""
        replace = msgspec.structs.replace
        prompt_tokens = estimate_tokens(self.route.prompt) + 4
        prompt = SentPrompt(self.route.prompt.encode(), prompt_tokens, self.route.max_tokens)
        await self.clock.sleep(self.network_s)
        admitted = self.model.admit(prompt)
        if isinstance(admitted, Refusal):
            return await self._refused(attempt, admitted)
        stamps = StampLadder(scheduled=attempt.stamps_ns.scheduled, started=started_ns)
        limits = self._limits()
        tokens = chunks = 0
        first_ns: int | None = None
        try:
            await self.model.enqueue(admitted)
            while gained := await admitted.next_chunk():
                tokens, chunks = tokens + gained, chunks + 1
                first_ns = first_ns or self._now()
            outcome: Outcome = "ok"
        except SequenceCutError:
            outcome = "truncated"
        finally:
            self.model.release(admitted)
        now_ns = self._now()
        stamps = replace(
            stamps,
            first_token=first_ns,
            last_token=now_ns,
            done=now_ns if outcome == "ok" else None,
            ended=now_ns,
        )
        return replace(
            attempt,
            at_ns=now_ns,
            outcome=outcome,
            stamps_ns=stamps,
            ttft_kind="content",
            chunks=chunks,
            input_tokens=prompt_tokens,
            output_tokens=tokens,
            token_source="usage",
            charged_tokens=prompt_tokens + tokens,
            limits=limits,
        )

    async def _refused(self, attempt: AttemptFinished, refusal: Refusal) -> AttemptFinished:
        await self.clock.sleep(0.005)
        now_ns = self._now()
        stamps = msgspec.structs.replace(attempt.stamps_ns, ended=now_ns)
        outcome: Outcome = "throttled" if refusal.status == 429 else "server_error"
        reason = "" if outcome == "throttled" else "status"
        if refusal.kind in ("concurrency", "requests", "tokens"):
            reason = f"rate_limit.{refusal.kind}"
        told = dict(refusal.headers)
        if outcome == "throttled" and "retry-after-ms" in told:
            until_ns = now_ns + int(told["retry-after-ms"]) * 1_000_000
            if until_ns > self._cool_until_ns:
                self._cool_until_ns, self._back = until_ns, 0
                self._tell(
                    Held(at_ns=now_ns, reason="cool_down", route=self.route.name, until_ns=until_ns)
                )
        return msgspec.structs.replace(
            attempt,
            at_ns=now_ns,
            outcome=outcome,
            reason=reason,
            message=refusal.message,
            retryable=True,
            stamps_ns=stamps,
            limits=self._limits(),
        )

    def _limits(self) -> tuple[Limit, ...]:
        """Return what the headers of an answer tell."""
        told = dict(self.model.limit_headers())
        return tuple(
            Limit(
                kind=kind,
                limit=float(told[f"x-ratelimit-limit-{kind}"]),
                remaining=float(told[f"x-ratelimit-remaining-{kind}"]),
            )
            for kind in ("concurrency", "requests", "tokens")
            if f"x-ratelimit-limit-{kind}" in told
        )
