"""Pane 3: percentiles of the selected route: now, usual and windows side by side, and charts.

Columns are windows of time, the shortest of them is called now, and beside it stands what is usual;
rows are percentiles: where there is too little room for either, those that matter most are kept
longest.
Charts have marks where a knob was turned and where what is wrong began, and beneath them the share
of the probes that were not good.
"""

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace

from probes.board.views import (
    WINDOWS,
    PercentileTable,
    RouteView,
    Snapshot,
    UsualView,
    WindowColumn,
    WindowName,
)
from probes.kit.sanitise import neutralise
from tui.draw.chart import FAILED
from tui.draw.table import BLANK, Cell, Column, fit
from tui.draw.text import (
    Line,
    age,
    cells,
    clip,
    count,
    right,
    share,
    side_by_side,
    three_digits,
)
from tui.panes.moment import end_names, now_word
from tui.panes.pane import Want
from tui.panes.routes import figure_cell, selected_route
from tui.panes.timeline import MIN_HEIGHT, MIN_WIDTH, timeline_lines
from tui.panes.view import ViewState

_NAME_LIMIT: Final = 40
_LABEL_WIDTH: Final = 8
SCHEDULED_TTFT: Final = "sched TTFT"
SCHEDULED_E2E: Final = "sched E2E"
"""From when an open pace wanted the probe, its wait for a place included."""
_SCHEDULED_LABELS: Final = ("p50", "p90", "p95", "p99", "max")
_FIGURE_WIDTH: Final = 6
_WIDE_CHART: Final = 30
"""Width from which a chart beside the table leaves room for all windows."""
_KEPT: Final[tuple[WindowName, ...]] = ("1m", "5m", "1h", "run")
_TALL_CHART: Final = 10
"""Height from which one below it is as good to read."""
_FRAME_LINES: Final = 2  # the heads, and the line below the rows
USUAL: Final = "usual"
_LEAST_LINES: Final = 6
_MOST_LINES: Final = 26
_GAP: Final = 2
"""Between the table and the chart beside it."""

DrawChart: TypeAlias = Callable[[PercentileTable, int, int, Sequence[str]], tuple[Line, ...]]
"""Draws the charts of a table in a width and a height, with what the moment that they end at may be
called."""


class _Row(msgspec.Struct, frozen=True):
    """One row: `needed` orders what is kept when there are too few lines, 0 first."""

    group: str
    """Written before the label in the first row of the group that is kept."""
    label: str
    needed: float
    cell: Callable[[WindowColumn], Cell]
    usual: float | None = None
    """What is usual of it."""


def _rows(route: RouteView, window: WindowName) -> tuple[_Row, ...]:
    usual = route.usual

    def failed(column: WindowColumn) -> Cell:
        text = share(column.failure_share)
        if not column.failures:
            return Cell(text, "faint")
        return Cell(text, "missed", FAILED) if route.success_missed else Cell(text)

    def speed(column: WindowColumn) -> Cell:
        # The route has one figure, of the window that the table shows.
        if column.window != window:
            return BLANK
        return Cell(three_digits(route.stream_tokens_per_s), "text")

    return (
        _Row("TTFT", "p50", 2, lambda column: figure_cell(column.ttft[0]), usual.ttft_p50),
        _Row("TTFT", "p90", 10, lambda column: figure_cell(column.ttft[1])),
        _Row("TTFT", "p95", 0, lambda column: figure_cell(column.ttft[2]), usual.ttft_p95),
        _Row("TTFT", "p99", 6, lambda column: figure_cell(column.ttft[3])),
        _Row("TTFT", "max", 9, lambda column: figure_cell(column.ttft[4])),
        _Row("TTFT", "n", 7, lambda column: Cell(count(column.ttft[0].n), "faint"), _n(usual)),
        _Row("E2E", "p50", 3, lambda column: figure_cell(column.e2e[0]), usual.e2e_p50),
        _Row("E2E", "p90", 12, lambda column: figure_cell(column.e2e[1])),
        _Row("E2E", "p95", 1, lambda column: figure_cell(column.e2e[2]), usual.e2e_p95),
        _Row("E2E", "p99", 8, lambda column: figure_cell(column.e2e[3])),
        _Row("E2E", "max", 11, lambda column: figure_cell(column.e2e[4])),
        _Row("E2E", "n", 13, lambda column: Cell(count(column.e2e[0].n), "faint")),
        *_scheduled_rows(route),
        _Row("tok/s", "", 5, speed, usual.tokens_per_s),
        _Row("failed", "%", 4, failed),
    )


