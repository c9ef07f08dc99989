"""Token counts of Messages answers: what they mean, and what is none."""

from typing import Any

import pytest
from message_events import COUNTED, OVER, TEXT, read, start, stop

from probes.answers.dialects.transcript import Usage
from probes.answers.ending_verdict import tokens_of


def test_counts_of_the_end_are_the_total_and_those_of_the_start_a_placeholder() -> None:
    told, _ = read(
        start(usage={"input_tokens": 25, "output_tokens": 1}),
        TEXT,
        stop("end_turn", {"output_tokens": 15}),
        OVER,
    )
    assert tokens_of(told) == (Usage(input_tokens=25, output_tokens=15), "usage")
    assert told.first_chunk_tokens is None
    told, _ = read(start(usage={"input_tokens": 25, "output_tokens": 1}), TEXT)
    assert tokens_of(told) == (Usage(input_tokens=25), "none")


def test_the_input_is_the_whole_prompt_with_what_caches_held_of_it() -> None:
    begun = {
        "input_tokens": 5,
        "cache_read_input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "output_tokens": 1,
    }
    told, _ = read(start(usage=begun), TEXT, stop("end_turn", COUNTED | {"input_tokens": 6}))
    assert told.usage == Usage(input_tokens=126, output_tokens=2, cached_tokens=100)


@pytest.mark.parametrize(
    ("begun", "ended", "total", "cached"),
    [
        ({"input_tokens": 0}, {"output_tokens": 2}, None, None),
        ({"input_tokens": 0, "cache_read_input_tokens": 0}, COUNTED, 9, None),
        ({"input_tokens": 9}, {"input_tokens": 0, "output_tokens": 2}, 9, None),
        (
            {"input_tokens": 9},
            {"input_tokens": 0, "cache_read_input_tokens": 9, "output_tokens": 2},
            9,
            9,
        ),
        ({"input_tokens": 9, "cache_read_input_tokens": None}, {"output_tokens": 2}, 9, None),
        (None, COUNTED, 9, None),
        ("absurd", COUNTED, 9, None),
        ({"input_tokens": -3}, {"input_tokens": 1e30, "output_tokens": 2}, None, None),
    ],
)
def test_a_report_that_does_not_know_the_input_replaces_none_that_does(
    begun: Any, ended: Any, total: int | None, cached: int | None
) -> None:
    told, _ = read(start(usage=begun), TEXT, stop("end_turn", ended), OVER)
    usage, source = tokens_of(told)
    assert (usage.input_tokens, usage.cached_tokens) == (total, cached)
    assert (usage.output_tokens, source) == (2, "usage")


@pytest.mark.parametrize("usage", [None, {}, [], "x", {"output_tokens": -1}, {"output_tokens": 0}])
def test_an_output_that_is_not_counted_is_unknown(usage: Any) -> None:
    told, _ = read(start(usage={"input_tokens": 9, "output_tokens": 1}), TEXT, stop(usage=usage))
    assert tokens_of(told) == (Usage(input_tokens=9), "none")


def test_thinking_is_part_of_the_output_and_told_apart() -> None:
    details = {"output_tokens": 50, "output_tokens_details": {"thinking_tokens": 40}}
    told, _ = read(TEXT, stop(usage=COUNTED | details | {"server_tool_use": None, "cost": 0.5}))
    assert told.usage == Usage(input_tokens=9, output_tokens=50, reasoning_tokens=40, cost_usd=0.5)


def test_counts_before_the_last_output_are_a_running_total() -> None:
    told, _ = read(TEXT, stop(None, COUNTED), TEXT, stop())
    assert tokens_of(told)[1] == "continuous_usage"


def test_what_bedrock_adds_to_the_last_event() -> None:
    metrics = {
        "inputTokenCount": 5,
        "cacheReadInputTokenCount": 4,
        "outputTokenCount": 3,
        "invocationLatency": 850,
        "firstByteLatency": 310,
    }
    told, _ = read(start(), TEXT, stop(), OVER | {"amazon-bedrock-invocationMetrics": metrics})
    counted = Usage(input_tokens=9, output_tokens=3, cached_tokens=4)
    assert tokens_of(told) == (counted, "timings")
    assert told.server_timing == {"bedrock_first_byte_ms": 310, "bedrock_invocation_ms": 850}
    counted_itself = OVER | {"usage": {"input_tokens": 8, "output_tokens": 7}}
    told, _ = read(start(), TEXT, stop(), counted_itself)
    assert tokens_of(told) == (Usage(input_tokens=8, output_tokens=7), "usage")
