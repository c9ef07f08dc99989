"""Pane 3: percentiles of the selected route, by window and over time."""

from collections.abc import Sequence

from probes.neutral import neutralise
from probes.views import Snapshot
from tui.order import selected_route
from tui.panes.pane import Pane
from tui.panes.percentiles_lines import percentiles_lines
from tui.text import Line, clip
from tui.view import ViewState

__all__ = ["PercentilesPane"]

_NAME_LIMIT = 40
_NOTHING: Line = (("no route selected", "dim"),)


class PercentilesPane(Pane):
    """TTFT and E2E side by side over the windows, and TTFT over the last 15 minutes."""

    NUMBER = 3

    def draw(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> Sequence[Line]:
        """Return the table and the chart of the selected route."""
        route = selected_route(snapshot, view)
        detail = snapshot.details.get(route.name) if route else None
        if route is None or detail is None:
            return (clip(_NOTHING, width),)
        return percentiles_lines(
            detail.percentiles,
            window=snapshot.window,
            width=width,
            height=height,
            success_missed=route.success_missed,
        )

    def title_for(self, snapshot: Snapshot, view: ViewState) -> str:
        """Return the route and its cohort, as percentiles never mix cohorts."""
        route = selected_route(snapshot, view)
        if route is None:
            return "percentiles"
        names = [neutralise(text, _NAME_LIMIT) for text in (route.name, route.cohort) if text]
        return " · ".join(["percentiles", *names])
