"""What is told per token, and of which counts."""

from typing import Any

import pytest

from probes.events import AttemptFinished, StampLadder
from probes.stats.tokens import (
    CharactersPerToken,
    seconds_per_token,
    streamed_tokens,
    tokens_after_first_chunk,
    tokens_per_chunk,
)

MS = 1_000_000


def attempt(**changes: Any) -> AttemptFinished:
    values: dict[str, Any] = {
        "at_ns": 900 * MS,
        "route": "r",
        "probe": "1-1",
        "attempt": 0,
        "outcome": "ok",
        "stamps_ns": StampLadder(first_token=100 * MS, last_token=700 * MS),
        "token_source": "usage",
        "output_tokens": 31,
        "chunks": 31,
        "characters": 120,
    }
    return AttemptFinished(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "after_first"),
    [
        ({}, 30),
        ({"first_chunk_tokens": 11}, 20),
        ({"hidden_tokens": 10, "chunks": 21}, 20),
        ({"hidden_tokens": 10, "first_chunk_tokens": 11, "chunks": 21}, 20),
        ({"hidden_tokens": 10, "first_chunk_tokens": 3, "chunks": 19}, 18),
        ({"hidden_tokens": None}, None),
        ({"token_source": "none", "output_tokens": None}, None),
        ({"token_source": "estimate"}, None),
        ({"output_tokens": 3}, None),
        ({"output_tokens": 16}, 15),
        ({"token_source": "continuous_usage"}, 30),
        ({"token_source": "timings"}, 30),
    ],
)
def test_the_tokens_after_the_first_chunk(changes: dict[str, Any], after_first: int | None) -> None:
    assert tokens_after_first_chunk(attempt(**changes)) == after_first


def test_hidden_reasoning_makes_no_stream_look_faster_than_it_was() -> None:
    seen = attempt(output_tokens=31)
    hiding = attempt(output_tokens=2031, hidden_tokens=2000)
    assert seconds_per_token(seen) == seconds_per_token(hiding) == pytest.approx(0.02)


@pytest.mark.parametrize(
    "changes",
    [
        {"stamps_ns": StampLadder(first_token=5, last_token=5)},
        {"stamps_ns": StampLadder(ended=5)},
        {"output_tokens": 1, "chunks": 1},
        {"output_tokens": 31, "hidden_tokens": 31},
    ],
)
def test_there_is_no_time_per_token_without_a_second_token(changes: dict[str, Any]) -> None:
    assert seconds_per_token(attempt(**changes)) is None


def test_tokens_a_chunk_tell_of_chunks_that_are_not_tokens() -> None:
    assert tokens_per_chunk(attempt(chunks=10, output_tokens=35)) == 3.5
    assert tokens_per_chunk(attempt(chunks=10, output_tokens=45, hidden_tokens=10)) == 3.5
    assert tokens_per_chunk(attempt(chunks=0)) is None
    assert tokens_per_chunk(attempt(token_source="estimate")) is None


def test_a_count_far_below_the_chunks_is_no_count_of_this_stream() -> None:
    assert streamed_tokens(attempt(output_tokens=1, chunks=60)) is None
    assert streamed_tokens(attempt(output_tokens=8, chunks=9)) == 8


def test_a_token_has_four_characters_until_a_route_tells_better() -> None:
    sizes = CharactersPerToken()
    assert [sizes.tokens_of(number) for number in (0, 1, 3, 40)] == [0, 1, 1, 10]
    sizes.learn(attempt(output_tokens=None, token_source="none", characters=900))
    sizes.learn(attempt(output_tokens=31, chunks=31, characters=62))
    assert sizes.ratio == 4.0
    sizes.learn(attempt(output_tokens=1, chunks=1, characters=2))
    assert (sizes.ratio, sizes.tokens_of(40)) == (2.0, 20)


def test_hidden_tokens_have_no_characters() -> None:
    sizes = CharactersPerToken()
    sizes.learn(attempt(output_tokens=1040, hidden_tokens=1000, chunks=40, characters=120))
    assert sizes.ratio == 3.0


def test_newer_answers_weigh_more() -> None:
    sizes = CharactersPerToken()
    for _ in range(1_000):
        sizes.learn(attempt(output_tokens=100, chunks=100, characters=400))
    for _ in range(1_000):
        sizes.learn(attempt(output_tokens=100, chunks=100, characters=200))
    assert sizes.ratio == pytest.approx(2.0, abs=0.1)
