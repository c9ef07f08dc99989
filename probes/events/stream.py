"""The one event stream: everything the screen shows, and the recording, is folded from it.

Rule 1: JSON lines, one event a line, each with its `type`.
Rule 2: *durable* events go everywhere: pipe, recording, replay, headless output. *Transient* ones
go on the pipe only, so no figure of a replay may need them.
Rule 3: only stamps of one engine are ever subtracted.
Rule 4: a new field has a default, and a reader leaves out what it does not know: recordings and
engines of other versions are read. What an old reader would misread raises `SCHEMA_VERSION`.

Units and what is absent: see `parts.py`.
"""

from collections.abc import Iterable
from typing import Final, TypeAlias

import msgspec

from probes.events.parts import (
    Advice,
    AlertKind,
    AlertState,
    Arrival,
    BudgetState,
    Burn,
    Cause,
    ClockSource,
    CostSource,
    DiagnosisState,
    Evidence,
    Harm,
    Health,
    HeldReason,
    KnobKind,
    Limit,
    MoneyReport,
    Outcome,
    PlaceState,
    PriceInfo,
    Record,
    RetryPlan,
    RouteCounts,
    RouteInfo,
    RttTo,
    Scope,
    SeriesReference,
    ServerClaim,
    ShareReference,
    StampLadder,
    TokenSource,
    TtftKind,
)

SCHEMA_VERSION: Final = 1
BEAT_S: Final = 0.025
"""Seconds between two beats of an engine's watch of itself: forty samples of lag a second, for 1 %
of a core. To within a beat a `gap` is dated."""


class Hello(Record, frozen=True, kw_only=True, tag_field="type", tag="hello"):
    """First event of every engine."""

    at_ns: int
    wall_ns: int
    """Unix time in ns at `at_ns`."""
    engine: str
    """Short id of this engine; the ids of its probes begin with it."""
    version: str
    """Of llmtop."""
    routes: tuple[RouteInfo, ...]
    schema: int
    """`SCHEMA_VERSION` of the writer; always written, so that a reader can refuse."""
    pid: int = 0
    clock_name: str = "CLOCK_MONOTONIC"
    boot_id: str = ""
    """Stamps of two engines compare only where `clock_name` and `boot_id` are the same."""
    clock: ClockSource = "user"
    engines: int = 1
    """So many engines share the work; their events are one stream, this its only `hello`."""
    digests: str = ""
    """Package that holds the percentiles of the run's summary: another one may give other last
    digits. Empty where the writer did not say."""
    place: str = ""
    """Of several places, the one that this is about: it says nothing of the routes of another."""
    life: str = ""
    """Random: tells this life of an engine from all others, wherever its events are read. Empty
    where the writer did not say."""


class AttemptStarted(Record, frozen=True, kw_only=True, tag_field="type", tag="attempt_started"):
    """An HTTP exchange began. `at_ns` is its `started` stamp."""

    at_ns: int
    route: str
    probe: str
    attempt: int
    """0 for the first attempt of the probe."""
    scheduled_ns: int
    """When the pacer wanted it."""
    admitted_ns: int
    """When it had a slot."""
    cohort: str
    """Answer cap / upper end of the input-token band, such as `64/256`."""
    reserved_tokens: int = 0
    """What it may use at most, of the budget."""
    reserved_usd: float = 0.0
    """What that costs at most; 0 where no price is known."""
    evidence: bool = False
    """It was sent beside the pace, because something is suspected."""


class FirstToken(Record, frozen=True, kw_only=True, tag_field="type", tag="first_token"):
    """The first output delta of an attempt. `at_ns` is its `first_token` stamp."""

    at_ns: int
    route: str
    probe: str
    attempt: int
    felt_ns: int
    """first_token − started of the probe's first attempt: what the user waited."""
    kind: TtftKind
    cohort: str = ""


