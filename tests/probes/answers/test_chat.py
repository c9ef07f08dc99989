"""The chat dialect: the request it writes, and chunks in all their spellings."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.answers.dialects import dialect_for
from probes.answers.dialects.base import Adaptation
from probes.answers.dialects.chat import ChatDialect
from probes.answers.dialects.transcript import ToolCalls, Transcript, Usage
from probes.answers.ending_verdict import hidden_tokens_of, tokens_of
from probes.answers.framing import ServerSentEvent
from probes.answers.progress import Progress
from probes.answers.server_timing import claims_of
from probes.config import Route

CHAT = ChatDialect()
PLAIN = Adaptation()


def route(**settings: Any) -> Route:
    return Route(name="r", base_url="http://x", model="m", prompt="hi", **settings)


def body(
    nonce: str | None = None, adaptation: Adaptation = PLAIN, **settings: Any
) -> dict[str, Any]:
    written = CHAT.request_body(
        route(**settings), max_tokens=64, nonce=nonce, adaptation=adaptation
    )
    return dict(json.loads(written))


def read(*chunks: Any) -> tuple[Transcript, list[Progress]]:
    interpreter = CHAT.decoder()
    datas = [chunk if isinstance(chunk, str) else json.dumps(chunk) for chunk in chunks]
    deltas = [interpreter.event(ServerSentEvent(data=data)) for data in datas]
    return interpreter.transcript, deltas


def delta(finish: str | None = None, index: int = 0, **keys: Any) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": keys, "finish_reason": finish}]}


def test_the_request_asks_for_a_capped_stream_with_usage() -> None:
    assert body() == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 64,
    }


def test_the_extra_body_is_merged_last() -> None:
    written = body(extra_body={"stream_options": {"x": 1}, "top_p": 0.5}, temperature=0.0)
    assert written["stream_options"] == {"x": 1}
    assert (written["top_p"], written["temperature"]) == (0.5, 0.0)


def test_a_nonce_comes_before_everything_else_of_the_prompt() -> None:
    assert body(nonce="n1")["messages"][0]["content"] == "n1\nhi"
    system, user = body(nonce="n1", system="be brief")["messages"]
    assert (system["content"], user["content"]) == ("n1\nbe brief", "hi")


def test_the_cap_goes_by_its_configured_name() -> None:
    assert "max_completion_tokens" in body(cap_field="max_completion_tokens")
    assert "max_completion_tokens" in body(adaptation=Adaptation("max_completion_tokens"))


UNSUPPORTED_CAP = (
    "Unsupported parameter: 'max_tokens' is not supported with this model. "
    "Use 'max_completion_tokens' instead."
)
UNSUPPORTED_TEMPERATURE = "Unsupported value: 'temperature' does not support 0 with this model."


def test_a_refused_cap_is_renamed_once() -> None:
    renamed = CHAT.adapt(400, UNSUPPORTED_CAP, PLAIN, route())
    assert renamed is not None
    assert renamed.cap_field == "max_completion_tokens"
    assert renamed.describe() == "the answer cap is sent as max_completion_tokens"
    again = "Unrecognized request argument supplied: max_completion_tokens"
    assert CHAT.adapt(400, again, renamed, route()) is None


def test_the_other_way_round() -> None:
    first = Adaptation("max_completion_tokens")
    refused = "body.max_completion_tokens: Extra inputs are not permitted"
    renamed = CHAT.adapt(422, refused, first, route())
    assert renamed is not None
    assert renamed.cap_field == "max_tokens"


def test_a_configured_cap_name_is_kept() -> None:
    assert CHAT.adapt(400, UNSUPPORTED_CAP, PLAIN, route(cap_field="max_tokens")) is None


def test_temperature_and_stream_options_are_dropped_once_each() -> None:
    warm = route(temperature=0.0)
    cooler = CHAT.adapt(400, UNSUPPORTED_TEMPERATURE, PLAIN, warm)
    assert cooler == Adaptation(drop_temperature=True)
    assert CHAT.adapt(400, UNSUPPORTED_TEMPERATURE, cooler, warm) is None
    assert "temperature" not in body(adaptation=cooler, temperature=0.0)
    bare = CHAT.adapt(400, "Unknown parameter: stream_options", cooler, warm)
    assert bare == Adaptation(drop_temperature=True, drop_stream_options=True)
    assert "stream_options" not in body(adaptation=bare)


REFUSED_CONTINUOUS = "body.stream_options.continuous_usage_stats: Extra inputs are not permitted"


def test_counts_with_every_chunk_are_asked_for_where_the_route_says_so() -> None:
    assert body()["stream_options"] == {"include_usage": True}
    options = body(continuous_usage=True)["stream_options"]
    assert options == {"include_usage": True, "continuous_usage_stats": True}


@pytest.mark.parametrize(
    "message", [REFUSED_CONTINUOUS, "Unknown parameter: 'stream_options.continuous_usage_stats'."]
)
def test_continuous_usage_is_dropped_before_all_of_the_stream_options(message: str) -> None:
    asking = route(continuous_usage=True)
    plainer = CHAT.adapt(400, message, PLAIN, asking)
    assert plainer == Adaptation(drop_continuous_usage=True)
    assert "continuous_usage_stats is not sent" in plainer.describe()
    written = body(adaptation=plainer, continuous_usage=True)
    assert written["stream_options"] == {"include_usage": True}
    bare = CHAT.adapt(400, "stream_options is not supported", plainer, asking)
    assert bare is not None
    assert bare.drop_stream_options
    assert "continuous" not in bare.describe()
    assert CHAT.adapt(400, message, bare, asking) is None


@pytest.mark.parametrize(
    ("status", "message"),
    [(400, "max_tokens is too large: 100000"), (500, UNSUPPORTED_CAP), (400, "no"), (401, "")],
)
def test_other_refusals_change_nothing(status: int, message: str) -> None:
    assert CHAT.adapt(status, message, PLAIN, route()) is None


def test_the_dialect_is_found_by_name() -> None:
    assert dialect_for("chat").name == "chat"


@pytest.mark.parametrize(
    ("keys", "kind", "characters", "answer"),
    [
        ({"content": "ab"}, "content", 2, True),
        ({"reasoning": "abc"}, "reasoning", 3, False),
        ({"reasoning_content": "abc", "reasoning": "abc"}, "reasoning", 3, False),
        ({"reasoning_details": [{"text": "ab"}, {"summary": "c"}]}, "reasoning", 3, False),
        ({"reasoning_details": [{"data": "encrypted"}]}, "none", 0, False),
        ({"reasoning": "a", "content": "b"}, "reasoning", 2, True),
        ({"refusal": "no"}, "refusal", 2, True),
        ({"tool_calls": [{"index": 0, "function": {"name": "f"}}]}, "tool_call", 1, True),
        ({"tool_calls": [{"index": 0, "function": {"arguments": ""}}]}, "none", 0, False),
        ({"tool_calls": {"function": {"name": "f"}}}, "tool_call", 1, True),
        ({"function_call": {"name": "f", "arguments": "{}"}}, "tool_call", 3, True),
        ({"content": [{"type": "text", "text": "ab"}]}, "content", 2, True),
        ({"content": {"text": "ab"}}, "content", 2, True),
        ({"content": [{"type": "thinking", "thinking": [{"text": "ab"}]}]}, "reasoning", 2, False),
        ({"content": 7}, "none", 0, False),
        ({"role": "assistant", "content": None, "reasoning": None}, "none", 0, False),
    ],
)
def test_what_counts_as_output(
    keys: dict[str, Any], kind: str, characters: int, answer: bool
) -> None:
    _, [added] = read(delta(**keys))
    assert (added.kind, added.characters, added.answer) == (kind, characters, answer)


def test_legacy_text_and_a_delta_that_is_a_string() -> None:
    told, _ = read({"choices": [{"text": "a"}]}, {"choices": [{"delta": "b"}]})
    assert told.text == ["a", "b"]


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": []},
        {"choices": None},
        {"choices": [None]},
        {"choices": [{"content_filter_results": {}, "index": 0}]},
        {"choices": [{"delta": None, "finish_reason": None}]},
        {"choices": "x"},
        {"type": "ping"},
        "[]",
        "null",
        "7",
        "",
        " ",
    ],
)
def test_chunks_without_output_do_no_harm(chunk: Any) -> None:
    told, [added] = read(chunk)
    assert added.kind == "none"
    assert not told.terminal


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
KEYS = (
    *("choices", "usage", "x_groq", "timings", "error", "id", "metrics", "cost", "object"),
    *("perf_metrics", "time_info", "meta_info", "inference_status", "openrouter_metadata"),
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, JSON)), JSON, JSON)
def test_no_json_breaks_the_reader(chunk: dict[str, Any], content: Any, usage: Any) -> None:
    told, _ = read(
        chunk,
        {"choices": [{"delta": {"content": content, "tool_calls": content}, "usage": usage}]},
        {"choices": [{"index": content, "finish_reason": usage}], "usage": {"cost": usage}},
        {"choices": [{"meta_info": content}], "openrouter_metadata": {"attempts": usage}},
        {"time_info": {"queue_time": content}, "x_groq": {"id": content, "usage": usage}},
    )
    hidden = hidden_tokens_of(told, tokens_of(told)[0])
    assert hidden is None or hidden >= 0
    assert all(claim.seconds >= 0 for claim in claims_of(told.server_timing))
    assert isinstance("".join(told.text), str)


def test_counts_are_totals_and_the_last_one_counts() -> None:
    told, _ = read(
        delta(role="assistant") | {"usage": {"prompt_tokens": 9, "completion_tokens": 0}},
        delta(content="a") | {"usage": {"prompt_tokens": 9, "completion_tokens": 2}},
        delta(content="b") | {"usage": {"prompt_tokens": 9, "completion_tokens": 3}},
        delta("stop"),
    )
    assert tokens_of(told) == (Usage(input_tokens=9, output_tokens=3), "usage")
    assert told.first_chunk_tokens == 2


def test_a_count_that_output_followed_is_a_running_total() -> None:
    counted = delta(content="a") | {"usage": {"prompt_tokens": 9, "completion_tokens": 1}}
    told, _ = read(counted, delta(content="b"), delta("stop"))
    assert tokens_of(told)[1] == "continuous_usage"


def test_the_count_so_far_is_known_only_beside_the_newest_output() -> None:
    counted = delta(content="a") | {"usage": {"prompt_tokens": 9, "completion_tokens": 2}}
    timed = delta(content="b") | {"timings": {"prompt_n": 9, "predicted_n": 5}}
    assert read(counted)[0].counted == 2
    assert read(counted, timed)[0].counted == 5
    assert read(counted, delta(content="b"))[0].counted == 0
    assert read(counted, delta(content="b"), delta(content="c"), counted)[0].counted == 2


def test_a_count_of_zero_takes_nothing_back() -> None:
    counted = delta(content="a") | {"usage": {"prompt_tokens": 9, "completion_tokens": 2}}
    zeroed = delta("stop") | {"usage": {"prompt_tokens": 9, "completion_tokens": 0}}
    usage, _ = tokens_of(read(counted, zeroed)[0])
    assert (usage.input_tokens, usage.output_tokens) == (9, 2)


REASONED = {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}


def reasoned(tokens: int, **changes: int) -> dict[str, Any]:
    details = {"completion_tokens_details": {"reasoning_tokens": tokens}}
    return delta("stop") | {"usage": REASONED | changes | details}


@pytest.mark.parametrize(
    ("chunks", "hidden"),
    [
        ([delta(content="a")], 8),
        ([delta(reasoning="let me see"), delta(content="a")], 0),
        ([delta(reasoning="sum"), delta(content="a")], None),
        ([delta(content="<think>"), delta(content="well</think>a")], 0),
        ([], 8),
    ],
)
def test_reasoning_that_was_counted_and_never_streamed_is_hidden(
    chunks: list[dict[str, Any]], hidden: int | None
) -> None:
    told, _ = read(*chunks, reasoned(8))
    assert hidden_tokens_of(told, tokens_of(told)[0]) == hidden


@pytest.mark.parametrize(
    "usage", [reasoned(8, total_tokens=29), reasoned(40), reasoned(0)], ids=["sum", "more", "none"]
)
def test_reasoning_that_is_counted_apart_is_not_among_the_output(usage: dict[str, Any]) -> None:
    told, _ = read(delta(content="a"), usage)
    spent = tokens_of(told)[0]
    assert hidden_tokens_of(told, spent) == 0
    assert spent.output_tokens == 12


@pytest.mark.parametrize(
    ("chunk", "timing"),
    [
        (
            {"usage": {"prompt_tokens": 1, "time_to_first_token": 0.5, "total_latency": 1}},
            {"usage.time_to_first_token": 0.5, "usage.total_latency": 1.0},
        ),
        (
            {"time_info": {"queue_time": 0.25, "prompt_time": "0.5", "created": 1723733419}},
            {"time_info.queue_time": 0.25, "time_info.prompt_time": 0.5},
        ),
        ({"meta_info": {"e2e_latency": 2, "id": "x"}}, {"meta_info.e2e_latency": 2.0}),
        (
            {"choices": [{"delta": {"content": "a"}, "meta_info": {"e2e_latency": 2}}]},
            {"meta_info.e2e_latency": 2.0},
        ),
        ({"inference_status": {"runtime_ms": 7}}, {"inference_status.runtime_ms": 7.0}),
        ({"metrics": {"queue_time_ms": 3, "id": "x"}}, {"queue_time_ms": 3.0}),
        ({"time_info": "soon", "meta_info": []}, {}),
        (
            {"x_groq": {"usage": {"prompt_tokens": 1, "queue_time": 0.5, "total_time": 1.5}}},
            {"queue_s": 0.5, "total_s": 1.5},
        ),
    ],
)
def test_where_servers_put_their_timings(chunk: dict[str, Any], timing: dict[str, float]) -> None:
    told, _ = read(delta(content="a"), delta(content="b"), {"choices": []} | chunk)
    assert told.server_timing == timing


def test_what_the_body_tells_of_ids_and_of_other_tries() -> None:
    attempts = [{"provider": "A", "status": 502}, {"provider": "B", "status": 200}]
    told, _ = read(
        delta(content="a") | {"x_groq": {"id": "req_01j"}},
        delta("stop") | {"openrouter_metadata": {"attempts": attempts}},
    )
    assert (told.request_id, told.further_tries) == ("req_01j", 1)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -1, "completion_tokens": "x"},
        {"prompt_tokens": True, "completion_tokens": None},
        {"prompt_tokens": 1e12, "completion_tokens": 1.5},
        {"prompt_tokens": 10**400, "completion_tokens": "9" * 100},
        [],
        "x",
    ],
)
def test_absurd_counts_are_unknown(usage: Any) -> None:
    told, _ = read(delta("stop", content="a") | {"usage": usage})
    assert tokens_of(told) == (Usage(), "none")


@pytest.mark.parametrize(
    ("chunk", "source"),
    [
        ({"usage": {"prompt_tokens": 9, "completion_tokens": 1}}, "usage"),
        ({"x_groq": {"usage": {"prompt_tokens": 9, "completion_tokens": 1}}}, "x_groq.usage"),
        ({"timings": {"prompt_n": 4, "cache_n": 5, "predicted_n": 1}}, "timings"),
    ],
)
def test_where_counts_stand(chunk: dict[str, Any], source: str) -> None:
    told, _ = read(delta("stop", content="a") | chunk)
    usage, told_source = tokens_of(told)
    assert (usage.input_tokens, usage.output_tokens, told_source) == (9, 1, source)


def test_usage_inside_a_choice() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 4}
    told, _ = read(
        {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop", "usage": usage}]}
    )
    assert told.usage == Usage(input_tokens=9, output_tokens=1, cached_tokens=4)


@pytest.mark.parametrize("name", ["cost", "estimated_cost"])
def test_cost_is_the_providers(name: str) -> None:
    usage = {"prompt_tokens": 48, "completion_tokens": 200, name: 9.68e-05}
    told, _ = read(delta("stop", content="a"), {"choices": [], "usage": usage})
    assert told.usage is not None
    assert told.usage.cost_usd == 9.68e-05


def test_the_answer_is_over_when_every_choice_is() -> None:
    told, _ = read(delta(content="a"), delta(index=1, content="b"), delta("stop"))
    assert (told.text, told.terminal) == (["a"], False)
    told, _ = read(delta(content="a"), delta(index=1, content="b"), delta("stop"), delta("x", 1))
    assert (told.finish_reason, told.terminal) == ("stop", True)


def test_a_last_message_that_repeats_the_deltas_is_not_taken_twice() -> None:
    last = {"choices": [{"message": {"content": "ab"}, "finish_reason": "stop"}]}
    told, _ = read(delta(content="a"), delta(content="b"), last)
    assert told.text == ["a", "b"]


def test_nothing_counts_after_done() -> None:
    told, _ = read(delta(content="a"), " [DONE] ", delta(content="b"), {"error": {"message": "x"}})
    assert (told.text, told.error) == (["a"], None)


def test_broken_json_matters_only_before_the_finish() -> None:
    assert read(delta(content="a"), "{oops")[0].malformed == "bad_json"
    assert read(delta("stop", content="a"), "{oops")[0].malformed == ""


def test_what_a_strict_decoder_refuses_is_read() -> None:
    half = '{"choices":[{"delta":{"content":"\\ud83d"}}]}'
    told, _ = read(half, '{"choices":[{"delta":{"content":"\\ude42\t"}}]}')
    assert "".join(told.text).encode("utf-16", "surrogatepass").decode("utf-16") == "🙂\t"


def test_json_nested_beyond_reason_is_broken_json() -> None:
    told, _ = read('{"usage":' + "[" * 200_000)
    assert told.malformed == "bad_json"


@pytest.mark.parametrize("data", ['{"message":"m","code":503}', "upstream died", '"gone"'])
def test_an_event_named_error_is_one_whatever_it_carries(data: str) -> None:
    interpreter = CHAT.decoder()
    assert interpreter.event(ServerSentEvent(event="error", data=data)).kind == "none"
    assert interpreter.transcript.error is not None


def test_events_of_other_names_may_carry_what_they_like() -> None:
    interpreter = CHAT.decoder()
    assert interpreter.event(ServerSentEvent(event="ping", data="now")).kind == "none"
    assert not interpreter.transcript.terminal


def test_tool_calls_are_put_together() -> None:
    calls = ToolCalls()
    calls.add(1, "b", "second", "{}")
    calls.add(0, "a", "first", '{"x"')
    calls.add(0, "", "first", ":1}")
    assert calls.whole() == (("first", '{"x":1}'), ("second", "{}"))


def test_tool_calls_without_index_go_by_id_then_by_order() -> None:
    calls = ToolCalls()
    calls.add(None, "a", "f", "{")
    calls.add(None, "", "", "}")
    calls.add(None, "b", "g", "1")
    calls.add(None, "a", "", "!")
    assert calls.whole() == (("f", "{}!"), ("g", "1"))


def test_reasoning_under_its_third_name_is_read_beside_words_too() -> None:
    told, deltas = read(
        delta(reasoning_text="a"), delta(content="b", reasoning_text="c"), delta(content="d")
    )
    assert ("".join(told.reasoning), "".join(told.text)) == ("ac", "bd")
    assert [each.kind for each in deltas] == ["reasoning", "reasoning", "content"]


def message(text: str, **keys: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"content": text} | keys}]}


@pytest.mark.parametrize(
    "texts",
    [("Wa", "Waves", "Waves of"), ("Wa", "ves", " of"), ("Waves", "Waves", "Waves of")],
    ids=["growing", "pieces", "repeated"],
)
def test_messages_in_place_of_deltas_are_told_once(texts: tuple[str, ...]) -> None:
    told, _ = read(*map(message, texts))
    assert "".join(told.text) == "Waves of"


def test_a_message_after_deltas_repeats_them() -> None:
    told, deltas = read(delta(content="a"), delta(content="b"), message("ab"), message("abc"))
    assert ("".join(told.text), deltas[2].kind) == ("ab", "none")


def test_pieces_stay_pieces_where_one_happens_to_begin_like_the_one_before() -> None:
    told, _ = read(message("a"), message("b"), message("bc"), message("bc"))
    assert "".join(told.text) == "abbcbc"


@pytest.mark.parametrize("spelled", ["[DONE]", "[done]", '"[DONE]"', "  [Done] "])
def test_the_marker_is_known_however_it_is_spelled(spelled: str) -> None:
    told, _ = read(delta(content="a"), spelled)
    assert told.done


@pytest.mark.parametrize("spelled", ["null", "None", ""])
def test_a_finish_reason_in_words_for_nothing_is_none(spelled: str) -> None:
    told, _ = read(delta(finish=spelled, content="a"))
    assert (told.finish_reason, told.finished) == (None, False)


def test_a_marker_after_nothing_but_strange_objects_ends_no_answer() -> None:
    told, _ = read({"response": "a"}, "[DONE]")
    assert told.malformed == "not_an_answer"
    told, _ = read({"hook_results": {}}, delta(content="a"), "[DONE]")
    assert told.malformed == ""


def test_a_number_that_python_does_not_read_hides_no_error() -> None:
    told, _ = read('{"created":' + "9" * 5000 + ',"error":{"message":"boom"}}')
    assert told.error is not None
    assert told.error.message == "boom"
