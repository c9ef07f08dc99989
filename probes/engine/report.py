"""Results as events: pure functions from what was measured to what is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from probes.answers.facts import Answer
from probes.answers.request_ids import request_ids
from probes.answers.retry_after import kept_headers
from probes.config import Price, Route
from probes.config.prompts import estimate_tokens
from probes.config.scrubbing import Scrubber
from probes.config.urls import mask_url
from probes.engine.attempt import AttemptResult
from probes.events import (
    AttemptFinished,
    ClockSource,
    Limit,
    RetryPlan,
    RouteInfo,
    ServerClaim,
)
from probes.money.pricing import Asked, Charge, PriceSource, Seen, Told, charge_of, price_info

BANDS: Final = ((256, "256"), (1_024, "1k"), (4_096, "4k"), (16_384, "16k"), (65_536, "64k"))
LONGEST_TEXT: Final = 300_000
"""Characters of an answer in an event: its line must fit the host's, escaped."""
OVERHEAD_TOKENS: Final = 8
"""Chat templates wrap each message in a few tokens of their own."""


@dataclass(frozen=True, slots=True)
class AttemptIdentity:
    """Which attempt of which probe."""

    route: str
    probe: str
    attempt: int
    cohort: str
    asked: Asked
    dialect: str = ""
    """That was asked in."""


def prompt_tokens(route: Route) -> int:
    """Return the estimated size of a route's input in tokens."""
    return estimate_tokens((route.system or "") + route.prompt) + OVERHEAD_TOKENS


def cohort_of(max_tokens: int, input_tokens: int) -> str:
    """Return the cohort: exact answer cap / upper end of the band of input tokens."""
    band = next((name for limit, name in BANDS if input_tokens <= limit), ">64k")
    return f"{max_tokens}/{band}"


def route_info(route: Route) -> RouteInfo:
    """Return what the board must know of a route."""
    return RouteInfo(
        name=route.name,
        base_url=mask_url(route.base_url),
        model=route.model,
        dialect=route.dialect,
        concurrency=route.concurrency,
        interval=route.interval,
        max_tokens=route.max_tokens,
        prompt_tokens=prompt_tokens(route),
        stall_after=route.stall_after,
        goal_ttft_s=route.goals.ttft_s,
        goal_e2e_s=route.e2e_goal_s,
        goal_e2e_set=route.goals.e2e_s is not None,
        goal_success=route.goals.success,
        goal_cost_usd_per_probe=route.goals.cost_usd_per_probe,
        price_known=route.price is not None,
        price=None if route.price is None else price_info(route.price, "price"),
        retries=route.retries,
        tags=route.tags,
        paused=route.paused,
        streamed=route.stream,
    )


def charge_for(
    asked: Asked, result: AttemptResult, price: Price | None, source: PriceSource = "price"
) -> Charge:
    """Return what an exchange is charged and what it cost."""
    answer = result.answer
    refused = result.status is not None and result.status >= 300
    told = Told(
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        billed_tokens=answer.billed_tokens,
        cached_tokens=answer.cached_tokens,
        cost_usd=answer.cost_usd,
    )
    seen = Seen(
        pieces=answer.pieces,
        characters=max(result.characters, answer.characters),
        worked=result.stamps.sent is not None and not refused,
        passed=result.passed,
    )
    return charge_of(asked, told, seen, price, source)


