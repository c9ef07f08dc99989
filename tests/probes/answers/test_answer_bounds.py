"""How much of an answer is read: as much as probes/answers/README.md says, and not more."""

import json

import pytest

from probes.answers.answer import Answer, AnswerReader
from probes.answers.dialects import dialect_for
from probes.transport.http1 import ResponseParser

MB = 1 << 20
SSE = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}
END = b'data: {"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":"stop"}]}\n\n'


def read(*pieces: bytes, status: int = 200, headers: dict[str, str] = SSE) -> Answer:
    one = AnswerReader(status, headers, dialect_for("chat"), keep_text=True, wall_ns=0)
    for piece in pieces:
        one.feed(piece)
    return one.finish("complete")


def said(answer: Answer) -> str:
    return answer.reason or answer.outcome


def in_pieces(data: bytes) -> list[bytes]:
    return [data[at : at + MB] for at in range(0, len(data), MB)]


@pytest.mark.parametrize(("size", "whole"), [(128 << 10, True), ((128 << 10) + 1, False)])
def test_a_head_is_read_up_to_128_kb(size: int, whole: bool) -> None:
    begin, end = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX: ", b"\r\n\r\n"
    parser = ResponseParser()
    parser.feed(begin + b"x" * (size - len(begin) - len(end)))
    parser.feed(end)
    assert (parser.has_head, parser.failure is None) == (whole, whole)


def event_of(size: int) -> bytes:
    """Return an event whose data has so many bytes."""
    begin, end = b'{"choices":[{"index":0,"delta":{"content":"', b'"}}]}'
    return b"data: " + begin + b"a" * (size - len(begin) - len(end)) + end + b"\n\n"


@pytest.mark.parametrize(("size", "told"), [(16 * MB - 64, "ok"), (16 * MB + 64, "too_large")])
def test_an_event_is_read_up_to_16_mb(size: int, told: str) -> None:
    assert said(read(*in_pieces(event_of(size)), END)) == told


@pytest.mark.parametrize(("size", "told"), [(16 * MB, "ok"), (16 * MB + 1, "too_large")])
def test_a_whole_answer_is_read_up_to_16_mb(size: int, told: str) -> None:
    begin, end = b'{"choices":[{"message":{"content":"', b'"},"finish_reason":"stop"}]}'
    body = begin + b"a" * (size - len(begin) - len(end)) + end
    assert said(read(*in_pieces(body), headers=JSON)) == told


@pytest.mark.parametrize(("more", "told"), [(0, "ok"), (1, "too_large")])
def test_a_stream_is_read_up_to_64_mb(more: int, told: str) -> None:
    comment = b":" + b"x" * (MB - 3) + b"\n\n"
    last = b":" + b"x" * (MB - 3 - len(END) + more) + b"\n\n"
    assert len(comment) == MB
    assert said(read(*[comment] * 63, last, END)) == told


@pytest.mark.parametrize(("size", "whole"), [(64 << 10, True), ((64 << 10) + 1, False)])
def test_an_error_is_read_up_to_64_kb(size: int, whole: bool) -> None:
    begin, end = b'{"pad":"', b'","error":{"message":"full"}}'
    body = begin + b"x" * (size - len(begin) - len(end)) + end
    answer = read(body[:1000], body[1000:], status=500, headers=JSON)
    assert answer.outcome == "server_error"
    assert (answer.message == "full") is whole


@pytest.mark.parametrize(("deep", "told"), [(128, "ok"), (129, "bad_json")])
def test_json_is_read_128_levels_deep(deep: int, told: str) -> None:
    nested: object = "x"
    for _ in range(deep - 1):
        nested = [nested]
    chunk = {"metadata": nested, "choices": [{"index": 0, "delta": {"content": "a"}}]}
    assert said(read(b"data: " + json.dumps(chunk).encode() + b"\n\n", END)) == told
