"""One logical request, as a user would make it: a ledger of attempts.

What the user felt is counted from the first attempt's start, failed attempts and waits included.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from random import Random
from typing import Protocol

import msgspec

from probes.answers.progress import Progress
from probes.config import Price, Route
from probes.config.scrubbing import Scrubber
from probes.engine.attempt import Attempt, AttemptResult
from probes.engine.health import GapWatch
from probes.engine.outbox import Tally
from probes.engine.report import AttemptIdentity, attempt_finished, charge_for
from probes.engine.request_builder import Manner
from probes.engine.retry import RetryPolicy
from probes.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    FirstToken,
    Notice,
    ProbeFinished,
    RetryPlan,
    StampLadder,
    TtftKind,
)
from probes.kit.clock import Clock
from probes.kit.signals import Signal
from probes.money.pricing import (
    Asked,
    Charge,
    LearnedUse,
    PriceSource,
    output_limit,
    price_info,
    price_words,
    reserved_usd,
)
from probes.transport import Request, Transport


class Turnstile(Protocol):
    """Decides when an attempt may go, and hears what it cost and what it met."""

    async def admit(self, tokens: Callable[[], int], cancelled: Callable[[], bool]) -> bool:
        """Wait until an attempt of at most `tokens()` may start, which is then reserved.

        Returns False, with nothing reserved, when none may any more or `cancelled()` is true;
        nothing is awaited between the reservation and the return.
        """
        ...

    def settle(self, event: AttemptFinished) -> None:
        """Take note of an ended attempt: its cost, its limits, its cool-down."""
        ...


@dataclass(slots=True)
class ProbeTools:
    """What all probes of a route share."""

    route: Route
    manner: Manner
    clock: Clock
    random: Random
    gaps: GapWatch
    scrub: Scrubber
    emit: Callable[[Event], None]
    turnstile: Turnstile
    policy: RetryPolicy
    prompt_tokens: int
    include_text: bool = False
    on_output: Callable[["Probe", Progress, int], None] = lambda _probe, _progress, _at_ns: None
    max_tokens: int = 0
    """The answer cap now; a knob."""
    cohort: str = ""
    price: Price | None = None
    price_source: PriceSource = "price"
    learned: LearnedUse = field(default_factory=LearnedUse)
    noticed: set[str] = field(default_factory=set)
    """What was said once of the route."""

    def __post_init__(self) -> None:
        if self.price is None:
            self.price = self.route.price

    def take_price(self, price: Price, at_ns: int) -> None:
        """Take the price that the provider's own list tells, and say so."""
        self.price, self.price_source = price, "list"
        text = f"price from the provider's list: {price_words(price)}"
        told = price_info(price, "list")
        self.emit(Notice(at_ns=at_ns, route=self.route.name, text=text, price=told))

    def miss_price(self, why: str, at_ns: int) -> None:
        """Say why the provider's own list tells no price."""
        text = f"no price from the provider's list: {why}"
        self.emit(Notice(at_ns=at_ns, route=self.route.name, text=text))

    @property
    def most_tokens(self) -> int:
        """What an attempt is expected to use at most under the cap as it is now."""
        return max(self.prompt_tokens + self.max_tokens, self.learned.tokens)

    def most_usd(self, tokens: int) -> float:
        """Return what so many tokens of an attempt cost at most; 0 without a price."""
        return reserved_usd(self.price, self.prompt_tokens, tokens)


@dataclass(slots=True)
class _Felt:
    """The user's view over all attempts."""

    started_ns: int | None = None
    first_token_ns: int | None = None
    first_answer_ns: int | None = None
    flagged: str = ""
    finished: list[AttemptFinished] = field(default_factory=list)


