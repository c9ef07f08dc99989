"""How a Responses answer ends, streamed or whole, and what it used."""

from typing import Any

import pytest
from response_events import COMPLETED, ended, message, read, text, told, verdict, whole

from probes.answers.dialects.responses_stream import ResponsesInterpreter
from probes.answers.dialects.transcript import Usage
from probes.answers.ending_verdict import tokens_of
from probes.answers.framing import ServerSentEvent
from probes.answers.progress import NOTHING
from probes.events import Verdict


def test_counts_and_their_details() -> None:
    usage = {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 5},
    }
    transcript, _ = read(text("a"), ended(usage=usage))
    counted = Usage(input_tokens=9, output_tokens=7, reasoning_tokens=5, cached_tokens=4)
    assert tokens_of(transcript) == (counted, "usage")


def test_timings_stand_in_for_a_usage() -> None:
    timings = {"prompt_n": 4, "cache_n": 5, "predicted_n": 1, "prompt_ms": 2.5}
    transcript, _ = read(text("a"), {**COMPLETED, "timings": timings})
    usage, source = tokens_of(transcript)
    assert (usage.input_tokens, usage.output_tokens, source) == (9, 1, "timings")
    assert transcript.server_timing == {"prompt_ms": 2.5}


def test_tokens_of_an_answer_that_came_at_once_are_those_of_its_first_chunk() -> None:
    transcript, _ = read(ended(output=[message("ab")], usage={"output_tokens": 2}))
    assert transcript.first_chunk_tokens == 2
    transcript, _ = read(text("a"), ended(usage={"output_tokens": 2}))
    assert transcript.first_chunk_tokens is None


def test_the_id_of_the_response_is_kept() -> None:
    transcript, _ = read(told("created", response={"id": "resp_1"}), ended(id="resp_2"))
    assert transcript.response_id == "resp_1"


@pytest.mark.parametrize(
    ("event", "finish", "outcome"),
    [
        (COMPLETED, "completed", Verdict("ok")),
        (told("done", response={}), "completed", Verdict("ok")),
        (told("completed"), "completed", Verdict("ok")),
        (ended(status="in_progress"), "completed", Verdict("ok")),
        (told("incomplete"), "incomplete", Verdict("ok")),
        (
            ended(status="incomplete", incomplete_details={"reason": "steered"}),
            "steered",
            Verdict("ok"),
        ),
        (
            ended(status="incomplete", incomplete_details={"reason": "content_filter"}),
            "content_filter",
            Verdict("content_error", "content_filter"),
        ),
        (told("cancelled"), "cancelled", Verdict("server_error", "aborted")),
        (told("canceled"), "cancelled", Verdict("server_error", "aborted")),
        (told("failed"), None, Verdict("server_error", "upstream")),
        (ended(status="failed"), None, Verdict("server_error", "upstream")),
        (ended(error={"code": "x", "message": "m"}), None, Verdict("server_error", "upstream")),
        (told("failed", error="rate limit"), None, Verdict("throttled", "rate_limit")),
    ],
)
def test_how_a_response_ends(event: dict[str, Any], finish: str | None, outcome: Verdict) -> None:
    transcript, _ = read(text("a"), event)
    assert transcript.finish_reason == finish
    assert verdict(transcript) == outcome


@pytest.mark.parametrize(
    ("code", "outcome", "reason"),
    [
        ("server_error", "server_error", "upstream"),
        ("server_is_overloaded", "server_error", "overloaded"),
        ("rate_limit_exceeded", "throttled", "rate_limit"),
        ("too_many_requests", "throttled", "rate_limit"),
        ("insufficient_quota", "client_error", "quota"),
        ("billing_hard_limit_reached", "client_error", "quota"),
        ("context_length_exceeded", "client_error", "context_length"),
        ("model_not_found", "client_error", "model_not_found"),
        ("invalid_prompt", "client_error", "bad_request"),
        ("bio_policy", "content_error", "content_filter"),
        ("cyber_policy", "content_error", "content_filter"),
        ("misalignment_policy_violation", "content_error", "content_filter"),
        ("image_content_policy_violation", "content_error", "content_filter"),
    ],
)
@pytest.mark.parametrize("form", ["failed", "flat", "nested", "untyped"])
def test_errors_in_every_form_they_come_in(code: str, outcome: str, reason: str, form: str) -> None:
    error = {"code": code, "message": "m"}
    events = {
        "failed": told("failed", response={"status": "failed", "error": error}),
        "flat": {"type": "error", "param": None, **error},
        "nested": {"type": "error", "error": {"type": code, **error}},
        "untyped": {"error": error},
    }
    transcript, _ = read(text("a"), events[form], text("b"))
    assert transcript.error is not None
    assert (transcript.error.code, transcript.error.message) == (code, "m")
    assert transcript.text == ["a"]
    told_of = verdict(transcript)
    assert (told_of.outcome, told_of.reason) == (outcome, reason)


@pytest.mark.parametrize("data", ['{"message":"m","code":503}', "upstream died", '"gone"'])
def test_an_event_named_error_is_one_whatever_it_carries(data: str) -> None:
    interpreter = ResponsesInterpreter()
    assert interpreter.event(ServerSentEvent(event="error", data=data)) is NOTHING
    assert interpreter.transcript.error is not None


def test_nothing_counts_after_the_end() -> None:
    late = (text("b"), {"type": "error", "message": "x"}, "{oops", ended(status="failed"))
    transcript, deltas = read(text("a"), COMPLETED, *late)
    assert transcript.text == ["a"]
    assert deltas[2:] == [NOTHING] * len(late)
    assert verdict(transcript) == Verdict("ok")


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        ({"object": "response", "output": [message("ab")]}, Verdict("ok")),
        ({"output": [message("ab")]}, Verdict("ok")),
        ({"type": "response.completed", "response": {"output": [message("ab")]}}, Verdict("ok")),
        ({"object": "response", "output": None}, Verdict("content_error", "empty")),
        ({"object": "response", "status": "in_progress"}, Verdict("truncated", "no_finish")),
        (
            {"object": "response", "status": "queued", "output": []},
            Verdict("truncated", "no_finish"),
        ),
        ({"object": "response", "status": "cancelled"}, Verdict("server_error", "aborted")),
        ({"object": "response", "status": "failed"}, Verdict("server_error", "upstream")),
        ({"error": {"message": "m", "code": 503}}, Verdict("server_error", "unavailable")),
        ({"choices": [{"message": {"content": "a"}}]}, Verdict("protocol_error", "not_an_answer")),
        ({"status": "ok"}, Verdict("protocol_error", "not_an_answer")),
        ([], Verdict("protocol_error", "not_an_answer")),
        (7, Verdict("protocol_error", "not_an_answer")),
    ],
)
def test_a_whole_answer_is_judged_by_its_status(found: Any, outcome: Verdict) -> None:
    assert verdict(whole(found)) == outcome


def test_a_whole_answer_is_read_as_a_stream_would_be() -> None:
    call = {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}"}
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    output = [thought, message("a", "b"), call]
    transcript = whole({"object": "response", "status": "completed", "output": output})
    assert "".join(transcript.text) == "ab"
    assert transcript.reasoning == ["hm"]
    assert transcript.tool_calls.whole() == (("f", "{}"),)
    assert transcript.finish_reason == "completed"
