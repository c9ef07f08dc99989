"""What events are made of: the words of the field as types, and the records inside events.

Rule 1: `*_ns` is a stamp or a duration in monotonic nanoseconds of the engine that wrote it, `*_s`
and what a user set (`interval`, `stall_after`) are seconds, `*_usd` is USD, `*_share` is 0 to 1,
`*_tokens` and all other numbers are counts.
Rule 2: absent means "never happened" or "unknown", never zero.
Rule 3: a name that is on the wire stays. Recordings of years ago are read with these records.
"""

from typing import Final, Literal, TypeAlias

import msgspec

Outcome: TypeAlias = Literal[
    "ok",
    "throttled",
    "server_error",
    "client_error",
    "timeout",
    "protocol_error",
    "truncated",
    "content_error",
    "cancelled",  # by us or by the user: no figure of the route counts it
]
"""How an attempt ended, and how a probe did: as its last attempt."""


class Verdict(msgspec.Struct, frozen=True):
    """An outcome with its precise reason, as answers are judged."""

    outcome: Outcome
    reason: str = ""
    """Such as `quota`, `connect.dns` or `timeout.stall`; empty where the outcome says it all."""
    retryable: bool = False
    """The same request may end otherwise a little later."""


WRONG_ANSWER: Final = Verdict("content_error", "wrong_answer")
"""A whole answer, well-formed, that is not what was expected of it: served well, and no use."""


TokenSource: TypeAlias = Literal[
    "usage",  # of the whole answer, at its end
    "x_groq.usage",  # the same in a field of Groq's own
    "continuous_usage",  # with each chunk
    "timings",  # beside the usage, such as llama.cpp's
    "estimate",  # from the characters that came
    "none",
]
"""Who counted an answer's output tokens."""


TtftKind: TypeAlias = Literal[
    "content",
    "reasoning",
    "tool_call",
    "refusal",
    "other",  # a delta of a kind we do not know, with something in it
    "buffered",  # everything came at once: a gateway held the stream back
    "not_streamed",  # the answer came whole, as it was asked for
    "none",
]
"""What the first output was that TTFT was measured to; with the last two it is undefined."""


ServerInterval: TypeAlias = Literal[
    "queue",  # waiting before the model took it up
    "load",  # loading the model
    "prompt",  # reading the prompt, up to the first token
    "decode",  # writing tokens, from the first to the last
    "first_token",  # from the request to the first token, queue included
    "headers",  # from the request to the response headers, as a gateway or server saw it
    "total",  # from the request to the end of the answer
    "overhead",  # a gateway's own work
    "other",  # a metric whose meaning its server alone knows
]
"""Which interval a server's timing is about."""


TimeUnit: TypeAlias = Literal["s", "ms", "us", "ns"]


CostSource: TypeAlias = Literal["provider", "price", "list", "unknown"]
"""Who says what an answer cost: the provider itself, the settings' price, its own price list."""


ClockSource: TypeAlias = Literal["kernel", "user"]
"""Who stamps arrivals: the kernel as they come in, or the engine itself when it wakes."""

LOCAL: Final = "local."
"""Begins the reason of an exchange that ended for what this machine has too little of."""

DoubtKind: TypeAlias = Literal["unknown", "new", "away"]
"""What is in doubt of the budgets: `unknown`: what was spent is not known, until somebody says that
what is known is all; `new`: the same of a book that places have just begun to share, which ends by
itself within seconds; `away`: where the budgets stand cannot be used, and nobody can lift that."""
Shortage: TypeAlias = Literal["", "descriptors", "memory", "buffers", "ports", "threads"]
"""What this machine has too little of to send probes; empty where it has enough of all."""


KnobKind: TypeAlias = Literal[
    "concurrency",  # workers of a route
    "interval",  # seconds from one start to the next, per worker
    "rate",  # probes a second, of a route whose pace is an open loop
    "max_tokens",  # cap of an answer's output tokens
    "paused",  # 1 or 0
    "burst",  # probes sent at once, beside the pace
    "cool_down",  # seconds that are left of one; 0 lifts it
    "usual",  # 1: the present level is the usual one from now on
    "auto",  # 1: the concurrency finds itself, from what is heard of the server; 0: no longer
]


PaceKind: TypeAlias = Literal[
    "interval",  # closed loop: a worker's next probe waits for its last one
    "constant",  # open loop: a probe begins when it is due; the gaps are equal
    "poisson",  # open loop: the gaps are exponential
]
"""What decides when a route's next probe begins."""


