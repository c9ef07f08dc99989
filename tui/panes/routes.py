"""Pane 1: the routes table."""

from collections.abc import Sequence
from typing import Final

from textual.events import Click
from textual.message import Message

from probes.board.views import ChartPoint, Snapshot
from tui.draw.chart import trend_cells
from tui.draw.text import Line
from tui.panes.pane import Pane
from tui.panes.routes_lines import cursor_row, routes_lines, routes_subtitle, routes_title
from tui.panes.view import ViewState

_TRENDS_KEPT: Final = 256


class Trends:
    """Draws each trend once for as long as the board hands on the same points: for a second."""

    def __init__(self) -> None:
        self._drawn: dict[int, tuple[Sequence[ChartPoint], tuple[float, ...], Line]] = {}

    def __len__(self) -> int:
        return len(self._drawn)

    def __call__(
        self, points: Sequence[ChartPoint], width: int, top_s: float, goal_s: float, span_ns: int
    ) -> Line:
        how = (width, top_s, goal_s, span_ns)
        known = self._drawn.get(id(points))
        if known is not None and known[0] is points and known[1] == how:
            return known[2]
        if len(self._drawn) >= _TRENDS_KEPT:
            self._drawn.clear()
        line = trend_cells(points, width, top_s, goal_s, span_ns)
        self._drawn[id(points)] = (points, how, line)
        return line


class RoutesPane(Pane):
    """One row per route, worst first; the cursor follows its route."""

    NUMBER = 1

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._trends = Trends()

    class RowClicked(Message):
        """The user pointed at a row, counted from the cursor's."""

        def __init__(self, rows_down: int) -> None:
            super().__init__()
            self.rows_down = rows_down

    def draw(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> Sequence[Line]:
        """Return heads, rows and totals."""
        return routes_lines(snapshot, view, width, height, self._trends)

    def title_for(self, snapshot: Snapshot, view: ViewState) -> str:
        """Return order, window and filter."""
        return routes_title(snapshot, view)

    def subtitle_for(self, snapshot: Snapshot, view: ViewState) -> str:
        """Return the selected route's state and knobs, and the newest notice."""
        return routes_subtitle(snapshot, view)

    def highlighted(self, snapshot: Snapshot, view: ViewState, height: int) -> int | None:
        """Return the selected route's row."""
        return cursor_row(snapshot, view, height)

    def on_click(self, event: Click) -> None:
        """Report which row was pointed at."""
        offset = event.get_content_offset(self)
        cursor = cursor_row(self._snapshot, self._view, self.size.height)
        if offset is not None and cursor is not None:
            self.post_message(self.RowClicked(offset.y - cursor))
