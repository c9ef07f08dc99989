"""llmock, a provider whose chaos others wrote, probed end to end: each fault told as what it is.

PyPI's `llmock`; npm's aimock has a command of the same name. It takes some 15 s of wall time: its
servers, its stalls and the waits it asks for are real.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from peer_processes import llmock, missing_packages
from watched import Watched, assert_ladder, probed, watched

from probes.config import Route, Timeouts
from probes.events import AttemptFinished, Held, Tick

pytestmark = [pytest.mark.anyio, missing_packages("llmock")]

REPLY = "Waves of salt and wind carry the gulls home at night."
CLIENT_MISTAKES = {"retry_after_ignored", "retried_non_retryable", "retry_storm", "no_backoff"}
LATE_S = 2.0
"""What a busy machine may add to a wait of less than a second."""
KEY = {"Authorization": "Bearer key"}
PATHS = {"chat": "v1", "responses": "v1", "messages": "anthropic/v1"}
"""Of each dialect that it speaks, the path."""


@dataclass(frozen=True)
class Peer:
    """A running llmock and its control interface."""

    url: str

    def route(self, **fields: Any) -> Route:
        path = PATHS[fields.get("dialect", "chat")]
        given = {"name": "llmock", "base_url": f"{self.url}/{path}", "model": "any", "headers": KEY}
        return Route(**given | fields)

    def script(self, *behaviors: dict[str, Any]) -> None:
        """Forget what was, and let the next requests meet these."""
        httpx.post(f"{self.url}/_llmock/reset", trust_env=False).raise_for_status()
        reply = {"type": "reply", "text": REPLY, "times": None}
        given = {"behaviors": [reply, *behaviors]}
        httpx.post(f"{self.url}/_llmock/scenario", json=given, trust_env=False).raise_for_status()

    def requests(self) -> list[dict[str, Any]]:
        """Return what it was asked and how it answered, oldest first."""
        answer = httpx.get(f"{self.url}/_llmock/requests", trust_env=False)
        found: list[dict[str, Any]] = answer.raise_for_status().json()["requests"]
        return found

    def complaints(self) -> set[str]:
        """Return what it has to say against its client's manners."""
        answer = httpx.get(f"{self.url}/_llmock/verdict", trust_env=False)
        findings = answer.raise_for_status().json()["findings"]
        return {finding["code"] for finding in findings}


def started(*options: str) -> Iterator[Peer]:
    with llmock(*options) as url:
        yield Peer(url)


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    yield from started()


@pytest.fixture(scope="module")
def strict_peer() -> Iterator[Peer]:
    """One request a minute, prompts up to 50 tokens."""
    yield from started("--rpm", "1", "--context-window", "50")


@pytest.fixture(scope="module")
def chaotic_peer() -> Iterator[Peer]:
    rates = [f"--error-rate={status}=0.15" for status in (500, 503)]
    faults = [f"--stream-fault={kind}=0.15" for kind in ("disconnect", "truncate", "malformed")]
    yield from started(*rates, *faults, "--stream-chunk-delay-ms", "2")


def fault(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "stream_fault", "kind": kind, "after_chunks": 3} | fields


def refusal(status: int, **fields: Any) -> dict[str, Any]:
    return {"type": "fail", "status": status} | fields


async def only_attempt(route: Route) -> AttemptFinished:
    (attempt,) = (await probed(route)).attempts
    return attempt


@pytest.mark.parametrize(
    ("dialect", "finish"), [("chat", "stop"), ("responses", "completed"), ("messages", "end_turn")]
)
async def test_a_probe_is_ok_with_the_usages_counts(peer: Peer, dialect: str, finish: str) -> None:
    peer.script()
    attempt = await only_attempt(peer.route(dialect=dialect))
    (request,) = peer.requests()
    assert (attempt.outcome, attempt.finish_reason, attempt.text) == ("ok", finish, REPLY)
    assert attempt.token_source == "usage"
    assert attempt.input_tokens is not None
    assert attempt.output_tokens is not None
    assert attempt.charged_tokens == attempt.input_tokens + attempt.output_tokens
    assert request["fault"] is None
    assert_ladder(attempt.stamps_ns)


@pytest.mark.parametrize(
    "path",
    ["groq/openai/v1", "mistral/v1", "together/v1", "xai/v1", "perplexity/v1", "ai21/v1"],
)
async def test_the_shapes_of_other_providers_are_understood(peer: Peer, path: str) -> None:
    peer.script(refusal(529, retry_after=0.1, message="Engine overloaded"))
    record = await probed(peer.route(base_url=f"{peer.url}/{path}", retries=1))
    failed, answered = record.attempts
    assert (failed.outcome, failed.reason) == ("server_error", "overloaded")
    assert failed.message == "Engine overloaded"
    assert (answered.outcome, answered.text) == ("ok", REPLY)
    assert answered.token_source == "usage"