SkipReason: TypeAlias = Literal[
    "late",  # no place was free for so long that nobody would still have waited for it
    "paused",
    "cool_down",
    "budget",
    "reader_stalled",
    "gap",  # the engine itself did not run
    "local",  # this machine has too little of something to send it
    "fault",  # a defect of ours stopped the one before
]
"""Why a probe of an open pace was due and never began."""


HeldReason: TypeAlias = Literal["budget", "reader_stalled", "cool_down", "paused", "restarting"]
"""Why new attempts are held back; what is in flight goes on."""


PlaceState: TypeAlias = Literal[
    "heard",  # its events come
    "silent",  # nothing of it came for longer than it may be
    "gone",  # it is silent, and says itself no longer that it probes
    "unknown",  # the way to it is lost from here: nobody knows how it is
]
"""Whether what is shown of a place still holds."""


OpenPhase: TypeAlias = Literal[
    "connecting",  # the request is not wholly sent
    "sent",  # no response headers yet
    "headers",  # no output yet
    "streaming",  # output comes
]
"""How far an attempt that is still open has come."""

RttTo: TypeAlias = Literal["server", "proxy"]
"""Who is at the other end of the connection whose round trips are measured."""

Cause: TypeAlias = Literal[
    "no_answer",  # requests are taken and nothing comes back
    "outage",  # nothing succeeds
    "provider_errors",  # a share of the attempts fails on the server's side
    "provider_overloaded",  # it says itself that it has too much to do
    "provider_queueing",  # the wait for the first token grew, behind the connection
    "provider_slow_decode",  # the time per output token grew
    "stream_stalls",  # streams pause in mid-answer
    "stream_truncation",  # answers stop without their end
    "rate_limited_requests",  # 429s: we send more requests than it allows
    "rate_limited_tokens",
    "rate_limited_concurrency",
    "quota_exhausted",  # the account has nothing left
    "auth_failure",  # the key is refused
    "model_missing",
    "model_changed",  # answers come from another model or build than before
    "wrong_answers",  # they are whole, and not what is expected of them
    "bad_request",  # it refuses what we ask
    "network_path",  # the way there and back
    "dns",
    "tls",
    "connection_churn",  # connections are made anew where they were kept
    "cold_start",  # the first probe after idle, or the server says that it loaded the model
    "cache_loss",  # the prompt cache stopped serving
    "prompt_growth",  # the same prompt is counted as more tokens
    "output_growth",  # the same prompt brings longer answers
    "retry_masking",  # retries hide errors from users
    "own_load",  # what we ourselves ask of it, since a knob was turned
    "local_observer",  # this machine
    "unknown",  # something is wrong, not yet known what
]
"""What is wrong."""

NEW_LEVELS: Final[frozenset[Cause]] = frozenset(
    (
        *("provider_queueing", "provider_slow_decode", "network_path", "model_changed"),
        *("own_load", "prompt_growth", "output_growth", "cache_loss", "connection_churn"),
        *("dns", "tls"),
    )
)
"""Causes of a new level that may be the usual one day; what fails never is."""

DiagnosisState: TypeAlias = Literal[
    "perhaps",  # likely, and may yet turn out to be chance
    "named",
    "cleared",  # it is over
    "settled",  # it stands, and is the usual from now on
]

Scope: TypeAlias = Literal[
    "",  # one place is all there is, or it is not known yet
    "everywhere",  # each place that tells how it is sees it: it lies where all of them meet
    "way",  # from these places only, and it is of the way there: round trips, connects, silence
    "network",  # from this place only, and all that it sees, whoever provides it
    "machine",  # our own machine at this place
    "only",  # from these places only, and it is nothing of the way
]
"""What it says of a fault from which of several places it is seen."""

FigureName: TypeAlias = Literal[
    "ttft",  # of the attempt
    "time_per_token",
    "chunk_gap",  # longest of an answer
    "e2e",  # of the attempt
    "connect",  # connection set-up, all phases
    "dns",
    "tcp",
    "tls",
    "rtt",
    "retransmits",  # of our segments, an attempt
    "reordered",  # segments that came out of order, an attempt
    "input_tokens",
    "output_tokens",
    "cached_share",  # of the input tokens
    "failed_share",  # of the attempts
    "overloaded_share",
    "throttled_share",
    "truncated_share",
    "stalled_share",
    "cold_share",  # attempts on a connection that was made for them
    "retried_share",  # probes that were rescued by a retry
    "in_a_row",  # attempts that ended so, one after the other
    "open_age",  # of the oldest open request
    "open_requests",
    "other_model_share",  # answers by another model or build than the usual
    "wrong_share",  # answers that are not what is expected of them, of those that were told
    "limit_left",  # of the limit that binds
    "loop_lag",
    "cpu_share",
    "routes_together",  # routes that slowed at once
]
"""What evidence is about."""

