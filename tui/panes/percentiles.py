"""Pane 3: percentiles of the selected route, by window and over time."""

from collections.abc import Sequence

from probes.board.views import PercentileTable, Snapshot
from probes.kit.sanitise import neutralise
from tui.draw.text import Line, clip
from tui.panes.order import selected_route
from tui.panes.pane import Pane
from tui.panes.percentiles_lines import percentiles_lines
from tui.panes.timeline_lines import timeline_lines
from tui.panes.view import ViewState

_NAME_LIMIT = 40
_NOTHING: Line = (("no route selected", "dim"),)


class PercentilesPane(Pane):
    """TTFT and E2E side by side over the windows, and TTFT over the last 15 minutes."""

    NUMBER = 3

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._charted: PercentileTable | None = None
        self._chart_size = (0, 0)
        self._chart_lines: tuple[Line, ...] = ()

    def draw(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> Sequence[Line]:
        """Return the table and the chart of the selected route."""
        route = selected_route(snapshot, view)
        detail = snapshot.details.get(route.name) if route else None
        if route is None or detail is None:
            return (clip(_NOTHING, width),)
        return percentiles_lines(
            detail.percentiles,
            window=snapshot.window,
            width=width,
            height=height,
            success_missed=route.success_missed,
            chart=self._chart,
        )

    def _chart(self, table: PercentileTable, width: int, height: int) -> tuple[Line, ...]:
        """Draw the charts anew only where their points changed: once a second, not ten times."""
        drawn = self._charted
        if drawn is None or self._chart_size != (width, height) or not _same_points(drawn, table):
            self._charted, self._chart_size = table, (width, height)
            self._chart_lines = timeline_lines(table, width, height)
        return self._chart_lines

    def title_for(self, snapshot: Snapshot, view: ViewState) -> str:
        """Return the route and its cohort, as percentiles never mix cohorts."""
        route = selected_route(snapshot, view)
        if route is None:
            return "percentiles"
        how = "" if route.streamed else "not streamed"
        names = [neutralise(text, _NAME_LIMIT) for text in (route.name, route.cohort, how) if text]
        return " · ".join(["percentiles", *names])


def _same_points(one: PercentileTable, other: PercentileTable) -> bool:
    """Tell whether two tables share what a chart is drawn from: the board hands it on unchanged."""
    return (
        one.timeline is other.timeline
        and one.e2e_timeline is other.e2e_timeline
        and one.markers is other.markers
        and one.streamed == other.streamed
        and (one.goal_ttft_s, one.goal_e2e_s) == (other.goal_ttft_s, other.goal_e2e_s)
    )
