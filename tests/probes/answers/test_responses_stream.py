"""A Responses stream: what counts as output, and what is only repeated."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from response_events import COMPLETED, ended, message, read, text, told, whole

from probes.answers.dialects.responses_stream import ResponsesInterpreter
from probes.answers.dialects.transcript import Usage
from probes.answers.framing import ServerSentEvent
from probes.answers.progress import NOTHING


@pytest.mark.parametrize(
    ("event", "kind", "characters", "answer"),
    [
        (text("ab"), "content", 2, True),
        (text(""), "none", 0, False),
        (text(None), "none", 0, False),
        (text(7), "none", 0, False),
        (told("reasoning_text.delta", delta="abc"), "reasoning", 3, False),
        (told("reasoning_summary_text.delta", delta="abc"), "reasoning", 3, False),
        (told("reasoning.delta", delta={"text": "abc"}), "reasoning", 3, False),
        (told("content_part.delta", delta="ab"), "content", 2, True),
        (text({"type": "output_text", "text": "ab"}), "content", 2, True),
        (text({"stdout": "ab"}), "none", 0, False),
        (told("refusal.delta", delta="no"), "refusal", 2, True),
        (told("refusal.done", refusal="no"), "refusal", 2, True),
        (told("function_call_arguments.delta", delta="{}"), "tool_call", 2, True),
        (told("function_call_arguments.done", arguments={"x": 1}), "tool_call", 7, True),
        (told("custom_tool_call_input.delta", delta="ls"), "tool_call", 2, True),
        (told("mcp_call_arguments.delta", delta="{"), "tool_call", 1, True),
        (told("code_interpreter_call_code.delta", delta="1+1"), "tool_call", 3, True),
        (
            told("output_item.added", item={"type": "function_call", "name": "f"}),
            "tool_call",
            1,
            True,
        ),
        (told("output_item.added", item={"type": "message", "content": []}), "none", 0, False),
        (told("output_item.added", item={"type": "web_search_call"}), "none", 0, False),
        (told("output_item.added", item=None), "none", 0, False),
        (told("content_part.added", part={"type": "output_text", "text": ""}), "none", 0, False),
        (told("content_part.added", part={"type": "output_text", "text": "a"}), "content", 1, True),
        (told("reasoning_part.added", part={"type": "reasoning_text"}), "none", 0, False),
        (told("output_text.annotation.added", annotation={"text": "a"}), "none", 0, False),
        (told("shell_call_output_content.delta", delta={"stdout": "a"}), "other", 0, True),
        (told("image_generation_call.partial_image", partial_image_b64="aa"), "other", 0, True),
        (told("audio.delta", delta="UklGR"), "other", 0, True),
        (told("audio.delta", delta=""), "none", 0, False),
        (told("of_the_future.delta", delta="a"), "other", 0, True),
        (
            told("output_item.done", item={"type": "image_generation_call", "result": "iVBOR"}),
            "other",
            0,
            True,
        ),
        (
            told(
                "output_item.done",
                item={"type": "local_shell_output", "outputs": [{"logs": "2"}]},
            ),
            "other",
            0,
            True,
        ),
        (
            told("output_item.done", item={"type": "web_search_call", "action": {"query": "sea"}}),
            "none",
            0,
            False,
        ),
    ],
)
def test_what_counts_as_output(
    event: dict[str, Any], kind: str, characters: int, answer: bool
) -> None:
    _, [added] = read(event)
    assert (added.kind, added.characters, added.answer) == (kind, characters, answer)


@pytest.mark.parametrize(
    "event",
    [
        told("created", response={"id": "resp_1", "status": "in_progress"}),
        told("in_progress", response=None),
        told("queued"),
        told("web_search_call.searching", item_id="ws_1"),
        told("mcp_call.failed", error={"message": "a tool's own", "code": 500}),
        {"type": "keepalive", "sequence_number": 3},
        {"type": None},
        {"type": 7, "delta": "a"},
        {},
        "[]",
        "null",
        "7",
        '"a"',
        "",
        " ",
        " [DONE] ",
    ],
)
def test_events_without_output_do_no_harm(event: Any) -> None:
    transcript, [added] = read(event)
    assert added is NOTHING
    assert not transcript.terminal


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.just("\ud83d"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
TYPES = st.sampled_from(
    [
        "response.output_text.delta",
        "response.output_text.done",
        "response.reasoning_summary_part.done",
        "response.function_call_arguments.done",
        "response.content_part.added",
        "response.output_item.added",
        "response.output_item.done",
        "response.completed",
        "response.incomplete",
        "response.failed",
        "error",
    ]
)
KEYS = (
    "delta",
    "text",
    "arguments",
    "part",
    "item",
    "response",
    "error",
    "output_index",
    "item_id",
)
EVENT = st.fixed_dictionaries({"type": TYPES}, optional=dict.fromkeys(KEYS, JSON))


@given(st.lists(EVENT, max_size=6), JSON, JSON)
def test_no_json_breaks_the_reader(events: list[Any], content: Any, status: Any) -> None:
    response = {"object": "response", "output": [{"type": "message", "content": content}]}
    transcript, _ = read(*events, ended(**response, status=status, usage=content))
    assert isinstance("".join(transcript.text), str)
    again = whole(response | {"status": status, "error": content})
    assert isinstance("".join(again.text), str)


@given(st.lists(EVENT, max_size=6))
def test_no_delta_is_told_that_is_not_kept(events: list[Any]) -> None:
    transcript, deltas = read(*events)
    assert "".join(delta.text for delta in deltas) == "".join(transcript.text)
    assert "".join(delta.reasoning for delta in deltas) == "".join(transcript.reasoning)


@pytest.mark.parametrize(
    "repeated",
    [
        told("output_text.done", text="ab"),
        told("output_text.done", text="ab", output_index=0, content_index=3),
        told("content_part.done", part={"type": "output_text", "text": "ab"}, output_index=1),
        told("output_item.done", item=message("ab") | {"id": "other"}, output_index=4),
        ended(output=[message("ab")]),
        ended(output=[]),
    ],
)
def test_what_deltas_told_is_not_told_again(repeated: dict[str, Any]) -> None:
    transcript, deltas = read(text("a"), text("b"), repeated)
    assert transcript.text == ["a", "b"]
    assert deltas[-1] is NOTHING


@pytest.mark.parametrize(
    ("closing", "kind"),
    [
        (told("output_text.done", text="ab"), "content"),
        (told("content_part.done", part={"type": "output_text", "text": "ab"}), "content"),
        (told("output_item.done", item=message("a", "b")), "content"),
        (ended(output=[message("a"), message("b")]), "buffered"),
        (ended(output=[{"type": "message", "content": "ab"}]), "buffered"),
    ],
)
def test_what_no_delta_told_is_told_at_its_end(closing: dict[str, Any], kind: str) -> None:
    transcript, deltas = read(closing, ended(output=[message("ab")]))
    assert "".join(transcript.text) == "ab"
    assert deltas[0].kind == kind
    assert deltas[1] is NOTHING


def test_two_parts_that_say_the_same_are_two() -> None:
    parts = [text("no", content_index=0), text("no", content_index=1)]
    closed = [told("output_text.done", text="no", content_index=part) for part in (0, 1)]
    transcript, _ = read(*parts, *closed, ended(output=[message("no", "no")]))
    assert transcript.text == ["no", "no"]


def test_an_end_that_disagrees_with_the_deltas_takes_nothing_back() -> None:
    transcript, _ = read(text("ab"), ended(output=[message("xyz")]))
    assert transcript.text == ["ab"]


def test_reasoning_and_its_summary_are_never_both_kept() -> None:
    transcript, deltas = read(
        told("reasoning_summary_text.delta", delta="in short"),
        told("reasoning_text.delta", delta="at length"),
        told("output_item.done", item={"type": "reasoning", "content": "at length"}),
    )
    assert transcript.reasoning[0] == "in short"
    assert deltas[1] is NOTHING


def test_the_event_line_helps_where_the_type_is_missing() -> None:
    interpreter = ResponsesInterpreter()
    named = ServerSentEvent(event="response.output_text.delta", data='{"delta":"a"}')
    assert interpreter.event(named).text == "a"
    end = '{"id":"resp_1","object":"response","usage":{"output_tokens":3}}'
    interpreter.event(ServerSentEvent(event="response.completed", data=end))
    assert interpreter.transcript.done
    assert interpreter.transcript.usage == Usage(output_tokens=3)


@pytest.mark.parametrize(
    ("name", "malformed"),
    [("message", "bad_json"), ("response.output_text.delta", "bad_json"), ("ping", "")],
)
def test_broken_json_ends_a_response_but_not_where_it_is_another_event(
    name: str, malformed: str
) -> None:
    interpreter = ResponsesInterpreter()
    interpreter.event(ServerSentEvent(event=name, data="{oops"))
    assert interpreter.transcript.malformed == malformed


def test_json_nested_beyond_reason_is_broken_json() -> None:
    transcript, _ = read('{"type":"response.created","response":' + "[" * 200_000)
    assert transcript.malformed == "bad_json"


def test_what_a_strict_decoder_refuses_is_read() -> None:
    half = '{"type":"response.output_text.delta","delta":"\\ud83d"}'
    transcript, _ = read(half, '{"type":"response.output_text.delta","delta":"\\ude42\t"}')
    assert "".join(transcript.text).encode("utf-16", "surrogatepass").decode("utf-16") == "🙂\t"


def test_absurdly_many_items_are_not_all_remembered() -> None:
    reader = ResponsesInterpreter()
    for index in range(5000):
        data = json.dumps(text("a", output_index=index))
        reader.event(ServerSentEvent(data=data))
    assert len(reader._heard) == 4096
    assert len(reader.transcript.text) == 5000


USUAL = text("a", item_id="m", output_index=0, content_index=0)


@pytest.mark.parametrize(
    "event",
    [
        USUAL | {"delta": ""},
        USUAL | {"delta": None},
        USUAL | {"output_index": 1},
        USUAL | {"item_id": "n"},
        USUAL | {"content_index": 1},
        USUAL | {"type": "response.reasoning_text.delta"},
        USUAL | {"type": "response.refusal.delta"},
        USUAL | {"usage": {"output_tokens": 1}},
        USUAL | {"error": {"message": "x"}},
        COMPLETED,
        "[DONE]",
        "{oops",
        "",
    ],
)
def test_the_short_way_leaves_whatever_is_not_usual(event: Any) -> None:
    interpreter = ResponsesInterpreter()
    data = event if isinstance(event, str) else json.dumps(event)
    assert interpreter.usual(json.dumps(USUAL).encode()) is None
    interpreter.event(ServerSentEvent(data=json.dumps(USUAL)))
    assert interpreter.usual(data.encode()) is None
    assert interpreter.transcript.text == ["a"]


@pytest.mark.parametrize(
    "first",
    [
        USUAL,
        told("reasoning_text.delta", delta="a"),
        told("reasoning_summary_text.delta", delta="a"),
    ],
)
def test_the_short_way_tells_what_the_long_one_does(first: dict[str, Any]) -> None:
    long, short = ResponsesInterpreter(), ResponsesInterpreter()
    for reader in (long, short):
        reader.event(ServerSentEvent(data=json.dumps(first)))
    long._last = None
    event = ServerSentEvent(data=json.dumps(first | {"delta": "bc", "obfuscation": "x7"}))
    assert short.usual(event.data.encode()) == long.event(event)
    assert short.transcript.text == long.transcript.text
    assert short.transcript.reasoning == long.transcript.reasoning


def test_the_short_way_ends_with_the_response() -> None:
    for end in (COMPLETED, {"type": "error", "message": "x"}, told("failed"), "{oops"):
        interpreter = ResponsesInterpreter()
        for event in (json.dumps(USUAL), end if isinstance(end, str) else json.dumps(end)):
            interpreter.event(ServerSentEvent(data=event))
        assert interpreter.usual(json.dumps(USUAL).encode()) is None


def test_nothing_counts_after_a_page_however_it_is_cut() -> None:
    interpreter = ResponsesInterpreter()
    page, word = "<html><title>502</title></html>", json.dumps(text("b"))
    for data in (json.dumps(text("a")), word, page):
        interpreter.event(ServerSentEvent(data=data))
    assert interpreter.transcript.malformed == "html"
    assert interpreter.usual(word.encode()) is None
    assert interpreter.event(ServerSentEvent(data=word)) is NOTHING
    assert interpreter.transcript.text == ["a", "b"]
