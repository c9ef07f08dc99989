"""The home screen: strips, the routes table and the panes beneath it."""

from dataclasses import replace
from typing import Final

from textual.app import ComposeResult
from textual.containers import Grid
from textual.widgets import Input

from probes.board.views import Happening
from tui.keys import bindings
from tui.panes.happenings import happening_at, next_filter, route_of
from tui.panes.header import banner_line
from tui.panes.home import home_panes
from tui.panes.pane import Pane
from tui.panes.routes import moved, moved_to_edge, next_sort
from tui.panes.verdicts import verdict_count
from tui.screens.cockpit import CockpitState
from tui.screens.layout import LOWER_PANES, Arrangement, arrange
from tui.screens.live import SCROLL_STEP, LiveScreen
from tui.screens.route import RouteScreen
from tui.screens.sort_menu import SortMenu

_LOG: Final = 6
"""Number of the pane of what happened."""


class HomeScreen(LiveScreen):
    """Everything at a glance."""

    NAME = "home"
    BINDINGS = bindings(NAME)
    AUTO_FOCUS = "#routes"

    def __init__(self, cockpit: CockpitState) -> None:
        super().__init__(cockpit, home_panes(cockpit.strips))
        self._arrangement: Arrangement | None = None

    def compose(self) -> ComposeResult:
        """Return the strips and panes; `arrange_panes` says which of them are displayed."""
        panes = self.panes
        yield from (panes["header"], panes["banner"], panes["verdicts"], panes["routes"])
        with Grid(id="lower"):
            yield from (self.pane(number) for number in LOWER_PANES)
        yield Input(placeholder="name, model, tag or state", id="filter", compact=True)
        yield panes["footer"]

    def on_mount(self) -> None:
        """Hide the filter until it is asked for."""
        self.query_one("#filter").display = False

    def arrange_panes(self) -> Arrangement:
        """Show the panes that have room."""
        banner = self.panes["banner"]
        banner.display = banner_line(self.latest, self.cockpit.strips.status) is not None
        arrangement = arrange(
            self.size.width,
            self.size.height,
            routes=len(self.latest.routes),
            banner=banner.display,
            verdicts=verdict_count(self.latest),
            current=self.current,
            maximised=self.view.maximised,
        )
        if arrangement != self._arrangement:
            self._arrangement = arrangement
            self._apply(arrangement)
        return arrangement

    def _apply(self, arrangement: Arrangement) -> None:
        self.set_class(not arrangement.framed, "-bare")
        self.panes["header"].display = arrangement.header
        self.panes["footer"].display = arrangement.footer
        verdicts = self.panes["verdicts"]
        verdicts.display = arrangement.verdicts > 0
        verdicts.styles.height = max(1, arrangement.verdicts)
        routes = self.panes["routes"]
        routes.display = arrangement.routes_height > 0
        routes.styles.height = max(1, arrangement.routes_height)
        lower = self.query_one("#lower")
        lower.display = bool(arrangement.panes)
        lower.styles.grid_size_columns = arrangement.columns
        lower.set_class(arrangement.columns == 1, "-single")
        lower.set_class(len(arrangement.panes) == len(LOWER_PANES), "-whole")
        for number in LOWER_PANES:
            self.pane(number).display = number in arrangement.panes

    def on_pane_row_clicked(self, event: Pane.RowClicked) -> None:
        """Select the row that was pointed at."""
        self.action_move(event.rows_down)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while the user types."""
        self.look(replace(self.view, filter=event.value.strip().lower()))

    def on_input_submitted(self) -> None:
        """Keep the filter and go back to the table."""
        self._close_filter()

    def _close_filter(self) -> None:
        self.query_one("#filter").display = False
        self.panes["routes"].focus()

    def action_open(self) -> None:
        """Open the page of the selected route; in what happened, that of the first line's."""
        if self.current == _LOG and not self._select(happening_at(self.latest, self.view)):
            return
        if self.route() is not None:
            self.view = replace(self.view, maximised=None)
            self.app.push_screen(RouteScreen(self.cockpit))

    def _select(self, happening: Happening | None) -> bool:
        """Select the route that a line of what happened leads to; return whether there is one."""
        name = route_of(happening, self.latest)
        if name is None:
            self.notify("That is about no single route.")
            return False
        self.view = replace(self.view, selected=name)
        return True

    def action_log_filter(self) -> None:
        """Show less, or all, of what happened."""
        chosen = next_filter(self.view.log_filter)
        offsets = {**self.view.offsets, "happenings": 0}
        self.look(replace(self.view, log_filter=chosen, offsets=offsets))

    def go_to(self, name: str) -> None:
        """Select a route and open its page."""
        super().go_to(name)
        self.action_open()

    def action_filter(self) -> None:
        """Open the filter."""
        self.query_one("#filter").display = True
        self.set_focus(self.query_one("#filter"))  # at once: what is typed next belongs to it

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self.look(moved(self.latest, self.view, by))

    def action_edge(self, last: bool) -> None:
        """Move the cursor to the first or the last row."""
        self.look(moved_to_edge(self.latest, self.view, last=last))

    def action_back(self) -> None:
        """Undo the nearest of: filter, maximised pane, preview."""
        view = self.view
        if self.query_one("#filter").display or view.filter:
            self.query_one("#filter", Input).value = ""
            self._close_filter()
        elif view.maximised:
            self.look(replace(view, maximised=None))
        elif view.preview:
            self.action_preview()

    def action_scroll_pane(self, direction: int) -> None:
        """Scroll the current pane by some lines; the table moves its cursor."""
        if self.current == 1:
            self.action_move(direction * SCROLL_STEP)
        else:
            super().action_scroll_pane(direction)

    def action_sort(self) -> None:
        """Sort by the next column."""
        self.look(next_sort(self.view))

    def action_sort_menu(self) -> None:
        """Ask by which column to sort."""
        self.app.push_screen(SortMenu(self.view.sort), self._sort_by)

    def _sort_by(self, key: str | None) -> None:
        if key is not None:
            self.look(replace(self.view, sort=key, reversed=False))

    def action_reverse(self) -> None:
        """Turn the order round."""
        self.look(replace(self.view, reversed=not self.view.reversed))

    def action_preview(self) -> None:
        """Show the text of the selected route's oldest stream, or stop."""
        self.look(replace(self.view, preview=not self.view.preview))
