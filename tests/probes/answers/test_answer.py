"""The answer reader: forms of bodies, encodings, endings and verdicts."""

import gzip
import json
import zlib
from hashlib import sha256
from itertools import accumulate
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.answers.answer import Answer, AnswerReader
from probes.answers.dialects import dialect_for
from probes.answers.ending_verdict import Ending
from probes.answers.progress import Progress

SSE = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}
WALL_NS = 1_795_430_000 * 10**9


def reader(status: int = 200, headers: dict[str, str] = SSE, **options: Any) -> AnswerReader:
    settings = {"keep_text": True, "wall_ns": WALL_NS} | options
    return AnswerReader(status, headers, dialect_for("chat"), **settings)


def chunk(finish: str | None = None, usage: Any = None, **keys: Any) -> bytes:
    value = {"choices": [{"index": 0, "delta": keys, "finish_reason": finish}], "usage": usage}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
ANSWER = (chunk(role="assistant"), chunk(content="Hel"), chunk(content="lo"), chunk("stop"), DONE)


def read(
    *pieces: bytes,
    status: int = 200,
    headers: dict[str, str] = SSE,
    ending: Ending = "complete",
    **options: Any,
) -> Answer:
    one = reader(status, headers, **options)
    for piece in pieces:
        one.feed(piece)
    return one.finish(ending)


def judged(answer: Answer) -> tuple[str, str]:
    return answer.outcome, answer.reason


def test_progress_tells_what_a_read_brought() -> None:
    one = reader()
    told = [one.feed(piece) for piece in (b": ping\n\n", *ANSWER)]
    assert [item.event for item in told] == [False, True, True, True, True, True]
    assert [item.output for item in told] == [False, False, True, True, False, False]
    assert [item.terminal for item in told] == [False, False, False, False, True, True]
    assert told[2] == Progress(
        event=True,
        answer=True,
        kind="content",
        alone=True,
        first_is_newest=True,
        last_is_newest=True,
        characters=3,
        text="Hel",
    )


def test_a_stream_that_nobody_asked_for_is_over_with_its_end_marker_alone() -> None:
    one = reader(streamed=False)
    told = [one.feed(piece) for piece in (chunk("stop"), *ANSWER)]
    assert [item.terminal for item in told] == [False] * 5 + [True]
    assert not any(item.output for item in told)
    answer = one.finish("closed_by_us")
    assert (*judged(answer), answer.text) == ("ok", "", "Hello")


def test_output_takes_a_finish_back_until_the_next() -> None:
    one = reader()
    pieces = [chunk("stop"), chunk(content="a"), chunk("stop"), chunk(content="b"), chunk("stop")]
    told = [one.feed(piece).terminal for piece in pieces]
    assert told == [False, False, True, False, True]


def test_what_one_read_tells_last_is_what_counts() -> None:
    finish, text = chunk("stop", content="a"), chunk(content="b")
    for cuts in ((), (len(finish),)):
        assert not reader().feed(finish + text, cuts=cuts).terminal
    for cuts in ((), (len(text),)):
        assert reader().feed(text + finish, cuts=cuts).terminal


def test_what_the_network_said_explains_an_answer_that_broke_off() -> None:
    one = reader()
    one.feed(ANSWER[1])
    answer = one.finish("reset", "the server broke the stream off")
    assert (*judged(answer), answer.message) == (
        "truncated",
        "reset",
        "the server broke the stream off",
    )
    assert read(*ANSWER, ending="reset").message == ""


def test_text_is_kept_only_where_asked_for() -> None:
    answer = read(*ANSWER, keep_text=False)
    assert (answer.text, answer.text_chars) == ("", 5)
    assert answer.text_sha256 == sha256(b"Hello").hexdigest()
    assert read(chunk("stop")).text_sha256 == ""


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ((b"".join(ANSWER),), "buffered"),
        ((b"".join(ANSWER[:4]),), "buffered"),
        ((b"".join(ANSWER[:3]), b"".join(ANSWER[3:])), "content"),
        ((b"".join(ANSWER[:4]), DONE), "content"),
        ((chunk("stop", content="Hello"),), "content"),
        ((b"".join(ANSWER[:3]),), "content"),
    ],
)
def test_an_answer_that_came_in_one_read_was_buffered(pieces: tuple[bytes], kind: str) -> None:
    assert read(*pieces).ttft_kind == kind


def test_what_was_sent_apart_was_not_buffered_though_it_came_together() -> None:
    one = reader()
    cuts = tuple(accumulate(map(len, ANSWER[:-1])))
    progress = one.feed(b"".join(ANSWER), cuts=cuts)
    assert progress == Progress(
        event=True,
        answer=True,
        kind="content",
        alone=False,
        first_is_newest=False,
        last_is_newest=False,
        characters=5,
        text="Hello",
        terminal=True,
    )
    assert one.finish("complete").ttft_kind == "content"


