"""Cases of the protocol sample and of the field, driven through the reader frame by frame."""

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stream_cases import cases_of, dated, mismatches

from probes.answers.answer import Answer, AnswerReader
from probes.answers.dialects import dialect_for
from probes.answers.ending_verdict import Ending
from probes.answers.progress import Progress
from probes.engine.attempt import failed_before_answer

FILES = (
    "stream_cases.jsonl",
    "field_cases.jsonl",
    "usage_cases.jsonl",
    "responses_cases.jsonl",
    "completions_cases.jsonl",
    "messages_cases.jsonl",
    "ollama_cases.jsonl",
    "finish_cases.jsonl",
    "gateway_field_cases.jsonl",
    "deepinfra_cases.jsonl",
    "cost_cases.jsonl",
    "refusal_cases.jsonl",
)
CASES = [case for file in FILES for case in cases_of(file)]
WALL_NS = 1_795_430_000 * 10**9
TOLD = (
    *("outcome", "reason", "retryable", "message", "text", "reasoning_text", "refusal"),
    *("output_tokens", "input_tokens", "finish_reason", "token_source", "cost_usd"),
    *("cached_tokens", "reasoning_tokens", "hidden_tokens", "retry_after_s"),
    *("server_timing", "hidden_retries", "served_model", "fingerprint"),
)


def named(*wanted: str) -> list[dict[str, Any]]:
    return [case for case in CASES if case["name"] in wanted]


def frames_of(case: dict[str, Any]) -> list[bytes]:
    return [base64.b64decode(frame["bytes_b64"]) for frame in case["frames"]]


def ending_of(case: dict[str, Any], progresses: list[Progress]) -> Ending:
    if case["close"] == "stall":
        begun = any(progress.output for progress in progresses)
        return "timeout.stall" if begun else "timeout.first_token"
    if case["close"] == "reset":
        return "reset" if case.get("reset_kind") == "rst" else "cut"
    return "complete"


def unanswered(case: dict[str, Any]) -> Answer:
    if case["close"] == "stall":
        return failed_before_answer("timeout.first_token")
    if case.get("framing") == "raw":
        return failed_before_answer(httpx.RemoteProtocolError("illegal status line"))
    return failed_before_answer(httpx.ReadError(""))


def drive(case: dict[str, Any], frames: list[bytes]) -> tuple[Answer, list[Progress]]:
    if not case["status"]:
        return unanswered(case), []
    reader = AnswerReader(
        case["status"],
        dated(case["headers"], WALL_NS / 1e9),
        dialect_for(case["api"]),
        keep_text=True,
        wall_ns=WALL_NS,
    )
    progresses = [reader.feed(frame) for frame in frames]
    return reader.finish(ending_of(case, progresses)), progresses


def first_index(flags: Iterator[bool]) -> int | None:
    return next((index for index, flag in enumerate(flags) if flag), None)


def assert_expected(answer: Answer, expect: dict[str, Any]) -> None:
    told = {name: getattr(answer, name) for name in TOLD}
    assert mismatches(expect, told | {"limits_told": bool(answer.limits)}) == []
    if "retry_after_ms" in expect:
        assert answer.retry_after_s == pytest.approx(expect["retry_after_ms"] / 1000)
    if "tool_calls" in expect:
        calls = [{"name": name, "arguments": given} for name, given in answer.tool_calls]
        assert calls == expect["tool_calls"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_case_gives_what_it_expects(case: dict[str, Any]) -> None:
    answer, progresses = drive(case, frames_of(case))
    expect = case["expect"]
    assert_expected(answer, expect)
    assert mismatches(expect, {"ttft_kind": answer.ttft_kind}) == []
    if "first_output_frame" in expect:
        first = first_index(progress.output for progress in progresses)
        assert first == expect["first_output_frame"]
    if "first_answer_frame" in expect:
        assert first_index(p.answer for p in progresses) == expect["first_answer_frame"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_a_case_does_not_depend_on_where_its_bytes_are_cut(
    case: dict[str, Any], data: st.DataObject
) -> None:
    whole = b"".join(frames_of(case))
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=12).map(sorted))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    answer, progresses = drive(case, pieces)
    assert_expected(answer, case["expect"])
    if "first_output_frame" in case["expect"]:
        has_output = case["expect"]["first_output_frame"] is not None
        assert any(progress.output for progress in progresses) == has_output
