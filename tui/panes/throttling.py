"""Pane 4: limits, cool-downs and the log of 429s of all routes."""

from collections.abc import Sequence

from probes.board.views import Snapshot
from tui.draw.text import Line
from tui.panes.order import selected_route
from tui.panes.pane import Pane
from tui.panes.throttling_lines import throttling_lines
from tui.panes.view import ViewState


class ThrottlingPane(Pane):
    """What is left of each limit, and who was told to wait, newest first."""

    NUMBER = 4

    def draw(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> Sequence[Line]:
        """Return the limits and the log, the selected route's entries lit."""
        route = selected_route(snapshot, view)
        return throttling_lines(
            snapshot,
            selected=route.name if route else None,
            width=width,
            height=height,
            offset=view.offset(self.NUMBER),
        )

    def title_for(self, snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG002 - a pane's own
        """Return the pane's name; the log is of all routes."""
        return "throttling · all routes"
