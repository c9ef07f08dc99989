"""Weeks of one route: charts by day and hour of the day, the weekly check, what was seen before.

Rule 1. What is kept is read in a thread, when the screen opens, when it looks further back, and
again while it stays open: never in the event loop, and never for a frame.
Rule 2. The page is made once for what was read and a width; frames show a part of it.
Rule 3. A screen that masks names shows none of a file's either.
"""

from collections.abc import Sequence
from functools import partial
from itertools import cycle, islice
from typing import Final

from anyio import to_thread
from msgspec.structs import replace
from textual.app import ComposeResult

from probes.board.views import Snapshot
from probes.history.views import HistoryView
from probes.kit.sanitise import neutralise
from tui.draw.history_lines import page_lines
from tui.draw.text import Line, counted, fold
from tui.keys import bindings, hints
from tui.panes.footer import footer_pane
from tui.panes.pane import PaneSpec
from tui.panes.view import ViewState
from tui.screens.cockpit import CockpitState
from tui.screens.masking import MODEL, URL
from tui.screens.paged import PagedScreen

SPANS: Final = (30, 90, 400, 7)
"""Days that it looks back, in the order of the key."""
_AGAIN_S: Final = 180.0
"""A run writes so often."""
_READING: Final = "reading …"
_NONE_KEPT: Final = "No history is kept."
_DAY_S: Final = 86_400
_LEAST_ROWS, _MOST_ROWS = 3, 8
_REST: Final = 26
"""Lines of a page beside its two charts, of which most are to be seen at once."""


class HistoryScreen(PagedScreen):
    """Weeks of the route that was under the cursor."""

    NAME = "history"
    PAGE = "history"
    BINDINGS = bindings(NAME)
    AUTO_FOCUS = "#history"

    def __init__(self, cockpit: CockpitState, route: str) -> None:
        self._name_of_route = route
        self._days = SPANS[0]
        self._found: HistoryView | str = _READING
        self._made: tuple[object, ...] = ()
        """What `page` was made of."""
        strips = cockpit.strips
        super().__init__(
            cockpit,
            (
                PaneSpec("crumbs", 0, self._crumbs, moves=True),
                PaneSpec("banner", 0, strips.banner, moves=True),
                PaneSpec("history", 1, self._lines, self._title, self._subtitle),
                footer_pane("history"),
            ),
        )

    def compose(self) -> ComposeResult:
        """Return the panes from the top down."""
        yield from self.panes.values()

    def on_mount(self) -> None:
        """Read what is kept, now and then."""
        self._read()
        self.set_interval(_AGAIN_S, self._read)

    def arrange_panes(self) -> object:
        """Show what has room."""
        banner = self.panes["banner"]
        banner.display = self.has_banner()
        # What was read is part of it: the page is drawn anew then.
        return self.frame_page(), banner.display, id(self._found), self._days

    # What is read.

    def _read(self) -> None:
        self.run_worker(self._take(), exclusive=True, group="history")

    async def _take(self) -> None:
        weeks = self.cockpit.weeks
        if weeks is None:
            self._found = _NONE_KEPT
        else:
            read = partial(weeks, self._name_of_route, float(self._days * _DAY_S))
            found = await to_thread.run_sync(read)
            is_empty = isinstance(found, HistoryView) and not found.routes
            days = counted(self._days, "day")
            self._found = f"Nothing of it was probed in {days}." if is_empty else found
        self.pull()

    # What is drawn.

    def _crumbs(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:  # noqa: ARG002 - as all are drawn
        parts: list[tuple[Line, float]] = [
            ((("   routes ▸", "dim"),), 0.5),
            (((f" {self.called(self._name_of_route)}", "title"),), 0),
            (((" ▸ history", "dim"),), 1),
        ]
        return [self.cockpit.strips.of_screen(snapshot, view, width, parts)]

    def _lines(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:  # noqa: ARG002
        """Return the lines of the page that the view is scrolled to."""
        self._make(view, width, height)
        return self.shown_part(view, height)

    def _make(self, view: ViewState, width: int, height: int) -> None:
        made = (id(self._found), width, height, view.private)
        if made != self._made:
            self._made, self.page = made, self._page(view, width, height)

    def _page(self, view: ViewState, width: int, height: int) -> Sequence[Line]:
        found = self._found
        if isinstance(found, str):
            return fold(((neutralise(found), "dim"),), width)
        if view.private:
            name = self.called(self._name_of_route)
            routes = [
                replace(
                    one,
                    route=name,
                    name=name,
                    place="",
                    model=MODEL,
                    base_url=URL,
                    seen=tuple(replace(seen, name=name, scope="", text="") for seen in one.seen),
                )
                for one in found.routes
            ]
            found = replace(found, routes=tuple(routes))
        rows = min(max(_LEAST_ROWS, (height - _REST) // 2), _MOST_ROWS)
        return page_lines(found, width, rows=rows)

    def _title(self, snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG002
        # It is drawn before the page, and says how much of that is shown.
        self._make(view, *self.pane(1).size)
        return f"history{self.part_words(view)} · the last {counted(self._days, 'day')}"

    def _subtitle(self, snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG002
        return hints(view.keys, ("history_span", "looks further back"), ("leave", "back"))

    # Keys.

    def action_back(self) -> None:
        """Go back."""
        self.app.pop_screen()

    def action_history_span(self) -> None:
        """Look back by the next span."""
        place = SPANS.index(self._days)
        (self._days,) = islice(cycle(SPANS), place + 1, place + 2)
        self._read()
        self.look(replace(self.view, offsets={**self.view.offsets, self.PAGE: 0}))
