"""What a user can set: one frozen record for each table of routes.toml.

The field names are the file's keys. A field says all there is to say of its key: type, default,
what it takes beyond its type (`Range`, `Shape`) and, in the docstring under it, what it means. How
that is read is `probes.config.fields`; a whole file is read, checked and merged by
`probes.config.file`, and `probes.config.reference` makes the README's tables of it.
"""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import field

from probes.config.expect import Expect
from probes.config.fields import Field, Range, Settings, Shape, Unset, fields_of
from probes.config.goals import DAY_S, Goals, Seconds, Usd, configured_e2e_goal_s
from probes.config.prompts import OVERHEAD_TOKENS, Prompt, estimate_tokens
from probes.config.proxies import proxy_setting
from probes.config.urls import base_url_of, is_host_name
from probes.config.webhooks import webhook_of
from probes.config.workloads import WorkloadName

Dialect: TypeAlias = Literal["chat", "completions", "responses", "messages", "ollama", "azure"]
DialectChoice: TypeAlias = Dialect | Literal["auto"]
KeyHeader: TypeAlias = Literal["authorization", "x-api-key", "api-key"]
Pace: TypeAlias = Literal["interval", "constant", "poisson"]

AUTO: Final = "auto"
"""In the place of a concurrency: it finds itself."""
LONGEST_PROMPT_MB: Final = 4
"""A million tokens of four characters: no more than `prompt_tokens` can ask for."""
_API_VERSION: Final = Shape(
    "a version such as 2024-10-21", lambda text: bool(re.fullmatch(r"[A-Za-z0-9.-]{1,40}", text))
)


def _is_text(value: str) -> bool:
    return bool(value.strip())


def _is_name(value: str) -> bool:
    return _is_text(value) and value.isprintable()


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
_BASE_URL: Final = Shape("a URL such as https://api.example.com/v1", settle=base_url_of, show=False)
_PROXY: Final = Shape(
    'a URL such as http://proxy.example:3128, "none" or "environment"',
    settle=proxy_setting,
    show=False,
)
_PROMPT: Final = Shape(
    f"a text that is not empty, at most {LONGEST_PROMPT_MB} MB",
    lambda text: _is_text(text) and len(text.encode()) <= LONGEST_PROMPT_MB * 1_000_000,
    show=False,
)
_BODY: Final = Shape("a table that JSON can hold (no dates, no nan or inf)", _is_json, show=False)
_COMMAND: Final = Shape(
    'a command as a list, such as ["pass", "show", "key"]',
    lambda argv: bool(argv and argv[0]) and not any("\0" in word for word in argv),
    show=False,
)
_ON_ALERT: Final = Shape(
    'a command as a list, such as ["notify-send", "llmtop"]', _COMMAND.holds, show=False
)
_WEBHOOK: Final = Shape(
    'a URL such as https://alerts.example.com/hook, or "env:NAME"', settle=webhook_of, show=False
)
_VARIABLE: Final = Shape("the name of an environment variable", _is_name, show=False)
_HOST: Final = Shape("a host name or an address, without a port", is_host_name)
_UsdPerMillion: TypeAlias = Annotated[float, Range("USD per million tokens", 0)]
_TOKENS_PER_HOUR: Final = Range("a whole number of tokens an hour", 1, 10**15, bounds="≥ 1")
"""The most is beyond any bill, and within what SQLite and readers of JSON hold exactly."""


class Timeouts(Settings, frozen=True, kw_only=True):
    """The clocks that end an attempt, in seconds."""

    connect: Seconds = 10.0
    """Name, TCP and TLS together."""
    first_token: Seconds = 60.0
    """To the first output delta; keep-alives and empty deltas do not count."""
    stall: Seconds = 30.0
    """Between two output chunks."""
    total: Seconds = 300.0
    """Of an attempt."""


class Tls(Settings, frozen=True, kw_only=True):
    """How a server proves who it is, and we to it. Files are read when probing begins."""

    ca_file: Annotated[str | None, _PEM] = None
    """Authorities to trust *instead of* the machine's; relative to this file, as all paths are."""
    client_cert: Annotated[str | None, _PEM] = None
    """Our own certificate, with its chain."""
    client_key: Annotated[str | None, _PEM, Unset("in `client_cert`")] = None
    """Its key, without a password."""
    verify: bool = True
    """False believes any certificate, and a notice says so."""
    server_name: Annotated[str | None, _HOST] = None
    """What to ask for (SNI) and to find in the certificate, instead of the URL's host."""


