"""Runs of several places: the same routes probed from each, their streams one, and what is right.

Rule 1. A place has a stream, a chance and a clock of its own. Clocks differ by as much as NTP
        leaves, batches are closed each half second, and come up to a second later than that.
Rule 2. A place that is cut off keeps what it says, and sends it in order when it is back. Whoever
        reads the streams tells that it is not heard, and that it is again.
Rule 3. A verdict counts by what it names, of which routes, and from where it says that it is seen.
        Nothing said of the latter is neither right nor wrong, for as long as it is allowed to take.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge
from operator import itemgetter
from random import Random
from typing import Final

from probes.diagnosis import Diagnostician
from probes.events import Alert, Cause, Diagnosis, Event, PlaceReport, Scope
from probes.events.placing import at_place
from probes.kit.clock import NS_PER_S
from probes.run.verdicts import Judge

from .nature import Nature
from .scenarios import INTERNAL, NO_KEY, NO_NAME, failing, limited
from .stream import START_NS, WALL_NS, Stream
from .trouble import Effect, Outline, Trouble

PLACES: Final = ("ap", "eu", "us")
ROUTES: Final = ("chat", "code", "draw", "find")
_HOSTS: Final = ("a.one.net", "b.one.net", "api.two.net", "api.three.net")
"""Two routes of one provider, and one each of two others."""
_RTT_S: Final = {"ap": 0.16, "eu": 0.02, "us": 0.09}
LENGTH_S: Final = 720.0
ONSET_S: Final = 300.0
_CLOCK_S: Final = 0.4
"""By so much a clock is fast or slow at most."""
_BATCH_NS: Final = NS_PER_S // 2
_LATE_S: Final = 1.0
_SILENT_AFTER_S: Final = 6.5
"""So long nothing is heard before that is told."""
SCOPE_S: Final = 20.0
"""Within so long after it is due by name, it is to be known from where it is seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: what it does, from where that is seen, and what may rightly be said of it."""

    causes: tuple[Cause, ...]
    effect: Effect
    routes: tuple[str, ...]
    """By the names that they have at all places."""
    places: tuple[str, ...]
    scope: Scope
    lasts_s: float = 150.0
    limit_s: float = 40.0
    milder: Mapping[str, Effect] = field(default_factory=dict)
    """What it does at some of its places instead."""

    @property
    def hit(self) -> frozenset[str]:
        """The routes that are hit, by their whole names."""
        return frozenset(f"{name}@{place}" for name in self.routes for place in self.places)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacesCase:
    """A run of several places."""

    name: str
    faults: tuple[Fault, ...] = ()
    away: tuple[str, float, float] | None = None
    """Which place is cut off, from when to when; the end may lie behind that of the run."""
    alerts: int | None = None
    """How many there have to be; None where that is not looked at."""
    tells_rtt: bool = True


SLOW: Final = Effect(wait=3.0)
WAY: Final = Effect(rtt=5.0, loss=0.25, jitter_s=0.02)
_QUEUE: Final[tuple[Cause, ...]] = ("provider_queueing",)
_ONE: Final = ("eu",)


def _case(
    name: str,
    causes: tuple[Cause, ...] | Cause,
    effect: Effect,
    scope: Scope,
    *,
    routes: tuple[str, ...] = ("draw",),
    places: tuple[str, ...] = PLACES,
    **more: object,
) -> PlacesCase:
    of_case = {key: more.pop(key) for key in ("away", "alerts", "tells_rtt") if key in more}
    fault = Fault(
        causes=(causes,) if isinstance(causes, str) else causes,
        effect=effect,
        routes=routes,
        places=places,
        scope=scope,
        **more,  # type: ignore[arg-type]
    )
    return PlacesCase(name=name, faults=(fault,), **of_case)  # type: ignore[arg-type]


_ERRORS: Final[tuple[Cause, ...]] = ("provider_errors", "retry_masking")
"""Retries save most probes of a route that fails half of its attempts: it may be called either."""
_429: Final = failing(0.6, limited("requests"))
_BEHIND: Final = Fault(
    causes=_ERRORS,
    effect=failing(0.6, INTERNAL),
    routes=("draw",),
    places=_ONE,
    scope="only",
    lasts_s=60.0,
)

CASES: Final = (
    # The way of one place.
    _case("way.loss", "network_path", WAY, "way", routes=("chat", "code"), places=_ONE),
    _case("way.rtt_x5", "network_path", Effect(rtt=5.0, jitter_s=0.01), "way", places=_ONE),
    _case("way.rtt_x5.far", "network_path", Effect(rtt=3.0), "way", places=("us",)),
    _case("way.silent", "no_answer", Effect(hangs=True), "way", places=_ONE, limit_s=20.0),
    _case("way.dns", "dns", failing(1.0, NO_NAME), "way", places=_ONE),
    _case("way.two_of_three", "network_path", WAY, "way", places=("eu", "us")),
    _case("network.loss", "network_path", WAY, "network", routes=ROUTES, places=_ONE),
    _case("network.dns", "dns", failing(1.0, NO_NAME), "network", routes=ROUTES, places=_ONE),
    # The provider, and one route of it, seen from everywhere.
    _case("everywhere.provider_x3", _QUEUE, SLOW, "everywhere", routes=("chat", "code")),
    _case("everywhere.route_x3", _QUEUE, SLOW, "everywhere"),
    _case("everywhere.route_x2", _QUEUE, Effect(wait=2.0), "everywhere", limit_s=110.0),
    _case(
        "everywhere.milder_at_us",
        _QUEUE,
        Effect(wait=5.0),
        "everywhere",
        limit_s=110.0,
        milder={"us": Effect(wait=2.0)},
    ),
    _case("everywhere.errors_50", _ERRORS, failing(0.5, INTERNAL), "everywhere"),
    _case("everywhere.hang", "no_answer", Effect(hangs=True), "everywhere", limit_s=20.0),
    _case("everywhere.far_end", "network_path", Effect(rtt=5.0, loss=0.3), "everywhere"),
    _case("everywhere.429", "rate_limited_requests", _429, "everywhere"),
    _case("everywhere.key", "auth_failure", failing(1.0, NO_KEY), "everywhere"),
    # Something of one place that is none of its way.
    _case("only.x3", _QUEUE, SLOW, "only", places=_ONE),
    _case("only.x2", _QUEUE, Effect(wait=2.0), "only", places=_ONE, limit_s=110.0),
    _case("only.errors_50", _ERRORS, failing(0.5, INTERNAL), "only", places=_ONE),
    _case("only.429", "rate_limited_requests", _429, "only", places=_ONE),
    _case("only.key", "auth_failure", failing(1.0, NO_KEY), "only", places=_ONE),
    _case(
        "machine.late",
        "local_observer",
        Effect(lag_s=0.3, cpu_share=1.1, wait=2.0),
        "machine",
        routes=ROUTES,
        places=_ONE,
    ),
    # Two faults at once, each of a place.
    PlacesCase(
        name="two.ways",
        faults=tuple(
            Fault(
                causes=("no_answer",),
                effect=Effect(hangs=True),
                routes=(name,),
                places=(place,),
                scope="way",
                limit_s=20.0,
            )
            for name, place in (("draw", "eu"), ("find", "us"))
        ),
    ),
    PlacesCase(
        name="two.networks",
        faults=tuple(
            Fault(
                causes=("network_path",),
                effect=WAY,
                routes=ROUTES,
                places=(place,),
                scope="network",
            )
            for place in ("eu", "us")
        ),
    ),
    # A place that is not heard.
    _case(
        "away.everywhere_x3",
        _QUEUE,
        SLOW,
        "everywhere",
        away=("eu", ONSET_S - 30.0, ONSET_S + 60.0),
    ),
    _case(
        "away.only_others",
        _ERRORS,
        failing(0.5, INTERNAL),
        "only",
        places=("us",),
        away=("eu", ONSET_S - 30.0, ONSET_S + 60.0),
    ),
    PlacesCase(
        name="away.over_by_then",
        faults=(_BEHIND,),
        away=("eu", ONSET_S - 30.0, ONSET_S + 180.0),
        alerts=0,
    ),
    PlacesCase(
        name="away.stands_then",
        faults=(replace(_BEHIND, lasts_s=200.0),),
        away=("eu", ONSET_S - 30.0, ONSET_S + 60.0),
        alerts=1,
    ),
    # Nothing wrong.
    PlacesCase(name="calm.late_batches", alerts=0),
    PlacesCase(name="calm.away", away=("eu", ONSET_S, ONSET_S + 120.0), alerts=0),
    PlacesCase(name="calm.gone", away=("us", ONSET_S, 2 * LENGTH_S), alerts=0),
    PlacesCase(name="calm.untold_way", tells_rtt=False, alerts=0),
)


def _outline(case: PlacesCase, place: str) -> Outline:
    natures = tuple(
        Nature(
            name=f"{name}@{place}",
            place=place,
            host=host,
            rtt_s=_RTT_S[place],
            tells_rtt=case.tells_rtt,
            goal_ttft_s=1.5,
            wait_s=0.2 if any(one.scope == "machine" for one in case.faults) else 0.3,
        )
        for name, host in zip(ROUTES, _HOSTS, strict=True)
    )
    troubles = tuple(
        Trouble(
            causes=one.causes,
            routes=tuple(f"{name}@{place}" for name in one.routes),
            onset_s=ONSET_S,
            end_s=ONSET_S + one.lasts_s,
            effect=one.milder.get(place, one.effect),
        )
        for one in case.faults
        if place in one.places
    )
    return Outline(natures=natures, troubles=troubles, length_s=LENGTH_S)


def events_of(case: PlacesCase, seed: int) -> Iterator[Event]:
    """Yield a run's events as whoever reads the streams has them."""
    chance = Random(seed)
    streams = [_arriving(case, place, chance.randrange(1 << 30)) for place in PLACES]
    for _, _, event in merge(*streams, key=itemgetter(0)):
        yield event


