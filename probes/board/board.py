"""The fold of the whole stream."""

from collections import deque
from collections.abc import Collection
from typing import Any, Final

from probes.answers.limits import tightest
from probes.board.header import Header
from probes.board.lanes import Written
from probes.board.reading import Reading, RouteFigures, route_figures
from probes.board.route import MARKERS_KEPT, RouteBoard
from probes.board.rows import route_detail, route_row, totals
from probes.board.states import judge, worst_first
from probes.board.summary import route_summary
from probes.board.throttles import ThrottleLog
from probes.board.views import LimitsView, Marker, RouteDetail, Snapshot
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
from probes.kit.clock import NS_PER_S
from probes.stats.tally import summed
from probes.stats.windows import WindowName

_GAPS_KEPT: Final = 16
_SEALING_NS: Final = NS_PER_S // 40
"""Time of the stream from one piece of sealing to the next."""
_SEALED_A_ROUTE: Final = 64
"""Centroids of each route in such a piece: five times what ten probes a second come to."""
_LOOKED_AT_NS: Final = NS_PER_S
"""So long after a snapshot its routes are still being looked at; a slower screen pays at its frames
for what a faster one has had read at the routes' moments."""


class Board:
    """Every number on the screen, as a pure fold of the event stream.

    No clock and no I/O: its time is the last event's. Durable figures depend on durable events
    only, so a replay gives what the live run gave.

    A route's figures and its state are read together once a second of that time, at a moment of the
    route's own, so that no event and no frame has to pay for all routes; a knob and a change of the
    cohort are such a moment too. What is open, held and set is that of the snapshot.
    """

    def __init__(self, *, judging: bool = True) -> None:
        """Begin empty. Without `judging` the routes have no moments, which cost more than all else
        of a fold: for who wants the summary alone. It is the same; snapshots tell no states then.
        """
        self._judging = judging
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

    def snapshot(
        self,
        window: WindowName = "5m",
        detail_routes: Collection[str] = (),
        *,
        anew: bool = False,
    ) -> Snapshot:
        """Return one frame: figures over `window`, and details of the routes asked for.

        Names in `detail_routes` that are not known are left out. What is looked at for the first
        time is read now, and at the moments of its routes from then on; `anew` reads all of it now,
        for a last frame.
        """
        self._look_at(window, detail_routes)
        if anew:
            self._figures.clear()
        read = [self._figures_of(route, window) for route in self._order]
        rows = tuple(
            route_row(route, figures, self._now_ns, self._held)
            for route, figures in zip(self._order, read, strict=True)
        )
        whole = totals(rows, summed(figures.tally for figures in read))
        counted = [(figures.tally, figures.window_s) for figures in read]
        return Snapshot(
            version=self._version,
            now_ns=self._now_ns,
            wall_anchor_ns=self._wall_anchor_ns,
            window=window,
            header=self._header.view(rows, whole, counted, self._origin_ns, self._now_ns),
            routes=rows,
            totals=whole,
            throttles=self._throttles.view(),
            limits=self._limits(),
            details=self._details(window),
        )

    def summary(self) -> dict[str, Any]:
        """Return the run so far by route, as JSON-able values; see `route_summary`."""
        everywhere = frozenset(self._held)
        readings = {name: Reading(r, self._durable_ns) for name, r in self._routes.items()}
        return {
            name: route_summary(reading, judge(reading, everywhere).state, everywhere)
            for name, reading in readings.items()
        }

    def _forget(self, origin_ns: int) -> None:
        """Begin a run at `origin_ns`."""
        self._origin_ns = self._now_ns = self._durable_ns = origin_ns
        self._wall_anchor_ns = 0
        self._step = self._sorted_s = -1
        self._due_ns = 0
        """When the next route has its moment."""
        self._routes: dict[str, RouteBoard] = {}
        self._by_moment: tuple[RouteBoard, ...] = ()
        """The second is divided among them in this order."""
        self._order: list[RouteBoard] = []
        self._header = Header()
        self._throttles = ThrottleLog()
        self._marks: deque[Marker] = deque(maxlen=MARKERS_KEPT)
        self._gaps: deque[Gap] = deque(maxlen=_GAPS_KEPT)
        self._held: set[HeldReason] = set()
        self._closing: deque[RouteBoard] = deque()
        self._seal_from_ns = 0
        self._figures: dict[str, RouteFigures] = {}
        self._window: WindowName = "5m"
        self._detailed: frozenset[str] = frozenset()
        self._looked_ns: int | None = None
        """When the last snapshot was taken; None before the first."""

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
        self._by_moment = tuple(self._routes.values())
        self._due_ns, self._step = (
            0,
            -1,
        )  # whatever the new engine was told of goals holds from here on
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
                self._attempt_started(route, event)
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
                self._refresh(route)  # a pause is seen at once: the same key ends it
            case _:
                pass

    def _attempt_started(self, route: RouteBoard, event: AttemptStarted) -> None:
        cohort = route.cohort
        route.attempt_started(event)
        self._throttles.resumed(event)
        if route.cohort != cohort:
            self._refresh(route)  # the percentiles of one cohort never stand under another's name

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
        """Read the routes whose moment has come; once a second begin to seal slices."""
        self._seal()
        if self._durable_ns < self._due_ns or not self._by_moment:
            return
        count = len(self._by_moment)
        step = self._durable_ns * count // NS_PER_S
        self._due_ns = -(-(step + 1) * NS_PER_S // count)
        for due in range(max(self._step, step - count) + 1, step + 1):
            self._refresh(self._by_moment[due % count])
        self._step = step
        second = self._durable_ns // NS_PER_S
        if second != self._sorted_s:
            self._sorted_s = second
            self._closing = self._closing or deque(self._order)
            self._order = worst_first(self._order)

    def _refresh(self, route: RouteBoard) -> None:
        """Judge a route, and read anew what is being looked at of it: its moment is now."""
        if not self._judging:
            return
        reading = Reading(route, self._durable_ns)
        state, route.pain, route.why = judge(reading, frozenset(self._held))
        if state != route.state or route.since_ns is None:
            route.state, route.since_ns = state, self._durable_ns
            self._order = worst_first(self._order)
        name = route.info.name
        if self._looked_ns is not None and self._now_ns - self._looked_ns < _LOOKED_AT_NS:
            whole = name in self._detailed
            self._figures[name] = route_figures(reading, self._window, whole=whole)
        else:
            self._figures.pop(name, None)

    def _look_at(self, window: WindowName, names: Collection[str]) -> None:
        self._looked_ns, self._window = self._now_ns, window
        self._detailed = frozenset(name for name in names if name in self._routes)

    def _figures_of(self, route: RouteBoard, window: WindowName) -> RouteFigures:
        """Return what was read of a route at its moment; now, where it was not looked at then."""
        name = route.info.name
        whole = name in self._detailed
        known = self._figures.get(name)
        if known is None or known.window != window or (whole and known.sides is None):
            reading = Reading(route, self._durable_ns)
            known = self._figures[name] = route_figures(reading, window, whole=whole)
        return known

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

    def _details(self, window: WindowName) -> dict[str, RouteDetail]:
        made = (
            route_detail(route, self._figures_of(route, window), tuple(self._marks), self._now_ns)
            for route in self._order
            if route.info.name in self._detailed
        )
        return {detail.route: detail for detail in made if detail is not None}

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
