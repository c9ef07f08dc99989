"""Whom to wake: which verdicts are alerts. A pure fold of the stream with its verdicts.

Rule 1: a verdict is not an alert. Nobody is paged for what is only `perhaps`, for what is over or
settled, nor twice for one incident.
Rule 2: a named incident is paged as soon as its routes, since its onset, fail probes or miss a
goal; where less than half of the probes are beyond it, it must have stayed named for a minute: what
is named by chance is cleared by then. That is looked at with each tick, and when it is named.
Rule 3: a named one that does neither is paged when it has stood for two minutes, but for one that
merely makes a route slower while the goals that judge that are met: that is a line on the screen,
and users have what they were promised. An incident does not stand while none of its routes is
probed.
Rule 4: what our own machine does is no missed goal of a route. It is paged when it stands: until it
clears nothing that is measured can be trusted.
Rule 5: how long an incident stands is told by the time of a place that it hits (`places.py`), and a
verdict counts for nothing while that place is behind: what its backlog tells may long be over. So
who is called is called for what is so now. Of several places it is waited for some seconds until it
is known from which of them it is seen: who is called is told that once.
Rule 6: memory is bounded, whatever comes.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from probes.board.good_probe import e2e_goal_of, is_within_goals, lasted_s
from probes.config.goals import P95_SHARE
from probes.diagnosis.places import PlaceTimes
from probes.events import (
    AttemptFinished,
    Cause,
    Diagnosis,
    Event,
    Harm,
    HarmGoal,
    Held,
    HeldReason,
    Hello,
    Knob,
    ProbeFinished,
    RouteInfo,
    Tick,
)
from probes.events.spoken_of import speaks_of
from probes.kit.clock import seconds
from probes.kit.short_figures import counted, lasting
from probes.stats.tokens import seconds_per_token

STANDS_S: Final = 120.0
"""Nobody gets up for what is over by the time the screen is on."""
LATE_S: Final = 60.0
"""Of many well routes, one is named by chance once in weeks, for less than a minute; where answers
scatter widely, some of them are late at any time."""
_SCOPE_S: Final = 10.0
"""So long another place takes to answer often enough, at a probe a second and with late batches."""
_FEWEST_BEYOND: Final = 3
"""Probes beyond a goal on its p95: two mishaps are none of an incident's doing."""
_SHARE_BEYOND: Final = 1 - P95_SHARE
"""A p95 above its goal says that more than this share is."""
_FEWEST_FAILED: Final = 2
"""Even where nothing may fail: one is a mishap, and the incident may be of something else."""
_PROBES_KEPT: Final = 256
"""Of each route, the newest: enough to see one in a hundred, and quickly looked through."""
_INCIDENTS_KEPT: Final = 1_000

_NOTHING_ANSWERED: Final[frozenset[Cause]] = frozenset({"no_answer", "outage"})
"""Probes that hang have not failed yet, and theirs is the worst failure."""
_MERELY_SLOWER: Final[frozenset[Cause]] = frozenset(
    {
        "provider_queueing",
        "provider_slow_decode",
        "network_path",
        "connection_churn",
        "cold_start",
        "cache_loss",
        "own_load",
    }
)


class PagedIncident(NamedTuple):
    """Somebody is to be woken, now."""

    at_ns: int
    incident: Diagnosis
    """As it was known then."""
    harm: Harm


@dataclass(slots=True, frozen=True)
class JudgedProbe:
    """What a probe that ended has to do with the goals of its route."""

    at_ns: int
    failed: bool = False
    ttft_s: float | None = None
    """None where it is not to be judged by, as with the others."""
    e2e_s: float | None = None
    e2e_goal_s: float | None = None
    cost_usd: float | None = None

    def is_good(self, info: RouteInfo) -> bool:
        """Return whether it is ok and within every goal that judges a single probe."""
        return not self.failed and is_within_goals(
            info,
            ttft_s=self.ttft_s,
            e2e_s=self.e2e_s,
            e2e_goal=self.e2e_goal_s,
            cost_usd=self.cost_usd,
        )


