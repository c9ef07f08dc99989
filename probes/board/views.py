"""What a screen may show, frozen: the board fills these, panes draw them and nothing else.

Durations are seconds, rates are per minute, shares are 0 to 1, money is USD. `None` is "no sample".
Stamps (`*_ns`) are monotonic ns of the engine, comparable with `Snapshot.now_ns`.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from probes.events import (
    Alert,
    AttemptFinished,
    ClockSource,
    Diagnosis,
    DoubtKind,
    Evidence,
    HeldReason,
    Limit,
    OpenPhase,
    Outcome,
    PaceKind,
    PlaceState,
    PriceInfo,
    ProbeFinished,
    SeenBefore,
    Shortage,
    SkipReason,
)
from probes.stats.chunk_gaps import Stall
from probes.stats.log_buckets import HEAT_FLOOR_S as HEAT_FLOOR_S
from probes.stats.log_buckets import HEAT_ROWS as HEAT_ROWS
from probes.stats.log_buckets import HEAT_STEPS_A_DECADE as HEAT_STEPS_A_DECADE
from probes.stats.log_buckets import heat_floor_s as heat_floor_s
from probes.stats.log_buckets import heat_row as heat_row
from probes.stats.windows import WINDOWS as WINDOWS
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
    "silent",  # nothing is heard of its place: nobody knows how it is
    "ok",
    "held",  # budget exhausted or reader stalled
    "paused",
    "starting",  # no probe has succeeded yet
]
"""Ordered worst first; `held` and `paused` are ours, not the route's."""
HURT_STATES: Final[frozenset[RouteState]] = frozenset(get_args(RouteState)) - {
    *("silent", "ok", "held", "paused", "starting"),
}
"""What users feel, or retries hide from them. Of what we hold back ourselves, have just begun to
probe, or hear nothing of, nobody knows whether they do."""


class Figure(msgspec.Struct, frozen=True):
    """One percentile with what is needed to judge it."""

    value: float | None = None
    n: int = 0
    enough: bool = False
    """n ≥ 1/(1−p); below that it is shown dim, is the maximum of n, and is not graded."""
    grade: Grade = "none"


class UsualView(msgspec.Struct, frozen=True):
    """What a route's figures were while it was well, by the diagnosis; None while it learns."""

    ttft_p50: float | None = None
    """Seconds, as are the three below."""
    ttft_p95: float | None = None
    e2e_p50: float | None = None
    e2e_p95: float | None = None
    tokens_per_s: float | None = None
    n: int = 0
    """Samples it knows."""


class PaceView(msgspec.Struct, frozen=True, kw_only=True):
    """The open pace of a route; scheduled figures count from when it wanted a probe."""

    kind: PaceKind
    rate: float
    """Probes a second that are wanted."""
    scheduled_ttft: tuple[Figure, Figure, Figure] = (Figure(), Figure(), Figure())
    """p50, p95, p99, as of E2E."""
    scheduled_e2e: tuple[Figure, Figure, Figure] = (Figure(), Figure(), Figure())
    begun_per_s: float | None = None
    """Probes that began, a second; None while too few were due to say."""
    is_late: bool = False
    """The rate cannot be kept: fewer begin than are due, by more than chance."""
    why: SkipReason = "late"
    """Why most of the others do not; `late`: no place is free."""
    late_since_ns: int | None = None
    """Since when it cannot be kept."""
    waiting: int = 0
    """Due, and waiting for a place."""
    skipped_for: tuple[tuple[SkipReason, int], ...] = ()
    """In the run, most first."""