def _arriving(case: PlacesCase, place: str, seed: int) -> Iterator[tuple[int, str, Event]]:
    """Yield a place's events, each with when it arrives, on the clock of whoever reads them."""
    chance = Random(seed)
    by_ns = WALL_NS - START_NS
    fast_ns = round(chance.uniform(-_CLOCK_S, _CLOCK_S) * NS_PER_S)
    away_ns = back_ns = 1 << 62
    if case.away is not None and case.away[0] == place:
        away_ns, back_ns = (WALL_NS + round(at_s * NS_PER_S) for at_s in case.away[1:])
    end_ns = WALL_NS + round(LENGTH_S * NS_PER_S)
    slot = arrives_ns = 0
    is_told = is_back = False
    for event in Stream(_outline(case, place), seed).events():
        here_ns = event.at_ns + by_ns
        if here_ns // _BATCH_NS != slot:
            # Another batch: none overtakes the one before it.
            slot = here_ns // _BATCH_NS
            late_ns = round(chance.random() * _LATE_S * NS_PER_S)
            arrives_ns = max(arrives_ns, (slot + 1) * _BATCH_NS + late_ns)
        told_ns = arrives_ns
        silent_ns = away_ns + round(_SILENT_AFTER_S * NS_PER_S)
        if here_ns >= away_ns and not is_told:
            is_told = True
            report = PlaceReport(at_ns=silent_ns, place=place, state="silent", since_ns=away_ns)
            yield silent_ns, place, report
        if is_told and arrives_ns < back_ns:
            told_ns = back_ns
        if told_ns > end_ns + 2 * NS_PER_S:
            return  # it is never heard again
        if is_told and not is_back and told_ns >= back_ns:
            is_back = True
            yield (
                back_ns,
                place,
                PlaceReport(at_ns=back_ns, place=place, state="heard", since_ns=here_ns),
            )
        yield told_ns, place, at_place(event, place, by_ns + fast_ns)


