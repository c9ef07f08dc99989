"""Chat Completions, as OpenAI defined it and as everybody else serves it."""

import re
from dataclasses import replace
from typing import Any, Final

from probes.answers.dialects.base import (
    Adaptation,
    CapName,
    Dialect,
    encode,
    messages_of,
    refuses_a_parameter,
)
from probes.answers.dialects.chat_stream import ChatInterpreter
from probes.config import Route

_STREAM_OPTIONS: Final = ("stream_options", "include_usage", "continuous_usage")
"""What an answer names that refuses one of them."""


class ChatDialect(Dialect):
    """`POST /chat/completions`."""

    name = "chat"
    path = "/chat/completions"

    def question(self, route: Route, nonce: str | None) -> dict[str, Any]:
        """Return the part of the body that says what is asked."""
        return {"messages": messages_of(route, nonce)}

    def request_body(
        self, route: Route, *, max_tokens: int, nonce: str | None, adaptation: Adaptation
    ) -> bytes:
        """Return the JSON body; the route's `extra_body` is merged last and may replace a key."""
        body: dict[str, Any] = {
            "model": route.model,
            **self.question(route, nonce),
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


def _asks_continuously(route: Route, adaptation: Adaptation) -> bool:
    return route.continuous_usage and not adaptation.drop_continuous_usage


def _cap_name(route: Route, adaptation: Adaptation) -> CapName:
    return adaptation.cap_field if route.cap_field == "auto" else route.cap_field
