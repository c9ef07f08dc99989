"""Snapshots for the screen, live or held still."""

import time
from collections.abc import Collection
from operator import attrgetter
from typing import Final, TypeAlias

from msgspec.structs import replace

from probes.board.views import (
    EMPTY_SNAPSHOT,
    Happening,
    Marker,
    PercentileTable,
    RequestView,
    Snapshot,
)
from probes.kit.clock import NS_PER_S, Clock, seconds
from tui.panes.header import worst_state
from tui.panes.routes import selected_route
from tui.panes.view import Freeze, PastView, ViewState
from tui.screens.travel import Travel
from tui.session import BoardSource

_SECONDS_TOLD: Final = 10
"""So long each second is told that a frozen screen has stood."""
_THEN_EVERY_S: Final = 5
"""From then on it is told in steps: nobody times it, and each step draws a frame."""

_AT_NS: Final = attrgetter("at_ns")
_Markers: TypeAlias = tuple[Marker, ...]


class Frames:
    """The board's snapshots as the view wants them; it holds the one that is frozen."""

    def __init__(self, board: BoardSource, clock: Clock, travel: Travel | None = None) -> None:
        """Take them of the live board, or of the one that `travel` has arrived with."""
        self._live_board = board
        self._travel = travel or Travel(None, clock)
        self._clock = clock
        self._latest: Snapshot = EMPTY_SNAPSHOT
        self.taken_s = 0.0
        """CPU time that the last one took."""
        self._held: Snapshot | None = None
        self._held_ns = 0
        self._freeze: Freeze | None = None
        self._present: Snapshot = EMPTY_SNAPSHOT
        self._present_ns: int | None = None
        """When that was taken, by our clock."""
        self._past: PastView | None = None
        self._told_version = -1
        self._told_ns = 0
        """When the live board was first seen as it is, by our clock."""
        self._more_markers: dict[str, tuple[_Markers, tuple[Happening, ...], _Markers]] = {}
        """Route → the marks of its charts, what was put later, and both."""

    @property
    def latest(self) -> Snapshot:
        """What the screen shows: the frozen snapshot, or the last one taken."""
        return self._held or self._latest

    def take(
        self, view: ViewState, pages: Collection[str] = (), *, standings: bool = False
    ) -> Snapshot:
        """Return what to show now, with the details of the selected route, of those in `pages` all
        that their page shows, and the `standings` where they are shown."""
        if self._held is not None:
            return self._held
        board = self._board
        if board is not None:
            began_s = time.thread_time()
            taken = _taken(board, self._latest, view, pages, standings=standings)
            self.taken_s = time.thread_time() - began_s
            is_live = self._travel.is_live
            self._latest = self._aged(taken) if is_live else self._noted(_read(taken, pages))
        return self._latest

    def _aged(self, snapshot: Snapshot) -> Snapshot:
        """Return a live frame in which the silence of places goes on. While nothing at all is heard
        the stream's time stands still: its ages would be those of when the last place fell silent.
        """
        places, stood_s = snapshot.header.places, self._stood_s()
        if not stood_s or all(place.state == "heard" for place in places):
            return snapshot
        places = tuple(
            place if place.state == "heard" else replace(place, since_s=place.since_s + stood_s)
            for place in places
        )
        routes = tuple(
            replace(row, since_s=row.since_s + stood_s)
            if row.state == "silent" and row.since_s is not None
            else row
            for row in snapshot.routes
        )
        return replace(snapshot, header=replace(snapshot.header, places=places), routes=routes)

    def _stood_s(self) -> int:
        """Return for how many whole seconds the live board has been as it is."""
        version, now_ns = self._live_board.version, self._clock.monotonic_ns()
        if version != self._told_version:
            self._told_version, self._told_ns = version, now_ns
        return int(seconds(now_ns - self._told_ns))

    def _noted(self, snapshot: Snapshot) -> Snapshot:
        """Return a frame of the past with the marks that were put later about a moment up to it:
        what somebody noted is where he noted it, also for whoever looks at that moment again."""
        place = self._travel.place()
        at_ns = snapshot.now_ns if place is None else place.at_ns
        later = tuple(one for one in self._travel.stops() if one.is_put_after(at_ns))
        if not later:
            return snapshot
        happenings = sorted((*later[::-1], *snapshot.happenings), key=_AT_NS, reverse=True)
        details = {
            name: replace(detail, percentiles=self._marked(name, detail.percentiles, later))
            for name, detail in snapshot.details.items()
        }
        return replace(snapshot, happenings=tuple(happenings), details=details)

    def _marked(
        self, route: str, table: PercentileTable, later: tuple[Happening, ...]
    ) -> PercentileTable:
        """Return a table with marks more: the same ones until there are others, so that no chart is
        drawn again for nothing."""
        markers, known, marked = self._more_markers.get(route, ((), (), ()))
        if markers is not table.markers or known != later:
            more = (Marker(one.at_ns, one.note, "mark") for one in later)
            marked = tuple(sorted((*table.markers, *more), key=_AT_NS))
            self._more_markers[route] = (table.markers, later, marked)
        return replace(table, markers=marked)

    def present(self) -> Snapshot:
        """Return how it is now, wherever the screen stands: in the past up to a second old, and
        without details. A recording has no other present than what is shown of it."""
        if self._travel.is_live or not self._travel.has_present:
            return self.latest
        now_ns = self._clock.monotonic_ns()
        if self._present_ns is None or now_ns - self._present_ns >= NS_PER_S:
            self._present = self._aged(self._live_board.snapshot(window=self._latest.window))
            self._present_ns = now_ns
        return self._present

    def past(self) -> PastView | None:
        """Return where in the past the screen stands; None live.

        It is a new one where that is another place, and once a second: the present goes on.
        """
        travel = self._travel
        place = travel.place()
        if place is None:
            self._past = self._present_ns = None
            return None
        present = self.present()
        has_present = travel.has_present
        end_ns = max(travel.end_ns, place.end_ns)
        is_read = end_ns == place.end_ns
        if has_present:
            end_ns -= (end_ns - place.at_ns) % NS_PER_S
        past = PastView(
            at_ns=place.at_ns,
            begin_ns=place.begin_ns,
            end_ns=end_ns,
            read_ns=None if is_read else place.end_ns,
            is_cut=place.is_cut,
            has_present=has_present,
            going_to_ns=place.wanted_ns if place.is_far else None,
            speed=place.speed,
            is_playing=place.is_playing,
            hurt_now=present.header.hurt if has_present else 0,
            worst_now=worst_state(present) if has_present else None,
            stops=tuple(travel.stops()),
        )
        if past != self._past:
            self._past = past
        return self._past

    def request(self, route: str, probe: str) -> RequestView | None:
        """Return one probe that ended by the moment that is shown; None where it is not kept, and
        while that moment is on its way."""
        board = self._board
        return None if board is None else board.request(route, probe)

    @property
    def is_on_its_way(self) -> bool:
        """Whether another moment is about to be shown, so that no probe can be looked up."""
        return self._board is None

    @property
    def _board(self) -> BoardSource | None:
        """The board that is shown; None while it is on its way."""
        return self._live_board if self._travel.is_live else self._travel.board

    def freeze(self, view: ViewState) -> None:
        """Hold this moment, with the details of every route and the standings."""
        names = tuple(route.name for route in self._latest.routes)
        if (board := self._board) is not None:
            self._held = board.snapshot(
                window=view.window, detail_routes=names, pages=names, standings=True
            )
            self._held_ns = self._clock.monotonic_ns()

    def thaw(self) -> None:
        """Show live snapshots again."""
        self._held = self._freeze = None

    def frozen(self) -> Freeze | None:
        """Return how long the screen has stood still and what it has not shown since.

        It is a new one once a second, and after ten every five.
        """
        if self._held is None:
            return None
        stood = int(seconds(self._clock.monotonic_ns() - self._held_ns))
        if stood > _SECONDS_TOLD:
            stood -= stood % _THEN_EVERY_S
        if self._freeze is None or stood != self._freeze.for_s:
            missed = self._live_board.version - self._held.version
            self._freeze = Freeze(for_s=stood, versions=missed)
        return self._freeze

    def moment(self) -> object:
        """Return what stays equal for as long as a pull would show what the last one showed."""
        if not self._travel.is_live:
            return self.past()
        return self.frozen() or self._live_board.version

    def moving(self) -> bool:
        """Tell whether the last frame looks different a moment later although nothing happens."""
        shown = self._latest
        return (
            self._held is None
            and self._travel.is_live
            and (
                shown.header.in_flight > 0
                or any(detail.lanes for detail in shown.details.values())
                or any(route.cool_down_s for route in shown.routes)
            )
        )


def _taken(
    board: BoardSource,
    latest: Snapshot,
    view: ViewState,
    pages: Collection[str],
    *,
    standings: bool,
) -> Snapshot:
    """Return a snapshot with the details of what is selected on it, as the last one lets guess."""
    guess = selected_route(latest, view)
    names = (guess.name,) if guess is not None else ()
    snapshot = board.snapshot(
        window=view.window, detail_routes=names, pages=pages, standings=standings
    )
    route = selected_route(snapshot, view)
    if route is None or route.name in snapshot.details:
        return snapshot
    return board.snapshot(
        window=view.window, detail_routes=(route.name,), pages=pages, standings=standings
    )


def _read(snapshot: Snapshot, pages: Collection[str]) -> Snapshot:
    """Return a frame of which nothing is left to be read of its board.

    A page is read when it is looked at, and its probes one by one: of the board of the past that
    may be while a thread moves it.
    """
    details = dict(snapshot.details)
    for name in pages:
        detail = details.get(name)
        if detail is not None and detail.page is not None:
            page = replace(detail.page, probes=tuple(detail.page.probes))
            details[name] = replace(detail, page=page)
    return replace(snapshot, details=details)