class RouteView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One row of the routes table; figures over `Snapshot.window`, cohort `cohort`.

    Over the shortest window they begin no earlier than the onset of what is wrong: they say how it
    is now.

    What has a default is absent from the totals row, or was not measured.
    """

    name: str
    model: str = ""
    base_url: str = ""
    dialect: str = ""
    """Which API is spoken, such as `chat` or `messages`."""
    place: str = ""
    """Where it is probed from; empty where one place is all there is."""
    shared_name: str = ""
    """The name that it has at every place; empty where it is its own."""
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
    adaptive: bool = False
    """Their number finds itself."""
    interval: float = 0.0
    """Seconds from one start to the next, per worker."""
    pace: PaceView | None = None
    """None where the pace is closed, and goes by the interval."""
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
    hurt_share: float | None = None
    """Share of the probes that were not good; what is open and hangs is among them."""
    stalled_share: float | None = None
    """Share of the answers that paused in mid-stream."""
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
    overdue_open: int = 0
    """How many have."""
    window_s: float = 0.0
    """Seconds that the figures truly cover."""
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
    usual: UsualView = UsualView()
    goal_ttft_s: float = 0.0
    goal_e2e_s: float | None = None
    goal_scaled: bool = False
    """The E2E goal follows an answer cap above those for which it was made."""
    learning: bool = False
    """Too little is known of it yet to say what is usual."""
    evidence: bool = False
    """It is probed more often for now, because something is suspected."""
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
    finished: int = 0
    """Probes, our cancellations left out."""
    good: int = 0
    """Of them those within every goal."""
    stalled: int = 0
    """Answers that paused in mid-stream."""
    recovered: int = 0
    """Probes that a retry rescued."""


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
    seen: SeenBefore | None = None
    """What was told of such incidents before it."""


class AlertView(msgspec.Struct, frozen=True):
    """Something that somebody must know, as it was told once."""

    alert: Alert
    """That it began to fire."""
    over: Alert | None = None
    """That it was over; None while it fires."""


class RecoveryView(msgspec.Struct, frozen=True):
    """One thing that was wrong, and has been over for less than five minutes."""

    diagnosis: Diagnosis
    """The last of it: `at_ns` is its end."""
    was: RouteState | None
    """The worst that its routes were in; None where it was no route's trouble."""


KnobFigure: TypeAlias = Literal["throttled_share", "ttft_p95", "tokens_per_s", "good_share"]
"""What is compared before and after a knob was turned."""

Judged: TypeAlias = Literal["better", "worse", "unclear", "waiting"]
"""`unclear`: not to be told apart by these samples; `waiting`: there are too few of them yet."""


class KnobComparison(msgspec.Struct, frozen=True):
    """One figure before and after a knob was turned."""

    figure: KnobFigure
    before: float | None
    """Seconds, tokens a second or a share; None without a sample."""
    after: float | None
    n_before: int
    n_after: int
    judged: Judged = "waiting"
    p: float | None = None
    """How probable so great a difference is by chance; None while too few samples are known."""


class KnobEffect(msgspec.Struct, frozen=True):
    """What a turn of a knob did to its route, as far as it is known."""

    comparisons: tuple[KnobComparison, ...]
    judged: Judged
    """Of all of them together: the worst that is sure, else the best that is."""
    until_ns: int | None = None
    """Where the comparison ended: another knob, another cohort; None while it goes on."""


HappeningKind: TypeAlias = Literal[
    "onset",  # an incident is known to have begun
    "cause",  # it has another cause than was thought
    "recovered",
    "settled",
    "throttled",  # 429s of one route, grouped
    "knob",
    "mark",
    "notice",
    "fault",  # a defect of ours in one route
    "gap",  # we ourselves did not run
    "held",
    "engine",  # another engine took over
]


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One line of what happened: newest first in the log, a group where many alike came."""

    at_ns: int
    """When it happened: of an onset the onset, however late it was known."""
    kind: HappeningKind
    routes: tuple[str, ...] = ()
    """Empty where it is about all of them or none."""
    place: str = ""
    """Of a whole place and of no route of it; `text` begins with that."""
    state: RouteState | None = None
    """What it made of its routes; of a recovery, what they recovered from."""
    text: str = ""
    """In words, without route and time; hostile text is possible."""
    count: int = 1
    """How many alike it stands for."""
    until_ns: int | None = None
    """The last of them, or when it was over."""
    incident: str = ""
    """Id of the incident it is part of."""
    effect: KnobEffect | None = None
    """Of a knob."""
    put_ns: int | None = None
    """Of a mark that is about a moment that was over, when it was put."""
    note: str = ""
    """Its text, of which `text` says more."""

    def is_put_after(self, at_ns: int) -> bool:
        """Whether it is a mark about a moment up to a stamp that was put after that: a board of
        the stamp does not know it."""
        return self.put_ns is not None and self.at_ns <= at_ns < self.put_ns


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
    scheduled_ttft: tuple[Figure, Figure, Figure, Figure, Figure] | None = None
    """From when an open pace wanted it; None where the pace is closed, as of the next."""
    scheduled_e2e: tuple[Figure, Figure, Figure, Figure, Figure] | None = None


MarkerKind: TypeAlias = Literal["knob", "cohort", "onset", "recovered", "mark"]
"""What a mark on a chart is about: an incident's beginning and end, what the user did or noted."""


