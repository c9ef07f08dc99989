"""Waits and limits as the providers spell them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.throttle import (
    kept_headers,
    parse_reset,
    read_limits,
    retry_after_s,
)

WALL_NS = 1_795_430_000 * 10**9  # 2026-11-23T10:33:20Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120ms", 0.12),
        ("1s", 1.0),
        ("7.66s", 7.66),
        ("6m0s", 360.0),
        ("2m59.56s", 179.56),
        ("9m38.016s", 578.016),
        ("1h2m", 3720.0),
        ("1d", 86_400.0),
        ("1m500ms", 60.5),
        ("59", 59.0),
        ("0.5", 0.5),
        ("0", 0.0),
        ("1795430060", 60.0),
        ("1795430060000", 60.0),
        ("1795430060.5", 60.5),
        ("2026-11-23T10:34:20Z", 60.0),
        ("2026-11-23T11:34:20+01:00", 60.0),
        ("Mon, 23 Nov 2026 10:34:20 GMT", 60.0),
        ("2020-01-01T00:00:00Z", 0.0),
        ("1600000000", 0.0),
    ],
)
def test_a_reset_is_understood(text: str, expected: float) -> None:
    assert parse_reset(text, WALL_NS) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "soon", "-5", "-1s", "1x", "s", "ms", "nan", "inf", "1 000"])
def test_garbage_is_no_reset(text: str) -> None:
    assert parse_reset(text, WALL_NS) is None


@given(st.text(max_size=300))
def test_no_text_breaks_the_parsers(text: str) -> None:
    reset = parse_reset(text, WALL_NS)
    asked = retry_after_s({"retry-after": text, "retry-after-ms": text}, wall_ns=WALL_NS)
    assert reset is None or reset >= 0
    assert asked is None or asked >= 0


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after-ms": "644", "retry-after": "1"}, 0.644),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": " 3 "}, 3.0),
        ({"retry-after": "Mon, 23 Nov 2026 10:34:20 GMT"}, 60.0),
        ({"retry-after": "Mon, 23 Nov 2026 10:16:40 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    assert retry_after_s(headers, wall_ns=WALL_NS) == pytest.approx(expected)


def limits_of(headers: dict[str, str], body: object = None) -> dict[str, tuple[object, ...]]:
    limits = read_limits(headers, body, wall_ns=WALL_NS)
    return {item.kind: (item.limit, item.remaining, item.reset_s, item.window) for item in limits}


def test_openai_limits() -> None:
    headers = {
        "x-ratelimit-limit-requests": "500",
        "x-ratelimit-remaining-requests": "499",
        "x-ratelimit-reset-requests": "120ms",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert limits_of(headers) == {
        "requests": (500.0, 499.0, 0.12, ""),
        "tokens": (None, 0.0, 360.0, ""),
    }


def test_groq_counts_requests_by_day_and_tokens_by_minute() -> None:
    headers = {
        "x-groq-region": "us-west-1",
        "x-ratelimit-limit-requests": "14400",
        "x-ratelimit-limit-tokens": "18000",
    }
    assert limits_of(headers) == {
        "requests": (14400.0, None, None, "day"),
        "tokens": (18000.0, None, None, "minute"),
    }


def test_openrouter_limits_are_read_from_the_body_too() -> None:
    copied = {"X-RateLimit-Limit": "50", "X-RateLimit-Reset": "1795430060000"}
    body = {"error": {"metadata": {"headers": copied}}}
    assert limits_of({}, body) == {"requests": (50.0, None, 60.0, "")}
    assert limits_of({"x-ratelimit-limit": "60"}, body) == {"requests": (60.0, None, 60.0, "")}


def test_anthropic_together_and_fireworks_limits() -> None:
    headers = {
        "anthropic-ratelimit-input-tokens-remaining": "100",
        "anthropic-ratelimit-input-tokens-reset": "2026-11-23T10:34:20Z",
        "x-tokenlimit-limit": "1000",
        "x-ratelimit-limit-tokens-generated": "7",
        "ratelimit-remaining": "9, 9;w=60",
    }
    assert limits_of(headers) == {
        "input_tokens": (None, 100.0, 60.0, ""),
        "tokens": (1000.0, None, None, ""),
        "output_tokens": (7.0, None, None, ""),
        "requests": (None, 9.0, None, ""),
    }


def test_a_window_in_the_name_is_told() -> None:
    headers = {"x-ratelimit-remaining-requests-day": "3"}
    assert limits_of(headers) == {"requests": (None, 3.0, None, "day")}


def test_what_is_below_zero_is_nothing_left() -> None:
    assert limits_of({"x-ratelimit-remaining-requests": "-3"})["requests"][1] == 0.0


@pytest.mark.parametrize("body", [None, [], "x", {"error": None}, {"error": {"metadata": [1]}}])
def test_any_body_is_taken(body: object) -> None:
    assert read_limits({"x-ratelimit-limit-requests": "many"}, body, wall_ns=WALL_NS) == ()


def test_a_server_cannot_flood_the_limits() -> None:
    headers = {f"x-ratelimit-limit-kind{number}": "1" for number in range(1000)}
    assert len(read_limits(headers, None, wall_ns=WALL_NS)) == 16
    assert len(kept_headers(headers)) == 48


def test_kept_headers_are_an_allow_list_and_cut() -> None:
    kept = kept_headers(
        {
            "cf-ray": "8c1-FRA",
            "set-cookie": "secret",
            "authorization": "Bearer x",
            "server": "s" * 500,
            "x-ratelimit-limit-requests": "5",
        }
    )
    assert kept == {"cf-ray": "8c1-FRA", "server": "s" * 200, "x-ratelimit-limit-requests": "5"}
