"""The official client is the judge: what it cannot stream from, no user's client can."""

import openai
import pytest
from simulator_kit import QUICK, SLOW, official, serving

from probes.simulator import Conditions, Faults, Limits, steady

pytestmark = pytest.mark.anyio

MESSAGES = [{"role": "user", "content": "Tell me about the tide."}]


async def test_it_streams_text_and_usage() -> None:
    async with serving() as server, official(server) as client:
        stream = await client.chat.completions.create(
            model="quick",
            messages=MESSAGES,
            stream=True,
            stream_options={"include_usage": True},
            max_completion_tokens=4,
        )
        chunks = [chunk async for chunk in stream]
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert len(text.split()) == 4
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "length"
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 4
    assert chunks[-1].usage.prompt_tokens_details.cached_tokens == 0


async def test_it_reads_a_whole_answer_and_the_models() -> None:
    async with serving() as server, official(server) as client:
        answer = await client.chat.completions.create(model="quick", messages=MESSAGES)
        models = [model.id async for model in client.models.list()]
    assert answer.choices[0].message.content
    assert answer.usage.completion_tokens == 5
    assert models == ["quick"]


async def test_a_429_is_its_rate_limit_error_with_headers() -> None:
    limits = Limits(concurrency=1, retry_after_s=2.0)
    scenario = steady("quick", Conditions(serving=SLOW, limits=limits))
    async with serving(scenario) as server, official(server) as client:
        stream = await client.chat.completions.create(model="quick", messages=MESSAGES, stream=True)
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="quick", messages=MESSAGES)
        await stream.close()
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "2"
    assert caught.value.request_id.startswith("req_")


async def test_a_wrong_key_and_an_unknown_model_are_its_own_errors() -> None:
    async with serving(api_key="right") as server:
        async with official(server, api_key="wrong") as client:
            with pytest.raises(openai.AuthenticationError):
                await client.models.list()
        async with official(server, api_key="right") as client:
            with pytest.raises(openai.NotFoundError) as caught:
                await client.chat.completions.create(model="nobody", messages=MESSAGES)
    assert caught.value.code == "model_not_found"


async def test_its_retries_mask_errors_and_resets() -> None:
    faults = Faults(error_share=0.25, error_statuses=(500, 503), reset_share=0.25)
    scenario = steady("quick", Conditions(serving=QUICK, faults=faults))
    # This seed draws: error, ok, reset, ok. The client's two back-offs of half a second are real.
    async with serving(scenario, seed=29) as server, official(server, max_retries=2) as client:
        for _ in range(2):
            answer = await client.chat.completions.create(model="quick", messages=MESSAGES)
            assert answer.usage.completion_tokens == 5
        endings = [(record.status, record.ending) for record in server.truth()]
    whole = (200, "answered")
    assert endings == [(500, "answered"), whole, (None, "reset"), whole]


async def test_a_cut_stream_is_its_connection_error() -> None:
    scenario = steady("quick", Conditions(serving=QUICK, faults=Faults(cut_share=1.0)))
    async with serving(scenario) as server, official(server) as client:
        stream = await client.chat.completions.create(model="quick", messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIConnectionError):
            _ = [chunk async for chunk in stream]
