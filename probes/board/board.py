"""The fold of the whole stream."""

from collections import deque
from collections.abc import Collection
from typing import Any, Final

from probes.board.header import Header
from probes.board.lanes import Written
from probes.board.renewal import Renewal
from probes.board.route import MARKERS_KEPT, RouteBoard
from probes.board.rows import (
    percentile_table,
    route_detail,
    route_row,
    totals,
)
from probes.board.states import judge, worst_first
from probes.board.summary import route_summary
from probes.board.throttles import ThrottleLog
from probes.clock import NS_PER_S
from probes.events import (
    DURABLE_TYPES,
    Arrivals,
    AttemptFinished,
    AttemptStarted,
    Batch,
    Event,
    Fault,
    FirstToken,
    Gap,
    Held,
    HeldReason,
    Hello,
    Knob,
    LimitReading,
    Mark,
    Notice,
    Preview,
    ProbeFinished,
    Tick,
)
from probes.limits import tightest
from probes.tally import Tally, summed
from probes.views import (
    LimitsView,
    Marker,
    PercentileTable,
    RouteDetail,
    RouteView,
    Snapshot,
    WindowName,
)
from probes.windows import elapsed_s

__all__ = ["Board"]

_GAPS_KEPT: Final = 16
_SEALING_NS: Final = NS_PER_S // 40
"""Time of the stream from one piece of sealing to the next."""
_SEALED_A_ROUTE: Final = 64
"""Centroids of each route in such a piece: five times what ten probes a second come to."""


