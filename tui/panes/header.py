"""The header strip and the banner beneath it."""

from collections.abc import Sequence

from probes.board.views import Snapshot
from probes.control.status import HostStatus
from tui.draw.text import Line, line_width
from tui.panes.header_lines import banner_line, header_line
from tui.panes.observer_lines import CALM, Cockpit
from tui.panes.pane import Pane
from tui.panes.view import ViewState
from tui.session import Status


class _StatusPane(Pane, can_focus=False):
    """A strip of one line that also shows how the engine is."""

    MOVES = True

    status: Status = HostStatus("starting")

    def title_for(self, snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG002
        """Return nothing: a strip has no border."""
        return ""


class HeaderStrip(_StatusPane):
    """LIVE or FROZEN, rates, cost, and the observer's own health."""

    cockpit: Cockpit = CALM

    def draw(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002
        """Return the strip."""
        return [header_line(snapshot, view, self.status, width, self.cockpit)]


class Banner(_StatusPane):
    """What must not be overlooked: a dead or silent engine, routes held back by us."""

    def wanted(self, snapshot: Snapshot) -> bool:
        """Tell whether there is something to say."""
        return banner_line(snapshot, self.status) is not None

    def draw(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> Sequence[Line]:  # noqa: ARG002
        """Return the banner, red over the whole width."""
        line = banner_line(snapshot, self.status) or ()
        missing = width - line_width(line)
        return [(*line, (" " * max(0, missing), "alert"))]
