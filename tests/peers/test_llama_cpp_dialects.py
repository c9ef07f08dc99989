"""llama.cpp's own server asked in every dialect that it speaks, on a tiny model of random weights.

It takes some 4 s of wall time: a real server, real tokens.
"""

from collections.abc import Iterator

import pytest
from peer_processes import llama_cpp, missing_packages
from watched import assert_ladder, probed

from probes.config import Route
from probes.events import AttemptFinished

pytestmark = [pytest.mark.anyio, missing_packages("xllamacpp", "gguf", "numpy")]

CAP = 16
DIALECTS = ("chat", "completions", "messages", "responses")


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with llama_cpp(tmp_path_factory.mktemp("model")) as url:
        yield url


async def attempt_at(base_url: str, **fields: object) -> AttemptFinished:
    given = {"name": "llama.cpp", "model": "tiny", "max_tokens": CAP, "retries": 0} | fields
    (attempt,) = (await probed(Route(base_url=base_url, **given))).attempts
    return attempt


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_is_ok_with_exact_counts_and_a_whole_ladder(
    base_url: str, dialect: str
) -> None:
    attempt = await attempt_at(base_url, dialect=dialect)
    assert (attempt.outcome, attempt.reason, attempt.ttft_kind) == ("ok", "", "content")
    assert (attempt.output_tokens, attempt.token_source) == (CAP, "usage")
    assert attempt.text is not None
    assert len(attempt.text.split()) == CAP
    assert attempt.response_id
    assert attempt.served_model
    assert_ladder(attempt.stamps_ns)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_whole_answer_has_no_first_token(base_url: str, dialect: str) -> None:
    attempt = await attempt_at(base_url, dialect=dialect, stream=False)
    assert (attempt.outcome, attempt.ttft_kind) == ("ok", "not_streamed")
    assert (attempt.output_tokens, attempt.token_source) == (CAP, "usage")
    assert attempt.stamps_ns.first_token is None
    assert attempt.stamps_ns.done is not None


@pytest.mark.parametrize("dialect", ["chat", "completions", "responses"])
async def test_the_servers_own_timing_lies_within_ours(base_url: str, dialect: str) -> None:
    attempt = await attempt_at(base_url, dialect=dialect)
    stamps = attempt.stamps_ns
    assert stamps.started is not None
    assert stamps.done is not None
    within_ms = (stamps.done - stamps.started) / 1e6
    spent = (attempt.server_timing["prompt_ms"], attempt.server_timing["predicted_ms"])
    assert min(spent) > 0
    assert sum(spent) < within_ms


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_prompt_above_the_context_is_told(base_url: str, dialect: str) -> None:
    attempt = await attempt_at(base_url, dialect=dialect, prompt="sea " * 1000)
    assert (attempt.status, attempt.outcome) == (400, "client_error")
    assert attempt.reason == "context_length"


async def test_a_dialect_that_it_does_not_speak_is_not_found(base_url: str) -> None:
    attempt = await attempt_at(base_url.removesuffix("/v1"), dialect="ollama")
    assert (attempt.status, attempt.outcome, attempt.reason) == (404, "client_error", "not_found")
