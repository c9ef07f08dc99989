"""The one event stream: everything the screen shows, and the recording, is folded from it.

JSON lines, one event a line, told apart by `type`. *Durable* events go everywhere: pipe, recording,
replay, headless output. *Transient* ones go on the pipe only. All `*_ns` stamps are monotonic
nanoseconds of the engine that wrote them; only stamps of one engine are ever subtracted.
Absent means "never happened" or "unknown", never zero.
"""

from typing import Final, Literal, TypeAlias

import msgspec

__all__ = [
    "DURABLE_TYPES",
    "SCHEMA_VERSION",
    "Arrival",
    "Arrivals",
    "AttemptFinished",
    "AttemptStarted",
    "Batch",
    "BudgetState",
    "ClockSource",
    "CostSource",
    "Event",
    "Fault",
    "FirstToken",
    "Gap",
    "Health",
    "Held",
    "HeldReason",
    "Hello",
    "Knob",
    "KnobKind",
    "Limit",
    "LimitReading",
    "Mark",
    "Notice",
    "Outcome",
    "Preview",
    "ProbeFinished",
    "RetryPlan",
    "RouteCounts",
    "RouteInfo",
    "StampLadder",
    "Tick",
    "TokenSource",
    "TtftKind",
    "decode_event",
    "encode_event",
]

SCHEMA_VERSION: Final = 1

Outcome: TypeAlias = Literal[
    "ok",
    "throttled",
    "server_error",
    "client_error",
    "timeout",
    "protocol_error",
    "truncated",
    "content_error",
    "cancelled",
]
TokenSource: TypeAlias = Literal[
    "usage", "x_groq.usage", "continuous_usage", "timings", "estimate", "none"
]
TtftKind: TypeAlias = Literal[
    "content", "reasoning", "tool_call", "refusal", "buffered", "not_streamed", "none"
]
CostSource: TypeAlias = Literal["provider", "price", "unknown"]
ClockSource: TypeAlias = Literal["kernel", "user"]
KnobKind: TypeAlias = Literal[
    "concurrency", "interval", "max_tokens", "paused", "burst", "cool_down"
]
HeldReason: TypeAlias = Literal["budget", "reader_stalled", "cool_down", "paused", "restarting"]


