"""Tries that a gateway made behind our back, by its own word."""

import pytest

from probes.answers.gateway import hidden_retries, router_attempts, tries_reported


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 0),
        ({"x-litellm-attempted-retries": "0", "x-litellm-attempted-fallbacks": "0"}, 0),
        ({"x-litellm-attempted-retries": "2"}, 2),
        ({"x-litellm-attempted-retries": "2", "x-litellm-attempted-fallbacks": "1"}, 3),
        ({"x-envoy-attempt-count": "1"}, 0),
        ({"x-envoy-attempt-count": "3"}, 2),
        ({"ngrok-aig-attempts": "3"}, 2),
        ({"x-portkey-retry-attempt-count": "1"}, 1),
        ({"x-portkey-retry-attempt-count": "-1"}, 0),
        ({"helicone-fallback-index": "1"}, 1),
        ({"cf-aig-step": "2"}, 2),
        ({"cf-aig-step": "two"}, 0),
        ({"cf-aig-step": "9" * 30}, 0),
        ({"x-envoy-attempt-count": "2", "x-litellm-attempted-retries": "1"}, 2),
    ],
)
def test_further_tries_are_added_up(headers: dict[str, str], expected: int) -> None:
    assert hidden_retries(headers) == expected


def test_what_the_answer_itself_tells_counts_too() -> None:
    assert hidden_retries({"cf-aig-step": "1"}, 2) == 3


def test_who_told_of_them_is_known() -> None:
    headers = {"x-envoy-attempt-count": "3", "x-litellm-attempted-retries": "0"}
    assert tries_reported(headers) == [("x-envoy-attempt-count", 2)]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [({}, 0), ({"attempts": [{}]}, 0), ({"attempts": [{}, {}]}, 1), ({"attempts": 4}, 0)],
)
def test_the_providers_that_a_router_tried(metadata: dict[str, object], expected: int) -> None:
    assert router_attempts(metadata) == expected
