"""OpenAI Responses, as OpenAI defined it and as gateways and local servers serve it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from probes.answers.dialects.asking import (
    encode,
    messages_of,
    refuses_a_parameter,
    without_temperature,
)
from probes.answers.dialects.base import Adaptation, Framing, endpoint
from probes.answers.dialects.responses_stream import ResponsesInterpreter
from probes.config import KeyHeader, Route


class ResponsesDialect:
    """`POST /responses`, streamed."""

    name = "responses"
    framing: Framing = "events"
    usual_event = "response.output_text.delta"
    headers: Mapping[str, str] = MappingProxyType({})
    key_header: KeyHeader = "authorization"

    def url(self, route: Route) -> str:
        """Return the route's base URL with the dialect's path."""
        return endpoint(route.base_url, "/responses")

    def request_body(
        self, route: Route, *, max_tokens: int, nonce: str | None, adaptation: Adaptation
    ) -> bytes:
        """Return the JSON body; the route's `extra_body` is merged last and may replace a key.

        The cap is sent as it is: OpenAI refuses one below 16, and says so. The padding that it
        adds to events stays on, as users have it; `stream_options` would be refused elsewhere.
        """
        *instructions, asked = (said["content"] for said in messages_of(route, nonce))
        body: dict[str, Any] = {"model": route.model, "input": asked, "stream": route.stream}
        if instructions:
            body["instructions"] = instructions[0]
        if not adaptation.drop_store:
            body["store"] = False  # else each probe would lie there for 30 days
        body["max_output_tokens"] = max_tokens
        if route.temperature is not None and not adaptation.drop_temperature:
            body["temperature"] = route.temperature
        return encode(body | route.extra_body)

    def adapt(
        self, status: int, message: str, adaptation: Adaptation, route: Route
    ) -> Adaptation | None:
        """Return how to ask again after an unsupported-parameter answer, each change once."""
        if not refuses_a_parameter(status, message):
            return None
        if re.search(r"\bstore\b", message) and not adaptation.drop_store:
            return replace(adaptation, drop_store=True)
        return without_temperature(status, message, adaptation, route)

    def decoder(self) -> ResponsesInterpreter:
        """Return the reader of one answer."""
        return ResponsesInterpreter()
