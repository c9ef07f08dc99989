"""The endpoints over real sockets, spoken to by httpx."""

import json

import anyio
import pytest
from simulator_kit import CHAT, QUICK, SLOW, body, client, quick, serving, until

from probes.config import Price
from probes.kit.clock import NS_PER_S
from probes.simulator import (
    Conditions,
    Faults,
    HostedModel,
    Limits,
    Phase,
    Scenario,
    Serving,
    Timeline,
    steady,
)

pytestmark = pytest.mark.anyio


def hosting(**fields: object) -> Scenario:
    timeline = Timeline(phases=(Phase(conditions=Conditions(serving=QUICK)),))
    return Scenario(name="s", models=(HostedModel(name="quick", timeline=timeline, **fields),))


def events(text: str) -> list[dict]:
    blocks = [block for block in text.split("\n\n") if block]
    assert blocks[-1] == "data: [DONE]"
    return [json.loads(block.removeprefix("data: ")) for block in blocks[:-1]]


async def test_a_stream_has_role_text_finish_usage_and_done_in_this_order() -> None:
    async with serving() as server, client(server) as http:
        options = {"include_usage": True}
        answer = await http.post(CHAT, json=body(stream=True, stream_options=options))
    chunks = events(answer.text)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    texts = [chunk["choices"][0]["delta"]["content"] for chunk in chunks[1:6]]
    assert all(text.strip() for text in texts)
    assert chunks[6]["choices"][0] == {
        "index": 0,
        "delta": {},
        "logprobs": None,
        "finish_reason": "stop",
    }
    assert chunks[7]["choices"] == []
    assert chunks[7]["usage"]["completion_tokens"] == 5
    assert [chunk["usage"] for chunk in chunks[:7]] == [None] * 7
    assert len({chunk["id"] for chunk in chunks}) == 1


async def test_without_include_usage_no_chunk_has_one() -> None:
    async with serving() as server, client(server) as http:
        answer = await http.post(CHAT, json=body(stream=True))
    assert not [chunk for chunk in events(answer.text) if "usage" in chunk]


async def test_a_whole_answer_has_text_and_usage() -> None:
    async with serving() as server, client(server) as http:
        answer = (await http.post(CHAT, json=body())).json()
    assert answer["object"] == "chat.completion"
    assert len(answer["choices"][0]["message"]["content"].split()) == 5
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
async def test_both_names_of_the_cap_end_the_answer_with_length(field: str) -> None:
    async with serving() as server, client(server) as http:
        answer = (await http.post(CHAT, json=body(**{field: 2}))).json()
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 2


async def test_a_repeated_prompt_reports_cached_tokens() -> None:
    message = {"role": "user", "content": "tide " * 80}
    request = {"model": "quick", "messages": [message]}
    async with serving() as server, client(server) as http:
        usages = [(await http.post(CHAT, json=request)).json()["usage"] for _ in range(2)]
    cached = [usage["prompt_tokens_details"]["cached_tokens"] for usage in usages]
    assert cached == [0, 96]


async def test_a_model_that_reports_cost_puts_it_into_the_usage() -> None:
    price = Price(input=2.0, output=10.0)
    for reports in (True, False):
        scenario = hosting(price=price, reports_cost=reports)
        async with serving(scenario) as server, client(server) as http:
            usage = (await http.post(CHAT, json=body())).json()["usage"]
        if reports:
            expected = (usage["prompt_tokens"] * 2.0 + 5 * 10.0) / 1_000_000
            assert usage["estimated_cost"] == pytest.approx(expected)
        else:
            assert "estimated_cost" not in usage


async def test_any_prefix_leads_to_the_same_endpoints() -> None:
    async with serving() as server, client(server) as http:
        assert (await http.post(f"/some/where{CHAT}", json=body())).status_code == 200
        listed = (await http.get("/some/where/v1/models")).json()
    assert [model["id"] for model in listed["data"]] == ["quick"]


@pytest.mark.parametrize(
    ("content", "param"),
    [
        (b"{", None),
        (b"\xff\xfe", None),
        (b"[" * 100_000, None),
        (b'{"model": "quick"}', None),
        (b'{"model": "quick", "messages": []}', None),
        (b'{"model": "quick", "messages": [{"role": "user"}], "max_tokens": 0}', None),
        (b'{"model": "quick", "messages": [{"role": "user"}], "n": 3}', None),
        (
            b'{"model": "quick", "messages": [{"role": "user"}], "stream_options": {}}',
            "stream_options",
        ),
    ],
)
async def test_a_wrong_body_is_a_400_in_openai_form(content: bytes, param: str | None) -> None:
    async with serving() as server, client(server) as http:
        answer = await http.post(CHAT, content=content)
        after = await http.post(CHAT, json=body())
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (
        400,
        "invalid_request_error",
        param,
    )
    assert after.status_code == 200


async def test_a_lone_surrogate_in_the_prompt_is_a_400() -> None:
    content = b'{"model": "quick", "messages": [{"role": "user", "content": "\\ud83d"}]}'
    async with serving() as server, client(server) as http:
        assert (await http.post(CHAT, content=content)).status_code == 400


async def test_an_unknown_model_is_model_not_found() -> None:
    async with serving() as server, client(server) as http:
        answer = await http.post(CHAT, json=body(model="nobody"))
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "model_not_found"