async def test_the_stamps_enclose_the_servers_own(peer: Peer) -> None:
    """It reads the same monotonic clock, in another process."""
    peer.script({"type": "slow_first_token", "seconds": 0.2})
    stamps = (await only_attempt(peer.route())).stamps_ns
    (request,) = peer.requests()
    assert stamps.started is not None
    assert stamps.first_token is not None
    assert stamps.done is not None
    assert stamps.started / 1e9 < request["started_at"] < request["ended_at"] < stamps.done / 1e9
    assert 0.2 < stamps.first_token / 1e9 - request["started_at"] < LATE_S


@pytest.mark.parametrize("dialect", PATHS)
@pytest.mark.parametrize(
    ("kind", "outcome", "reason"),
    [
        ("disconnect", "truncated", "cut"),
        ("truncate", "truncated", "no_finish"),
        ("malformed", "protocol_error", "bad_json"),
    ],
)
async def test_a_broken_stream_is_told_as_what_it_is_and_not_tried_again(
    peer: Peer, dialect: str, kind: str, outcome: str, reason: str
) -> None:
    after = {"chat": 3, "messages": 5, "responses": 6}[dialect]  # events up to the second word
    peer.script(fault(kind, after_chunks=after))
    attempt = await only_attempt(peer.route(retries=2, dialect=dialect))
    (request,) = peer.requests()
    assert request["fault"] == f"stream:{kind}@{after}"
    assert (attempt.status, attempt.outcome, attempt.reason) == (200, outcome, reason)
    assert attempt.text == "Waves of "
    assert attempt.token_source != "usage"
    assert attempt.stamps_ns.first_token is not None


async def test_a_stall_is_ended_by_the_routes_own_clock(peer: Peer) -> None:
    peer.script(fault("stall", stall_seconds=20))
    attempt = await only_attempt(peer.route(timeouts=Timeouts(stall=0.4), stall_after=0.1))
    (request,) = peer.requests()
    assert (attempt.outcome, attempt.reason) == ("timeout", "timeout.stall")
    assert attempt.text == "Waves of "
    assert 0.3 < request["stall_waited"] < LATE_S


async def test_a_stall_that_ends_is_marked_in_an_answer_that_is_ok(peer: Peer) -> None:
    peer.script(fault("stall", stall_seconds=0.4))
    attempt = await only_attempt(peer.route(stall_after=0.2))
    assert (attempt.outcome, attempt.stalls) == ("ok", 1)
    assert 0.3 < attempt.longest_gap_ns / 1e9 < LATE_S


async def test_a_first_token_that_does_not_come_is_a_timeout(peer: Peer) -> None:
    peer.script({"type": "slow_first_token", "seconds": 20})
    timeouts = Timeouts(first_token=0.4)
    attempt = await only_attempt(peer.route(timeouts=timeouts, retries=0))
    assert (attempt.outcome, attempt.reason) == ("timeout", "timeout.first_token")
    assert attempt.stamps_ns.headers is not None
    assert attempt.stamps_ns.first_token is None


async def test_an_outage_takes_all_tries_and_the_waits_that_were_asked_for(peer: Peer) -> None:
    peer.script(refusal(503, times=None, retry_after=0.3))
    record = await probed(peer.route(retries=2))
    assert (record.probe.outcome, record.probe.reason) == ("server_error", "unavailable")
    assert record.probe.attempts == len(record.attempts) == len(peer.requests()) == 3
    assert [attempt.retry_after_s for attempt in record.attempts] == [0.3, 0.3, 0.3]
    assert 0.6 <= record.probe.retry_wait_ns / 1e9 < LATE_S
    assert not peer.complaints()


async def test_a_failure_that_passes_is_recovered_from_with_back_off(peer: Peer) -> None:
    peer.script(refusal(500, times=2))
    record = await probed(peer.route(retries=2))
    assert [attempt.outcome for attempt in record.attempts] == ["server_error"] * 2 + ["ok"]
    plans = [attempt.retry for attempt in record.attempts[:2]]
    assert [plan and (plan.reason, plan.number) for plan in plans] == [
        ("internal", 1),
        ("internal", 2),
    ]
    assert record.probe.outcome == "ok"
    assert not peer.complaints()


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (401, None, "auth"),
        (402, None, "quota"),
        (403, None, "permission"),
        (404, None, "not_found"),
        (413, None, "too_large"),
        (422, None, "bad_request"),
        (429, "insufficient_quota", "quota"),
    ],
)
async def test_a_refusal_that_stays_one_is_not_tried_again(
    peer: Peer, status: int, code: str | None, reason: str
) -> None:
    peer.script(refusal(status, times=None, code=code))
    attempt = await only_attempt(peer.route(retries=2))
    assert (attempt.status, attempt.outcome, attempt.reason) == (status, "client_error", reason)
    assert not peer.complaints() & CLIENT_MISTAKES


