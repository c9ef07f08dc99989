"""llama.cpp's own server asked in the Messages dialect, on a tiny model of random weights.

It takes some 3 s of wall time: a real server, real tokens.
"""

from collections.abc import Iterator

import pytest
from peer_processes import llama_cpp, missing_packages
from watched import probed

from probes.config import Route
from probes.events import AttemptFinished

pytestmark = [pytest.mark.anyio, missing_packages("xllamacpp", "gguf", "numpy")]

CAP = 16


@pytest.fixture(scope="module")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with llama_cpp(tmp_path_factory.mktemp("model")) as url:
        yield url


async def attempt_at(base_url: str, **fields: object) -> AttemptFinished:
    given = {"name": "llama.cpp", "model": "tiny", "max_tokens": CAP, "dialect": "messages"}
    (attempt,) = (await probed(Route(base_url=base_url, **given | fields))).attempts
    return attempt


async def test_a_probe_is_ok_with_real_text_and_exact_counts(base_url: str) -> None:
    attempt = await attempt_at(base_url)
    assert (attempt.outcome, attempt.reason) == ("ok", "")
    assert (attempt.finish_reason, attempt.ttft_kind) == ("max_tokens", "content")
    assert (attempt.output_tokens, attempt.token_source) == (CAP, "usage")
    assert attempt.text is not None
    assert len(attempt.text.split()) == CAP
    assert attempt.response_id
    stamps = attempt.stamps_ns
    assert None not in (stamps.first_token, stamps.first_answer, stamps.last_token, stamps.done)


async def test_the_base_url_may_leave_the_version_out(base_url: str) -> None:
    attempt = await attempt_at(base_url.removesuffix("/v1"))
    assert (attempt.status, attempt.outcome) == (200, "ok")


async def test_the_input_is_the_same_whether_it_was_cached_or_not(base_url: str) -> None:
    prompt = "gulls carry a prompt that no other test sends"
    first = await attempt_at(base_url, prompt=prompt, system="be brief")
    again = await attempt_at(base_url, prompt=prompt, system="be brief")
    assert first.input_tokens == again.input_tokens
    assert first.cached_tokens is not None
    assert again.cached_tokens is not None
    assert first.input_tokens is not None
    assert first.cached_tokens < again.cached_tokens < first.input_tokens


async def test_a_prompt_above_the_context_is_told_and_not_tried_again(base_url: str) -> None:
    attempt = await attempt_at(base_url, prompt="sea " * 1000, retries=2)
    assert (attempt.status, attempt.outcome, attempt.reason) == (
        400,
        "client_error",
        "context_length",
    )
