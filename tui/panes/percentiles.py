"""Pane 3: percentiles of the selected route: windows side by side, and charts of the last minutes.

Columns are windows of time, rows are percentiles: where there is too little room for either, those
that matter most are kept longest.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from probes.board.views import PercentileTable, Snapshot, WindowColumn, WindowName
from probes.kit.sanitise import neutralise
from tui.draw.chart import FAILED
from tui.draw.table import Cell, Column, fit
from tui.draw.text import (
    Line,
    age,
    clip,
    count,
    line_width,
    right,
    share,
    side_by_side,
    three_digits,
)
from tui.panes.pane import Want
from tui.panes.routes import figure_cell, selected_route
from tui.panes.timeline import MIN_HEIGHT, MIN_WIDTH, timeline_lines
from tui.panes.view import ViewState

_NAME_LIMIT: Final = 40
_LABEL_WIDTH: Final = 8
_FIGURE_WIDTH: Final = 6
_LEAST_LINES: Final = 6
_MOST_LINES: Final = 26
_GAP: Final = 2
"""Between the table and the chart beside it."""

DrawChart: TypeAlias = Callable[[PercentileTable, int, int], tuple[Line, ...]]
"""Draws the charts of a table in a width and a height."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One row: `needed` orders what is kept when there are too few lines, 0 first."""

    group: str
    """Written before the label in the first row of the group that is kept."""
    label: str
    needed: int
    cell: Callable[[WindowColumn], Cell]


def _rows(*, success_missed: bool) -> tuple[_Row, ...]:
    def failed(window: WindowColumn) -> Cell:
        text = share(window.failure_share)
        if not window.failures:
            return Cell(text, "faint")
        return Cell(text, "missed", FAILED) if success_missed else Cell(text)

    return (
        _Row("TTFT", "p50", 2, lambda window: figure_cell(window.ttft[0])),
        _Row("TTFT", "p90", 9, lambda window: figure_cell(window.ttft[1])),
        _Row("TTFT", "p95", 0, lambda window: figure_cell(window.ttft[2])),
        _Row("TTFT", "p99", 5, lambda window: figure_cell(window.ttft[3])),
        _Row("TTFT", "max", 8, lambda window: figure_cell(window.ttft[4])),
        _Row("TTFT", "n", 6, lambda window: Cell(count(window.ttft[0].n), "faint")),
        _Row("E2E", "p50", 3, lambda window: figure_cell(window.e2e[0])),
        _Row("E2E", "p90", 11, lambda window: figure_cell(window.e2e[1])),
        _Row("E2E", "p95", 1, lambda window: figure_cell(window.e2e[2])),
        _Row("E2E", "p99", 7, lambda window: figure_cell(window.e2e[3])),
        _Row("E2E", "max", 10, lambda window: figure_cell(window.e2e[4])),
        _Row("E2E", "n", 12, lambda window: Cell(count(window.e2e[0].n), "faint")),
        _Row("failed", "%", 4, failed),
    )


class Charts:
    """Draws the charts anew only where their points changed: once a second, not ten times."""

    def __init__(self) -> None:
        self._charted: PercentileTable | None = None
        self._size = (0, 0)
        self._lines: tuple[Line, ...] = ()

    def __call__(self, table: PercentileTable, width: int, height: int) -> tuple[Line, ...]:
        drawn = self._charted
        if drawn is None or self._size != (width, height) or not _same_points(drawn, table):
            self._charted, self._size = table, (width, height)
            self._lines = timeline_lines(table, width, height)
        return self._lines


def percentiles_lines(
    snapshot: Snapshot,
    view: ViewState,
    width: int,
    height: int,
    draw_chart: DrawChart = timeline_lines,
) -> tuple[Line, ...]:
    """Return the table of the selected route, and its chart beside it, below it or left out."""
    if width <= 0 or height <= 0:
        return ()
    route = selected_route(snapshot, view)
    detail = snapshot.details.get(route.name) if route else None
    if route is None or detail is None:
        return (clip((("no route selected", "dim"),), width),)
    table = detail.percentiles
    rows = _rows(success_missed=route.success_missed)
    full = _LABEL_WIDTH + 1 + (_FIGURE_WIDTH + 1) * len(table.columns)
    if width >= full + _GAP + MIN_WIDTH and height >= MIN_HEIGHT:
        at = full + _GAP
        figures = _table_lines(table, rows, snapshot.window, full, height)
        return tuple(side_by_side(figures, draw_chart(table, width - at, height), at))
    figures = _table_lines(table, rows, snapshot.window, width, height)
    return (*figures, *draw_chart(table, width, height - len(figures)))


