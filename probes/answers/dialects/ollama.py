"""Ollama's own API: `POST /api/chat`, whose streams are lines of JSON."""

from types import MappingProxyType
from typing import Any

import msgspec

from probes.answers.dialects.base import (
    Adaptation,
    Dialect,
    chat_tools,
    encode,
    endpoint,
    media_of,
    messages_of,
)
from probes.answers.dialects.ollama_stream import OllamaInterpreter
from probes.config import Route
from probes.config.prompts import Message, Prompt


class OllamaDialect(Dialect):
    """`POST /api/chat` of a server whose base URL has no path of its own, or ends in `/api`."""

    name = "ollama"
    framing = "lines"
    headers = MappingProxyType({"Accept": "application/x-ndjson, application/json"})

    def url(self, route: Route) -> str:
        """Return the route's base URL with the dialect's path."""
        path = route.base_url.partition("?")[0].rstrip("/")
        return endpoint(route.base_url, "/chat" if path.endswith("/api") else "/api/chat")

    def request_body(
        self,
        route: Route,
        *,
        max_tokens: int,
        nonce: str | None,
        adaptation: Adaptation,
        prompt: Prompt | None = None,
    ) -> bytes:
        """Return the JSON body; `extra_body` is merged last, its `options` key by key."""
        options: dict[str, Any] = {"num_predict": max_tokens}
        if route.temperature is not None and not adaptation.drop_temperature:
            options["temperature"] = route.temperature
        body: dict[str, Any] = {
            "model": route.model,
            "messages": [_said(message) for message in messages_of(route, nonce, prompt)],
            "stream": route.stream,
            "options": options,
        }
        if prompt is not None and prompt.tools:
            body["tools"] = chat_tools(prompt.tools)
        own = route.extra_body.get("options")
        merged = {"options": options | own} if isinstance(own, dict) else {}
        return encode(body | route.extra_body | merged)

    def decoder(self) -> OllamaInterpreter:
        """Return the reader of one answer."""
        return OllamaInterpreter()


def _said(message: Message) -> dict[str, Any]:
    """Return a message as Ollama has it: calls without ids, and their arguments as objects."""
    said: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.images:
        said["images"] = [media_of(url)[1] for url in message.images]
    if message.tool_calls:
        said["tool_calls"] = [
            {"function": {"name": call.name, "arguments": msgspec.json.decode(call.arguments)}}
            for call in message.tool_calls
        ]
    return said