class Board:
    """Every number on the screen, as a pure fold of the event stream.

    No clock and no I/O: its time is the last event's. Durable figures depend on durable events
    only, so a replay gives what the live run gave. Percentiles, states and the order of the rows
    are renewed at most once a second of that time, counters and lanes at every snapshot.
    """

    def __init__(self) -> None:
        self._version = 0
        self._begun: Hello | None = None
        self._now_ns = 0
        self._durable_ns = 0
        self._forget(0)

    @property
    def version(self) -> int:
        """Grows with every change: two snapshots of one version differ by time only."""
        return self._version

    @property
    def routes(self) -> tuple[str, ...]:
        """Names of all routes, in the order they were announced."""
        return tuple(self._routes)

    def fold(self, event: Event) -> None:
        """Take one event, in the order of the stream.

        Events of a route that no `hello` announced are left out.
        """
        if isinstance(event, Hello):
            self._greeted(event)
        self._now_ns = max(self._now_ns, event.at_ns)
        changed = True
        if isinstance(event, DURABLE_TYPES):
            self._durable_ns = max(self._durable_ns, event.at_ns)
            self._fold_durable(event)
            self._renew()
        else:
            changed = self._fold_transient(event)
        self._version += changed

    def snapshot(self, window: WindowName = "5m", detail_routes: Collection[str] = ()) -> Snapshot:
        """Return one frame: figures over `window`, and details of the routes asked for.

        Names in `detail_routes` that are not known are left out.
        """
        window_s, minute_s = (self._elapsed_s(name) for name in (window, "1m"))
        tallies = {r.info.name: r.tally(window, self._durable_ns) for r in self._order}
        rows = tuple(self._row(r, window, tallies[r.info.name], window_s) for r in self._order)
        minute = summed(route.tally("1m", self._durable_ns) for route in self._order)
        in_flight = sum(len(route.lanes) for route in self._order)
        return Snapshot(
            version=self._version,
            now_ns=self._now_ns,
            wall_anchor_ns=self._wall_anchor_ns,
            window=window,
            header=self._header.view(
                minute, minute_s, len(rows), in_flight, self._origin_ns, self._now_ns
            ),
            routes=rows,
            totals=totals(rows, summed(tallies.values()), window_s),
            throttles=self._throttles.view(),
            limits=self._limits(),
            details=self._details(window, detail_routes),
        )

    def summary(self) -> dict[str, Any]:
        """Return the run so far by route, as JSON-able values; see `route_summary`."""
        everywhere = frozenset(self._held)
        return {
            name: route_summary(
                route, judge(route, self._durable_ns, everywhere).state, self._durable_ns
            )
            for name, route in self._routes.items()
        }

    def _forget(self, origin_ns: int) -> None:
        """Begin a run at `origin_ns`."""
        self._origin_ns = self._now_ns = self._durable_ns = origin_ns
        self._wall_anchor_ns = 0
        self._renewed_s = -1
        self._routes: dict[str, RouteBoard] = {}
        self._order: list[RouteBoard] = []
        self._header = Header()
        self._throttles = ThrottleLog()
        self._marks: deque[Marker] = deque(maxlen=MARKERS_KEPT)
        self._gaps: deque[Gap] = deque(maxlen=_GAPS_KEPT)
        self._held: set[HeldReason] = set()
        self._closing: deque[RouteBoard] = deque()
        self._seal_from_ns = 0
        self._renewal = Renewal()

    def _greeted(self, event: Hello) -> None:
        before = self._begun
        comparable = before is not None and (before.boot_id, before.clock_name) == (
            event.boot_id,
            event.clock_name,
        )
        if not comparable:
            self._forget(event.at_ns)
        self._begun = event
        self._held.clear()
        for route in self._routes.values():
            route.engine_died(event.at_ns)
        for info in event.routes:
            known = self._routes.get(info.name)
            if known is not None:
                known.configure(info)
            else:
                self._routes[info.name] = RouteBoard(info, self._origin_ns)
                self._order.append(self._routes[info.name])
        for place, route in enumerate(self._routes.values()):
            route.moment = place / len(self._routes)
        self._header.clock = event.clock
        self._wall_anchor_ns = event.wall_ns - event.at_ns

    def _fold_durable(self, event: Event) -> None:
        match event:
            case Tick():
                self._ticked(event)
            case Held():
                self._holding(event)
            case Gap():
                self._gaps.append(event)
            case Mark():
                self._marks.append(Marker(event.at_ns, event.text))
            case Notice():
                if event.price is not None and event.route in self._routes:
                    self._routes[event.route].priced(event.price)
                self._header.note(f"{event.route}: {event.text}" if event.route else event.text)
            case Fault():
                again = f"restarts in {event.restart_in_s:g} s"
                self._header.note(f"{event.route}: {event.error}; {again}")
            case _:
                self._fold_route(event)

    def _fold_route(self, event: Event) -> None:
        route = self._routes.get(getattr(event, "route", ""))
        if route is None:
            return
        match event:
            case AttemptStarted():
                route.attempt_started(event)
                self._throttles.resumed(event)
            case FirstToken():
                route.first_token(event, not self._slept(event.at_ns - event.felt_ns, event.at_ns))
            case AttemptFinished():
                if event.outcome == "throttled":
                    self._throttles.finished(event)
                route.attempt_finished(event)
                if event.output_tokens and not event.chunks:  # it came whole
                    whole = Written(event.output_tokens, estimated=False)
                    self._header.arrived(event.at_ns, whole)
            case ProbeFinished():
                route.probe_finished(event, not self._slept(event.started_ns, event.at_ns))
                self._throttles.ended(event)
            case LimitReading():
                route.limit_read(event)
            case Knob():
                route.turned(event)
                self._judge(route)  # a pause is seen at once: the same key ends it
            case _:
                pass

    def _fold_transient(self, event: Event) -> bool:
        """Take a transient event; return whether a frame would differ by more than time."""
        if isinstance(event, Batch):
            return self._header.batched(event)
        route = self._routes.get(getattr(event, "route", ""))
        if route is not None and isinstance(event, Arrivals):
            self._header.arrived(event.at_ns, route.arrivals(event))
        elif route is not None and isinstance(event, Preview):
            route.previewed(event)
        return True

    def _ticked(self, event: Tick) -> None:
        self._wall_anchor_ns = event.wall_ns - event.at_ns
        self._header.ticked(event)
        for counts in event.routes:
            route = self._routes.get(counts.route)
            if route is not None:
                route.counted(counts)

    def _holding(self, event: Held) -> None:
        route = self._routes.get(event.route)
        if route is not None:
            route.holding(event)
        elif not event.route and event.released:
            self._held.discard(event.reason)
        elif not event.route:
            self._held.add(event.reason)

    def _slept(self, started_ns: int, ended_ns: int) -> bool:
        return any(gap.started_ns < ended_ns and started_ns < gap.at_ns for gap in self._gaps)

    def _renew(self) -> None:
        """Once a second of durable time: judge the routes, sort them, and begin to seal slices."""
        self._seal()
        second = self._durable_ns // NS_PER_S
        if second == self._renewed_s:
            return
        self._renewed_s = second
        self._closing = self._closing or deque(self._order)
        for route in self._order:
            self._judge(route)
        self._order = worst_first(self._order)

    def _judge(self, route: RouteBoard) -> None:
        state, route.pain, route.why = judge(route, self._durable_ns, frozenset(self._held))
        if state != route.state or route.since_ns is None:
            route.state, route.since_ns = state, self._durable_ns

    def _seal(self) -> None:
        """Seal some of what has closed: neither an event nor a batch has to pay for all of it."""
        if not self._closing or self._durable_ns < self._seal_from_ns:
            return
        self._seal_from_ns = self._durable_ns + _SEALING_NS
        left = _SEALED_A_ROUTE * len(self._order)
        while self._closing and left > 0:
            size = self._closing[0].seal(self._durable_ns)
            left -= size
            if not size:
                self._closing.popleft()

    def _elapsed_s(self, window: WindowName) -> float:
        return elapsed_s(window, self._durable_ns - self._origin_ns)

    def _row(
        self, route: RouteBoard, window: WindowName, tally: Tally, window_s: float
    ) -> RouteView:
        return route_row(
            route,
            tally,
            self._renewal.row(route, window, self._durable_ns),
            window_s=window_s,
            now_ns=self._now_ns,
            everywhere=self._held,
        )

    def _details(self, window: WindowName, names: Collection[str]) -> dict[str, RouteDetail]:
        asked = {name: self._routes[name] for name in names if name in self._routes}
        return {
            name: route_detail(
                route, window, self._table(route, window), self._durable_ns, self._now_ns
            )
            for name, route in asked.items()
        }

    def _table(self, route: RouteBoard, window: WindowName) -> PercentileTable:
        now_ns = self._durable_ns
        return percentile_table(
            route,
            self._renewal.columns(route, now_ns),
            (
                self._renewal.row(route, window, now_ns).trend,
                self._renewal.e2e_chart(route, now_ns),
            ),
            self._marks,
            self._now_ns,
        )

    def _limits(self) -> tuple[LimitsView, ...]:
        views = (self._limits_of(route) for route in self._routes.values())
        return tuple(view for view in views if view is not None)

    def _limits_of(self, route: RouteBoard) -> LimitsView | None:
        left = route.cool_down_s(self._now_ns)
        parts = route.limits.parts
        if not parts and left is None:
            return None
        return LimitsView(
            route=route.info.name,
            limits=tightest(parts),
            cool_down_s=left,
            cool_down_asked_s=None if route.cool_down is None else route.cool_down.asked_s,
        )
