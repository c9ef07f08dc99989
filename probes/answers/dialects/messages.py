"""Anthropic Messages, as Anthropic defined it and as gateways and local servers serve it too."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from probes.answers.dialects.asking import encode, messages_of, without_temperature
from probes.answers.dialects.base import Adaptation, Framing, endpoint
from probes.answers.dialects.messages_stream import MessagesInterpreter
from probes.config import KeyHeader, Route

_VERSIONED: Final = re.compile(r"[^/]/v\d+/*$")


class MessagesDialect:
    """`POST /v1/messages`, streamed."""

    name = "messages"
    framing: Framing = "events"
    usual_event = "content_block_delta"
    headers: Mapping[str, str] = MappingProxyType({"anthropic-version": "2023-06-01"})
    key_header: KeyHeader = "x-api-key"

    def url(self, route: Route) -> str:
        """Return the base URL with the dialect's path; its `/v1` may be part of the base or not."""
        path = (
            "/messages" if _VERSIONED.search(route.base_url.partition("?")[0]) else "/v1/messages"
        )
        return endpoint(route.base_url, path)

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

    def adapt(
        self, status: int, message: str, adaptation: Adaptation, route: Route
    ) -> Adaptation | None:
        """Return how to ask again where the temperature was refused, as new models do; once."""
        return without_temperature(status, message, adaptation, route)

    def decoder(self) -> MessagesInterpreter:
        """Return the reader of one answer."""
        return MessagesInterpreter()
