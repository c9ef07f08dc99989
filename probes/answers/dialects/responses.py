"""OpenAI Responses, as OpenAI defined it and as gateways and local servers serve it."""

import re
from dataclasses import replace
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


class ResponsesDialect(Dialect):
    """`POST /responses`, streamed."""

    name = "responses"
    path = "/responses"
    usual_event = "response.output_text.delta"

    def request_body(
        self, route: Route, *, max_tokens: int, nonce: str | None, adaptation: Adaptation
    ) -> bytes:
        """Return the JSON body; the route's `extra_body` is merged last and may replace a key.

        The cap is sent as it is: OpenAI refuses one below 16, and says so. The padding that it
        adds to events stays on, as users have it; `stream_options` would be refused elsewhere.
        """
        *instructions, asked = (message["content"] for message in messages_of(route, nonce))
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
        """Return how to ask again; gateways that store nothing may not know `store`."""
        names_store = refuses_a_parameter(status, message) and re.search(r"\bstore\b", message)
        if names_store and not adaptation.drop_store:
            return replace(adaptation, drop_store=True)
        return super().adapt(status, message, adaptation, route)

    def decoder(self) -> ResponsesInterpreter:
        """Return the reader of one answer."""
        return ResponsesInterpreter()
