"""What a user can set: one frozen record for each table of routes.toml.

The field names are the file's keys. A field says all there is to say of its key: type, default,
what it takes beyond its type and, as the string in its `Annotated`, what it means. How that is read
is `probes.config.fields`; a whole file is read, checked and merged by `probes.config.file`.
"""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import field

from probes.config.fields import Field, Range, Settings, Shape, Unset, fields_of
from probes.config.goals import DAY_S, Goals, Seconds, Usd, configured_e2e_goal_s
from probes.config.proxies import proxy_setting
from probes.config.urls import base_url_of, is_host_name

Dialect: TypeAlias = Literal["chat", "completions", "responses", "messages", "ollama", "azure"]
DialectChoice: TypeAlias = Dialect | Literal["auto"]
KeyHeader: TypeAlias = Literal["authorization", "x-api-key", "api-key"]
CapField: TypeAlias = Literal["auto", "max_tokens", "max_completion_tokens"]
CacheMode: TypeAlias = Literal["warm", "bust"]
ConnectionMode: TypeAlias = Literal["reuse", "fresh"]

LONGEST_PROMPT_MB: Final = 4
_API_VERSION: Final = re.compile(r"[A-Za-z0-9.-]{1,40}")


def _is_text(value: str) -> bool:
    return bool(value.strip())


def _is_name(value: str) -> bool:
    return _is_text(value) and value.isprintable()


def _is_prompt(value: str) -> bool:
    return _is_text(value) and len(value.encode()) <= LONGEST_PROMPT_MB * 1_000_000


def _is_version(value: str) -> bool:
    return _API_VERSION.fullmatch(value) is not None


def _is_argv(value: tuple[str, ...]) -> bool:
    return bool(value) and bool(value[0]) and not any("\0" in word for word in value)


def _is_json(value: object) -> bool:
    """Tell whether JSON has such a value; TOML's dates, nan and inf it has not."""
    if isinstance(value, dict):
        return all(_is_json(inner) for inner in value.values())
    if isinstance(value, list):
        return all(_is_json(inner) for inner in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str | int)


_WHOLE: Final = "a whole number"
_PEM: Final = Shape("the path of a PEM file", _is_name)
_USD_PER_MILLION: Final = Range("USD per million tokens", 0)
_TOKENS_PER_HOUR: Final = Range("a whole number of tokens an hour", 1, 10**15, bounds="≥ 1")
"""The most is beyond any bill, and within what SQLite and readers of JSON hold exactly."""


class Timeouts(Settings, frozen=True, kw_only=True):
    """The clocks that end an attempt, in seconds."""

    connect: Annotated[Seconds, "name, TCP and TLS together"] = 10.0
    first_token: Annotated[Seconds, "to the first output delta; keep-alives do not count"] = 60.0
    stall: Annotated[Seconds, "between two output chunks"] = 30.0
    total: Annotated[Seconds, "of an attempt"] = 300.0


class Tls(Settings, frozen=True, kw_only=True):
    """How a server proves who it is, and we to it. Files are read when probing begins."""

    ca_file: Annotated[
        str | None,
        _PEM,
        "authorities to trust *instead of* the machine's; relative to this file, as all paths",
    ] = None
    client_cert: Annotated[str | None, _PEM, "our own certificate, with its chain"] = None
    client_key: Annotated[
        str | None, _PEM, Unset("in `client_cert`"), "its key, without a password"
    ] = None
    verify: Annotated[bool, "false believes any certificate, and a notice says so"] = True
    server_name: Annotated[
        str | None,
        Shape("a host name or an address, without a port", is_host_name),
        "what to ask for (SNI) and to find in the certificate, instead of the URL's host",
    ] = None


class Price(Settings, frozen=True, kw_only=True):
    """What the provider charges; used where it does not say itself what a probe cost."""

    input: Annotated[float, _USD_PER_MILLION, "used where the provider does not say the cost"]
    output: Annotated[float, _USD_PER_MILLION, "the same of the answer"]
    cached_input: Annotated[
        float | None,
        _USD_PER_MILLION,
        Unset("as `input`"),
        "of input that the provider had in its cache",
    ] = None


