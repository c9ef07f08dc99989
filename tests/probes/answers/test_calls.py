"""What tools are called with: JSON, or the object that a server forgot to encode."""

import json
from typing import Any

import pytest

from probes.answers.dialects import dialect_for
from probes.answers.dialects.calls import given_to_call
from probes.answers.sse import ServerSentEvent


@pytest.mark.parametrize(
    ("value", "given"),
    [
        ('{"x":1}', '{"x":1}'),
        ({"x": 1, "y": [True, None]}, '{"x":1,"y":[true,null]}'),
        ({}, "{}"),
        ({"x": 10**30}, '{"x":1' + "0" * 30 + "}"),
        ({"x": "\ud83d"}, '{"x":"\ud83d"}'),
        (None, ""),
        (7, ""),
        (True, ""),
    ],
)
def test_an_object_is_told_as_its_json(value: Any, given: str) -> None:
    assert given_to_call(value) == given


def test_an_object_nested_beyond_reason_is_nothing() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    assert given_to_call(value) == ""


CHAT = {"choices": [{"delta": {"tool_calls": [{"function": {"arguments": {"x": "\ud83d"}}}]}}]}
RESPONSES = {"type": "response.function_call_arguments.done", "arguments": {"x": "\ud83d"}}


@pytest.mark.parametrize(("dialect", "event"), [("chat", CHAT), ("responses", RESPONSES)])
def test_half_a_character_in_an_object_is_no_harm(dialect: Any, event: dict[str, Any]) -> None:
    interpreter = dialect_for(dialect).decoder()
    assert interpreter.event(ServerSentEvent(data=json.dumps(event))).kind == "tool_call"
    assert interpreter.transcript.tool_calls.whole() == (("", '{"x":"\ud83d"}'),)