FigureUnit: TypeAlias = Literal["s", "share", "count", "tokens"]

Act: TypeAlias = Literal[
    "move",  # send users to `route`, or elsewhere where none is named
    "set_knob",  # `knob` of ours to `value`
    "undo_knob",  # the one that was turned last
    "check_key",
    "check_account",
    "check_model",
    "check_request",
    "check_network",
    "check_dns",
    "check_certificate",
    "check_this_machine",
    "pin_model",  # who answers is not who was asked, or no longer: an alias, a fallback, a rollout
    "check_prompt",  # template, tokenizer or a gateway changed what is sent
    "check_answers",  # what is asked is as before, and what ends an answer is not
    "keep_connections",  # somebody between us and the server closes them
    "tell_provider",
    "wait",
    "none",  # nothing breaks yet
]
"""What to do about it."""


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A frozen record that leaves defaults out of its JSON."""


class StampLadder(Record, frozen=True, kw_only=True):
    """When each step of one attempt happened, in monotonic ns; None where it never did.

    `scheduled` (the pacer's tick) → `admitted` (slot taken) → `started` (first network act) →
    `dns`, `tcp`, `tls` (their completions; absent on a warm connection) → `sent` (last byte of the
    request written) → `headers` → `first_event` → `first_token` (first non-empty text, reasoning,
    tool-call, refusal or other delta) → `first_answer` (first that is not reasoning) →
    `last_token` → `done` (end of body); and `ended` on every attempt, failed ones too. Out of order
    is legal: a server may answer before the request is wholly sent.
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


class Health(Record, frozen=True, kw_only=True):
    """What the engine knows of itself since its last report: can its figures be trusted?"""

    loop_lag_p50_ns: int = 0
    """How late the event loop woke for what was due."""
    loop_lag_p99_ns: int = 0
    loop_lag_max_ns: int = 0
    cpu_share: float = 0.0
    """Share of one core used, 0 to 1 and above; of several engines, the sum."""
    busiest_cpu_share: float = 0.0
    """Of several engines, that of the busiest; 0 where there is one."""
    open_streams: int = 0
    open_sockets: int = 0
    drops: int = 0
    """Transient events dropped since the engine started, because the reader was slow."""
    waiting: int = 0
    """Durable events that wait for the reader."""
    clock: ClockSource = "user"
    """`kernel` where the kernel stamps the arrivals of all routes."""
    reads_per_s: float = 0.0
    """Reads of sockets that brought something, each second."""
    inexact_share: float = 0.0
    """Share of the output chunks since the last tick, 0 to 1, whose arrival is only known to lie
    between two reads: the kernel had merged them with what came after them."""
    short_of: Shortage = ""
    """What this machine has too little of, so that probes were not sent in the last 15 s."""


class PriceInfo(Record, frozen=True, kw_only=True):
    """What a provider charges, in USD per million tokens."""

    input: float
    """USD per million input tokens."""
    output: float
    """USD per million output tokens."""
    cached_input: float | None = None
    """USD per million input tokens from its cache; None where they cost as any other."""
    source: CostSource = "price"
    """Who says so: the settings, or the provider's `list`."""


class RouteInfo(Record, frozen=True, kw_only=True):
    """What the board must know of a route; no secret is in it."""

    name: str
    base_url: str
    """Without userinfo, query values masked."""
    model: str
    dialect: str
    """Which API is spoken, such as `chat` or `messages`."""
    concurrency: int
    """Workers."""
    interval: float
    """Seconds from one start to the next, per worker."""
    max_tokens: int
    """Cap of an answer's output tokens."""
    prompt_tokens: int
    """Estimate of the input's size, ~4 characters a token, until a usage says better."""
    stall_after: float
    """Seconds between two output chunks above which the stream has stalled."""
    goal_ttft_s: float
    """What p95 of TTFT is to stay within."""
    goal_e2e_s: float | None = None
    """None where no E2E goal applies (an answer cap above 200 without a goal of its own)."""
    goal_e2e_set: bool = False
    """`goal_e2e_s` is the user's own and holds at any answer cap; else it follows the cap."""
    # What the stream leaves out: no default of the settings, for a recording must keep its meaning
    # when that changes. The settings' own stand in `probes.config.goals`.
    goal_success: float = 0.99
    """Least share of finished probes that end ok."""
    goal_cost_usd_per_probe: float | None = None
    price_known: bool = False
    price: PriceInfo | None = None
    """What its tokens cost where the provider does not say it of each answer."""
    retries: int = 2
    """Most retries of a probe."""
    tags: tuple[str, ...] = ()
    paused: bool = False
    streamed: bool = True
    """Answers are asked for as streams; else they come whole, and TTFT is undefined."""
    goal_tokens_per_s: float | None = None
    """What a stream is to write at least, tokens per second; None is no goal."""
    evidence: bool = True
    """It may be probed more often while something is suspected."""
    first_token_timeout_s: float = 60.0
    """What an attempt waits for its first output before it is given up."""
    pace: PaceKind = "interval"
    """How its probes begin; with any other than `interval` the `interval` counts for nothing."""
    rate: float = 0.0
    """Probes a second of an open pace; 0 where it is closed."""
    shapes: tuple[str, ...] = ()
    """Names of what it asks in turn, the one that comes most first; empty where it has none."""
    expects: str = ""
    """What an answer must be, in a few words; empty where nothing is expected."""
    adaptive: bool = False
    """The concurrency finds itself; `concurrency` is where it begins."""
    concurrency_min: int = 1
    """Where a concurrency that finds itself goes at least, and at most."""
    concurrency_max: int = 32
    place: str = ""
    """Where it is probed from, which ends its name then: `chat@eu`; empty where one place is all
    there is."""

    @property
    def shared_name(self) -> str:
        """The name that it has at every place."""
        return self.name.removesuffix(f"@{self.place}") if self.place else self.name

    @property
    def is_mix(self) -> bool:
        """Whether it asks several shapes in turn, each a cohort of its own."""
        return len(self.shapes) > 1


class Limit(Record, frozen=True, kw_only=True):
    """One rate limit, as a server's headers or body state it."""

    kind: str
    """`requests`, `tokens`, `concurrency`, `input_tokens`, `output_tokens`, …"""
    limit: float | None = None
    """How many of its kind in a period."""
    remaining: float | None = None
    """How many of them are left."""
    reset_s: float | None = None
    """Seconds from the answer until it is replenished."""
    window: str = ""
    """`second`, `minute`, `hour`, `day`, `month`, `5h` or empty where the server does not say."""
    scope: str = ""
    """Whom it counts for, where a server states several: `model_per_key`, `upstream` (a gateway's
    provider), `priority`, …"""
    told_ns: int | None = None
    """When the server said so, monotonic; None: at the moment of the event that carries it."""


class ServerClaim(Record, frozen=True, kw_only=True):
    """What a server or a gateway says that an interval took. Nobody checked it."""

    interval: ServerInterval
    seconds: float
    source: str
    """The header or field it stood in, such as `timings.prompt_ms`."""
    raw: float
    """The figure as it was sent, in `unit`."""
    unit: TimeUnit


class RetryPlan(Record, frozen=True, kw_only=True):
    """Why and after how long the same probe is tried again."""

    reason: str
    """Of the attempt that failed."""
    wait_s: float
    """From the end of that attempt."""
    number: int
    """1 for the first retry."""


class RouteCounts(Record, frozen=True, kw_only=True):
    """A route at one moment, and its counters since the engine started."""

    route: str
    in_flight: int
    """Attempts that have begun and not ended."""
    target: int
    """Workers that are wanted."""
    waiting: int = 0
    """Workers that wait for a slot, a budget or a cool-down."""
    skipped: int = 0
    """Ticks of the pace that could not be sent."""
    due: int = 0
    """Probes that an open pace wanted, those that were skipped included; 0 where it is closed."""
    due_waiting: int = 0
    """Of these, the ones that wait for a place."""
    skipped_for: dict[SkipReason, int] = {}
    """What an open pace skipped, by why; `skipped` is their sum."""
    oldest_open_ns: int | None = None
    """Age of the oldest open attempt, from its `started`; None where none is open, and in
    batches."""
    oldest_phase: OpenPhase | None = None
    """How far that one has come."""


class BudgetState(Record, frozen=True, kw_only=True):
    """One budget over the sliding hour, all runs of this machine together."""

    route: str
    """Empty for the overall budget."""
    used_tokens: int
    limit_tokens: int
    used_usd: float = 0.0
    limit_usd: float | None = None
    doubt: str = ""
    """Overall: why only the emergency part of the budgets may be spent; else empty."""
    doubt_kind: DoubtKind = "unknown"
    """Of what kind that is; it says nothing where there is none."""


class Evidence(Record, frozen=True, kw_only=True):
    """One figure that speaks for a diagnosis, or against it: what it is now, and what is usual."""

    figure: FigureName
    now: float
    """Median since the onset, in `unit`; a share, a count or the newest where `figure` is one."""
    usual: float | None = None
    """The same while the route was well; None where there is none."""
    n_now: int = 0
    """Samples behind `now`."""
    n_usual: int = 0
    unit: FigureUnit = "s"
    low: float | None = None
    """Of now / usual, its interval of 95 %; None where none is known."""
    high: float | None = None
    place: str = ""
    """Of several places, the one whose figure it is, where that sees nothing of it."""


class SeriesReference(Record, frozen=True, kw_only=True):
    """What one series of a route was while it was well, as an earlier run had learnt it."""

    figure: FigureName
    values: tuple[float, ...]
    """Its quantiles at even steps from the least to the greatest, as the detector keeps them: in
    the unit of the figure, its floor added."""
    n: int
    """Samples behind them, of one second each."""
    scores: tuple[float, float, float] = (-0.3, 0.8, 0.24)
    """How scores behaved meanwhile: mean, variance, covariance of neighbours."""


class ShareReference(Record, frozen=True, kw_only=True):
    """What share of a route's attempts something was while it was well."""

    figure: FigureName
    share: float
    seconds: float
    """Of which it is known."""


class Advice(Record, frozen=True, kw_only=True):
    """What to do about a diagnosis."""

    act: Act
    knob: KnobKind | None = None
    value: float | None = None
    """What to set it to, in the unit of the knob."""
    route: str = ""
    """Where users would fare well; empty where there is none."""
    detail: str = ""
    """For a person."""


HarmReason: TypeAlias = Literal[
    "nothing_answered",  # requests are taken and nothing comes back, or nothing succeeds
    "probes_fail",
    "goal_missed",
    "stands",  # it hurts nobody that is known, and does not go away
    "burns",  # more is missed of a goal than the goal leaves room for, for long
]
"""Why somebody is told."""

HarmGoal: TypeAlias = Literal["", "success", "goodput", "ttft", "e2e", "tokens_per_s", "cost"]
"""Which goal it is about; `goodput` is the share of probes that are good by all goals."""

AlertState: TypeAlias = Literal["firing", "over"]

AlertKind: TypeAlias = Literal[
    "incident",
    "burn",  # a goal is missed, and no incident says why
]


class Harm(Record, frozen=True):
    """What users of a route had of what somebody is told of."""

    reason: HarmReason
    route: str = ""
    """The one that showed it; empty where none did."""
    goal: HarmGoal = ""
    limit: float = 0.0
    """The goal, in its own unit: a share, seconds, tokens per second or USD."""
    beyond: int = 0
    """Probes or answers that failed or were beyond the goal; of an incident since its onset."""
    among: int = 0
    """Of so many."""


class Burn(Record, frozen=True, kw_only=True):
    """How fast a goal's error budget is used up: 1 uses up just what the goal allows."""

    long_s: float
    """Length of the long window; `long_rate` is over it, what is older than the run taken as
    well."""
    short_s: float
    long_rate: float
    short_rate: float
    threshold: float
    """What both had to reach."""
    budget: float
    """Share of the probes that the goal allows to miss it."""
    n: int = 0
    """Probes in the long window."""


class Arrival(msgspec.Struct, frozen=True, array_like=True):
    """Output that arrived on one open attempt in one 100 ms slot."""

    probe: str
    attempt: int
    chunks: int
    """Reads that carried output."""
    characters: int
    last_ns: int
    """When the last of them arrived."""
    tokens: int = 0
    """Output tokens of the attempt so far by its server's count; 0 where that does not count as it
    streams."""


class Committed(msgspec.Struct, frozen=True, array_like=True):
    """What one engine has spent and reserved of a route since it started, in tokens and USD."""

    route: str
    tokens: int
    usd: float


class MoneyReport(Record, frozen=True, kw_only=True):
    """What an engine reports to its budget lease: what it obeys, and what it has in its hands."""

    allow: int
    """Number of the last `Allow` that it obeyed."""
    committed: tuple[Committed, ...] = ()