class Route(Settings, frozen=True, kw_only=True):
    """One thing to probe, with all defaults filled in."""

    name: str
    """What stands in [routes.NAME]: the only field that is no key."""
    base_url: Annotated[
        str,
        Shape("a URL such as https://api.example.com/v1", settle=base_url_of, show=False),
        "up to and without the dialect's path",
    ]
    model: Annotated[str, Shape("the model's name", _is_name), "as the API calls it"]
    dialect: Annotated[DialectChoice, 'the API spoken; `"auto"` finds out'] = "chat"
    api_version: Annotated[
        str,
        Shape("a version such as 2024-10-21", _is_version),
        "Azure's `api-version`, where `base_url` has none",
    ] = "2024-10-21"
    stream: Annotated[
        bool,
        "false asks for whole answers: TTFT is undefined then, the route is judged by E2E and "
        "success, and of the timeouts `connect` and `total` count",
    ] = True
    api_key_env: Annotated[
        str | None,
        Shape("the name of an environment variable", _is_name, show=False),
        "variable that holds the key alone, sent as the dialect has it",
    ] = None
    api_key_cmd: Annotated[
        tuple[str, ...] | None,
        Shape('a command as a list, such as ["pass", "show", "key"]', _is_argv, show=False),
        "or a command that prints it, run before the screen, without a shell and stdin; 10 s, 4 KB",
    ] = None
    key_header: Annotated[
        KeyHeader | None,
        Unset("by the dialect"),
        "the header that takes the key; `authorization` has it as a bearer token",
    ] = None
    headers: Annotated[
        dict[str, str],
        Shape("a table of header names and texts", show=False),
        'extra headers; `"env:NAME"` takes a value from the environment, and credentials '
        "(`Authorization`, `x-api-key`, `Cookie`, …) stand only so",
    ] = field(default_factory=dict)
    prompt: Annotated[
        str,
        Shape(f"a text that is not empty, at most {LONGEST_PROMPT_MB} MB", _is_prompt, show=False),
        "user message; or `prompt_file`, `prompt_tokens`",
    ] = "Write one short sentence about the sea."
    """Whole, whichever of the three it was made of."""
    system: Annotated[
        str | None, Shape("a text that is not empty", _is_text, show=False), "the system message"
    ] = None
    max_tokens: Annotated[int, Range(_WHOLE, 1, 1_000_000), "answer cap, always sent"] = 64
    temperature: Annotated[float | None, Range("a number", 0, 2), "as the API has it"] = None
    extra_body: Annotated[
        dict[str, Any],
        Shape("a table that JSON can hold (no dates, no nan or inf)", _is_json, show=False),
        "merged into the request's body last; Ollama's `options` in it key by key",
    ] = field(default_factory=dict)
    cap_field: Annotated[
        CapField, "what the cap is sent as, or find out; `responses` has `max_output_tokens`"
    ] = "auto"
    continuous_usage: Annotated[
        bool, "ask for token counts with every chunk; dropped where the server refuses it"
    ] = False
    cache: Annotated[CacheMode, "`warm`: the same prompt each time; `bust`: a nonce first"] = "warm"
    connection: Annotated[ConnectionMode, "`fresh` connects for every attempt"] = "reuse"
    tls: Tls = Tls()
    proxy: Annotated[
        str,
        Shape(
            'a URL such as http://proxy.example:3128, "none" or "environment"',
            settle=proxy_setting,
            show=False,
        ),
        "what HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say, a URL (`http://`, `https://`, "
        '`socks5://`, `socks5h://`), `"none"`, or `"env:NAME"`: the variable holds the URL, with '
        "user and password",
    ] = "environment"
    http2: Annotated[
        bool, "offer HTTP/2, over http:// speak it unasked; `pip install 'llmtop-tui[http2]'`"
    ] = False
    unix_socket: Annotated[
        str | None,
        Shape("the path of a Unix socket", _is_name),
        "socket to connect to; `base_url` still says `Host` and path",
    ] = None
    concurrency: Annotated[int, Range(_WHOLE, 1, 1_000), "workers: probes at the same time"] = 1
    interval: Annotated[
        float,
        Range("a number of seconds", 0, DAY_S),
        "seconds from one start to the next, per worker, ± 10 %; 0 is back to back",
    ] = 5.0
    timeouts: Timeouts = Timeouts()
    stall_after: Annotated[Seconds, "seconds without output that are marked as a stall"] = 1.0
    retries: Annotated[int, Range(_WHOLE, 0, 10), "per probe at most; 0 for none"] = 2
    goals: Goals = Goals()
    price: Price | None = None
    price_list: Annotated[
        bool | None,
        Unset("unless on loopback"),
        "look a missing price up in the provider's own list",
    ] = None
    tags: Annotated[tuple[str, ...], Shape("a list of texts"), "for the filter"] = ()
    insecure: Annotated[
        bool,
        "allow a key over plain http to another machine. Without it, a route with such a URL is "
        "refused, and a request whose socket turns out to lead to one is not sent: "
        "`client_error / clear_text`",
    ] = False
    paused: Annotated[bool, "start paused"] = False

    @property
    def e2e_goal_s(self) -> float | None:
        """The E2E goal in seconds at the configured answer cap; None where there is none."""
        return configured_e2e_goal_s(self.goals.e2e_s, self.max_tokens)


