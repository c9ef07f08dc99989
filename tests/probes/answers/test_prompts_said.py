"""A prompt of a file is said by each dialect in its own words: messages, tools, calls, pictures."""

import json
from typing import Any

import pytest

from probes.answers.dialects import dialect_for
from probes.answers.dialects.base import Adaptation
from probes.config import Dialect, Route
from probes.config.prompts import Message, Prompt, Tool, ToolCall

URL = "data:image/png;base64,aGk="
PROMPT = Prompt(
    name="p",
    messages=(
        Message(role="system", text="be brief"),
        Message(role="user", text="look", images=(URL,)),
        Message(
            role="assistant",
            tool_calls=(
                ToolCall(id="c1", name="weather", arguments='{"city": "Oslo"}'),
                ToolCall(id="c2", name="weather", arguments='{"city": "Rome"}'),
            ),
        ),
        Message(role="tool", text="rain", tool_call_id="c1"),
        Message(role="tool", text="sun", tool_call_id="c2"),
    ),
    tools=(Tool(name="weather", description="of a city", parameters={"type": "object"}),),
)


def body(name: Dialect, prompt: Prompt = PROMPT, nonce: str | None = None) -> dict[str, Any]:
    route = Route(name="r", base_url="http://h", model="m", prompt="not this", system=None)
    written = dialect_for(name).request_body(
        route, max_tokens=9, nonce=nonce, adaptation=Adaptation(), prompt=prompt
    )
    assert b"not this" not in written
    return json.loads(written)


@pytest.mark.parametrize("name", ["chat", "azure"])
def test_chat_has_it_as_it_stands_in_the_file(name: Dialect) -> None:
    system, user, assistant, first, second = body(name)["messages"]
    assert system == {"role": "system", "content": "be brief"}
    assert user["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": URL}},
    ]
    assert [call["function"]["arguments"] for call in assistant["tool_calls"]] == [
        '{"city": "Oslo"}',
        '{"city": "Rome"}',
    ]
    assert (first["tool_call_id"], second["tool_call_id"]) == ("c1", "c2")
    (tool,) = body(name)["tools"]
    assert tool == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "of a city",
            "parameters": {"type": "object"},
        },
    }


def test_messages_has_blocks_and_the_answers_of_tools_in_one_message_of_the_user() -> None:
    said = body("messages")
    assert said["system"] == "be brief"
    user, assistant, results = said["messages"]
    assert user["content"][0]["source"] == {
        "type": "base64",
        "media_type": "image/png",
        "data": "aGk=",
    }
    assert assistant["content"][0] == {
        "type": "tool_use",
        "id": "c1",
        "name": "weather",
        "input": {"city": "Oslo"},
    }
    assert results["role"] == "user"
    assert [one["tool_use_id"] for one in results["content"]] == ["c1", "c2"]
    assert said["tools"][0]["input_schema"] == {"type": "object"}


def test_responses_has_items_and_flat_tools() -> None:
    said = body("responses")
    assert said["instructions"] == "be brief"
    user, *others = said["input"]
    assert user["content"] == [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "image_url": URL},
    ]
    assert [one["type"] for one in others] == ["function_call"] * 2 + ["function_call_output"] * 2
    assert said["tools"][0]["name"] == "weather"


def test_ollama_has_bare_pictures_and_arguments_as_objects() -> None:
    said = body("ollama")
    assert said["messages"][1]["images"] == ["aGk="]
    assert said["messages"][2]["tool_calls"][0]["function"]["arguments"] == {"city": "Oslo"}
    assert said["tools"][0]["function"]["name"] == "weather"


def test_completions_has_the_words_alone() -> None:
    words = Prompt(name="p", messages=(*PROMPT.messages[:1], Message(role="user", text="go")))
    assert body("completions", words)["prompt"] == "be brief\n\ngo"


@pytest.mark.parametrize("name", ["chat", "messages", "responses", "ollama", "completions"])
def test_a_nonce_comes_before_all_that_is_said(name: Dialect) -> None:
    words = Prompt(name="p", messages=(Message(role="user", text="go"),))
    assert "77\\ngo" in json.dumps(body(name, words, nonce="77"))
