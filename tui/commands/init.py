"""`llmtop init`: writes a commented routes.toml for the keys that the environment holds, and for
the LLM servers that listen on this machine.

No key is read beyond whether it is there, and none is written: routes name the variable. What a
server says of itself is quoted.
"""

import contextlib
import os
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import anyio

from probes.config import Budget, Dialect, Price, Route
from probes.config.fields import Field, Settings, fields_of
from probes.config.file import default_config_path, named_config
from probes.config.goals import E2E_GOAL_CAP
from probes.config.reference import meanings, toml_value
from probes.discovery.loopback import LocalServer, Product, find_servers
from probes.discovery.loopback_network import HttpNetwork
from probes.engine.route import default_transport
from probes.kit.clock import SystemClock
from probes.kit.sanitise import neutralise
from probes.money.price_list import PriceListError, ask_prices
from probes.money.pricing import price_words
from tui.commands.output import OK, UsageError, say
from tui.commands.progress_bar import waiting_for


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
{defaults}{canary}
[budget]                   # of all runs on this machine, in any hour; at the limit probing pauses
{budget}"""
_CANARY: Final = """\
# A canary: a question of which the answer is known. A wrong answer counts as a failed probe, and
# `llmtop check` says whether it was right.
#   prompt = "Answer with the one word: harbour"
#   expect = { contains = "harbour", ignore_case = true }
"""
_DEFAULTS_SHOWN: Final = (
    *("concurrency", "interval", "pace", "max_tokens", "prompt", "cache", "connection"),
    *("stall_after", "retries", "timeouts", "goals"),
)
_BUDGET_SHOWN: Final = ("tokens_per_hour", "route_tokens_per_hour", "usd_per_hour")
_WITHOUT_DEFAULT: Final = {"usd_per_hour": "1.0"}
"""Examples of settings whose built-in value is none."""
_MORE_WORDS: Final = {
    "concurrency": "; + and - while watching",
    "goals": f"e2e_s by itself where max_tokens <= {E2E_GOAL_CAP}; tokens_per_s has none",
}
"""What is said beside what a field means."""

_ROUTE: Final = """
[routes.{name}]
base_url = "{base_url}"
model = "{model}"
{dialect}api_key_env = "{variable}"
"""

_LONG: Final = """\
#
# The above asks in short; a route can be well on that and ill on long prompts. The long profile:
# [routes.{name}-long]
{table}# workload = "long"           # 8,000 tokens in: a quarter of a million an hour
# interval = 120
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
# {found}
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

    async def ask() -> tuple[LocalServer, ...]:
        async with HttpNetwork() as network:
            return await find_servers(network)

    return anyio.run(ask)


def found_prices(environ: Mapping[str, str]) -> dict[str, Price]:
    """Return what public lists say of the prices of the providers found, by name.

    Nobody is sent a key, and none is waited for longer than two seconds.
    """
    providers = [provider for provider in found_providers(environ) if provider.tells_prices]
    found: dict[str, Price] = {}

    async def ask(provider: Provider) -> None:
        route = Route(name=provider.name, base_url=provider.base_url, model=provider.model)
        transport = default_transport(route, SystemClock())
        with contextlib.suppress(PriceListError):
            prices = await ask_prices(route, {}, transport, {provider.model})
            price = prices.get(provider.model)
            if price is not None:
                found[provider.name] = price

    async def ask_all() -> None:
        with anyio.move_on_after(_LISTS_S):
            async with anyio.create_task_group() as group:
                for provider in providers:
                    group.start_soon(ask, provider)

    if providers:
        anyio.run(ask_all)
    return found


def config_text(
    environ: Mapping[str, str],
    servers: Sequence[LocalServer] = (),
    prices: Mapping[str, Price] = MappingProxyType({}),
) -> str:
    """Return a commented routes.toml that `load_config` accepts; `prices` are by provider."""
    head = _HEAD.format(
        defaults=_commented(Route, _DEFAULTS_SHOWN),
        canary=_CANARY,
        budget=_commented(Budget, _BUDGET_SHOWN),
    )
    found = found_providers(environ)
    local = [server for server in servers if server.model is not None]
    if not found and not local:
        variables = ", ".join(provider.variable for provider in PROVIDERS)
        return head + _EXAMPLE.format(variables=variables)
    products = Counter(server.product for server in local)
    routes = [_server_route(server, alone=products[server.product] == 1) for server in local]
    routes += [_provider_route(provider, prices.get(provider.name)) for provider in found]
    return head + "".join(routes)