class Price(Settings, frozen=True, kw_only=True):
    """What the provider charges, in USD per million tokens."""

    input: _UsdPerMillion
    """Used where the provider does not say the cost."""
    output: _UsdPerMillion
    """The same of the answer."""
    cached_input: Annotated[_UsdPerMillion | None, Unset("as `input`")] = None
    """The same of input that the provider had in its cache."""


class Route(Settings, frozen=True, kw_only=True):
    """One thing to probe, with all defaults filled in."""

    # The only fields that are no keys, beside `adaptive`: what stands in [routes.NAME], and what
    # `workload` or `prompts_file` have brought, and where it is probed from.
    name: str
    place: str = ""
    prompts: tuple[Prompt, ...] = ()
    base_url: Annotated[str, _BASE_URL]
    """Up to and without the dialect's path."""
    model: Annotated[str, Shape("the model's name", _is_name)]
    """As the API calls it."""
    dialect: DialectChoice = "chat"
    """The API spoken; `"auto"` finds out."""
    # Azure's last dated version that is no preview.
    api_version: Annotated[str, _API_VERSION] = "2024-10-21"
    """Azure's `api-version`, where `base_url` has none."""
    stream: bool = True
    """False asks for whole answers: TTFT is undefined then, such a route is judged by E2E and
    success, and of the timeouts `connect` and `total` count."""
    api_key_env: Annotated[str | None, _VARIABLE] = None
    """Variable that holds the key alone, sent as the dialect has it."""
    api_key_cmd: Annotated[tuple[str, ...] | None, _COMMAND] = None
    """Or a command that prints the key alone, run before the screen, without a shell and stdin;
    10 s, 4 KB."""
    key_header: Annotated[KeyHeader | None, Unset("by the dialect")] = None
    """The header that takes the key; `authorization` has it as a bearer token."""
    headers: Annotated[dict[str, str], Shape("a table of header names and texts", show=False)] = (
        field(default_factory=dict)
    )
    """Extra headers; `"env:NAME"` takes a value from the environment, and credentials
    (`Authorization`, `x-api-key`, `Cookie`, …) stand only so."""
    # In a record it is whole, whichever of the three it was made of; where there are `prompts`,
    # these are asked instead.
    prompt: Annotated[str, _PROMPT] = "Write one short sentence about the sea."
    """User message; or `prompt_file`, `prompt_tokens`, `workload`, `prompts_file`."""
    workload: WorkloadName | None = None
    """[Prompt and answer cap](#workloads) by a name that others use too, to compare: `aa-…` as
    the public leaderboard Artificial Analysis asks."""
    system: Annotated[str | None, Shape("a text that is not empty", _is_text, show=False)] = None
    """System message."""
    # By default a route costs little when it is left running: one short answer every 5 s, some
    # 50,000 tokens an hour, a tenth of its budget.
    max_tokens: Annotated[int, Range(_WHOLE, 1, 1_000_000)] = 64
    """Answer cap, always sent. Beside a `workload` it is that one's where it is not set in the same
    table."""
    temperature: Annotated[float | None, Range("a number", 0, 2)] = None
    """As the API has it."""
    extra_body: Annotated[dict[str, Any], _BODY] = field(default_factory=dict)
    """Merged into the request's body last; Ollama's `options` in it key by key."""
    cap_field: Literal["auto", "max_tokens", "max_completion_tokens"] = "auto"
    """What the cap is sent as, or find out; `responses` always sends `max_output_tokens`."""
    continuous_usage: bool = False
    """Ask for token counts with every chunk; dropped where the server refuses it."""
    cache: Literal["warm", "bust"] = "warm"
    """`warm`: the same prompt each time; `bust`: a nonce first."""
    connection: Literal["reuse", "fresh"] = "reuse"
    """`fresh` connects for every attempt."""
    tls: Tls = Tls()
    proxy: Annotated[str, _PROXY] = "environment"
    """What HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say; or a URL (`http://`, `https://`,
    `socks5://`, `socks5h://`), `"none"`, or `"env:NAME"`: the variable holds the URL, with user and
    password."""
    http2: bool = False
    """Offer HTTP/2, over http:// speak it unasked; needs `pip install 'llmtop-tui[http2]'`."""
    unix_socket: Annotated[str | None, Shape("the path of a Unix socket", _is_name)] = None
    """Socket to connect to; `base_url` still says `Host` and path."""
    # In a record it is a number, and `adaptive` says whether it finds itself.
    concurrency: Annotated[int, Range(_WHOLE, 1, 1_000, word=AUTO)] = 1
    """Workers: probes at the same time; `"auto"`: as many as the server and the goals bear."""
    concurrency_min: Annotated[int, Range(_WHOLE, 1, 1_000)] = 1
    """Where a concurrency that finds itself begins; it never goes below."""
    # More than most servers at hand bear; whoever has a larger one says so, and pays for it.
    concurrency_max: Annotated[int, Range(_WHOLE, 1, 1_000)] = 32
    """What it never goes above."""
    adaptive: bool = False  # what "auto" becomes: it is no key
    interval: Annotated[float, Range("a number of seconds", 0, DAY_S)] = 5.0
    """Seconds from one start to the next, per worker, ± 10 %; 0 is back to back."""
    pace: Pace = "interval"
    """`interval` is a closed loop: a worker's next probe waits for its last. `constant` and
    `poisson` are open: by `rate`, up to `concurrency` at once."""
    rate: Annotated[float | None, Range("a number of probes a second", 0.001, 1_000)] = None
    """Probes a second of an open pace, which needs it."""
    timeouts: Timeouts = Timeouts()
    stall_after: Seconds = 1.0
    """Seconds without output that are marked as a stall."""
    # As often as the official clients try again.
    retries: Annotated[int, Range(_WHOLE, 0, 10)] = 2
    """Per probe at most; 0 for none."""
    evidence: bool = True
    """Probe more often while something is suspected: up to once a second, at most 20 s at a time,
    within concurrency and budget; never within 60 s of a 429, an overload or a spent quota."""
    goals: Goals = Goals()
    expect: Expect = Expect()
    price: Price | None = None
    price_list: Annotated[bool | None, Unset("unless on loopback")] = None
    """Look a missing price up in the provider's own list."""
    tags: Annotated[tuple[str, ...], Shape("a list of texts")] = ()
    """For the filter."""
    insecure: bool = False
    """Allow a key over plain http to another machine. Without it, a route with such a URL is
    refused, and so is a request whose socket turns out to lead to one: `client_error / clear_text`,
    not sent."""
    paused: bool = False
    """Start paused."""

    @property
    def shared_name(self) -> str:
        """The name that it has at every place, as the file has it: budgets are by this one."""
        return self.name.removesuffix(f"@{self.place}") if self.place else self.name

    @property
    def is_open(self) -> bool:
        """Whether its pace is an open loop: a probe begins when it is due, whatever the others
        do."""
        return self.pace != "interval"

    @property
    def asked_concurrency(self) -> int | str:
        """The concurrency as the file has it."""
        return AUTO if self.adaptive else self.concurrency

    @property
    def e2e_goal_s(self) -> float | None:
        """The E2E goal in seconds at the configured answer cap; None where there is none."""
        return configured_e2e_goal_s(self.goals.e2e_s, self.max_tokens)

    @property
    def shapes(self) -> dict[str, int]:
        """The shapes of its prompts, each with the estimated tokens of its largest; the one that
        comes most first."""
        sizes: dict[str, int] = {}
        weights: dict[str, float] = {}
        for prompt in self.prompts:
            sizes[prompt.name] = max(sizes.get(prompt.name, 0), prompt.tokens)
            weights[prompt.name] = weights.get(prompt.name, 0.0) + prompt.weight
        return {name: sizes[name] for name in sorted(sizes, key=lambda name: -weights[name])}

    @property
    def input_tokens(self) -> int:
        """The estimated size of a probe's input in tokens; of several prompts, of the largest."""
        if self.prompts:
            return max(self.shapes.values())
        return estimate_tokens((self.system or "") + self.prompt) + OVERHEAD_TOKENS


