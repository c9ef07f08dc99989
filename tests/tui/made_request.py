"""Hand-made probes, whole, for the page of a probe: each kind of trouble as servers make it."""

from itertools import pairwise
from typing import Any

import made
from changed import replace

from probes.board.views import RequestView
from probes.events import (
    AttemptFinished,
    Limit,
    ProbeFinished,
    RetryPlan,
    ServerClaim,
    StampLadder,
)
from probes.kit.clock import NS_PER_S

MS = 1_000_000
ROUTE = "queue-eu"
START_NS = made.NOW_NS - 20 * NS_PER_S


def ladder(start_ms: float, **at_ms: float) -> StampLadder:
    """Return stamps, each so many ms after the attempt's start, which is so many after START_NS."""
    started = START_NS + round(start_ms * MS)
    stamps = {name: started + round(ms * MS) for name, ms in at_ms.items()}
    return StampLadder(
        scheduled=started - 2 * MS, admitted=started - 1 * MS, started=started, **stamps
    )


def evenly(
    first_ms: float, count: int, apart_ms: float, stall: tuple[int, float] | None = None
) -> tuple[int, ...]:
    """Return offsets of chunks in ns: with `stall` (number, ms) the wait before that one is so
    long."""
    offsets, at = [], first_ms
    for number in range(count):
        if number:
            at += stall[1] if stall and number == stall[0] else apart_ms + (number * 7 % 5 - 2)
        offsets.append(round(at * MS))
    return tuple(offsets)


def answered(attempt: int = 0, start_ms: float = 0.0, **changes: Any) -> AttemptFinished:
    """Return an attempt that went well, on a connection that was there."""
    offsets = changes.pop("chunk_offsets_ns", evenly(2600, 40, 32))
    last_ms, first_ms = offsets[-1] / MS, offsets[0] / MS
    head_ms = first_ms - 220 if first_ms > 440 else first_ms / 2
    stamps = ladder(
        start_ms, sent=0.4, headers=head_ms, first_event=head_ms, first_token=first_ms,
        first_answer=first_ms, last_token=last_ms, done=last_ms + 4, ended=last_ms + 4,
    )  # fmt: skip
    values: dict[str, Any] = {
        "at_ns": stamps.ended,
        "route": ROUTE,
        "probe": "1-1690",
        "attempt": attempt,
        "outcome": "ok",
        "status": 200,
        "clock": "kernel",
        "http_version": "HTTP/1.1",
        "cohort": "64/256",
        "dialect": "chat",
        "stamps_ns": stamps,
        "token_source": "usage",
        "input_tokens": 12,
        "output_tokens": 40,
        "cached_tokens": 0,
        "ttft_kind": "content",
        "finish_reason": "stop",
        "chunks": len(offsets),
        "characters": 211,
        "chunk_offsets_ns": offsets,
        "inexact": ("headers",),
        "inexact_chunks": 1,
        "longest_gap_ns": max((after - before for before, after in pairwise(offsets)), default=0),
        "cost_usd": 0.000082,
        "cost_source": "price",
        "charged_tokens": 52,
        "charged_usd": 0.000082,
        "request_id": "req_cd100bbad896cec01fa32f6b",
        "request_ids": {
            "x-request-id": "req_cd100bbad896cec01fa32f6b",
            "cf-ray": "8d1f0c4a2b7e9c31-FRA",
        },
        "response_id": "chatcmpl-9b85edc937083c07b10ed29c",
        "headers": {
            "date": "Mon, 30 Nov 2026 01:32:29 GMT",
            "x-request-id": "req_cd100bbad896cec01fa32f6b",
            "server": "cloudflare",
            "via": "1.1 google",
            "content-type": "text/event-stream; charset=utf-8",
        },
        "limits": (
            Limit(kind="requests", limit=60, remaining=41, reset_s=19.0, window="minute"),
            Limit(kind="tokens", limit=60_000, remaining=212, reset_s=3.5, window="minute"),
        ),
        "server_claims": (
            claim("queue", 1.9, "usage.queue_time"),
            claim("prompt", 0.21, "usage.prompt_time"),
            claim("decode", 1.24, "usage.completion_time"),
            claim("total", 3.41, "usage.total_time"),
        ),
        "text_chars": 211,
        "text_sha256": "f7b74dadcae827dc59e85d1b775b31a71867e246c5902f4b1678c1b9725adfb9",
        "rtt_ns": 18_400_000,
        "rtt_min_ns": 17_000_000,
        "retransmits": 0,
        "reordered": 0,
        "rtt_to": "server",
        "served_model": "Qwen/Qwen3-235B-A22B-Instruct-2507",
        "fingerprint": "fp_44709d6fcb",
    }
    return AttemptFinished(**{**values, **changes})


