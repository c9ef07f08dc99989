"""`llmtop init`: writes a commented routes.toml for the keys that the environment holds, and for
the LLM servers that listen on this machine.

No key is read beyond whether it is there, and none is written: routes name the variable. What a
server says of itself is quoted.
"""

import contextlib
import json
import os
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import anyio

from probes.config import Dialect, Price, Route
from probes.config.file import default_config_path, named_config
from probes.discovery.loopback import LocalServer, Product, find_servers
from probes.discovery.loopback_network import HttpNetwork
from probes.engine.route import default_transport
from probes.kit.clock import SystemClock
from probes.kit.sanitise import neutralise
from probes.money.price_list import PriceListError, ask_prices
from probes.money.pricing import price_words
from tui.commands.output import OK, UsageError, say


@dataclass(frozen=True, slots=True)
class Provider:
    """Where a key of the environment leads, and a cheap model that answers without reasoning."""

    name: str
    variable: str
    base_url: str
    model: str
    dialect: Dialect = "chat"
    tells_prices: bool = False
    """Its list of models tells prices to anybody, without a key."""


PROVIDERS: Final = (
    Provider(
        "deepinfra",
        "DEEPINFRA_API_KEY",
        "https://api.deepinfra.com/v1/openai",
        "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo",
        tells_prices=True,
    ),
    Provider("openai", "OPENAI_API_KEY", "https://api.openai.com/v1", "gpt-4.1-nano"),
    Provider(
        "openrouter",
        "OPENROUTER_API_KEY",
        "https://openrouter.ai/api/v1",
        "meta-llama/llama-3.1-8b-instruct",
        tells_prices=True,
    ),
    Provider(
        "together",
        "TOGETHER_API_KEY",
        "https://api.together.xyz/v1",
        "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo",
    ),
    Provider("groq", "GROQ_API_KEY", "https://api.groq.com/openai/v1", "llama-3.1-8b-instant"),
    Provider(
        "fireworks",
        "FIREWORKS_API_KEY",
        "https://api.fireworks.ai/inference/v1",
        "accounts/fireworks/models/llama-v3p1-8b-instruct",
    ),
    Provider(
        "anthropic",
        "ANTHROPIC_API_KEY",
        "https://api.anthropic.com",
        "claude-haiku-4-5",
        "messages",
    ),
)

_ROUTE_NAMES: Final[Mapping[Product, str]] = {
    "Ollama": "ollama",
    "vLLM": "vllm",
    "llama.cpp": "llama-cpp",
    "SGLang": "sglang",
    "LM Studio": "lm-studio",
    "an OpenAI-compatible server": "local",
}
_MODELS_SHOWN: Final = 5
_LONGEST_MODEL: Final = 80

_HEAD: Final = """\
# Routes that llmtop probes. `llmtop check` sends one probe to each, `llmtop` watches them live.
# Keys are never in this file: a route names the variable that holds its key (api_key_env) or a
# command that prints it (api_key_cmd = ["pass", "show", "deepinfra"]).
# Any key of a route may stand in [defaults]; what is commented out is the built-in value.

[defaults]
# concurrency = 1          # probes at the same time; + and - while watching
# interval = 5.0           # seconds from one start to the next, per worker; 0 is back to back
# max_tokens = 64          # answer cap, always sent
# prompt = "Write one short sentence about the sea."   # or prompt_file, or prompt_tokens = 1000
# cache = "warm"           # the same prompt each time; "bust" puts a nonce first
# connection = "reuse"     # "fresh" connects for every attempt
# stall_after = 1.0        # seconds without output that are marked as a stall
# retries = 2
# timeouts = { connect = 10.0, first_token = 60.0, stall = 30.0, total = 300.0 }
# goals = { ttft_s = 1.0, e2e_s = 3.0, success = 0.99 }   # e2e_s by itself where max_tokens <= 200

[budget]                   # of all runs on this machine, in any hour; at the limit probing pauses
# tokens_per_hour = 2_000_000
# route_tokens_per_hour = 500_000
# usd_per_hour = 1.0       # can be held only on routes that have a price
"""

_ROUTE: Final = """
[routes.{name}]
base_url = "{base_url}"
model = "{model}"
{dialect}api_key_env = "{variable}"
"""

_PRICE: Final = """\
# price = { input = 0.10, output = 0.40 }   # USD per million tokens, where the answer has no cost
"""
_LISTED: Final = """\
# The provider's list says: {words}. Without a price here llmtop asks it again.
# price = {{ input = {price.input:g}, output = {price.output:g} }}
"""
_LISTS_S: Final = 2.0
"""Seconds that `init` gives the price lists; without an answer the file is as good."""

_SERVER: Final = """
# {said}
[routes.{name}]
base_url = {base_url}
model = {model}
dialect = {dialect}
"""

_EXAMPLE: Final = """
# No provider's key was found in the environment ({variables}).
# This route is a server of your own; llama.cpp listens on 8080, vLLM on 8000, Ollama on 11434.

[routes.local]
base_url = "http://127.0.0.1:8080/v1"
model = "default"

# [routes.deepinfra]
# base_url = "https://api.deepinfra.com/v1/openai"
# model = "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo"
# api_key_env = "DEEPINFRA_API_KEY"
"""


def found_providers(environ: Mapping[str, str]) -> tuple[Provider, ...]:
    """Return the providers whose key is in the environment."""
    return tuple(provider for provider in PROVIDERS if environ.get(provider.variable, "").strip())


