"""Ollama's own API: `POST /api/chat`, whose streams are lines of JSON."""

from types import MappingProxyType
from typing import Any

from probes.answers.dialects.base import Adaptation, Dialect, encode, endpoint, messages_of
from probes.answers.dialects.ollama_stream import OllamaInterpreter
from probes.config import Route


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

    def decoder(self) -> OllamaInterpreter:
        """Return the reader of one answer."""
        return OllamaInterpreter()
