"""What each key of routes.toml may hold, as data: a type, a range and the words for both."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, get_args

import msgspec

from probes.config.errors import KeyPath, Problems, shown
from probes.config.knob_ranges import KNOBS, KnobName
from probes.config.proxies import proxy_complaint
from probes.config.settings import Dialect
from probes.config.urls import is_host_name, read_url, url_complaint

MAXIMUM_PROMPT_BYTES: Final = 4_000_000
_DAY_S: Final = 86_400


def _always(_: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Rule:
    """One key: its type, what else must hold, and what was expected when it does not."""

    kind: Any
    expected: str
    holds: Callable[[Any], bool] = _always
    show: bool = True
    """Whether a wrong value may be printed; never where a secret could stand by mistake."""

    def read(self, value: object) -> Any:
        """Return the value in its type.

        Raises:
            ValueError: it has another type or is out of range; the text says what was expected.
        """
        try:
            converted = msgspec.convert(value, type=self.kind, strict=True)
        except msgspec.ValidationError:
            raise ValueError(self._complaint(value)) from None
        if not self.holds(converted):
            raise ValueError(self._complaint(value))
        return converted

    def _complaint(self, value: object) -> str:
        got = f"got {shown(value)}, " if self.show else ""
        return f"{got}expected {self.expected}"


@dataclass(frozen=True, slots=True)
class _UrlRule(Rule):
    """A URL says more precisely what is wrong with it, and is never printed unmasked."""

    def read(self, value: object) -> str:
        """Return the URL in its one spelling, without a trailing slash.

        Raises:
            ValueError: the URL cannot be probed; the text says why.
        """
        if not isinstance(value, str):
            raise ValueError(f"expected {self.expected}")
        complaint = url_complaint(value)
        if complaint:
            raise ValueError(complaint)
        url = read_url(value)
        return str(url) if url.query is not None else str(url).rstrip("/")


@dataclass(frozen=True, slots=True)
class _ProxyRule(Rule):
    """A proxy says more precisely what is wrong with it, and is never printed unmasked."""

    def read(self, value: object) -> str:
        """Return the setting as it stands.

        Raises:
            ValueError: there is no such proxy; the text says why.
        """
        if not isinstance(value, str):
            raise ValueError(f"expected {self.expected}")
        complaint = proxy_complaint(value)
        if complaint:
            raise ValueError(complaint)
        return value


Rules: TypeAlias = Mapping[str, "Rule | Rules"]


def read_table(raw: object, rules: Rules, path: KeyPath, problems: Problems) -> dict[str, Any]:
    """Return the values of a table that obey `rules`; note all others in `problems`."""
    if not isinstance(raw, dict):
        problems.add(path, f"got {shown(raw)}, expected a table")
        return {}
    values: dict[str, Any] = {}
    for key, value in raw.items():
        rule = rules.get(key)
        if rule is None:
            problems.unknown((*path, key), rules)
        elif isinstance(rule, Rule):
            _read_value(values, key, value, rule, (*path, key), problems)
        else:
            values[key] = read_table(value, rule, (*path, key), problems)
    return values


def _read_value(
    values: dict[str, Any], key: str, value: object, rule: Rule, path: KeyPath, problems: Problems
) -> None:
    try:
        values[key] = rule.read(value)
    except ValueError as error:
        problems.add(path, str(error))


def _number(words: str, holds: Callable[[float], bool]) -> Rule:
    return Rule(float, words, lambda value: math.isfinite(value) and holds(value))


def _whole(low: int, high: int) -> Rule:
    words = f"a whole number from {low} to {high:,}"
    return Rule(int, words, lambda value: low <= value <= high)


def _knob(name: KnobName) -> Rule:
    """Return the rule of a setting that is a knob too: its range is the knob's."""
    knob = KNOBS[name]
    return Rule(int if knob.whole else float, knob.expected, knob.holds)


def _one_of(*choices: str) -> Rule:
    listed = " or ".join(f'"{choice}"' for choice in choices)
    return Rule(str, listed, lambda value: value in choices)


def _name(words: str, *, show: bool = True) -> Rule:
    return Rule(str, words, lambda value: bool(value.strip()) and value.isprintable(), show)


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(_is_json(inner) for inner in value.values())
    if isinstance(value, list):
        return all(_is_json(inner) for inner in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int)


def _is_argv(value: tuple[str, ...]) -> bool:
    return bool(value) and bool(value[0]) and not any("\0" in word for word in value)