def attempt_finished(
    identity: AttemptIdentity,
    result: AttemptResult,
    *,
    charge: Charge,
    retry: RetryPlan | None,
    clock: ClockSource,
    scrub: Scrubber,
    include_text: bool,
) -> AttemptFinished:
    """Return the event of an ended attempt; everything a server said is scrubbed of secrets."""
    answer = result.answer if charge.counted else _uncounted(result.answer)
    ended_ns = result.stamps.ended
    assert ended_ns is not None  # noqa: S101 - every result has it
    event = AttemptFinished(
        at_ns=ended_ns,
        route=identity.route,
        probe=identity.probe,
        attempt=identity.attempt,
        cohort=identity.cohort,
        dialect=answer.dialect or identity.dialect,
        reserved_tokens=identity.asked.reserved_tokens,
        billed_tokens=answer.billed_tokens,
        charged_tokens=charge.tokens,
        charged_usd=charge.usd,
        outcome=answer.outcome,
        reason=answer.reason,
        message=_scrubbed(answer.message, scrub),
        retryable=answer.retryable,
        retry=retry,
        retry_after_s=answer.retry_after_s,
        status=result.status,
        stamps_ns=result.stamps,
        cold=result.cold,
        clock=clock,
        http_version=result.http_version,
        flagged=result.flagged,
        chunks=result.chunks,
        characters=result.characters,
        chunk_offsets_ns=result.chunk_offsets_ns,
        inexact=result.inexact,
        inexact_chunks=result.inexact_chunks,
        stalls=result.stalls,
        longest_gap_ns=result.longest_gap_ns,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        reasoning_tokens=answer.reasoning_tokens,
        cached_tokens=answer.cached_tokens,
        token_source=answer.token_source,
        first_chunk_tokens=answer.first_chunk_tokens,
        hidden_tokens=answer.hidden_tokens,
        ttft_kind=answer.ttft_kind,
        finish_reason=_scrubbed_or_none(answer.finish_reason, scrub),
        cost_usd=charge.cost_usd,
        cost_source=charge.cost_source,
        text_chars=answer.text_chars,
        text_sha256=answer.text_sha256,
        text=_text(answer.text, scrub) if include_text else None,
        reasoning_text=_text(answer.reasoning_text, scrub) if include_text else None,
    )
    return _with_server_words(event, result, scrub)


def _uncounted(answer: Answer) -> Answer:
    """Return an answer without the counts of a server that were not believed."""
    return msgspec.structs.replace(
        answer,
        input_tokens=None,
        output_tokens=None,
        billed_tokens=None,
        reasoning_tokens=None,
        cached_tokens=None,
        first_chunk_tokens=None,
        hidden_tokens=None,
        token_source="none",  # noqa: S106 - tokens of text, not a credential
    )


def _with_server_words(
    event: AttemptFinished, result: AttemptResult, scrub: Scrubber
) -> AttemptFinished:
    """Add what headers and body tell of the request itself: ids, limits, timings."""
    answer = result.answer
    ids = _scrubbed_ids(result, scrub)
    return msgspec.structs.replace(
        event,
        request_id=next(iter(ids.values()), None),
        request_ids=ids,
        response_id=_scrubbed_or_none(answer.response_id, scrub),
        hidden_retries=answer.hidden_retries,
        headers=_scrubbed_headers(result.headers, scrub),
        limits=_scrubbed_limits(answer.limits, scrub),
        server_timing={_scrubbed(key, scrub): time for key, time in answer.server_timing.items()},
        server_claims=tuple(_scrubbed_claim(claim, scrub) for claim in answer.server_claims),
    )


def _scrubbed(text: str, scrub: Scrubber) -> str:
    """Return text without secrets, nor more than seven characters of one that a cut has left."""
    return scrub.scrub(text)


def _text(text: str, scrub: Scrubber) -> str:
    return _scrubbed(text[:LONGEST_TEXT], scrub)


def _scrubbed_headers(headers: Mapping[str, str], scrub: Scrubber) -> dict[str, str]:
    """Return the kept headers; a server chooses the end of some of their names too."""
    kept = kept_headers(headers).items()
    return {_scrubbed(name, scrub): _scrubbed(value, scrub) for name, value in kept}


def _scrubbed_ids(result: AttemptResult, scrub: Scrubber) -> dict[str, str]:
    found = request_ids(result.headers, result.answer.request_id)
    return {name: _scrubbed(value, scrub) for name, value in found.items()}


def _scrubbed_claim(claim: ServerClaim, scrub: Scrubber) -> ServerClaim:
    return msgspec.structs.replace(claim, source=_scrubbed(claim.source, scrub))


def _scrubbed_limits(limits: tuple[Limit, ...], scrub: Scrubber) -> tuple[Limit, ...]:
    """Return the limits without secrets; a server chooses their names too."""
    return tuple(
        msgspec.structs.replace(
            limit, kind=_scrubbed(limit.kind, scrub), scope=_scrubbed(limit.scope, scrub)
        )
        for limit in limits
    )


def _scrubbed_or_none(text: str | None, scrub: Scrubber) -> str | None:
    return None if text is None else _scrubbed(text, scrub)
