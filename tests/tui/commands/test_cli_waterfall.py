"""One probe as a person and as a program reads it: pure functions over its events."""

import json

import pytest
from changed import replace

from probes.config import Route
from probes.engine.single import ProbeRecord
from probes.events import AttemptFinished, Limit, ProbeFinished, RetryPlan, StampLadder
from probes.stats.tokens import seconds_per_token
from tui.commands.check import Row, table
from tui.commands.once import json_line
from tui.commands.waterfall import waterfall
from tui.draw.probe_figures import duration, path_words
from tui.draw.waterfall import bar

MS = 1_000_000
ROUTE = Route(name="busy", base_url="https://h.example/v1?key=hidden", model="m")


def throttled(**changes: object) -> AttemptFinished:
    values: dict[str, object] = {
        "at_ns": 100 * MS,
        "route": "busy",
        "probe": "1-1",
        "attempt": 0,
        "outcome": "throttled",
        "reason": "rate_limit",
        "retryable": True,
        "retry": RetryPlan(reason="rate_limit", wait_s=0.4, number=1),
        "retry_after_s": 0.4,
        "status": 429,
        "cold": True,
        "message": "slow \x1b[31mdown\u202e",
        "stamps_ns": StampLadder(
            scheduled=0, admitted=0, started=0, tcp=20 * MS, sent=21 * MS, headers=100 * MS,
            ended=100 * MS,
        ),
    }  # fmt: skip
    return AttemptFinished(**{**values, **changes})


def answered(**changes: object) -> AttemptFinished:
    values: dict[str, object] = {
        "at_ns": 1000 * MS,
        "route": "busy",
        "probe": "1-1",
        "attempt": 1,
        "outcome": "ok",
        "status": 200,
        "stamps_ns": StampLadder(
            scheduled=0, admitted=0, started=500 * MS, sent=501 * MS, headers=590 * MS,
            first_event=590 * MS, first_token=600 * MS, first_answer=600 * MS,
            last_token=900 * MS, done=1000 * MS, ended=1000 * MS,
        ),
        "token_source": "usage",
        "input_tokens": 12,
        "output_tokens": 31,
        "finish_reason": "stop",
        "request_id": "req_\x9b1",
        "chunks": 3,
        "chunk_offsets_ns": (100 * MS, 110 * MS, 400 * MS),
        "cost_usd": 0.0001,
        "cost_source": "price",
    }  # fmt: skip
    return AttemptFinished(**{**values, **changes})


def probe(**changes: object) -> ProbeFinished:
    values: dict[str, object] = {
        "at_ns": 1000 * MS,
        "route": "busy",
        "probe": "1-1",
        "outcome": "ok",
        "attempts": 2,
        "started_ns": 0,
        "scheduled_ns": 0,
        "first_token_ns": 600 * MS,
        "first_answer_ns": 600 * MS,
        "done_ns": 1000 * MS,
        "cost_usd": 0.0001,
    }
    return ProbeFinished(**{**values, **changes})


RECORD = ProbeRecord(probe(), (throttled(), answered()))


def test_a_waterfall_shows_each_attempt_the_wait_and_what_was_felt() -> None:
    assert waterfall(ROUTE, RECORD.attempts, RECORD.probe, 76) == [
        "busy · m · https://h.example/v1?key=***",
        "                                                             took         at",
        "#1 HTTP 429 throttled (rate_limit) · new connection · asked to wait 400 ms",
        "  connect     ▊                                             20 ms      20 ms",
        "  send        ▉                                            1.0 ms      21 ms",
        "  headers     ████                                          79 ms     100 ms",
        "retry wait        ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄                         400 ms     500 ms",
        "#2 HTTP 200 ok · warm connection",
        "  send                            ▏                        1.0 ms     501 ms",
        "  headers                         ███▋                      89 ms     590 ms",
        "  first token                        █                      10 ms     600 ms",
        "  tokens                              █···········▄        300 ms     900 ms",
        "  end of body                                     ████     100 ms     1.00 s",
        "",
        "ok · TTFT 600 ms · TTFA 600 ms · E2E 1.00 s · 100 tokens/s · 2 attempts",
        "tokens 12 in, 31 out [usage] · 10 a chunk · finish stop · $0.0001 (price)"
        " · request req_·1",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"reasoning_tokens": 4, "cached_tokens": 8, "chunks": 31},
            "tokens 12 in, 31 out, 4 reasoning, 8 cached [usage]",
        ),
        ({"chunks": 28}, "tokens 12 in, 31 out [usage] · 1.1 a chunk"),
        ({"chunks": 30}, "tokens 12 in, 31 out [usage]"),  # 1.03: as good as one a chunk
        ({"chunks": 33}, "tokens 12 in, 31 out [usage] · 0.94 a chunk"),
        ({"token_source": "continuous_usage", "chunks": 31}, "12 in, 31 out [continuous_usage]"),
        ({"hidden_tokens": 29, "chunks": 1}, "tokens 12 in, 31 out [usage] · 2 a chunk"),
        (
            {"output_tokens": 1_290, "chunks": 1},
            "tokens 12 in, 1290 out [usage] · 1,290 a chunk",
        ),
        (
            {"token_source": "none", "input_tokens": None, "output_tokens": None, "characters": 42},
            "no token counts, ~10 out",
        ),
    ],
)
def test_tokens_stand_with_their_source_and_an_estimate_with_its_mark(
    changes: dict[str, object], words: str
) -> None:
    line = waterfall(ROUTE, (answered(**changes),), RECORD.probe, 76)[-1]
    assert words in line
    assert ("a chunk" in line) is ("a chunk" in words)
    assert ("~ is an estimate" in line) == ("~" in words)


