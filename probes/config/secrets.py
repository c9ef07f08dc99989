"""Keys: taken from the environment or a command, put into headers, and kept out of all else.

What a server sends back is scrubbed of every known secret before it becomes an event.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from probes.config import Config, Route
from probes.config.checks import ENVIRONMENT_PREFIX
from probes.config.errors import Problems, dotted
from probes.config.key_command import run_key_command
from probes.config.keys import is_header_value, key_complaint

_AUTHORIZATION: Final = "Authorization"
_BEARER: Final = "Bearer "

_SCHEME: Final = re.compile(r"(?:(?:basic|bearer|key|token|api-?key|digest|negotiate) +)+", re.I)
"""What stands before a secret in a header (RFC 9110, section 11.1)."""
_PUBLIC_HEADERS: Final = frozenset(
    {
        "accept",
        "anthropic-beta",
        "anthropic-version",
        "content-type",
        "http-referer",
        "openai-beta",
        "openai-organization",
        "openai-project",
        "referer",
        "user-agent",
        "x-title",
    }
)
"""Request headers known to carry no credential. Lower case."""

KeyCommand: TypeAlias = Callable[[Sequence[str]], str]
"""Runs an argv list and returns what it printed; raises ValueError with a reason to show."""


class _RunOnce:
    """Runs each command at most once and remembers its failure too."""

    def __init__(self, run: KeyCommand) -> None:
        self._run = run
        self._ended: dict[tuple[str, ...], str | ValueError] = {}

    def __call__(self, argv: tuple[str, ...]) -> str:
        if argv not in self._ended:
            try:
                self._ended[argv] = self._run(argv)
            except ValueError as error:
                self._ended[argv] = error
        ended = self._ended[argv]
        if isinstance(ended, ValueError):
            raise ended
        return ended


def resolve_headers(
    config: Config, environ: Mapping[str, str], run: KeyCommand = run_key_command
) -> dict[str, dict[str, str]]:
    """Return the request headers of every route, secrets filled in, by route name.

    Commands that several routes share run once. This blocks until they end.

    Raises:
        ConfigError: a variable is not set, or a command failed; all of them, one line each.
    """
    source = Path(config.source).name or "command line"
    problems = Problems(lambda path: f"{source}: {dotted(path)}")
    run_once = _RunOnce(run)
    resolved: dict[str, dict[str, str]] = {}
    for route in config.routes:
        resolved[route.name] = headers = {}
        for key, name, read in _sources(route, environ, run_once):
            try:
                headers[name] = read()
            except ValueError as error:
                problems.add(("routes", route.name, *key), str(error))
    problems.raise_if_any()
    return resolved


def _sources(
    route: Route, environ: Mapping[str, str], run: Callable[[tuple[str, ...]], str]
) -> Iterator[tuple[tuple[str, ...], str, Callable[[], str]]]:
    """Yield key of the file, header, and how its value is had."""
    for name, value in route.headers.items():
        yield ("headers", name), name, _header_reader(value, environ)
    if route.api_key_env is not None:
        variable = route.api_key_env
        yield ("api_key_env",), _AUTHORIZATION, lambda: _BEARER + _variable(variable, environ)
    if route.api_key_cmd is not None:
        argv = route.api_key_cmd
        yield ("api_key_cmd",), _AUTHORIZATION, lambda: _BEARER + _key_of(run(argv))


def _header_reader(value: str, environ: Mapping[str, str]) -> Callable[[], str]:
    if value.startswith(ENVIRONMENT_PREFIX):
        return lambda: _variable(value.removeprefix(ENVIRONMENT_PREFIX), environ)
    return lambda: value


def _variable(name: str, environ: Mapping[str, str]) -> str:
    return _checked(environ.get(name, ""))


def _key_of(printed: str) -> str:
    """Return the key that a command printed.

    Raises:
        ValueError: it is none that can be right.
    """
    key = _checked(_only_line(printed))
    complaint = key_complaint(key)
    if complaint is not None:
        raise ValueError(f"gave what {complaint}")
    return key


def _only_line(printed: str) -> str:
    """Return what a command printed, if it is no more than a key."""
    lines = printed.strip().splitlines()
    if len(lines) > 1:
        raise ValueError(f"gave {len(lines)} lines, expected the key alone")
    return printed


def _checked(value: str) -> str:
    """Return a key without the blanks around it, if a header can carry it."""
    stripped = value.strip()
    if not stripped:
        raise ValueError("gave no key")
    if not is_header_value(stripped):
        raise ValueError("gave a key with characters that no header can carry")
    return stripped


def secret_values(headers: Mapping[str, Mapping[str, str]]) -> frozenset[str]:
    """Return what must never be seen in the headers of `resolve_headers`.

    Every value counts, but those of headers that are known to be public: a proxy's own header may
    hold a key under any name. A scheme such as `Bearer` is not part of the secret.
    """
    return frozenset(
        _SCHEME.sub("", value)
        for of_route in headers.values()
        for name, value in of_route.items()
        if name.lower() not in _PUBLIC_HEADERS
    )
