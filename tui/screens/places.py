"""The grid of places: from where each route hurts, at one glance."""

from typing import Final

from msgspec.structs import replace
from textual.app import ComposeResult

from probes.board.views import RouteView, Snapshot
from probes.kit.clock import NS_PER_S
from tui.draw.text import Line
from tui.keys import bindings
from tui.panes.footer import footer_pane
from tui.panes.home import home_panes
from tui.panes.pane import Pane, PaneSpec
from tui.panes.places import (
    cell_at,
    edge_cell,
    grid_height,
    grid_lines,
    grid_subtitle,
    grid_title,
    moved_cell,
    route_of_cell,
    troubled_cell,
)
from tui.panes.routes import Trends, following
from tui.panes.verdicts import verdict_count
from tui.panes.view import ViewState
from tui.screens.cockpit import CockpitState
from tui.screens.live import SCROLL_STEP, LiveScreen
from tui.screens.page_layout import LEAST_FRAMED_HEIGHT, LEAST_FRAMED_WIDTH

_LEAST_TOLD: Final = 24
"""Lines of a terminal from which all verdicts have room; below that the worst has."""
_DOUBLE: Final = 2
_LOG: Final = 6
_LEAST_LOG: Final = 6
"""Lines, its frame included, from which what happened stands below the grid."""
_FRAME: Final = 2
_MEASURED_NS: Final = NS_PER_S // 2
"""What all of a grid takes is as dear to find as a table is to draw, and is found as often."""


class PlacesScreen(LiveScreen):
    """All routes over all places."""

    NAME = "places"
    BINDINGS = bindings(NAME)
    AUTO_FOCUS = "#places"

    def __init__(self, cockpit: CockpitState) -> None:
        strips, self._trends = cockpit.strips, Trends()
        verdicts, log = (
            next(spec for spec in home_panes(strips) if spec.name == name)
            for name in ("verdicts", "happenings")
        )
        self._measured_of: tuple[object, ...] = ()
        self._measured_ns = 0
        self._measured = 0
        self._reads_log = False
        """What happened has the room of the grid."""
        super().__init__(
            cockpit,
            (
                PaneSpec("crumbs", 0, self._crumbs, moves=True),
                PaneSpec("banner", 0, strips.banner, moves=True),
                verdicts,
                PaneSpec("places", 1, self._lines, grid_title, self._subtitle),
                log,
                footer_pane("places"),
            ),
        )

    def compose(self) -> ComposeResult:
        """Return the panes from the top down."""
        yield from self.panes.values()

    def arrange_panes(self) -> object:
        """Show what has room."""
        columns, rows = self.size
        framed = columns >= LEAST_FRAMED_WIDTH and rows >= LEAST_FRAMED_HEIGHT
        self.set_class(not framed, "-bare")
        self.panes["footer"].display = framed
        banner, verdicts = self.panes["banner"], self.panes["verdicts"]
        banner.display = self.has_banner()
        told = verdict_count(self.latest)
        lines = told if rows >= _LEAST_TOLD else min(told, 1)
        verdicts.display = framed and lines > 0
        verdicts.styles.height = max(1, lines)
        grid, log = self.panes["places"], self.panes["happenings"]
        taken = self._grid_height(columns - _FRAME) + _FRAME
        left = rows - 1 - banner.display - verdicts.display * lines - 1 - taken
        has_both = framed and left >= _LEAST_LOG and not self._reads_log
        log.display = has_both or self._reads_log
        grid.display = not self._reads_log
        grid.styles.height = taken if has_both else "1fr"
        return framed, banner.display, lines, has_both, self._reads_log, taken

    def _grid_height(self, width: int) -> int:
        """Return how many lines all of the grid takes, which changes as seldom as a table does."""
        now_ns, view = self.cockpit.clock.monotonic_ns(), self.view
        asked = (width, len(self.latest.routes), view.filter, view.only_hurt)
        if asked != self._measured_of or now_ns - self._measured_ns >= _MEASURED_NS:
            self._measured_of, self._measured_ns = asked, now_ns
            self._measured = grid_height(self.latest, view, width)
        return self._measured

    # What is drawn.

    def _crumbs(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:  # noqa: ARG002 - as all are drawn
        parts: list[tuple[Line, float]] = [
            ((("   routes ▸", "dim"),), 0.5),
            (((" places", "title"),), 0),
        ]
        return [self.cockpit.strips.of_screen(snapshot, view, width, parts)]

    def _lines(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:
        return grid_lines(snapshot, view, width, height, self._trends)

    def _subtitle(self, snapshot: Snapshot, view: ViewState) -> str:
        return grid_subtitle(snapshot, view, *self.pane(1).size)

    # Keys.

    def route(self) -> RouteView | None:
        """Return the route that knobs turn: the one under the cursor here."""
        return route_of_cell(self.latest, self.view)

    def on_pane_pointed(self, event: Pane.Pointed) -> None:
        """Select the cell that was pointed at; twice: open its page."""
        if event.pane.spec.number == _LOG and event.turned:
            self.scroll(event.pane, event.turned)
        if event.pane.spec.number != 1:
            return
        if event.turned:
            self.action_cell(event.turned, 0)
            return
        name = cell_at(self.latest, self.view, *event.pane.size, event.x, event.y)
        if name is not None:
            self.look(replace(self.view, selected=name))
            if event.clicks == _DOUBLE:
                self.action_open_cell()

    def action_cell(self, down: int, on: int) -> None:
        """Move the cursor by rows and columns; what happened is scrolled while it is read."""
        if self._reads_log:
            self.scroll(self.panes["happenings"], down)
            return
        name = moved_cell(self.latest, self.view, down, on)
        if name is not None:
            self.look(replace(self.view, selected=name))

    def action_trouble(self, step: int) -> None:
        """Go to the next cell that hurts, row by row, or to the one before."""
        name = troubled_cell(self.latest, self.view, step)
        if name is None:
            self.notify("No other route hurts.")
        else:
            self.look(replace(self.view, selected=name))

    def action_edge(self, last: bool) -> None:
        """Move the cursor to the last row, or give it back to the worst."""
        if not last:
            self.look(following(self.view))
        elif name := edge_cell(self.latest, self.view):
            self.look(replace(self.view, selected=name))

    async def action_filter(self) -> None:
        """Ask which routes are rows."""

        def take(text: str) -> None:
            self.look(replace(self.view, filter=text.strip().lower()))

        words = "words that a name, model, tag or state in a row must contain; none: all rows"
        await self.ask("/", take, hint=lambda _: words)

    def action_scroll_pane(self, direction: int) -> None:
        """Move the cursor by some rows."""
        self.action_cell(direction * SCROLL_STEP, 0)

    def action_open_cell(self) -> None:
        """Open the page of the route from the place under the cursor."""
        name = moved_cell(self.latest, self.view, 0, 0)
        if name is not None:
            self.view = replace(self.view, selected=name)
            from tui.screens.route import RouteScreen  # which the first frame need not wait for

            self.app.push_screen(RouteScreen(self.cockpit))

    def action_pane(self, number: int) -> None:
        """Give what happened the room of the grid, or give that back."""
        self._read_log(number == _LOG and not self._reads_log)

    def _read_log(self, reads: bool) -> None:
        self._reads_log = reads
        self.current = _LOG if reads else 1
        self.look(self.view)
        self.pane(self.current).focus()

    def action_back(self) -> None:
        """Leave what happened, else the grid."""
        if self._reads_log:
            self._read_log(False)
        else:
            self.app.pop_screen()
