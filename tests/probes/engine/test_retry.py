"""The retry policy: what the official clients do, and the two differences."""

from random import Random
from typing import Any

import pytest

from probes.answers.answer import Answer
from probes.answers.retry_after import would_retry
from probes.engine.retry import RetryPolicy, cool_down_s
from probes.events import Verdict


def failed(**said: Any) -> Answer:
    given: dict[str, Any] = {"outcome": "server_error", "reason": "internal", "retryable": True}
    return Answer(**given | said)


class NoJitter(Random):
    def random(self) -> float:
        return 0.0


class FullJitter(Random):
    def random(self) -> float:
        return 1.0


def waits(random: Random, answer: Answer, retries: int = 8) -> list[float]:
    policy = RetryPolicy(retries, random)
    plans = [policy.plan(answer, number) for number in range(1, retries + 1)]
    return [plan.wait_s for plan in plans if plan is not None]


def test_the_back_off_doubles_to_eight_seconds_less_up_to_a_quarter() -> None:
    assert waits(NoJitter(), failed())[:6] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    assert waits(FullJitter(), failed())[:6] == [0.375, 0.75, 1.5, 3.0, 6.0, 6.0]


def test_retries_end() -> None:
    policy = RetryPolicy(2, NoJitter())
    numbers = [plan.number for n in (1, 2, 3) if (plan := policy.plan(failed(), n))]
    assert numbers == [1, 2]


def test_what_the_server_asks_is_waited() -> None:
    assert waits(NoJitter(), failed(retry_after_s=0.644), 1) == [0.644]
    assert waits(NoJitter(), failed(retry_after_s=120.0), 1) == [120.0]
    assert waits(NoJitter(), failed(retry_after_s=0.0), 1) == [0.5]


def test_what_is_not_retryable_is_not_retried() -> None:
    assert RetryPolicy(2, NoJitter()).plan(failed(retryable=False), 1) is None


def test_a_plan_tells_its_reason() -> None:
    policy = RetryPolicy(2, NoJitter())
    plan = policy.plan(failed(reason="overloaded"), 1)
    assert plan is not None
    assert plan.reason == "overloaded"
    insisted = policy.plan(failed(headers={"x-should-retry": "true"}), 1)
    assert insisted is not None
    assert insisted.reason == "x-should-retry"


@pytest.mark.parametrize(
    ("verdict", "headers", "asked_s", "expected"),
    [
        (Verdict("throttled", "rate_limit", True), {}, None, True),
        (Verdict("throttled", "rate_limit", True), {"x-should-retry": "false"}, None, False),
        (Verdict("client_error", "bad_request"), {"x-should-retry": "true"}, None, True),
        (Verdict("client_error", "bad_request"), {"x-should-retry": "maybe"}, None, False),
        (Verdict("throttled", "rate_limit", True), {}, 120.0, True),
        (Verdict("throttled", "rate_limit", True), {}, 120.1, False),
        (Verdict("throttled", "rate_limit", True), {"x-should-retry": "true"}, 121.0, False),
        (Verdict("client_error", "quota"), {"x-should-retry": "true"}, None, False),
    ],
)
def test_who_decides_on_a_retry(
    verdict: Verdict, headers: dict[str, str], asked_s: float | None, expected: bool
) -> None:
    assert would_retry(verdict, headers, asked_s) is expected


@pytest.mark.parametrize(
    ("outcome", "asked_s", "expected"),
    [
        ("throttled", 2.0, 2.0),
        ("throttled", 3599.0, 3599.0),
        ("throttled", 3601.0, 3600.0),
        ("throttled", 90_000.0, 3600.0),
        ("throttled", None, None),
        ("throttled", 0.0, None),
        ("server_error", 2.0, None),
        ("server_error", 120.0, None),
        ("server_error", 120.1, 120.1),
        ("server_error", 7200.0, 3600.0),
    ],
)
def test_the_route_cools_down(outcome: str, asked_s: float | None, expected: float | None) -> None:
    assert cool_down_s(outcome, asked_s) == expected


def test_a_stale_connection_costs_no_back_off() -> None:
    plan = RetryPolicy(2, Random(1)).plan(failed(reason="stale_connection"), 1)
    assert plan is not None
    assert (plan.reason, plan.wait_s) == ("stale_connection", 0.0)