def found_servers() -> tuple[LocalServer, ...]:
    """Return the LLM servers that listen on this machine, within a second or two."""
    return anyio.run(_ask_loopback)


def found_prices(environ: Mapping[str, str]) -> dict[str, Price]:
    """Return what public lists tell of the prices of the providers found, by name.

    Nobody is sent a key, and none is waited for longer than two seconds.
    """
    providers = [provider for provider in found_providers(environ) if provider.tells_prices]
    return anyio.run(_ask_lists, providers) if providers else {}


async def _ask_lists(providers: Sequence[Provider]) -> dict[str, Price]:
    found: dict[str, Price] = {}

    async def ask(provider: Provider) -> None:
        route = Route(name=provider.name, base_url=provider.base_url, model=provider.model)
        transport = default_transport(route, SystemClock())
        with contextlib.suppress(PriceListError):
            prices = await ask_prices(route, {}, transport, {provider.model})
            price = prices.get(provider.model)
            if price is not None:
                found[provider.name] = price

    with anyio.move_on_after(_LISTS_S):
        async with anyio.create_task_group() as group:
            for provider in providers:
                group.start_soon(ask, provider)
    return found


async def _ask_loopback() -> tuple[LocalServer, ...]:
    async with HttpNetwork() as network:
        return await find_servers(network)


def config_text(
    environ: Mapping[str, str],
    servers: Sequence[LocalServer] = (),
    prices: Mapping[str, Price] = MappingProxyType({}),
) -> str:
    """Return a commented routes.toml that `load_config` accepts; `prices` are by provider."""
    found = found_providers(environ)
    local = [server for server in servers if server.model is not None]
    if not found and not local:
        variables = ", ".join(provider.variable for provider in PROVIDERS)
        return _HEAD + _EXAMPLE.format(variables=variables)
    return _HEAD + _server_routes(local) + _provider_routes(found, prices)


def _server_routes(servers: Sequence[LocalServer]) -> str:
    products = Counter(server.product for server in servers)
    return "".join(
        _SERVER.format(
            said=_said(server),
            name=_route_name(server, alone=products[server.product] == 1),
            base_url=_quoted(server.base_url),
            model=_quoted(server.model or ""),
            dialect=_quoted(server.dialect),
        )
        for server in servers
    )


def _quoted(text: str) -> str:
    """Return printable text as a string of TOML, whose escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False)


def _route_name(server: LocalServer, *, alone: bool) -> str:
    name = _ROUTE_NAMES[server.product]
    return name if alone else f"{name}-{server.port}"


def _said(server: LocalServer) -> str:
    """Return in one line what was found, fit for a terminal and for a comment."""
    shown = [neutralise(name, _LONGEST_MODEL) for name in server.models[:_MODELS_SHOWN]]
    more = len(server.models) - len(shown)
    listed = ", ".join(shown) + (f" and {more} more" if more else "")
    return f"{server.product} at {server.base_url}: {listed or 'it has no model yet'}"


def _provider_routes(found: Sequence[Provider], prices: Mapping[str, Price]) -> str:
    return "".join(_provider_route(provider, prices.get(provider.name)) for provider in found)


def _provider_route(provider: Provider, price: Price | None) -> str:
    route = _ROUTE.format(
        name=provider.name,
        base_url=provider.base_url,
        model=provider.model,
        variable=provider.variable,
        dialect=_dialect_line(provider.dialect),
    )
    return route + (
        _PRICE if price is None else _LISTED.format(price=price, words=price_words(price))
    )


def _dialect_line(dialect: Dialect) -> str:
    """Return the line that names a dialect; nothing for the one that needs no naming."""
    return "" if dialect == "chat" else f'dialect = "{dialect}"\n'


def write_config(path: Path, text: str) -> None:
    """Write a new file that only its owner can read, with its folder.

    Raises:
        FileExistsError: there is one; it is never overwritten.
        OSError: it cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        # Half a file would never be overwritten.
        path.unlink()
        raise


def run(arguments: Namespace) -> int:
    """Write the file, or print it with --stdout.

    Raises:
        UsageError: the file is there already, or cannot be written.
        ConfigError: there is no home folder for it to be in.
    """
    if arguments.stdout:
        servers, prices = _asked(arguments)
        say([config_text(os.environ, servers, prices).rstrip("\n")])
        return OK
    path = named_config(arguments.config, os.environ) or default_config_path()
    if os.path.lexists(path):
        raise _there_already(path)
    servers, prices = _asked(arguments)
    text = config_text(os.environ, servers, prices)
    try:
        write_config(path, text)
    except FileExistsError:
        raise _there_already(path) from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from None
    names: list[str] = [server.product for server in servers if server.model is not None]
    names += [provider.name for provider in found_providers(os.environ)]
    routes = f"routes for {', '.join(names)}" if names else "an example route; edit it"
    found = [f"found {_said(server)}" for server in servers]
    say([*found, f"wrote {path} with {routes}", "next: llmtop check"])
    return OK


def _asked(arguments: Namespace) -> tuple[tuple[LocalServer, ...], dict[str, Price]]:
    """Return this machine's servers and what public lists tell; nothing with --no-scan."""
    if arguments.no_scan:
        return (), {}
    return found_servers(), found_prices(os.environ)


def _there_already(path: Path) -> UsageError:
    return UsageError(f"{path} is there already and is never overwritten; see --stdout")
