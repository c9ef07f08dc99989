"""Ollama's own API: `POST /api/chat`, whose streams are lines of JSON."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from probes.answers.dialects.asking import encode, messages_of, without_temperature
from probes.answers.dialects.base import Adaptation, Framing, endpoint
from probes.answers.dialects.ollama_stream import OllamaInterpreter
from probes.config import KeyHeader, Route


class OllamaDialect:
    """`POST /api/chat` of a server whose base URL has no path of its own, or ends in `/api`."""

    name = "ollama"
    framing: Framing = "lines"
    usual_event = "message"
    headers: Mapping[str, str] = MappingProxyType(
        {"Accept": "application/x-ndjson, application/json"}
    )
    key_header: KeyHeader = "authorization"

    def url(self, route: Route) -> str:
        """Return the route's base URL with the dialect's path."""
        path = route.base_url.partition("?")[0].rstrip("/")
        return endpoint(route.base_url, "/chat" if path.endswith("/api") else "/api/chat")

    def request_body(
        self, route: Route, *, max_tokens: int, nonce: str | None, adaptation: Adaptation
    ) -> bytes:
        """Return the JSON body; `extra_body` is merged last, its `options` key by key."""
        options: dict[str, Any] = {"num_predict": max_tokens}
        if route.temperature is not None and not adaptation.drop_temperature:
            options["temperature"] = route.temperature
        body: dict[str, Any] = {
            "model": route.model,
            "messages": messages_of(route, nonce),
            "stream": route.stream,
            "options": options,
        }
        own = route.extra_body.get("options")
        merged = {"options": options | own} if isinstance(own, dict) else {}
        return encode(body | route.extra_body | merged)

    def adapt(
        self, status: int, message: str, adaptation: Adaptation, route: Route
    ) -> Adaptation | None:
        """Return how to ask again without a refused temperature, once."""
        return without_temperature(status, message, adaptation, route)

    def decoder(self) -> OllamaInterpreter:
        """Return the reader of one answer."""
        return OllamaInterpreter()
