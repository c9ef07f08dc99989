"""Checks of a route that need more than one key, or the environment: keys, headers, bodies."""

import os
import re
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final, TypeAlias, get_args

from probes.config.errors import KeyPath, Problems
from probes.config.fields import named_variable
from probes.config.keys import header_complaint, is_header_value, key_complaint
from probes.config.proxies import ProxyError, read_proxy
from probes.config.settings import KeyHeader, Route
from probes.config.urls import UrlError, read_url
from probes.config.webhooks import webhook_url
from probes.config.workloads import WORKLOADS

_Judge: TypeAlias = Callable[[str, str], str | None]
"""Takes a value and the name of its variable; returns what is wrong with it, without the value."""

SECRET_HEADERS: Final = frozenset(
    {
        *("authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key"),
        *("ocp-apim-subscription-key", "cookie"),
    }
)
"""Headers that carry a credential: in the file they take only `env:NAME`. Lower case."""

PROMPT_KEYS: Final = (
    *("prompt", "prompt_file", "prompt_tokens", "workload", "prompts_file"),
    "prompts",  # what was read of a prompts file
)
EXCLUSIVE_KEYS: Final = (
    PROMPT_KEYS,
    ("api_key_env", "api_key_cmd"),
)
"""Keys of which a route has at most one; a route's own replaces the one of [defaults]."""

_OWN_HEADERS: Final = frozenset(
    {
        *("accept-encoding", "connection", "content-length", "expect", "keep-alive", "te"),
        *("trailer", "transfer-encoding", "upgrade"),
    }
)
"""Headers that decide how bytes travel; another value would break the measurement."""

# A cap that goes past us is one that no budget has reserved, under whatever name a server takes it.
_CAP_ADVICE: Final = "use the route's max_tokens, so that budgets know the cap"
_OWN_FIELDS: Final[Mapping[str, str]] = {
    "max_completion_tokens": "use max_tokens (and cap_field), so that budgets know the cap",
    "max_new_tokens": _CAP_ADVICE,
    "max_output_tokens": _CAP_ADVICE,
    "max_tokens": _CAP_ADVICE,
    "n_predict": _CAP_ADVICE,
    "num_predict": _CAP_ADVICE,
    "messages": "use prompt and system",
    "model": "use the route's model",
    "n": "a probe asks for one answer",
    "stream": "use the route's stream",
    "temperature": "use the route's temperature",
}

_WORDS_ONLY: Final = ("completions", "auto")
"""Dialects of which one cannot say tools and pictures: `auto` may find out to be that one."""
_WORDS_ONLY_ADVICE: Final = '"chat", "responses", "messages", "ollama" or "azure"'

_LONGEST_SOCKET_PATH: Final = 103
"""Bytes that every system's socket addresses hold (macOS; Linux: 107)."""

# RFC 9110 section 5.6.2 (token).
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONVENTIONAL_NAME: Final = re.compile(r"[A-Z_][A-Z0-9_]*")


def check_table(
    values: Mapping[str, Any],
    path: KeyPath,
    environ: Mapping[str, str] | None,
    problems: Problems,
) -> None:
    """Note the mistakes of one table of route keys, [defaults] or a route, as it stands.

    What its keys need of the machine that probes is not looked at where `environ` is None.
    """
    for group in EXCLUSIVE_KEYS:
        present = [key for key in group if key in values]
        if len(present) > 1:
            problems.add((*path, present[1]), f"stands beside {present[0]}, expected one of them")
    _check_workload(values, path, problems)
    if environ is not None:
        check_needs(values, path, environ, problems)
    if len(os.fsencode(values.get("unix_socket", ""))) > _LONGEST_SOCKET_PATH:
        problems.add((*path, "unix_socket"), f"is longer than {_LONGEST_SOCKET_PATH} bytes")
    _check_headers(values.get("headers", {}), (*path, "headers"), problems)
    body = values.get("extra_body", {})
    options = body.get("options")  # Ollama's own, which the route's settings go into as well
    taken: list[tuple[str, ...]] = [(field,) for field in body if field in _OWN_FIELDS]
    if isinstance(options, dict):
        taken += [
            ("options", field) for field in options if field in ("num_predict", "temperature")
        ]
    for where in taken:
        complaint = f"cannot be set here: {_OWN_FIELDS[where[-1]]}"
        problems.add((*path, "extra_body", *where), complaint)


