"""What a user can set: one frozen record per table of routes.toml, every default in one place.

The field names are the file's keys. Reading, checking and merging a file is `probes.config.file`.
"""

from typing import Any, Literal, TypeAlias

import msgspec

from probes.config.e2e_goal import configured_e2e_goal_s

Dialect: TypeAlias = Literal["chat", "completions", "responses", "messages", "ollama", "azure"]
DialectChoice: TypeAlias = Dialect | Literal["auto"]
KeyHeader: TypeAlias = Literal["authorization", "x-api-key", "api-key"]
CapField: TypeAlias = Literal["auto", "max_tokens", "max_completion_tokens"]
CacheMode: TypeAlias = Literal["warm", "bust"]
ConnectionMode: TypeAlias = Literal["reuse", "fresh"]


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file: strict, frozen."""


class Timeouts(_Table, frozen=True, kw_only=True):
    """The clocks that end an attempt, in seconds; each above zero."""

    connect: float = 10.0
    """Name, TCP and TLS together."""
    first_token: float = 60.0
    """From `started` to the first output delta; keep-alives and empty deltas do not count."""
    stall: float = 30.0
    """Between two output chunks."""
    total: float = 300.0


class Tls(_Table, frozen=True, kw_only=True):
    """How a server proves who it is, and we to it. Files are PEM, read when probing begins."""

    ca_file: str | None = None
    """Authorities that are trusted instead of this machine's."""
    client_cert: str | None = None
    """Our own certificate, with its chain."""
    client_key: str | None = None
    """Its key, unencrypted; None where it stands in the same file."""
    verify: bool = True
    """False believes any certificate."""
    server_name: str | None = None
    """What the certificate must name, and what is asked for (SNI), instead of the URL's host."""


class Goals(_Table, frozen=True, kw_only=True):
    """What a good probe is. Bands follow the goal: great ≤ 0.6 × goal < fine ≤ goal < slow ≤ 1.5 ×
    goal < sluggish."""

    ttft_s: float = 1.0
    """Felt TTFT in seconds; p95 is graded against it, and a good probe is within it."""
    e2e_s: float | None = None
    """Felt E2E in seconds; None leaves it to `probes.config.e2e_goal`."""
    success: float = 0.99
    """Share of probes that must be ok, 0 to 1."""
    cost_usd_per_probe: float | None = None


class Price(_Table, frozen=True, kw_only=True):
    """What the provider charges, in USD per million tokens; used where it does not say itself."""

    input: float
    output: float
    cached_input: float | None = None
    """Of input that the provider read from its cache; None charges it as any other."""


class Route(_Table, frozen=True, kw_only=True):
    """One thing to probe, with all defaults filled in."""

    name: str
    base_url: str
    """Up to and without the dialect's path: `https://api.deepinfra.com/v1/openai`."""
    model: str
    dialect: DialectChoice = "chat"
    """`auto` asks in one after the other until the server answers."""
    api_version: str = "2024-10-21"
    """Azure's `api-version`, where the base URL has none."""
    stream: bool = True
    """False asks for whole answers: TTFT is undefined then, and no first token is waited for."""
    api_key_env: str | None = None
    """Name of the environment variable that holds the key; the key itself is never in the file."""
    api_key_cmd: tuple[str, ...] | None = None
    """Command that prints the key: an argv list, run without a shell before the screen."""
    key_header: KeyHeader | None = None
    """The header that takes the key; None leaves it to the dialect."""
    headers: dict[str, str] = {}
    """Extra request headers; a value `env:NAME` is taken from the environment."""
    prompt: str = "Write one short sentence about the sea."
    """The user message, whole: of `prompt`, `prompt_file` or generated to `prompt_tokens`."""
    system: str | None = None
    max_tokens: int = 64
    temperature: float | None = None
    extra_body: dict[str, Any] = {}
    """Merged into the request's JSON body last."""
    cap_field: CapField = "auto"
    continuous_usage: bool = False
    """Ask for token counts with every chunk; not every server knows that."""
    cache: CacheMode = "warm"
    """`warm`: byte-identical prompt each time; `bust`: a nonce comes first."""
    connection: ConnectionMode = "reuse"
    tls: Tls = Tls()
    proxy: str = "environment"
    """A URL without user and password, `env:NAME` of a variable that holds one with them, `none`,
    or `environment`: what HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say."""
    http2: bool = False
    """Offer HTTP/2 over TLS; over plain http, speak it unasked."""
    unix_socket: str | None = None
    """Path of the socket to connect to; `base_url` still says host and path of the request."""
    concurrency: int = 1
    interval: float = 5.0
    """Seconds from one start to the next of the same worker; 0 is back to back."""
    timeouts: Timeouts = Timeouts()
    stall_after: float = 1.0
    """Seconds without an output chunk that are marked as a stall."""
    retries: int = 2
    goals: Goals = Goals()
    price: Price | None = None
    price_list: bool | None = None
    """Whether a route without a price asks its provider's list for it; None: unless on loopback."""
    tags: tuple[str, ...] = ()
    insecure: bool = False
    """Allow a key over plain http to another machine."""
    paused: bool = False
    """Start paused."""

    @property
    def e2e_goal_s(self) -> float | None:
        """The E2E goal in seconds at the configured answer cap; None where there is none."""
        return configured_e2e_goal_s(self.goals.e2e_s, self.max_tokens)


class Budget(_Table, frozen=True, kw_only=True):
    """What probing may cost in any sliding hour; at the limit a route pauses, loudly."""

    tokens_per_hour: int = 2_000_000
    """All routes and all runs of this machine together."""
    route_tokens_per_hour: int = 500_000
    usd_per_hour: float | None = None
    route_usd_per_hour: float | None = None


class Recording(_Table, frozen=True, kw_only=True):
    """The event stream on disk."""

    enabled: bool = True
    max_mb: float = 256.0
    """All recordings together."""
    max_days: float = 7.0
    text: bool = False
    """Record prompts' answers too."""


class Display(_Table, frozen=True, kw_only=True):
    """How the screen behaves."""

    refresh_hz: float = 10.0
    window: Literal["1m", "5m", "15m", "1h", "run"] = "5m"
    """Window of the home screen's figures."""
    theme: str = "llmtop"


class Config(_Table, frozen=True, kw_only=True):
    """A whole routes.toml, defaults merged, prompts read; secrets are not in it."""

    routes: tuple[Route, ...]
    budget: Budget = Budget()
    recording: Recording = Recording()
    display: Display = Display()
    source: str = ""
    """The file it came from; empty for `--base-url` and the demo."""
