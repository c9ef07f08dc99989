"""Anthropic Messages, as Anthropic defined it and as gateways and local servers serve it too."""

import re
from types import MappingProxyType
from typing import Any, Final

from probes.answers.dialects.base import Adaptation, Dialect, encode, endpoint, messages_of
from probes.answers.dialects.messages_stream import MessagesInterpreter
from probes.config import Route

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
        self, route: Route, *, max_tokens: int, nonce: str | None, adaptation: Adaptation
    ) -> bytes:
        """Return the JSON body; the route's `extra_body` is merged last and may replace a key."""
        messages = messages_of(route, nonce)
        body: dict[str, Any] = {"model": route.model, "max_tokens": max_tokens}
        if messages[0]["role"] == "system":
            body["system"] = messages.pop(0)["content"]
        body |= {"messages": messages, "stream": route.stream}
        if route.temperature is not None and not adaptation.drop_temperature:
            body["temperature"] = route.temperature
        return encode(body | route.extra_body)

    def decoder(self) -> MessagesInterpreter:
        """Return the reader of one answer."""
        return MessagesInterpreter()