class AttemptFinished(Record, frozen=True, kw_only=True, tag_field="type", tag="attempt_finished"):
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
    """The same request may end otherwise a little later."""
    retry: RetryPlan | None = None
    """None where it is not tried again."""
    retry_after_s: float | None = None
    """What the server asked us to wait, as it said it; may be more than we will."""
    status: int | None = None
    """HTTP status; None where no response came."""
    cold: bool = False
    """A connection was made for this attempt."""
    clock: ClockSource = "user"
    http_version: str = ""
    """What the server answered in: `HTTP/1.1`, `HTTP/2`; empty where it did not."""
    cohort: str = ""
    dialect: str = ""
    """The answer's where it is known by its shape, else the one that was asked in."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    """Of the output."""
    cached_tokens: int | None = None
    """Of the input, those from the provider's cache."""
    token_source: TokenSource = "none"  # noqa: S105 - tokens of text, not a credential
    first_chunk_tokens: int | None = None
    """Tokens in the first output chunk, where the server counts as it streams; else the output
    events that one read brought, each taken for a token, where it brought several."""
    hidden_tokens: int | None = 0
    """Output tokens that were never streamed: hidden reasoning. None where it is not known how
    many, and then no figure is given per token."""
    ttft_kind: TtftKind = "none"
    finish_reason: str | None = None
    """As the server gave it."""
    chunks: int = 0
    """Reads that carried output."""
    characters: int = 0
    """Of all output: text, reasoning, refusals, tool calls."""
    chunk_offsets_ns: tuple[int, ...] = ()
    """Arrival of each output chunk, from `started`."""
    inexact: tuple[str, ...] = ()
    """Names of the stamps that are upper bounds: the kernel merged their bytes with later ones
    before we read, so the true moment lies between the read before and this one."""
    inexact_chunks: int = 0
    """Output chunks for which the same holds."""
    stalls: int = 0
    """Chunk gaps above the route's `stall_after`."""
    longest_gap_ns: int = 0
    """Longest time between two output chunks."""
    cost_usd: float | None = None
    cost_source: CostSource = "unknown"
    billed_tokens: int | None = None
    """Output that is billed, where the server counts more than `output_tokens`: its reasoning may
    be counted beside it, or in the total alone."""
    charged_tokens: int = 0
    """What the budget was charged: the usage as far as it can be believed, else the whole
    reservation or what came, whichever is more."""
    charged_usd: float | None = None
    """The same in USD; None where neither a cost nor a price is known."""
    reserved_tokens: int = 0
    """What was set aside of the budget before it began."""
    request_id: str | None = None
    """The most telling of `request_ids`."""
    request_ids: dict[str, str] = msgspec.field(default_factory=dict)
    """Every id that provider and gateways gave the request, by header; `body` is an error's."""
    response_id: str | None = None
    hidden_retries: int = 0
    """Further tries behind the gateway, by its own word: retries and fallbacks we never saw."""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    """Response headers of the allow-list."""
    limits: tuple[Limit, ...] = ()
    server_timing: dict[str, float] = msgspec.field(default_factory=dict)
    """The server's own timings, raw; their units are the server's, and mostly in their names."""
    server_claims: tuple[ServerClaim, ...] = ()
    """The same in one vocabulary, where it is known what they mean."""
    text_chars: int = 0
    """Characters of the answer itself, without its reasoning."""
    text_sha256: str = ""
    """Hex, of the same in UTF-8; empty without text."""
    right: bool | None = None
    """Whether a whole answer was what is expected of it; None where nothing is, or that could not
    be told."""
    text: str | None = None
    """Only where asked for."""
    reasoning_text: str | None = None
    flagged: str = ""
    """Why the stamps are not to be trusted (`local_gap`), empty where they are."""
    rtt_ns: int | None = None
    """One round trip of the connection's own packets, by the kernel, not smoothed: the handshake's
    on a fresh connection, else that of the request, where one acknowledgement told it."""
    rtt_min_ns: int | None = None
    """Shortest round trip of the connection so far, by the kernel."""
    retransmits: int | None = None
    """Segments of ours that were sent again during the attempt."""
    reordered: int | None = None
    """Segments that came out of order during the attempt: some were lost or late on their way."""
    rtt_to: RttTo | None = None
    """Whom the four above are about; None where the kernel does not tell them."""
    served_model: str = ""
    """The model that answered, by its server's word; hostile input."""
    fingerprint: str = ""
    """Of the build that answered, by its server's word (`system_fingerprint`); hostile input."""
    evidence: bool = False
    """It was sent beside the pace, because something is suspected."""