def test_parts_that_were_sent_apart_are_told_as_one_read_is() -> None:
    one = reader()
    comment, first = b": ping\n\n", ANSWER[0]
    told = one.feed(comment + first, cuts=(len(comment),))
    assert (told.event, told.alone) == (True, True)
    told = one.feed(ANSWER[1] + ANSWER[2], cuts=(len(ANSWER[1]),))
    assert (told.text, told.first_is_newest, told.last_is_newest) == ("Hello", False, True)


def test_gzip_is_undone_as_it_streams() -> None:
    packer = zlib.compressobj(wbits=31)
    pieces = [packer.compress(p) + packer.flush(zlib.Z_SYNC_FLUSH) for p in ANSWER]
    one = reader(headers=SSE | {"content-encoding": "gzip"})
    assert [one.feed(piece).output for piece in pieces] == [False, True, True, False, False]
    assert one.finish("complete").text == "Hello"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"".join(ANSWER))),
        ("x-gzip", gzip.compress(ANSWER[0]) + gzip.compress(b"".join(ANSWER[1:]))),
        ("deflate", zlib.compress(b"".join(ANSWER))),
        ("deflate", zlib.compress(b"".join(ANSWER), wbits=-15)),
        ("identity", b"".join(ANSWER)),
    ],
    ids=["gzip", "two gzips", "zlib", "bare deflate", "identity"],  # gzip's bytes hold the time
)
def test_unasked_encodings_that_can_be_undone(encoding: str, body: bytes) -> None:
    headers = SSE | {"content-encoding": encoding}
    assert judged(read(body, headers=headers)) == ("ok", "")
    by_byte = (bytes([byte]) for byte in body)
    assert read(*by_byte, headers=headers).text == "Hello"


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br", "gzip"])
def test_an_encoding_that_cannot_be_undone_is_named(encoding: str) -> None:
    answer = read(*ANSWER, headers=SSE | {"content-encoding": encoding})
    assert judged(answer) == ("protocol_error", "encoding")


def test_a_body_that_inflates_without_end_is_stopped() -> None:
    bomb = gzip.compress(b"data: " + b"x" * 70_000_000)
    one = reader(headers=SSE | {"content-encoding": "gzip"})
    assert one.feed(bomb).terminal
    assert judged(one.finish("complete")) == ("protocol_error", "too_large")


def test_an_error_in_an_unknown_encoding_goes_by_its_status() -> None:
    answer = read(b"\x0b\x02", status=502, headers={"content-encoding": "br"})
    assert judged(answer) == ("server_error", "bad_gateway")


WHOLE = {
    "id": "c1",
    "choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 2},
}


@pytest.mark.parametrize("headers", [JSON, SSE, {}, {"content-type": "text/plain"}])
@pytest.mark.parametrize("before", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_a_whole_json_answer_is_no_stream(headers: dict[str, str], before: bytes) -> None:
    body = before + json.dumps(WHOLE).encode()
    answer = read(body[:20], body[20:], headers=headers)
    assert judged(answer) == ("ok", "")
    assert (answer.ttft_kind, answer.text, answer.output_tokens) == ("not_streamed", "Hello", 2)
    assert (answer.response_id, answer.token_source) == ("c1", "usage")


@pytest.mark.parametrize("headers", [JSON, {}, {"content-type": "text/plain"}])
def test_a_stream_under_another_type_is_a_stream(headers: dict[str, str]) -> None:
    by_byte = (bytes([byte]) for byte in b"".join(ANSWER))
    answer = read(*by_byte, headers=headers)
    assert (answer.outcome, answer.text, answer.ttft_kind) == ("ok", "Hello", "content")


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (b"<html><title>Hi</title>", SSE, "html"),
        (b"<!DOCTYPE html>", {"content-type": "text/html"}, "html"),
        (b"upstream connect error", {"content-type": "text/plain"}, "not_an_answer"),
        (b'{"status":"fine"}', JSON, "not_an_answer"),
        (b'{"choices":[', JSON, "bad_json"),
        (b"", SSE, "empty"),
        (b"", JSON, "empty"),
        (b"\n\n" * 5000, JSON, "empty"),
        (b": ping\n\n" * 3, SSE, "empty"),
        (b"data:\n\nevent: ping\n\n", SSE, "empty"),
    ],
)
def test_a_200_that_is_no_answer(body: bytes, headers: dict[str, str], reason: str) -> None:
    assert judged(read(body, headers=headers)) == ("protocol_error", reason)


def test_json_that_was_cut_is_truncated() -> None:
    assert judged(read(b'{"choices":[', headers=JSON, ending="cut")) == ("truncated", "cut")