def refused(attempt: int = 0, start_ms: float = 0.0, **changes: Any) -> AttemptFinished:
    """Return an attempt that a server refused for our rate."""
    stamps = ladder(start_ms, tcp=18, tls=41, sent=41.4, headers=96, done=97, ended=97)
    values: dict[str, Any] = {
        "at_ns": stamps.ended,
        "route": ROUTE,
        "probe": "1-1690",
        "attempt": attempt,
        "outcome": "throttled",
        "reason": "rate_limit.concurrency",
        "message": "Rate limit reached for concurrent requests: limit 4. Try again in 400ms.",
        "status": 429,
        "cold": attempt == 0,
        "clock": "kernel",
        "http_version": "HTTP/1.1",
        "retryable": True,
        "retry": RetryPlan(reason="rate_limit.concurrency", wait_s=0.4, number=attempt + 1),
        "retry_after_s": 0.4,
        "stamps_ns": stamps,
        "request_id": f"req_throttled_{attempt}",
        "request_ids": {"x-request-id": f"req_throttled_{attempt}"},
        "headers": {"retry-after": "0.4", "server": "cloudflare"},
        "limits": (Limit(kind="concurrency", limit=4, remaining=0, reset_s=0.4),),
        "charged_tokens": 0,
    }
    return AttemptFinished(**{**values, **changes})


def probe_of(*attempts: AttemptFinished, **changes: Any) -> RequestView:
    """Return the request that these attempts make up."""
    last = attempts[-1] if attempts else None
    first = attempts[0].stamps_ns.started if attempts else START_NS
    ok = last is not None and last.outcome == "ok"
    stamps = last.stamps_ns if last is not None else StampLadder()
    values: dict[str, Any] = {
        "at_ns": last.at_ns if last is not None else START_NS,
        "route": ROUTE,
        "probe": last.probe if last is not None else "1-1690",
        "outcome": last.outcome if last is not None else "cancelled",
        "reason": last.reason if last is not None else "",
        "attempts": len(attempts),
        "started_ns": first,
        "scheduled_ns": START_NS - 2 * MS,
        "first_token_ns": stamps.first_token,
        "first_answer_ns": stamps.first_answer,
        "done_ns": stamps.done if ok else None,
        "retry_wait_ns": sum(
            round(one.retry.wait_s * NS_PER_S) for one in attempts[:-1] if one.retry
        ),
        "input_tokens": last.input_tokens if last is not None else None,
        "output_tokens": last.output_tokens if last is not None else None,
        "cost_usd": last.cost_usd if last is not None else None,
        "cohort": "64/256",
    }
    return RequestView(ROUTE, ProbeFinished(**{**values, **changes}), attempts)


def claim(interval: Any, seconds: float, source: str) -> ServerClaim:
    """Return what a server says of its own time."""
    return ServerClaim(interval=interval, seconds=seconds, source=source, raw=seconds, unit="s")


SLOW = probe_of(answered())
"""It waited long for its first token."""
RETRIED = probe_of(refused(), refused(1, 510), answered(2, 1600))
"""It came at the third attempt."""
STALLED = probe_of(
    answered(chunk_offsets_ns=evenly(190, 64, 24, stall=(30, 2500)), stalls=1, server_claims=())
)
"""It paused in mid-answer."""
FAILED = probe_of(
    *(
        refused(
            number,
            number * 1200,
            outcome="server_error",
            reason="overloaded",
            message="The engine is currently overloaded, please try again later",
            status=503,
            retry_after_s=None,
            limits=(),
            retry=RetryPlan(reason="overloaded", wait_s=1.0, number=number + 1)
            if number < 2
            else None,
        )
        for number in range(3)
    )
)
"""It failed at the third attempt for good."""
HOSTILE = probe_of(
    replace(
        answered(),
        outcome="content_error",
        reason=made.HOSTILE,
        message=made.HOSTILE * 9,
        finish_reason=made.HOSTILE,
        request_id=made.HOSTILE,
        request_ids={made.HOSTILE: made.HOSTILE},
        response_id=made.HOSTILE * 3,
        headers={"server": made.HOSTILE, made.HOSTILE: "x" * 900},
        served_model=made.HOSTILE,
        fingerprint=made.HOSTILE,
        http_version=made.HOSTILE,
        dialect=made.HOSTILE,
        cohort=made.HOSTILE,
        flagged=made.HOSTILE,
        text_sha256=made.HOSTILE,
        limits=(Limit(kind=made.HOSTILE, remaining=0, window=made.HOSTILE, scope=made.HOSTILE),),
        server_claims=(claim("queue", 9e9, made.HOSTILE), claim("other", 1.0, made.HOSTILE)),
        retryable=True,
    ),
    cohort=made.HOSTILE,
    flagged=made.HOSTILE,
)
"""Whatever can be hostile is."""
WHOLE = probe_of(
    answered(
        chunk_offsets_ns=evenly(900, 1, 0.0),
        ttft_kind="not_streamed",
        stamps_ns=ladder(0, sent=0.4, headers=880, done=900, ended=900),
        server_claims=(),
    )
)
"""It came whole."""
NEVER = probe_of()
"""It never began."""
EVERY = {
    "slow": SLOW,
    "retried": RETRIED,
    "stalled": STALLED,
    "failed": FAILED,
    "hostile": HOSTILE,
    "whole": WHOLE,
    "never": NEVER,
}
