"""A server's own figures beside ours: only for the same interval, and never below zero."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.answers.comparison import comparisons, stages
from probes.answers.server_timing import claims_of
from probes.events import AttemptFinished, ServerClaim, ServerInterval, StampLadder

MS = 1_000_000
STAMPS = StampLadder(
    scheduled=0, started=5 * MS, tcp=40 * MS, sent=50 * MS, headers=90 * MS,
    first_token=150 * MS, last_token=560 * MS, done=580 * MS, ended=580 * MS,
)  # fmt: skip


def attempt(claims: tuple[ServerClaim, ...], stamps: StampLadder = STAMPS) -> AttemptFinished:
    return AttemptFinished(
        at_ns=580 * MS,
        route="r",
        probe="1-1",
        attempt=0,
        outcome="ok",
        stamps_ns=stamps,
        server_claims=claims,
    )


def told(figures: dict[str, float], stamps: StampLadder = STAMPS) -> dict[str, tuple[Any, ...]]:
    return {
        found.span: (
            round(found.claimed_s * 1000, 3),
            round(found.measured_s * 1000, 3),
            round(found.rest_s * 1000, 3),
            round(found.excess_s * 1000, 3),
        )
        for found in comparisons(attempt(claims_of(figures), stamps))
    }


def test_stages_that_reach_from_end_to_end_are_added_up() -> None:
    figures = {"queue_s": 0.012, "prompt_s": 0.06, "completion_s": 0.41, "total_s": 0.47}
    assert told(figures) == {
        "first_token": (72.0, 100.0, 28.0, 0.0),
        "total": (482.0, 530.0, 48.0, 0.0),
    }


@pytest.mark.parametrize(
    "figures",
    [{"queue_s": 0.012}, {"completion_s": 0.41}, {"queue_s": 0.1, "completion_s": 0.2}],
)
def test_stages_with_a_hole_between_them_are_compared_with_nothing(
    figures: dict[str, float],
) -> None:
    assert told(figures) == {}


def test_a_prompt_alone_reaches_to_the_first_token() -> None:
    assert told({"prompt_ms": 60.0}) == {"first_token": (60.0, 100.0, 40.0, 0.0)}


def test_of_several_servers_in_a_row_the_outermost_counts() -> None:
    figures = {"openai_processing_ms": 12.0, "envoy_upstream_ms": 31.0}
    assert told(figures) == {"headers": (31.0, 40.0, 9.0, 0.0)}


def test_a_total_that_counts_more_than_its_stages_is_taken() -> None:
    figures = {
        "time_info.prompt_time": 0.1,
        "time_info.completion_time": 0.2,
        "time_info.total_time": 0.5,
    }
    assert told(figures)["total"] == (500.0, 530.0, 30.0, 0.0)


def test_a_server_that_claims_more_than_we_measured_is_told_so() -> None:
    assert told({"fireworks-server-processing-time": 0.6}) == {"total": (600.0, 530.0, 0.0, 70.0)}
    assert told({"envoy_upstream_ms": 41.0}) == {"headers": (41.0, 40.0, 0.0, 0.0)}


def test_what_did_not_happen_is_compared_with_nothing() -> None:
    refused = StampLadder(started=5 * MS, sent=50 * MS, headers=90 * MS, ended=90 * MS)
    figures = {"openai_processing_ms": 12.0, "prompt_ms": 60.0, "predicted_ms": 410.0}
    assert list(told(figures, refused)) == ["headers"]
    early = StampLadder(started=5 * MS, sent=95 * MS, headers=90 * MS, ended=99 * MS)
    assert told(figures, early) == {}


def test_of_one_stage_told_twice_the_longer_counts() -> None:
    claims = claims_of({"queue_s": 0.25, "meta_info.queue_time": 0.5, "prompt_s": 0.125})
    assert [claim.seconds for claim in stages(claims)] == [0.5, 0.125]


INTERVALS: tuple[ServerInterval, ...] = (
    "queue", "load", "prompt", "decode", "first_token", "headers", "total", "overhead", "other",
)  # fmt: skip
CLAIM = st.builds(
    lambda interval, seconds: ServerClaim(
        interval=interval, seconds=seconds, source="x", raw=seconds, unit="s"
    ),
    st.sampled_from(INTERVALS),
    st.floats(0, 1e6, allow_nan=False),
)


@given(st.lists(CLAIM, max_size=12).map(tuple))
def test_nothing_is_ever_negative(claims: tuple[ServerClaim, ...]) -> None:
    for found in comparisons(attempt(claims)):
        assert found.rest_s >= 0 <= found.excess_s
        assert found.rest_s == 0 or found.excess_s == 0
        assert found.rest_s <= found.measured_s
