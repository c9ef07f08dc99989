"""One logical request, as a user would make it: a ledger of attempts.

Rule 1. What the user felt is counted from the first attempt's start, failed attempts and waits
        included.
Rule 2. Every attempt that was admitted is settled once, whatever ends it, a defect of ours too.
Rule 3. What one probe learns of the server, or of what its answers cost, all of the route know.
Rule 4. A whole answer is held against what is expected of it before it is told; a wrong one is
        never asked for again.
Rule 5. One that goes beside the pace, as `evidence`, is a probe like any other, with its retries,
        but that it never waits at the gate and never asks again a server that asked for less.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from itertools import pairwise
from random import Random
from typing import Protocol

import msgspec

from probes.answers.answer import Answer
from probes.answers.error_body import LONGEST_MESSAGE
from probes.answers.finish_reason import family_of
from probes.answers.progress import Progress
from probes.answers.right_answer import MOST_CHECKED
from probes.config import Price, Route
from probes.config.scrubbing import Scrubber
from probes.control.evidence import asks_for_less
from probes.engine.answer_checks import AnswerChecker
from probes.engine.attempt import Attempt
from probes.engine.health import GapWatch
from probes.engine.outbox import OpenStream
from probes.engine.preview import TextPreview
from probes.engine.prompts import FreshPrompts, PromptRotation
from probes.engine.report import (
    AttemptIdentity,
    attempt_finished,
    charge_for,
    cohort_of,
)
from probes.engine.request_builder import RequestBuilder
from probes.engine.retry import RetryPolicy
from probes.engine.stamp_recorder import StampRecorder
from probes.events import (
    WRONG_ANSWER,
    AttemptFinished,
    AttemptStarted,
    Event,
    FirstToken,
    Notice,
    ProbeFinished,
    StampLadder,
    TtftKind,
)
from probes.kit.clock import Clock
from probes.kit.short_figures import counted
from probes.kit.signals import Signal
from probes.money.price_list import NO_PRICE, PriceListError
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
from probes.transport import Transport


class Admission(Protocol):
    """Decides when an attempt may go, and hears what it cost and what it met."""

    async def admit(
        self,
        tokens: Callable[[], int],
        cancelled: Callable[[], bool],
        *,
        evidence: bool = False,
        gives_way: bool = False,
    ) -> bool:
        """Wait until an attempt of at most `tokens()` may start, which is then reserved.

        One of a probe beside the pace, as `evidence`, does not wait, and one that `gives_way` waits
        for nothing that anybody would call a hold. Returns False, with nothing
        reserved, when none may any more or `cancelled()` is true; nothing is awaited between the
        reservation and the return.
        """
        ...

    def settle(self, event: AttemptFinished) -> None:
        """Take note of an ended attempt: its cost, its limits, its cool-down."""
        ...


@dataclass(slots=True)
class ProbeTools:
    """What all probes of a route share."""

    route: Route
    headers: InitVar[Mapping[str, str]]
    """The route's, secrets filled in."""
    clock: Clock
    random: Random
    gaps: GapWatch
    scrub: Scrubber
    emit: Callable[[Event], None]
    gate: Admission
    include_text: bool = False
    follow: Callable[[str, str, int, StampRecorder], OpenStream] | None = None
    """Where the output of open attempts is told, by route, probe and attempt; None for nowhere."""
    preview: TextPreview | None = None
    checker: AnswerChecker | None = None
    """Looks at answers of which something is expected; None for nobody."""
    prompt_tokens: int = 0
    """Of the input, the largest of several; 0 to estimate it."""
    max_tokens: int = 0
    """The answer cap now, a knob; 0 to begin with the route's."""
    price: Price | None = None
    """The route's, where it has one, or else what its provider's list tells."""
    price_source: PriceSource = "price"
    request_builder: RequestBuilder = field(init=False)
    policy: RetryPolicy = field(init=False)
    rotation: PromptRotation = field(init=False)
    shapes: Mapping[str, int] = field(init=False)
    """The tokens of the largest prompt of each shape: a shape is one cohort."""
    fresh_prompts: FreshPrompts = field(init=False)
    learned: LearnedUse = field(default_factory=LearnedUse)
    noticed: set[str] = field(default_factory=set)
    """What was said once of the route."""
    chunks: int = 0
    """Of attempts that have ended."""
    inexact_chunks: int = 0

    def __post_init__(self, headers: Mapping[str, str]) -> None:
        """Fill in what the route says."""
        self.request_builder = RequestBuilder(self.route, headers)
        self.policy = RetryPolicy(self.route.retries, self.random)
        self.rotation = PromptRotation(self.route.prompts)
        self.shapes = self.route.shapes
        self.fresh_prompts = FreshPrompts(self.random)
        self.prompt_tokens = self.prompt_tokens or self.route.input_tokens
        self.max_tokens = self.max_tokens or self.route.max_tokens
        self.price = self.price or self.route.price

    def learn_price(self, listed: Mapping[str, Price | None] | PriceListError) -> None:
        """Take the price that the provider's own list tells, or say why it tells none.

        A list that does not know the model says nothing.
        """
        model, info = self.route.model, None
        if isinstance(listed, PriceListError):
            text = f"no price from the provider's list: {listed}"
        elif model not in listed:
            return
        elif (price := listed[model]) is None:
            text = f"no price from the provider's list: {NO_PRICE}"
        else:
            self.price, self.price_source = price, "list"
            text = f"price from the provider's list: {price_words(price)}"
            info = price_info(price, "list")
        now_ns = self.clock.monotonic_ns()
        self.emit(Notice(at_ns=now_ns, route=self.route.name, text=text, price=info))

    @property
    def most_tokens(self) -> int:
        """What an attempt is expected to use at most under the cap as it is now; the same for all
        shapes of a route, so that engine and host reserve alike without a word of each other."""
        return max(self.prompt_tokens + self.max_tokens, self.learned.tokens)

    def most_usd(self, tokens: int) -> float:
        """Return what so many tokens of an attempt cost at most; 0 without a price."""
        return reserved_usd(self.price, self.prompt_tokens, tokens)