def _scheduled_rows(route: RouteView) -> tuple[_Row, ...]:
    """Return the rows of an open pace: what users wait from when they come."""
    if route.pace is None:
        return ()

    def row(group: str, place: int, needed: float) -> _Row:
        def cell(column: WindowColumn) -> Cell:
            found = column.scheduled_ttft if group == SCHEDULED_TTFT else column.scheduled_e2e
            return BLANK if found is None else figure_cell(found[place])

        return _Row(group, _SCHEDULED_LABELS[place], needed, cell)

    return (
        *(row(SCHEDULED_TTFT, place, needed) for place, needed in ((0, 2.5), (2, 0.5), (3, 6.5))),
        *(row(SCHEDULED_E2E, place, needed) for place, needed in ((0, 3.5), (2, 1.5), (3, 8.5))),
    )


def _label_width(rows: Sequence[_Row]) -> int:
    return max(_LABEL_WIDTH, *(cells(f"{row.group} {row.label}".rstrip()) for row in rows))


def _n(usual: UsualView) -> float | None:
    return usual.n or None


class Charts:
    """Draws the charts anew only where their points changed: once a second, not ten times."""

    def __init__(self) -> None:
        self._charted: PercentileTable | None = None
        self._look: tuple[int, int, Sequence[str]] = (0, 0, ())
        self._lines: tuple[Line, ...] = ()

    def __call__(
        self, table: PercentileTable, width: int, height: int, ends: Sequence[str]
    ) -> tuple[Line, ...]:
        drawn, look = self._charted, (width, height, ends)
        if drawn is None or self._look != look or not _same_points(drawn, table):
            self._charted, self._look = table, look
            self._lines = timeline_lines(table, width, height, ends)
        return self._lines


def percentiles_lines(
    snapshot: Snapshot,
    view: ViewState,
    width: int,
    height: int,
    draw_chart: DrawChart = timeline_lines,
    zone: tzinfo | None = None,
) -> tuple[Line, ...]:
    """Return the table of the selected route, and its chart beside it, below it or left out."""
    if width <= 0 or height <= 0:
        return ()
    route = selected_route(snapshot, view)
    detail = snapshot.details.get(route.name) if route else None
    if route is None or detail is None:
        return (clip((("no route selected", "dim"),), width),)
    table, now, ends = detail.percentiles, now_word(view), end_names(snapshot, view, zone)
    rows = _rows(route, snapshot.window)
    full = _label_width(rows) + 1 + (_FIGURE_WIDTH + 1) * (len(table.columns) + 1)
    is_narrow = width < full + _GAP + _WIDE_CHART
    # Where a chart would be narrow beside the table and has room below it, it is wide there.
    below = is_narrow and height >= len(rows) + _FRAME_LINES + _TALL_CHART
    if is_narrow and not below and width >= full + _GAP + MIN_WIDTH - (_FIGURE_WIDTH + 1):
        # A chart that can be read is worth more than a window between two others.
        kept = [one for one in table.columns if one.window in (snapshot.window, *_KEPT)]
        full -= (_FIGURE_WIDTH + 1) * (len(table.columns) - len(kept))
        table = replace(table, columns=tuple(kept))
    beside = width >= full + _GAP + MIN_WIDTH and height >= MIN_HEIGHT
    if beside and not below:
        at = full + _GAP
        figures = _table_lines(
            table, rows, snapshot.window, now, full, height, scaled=route.goal_scaled
        )
        return tuple(side_by_side(figures, draw_chart(table, width - at, height, ends), at))
    figures = _table_lines(
        table, rows, snapshot.window, now, width, height, scaled=route.goal_scaled
    )
    return (*figures, *draw_chart(table, width, height - len(figures), ends))


def percentiles_wants(snapshot: Snapshot, view: ViewState) -> Want:  # noqa: ARG001
    """Return lines for the table, and beside it for charts of TTFT and E2E that can be read."""
    return Want(_LEAST_LINES, _MOST_LINES)


