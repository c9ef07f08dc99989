"""What each provider's answer tells of its limits."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_headers import PROVIDERS, Told

from probes.answers.limits.reading import read_limits
from probes.answers.retry_after import retry_after_in_body_s

WALL_NS = 1_795_430_000 * 10**9  # 2026-11-23T10:33:20Z


def limits_of(headers: dict[str, str], body: object = None) -> Told:
    """Return (limit, remaining, reset) of each limit by its name, `scope:kind/window`."""
    told: Told = {}
    for item in read_limits(headers, body, wall_ns=WALL_NS):
        name = f"{item.kind}/{item.window}" if item.window else item.kind
        name = f"{item.scope}:{name}" if item.scope else name
        told[name] = (item.limit, item.remaining, item.reset_s)
    return told


@pytest.mark.parametrize(
    ("headers", "expected"),
    [(headers, told) for _, headers, told in PROVIDERS],
    ids=[name for name, _, _ in PROVIDERS],
)
def test_a_providers_headers_are_understood(headers: dict[str, str], expected: Told) -> None:
    told = limits_of(headers)
    assert told.keys() == expected.keys()
    for name, figures in expected.items():
        assert told[name] == pytest.approx(figures)


def test_openrouter_limits_are_read_from_the_body_too() -> None:
    copied = {"X-RateLimit-Limit": "50", "X-RateLimit-Reset": "1795430060000"}
    body = {"error": {"metadata": {"headers": copied}}}
    assert limits_of({}, body) == {"requests": (50.0, None, 60.0)}
    assert limits_of({"x-ratelimit-limit": "60"}, body) == {"requests": (60.0, None, 60.0)}


def google(*quotas: str, delay: object = "47s") -> list[Any]:
    violations = [{"quotaId": quota, "quotaValue": "15"} for quota in quotas]
    details = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    ]
    return [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": details}}]


def test_what_google_says_is_used_up_is_read_from_the_body() -> None:
    body = google(
        "GenerateRequestsPerMinutePerProjectPerModel-FreeTier",
        "GenerateContentInputTokensPerModelPerDay-FreeTier",
    )
    assert limits_of({}, body) == {
        "requests/minute": (15.0, 0.0, 47.0),
        "input_tokens/day": (15.0, 0.0, None),
    }


@pytest.mark.parametrize(
    ("delay", "expected"),
    [
        ("47s", 47.0),
        ("45.578569677s", 45.578569677),
        ({"seconds": 3}, 3.0),
        ({"seconds": -3}, 0.0),
        ({"seconds": 10**400}, 1e9),
        (7, None),
        ("", None),
        ("1795430060", None),
    ],
)
def test_the_wait_that_google_asks_for_is_read(delay: object, expected: float | None) -> None:
    assert retry_after_in_body_s(google(delay=delay)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"retry_after": 7}}, 7.0),
        ({"error": {"retry_after": "7s"}}, 7.0),
        ({"error": {"retryAfter": 2.5}}, 2.5),
        ({"error": {"retry_after_ms": 1500}}, 1.5),
        ({"title": "Error 1015", "status": 429, "retry_after": 30}, 30.0),
        ({"error": {"resets_in_seconds": 13_872, "resets_at": 1}}, 13_872.0),
        ({"error": {"resets_at": 1_795_430_060}}, 60.0),
        ({"error": {"resets_at": 1_795_429_000}}, None),
        ({"error": {"metadata": {"retry_after": 3}}}, 3.0),
        ({"error": {"metadata": {"headers": {"Retry-After": "12"}}}}, 12.0),
        ({"detail": {"retry_after": 4}}, 4.0),
        ({"error": {"message": '{"error": {"retry_after": 5, "message": "x"}}'}}, 5.0),
        ({"error": {"details": [{"metadata": {"quotaResetDelay": "1h0m2s"}}]}}, 3602.0),
        ({"error": {"retry_after": -5}}, 0.0),
        ({"error": {"retry_after": 10**400}}, 1e9),
        ({"error": {"retry_after": True}}, None),
        ({"error": {"retry_after": "soon"}}, None),
        ({"error": {"retry_after": None}}, None),
        ({"error": {"message": "try again in 30s"}}, None),
    ],
    ids=str,
)
def test_a_wait_in_a_field_is_asked_and_one_in_words_is_not(
    body: object, expected: float | None
) -> None:
    assert retry_after_in_body_s(body, WALL_NS) == (
        None if expected is None else pytest.approx(expected, rel=1e-3)
    )


def test_a_reset_in_words_is_a_limit_with_nothing_left() -> None:
    body = {"error": {"message": "You've reached your weekly limit, it resets in 4h 13m."}}
    (limit,) = read_limits({}, body, wall_ns=WALL_NS)
    assert (limit.kind, limit.remaining, limit.reset_s) == ("usage", 0.0, 15_180.0)
    short = {"error": {"message": "Please try again in 644ms."}}
    assert read_limits({}, short, wall_ns=WALL_NS) == ()


@pytest.mark.parametrize(
    ("code", "reset_s"),
    [("1308", 3_600.0), (1310, 3_600.0), ("1309", 32_400.0), ("quota", 32_400.0)],
)
def test_a_moment_without_a_zone_is_of_the_clock_of_whose_number_the_error_has(
    code: object, reset_s: float
) -> None:
    """Zhipu's moments are China's also where its words are English; those of others are UTC."""
    message = "Your usage limit is reached. It will reset at 2026-11-23 19:33:20"
    (limit,) = read_limits({}, {"error": {"code": code, "message": message}}, wall_ns=WALL_NS)
    assert limit.reset_s == pytest.approx(reset_s)


def test_a_reset_that_is_a_moment_is_read_by_the_servers_own_clock() -> None:
    headers = {"date": "Mon, 23 Nov 2026 11:33:20 GMT", "x-ratelimit-reset": "1795433660"}
    assert limits_of(headers) == {"requests": (None, None, 60.0)}


def test_what_is_below_zero_is_nothing_left_and_no_limit_at_all() -> None:
    assert limits_of({"x-ratelimit-remaining-requests": "-3"})["requests"][1] == 0.0
    unlimited = {"x-ratelimit-limit-tokens": "-1", "x-ratelimit-remaining-tokens": "-1"}
    assert limits_of(unlimited) == {}
    nothing_at_all = {"x-ratelimit-limit-tokens": "0", "x-ratelimit-remaining-tokens": "0"}
    assert limits_of(nothing_at_all)["tokens"][:2] == (0.0, 0.0)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "x",
        {"error": None},
        {"error": {"metadata": [1]}},
        {"error": {"details": {}}},
        {"error": {"details": [None, {"violations": [1, {"quotaId": 5}]}, {"retryDelay": 4}]}},
    ],
)
def test_any_body_is_taken(body: object) -> None:
    assert read_limits({"x-ratelimit-limit-requests": "many"}, body, wall_ns=WALL_NS) == ()


def test_a_server_cannot_flood_the_limits() -> None:
    headers = {f"x-ratelimit-limit-kind{number}": "1" for number in range(1000)}
    headers["ratelimit"] = ", ".join(f'"p{number}";r=1' for number in range(1000))
    assert len(read_limits(headers, google(*"x" * 99), wall_ns=WALL_NS)) == 16


def test_what_is_known_of_a_limit_is_filled_in_though_there_are_as_many_as_are_read() -> None:
    named = [f"x-ratelimit-{{}}-kind{number}" for number in range(17)]
    headers = {name.format(part): "7" for part in ("limit", "remaining") for name in named}
    found = read_limits(headers, None, wall_ns=WALL_NS)
    assert [(limit.limit, limit.remaining) for limit in found] == [(7.0, 7.0)] * 16


NAMES = st.sampled_from(
    ["ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-reset-tokens", "date"]
)
VALUES = st.text(st.sampled_from('09.,;=-"wqrt ms:'), max_size=60) | st.text(max_size=60)


@given(st.dictionaries(NAMES | st.text(max_size=40), VALUES, max_size=8))
def test_no_header_breaks_the_reader(headers: dict[str, str]) -> None:
    for limit in read_limits(headers, None, wall_ns=WALL_NS):
        assert limit.remaining is None or limit.remaining >= 0
        assert limit.reset_s is None or limit.reset_s >= 0


KEYS = st.sampled_from(
    ["error", "details", "violations", "quotaId", "quotaValue", "retryDelay", "metadata", "headers"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(JSON)
def test_no_body_breaks_the_reader(body: object) -> None:
    wrapped = {"error": {"details": [body, {"violations": [body]}], "metadata": {"headers": body}}}
    for given_body in (body, wrapped):
        assert len(read_limits({}, given_body, wall_ns=WALL_NS)) <= 16
        asked_s = retry_after_in_body_s(given_body)
        assert asked_s is None or asked_s >= 0
