"""The page of what runs beside a cockpit, while it asks and after.

Rule 1. It shows the present wherever in time the cockpit stands, and says so: nobody can ask a
server of an hour ago. The strips above it are those of every page.
Rule 2. To leave it is not to stop it.
"""

from collections.abc import Sequence
from typing import Final, Generic

from textual.app import ComposeResult

from probes.board.views import Snapshot
from tui.draw.text import Line, line_text
from tui.keys import hints
from tui.panes.axis import axis_pane
from tui.panes.footer import footer_pane
from tui.panes.pane import PaneSpec
from tui.panes.view import PaneName, ViewState
from tui.screens.beside import RunBeside, View
from tui.screens.cockpit import CockpitState
from tui.screens.masking import Mask
from tui.screens.paged import PagedScreen

COPIED_WIDTH: Final = 100
"""Cells of what is copied: as wide as a ticket or a chat shows without wrapping it."""


class BesidePage(PagedScreen, Generic[View]):
    """The page of one kind: of what runs, or of the last that did."""

    PAGE: PaneName
    NOTHING: str
    """What the page says before the first."""
    WORKING_KEYS: tuple[tuple[str, str], ...]
    """What its border offers while it asks: ids of keys, and words."""
    OVER_KEYS: tuple[tuple[str, str], ...]
    """The same afterwards."""

    def __init__(self, cockpit: CockpitState) -> None:
        super().__init__(
            cockpit,
            (
                PaneSpec("crumbs", 0, self._crumbs, moves=True),
                axis_pane(),
                PaneSpec("banner", 0, cockpit.strips.banner, moves=True),
                PaneSpec(self.PAGE, 1, self._lines, self._title, self._subtitle),
                footer_pane(self.NAME),
            ),
        )
        self._drawn: tuple[object, ...] = ()

    # What a kind has of its own.

    @property
    def desk(self) -> RunBeside[View]:
        """What runs it."""
        raise NotImplementedError

    def masked(self, shown: View, mask: Mask) -> View:
        """Return it with the names that a masked screen shows."""
        raise NotImplementedError

    def untold(self) -> None:
        """Take its line off the header: the page says more."""
        raise NotImplementedError

    def about(self, shown: View) -> Sequence[tuple[Line, float]]:
        """Return what it is about, for the first line, each part with when it is left out."""
        raise NotImplementedError

    def title_words(self, shown: View) -> str:
        """Return what stands in the border behind its kind; empty for nothing."""
        raise NotImplementedError

    def lines_of(self, shown: View, width: int, height: int, *, is_live: bool) -> list[Line]:
        """Return the page for a size."""
        raise NotImplementedError

    def copied(self, shown: View) -> list[Line]:
        """Return the page as it is copied."""
        raise NotImplementedError

    # What all have.

    def compose(self) -> ComposeResult:
        """Return the panes from the top down."""
        yield from self.panes.values()

    def arrange_panes(self) -> object:
        """Show what has room; what went on is another page."""
        strips = self.show_strips()
        if not self.desk.is_running:
            self.desk.was_seen = True
        self.untold()
        return self._shown(), self.desk.is_running, self.frame_page(), strips

    def _shown(self) -> View | None:
        """Return it as it may be shown."""
        shown, mask = self.desk.view, self.mask()
        return shown if shown is None or mask is None else self.masked(shown, mask)

    def _crumbs(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:  # noqa: ARG002 - as all are drawn
        """Return where one is, and the way back."""
        shown = self._shown()
        parts: list[tuple[Line, float]] = [
            ((("   routes ▸", "dim"),), 0.5),
            (((f" {self.desk.KIND}", "title"),), 0),
        ]
        if shown is not None:
            parts += self.about(shown)
        return [self.cockpit.strips.of_screen(snapshot, view, width, parts)]

    def _lines(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:  # noqa: ARG002
        """Return the lines of the page that the view is scrolled to."""
        self._draw(width, height)
        return self.shown_part(view, height)

    def _draw(self, width: int, height: int) -> None:
        """Make the page for a size, where that or what is shown is another one."""
        shown, is_live = self._shown(), self.cockpit.travel.is_live
        drawn = (shown, width, height, is_live)
        if drawn == self._drawn:
            return
        self._drawn = drawn
        if shown is None:
            self.page = (((self.NOTHING, "dim"),),)
        else:
            self.page = self.lines_of(shown, width, height, is_live=is_live)

    def _title(self, snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG002
        self._draw(*self.pane(1).size)
        shown = self._shown()
        words = "" if shown is None else self.title_words(shown)
        return f"{self.desk.KIND}{words}{self.part_words(view)}"

    def _subtitle(self, snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG002
        return hints(view.keys, *(self.WORKING_KEYS if self.desk.is_running else self.OVER_KEYS))

    # Keys.

    def action_back(self) -> None:
        """Go back; what is asked goes on."""
        self.app.pop_screen()

    def stop(self) -> None:
        """Have no more sent."""
        if self.desk.is_running:
            self.desk.stop()
            self.desk.was_seen = True  # whoever stops it need not be called to its end
        else:
            self.notify("It is over: nothing is sent any more.")

    def copy(self) -> None:
        """Copy the page as text, for whoever is told of it."""
        shown = self._shown()
        if shown is None:
            return
        self.app.copy_to_clipboard(
            "\n".join(line_text(line).rstrip() for line in self.copied(shown))
        )
        # Nobody answers OSC 52, so nobody knows whether this terminal obeyed.
        self.notify(f"The {self.desk.KIND} is copied, where the terminal takes OSC 52.")