class ProbeFinished(Record, frozen=True, kw_only=True, tag_field="type", tag="probe_finished"):
    """One logical request with all its attempts, as its user felt it. `at_ns` is its end."""

    at_ns: int
    route: str
    probe: str
    outcome: Outcome
    """Of its last attempt."""
    attempts: int
    """How many it took."""
    started_ns: int
    """`started` of the first attempt."""
    scheduled_ns: int
    """Of the first attempt: when the pacer wanted it."""
    reason: str = ""
    first_token_ns: int | None = None
    first_answer_ns: int | None = None
    done_ns: int | None = None
    """End of the answer's body; only where the outcome is ok."""
    retry_wait_ns: int = 0
    """Time spent waiting between its attempts."""
    input_tokens: int | None = None
    """Of its last attempt."""
    output_tokens: int | None = None
    """Of its last attempt."""
    cost_usd: float | None = None
    """Of all its attempts."""
    cohort: str = ""
    flagged: str = ""
    """Why its stamps are not to be trusted (`local_gap`), empty where they are."""
    evidence: bool = False
    """It was sent beside the pace, because something is suspected."""


class Knob(Record, frozen=True, kw_only=True, tag_field="type", tag="knob"):
    """A setting was changed while running."""

    at_ns: int
    route: str
    knob: KnobKind
    before: float
    """In the unit of the knob, as is `after`; see `KnobKind`."""
    after: float
    who: str = "user"
    """Who turned it; `auto` where the concurrency finds itself."""
    reason: str = ""
    """Why, where that is known: `429 concurrency at 7`; in words of ours."""


class LimitReading(Record, frozen=True, kw_only=True, tag_field="type", tag="limit"):
    """What is known of a route's limits, each with when its server stated it; at most once a
    second."""

    at_ns: int
    route: str
    limits: tuple[Limit, ...]


class Held(Record, frozen=True, kw_only=True, tag_field="type", tag="held"):
    """New attempts of a route (of all, where `route` is empty) are held back, or let go again."""

    at_ns: int
    reason: HeldReason
    route: str = ""
    released: bool = False
    """They are let go again, as far as this reason goes."""
    until_ns: int | None = None
    """For a cool-down: its end."""
    asked_s: float | None = None
    """For a cool-down: what the server asked for."""
    detail: str = ""
    """For a person."""
    place: str = ""
    """Of several places, the one of whose routes it tells."""


class Gap(Record, frozen=True, kw_only=True, tag_field="type", tag="gap"):
    """The engine itself did not run (suspend, stopped process) from `started_ns` to `at_ns`:
    nothing that was measured in it counts."""

    at_ns: int
    started_ns: int
    place: str = ""
    """Of several places, the one whose engine did not run."""


class Mark(Record, frozen=True, kw_only=True, tag_field="type", tag="mark"):
    """A note of the user's on the timeline."""

    at_ns: int
    """When it was put."""
    text: str
    about_ns: int | None = None
    """The moment that it is about, where that was over by then; None where it was that moment."""


class Fault(Record, frozen=True, kw_only=True, tag_field="type", tag="fault"):
    """A defect of ours in one route: its workers restart, the others never noticed."""

    at_ns: int
    route: str
    error: str
    traceback: str
    restart_in_s: float
    """Until the route's workers start again."""


class Notice(Record, frozen=True, kw_only=True, tag_field="type", tag="notice"):
    """Something a person should read once: a fallback taken, a limit that cannot be enforced."""

    at_ns: int
    route: str
    text: str
    price: PriceInfo | None = None
    """The route's price from now on, where that is what the notice is about."""
    place: str = ""
    """Of several places, the one that says so."""


