"""`llmtop init`: writes a commented routes.toml for the keys that the environment holds.

No key is read beyond whether it is there, and none is written: routes name the variable.
"""

import os
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from probes.config import Dialect
from probes.config.file import CONFIG_VARIABLE, default_config_path
from tui.commands.output import OK, UsageError, say

__all__ = ["PROVIDERS", "Provider", "config_text", "found_providers", "run", "write_config"]


@dataclass(frozen=True, slots=True)
class Provider:
    """Where a key of the environment leads, and a cheap model that answers without reasoning."""

    name: str
    variable: str
    base_url: str
    model: str
    dialect: Dialect = "chat"


PROVIDERS: Final = (
    Provider(
        "deepinfra",
        "DEEPINFRA_API_KEY",
        "https://api.deepinfra.com/v1/openai",
        "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo",
    ),
    Provider("openai", "OPENAI_API_KEY", "https://api.openai.com/v1", "gpt-4.1-nano"),
    Provider(
        "openrouter",
        "OPENROUTER_API_KEY",
        "https://openrouter.ai/api/v1",
        "meta-llama/llama-3.1-8b-instruct",
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


def config_text(environ: Mapping[str, str]) -> str:
    """Return a commented routes.toml that `load_config` accepts."""
    found = found_providers(environ)
    if not found:
        variables = ", ".join(provider.variable for provider in PROVIDERS)
        return _HEAD + _EXAMPLE.format(variables=variables)
    routes = [
        _ROUTE.format(
            name=provider.name,
            base_url=provider.base_url,
            model=provider.model,
            variable=provider.variable,
            dialect=_dialect_line(provider.dialect),
        )
        for provider in found
    ]
    return _HEAD + _PRICE.join(routes) + _PRICE


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
    """
    text = config_text(os.environ)
    if arguments.stdout:
        say([text.rstrip("\n")])
        return OK
    path = _target(arguments.config, os.environ)
    try:
        write_config(path, text)
    except FileExistsError:
        raise UsageError(
            f"{path} is there already and is never overwritten; see --stdout"
        ) from None
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from None
    names = [provider.name for provider in found_providers(os.environ)]
    routes = f"routes for {', '.join(names)}" if names else "an example route; edit it"
    say([f"wrote {path} with {routes}", "next: llmtop check"])
    return OK


def _target(argument: Path | None, environ: Mapping[str, str]) -> Path:
    named = environ.get(CONFIG_VARIABLE)
    if argument is None and named:
        return Path(named).expanduser()
    return argument or default_config_path()