def judged_probe(event: ProbeFinished, info: RouteInfo) -> JudgedProbe | None:
    """Return a probe as the goals see it; None for one that we cancelled."""
    if event.outcome == "cancelled":
        return None
    is_timed = event.outcome == "ok" and not event.flagged
    return JudgedProbe(
        at_ns=event.at_ns,
        failed=event.outcome != "ok",
        ttft_s=lasted_s(event.started_ns, event.first_token_ns) if is_timed else None,
        e2e_s=lasted_s(event.started_ns, event.done_ns) if is_timed else None,
        e2e_goal_s=e2e_goal_of(info, event.cohort),
        cost_usd=event.cost_usd,
    )


class _Route:
    """The goals of a route, and what came of its newest probes."""

    def __init__(self, info: RouteInfo) -> None:
        self.info = info
        self._probes: deque[JudgedProbe] = deque(maxlen=_PROBES_KEPT)
        self._speeds: deque[tuple[int, float]] = deque(maxlen=_PROBES_KEPT)
        """End of an attempt, and its tokens per second."""

    def attempt_finished(self, event: AttemptFinished) -> None:
        if self.info.goal_tokens_per_s is None or event.flagged:
            return
        per_token_s = seconds_per_token(event)
        if per_token_s:
            self._speeds.append((event.at_ns, 1 / per_token_s))

    def probe_finished(self, event: ProbeFinished) -> None:
        probe = judged_probe(event, self.info)
        if probe is not None:
            self._probes.append(probe)

    def harms(self, since_ns: int) -> Iterator[Harm]:
        """Give what users have of it since an onset, the worst first."""
        name, info = self.info.name, self.info
        probes = [probe for probe in self._probes if probe.at_ns >= since_ns]
        failed = sum(probe.failed for probe in probes)
        if failed >= _FEWEST_FAILED and failed > (1 - info.goal_success) * len(probes):
            yield Harm("probes_fail", name, "success", info.goal_success, failed, len(probes))
        ttfts = [probe.ttft_s for probe in probes if probe.ttft_s is not None]
        slow = sum(ttft > info.goal_ttft_s for ttft in ttfts)
        if info.streamed and _misses_p95(slow, len(ttfts)):
            yield Harm("goal_missed", name, "ttft", info.goal_ttft_s, slow, len(ttfts))
        judged = [
            (probe.e2e_s, probe.e2e_goal_s)
            for probe in probes
            if probe.e2e_s is not None and probe.e2e_goal_s is not None
        ]
        long = sum(e2e > goal for e2e, goal in judged)
        if _misses_p95(long, len(judged)):
            yield Harm("goal_missed", name, "e2e", judged[-1][1], long, len(judged))
        least = info.goal_tokens_per_s
        speeds = [speed for at_ns, speed in self._speeds if at_ns >= since_ns]
        if least is not None and len(speeds) >= _FEWEST_BEYOND:
            slowly = sum(speed < least for speed in speeds)
            if 2 * slowly > len(speeds):  # it is a goal of the median
                yield Harm("goal_missed", name, "tokens_per_s", least, slowly, len(speeds))
        most = info.goal_cost_usd_per_probe
        costs = [probe.cost_usd for probe in probes if probe.cost_usd is not None]
        if most is not None and len(costs) >= _FEWEST_BEYOND and sum(costs) > most * len(costs):
            dear = sum(cost > most for cost in costs)
            yield Harm("goal_missed", name, "cost", most, dear, len(costs))

    def tells_slowness(self, cause: Cause, since_ns: int) -> bool:
        """Whether a goal has judged, since an onset, what a cause makes slower."""
        probes = [probe for probe in self._probes if probe.at_ns >= since_ns]
        has_first = self.info.streamed and cause != "provider_slow_decode"
        told = sum(
            (has_first and probe.ttft_s is not None)
            or (probe.e2e_s is not None and probe.e2e_goal_s is not None)
            for probe in probes
        )
        written = sum(at_ns >= since_ns for at_ns, _ in self._speeds)
        return max(told, written) >= _FEWEST_BEYOND


