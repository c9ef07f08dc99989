"""Every fault of the simulator, as our own client reads it and as the official one does."""

from random import Random

import openai
import pytest
from probing import probe_once
from simulator_kit import QUICK, official, quick, serving, until

from probes.config import Route, Timeouts
from probes.events import AttemptFinished
from probes.kit.clock import SystemClock
from probes.simulator import Faults, Limits, Scenario, Serving, SimulatorServer

pytestmark = pytest.mark.anyio

PATIENCE_S = 1.5
"""What a client waits for what never comes: a busy machine answers late, too."""


def watching(server: SimulatorServer, **fields: object) -> Route:
    waits = Timeouts(connect=5, first_token=PATIENCE_S, stall=PATIENCE_S, total=5)
    path = "" if fields.get("dialect") == "ollama" else "/v1"
    usual = {"base_url": server.base_url + path, "retries": 0, "timeouts": waits}
    return Route(name="r", model="quick", **{**usual, **fields})


async def attempts(scenario: Scenario, n: int = 1, **fields: object) -> list[AttemptFinished]:
    """What `n` probes in a row come to, and what the server says of its connections."""
    found: list[AttemptFinished] = []
    async with serving(scenario) as server:
        route = watching(server, **fields)
        for _ in range(n):
            record = await probe_once(route, {}, clock=SystemClock(), random=Random(1))
            found += record.attempts
    return found


async def verdict(**parts: object) -> tuple[str, str]:
    (attempt,) = await attempts(quick(**parts))
    return attempt.outcome, attempt.reason


def short(value: object) -> str:
    """What a case changes, or what it comes to."""
    if not isinstance(value, Faults | Limits):
        return "/".join(value) if isinstance(value, tuple) else str(value)
    usual = type(value)()
    names = [
        name for name in value.__struct_fields__ if getattr(value, name) != getattr(usual, name)
    ]
    return ",".join(f"{name}={getattr(value, name)}" for name in names)


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        (Faults(refuse_share=1, refuse="overloaded"), ("server_error", "overloaded")),
        (
            Faults(refuse_share=1, refuse="overloaded", refuse_status=529),
            ("server_error", "overloaded"),
        ),
        (Faults(refuse_share=1, refuse="quota"), ("client_error", "quota")),
        (Faults(refuse_share=1, refuse="quota", refuse_status=402), ("client_error", "quota")),
        (Faults(refuse_share=1, refuse="auth"), ("client_error", "auth")),
        (Faults(refuse_share=1, refuse="permission"), ("client_error", "permission")),
        (Faults(refuse_share=1, refuse="model_missing"), ("client_error", "model_not_found")),
        (Faults(refuse_share=1, refuse="bad_request"), ("client_error", "bad_request")),
        (Faults(error_share=1, error_statuses=(500,)), ("server_error", "internal")),
        (Faults(error_share=1, error_statuses=(503,)), ("server_error", "unavailable")),
        (Faults(down="unavailable"), ("server_error", "unavailable")),
        (Faults(down="closed"), ("protocol_error", "reset")),
        (Faults(reset_share=1), ("protocol_error", "reset")),
        (Faults(cut_share=1, cut_how="reset"), ("truncated", "reset")),
        (Faults(cut_share=1, cut_how="close"), ("truncated", "cut")),
        (Faults(cut_share=1, cut_how="end"), ("truncated", "no_finish")),
        (Faults(hang_share=1, hang_at="request"), ("timeout", "timeout.first_token")),
        (Faults(hang_share=1, hang_at="headers"), ("timeout", "timeout.first_token")),
        (Faults(hang_share=1, hang_at="stream"), ("timeout", "timeout.stall")),
    ],
    ids=short,
)
async def test_a_fault_is_what_our_client_calls_it(faults: Faults, told: tuple[str, str]) -> None:
    assert await verdict(faults=faults) == told


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(requests_per_min=1), "rate_limit.requests"),
        (Limits(tokens_per_min=200, burst_s=30), "rate_limit.tokens"),
        (Limits(requests_per_min=1, says_which=False), "rate_limit.requests"),
        (Limits(requests_per_min=1, says_which=False, sends_headers=False), "rate_limit"),
    ],
    ids=short,
)
async def test_a_429_says_which_limit_it_was_in_words_in_headers_or_not_at_all(
    limits: Limits, reason: str
) -> None:
    first, second = await attempts(quick(limits=limits), 2, max_tokens=64)
    assert first.outcome == "ok"
    assert (second.outcome, second.reason) == ("throttled", reason)
    assert (second.retry_after_s is not None) is limits.sends_headers
    assert bool(second.limits) is limits.sends_headers