class PlaceReport(Record, frozen=True, kw_only=True, tag_field="type", tag="place"):
    """Whether one of several places is heard; told by whoever reads their streams, once a change.

    In any state but `heard` what is known of the place is old: nothing of it is well, and nothing
    of it ages, for nobody knows what became of it.
    """

    at_ns: int
    """When that was known."""
    place: str
    state: PlaceState
    since_ns: int
    """Stamp of the last that was heard of it; of `heard` the first since it was not; of `unknown`
    when the way to it was lost."""
    detail: str = ""
    """For a person."""


class Diagnosis(Record, frozen=True, kw_only=True, tag_field="type", tag="diagnosis"):
    """What is wrong, since when, and why one thinks so; again with the same id when that changes.

    Derived: a pure function of the events before it. A replay leaves out those of the recording
    and makes its own.
    """

    at_ns: int
    """Stamp of the event that decided."""
    id: str
    """Of the incident."""
    state: DiagnosisState
    cause: Cause
    routes: tuple[str, ...]
    """Those that are hit, sorted."""
    since_ns: int
    """Its onset; a later event of the same id may know better."""
    size: float = 0.0
    """Now as a multiple of the usual; of failures their share."""
    evidence: tuple[Evidence, ...] = ()
    against: tuple[Evidence, ...] = ()
    """What is as usual, and so speaks against other causes."""
    advice: Advice | None = None
    shape: str = ""
    """Of the prompts that a route asks in turn, the one that it is about; empty for all."""
    scope: Scope = ""
    """Of several places, what it says that these see it and others do not."""
    places: tuple[str, ...] = ()
    """Those that see it, sorted; empty where one place is all there is."""
    of_places: int = 0
    """Of so many that tell how these routes are; 0 while that is not known."""
    unheard: tuple[str, ...] = ()
    """Places that probe the same and are not heard: nobody knows how it is there."""
    text: str = ""
    """The whole in one line; may hold a server's words: hostile."""

    def merely_recovers(self, before: "Diagnosis") -> bool:
        """Return whether this says nothing new beside the word `before` but that some routes are
        well again: they recover one by one, and what is left says how it ends, not what it was."""
        same = (before.cause, before.state) == (self.cause, self.state)
        return same and set(self.routes) < set(before.routes)


class Alert(Record, frozen=True, kw_only=True, tag_field="type", tag="alert"):
    """Somebody is to be told, once; and once more, with the same id, that it is over.

    Derived, as a diagnosis is: a replay leaves out those of the recording and makes its own.
    """

    at_ns: int
    """Stamp of the event that decided."""
    id: str
    """Of the alert."""
    state: AlertState
    kind: AlertKind
    routes: tuple[str, ...]
    """Those that are hit by then, sorted."""
    since_ns: int
    """Onset of the incident; of a burn, when its long window began."""
    harm: Harm
    """What users had of it when it began to fire."""
    incident: str = ""
    """Id of the incident; empty where there is none."""
    cause: Cause | None = None
    """What it was taken for by then; None where there is no incident."""
    scope: Scope = ""
    """As of the incident, by then."""
    places: tuple[str, ...] = ()
    """Of several places, those that saw it by then, sorted."""
    burn: Burn | None = None
    """Where it is for a goal's budget."""
    ended_ns: int | None = None
    """When it was over, as far as is known: an alert waits for what comes and goes. None while it
    fires, and where nobody knows."""
    text: str = ""
    """The whole in one line; names are as they are: hostile."""


class Usual(Record, frozen=True, kw_only=True, tag_field="type", tag="usual"):
    """What the figures of a route are while it is well, as the verdicts compare with it.

    Derived, as a diagnosis is: a replay leaves out those of the recording and makes its own. Told
    when it is known first, then where a figure has moved, and before a verdict on the route.
    """

    at_ns: int
    """Stamp of the event that decided."""
    route: str
    cohort: str
    """What was asked for by then; of another the E2E is not known yet."""
    ttft_p50_s: float | None = None
    """None where too little is known of it, as in the four below."""
    ttft_p95_s: float | None = None
    e2e_p50_s: float | None = None
    e2e_p95_s: float | None = None
    tokens_per_s: float | None = None
    """Median over streams."""
    n: int = 0
    """Samples that its medians are known from, of one second each."""