@dataclass(slots=True)
class _Watched:
    """A named incident that nobody was paged for yet."""

    word: Diagnosis
    """As it is known now."""
    named_ns: dict[str, int]
    """When it was named first, by the time of each place that it hits."""


class Pager:
    """Says of a stream, verdicts included, when somebody would have been woken."""

    def __init__(self, places: PlaceTimes | None = None) -> None:
        """Begin; `places` is folded by whoever gives it, before each event comes here."""
        self._is_own = places is None
        self._places = PlaceTimes() if places is None else places
        self._routes: dict[str, _Route] = {}
        self._clock: tuple[str, str] | None = None
        self._held: set[tuple[str, str, HeldReason]] = set()
        """PlaceTimes, routes of theirs that are not probed, and why; all of them where a name is
        empty."""
        self._watched: dict[str, _Watched] = {}
        """By the id of the incident."""
        self._paged: dict[str, None] = {}
        """Ids, oldest first."""

    def fold(self, event: Event) -> tuple[PagedIncident, ...]:
        """Take one event, in the order of the stream; return the pages that it decides."""
        if self._is_own:
            self._places.fold(event)
        match event:
            case ProbeFinished() if event.route in self._routes:
                self._routes[event.route].probe_finished(event)
            case AttemptFinished() if event.route in self._routes:
                self._routes[event.route].attempt_finished(event)
            case Knob(knob="paused"):
                self._hold("", event.route, "paused", is_held=event.after > 0)
            case Held() if event.reason != "cool_down":  # that is the server's doing
                self._hold(event.place, event.route, event.reason, is_held=not event.released)
            case Tick() if self._watched:
                return self._pages(event.at_ns, event.place, tuple(self._watched.values()))
            case Diagnosis():
                return self._hear(event)
            case Hello():
                self._greet(event)
            case _:
                pass
        return ()

    def page_for(self, incident: str) -> None:
        """Know that somebody is told of an incident, for whatever reason: never of it again."""
        self._watched.pop(incident, None)
        self._paged[incident] = None
        if len(self._paged) > _INCIDENTS_KEPT:
            del self._paged[next(iter(self._paged))]

    def _hold(self, place: str, route: str, reason: HeldReason, *, is_held: bool) -> None:
        if not route or route in self._routes:
            at = "" if route else place
            (self._held.add if is_held else self._held.discard)((at, route, reason))

    def _is_held(self, name: str) -> bool:
        info = self._routes[name].info if name in self._routes else None
        return any(
            route == name or (not route and (not place or (info and info.place == place)))
            for place, route, _ in self._held
        )

    def _hear(self, word: Diagnosis) -> tuple[PagedIncident, ...]:
        before = self._watched.pop(word.id, None)
        if word.state != "named" or word.id in self._paged:
            return ()
        named_ns = {} if before is None else before.named_ns
        for name in word.routes:
            place = self._places.of(name)
            if place is not None:
                named_ns.setdefault(place.name, place.now_ns)
        # A verdict stands behind the event that decided, and has its time.
        newest = self._places.newest
        decided_at = "" if newest is None else newest.name
        if before is None:
            named_ns[decided_at] = word.at_ns
        watched = _Watched(word, named_ns)
        if len(self._watched) < _INCIDENTS_KEPT:
            self._watched[word.id] = watched
        return self._pages(word.at_ns, decided_at, [watched])

    def _greet(self, hello: Hello) -> None:
        """Take the goals; forget what went by another clock, for its stamps compare with none."""
        clock = (hello.boot_id, hello.clock_name)
        if self._clock not in (None, clock):
            self._routes.clear()
            self._watched.clear()
            self._held.clear()
        self._clock = clock
        for info in hello.routes:
            known = self._routes.get(info.name)
            if known is None:
                self._routes[info.name] = _Route(info)
            else:
                known.info = info
        # An engine that begins holds nothing back but what its settings pause.
        self._held = {
            (place, route, reason)
            for place, route, reason in self._held
            if hello.place and place != hello.place and not self._is_spoken_of(route, hello)
        }
        self._held |= {("", info.name, "paused") for info in hello.routes if info.paused}

    def _is_spoken_of(self, route: str, hello: Hello) -> bool:
        return route in self._routes and speaks_of(hello, self._routes[route].info)

    def _pages(
        self, at_ns: int, place: str, incidents: Iterable[_Watched]
    ) -> tuple[PagedIncident, ...]:
        """Return who is paged for incidents, by the time of a place that they hit."""
        here = self._places.by_name.get(place)
        if here is not None and here.is_behind:
            return ()
        found = [
            (one.word, harm)
            for one in incidents
            if (named_ns := one.named_ns.get(place)) is not None
            and (harm := self._harm(one.word, named_ns, at_ns)) is not None
        ]
        for incident, _ in found:
            self.page_for(incident.id)
        return tuple(PagedIncident(at_ns, incident, harm) for incident, harm in found)

    def _harm(self, incident: Diagnosis, named_ns: int, at_ns: int) -> Harm | None:
        """Return why somebody is to be paged for a named incident; None where nobody is."""
        cause, since_ns = incident.cause, incident.since_ns
        if incident.places and not incident.scope and seconds(at_ns - named_ns) < _SCOPE_S:
            return None
        routes = [self._routes[name] for name in incident.routes if name in self._routes]
        if cause in _NOTHING_ANSWERED:
            return Harm("nothing_answered", incident.routes[0] if incident.routes else "")
        if cause != "local_observer":
            is_sure = seconds(at_ns - named_ns) >= LATE_S
            found = (harm for route in routes for harm in route.harms(since_ns))
            harm = next((one for one in found if is_sure or _is_plain(one)), None)
            if harm is not None:
                return harm
        if seconds(at_ns - since_ns) < STANDS_S:
            return None
        is_all_held = any(not place and not route for place, route, _ in self._held)
        if is_all_held or (routes and all(map(self._is_held, incident.routes))):
            return None
        is_judged = routes and all(route.tells_slowness(cause, since_ns) for route in routes)
        return None if cause in _MERELY_SLOWER and is_judged else Harm("stands")


