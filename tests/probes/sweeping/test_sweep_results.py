"""What the events of a probe come to."""

import msgspec

from probes.events import AttemptFinished, ProbeFinished, StampLadder
from probes.sweeping.results import SweepProbe, probe_of

S = 1_000_000_000
ATTEMPT = AttemptFinished(
    at_ns=12 * S, route="r", probe="1", attempt=0, outcome="ok",
    stamps_ns=StampLadder(
        started=10 * S, first_token=10 * S + S // 2, last_token=12 * S, done=12 * S
    ),
    ttft_kind="content", input_tokens=20, output_tokens=31, token_source="usage", chunks=31,
    charged_tokens=51, reserved_tokens=90,
)  # fmt: skip
PROBE = ProbeFinished(
    at_ns=12 * S, route="r", probe="1", outcome="ok", attempts=1, started_ns=10 * S,
    scheduled_ns=9 * S, first_token_ns=10 * S + S // 2, done_ns=12 * S,
)  # fmt: skip


def made(
    attempt: AttemptFinished = ATTEMPT, probe: ProbeFinished = PROBE, *, is_open: bool = False
) -> SweepProbe:
    return probe_of(attempt, probe, cap=64, usd=0.002, is_open=is_open)


def test_one_that_is_ok_has_its_latencies_and_sizes() -> None:
    found = made()
    assert (found.started_s, found.ended_s, found.ok) == (10, 12, True)
    assert (found.ttft_s, found.e2e_s, found.tokens_per_s) == (0.5, 2.0, 20.0)
    assert (found.output_tokens, found.tokens, found.usd) == (31, 51, 0.002)


def test_limits_count_the_prompt_as_the_server_does_and_the_cap() -> None:
    assert made().reserved_tokens == 84
    unsaid = msgspec.structs.replace(ATTEMPT, input_tokens=None)
    assert made(unsaid).reserved_tokens == 90


def test_of_an_open_pace_latencies_are_since_it_was_due() -> None:
    assert (made(is_open=True).ttft_s, made(is_open=True).e2e_s) == (1.5, 3.0)


def test_a_429_names_its_limit() -> None:
    attempt = msgspec.structs.replace(ATTEMPT, outcome="throttled", reason="rate_limit.tokens")
    probe = msgspec.structs.replace(PROBE, outcome="throttled", reason="rate_limit.tokens")
    found = made(attempt, probe)
    assert (found.ok, found.throttled, found.refused_for) == (False, True, "tokens")
    assert found.failure == "throttled / rate_limit.tokens"
    assert found.ttft_s is None


def test_one_that_names_none_names_none() -> None:
    attempt = msgspec.structs.replace(ATTEMPT, outcome="throttled", reason="rate_limit")
    probe = msgspec.structs.replace(PROBE, outcome="throttled", reason="rate_limit")
    assert made(attempt, probe).refused_for == ""


def test_a_failure_brings_no_tokens() -> None:
    probe = msgspec.structs.replace(PROBE, outcome="truncated", done_ns=None)
    found = made(msgspec.structs.replace(ATTEMPT, outcome="truncated"), probe)
    assert (found.ok, found.throttled, found.output_tokens) == (False, False, 0)


def test_what_a_gap_of_ours_spoilt_has_no_latency_and_is_no_failure() -> None:
    found = made(probe=msgspec.structs.replace(PROBE, flagged="local_gap"))
    assert (found.ok, found.ttft_s, found.e2e_s) == (True, None, None)


def test_a_whole_answer_has_no_ttft() -> None:
    assert made(msgspec.structs.replace(ATTEMPT, ttft_kind="not_streamed")).ttft_s is None