# ---------------------------------------------------------------------- what it was worth


@dataclass(slots=True)
class FaultFinding:
    """How one fault was told."""

    fault: Fault
    named_s: float | None = None
    """From its onset to its right name, of any of its routes; None for never."""
    whole_s: float | None = None
    """The same with all its routes and no other."""
    scope_s: float | None = None
    """The same with the right word of from where it is seen."""
    wrong_scope_s: float = 0.0
    """For how long another word stood."""
    since_off_s: float = 0.0
    ids: set[str] = field(default_factory=set)
    is_cleared: bool = False

    @property
    def faults(self) -> list[str]:
        """What is to be held against it, in words."""
        limit_s = self.fault.limit_s
        if self.named_s is None:
            return ["not named"]
        held = (
            (self.named_s > limit_s, f"named after {self.named_s:.0f} s, not {limit_s:.0f}"),
            (self.whole_s is None, "never of its routes alone"),
            (self.scope_s is None, f"never said to be {self.fault.scope}"),
            (
                (self.scope_s or 0.0) > limit_s + SCOPE_S,
                f"{self.fault.scope} after {self.scope_s or 0.0:.0f} s",
            ),
            (self.wrong_scope_s > 5.0, f"another scope for {self.wrong_scope_s:.0f} s"),
            (len(self.ids) > 1, f"{len(self.ids)} ids"),
            (abs(self.since_off_s) > 15.0, f"since off by {self.since_off_s:+.0f} s"),
            (not self.is_cleared, "not cleared"),
        )
        return [text for is_so, text in held if is_so]


