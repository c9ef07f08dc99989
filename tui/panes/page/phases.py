"""Pane 1 of a route's page: where the time went, by phase over time, and now against usual.

The phases are stacked as they follow each other: what comes first is lowest. Each has a glyph of
its own, which the table beside it explains, so that they are told apart without colour too.
"""

from collections.abc import Sequence
from datetime import tzinfo
from typing import Final, NamedTuple

from probes.board.views import PHASES, ChartPoint, PhaseName, PhaseRow, PhaseSlice, Snapshot
from tui.draw.chart import join_cells, row_of
from tui.draw.table import Cell, Column, Table, fit
from tui.draw.text import (
    Line,
    Role,
    Span,
    clip,
    count,
    counted,
    line_width,
    right,
    side_by_side,
    three_digits,
)
from tui.panes.moment import NOW, THEN, end_names, now_word
from tui.panes.page.axis import (
    PageMark,
    Redraw,
    TimeAxis,
    axis_lines,
    axis_until,
    base_line,
    draw_down,
    marks_of,
    scale_top,
    write_in,
)
from tui.panes.page.subject import Subject, of_subject, subject_of
from tui.panes.view import ViewState


class _Look(NamedTuple):
    glyph: str
    role: Role
    name: str


_LOOKS: Final[dict[PhaseName, _Look]] = {
    "retries": _Look("↻", "slow", "retries"),
    "connect": _Look("▒", "faint", "connect"),
    "headers": _Look("▓", "graph", "headers"),
    "first_token": _Look("▚", "accent", "1st token"),
    "writing": _Look("░", "graph", "writing"),
}
"""The darkest shade beside the lightest where two phases mostly meet: waiting and writing are told
apart where both have nearly one colour, and where there is none."""
PHASE_NAMES: Final = {phase: look.name for phase, look in _LOOKS.items()}

_GROWN: Final = 1.25
"""Times its usual from which a phase has grown: a quarter is more than medians of a minute scatter
by themselves."""
GROWN_MUCH: Final = 1.5
"""As the bands of a goal."""
_FELT_SHARE: Final = 0.1
"""Of the usual whole: by less than that nobody feels a phase grow, however many times its usual it
takes."""

_LABEL: Final = 5
_GUTTER: Final = _LABEL + 1
_LEAST_CHART: Final = _GUTTER + 12
_LEAST_PLOT: Final = 3
"""Rows below which a stack says nothing."""
_GAP: Final = 1
_NAME: Final = max(len(look.name) for look in _LOOKS.values())
_FRAME: Final = 2  # axis, times


class _Told(NamedTuple):
    """A row of the table."""

    look: _Look | None
    name: str
    now_s: float | None
    usual_s: float | None
    role: Role
    mark: str


def _times(told: _Told) -> Cell:
    if not told.now_s or not told.usual_s or not told.mark.strip():
        return Cell("")
    ratio = told.now_s / told.usual_s
    return Cell(f"×{ratio:.1f}" if ratio < 99.5 else "×99+", told.role)


def _columns(now: str) -> tuple[Column[_Told], ...]:
    return (
        Column(
            "",
            1,
            lambda told: Cell(*told.look[:2]) if told.look is not None else Cell(""),
            flush_left=True,
        ),
        Column("seconds", _NAME, lambda told: Cell(told.name, "head"), flush_left=True),
        Column(
            now,
            5,
            lambda told: Cell(three_digits(told.now_s), told.role, told.mark),
            key="now",
            marked=True,
        ),
        Column("usual", 5, lambda told: Cell(three_digits(told.usual_s), "dim"), key="usual"),
        Column("×", 5, _times, 1),
    )


_TABLES: Final = {now: fit(_columns(now), 60, gap=1) for now in (NOW, THEN)}
_TABLE_WIDTH: Final = line_width(_TABLES[NOW].head_line())
_NARROW_TABLES: Final = {now: fit(_columns(now)[:-1], 60, gap=1) for now in (NOW, THEN)}


