"""The page of one route: what proves the verdict, and the last probes one by one."""

from dataclasses import replace

from textual.app import ComposeResult

from tui.keys import bindings
from tui.panes.footer import footer_pane
from tui.panes.pane import PaneSpec
from tui.panes.percentiles import percentiles_lines, percentiles_title
from tui.screens.cockpit import CockpitState
from tui.screens.live import LiveScreen


class RouteScreen(LiveScreen):
    """One route, whole; the route that is selected, whichever that is."""

    NAME = "route"
    BINDINGS = bindings(NAME)

    def __init__(self, cockpit: CockpitState) -> None:
        super().__init__(
            cockpit,
            (
                PaneSpec("crumbs", 0, cockpit.strips.header, moves=True),
                PaneSpec("figures", 1, percentiles_lines, percentiles_title),
                footer_pane("route"),
            ),
        )

    def compose(self) -> ComposeResult:
        """Return the panes from the top down."""
        yield from self.panes.values()

    def arrange_panes(self) -> object:
        """Show everything there is."""
        return None

    def pages(self) -> tuple[str, ...]:
        """Return the route of the page."""
        route = self.route()
        return (route.name,) if route is not None else ()

    def action_back(self) -> None:
        """Give the pane its place back, or go back to all routes."""
        if self.view.maximised:
            self.look(replace(self.view, maximised=None))
        else:
            self.app.pop_screen()

    def action_move(self, by: int) -> None:
        """Select another probe."""

    def action_edge(self, last: bool) -> None:
        """Select the newest or the oldest probe."""

    def action_open(self) -> None:
        """Open the page of the selected probe."""