def percentiles_brief(snapshot: Snapshot, view: ViewState) -> Line:
    """Return the two figures that goals are set on."""
    route = selected_route(snapshot, view)
    if route is None:
        return ()
    return (
        ("TTFT ", "dim"),
        (three_digits(route.ttft_p95.value), "text"),
        ("  E2E ", "dim"),
        (three_digits(route.e2e_p95.value), "text"),
        *_scheduled_brief(route),
        ("  p95, s", "dim"),
    )


def _scheduled_brief(route: RouteView) -> Line:
    if route.pace is None:
        return ()
    figures = route.pace.scheduled_ttft if route.streamed else route.pace.scheduled_e2e
    return (("  sched ", "dim"), (three_digits(figures[1].value), "text"))


def percentiles_title(snapshot: Snapshot, view: ViewState) -> str:
    """Return the route and its cohort, as percentiles never mix cohorts."""
    route = selected_route(snapshot, view)
    if route is None:
        return "percentiles"
    how = "" if route.streamed else "not streamed"
    names = (route.name, cohort_words(route.cohort), how)
    return " · ".join(["percentiles", *(neutralise(text, _NAME_LIMIT) for text in names if text)])


def cohort_words(cohort: str) -> str:
    """Return a cohort in words: `cap 64, in ≤256`, or `aa-1k, cap 1000, in ≤1k`."""
    cap, _, band = cohort.partition("/")
    band, _, shape = band.partition("/")
    if not band:
        return cohort
    words = f"cap {cap}, in {band if band.startswith('>') else f'≤{band}'}"
    return f"{shape}, {words}" if shape else words


def _table_lines(
    table: PercentileTable,
    rows: Sequence[_Row],
    window: WindowName,
    now: str,
    width: int,
    height: int,
    *,
    scaled: bool,
) -> list[Line]:
    def column(place: int, of: WindowColumn) -> Column[_Row]:
        # The window that the home screen is on is the last to go, before it what is usual.
        priority = 0 if of.window == window else place
        head = now if of.window == WINDOWS[0] else of.window
        cell = lambda row: row.cell(of)  # noqa: E731 - one for each window
        return Column(head, _FIGURE_WIDTH, cell, priority, key=of.window, marked=True)

    columns = [column(place, of) for place, of in enumerate(table.columns, start=2)]
    columns.insert(1, Column(USUAL, _FIGURE_WIDTH, _usual, 1, key=USUAL, marked=True))
    rows = [row for row in rows if table.streamed or row.group not in ("TTFT", SCHEDULED_TTFT)]
    needed = sorted(row.needed for row in rows)[: max(0, height - 2)]
    kept = [row for row in rows if row.needed in needed]
    labels: dict[float, str] = {}
    group = ""
    for row in kept:
        whole = f"{row.group} {row.label}".rstrip()
        labels[row.needed] = row.label if row.group == group else whole
        group = row.group
    first: Column[_Row] = Column(
        "seconds", _label_width(rows), lambda row: Cell(labels[row.needed], "head"), marked=True
    )
    fitted = fit([first, *columns], width)
    lines = [fitted.head_line(window), *(fitted.line(row) for row in kept)]
    if height >= 2:
        lines.append(_status(table, scaled=scaled))
    return [clip(line, width) for line in lines[:height]]


def _status(table: PercentileTable, *, scaled: bool) -> Line:
    """Return what no finished probe can tell: how long the oldest one has been open."""
    goals = f"goals {three_digits(table.goal_ttft_s if table.streamed else None)}"
    if table.goal_e2e_s is not None:
        goals += f" / {three_digits(table.goal_e2e_s)}" + (" for this cap" if scaled else "")
    hangs = table.overdue
    line: Line = (
        ("oldest open ", "head"),
        (right(age(table.oldest_open_s), 6), "missed" if hangs else "text"),
        ("! ", "missed") if hangs else ("  ", "text"),
        (goals, "head"),
    )
    return line


def _usual(row: _Row) -> Cell:
    if row.usual is None:
        return BLANK
    text = count(row.usual) if row.label == "n" else three_digits(row.usual)
    return Cell(text, "dim")


def _same_points(one: PercentileTable, other: PercentileTable) -> bool:
    """Tell whether two tables share what a chart is drawn from: the board hands it on unchanged."""
    return (
        one.timeline is other.timeline
        and one.e2e_timeline is other.e2e_timeline
        and one.markers is other.markers
        and one.streamed == other.streamed
        and (one.goal_ttft_s, one.goal_e2e_s) == (other.goal_ttft_s, other.goal_e2e_s)
    )