class Marker(msgspec.Struct, frozen=True):
    """A vertical mark on a chart."""

    at_ns: int
    text: str
    """In a word or two; a user's own may be long and hostile."""
    kind: MarkerKind = "mark"


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


class LimitLasts(msgspec.Struct, frozen=True):
    """How long a limit lasts at the slope of what is left of it."""

    kind: str
    window: str
    lasts_s: float


class Headroom(msgspec.Struct, frozen=True):
    """How far a route is from its next refusal, by what its server told."""

    lasts: tuple[LimitLasts, ...] = ()
    """Of limits that are empty before they are replenished."""
    most: int | None = None
    """Most at once that fit the limits, at this interval and these sizes; None where not known."""
    shortest_s: float | None = None
    """Shortest interval that fits them with the present concurrency; 0 is back to back."""


class LimitsView(msgspec.Struct, frozen=True):
    """What one route has left of its limits."""

    route: str
    limits: tuple[Limit, ...]
    """Of each kind and period the tightest, each with when the server stated it."""
    cool_down_s: float | None
    cool_down_asked_s: float | None
    headroom: Headroom | None = None
    """None where nothing is known of it."""


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


class HeatSlice(msgspec.Struct, frozen=True):
    """How many of 10 s took how long."""

    start_ns: int
    counts: tuple[tuple[int, int], ...]
    """(row, how many), rows that have any, shortest first."""


PhaseName: TypeAlias = Literal["retries", "connect", "headers", "first_token", "writing"]
"""Where a probe's time goes: earlier attempts and their waits; name, TCP, TLS and our own sending;
from the request sent to the response headers; on to the first token; on to the end."""
PHASES: Final[tuple[PhaseName, ...]] = get_args(PhaseName)


class PhaseSlice(msgspec.Struct, frozen=True):
    """Where the time of the probes that ended in 10 s went."""

    start_ns: int
    n: int
    p50_s: tuple[float, ...]
    """By `PHASES`; empty without a probe that ended ok."""


class PhaseRow(msgspec.Struct, frozen=True):
    """One phase, now against usual."""

    phase: PhaseName
    now_s: float | None
    """Median since the onset, at most of the last minute."""
    usual_s: float | None
    """Median of the last 15 minutes in which the route was well."""
    n_now: int
    n_usual: int


class FeltFigure(msgspec.Struct, frozen=True):
    """A percentile over all that was asked: what failed never came, what is open is at least so
    old."""

    value: float | None = None
    """Seconds."""
    is_least: bool = False
    """The percentile lies among what failed or is open: it is at least so much."""
    n: int = 0
    """All that was asked, failed and open ones included."""
    enough: bool = False
    grade: Grade = "none"
    low: float | None = None
    """Seconds between which it lies with 97.5 %, by the ranks of the samples; None where a side is
    open. Of a column other than `now` nobody asks."""
    high: float | None = None

    def more_than(self, before: "FeltFigure") -> tuple[float | None, float | None]:
        """Return between how many seconds more than another it is with 95 %; None is an open side.

        The ends are those of two spans of 97.5 % each, so it holds whatever the distributions are,
        and also where both have samples in common. It is wider than it would have to be.
        """
        least = None if self.low is None or before.high is None else self.low - before.high
        most = None if self.high is None or before.low is None else self.high - before.low
        return least, most


