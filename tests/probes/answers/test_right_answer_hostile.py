"""Answers made to cost us memory, time or the stream: each is bounded, and can be written."""

import gzip
import json
import tracemalloc

import pytest

from probes.answers.answer import Answer, AnswerReader
from probes.answers.body import json_of
from probes.answers.dialects import dialect_for
from probes.answers.dialects.transcript import ToolCalls
from probes.answers.error_body import error_in, error_of
from probes.answers.progress import NOTHING, Progress, joined

STREAM = {"content-type": "text/event-stream"}


def event(payload: object) -> bytes:
    return f"data: {json.dumps(payload)}\n\n".encode()


def read(*parts: bytes, status: int = 200, headers: dict[str, str] = STREAM) -> Answer:
    reader = AnswerReader(status, headers, dialect_for("chat"), keep_text=True, wall_ns=0)
    for part in parts:
        reader.feed(part)
    return reader.finish("complete")


def test_of_absurdly_many_tool_calls_the_first_are_kept() -> None:
    calls = ToolCalls()
    for number in range(10_000):
        calls.add(None, f"id{number}", f"name{number}", "{}")
    assert len(calls.whole()) == 128
    assert calls.whole()[0] == ("name0", "{}")


def test_ever_new_calls_and_choices_are_not_remembered() -> None:
    numbers = [range(start, start + 100) for start in range(0, 20_000, 100)]
    calls = [[{"id": f"c{n}", "function": {"name": "n"}} for n in some] for some in numbers]
    reader = AnswerReader(200, STREAM, dialect_for("chat"), keep_text=True, wall_ns=0)
    tracemalloc.start()
    for some, given in zip(numbers, calls, strict=True):
        reader.feed(event({"choices": [{"index": 0, "delta": {"tool_calls": given}}]}))
        reader.feed(event({"choices": [{"index": n, "delta": {}} for n in some]}))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 200_000
    assert len(reader.finish("complete").tool_calls) == 128


def test_the_name_of_a_tool_does_not_grow_without_end() -> None:
    calls = ToolCalls()
    for number in range(10_000):
        calls.add(0, "", f"name{number}", "")
    ((name, _),) = calls.whole()
    assert len(name) < 1_000


def test_timings_under_ever_new_names_are_bounded() -> None:
    parts = [event({"choices": [], "metrics": {f"m{number}": 1.0}}) for number in range(500)]
    assert len(read(*parts).server_timing) == 32


def test_one_read_does_not_inflate_to_seconds_of_work() -> None:
    bomb = gzip.compress(event({"choices": [{"delta": {"content": "a"}}]}) * 200_000)
    answer = read(bomb, headers={**STREAM, "content-encoding": "gzip"})
    assert (answer.outcome, answer.reason) == ("protocol_error", "too_large")


def test_a_great_many_choices_in_one_chunk_are_cut() -> None:
    chunk = {"choices": [{"index": n, "delta": {"content": "x"}} for n in range(10_000)]}
    answer = read(event(chunk))
    assert answer.text == "x"


@pytest.mark.parametrize("status", [200, 500])
def test_a_body_that_looks_whole_again_and_again_is_not_parsed_each_time(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[int] = []

    def counted(body: bytes) -> object | None:
        parsed.append(len(body))
        return json_of(body)

    monkeypatch.setattr("probes.answers.answer.json_of", counted)
    reader = AnswerReader(status, {}, dialect_for("chat"), keep_text=True, wall_ns=0)
    for byte in b'{"a":"' + b"}" * 20_000 + b'"}':
        reader.feed(bytes([byte]))
    assert len(parsed) < 100
    assert reader.finish("complete").outcome != "ok"


def test_deltas_join_in_order_with_the_kind_of_the_first() -> None:
    first = Progress(kind="reasoning", characters=2, reasoning="hm")
    second = Progress(kind="content", answer=True, characters=1, text="a")
    expected = Progress(kind="reasoning", answer=True, characters=3, text="a", reasoning="hm")
    assert joined([first, second]) == expected
    assert joined([second]) is second
    assert joined([]) is NOTHING


@pytest.mark.parametrize("code", ["²", "٣٣٣", "4 29", "", "99999999999999999999", True, None, []])
def test_a_code_that_is_no_status_is_none(code: object) -> None:
    assert error_of({"error": {"message": "x", "code": code}}).status is None


@pytest.mark.parametrize(
    ("body", "is_error"),
    [
        ({"status": "queued", "message": "soon"}, False),
        ({"status": "processing", "msg": "soon"}, False),
        ({"status": 200, "message": "fine"}, False),
        ({"status": 503, "message": "no"}, True),
        ({"status": "error", "message": "no"}, True),
        ({"status": "RESOURCE_EXHAUSTED", "message": "no"}, True),
        ({"code": "x", "message": "no"}, True),
    ],
)
def test_an_object_without_an_error_is_one_only_where_it_tells_of_failure(
    body: dict[str, object], is_error: bool
) -> None:
    assert (error_in(body) is not None) == is_error


def test_a_complete_json_error_needs_no_end_of_its_body() -> None:
    reader = AnswerReader(500, {}, dialect_for("chat"), keep_text=False, wall_ns=0)
    assert not reader.feed(b'{"error":{"message":"a}').terminal
    assert reader.feed(b'b"}}').terminal
    assert reader.finish("closed_by_us").message == "a}b"
