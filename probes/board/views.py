"""What a screen may show, frozen: the board fills these, panes draw them and nothing else.

Durations are seconds, rates are per minute, shares are 0 to 1, money is USD. `None` is "no sample".
Stamps (`*_ns`) are monotonic ns of the engine, comparable with `Snapshot.now_ns`.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

import msgspec

from probes.events import (
    ClockSource,
    Diagnosis,
    Evidence,
    HeldReason,
    Limit,
    OpenPhase,
    Outcome,
    PriceInfo,
    Shortage,
)
from probes.stats.chunk_gaps import Stall
from probes.stats.windows import WINDOWS as WINDOWS  # for panes, which see views alone
from probes.stats.windows import WindowName as WindowName

Grade: TypeAlias = Literal["none", "great", "fine", "slow", "sluggish"]
"""Band of a figure against its goal; `none` where there is no goal or too few samples."""

RouteState: TypeAlias = Literal[
    "down",  # nothing succeeds
    "hanging",  # requests are taken and nothing comes back
    "failing",  # a share fails
    "throttled",  # it refuses us for our rate, or cools down
    "stalling",  # streams pause in mid-answer
    "sluggish",  # slow, beyond 1.5 × a goal
    "slow",  # slower than a goal, or than usual
    "masked",  # retries hide errors
    "changed",  # within its goals, and not as before
    "ok",
    "held",  # budget exhausted or reader stalled
    "paused",
    "starting",  # no probe has succeeded yet
]
"""Ordered worst first; `held` and `paused` are ours, not the route's."""


class Figure(msgspec.Struct, frozen=True):
    """One percentile with what is needed to judge it."""

    value: float | None = None
    n: int = 0
    enough: bool = False
    """n ≥ 1/(1−p); below that it is shown dim, is the maximum of n, and is not graded."""
    grade: Grade = "none"