def _commented(record: type[Settings], keys: Sequence[str]) -> str:
    """Return the lines that give settings' built-in values, and what they mean."""
    fields, known, lines = fields_of(record), meanings(record), []
    for key in keys:
        setting = f"# {key} = {_WITHOUT_DEFAULT.get(key) or _value(fields[key])}"
        meaning = known.get(key, "").replace("`", "").removesuffix(".")
        words = meaning[:1].lower() + meaning[1:] + _MORE_WORDS.get(key, "")
        gap = " " * max(3, 27 - len(setting))  # the comments of short lines stand in a column
        lines.append(f"{setting}{gap}# {words}\n" if words else f"{setting}\n")
    return "".join(lines)


def _value(field: Field) -> str:
    """Return a built-in value as the file has it."""
    if not field.is_table:
        return field.unset if field.default is None else toml_value(field.default)
    inner = {key: _value(field) for key, field in fields_of(field.kind).items()}
    return "{ " + ", ".join(f"{key} = {value}" for key, value in inner.items() if value) + " }"


def _server_route(server: LocalServer, *, alone: bool) -> str:
    name = _ROUTE_NAMES[server.product]
    route = _SERVER.format(
        found=_found(server),
        name=name if alone else f"{name}-{server.port}",
        base_url=toml_value(server.base_url),
        model=toml_value(server.model or ""),
        dialect=toml_value(server.dialect),
    )
    return route + _long_profile(route)


def _long_profile(route: str) -> str:
    """Return what asks the same route with long prompts, as a comment: it costs more."""
    lines = [line for line in route.splitlines() if line and not line.startswith("#")]
    head, *table = lines
    name = head.removeprefix("[routes.").removesuffix("]")
    return _LONG.format(name=name, table="".join(f"# {line}\n" for line in table))


def _found(server: LocalServer) -> str:
    """Return in one line what was found, fit for a terminal and for a comment."""
    shown = [neutralise(name, _LONGEST_MODEL) for name in server.models[:_MODELS_SHOWN]]
    more = len(server.models) - len(shown)
    listed = ", ".join(shown) + (f" and {more} more" if more else "")
    return f"{server.product} at {server.base_url}: {listed or 'it has no model yet'}"


def _provider_route(provider: Provider, price: Price | None) -> str:
    route = _ROUTE.format(
        name=provider.name,
        base_url=provider.base_url,
        model=provider.model,
        variable=provider.variable,
        dialect="" if provider.dialect == "chat" else f'dialect = "{provider.dialect}"\n',
    )
    told = _PRICE if price is None else _LISTED.format(price=price, words=price_words(price))
    return route + told + _long_profile(route)


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
    path = None
    if not arguments.stdout:
        path = named_config(arguments.config, os.environ) or default_config_path()
        there = UsageError(f"{path} is there already and is never overwritten; see --stdout")
        if os.path.lexists(path):  # before anybody is asked
            raise there
    servers: tuple[LocalServer, ...] = ()
    prices: dict[str, Price] = {}
    if not arguments.no_scan:
        with waiting_for("asking servers on this machine, and for prices"):
            servers, prices = found_servers(), found_prices(os.environ)
    text = config_text(os.environ, servers, prices)
    if path is None:
        say([text.rstrip("\n")])
        return OK
    try:
        write_config(path, text)
    except FileExistsError:
        raise there from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from None
    names: list[str] = [server.product for server in servers if server.model is not None]
    names += [provider.name for provider in found_providers(os.environ)]
    routes = f"routes for {', '.join(names)}" if names else "an example route; edit it"
    found = [f"found {_found(server)}" for server in servers]
    say([*found, f"wrote {path} with {routes}", "next: llmtop check"])
    return OK
