"""Pane 5: retries of the selected route."""

from collections.abc import Sequence

from probes.board.views import RetryView, Snapshot
from probes.kit.sanitise import neutralise
from tui.draw.text import Line
from tui.panes.order import selected_route
from tui.panes.pane import Pane
from tui.panes.retries_lines import retries_lines
from tui.panes.view import ViewState

_NAME_LIMIT = 40
_NONE = RetryView()


class RetriesPane(Pane):
    """Reason by retry number, what came of it and what it cost."""

    NUMBER = 5

    def draw(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> Sequence[Line]:
        """Return the retries of the selected route over the home screen's window."""
        route = selected_route(snapshot, view)
        detail = snapshot.details.get(route.name) if route else None
        retries = detail.retries if detail else _NONE
        return retries_lines(retries, window=snapshot.window, width=width, height=height)

    def title_for(self, snapshot: Snapshot, view: ViewState) -> str:
        """Return the route and the window."""
        route = selected_route(snapshot, view)
        if route is None:
            return "retries"
        return f"retries · {neutralise(route.name, _NAME_LIMIT)} · {snapshot.window}"
