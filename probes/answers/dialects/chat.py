"""Chat Completions, as OpenAI defined it and as everybody else serves it."""

import re
from dataclasses import replace
from typing import Any, Final

from probes.answers.dialects.base import (
    Adaptation,
    CapName,
    Dialect,
    chat_tools,
    encode,
    messages_of,
    refuses_a_parameter,
)
from probes.answers.dialects.chat_stream import ChatInterpreter
from probes.config import Route
from probes.config.prompts import Message, Prompt

_STREAM_OPTIONS: Final = ("stream_options", "include_usage", "continuous_usage")
"""What an answer names that refuses one of them."""


class ChatDialect(Dialect):
    """`POST /chat/completions`."""

    name = "chat"
    path = "/chat/completions"

    def question(self, route: Route, nonce: str | None, prompt: Prompt | None) -> dict[str, Any]:
        """Return the part of the body that says what is asked."""
        said = [_said(message) for message in messages_of(route, nonce, prompt)]
        tools = chat_tools(prompt.tools) if prompt is not None else []
        return {"messages": said, **({"tools": tools} if tools else {})}

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
        body: dict[str, Any] = {
            "model": route.model,
            **self.question(route, nonce, prompt),
            "stream": route.stream,
        }
        if route.stream and not adaptation.drop_stream_options:
            options = {"include_usage": True}
            if _asks_continuously(route, adaptation):
                options["continuous_usage_stats"] = True
            body["stream_options"] = options
        body[_cap_name(route, adaptation)] = max_tokens
        if route.temperature is not None and not adaptation.drop_temperature:
            body["temperature"] = route.temperature
        return encode(body | route.extra_body)

    def adapt(
        self, status: int, message: str, adaptation: Adaptation, route: Route
    ) -> Adaptation | None:
        """Return how to ask again; the cap's other name, then fewer stream options.

        Of the stream options the rarer goes first: most servers that refuse it know the other.
        """
        if not refuses_a_parameter(status, message):
            return None
        cap = _cap_name(route, adaptation)
        if re.search(rf"\b{cap}\b", message) and route.cap_field == "auto":
            if adaptation.cap_switched:
                return None
            other: CapName = "max_completion_tokens" if cap == "max_tokens" else "max_tokens"
            return replace(adaptation, cap_field=other, cap_switched=True)
        if any(name in message for name in _STREAM_OPTIONS):
            if adaptation.drop_stream_options:
                return None
            if _asks_continuously(route, adaptation):
                return replace(adaptation, drop_continuous_usage=True)
            return replace(adaptation, drop_stream_options=True)
        return super().adapt(status, message, adaptation, route)

    def decoder(self) -> ChatInterpreter:
        """Return the reader of one answer."""
        return ChatInterpreter()


def _said(message: Message) -> dict[str, Any]:
    """Return a message in the words of Chat Completions."""
    said: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.images:
        pictures = [{"type": "image_url", "image_url": {"url": url}} for url in message.images]
        words = [{"type": "text", "text": message.text}] if message.text else []
        said["content"] = [*words, *pictures]
    if message.tool_calls:
        said["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        said["tool_call_id"] = message.tool_call_id
    return said


def _asks_continuously(route: Route, adaptation: Adaptation) -> bool:
    return route.continuous_usage and not adaptation.drop_continuous_usage


def _cap_name(route: Route, adaptation: Adaptation) -> CapName:
    return adaptation.cap_field if route.cap_field == "auto" else route.cap_field
