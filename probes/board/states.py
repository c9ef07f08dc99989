"""How a route is doing, in one word, since when, and why: incidents and goals made a state.

Rule 1: what is wrong is judged by the diagnosis alone. Its open incidents make the state, by the
table below; there is no other threshold on failures or 429s here.
Rule 2: since is the onset of the incident, whatever grade it has inside; where goals alone make the
state, the moment they began to; after an incident, the moment it was over.
Rule 3: a state in which nothing is answered gets better only by a success that began after the
onset, whatever the diagnosis says.
Rule 4: what may yet be chance (`perhaps`) never makes a state worse than slow.
Rule 5: where nothing is open, goals grade a p95: over the last minute where it has 20 samples, else
over five where these have, else not at all. What was measured amid an incident is not held against
a route once that is over: then only samples after its end count.
Rule 6: what we do ourselves (paused, held) comes before what the route does, and before all of it
that nothing is heard of its place: then what is known is old.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from probes.board.figures import SLUGGISH_SHARE, RouteAt, is_enough
from probes.board.incident_log import KnownIncident
from probes.board.place import unheard_words
from probes.board.route import UNANSWERED, Refusal, RouteBoard, Standing
from probes.board.views import RouteState
from probes.config.goals import shape_of
from probes.events import Cause, Diagnosis, Evidence, HeldReason
from probes.events.diagnosis_words import counts_failures, what_words
from probes.stats.samples import Metric
from probes.stats.tally import Tally
from probes.stats.windows import WindowName

STATE_ORDER: Final[tuple[RouteState, ...]] = get_args(RouteState)
RANK: Final = {state: position for position, state in enumerate(STATE_ORDER)}
_LEAST_TOLERANCE: Final = 0.001
"""A success goal of 100 % allows no failure: the ratio to it must be a number all the same."""
_HOLDING: Final[frozenset[HeldReason]] = frozenset(("budget", "reader_stalled", "restarting"))
_JUDGED_BY: Final[tuple[tuple[str, Metric], ...]] = (
    *(("TTFT p95", "ttft"), ("E2E p95", "e2e"), ("tok/s", "speed")),
)
"""What is held to a goal, as the reason of a state calls it."""
_JUDGED: Final[tuple[WindowName, ...]] = ("1m", "5m")
REFUSING: Final = UNANSWERED | {"masked"}
"""States of which a server's last words of a failure tell why."""
_ALL_FAIL: Final = 10
"""So many in a row come once in a thousand where half of them fail: one success among them, at the
beginning of an outage, is no reason to call it anything else for hours."""
_WORST_PERHAPS: Final[RouteState] = "slow"

_Makes: TypeAlias = Literal[
    "hanging",
    "refused",  # down where nothing succeeds, else failing
    "failing",  # down where all fail and nothing succeeds
    "wrong",  # failing: it serves, and what it serves is no use
    "throttled",
    "stalling",
    "latency",  # sluggish or slow, by the goals
    "masked",
    "changed",
    "nothing",
]

_MAKES: Final[Mapping[Cause, _Makes]] = {
    # Requests are taken and nothing comes: it is no failure yet, and worse than one to wait for.
    "no_answer": "hanging",
    # Each is an answer to all requests alike, or to none: what succeeds beside it is an exception.
    "outage": "refused",
    "dns": "refused",
    "tls": "refused",
    "quota_exhausted": "refused",
    "auth_failure": "refused",
    "model_missing": "refused",
    "bad_request": "refused",
    # A share fails; only where that is all of them nobody is served.
    "provider_errors": "failing",
    "provider_overloaded": "failing",
    "stream_truncation": "failing",
    "wrong_answers": "wrong",
    # Ours to ease, and what gets through is well.
    "rate_limited_requests": "throttled",
    "rate_limited_tokens": "throttled",
    "rate_limited_concurrency": "throttled",
    "stream_stalls": "stalling",
    # Answers come, later than usual: how bad that is, the goals say. A way on which attempts fail
    # is `refused` instead.
    "network_path": "latency",
    "provider_queueing": "latency",
    "provider_slow_decode": "latency",
    "cache_loss": "latency",
    "own_load": "latency",
    "cold_start": "latency",
    # Users feel nothing of it but the time a retry takes.
    "retry_masking": "masked",
    # It answers within its goals, and not as before. Beyond them it is slow for that reason.
    "prompt_growth": "changed",
    "output_growth": "changed",
    "model_changed": "changed",
    "connection_churn": "changed",
    # This machine's trouble is nobody's state: the row keeps what it was, with a mark.
    "local_observer": "nothing",
    # By its size: failures where its evidence counts some, else latency.
    "unknown": "latency",
}
"""What an incident makes of a route it is on."""