class FeltColumn(msgspec.Struct, frozen=True):
    """Figures of one span of time, side by side on the route page."""

    name: str
    """`now`, `usual`, or that of a window."""
    ttft: tuple[FeltFigure, FeltFigure, FeltFigure]
    """p50, p95, p99."""
    e2e: tuple[FeltFigure, FeltFigure, FeltFigure]
    scheduled_ttft: tuple[FeltFigure, FeltFigure, FeltFigure] | None = None
    """From when an open pace wanted it; None where the pace is closed, as of the next."""
    scheduled_e2e: tuple[FeltFigure, FeltFigure, FeltFigure] | None = None
    tokens_per_s: float | None = None
    gap_p99_s: float | None = None
    """Time between two chunks."""
    gap_max_s: float | None = None
    cached_share: float | None = None
    """Of the input tokens."""
    rtt_s: float | None = None
    """Median round trip of the connection."""
    cold_share: float | None = None
    """Of the attempts, those on a connection that was made for them."""
    lost_segments: float | None = None
    """An attempt: what we sent again, and what came out of order because some was lost or late."""
    stalled_share: float | None = None
    """Of the answers, those that paused in mid-stream."""
    input_tokens: float | None = None
    """Mean per attempt with a count, as is the next."""
    output_tokens: float | None = None
    finished: int = 0
    good: int = 0
    failed: int = 0
    throttled: int = 0
    usd_per_hour: float | None = None


class CohortView(msgspec.Struct, frozen=True):
    """Figures of one cohort over the run; they never mix."""

    name: str
    ttft: tuple[Figure, Figure]
    """p50, p95."""
    e2e: tuple[Figure, Figure]
    is_current: bool = False


class ProbeView(msgspec.Struct, frozen=True, kw_only=True):
    """One probe that ended, as a strip."""

    probe: str
    at_ns: int
    """Its end."""
    started_ns: int
    outcome: Outcome
    reason: str = ""
    status: int | None = None
    attempts: int = 1
    ttft_s: float | None = None
    """Felt."""
    e2e_s: float | None = None
    """None where it did not end ok."""
    lasted_s: float = 0.0
    """From its start to its end, however it ended."""
    output_tokens: int | None = None
    tokens_per_s: float | None = None
    longest_gap_s: float = 0.0
    stalls: int = 0
    throttled: int = 0
    """Attempts."""
    wait_s: float = 0.0
    """Between attempts, in all."""
    waits_s: tuple[tuple[float, float], ...] = ()
    """Where each of those waits lies, from its start: begin and end."""
    cells: tuple[int, ...] = ()
    """Output chunks by tenths of a second from its start; at most a minute of them."""
    request_id: str = ""
    served_by: str = ""
    """Model and build that answered, by the server's word: hostile, as is the id."""
    is_good: bool = True
    """Within every goal."""
    evidence: bool = False
    cohort: str = ""


class RequestView(msgspec.Struct, frozen=True):
    """One probe, whole."""

    route: str
    probe: ProbeFinished
    attempts: tuple[AttemptFinished, ...]
    """In order; texts, ids and headers are hostile."""


class OpenLoad(msgspec.Struct, frozen=True, kw_only=True):
    """What the last probes took that began with few open beside them."""

    open: int
    """Open at most as each of them began, itself among them."""
    n: int
    ttft_p50: float | None
    """Seconds, of all that was asked; None where so many never came."""
    e2e_p50: float | None
    throttled: int
    """Probes that got a 429."""


class RoutePage(msgspec.Struct, frozen=True):
    """What the page of one route shows beside the panes of the home screen."""

    phases: tuple[PhaseSlice, ...] = ()
    """The last 15 minutes, oldest first."""
    phase_rows: tuple[PhaseRow, ...] = ()
    ttft_heat: tuple[HeatSlice, ...] = ()
    """Felt TTFT of each probe, of the last 15 minutes, oldest first."""
    gap_heat: tuple[HeatSlice, ...] = ()
    """Each time between two chunks."""
    columns: tuple[FeltColumn, ...] = ()
    """Now, usual, and the windows from the shortest."""
    cohorts: tuple[CohortView, ...] = ()
    probes: Sequence[ProbeView] = ()
    """The last 200 that ended, newest first, however they ended; each is made when it is looked
    at, of this page's own moment."""
    ended: int = 0
    """How many there have been in all."""
    loads: tuple[OpenLoad, ...] = ()
    """Of each concurrency that is advised, what it took at that, where that is known."""