class _Struct(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A frozen record that leaves defaults out of its JSON."""


class StampLadder(_Struct, frozen=True, kw_only=True):
    """When each step of one attempt happened, in monotonic ns; None where it never did.

    `scheduled` (the pacer's tick) → `admitted` (slot taken) → `started` (first network act) →
    `dns`, `tcp`, `tls` (their completions; absent on a warm connection) → `sent` (last byte of the
    request written) → `headers` → `first_event` → `first_token` (first non-empty text, reasoning,
    tool-call or refusal delta) → `first_answer` (first that is not reasoning) → `last_token` →
    `done` (end of body); and `ended` on every attempt, failed ones too. Out of order is legal: a
    server may answer before the request is wholly sent.
    """

    scheduled: int | None = None
    admitted: int | None = None
    started: int | None = None
    dns: int | None = None
    tcp: int | None = None
    tls: int | None = None
    sent: int | None = None
    headers: int | None = None
    first_event: int | None = None
    first_token: int | None = None
    first_answer: int | None = None
    last_token: int | None = None
    done: int | None = None
    ended: int | None = None


class Health(_Struct, frozen=True, kw_only=True):
    """What the engine knows of itself since its last report: can its figures be trusted?"""

    loop_lag_p50_ns: int = 0
    loop_lag_p99_ns: int = 0
    loop_lag_max_ns: int = 0
    cpu_share: float = 0.0
    """Share of one core used, 0 to 1 and above."""
    open_streams: int = 0
    open_sockets: int = 0
    drops: int = 0
    """Transient events dropped since the engine started, because the reader was slow."""
    waiting: int = 0
    """Durable events that wait for the reader."""
    clock: ClockSource = "user"


class RouteInfo(_Struct, frozen=True, kw_only=True):
    """What the board must know of a route; no secret is in it."""

    name: str
    base_url: str
    """Without userinfo, query values masked."""
    model: str
    dialect: str
    concurrency: int
    interval: float
    """Seconds from one start to the next, per worker."""
    max_tokens: int
    prompt_tokens: int
    """Estimate of the input's size, ~4 characters a token, until a usage says better."""
    stall_after: float
    goal_ttft_s: float
    goal_e2e_s: float | None = None
    """None where no E2E goal applies (an answer cap above 200 without a goal of its own)."""
    goal_e2e_set: bool = False
    """`goal_e2e_s` is the user's own and holds at any answer cap; else it follows the cap."""
    goal_success: float = 0.99
    goal_cost_usd_per_probe: float | None = None
    price_known: bool = False
    retries: int = 2
    tags: tuple[str, ...] = ()
    paused: bool = False


class Hello(_Struct, frozen=True, kw_only=True, tag_field="type", tag="hello"):
    """First event of every engine."""

    at_ns: int
    wall_ns: int
    engine: str
    """Short id of this engine; the ids of its probes begin with it."""
    version: str
    routes: tuple[RouteInfo, ...]
    schema: int
    """`SCHEMA_VERSION` of the writer; always written, so that a reader can refuse."""
    pid: int = 0
    clock_name: str = "CLOCK_MONOTONIC"
    boot_id: str = ""
    """Stamps of two engines compare only where `clock_name` and `boot_id` are the same."""
    clock: ClockSource = "user"


class AttemptStarted(_Struct, frozen=True, kw_only=True, tag_field="type", tag="attempt_started"):
    """An HTTP exchange began. `at_ns` is its `started` stamp."""

    at_ns: int
    route: str
    probe: str
    attempt: int
    """0 for the first attempt of the probe."""
    scheduled_ns: int
    admitted_ns: int
    cohort: str
    """Answer cap / upper end of the input-token band, such as `64/256`."""
    reserved_tokens: int = 0


class FirstToken(_Struct, frozen=True, kw_only=True, tag_field="type", tag="first_token"):
    """The first output delta of an attempt. `at_ns` is its `first_token` stamp."""

    at_ns: int
    route: str
    probe: str
    attempt: int
    felt_ns: int
    """first_token − started of the probe's first attempt: what the user waited."""
    kind: TtftKind
    cohort: str = ""


class Limit(_Struct, frozen=True, kw_only=True):
    """One rate limit as a server's headers or body told it."""

    kind: str
    """`requests`, `tokens`, `concurrency`, `input_tokens`, `output_tokens`, …"""
    limit: float | None = None
    remaining: float | None = None
    reset_s: float | None = None
    """Seconds from the answer until it is replenished."""
    window: str = ""
    """`minute`, `day` or empty where the server does not say."""


class RetryPlan(_Struct, frozen=True, kw_only=True):
    """Why and after how long the same probe is tried again."""

    reason: str
    wait_s: float
    number: int
    """1 for the first retry."""


class AttemptFinished(_Struct, frozen=True, kw_only=True, tag_field="type", tag="attempt_finished"):
    """One HTTP exchange, whole: what was asked, what came, when, and what it was worth."""

    at_ns: int
    route: str
    probe: str
    attempt: int
    outcome: Outcome
    stamps_ns: StampLadder
    reason: str = ""
    """Precise reason of a failure: `rate_limit`, `quota`, `connect.dns`, `timeout.stall`, …"""
    message: str = ""
    """The server's words, scrubbed of secrets and cut to 500 characters; hostile input."""
    retryable: bool = False
    retry: RetryPlan | None = None
    retry_after_s: float | None = None
    """What the server asked us to wait, as it said it; may be more than we will."""
    status: int | None = None
    cold: bool = False
    """A connection was made for this attempt."""
    clock: ClockSource = "user"
    cohort: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    token_source: TokenSource = "none"  # noqa: S105 - tokens of text, not a credential
    first_chunk_tokens: int | None = None
    """Tokens in the first output chunk, where the server counts as it streams."""
    ttft_kind: TtftKind = "none"
    finish_reason: str | None = None
    chunks: int = 0
    """Reads that carried output."""
    chunk_offsets_ns: tuple[int, ...] = ()
    """Arrival of each output chunk, from `started`."""
    stalls: int = 0
    """Chunk gaps above the route's `stall_after`."""
    longest_gap_ns: int = 0
    cost_usd: float | None = None
    cost_source: CostSource = "unknown"
    charged_tokens: int = 0
    """What the budget was charged: the usage, or the whole reservation where there is none."""
    reserved_tokens: int = 0
    request_id: str | None = None
    response_id: str | None = None
    headers: dict[str, str] = {}
    """Response headers of the allow-list."""
    limits: tuple[Limit, ...] = ()
    server_timing: dict[str, float] = {}
    text_chars: int = 0
    text_sha256: str = ""
    text: str | None = None
    """Only where asked for."""
    reasoning_text: str | None = None
    flagged: str = ""
    """Why the stamps are not to be trusted (`local_gap`), empty where they are."""


class ProbeFinished(_Struct, frozen=True, kw_only=True, tag_field="type", tag="probe_finished"):
    """One logical request with all its attempts, as its user felt it. `at_ns` is its end."""

    at_ns: int
    route: str
    probe: str
    outcome: Outcome
    attempts: int
    started_ns: int
    """`started` of the first attempt."""
    scheduled_ns: int
    reason: str = ""
    first_token_ns: int | None = None
    first_answer_ns: int | None = None
    done_ns: int | None = None
    """End of the answer's body; only where the outcome is ok."""
    retry_wait_ns: int = 0
    """Time spent waiting between its attempts."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    cohort: str = ""
    flagged: str = ""


class Knob(_Struct, frozen=True, kw_only=True, tag_field="type", tag="knob"):
    """A setting was changed while running."""

    at_ns: int
    route: str
    knob: KnobKind
    before: float
    after: float
    who: str = "user"


class LimitReading(_Struct, frozen=True, kw_only=True, tag_field="type", tag="limit"):
    """What a route's server last said is left; sent when it changes, at most once a second."""

    at_ns: int
    route: str
    limits: tuple[Limit, ...]


class Held(_Struct, frozen=True, kw_only=True, tag_field="type", tag="held"):
    """New attempts of a route (of all, where `route` is empty) are held back, or let go again."""

    at_ns: int
    reason: HeldReason
    route: str = ""
    released: bool = False
    until_ns: int | None = None
    asked_s: float | None = None
    """For a cool-down: what the server asked for."""
    detail: str = ""


class Gap(_Struct, frozen=True, kw_only=True, tag_field="type", tag="gap"):
    """The engine itself did not run (suspend, stopped process): nothing measured here counts."""

    at_ns: int
    started_ns: int


class Mark(_Struct, frozen=True, kw_only=True, tag_field="type", tag="mark"):
    """A note of the user's on the timeline."""

    at_ns: int
    text: str


class Fault(_Struct, frozen=True, kw_only=True, tag_field="type", tag="fault"):
    """A defect of ours in one route: its workers restart, the others never noticed."""

    at_ns: int
    route: str
    error: str
    traceback: str
    restart_in_s: float


class Notice(_Struct, frozen=True, kw_only=True, tag_field="type", tag="notice"):
    """Something a person should read once: a fallback taken, a limit that cannot be enforced."""

    at_ns: int
    route: str
    text: str


class RouteCounts(_Struct, frozen=True, kw_only=True):
    """A route at one moment, and its counters since the engine started."""

    route: str
    in_flight: int
    target: int
    waiting: int = 0
    """Workers that wait for a slot, a budget or a cool-down."""
    skipped: int = 0
    """Ticks of the pace that could not be sent."""


class BudgetState(_Struct, frozen=True, kw_only=True):
    """One budget over the sliding hour, all runs of this machine together."""

    route: str
    """Empty for the overall budget."""
    used_tokens: int
    limit_tokens: int
    used_usd: float = 0.0
    limit_usd: float | None = None


class Tick(_Struct, frozen=True, kw_only=True, tag_field="type", tag="tick"):
    """Each second: clocks, health and counts. Its absence is itself a reading."""

    at_ns: int
    wall_ns: int
    health: Health
    routes: tuple[RouteCounts, ...]
    budgets: tuple[BudgetState, ...] = ()


class Batch(_Struct, frozen=True, kw_only=True, tag_field="type", tag="batch"):
    """Transient: closes what the engine wrote at once; carries its health."""

    at_ns: int
    seq: int
    health: Health
    routes: tuple[RouteCounts, ...] = ()


class Arrival(msgspec.Struct, frozen=True, array_like=True):
    """Output that arrived on one open attempt in one 100 ms slot."""

    probe: str
    attempt: int
    chunks: int
    characters: int
    last_ns: int


class Arrivals(_Struct, frozen=True, kw_only=True, tag_field="type", tag="arrivals"):
    """Transient: token arrival of one 100 ms slot, which begins at `at_ns`."""

    at_ns: int
    route: str
    arrivals: tuple[Arrival, ...]


class Preview(_Struct, frozen=True, kw_only=True, tag_field="type", tag="preview"):
    """Transient: text of the one stream that is on preview; hostile input."""

    at_ns: int
    route: str
    probe: str
    attempt: int
    text: str
    reasoning: bool = False


Event: TypeAlias = (
    Hello
    | AttemptStarted
    | FirstToken
    | AttemptFinished
    | ProbeFinished
    | Knob
    | LimitReading
    | Held
    | Gap
    | Mark
    | Fault
    | Notice
    | Tick
    | Batch
    | Arrivals
    | Preview
)

DURABLE_TYPES: Final = (
    Hello,
    AttemptStarted,
    FirstToken,
    AttemptFinished,
    ProbeFinished,
    Knob,
    LimitReading,
    Held,
    Gap,
    Mark,
    Fault,
    Notice,
    Tick,
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode_event(event: Event) -> bytes:
    """Return one JSON line, its newline included."""
    return _encoder.encode(event) + b"\n"


def decode_event(line: bytes) -> Event:
    """Return the event of one JSON line.

    Raises:
        msgspec.DecodeError: the line is not an event of this schema.
    """
    return _decoder.decode(line)
