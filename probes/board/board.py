"""The fold of the whole stream, and the frames that are taken of it.

Rule 1: no clock and no I/O. The board's time is the last event's.
Rule 2: durable figures depend on durable events alone, so a replay gives what the live run gave.
Rule 3: each type of event has one method, which says all that it changes: those of a route in
`route.py`, those of the run here.
Rule 4: a route's state and figures are read together, once a second of that time, when its turn
comes: the second is divided among the routes, so that no event and no frame pays for all of them.
Figures are read only while somebody looks; a knob and a change of the cohort are a turn too.
Rule 5: output of open streams is seen on their lanes and in the header's speed alone: while nobody
looks it is put off, in its order, until somebody does.
Rule 6: of several places each has a time of its own, at which its routes are read: see `place.py`.
The board's is for what stands across them: whose turn it is, the order of the rows, how long ago
something was.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from operator import attrgetter
from typing import Any, Final, TypeAlias
from weakref import ref

from probes.board.figures import RouteAt, RouteFigures, now_hurt_share, route_figures
from probes.board.frame import (
    incident_views,
    limits_view,
    recovery_views,
    route_detail,
    route_row,
    said_of,
    totals,
    usual_view,
)
from probes.board.header import Counted
from probes.board.order import RowOrder
from probes.board.owed_pages import FrameDetails, OwedPage
from probes.board.page import route_page
from probes.board.place import PlaceBoard
from probes.board.probe_log import BYTES_KEPT
from probes.board.route import RouteBoard, RunState
from probes.board.states import judge, note_worst, worst_of
from probes.board.summary import route_summary
from probes.board.views import Happening, LeaderView, RequestView, RouteState, Snapshot
from probes.events import (
    Alert,
    Arrivals,
    AttemptFinished,
    AttemptStarted,
    Batch,
    Diagnosis,
    Event,
    Fault,
    FirstToken,
    Gap,
    Held,
    Hello,
    Knob,
    LimitReading,
    Mark,
    Notice,
    PlaceReport,
    Preview,
    ProbeFinished,
    Reference,
    RouteInfo,
    SeenBefore,
    Tick,
    Usual,
)
from probes.kit.clock import NS_PER_S
from probes.stats.tally import summed
from probes.stats.windows import WindowName

_SEALING_NS: Final = NS_PER_S // 40
"""Time of the stream from one piece of sealing to the next."""
_SEALED_A_ROUTE: Final = 64
"""Centroids of each route in such a piece: five times what ten probes a second come to."""
_LOOKED_AT_NS: Final = NS_PER_S
"""So long after a snapshot its routes are still being looked at; a slower screen pays at its frames
for what a faster one has had read at the routes' turns."""
_UNSEEN_KEPT: Final = 1024
"""Slots of output that are put off at most, of all routes: about 1 MB, and of eight busy routes ten
seconds, by which most streams have ended and their lanes are made of what they say themselves."""

_route_of: Final = attrgetter("route")

OpenAttempt: TypeAlias = tuple[str, str, int]
"""Route, probe, and number of the attempt."""