async def test_a_concurrency_limit_is_known_by_its_words_alone() -> None:
    limits = Limits(concurrency=1, sends_headers=False)
    slow = Serving(gateway_s=0.0, decode_tokens_per_s=20, answer_tokens=2_000, answer_spread=0.0)
    async with serving(quick(serving=slow, limits=limits)) as server, official(server) as client:
        stream = await client.chat.completions.create(
            model="quick", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        record = await probe_once(watching(server), {}, clock=SystemClock(), random=Random(1))
        await stream.close()
    assert record.attempts[-1].reason == "rate_limit.concurrency"


async def test_what_hangs_is_let_go_when_its_client_leaves() -> None:
    scenario = quick(faults=Faults(hang_share=1.0, hang_at="stream"))
    async with serving(scenario) as server:
        await probe_once(watching(server), {}, clock=SystemClock(), random=Random(1))
        await until(server.truth)
        (record,) = server.truth()
        assert server.models["quick"].in_flight == 0
    assert (record.ending, record.status) == ("disconnected", 200)
    assert 0 < record.output_tokens < QUICK.answer_tokens


@pytest.mark.parametrize(
    ("how", "ending"), [("reset", "cut"), ("close", "dropped"), ("end", "unfinished")]
)
async def test_the_truth_tells_how_a_stream_was_cut(how: str, ending: str) -> None:
    async with serving(quick(faults=Faults(cut_share=1.0, cut_how=how))) as server:
        await probe_once(watching(server), {}, clock=SystemClock(), random=Random(1))
        await until(server.truth)
        (record,) = server.truth()
    assert (record.ending, record.finish_reason) == (ending, None)


async def test_a_stream_without_its_end_is_over_for_the_official_client() -> None:
    scenario = quick(faults=Faults(cut_share=1.0, cut_how="end"))
    async with serving(scenario) as server, official(server) as client:
        stream = await client.chat.completions.create(
            model="quick", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        finishes = [chunk.choices[0].finish_reason async for chunk in stream]
    assert len(finishes) > 1
    assert set(finishes) == {None}


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("quota", None, openai.RateLimitError),
        ("quota", 402, openai.APIStatusError),
        ("auth", None, openai.AuthenticationError),
        ("permission", None, openai.PermissionDeniedError),
        ("model_missing", None, openai.NotFoundError),
        ("bad_request", None, openai.BadRequestError),
        ("overloaded", 529, openai.InternalServerError),
    ],
)
async def test_a_refusal_is_the_official_clients_own_error(
    kind: str, status: int | None, error: type[openai.APIStatusError]
) -> None:
    faults = Faults(refuse_share=1.0, refuse=kind, refuse_status=status)
    async with serving(quick(faults=faults)) as server, official(server) as client:
        with pytest.raises(error) as caught:
            await client.chat.completions.create(
                model="quick", messages=[{"role": "user", "content": "hi"}]
            )
    assert status is None or caught.value.status_code == status
    assert caught.value.code


