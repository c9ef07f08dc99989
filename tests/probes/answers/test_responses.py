"""The Responses dialect: the request that it writes."""

import json
from typing import Any

import pytest

from probes.answers.dialects import dialect_for
from probes.answers.dialects.base import Adaptation
from probes.answers.dialects.responses import ResponsesDialect
from probes.config import Route

RESPONSES = ResponsesDialect()
PLAIN = Adaptation()


def route(**settings: Any) -> Route:
    return Route(name="r", base_url="http://x/v1", model="m", prompt="hi", **settings)


def body(
    nonce: str | None = None, adaptation: Adaptation = PLAIN, **settings: Any
) -> dict[str, Any]:
    written = RESPONSES.request_body(
        route(**settings), max_tokens=64, nonce=nonce, adaptation=adaptation
    )
    return dict(json.loads(written))


def test_the_request_asks_for_a_capped_stream_that_is_not_stored() -> None:
    assert body() == {
        "model": "m",
        "input": "hi",
        "stream": True,
        "store": False,
        "max_output_tokens": 64,
    }


def test_it_goes_to_the_responses_path_before_any_query() -> None:
    assert RESPONSES.url(route()) == "http://x/v1/responses"
    azure = Route(name="r", base_url="https://a/openai/v1?api-version=preview", model="m")
    assert RESPONSES.url(azure) == "https://a/openai/v1/responses?api-version=preview"


def test_the_system_prompt_goes_as_instructions() -> None:
    written = body(system="be brief")
    assert (written["instructions"], written["input"]) == ("be brief", "hi")


def test_a_nonce_comes_before_everything_else_of_the_prompt() -> None:
    assert body(nonce="n1")["input"] == "n1\nhi"
    written = body(nonce="n1", system="be brief")
    assert (written["instructions"], written["input"]) == ("n1\nbe brief", "hi")


def test_the_extra_body_is_merged_last() -> None:
    written = body(extra_body={"store": True, "reasoning": {"effort": "low"}}, temperature=0.0)
    assert (written["store"], written["temperature"]) == (True, 0.0)
    assert written["reasoning"] == {"effort": "low"}


def test_the_cap_has_one_name_whatever_chat_calls_it() -> None:
    written = body(cap_field="max_completion_tokens")
    assert written["max_output_tokens"] == 64
    assert "max_completion_tokens" not in written


UNSUPPORTED_TEMPERATURE = "Unsupported parameter: 'temperature' is not supported with this model."


def test_store_and_temperature_are_dropped_once_each() -> None:
    warm = route(temperature=0.0)
    bare = RESPONSES.adapt(400, "Unknown parameter: 'store'.", PLAIN, warm)
    assert bare == Adaptation(drop_store=True)
    assert "store" not in body(adaptation=bare)
    assert bare.describe() == "store is not sent, so the provider may keep the answers"
    assert RESPONSES.adapt(400, "Unknown parameter: 'store'.", bare, warm) is None
    cooler = RESPONSES.adapt(400, UNSUPPORTED_TEMPERATURE, bare, warm)
    assert cooler == Adaptation(drop_store=True, drop_temperature=True)
    assert "temperature" not in body(adaptation=cooler, temperature=0.0)
    assert RESPONSES.adapt(400, UNSUPPORTED_TEMPERATURE, cooler, warm) is None


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (
            400,
            "Invalid 'max_output_tokens': integer below minimum value. "
            "Expected a value >= 16, but got 1 instead.",
        ),
        (400, "Unsupported parameter: 'max_output_tokens'"),
        (400, "vector_stores are not supported"),
        (400, UNSUPPORTED_TEMPERATURE),
        (500, "Unknown parameter: 'store'."),
        (401, ""),
    ],
)
def test_other_refusals_change_nothing(status: int, message: str) -> None:
    assert RESPONSES.adapt(status, message, PLAIN, route()) is None


def test_the_dialect_is_found_by_name() -> None:
    assert dialect_for("responses").name == "responses"
