"""Anthropic Messages, as Anthropic defined it and as gateways and local servers serve it too."""

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, Final

import msgspec

from probes.answers.dialects.base import (
    Adaptation,
    Dialect,
    encode,
    endpoint,
    media_of,
    messages_of,
)
from probes.answers.dialects.messages_stream import MessagesInterpreter
from probes.config import Route
from probes.config.prompts import Message, Prompt

_VERSIONED: Final = re.compile(r"[^/]/v\d+/*$")


class MessagesDialect(Dialect):
    """`POST /v1/messages`, streamed."""

    name = "messages"
    usual_event = "content_block_delta"
    headers = MappingProxyType({"anthropic-version": "2023-06-01"})
    key_header = "x-api-key"

    def url(self, route: Route) -> str:
        """Return the base URL with the dialect's path; its `/v1` may be part of the base or not."""
        versioned = _VERSIONED.search(route.base_url.partition("?")[0])
        return endpoint(route.base_url, "/messages" if versioned else "/v1/messages")

    def request_body(
        self,
        route: Route,
        *,
        max_tokens: int,
        nonce: str | None,
        adaptation: Adaptation,
        prompt: Prompt | None = None,
    ) -> bytes:
        """Return the JSON body; the route's `extra_body` is merged last and may replace a key."""
        messages = messages_of(route, nonce, prompt)
        body: dict[str, Any] = {"model": route.model, "max_tokens": max_tokens}
        if messages[0].role == "system":
            body["system"] = messages.pop(0).text
        body |= {"messages": _said(messages), "stream": route.stream}
        if prompt is not None and prompt.tools:
            body["tools"] = [
                {
                    "name": tool.name,
                    "description": tool.description,
                    "input_schema": tool.parameters or {"type": "object"},
                }
                for tool in prompt.tools
            ]
        if route.temperature is not None and not adaptation.drop_temperature:
            body["temperature"] = route.temperature
        return encode(body | route.extra_body)

    def decoder(self) -> MessagesInterpreter:
        """Return the reader of one answer."""
        return MessagesInterpreter()


def _said(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Return messages as Anthropic has them: what a tool answers is said by the user, and the
    answers to calls that were made together stand in one message."""
    said: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message)
        follows = message.role == "tool" and said and said[-1]["role"] == "user"
        if follows and isinstance(said[-1]["content"], list):
            said[-1]["content"] += blocks
        else:
            alone = len(blocks) == 1 and blocks[0]["type"] == "text"
            said.append({"role": role, "content": message.text if alone else blocks})
    return said


def _blocks(message: Message) -> list[dict[str, Any]]:
    """Return the content of a message, a block for each of its parts."""
    if message.role == "tool":
        return [
            {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": message.text}
        ]
    blocks: list[dict[str, Any]] = []
    for media_type, data in map(media_of, message.images):
        source = {"type": "base64", "media_type": media_type, "data": data}
        blocks.append({"type": "image", "source": source})
    if message.text:
        blocks.append({"type": "text", "text": message.text})
    for call in message.tool_calls:
        given = msgspec.json.decode(call.arguments)
        blocks.append({"type": "tool_use", "id": call.id, "name": call.name, "input": given})
    return blocks
