"""One probe by itself: what `llmtop once` and `llmtop check` send.

Rule 1. It is probed as an engine probes it, by the same code; only nobody is before or beside it.
Rule 2. It can be looked at while it runs and ended before it is over: what it met so far is its
        record.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Final

import anyio
import msgspec

from probes.config import Route
from probes.config.proxy_choice import proxy_secrets
from probes.config.scrubbing import Scrubber
from probes.config.secrets import query_secrets, secret_values
from probes.config.tls import unverified
from probes.engine.answer_checks import AnswerChecks
from probes.engine.health import GapWatch, LoopWatch
from probes.engine.probe import Probe, ProbeTools, total_cost
from probes.engine.route import TransportFactory, default_transport
from probes.events import AttemptFinished, Event, Notice, ProbeFinished
from probes.kit.clock import Clock, seconds
from probes.kit.short_figures import counted
from probes.money.price_list import PriceListError, ask_prices
from probes.money.pricing import priced_later, wants_list
from probes.transport import Transport

_STAGES: Final = (
    ("headers", "headers came, no {first}"),
    ("sent", "connected, no {first}"),
    ("tls", "connected, the request is not sent"),
    ("tcp", "connected, the request is not sent"),
    ("started", "not connected"),
)
"""What an attempt that has brought nothing yet is at, by the last step that it reached."""

_LIST_GRACE_S: Final = 1.0
"""After a probe whose cost nobody told, its provider's price list is waited for so long."""


@dataclass(frozen=True, slots=True)
class ProbeRecord:
    """A probe with its attempts."""

    probe: ProbeFinished
    attempts: tuple[AttemptFinished, ...]
    notices: tuple[str, ...] = ()
    url: str = ""
    """What was asked last, whole; a secret may stand in its query."""


class _OpenGate:
    """Everybody may pass: the caller has reserved what the probe may cost."""

    async def admit(self, tokens: object, cancelled: Callable[[], bool], **_: bool) -> bool:  # noqa: ARG002
        return not cancelled()

    def settle(self, event: AttemptFinished) -> None:
        """The caller settles the whole probe."""


def stage_of(
    stamps: Mapping[str, int], *, chunks: int, silent_s: float | None, streamed: bool
) -> str:
    """Return in words how far an attempt has come; `silent_s` are seconds since the last chunk."""
    if silent_s is not None:
        return f"{counted(chunks, 'output chunk')}, the last {silent_s:.1f} s ago"
    first = "first token" if streamed else "whole answer"
    reached = (words for step, words in _STAGES if step in stamps)
    return next(reached, "not begun").format(first=first)


class SingleProbe:
    """Runs once."""

    def __init__(
        self,
        route: Route,
        headers: dict[str, str],
        *,
        clock: Clock,
        random: Random,
        include_text: bool = False,
        transport: TransportFactory = default_transport,
    ) -> None:
        """Prepare a probe; `headers` are the route's, secrets filled in."""
        self.route = route
        self._clock = clock
        self._events: list[Event] = []
        self._began_ns: int | None = None
        self._checks = AnswerChecks(clock)
        self._tools = ProbeTools(
            route=route,
            headers=headers,
            clock=clock,
            random=random,
            gaps=GapWatch(clock.monotonic_ns()),
            scrub=Scrubber(
                secret_values({route.name: headers})
                | query_secrets([route])
                | proxy_secrets([route], os.environ)
            ),
            emit=self._events.append,
            gate=_OpenGate(),
            include_text=include_text,
            checker=self._checks,
        )
        self._headers = headers
        self._connection = transport(route, clock)
        self._lister = transport(route, clock) if wants_list(route) else None
        """Asks for the price, on a connection of its own."""
        self._listed = anyio.Event()
        self._probe = Probe("1-1", self._tools, self._connection, scheduled_ns=clock.monotonic_ns())

    @property
    def waited_s(self) -> float:
        """Seconds since it began; 0 before."""
        if self._began_ns is None:
            return 0.0
        return seconds(self._clock.monotonic_ns() - self._began_ns)

    @property
    def stage(self) -> str:
        """In words, how far it has come."""
        attempt = self._probe.in_flight
        if attempt is not None:
            recorder, now_ns = attempt.recorder, self._clock.monotonic_ns()
            last_ns = recorder.last_ns
            return stage_of(
                recorder.stamps,
                chunks=recorder.chunks,
                silent_s=None if last_ns is None else seconds(now_ns - last_ns),
                streamed=self.route.stream,
            )
        done = self._attempts()
        if not done:
            return "not begun"
        return f"attempt {len(done)} failed ({done[-1].reason}), waiting to retry"

    def cancel(self) -> None:
        """End it now; what it met so far becomes its record."""
        self._probe.cancel()

    async def run(self) -> ProbeRecord | None:
        """Send the probe with its retries; failures of the network are in the record, not raised.

        Returns None where it was cancelled before anything was sent.
        """
        self._began_ns = self._clock.monotonic_ns()
        watch = LoopWatch(self._clock, self._tools.gaps, lambda _started_ns, _ended_ns: None)
        async with anyio.create_task_group() as group:
            group.start_soon(watch.run)
            if self._lister is not None:
                group.start_soon(self._ask_price, self._lister)
            try:
                finished = await self._probe.run()
            finally:
                await self._checks.aclose()
                await self._connection.aclose()
            ended = finished is not None and finished.outcome != "cancelled"
            if self._lister is not None and ended and not total_cost(self._attempts()):
                # Nobody has told yet what it cost: the list may still.
                with anyio.move_on_after(_LIST_GRACE_S):
                    await self._listed.wait()
            group.cancel_scope.cancel()
        if finished is None:
            return None
        unsure = (text for _, text in unverified([self.route]))
        notices = (event.text for event in self._events if isinstance(event, Notice))
        attempts, tools = self._attempts(), self._tools
        if tools.price is not None and tools.price_source == "list":
            # The list may have come after its attempts.
            size = tools.prompt_tokens
            attempts = tuple(priced_later(one, tools.price, size, "list") for one in attempts)
            finished = msgspec.structs.replace(finished, cost_usd=total_cost(attempts))
        return ProbeRecord(finished, attempts, (*unsure, *notices), self._probe.url)

    def _attempts(self) -> tuple[AttemptFinished, ...]:
        return tuple(event for event in self._events if isinstance(event, AttemptFinished))

    async def _ask_price(self, lister: Transport) -> None:
        """Ask the provider's list while the probe runs; a price that comes late counts as well."""
        try:
            listed = await ask_prices(self.route, self._headers, lister, {self.route.model})
            self._tools.learn_price(listed)
        except PriceListError as error:
            self._tools.learn_price(error)
        self._listed.set()