class Board:
    """Every number on the screen, as a pure fold of the event stream."""

    def __init__(self) -> None:
        self._version = 0
        self._hello: Hello | None = None
        """The newest, of whatever place."""
        self._expected: tuple[RouteInfo, ...] = ()
        """Those of which nobody has to say hello before they are shown."""
        self._begin_run(0)

    def _begin_run(self, origin_ns: int) -> None:
        self._run = RunState(origin_ns)
        self._now_ns = self._durable_ns = origin_ns
        self._wall_anchor_ns = 0
        self._places: dict[str, PlaceBoard] = {}
        self._here = self._place("")
        """What is of no named place: all of a stream of one place."""
        self._routes: dict[str, RouteBoard] = {}
        self._order = RowOrder()
        self._sorted_s = -1
        self._figures: dict[str, RouteFigures] = {}
        """What was read of the routes that are looked at, by route."""
        self._window: WindowName = "5m"
        self._detailed: frozenset[str] = frozenset()
        self._paged: frozenset[str] = frozenset()
        self._owed: dict[str, ref[OwedPage]] = {}
        """Pages that frames have promised, by route."""
        self._unseen: deque[Arrivals] = deque()
        """Output that came since somebody looked."""
        self._looked_ns: int | None = None
        """When the last snapshot was taken; None before the first."""

    def __getstate__(self) -> dict[str, object]:
        """Return what a copy begins with: the same state, and nobody who looks at it."""
        idle: dict[str, object] = {"_figures": {}, "_owed": {}, "_looked_ns": None, "_expected": ()}
        return {**vars(self), "_detailed": frozenset(), "_paged": frozenset(), **idle}

    @property
    def version(self) -> int:
        """Grows with every change: two snapshots of one version differ by time only."""
        return self._version

    @property
    def happenings(self) -> tuple[Happening, ...]:
        """What happened, newest first: the same object until something happens."""
        return self._run.happenings.view()

    @property
    def routes(self) -> tuple[str, ...]:
        """Names of all routes, in the order they were announced."""
        return tuple(self._routes)

    def parts(self) -> tuple[tuple[RouteBoard, ...], tuple[RunState | PlaceBoard, ...]]:
        """Return its routes, and what several of them know in common. What was put off is drawn: no
        frame changes anything from here to the next event."""
        self._catch_up(len(self._unseen))
        return tuple(self._routes.values()), (self._run, *self._places.values())

    def fold(self, event: Event) -> None:  # noqa: C901 - hot: a call for each would cost more
        """Take one event, in the order of the stream.

        Events of a route that no `hello` announced are left out.
        """
        kind, at_ns = type(event), event.at_ns
        of_a_route, route = _OF_A_ROUTE.get(kind), None
        if of_a_route is not None:
            route = self._routes.get(_route_of(event))
            place = self._here if route is None else route.place
        else:
            # Whether a place is heard is told by who listens, and says nothing of its time.
            place = self._place("" if kind is PlaceReport else getattr(event, "place", ""))
        if at_ns > self._now_ns:
            self._now_ns = at_ns
        if at_ns > place.now_ns:
            place.now_ns = at_ns
        if isinstance(event, Batch):
            self._version += place.batched(event)
            return
        self._version += 1
        if isinstance(event, Arrivals) and not self._is_looked_at:
            self._unseen.append(event)
            if len(self._unseen) >= _UNSEEN_KEPT:
                self._catch_up(_UNSEEN_KEPT // 2)
            return
        is_durable = kind is not Arrivals and kind is not Preview
        if is_durable:
            self._durable_ns = max(at_ns, self._durable_ns)
            place.durable_ns = max(at_ns, place.durable_ns)
        if of_a_route is None:
            _OF_THE_RUN[kind](self, event)
        elif route is not None:
            if self._owed and is_durable:
                self._settle(route)
            of_a_route(route, event)
            if route.is_due:
                self._take_turn(route)
        if is_durable:
            if place.closing and place.durable_ns >= place.seal_from_ns:
                _seal(place)
            if place.durable_ns >= place.due_ns:
                self._take_turns(place)

    def snapshot(
        self,
        window: WindowName = "5m",
        detail_routes: Collection[str] = (),
        pages: Collection[str] = (),
        *,
        standings: bool = False,
        anew: bool = False,
    ) -> Snapshot:
        """Return one frame: figures over `window`, details of the routes asked for, of those in
        `pages` all that their page shows, and where they are asked for the `standings`: making
        those of many routes costs as much as all the rest.

        Names that are not known are left out. What is looked at for the first
        time is read now, and at the turns of its routes from then on; `anew` reads all of it now,
        for a last frame.
        """
        now_ns, run = self._now_ns, self._run
        self._catch_up(len(self._unseen))
        self._looked_ns, self._window = now_ns, window
        self._paged = frozenset(name for name in pages if name in self._routes)
        self._detailed = self._paged.union(name for name in detail_routes if name in self._routes)
        if anew:
            self._figures.clear()
        owed: dict[str, OwedPage] = {}
        read = [(route, self._figures_of(route, owed)) for route in self._order.routes]
        rows = tuple([route_row(route, figures, now_ns) for route, figures in read])
        counts = summed(figures.tally for _, figures in read)
        whole = totals(rows, counts)
        counted = [Counted(route.place, figures.tally, figures.window_s) for route, figures in read]
        details = [
            route_detail(route, figures)
            for route, figures in read
            if route.info.name in self._detailed
        ]
        limits = [limits_view(route) for route in self._routes.values()]
        return Snapshot(
            version=self._version,
            now_ns=now_ns,
            wall_anchor_ns=self._wall_anchor_ns,
            window=window,
            header=run.header.view(
                rows, whole, counts, counted, self._places.values(), run.origin_ns, now_ns
            ),
            routes=rows,
            totals=whole,
            throttles=run.throttles.view(),
            limits=tuple(view for view in limits if view is not None),
            details=FrameDetails(
                {detail.route: detail for detail in details if detail is not None}, owed
            ),
            incidents=incident_views(run.incidents, self._routes, self._order.routes),
            recoveries=recovery_views(run.incidents, now_ns),
            alerts=run.alerts.view(),
            happenings=self.happenings,
            standings=self.standings() if standings else (),
        )

    def standings(self) -> tuple[LeaderView, ...]:
        """Return each route by what it was asked, in the figures of public leaderboards."""
        return tuple(
            [view for route in self._routes.values() for view in route.standings.views(route.info)]
        )

    def expect(self, routes: Iterable[RouteInfo]) -> None:
        """Show routes that no engine has introduced yet: with a name, and without any figure.

        The first `hello` begins the run, with the routes that it names, and those that are expected
        of other places.
        """
        self._version += 1
        self._expected = tuple(routes)
        self._expect_but("")

    def open_attempts(self) -> set[OpenAttempt]:
        """Return all attempts that are open."""
        return {
            (name, *attempt)
            for name, route in self._routes.items()
            for attempt in route.lanes.open_attempts()
        }

    def foresee(self, ends: Iterable[AttemptFinished]) -> None:
        """Draw on the lanes of open attempts what of them had come by now, from how they will end:
        a recording has that, and nothing that came before. No figure changes."""
        self._catch_up(len(self._unseen))
        for event in ends:
            route = self._routes.get(event.route)
            if route is not None:
                route.lanes.foresee(event, route.place.now_ns)

    def request(self, route: str, probe: str) -> RequestView | None:
        """Return one probe that ended, whole; None where it is not kept any more."""
        known = self._routes.get(route)
        return None if known is None else known.probe_log.request(route, probe)

    def states_of(self, route: str) -> tuple[tuple[int, RouteState], ...]:
        """Return the states that a route was shown in, each with the stamp from which it was,
        oldest first; of very many the newest."""
        known = self._routes.get(route)
        return () if known is None else known.states

    def summary(self) -> dict[str, Any]:
        """Return the run so far by route, as JSON-able values; see `route_summary`."""
        # A place that never said hello is in no recording either.
        known = [
            one for one in self._routes.items() if one[1].place.engine or not one[1].place.name
        ]
        return {name: route_summary(_read_at(route)) for name, route in known}

    def _place(self, name: str) -> PlaceBoard:
        found = self._places.get(name)
        if found is None:
            found = self._places[name] = PlaceBoard(name, self._run.origin_ns)
        return found

    def _expect_but(self, place: str) -> None:
        """Show the routes that are expected, but those of a place that tells of its own."""
        by_place: dict[str, list[RouteInfo]] = {}
        for info in self._expected:
            if info.place != place or not place:
                by_place.setdefault(info.place, []).append(info)
        for name, infos in by_place.items():
            self._configure(infos, self._place(name))

    def _configure(self, routes: Iterable[RouteInfo], place: PlaceBoard) -> None:
        new = []
        for info in routes:
            known = self._routes.get(info.name)
            if known is not None:
                known.place = place
                known.configure(info)
            else:
                self._routes[info.name] = RouteBoard(info, self._run, place)
                new.append(self._routes[info.name])
        self._order.add(new)
        for one in self._places.values():
            one.turns = tuple([route for route in self._routes.values() if route.place is one])
        self._run.log_bytes_a_route = BYTES_KEPT // max(1, len(self._routes))

    # Events of the run.

    def _greeted(self, event: Hello) -> None:
        """Begin a run, or go on with it: stamps of two engines compare where their clock does. One
        of a place says nothing of the others."""
        clock = (event.boot_id, event.clock_name)
        if self._hello is None or (self._hello.boot_id, self._hello.clock_name) != clock:
            self._begin_run(event.at_ns)
            if event.place:
                self._expect_but(event.place)
        self._hello = event
        place = self._place(event.place)
        if place.engine and place.engine != event.engine:
            self._run.happenings.greeted(event.at_ns, event.engine, event.place)
        place.engine, place.clock = event.engine, event.clock
        place.held.clear()
        self._catch_up(len(self._unseen))  # what is open now is ended below
        for route in self._routes.values():
            if route.place is place:
                self._settle(route)
                route.engine_died(event.at_ns)
        self._configure(event.routes, place)
        place.due_ns, place.step = 0, -1  # the goals that the new engine has hold from here on
        self._wall_anchor_ns = event.wall_ns - event.at_ns

    def _ticked(self, event: Tick) -> None:
        self._wall_anchor_ns = event.wall_ns - event.at_ns
        self._place(event.place).ticked(event)
        for counts in event.routes:
            route = self._routes.get(counts.route)
            if route is not None:
                route.counted(counts, event.at_ns)

    def _holding(self, event: Held) -> None:
        route = self._routes.get(event.route)
        if route is not None or not event.route:
            self._run.happenings.holding(event)
        if route is not None:
            route.holding(event)
        elif not event.route and event.released:
            self._place(event.place).held.discard(event.reason)
        elif not event.route:
            self._place(event.place).held.add(event.reason)

    def _slept(self, event: Gap) -> None:
        self._place(event.place).gaps.append(event)
        self._run.happenings.slept(event)

    def _marked(self, event: Mark) -> None:
        self._run.happenings.marked(event)

    def _seen_before(self, event: SeenBefore) -> None:
        self._run.incidents.seen_before(event)

    def _diagnosed(self, event: Diagnosis) -> None:
        """Take what is known of an incident by now, and judge its routes at once."""
        if self._owed:
            known = [one for one in self._run.incidents if one.event.id == event.id]
            for name in {*event.routes, *(n for one in known for n in one.event.routes)}:
                if name in self._routes:
                    self._settle(self._routes[name])
        incident, names = self._run.incidents.diagnosed(event)
        hit = [self._routes[name] for name in sorted(names & self._routes.keys())]
        for route in hit:
            name = route.info.name
            if name not in incident.lost_before:
                incident.lost_before[name] = route.failures.before(event.since_ns)
            if incident.was_named and (incident.ended_ns or name not in event.routes):
                route.ill_ns.append((incident.since_ns, event.at_ns))
            if event.state == "cleared" and incident.was_named:
                route.recovered(incident, event.at_ns)
            self._take_turn(route)
        incident.lost = sum(
            self._routes[name].failures.n - before for name, before in incident.lost_before.items()
        )
        said, state = said_of(incident, hit), worst_of(incident.worst.values())
        self._run.happenings.diagnosed(event, incident, state, said)

    def _alerted(self, event: Alert) -> None:
        # The onset of an incident, and that it is over, are lines of their own.
        if self._run.alerts.alerted(event) and event.kind == "burn":
            self._run.happenings.burnt(event)

    def _noticed(self, event: Notice) -> None:
        if event.price is not None and event.route in self._routes:
            self._routes[event.route].priced(event.price)
        self._run.happenings.noticed(event)
        about = event.route or event.place
        self._run.header.note(f"{about}: {event.text}" if about else event.text)

    def _heard_of(self, event: PlaceReport) -> None:
        """Note whether a place is heard; its rows are not what they were from now on."""
        place = self._place(event.place)
        place.report = event
        self._run.happenings.heard_of(event)
        for route in self._routes.values():
            if route.place is place:
                self._take_turn(route)

    def _failed(self, event: Fault) -> None:
        self._run.happenings.failed(event)
        again = f"restarts in {event.restart_in_s:g} s"
        self._run.header.note(f"{event.route}: {event.error}; {again}")

    # Turns.

    @property
    def _is_looked_at(self) -> bool:
        return self._looked_ns is not None and self._now_ns - self._looked_ns < _LOOKED_AT_NS

    def _catch_up(self, count: int) -> None:
        """Draw the oldest output that was put off."""
        for _ in range(count):
            event = self._unseen.popleft()
            route = self._routes.get(event.route)
            if route is not None:
                route.arrivals(event)

    def _take_turns(self, place: PlaceBoard) -> None:
        """Read the routes of a place whose turn has come; once a second begin to seal slices."""
        count = len(place.turns)
        if not count:
            return
        step = place.durable_ns * count // NS_PER_S
        place.due_ns = -(-(step + 1) * NS_PER_S // count)
        for due in range(max(place.step, step - count) + 1, step + 1):
            self._take_turn(place.turns[due % count])
        place.step = step
        second = place.durable_ns // NS_PER_S
        if second != place.second:
            place.second = second
            if not place.closing:
                place.closing.extend(one for one in self._order.routes if one.place is place)
        second = self._durable_ns // NS_PER_S
        if second != self._sorted_s:
            self._sorted_s = second
            self._order.update(self._durable_ns)

    def _take_turn(self, route: RouteBoard) -> None:
        """Judge a route, and read anew what is looked at of it."""
        self._settle(route)
        route.is_due = False
        at, name = _read_at(route), route.info.name
        judged, before = judge(at), route.state
        route.shown, route.health, route.graded = judged.shown, judged.health, judged.graded
        route.live, route.goal_ratio, route.why = judged.live, judged.goal_ratio, judged.why
        route.observer_busy = judged.observer_busy
        route.onset_ns, route.is_sure = judged.onset_ns, judged.is_sure
        self._order.note(route, now_hurt_share(at) if route.hurts else None, at.now_ns)
        for incident in self._run.incidents.of(name):
            if note_worst(incident, route):
                worst = worst_of(incident.worst.values())
                self._run.happenings.worsened(incident.event.id, worst)
        if route.knob_effects.is_watching:
            route.look_at_knob(at.now_ns)
        if route.state != before:
            route.note_state(at.now_ns)
            self._order.update(self._durable_ns)
        if self._is_looked_at:
            self._figures[name] = self._read(at)
        else:
            self._figures.pop(name, None)
            route.probe_log.forget_views()

    def _figures_of(self, route: RouteBoard, owed: dict[str, OwedPage]) -> RouteFigures:
        """Return what was read of a route at its turn; now, where it was not looked at then. Where
        several pages are looked at for the first time, they are owed."""
        name = route.info.name
        known, lacks_page = self._figures.get(name), False
        if known is not None and name in self._paged:
            lacks_page = known.page is None
        if (
            known is None
            or known.window != self._window
            or (known.detail is None and name in self._detailed)
            or lacks_page
        ):
            at = _read_at(route)
            is_owed = name in self._paged and len(self._paged) > 1
            if is_owed:
                self._settle(route)
                owed[name] = OwedPage(partial(route_page, at, usual_view(route)))
                self._owed[name] = ref(owed[name])
            known = self._figures[name] = self._read(at, with_page=not is_owed)
        return known

    def _read(self, at: RouteAt, *, with_page: bool = True) -> RouteFigures:
        """Read all that is looked at of a route at one stamp."""
        name, page = at.route.info.name, None
        if name not in self._paged:
            at.route.probe_log.forget_views()
        elif with_page:
            page = route_page(at, usual_view(at.route))
        with_detail = name in self._detailed
        return route_figures(at, self._window, with_detail=with_detail, page=page)

    def _settle(self, route: RouteBoard) -> None:
        """Read what is owed of a route, as it is about to change."""
        promised = self._owed.pop(route.info.name, None)
        owed = None if promised is None else promised()
        if owed is not None:
            owed.page()


def _seal(place: PlaceBoard) -> None:
    """Seal some of what has closed: neither an event nor a batch has to pay for all of it."""
    place.seal_from_ns = place.durable_ns + _SEALING_NS
    left = _SEALED_A_ROUTE * len(place.turns)
    while place.closing and left > 0:
        size = place.closing[0].seal(place.durable_ns)
        left -= size
        if not size:
            place.closing.popleft()


def _read_at(route: RouteBoard) -> RouteAt:
    """Return a route as it is at its place's time."""
    return RouteAt(route, route.place.durable_ns)


_OF_A_ROUTE: Final[Mapping[type[Event], Callable[[RouteBoard, Any], None]]] = {
    AttemptStarted: RouteBoard.attempt_started,
    FirstToken: RouteBoard.first_token,
    Arrivals: RouteBoard.arrivals,
    Preview: RouteBoard.previewed,
    AttemptFinished: RouteBoard.attempt_finished,
    ProbeFinished: RouteBoard.probe_finished,
    LimitReading: RouteBoard.limit_read,
    Knob: RouteBoard.turned,
    Usual: RouteBoard.known_usual,
}
"""What an event of one route changes."""

_OF_THE_RUN: Final[Mapping[type[Event], Callable[[Board, Any], None]]] = {
    Hello: Board._greeted,
    Tick: Board._ticked,
    Held: Board._holding,
    Gap: Board._slept,
    Mark: Board._marked,
    Diagnosis: Board._diagnosed,
    Alert: Board._alerted,
    Notice: Board._noticed,
    Fault: Board._failed,
    PlaceReport: Board._heard_of,
    SeenBefore: Board._seen_before,
    Reference: lambda _board, _event: None,  # what the detector starts from; no figure of this run
}
"""What an event of the whole run changes. `Batch` is neither: it is all about the observer."""