@pytest.mark.parametrize(
    ("ending", "outcome", "reason"),
    [
        ("complete", "truncated", "no_finish"),
        ("closed_by_us", "truncated", "no_finish"),
        ("cut", "truncated", "cut"),
        ("reset", "truncated", "reset"),
        ("protocol", "protocol_error", "protocol"),
        ("timeout.stall", "timeout", "timeout.stall"),
        ("timeout.total", "timeout", "timeout.total"),
        ("cancelled", "cancelled", "cancelled"),
        ("local_gap", "cancelled", "local_gap"),
    ],
)
def test_how_an_unfinished_answer_ended(ending: Ending, outcome: str, reason: str) -> None:
    answer = read(*ANSWER[:3], ending=ending)
    assert (*judged(answer), answer.retryable) == (outcome, reason, False)
    assert answer.text == "Hello"


@pytest.mark.parametrize(
    "ending", ["complete", "cut", "reset", "protocol", "closed_by_us", "timeout.stall", "cancelled"]
)
def test_a_finished_answer_is_ok_however_its_body_ended(ending: Ending) -> None:
    assert judged(read(*ANSWER[:4], ending=ending)) == ("ok", "")


def test_an_unclosed_last_event_does_not_count() -> None:
    last = chunk("stop").removesuffix(b"\n")
    assert judged(read(*ANSWER[:3], last)) == ("truncated", "no_finish")
    assert judged(read(chunk(content="a").removesuffix(b"\n"))) == ("truncated", "no_finish")


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ((chunk(refusal="no"), chunk("stop")), "refusal"),
        ((chunk(content="a"), chunk("content_filter")), "content_filter"),
        ((chunk("stop"),), "empty"),
        ((DONE,), "empty"),
        ((chunk("length"),), "cap_exhausted"),
        ((chunk("tool_calls"),), "empty"),
    ],
)
def test_a_well_formed_answer_that_is_no_use(pieces: tuple[bytes], reason: str) -> None:
    assert judged(read(*pieces)) == ("content_error", reason)


def test_hidden_reasoning_that_ate_the_cap_is_named_with_a_hint() -> None:
    details = {"completion_tokens_details": {"reasoning_tokens": 64}}
    usage = {"prompt_tokens": 9, "completion_tokens": 64} | details
    answer = read(chunk("length", usage))
    assert judged(answer) == ("content_error", "cap_exhausted")
    assert "max_tokens" in answer.message
    assert judged(read(chunk(reasoning="a"), chunk("length", usage))) == ("ok", "")


def test_a_finish_reason_of_error_is_one() -> None:
    assert judged(read(chunk(content="a"), chunk("error"), DONE)) == ("server_error", "upstream")


def test_an_error_before_done_outweighs_it() -> None:
    error = b'data: {"error":{"message":"boom","type":"overloaded_error","code":529}}\n\n'
    answer = read(*ANSWER[:2], error, DONE)
    assert (*judged(answer), answer.message) == ("server_error", "overloaded", "boom")
    assert (answer.error_code, answer.retryable) == ("overloaded_error", False)


def test_an_event_beyond_all_bounds_is_a_protocol_error() -> None:
    one = reader()
    one.feed(b"data: ")
    last = [one.feed(b"x" * 1_000_000) for _ in range(17)][-1]
    assert last.terminal
    assert judged(one.finish("complete")) == ("protocol_error", "too_large")


def test_bodies_of_errors_and_of_pages_are_kept_only_in_part() -> None:
    one = reader(500, {})
    assert one.feed(b"x" * 100_000).terminal
    assert len(one.finish("complete").message) == 500
    page = reader()
    assert page.feed(b"<html>" + b"x" * 100_000).terminal


def test_a_redirect_tells_its_target() -> None:
    answer = read(status=308, headers={"location": "https://elsewhere/v1"})
    assert (*judged(answer), answer.message) == ("client_error", "redirect", "https://elsewhere/v1")
    assert not answer.retryable


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"no"}}', "no"),
        (b'data: {"error":{"message":"no"}}\n\n', "no"),
        (b'event: error\ndata: {"error":"no"}\n\n', "no"),
        (b"<html><h1>502 Bad Gateway</h1>", "502 Bad Gateway"),
        (b"plain\nwords", "plain words"),
        (b"\xff\xfc", "��"),
        (b"", ""),
    ],
)
def test_error_bodies_of_all_forms(body: bytes, message: str) -> None:
    assert read(body, status=500, headers={}).message == message


def test_an_error_body_that_was_cut_still_goes_by_its_status() -> None:
    answer = read(b'{"error":{"mess', status=429, headers=JSON, ending="reset")
    assert (answer.outcome, answer.retryable) == ("throttled", True)