NO_KEYS: Final = ("name", "prompts", "adaptive", "place")
"""Fields of a route that are none in the file."""


class PromptSource(Settings, frozen=True, kw_only=True):
    """Keys of a route in whose place `Route.prompt` has a text."""

    prompt_file: Annotated[str | None, Shape("the path of a text file", _is_name)] = None
    """Holds the prompt; relative to this file."""
    prompt_tokens: Annotated[int | None, Range(_WHOLE, 1, 1_000_000)] = None
    """A prompt of about so many tokens is generated."""
    prompts_file: Annotated[str | None, Shape("the path of a file of JSON lines", _is_name)] = None
    """[Prompts of your own](#prompts-of-your-own), asked in turn; relative to this file."""


class Budget(Settings, frozen=True, kw_only=True):
    """What probing may cost in any sliding hour; at the limit a route pauses, loudly."""

    tokens_per_hour: Annotated[int, _TOKENS_PER_HOUR] = 2_000_000
    """All routes and all runs of this machine, in any hour."""
    route_tokens_per_hour: Annotated[int, _TOKENS_PER_HOUR] = 500_000
    """Each route."""
    usd_per_hour: Usd | None = None
    """Can be held only on routes that have a price."""
    route_usd_per_hour: Usd | None = None
    """Each route."""


