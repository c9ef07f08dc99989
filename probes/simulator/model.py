"""The serving model: continuous batching with chunked prefill, as vLLM and SGLang schedule it.

One loop per model. A step gives every sequence in the batch one decode step and computes a chunk
of the prompts that wait; its duration grows with the batch and with the prompt tokens computed.
Requests beyond the batch wait in a queue, so that TTFT grows with load as it does in the field.
Time and chance are injected.
"""

from collections import deque
from collections.abc import Mapping
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, replace
from math import ceil
from random import Random
from typing import Final, Literal, NoReturn

import anyio

from probes.kit.clock import NS_PER_S, Clock, seconds
from probes.simulator.autoscaler import Autoscaler
from probes.simulator.limits import LimitGate, OverLimit, retry_headers
from probes.simulator.prefix_cache import PrefixCache
from probes.simulator.scenario import (
    Conditions,
    Faults,
    HostedModel,
    Limits,
    Phase,
    RefusalKind,
    Serving,
)
from probes.simulator.sequence import Fate, SentPrompt, Sequence

_MADE_GOOD_NS: Final = 10_000_000
"""By how much a step may begin before its time because the one before ended late."""

_ERROR_MESSAGES: Final = {
    500: "The server had an error while processing your request.",
    502: "Bad gateway.",
    503: "The service is unavailable.",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that does not reach the queue, and what its client sees."""

    how: Literal["answer", "close", "reset"]
    """An HTTP error, a connection closed without an answer, or one that is reset."""
    status: int = 0
    kind: str = ""
    """The error body's `type`."""
    code: str | None = None
    message: str = ""
    headers: tuple[tuple[str, str], ...] = ()


_REFUSALS: Final[Mapping[RefusalKind, Refusal]] = {
    "overloaded": Refusal(
        "answer",
        503,
        "server_error",
        "overloaded",
        "The engine is currently overloaded, please try again later.",
    ),
    "quota": Refusal(
        "answer",
        429,
        "insufficient_quota",
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "auth": Refusal(
        "answer", 401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."
    ),
    "permission": Refusal(
        "answer",
        403,
        "permission_error",
        "permission_denied",
        "Your key may not use this model.",
    ),
    "model_missing": Refusal(
        "answer",
        404,
        "invalid_request_error",
        "model_not_found",
        "The model does not exist or you do not have access to it.",
    ),
    "bad_request": Refusal(
        "answer",
        400,
        "invalid_request_error",
        "invalid_value",
        "Invalid value for 'messages[0].content'.",
    ),
}
"""OpenAI's words, by "Error codes" of its API reference."""


def step_seconds(serving: Serving, batch: int, prefill_tokens: float) -> float:
    """Return how long a step takes for `batch` sequences and `prefill_tokens` computed beside."""
    alone = serving.chunk_tokens / serving.decode_tokens_per_s
    decode = alone * (1 + serving.batch_penalty * max(0, batch - 1))
    return decode + prefill_tokens / serving.prefill_tokens_per_s


def _spread(random: Random, median: float, sigma: float) -> float:
    return median * random.lognormvariate(0.0, sigma) if sigma else median


def draw_fate(random: Random, conditions: Conditions, cap: int) -> Fate:
    """Draw an answer's length, and what befalls it."""
    serving, faults = conditions.serving, conditions.faults
    wanted = max(1, round(_spread(random, serving.answer_tokens, serving.answer_spread)))
    length = min(wanted, cap)
    stalls, cuts = random.random() < faults.stall_share, random.random() < faults.cut_share
    hangs = _happens(random, faults.hang_share)
    return Fate(
        answer_tokens=length,
        finish_reason="length" if wanted > cap else "stop",
        stall_at=random.randint(1, max(1, length - 1)) if stalls else None,
        stall_s=_spread(random, faults.stall_s, 0.2) if stalls else 0.0,
        cut_at=random.randint(1, max(1, length - 1)) if cuts else None,
        cut_how=faults.cut_how,
        hang_at=faults.hang_at if hangs else None,
        hang_after=random.randint(1, max(1, length - 1)) if hangs else 0,
        misses=_happens(random, faults.miss_share),
        closes=_happens(random, faults.close_share),
        swapped=_happens(random, faults.swap_share),
        is_wrong=_happens(random, faults.wrong_share),
    )


def _happens(random: Random, share: float) -> bool:
    """Draw whether something happens; nothing is drawn for what never does."""
    return bool(share) and random.random() < share


class ServingModel:
    """One hosted model: lets requests in or refuses them, and serves those it let in.

    `run` must be running for anything to be served. Who admits a sequence releases it.
    """

    def __init__(self, hosted: HostedModel, *, clock: Clock, random: Random) -> None:
        """Start the model's timeline now."""
        self.hosted = hosted
        self._clock = clock
        self._random = random
        self._started_ns = clock.monotonic_ns()
        self._gate = LimitGate(self._started_ns)
        self._cache = PrefixCache()
        self._autoscaler = Autoscaler()
        self._admitted: set[Sequence] = set()
        self._waiting: deque[Sequence] = deque()
        self._batch: list[Sequence] = []
        self._work = anyio.Event()
        self._due_ns = 0
        """When the last step should have ended."""
        self._warm_until_ns: int | None = 0
        """None while no idle time unloads the model."""

    @property
    def in_flight(self) -> int:
        """Requests let in and not yet released."""
        return len(self._admitted)

    @property
    def queued(self) -> int:
        """Requests waiting for a place in the batch."""
        return len(self._waiting)

    def phase(self) -> Phase:
        """Return the phase of the timeline that holds now."""
        return self.hosted.timeline.at(seconds(self._clock.monotonic_ns() - self._started_ns))

    def admit(self, prompt: SentPrompt) -> Sequence | Refusal:
        """Let a request in, or say what becomes of it instead."""
        now_ns, conditions = self._clock.monotonic_ns(), self.phase().conditions
        self._gate.retune(conditions.limits, now_ns)
        refusal = (
            self._down(conditions.faults)
            or self._refused(conditions.faults)
            or self._limited(prompt, conditions.limits, now_ns)
            or self._overloaded(conditions)
            or self._fault(conditions.faults)
        )
        if refusal is not None:
            return refusal
        sequence = Sequence(prompt, draw_fate(self._random, conditions, prompt.cap))
        self._admitted.add(sequence)
        return sequence

    def limit_headers(self) -> tuple[tuple[str, str], ...]:
        """Return the rate-limit headers as of now."""
        return self._gate.headers(self.in_flight, self._clock.monotonic_ns())

    async def enqueue(self, sequence: Sequence) -> None:
        """Pass the gateway, then stand in the queue."""
        serving = self.phase().conditions.serving
        await self._clock.sleep(_spread(self._random, serving.gateway_s, serving.jitter))
        sequence.queued_ns = self._clock.monotonic_ns()
        if serving.queue_s:
            await self._clock.sleep(_spread(self._random, serving.queue_s, serving.jitter))
        self._waiting.append(sequence)
        self._work.set()

    def release(self, sequence: Sequence) -> None:
        """Free everything a sequence holds; at once, whether it is finished or not."""
        self._admitted.discard(sequence)
        if sequence in self._waiting:
            self._waiting.remove(sequence)
        if sequence in self._batch:
            self._batch.remove(sequence)

    def _down(self, faults: Faults) -> Refusal | None:
        if faults.down == "no":
            return None
        self._warm_until_ns = 0
        return _error(503) if faults.down == "unavailable" else Refusal("close")

    def _refused(self, faults: Faults) -> Refusal | None:
        if not _happens(self._random, faults.refuse_share):
            return None
        refusal = _REFUSALS[faults.refuse]
        return replace(refusal, status=faults.refuse_status or refusal.status)

    def _limited(self, prompt: SentPrompt, limits: Limits, now_ns: int) -> Refusal | None:
        verdict = self._gate.enter(prompt.tokens + prompt.cap, self.in_flight, now_ns)
        return None if verdict is None else _too_many(verdict, limits)

    def _overloaded(self, conditions: Conditions) -> Refusal | None:
        if len(self._waiting) < conditions.limits.max_queue:
            return None
        return _REFUSALS["overloaded"]

    def _fault(self, faults: Faults) -> Refusal | None:
        draw = self._random.random()
        if draw < faults.error_share:
            return _error(self._random.choice(faults.error_statuses))
        if draw < faults.error_share + faults.reset_share:
            return Refusal("reset")
        return None

    async def run(self) -> NoReturn:
        """Serve for ever; cancel to stop."""
        while True:
            if not self._waiting and not self._batch:
                self._replicas(self.phase().conditions.serving)
                self._work = anyio.Event()
                await self._work.wait()
                await self._load()
                self._due_ns = self._clock.monotonic_ns()
            await self._step()

    async def _load(self) -> None:
        serving = self.phase().conditions.serving
        now_ns = self._clock.monotonic_ns()
        if self._warm_until_ns is not None and now_ns >= self._warm_until_ns:
            self._cache.clear()
            await self._clock.sleep(serving.cold_start_s)
            for sequence in self._waiting:
                sequence.load_ns = self._clock.monotonic_ns() - max(now_ns, sequence.queued_ns)
        self._keep_warm(serving)

    def _keep_warm(self, serving: Serving) -> None:
        idle_ns = round(serving.cold_after_s * NS_PER_S)
        self._warm_until_ns = self._clock.monotonic_ns() + idle_ns if idle_ns else None

    async def _step(self) -> None:
        conditions = self.phase().conditions
        if conditions.faults.down != "no":
            self._cut_all()
            return
        serving = conditions.serving
        replicas = self._replicas(serving)
        self._fill_batch(serving, replicas)
        started_ns = self._clock.monotonic_ns()
        # A timer on a busy machine is late at every step: what one loses the next makes good, so
        # that answers are as fast as the scenario says. Not more, or it would come in bursts.
        begun_ns = max(self._due_ns, started_ns - _MADE_GOOD_NS)
        decoding = [s for s in self._batch if not s.prefill_left and s.resume_ns <= started_ns]
        prefilled, work = self._prefill(serving, replicas)
        # Replicas step side by side, each with its share of the sequences and of the prompts.
        batch, work = ceil((len(decoding) + serving.background) / replicas), work / replicas
        duration_s = _spread(self._random, step_seconds(serving, batch, work), serving.jitter)
        self._due_ns = begun_ns + round(duration_s * NS_PER_S)
        await self._clock.sleep(seconds(self._due_ns - self._clock.monotonic_ns()))
        self._deliver(decoding, prefilled, serving)
        self._keep_warm(serving)

    def _replicas(self, serving: Serving) -> int:
        in_hand = len(self._waiting) + len(self._batch) + serving.background
        return self._autoscaler.replicas(in_hand, serving, self._clock.monotonic_ns())

    def _fill_batch(self, serving: Serving, replicas: int) -> None:
        slots = max(1, serving.max_batch * replicas - serving.background)
        while self._waiting and len(self._batch) < slots:
            sequence = self._waiting.popleft()
            sequence.taken_ns = self._clock.monotonic_ns()
            found = 0 if sequence.fate.misses else self._cache.lookup(sequence.prompt.data)
            counted = round(found * serving.prompt_factor)
            sequence.cached_tokens = max(0, min(counted, sequence.prompt.tokens - 1))
            computed = sequence.prompt.tokens - sequence.cached_tokens
            sequence.prefill_left = computed + sequence.cached_tokens * serving.cached_token_cost
            self._batch.append(sequence)

    def _prefill(self, serving: Serving, replicas: int) -> tuple[list[Sequence], float]:
        """Spend one step's prefill on the batch, oldest first; return who is through, and cost."""
        chunk = float(serving.prefill_chunk * replicas)
        budget, finished = chunk, []
        for sequence in self._batch:
            if not sequence.prefill_left or budget <= 0.0:
                continue
            spent = min(budget, sequence.prefill_left)
            budget -= spent
            sequence.prefill_left -= spent
            if not sequence.prefill_left:
                finished.append(sequence)
        return finished, chunk - budget

    def _deliver(
        self, decoding: SequenceOf[Sequence], prefilled: SequenceOf[Sequence], serving: Serving
    ) -> None:
        for sequence in prefilled:
            self._cache.store(sequence.prompt.data, serving.prefix_cache_blocks)
        alive = set(self._batch)
        for sequence in (*decoding, *prefilled):
            if sequence in alive:
                self._advance(sequence, serving.chunk_tokens)

    def _advance(self, sequence: Sequence, tokens: int) -> None:
        before, fate = sequence.produced, sequence.fate
        sequence.deliver(tokens, self._clock.monotonic_ns())
        if fate.stall_at is not None and before < fate.stall_at <= sequence.produced:
            sequence.resume_ns = self._clock.monotonic_ns() + round(fate.stall_s * NS_PER_S)
        if fate.cut_at is not None and sequence.produced >= fate.cut_at:
            sequence.cut("cut", fate.cut_how)
        if sequence.ended:
            self._batch.remove(sequence)

    def _cut_all(self) -> None:
        for sequence in (*self._batch, *self._waiting):
            sequence.cut("down", "reset")
        self._batch.clear()
        self._waiting.clear()
        self._warm_until_ns = 0


def _error(status: int) -> Refusal:
    message = _ERROR_MESSAGES.get(status, "The server had an error.")
    return Refusal("answer", status, "server_error", None, message)


def _too_many(verdict: OverLimit, limits: Limits) -> Refusal:
    headers = retry_headers(verdict.wait_s) if verdict.wait_s and limits.sends_headers else ()
    if verdict.hopeless:
        headers = (("x-should-retry", "false"),)
    kind, message = verdict.kind, verdict.message
    if not limits.says_which:
        kind, message = "rate_limit_error", "Rate limit reached. Please try again later."
    return Refusal("answer", 429, kind, "rate_limit_exceeded", message, headers)
