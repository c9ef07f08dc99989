"""One probe by itself: what `llmtop once` and `llmtop check` send.

It can be looked at while it runs and ended before it is over: what it met so far is its record.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

import anyio

from probes.clock import Clock, seconds
from probes.config import Route
from probes.config.proxies import proxy_secrets
from probes.config.tls import unverified
from probes.events import AttemptFinished, Event, Notice, ProbeFinished
from probes.health import GapWatch, LoopWatch
from probes.manner import Manner
from probes.probe import Probe, ProbeTools, Turnstile
from probes.report import cohort_of, prompt_tokens
from probes.retry import RetryPolicy
from probes.route import (
    TransportFactory,
    default_transport,
)
from probes.secrets import Scrubber, secret_values

__all__ = ["ProbeRecord", "SingleProbe", "probe_once", "stage_of"]

_STAGES: Final = (
    ("headers", "headers came, no {first}"),
    ("sent", "connected, no {first}"),
    ("tls", "connected, the request is not sent"),
    ("tcp", "connected, the request is not sent"),
    ("started", "not connected"),
)
"""What an attempt that has brought nothing yet is at, by the last step that it reached."""


@dataclass(frozen=True, slots=True)
class ProbeRecord:
    """A probe with its attempts."""

    probe: ProbeFinished
    attempts: tuple[AttemptFinished, ...]
    notices: tuple[str, ...] = ()
    url: str = ""
    """What was asked last, whole; a secret may stand in its query."""


@dataclass(slots=True)
class _Open:
    """Everybody may pass: the caller has reserved what the probe may cost."""

    async def admit(self, tokens: object, cancelled: Callable[[], bool]) -> bool:  # noqa: ARG002
        return not cancelled()

    def settle(self, event: AttemptFinished) -> None:
        """The caller settles the whole probe."""


@dataclass(slots=True)
class _Events:
    """The events of the one probe."""

    seen: list[Event] = field(default_factory=list)

    def attempts(self) -> tuple[AttemptFinished, ...]:
        return tuple(event for event in self.seen if isinstance(event, AttemptFinished))

    def notices(self) -> tuple[str, ...]:
        return tuple(event.text for event in self.seen if isinstance(event, Notice))


def stage_of(
    stamps: Mapping[str, int], *, chunks: int, silent_s: float | None, streamed: bool
) -> str:
    """Return in words how far an attempt has come; `silent_s` are seconds since the last chunk."""
    if silent_s is not None:
        return f"{chunks} output chunks, the last {silent_s:.1f} s ago"
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
        self._events = _Events()
        self._began_ns: int | None = None
        turnstile: Turnstile = _Open()
        size = prompt_tokens(route)
        self._tools = ProbeTools(
            route=route,
            manner=Manner(route, headers),
            clock=clock,
            random=random,
            gaps=GapWatch(clock.monotonic_ns()),
            scrub=Scrubber(
                secret_values({route.name: headers}) | proxy_secrets([route], os.environ)
            ),
            emit=self._events.seen.append,
            turnstile=turnstile,
            policy=RetryPolicy(route.retries, random),
            prompt_tokens=size,
            include_text=include_text,
            max_tokens=route.max_tokens,
            cohort=cohort_of(route.max_tokens, size),
        )
        self._connection = transport(route, clock)
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
            last_ns, now_ns = attempt.last_output_ns, self._clock.monotonic_ns()
            return stage_of(
                attempt.stamps,
                chunks=attempt.chunks,
                silent_s=None if last_ns is None else seconds(now_ns - last_ns),
                streamed=self.route.stream,
            )
        done = self._events.attempts()
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
            try:
                finished = await self._probe.run()
            finally:
                await self._connection.aclose()
            group.cancel_scope.cancel()
        if finished is None:
            return None
        said = tuple(text for _, text in unverified([self.route]))
        notices = (*said, *self._events.notices())
        return ProbeRecord(finished, self._events.attempts(), notices, self._probe.url)


async def probe_once(
    route: Route,
    headers: dict[str, str],
    *,
    clock: Clock,
    random: Random,
    include_text: bool = False,
    transport: TransportFactory = default_transport,
) -> ProbeRecord:
    """Send one probe to its end; `headers` are the route's, secrets filled in."""
    probe = SingleProbe(
        route,
        headers,
        clock=clock,
        random=random,
        include_text=include_text,
        transport=transport,
    )
    record = await probe.run()
    assert record is not None  # noqa: S101 - nobody cancels it, and everybody may pass
    return record