class RouteView(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the routes table; figures over `Snapshot.window`, cohort `cohort`.

    What has a default is absent from the totals row, or was not measured.
    """

    name: str
    model: str = ""
    base_url: str = ""
    tags: tuple[str, ...] = ()
    state: RouteState
    since_ns: int | None = None
    """The onset of what made it so; where goals alone do, when they began to."""
    since_s: float | None = None
    """How long ago that is."""
    goal_ratio: float = 0.0
    """Worst ratio of a figure to its goal; above 1 a goal is missed."""
    in_flight: int = 0
    """Attempts that are open."""
    target: int = 0
    """Workers that are wanted."""
    interval: float = 0.0
    """Seconds from one start to the next, per worker."""
    max_tokens: int = 0
    """The answer cap as it is set now; `cohort` begins with that of what was measured."""
    cohort: str = ""
    probes_per_min: float = 0.0
    ttft_p50: Figure = Figure()
    ttft_p95: Figure = Figure()
    ttft_p99: Figure = Figure()
    e2e_p50: Figure = Figure()
    e2e_p95: Figure = Figure()
    stream_tokens_per_s: float | None = None
    """Median over streams of 1/TPOT, from exact counts only."""
    speed_grade: Grade = "none"
    """Of that, against the goal of a speed."""
    success: float | None = None
    """Share of finished probes that ended ok, our cancellations excluded."""
    success_missed: bool = False
    """It is below its goal."""
    goodput: float | None = None
    """Share of finished probes that ended ok within every goal."""
    good_per_min: float = 0.0
    throttled_per_min: float = 0.0
    """Attempts, as are timeouts and retries."""
    timeouts_per_min: float = 0.0
    failures_per_min: float = 0.0
    """User-visible failures: probes that did not end ok, our cancellations excluded."""
    retries_per_min: float = 0.0
    amplification: float | None = None
    """Attempts per probe."""
    input_tokens: float | None = None
    """Mean per attempt with a count."""
    output_tokens: float | None = None
    usd_per_hour: float | None = None
    """None where no attempt had a known cost."""
    cost_estimated: bool = False
    """Some of it is computed from a price."""
    oldest_open_s: float | None = None
    """Age of the oldest open attempt."""
    oldest_phase: OpenPhase | None = None
    """How far that one has come; None where nobody said."""
    overdue: bool = False
    """That one has been open for longer than anybody waits."""
    last_event_s: float | None = None
    """Age of the last event of the route."""
    cool_down_s: float | None = None
    """Seconds left of a cool-down."""
    skipped: int = 0
    """Ticks of the pace that could not be sent."""
    n: int = 0
    """Finished probes in the window."""
    trend: tuple["ChartPoint", ...] = ()
    """The last 15 minutes by 10 s slices, oldest first, the open slice last."""
    goal_ttft_s: float = 0.0
    goal_e2e_s: float | None = None
    held: tuple[HeldReason, ...] = ()
    """Why no new attempts start, in alphabetical order; empty where they do."""
    why: str = ""
    """Why it is in its state, such as `refuses our key`; empty where the state says it all."""
    said: str = ""
    """The server's own last words on it, such as `503 "overloaded"`: hostile."""
    observer_busy: bool = False
    """What it shows is our machine's trouble: no latency is to be trusted."""
    streamed: bool = True
    """False where answers come whole: there is no TTFT to show then."""
    price: PriceInfo | None = None
    """What its tokens cost where the provider does not say it of each answer; None if unknown."""


class ChartPoint(msgspec.Struct, frozen=True):
    """One slice of time of one route."""

    start_ns: int
    p50: float | None
    """Seconds, as is p95."""
    p95: float | None
    n: int
    failures: int
    """Probes."""
    throttled: int
    """Attempts."""


class IncidentView(msgspec.Struct, frozen=True):
    """One thing that is wrong."""

    diagnosis: Diagnosis
    """The newest that is known of it; the age of what is open is that of the frame."""
    state: RouteState | None
    """The worst that it makes of its routes; None where it is no route's trouble."""
    said: str = ""
    """The server's own last words on it: hostile."""
    idle_since_ns: int | None = None
    """Since when none of its routes is probed, paused or held, so that nobody knows whether it goes
    on; None while one is."""


class RecoveryView(msgspec.Struct, frozen=True):
    """One thing that was wrong, and has been over for less than five minutes."""

    diagnosis: Diagnosis
    """The last of it: `at_ns` is its end."""
    was: RouteState | None
    """The worst that its routes were in; None where it was no route's trouble."""


class LaneView(msgspec.Struct, frozen=True):
    """One open or just-finished attempt on the token arrival axis."""

    route: str
    probe: str
    attempt: int
    started_ns: int
    first_token_ns: int | None
    ended_ns: int | None
    """None while it is open."""
    outcome: Outcome | None
    reason: str
    status: int | None
    """HTTP status."""
    cells: tuple[tuple[int, int], ...]
    """(start of a 100 ms slot in ns, output chunks that arrived in it), oldest first."""
    chunks: int
    tokens: int | None
    """As the server counts them, in the end or as it streams; else None."""
    tokens_estimate: int
    """From the characters that came, at the route's own characters a token."""
    tokens_per_s: float | None
    """An estimate where `tokens` is None."""
    stalled_s: float | None
    """Open: seconds since the last chunk where that is a stall. Ended: the longest stall."""
    retry_wait_s: float | None
    """After a failed attempt: the planned wait before the next."""
    retry_number: int
    retries: int
    """Retries the route's policy allows."""
    stalls: tuple[Stall, ...] = ()
    """Where its stalls lie, oldest first; of an open stream also the one it is in."""


class WindowColumn(msgspec.Struct, frozen=True):
    """One window of the percentiles pane."""

    window: WindowName
    ttft: tuple[Figure, Figure, Figure, Figure, Figure]
    """p50, p90, p95, p99, max."""
    e2e: tuple[Figure, Figure, Figure, Figure, Figure]
    failures: int
    finished: int
    failure_share: float | None


class Marker(msgspec.Struct, frozen=True):
    """A vertical mark on a chart: a knob change, a cohort change, a user's mark."""

    at_ns: int
    text: str


class PercentileTable(msgspec.Struct, frozen=True):
    """The percentiles pane of one route."""

    columns: tuple[WindowColumn, ...]
    timeline: tuple[ChartPoint, ...]
    """TTFT by 10 s slices over the last 15 minutes, oldest first."""
    e2e_timeline: tuple[ChartPoint, ...]
    """E2E, likewise."""
    markers: tuple[Marker, ...]
    goal_ttft_s: float
    goal_e2e_s: float | None
    oldest_open_s: float | None
    cohort: str
    overdue: bool = False
    """The oldest open attempt has been open for longer than anybody waits."""
    streamed: bool = True
    usual: tuple[Evidence, ...] = ()
    """What incidents have measured of the route, each with its usual."""


class ThrottleEntry(msgspec.Struct, frozen=True):
    """One 429 (or throttling inside a stream)."""

    at_ns: int
    route: str
    probe: str
    attempt: int
    kind: str
    """Which limit: `concurrency`, `requests`, `tokens`, … or the reason where unknown."""
    asked_s: float | None
    """What the server asked us to wait."""
    waited_s: float | None
    """What we really waited; None while waiting or when it was not retried."""
    retried: bool
    remaining: str
    """`0/8`, `212/60k` or empty."""
    reset_s: float | None
    request_id: str
    message: str
    window: str = ""
    """Of the limit: `minute`, `day`, … or empty where the server does not say."""


class LimitsView(msgspec.Struct, frozen=True):
    """What one route has left of its limits."""

    route: str
    limits: tuple[Limit, ...]
    """Of each kind and period the tightest, each with when the server stated it."""
    cool_down_s: float | None
    cool_down_asked_s: float | None


class RetryRow(msgspec.Struct, frozen=True):
    """Retries of one reason."""

    reason: str
    by_number: tuple[int, ...]
    """How many first retries, second retries, …"""
    recovered: int
    """Probes that ended ok after retrying for this reason."""
    exhausted: int
    """Probes that did not."""
    added_wait_s: float


class RetryView(msgspec.Struct, frozen=True):
    """The retries pane, over `Snapshot.window`."""

    rows: tuple[RetryRow, ...] = ()
    amplification: float | None = None
    recovered: int = 0
    exhausted: int = 0
    added_wait_s: float = 0.0
    hidden: int = 0
    """Further tries behind gateways, by their own word."""


class RouteDetail(msgspec.Struct, frozen=True):
    """Everything the panes below the table show of one route."""

    route: str
    lanes: tuple[LaneView, ...]
    """Open ones first, oldest first; then just-finished ones, newest first."""
    percentiles: PercentileTable
    retries: RetryView
    preview: str = ""
    """Text of the stream on preview as it came: hostile."""
    preview_probe: str = ""


class HeaderView(msgspec.Struct, frozen=True):
    """The header strip."""

    elapsed_s: float = 0.0
    routes: int = 0
    in_flight: int = 0
    probes_per_min: float = 0.0
    tokens_per_s: float = 0.0
    tokens_estimated: bool = True
    throttled_per_min: float = 0.0
    retries_per_min: float = 0.0
    failures_per_min: float = 0.0
    usd_per_hour: float | None = None
    """None where no attempt had a known cost."""
    budget_share: float | None = None
    """Worst share used of any budget."""
    budget_text: str = ""
    """Such as `412k of 2M tok/h`."""
    budget_doubt: str = ""
    """Why only the emergency part of the budgets may be spent; empty where it is not so."""
    loop_lag_p99_s: float = 0.0
    loop_lag_max_s: float = 0.0
    engine_cpu: float = 0.0
    """Share of a core; of several engines that of the busiest, for each fills a core of its own."""
    drops: int = 0
    """Transient events dropped since the engine started."""
    drops_shown: bool = False
    """Some of them are missing from what the lanes may still show."""
    inexact_share: float = 0.0
    """Share of the newest output chunks whose arrival is only known to lie between two reads."""
    reads_per_s: float = 0.0
    clock: ClockSource = "user"
    """Who stamps arrivals: `kernel`, or `user`, which is the engine itself when it wakes."""
    short_of: Shortage = ""
    """What the engine's machine has too little of to send probes."""
    last_batch_ns: int | None = None
    """None in a replay, which has no batches."""
    notices: tuple[str, ...] = ()
    """Newest last; hostile text is possible."""


class Snapshot(msgspec.Struct, frozen=True):
    """One frame's worth of state. Equal `version` means nothing changed but the time."""

    version: int
    now_ns: int
    """Time of the last event."""
    wall_anchor_ns: int
    """wall − monotonic, from the last tick: wall time of a stamp is stamp + anchor."""
    window: WindowName
    header: HeaderView
    routes: tuple[RouteView, ...]
    """Worst first."""
    totals: RouteView | None
    throttles: tuple[ThrottleEntry, ...]
    """All routes, newest first, at most 200."""
    limits: tuple[LimitsView, ...]
    details: Mapping[str, RouteDetail] = msgspec.field(default_factory=dict)
    """By route; only those asked for."""
    incidents: tuple[IncidentView, ...] = ()
    """What is open, worst first."""
    recoveries: tuple[RecoveryView, ...] = ()
    """What was cleared in the last five minutes, newest first."""


EMPTY_SNAPSHOT = Snapshot(
    version=0,
    now_ns=0,
    wall_anchor_ns=0,
    window="5m",
    header=HeaderView(),
    routes=(),
    totals=None,
    throttles=(),
    limits=(),
)