class Judgement(NamedTuple):
    """What is to be said of a route."""

    shown: Standing
    """Its state, what we do ourselves included."""
    health: Standing
    """What it is by itself, while we pause or hold it too."""
    graded: Standing
    """What its goals say of it, incidents left aside."""
    live: RouteState
    """What its goals say now, of all that the windows hold."""
    goal_ratio: float
    """Worst ratio of p95, failure share and cost to what their goals allow."""
    observer_busy: bool
    """What is measured of it is our machine's trouble."""
    why: str
    """Why it is so, in words; empty where the state says it all. May be a server's: hostile."""
    onset_ns: int | None
    """Onset of the incident that makes its health; None where none does that is sure."""
    is_sure: bool
    """Its health is not what may yet be chance."""


def judge(at: RouteAt) -> Judgement:
    """Judge a route at one stamp."""
    route = at.route
    latency = _Latency(at)
    incidents = route.run.incidents.of(route.info.name)
    graded = _graded(at, latency, any(incident.is_named for incident in incidents))
    health, cause = _health(route, graded, latency.grade, incidents)
    if route.health.state in UNANSWERED and health is graded and graded.state == "ok":
        # The diagnosis may have cleared it before: it is over with the first success.
        health = graded = Standing("ok", max(graded.since_ns, at.now_ns))
    shown, why = _shown(at, health), ""
    if shown.state == "silent":
        why = unheard_words(route.place.report)
        if health.state not in ("ok", "starting"):
            why = f"{why}, was {health.state}"
    elif shown is health and cause is not None:
        why = what_words(cause.event)
    elif shown.state in ("slow", "sluggish"):
        why = latency.why
    elif shown.state == "throttled":
        why = _most_frequent(at.tally("1m").throttled_by)
    elif shown.state in UNANSWERED:
        why = "no success since"
    judged = at.tally("1m") if at.tally("1m").finished else at.tally("5m")
    ratio = max(latency.ratio, _failure_ratio(route, judged), _cost_ratio(route, judged))
    busy = any(one.is_named and one.event.cause == "local_observer" for one in incidents)
    is_sure = cause is None or cause.is_named
    onset_ns = _onset(route, health, graded, latency.grade, incidents) if is_sure else None
    return Judgement(
        shown, health, graded, latency.grade, ratio, busy, why, onset_ns=onset_ns, is_sure=is_sure
    )


def worst_of(states: Iterable[RouteState]) -> RouteState | None:
    """Return the worst of some states; None without any."""
    return min(states, key=RANK.__getitem__, default=None)


def refusal_of(cause: Cause) -> Refusal | None:
    """Return how attempts end for a cause; None where they do not end for it."""
    match _MAKES[cause]:
        case "throttled":
            return "throttled"
        case "wrong":
            return "wrong"
        case "refused" | "failing" | "masked":
            return "failed"
        case _:
            return "failed" if cause in ("network_path", "unknown") else None


def state_made(incident: KnownIncident, route: RouteBoard, live: RouteState) -> RouteState | None:
    """Return what an incident makes of a route it is on; None where that is nothing.

    Args:
        incident: one that is open on it.
        route: the route.
        live: what its goals say now.
    """
    event = incident.event
    makes = _makes(event)
    if makes == "nothing":
        return None
    late: RouteState = live if live in ("slow", "sluggish") else _by_evidence(event.evidence, route)
    state: RouteState
    match makes:
        case "refused":
            state = "down" if _nothing_succeeds(route, incident.cause_ns) else "failing"
        case "failing" | "stalling":
            # The size is that of the moment it was told at: it may have become worse since.
            since_ns = incident.since_ns if event.size >= 1.0 else -1
            state = "down" if _nothing_succeeds(route, since_ns) else makes
        case "wrong":
            state = "failing"
        case "latency":
            state = late if late != "ok" else "slow"
        case "masked" | "changed":
            state = late if late != "ok" else makes
        case _:
            state = makes
    if event.state == "perhaps" and RANK[state] < RANK[_WORST_PERHAPS]:
        return _WORST_PERHAPS
    return state


