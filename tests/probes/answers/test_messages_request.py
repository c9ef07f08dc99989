"""What the Messages dialect asks: the request, where it goes, and what is left out of it."""

import json
from typing import Any

import pytest

from probes.answers.dialects import dialect_for
from probes.answers.dialects.base import Adaptation
from probes.answers.dialects.messages import MessagesDialect
from probes.answers.request_headers import request_headers
from probes.config import Route

MESSAGES = MessagesDialect()
PLAIN = Adaptation()


def route(base_url: str = "http://x", **settings: Any) -> Route:
    return Route(name="r", base_url=base_url, model="m", prompt="hi", **settings)


def body(
    nonce: str | None = None, adaptation: Adaptation = PLAIN, **settings: Any
) -> dict[str, Any]:
    written = MESSAGES.request_body(
        route(**settings), max_tokens=64, nonce=nonce, adaptation=adaptation
    )
    return dict(json.loads(written))


def test_the_request_asks_for_a_capped_stream() -> None:
    assert body() == {
        "model": "m",
        "max_tokens": 64,
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
    }


def test_the_system_prompt_stands_apart_and_a_nonce_before_everything() -> None:
    assert body(nonce="n1")["messages"][0]["content"] == "n1\nhi"
    written = body(nonce="n1", system="be brief")
    assert written["system"] == "n1\nbe brief"
    assert written["messages"] == [{"role": "user", "content": "hi"}]


def test_the_extra_body_is_merged_last() -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    written = body(extra_body={"thinking": thinking, "max_tokens": 2048}, temperature=1.0)
    assert (written["thinking"], written["max_tokens"]) == (thinking, 2048)
    assert written["temperature"] == 1.0


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        ("https://api.anthropic.com", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/v1", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/v1/", "https://api.anthropic.com/v1/messages"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/v1/messages"),
        ("https://h/api/v1?team=7", "https://h/api/v1/messages?team=7"),
        ("https://h/anthropic?team=/v1", "https://h/anthropic/v1/messages?team=/v1"),
        ("https://v1.example", "https://v1.example/v1/messages"),
        ("http://v1", "http://v1/v1/messages"),
    ],
)
def test_the_version_may_be_part_of_the_base_url_or_not(base_url: str, url: str) -> None:
    assert MESSAGES.url(route(base_url)) == url


def test_the_version_and_the_key_stand_in_headers_of_their_own() -> None:
    asked = request_headers({"Authorization": "Bearer abc"}, MESSAGES)
    assert (asked["anthropic-version"], asked["x-api-key"]) == ("2023-06-01", "abc")
    assert "Authorization" not in asked


@pytest.mark.parametrize(
    "message",
    [
        "`temperature` is deprecated for this model.",
        "temperature is not supported for claude-x when set to non-default values",
        "`temperature` may only be set to 1 when thinking is enabled.",
        "`temperature` and `top_p` cannot both be specified for this model.",
    ],
)
def test_a_refused_temperature_is_dropped_once(message: str) -> None:
    warm = route(temperature=0.0)
    cooler = MESSAGES.adapt(400, message, PLAIN, warm)
    assert cooler == Adaptation(drop_temperature=True)
    assert "temperature" not in body(adaptation=cooler, temperature=0.0)
    assert MESSAGES.adapt(400, message, cooler, warm) is None
    assert MESSAGES.adapt(400, message, PLAIN, route()) is None


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "temperature: Input should be less than or equal to 1"),
        (400, "max_tokens: Extra inputs are not permitted"),
        (529, "`temperature` is deprecated for this model."),
    ],
)
def test_other_refusals_change_nothing(status: int, message: str) -> None:
    assert MESSAGES.adapt(status, message, PLAIN, route(temperature=2.0)) is None


def test_the_dialect_is_found_by_name() -> None:
    assert dialect_for("messages").name == "messages"
