"""Pane 2 of a route's page: how long all of them took, on a log scale over time.

A percentile hides what two humps show: two causes. Rows are durations, each a fixed part longer
than the one below; columns are time; a cell is the darker, the more fell into it in 10 s.
"""

from collections.abc import Sequence
from datetime import tzinfo
from math import log10
from typing import Final

from probes.board.views import (
    HEAT_FLOOR_S,
    HEAT_ROWS,
    ChartPoint,
    HeatSlice,
    RouteView,
    Snapshot,
    heat_floor_s,
    heat_row,
)
from tui.draw.chart import SLICE_NS, join_cells, role_of
from tui.draw.text import Line, Role, Span, clip, count, line_width, right
from tui.keys import first_key, with_keys
from tui.panes.moment import NOW, end_names
from tui.panes.page.axis import (
    PageMark,
    Redraw,
    TimeAxis,
    axis_lines,
    axis_until,
    base_line,
    draw_down,
    marks_of,
    write_in,
)
from tui.panes.page.subject import Subject, of_subject, subject_of
from tui.panes.view import ViewState

_SHADES: Final = "░▒▓█"
_STEPS: Final = (
    (1, 2, 3, 4),
    (1, 2, 4, 8),
    *(
        (1, 5 * times, 10 * times, 20 * times)
        for power in range(6)
        for times in (10**power, 2 * 10**power, 5 * 10**power)
    ),
)
"""How many in 10 s make each shade. One alone has the lightest, however many others have."""
_LABEL: Final = 5
_GUTTER: Final = _LABEL + 1
_LEAST_WIDTH: Final = _GUTTER + 12
_FRAME: Final = 3  # axis, times, legend
_LEAST_HEIGHT: Final = 6
_ROUND: Final = (1, 2, 5)
"""Of each decade, what is written beside the scale."""


class HeatMaps:
    """Draws a map anew only where a slice, a mark or the size is another one."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._redraw = Redraw()
        self._lines: tuple[Line, ...] = ()

    @of_subject
    def lines(
        self, subject: Subject, snapshot: Snapshot, view: ViewState, width: int, height: int
    ) -> Sequence[Line]:
        """Return the map of TTFT, or of the gaps between chunks."""
        if width < _LEAST_WIDTH or height < _LEAST_HEIGHT:
            return (clip(((with_keys("no room for a map: {maximise}", view.keys), "dim"),), width),)
        slices = (
            subject.page.gap_heat if is_of_gaps(view, subject.route) else subject.page.ttft_heat
        )
        goal_s = None if is_of_gaps(view, subject.route) else subject.route.goal_ttft_s or None
        axis = axis_until(snapshot.now_ns, [one.start_ns for one in slices], width - _GUTTER)
        marks = marks_of(snapshot, view, subject, self._zone)
        points = subject.detail.percentiles.timeline if subject.detail is not None else ()
        ends = end_names(snapshot, view, self._zone)
        what = is_of_gaps(view, subject.route), subject.route.name
        if self._redraw.due(snapshot.now_ns, slices, axis, marks, height, goal_s, what, ends):
            self._lines = heat_lines(slices, axis, marks, height, goal_s, points, ends)
        return self._lines


def is_of_gaps(view: ViewState, route: RouteView) -> bool:
    """Tell whether the map is of gaps; what is not streamed has no TTFT, and no gaps either.

    Until somebody chooses, a route whose streams pause shows where: that is what is to be proved.
    """
    chosen = view.page.gaps
    return route.streamed and (route.state == "stalling" if chosen is None else chosen)


def heat_lines(
    slices: Sequence[HeatSlice],
    axis: TimeAxis,
    marks: Sequence[PageMark],
    height: int,
    goal_s: float | None,
    points: Sequence[ChartPoint] = (),
    ends: Sequence[str] = (NOW,),
) -> tuple[Line, ...]:
    """Return the map with scale, axis, times and legend, in exactly `height` lines."""
    rows = height - _FRAME
    low, step = _range(slices, rows, goal_s)
    grid: list[list[float]] = [[0.0] * axis.columns for _ in range(rows)]
    is_covered = [False] * axis.columns
    slices_a_column = axis.column_ns / SLICE_NS
    for one in slices:
        for column, share in axis.shares(one.start_ns):
            is_covered[column] |= bool(one.counts)
            for row, many in one.counts:
                line = min(max(0, (row - low) // step), rows - 1)
                grid[line][column] += many * share / slices_a_column
    steps = _shades_for(max((max(numbers) for numbers in grid), default=0.0))
    plot: list[list[Span]] = [[(" ", "graph")] * axis.columns for _ in range(rows)]
    for line, numbers in enumerate(grid):
        role = _role(low + line * step, goal_s)
        for column, number in enumerate(numbers):
            if number > 0:
                shade = _shade(number, steps)
                plot[rows - 1 - line][column] = (shade, role)
    goal_line = None
    if goal_s is not None:
        goal_line = rows - 1 - min(max(0, (heat_row(goal_s) - low) // step), rows - 1)
        plot[goal_line] = [("┄", "goal") if cell[0] == " " else cell for cell in plot[goal_line]]
        _name_goal(plot[goal_line])
    draw_down(plot, axis, marks)
    if not any(is_covered):
        write_in(plot[rows // 2], "no answer has come yet")
    base = base_line(axis, points, is_covered)
    body = [
        (*_scale(low + (rows - 1 - at) * step, step, at == goal_line), *join_cells(cells))
        for at, cells in enumerate(plot)
    ]
    width = axis.columns + _GUTTER
    return (*body, *axis_lines(axis, marks, _GUTTER, base, ends), _legend(steps, width))


def _range(slices: Sequence[HeatSlice], rows: int, goal_s: float | None) -> tuple[int, int]:
    """Return the lowest row that is shown and how many a line stands for.

    Where there is more room than durations, the scale goes on above and below them.
    """
    used = [row for one in slices for row, _ in one.counts]
    if goal_s is not None:
        used.append(heat_row(goal_s))
    low, high = (min(used), max(used)) if used else (0, HEAT_ROWS - 1)
    step = 1
    # A line holds rows of one multiple, so that it means the same as the range moves.
    while high // step - low // step + 1 > rows:
        step += 1
    spare = rows - (high // step - low // step + 1)
    low = low // step * step - spare // 2 * step
    return max(0, min(low, (HEAT_ROWS // step - rows) * step)), step


def _shades_for(most: float) -> tuple[int, ...]:
    """Return how many in 10 s make each shade, where `most` are in the fullest cell."""
    for steps in _STEPS:
        if most < steps[-1] * 2:
            return steps
    return _STEPS[-1]


def _shade(number: float, steps: Sequence[int]) -> str:
    """Return the shade of a number: a fraction of one, at a column's edge, is one."""
    at = sum(number >= least - 0.5 for least in steps)
    return _SHADES[max(0, at - 1)]