class PromptSource(Settings, frozen=True, kw_only=True):
    """Keys of a route in whose place `Route.prompt` has a text."""

    prompt_file: Annotated[
        str | None, Shape("the path of a text file", _is_name), "the prompt; relative to this file"
    ] = None
    prompt_tokens: Annotated[
        int | None, Range(_WHOLE, 1, 1_000_000), "a prompt of about so many tokens is generated"
    ] = None


class Budget(Settings, frozen=True, kw_only=True):
    """What probing may cost in any sliding hour; at the limit a route pauses, loudly."""

    tokens_per_hour: Annotated[
        int, _TOKENS_PER_HOUR, "all routes and all runs of this machine, in any hour"
    ] = 2_000_000
    route_tokens_per_hour: Annotated[int, _TOKENS_PER_HOUR, "each route"] = 500_000
    usd_per_hour: Annotated[Usd | None, "can be held only on routes that have a price"] = None
    route_usd_per_hour: Annotated[Usd | None, "each route"] = None


class Recording(Settings, frozen=True, kw_only=True):
    """The event stream on disk."""

    enabled: Annotated[bool, "record every run; `--no-record` turns it off for one"] = True
    max_mb: Annotated[
        float, Range("a number of megabytes", 1), "all recordings together; the oldest go first"
    ] = 256.0
    max_days: Annotated[
        float, Range("a number of days", 0, exclusive=True), "the same by their age"
    ] = 7.0
    text: Annotated[bool, "record answers' texts"] = False


class Display(Settings, frozen=True, kw_only=True):
    """How the screen behaves."""

    refresh_hz: Annotated[
        float,
        Range("a rate", 0.5, 30, bounds="from {least} to {most} a second"),
        "frames a second; a slow terminal gets fewer, down to 1",
    ] = 10.0
    window: Annotated[
        Literal["1m", "5m", "15m", "1h", "run"], "of the home screen's figures; also `--window`"
    ] = "5m"
    theme: Annotated[
        str,
        Shape("the name of a theme", _is_name),
        "`llmtop-light`, `llmtop-ansi`, `llmtop-ansi-light`, `llmtop-plain` or one of Textual's; "
        "the terminal may change it",
    ] = "llmtop"


class Config(Settings, frozen=True, kw_only=True):
    """A whole routes.toml, defaults merged, prompts read; secrets are not in it."""

    routes: tuple[Route, ...]
    budget: Budget = Budget()
    recording: Recording = Recording()
    display: Display = Display()
    source: str = ""
    """The file it came from; empty for `--base-url` and the demo."""


def route_keys() -> Mapping[str, Field]:
    """Return the keys of a route's table by name."""
    keys = {**fields_of(Route), **fields_of(PromptSource)}
    del keys["name"]
    return keys