_API_VERSION: Final = re.compile(r"[A-Za-z0-9.-]{1,40}")
_FLAG: Final = Rule(bool, "true or false")
_POSITIVE_SECONDS: Final = _number(
    "a number of seconds above 0, at most a day", lambda value: 0 < value <= _DAY_S
)
_USD: Final = _number("a number of USD above 0", lambda value: value > 0)
_PRICE: Final = _number("USD per million tokens ≥ 0", lambda value: value >= 0)
_TOKENS_PER_HOUR: Final = Rule(
    int, "a whole number of tokens an hour ≥ 1", lambda value: 1 <= value <= 10**15
)

_GOALS: Final[Rules] = {
    "ttft_s": _POSITIVE_SECONDS,
    "e2e_s": _POSITIVE_SECONDS,
    "success": _number("a share from 0 to 1", lambda value: 0 <= value <= 1),
    "cost_usd_per_probe": _USD,
}
_TIMEOUTS: Final[Rules] = dict.fromkeys(
    ("connect", "first_token", "stall", "total"), _POSITIVE_SECONDS
)

_TLS: Final[Rules] = {
    **dict.fromkeys(("ca_file", "client_cert", "client_key"), _name("the path of a PEM file")),
    "verify": _FLAG,
    "server_name": Rule(str, "a host name or an address, without a port", is_host_name),
}

ROUTE_RULES: Final[Rules] = {
    "base_url": _UrlRule(str, "a URL such as https://api.example.com/v1"),
    "model": _name("the model's name"),
    "dialect": _one_of(*get_args(Dialect), "auto"),
    "api_version": Rule(
        str, "a version such as 2024-10-21", lambda value: bool(_API_VERSION.fullmatch(value))
    ),
    "stream": _FLAG,
    "key_header": _one_of("authorization", "x-api-key", "api-key"),
    "api_key_env": _name("the name of an environment variable", show=False),
    "api_key_cmd": Rule(
        tuple[str, ...], 'a command as a list, such as ["pass", "show", "key"]', _is_argv, False
    ),
    "headers": Rule(dict[str, str], "a table of header names and texts", show=False),
    "prompt": Rule(
        str,
        "a text that is not empty, at most 4 MB",
        lambda value: bool(value.strip()) and len(value.encode()) <= MAXIMUM_PROMPT_BYTES,
        show=False,
    ),
    "prompt_file": _name("the path of a text file"),
    "prompt_tokens": _whole(1, 1_000_000),
    "system": Rule(str, "a text that is not empty", lambda value: bool(value.strip()), False),
    "max_tokens": _knob("max_tokens"),
    "temperature": _number("a number from 0 to 2", lambda value: 0 <= value <= 2),
    "extra_body": Rule(
        dict[str, Any], "a table that JSON can hold (no dates, no nan or inf)", _is_json, False
    ),
    "cap_field": _one_of("auto", "max_tokens", "max_completion_tokens"),
    "continuous_usage": _FLAG,
    "cache": _one_of("warm", "bust"),
    "connection": _one_of("reuse", "fresh"),
    "tls": _TLS,
    "proxy": _ProxyRule(str, 'a URL such as http://proxy.example:3128, "none" or "environment"'),
    "http2": _FLAG,
    "unix_socket": _name("the path of a Unix socket"),
    "concurrency": _knob("concurrency"),
    "interval": _knob("interval"),
    "timeouts": _TIMEOUTS,
    "stall_after": _POSITIVE_SECONDS,
    "retries": _whole(0, 10),
    "goals": _GOALS,
    "price_list": _FLAG,
    "price": dict.fromkeys(("input", "output", "cached_input"), _PRICE),
    "tags": Rule(tuple[str, ...], "a list of texts"),
    "insecure": _FLAG,
    "paused": _FLAG,
}

BUDGET_RULES: Final[Rules] = {
    "tokens_per_hour": _TOKENS_PER_HOUR,
    "route_tokens_per_hour": _TOKENS_PER_HOUR,
    "usd_per_hour": _USD,
    "route_usd_per_hour": _USD,
}

RECORDING_RULES: Final[Rules] = {
    "enabled": _FLAG,
    "max_mb": _number("a number of megabytes ≥ 1", lambda value: value >= 1),
    "max_days": _number("a number of days above 0", lambda value: value > 0),
    "text": _FLAG,
}

DISPLAY_RULES: Final[Rules] = {
    "refresh_hz": _number("a rate from 0.5 to 30 a second", lambda value: 0.5 <= value <= 30),
    "window": _one_of("1m", "5m", "15m", "1h", "run"),
    "theme": _name("the name of a theme"),
}