def _makes(event: Diagnosis) -> _Makes:
    """Return what a diagnosis makes of its routes, by its cause and by what its evidence counts."""
    makes = _MAKES[event.cause]
    if not counts_failures(event.evidence):
        return makes
    if event.cause == "network_path":
        return "refused"
    if event.cause == "unknown":
        return "failing"
    # Another model answers, say, and it answers wrongly.
    return "wrong" if makes == "changed" else makes


def _nothing_succeeds(route: RouteBoard, from_ns: int) -> bool:
    """Return whether no attempt that began after a stamp has ended ok, or none for long."""
    return route.ok_began_ns < from_ns or route.refused_in_a_row >= _ALL_FAIL


def note_worst(incident: KnownIncident, route: RouteBoard) -> bool:
    """Keep the worst that an incident has made of a route: that is what it recovers from. Return
    whether it has become worse."""
    state, name = state_made(incident, route, route.live), route.info.name
    known = incident.worst.get(name)
    if state is None or (known is not None and RANK[known] <= RANK[state]):
        return False
    incident.worst[name] = state
    return True


def _health(
    route: RouteBoard, graded: Standing, live: RouteState, incidents: Iterable[KnownIncident]
) -> tuple[Standing, KnownIncident | None]:
    """Return what a route is by itself, and the incident that makes it so."""
    worst, cause = graded, None
    for incident in incidents:
        state = state_made(incident, route, live)
        if state is None:
            continue
        found = Standing(state, incident.since_ns)
        # Of two that make the same state, the older one says since when.
        if (RANK[found.state], found.since_ns) < (RANK[worst.state], worst.since_ns):
            worst, cause = found, incident
    before = route.health
    if (
        before.state in UNANSWERED
        and RANK[worst.state] > RANK[before.state]
        and route.ok_began_ns < before.since_ns
    ):
        return before, None
    return worst, cause


def _onset(
    route: RouteBoard,
    health: Standing,
    graded: Standing,
    live: RouteState,
    incidents: Iterable[KnownIncident],
) -> int | None:
    """Return the onset of what makes the health of a route, though a goal may have been missed
    before it; None where goals alone make it."""
    onsets = [
        incident.since_ns
        for incident in incidents
        if incident.is_named and state_made(incident, route, live) == health.state
    ]
    if not onsets and health is not graded:
        return health.since_ns  # nothing has succeeded since what was cleared
    return min(onsets, default=None)


def _graded(at: RouteAt, latency: "_Latency", is_ill: bool) -> Standing:
    """Return what the goals say of a route, incidents left aside."""
    before = at.route.graded
    if before.state == "starting":
        return Standing("ok", at.now_ns) if at.tally("run").ok else before
    if is_ill:
        return before  # what is measured now is the incident's
    grade = latency.grade_after(at.route.well_from_ns)
    if grade is None or grade == before.state:
        return before
    # What gets worse, or less bad, has gone on since a goal began to be missed.
    goes_on = grade != "ok" and before.state != "ok"
    return Standing(grade, before.since_ns if goes_on else at.now_ns)


def _shown(at: RouteAt, health: Standing) -> Standing:
    """Return the state of a route with what we do ourselves."""
    route, everywhere = at.route, at.route.place.held
    report = route.place.report
    if report is not None and not route.place.is_heard:
        return Standing("silent", report.since_ns)
    state: RouteState = health.state
    if route.paused or "paused" in route.held or "paused" in everywhere:
        state = "paused"
    elif not (_HOLDING.isdisjoint(route.held) and _HOLDING.isdisjoint(everywhere)):
        state = "held"
    elif RANK[health.state] > RANK["throttled"] and route.cool_down_s(at.now_ns) is not None:
        state = "throttled"
    if state == health.state:
        return health
    # A cool-down that a server makes longer goes on; what lasts keeps its beginning.
    return route.shown if route.shown.state == state else Standing(state, at.now_ns)


