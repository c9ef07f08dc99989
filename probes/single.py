"""One probe by itself: what `llmtop once` and `llmtop check` send."""

import os
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

import anyio
import msgspec

from probes.clock import Clock
from probes.config import Route
from probes.config.proxies import proxy_secrets
from probes.config.tls import unverified
from probes.events import AttemptFinished, Event, Notice, ProbeFinished
from probes.health import GapWatch, LoopWatch
from probes.manner import Manner
from probes.price_list import PriceListError, ask_prices
from probes.pricing import priced_later, wants_list
from probes.probe import Probe, ProbeTools, Turnstile, total_cost
from probes.report import cohort_of, prompt_tokens
from probes.retry import RetryPolicy
from probes.route import (
    TransportFactory,
    default_transport,
)
from probes.secrets import Scrubber, secret_values
from probes.transport import Transport

__all__ = ["ProbeRecord", "probe_once"]

_LIST_GRACE_S: Final = 1.0
"""After a probe whose cost nobody told, its provider's price list is waited for so long."""


@dataclass(frozen=True, slots=True)
class ProbeRecord:
    """A probe with its attempts."""

    probe: ProbeFinished
    attempts: tuple[AttemptFinished, ...]
    notices: tuple[str, ...] = ()


@dataclass(slots=True)
class _Open:
    """Everybody may pass: the caller has reserved what the probe may cost."""

    async def admit(self, tokens: object, cancelled: object) -> bool:  # noqa: ARG002
        return True

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


async def probe_once(
    route: Route,
    headers: dict[str, str],
    *,
    clock: Clock,
    random: Random,
    include_text: bool = False,
    transport: TransportFactory = default_transport,
) -> ProbeRecord:
    """Send one probe with its retries; failures of the network are in the record, not raised.

    `headers` are the route's, secrets filled in.
    """
    events = _Events()
    turnstile: Turnstile = _Open()
    size = prompt_tokens(route)
    tools = ProbeTools(
        route=route,
        manner=Manner(route, headers),
        clock=clock,
        random=random,
        gaps=GapWatch(clock.monotonic_ns()),
        scrub=Scrubber(secret_values({route.name: headers}) | proxy_secrets([route], os.environ)),
        emit=events.seen.append,
        turnstile=turnstile,
        policy=RetryPolicy(route.retries, random),
        prompt_tokens=size,
        include_text=include_text,
        max_tokens=route.max_tokens,
        cohort=cohort_of(route.max_tokens, size),
    )
    connection = transport(route, clock)
    listed = anyio.Event()
    watch = LoopWatch(clock, tools.gaps, lambda _started_ns, _ended_ns: None)
    async with anyio.create_task_group() as group:
        group.start_soon(watch.run)
        if wants_list(route):
            group.start_soon(_ask_price, tools, headers, transport(route, clock), listed)
        try:
            probe = Probe("1-1", tools, connection, scheduled_ns=clock.monotonic_ns())
            finished = await probe.run()
        finally:
            await connection.aclose()
        if wants_list(route) and (finished is None or finished.cost_usd is None):
            with anyio.move_on_after(_LIST_GRACE_S):
                await listed.wait()
        group.cancel_scope.cancel()
    assert finished is not None  # noqa: S101 - the turnstile lets everybody pass
    said = tuple(text for _, text in unverified([route]))
    return _priced(ProbeRecord(finished, events.attempts(), (*said, *events.notices())), tools)


async def _ask_price(
    tools: ProbeTools, headers: dict[str, str], transport: Transport, listed: anyio.Event
) -> None:
    """Ask the provider's list while the probe runs; a price that comes late counts all the same."""
    route = tools.route
    try:
        found = await ask_prices(route, headers, transport, {route.model})
    except PriceListError as error:
        text = f"no price from the provider's list: {error}"
        tools.emit(Notice(at_ns=tools.clock.monotonic_ns(), route=route.name, text=text))
    else:
        if route.model in found:
            tools.take_price(found[route.model], tools.clock.monotonic_ns())
    listed.set()


def _priced(record: ProbeRecord, tools: ProbeTools) -> ProbeRecord:
    """Return a record with its costs by the list's price, where that came after its attempts."""
    if tools.price is None or tools.price_source != "list":
        return record
    price, size = tools.price, tools.prompt_tokens
    attempts = tuple(priced_later(event, price, size, "list") for event in record.attempts)
    probe = msgspec.structs.replace(record.probe, cost_usd=total_cost(attempts))
    return replace(record, probe=probe, attempts=attempts)
