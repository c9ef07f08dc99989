"""Which LLM servers listen on this machine: asked by GET, without a key, at their usual ports.

What a server is, it tells itself: by the owner of its models, its `Server` header, or an endpoint
that only it has; the port tells nothing. All that it says is hostile: read up to a limit, in a
short time, never followed elsewhere, and a model whose name cannot stand in a setting is left out.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol, TypeAlias

import anyio

from probes.answers.lenient import mapping
from probes.config import Dialect

PORTS: Final = (11434, 8000, 8080, 30000, 1234)
"""Where Ollama, vLLM, llama.cpp, SGLang and LM Studio listen unless told otherwise."""

HOSTS: Final = ("127.0.0.1", "::1")
"""The first one's answer counts where both have one."""

Product: TypeAlias = Literal[
    "Ollama", "vLLM", "llama.cpp", "SGLang", "LM Studio", "an OpenAI-compatible server"
]

_LONGEST_NAME: Final = 200
_MOST_MODELS: Final = 500
_BY_OWNER: Final[dict[str, Product]] = {
    "vllm": "vLLM",
    "sglang": "SGLang",
    "llamacpp": "llama.cpp",
}
_MUTE: Final = re.compile(r"embed|rerank", re.IGNORECASE)
"""In the names of models that write nothing."""
_LM_STUDIO_OWNER: Final = "organization_owner"


@dataclass(frozen=True, slots=True)
class ServerReply:
    """A whole HTTP answer."""

    status: int
    server: str
    """The `Server` header; empty where there is none."""
    body: bytes


class Network(Protocol):
    """Asks servers on this machine."""

    async def get(self, host: str, port: int, path: str) -> ServerReply | None:
        """Return the answer; None where there is none in time, or it is too large."""
        ...


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server that answers, and what it says of itself."""

    product: Product
    port: int
    base_url: str
    dialect: Dialect
    models: tuple[str, ...]
    """Printable and not empty, in its own order."""

    @property
    def model(self) -> str | None:
        """The first that can be expected to answer; None where there is no model."""
        talking = (name for name in self.models if not _MUTE.search(name))
        return next(talking, self.models[0] if self.models else None)


async def find_servers(network: Network, ports: Sequence[int] = PORTS) -> tuple[LocalServer, ...]:
    """Return the servers that answer at `ports` of this machine, in their order; all are asked at
    once."""
    found: dict[tuple[int, str], LocalServer] = {}

    async def look(host: str, port: int) -> None:
        server = await _server_at(network, host, port)
        if server is not None:
            found[port, host] = server

    async with anyio.create_task_group() as group:
        for port in ports:
            for host in HOSTS:
                group.start_soon(look, host, port)
    answers = ([found.get((port, host)) for host in HOSTS] for port in ports)
    first = (next(filter(None, answered), None) for answered in answers)
    return tuple(server for server in first if server is not None)


async def _server_at(network: Network, host: str, port: int) -> LocalServer | None:
    reply = await network.get(host, port, "/v1/models")
    if reply is None:
        return None
    root = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    entries = _entries(reply, "data")
    product = _by_own_words(reply, entries) if entries is not None else None
    if product is None and await _is_ollama(network, host, port):
        if entries is None:  # older ones have no list but their own
            entries = _entries(await network.get(host, port, "/api/tags"), "models")
        return LocalServer("Ollama", port, root, "ollama", _names(entries or []))
    if entries is None:
        return None
    product = product or await _by_own_endpoint(network, host, port, entries)
    return LocalServer(product, port, f"{root}/v1", "chat", _names(entries))


def _by_own_words(reply: ServerReply, entries: list[Any]) -> Product | None:
    if reply.server.strip().lower().startswith("llama.cpp"):
        return "llama.cpp"
    products = (_BY_OWNER.get(_text(mapping(entry).get("owned_by")).lower()) for entry in entries)
    return next(filter(None, products), None)


async def _is_ollama(network: Network, host: str, port: int) -> bool:
    version = mapping(_value(await network.get(host, port, "/api/version"))).get("version")
    return isinstance(version, str) and bool(version)


async def _by_own_endpoint(network: Network, host: str, port: int, entries: list[Any]) -> Product:
    """Return what an endpoint tells that no other server has."""
    if any(mapping(entry).get("owned_by") == _LM_STUDIO_OWNER for entry in entries):
        own = _entries(await network.get(host, port, "/api/v0/models"), "data") or []
        if any("compatibility_type" in mapping(entry) for entry in own):
            return "LM Studio"
    properties = mapping(_value(await network.get(host, port, "/props")))
    if "default_generation_settings" in properties:
        return "llama.cpp"
    return "an OpenAI-compatible server"


def _entries(reply: ServerReply | None, key: str) -> list[Any] | None:
    """Return the list that an answer carries under a key; None where it is no such answer."""
    listed = mapping(_value(reply)).get(key)
    return listed[:_MOST_MODELS] if isinstance(listed, list) else None


def _value(reply: ServerReply | None) -> object:
    if reply is None or reply.status != 200:
        return None
    try:
        return json.loads(reply.body)
    except (ValueError, RecursionError):
        return None


def _names(entries: list[Any]) -> tuple[str, ...]:
    """Return the names that can stand in a setting, each once."""
    listed = (
        _text(mapping(entry).get("id") or mapping(entry).get("name") or mapping(entry).get("model"))
        for entry in entries
    )
    usable = (name for name in listed if name.strip() and name.isprintable())
    return tuple(dict.fromkeys(name for name in usable if len(name) <= _LONGEST_NAME))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
