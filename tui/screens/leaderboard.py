"""The leaderboard: routes that were asked alike, side by side, live."""

from itertools import cycle, islice

from msgspec.structs import replace
from textual.app import ComposeResult

from probes.board.standings import LEADER_ORDERS
from probes.board.views import Snapshot
from tui.draw.text import Line
from tui.keys import bindings, hints
from tui.panes.footer import footer_pane
from tui.panes.leaderboard import ORDER_WORDS, leaderboard_lines
from tui.panes.pane import PaneSpec
from tui.panes.view import ViewState
from tui.screens.cockpit import CockpitState
from tui.screens.paged import PagedScreen


class LeaderboardScreen(PagedScreen):
    """All routes by what they were asked, in the figures of public leaderboards."""

    NAME = "leaderboard"
    PAGE = "leaderboard"
    BINDINGS = bindings(NAME)
    AUTO_FOCUS = "#leaderboard"
    SHOWS_STANDINGS = True

    def __init__(self, cockpit: CockpitState) -> None:
        strips = cockpit.strips
        super().__init__(
            cockpit,
            (
                PaneSpec("crumbs", 0, self._crumbs, moves=True),
                PaneSpec("banner", 0, strips.banner, moves=True),
                PaneSpec("leaderboard", 1, self._lines, self._title, self._subtitle),
                footer_pane("leaderboard"),
            ),
        )

    def compose(self) -> ComposeResult:
        """Return the panes from the top down."""
        yield from self.panes.values()

    def arrange_panes(self) -> object:
        """Show what has room."""
        banner = self.panes["banner"]
        banner.display = self.has_banner()
        return self.frame_page(), banner.display

    # What is drawn.

    def _crumbs(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:  # noqa: ARG002 - as all are drawn
        parts: list[tuple[Line, float]] = [
            ((("   routes ▸", "dim"),), 0.5),
            (((" leaderboard", "title"),), 0),
        ]
        return [self.cockpit.strips.of_screen(snapshot, view, width, parts)]

    def _lines(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:
        """Return the lines of the page that the view is scrolled to."""
        self.page = leaderboard_lines(
            snapshot, width, view.leader_order, reverse=view.leader_reversed
        )
        return self.shown_part(view, height)

    def _title(self, snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG002
        words = ORDER_WORDS[view.leader_order]
        first = "last" if view.leader_reversed else "first"
        # How much is not shown comes first: a narrow border cuts what it has no room for.
        return f"leaderboard{self.part_words(view)} · {words}, best {first}"

    def _subtitle(self, snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG002
        pairs = (("leader_sort", "sorts by the next"), ("leader_reverse", "turns it round"))
        return hints(view.keys, *pairs, ("leave", "back"))

    # Keys.

    def action_back(self) -> None:
        """Go back."""
        self.app.pop_screen()

    def action_leader_sort(self) -> None:
        """Sort by the next figure."""
        place = LEADER_ORDERS.index(self.view.leader_order)
        (order,) = islice(cycle(LEADER_ORDERS), place + 1, place + 2)
        self.look(replace(self.view, leader_order=order, leader_reversed=False))

    def action_leader_reverse(self) -> None:
        """Turn the order round."""
        self.look(replace(self.view, leader_reversed=not self.view.leader_reversed))
