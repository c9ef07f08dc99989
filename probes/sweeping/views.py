"""What there is to show of a sweep: frozen records, made by the fold in `sweep`.

Rule 1: a load is requests at once, or requests a second where the pace is open. Each point says how
many probes it rests on, and what became of all of them: failures, refusals and starts that were
skipped are in it.
Rule 2: a figure that is not known is None, and a name is as the settings have it: whoever shows it
makes it harmless.
"""

from typing import Literal, TypeAlias

import msgspec

from probes.sweeping.estimates import Estimate
from probes.sweeping.goals import GoalState, SweepGoal
from probes.sweeping.plan import SweepBy

StepPurpose: TypeAlias = Literal["grow", "confirm", "close_in", "check"]
"""Ask for more; ask for that again at which an edge was met, for it may have been a moment's; look
for the edge between two loads; ask for the first load once more, to see
whether the provider is still what it was."""
StepEnd: TypeAlias = Literal["tight", "time", "probes", "stopped"]
"""Why a step ended: its intervals were tight enough; its time or its probes were used up; somebody
stopped the sweep, or its budget did."""
EdgeKind: TypeAlias = Literal["goal", "refused", "failing", "saturated"]
"""What comes with more load: a goal is surely missed, 429s, other failures, or nothing but a queue:
the time to the first token rises and throughput does not."""
SweepState: TypeAlias = Literal["waiting", "running", "done", "ill", "budget", "stopped", "failed"]
"""`waiting` until it is begun; `done`: all edges that it met are closed in on; `ill`: the provider
changed meanwhile, and nothing is claimed; `budget`: it would have spent more than it may; `stopped`
by the user; `failed`: it cannot be done, and the sentence says why."""
LimitKind: TypeAlias = Literal["concurrency", "requests", "tokens", "unknown"]


class SweepCost(msgspec.Struct, frozen=True):
    """What a sweep may use at most, told before it begins, as the budgets reckon it."""

    steps: int
    probes: int
    tokens: int
    usd: float | None
    """None where no price is known."""
    seconds: float
    """How long its steps measure at most; warm-ups and waits come to it."""


class JudgedGoal(msgspec.Struct, frozen=True):
    """How a point stands against one goal."""

    goal: SweepGoal
    state: GoalState


class SweepPoint(msgspec.Struct, frozen=True):
    """One step that is over."""

    load: float
    purpose: StepPurpose
    end: StepEnd
    seconds: float
    """That it measured, its warm-up not counted."""
    n: int = 0
    """Probes that ended meanwhile, however they ended, and those that hung to its end."""
    ok: int = 0
    failed: int = 0
    """Otherwise than ok and than by a 429."""
    throttled: int = 0
    """429s."""
    hung: int = 0
    """Still open at its end, and for twice as long as any that ended took."""
    skipped: int = 0
    """Starts that were due and could not be made; of an open pace."""
    warm_up: int = 0
    """Probes that ended before it measured, and count for nothing but what they cost."""
    warm_up_failed: int = 0
    """How many of these failed, 429s among them."""
    in_flight: float = 0.0
    """On average."""
    in_flight_slope: Estimate | None = None
    """By how much that grew in each second."""
    ttft_slope: Estimate | None = None
    """By how much TTFT grew in each second; E2E where nothing is streamed."""
    ttft_p50: Estimate | None = None
    ttft_p95: Estimate | None = None
    """Failures count as latencies without end."""
    ttft_mean: Estimate | None = None
    """Of those that were ok."""
    e2e_p50: Estimate | None = None
    e2e_p95: Estimate | None = None
    success: Estimate | None = None
    requests_per_s: Estimate | None = None
    """That were ok."""
    tokens_per_s: Estimate | None = None
    """Output tokens of all of them together."""
    stream_tokens_per_s: Estimate | None = None
    """Of one stream, in the median."""
    usd_per_ktok: Estimate | None = None
    """USD that all its probes cost for each 1,000 output tokens of those that were ok; None where
    no price is known."""
    tokens: int = 0
    """Charged, its warm-up included."""
    usd: float = 0.0
    goals: tuple[JudgedGoal, ...] = ()
    refused_for: str = ""
    """The limit that its 429s name."""
    refused_at: Estimate | None = None
    """Requests that were in flight when one was refused."""
    let_in_tokens: float | None = None
    """Prompts and answer caps, in tokens a minute, that were let in between its first 429 and its
    last."""
    let_in_requests: float | None = None
    """The same in requests a minute."""
    reserved: float = 0.0
    """Tokens of a prompt and its answer cap."""
    failure: str = ""
    """How most failed that did."""
    lag_s: float = 0.0
    """How late our own engine woke meanwhile, the worst p99 of a second."""
    samples: tuple[float, ...] = ()
    """TTFT of those that were ok, in the order of their ends."""
    e2e_samples: tuple[float, ...] = ()
    """The same of E2E."""

    @property
    def missed(self) -> bool:
        """Whether a goal is surely missed."""
        return any(one.state == "missed" for one in self.goals)

    @property
    def within(self) -> bool:
        """Whether every goal is met, or looks as if it were."""
        return all(one.state in ("met", "within", "unknown") for one in self.goals)

    @property
    def surely_within(self) -> bool:
        """Whether every goal of a latency is surely met, and no other one looks missed."""
        return self.within and all(
            one.state == "met" for one in self.goals if not one.goal.at_least
        )


class SweepEdge(msgspec.Struct, frozen=True):
    """Where something begins that a larger load brings."""

    kind: EdgeKind
    holds: float | None
    """The largest load at which it is not; None where even the first has it."""
    begins: float
    """The smallest load at which it is."""
    closed: bool
    """Both lie within a tenth of each other, or next to each other."""


class SweepLimit(msgspec.Struct, frozen=True):
    """The limit that 429s are of."""

    kind: LimitKind
    value: float
    """Requests at once, or requests or tokens a minute."""
    told: float | None = None
    """What the server says of it."""


class SweepView(msgspec.Struct, frozen=True):
    """A sweep by now."""

    route: str
    by: SweepBy
    first: float
    """The smallest load that is asked for."""
    most: float
    """The largest."""
    goals: tuple[SweepGoal, ...]
    state: SweepState
    cost: SweepCost
    sentence: str
    """What is found by now, and at the end what is found at all."""
    points: tuple[SweepPoint, ...] = ()
    """In the order in which they were measured."""
    edges: tuple[SweepEdge, ...] = ()
    knee: float | None = None
    """The load beyond which more only queues; None where it was not reached, or is not claimed."""
    limit: SweepLimit | None = None
    best: float | None = None
    """The largest load that was tried at which the goals are kept."""
    per_usd: float | None = None
    """The largest load at which tokens cost least; None where they surely cost more at none."""
    load: float | None = None
    """What is asked for now."""
    doing: str = ""
    """In words, what is done now."""
    waits: str = ""
    """What it waits for, where that is no answer."""
    running: SweepPoint | None = None
    """The step that runs, as it is by now; None before it measures."""
    step_share: float = 0.0
    """How much of its time is over."""
    spent_probes: int = 0
    spent_tokens: int = 0
    spent_usd: float = 0.0
    most_tokens: int | None = None
    most_usd: float | None = None
    seconds: float = 0.0
    """Since it began."""
    left_s: float | None = None
    """How long it probably takes from now on; None while nothing runs."""
    wall_ns: int = 0
    """When it began, Unix ns; 0 before."""

    @property
    def is_over(self) -> bool:
        """Whether it asks nothing any more."""
        return self.state not in ("waiting", "running")
