"""What a probe counts as in a comparison."""

import msgspec
import pytest
from comparing.compared import route

from probes.comparing.results import result_of
from probes.config.goals import Goals
from probes.events import AttemptFinished, ProbeFinished, StampLadder

S = 1_000_000_000
ATTEMPT = AttemptFinished(
    at_ns=3 * S,
    route="alpha",
    probe="1-1",
    attempt=0,
    outcome="ok",
    ttft_kind="content",
    stamps_ns=StampLadder(started=S, first_token=S + S // 2, last_token=2 * S, done=2 * S),
    output_tokens=26,
    token_source="usage",
    first_chunk_tokens=1,
    chunks=26,
)
PROBE = ProbeFinished(
    at_ns=2 * S,
    route="alpha",
    probe="1-1",
    outcome="ok",
    attempts=1,
    started_ns=S,
    scheduled_ns=S,
    first_token_ns=S + S // 2,
    done_ns=2 * S,
    cost_usd=0.01,
)


def changed(probe: ProbeFinished = PROBE, **fields: object) -> ProbeFinished:
    return msgspec.structs.replace(probe, **fields)


def test_an_answer_has_its_times_and_its_speed() -> None:
    found = result_of(route("alpha"), ATTEMPT, PROBE)
    assert (found.ok, found.good, found.throttled, found.failure) == (True, True, False, "")
    assert (found.ttft_s, found.e2e_s) == (0.5, 1.0)
    assert found.tokens_per_s == pytest.approx(50.0)


@pytest.mark.parametrize(
    "goals", [Goals(ttft_s=0.4), Goals(e2e_s=0.9), Goals(cost_usd_per_probe=0.009)]
)
def test_what_misses_a_goal_is_ok_and_not_good(goals: Goals) -> None:
    found = result_of(route("alpha", goals=goals), ATTEMPT, PROBE)
    assert (found.ok, found.good) == (True, False)
    assert found.ttft_s == 0.5


def test_what_failed_has_no_times() -> None:
    probe = changed(outcome="throttled", reason="rate_limit", done_ns=None)
    found = result_of(route("alpha"), ATTEMPT, probe)
    assert (found.ok, found.good, found.throttled) == (False, False, True)
    assert (found.ttft_s, found.e2e_s, found.tokens_per_s) == (None, None, None)
    assert found.failure == "throttled / rate_limit"
    assert not result_of(route("alpha"), ATTEMPT, changed(outcome="server_error")).throttled


def test_what_a_gap_of_ours_spoilt_is_not_held_against_its_server() -> None:
    found = result_of(
        route("alpha", goals=Goals(ttft_s=0.1)), ATTEMPT, changed(flagged="local_gap")
    )
    assert (found.ok, found.good, found.ttft_s, found.e2e_s) == (True, True, None, None)


@pytest.mark.parametrize("kind", ["not_streamed", "none"])
def test_an_answer_that_came_whole_has_no_first_token(kind: str) -> None:
    attempt = msgspec.structs.replace(ATTEMPT, ttft_kind=kind)
    found = result_of(route("alpha"), attempt, PROBE)
    assert (found.ttft_s, found.e2e_s) == (None, 1.0)