class Phases:
    """Draws the stack anew only where a slice, a mark or the size is another one."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._redraw = Redraw()
        self._lines: tuple[Line, ...] = ()

    @of_subject
    def lines(
        self, subject: Subject, snapshot: Snapshot, view: ViewState, width: int, height: int
    ) -> Sequence[Line]:
        """Return the stack and the table: side by side, one below the other, or the table alone."""
        table, table_width = _table_lines(subject, width, now_word(view))
        if width >= _TABLE_WIDTH + _GAP + _LEAST_CHART and height >= _LEAST_PLOT + _FRAME:
            at = width - table_width
            chart = self._chart(snapshot, view, subject, at - _GAP, height)
            return side_by_side(chart, _cut(table, height), at)
        room = height - len(table)
        if width >= _LEAST_CHART and room >= _LEAST_PLOT + _FRAME:
            chart = self._chart(snapshot, view, subject, width, room)
            return [*chart, *(clip(line, width) for line in table)]
        return [clip(line, width) for line in _cut(table, height)]

    def _chart(
        self, snapshot: Snapshot, view: ViewState, subject: Subject, width: int, height: int
    ) -> tuple[Line, ...]:
        slices = subject.page.phases
        axis = axis_until(snapshot.now_ns, [one.start_ns for one in slices], width - _GUTTER)
        marks = marks_of(snapshot, view, subject, self._zone)
        points = subject.detail.percentiles.timeline if subject.detail is not None else ()
        ends = end_names(snapshot, view, self._zone)
        if self._redraw.due(snapshot.now_ns, slices, axis, marks, height, subject.route.name, ends):
            usual = {row.phase: row.usual_s for row in subject.page.phase_rows}
            usual_s = tuple(usual.get(phase) for phase in PHASES)
            self._lines = stack_lines(slices, axis, marks, height, usual_s, points, ends)
        return self._lines


def stack_lines(
    slices: Sequence[PhaseSlice],
    axis: TimeAxis,
    marks: Sequence[PageMark],
    height: int,
    usual_s: Sequence[float | None] = (),
    points: Sequence[ChartPoint] = (),
    ends: Sequence[str] = (NOW,),
) -> tuple[Line, ...]:
    """Return the phases stacked over time, with scale and axis, in exactly `height` lines.

    Where a phase takes far longer than `usual_s`, by `PHASES`, it is bright. What failed, by
    `points`, stands on the axis.
    """
    stacks = _stacks(slices, axis)
    top = scale_top(max((sum(stack) for stack in stacks), default=0.0))
    rows = height - _FRAME
    plot: list[list[Span]] = [[(" ", "graph")] * axis.columns for _ in range(rows)]
    for column, stack in enumerate(stacks):
        for row, cell in enumerate(_column(stack, rows, top, usual_s)):
            plot[rows - 1 - row][column] = cell
    draw_down(plot, axis, marks)
    if not any(stacks):
        write_in(plot[rows // 2], "no probe has ended yet")
    base = base_line(axis, points, [bool(stack) for stack in stacks])
    body = [(*_scale(row, rows, top), *join_cells(cells)) for row, cells in enumerate(plot)]
    return (*body, *axis_lines(axis, marks, _GUTTER, base, ends))


def _stacks(slices: Sequence[PhaseSlice], axis: TimeAxis) -> list[tuple[float, ...]]:
    """Return what each phase took in each column: the mean of its slices, by how many they saw."""
    sums = [[0.0] * len(PHASES) for _ in range(axis.columns)]
    weights = [0.0] * axis.columns
    for one in slices:
        if not one.p50_s:
            continue
        for column, share in axis.shares(one.start_ns):
            weight = share * max(1, one.n)
            weights[column] += weight
            for place, value in enumerate(one.p50_s):
                sums[column][place] += value * weight
    return [
        tuple(value / weight for value in values) if weight else ()
        for values, weight in zip(sums, weights, strict=True)
    ]


def _column(
    stack: Sequence[float], rows: int, top: float, usual_s: Sequence[float | None]
) -> list[Span]:
    """Return the cells of one column from the lowest up: the phase in the middle of each."""
    whole = sum(usual or 0.0 for usual in usual_s)
    cells: list[Span] = []
    for place, value in enumerate(stack):
        look = _LOOKS[PHASES[place]]
        usual = usual_s[place] if place < len(usual_s) else None
        role, mark = _growth(value, usual, whole)
        cells.append((look.glyph, look.role if mark == " " else role))
    made: list[Span] = []
    reached, phase = 0.0, -1
    for row in range(rows):
        middle = (row + 0.5) * top / rows
        while reached <= middle and phase + 1 < len(stack):
            phase += 1
            reached += stack[phase]
        if reached <= middle:
            break
        made.append(cells[phase])
    if not made and stack and sum(stack) > 0:
        made.append(cells[max(range(len(stack)), key=stack.__getitem__)])
    return made


def _scale(row: int, rows: int, top: float) -> Line:
    value = top if row == 0 else 0.0 if row == rows - 1 else None
    if rows >= 5 and row == row_of(top / 2, rows, top):
        value = top / 2
    if value is None:
        return ((" " * _LABEL + "│", "border"),)
    text = "0" if value == 0 else three_digits(value)
    return ((right(text, _LABEL), "head"), ("┤", "border"))


def _table_lines(subject: Subject, width: int, moment: str) -> tuple[list[Line], int]:
    tables = _TABLES if width >= _TABLE_WIDTH else _NARROW_TABLES
    table: Table[_Told] = tables[moment]
    rows = {row.phase: row for row in subject.page.phase_rows}
    usual = sum(row.usual_s or 0.0 for row in rows.values())
    told = [_told(phase, rows.get(phase), usual) for phase in reversed(PHASES)]
    now = sum(row.now_s or 0.0 for row in rows.values())
    known = any(row.now_s is not None for row in rows.values())
    whole = _Told(None, "in all", now if known else None, usual or None, "text", " ")
    lines = [table.head_line(), *(table.line(one) for one in told), table.line(whole)]
    if rows:
        n_now, n_usual = (
            max(row.n_now for row in rows.values()),
            max(row.n_usual for row in rows.values()),
        )
        samples = _Told(None, "n", None, None, "faint", " ")
        cells = {"now": Cell(count(n_now), "faint"), "usual": Cell(count(n_usual), "faint")}
        lines.append(table.line(samples, cells))
    return lines, line_width(lines[0])


def _told(phase: PhaseName, row: PhaseRow | None, usual_all_s: float) -> _Told:
    look = _LOOKS[phase]
    if row is None or row.now_s is None:
        return _Told(look, look.name, None, row.usual_s if row else None, "faint", " ")
    role, mark = _growth(row.now_s, row.usual_s, usual_all_s)
    return _Told(look, look.name, row.now_s, row.usual_s, role, mark)


def _growth(now_s: float, usual_s: float | None, usual_all_s: float) -> tuple[Role, str]:
    """Return how a phase is shown against its usual: what has grown so that one feels it."""
    if usual_s is None or now_s - usual_s < _FELT_SHARE * usual_all_s:
        return "dim", " "
    if now_s >= GROWN_MUCH * usual_s:
        return "sluggish", "▲"
    return ("slow", "△") if now_s >= _GROWN * usual_s else ("dim", " ")


def _cut(lines: list[Line], height: int) -> list[Line]:
    """Return as many lines as there is room for; the last counts the others."""
    if len(lines) <= height:
        return lines
    hidden = len(lines) - height + 1
    return [*lines[: height - 1], ((f"+{counted(hidden, 'line')}", "faint"),)]


def phases_title(snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG001 - a pane's own
    """Return what is stacked."""
    return "where the time went · p50 a phase"


def phases_subtitle(snapshot: Snapshot, view: ViewState) -> str:
    """Return in which phase most of the wait grew, where one has."""
    subject = subject_of(snapshot, view)
    rows = subject.page.phase_rows if subject is not None else ()
    usual = sum(row.usual_s or 0.0 for row in rows)
    grown = [
        (row.now_s - row.usual_s, row.phase)
        for row in rows
        if row.now_s is not None
        and row.usual_s is not None
        and _growth(row.now_s, row.usual_s, usual)[1] != " "
    ]
    if not grown:
        return ""
    more_s, phase = max(grown)
    return f"most in {_LOOKS[phase].name}: +{three_digits(more_s)} s"