class Recording(Settings, frozen=True, kw_only=True):
    """The event stream on disk."""

    enabled: bool = True
    """Record every run; `--no-record` turns it off for one."""
    max_mb: Annotated[float, Range("a number of megabytes", 1)] = 256.0
    """All recordings together; the oldest go first."""
    max_days: Annotated[float, Range("a number of days", 0, exclusive=True)] = 7.0
    """The same by their age."""
    text: bool = False
    """Record answers' texts."""


class History(Settings, frozen=True, kw_only=True):
    """Weeks of figures, in one file."""

    enabled: bool = True
    """Keep what every run comes to; `--no-history` turns it off for one."""
    max_mb: Annotated[float, Range("a number of megabytes", 10)] = 500.0
    """Of the file; the oldest go first."""
    max_days: Annotated[float, Range("a number of days", 1)] = 400.0
    """The same by their age."""


class Alerting(Settings, frozen=True, kw_only=True):
    """Who is told of an alert, and how."""

    bell: bool = True
    """Ring the terminal's bell."""
    notify: bool = True
    """Have the terminal show a notification: OSC 9 and OSC 777, where it knows them."""
    on_alert: Annotated[tuple[str, ...] | None, _ON_ALERT] = None
    """Run for each alert, where its cause or its routes change, and when it is over, with
    [the alert](../exports/README.md#alerts) as JSON on its standard input; no shell."""
    webhook: Annotated[str | None, _WEBHOOK] = None
    """POST the same JSON there; or `"env:NAME"`: the variable holds the URL. Plain http only to
    this machine."""
    timeout_s: Annotated[float, Range("a number of seconds", 1, 60)] = 10.0
    """After so long `on_alert` is killed, with all that it started, and a POST is given up."""


class Display(Settings, frozen=True, kw_only=True):
    """How the screen behaves."""

    refresh_hz: Annotated[
        float, Range("a rate", 0.5, 30, bounds="from {least} to {most} a second")
    ] = 10.0
    """Frames a second; a slow terminal gets fewer, down to 1."""
    window: Literal["1m", "5m", "15m", "1h", "run"] = "1m"
    """Of the home screen's figures; also `--window`."""
    theme: Annotated[str, Shape("the name of a theme", _is_name)] = "llmtop"
    """`llmtop-light`, `llmtop-ansi`, `llmtop-ansi-light`, `llmtop-plain` or one of Textual's; the
    terminal may change it."""


class Config(Settings, frozen=True, kw_only=True):
    """A whole routes.toml, defaults merged, prompts read; secrets are not in it."""

    routes: tuple[Route, ...]
    budget: Budget = Budget()
    recording: Recording = Recording()
    history: History = History()
    alerts: Alerting = Alerting()
    display: Display = Display()
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What the cockpit does → the keys that do it, where they are not its own; whoever has a screen
    knows which of both there are."""
    source: str = ""
    """The file it came from; empty for `--base-url` and the demo."""
    digest: str = ""
    """Of that file's text when it was read: what is saved must be a change of just that."""


def route_keys() -> Mapping[str, Field]:
    """Return the keys of a route's table by name."""
    keys = {**fields_of(Route), **fields_of(PromptSource)}
    return {key: field for key, field in keys.items() if key not in NO_KEYS}