_LIMITS: Final[dict[HarmGoal, Callable[[float], str]]] = {
    "ttft": lambda limit: f"waited more than {limit:g} s for the first token",
    "e2e": lambda limit: f"took more than {limit:g} s",
    "tokens_per_s": lambda limit: f"wrote fewer than {limit:g} tokens/s",
    "cost": lambda limit: f"cost more than ${limit:g}",
}


def harm_words(harm: Harm, stood_s: float = 0.0) -> str:
    """Return why somebody is told: `21 of 25 probes of alpha took more than 3 s`.

    `stood_s` is for how long it has stood by then. Names of routes are passed on as they are:
    whoever displays them neutralises.
    """
    if harm.reason == "nothing_answered":
        return "nothing is answered"
    if harm.reason == "stands":
        return f"it has stood for {lasting(stood_s)}"
    of = f"{harm.beyond:,} of {counted(harm.among, 'probe')} of {harm.route}"
    if harm.goal == "goodput":
        return f"{of} were not good"
    if harm.goal == "success":
        return f"{of} failed"
    return f"{of} {_LIMITS[harm.goal](harm.limit)}"


def _is_plain(harm: Harm) -> bool:
    """Return whether nobody need wait for more of it to know that it is none of chance."""
    return harm.reason != "goal_missed" or 2 * harm.beyond >= harm.among


def _misses_p95(beyond: int, among: int) -> bool:
    return beyond >= _FEWEST_BEYOND and beyond > _SHARE_BEYOND * among
