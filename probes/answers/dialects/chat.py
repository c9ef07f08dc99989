"""Chat Completions, as OpenAI defined it and as everybody else serves it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from probes.answers.dialects.asking import (
    encode,
    messages_of,
    refuses_a_parameter,
    without_temperature,
)
from probes.answers.dialects.base import Adaptation, CapName, Framing, endpoint
from probes.answers.dialects.chat_stream import ChatInterpreter
from probes.config import KeyHeader, Route

_STREAM_OPTIONS: Final = ("stream_options", "include_usage", "continuous_usage")
"""What an answer names that refuses one of them."""


class ChatDialect:
    """`POST /chat/completions`."""

    name = "chat"
    path = "/chat/completions"
    framing: Framing = "events"
    usual_event = "message"
    headers: Mapping[str, str] = MappingProxyType({})
    key_header: KeyHeader = "authorization"

    def url(self, route: Route) -> str:
        """Return the route's base URL with the dialect's path."""
        return endpoint(route.base_url, self.path)

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
            body["stream_options"] = _stream_options(route, adaptation)
        body[_cap_name(route, adaptation)] = max_tokens
        if route.temperature is not None and not adaptation.drop_temperature:
            body["temperature"] = route.temperature
        return encode(body | route.extra_body)

    def adapt(
        self, status: int, message: str, adaptation: Adaptation, route: Route
    ) -> Adaptation | None:
        """Return how to ask again after an unsupported-parameter answer, each change once."""
        if not refuses_a_parameter(status, message):
            return None
        cap = _cap_name(route, adaptation)
        if re.search(rf"\b{cap}\b", message) and route.cap_field == "auto":
            return None if adaptation.cap_switched else _with_other_cap(adaptation)
        if any(name in message for name in _STREAM_OPTIONS):
            return _with_fewer_stream_options(route, adaptation)
        return without_temperature(status, message, adaptation, route)

    def decoder(self) -> ChatInterpreter:
        """Return the reader of one answer."""
        return ChatInterpreter()


def _stream_options(route: Route, adaptation: Adaptation) -> dict[str, bool]:
    options = {"include_usage": True}
    if _asks_continuously(route, adaptation):
        options["continuous_usage_stats"] = True
    return options


def _asks_continuously(route: Route, adaptation: Adaptation) -> bool:
    return route.continuous_usage and not adaptation.drop_continuous_usage


def _with_fewer_stream_options(route: Route, adaptation: Adaptation) -> Adaptation | None:
    """Drop the rarer option first: most servers that refuse it know the other."""
    if adaptation.drop_stream_options:
        return None
    if _asks_continuously(route, adaptation):
        return replace(adaptation, drop_continuous_usage=True)
    return replace(adaptation, drop_stream_options=True)


def _with_other_cap(adaptation: Adaptation) -> Adaptation:
    is_short = adaptation.cap_field == "max_tokens"
    other: CapName = "max_completion_tokens" if is_short else "max_tokens"
    return replace(adaptation, cap_field=other, cap_switched=True)


def _cap_name(route: Route, adaptation: Adaptation) -> CapName:
    return adaptation.cap_field if route.cap_field == "auto" else route.cap_field
