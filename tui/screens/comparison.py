"""The page of a comparison, while it asks and after.

Rule 1. It compares the present wherever in time the cockpit stands, and says so: nobody can ask a
server of an hour ago. The strips above it are those of every page.
Rule 2. To leave it is not to stop it.
"""

from typing import Final

from textual.app import ComposeResult

from probes.board.views import Snapshot
from probes.comparing.views import ComparisonView
from probes.kit.sanitise import neutralise
from tui.draw.text import Line, line_text
from tui.keys import bindings, hints
from tui.panes.axis import axis_pane
from tui.panes.comparison import comparison_lines
from tui.panes.footer import footer_pane
from tui.panes.pane import PaneSpec
from tui.panes.view import ARM_LETTERS, ViewState
from tui.screens.cockpit import CockpitState
from tui.screens.paged import PagedScreen

_NAME: Final = 32
_COPIED_WIDTH: Final = 100
"""Cells of what is copied: as wide as a ticket or a chat shows without wrapping it."""


class ComparisonScreen(PagedScreen):
    """The comparison of the cockpit: the one that runs, or the last."""

    NAME = "comparison"
    PAGE = "comparison"
    BINDINGS = bindings(NAME)
    AUTO_FOCUS = "#comparison"

    def __init__(self, cockpit: CockpitState) -> None:
        strips = cockpit.strips
        super().__init__(
            cockpit,
            (
                PaneSpec("crumbs", 0, self._crumbs, moves=True),
                axis_pane(),
                PaneSpec("banner", 0, strips.banner, moves=True),
                PaneSpec("comparison", 1, self._lines, self._title, self._subtitle),
                footer_pane("comparison"),
            ),
        )
        self._drawn: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Return the panes from the top down."""
        yield from self.panes.values()

    def arrange_panes(self) -> object:
        """Show what has room; a comparison that went on is another page."""
        strips = self.show_strips()
        comparisons = self.cockpit.comparisons
        if not comparisons.is_running:
            comparisons.was_seen = True
        self.cockpit.strips.comparison = None  # the page says more
        return self._shown(), comparisons.is_running, self.frame_page(), strips

    def _shown(self) -> ComparisonView | None:
        """Return the comparison as it may be shown."""
        shown, mask = self.cockpit.comparisons.view, self.mask()
        return shown if shown is None or mask is None else mask.comparison(shown)

    # What is drawn.

    def _crumbs(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:  # noqa: ARG002 - as all are drawn
        """Return where one is: what is compared, and the way back."""
        shown = self._shown()
        parts: list[tuple[Line, float]] = [((("   routes ▸", "dim"),), 0.5)]
        parts.append((((" comparison", "title"),), 0))
        for place, arm in enumerate(shown.arms if shown is not None else ()):
            between = " against" if place else " ▸"
            name = f" {ARM_LETTERS[place]} {neutralise(arm.name, _NAME)}"
            parts.append((((between, "dim"), (name, "title")), 1 + place / 10))
        return [self.cockpit.strips.of_screen(snapshot, view, width, parts)]

    def _lines(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:  # noqa: ARG002
        """Return the lines of the page that the view is scrolled to."""
        self._draw(width, height)
        return self.shown_part(view, height)

    def _draw(self, width: int, height: int) -> None:
        """Make the page for a size, where that or the comparison is another one."""
        shown, is_live = self._shown(), self.cockpit.travel.is_live
        drawn = (shown, width, height, is_live)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        if shown is None:
            self.page = ((("Nothing is compared yet.", "dim"),),)
        else:
            self.page = comparison_lines(shown, width, height, is_live=is_live)

    def _title(self, snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG002
        self._draw(*self.pane(1).size)
        shown = self._shown()
        differs = f" · what differs: {shown.changed}" if shown is not None else ""
        return f"comparison{differs}{self.part_words(view)}"

    def _subtitle(self, snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG002
        if self.cockpit.comparisons.is_running:
            return hints(view.keys, ("stop_comparing", "stops it"), ("leave", "leaves it running"))
        return hints(
            view.keys,
            ("compare_again", "compares something else"),
            ("copy_comparison", "copies this"),
            ("leave", "back"),
        )

    # Keys.

    def action_back(self) -> None:
        """Go back; what is asked goes on."""
        self.app.pop_screen()

    def action_stop_comparing(self) -> None:
        """Have no more sent."""
        comparisons = self.cockpit.comparisons
        if comparisons.is_running:
            comparisons.stop()
            comparisons.was_seen = True  # whoever stops it need not be called to its end
        else:
            self.notify("It is over: nothing is sent any more.")

    def action_copy_comparison(self) -> None:
        """Copy the page as text, for whoever is told of it."""
        shown = self._shown()
        if shown is None:
            return
        lines = comparison_lines(shown, _COPIED_WIDTH)
        self.app.copy_to_clipboard("\n".join(line_text(line).rstrip() for line in lines))
        # Nobody answers OSC 52, so nobody knows whether this terminal obeyed.
        self.notify("The comparison is copied, where the terminal takes OSC 52.")