def check_needs(
    values: Mapping[str, Any], path: KeyPath, environ: Mapping[str, str], problems: Problems
) -> None:
    """Note what is missing on this machine of what the keys of a table need to be probed from it:
    variables of the environment, and packages."""
    if values.get("api_key_env") is not None:
        variable = values["api_key_env"]
        _check_variable(variable, (*path, "api_key_env"), environ, problems, key_complaint)
    if "proxy" in values:
        _check_proxy(values["proxy"], (*path, "proxy"), environ, problems)
    # Said when the file is read, not at the first request of a run; h2 itself is not imported yet.
    if values.get("http2") and find_spec("h2") is None:
        problems.add((*path, "http2"), "needs the package h2: pip install 'llmtop-tui[http2]'")
    for name, value in values.get("headers", {}).items():
        variable = named_variable(value)
        if variable is not None and _header_complaint(name, value) is None:
            judge = header_complaint if name.lower() in SECRET_HEADERS else _value_complaint
            _check_variable(variable, (*path, "headers", name), environ, problems, judge)


def check_route(route: Route, path: KeyPath, problems: Problems) -> None:
    """Note the mistakes of a route that show only when its defaults are merged."""
    url = read_url(route.base_url)
    if route.dialect == "ollama" and url.path.rstrip("/").endswith("/v1"):
        problems.add(
            (*path, "base_url"),
            'ends in /v1, where Ollama speaks the "chat" dialect: leave it out for "ollama"',
        )
    if route.concurrency_min > route.concurrency_max:
        problems.add(
            (*path, "concurrency_min"),
            f"is {route.concurrency_min:,}, expected at most concurrency_max, which is "
            f"{route.concurrency_max:,}",
        )
    own_key = "api_key_env" if route.api_key_env else "api_key_cmd" if route.api_key_cmd else None
    named = {name.lower() for name in route.headers}
    if own_key and not named.isdisjoint(get_args(KeyHeader)):
        problems.add((*path, own_key), "stands beside a key in headers, expected one of them")
    secret = own_key or any(named_variable(value) is not None for value in route.headers.values())
    # A proxy reads what goes over plain http, whoever it is for. What the environment names is not
    # asked for a loopback address (`probes.config.proxy_choice`).
    unproxied = route.proxy in ("none", "environment")
    stays_here = route.unix_socket is not None or (url.is_loopback and unproxied)
    if secret and not (url.is_tls or route.insecure or stays_here):
        problems.add(
            (*path, "base_url"),
            "would send a key over plain http to another machine; use https or insecure = true",
        )
    if route.unix_socket is not None and not unproxied:
        problems.add((*path, "proxy"), "stands beside unix_socket, expected one of them")
    _check_prompts(route, path, problems)


def check_pace(route: Route, path: KeyPath, problems: Problems) -> None:
    """Note a rate without its pace, and a pace without its rate."""
    if route.is_open and route.rate is None:
        problems.add((*path, "rate"), f'is missing, expected with pace = "{route.pace}"')
    if route.rate is not None and not route.is_open:
        problems.add(
            (*path, "rate"), 'stands beside pace = "interval", expected "constant" or "poisson"'
        )


def check_webhook(
    setting: str | None, path: KeyPath, environ: Mapping[str, str], problems: Problems
) -> None:
    """Note what is wrong with the webhook that a variable holds; its value is not shown."""
    variable = None if setting is None else named_variable(setting)
    if setting is None or variable is None:
        return  # its field has judged it
    try:
        webhook_url(setting, environ)
    except UrlError as error:
        problems.add(path, f"environment variable {_called(variable)} {error}")