@dataclass(slots=True)
class PlacesFinding:
    """How a whole run was told."""

    case: PlacesCase
    findings: list[FaultFinding]
    false: list[Diagnosis]
    """The first word of each incident that was named and is of no fault."""
    alerts: list[Alert]

    @property
    def faults(self) -> list[str]:
        """What is to be held against it, in words."""
        held = [text for one in self.findings for text in one.faults]
        held += [f"false: {one.text}" for one in self.false]
        fired = sum(one.state == "firing" for one in self.alerts)
        if self.case.alerts is not None and fired != self.case.alerts:
            held.append(f"{fired} alerts, not {self.case.alerts}")
        return held


def judge_places(
    case: PlacesCase,
    seed: int,
    see: Callable[[Event, Sequence[Event]], object] | None = None,
) -> PlacesFinding:
    """Give a run of several places to the shipped fold and return how it did; `see` is shown each
    event with what was said of it."""
    judge = Judge(Diagnostician())
    words: list[Diagnosis] = []
    alerts: list[Alert] = []
    for event in events_of(case, seed):
        said = judge.fold(event)
        if see is not None:
            see(event, said)
        words += [one for one in said if isinstance(one, Diagnosis)]
        alerts += [one for one in said if isinstance(one, Alert)]
    findings = [FaultFinding(fault) for fault in case.faults]
    false: dict[str, Diagnosis] = {}
    for at, word in enumerate(words):
        mine = next((one for one in findings if word.id in one.ids), None)
        if mine is None and word.state == "named":
            mine = next((one for one in findings if _is_of(word, one.fault)), None)
            if mine is None:
                false.setdefault(word.id, word)
        if mine is not None:
            following = next((one for one in words[at + 1 :] if one.id == word.id), None)
            _note(mine, word, following)
    return PlacesFinding(case, findings, list(false.values()), alerts)


def seconds_in(at_ns: int) -> float:
    """Return a stamp as seconds since the run's first."""
    return (at_ns - WALL_NS) / NS_PER_S


def _is_of(word: Diagnosis, fault: Fault) -> bool:
    at_s = seconds_in(word.since_ns)
    is_then = ONSET_S - 20.0 <= at_s <= ONSET_S + fault.lasts_s + 5.0
    return is_then and word.cause in fault.causes and fault.hit.issuperset(word.routes)


def _note(found: FaultFinding, word: Diagnosis, following: Diagnosis | None) -> None:
    fault, at_s = found.fault, max(0.0, seconds_in(word.at_ns) - ONSET_S)
    found.ids.add(word.id)
    if word.state in ("cleared", "settled"):
        found.is_cleared = True
        return
    if word.state != "named":
        return
    found.is_cleared = False
    found.since_off_s = seconds_in(word.since_ns) - ONSET_S
    found.named_s = at_s if found.named_s is None else found.named_s
    if frozenset(word.routes) == fault.hit and found.whole_s is None:
        found.whole_s = at_s
    if word.scope == fault.scope and set(word.places) == set(fault.places):
        found.scope_s = at_s if found.scope_s is None else found.scope_s
    elif word.scope not in ("", fault.scope):
        until_s = LENGTH_S if following is None else seconds_in(following.at_ns)
        found.wrong_scope_s += max(0.0, until_s - ONSET_S - at_s)