def test_hostile_words_are_neutralised_and_cut() -> None:
    last = throttled(message="\x1b[2J\u202e" + "x" * 5000, reason="a\x1b]0;t\x07b")
    lines = waterfall(ROUTE, (last,), probe(outcome="throttled", done_ns=None), 80)
    assert all(line.isprintable() for line in lines)
    assert max(map(len, lines)) < 400


def test_a_probe_without_attempts_has_a_waterfall_too() -> None:
    lines = waterfall(ROUTE, (), probe(outcome="cancelled", first_token_ns=None), 80)
    assert lines[-1].startswith("cancelled")


@pytest.mark.parametrize("width", [1, 20, 40, 76, 200])
def test_bars_stay_on_their_axis(width: int) -> None:
    for start in (0.0, 0.4 * width, float(width)):
        for end in (start, start + 0.01, float(width)):
            drawn = bar(start, end, width)
            assert 1 <= len(drawn) <= width
            assert drawn.strip()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 0.01),
        ({"first_chunk_tokens": 11}, 0.015),
        ({"token_source": "estimate"}, None),
        ({"output_tokens": None}, None),
        ({"output_tokens": 1}, None),
        ({"stamps_ns": StampLadder(first_token=5, last_token=5)}, None),
        ({"stamps_ns": StampLadder(ended=5)}, None),
    ],
)
def test_time_per_token_comes_only_from_exact_counts(
    changes: dict[str, object], expected: float | None
) -> None:
    assert seconds_per_token(answered(**changes)) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0 ms"),
        (0.0042, "4.2 ms"),
        (0.31, "310 ms"),
        (0.9996, "1.00 s"),
        (59.0, "59.00 s"),
        (125.2, "2 m 05 s"),
        (7200.0, "2.0 h"),
    ],
)
def test_durations_are_read_at_a_glance(value: float, text: str) -> None:
    assert duration(value) == text


def test_the_json_object_has_the_keys_that_programs_rely_on() -> None:
    line = json_line(RECORD, include_text=False)
    assert line.isascii()
    assert line.isprintable()
    told = json.loads(line)
    first, last = told.pop("attempts")
    assert told == {
        "outcome": "ok",
        "reason": "",
        "retryable": False,
        "ttft_s": 0.6,
        "ttfa_s": 0.6,
        "e2e_s": 1.0,
        "itl_s": 0.01,
        "input_tokens": 12,
        "output_tokens": 31,
        "reasoning_tokens": None,
        "cached_tokens": None,
        "token_source": "usage",
        "tokens_per_chunk": pytest.approx(31 / 3),
        "ttft_kind": "none",
        "finish_reason": "stop",
        "right": None,
        "cost_usd": 0.0001,
        "notices": [],
    }
    assert first["stamps_ns"]["headers"] == 100 * MS
    assert "dns" not in first["stamps_ns"]
    assert (first["status"], first["outcome"], first["reason"]) == (429, "throttled", "rate_limit")
    assert (first["retryable"], first["retry_after_s"], first["headers"]) == (True, 0.4, {})
    assert last["request_id"] == "req_\x9b1"
    assert last["response_id"] is None
    assert "text" not in last


def test_our_own_words_are_not_put_into_the_servers_mouth() -> None:
    refused = throttled(outcome="protocol_error", reason="connect.refused", status=None,
                        message="All connection attempts failed")  # fmt: skip
    lines = waterfall(ROUTE, (refused,), probe(outcome="protocol_error"), 80)
    assert lines[-1] == "detail: All connection attempts failed"


def test_when_to_look_again_is_told_in_plain_words() -> None:
    spent = Limit(kind="usage", remaining=0.0, reset_s=15_180.0)
    left = Limit(kind="tokens", remaining=9.0, reset_s=90_000.0)
    refused = throttled(outcome="client_error", reason="quota", limits=(spent, left))
    lines = waterfall(ROUTE, (refused,), probe(outcome="client_error"), 80)
    assert lines[-1] == "look again in 4h13m"
    soon = throttled(limits=(Limit(kind="usage", remaining=0.0, reset_s=59.0),))
    assert not any("look again" in line for line in waterfall(ROUTE, (soon,), probe(), 80))


