"""The fold of the stream into verdicts, and into what is usual beside them.

Rule 1: no clock, no I/O, no randomness: the same durable events give the same verdicts, live and
replayed. `diagnosis` and `usual` events among them are passed over, transient ones too.
Rule 2: memory is bounded, whatever comes.
Rule 3: all routes of a place are judged together once a second of its time (`places.py`), when the
first event of the next second comes; a route by itself at once where an answer speaks for itself.
Rule 4: what an event says of a whole engine it says of the routes of its place alone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from probes.diagnosis.causes import RouteCauses, Surroundings
from probes.diagnosis.incidents import Incidents
from probes.diagnosis.observer import Observer
from probes.diagnosis.places import PlaceTime, PlaceTimes
from probes.diagnosis.route_watch import RouteWatch
from probes.diagnosis.usual import UsualTold
from probes.events import (
    AttemptFinished,
    AttemptStarted,
    Cause,
    Derived,
    Diagnosis,
    Event,
    FirstToken,
    Gap,
    Held,
    Hello,
    Knob,
    PlaceReport,
    ProbeFinished,
    Reference,
    Tick,
)
from probes.events.spoken_of import speaks_of
from probes.kit.clock import NS_PER_S

_NEVER_THICKENED: Final[frozenset[Cause]] = frozenset(
    (
        *("rate_limited_requests", "rate_limited_tokens", "rate_limited_concurrency"),
        *("quota_exhausted", "provider_overloaded", "auth_failure", "bad_request"),
        "model_missing",
    )
)
"""More probes would feed the limit that is reported, or tell nothing new."""
_ENDS_HEEDED: Final = 8
"""Ends of attempts of which none may have said so."""
_UNEVEN: Final = 1.5
_RESTLESS: Final = 2.0
"""Smallest ratio that is told, from which on that is worth saying: users feel a doubled wait."""
_SOONER: Final = 0.5
"""Part of the patience after which one more probe is to say whether all of it hangs."""
_ONE_FAILURE: Final = 2.0
"""Score of a share after a single failure."""
_THICK_S: Final = 1.0
"""Seconds between probes of a route above which more of them tell more."""


@dataclass(slots=True)
class _JudgedPlace:
    """What is judged together: the routes of one place, by its time."""

    place: PlaceTime
    observer: Observer
    around: Surroundings
    """As it was when all were judged last."""
    due_ns: int = 0
    routes: dict[str, RouteCauses] = field(default_factory=dict)


class Diagnostician:
    """Says of a run what is wrong with its routes, since when, and why."""

    def __init__(self) -> None:
        self._clock: tuple[str, str] | None = None
        self._places = PlaceTimes()
        self._judged: dict[str, _JudgedPlace] = {}
        """By the name of the place."""
        self._wall_anchor_ns = 0
        self._routes: dict[str, RouteCauses] = {}
        self._watches: dict[str, RouteWatch] = {}
        self._usual: dict[str, UsualTold] = {}
        self._incidents = Incidents("")

    def fold(self, event: Event) -> tuple[Derived, ...]:
        """Take one event, in the order of the stream; return what it decided, mostly nothing.

        What is returned belongs in the stream right after `event`.
        """
        handle = _HANDLERS.get(type(event))
        if handle is None:
            return ()
        place = self._places.fold(event)
        if place is not None and (hole := self._places.hole) is not None:
            for route in self._judged[place.name].routes.values():
                route.watch.slept(hole)
        telling = handle(self, event)
        here = None if place is None else self._judged.get(place.name)
        if here is None:
            return ()
        if isinstance(event, PlaceReport):
            return tuple(self._incidents.look_again(event.at_ns, here.routes, self._routes))
        now_ns = here.place.now_ns
        if now_ns >= here.due_ns:
            here.due_ns = (now_ns // NS_PER_S + 1) * NS_PER_S
            return tuple(self._judge_all(here))
        if telling is None:
            return ()
        return tuple(self._judge_one(telling, here))

    @property
    def suspects(self) -> frozenset[str]:
        """Routes of which more probes would tell more, now."""
        return frozenset(
            name
            for here in self._judged.values()
            if here.place.is_heard
            for name, route in here.routes.items()
            if _is_suspect(route)
        )

    def references(self) -> tuple[Reference, ...]:
        """Return what is usual of each route and cohort by now, for a later run to start from."""
        return tuple(
            one
            for here in self._judged.values()
            for route in here.routes.values()
            for one in route.watch.references(
                here.place.now_ns, here.place.now_ns + self._wall_anchor_ns
            )
        )

    @property
    def restless(self) -> dict[str, float]:
        """Routes whose first token scatters so much that a shift of less is not told from it."""
        ratios = {name: watch.wait_series.level.restless for name, watch in self._watches.items()}
        return {name: ratio for name, ratio in ratios.items() if ratio and ratio >= _RESTLESS}

    @property
    def hanging(self) -> frozenset[str]:
        """Those of the suspects that have nothing but requests which hang."""
        return frozenset(
            name
            for here in self._judged.values()
            for name, route in here.routes.items()
            if here.place.is_heard
            and _is_suspect(route)
            and route.watch.open_requests >= route.watch.concurrency
            and route.watch.hanging(here.place.now_ns, _SOONER) is not None
        )

    def _judge_all(self, here: _JudgedPlace) -> list[Derived]:
        now_ns, routes = here.place.now_ns, tuple(here.routes.values())
        for route in routes:
            route.watch.close(now_ns)
        here.around = Surroundings(
            now_ns=now_ns,
            is_observer_late=here.observer.is_late(now_ns),
            observer_since_ns=here.observer.since(routes),
            silent_hosts=frozenset(route.watch.host for route in routes if route.is_silent),
            hosts_way=_hosts_way(routes),
        )
        for route in routes:
            route.judge(here.around)
        told = self._with_usual(self._incidents.update(now_ns, here.routes, self._routes), now_ns)
        for name in here.routes:
            if (moved := self._usual[name].after_second(now_ns)) is not None:
                told.append(moved)
        return told

    def _judge_one(self, route: RouteCauses, here: _JudgedPlace) -> list[Derived]:
        """Judge the route of an attempt that ended, between two seconds: what it costs must not
        grow with the number of routes, of which each may fail several times a second."""
        now_ns = here.place.now_ns
        if not route.judge(here.around._replace(now_ns=now_ns)):
            return []
        return self._with_usual(self._incidents.update(now_ns, here.routes, self._routes), now_ns)

    def _with_usual(self, verdicts: list[Diagnosis], now_ns: int) -> list[Derived]:
        """Return verdicts, and before them what is usual of their routes where that has moved: who
        shows both shows one usual."""
        told: list[Derived] = []
        for name in sorted({name for verdict in verdicts for name in verdict.routes}):
            usual = self._usual.get(name)
            if usual is not None and (moved := usual.before_verdict(now_ns)) is not None:
                told.append(moved)
        return [*told, *verdicts]

    # Events. Each returns the route that may be judged at once, before the second is over.

    def _remembered(self, event: Reference) -> RouteCauses | None:
        watch = self._watches.get(event.route)
        if watch is not None:
            watch.remember(event)
        return None

    def _greeted(self, event: Hello) -> RouteCauses | None:
        self._wall_anchor_ns = event.wall_ns - event.at_ns
        clock = (event.boot_id, event.clock_name)
        if self._clock != clock:
            self._clock = clock
            self._routes, self._watches, self._usual = {}, {}, {}
            self._judged = {}
            self._incidents = Incidents(event.engine)
        infos = self._places.infos
        for name in [name for name in self._routes if name not in infos]:
            self._routes.pop(name).gone()
            del self._watches[name], self._usual[name]
        for watch in self._watches.values():
            if speaks_of(event, watch.info):
                watch.engine_died()
        for info in event.routes:
            known = self._watches.get(info.name)
            if known is not None:
                known.configure(info)
            else:
                watch = RouteWatch(info)
                self._watches[info.name] = watch
                self._routes[info.name] = RouteCauses(watch)
                self._usual[info.name] = UsualTold(watch)
        self._arrange(event.at_ns)
        return None

    def _arrange(self, at_ns: int) -> None:
        """Put each route with those of its place."""
        self._incidents.probe(self._routes.values())
        places, judged = self._places, self._judged
        self._judged = {
            name: judged[name]
            if name in judged and judged[name].place is place
            else _JudgedPlace(place, Observer(at_ns), Surroundings(now_ns=at_ns))
            for name, place in places.by_name.items()
        }
        for here in self._judged.values():
            here.routes = {
                name: route for name, route in self._routes.items() if places.of(name) is here.place
            }

    def _attempt_started(self, event: AttemptStarted) -> RouteCauses | None:
        watch = self._watches.get(event.route)
        if watch is not None:
            watch.attempt_started(event)
        return None

    def _first_token(self, event: FirstToken) -> RouteCauses | None:
        watch = self._watches.get(event.route)
        if watch is not None:
            watch.first_token(event)
        return None

    def _attempt_finished(self, event: AttemptFinished) -> RouteCauses | None:
        watch = self._watches.get(event.route)
        if watch is None:
            return None
        watch.attempt_finished(event)
        route = self._routes[event.route]
        return route if event.outcome not in ("ok", "cancelled") or route.alarms else None

    def _probe_finished(self, event: ProbeFinished) -> RouteCauses | None:
        watch = self._watches.get(event.route)
        if watch is not None:
            watch.probe_finished(event)
        return None

    def _turned(self, event: Knob) -> RouteCauses | None:
        watch = self._watches.get(event.route)
        if watch is not None:
            watch.turned(event)
        return None

    def _holding(self, event: Held) -> RouteCauses | None:
        for name, watch in self._watches.items():
            if event.route in ("", name) and speaks_of(event, watch.info):
                watch.holding(event)
        return None

    def _slept(self, event: Gap) -> RouteCauses | None:
        here = self._judged.get(event.place)
        if here is not None:
            here.observer.slept(event)
            for route in here.routes.values():
                route.watch.slept(event)
        return None

    def _ticked(self, event: Tick) -> RouteCauses | None:
        self._wall_anchor_ns = event.wall_ns - event.at_ns
        here = self._judged.get(event.place)
        if here is not None:
            lag_s = event.health.loop_lag_p99_ns / NS_PER_S
            for route in here.routes.values():
                route.watch.lag_s = lag_s
            here.observer.ticked(event, here.place.now_ns)
        for counts in event.routes:
            watch = self._watches.get(counts.route)
            if watch is not None:
                watch.counted(counts)
        return None

    def _reported(self, event: PlaceReport) -> RouteCauses | None:
        here = self._judged.get(event.place)
        if here is not None:
            for route in here.routes.values():
                route.watch.is_heard = here.place.is_heard
        return None


def _is_suspect(route: RouteCauses) -> bool:
    watch = route.watch
    if not watch.info.evidence or not watch.is_probed:
        return False
    hangs = watch.hanging(watch.now_ns, _SOONER) is not None
    if watch.pace_s <= _THICK_S and not hangs:
        return False
    if any(alarm.cause in _NEVER_THICKENED for alarm in route.alarms.values()):
        return False
    # Before there is an alarm, and of an outage that is one of overload: what the last ones said.
    for end in islice(reversed(watch.ends), _ENDS_HEEDED):
        if (end.rate or end.failure) in _NEVER_THICKENED:
            return False
    if hangs or any(test.rank in (1, 2) for test in watch.tests):
        return True
    # At a slow pace the end of an alarm is as long in coming as its beginning.
    if any(series.level.clearing for series in watch.band):
        return True
    # At a slow pace a second failure is long in coming; and a recovery takes as many probes.
    return watch.failed.test.score >= _ONE_FAILURE or bool(watch.failed.rank and watch.ok_in_a_row)


def _hosts_way(routes: tuple[RouteCauses, ...]) -> frozenset[str]:
    """Return the hosts of which all routes got slower together in the way a bad path makes them.

    For routes of which the kernel tells nothing. Where connections are made anew, all of them wait
    and connect for longer. On kept ones, lost segments make some of them wait and others write more
    slowly, with gaps that grow by more than that.
    """
    by_host: dict[str, list[RouteWatch]] = {}
    for route in routes:
        if not route.watch.has_path and route.watch.is_probed:
            by_host.setdefault(route.watch.host, []).append(route.watch)
    return frozenset(host for host, watches in by_host.items() if _is_way(watches))


def _is_way(watches: list[RouteWatch]) -> bool:
    onsets = [_onset(watch) for watch in watches]
    known = [onset for onset in onsets if onset is not None]
    if len(known) < len(onsets) or max(known) - min(known) > 30 * NS_PER_S:
        return False
    waits = any(watch.wait_series.rank for watch in watches)
    connects = all(watch.tcp.rank and watch.wait_series.rank for watch in watches)
    return connects or (waits and len(watches) > 1 and any(map(_is_uneven, watches)))


def _onset(watch: RouteWatch) -> int | None:
    """Return since when anything of a route's latency is suspected; None where nothing is."""
    tests = (watch.wait_series, watch.band.per_token, watch.band.gap, watch.tcp)
    return min((test.since_ns for test in tests if test.rank and test.since_ns), default=None)


def _is_uneven(watch: RouteWatch) -> bool:
    """Return whether gaps grew by far more than the time per token: segments were lost, while a
    server that writes slowly does so all the time."""
    gap, per_token = watch.band.gap.shift(), watch.band.per_token.shift()
    if gap is None:
        return False
    return per_token is None or gap.ratio >= _UNEVEN * per_token.ratio


_HANDLERS: Final[Mapping[type[Event], Callable[[Diagnostician, Any], RouteCauses | None]]] = {
    Hello: Diagnostician._greeted,
    Reference: Diagnostician._remembered,
    AttemptStarted: Diagnostician._attempt_started,
    FirstToken: Diagnostician._first_token,
    AttemptFinished: Diagnostician._attempt_finished,
    ProbeFinished: Diagnostician._probe_finished,
    Knob: Diagnostician._turned,
    Held: Diagnostician._holding,
    Gap: Diagnostician._slept,
    Tick: Diagnostician._ticked,
    PlaceReport: Diagnostician._reported,
}
"""What an event changes; those of other types change nothing."""