class Probe:
    """Runs once; is the listener of its attempts."""

    def __init__(
        self, identity: str, tools: ProbeTools, transport: Transport, *, scheduled_ns: int
    ) -> None:
        self.identity = identity
        self.attempt_number = 0
        self.open_since_ns: int | None = None
        self.url = ""
        """What was asked last, whole; a secret may stand in its query."""
        self.tally: Tally | None = None
        """Where the output of the attempt in flight is counted; set by whoever counts."""
        self._tools = tools
        self._transport = transport
        self._scheduled_ns = scheduled_ns
        self._admitted_ns = scheduled_ns
        self._felt = _Felt()
        self._attempt: Attempt | None = None
        self._cancelled = False
        self._bell = Signal()
        self._identity = self._identify()
        self._asked = tools.manner.way
        self._retries = 0

    @property
    def in_flight(self) -> Attempt | None:
        """The attempt that is under way; None before the first, between two, and at the end."""
        return self._attempt

    def cancel(self) -> None:
        """End the attempt in flight as `cancelled`; no other follows."""
        self._cancelled = True
        self._bell.ring()
        if self._attempt is not None:
            self._attempt.cancel()

    async def run(self) -> ProbeFinished | None:
        """Do the request; return its last event, or None where it was never admitted."""
        while await self._admitted():
            event = await self._run_attempt()
            again = not self._cancelled and self._learned(event)
            if self._cancelled or (event.retry is None and not again):
                return self._finish()
            self.attempt_number += 1
            await self._wait(event.retry)
        self._cancelled = True
        return self._finish()

    def on_started(self, at_ns: int) -> None:
        """Announce the attempt."""
        if self._felt.started_ns is None:
            self._felt.started_ns = at_ns
        self.open_since_ns = at_ns
        self._tools.emit(
            AttemptStarted(
                at_ns=at_ns,
                route=self._identity.route,
                probe=self.identity,
                attempt=self._identity.attempt,
                scheduled_ns=self._scheduled_ns,
                admitted_ns=self._admitted_ns,
                cohort=self._identity.cohort,
                reserved_tokens=self._identity.asked.reserved_tokens,
                reserved_usd=self._tools.most_usd(self._identity.asked.reserved_tokens),
            )
        )

    def on_first_token(self, at_ns: int, kind: TtftKind) -> None:
        """Announce the first output delta with what the user waited for it."""
        felt = self._felt
        if felt.first_token_ns is not None or felt.started_ns is None:
            return
        felt.first_token_ns = at_ns
        self._tools.emit(
            FirstToken(
                at_ns=at_ns,
                route=self._identity.route,
                probe=self.identity,
                attempt=self._identity.attempt,
                felt_ns=at_ns - felt.started_ns,
                kind=kind,
                cohort=self._identity.cohort,
            )
        )

    def on_output(self, progress: Progress, at_ns: int) -> None:
        """Pass a chunk's arrival on."""
        self._tools.on_output(self, progress, at_ns)

    async def _admitted(self) -> bool:
        if not await self._tools.turnstile.admit(
            lambda: self._tools.most_tokens, lambda: self._cancelled
        ):
            return False
        self._identity = self._identify()
        self._admitted_ns = self._tools.clock.monotonic_ns()
        return True

    async def _run_attempt(self) -> AttemptFinished:
        tools = self._tools
        self._asked = tools.manner.way
        self._attempt = Attempt(
            transport=self._transport,
            dialect=self._asked.dialect,
            clock=tools.clock,
            gaps=tools.gaps,
            timeouts=tools.route.timeouts,
            stall_after=tools.route.stall_after,
            listener=self,
            keep_text=tools.include_text,
            streamed=tools.route.stream,
            most_tokens=output_limit(tools.prompt_tokens, tools.max_tokens),
        )
        try:
            request = self._request()
            self.url = request.url
            result = await self._attempt.run(request)
        except BaseException:
            self._abandon()
            raise
        finally:
            self.open_since_ns = None
            self._attempt = None
            if self.tally is not None:
                self.tally.closed = True
                self.tally = None
        return self._report(result, len(request.body))

    def _request(self) -> Request:
        tools = self._tools
        nonce = f"{tools.random.getrandbits(64):016x}" if tools.route.cache == "bust" else None
        return tools.manner.request(self._asked, max_tokens=tools.max_tokens, nonce=nonce)

    def _report(self, result: AttemptResult, sent_bytes: int) -> AttemptFinished:
        tools = self._tools
        asked = replace(self._identity.asked, sent_bytes=sent_bytes)
        charge = charge_for(asked, result, tools.price, tools.price_source)
        plan = None
        if not self._cancelled:
            plan = tools.policy.plan(result.answer, result.headers, self._retries + 1)
            self._retries += plan is not None
        result.stamps = msgspec.structs.replace(
            result.stamps, scheduled=self._scheduled_ns, admitted=self._admitted_ns
        )
        event = attempt_finished(
            self._identity,
            result,
            charge=charge,
            retry=plan,
            clock=self._transport.clock_source,
            scrub=tools.scrub,
            include_text=tools.include_text,
        )
        self._close(event)
        self._remark(event, charge)
        return event

    def _remark(self, event: AttemptFinished, charge: Charge) -> None:
        """Say once of the route what its server was not believed, and that it ignores its cap."""
        tools = self._tools
        given = tools.prompt_tokens if event.input_tokens is None else event.input_tokens
        output = charge.tokens - given
        if event.reason == "cap_ignored":
            said = f"the server ignores the answer cap of {tools.max_tokens}: its streams are cut"
            self._say_once("cap", event, f"{said}, and {self._reserved()}")
        elif output > output_limit(tools.prompt_tokens, tools.max_tokens):
            said = f"an answer took {output:,} tokens under a cap of {tools.max_tokens}"
            self._say_once("cap", event, f"{said}: {self._reserved()}")
        if charge.doubt:
            self._say_once("doubt", event, charge.doubt)

    def _reserved(self) -> str:
        return f"{self._tools.most_tokens:,} tokens are reserved for the next"

    def _say_once(self, what: str, event: AttemptFinished, text: str) -> None:
        if what not in self._tools.noticed:
            self._tools.noticed.add(what)
            self._tools.emit(Notice(at_ns=event.at_ns, route=event.route, text=text))

    def _abandon(self) -> None:
        """Close the books on an attempt that a defect of ours, or our own end, cut off.

        One that never began was never told of, and cost nothing.
        """
        now_ns = self._tools.clock.monotonic_ns()
        began = self.open_since_ns is not None
        reserved = self._identity.asked.reserved_tokens
        event = AttemptFinished(
            at_ns=now_ns,
            route=self._identity.route,
            probe=self.identity,
            attempt=self._identity.attempt,
            outcome="cancelled",
            reason="engine",
            cohort=self._identity.cohort,
            reserved_tokens=reserved,
            charged_tokens=reserved if began else 0,
            charged_usd=self._tools.most_usd(reserved) if began else 0.0,
            stamps_ns=StampLadder(
                scheduled=self._scheduled_ns,
                admitted=self._admitted_ns,
                started=self.open_since_ns,
                ended=now_ns,
            ),
        )
        if began:
            self._close(event)
        else:
            self._tools.turnstile.settle(event)
        self._finish()

    def _close(self, event: AttemptFinished) -> None:
        felt = self._felt
        felt.flagged = felt.flagged or event.flagged
        if event.stamps_ns.first_answer is not None:
            felt.first_answer_ns = event.stamps_ns.first_answer
        felt.finished.append(event)
        self._tools.learned.learn(event.charged_tokens)
        self._tools.emit(event)
        self._tools.turnstile.settle(event)

    def _learned(self, event: AttemptFinished) -> bool:
        """Take what the attempt taught of the server; return whether to ask again at once."""
        lesson = self._tools.manner.learn(event, self._asked)
        if lesson.notice:
            self._tools.emit(Notice(at_ns=event.at_ns, route=event.route, text=lesson.notice))
        return lesson.again

    async def _wait(self, retry: RetryPlan | None) -> None:
        """Wait as planned; a request that was only adapted goes again at once."""
        if retry is not None and not self._cancelled:
            await self._bell.wait(self._tools.clock, retry.wait_s)

    def _finish(self) -> ProbeFinished | None:
        felt = self._felt
        if not felt.finished or felt.started_ns is None:
            return None
        last = felt.finished[-1]
        cancelled = self._cancelled and last.outcome != "ok"
        event = ProbeFinished(
            at_ns=self._tools.clock.monotonic_ns() if cancelled else last.at_ns,
            route=last.route,
            probe=self.identity,
            outcome="cancelled" if cancelled else last.outcome,
            reason="user" if cancelled else last.reason,
            attempts=len(felt.finished),
            started_ns=felt.started_ns,
            scheduled_ns=self._scheduled_ns,
            first_token_ns=felt.first_token_ns,
            first_answer_ns=felt.first_answer_ns,
            done_ns=last.stamps_ns.done if last.outcome == "ok" else None,
            retry_wait_ns=_waited_ns(felt.finished),
            input_tokens=last.input_tokens,
            output_tokens=last.output_tokens,
            cost_usd=total_cost(felt.finished),
            cohort=last.cohort,
            flagged=felt.flagged,
        )
        self._tools.emit(event)
        return event

    def _identify(self) -> AttemptIdentity:
        tools = self._tools
        return AttemptIdentity(
            route=tools.route.name,
            probe=self.identity,
            attempt=self.attempt_number,
            cohort=tools.cohort,
            dialect=tools.manner.way.name,
            asked=Asked(
                reserved_tokens=tools.most_tokens,
                prompt_tokens=tools.prompt_tokens,
                max_tokens=tools.max_tokens,
            ),
        )


def _waited_ns(finished: list[AttemptFinished]) -> int:
    """Return the time between the attempts: each one's start less the end of the one before."""
    total = 0
    for before, after in pairwise(finished):
        started_ns = after.stamps_ns.started
        if started_ns is not None:
            total += max(0, started_ns - before.at_ns)
    return total


def total_cost(finished: Sequence[AttemptFinished]) -> float | None:
    """Return what all attempts cost in USD; None where none is known."""
    costs = [event.cost_usd for event in finished if event.cost_usd is not None]
    return sum(costs) if costs else None
