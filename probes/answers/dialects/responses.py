"""OpenAI Responses, as OpenAI defined it and as gateways and local servers serve it."""

import re
from dataclasses import replace
from itertools import chain
from typing import Any

from probes.answers.dialects.base import (
    Adaptation,
    Dialect,
    encode,
    messages_of,
    refuses_a_parameter,
)
from probes.answers.dialects.responses_stream import ResponsesInterpreter
from probes.config import Route
from probes.config.prompts import Message, Prompt


class ResponsesDialect(Dialect):
    """`POST /responses`, streamed."""

    name = "responses"
    path = "/responses"
    usual_event = "response.output_text.delta"

    def request_body(
        self,
        route: Route,
        *,
        max_tokens: int,
        nonce: str | None,
        adaptation: Adaptation,
        prompt: Prompt | None = None,
    ) -> bytes:
        """Return the JSON body; the route's `extra_body` is merged last and may replace a key.

        The cap is sent as it is: OpenAI refuses one below 16, and says so. The padding that it
        adds to events stays on, as users have it; `stream_options` would be refused elsewhere.
        """
        messages = messages_of(route, nonce, prompt)
        body: dict[str, Any] = {"model": route.model, "input": "", "stream": route.stream}
        if messages[0].role == "system":
            body["instructions"] = messages.pop(0).text
        alone = len(messages) == 1 and not messages[0].images
        body["input"] = messages[0].text if alone else [*chain.from_iterable(map(_said, messages))]
        if prompt is not None and prompt.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                }
                for tool in prompt.tools
            ]
        if not adaptation.drop_store:
            body["store"] = False  # else each probe would lie there for 30 days
        body["max_output_tokens"] = max_tokens
        if route.temperature is not None and not adaptation.drop_temperature:
            body["temperature"] = route.temperature
        return encode(body | route.extra_body)

    def adapt(
        self, status: int, message: str, adaptation: Adaptation, route: Route
    ) -> Adaptation | None:
        """Return how to ask again; gateways that store nothing may not know `store`."""
        names_store = refuses_a_parameter(status, message) and re.search(r"\bstore\b", message)
        if names_store and not adaptation.drop_store:
            return replace(adaptation, drop_store=True)
        return super().adapt(status, message, adaptation, route)

    def decoder(self) -> ResponsesInterpreter:
        """Return the reader of one answer."""
        return ResponsesInterpreter()


def _said(message: Message) -> list[dict[str, Any]]:
    """Return a message as items of an input: a call and what answers it are items of their own."""
    if message.role == "tool":
        return [
            {
                "type": "function_call_output",
                "call_id": message.tool_call_id,
                "output": message.text,
            }
        ]
    items: list[dict[str, Any]] = []
    if message.text or message.images:
        kind = "output_text" if message.role == "assistant" else "input_text"
        parts = [{"type": kind, "text": message.text}] if message.text else []
        parts += [{"type": "input_image", "image_url": url} for url in message.images]
        items.append({"type": "message", "role": message.role, "content": parts})
    items += [
        {
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": call.arguments,
        }
        for call in message.tool_calls
    ]
    return items
