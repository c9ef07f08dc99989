"""The fold of the stream into verdicts, and into what is usual beside them.

Rule 1: no clock, no I/O, no randomness: the same durable events give the same verdicts, live and
replayed. `diagnosis` and `usual` events among them are passed over, transient ones too.
Rule 2: memory is bounded, whatever comes.
Rule 3: all routes are judged together once a second of the stream's time, when the first event of
the next second comes; a route by itself at once where an answer speaks for itself.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

from probes.diagnosis.causes import RouteCauses, Surroundings
from probes.diagnosis.incidents import Incidents
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
    Health,
    Held,
    Hello,
    Knob,
    ProbeFinished,
    Reference,
    Tick,
)
from probes.kit.clock import NS_PER_S

_LATE_NS: Final = 20_000_000
"""Lag of our own loop from which on we are late ourselves: a wait of half a second is not misread
by less."""
_LAGS: Final = 10.0
"""How many times its lag a busy machine adds to a wait at most: it sends late, it is told late, and
what answers may stand on it, too."""
_SLOW_BEFORE_NS: Final = 15 * NS_PER_S
"""So long before we were known to be late what slows may have been of it."""
_BUSY: Final = 0.95
"""Share of a core at which an engine has no time left."""
_LATE_OF_NS: Final = 12 * NS_PER_S
_LATE_IN_IT_NS: Final = 6 * NS_PER_S
"""So much of the last `_LATE_OF_NS` late, and our machine is busy: a single pause is not."""
_DOUBT_OF_NS: Final = 5 * NS_PER_S
_DOUBT_IN_IT_NS: Final = 2 * NS_PER_S
"""So much late of the last `_DOUBT_OF_NS`, and latencies are named with care."""
_SPANS_KEPT: Final = 16
"""Spans between ticks; an engine that is held up ticks seldom."""
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


class _Late(NamedTuple):
    """A time between two ticks in which our loop was late."""

    begin_ns: int
    end_ns: int
    lag_ns: int
    """How late."""


class Diagnostician:
    """Says of a run what is wrong with its routes, since when, and why."""

    def __init__(self) -> None:
        self._clock: tuple[str, str] | None = None
        self._now_ns = 0
        self._wall_anchor_ns = 0
        self._due_ns = 0
        self._routes: dict[str, RouteCauses] = {}
        self._watches: dict[str, RouteWatch] = {}
        self._usual: dict[str, UsualTold] = {}
        self._around = Surroundings(now_ns=0)
        """As it was when all were judged last."""
        self._incidents = Incidents("")
        self._late: deque[_Late] = deque(maxlen=_SPANS_KEPT)
        self._ticked_ns = 0
        self._late_since_ns: int | None = None
        """Since when it is late all the time; None where it is not."""

    def fold(self, event: Event) -> tuple[Derived, ...]:
        """Take one event, in the order of the stream; return what it decided, mostly nothing.

        What is returned belongs in the stream right after `event`.
        """
        handle = _HANDLERS.get(type(event))
        if handle is None:
            return ()
        if event.at_ns > self._now_ns:
            self._now_ns = event.at_ns
        telling = handle(self, event)
        if self._now_ns >= self._due_ns:
            self._due_ns = (self._now_ns // NS_PER_S + 1) * NS_PER_S
            return tuple(self._judge_all())
        if telling is None:
            return ()
        return tuple(self._judge_one(telling))

    @property
    def suspects(self) -> frozenset[str]:
        """Routes of which more probes would tell more, now."""
        return frozenset(name for name, route in self._routes.items() if _is_suspect(route))

    def references(self) -> tuple[Reference, ...]:
        """Return what is usual of each route and cohort by now, for a later run to start from."""
        wall_ns = self._now_ns + self._wall_anchor_ns
        return tuple(
            one
            for watch in self._watches.values()
            for one in watch.references(self._now_ns, wall_ns)
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
            for name, route in self._routes.items()
            if _is_suspect(route)
            and route.watch.open_requests >= route.watch.concurrency
            and route.watch.hanging(self._now_ns, _SOONER) is not None
        )

    def _judge_all(self) -> list[Derived]:
        for watch in self._watches.values():
            watch.close(self._now_ns)
        routes = tuple(self._routes.values())
        self._around = self._surroundings(routes)
        for route in routes:
            route.judge(self._around)
        told = self._with_usual(self._incidents.update(self._now_ns, routes))
        for usual in self._usual.values():
            if (moved := usual.after_second(self._now_ns)) is not None:
                told.append(moved)
        return told

    def _judge_one(self, route: RouteCauses) -> list[Derived]:
        """Judge the route of an attempt that ended, between two seconds: what it costs must not
        grow with the number of routes, of which each may fail several times a second."""
        if not route.judge(self._around._replace(now_ns=self._now_ns)):
            return []
        return self._with_usual(self._incidents.update(self._now_ns, tuple(self._routes.values())))

    def _with_usual(self, verdicts: list[Diagnosis]) -> list[Derived]:
        """Return verdicts, and before them what is usual of their routes where that has moved: who
        shows both shows one usual."""
        told: list[Derived] = []
        for name in sorted({name for verdict in verdicts for name in verdict.routes}):
            usual = self._usual.get(name)
            if usual is not None and (moved := usual.before_verdict(self._now_ns)) is not None:
                told.append(moved)
        return [*told, *verdicts]

    # What lies beyond one route.

    def _surroundings(self, routes: tuple[RouteCauses, ...]) -> Surroundings:
        return Surroundings(
            now_ns=self._now_ns,
            is_observer_late=self._late_in_last(_DOUBT_OF_NS) >= _DOUBT_IN_IT_NS,
            observer_since_ns=self._observer_since(routes),
            silent_hosts=frozenset(route.watch.host for route in routes if route.is_silent),
            hosts_way=_hosts_way(routes),
        )

    def _late_in_last(self, span_ns: int) -> int:
        """Return for how long our loop was late in the last `span_ns`, in ns."""
        from_ns = self._now_ns - span_ns
        return sum(
            late.end_ns - max(late.begin_ns, from_ns)
            for late in self._late
            if late.end_ns > from_ns
        )

    def _observer_since(self, routes: tuple[RouteCauses, ...]) -> int | None:
        """Return since when our own machine slows what we see; None where it does not.

        Lateness alone is none, for arrivals are dated by the kernel: routes must slow together.
        """
        since_ns = self._late_since_ns
        if since_ns is None:
            return None
        if any("observer" in route.alarms for route in routes):
            return since_ns
        known = [route for route in routes if route.watch.learned and route.watch.is_probed]
        lag_s = max((late.lag_ns for late in self._late), default=0) / NS_PER_S
        if len({route.watch.host for route in known}) > 1:
            lag_s = math.inf  # hosts do not slow together by chance
        from_ns = since_ns - _SLOW_BEFORE_NS
        slow = sum(_may_be_ours(route.watch, from_ns, lag_s) for route in known)
        return since_ns if known and 2 * slow > len(known) else None

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
            self._now_ns = event.at_ns
            self._due_ns = 0
            self._routes, self._watches, self._usual = {}, {}, {}
            self._around = Surroundings(now_ns=event.at_ns)
            self._incidents = Incidents(event.engine)
            self._late.clear()
            self._ticked_ns = event.at_ns
            self._late_since_ns = None
        probed = {info.name for info in event.routes}
        for name in [name for name in self._routes if name not in probed]:
            self._routes.pop(name).gone()
            del self._watches[name], self._usual[name]
        for watch in self._watches.values():
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
        return None

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
            if event.route in ("", name):
                watch.holding(event)
        return None

    def _slept(self, event: Gap) -> RouteCauses | None:
        if event.at_ns > event.started_ns:
            lag_ns = event.at_ns - event.started_ns
            self._late.append(_Late(event.started_ns, event.at_ns, lag_ns))
        for watch in self._watches.values():
            watch.slept(event)
        return None

    def _ticked(self, event: Tick) -> RouteCauses | None:
        self._wall_anchor_ns = event.wall_ns - event.at_ns
        if _is_late(event.health) and event.at_ns > self._ticked_ns:
            lag_ns = event.health.loop_lag_p99_ns
            self._late.append(_Late(self._ticked_ns, event.at_ns, lag_ns))
        lag_s = event.health.loop_lag_p99_ns / NS_PER_S
        for route in self._routes.values():
            route.watch.lag_s = lag_s
        self._ticked_ns = event.at_ns
        late_ns = self._late_in_last(_LATE_OF_NS)
        if late_ns >= _LATE_IN_IT_NS:
            from_ns = self._now_ns - _LATE_OF_NS
            first_ns = min(late.begin_ns for late in self._late if late.end_ns > from_ns)
            self._late_since_ns = self._late_since_ns or first_ns
        elif late_ns <= _LATE_IN_IT_NS // 2:
            self._late_since_ns = None
        for counts in event.routes:
            watch = self._watches.get(counts.route)
            if watch is not None:
                watch.counted(counts)
        return None


def _may_be_ours(watch: RouteWatch, from_ns: int, lag_s: float) -> bool:
    """Return whether a route got slower since, and by no more than our own lateness can do.

    A loop that is 30 ms late makes no first token late by two seconds, however busy the machine.
    """
    for test in (watch.wait_series, watch.band.per_token):
        shift = test.shift() if test.rank >= 2 and (test.since_ns or 0) >= from_ns else None
        if shift is not None and shift.now - shift.usual <= _LAGS * lag_s:
            return True
    return False


def _is_late(health: Health) -> bool:
    """Return whether our own loop is late, or has no time left to be in time."""
    busy = max(health.busiest_cpu_share, health.cpu_share if not health.busiest_cpu_share else 0.0)
    lag_ns = health.loop_lag_p99_ns
    return lag_ns >= _LATE_NS or (busy >= _BUSY and lag_ns >= _LATE_NS // 4)


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
}
"""What an event changes; those of other types change nothing."""
