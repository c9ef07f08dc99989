"""Ollama's own dialect: the request it writes, where it goes, and lines in all their spellings."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.answers.answer import Answer, AnswerReader
from probes.answers.dialects import dialect_for
from probes.answers.dialects.base import Adaptation
from probes.answers.dialects.ollama import OllamaDialect
from probes.answers.dialects.ollama_stream import OllamaInterpreter
from probes.answers.ending_verdict import Ending
from probes.answers.framing import ServerSentEvent
from probes.answers.progress import NOTHING, Progress
from probes.answers.request_headers import request_headers
from probes.config import Route
from probes.config.errors import ConfigError
from probes.config.file import override_route, parse_config, single_route_config

OLLAMA = OllamaDialect()
ROUTE = Route(
    name="r", base_url="http://127.0.0.1:11434", model="m", dialect="ollama", prompt="Hello"
)
AS_USUAL = Adaptation()
DONE = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}


def route_with(**settings: Any) -> Route:
    values = {name: getattr(ROUTE, name) for name in ROUTE.__struct_fields__}
    return Route(**(values | settings))


def body_of(
    route: Route = ROUTE, adaptation: Adaptation = AS_USUAL, nonce: str | None = None
) -> dict[str, Any]:
    body = OLLAMA.request_body(route, max_tokens=64, nonce=nonce, adaptation=adaptation)
    return dict(json.loads(body))


def line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def word(text: str) -> bytes:
    return line({"message": {"role": "assistant", "content": text}, "done": False})


def read(*pieces: bytes, streamed: bool = True, ending: Ending = "complete") -> Answer:
    reader = AnswerReader(200, {}, OLLAMA, keep_text=True, wall_ns=0, streamed=streamed)
    for piece in pieces:
        reader.feed(piece)
    return reader.finish(ending)


def told_by(*values: object) -> tuple[OllamaInterpreter, list[Progress]]:
    interpreter = OllamaInterpreter()
    events = [ServerSentEvent(data=json.dumps(value)) for value in values]
    return interpreter, [interpreter.event(event) for event in events]


def test_the_dialect_is_found_by_name() -> None:
    dialect = dialect_for("ollama")
    assert (dialect.name, dialect.framing) == ("ollama", "lines")


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434/api/chat"),
        ("http://127.0.0.1:11434/", "http://127.0.0.1:11434/api/chat"),
        ("http://127.0.0.1:11434/api", "http://127.0.0.1:11434/api/chat"),
        ("https://gateway.example/ollama?tier=1", "https://gateway.example/ollama/api/chat?tier=1"),
        ("https://gateway.example/ollama/api?t=1", "https://gateway.example/ollama/api/chat?t=1"),
    ],
)
def test_a_base_url_may_end_in_the_api_or_before_it(base_url: str, url: str) -> None:
    assert OLLAMA.url(route_with(base_url=base_url)) == url


def test_a_base_url_of_the_other_api_is_refused_with_a_way_out() -> None:
    with pytest.raises(ConfigError, match=r'--base-url: ends in /v1, .* "chat" dialect: leave it'):
        single_route_config("http://127.0.0.1:11434/v1/", "m", environ={}, dialect="ollama")
    chat = route_with(base_url="http://127.0.0.1:11434/v1", dialect="chat")
    with pytest.raises(ConfigError, match="ends in /v1"):
        override_route(chat, {"dialect": "ollama"})


def test_the_cap_and_the_temperature_are_options() -> None:
    assert body_of() == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "options": {"num_predict": 64},
    }
    assert body_of(route_with(temperature=0.5, system="Be brief."), nonce="abc") == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "abc\nBe brief."},
            {"role": "user", "content": "Hello"},
        ],
        "stream": True,
        "options": {"num_predict": 64, "temperature": 0.5},
    }


def test_extra_options_join_ours_and_all_else_is_merged_last() -> None:
    extra = {"keep_alive": "5m", "think": False, "options": {"num_ctx": 4096, "seed": 1}}
    body = body_of(route_with(extra_body=extra))
    assert body["options"] == {"num_predict": 64, "num_ctx": 4096, "seed": 1}
    assert (body["keep_alive"], body["think"], body["model"]) == ("5m", False, "m")


def test_the_cap_cannot_hide_among_the_options() -> None:
    text = """
        [routes.r]
        base_url = "http://127.0.0.1:11434"
        model = "m"
        dialect = "ollama"
        extra_body = { options = { num_predict = -1, temperature = 1, num_ctx = 64 } }
    """
    with pytest.raises(ConfigError) as caught:
        parse_config(text, Path("routes.toml"), {})
    place = "routes.toml: routes.r.extra_body.options"
    assert caught.value.problems == (
        f"{place}.num_predict: cannot be set here: use the route's max_tokens, "
        "so that budgets know the cap",
        f"{place}.temperature: cannot be set here: use the route's temperature",
    )


def test_a_route_may_ask_for_the_whole_answer() -> None:
    assert body_of(route_with(stream=False))["stream"] is False


def test_it_accepts_what_ollama_sends_and_takes_a_bearer_token() -> None:
    asked = request_headers({"Authorization": "Bearer abc"}, OLLAMA)
    assert asked["Accept"] == "application/x-ndjson, application/json"
    assert asked["Authorization"] == "Bearer abc"


def test_a_refused_temperature_is_dropped_once_and_nothing_else() -> None:
    warm = route_with(temperature=1.0)
    adapted = OLLAMA.adapt(400, "temperature is not supported", Adaptation(), warm)
    assert adapted == Adaptation(drop_temperature=True)
    assert "temperature" not in body_of(warm, adapted)["options"]
    assert OLLAMA.adapt(400, "temperature is not supported", adapted, warm) is None
    assert OLLAMA.adapt(400, "temperature is not supported", Adaptation(), ROUTE) is None
    assert OLLAMA.adapt(400, '"m" does not support thinking', Adaptation(), warm) is None


def test_a_line_gives_what_it_adds() -> None:
    interpreter, deltas = told_by(
        {"message": {"content": "", "thinking": "hm"}, "done": False},
        {"message": {"content": "Hi"}, "done": False},
        {"message": {"content": " you", "thinking": None, "tool_calls": []}, "done": False},
        DONE,
    )
    assert deltas == [
        Progress("reasoning", False, 2, "", "hm"),
        Progress("content", True, 2, "Hi"),
        Progress("content", True, 4, " you"),
        NOTHING,
    ]
    told = interpreter.transcript
    assert ("".join(told.text), "".join(told.reasoning)) == ("Hi you", "hm")
    assert (told.finish_reason, told.done, told.terminal) == ("stop", True, True)


LINES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "message": st.one_of(
            st.none(),
            st.fixed_dictionaries(
                {},
                optional={
                    "content": st.one_of(st.none(), st.text(max_size=3), st.integers()),
                    "thinking": st.one_of(st.none(), st.text(max_size=3)),
                    "reasoning_content": st.one_of(st.none(), st.text(max_size=3)),
                    "tool_calls": st.sampled_from([None, [], [{}], {"function": {"name": "f"}}]),
                },
            ),
        ),
        "response": st.one_of(st.none(), st.text(max_size=3)),
        "thinking": st.one_of(st.none(), st.text(max_size=3)),
        "done": st.sampled_from([None, False, True, "yes"]),
        "eval_count": st.sampled_from([None, 0, 3, -1, "7", 10**30, True]),
        "prompt_eval_count": st.sampled_from([None, 0, 3]),
        "error": st.sampled_from([None, "", "boom", {"message": "boom"}]),
    },
)


@given(values=st.lists(LINES, max_size=5))
def test_the_quick_way_tells_the_same_as_the_other(values: list[dict[str, Any]]) -> None:
    start = {"message": {"content": "a"}, "done": False}
    payloads = [json.dumps(value).encode() for value in (start, *values)]

    def deltas_of(take: Callable[[OllamaInterpreter, bytes], Progress | None]) -> object:
        interpreter = OllamaInterpreter()
        deltas = []
        for payload in payloads:
            delta = take(interpreter, payload)
            if delta is None:
                delta = interpreter.event(ServerSentEvent(data=payload.decode()))
            deltas.append(delta)
        told = interpreter.transcript
        return deltas, told.text, told.reasoning, told.usage, told.usage_is_last, told.terminal

    def slow(interpreter: OllamaInterpreter, _: bytes) -> Progress | None:
        interpreter._flows = False
        return None

    assert deltas_of(OllamaInterpreter.usual) == deltas_of(slow)


def test_the_last_line_carries_counts_and_times() -> None:
    end = {"prompt_eval_count": 11, "eval_count": 2, "load_duration": 5, "eval_duration": 7}
    answer = read(word("Hi"), line(DONE | end))
    assert (answer.input_tokens, answer.output_tokens, answer.token_source) == (11, 2, "usage")
    assert answer.server_timing == {"load_ns": 5.0, "eval_ns": 7.0}
    assert answer.finish_reason == "stop"


def test_counts_on_every_line_are_a_running_total() -> None:
    lines = [line({"message": {"content": "a"}, "done": False, "eval_count": n}) for n in (1, 2)]
    assert read(*lines, ending="cut").token_source == "continuous_usage"
    assert read(*lines, line(DONE | {"eval_count": 3})).output_tokens == 3


def test_a_line_that_begins_and_ends_the_output_is_no_stream() -> None:
    whole = line(DONE | {"message": {"content": "Hi"}, "eval_count": 1})
    for pieces in ([whole], [whole[:-1]], [b"\n", whole], [word(""), whole]):
        answer = read(*pieces)
        assert (answer.outcome, answer.text, answer.ttft_kind) == ("ok", "Hi", "not_streamed")


@pytest.mark.parametrize("cut_at", range(1, 8))
def test_a_whole_answer_is_told_the_same_however_it_is_written(cut_at: int) -> None:
    value = DONE | {"message": {"content": "Hi"}, "eval_count": 1}
    for indent in (None, 1):
        body = json.dumps(value, indent=indent).encode()
        for streamed in (True, False):
            answer = read(body[:cut_at], body[cut_at:], streamed=streamed)
            assert (answer.outcome, answer.text, answer.ttft_kind) == ("ok", "Hi", "not_streamed")


def test_of_a_stream_that_was_not_asked_for_no_output_is_told_before_its_end() -> None:
    reader = AnswerReader(200, {}, OLLAMA, keep_text=True, wall_ns=0, streamed=False)
    told = [reader.feed(piece) for piece in (word("Hel"), word("lo"), line(DONE))]
    assert [(progress.output, progress.terminal) for progress in told] == [
        (False, False),
        (False, False),
        (False, True),
    ]
    answer = reader.finish("complete")
    assert (answer.outcome, answer.text, answer.ttft_kind) == ("ok", "Hello", "not_streamed")


def test_a_whole_answer_that_says_it_is_not_done_is_truncated() -> None:
    body = json.dumps({"message": {"content": "Hi"}, "done": False}, indent=1).encode()
    answer = read(body, streamed=False)
    assert (answer.outcome, answer.reason) == ("truncated", "no_finish")


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"a":\n1}', b'{"choices":[]}', b"7", b'"x"'])
def test_json_that_is_no_answer_is_never_ok(body: bytes) -> None:
    for streamed in (True, False):
        for pieces in ((body,), (body, b"\n")):
            assert read(*pieces, streamed=streamed).outcome == "protocol_error"


def test_a_bare_error_object_is_an_error() -> None:
    answer = read(line({"detail": "model is overloaded"}))
    assert (answer.outcome, answer.reason) == ("server_error", "overloaded")
    assert answer.message == "model is overloaded"


def test_a_line_beyond_all_bounds_ends_the_reading() -> None:
    piece = b"a" * 1_000_000
    answer = read(word("Hi"), b'{"message":{"content":"', *[piece] * 17)
    assert (answer.outcome, answer.reason, answer.text) == ("protocol_error", "too_large", "Hi")
    first = read(b'{"message":{"content":"', *[piece] * 20)
    assert (first.outcome, first.reason) == ("protocol_error", "too_large")


def test_nesting_without_end_is_broken_json() -> None:
    answer = read(word("Hi"), b'{"message":' + b"[" * 200_000 + b"\n")
    assert (answer.outcome, answer.reason) == ("protocol_error", "bad_json")


def test_of_absurdly_many_tool_calls_the_first_are_kept() -> None:
    calls = [{"function": {"name": "f", "arguments": {"n": n}}} for n in range(1_000)]
    answer = read(line({"message": {"tool_calls": calls}, "done": False}), line(DONE))
    assert len(answer.tool_calls) == 128
    assert answer.tool_calls[0] == ("f", '{"n":0}')


PIECES = st.one_of(
    LINES.map(line),
    LINES.map(lambda value: json.dumps(value, indent=1).encode()),
    st.sampled_from(
        [b"\n", b"\r\n", b" ", b"\xef\xbb\xbf", b"{", b"}", b"<html>", b"data: {}\n\n"]
    ),
    st.sampled_from([word("a"), line(DONE), line(DONE)[:-1], line({"error": "boom"}), b"[]\n"]),
    st.binary(max_size=8),
)


@given(
    pieces=st.lists(PIECES, max_size=6),
    places=st.lists(st.integers(min_value=0), max_size=8),
    ending=st.sampled_from(["complete", "cut", "reset", "timeout.stall"]),
    streamed=st.booleans(),
    status=st.sampled_from([200, 404, 500]),
)
def test_whatever_comes_is_judged_the_same_however_it_is_cut(
    pieces: list[bytes], places: list[int], ending: Ending, streamed: bool, status: int
) -> None:
    body = b"".join(pieces)
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]

    def judged(parts: list[bytes]) -> tuple[object, ...]:
        reader = AnswerReader(status, {}, OLLAMA, keep_text=True, wall_ns=0, streamed=streamed)
        for part in parts:
            reader.feed(part)
        answer = reader.finish(ending)
        if answer.outcome == "ok":
            assert status == 200
            assert answer.text or answer.reasoning_text or answer.tool_calls
        counts = (answer.input_tokens, answer.output_tokens, answer.token_source)
        return (answer.outcome, answer.reason, answer.text, answer.tool_calls, *counts)

    assert judged([body[a:b] for a, b in pairwise(edges)]) == judged([body])
