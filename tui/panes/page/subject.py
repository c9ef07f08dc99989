"""What the panes of a route's page are about: the route, its page, and what is wrong with it."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Final, NamedTuple, TypeAlias, TypeVar

from probes.board.views import (
    FeltColumn,
    IncidentView,
    RecoveryView,
    RouteDetail,
    RoutePage,
    RouteView,
    Snapshot,
)
from tui.draw.text import Line, clip
from tui.panes.routes import selected_route
from tui.panes.view import ViewState

_EMPTY_PAGE: Final = RoutePage()


class Subject(NamedTuple):
    """One route, at the moment of a frame."""

    route: RouteView
    page: RoutePage
    detail: RouteDetail | None

    @property
    def now(self) -> FeltColumn | None:
        """The figures of now."""
        return next((column for column in self.page.columns if column.name == "now"), None)


def subject_of(snapshot: Snapshot, view: ViewState) -> Subject | None:
    """Return what the page is about; None while there is no route."""
    route = selected_route(snapshot, view)
    if route is None:
        return None
    detail = snapshot.details.get(route.name)
    page = (detail.page if detail is not None else None) or _EMPTY_PAGE
    return Subject(route, page, detail)


P = TypeVar("P")
DrawPane: TypeAlias = Callable[[P, Snapshot, ViewState, int, int], Sequence[Line]]
DrawSubject: TypeAlias = Callable[[P, Subject, Snapshot, ViewState, int, int], Sequence[Line]]


def of_subject(draw: DrawSubject[P]) -> DrawPane[P]:
    """Make the `lines` of a pane's class from what draws its subject in some room: without room
    there is nothing, and without a route the pane says so."""

    @wraps(draw)
    def lines(
        pane: P, snapshot: Snapshot, view: ViewState, width: int, height: int
    ) -> Sequence[Line]:
        if width <= 0 or height <= 0:
            return []
        subject = subject_of(snapshot, view)
        if subject is None:
            return [clip((("no route selected", "dim"),), width)]
        return draw(pane, subject, snapshot, view, width, height)

    return lines


def incidents_of(snapshot: Snapshot, route: str) -> tuple[IncidentView, ...]:
    """Return what is wrong with a route, worst first; our own machine's trouble is every route's.

    A route that is hit comes before what hits nobody by name.
    """
    own = [one for one in snapshot.incidents if route in one.diagnosis.routes]
    ours = [
        one
        for one in snapshot.incidents
        if one.diagnosis.cause == "local_observer" and one not in own
    ]
    return (*own, *ours)


def recoveries_of(snapshot: Snapshot, route: str) -> tuple[RecoveryView, ...]:
    """Return what was wrong with a route and is over, newest first."""
    return tuple(one for one in snapshot.recoveries if route in one.diagnosis.routes)