class Probe:
    """Runs once; is the listener of its attempts."""

    def __init__(
        self,
        identity: str,
        tools: ProbeTools,
        transport: Transport,
        *,
        scheduled_ns: int,
        evidence: bool = False,
        gives_way: bool = False,
    ) -> None:
        """`gives_way`: where something holds the route before its first attempt, it does not
        begin."""
        self.identity = identity
        self.open_since_ns: int | None = None
        self.url = ""
        """What was asked last, whole; a secret may stand in its query."""
        self.hears_output = tools.preview is not None and tools.preview.on
        self.in_flight: Attempt | None = None
        """The attempt that is under way; None before the first, between two, and at the end."""
        self._tools = tools
        self._transport = transport
        self._scheduled_ns = scheduled_ns
        self._evidence = evidence
        self._gives_way = gives_way
        self._stream: OpenStream | None = None
        self._cancelled = False
        self._why_cancelled = "user"
        self._bell = Signal()
        self._attempt: AttemptIdentity
        """The newest that was admitted."""
        self._asked = tools.request_builder.way
        self._prompt = tools.rotation.next()
        """What it asks; None for what the route asks always."""
        own = None if self._prompt is None else self._prompt.expect
        self.expect = tools.route.expect if own is None else own
        """What its answer must be: of its prompt, where that has something of its own."""
        self._number = 0
        self._retries = 0
        self._finished: list[AttemptFinished] = []
        # What the user felt, over all attempts.
        self._started_ns: int | None = None
        self._first_token_ns: int | None = None
        self._first_answer_ns: int | None = None
        self._flagged = ""

    def cancel(self) -> None:
        """End the attempt in flight as `cancelled`; no other follows."""
        self._cancelled = True
        self._bell.ring()
        if self.in_flight is not None:
            self.in_flight.cancel()

    async def run(self) -> ProbeFinished | None:
        """Do the request; return its last event, or None where it was never admitted."""
        tools, evidence = self._tools, self._evidence
        while await tools.gate.admit(
            lambda: tools.most_tokens,
            lambda: self._cancelled,
            evidence=evidence,
            gives_way=self._gives_way and not self._finished,
        ):
            event = await self._run_attempt()
            if self._cancelled:
                return self._finish()
            lesson = tools.request_builder.learn(event, self._asked)
            if lesson.notice:
                tools.emit(Notice(at_ns=event.at_ns, route=event.route, text=lesson.notice))
            if event.retry is None and not lesson.again:
                return self._finish()
            self._number += 1
            if event.retry is not None:  # a request that was only adapted goes again at once
                await self._bell.wait(tools.clock, event.retry.wait_s)
        if evidence and not self._cancelled:
            self._why_cancelled = "evidence"  # its retry may not go now, and does not wait
        self._cancelled = True
        return self._finish()

    def on_started(self, at_ns: int) -> None:
        """Announce the attempt."""
        if self._started_ns is None:
            self._started_ns = at_ns
        self.open_since_ns = at_ns
        attempt = self._attempt
        reserved_tokens = attempt.asked.reserved_tokens
        self._tools.emit(
            AttemptStarted(
                at_ns=at_ns,
                route=attempt.route,
                probe=self.identity,
                attempt=attempt.attempt,
                scheduled_ns=attempt.scheduled_ns,
                admitted_ns=attempt.admitted_ns,
                cohort=attempt.cohort,
                reserved_tokens=reserved_tokens,
                reserved_usd=self._tools.most_usd(reserved_tokens),
                evidence=self._evidence,
            )
        )

    def on_first_token(self, at_ns: int, kind: TtftKind) -> None:
        """Announce the first output delta with what the user waited for it."""
        attempt, tools = self._attempt, self._tools
        if tools.follow is not None and self.in_flight is not None:
            recorder = self.in_flight.recorder
            self._stream = tools.follow(attempt.route, self.identity, attempt.attempt, recorder)
        if self._first_token_ns is not None or self._started_ns is None:
            return
        self._first_token_ns = at_ns
        tools.emit(
            FirstToken(
                at_ns=at_ns,
                route=attempt.route,
                probe=self.identity,
                attempt=attempt.attempt,
                felt_ns=at_ns - self._started_ns,
                kind=kind,
                cohort=attempt.cohort,
            )
        )

    def on_output(self, progress: Progress) -> None:
        """Show a chunk's text; only called while a stream is on preview."""
        if self._tools.preview is not None:
            self._tools.preview.output(self.identity, self._attempt.attempt, progress)

    async def _run_attempt(self) -> AttemptFinished:
        tools = self._tools
        route = tools.route
        asked = self._asked = tools.request_builder.way
        prompt, max_tokens, size = self._prompt, tools.max_tokens, tools.prompt_tokens
        if prompt is not None:
            max_tokens, size = prompt.cap(max_tokens), tools.shapes[prompt.name]
        self._attempt = AttemptIdentity(
            route=route.name,
            probe=self.identity,
            attempt=self._number,
            cohort=cohort_of(max_tokens, size, "" if prompt is None else prompt.name),
            dialect=asked.name,
            scheduled_ns=self._scheduled_ns,
            admitted_ns=tools.clock.monotonic_ns(),
            asked=Asked(
                reserved_tokens=tools.most_tokens,
                prompt_tokens=size,
                max_tokens=max_tokens,
            ),
            evidence=self._evidence,
        )
        attempt = self.in_flight = Attempt(
            transport=self._transport,
            dialect=asked.dialect,
            clock=tools.clock,
            gaps=tools.gaps,
            timeouts=route.timeouts,
            stall_after=route.stall_after,
            listener=self,
            keep_text=tools.include_text or self.expect.is_set,
            streamed=route.stream,
            most_tokens=output_limit(size, max_tokens),
        )
        nonce = f"{tools.random.getrandbits(64):016x}" if route.cache == "bust" else None
        is_fresh = prompt is not None and prompt.fresh_tokens > 0
        try:
            if prompt is not None and is_fresh:  # a retry's too: the first may be in a cache
                prompt = tools.fresh_prompts.make(prompt, max_tokens=max_tokens)
            request = tools.request_builder.request(
                asked, max_tokens=max_tokens, nonce=nonce, prompt=prompt
            )
            self.url = request.url
            answer = await self._checked(await attempt.run(request))
            if prompt is not None and is_fresh:
                tools.fresh_prompts.learn(prompt, answer.input_tokens)
        except BaseException:
            self._abandon()
            raise
        finally:
            self.open_since_ns = self.in_flight = None
            tools.chunks += attempt.recorder.chunks
            tools.inexact_chunks += attempt.recorder.inexact_chunks
            if self._stream is not None:
                self._stream.closed = True
                self._stream = None
        return self._report(answer, attempt.recorder, len(request.body))

    async def _checked(self, answer: Answer) -> Answer:
        """Return an answer with what is to be said of it once it was held against what is expected.

        One that is not ok for another reason stays what it is. Calls are how some models answer in
        JSON: where there is no text, the first one's arguments are what is looked at.
        """
        tools, expect = self._tools, self.expect
        if answer.outcome != "ok" or not expect.is_set or tools.checker is None:
            return answer
        text = answer.text or next((given for _, given in answer.tool_calls), "")
        is_cut = family_of(answer.finish_reason) == "length"
        reply = await tools.checker.check(expect, text, is_cut=is_cut)
        now_ns = tools.clock.monotonic_ns()
        if reply.finding == "right":
            return msgspec.structs.replace(answer, right=True)
        if reply.finding == "wrong":
            return msgspec.structs.replace(
                answer,
                outcome=WRONG_ANSWER.outcome,
                reason=WRONG_ANSWER.reason,
                message=reply.words[:LONGEST_MESSAGE],
                right=False,
            )
        if reply.finding is None:
            words = tools.scrub.scrub(reply.words)
            self._say_once("unchecked", now_ns, f"an answer was not checked: {words}")
        elif is_cut:
            cap = counted(self._attempt.asked.max_tokens, "token")
            text = f"answers are cut by the cap of {cap} before what is expected of them has come"
            self._say_once("cut", now_ns, f"{text}: raise max_tokens")
        else:
            text = f"of an answer the first {MOST_CHECKED:,} characters are checked"
            self._say_once("long", now_ns, f"{text}, and what is expected is not in them")
        return answer

    def _report(self, answer: Answer, recorder: StampRecorder, sent_bytes: int) -> AttemptFinished:
        tools = self._tools
        asked = msgspec.structs.replace(self._attempt.asked, sent_bytes=sent_bytes)
        # By the price as it is now: a provider's list may have told it while the answer came.
        charge = charge_for(asked, answer, recorder, tools.price, tools.price_source)
        plan = None
        feeds = self._evidence and asks_for_less(
            answer.outcome, answer.reason, answer.retry_after_s
        )
        if not (self._cancelled or feeds):  # a retry that is told is a retry that comes
            plan = tools.policy.plan(answer, self._retries + 1)
            self._retries += plan is not None
        event = attempt_finished(
            self._attempt,
            answer,
            recorder,
            charge=charge,
            retry=plan,
            clock=self._transport.clock_source,
            path=self._transport.path,
            scrub=tools.scrub,
            include_text=tools.include_text,
        )
        self._close(event)
        self._remark(event, charge)
        return event

    def _remark(self, event: AttemptFinished, charge: Charge) -> None:
        """Say once of the route what its server was not believed, and that it ignores its cap."""
        tools = self._tools
        asked = self._attempt.asked
        given = asked.prompt_tokens if event.input_tokens is None else event.input_tokens
        output = charge.tokens - given
        reserved = f"{counted(tools.most_tokens, 'token is', 'tokens are')} reserved for the next"
        if event.reason == "cap_ignored":
            text = f"the server ignores the answer cap of {asked.max_tokens}: its streams are cut"
            self._say_once("cap", event.at_ns, f"{text}, and {reserved}")
        elif output > output_limit(asked.prompt_tokens, asked.max_tokens):
            text = f"an answer took {counted(output, 'token')} under a cap of {asked.max_tokens}"
            self._say_once("cap", event.at_ns, f"{text}: {reserved}")
        if charge.doubt:
            self._say_once("doubt", event.at_ns, charge.doubt)

    def _say_once(self, what: str, at_ns: int, text: str) -> None:
        tools = self._tools
        if what not in tools.noticed:
            tools.noticed.add(what)
            tools.emit(Notice(at_ns=at_ns, route=tools.route.name, text=text))

    def _abandon(self) -> None:
        """Close the books on an attempt that a defect of ours, or our own end, cut off.

        One that never began was never told of, and cost nothing.
        """
        now_ns = self._tools.clock.monotonic_ns()
        began = self.open_since_ns is not None
        attempt = self._attempt
        reserved = attempt.asked.reserved_tokens
        event = AttemptFinished(
            at_ns=now_ns,
            route=attempt.route,
            probe=self.identity,
            attempt=attempt.attempt,
            outcome="cancelled",
            reason="engine",
            cohort=attempt.cohort,
            reserved_tokens=reserved,
            charged_tokens=reserved if began else 0,
            charged_usd=self._tools.most_usd(reserved) if began else 0.0,
            evidence=self._evidence,
            stamps_ns=StampLadder(
                scheduled=attempt.scheduled_ns,
                admitted=attempt.admitted_ns,
                started=self.open_since_ns,
                ended=now_ns,
            ),
        )
        if began:
            self._close(event)
        else:
            self._tools.gate.settle(event)
        self._finish()

    def _close(self, event: AttemptFinished) -> None:
        self._flagged = self._flagged or event.flagged
        if event.stamps_ns.first_answer is not None:
            self._first_answer_ns = event.stamps_ns.first_answer
        self._finished.append(event)
        self._tools.learned.learn(event.charged_tokens)
        self._tools.emit(event)
        self._tools.gate.settle(event)

    def _finish(self) -> ProbeFinished | None:
        if not self._finished or self._started_ns is None:
            return None
        last = self._finished[-1]
        # What was ok before our own end came through stays so.
        cancelled = self._cancelled and last.outcome != "ok"
        waited_ns = 0
        for before, after in pairwise(self._finished):
            if after.stamps_ns.started is not None:
                waited_ns += max(0, after.stamps_ns.started - before.at_ns)
        event = ProbeFinished(
            at_ns=self._tools.clock.monotonic_ns() if cancelled else last.at_ns,
            route=last.route,
            probe=self.identity,
            outcome="cancelled" if cancelled else last.outcome,
            reason=self._why_cancelled if cancelled else last.reason,
            attempts=len(self._finished),
            started_ns=self._started_ns,
            scheduled_ns=self._scheduled_ns,
            first_token_ns=self._first_token_ns,
            first_answer_ns=self._first_answer_ns,
            done_ns=last.stamps_ns.done if last.outcome == "ok" else None,
            retry_wait_ns=waited_ns,
            input_tokens=last.input_tokens,
            output_tokens=last.output_tokens,
            cost_usd=total_cost(self._finished),
            cohort=last.cohort,
            flagged=self._flagged,
            evidence=self._evidence,
        )
        self._tools.emit(event)
        return event


def total_cost(finished: Sequence[AttemptFinished]) -> float | None:
    """Return what all attempts cost in USD; None where none is known."""
    costs = [event.cost_usd for event in finished if event.cost_usd is not None]
    return sum(costs) if costs else None
