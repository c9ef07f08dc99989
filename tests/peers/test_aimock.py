"""aimock, a provider of the Node world, probed end to end with its chaos on.

The npm package `@copilotkit/aimock`; `LLMTOP_AIMOCK` is the path of its command, which bears the
name of a Python package that is another program: `node_modules/.bin/llmock`.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from peer_processes import served
from watched import Watched, assert_ladder, probed, watched

from probes.config import Dialect, Route
from probes.events import Held

COMMAND = os.environ.get("LLMTOP_AIMOCK", "")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        not COMMAND,
        reason="needs aimock: npm install @copilotkit/aimock,"
        " and LLMTOP_AIMOCK=…/node_modules/.bin/llmock",
    ),
]

SECRET = "a key that the server knows"
PROMPT = "Tell me of the sea."
REPLY = "The sea is wide and blue, and the wind carries the gulls home at night."
THOUGHT = "A wave, and another wave."
CALL = {"name": "tide", "arguments": '{"at": "noon"}'}
DIALECTS = ("chat", "messages", "responses", "ollama")
ANSWERS: dict[str, dict[str, Any]] = {
    PROMPT: {"response": {"content": REPLY}},
    "Think of it first.": {"response": {"content": REPLY, "reasoning": THOUGHT}},
    "Call for the tide.": {"response": {"toolCalls": [CALL]}},
    "Break off.": {"response": {"content": REPLY * 3}, "truncateAfterChunks": 6},
    "Say nothing.": {"response": {"content": ""}},
}


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    fixtures: Path = tmp_path_factory.mktemp("aimock") / "fixtures.json"
    told = [{"match": {"userMessage": prompt}, **answer} for prompt, answer in ANSWERS.items()]
    fixtures.write_text(json.dumps({"fixtures": told}))
    command = [COMMAND, "--port", "0", "--host", "127.0.0.1", "--fixtures", str(fixtures)]
    environment = os.environ | {"AIMOCK_API_KEYS": SECRET}
    with served([*command, "--latency", "5"], r"listening on (http://[\d.:]+)", environment) as url:
        yield f"{url}/v1"


def route(base_url: str, chaos: str = "", **fields: Any) -> Route:
    headers = {"Authorization": f"Bearer {SECRET}"}
    if chaos:
        headers[f"x-aimock-chaos-{chaos}"] = "1.0"
    given = {"name": "aimock", "model": "any", "prompt": PROMPT, "headers": headers} | fields
    if given.get("dialect") == "ollama":
        base_url = base_url.removesuffix("/v1")
    return Route(base_url=base_url, **given)


async def test_a_probe_is_ok_with_the_usages_counts(base_url: str) -> None:
    (attempt,) = (await probed(route(base_url))).attempts
    assert (attempt.outcome, attempt.finish_reason, attempt.text) == ("ok", "stop", REPLY)
    assert attempt.token_source == "usage"
    assert attempt.output_tokens is not None
    assert attempt.output_tokens > 0
    assert attempt.request_id is not None
    assert_ladder(attempt.stamps_ns)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_text_is_read_in_each_dialect_and_zeros_are_no_counts(
    base_url: str, dialect: str
) -> None:
    (attempt,) = (await probed(route(base_url, dialect=dialect))).attempts
    assert (attempt.outcome, attempt.reason, attempt.text) == ("ok", "", REPLY)
    assert attempt.finish_reason in ("stop", "end_turn", "completed")
    assert attempt.output_tokens != 0
    assert attempt.request_id is not None
    assert_ladder(attempt.stamps_ns)


CHAOS = [
    (dialect, chaos, *told)
    for dialect in DIALECTS
    for chaos, *told in (
        ("drop", 500, "server_error", "internal"),
        ("malformed", 200, "protocol_error", "bad_json"),
        ("disconnect", None, "protocol_error", "reset"),
        ("ratelimit", 429, "throttled", "rate_limit"),
    )
    if (dialect, chaos) != ("ollama", "malformed")
]


@pytest.mark.parametrize(
    ("dialect", "chaos", "status", "outcome", "reason"),
    # A line without its end is one that was cut.
    [*CHAOS, ("ollama", "malformed", 200, "truncated", "no_finish")],
)
async def test_its_chaos_is_told_as_what_it_is(
    base_url: str, dialect: str, chaos: str, status: int | None, outcome: str, reason: str
) -> None:
    (attempt,) = (await probed(route(base_url, chaos, retries=0, dialect=dialect))).attempts
    assert (attempt.status, attempt.outcome, attempt.reason) == (status, outcome, reason)
    assert attempt.output_tokens is None
    assert attempt.stamps_ns.first_token is None


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_whole_answer_has_no_ttft(base_url: str, dialect: Dialect) -> None:
    (attempt,) = (await probed(route(base_url, stream=False, dialect=dialect))).attempts
    assert (attempt.outcome, attempt.text, attempt.ttft_kind) == ("ok", REPLY, "not_streamed")
    assert attempt.stamps_ns.first_token is None
    assert attempt.stamps_ns.done is not None


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_reasoning_is_a_first_token_but_no_first_answer(base_url: str, dialect: str) -> None:
    thoughtful = route(base_url, prompt="Think of it first.", dialect=dialect)
    (attempt,) = (await probed(thoughtful)).attempts
    assert (attempt.outcome, attempt.ttft_kind) == ("ok", "reasoning")
    assert (attempt.reasoning_text, attempt.text) == (THOUGHT, REPLY)
    assert attempt.stamps_ns.first_token is not None
    assert attempt.stamps_ns.first_answer is not None
    assert attempt.stamps_ns.first_token <= attempt.stamps_ns.first_answer  # they may share a read


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("prompt", "outcome", "reason", "kind"),
    [
        ("Call for the tide.", "ok", "", "tool_call"),
        ("Break off.", "truncated", "cut", "content"),
        ("Say nothing.", "content_error", "empty", "none"),
        ("No answer is known to this.", "client_error", "not_found", "none"),
    ],
)
async def test_answers_out_of_the_ordinary_are_told_as_what_they_are(
    base_url: str, prompt: str, outcome: str, reason: str, kind: str, dialect: str
) -> None:
    asked = route(base_url, prompt=prompt, retries=0, dialect=dialect)
    (attempt,) = (await probed(asked)).attempts
    assert (attempt.outcome, attempt.reason, attempt.ttft_kind) == (outcome, reason, kind)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_429_tells_all_its_limits_and_its_wait(base_url: str, dialect: str) -> None:
    record = await probed(route(base_url, "ratelimit", retries=1, dialect=dialect))
    assert [attempt.outcome for attempt in record.attempts] == ["throttled"] * 2
    limits = {limit.kind: limit for limit in record.attempts[0].limits}
    assert (limits["requests"].limit, limits["requests"].remaining) == (60, 0)
    assert (limits["tokens"].limit, limits["tokens"].remaining) == (150_000, 0)
    assert (limits["requests"].reset_s, limits["tokens"].reset_s) == (1, 360)
    assert record.attempts[0].retry_after_s == 1
    assert 1 <= record.probe.retry_wait_ns / 1e9 < 3


async def test_lost_connections_are_tried_again(base_url: str) -> None:
    record = await probed(route(base_url, "disconnect", retries=1))
    first, second = record.attempts
    assert first.retry is not None
    assert first.retry.reason == "reset"
    assert second.retry is None
    assert (record.probe.outcome, record.probe.attempts) == ("protocol_error", 2)


async def test_a_wrong_key_is_told_and_not_tried_again(base_url: str) -> None:
    wrong = route(base_url, headers={"Authorization": "Bearer of bad tidings"}, retries=2)
    (attempt,) = (await probed(wrong)).attempts
    assert (attempt.status, attempt.outcome, attempt.reason) == (401, "client_error", "auth")


async def test_a_run_shows_a_healthy_route_beside_a_throttled_one(base_url: str) -> None:
    healthy = route(base_url, name="healthy", interval=0.05)
    throttled = route(base_url, "ratelimit", name="throttled", interval=0.05, retries=0)

    def enough(run: Watched) -> bool:
        return len(run.probes("throttled")) >= 2 and len(run.probes("healthy")) >= 10

    run = await watched(healthy, throttled, until=enough)
    assert {attempt.outcome for attempt in run.attempts("healthy")} == {"ok"}
    assert run.row("healthy").success == 1.0
    assert {attempt.outcome for attempt in run.attempts("throttled")} == {"throttled"}
    assert run.row("throttled").success == 0.0
    cool_down = run.of(Held, "throttled")[0]
    assert (cool_down.reason, cool_down.asked_s) == ("cool_down", 1)
