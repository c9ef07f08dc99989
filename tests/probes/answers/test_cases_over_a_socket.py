"""What servers really send, played over a real socket: each case says what must be told of it."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
from comparison.clients import verdict_of
from comparison.table import told_by_llmtop, truth_of
from probing import probe_once
from stream_cases import CASES, mismatches
from transports import TRANSPORTS
from wire import play_case, serve

from probes.config import Route, Timeouts
from probes.engine.route import TransportFactory
from probes.engine.single import ProbeRecord
from probes.events import AttemptFinished, StampLadder, decode_event, encode_event
from probes.kit.clock import SystemClock

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).parents[2] / "comparison" / "README.md"
TABLED = told_by_llmtop(PAGE.read_text(encoding="utf-8"))
SHORT = Timeouts(connect=5.0, first_token=1.5, stall=0.3, total=5.0)
PLAYED = [
    pytest.param(case, transport, id=f"{case['name']}-{name}")
    for case in CASES
    for name, transport in TRANSPORTS.items()
    if case.get("only", name) == name
]
"""Where the transports honestly differ, a case says which one it is for."""
PATIENT = Timeouts(connect=5.0, first_token=20.0, stall=20.0, total=30.0)


async def record_of(case: dict[str, Any], transport: TransportFactory) -> ProbeRecord:
    timeouts = SHORT if case["close"] == "stall" else PATIENT
    async with serve(play_case(case)) as server:
        route = Route(
            name="r",
            base_url=server.url,
            model="m",
            dialect=case["api"],
            retries=case.get("retries", 0),
            timeouts=timeouts,
        )
        return await probe_once(
            route,
            {},
            clock=SystemClock(),
            random=Random(1),
            include_text=True,
            transport=transport,
        )


def limits_of(attempt: AttemptFinished) -> list[dict[str, Any]]:
    """Return the limits that an answer told of, without what goes by the clock."""
    parts = ("kind", "window", "limit", "remaining")
    return [{part: getattr(limit, part) for part in parts} for limit in attempt.limits]


def by_name(limits: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(
        limits, key=lambda limit: (limit["kind"], limit["window"], str(limit["limit"] is None))
    )


def assert_in_order(stamps: StampLadder) -> None:
    """Time runs forwards: on our way to the server, and on the answer's way to us."""
    steps = ("scheduled", "admitted", "started", "tcp", "sent")
    early = [value for step in steps if (value := getattr(stamps, step)) is not None]
    steps = ("started", "headers", "first_event", "first_token", "last_token", "ended")
    late = [value for step in steps if (value := getattr(stamps, step)) is not None]
    assert early == sorted(early)
    assert late == sorted(late)
    assert stamps.started is not None
    assert stamps.ended is not None


@pytest.mark.parametrize(("case", "transport"), PLAYED)
async def test_a_case_is_told_as_it_is_meant(
    case: dict[str, Any], transport: TransportFactory
) -> None:
    expect, record = case["expect"], await record_of(case, transport)
    attempt = record.attempts[0]
    told = {
        "outcome": attempt.outcome,
        "reason": attempt.reason,
        "retryable": attempt.retryable,
        "text": attempt.text,
        "reasoning_text": attempt.reasoning_text,
        "output_tokens": attempt.output_tokens,
        "input_tokens": attempt.input_tokens,
        "finish_reason": attempt.finish_reason,
        "ttft_kind": attempt.ttft_kind,
        "token_source": attempt.token_source,
        "cached_tokens": attempt.cached_tokens,
        "reasoning_tokens": attempt.reasoning_tokens,
        "message": attempt.message,
        "text_chars": attempt.text_chars,
        "hidden_tokens": attempt.hidden_tokens,
        "server_timing": attempt.server_timing,
        "hidden_retries": attempt.hidden_retries,
        "request_id": attempt.request_id,
        "served_model": attempt.served_model,
        "fingerprint": attempt.fingerprint,
        "cost_usd": attempt.cost_usd,
        "retry_after_s": attempt.retry_after_s,
        "limits_told": bool(attempt.limits),
        "attempts": len(record.attempts),
    }
    assert mismatches(expect, told) == []
    if "retry_after_ms" in expect:
        assert attempt.retry_after_s == pytest.approx(expect["retry_after_ms"] / 1000, abs=1.0)
    if "limits" in expect:
        assert by_name(limits_of(attempt)) == by_name(expect["limits"])
    assert decode_event(encode_event(attempt)) == attempt
    if "first_output_frame" in expect:
        has_first_token = attempt.stamps_ns.first_token is not None
        assert has_first_token == (expect["first_output_frame"] is not None)
    assert_in_order(attempt.stamps_ns)
    shown = TABLED.get((case["name"], truth_of(case)))
    if shown is not None and transport is TRANSPORTS["stamping"]:  # which the command has
        verdict = verdict_of({"outcome": attempt.outcome, "reason": attempt.reason})
        assert shown.strip("*") == verdict.words
