"""Which model answered, and which build of it, by the word of every dialect's answers."""

import json
from random import Random
from typing import Any

import pytest
from official import official_client, route_to
from probing import probe_once
from transports import stamping
from wire import SSE, Wire, data, serve

from probes.answers.answer import Answer, AnswerReader
from probes.answers.dialects import dialect_for
from probes.config import Dialect
from probes.kit.clock import SystemClock

NAME, BUILD = "gpt-4o-2024-08-06", "fp_8802369eaa"


def delta(text: str, **beside: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    return {"id": "c1", "choices": [choice], **beside}


def legacy(text: str, **beside: Any) -> dict[str, Any]:
    return {"id": "c1", "choices": [{"index": 0, "text": text}], **beside}


FINISH = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
SPOKEN = {"type": "response.output_text.delta", "output_index": 0, "delta": "a"}
STARTED = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}}
ENDED = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
TOLD: dict[Dialect, tuple[list[Any], Any, str]] = {
    "chat": (
        [delta("a", model=NAME, system_fingerprint=BUILD), FINISH, "[DONE]"],
        {
            "choices": [{"message": {"content": "a"}, "finish_reason": "stop"}],
            "model": NAME,
            "system_fingerprint": BUILD,
        },
        BUILD,
    ),
    "azure": (
        [
            {"choices": [], "model": "", "prompt_filter_results": []},
            delta("a", model=NAME, system_fingerprint=BUILD),
            FINISH,
            "[DONE]",
        ],
        {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}], "model": NAME},
        BUILD,
    ),
    "completions": (
        [legacy("a", model=NAME, system_fingerprint=BUILD), FINISH, "[DONE]"],
        {"choices": [{"text": "a", "finish_reason": "stop"}], "model": NAME},
        BUILD,
    ),
    "responses": (
        [
            {"type": "response.created", "response": {"id": "r1", "model": NAME, "output": []}},
            SPOKEN,
            {"type": "response.completed", "response": {"id": "r1", "model": NAME}},
        ],
        {
            "object": "response",
            "model": NAME,
            "status": "completed",
            "output": [{"type": "message", "content": [{"type": "output_text", "text": "a"}]}],
        },
        "",
    ),
    "messages": (
        [
            {"type": "message_start", "message": {"id": "m1", "model": NAME, "content": []}},
            STARTED,
            ENDED,
            {"type": "message_stop"},
        ],
        {
            "type": "message",
            "role": "assistant",
            "model": NAME,
            "content": [{"type": "text", "text": "a"}],
            "stop_reason": "end_turn",
        },
        "",
    ),
    "ollama": (
        [
            {"model": NAME, "message": {"content": "a"}, "done": False},
            {"model": NAME, "message": {"content": ""}, "done": True, "done_reason": "stop"},
        ],
        {"model": NAME, "message": {"content": "a"}, "done": True, "done_reason": "stop"},
        "",
    ),
}


def read(api: Dialect, *payloads: Any, streamed: bool = True) -> Answer:
    """Return what is read of a stream of these payloads, or of the one as a whole answer."""
    kind = "text/event-stream" if streamed else "application/json"
    reader = AnswerReader(
        200, {"content-type": kind}, dialect_for(api), keep_text=True, wall_ns=0, streamed=streamed
    )
    for payload in payloads:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        framed = f"{text}\n" if api == "ollama" or not streamed else f"data: {text}\n\n"
        reader.feed(framed.encode())
    return reader.finish("complete")


def told(answer: Answer) -> tuple[str, str]:
    return answer.served_model, answer.fingerprint


@pytest.mark.parametrize("api", TOLD)
def test_a_stream_names_the_model_and_its_build(api: Dialect) -> None:
    stream, _, build = TOLD[api]
    answer = read(api, *stream)
    assert (answer.outcome, answer.text) == ("ok", "a")
    assert told(answer) == (NAME, build)


@pytest.mark.parametrize("api", TOLD)
def test_so_does_one_that_breaks_off(api: Dialect) -> None:
    stream, _, build = TOLD[api]
    assert told(read(api, *stream[:2])) == (NAME, build)


@pytest.mark.parametrize("api", TOLD)
def test_a_whole_answer_names_the_model_too(api: Dialect) -> None:
    _, whole, _ = TOLD[api]
    answer = read(api, whole, streamed=False)
    assert (answer.outcome, answer.text) == ("ok", "a")
    assert told(answer) == (NAME, whole.get("system_fingerprint", ""))


@pytest.mark.parametrize("api", TOLD)
def test_an_answer_that_names_none_has_none(api: Dialect) -> None:
    def without(value: Any) -> Any:
        if isinstance(value, dict):
            names = ("model", "system_fingerprint")
            return {key: without(one) for key, one in value.items() if key not in names}
        return value

    stream, whole, _ = TOLD[api]
    assert told(read(api, *map(without, stream))) == ("", "")
    assert told(read(api, without(whole), streamed=False)) == ("", "")


@pytest.mark.parametrize("model", [None, 7, {"id": "x"}, ["x"], ""])
def test_what_is_no_name_is_passed_over_and_costs_the_answer_nothing(model: Any) -> None:
    odd = delta("a", model=model, system_fingerprint=model)
    answer = read("chat", odd, FINISH | {"model": NAME, "system_fingerprint": BUILD}, "[DONE]")
    assert (answer.outcome, answer.text, *told(answer)) == ("ok", "a", NAME, BUILD)
    _, message, _ = TOLD["messages"]
    assert read("messages", message | {"model": model}, streamed=False).text == "a"
    _, response, _ = TOLD["responses"]
    assert read("responses", response | {"model": model}, streamed=False).text == "a"
    assert read("ollama", *(line | {"model": model} for line in TOLD["ollama"][0])).text == "a"


def test_the_first_name_counts_however_the_answer_ends() -> None:
    """A gateway's own last chunk may call the model by the name that it was asked for."""
    first = delta("a", model=NAME, system_fingerprint=BUILD)
    last = FINISH | {"model": "alias", "system_fingerprint": "other"}
    assert told(read("chat", first, last, "[DONE]")) == (NAME, BUILD)
    assert told(read("chat", first)) == (NAME, BUILD)


def test_a_name_is_cut_and_half_a_character_is_made_whole() -> None:
    answer = read("chat", delta("a", model="m" * 10_000, system_fingerprint="f\ud83d"), FINISH)
    assert told(answer) == ("m" * 200, "f\ufffd")


def test_a_refusal_names_no_model() -> None:
    reader = AnswerReader(404, {}, dialect_for("chat"), keep_text=True, wall_ns=0)
    reader.feed(json.dumps({"error": {"message": "no"}, "model": NAME}).encode())
    assert told(reader.finish("complete")) == ("", "")


@pytest.mark.anyio
async def test_the_official_client_reads_the_same() -> None:
    stream = [json.dumps(one) if isinstance(one, dict) else one for one in TOLD["azure"][0]]

    async def play(wire: Wire) -> bool:
        await wire.send(SSE, *map(data, stream), b"0\r\n\r\n")
        return True

    async with serve(play) as server, official_client(server.url) as client:
        asked = client.chat.completions.create(model="m", messages=[], stream=True)
        chunks = [chunk async for chunk in await asked]
        record = await probe_once(
            route_to(server.url), {}, clock=SystemClock(), random=Random(1), transport=stamping
        )
    (attempt,) = record.attempts
    assert {chunk.model for chunk in chunks if chunk.model} == {attempt.served_model}
    assert {chunk.system_fingerprint for chunk in chunks if chunk.system_fingerprint} == {
        attempt.fingerprint
    }
