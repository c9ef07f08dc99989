"""What the panes of a route's page are about: the route, its page, and what is wrong with it."""

from typing import Final, NamedTuple

from probes.board.views import (
    FeltColumn,
    IncidentView,
    RecoveryView,
    RouteDetail,
    RoutePage,
    RouteView,
    Snapshot,
)
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
