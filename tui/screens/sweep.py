"""The page of a sweep, while it asks and after.

Rule 1. It shows the present wherever in time the cockpit stands, and says so: nobody can ask a
server of an hour ago.
Rule 2. To leave it is not to stop it.
"""

from typing import Final

from textual.app import ComposeResult

from probes.board.views import Snapshot
from probes.kit.sanitise import neutralise
from probes.sweeping.views import SweepView
from tui.draw.text import Line, line_text
from tui.keys import bindings, hints
from tui.panes.footer import footer_pane
from tui.panes.pane import PaneSpec
from tui.panes.sweep import sweep_lines
from tui.panes.view import ViewState
from tui.screens.cockpit import CockpitState
from tui.screens.paged import PagedScreen

_NAME: Final = 32
_COPIED_WIDTH: Final = 100
_COPIED_HEIGHT: Final = 44
"""Cells and lines of what is copied: as a ticket or a chat shows without wrapping it."""


class SweepScreen(PagedScreen):
    """The sweep of the cockpit: the one that runs, or the last."""

    NAME = "sweep"
    PAGE = "sweep"
    BINDINGS = bindings(NAME)
    AUTO_FOCUS = "#sweep"

    def __init__(self, cockpit: CockpitState) -> None:
        strips = cockpit.strips
        super().__init__(
            cockpit,
            (
                PaneSpec("crumbs", 0, self._crumbs, moves=True),
                PaneSpec("banner", 0, strips.banner, moves=True),
                PaneSpec("sweep", 1, self._lines, self._title, self._subtitle),
                footer_pane("sweep"),
            ),
        )
        self._drawn: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Return the panes from the top down."""
        yield from self.panes.values()

    def arrange_panes(self) -> object:
        """Show what has room; a sweep that went on is another page."""
        banner = self.panes["banner"]
        banner.display = self.has_banner()
        desk = self.cockpit.sweeps
        if not desk.is_running:
            desk.was_seen = True
        self.cockpit.strips.sweep = None  # the page says more
        return self._shown(), desk.is_running, self.frame_page(), banner.display

    def _shown(self) -> SweepView | None:
        """Return the sweep as it may be shown."""
        shown, mask = self.cockpit.sweeps.view, self.mask()
        return shown if shown is None or mask is None else mask.sweep(shown)

    # What is drawn.

    def _crumbs(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:  # noqa: ARG002 - as all are drawn
        """Return where one is: what is swept, and the way back."""
        shown = self._shown()
        parts: list[tuple[Line, float]] = [((("   routes ▸", "dim"),), 0.5)]
        parts.append((((" sweep", "title"),), 0))
        if shown is not None:
            name = f" {neutralise(shown.route, _NAME)}"
            parts.append((((" ▸", "dim"), (name, "title")), 1))
        return [self.cockpit.strips.of_screen(snapshot, view, width, parts)]

    def _lines(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:  # noqa: ARG002
        """Return the lines of the page that the view is scrolled to."""
        self._draw(width, height)
        return self.shown_part(view, height)

    def _draw(self, width: int, height: int) -> None:
        """Make the page for a size, where that or the sweep is another one."""
        shown, is_live = self._shown(), self.cockpit.travel.is_live
        drawn = (shown, width, height, is_live)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        if shown is None:
            self.page = ((("Nothing is swept yet.", "dim"),),)
        else:
            self.page = sweep_lines(shown, width, height, is_live=is_live)

    def _title(self, snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG002
        self._draw(*self.pane(1).size)
        shown = self._shown()
        by = "" if shown is None else f" · by {shown.by}"
        return f"sweep{by}{self.part_words(view)}"

    def _subtitle(self, snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG002
        if self.cockpit.sweeps.is_running:
            return hints(view.keys, ("stop_sweeping", "stops it"), ("leave", "leaves it running"))
        return hints(
            view.keys,
            ("sweep_again", "sweeps again"),
            ("copy_sweep", "copies this"),
            ("leave", "back"),
        )

    # Keys.

    def action_back(self) -> None:
        """Go back; what is asked goes on."""
        self.app.pop_screen()

    def action_stop_sweeping(self) -> None:
        """Have no more sent."""
        desk = self.cockpit.sweeps
        if desk.is_running:
            desk.stop()
            desk.was_seen = True  # whoever stops it need not be called to its end
        else:
            self.notify("It is over: nothing is sent any more.")

    def action_copy_sweep(self) -> None:
        """Copy the page as text, for whoever is told of it."""
        shown = self._shown()
        if shown is None:
            return
        lines = sweep_lines(shown, _COPIED_WIDTH, _COPIED_HEIGHT)
        self.app.copy_to_clipboard("\n".join(line_text(line).rstrip() for line in lines))
        # Nobody answers OSC 52, so nobody knows whether this terminal obeyed.
        self.notify("The sweep is copied, where the terminal takes OSC 52.")