def _check_workload(values: Mapping[str, Any], path: KeyPath, problems: Problems) -> None:
    """Note what says beside a workload or a prompts file what that says already."""
    workload = values.get("workload")
    named = "workload" if workload else "prompts_file" if "prompts_file" in values else None
    if named and "system" in values:
        problems.add((*path, "system"), f"stands beside {named}, which has its own")
    if workload and WORKLOADS[workload].is_fresh and values.get("cache") == "warm":
        words = f'got "warm", but no two prompts of workload "{workload}" are alike'
        problems.add((*path, "cache"), f'{words}, expected "bust" or nothing')


def _check_prompts(route: Route, path: KeyPath, problems: Problems) -> None:
    """Note what the route's dialect cannot say of its prompts, and what its cap does not hold."""
    if route.system is not None and (route.workload or route.prompts):
        named = "workload" if route.workload else "prompts_file"
        problems.add((*path, "system"), f"stands beside {named}, which has its own")
    for prompt in route.prompts:
        where = f"line {prompt.line}: "
        if prompt.max_tokens is not None and prompt.max_tokens > route.max_tokens:
            words = f"got {prompt.max_tokens:,}, expected at most the route's {route.max_tokens:,}"
            problems.add((*path, "prompts_file"), f"{where}max_tokens: {words}")
        said = {
            "tools": bool(prompt.tools) or any(one.tool_calls for one in prompt.messages),
            "pictures": any(one.images for one in prompt.messages),
        }
        what = " and ".join(word for word, is_said in said.items() if is_said)
        if what and route.dialect in _WORDS_ONLY:
            words = f'dialect "{route.dialect}" cannot say them, expected {_WORDS_ONLY_ADVICE}'
            problems.add((*path, "prompts_file"), f"{where}has {what}: {words}")
        later = [one.role for one in prompt.messages[1:]]
        if route.dialect in ("messages", "auto") and "system" in later:
            words = 'is "system", which dialect "messages" takes as the first alone'
            index = later.index("system") + 1
            problems.add((*path, "prompts_file"), f"{where}messages.{index}.role: {words}")


def _check_proxy(
    setting: str, path: KeyPath, environ: Mapping[str, str], problems: Problems
) -> None:
    """Note what is wrong with the proxy that a variable holds; its value is not shown."""
    variable = named_variable(setting)
    if variable is None:
        return
    value = environ.get(variable, "").strip()
    if not value:
        problems.add(path, f"environment variable {_called(variable)} is not set")
        return
    try:
        read_proxy(value)
    except ProxyError as error:
        problems.add(path, f"the proxy in environment variable {_called(variable)} {error}")


def _check_headers(headers: Mapping[str, str], path: KeyPath, problems: Problems) -> None:
    seen: set[str] = set()
    for name, value in headers.items():
        complaint = _header_complaint(name, value)
        # TOML takes `X-A` and `x-a` for two keys, and a server for one header.
        if name.lower() in seen:
            complaint = "stands here twice (case does not count)"
        seen.add(name.lower())
        if complaint:
            problems.add((*path, name), complaint)


def _header_complaint(name: str, value: str) -> str | None:
    if not _HEADER_NAME.fullmatch(name):
        return "is no header name"
    if name.lower() in _OWN_HEADERS:
        return "is set by llmtop itself"
    if name.lower() in SECRET_HEADERS and named_variable(value) is None:
        return 'expected "env:NAME": a key never stands in the file'
    if not is_header_value(value):
        return "expected visible ASCII characters, with no blanks at the ends"
    return None


def _value_complaint(value: str, _name: str) -> str | None:
    """Return what is wrong with the value of a header that carries no key."""
    value = value.strip()
    if not value:
        return "is empty"
    return None if is_header_value(value) else "has characters that no header can carry"


def _check_variable(
    name: str, path: KeyPath, environ: Mapping[str, str], problems: Problems, judge: _Judge
) -> None:
    complaint = judge(environ[name], name) if name in environ else "is not set"
    if complaint is not None:
        problems.add(path, f"environment variable {_called(name)} {complaint}")


def _called(variable: str) -> str:
    """Return a variable's name to show: a key may have been pasted where it belongs."""
    return variable if _CONVENTIONAL_NAME.fullmatch(variable) else "(name not shown)"