def test_half_characters_never_leave_the_reader() -> None:
    one = reader()
    one.feed(b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n')
    one.feed(b'data: {"choices":[{"delta":{"content":"\\ude42"},"finish_reason":"s\\ud800"}]}\n\n')
    answer = one.finish("complete")
    assert (answer.text, answer.finish_reason) == ("🙂", "s�")
    assert msgspec.json.encode(answer)


def test_timings_of_headers_and_body_stand_together() -> None:
    headers = SSE | {
        "openai-processing-ms": "12",
        "server-timing": 'cache;desc="hit";dur=1.5, total;dur=30',
        "x-envoy-upstream-service-time": "soon",
    }
    timed = b'data: {"choices":[],"timings":{"prompt_ms":3.5,"predicted_ms":1}}\n\n'
    answer = read(*ANSWER[:4], timed, DONE, headers=headers)
    assert answer.server_timing == {
        "openai_processing_ms": 12.0,
        "server_timing.cache": 1.5,
        "server_timing.total": 30.0,
        "prompt_ms": 3.5,
        "predicted_ms": 1.0,
    }


def counted(word: str, tokens: int) -> bytes:
    return chunk(content=word, usage={"prompt_tokens": 9, "completion_tokens": tokens})


@pytest.mark.parametrize(
    ("first_read", "tokens"),
    [
        (chunk(content="a"), None),
        (chunk(content="a") + chunk(role="assistant"), None),
        (chunk(content="a") * 3, 3),
        (counted("a", 2), 2),
        (counted("a", 2) + counted("b", 5), 5),
        (counted("a", 2) + chunk(content="b"), 2),
    ],
)
def test_the_first_chunk_is_all_that_came_in_the_first_read(
    first_read: bytes, tokens: int | None
) -> None:
    assert read(first_read, chunk(content="c"), chunk("stop"), DONE).first_chunk_tokens == tokens


def test_a_gateway_tells_the_cost_in_a_header() -> None:
    headers = SSE | {"x-litellm-response-cost": "0.00012"}
    assert read(*ANSWER, headers=headers).cost_usd == 0.00012


def test_limits_and_waits_are_read_of_every_answer() -> None:
    limited = {"x-ratelimit-remaining-requests": "3", "retry-after": "7"}
    assert read(*ANSWER, headers=SSE | limited).limits[0].remaining == 3.0
    assert read(*ANSWER, headers=SSE | limited).retry_after_s is None
    assert read(status=429, headers=limited).retry_after_s == 7.0


TYPES = st.sampled_from(["text/event-stream", "application/json", "text/html", ""])
ENCODINGS = st.sampled_from(["", "gzip", "deflate", "br"])
PIECES = st.lists(
    st.binary(max_size=30)
    | st.sampled_from([*ANSWER, b"{", b"}", b"[", b"\r", b"\n\n", b"data: ", b"\xef\xbb\xbf"]),
    max_size=8,
)


@given(st.sampled_from([200, 204, 304, 400, 429, 500]), TYPES, ENCODINGS, PIECES)
def test_no_bytes_break_the_reader(
    status: int, content_type: str, encoding: str, pieces: list[bytes]
) -> None:
    headers = {"content-type": content_type, "content-encoding": encoding}
    answer = read(*pieces, status=status, headers=headers)
    assert not (answer.retryable and status == 200)
    assert msgspec.json.encode(answer)


def test_what_a_read_brought_before_it_was_too_large_is_told() -> None:
    one = reader()
    progress = one.feed(ANSWER[1] + b"data: " + b"x" * (17 << 20))
    assert (progress.output, progress.text, progress.terminal) == (True, "Hel", True)
    assert judged(one.finish("complete")) == ("protocol_error", "too_large")


@pytest.mark.parametrize("size", [1, 40, 10_000])
def test_what_was_inflated_before_it_was_broken_stands(size: int) -> None:
    packed = gzip.compress(b"".join(ANSWER))
    broken = packed[:-8] + b"\0" * 8
    one = reader(headers={**SSE, "content-encoding": "gzip"})
    told = [one.feed(broken[at : at + size]) for at in range(0, len(broken), size)]
    assert any(progress.output for progress in told)
    assert told[-1].terminal
    answer = one.finish("complete")
    assert (*judged(answer), answer.text) == ("ok", "", "Hello")


def test_all_that_one_read_brought_is_the_first_chunk_though_it_was_sent_apart() -> None:
    one = reader()
    one.feed(ANSWER[0] + ANSWER[1] + ANSWER[2], cuts=(len(ANSWER[0]), len(ANSWER[0] + ANSWER[1])))
    for piece in ANSWER[3:]:
        one.feed(piece)
    assert one.finish("complete").first_chunk_tokens == 2
