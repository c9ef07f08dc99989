"""The Messages dialect: events in all their spellings, and what an answer comes to."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from message_events import COUNTED, OVER, TEXT, block, delta, read, start, stop, verdict_of, whole

from probes.answers.dialects.messages_stream import MessagesInterpreter
from probes.answers.dialects.transcript import Usage
from probes.answers.ending_verdict import Ending, judge, tokens_of
from probes.answers.framing import ServerSentEvent
from probes.answers.progress import Progress


@pytest.mark.parametrize(
    ("event", "kind", "characters", "answer"),
    [
        (delta(text="ab"), "content", 2, True),
        (delta(text=""), "none", 0, False),
        (delta("thinking_delta", thinking="abc"), "reasoning", 3, False),
        (delta("signature_delta", signature="Eo8"), "none", 0, False),
        (delta("citations_delta", citation={"cited_text": "x"}), "none", 0, False),
        (delta("input_json_delta", partial_json='{"a'), "tool_call", 3, True),
        (delta("input_json_delta", partial_json=""), "none", 0, False),
        (delta("some_later_delta", blob="x"), "other", 0, True),
        (delta("some_later_delta", index=7, blob=""), "none", 0, False),
        ({"type": "content_block_delta", "delta": {"text": "ab"}}, "content", 2, True),
        ({"type": "content_block_delta", "delta": None}, "none", 0, False),
        ({"type": "content_block_delta", "delta": "ab"}, "none", 0, False),
        (block(text=""), "none", 0, False),
        (block(text="ab"), "content", 2, True),
        (block("thinking", thinking="", signature=""), "none", 0, False),
        (block("thinking", thinking="ab"), "reasoning", 2, False),
        (block("redacted_thinking", data="EmwKAhgB"), "none", 0, False),
        (
            block("thinking", summary=[{"type": "summary_text", "text": "abc"}]),
            "reasoning",
            3,
            False,
        ),
        (delta("reasoning_delta", reasoning={"text": "abc"}), "reasoning", 3, False),
        (block("tool_use", id="t", name="f", input={}), "tool_call", 1, True),
        (block("server_tool_use", id="t", name="web_search"), "tool_call", 10, True),
        (block("tool_use", id="t", name="f", input={"a": 1}), "tool_call", 8, True),
        (block("web_search_tool_result", content=[{"title": "x"}]), "other", 0, True),
        (block("web_search_tool_result", content=[]), "none", 0, False),
        (block("image", source={"type": "base64", "data": "iVBOR"}), "other", 0, True),
        (delta("audio_delta", audio="UklGR"), "other", 0, True),
        (start(content=[{"type": "text", "text": "ab"}]), "content", 2, True),
        ({"type": "ping"}, "none", 0, False),
        ({"type": "content_block_stop", "index": 0}, "none", 0, False),
    ],
)
def test_what_counts_as_output(event: Any, kind: str, characters: int, answer: bool) -> None:
    told, [added] = read(event)
    assert (added.kind, added.characters, added.answer) == (kind, characters, answer)
    assert told.output == (kind != "none")
    assert not told.terminal


def test_the_type_is_read_from_the_data_and_the_name_only_helps() -> None:
    told, _ = read(start(), TEXT, stop(), name="message")
    assert (told.text, told.finish_reason) == (["a"], "end_turn")
    told, _ = read(start(), TEXT, name="ping")
    assert told.text == ["a"]
    untyped = {"delta": {"text": "b"}}
    assert read(untyped, name="content_block_delta")[0].text == ["b"]
    assert read(untyped, name="message")[0].text == []


def test_calls_are_put_together_by_their_block() -> None:
    told, _ = read(
        block(text=""),
        delta(text="I look."),
        block("tool_use", 1, id="t1", name="tide", input={}),
        block("tool_use", 2, id="t2", name="wind", input={}),
        delta("input_json_delta", 1, partial_json=""),
        delta("input_json_delta", 2, partial_json='{"b"'),
        delta("input_json_delta", 1, partial_json="{}"),
        delta("input_json_delta", 2, partial_json=":1}"),
    )
    assert told.tool_calls.whole() == (("tide", "{}"), ("wind", '{"b":1}'))


def test_an_input_that_comes_whole_and_again_in_pieces_is_taken_once() -> None:
    told, deltas = read(
        block("tool_use", 0, id="t1", name="tide", input={"at": "noon"}),
        delta("input_json_delta", 0, partial_json='{"at":"noon"}'),
        block("tool_use", 1, id="t2", name="wind", input={}),
        delta("input_json_delta", 1, partial_json="{}"),
    )
    assert told.tool_calls.whole() == (("tide", '{"at":"noon"}'), ("wind", "{}"))
    assert all(added.answer for added in deltas)


@pytest.mark.parametrize(
    "reason",
    [
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "model_context_window_exceeded",
        "a reason of next year",
    ],
)
@pytest.mark.parametrize("ending", ["complete", "reset", "closed_by_us"])
def test_a_stop_reason_ends_an_answer(reason: str, ending: Ending) -> None:
    assert verdict_of(start(), TEXT, stop(reason), OVER, ending=ending) == ("ok", "")
    assert verdict_of(start(), TEXT, stop(reason), ending=ending) == ("ok", "")
    assert read(TEXT, stop(reason))[0].finish_reason == reason


@pytest.mark.parametrize(
    "events",
    [
        [start(), TEXT],
        [start(), TEXT, {"type": "content_block_stop", "index": 0}],
        [start(), TEXT, stop(None, COUNTED)],
        [start(), TEXT, stop("")],
        [start(stop_reason="end_turn"), TEXT],
        [start(), TEXT, "[DONE]"],
    ],
)
def test_nothing_else_does(events: list[Any]) -> None:
    assert verdict_of(*events) == ("truncated", "no_finish")


def test_message_stop_alone_is_an_end_too() -> None:
    assert verdict_of(start(), TEXT, OVER) == ("ok", "")


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([stop("end_turn", COUNTED)], "empty"),
        ([block(text=""), stop("end_turn", COUNTED)], "empty"),
        ([stop("refusal")], "refusal"),
        ([TEXT, stop("refusal")], "refusal"),
        ([block("redacted_thinking", data="Em"), stop("max_tokens")], "cap_exhausted"),
        ([delta("signature_delta", signature="Em"), stop("max_tokens")], "cap_exhausted"),
        (
            [stop("max_tokens", COUNTED | {"output_tokens_details": {"thinking_tokens": 64}})],
            "cap_exhausted",
        ),
        ([stop("max_tokens", COUNTED)], "cap_exhausted"),
        ([stop("model_context_window_exceeded", COUNTED)], "empty"),
    ],
)
def test_whole_answers_that_are_no_use(events: list[Any], reason: str) -> None:
    assert verdict_of(start(), *events, OVER) == ("content_error", reason)


def test_reasoning_that_is_shown_is_an_answer_even_where_the_cap_ends_it() -> None:
    shown = delta("thinking_delta", thinking="hm")
    assert verdict_of(start(), shown, stop("max_tokens"), OVER) == ("ok", "")


def test_why_an_answer_was_refused_is_kept_with_its_text() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": "It could do harm."}
    told, _ = read(start(), TEXT, stop("refusal", stop_details=details), OVER)
    assert (told.refusal, told.text) == (["It could do harm."], ["a"])


ERROR = {"type": "overloaded_error", "message": "Overloaded"}


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ({"type": "error", "error": ERROR}, "error"),
        ({"type": "error", "error": ERROR}, "message"),
        ({"error": ERROR}, "error"),
        ({"error": ERROR}, "message"),
        (ERROR, "error"),
        (ERROR, "message"),
        ("Overloaded", "error"),
        ('"Overloaded"', "error"),
        ({"type": "content_block_delta", "error": ERROR}, "message"),
    ],
)
def test_an_error_in_the_stream_is_one_however_it_is_wrapped(data: Any, name: str) -> None:
    interpreter = MessagesInterpreter()
    for event in (start(), TEXT):
        interpreter.event(ServerSentEvent(event["type"], json.dumps(event)))
    written = data if isinstance(data, str) else json.dumps(data)
    interpreter.event(ServerSentEvent(name, written))
    told = interpreter.transcript
    verdict = judge(told, "complete", "", began=True)
    assert (verdict.outcome, verdict.reason) == ("server_error", "overloaded")
    assert told.text == ["a"]


def test_an_error_outweighs_a_stop_reason_but_not_the_end() -> None:
    error = {"type": "error", "error": ERROR}
    assert verdict_of(start(), TEXT, stop(), error)[0] == "server_error"
    assert verdict_of(start(), TEXT, stop(), OVER, error) == ("ok", "")
    assert verdict_of(start(), TEXT, stop("error"))[0] == "server_error"


def test_a_whole_message_tells_what_its_stream_would() -> None:
    told = whole(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "Eo"},
                {"type": "text", "text": "a"},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}},
            ],
            "stop_reason": "tool_use",
            "usage": {"input_tokens": 1, "cache_read_input_tokens": 52, "output_tokens": 4},
        }
    )
    assert (told.text, told.reasoning, told.response_id) == (["a"], ["hm"], "msg_1")
    assert told.tool_calls.whole() == (("f", '{"x":1}'),)
    assert (told.finish_reason, told.terminal) == ("tool_use", True)
    assert tokens_of(told) == (Usage(input_tokens=53, output_tokens=4, cached_tokens=52), "usage")


@pytest.mark.parametrize(
    ("value", "outcome", "reason"),
    [
        ({"type": "message", "content": [], "stop_reason": "end_turn"}, "content_error", "empty"),
        ({"type": "message", "content": None}, "content_error", "empty"),
        ({"type": "message", "content": "a"}, "ok", ""),
        ({"role": "assistant", "content": [{"text": "a"}]}, "ok", ""),
        ({"type": "message", "stop_reason": "refusal"}, "content_error", "refusal"),
        ({"type": "error", "error": ERROR}, "server_error", "overloaded"),
        (ERROR, "server_error", "overloaded"),
        ({"detail": "boom"}, "server_error", "upstream"),
        ({"type": "about:blank", "status": 503, "detail": "x"}, "server_error", "unavailable"),
        ({"choices": [{"message": {"content": "a"}}]}, "protocol_error", "not_an_answer"),
        ({"message": {"role": "assistant", "content": "a"}}, "protocol_error", "not_an_answer"),
        ({"object": "response", "output": []}, "protocol_error", "not_an_answer"),
        ([], "protocol_error", "not_an_answer"),
        (7, "protocol_error", "not_an_answer"),
    ],
)
def test_a_whole_answer_is_a_message_an_error_or_none(
    value: Any, outcome: str, reason: str
) -> None:
    verdict = judge(whole(value), "complete", "", began=True)
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


@pytest.mark.parametrize(
    "event",
    [
        {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]},
        {"type": "response.output_text.delta", "delta": "a"},
        {"type": "response.completed", "response": {"status": "completed"}},
        {"message": {"content": "a"}, "done": True},
        {"type": "an_event_of_next_year", "text": "a"},
        {"type": "another", "detail": "seen", "message": "m", "code": 200, "error": None},
        "[]",
        "null",
        "7",
        "",
        " ",
    ],
)
def test_events_of_other_dialects_and_of_later_ones_pass(event: Any) -> None:
    told, [added] = read(event)
    assert (added.kind, told.terminal, told.output) == ("none", False, False)
    assert verdict_of(event) == ("protocol_error", "empty")


def test_broken_json_matters_only_before_the_finish() -> None:
    assert read(TEXT, "{oops")[0].malformed == "bad_json"
    assert read(TEXT, stop(), "{oops")[0].malformed == ""
    assert read("{oops", name="content_block_delta")[0].malformed == "bad_json"
    assert read("now", name="ping")[0].malformed == ""


def test_what_a_strict_decoder_refuses_is_read() -> None:
    half = '{"type":"content_block_delta","delta":{"text":"\\ud83d"}}'
    told, _ = read(half, '{"type":"content_block_delta","delta":{"text":"\\ude42\t"}}')
    assert "".join(told.text).encode("utf-16", "surrogatepass").decode("utf-16") == "🙂\t"


def test_json_nested_beyond_reason_is_broken_json() -> None:
    told, _ = read('{"usage":' + "[" * 200_000)
    assert told.malformed == "bad_json"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
TYPES = st.sampled_from(
    [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
    ]
)
PART = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("text", "thinking", "partial_json", "name", "input", "id"), JSON)
    | {"type": st.sampled_from(["text", "thinking", "tool_use", "text_delta", "thinking_delta"])},
)
EVENT = st.fixed_dictionaries(
    {"type": TYPES | JSON},
    optional=dict.fromkeys(("index", "usage", "error", "message"), JSON)
    | dict.fromkeys(("delta", "content_block"), PART | JSON),
)


@given(st.lists(EVENT, max_size=6))
def test_no_json_breaks_the_reader(events: list[dict[str, Any]]) -> None:
    told, _ = read(*events, name="message")
    assert isinstance("".join(told.text + told.reasoning), str)
    judge(told, "complete", "", began=told.began)
    for event in events:
        whole(event)


@given(st.lists(EVENT | st.just(TEXT), min_size=1, max_size=6))
def test_the_short_way_tells_the_same_as_the_long_one(events: list[dict[str, Any]]) -> None:
    class Unhurried(MessagesInterpreter):
        def usual(self, payload: bytes | str) -> Progress | None:
            return None

    short, long = MessagesInterpreter(), Unhurried()
    for event in [TEXT, *events]:
        sent = ServerSentEvent(data=json.dumps(event))
        assert short.event(sent) == long.event(sent)
    assert (short.transcript.text, short.transcript.reasoning) == (
        long.transcript.text,
        long.transcript.reasoning,
    )
    assert tokens_of(short.transcript) == tokens_of(long.transcript)