def test_the_text_is_told_only_where_asked_for() -> None:
    attempts = (answered(text="h\u00e9llo", reasoning_text="hm"),)
    record = ProbeRecord(probe(), attempts)
    told = json.loads(json_line(record, include_text=True))
    assert (told["text"], told["reasoning_text"]) == ("h\u00e9llo", "hm")
    assert "text" not in told["attempts"][0]
    assert "text" not in json.loads(json_line(record, include_text=False))


def test_what_json_cannot_say_becomes_null() -> None:
    record = ProbeRecord(probe(cost_usd=float("nan")), (throttled(retry_after_s=float("inf")),))
    told = json.loads(json_line(record, include_text=False))
    assert told["cost_usd"] is None
    assert told["attempts"][0]["retry_after_s"] is None


def test_the_table_of_check_has_a_line_for_each_route() -> None:
    wide = Route(name="日本", base_url="https://h", model="m")
    failed = ProbeRecord(
        probe(outcome="throttled", reason="rate_limit", first_token_ns=None, done_ns=None,
              cost_usd=None),
        (throttled(),),
    )  # fmt: skip
    rows = [Row(ROUTE, RECORD), Row(wide, failed), Row(ROUTE, None)]
    assert table(rows) == [
        "ROUTE  OUTCOME    REASON        TTFT     E2E  IN/OUT      COST",
        "busy   ok                     600 ms  1.00 s   12/31  ~$0.0001",
        "日本   throttled  rate_limit       –       –       –         –",
        "busy   held       budget           –       –       –         –",
    ]
    assert [row.ok for row in rows] == [True, False, False]


def test_an_answer_that_came_whole_is_told_to_have_no_ttft() -> None:
    ladder = replace(answered().stamps_ns, first_token=None, first_answer=None, last_token=None)
    attempt = replace(answered(), stamps_ns=ladder, ttft_kind="not_streamed")
    felt = probe(first_token_ns=None, first_answer_ns=None)
    lines = waterfall(ROUTE, (attempt,), felt, 76)
    assert "ok · not streamed: no TTFT · E2E 1.00 s" in lines
    assert not any("first token" in line for line in lines)
    row = table([Row(ROUTE, ProbeRecord(felt, (attempt,)))])[1]
    assert row.split()[:4] == ["busy", "ok", "whole", "1.00"]


@pytest.mark.parametrize(("version", "told"), [("HTTP/2", True), ("HTTP/1.1", False), ("", False)])
def test_what_was_spoken_is_told_where_it_is_not_the_usual(version: str, told: bool) -> None:
    text = "\n".join(waterfall(ROUTE, (answered(http_version=version),), RECORD.probe, 76))
    assert ("· HTTP/" in text) is told


PATH = {
    "rtt_ns": 18_400_000, "rtt_min_ns": 17_000_000, "retransmits": 0, "reordered": 3,
    "rtt_to": "proxy",
}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "RTT 18 ms, min 17 ms, resent 0, out of order 3 (to the proxy)"),
        (
            {"rtt_ns": 26_000, "rtt_to": "server"},
            "RTT 0.03 ms, min 17 ms, resent 0, out of order 3",
        ),
        ({"rtt_ns": None}, "min 17 ms, resent 0, out of order 3 (to the proxy)"),
        ({"retransmits": None, "reordered": None}, "RTT 18 ms, min 17 ms (to the proxy)"),
        ({"rtt_to": None}, ""),
    ],
)
def test_of_the_path_what_is_known_is_told(changes: dict[str, object], words: str) -> None:
    assert path_words(answered(**{**PATH, **changes})).startswith(words)


def test_the_path_and_the_model_that_answered_stand_below_the_bars() -> None:
    told = answered(**PATH, served_model="m-2024", fingerprint="fp_1")
    lines = waterfall(ROUTE, (told,), RECORD.probe, 76)
    end = next(number for number, line in enumerate(lines) if "end of body" in line)
    assert lines[end + 1] == (
        "  path        RTT 18 ms, min 17 ms, resent 0, out of order 3 (to the proxy)"
    )
    assert "served by m-2024, fp_1" in lines
    fields = json.loads(json_line(ProbeRecord(probe(), (told,)), include_text=False))["attempts"][0]
    assert {name: fields[name] for name in PATH} == PATH
    assert (fields["served_model"], fields["fingerprint"]) == ("m-2024", "fp_1")


@pytest.mark.parametrize(("stalls", "words"), [(1, "1 stall, longest"), (2, "2 stalls, longest")])
def test_pauses_of_an_answer_are_counted_in_words_that_agree(stalls: int, words: str) -> None:
    paused = answered(stalls=stalls, longest_gap_ns=1500 * MS)
    lines = waterfall(ROUTE, (paused,), RECORD.probe, 120)
    assert any(f" · {words} 1.5" in line for line in lines)