async def test_a_prompt_above_the_window_is_told(strict_peer: Peer) -> None:
    attempt = await only_attempt(strict_peer.route(prompt="waves of salt " * 100))
    assert (attempt.outcome, attempt.reason) == ("client_error", "context_length")


@pytest.mark.parametrize("dialect", PATHS)
async def test_a_used_up_quota_is_throttled_with_its_limits_and_its_wait(
    strict_peer: Peer, dialect: str
) -> None:
    strict_peer.script()
    route = strict_peer.route(retries=0, dialect=dialect)
    first, second = await only_attempt(route), await only_attempt(route)
    assert first.outcome == "ok"
    assert (second.status, second.outcome) == (429, "throttled")
    assert second.reason == "rate_limit.requests"
    (limit,) = second.limits
    assert (limit.kind, limit.limit, limit.remaining) == ("requests", 1, 0)
    assert limit.reset_s == pytest.approx(60, abs=2)
    assert second.retry_after_s == pytest.approx(60, abs=2)


def has_cooled_for_a_second(run: Watched) -> bool:
    """States are judged once a second."""
    held = run.of(Held, "llmock")
    ticks = [event.at_ns for event in run.events if isinstance(event, Tick)]
    return bool(held) and ticks[-1] - held[0].at_ns > 1_000_000_000


async def test_a_throttled_route_cools_down_for_as_long_as_it_was_asked(strict_peer: Peer) -> None:
    """Five workers at once: those that come after the 429 do not ask at all."""
    strict_peer.script()
    route = strict_peer.route(concurrency=5, interval=0.0)
    run = await watched(route, until=has_cooled_for_a_second)
    outcomes = Counter(attempt.outcome for attempt in run.attempts("llmock"))
    assert outcomes["ok"] == 1
    assert 1 <= outcomes["throttled"] <= route.concurrency
    assert len(strict_peer.requests()) == outcomes.total()
    held = run.of(Held, "llmock")[0]
    assert held.reason == "cool_down"
    assert held.asked_s == pytest.approx(60, abs=2)
    row = run.row("llmock")
    assert row.state == "throttled"
    assert row.cool_down_s == pytest.approx(59, abs=3)
    entry = run.snapshot().throttles[0]
    assert (entry.kind, entry.remaining, entry.retried) == ("requests", "0/1", False)


async def test_an_outage_shows_on_the_board_as_three_attempts_a_probe(peer: Peer) -> None:
    peer.script(refusal(503, times=None, retry_after=0.2))
    route = peer.route(concurrency=4, interval=0.0)

    def enough(run: Watched) -> bool:
        # However many attempts fail: some seconds of them are an outage, and less may be a blip.
        return len(run.probes("llmock")) >= 8 and run.row("llmock").state == "down"

    run = await watched(route, until=enough)
    assert {probe.attempts for probe in run.probes("llmock")} == {3}
    row = run.row("llmock")
    assert row.success == 0.0
    assert row.amplification == 3.0


def told_by(request: dict[str, Any]) -> str:
    """Return how llmtop must tell a request that the server has put on record."""
    status = request["status"]
    if status >= 400:
        return f"server_error.{'unavailable' if status == 503 else 'internal'}"
    kind = (request["fault"] or "").removeprefix("stream:").partition("@")[0]
    return {
        "": "ok.",
        "disconnect": "truncated.cut",
        "truncate": "truncated.no_finish",
        "malformed": "protocol_error.bad_json",
    }[kind]


async def test_outcomes_of_a_chaotic_run_are_those_the_server_has_on_record(
    chaotic_peer: Peer,
) -> None:
    chaotic_peer.script()
    route = chaotic_peer.route(concurrency=5, interval=0.0, retries=0)
    run = await watched(route, until=lambda run: len(run.probes("llmock")) >= 150)
    answered = Counter(f"{a.outcome}.{a.reason}" for a in run.attempts("llmock"))
    recorded = Counter(told_by(request) for request in chaotic_peer.requests())
    cut_off_by_our_stop = recorded - answered
    assert not answered - recorded
    assert cut_off_by_our_stop.total() <= route.concurrency
    assert len(answered) == 6
