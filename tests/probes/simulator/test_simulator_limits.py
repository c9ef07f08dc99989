"""Token buckets, the gate in front of a model, and the headers that tell of them."""

import pytest

from probes.kit.clock import NS_PER_S
from probes.simulator.limits import LimitGate, TokenBucket, format_reset, retry_headers
from probes.simulator.scenario import Limits


def test_a_bucket_refills_evenly_and_never_overflows() -> None:
    bucket = TokenBucket(60, 0)
    bucket.take(60, 0)
    levels = [bucket.level(at * NS_PER_S) for at in (0, 1, 30, 60, 600)]
    assert levels == pytest.approx([0, 1, 30, 60, 60])


def test_a_bucket_knows_how_long_it_takes_and_what_is_never_possible() -> None:
    bucket = TokenBucket(60, 0)
    bucket.take(50, 0)
    assert bucket.wait_s(10, 0) == 0.0
    assert bucket.wait_s(25, 0) == pytest.approx(15.0)
    assert bucket.wait_s(61, 0) is None


def test_a_smaller_bucket_keeps_what_fits() -> None:
    bucket = TokenBucket(600, 0)
    bucket.retune(60, NS_PER_S)
    assert bucket.level(NS_PER_S) == 60


def test_a_bucket_of_some_seconds_holds_their_worth_and_one_at_least() -> None:
    assert TokenBucket(600, 0, burst_s=6).level(0) == 60
    assert TokenBucket(30, 0, burst_s=1).level(0) == 1
    bucket = TokenBucket(600, 0)
    bucket.retune(600, 0, burst_s=2)
    assert bucket.level(60 * NS_PER_S) == 20


def test_others_on_the_same_key_use_their_share() -> None:
    half = TokenBucket(60, 0, others=0.5)
    half.take(60, 0)
    assert half.level(10 * NS_PER_S) == pytest.approx(5)
    assert half.wait_s(1, 0) == pytest.approx(2.0)
    greedy = TokenBucket(60, 0, others=3.0)
    assert greedy.level(10 * NS_PER_S) == pytest.approx(40)
    assert greedy.level(300 * NS_PER_S) == 0
    # What the server promises, who knows nothing of them.
    assert greedy.wait_s(1, 300 * NS_PER_S) == pytest.approx(1.0)


def test_a_gate_that_sends_no_headers_limits_all_the_same() -> None:
    gate = LimitGate(0)
    gate.retune(Limits(requests_per_min=1, sends_headers=False), 0)
    assert gate.enter(1, 0, 0) is None
    assert gate.enter(1, 0, 0).kind == "requests"
    assert gate.headers(0, 0) == ()


def test_a_refused_request_is_charged_to_no_bucket() -> None:
    gate = LimitGate(0)
    gate.retune(Limits(requests_per_min=10, tokens_per_min=100), 0)
    assert gate.enter(80, 0, 0) is None
    verdict = gate.enter(30, 0, 0)
    assert (verdict.kind, verdict.wait_s) == ("tokens", pytest.approx(6.0))
    assert dict(gate.headers(0, 0))["x-ratelimit-remaining-requests"] == "9"


def test_a_limit_that_begins_with_a_phase_starts_full_and_ends_with_it() -> None:
    gate = LimitGate(0)
    assert gate.headers(0, 0) == ()
    gate.retune(Limits(tokens_per_min=100), 5 * NS_PER_S)
    assert dict(gate.headers(0, 5 * NS_PER_S))["x-ratelimit-remaining-tokens"] == "100"
    gate.retune(Limits(), 6 * NS_PER_S)
    assert gate.headers(0, 6 * NS_PER_S) == ()


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [
        (0.0, "0ms"),
        (0.0121, "13ms"),
        (1.0, "1s"),
        (7.66, "7.66s"),
        (360.0, "6m0s"),
        (61.5, "1m1.5s"),
    ],
)
def test_resets_are_written_as_openai_writes_them(duration_s: float, text: str) -> None:
    assert format_reset(duration_s) == text


def test_retry_headers_never_promise_too_early() -> None:
    assert retry_headers(1.2345) == (("retry-after", "2"), ("retry-after-ms", "1235"))