async def test_what_does_not_fit_the_context_is_refused() -> None:
    scenario = quick(serving=Serving(context_tokens=100))
    async with serving(scenario) as server, client(server) as http:
        answer = await http.post(CHAT, json=body(max_tokens=99))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "context_length_exceeded")


async def test_wrong_paths_and_methods_are_refused() -> None:
    async with serving() as server, client(server) as http:
        assert (await http.get("/")).status_code == 404
        wrong = await http.get(CHAT)
        assert (await http.post("/truth")).status_code == 405
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("authorization", "status", "code"),
    [
        (None, 401, None),
        ("Bearer wrong", 401, "invalid_api_key"),
        ("Basic sesame", 401, None),
        ("Bearer sesame", 200, None),
        ("bearer sesame", 200, None),
    ],
)
async def test_the_key_is_asked_for(
    authorization: str | None, status: int, code: str | None
) -> None:
    headers = {"authorization": authorization} if authorization else {}
    async with serving(api_key="sesame") as server, client(server) as http:
        answer = await http.post(CHAT, json=body(), headers=headers)
    assert answer.status_code == status
    assert answer.json().get("error", {}).get("code") == code
    assert "sesame" not in answer.text
    assert "wrong" not in answer.text


async def test_concurrency_over_the_limit_is_a_429_with_headers() -> None:
    limits = Limits(concurrency=1, retry_after_s=0.25)
    scenario = steady("quick", Conditions(serving=SLOW, limits=limits))
    async with (
        serving(scenario) as server,
        client(server) as http,
        http.stream("POST", CHAT, json=body(stream=True)) as first,
    ):
        refused = await http.post(CHAT, json=body())
        assert first.status_code == 200
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert refused.headers["retry-after-ms"] == "250"
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["x-ratelimit-limit-concurrency"] == "1"
    assert refused.headers["x-ratelimit-remaining-concurrency"] == "0"


async def test_minute_limits_are_told_with_every_answer() -> None:
    scenario = quick(limits=Limits(requests_per_min=60, tokens_per_min=6_000))
    async with serving(scenario) as server, client(server) as http:
        headers = (await http.post(CHAT, json=body(max_tokens=90))).headers
    assert headers["x-ratelimit-limit-requests"] == "60"
    assert headers["x-ratelimit-remaining-requests"] == "59"
    assert headers["x-ratelimit-limit-tokens"] == "6000"
    assert 5_880 <= int(headers["x-ratelimit-remaining-tokens"]) <= 5_910
    assert headers["x-ratelimit-reset-requests"].endswith("s")


async def test_a_request_larger_than_the_token_limit_is_not_worth_a_retry() -> None:
    scenario = quick(limits=Limits(tokens_per_min=50))
    async with serving(scenario) as server, client(server) as http:
        answer = await http.post(CHAT, json=body(max_tokens=90))
    assert answer.status_code == 429
    assert answer.headers["x-should-retry"] == "false"
    assert "retry-after" not in answer.headers


async def test_down_and_errors_are_5xx_in_openai_form() -> None:
    for faults, status in (
        (Faults(down="unavailable"), 503),
        (Faults(error_share=1.0, error_statuses=(502,)), 502),
    ):
        async with serving(quick(faults=faults)) as server, client(server) as http:
            answer = await http.post(CHAT, json=body())
        assert (answer.status_code, answer.json()["error"]["type"]) == (status, "server_error")


async def test_the_truth_has_every_stamp_in_order_and_the_clients_id() -> None:
    async with serving() as server, client(server) as http:
        answer = await http.post(CHAT, json=body(stream=True))
        page = (await http.get("/truth")).json()
        later = (await http.get("/truth", params={"since": page["last"]})).json()
    (record,) = page["records"]
    stamps = [record["read_ns"], record["headers_ns"], *record["chunks_ns"], record["ended_ns"]]
    assert stamps == sorted(stamps)
    assert record["chunk_tokens"] == [0, 1, 1, 1, 1, 1, 0, 0]
    assert record["request_id"] == answer.headers["x-request-id"]
    assert (record["status"], record["ending"], record["output_tokens"]) == (200, "streamed", 5)
    assert later["records"] == []


async def test_truth_refuses_a_since_that_is_no_number() -> None:
    async with serving() as server, client(server) as http:
        for since in ("-1", "x", "9" * 40, "²"):
            assert (await http.get("/truth", params={"since": since})).status_code == 400


async def test_a_client_sees_each_chunk_after_the_server_wrote_it() -> None:
    arrivals: list[int] = []
    scenario = steady(
        "quick", Conditions(serving=Serving(decode_tokens_per_s=100, answer_tokens=8))
    )
    async with serving(scenario) as server, client(server) as http:
        async with http.stream("POST", CHAT, json=body(stream=True)) as answer:
            async for _ in answer.aiter_raw():
                arrivals.append(round(anyio.current_time() * NS_PER_S))
        await until(server.truth)
        (record,) = server.truth()
    # Both sides read the same monotonic clock, to the microsecond.
    assert arrivals[0] >= record.chunks_ns[0] - 1_000
    assert record.first_token_ns == record.chunks_ns[1]
    assert arrivals[-1] >= record.chunks_ns[-1] - 1_000
