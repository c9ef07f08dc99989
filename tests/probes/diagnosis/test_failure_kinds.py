"""What each way to fail speaks of."""

import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from diagnosis_streams import attempt

from probes.diagnosis.failure_kinds import (
    RATE_LIMITS,
    failure_of,
    rate_limit_of,
    speaks_of_route,
)
from probes.events import Cause

README = Path(__file__).parents[3] / "probes/answers/README.md"

KINDS: dict[str, dict[str, tuple[Cause, int | None] | None]] = {
    "throttled": {
        "overloaded": ("provider_overloaded", None),
    },
    "server_error": {
        "internal": ("provider_errors", None),
        "bad_gateway": ("provider_errors", None),
        "gateway_timeout": ("provider_errors", None),
        "unavailable": ("provider_errors", None),
        "overloaded": ("provider_overloaded", None),
        "upstream": ("provider_errors", None),
        "aborted": ("provider_errors", None),
    },
    "client_error": {
        "quota": ("quota_exhausted", 3),
        "auth": ("auth_failure", 3),
        "permission": ("auth_failure", 3),
        "blocked": ("bad_request", 3),
        "model_not_found": ("model_missing", 3),
        "not_found": ("bad_request", 3),
        "bad_request": ("bad_request", 3),
        "bad_url": ("bad_request", 3),
        "context_length": ("bad_request", 3),
        "too_large": ("bad_request", 3),
        "moderation": ("bad_request", 3),
        "redirect": ("bad_request", 3),
        "proxy": ("bad_request", 3),
        "client_closed": ("provider_errors", None),
        "conflict": ("provider_errors", None),
        "clear_text": ("bad_request", 3),
    },
    "timeout": {
        "timeout.connect": ("network_path", 2),
        "timeout.first_token": ("no_answer", 2),
        "timeout.total": ("no_answer", 2),
        "timeout.stall": ("stream_stalls", 2),
        "timeout.server": ("provider_errors", None),
    },
    "protocol_error": {
        "connect.dns": ("dns", 3),
        "connect.refused": ("outage", 3),
        "connect.unreachable": ("network_path", 3),
        "connect.reset": ("outage", 3),
        "connect.proxy": ("network_path", 3),
        "connect.tls": ("tls", 3),
        "connect.tls.expired": ("tls", 3),
        "connect.tls.hostname": ("tls", 3),
        "connect.tls.untrusted": ("tls", 3),
        "connect.tls.certificate": ("tls", 3),
        "reset": ("provider_errors", None),
        "stale_connection": ("provider_errors", None),
        "protocol": ("provider_errors", None),
        "html": ("provider_errors", None),
        "not_an_answer": ("provider_errors", None),
        "bad_json": ("provider_errors", None),
        "empty": ("provider_errors", None),
        "encoding": ("provider_errors", None),
        "too_large": ("provider_errors", None),
        "other_dialect": ("provider_errors", None),
        "cap_ignored": ("provider_errors", None),
    },
    "truncated": {
        "cut": ("stream_truncation", None),
        "reset": ("stream_truncation", None),
        "no_finish": ("stream_truncation", None),
    },
    "content_error": {
        "empty": ("provider_errors", None),
        "cap_exhausted": ("provider_errors", None),
        "refusal": None,
        "content_filter": None,
        "wrong_answer": None,
    },
}
"""By outcome and reason: the cause, and how many in a row need no statistics; None: no failure."""
RATES = {
    "rate_limit": "rate_limited_requests",
    "rate_limit.requests": "rate_limited_requests",
    "rate_limit.tokens": "rate_limited_tokens",
    "rate_limit.input_tokens": "rate_limited_tokens",
    "rate_limit.output_tokens": "rate_limited_tokens",
    "rate_limit.concurrency": "rate_limited_concurrency",
    "rate_limit.usage": "rate_limited_requests",
}
CASES = [(outcome, reason) for outcome, known in KINDS.items() for reason in known]


def ended(outcome: Any, reason: str = "", **changes: Any) -> Any:
    return attempt(0.0, outcome=outcome, reason=reason, **changes)


@pytest.mark.parametrize(("outcome", "reason"), CASES)
def test_every_reason_speaks_of_one_cause(outcome: str, reason: str) -> None:
    event = ended(outcome, reason)
    kind = failure_of(event)
    assert rate_limit_of(event) is None
    assert (None if kind is None else (kind.cause, kind.in_a_row)) == KINDS[outcome][reason]


@pytest.mark.parametrize("reason", RATES)
def test_a_refusal_for_a_rate_is_no_failure(reason: str) -> None:
    event = ended("throttled", reason)
    assert failure_of(event) is None
    assert rate_limit_of(event) == RATES[reason]


def test_each_reason_that_answers_have_is_here() -> None:
    reasons = README.read_text(encoding="utf-8").partition("### Reasons")[2].partition("### How")[0]
    told: dict[str, set[str]] = {}
    outcome = ""
    for line in reasons.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 2 and not cells[1] and cells[0].startswith("`"):
            outcome = cells[0].strip("`")
        elif len(cells) == 2 and outcome and "---" not in cells[0]:
            told.setdefault(outcome, set()).update(re.findall(r"`([a-z_.0-9]+)`", cells[0]))
    assert set(told) == {*KINDS, "cancelled"}
    del told["cancelled"]
    told["throttled"] -= {"rate_limit"}
    assert {name: set(known) for name, known in KINDS.items()} == told


def test_an_answer_and_what_the_model_said_of_the_prompt_are_no_failure() -> None:
    assert failure_of(ended("ok")) is None
    assert failure_of(ended("content_error", "refusal")) is None
    assert failure_of(ended("content_error", "content_filter")) is None


def test_a_whole_timeout_behind_the_first_token_is_no_silence() -> None:
    late = msgspec.structs.replace(attempt(0.0), outcome="timeout", reason="timeout.total")
    kind = failure_of(late)
    assert kind is not None
    assert kind.cause == "provider_errors"


@pytest.mark.parametrize("outcome", [*KINDS, "throttled"])
@pytest.mark.parametrize("reason", ["", "never heard of", "connect.something", "x.y.z"])
def test_what_is_not_known_speaks_of_something(outcome: str, reason: str) -> None:
    event = ended(outcome, reason)
    kind, rate = failure_of(event), rate_limit_of(event)
    assert (kind is None) != (rate is None)
    assert (kind.cause if kind is not None else rate) in get_args(Cause)


def test_what_we_did_ourselves_speaks_of_no_route() -> None:
    assert not speaks_of_route(ended("cancelled", "local.ports"))
    assert not speaks_of_route(ended("timeout", "timeout.total", flagged="local_gap"))
    assert speaks_of_route(ended("ok"))
    assert speaks_of_route(ended("server_error"))


def test_rates_have_the_causes_of_rates() -> None:
    assert all(cause.startswith("rate_limited_") for cause in RATE_LIMITS.values())
