"""Pane 2: token arrival of the selected route."""

from collections.abc import Sequence

from probes.board.views import Snapshot
from tui.draw.text import Line
from tui.panes.arrival_lines import arrival_lines, arrival_title
from tui.panes.pane import Pane
from tui.panes.view import ViewState


class ArrivalPane(Pane):
    """A lane per open and just-finished stream on a moving time axis."""

    NUMBER = 2
    MOVES = True

    def draw(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> Sequence[Line]:
        """Return the lanes, their axis and the preview."""
        return arrival_lines(snapshot, view, width, height)

    def title_for(self, snapshot: Snapshot, view: ViewState) -> str:
        """Return whose streams they are."""
        return arrival_title(snapshot, view)
