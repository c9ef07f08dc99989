"""Counts and health of several engines as those of one: pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from probes.events import Batch, Health, RouteCounts, Tick


@dataclass(frozen=True, slots=True)
class _Report:
    """What one living engine last said of itself."""

    health: Health
    routes: dict[str, RouteCounts]


class HealthRollUp:
    """Each engine's last report, summed up.

    Counters of engines that are gone are kept, so that what only grows does not fall.
    """

    def __init__(self, routes: tuple[str, ...], shares: Callable[[int], Mapping[str, int]]) -> None:
        """`shares` gives the concurrency wanted of each route on an engine."""
        self._shares = shares
        self._reports: dict[int, _Report] = {}
        self._skipped = dict.fromkeys(routes, 0)
        self._drops = 0
        self._gone: set[int] = set()

    def hear(self, engine: int, event: Tick | Batch) -> None:
        """Take an engine's report of itself."""
        self._gone.discard(engine)
        self._reports[engine] = _Report(
            event.health, {count.route: count for count in event.routes}
        )

    def left(self, engine: int) -> None:
        """Note that an engine has ended: it has nothing in flight, but its part is still wanted."""
        self._gone.add(engine)
        report = self._reports.pop(engine, None)
        if report is None:
            return
        self._drops += report.health.drops
        for route, count in report.routes.items():
            self._skipped[route] = self._skipped.get(route, 0) + count.skipped

    def counts(self) -> tuple[RouteCounts, ...]:
        """Return each route's counts on all engines together."""
        return tuple(self._sum(route) for route in self._skipped)

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
        missing = sum(self._shares(engine).get(route, 0) for engine in self._gone)
        return RouteCounts(
            route=route,
            in_flight=sum(count.in_flight for count in counts),
            target=sum(count.target for count in counts) + missing,
            waiting=sum(count.waiting for count in counts),
            skipped=self._skipped[route] + sum(count.skipped for count in counts),
        )
