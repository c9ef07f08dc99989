"""Keys: taken from the environment or a command, put into headers, and kept out of all else.

What a server sends back is scrubbed of every known secret (`probes.config.scrubbing`) before it
becomes an event.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import unquote_plus

from probes.config import Config, Route
from probes.config.errors import Problems, dotted
from probes.config.fields import named_variable
from probes.config.key_command import run_key_command
from probes.config.keys import is_header_value, key_complaint
from probes.kit.child_environment import note_secret
from probes.kit.short_figures import counted

_AUTHORIZATION: Final = "Authorization"
_BEARER: Final = "Bearer "

_SCHEME: Final = re.compile(r"(?:(?:basic|bearer|key|token|api-?key|digest|negotiate) +)+", re.I)
"""What stands before a secret in a header (RFC 9110, section 11.1)."""
_PUBLIC_HEADERS: Final = frozenset(
    {
        *("accept", "anthropic-beta", "anthropic-version", "content-type", "http-referer"),
        *("openai-beta", "openai-organization", "openai-project", "referer", "user-agent"),
        "x-title",
    }
)
"""Request headers known to carry no credential. Lower case."""

_PUBLIC_QUERY: Final = frozenset(("api-version", "api_version", "alt", "beta", "version"))
"""Names in a URL's query known to carry no credential. Lower case."""

KeyCommand: TypeAlias = Callable[[Sequence[str]], str]
"""Runs an argv list and returns what it printed; raises ValueError with a reason to show."""


def resolve_headers(
    config: Config, environ: Mapping[str, str], run: KeyCommand = run_key_command
) -> dict[str, dict[str, str]]:
    """Return the request headers of every route, secrets filled in, by route name.

    Commands that several routes share run once, those that fail too. This blocks until they end.
    Whatever is started later has none of these secrets in its environment; the commands themselves
    may make one key of another.

    Raises:
        ConfigError: a variable is not set, or a command failed; all of them, one line each.
    """
    source = Path(config.source).name or "command line"
    problems = Problems(lambda path: f"{source}: {dotted(path)}")
    ended: dict[tuple[str, ...], str | ValueError] = {}

    def printed(argv: tuple[str, ...]) -> str:
        if argv not in ended:
            try:
                ended[argv] = run(argv)
            except ValueError as error:
                ended[argv] = error
        how = ended[argv]
        if isinstance(how, ValueError):
            raise how
        return how

    resolved: dict[str, dict[str, str]] = {}
    for route in config.routes:
        resolved[route.name] = headers = {}
        for name, value in route.headers.items():
            variable = named_variable(value)
            with _noted(problems, route, "headers", name):
                headers[name] = value if variable is None else _checked(environ.get(variable, ""))
        if route.api_key_env is not None:
            with _noted(problems, route, "api_key_env"):
                key = _checked(environ.get(route.api_key_env, ""))
                headers[_AUTHORIZATION] = _BEARER + key
        if route.api_key_cmd is not None:
            with _noted(problems, route, "api_key_cmd"):
                headers[_AUTHORIZATION] = _BEARER + _key_of(printed(route.api_key_cmd))
    problems.raise_if_any()
    note_variables(config.routes)
    for secret in secret_values(resolved):
        note_secret(secret)
    return resolved


def note_variables(routes: Iterable[Route]) -> None:
    """Let no program that is started from here on have the variables that hold keys of routes."""
    for route in routes:
        named = [*map(named_variable, route.headers.values()), route.api_key_env]
        note_secret("", *filter(None, named))


@contextmanager
def _noted(problems: Problems, route: Route, *key: str) -> Iterator[None]:
    """Note a ValueError at a key of a route."""
    try:
        yield
    except ValueError as error:
        problems.add(("routes", route.shared_name, *key), str(error))


def _key_of(printed: str) -> str:
    """Return the key that a command printed.

    Raises:
        ValueError: it is none that can be right.
    """
    lines = printed.strip().splitlines()
    if len(lines) > 1:
        raise ValueError(f"gave {counted(len(lines), 'line')}, expected the key alone")
    key = _checked(printed)
    complaint = key_complaint(key)
    if complaint is not None:
        raise ValueError(f"gave what {complaint}")
    return key


def _checked(value: str) -> str:
    """Return a key without the blanks around it.

    Raises:
        ValueError: there is none, or no header can carry it.
    """
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


def query_secrets(routes: Iterable[Route]) -> frozenset[str]:
    """Return what must never be seen of the queries of the routes' URLs: a server may say them
    back.

    Every value counts, but those of names known to be public.
    """
    found: set[str] = set()
    for route in routes:
        query = route.base_url.partition("#")[0].partition("?")[2]
        for pair in query.split("&"):
            name, equals, value = pair.partition("=")
            if not equals:
                name, value = "", pair  # a bare word may itself be a token
            if name.lower() not in _PUBLIC_QUERY:
                found |= {value, unquote_plus(value)}
    return frozenset(filter(None, found))