class _Latency:
    """The p95s of a route, and its writing speed, against their goals."""

    def __init__(self, at: RouteAt) -> None:
        self._at = at
        self._ratios = {
            (name, of): _ratio(at, metric, None, cohort)
            for cohort, of in _judged_cohorts(at.route)
            for name, metric in _JUDGED_BY
        }
        self.ratio = max(ratio or 0.0 for ratio in self._ratios.values())
        self.grade = _grade(self.ratio)

    @property
    def why(self) -> str:
        """The worst of them as a multiple of its goal."""
        name, of = max(self._ratios, key=lambda key: self._ratios[key] or 0.0)
        if name == "tok/s":
            return f"tok/s{of} 1/{self.ratio:.1f} of its goal"
        return f"{name}{of} {self.ratio:.1f}× goal"

    def grade_after(self, from_ns: int | None) -> RouteState | None:
        """Return the grade of what was measured after a stamp; None where that is not enough.

        Where the windows reach back no further than that stamp, it is the grade of all of them.
        """
        at = self._at
        if from_ns is None or not at.reaches_behind("5m", from_ns):
            return self.grade
        ratios = [
            _ratio(at, metric, from_ns, cohort)
            for cohort, _ in _judged_cohorts(at.route)
            for _, metric in _JUDGED_BY
        ]
        known = [ratio for ratio in ratios if ratio is not None]
        return _grade(max(known)) if known else None


def _grade(ratio: float) -> RouteState:
    if ratio > SLUGGISH_SHARE:
        return "sluggish"
    return "slow" if ratio > 1.0 else "ok"


def _judged_cohorts(route: RouteBoard) -> list[tuple[str, str]]:
    """Return the cohorts that are held to the goals, each with whose it is in words: the present
    one, or all of a mix, as none of its shapes is to hide another."""
    if not route.info.is_mix:
        return [(route.cohort, "")]
    return [(cohort, f" of {shape_of(cohort)}") for cohort in route.cohorts] or [(route.cohort, "")]


def _ratio(at: RouteAt, metric: Metric, from_ns: int | None, cohort: str) -> float | None:
    """Return a figure as a multiple of its goal; None without a goal or without enough samples.

    A speed is to reach its goal, so there it is the goal as a multiple of the median.
    """
    goal = _goal(at.route, metric, cohort)
    if not goal:
        return None
    for window in _JUDGED:
        percentiles = at.percentiles(metric, window, from_ns, cohort)
        if is_enough(percentiles.n, 0.95):
            value = percentiles.at(0.5 if metric == "speed" else 0.95)[0].value or 0.0
            if metric == "speed":
                return goal / value if value else None
            return value / goal
    return None


def _goal(route: RouteBoard, metric: Metric, cohort: str = "") -> float | None:
    return route.info.goal_tokens_per_s if metric == "speed" else route.goal_s(metric, cohort)


def _by_evidence(evidence: Iterable[Evidence], route: RouteBoard) -> RouteState:
    """Return the grade of what is measured since the onset: where probes are few, a p95 of the
    last minutes has not enough of them."""
    ratio = 0.0
    for one in evidence:
        if one.figure in ("ttft", "e2e"):
            goal = _goal(route, "ttft" if one.figure == "ttft" else "e2e")
            ratio = max(ratio, one.now / goal if goal else 0.0)
        elif one.figure == "time_per_token":
            ratio = max(ratio, one.now * (_goal(route, "speed") or 0.0))
    return _grade(ratio)


def _most_frequent(counts: Mapping[str, int]) -> str:
    if not counts:
        return ""
    reason = max(sorted(counts), key=counts.__getitem__)
    share = counts[reason] / sum(counts.values())
    return reason if share == 1.0 else f"{reason} {share:.0%}"


def _failure_ratio(route: RouteBoard, judged: Tally) -> float:
    if not judged.finished:
        return 0.0
    allowed = max(1.0 - route.info.goal_success, _LEAST_TOLERANCE)
    return judged.failures / judged.finished / allowed


def _cost_ratio(route: RouteBoard, judged: Tally) -> float:
    goal_usd = route.info.goal_cost_usd_per_probe
    return judged.cost_usd / judged.finished / goal_usd if goal_usd and judged.finished else 0.0