class RouteDetail(msgspec.Struct, frozen=True):
    """Everything the panes below the table show of one route."""

    route: str
    now_ns: int
    """Newest stamp of its place, at which its lanes stand."""
    lanes: tuple[LaneView, ...]
    """Open ones first, oldest first; then just-finished ones, newest first."""
    percentiles: PercentileTable
    retries: RetryView
    preview: str = ""
    """Text of the stream on preview as it came: hostile."""
    preview_probe: str = ""
    page: RoutePage | None = None
    """None where nobody looks at the page of the route."""


class PlaceView(msgspec.Struct, frozen=True, kw_only=True):
    """One of several places from which routes are probed."""

    name: str
    state: PlaceState = "heard"
    since_ns: int | None = None
    """Stamp of the last that was heard of it; of `heard` the first since it was not. None where
    nobody told."""
    since_s: float = 0.0
    """How long ago that is."""
    behind_s: float = 0.0
    """Seconds of its past that it has still to send; 0 where it is up to date."""
    detail: str = ""
    """For a person."""


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
    finished: int = 0
    """Probes of all rows over the window of the table, as are the three below of probes and
    attempts: the header's counts are those of the rows."""
    failed: int = 0
    throttled: int = 0
    retries: int = 0
    good_share: float | None = None
    hurt: int = 0
    """Rows in a state that is neither well nor ours (paused, held) nor just starting."""
    well_since_ns: int | None = None
    """Since when all routes are well but those that are paused; None while one is not, or while
    nobody knows whether it is."""
    usd_per_hour: float | None = None
    """None where no attempt had a known cost."""
    budget_share: float | None = None
    """Worst share used of any budget."""
    budget_text: str = ""
    """Such as `412k of 2M tok/h`."""
    budget_doubt: str = ""
    """Why only the emergency part of the budgets may be spent; empty where it is not so."""
    budget_doubt_kind: DoubtKind = "unknown"
    """Of what kind that is."""
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
    observer_place: str = ""
    """Of several places, the one whose engine can be trusted least: what is told of the engine is
    told of that one, but for `drops`."""
    short_of: Shortage = ""
    """What the engine's machine has too little of to send probes."""
    places: tuple[PlaceView, ...] = ()
    """By name; empty where one place is all there is."""
    last_batch_ns: int | None = None
    """None in a replay, which has no batches."""
    notices: tuple[str, ...] = ()
    """Newest last; hostile text is possible."""


class LeaderFigure(msgspec.Struct, frozen=True):
    """A median and how sure it is."""

    value: float | None = None
    low: float | None = None
    """The true median lies from here to `high` with 95 %; None where there are too few to tell."""
    high: float | None = None
    n: int = 0
    """Samples it is of."""


class LeaderView(msgspec.Struct, frozen=True, kw_only=True):
    """One route and what it was asked, in the figures of public leaderboards."""

    route: str
    cohort: str
    ttft_s: LeaderFigure = LeaderFigure()
    tokens_per_s: LeaderFigure = LeaderFigure()
    """Output tokens a second, after the first ones came."""
    e2e_s: LeaderFigure = LeaderFigure()
    """Of an answer of 500 tokens; with reasoning that was streamed before them, where there was."""
    price: float | None = None
    """USD per million tokens, three of input to one of output; None where no price is known."""
    probes: int = 0
    """Ended, but for those that we cancelled."""
    failed: int = 0
    reasoned: bool = False
    """Reasoning was streamed before an answer."""
    input_tokens: int | None = None
    """Median of what the server counted, as are the next two."""
    output_tokens: int | None = None
    cached_tokens: int | None = None
    newest_ns: int = 0
    """When the newest of its probes ended."""


class LeaderGroup(msgspec.Struct, frozen=True):
    """Routes that were asked alike."""

    cohort: str
    shape: str
    """Name of what was asked; empty where each route asked what it asks always."""
    rows: tuple[LeaderView, ...]


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
    """Most users hurt first, then those that hurt nobody by name."""
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
    alerts: tuple[AlertView, ...] = ()
    """All of the run, newest first, at most 200."""
    happenings: tuple[Happening, ...] = ()
    """What happened, newest first, at most 500."""
    standings: tuple[LeaderView, ...] = ()
    """Each route by what it was asked, in no order; empty where nobody asked for them."""


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
