"""The percentiles table as lines: windows side by side, the rows that matter most kept longest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final, TypeAlias

from probes.board.views import Figure, Grade, PercentileTable, WindowColumn, WindowName
from tui.draw.text import (
    Line,
    Span,
    age,
    clip,
    count,
    join,
    pad,
    right,
    seconds,
    share,
    three_digits,
)
from tui.panes.routes_columns import figure_role
from tui.panes.timeline_lines import MIN_HEIGHT, MIN_WIDTH, timeline_lines

FEW_SAMPLES: Final = "°"
"""Beside a figure of too few samples: it is the largest of them, not yet a percentile."""

_MARKS: Final[dict[Grade, str]] = {"slow": "△", "sluggish": "▲"}
_LABEL: Final = 9
_CELL: Final = 7
_GAP: Final = 2


Chart: TypeAlias = Callable[[PercentileTable, int, int], tuple[Line, ...]]


@dataclass(frozen=True, slots=True)
class _Row:
    """One row: `needed` orders what is kept when there are too few lines, 0 first."""

    group: str
    """Written before the label in the first row of the group that is kept."""
    label: str
    needed: int
    cell: Callable[[WindowColumn], tuple[Span, ...]]


def figure_spans(figure: Figure, width: int) -> tuple[Span, ...]:
    """Return a figure right-aligned in `width` cells, the last of them for its mark."""
    if figure.value is None:
        return ((right(seconds(None), width - 1) + " ", "faint"),)
    mark = _MARKS.get(figure.grade, " ") if figure.enough else FEW_SAMPLES
    return ((right(seconds(figure.value), width - 1) + mark, figure_role(figure)),)


def percentiles_lines(
    table: PercentileTable,
    *,
    window: WindowName,
    width: int,
    height: int,
    success_missed: bool = False,
    chart: Chart = timeline_lines,
) -> tuple[Line, ...]:
    """Return the pane: table left and chart right where both fit, else the chart below or left out.

    Args:
        table: figures of the selected route.
        window: the home screen's window, lit in the head.
        width: cells there are.
        height: lines there are.
        success_missed: the route's success goal is missed, so its failures stand out.
        chart: draws the charts of a table in a width and a height.
    """
    if width <= 0 or height <= 0:
        return ()
    full = _LABEL + _CELL * len(table.columns)
    if width >= full + _GAP + MIN_WIDTH and height >= MIN_HEIGHT:
        figures = _table_lines(table, window, full, height, success_missed)
        return _beside(figures, chart(table, width - full - _GAP, height), full + _GAP)
    figures = _table_lines(table, window, width, height, success_missed)
    return (*figures, *chart(table, width, height - len(figures)))


def _beside(left: Sequence[Line], right_side: Sequence[Line], at: int) -> tuple[Line, ...]:
    blank: tuple[Line, ...] = ((),)
    rows = max(len(left), len(right_side))
    padded = (*left, *blank * (rows - len(left)))
    return tuple((*pad(line, at), *other) for line, other in zip(padded, right_side, strict=True))


def _table_lines(
    table: PercentileTable, window: WindowName, width: int, height: int, success_missed: bool
) -> tuple[Line, ...]:
    columns = _fitting(table.columns, window, width)
    told = [row for row in _rows(success_missed) if table.streamed or row.group != "TTFT"]
    rows = _kept(told, height - 2)
    lines = [_head(columns, window), *_row_lines(rows, columns)]
    if height >= 2:
        lines.append(_status(table))
    return tuple(clip(line, width) for line in lines[:height])


def _fitting(
    columns: tuple[WindowColumn, ...], window: WindowName, width: int
) -> tuple[WindowColumn, ...]:
    """Return as many windows as fit, in order; the home screen's own window goes last."""
    room = max(1, (width - _LABEL) // _CELL)
    wanted = sorted(columns, key=lambda column: column.window != window)[:room]
    return tuple(column for column in columns if column in wanted)


def _kept(rows: Sequence[_Row], room: int) -> list[_Row]:
    limit = sorted(row.needed for row in rows)[: max(0, room)]
    return [row for row in rows if row.needed in limit]


def _rows(success_missed: bool) -> tuple[_Row, ...]:
    return (
        _Row("TTFT", "p50", 2, _ttft(0)),
        _Row("TTFT", "p90", 9, _ttft(1)),
        _Row("TTFT", "p95", 0, _ttft(2)),
        _Row("TTFT", "p99", 5, _ttft(3)),
        _Row("TTFT", "max", 8, _ttft(4)),
        _Row("TTFT", "n", 6, lambda column: _number(column.ttft[0].n)),
        _Row("E2E", "p50", 3, _e2e(0)),
        _Row("E2E", "p90", 11, _e2e(1)),
        _Row("E2E", "p95", 1, _e2e(2)),
        _Row("E2E", "p99", 7, _e2e(3)),
        _Row("E2E", "max", 10, _e2e(4)),
        _Row("E2E", "n", 12, lambda column: _number(column.e2e[0].n)),
        _Row("failed", "%", 4, _failed(success_missed)),
    )


def _ttft(index: int) -> Callable[[WindowColumn], tuple[Span, ...]]:
    return lambda column: figure_spans(column.ttft[index], _CELL)


def _e2e(index: int) -> Callable[[WindowColumn], tuple[Span, ...]]:
    return lambda column: figure_spans(column.e2e[index], _CELL)


def _number(n: int) -> tuple[Span, ...]:
    return ((right(count(n), _CELL - 1) + " ", "faint"),)


def _failed(missed: bool) -> Callable[[WindowColumn], tuple[Span, ...]]:
    def cell(column: WindowColumn) -> tuple[Span, ...]:
        text = right(share(column.failure_share), _CELL - 1)
        if not column.failures:
            return ((text + " ", "faint"),)
        return ((text + "✕", "missed"),) if missed else ((text + " ", "text"),)

    return cell


def _head(columns: Sequence[WindowColumn], window: WindowName) -> Line:
    names: list[Span] = [
        (right(column.window, _CELL - 1) + " ", "accent" if column.window == window else "head")
        for column in columns
    ]
    return ((right("seconds", _LABEL - 1) + " ", "head"), *names)


def _row_lines(rows: Sequence[_Row], columns: Sequence[WindowColumn]) -> list[Line]:
    lines: list[Line] = []
    group = ""
    for row in rows:
        label = row.label if row.group == group else f"{row.group} {row.label}"
        group = row.group
        start: Line = ((right(label, _LABEL - 1) + " ", "head"),)
        lines.append(join((start, *(row.cell(column) for column in columns))))
    return lines


def _status(table: PercentileTable) -> Line:
    """Return what no finished probe can tell: how long the oldest one has been open."""
    goals = f"goals {three_digits(table.goal_ttft_s if table.streamed else None)}"
    if table.goal_e2e_s is not None:
        goals += f" / {three_digits(table.goal_e2e_s)}"
    hangs = table.oldest_open_s is not None and table.oldest_open_s > _patience(table)
    return (
        ("oldest open ", "head"),
        (right(age(table.oldest_open_s), 6), "missed" if hangs else "text"),
        ("! ", "missed") if hangs else ("  ", "text"),
        (goals, "head"),
    )


def _patience(table: PercentileTable) -> float:
    """Return the age in seconds from which an open probe has missed every goal it has."""
    if not table.streamed:
        return inf if table.goal_e2e_s is None else table.goal_e2e_s
    return max(table.goal_ttft_s, table.goal_e2e_s or 0.0)
