"""Counts and health of several engines as those of one: pure.

Rule 1: an open request is told in ticks, each at a moment of its engine's own: it is kept by when
it started, so that its age is right whenever it is asked for, and only until it is known to have
ended. So a request may be told a second late, and none is told that is over.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from probes.events import (
    AttemptFinished,
    Batch,
    Health,
    OpenPhase,
    RouteCounts,
    SkipReason,
    Tick,
)
from probes.kit.clock import NS_PER_S

_TICKS_NS: Final = 5 * NS_PER_S // 2
"""Two ticks and some: of an engine that has missed them nobody knows what is still open, and an age
that goes on growing while a process stands still would accuse the server."""


class _Report(msgspec.Struct, frozen=True):
    """What one living engine last said of itself."""

    health: Health
    routes: dict[str, RouteCounts]


class _OpenRequest(msgspec.Struct, frozen=True):
    """The oldest of an engine and a route, as its last tick told it."""

    started_ns: int
    phase: OpenPhase | None
    told_ns: int


class HealthRollUp:
    """Each engine's last report, summed up.

    Counters of engines that are gone are kept, so that what only grows does not fall.
    """

    def __init__(self, routes: tuple[str, ...], shares: Callable[[int], Mapping[str, int]]) -> None:
        """`shares` gives the concurrency wanted of each route on an engine."""
        self._shares = shares
        self._reports: dict[int, _Report] = {}
        self._oldest: dict[tuple[int, str], _OpenRequest] = {}
        """By engine and route."""
        self._skipped = dict.fromkeys(routes, 0)
        self._due = dict.fromkeys(routes, 0)
        self._skipped_for: dict[str, Counter[SkipReason]] = {route: Counter() for route in routes}
        self._drops = 0
        self._gone: set[int] = set()

    def hear(self, engine: int, event: Tick | Batch) -> None:
        """Take an engine's report of itself."""
        self._gone.discard(engine)
        self._reports[engine] = _Report(
            event.health, {count.route: count for count in event.routes}
        )
        for count in event.routes if isinstance(event, Tick) else ():
            self._oldest.pop((engine, count.route), None)
            if count.oldest_open_ns is not None:
                started_ns = event.at_ns - count.oldest_open_ns
                request = _OpenRequest(started_ns, count.oldest_phase, event.at_ns)
                self._oldest[engine, count.route] = request

    def ended(self, engine: int, event: AttemptFinished) -> None:
        """Note that a request of an engine is no longer open."""
        key = engine, event.route
        request = self._oldest.get(key)
        if request is not None and request.started_ns == event.stamps_ns.started:
            del self._oldest[key]

    def in_flight(self, engine: int, route: str) -> int:
        """Return how many attempts of a route an engine had open when it last told so."""
        report = self._reports.get(engine)
        count = None if report is None else report.routes.get(route)
        return 0 if count is None else count.in_flight

    def left(self, engine: int) -> None:
        """Note that an engine has ended: it has nothing in flight, but its part is still wanted."""
        self._gone.add(engine)
        self._oldest = {key: one for key, one in self._oldest.items() if key[0] != engine}
        report = self._reports.pop(engine, None)
        if report is None:
            return
        self._drops += report.health.drops
        for route, count in report.routes.items():
            # What an engine had waiting when it ended was due and nobody sends it: it is in no sum.
            self._skipped[route] = self._skipped.get(route, 0) + count.skipped
            self._due[route] = self._due.get(route, 0) + count.due - count.due_waiting
            self._skipped_for.setdefault(route, Counter()).update(count.skipped_for)

    def counts(self) -> tuple[RouteCounts, ...]:
        """Return each route's counts on all engines together."""
        return tuple(self._sum(route) for route in self._skipped)

    def counts_and_oldest(self, now_ns: int) -> tuple[RouteCounts, ...]:
        """Return the same with each route's oldest open request of all engines, for a tick."""
        oldest: dict[str, _OpenRequest] = {}
        for (_, route), request in self._oldest.items():
            known = oldest.get(route, request)
            if now_ns - request.told_ns < _TICKS_NS and request.started_ns <= known.started_ns:
                oldest[route] = request
        return tuple(
            msgspec.structs.replace(
                count,
                oldest_open_ns=now_ns - oldest[count.route].started_ns,
                oldest_phase=oldest[count.route].phase,
            )
            if count.route in oldest
            else count
            for count in self.counts()
        )

    def health(self) -> Health:
        """Return sums where they are meant, the worst engine's figure elsewhere.

        The kernel's clock is told only where every engine has it.
        """
        all_of = [report.health for report in self._reports.values()] or [Health()]
        shares = [health.cpu_share for health in all_of]
        return Health(
            loop_lag_p50_ns=max(health.loop_lag_p50_ns for health in all_of),
            loop_lag_p99_ns=max(health.loop_lag_p99_ns for health in all_of),
            loop_lag_max_ns=max(health.loop_lag_max_ns for health in all_of),
            cpu_share=sum(shares),
            busiest_cpu_share=max(shares),
            open_streams=sum(health.open_streams for health in all_of),
            open_sockets=sum(health.open_sockets for health in all_of),
            drops=self._drops + sum(health.drops for health in all_of),
            waiting=sum(health.waiting for health in all_of),
            clock="kernel" if all(health.clock == "kernel" for health in all_of) else "user",
            reads_per_s=sum(health.reads_per_s for health in all_of),
            inexact_share=max(health.inexact_share for health in all_of),
            short_of=next((health.short_of for health in all_of if health.short_of), ""),
        )

    def _sum(self, route: str) -> RouteCounts:
        counts = [
            report.routes[route] for report in self._reports.values() if route in report.routes
        ]
        skipped_for = self._skipped_for[route]
        if any(count.skipped_for for count in counts):
            skipped_for = skipped_for.copy()
            for count in counts:
                skipped_for.update(count.skipped_for)
        missing = sum(self._shares(engine).get(route, 0) for engine in self._gone)
        return RouteCounts(
            route=route,
            in_flight=sum(count.in_flight for count in counts),
            target=sum(count.target for count in counts) + missing,
            waiting=sum(count.waiting for count in counts),
            skipped=self._skipped[route] + sum(count.skipped for count in counts),
            due=self._due[route] + sum(count.due for count in counts),
            due_waiting=sum(count.due_waiting for count in counts),
            skipped_for=dict(skipped_for),
        )