async def test_a_prompt_is_counted_as_more_and_its_cached_part_too() -> None:
    def serves(factor: float) -> Scenario:
        tuned = Serving(
            gateway_s=0, decode_tokens_per_s=2_000, answer_tokens=5, prompt_factor=factor
        )
        return quick(serving=tuned)

    prompt = "tide " * 200
    once, plain = await attempts(serves(1.0), 2, prompt=prompt)
    _, grown = await attempts(serves(4.0), 2, prompt=prompt)
    assert once.cached_tokens == 0
    assert grown.input_tokens == 4 * plain.input_tokens
    assert grown.cached_tokens == 4 * plain.cached_tokens > 0


async def test_a_share_of_the_requests_finds_nothing_in_the_cache() -> None:
    scenario = quick(faults=Faults(miss_share=0.5))
    found = [one.cached_tokens for one in await attempts(scenario, 20, prompt="tide " * 200)]
    assert 4 <= found[1:].count(0) <= 15
    assert len(set(found)) == 2


async def test_an_answer_after_which_the_connection_closes_says_so() -> None:
    faults = Faults(close_share=1.0)
    async with serving(quick(faults=faults)) as server, official(server) as client:
        for _ in range(2):
            answer = await client.chat.completions.with_raw_response.create(
                model="quick", messages=[{"role": "user", "content": "hi"}]
            )
            assert answer.headers["connection"] == "close"
            assert answer.parse().choices[0].finish_reason == "stop"


async def test_another_model_answers_a_share_of_the_requests() -> None:
    faults = Faults(swap_share=0.5, swap_model="quick-2", swap_fingerprint="fp_b")
    tuned = Serving(gateway_s=0, decode_tokens_per_s=2_000, answer_tokens=3, fingerprint="fp_a")
    served = set()
    async with (
        serving(quick(serving=tuned, faults=faults)) as server,
        official(server) as client,
    ):
        for _ in range(12):
            answer = await client.chat.completions.create(
                model="quick", messages=[{"role": "user", "content": "hi"}]
            )
            served.add((answer.model, answer.system_fingerprint))
    assert served == {("quick", "fp_a"), ("quick-2", "fp_b")}


async def test_a_server_tells_its_queue_where_it_reports_times() -> None:
    tuned = Serving(
        gateway_s=0,
        queue_s=0.05,
        decode_tokens_per_s=1_000,
        answer_tokens=20,
        answer_spread=0.0,
        jitter=0.0,
        reports_times=True,
    )
    (attempt,) = await attempts(quick(serving=tuned))
    told = {claim.interval: claim.seconds for claim in attempt.server_claims}
    assert told["queue"] == pytest.approx(0.05, abs=0.03)
    assert set(told) == {"queue", "prompt", "decode"}
    (silent,) = await attempts(quick())
    assert not silent.server_claims


async def test_a_model_that_is_loaded_says_so_in_ollamas_words() -> None:
    cold = Serving(
        gateway_s=0,
        cold_start_s=0.1,
        cold_after_s=0.01,
        decode_tokens_per_s=1_000,
        answer_tokens=5,
        answer_spread=0.0,
    )
    (attempt,) = await attempts(quick(serving=cold), dialect="ollama")
    assert (attempt.outcome, attempt.output_tokens, attempt.finish_reason) == ("ok", 5, "stop")
    told = {claim.interval: claim.seconds for claim in attempt.server_claims}
    assert told["load"] == pytest.approx(0.1, abs=0.05)
    (warm,) = await attempts(quick(), dialect="ollama")
    told = {claim.interval: claim.seconds for claim in warm.server_claims}
    assert told["load"] < 0.05


@pytest.mark.parametrize("stream", [True, False])
async def test_ollamas_answers_and_errors_are_read_as_such(stream: bool) -> None:
    (attempt,) = await attempts(quick(), dialect="ollama", stream=stream, max_tokens=3)
    assert (attempt.outcome, attempt.output_tokens) == ("ok", 3)
    assert attempt.finish_reason == "length"
    faults = Faults(refuse_share=1.0, refuse="model_missing")
    (refused,) = await attempts(quick(faults=faults), dialect="ollama", stream=stream)
    assert (refused.outcome, refused.reason) == ("client_error", "model_not_found")