class Reference(Record, frozen=True, kw_only=True, tag_field="type", tag="reference"):
    """What is usual of a route by an earlier run: what the detector starts from.

    It stands right behind the first hello of a run, one for each cohort. It is no measurement of
    this run and derived of nothing in it: a replay folds it as it is.
    """

    at_ns: int
    """That of the hello."""
    route: str
    cohort: str
    wall_ns: int
    """When it was last seen to be so, Unix ns."""
    series: tuple[SeriesReference, ...] = ()
    shares: tuple[ShareReference, ...] = ()
    ttft_s: tuple[float, ...] = ()
    """Quantiles of felt TTFTs at even steps, as `SeriesReference.values`."""
    e2e_s: tuple[float, ...] = ()


class SeenBefore(Record, frozen=True, kw_only=True, tag_field="type", tag="seen_before"):
    """What is wrong was wrong before, by the history of whoever tells it.

    It comes within some seconds of the diagnosis that it is about, and again where that changes its
    mind. As `reference` it is derived of nothing in the stream: a replay folds it as it is.
    """

    at_ns: int
    cause: Cause
    """That of the diagnosis."""
    routes: tuple[str, ...]
    """Those of the diagnosis, sorted: it was seen before of at least one of them."""
    times: int
    """How often; what several runs saw of one incident counts once."""
    first_wall_ns: int
    """Onset of the first, Unix ns."""
    last_wall_ns: int
    typical_s: float | None = None
    """Median of how long they took; None where that is known of none."""


class Tick(Record, frozen=True, kw_only=True, tag_field="type", tag="tick"):
    """Each second: clocks, health and counts. Its absence is itself a reading."""

    at_ns: int
    wall_ns: int
    """Unix time in ns at `at_ns`."""
    health: Health
    routes: tuple[RouteCounts, ...]
    budgets: tuple[BudgetState, ...] = ()
    place: str = ""
    """Of several places, the one whose health, routes and budgets these are."""


class Batch(Record, frozen=True, kw_only=True, tag_field="type", tag="batch"):
    """Transient: closes what the engine wrote at once; carries its health."""

    at_ns: int
    seq: int
    """Counts up by one: a gap is lost batches."""
    health: Health
    routes: tuple[RouteCounts, ...] = ()
    money: MoneyReport | None = None
    """To whoever leases for this engine; absent from the stream of several."""
    place: str = ""
    """Of several places, the one that wrote it."""


class Arrivals(Record, frozen=True, kw_only=True, tag_field="type", tag="arrivals"):
    """Transient: token arrival of one 100 ms slot, which begins at `at_ns`."""

    at_ns: int
    route: str
    arrivals: tuple[Arrival, ...]


class Preview(Record, frozen=True, kw_only=True, tag_field="type", tag="preview"):
    """Transient: text of the one stream that is on preview; hostile input."""

    at_ns: int
    route: str
    probe: str
    attempt: int
    text: str
    reasoning: bool = False
    """It is reasoning, not the answer."""


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
    | PlaceReport
    | Diagnosis
    | Usual
    | Reference
    | SeenBefore
    | Alert
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
    PlaceReport,
    Diagnosis,
    Usual,
    Reference,
    SeenBefore,
    Alert,
    Tick,
)

Derived: TypeAlias = Diagnosis | Usual | Alert
"""What is made of the events before it: dropped where it comes with a recording, and made anew."""

LINE_TYPES: Final = (*(str(kind.__struct_config__.tag) for kind in DURABLE_TYPES), "summary")
"""The types of the lines that a run prints without a screen: durable events, and the line that
ends it, which is no event."""

"""What goes everywhere and is replayed; the order is of no matter."""

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def encode_event(event: Event) -> bytes:
    """Return one JSON line, its newline included."""
    return _encoder.encode(event) + b"\n"


def durable_lines(events: Iterable[Event]) -> bytes:
    """Return the JSON lines of those events that are durable."""
    return b"".join(encode_event(event) for event in events if isinstance(event, DURABLE_TYPES))


def decode_event(line: bytes) -> Event:
    """Return the event of one JSON line.

    Raises:
        msgspec.DecodeError: the line is not an event of this schema.
    """
    return _decoder.decode(line)