def _role(row: int, goal_s: float | None) -> Role:
    """Return the role of a line: how its durations are against the goal."""
    if goal_s is None or row <= heat_row(goal_s):
        return "graph"
    return role_of(heat_floor_s(row), goal_s)


def _scale(row: int, step: int, is_goal: bool) -> Line:
    """Return what a line means, where it holds a round figure or the goal."""
    role: Role = "goal" if is_goal else "head"
    text = _round_figure(row, step)
    if is_goal and not text:
        text = _figure(heat_floor_s(row))
    if not text:
        return ((" " * _LABEL + "│", "border"),)
    return ((right(text, _LABEL), role), ("┤", "border"))


def _round_figure(row: int, step: int) -> str:
    """Return the round figure that lies in a line; empty without any."""
    floor, ceiling = heat_floor_s(row), heat_floor_s(row + step)
    decade = 10.0 ** int(log10(floor / HEAT_FLOOR_S) + 1e-9) * HEAT_FLOOR_S
    for factor in (*_ROUND, *(10 * one for one in _ROUND)):
        value = decade * factor
        if floor <= value * (1 + 1e-9) < ceiling:
            return _figure(value)
    return ""


def _figure(value_s: float) -> str:
    return f"{value_s * 1000:.0f}ms" if value_s < 0.995 else f"{value_s:.2g}s"


def _name_goal(cells: list[Span]) -> None:
    """Write what the line is, where it has room for the word."""
    word = " goal "
    for begin in range(len(cells) - len(word) - 1, -1, -1):
        part = cells[begin : begin + len(word)]
        if all(cell == ("┄", "goal") for cell in part):
            cells[begin : begin + len(word)] = [(letter, "goal") for letter in word]
            return


def _legend(steps: Sequence[int], width: int) -> Line:
    """Return how many make each shade."""
    line: Line = ((" " * _GUTTER, "text"),)
    for shade, number in zip(_SHADES, steps, strict=True):
        part: Line = ((shade, "graph"), (f" {count(number)}  ", "faint"))
        if line_width(line) + line_width(part) > width:
            return line
        line = (*line, *part)
    for words in ("or more in 10 s", "in 10 s"):
        if line_width(line) + len(words) <= width:
            return (*line, (words, "faint"))
    return line


def heat_title(snapshot: Snapshot, view: ViewState) -> str:
    """Return what the map is of."""
    subject = subject_of(snapshot, view)
    key = first_key("gaps", view.keys)
    if subject is not None and is_of_gaps(view, subject.route):
        return "gaps between chunks · log scale" + (f" · TTFT: {key}" if key else "")
    if subject is not None and not subject.route.streamed:
        return "not streamed: no TTFT"
    return "TTFT, all probes · log scale" + (f" · gaps: {key}" if key else "")


def heat_subtitle(snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG001 - a pane's own
    """Return how to read it."""
    return "two humps = two causes"