def percentiles_wants(snapshot: Snapshot, view: ViewState) -> Want:  # noqa: ARG001
    """Return lines for the table, and beside it for charts of TTFT and E2E that can be read."""
    return Want(_LEAST_LINES, _MOST_LINES)


def percentiles_brief(snapshot: Snapshot, view: ViewState) -> Line:
    """Return the two figures that goals are set on."""
    route = selected_route(snapshot, view)
    if route is None:
        return ()
    return (
        ("TTFT p95 ", "dim"),
        (three_digits(route.ttft_p95.value), "text"),
        ("  E2E ", "dim"),
        (three_digits(route.e2e_p95.value), "text"),
    )


def percentiles_title(snapshot: Snapshot, view: ViewState) -> str:
    """Return the route and its cohort, as percentiles never mix cohorts."""
    route = selected_route(snapshot, view)
    if route is None:
        return "percentiles"
    how = "" if route.streamed else "not streamed"
    names = [neutralise(text, _NAME_LIMIT) for text in (route.name, route.cohort, how) if text]
    return " · ".join(["percentiles", *names])


def _table_lines(
    table: PercentileTable, rows: Sequence[_Row], window: WindowName, width: int, height: int
) -> list[Line]:
    def column(place: int, of: WindowColumn) -> Column[_Row]:
        # The window that the home screen is on is the last to go.
        priority = 0 if of.window == window else place
        head, cell = of.window, lambda row: row.cell(of)
        return Column(head, _FIGURE_WIDTH, cell, priority, key=head, marked=True)

    columns = [column(place, of) for place, of in enumerate(table.columns, start=1)]
    rows = [row for row in rows if table.streamed or row.group != "TTFT"]
    needed = sorted(row.needed for row in rows)[: max(0, height - 2)]
    kept = [row for row in rows if row.needed in needed]
    labels, group = {}, ""
    for row in kept:
        labels[row.needed] = row.label if row.group == group else f"{row.group} {row.label}"
        group = row.group
    first: Column[_Row] = Column(
        "seconds", _LABEL_WIDTH, lambda row: Cell(labels[row.needed], "head"), marked=True
    )
    fitted = fit([first, *columns], width)
    lines = [fitted.head_line(window), *(fitted.line(row) for row in kept)]
    if height >= 2:
        lines.append(_status(table, width))
    return [clip(line, width) for line in lines[:height]]


def _status(table: PercentileTable, width: int) -> Line:
    """Return what no finished probe can tell: how long the oldest one has been open."""
    goals = f"goals {three_digits(table.goal_ttft_s if table.streamed else None)}"
    if table.goal_e2e_s is not None:
        goals += f" / {three_digits(table.goal_e2e_s)}"
    hangs = table.overdue
    line: Line = (
        ("oldest open ", "head"),
        (right(age(table.oldest_open_s), 6), "missed" if hangs else "text"),
        ("! ", "missed") if hangs else ("  ", "text"),
        (goals, "head"),
    )
    usual = next((one.usual for one in table.usual if one.figure == "ttft"), None)
    if usual is not None:
        told: Line = ((f"  usual {three_digits(usual)}", "text"),)
        line = (*line, *told) if line_width((*line, *told)) <= width else line
    return line


def _same_points(one: PercentileTable, other: PercentileTable) -> bool:
    """Tell whether two tables share what a chart is drawn from: the board hands it on unchanged."""
    return (
        one.timeline is other.timeline
        and one.e2e_timeline is other.e2e_timeline
        and one.markers is other.markers
        and one.streamed == other.streamed
        and (one.goal_ttft_s, one.goal_e2e_s) == (other.goal_ttft_s, other.goal_e2e_s)
    )
