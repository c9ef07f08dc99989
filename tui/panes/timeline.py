"""TTFT and E2E over the last minutes: p95 a line, p50 an area, the goal, what the user did."""

from collections.abc import Sequence
from itertools import chain
from typing import Final, NamedTuple

import msgspec

from probes.board.views import ChartPoint, Marker, MarkerKind, PercentileTable
from probes.kit.sanitise import neutralise
from tui.draw.chart import (
    FAILED,
    NO_SAMPLE,
    THROTTLED,
    Buckets,
    Series,
    braille_cells,
    join_cells,
    nice_top,
    rebucket,
    row_of,
    span_of,
    times_text,
)
from tui.draw.glyphs import EIGHTHS
from tui.draw.text import Line, Role, Span, cells, left, line_width, right, three_digits
from tui.panes.moment import NOW
from tui.panes.routes import hurt_role

MIN_HEIGHT: Final = 6
"""Legend, three rows of plot, axis, times."""
MIN_WIDTH: Final = 20

_LABEL: Final = 5
_GUTTER: Final = _LABEL + 1
_DOTS: Final = 2
"""Columns of dots in a braille cell: a column of time each."""
_BOTH_FROM: Final = 18
"""Height from which E2E has a chart too."""
_MARKER_ROW_FROM: Final = 8
"""Height from which the marks have a row of their own for what they say."""
_BAD_FROM: Final = 9
"""Height from which a line beneath the chart tells how many probes were not good."""
_LONGEST_MARK: Final = 24
_LEAST_MARK: Final = 8
"""Cells in which the beginning of a mark's words still says something."""
_TOGETHER: Final = 2
"""Cells between two marks up to which they are one group: their words would hide each other."""
_MARK_ROLES: Final[dict[MarkerKind, Role]] = {
    "onset": "missed",
    "recovered": "good",
    "knob": "accent",
    "mark": "accent",
    "cohort": "dim",
}
"""The most needed first: whose words stand where there is room for those of one."""
_UNDER_GOAL: Final[tuple[Span, ...]] = ((" ", "graph"), ("⣿", "graph_dim"))
"""Blank, or inside the area: where the goal's line is drawn over."""


class _Subject(msgspec.Struct, frozen=True):
    """What one chart shows."""

    name: str
    points: Sequence[ChartPoint]
    goal: float | None
    markers: Sequence[Marker]
    span_ns: int
    ends: Sequence[str]
    """What the moment that it ends at may be called, the longest first."""
    in_words: bool = True
    """The marks' words stand above it, not only their lines in it."""


def timeline_lines(
    table: PercentileTable, width: int, height: int, ends: Sequence[str] = (NOW,)
) -> tuple[Line, ...]:
    """Return the charts in exactly `height` lines: TTFT, and beneath it E2E where there is room.

    Of what is not streamed there is E2E alone. Empty where there is too little room to read any.
    `ends` is what the moment that they end at may be called, the longest first.
    """
    if width < MIN_WIDTH or height < MIN_HEIGHT:
        return ()
    if not table.streamed:
        points, span_ns = table.e2e_timeline, span_of(table.e2e_timeline)
        return _chart(
            _Subject("E2E s", points, table.goal_e2e_s, table.markers, span_ns, ends),
            width,
            height,
        )
    span_ns = span_of(table.timeline)
    goal_e2e_s = table.goal_e2e_s
    ttft = _Subject("TTFT s", table.timeline, table.goal_ttft_s, table.markers, span_ns, ends)
    if height < _BOTH_FROM:
        return _chart(ttft, width, height)
    e2e = _Subject(
        "E2E s", table.e2e_timeline, goal_e2e_s, table.markers, span_ns, ends, in_words=False
    )
    lower = height // 2
    return (*_chart(ttft, width, height - lower), *_chart(e2e, width, lower))


def _chart(subject: _Subject, width: int, height: int) -> tuple[Line, ...]:
    columns = width - _GUTTER
    buckets = rebucket(subject.points, columns * _DOTS, span_ns=subject.span_ns, align=_DOTS)
    top = nice_top(_all_values(buckets), subject.goal or 0.0)
    head = [_legend(subject.name, width)]
    marks = _marks(subject.markers, buckets)
    if marks and subject.in_words and height >= _MARKER_ROW_FROM:
        head.append(_marker_row(marks, columns))
    with_bad = height >= _BAD_FROM and any(point.finished for point in subject.points)
    rows = height - len(head) - 2 - with_bad
    plot = _plot(subject.goal, buckets, columns, rows, top)
    _overlay_marks(plot, marks)
    if not subject.points:
        _overlay_text(plot[rows // 2], "no sample yet")
    labels = _labels(rows, top, subject.goal)
    body = [(*labels[row], *join_cells(cells)) for row, cells in enumerate(plot)]
    bad = (_bad_row(buckets),) if with_bad else ()
    times: Line = ((" " * _GUTTER + times_text(subject.span_ns, columns, subject.ends), "head"),)
    return (*head, *body, _axis(buckets), *bad, times)


def _all_values(buckets: Buckets) -> list[float | None]:
    return list(chain.from_iterable((slot.p50, slot.p95) for slot in buckets.slots if slot))


def _plot(
    goal: float | None, buckets: Buckets, columns: int, rows: int, top: float
) -> list[list[Span]]:
    """Return the cells of the plot, the goal drawn where it hides no edge."""
    middle = tuple(slot.p50 if slot else None for slot in buckets.slots)
    worst = tuple(slot.p95 if slot else None for slot in buckets.slots)
    series = (Series(middle, "graph_dim", filled=True), Series(worst, goal=goal))
    cells = braille_cells(series, columns, rows, top)
    if goal is not None:
        goal_row = cells[row_of(goal, rows, top)]
        goal_row[:] = [("┄", "goal") if cell in _UNDER_GOAL else cell for cell in goal_row]
    return cells


def _legend(name: str, width: int) -> Line:
    """Return as much of the key to the chart as fits, the more needed parts first."""
    lines: Line = ((f"{name:<8}", "title"), ("⠒⠒", "text"), (" p95  ", "dim"))
    area: Line = (("⣶⣶", "graph_dim"), (" p50  ", "dim"))
    goal: Line = (("┄┄", "goal"), (" goal", "dim"))
    events: Line = (("  ", "dim"), (FAILED, "missed"), (" failed  ", "dim"))
    limits: Line = ((THROTTLED, "throttled"), (" 429  ", "dim"))
    none: Line = ((NO_SAMPLE, "faint"), (" no sample", "dim"))
    kept: Line = ()
    for part in (lines, area, goal, events, limits, none):
        if line_width(kept) + line_width(part) > width:
            break
        kept = (*kept, *part)
    return kept


def _labels(rows: int, top: float, goal: float | None) -> list[Line]:
    """Return the scale at the left: its ends, the goal, and the middle where there is room."""
    values: dict[int, Span] = {rows - 1: ("0", "head")}
    if rows >= 5:
        values[row_of(top / 2, rows, top)] = (three_digits(top / 2), "head")
    if goal is not None:
        values[row_of(goal, rows, top)] = (three_digits(goal), "goal")
    values[0] = (three_digits(top), "head")
    return [_label(values.get(row)) for row in range(rows)]


def _label(value: Span | None) -> Line:
    if value is None:
        return ((" " * _LABEL + "│", "border"),)
    text, role = value
    return ((right(text, _LABEL), role), ("┤", "border"))


def _axis(buckets: Buckets) -> Line:
    """Return the base line, on which every slice without a figure says why."""
    pairs = zip(buckets.slots[::_DOTS], buckets.slots[1::_DOTS], strict=True)
    return ((" " * _LABEL + "└", "border"), *join_cells(_axis_cell(pair) for pair in pairs))


def _axis_cell(pair: Sequence[ChartPoint | None]) -> Span:
    slots = [slot for slot in pair if slot is not None]
    throttled = max((slot.throttled for slot in slots), default=0)
    failures = max((slot.failures for slot in slots), default=0)
    if throttled or failures:
        return (THROTTLED, "throttled") if throttled > failures else (FAILED, "missed")
    sampled = any(slot.p95 is not None for slot in slots)
    return ("─", "border") if sampled or not slots else (NO_SAMPLE, "faint")


def _bad_row(buckets: Buckets) -> Line:
    """Return the share of the probes that were not good, on a scale of 0 to 100 %."""
    pairs = zip(buckets.slots[::_DOTS], buckets.slots[1::_DOTS], strict=True)
    return ((f"{'bad %':>{_LABEL}}│", "head"), *join_cells(_bad_cell(pair) for pair in pairs))


def _bad_cell(pair: Sequence[ChartPoint | None]) -> Span:
    finished = sum(slot.finished for slot in pair if slot is not None)
    bad = finished - sum(slot.good for slot in pair if slot is not None)
    if not finished or bad <= 0:
        return " ", "faint"
    share = bad / finished
    role = hurt_role(share)
    # A bar is never reversed, which without colours would read the other way.
    return EIGHTHS[min(int(share * len(EIGHTHS)), len(EIGHTHS) - 1)], (
        "sluggish" if role == "missed" else role
    )


class _Mark(NamedTuple):
    column: int
    """Cell of the plot."""
    text: str
    kind: MarkerKind


def _marks(markers: Sequence[Marker], buckets: Buckets) -> list[_Mark]:
    """Return the marks that are in sight, oldest first."""
    placed = ((buckets.column_of(marker.at_ns), marker) for marker in markers)
    return [
        _Mark(column // _DOTS, neutralise(marker.text, _LONGEST_MARK), marker.kind)
        for column, marker in sorted(placed, key=lambda one: one[1].at_ns)
        if column is not None
    ]


def _marker_row(marks: Sequence[_Mark], columns: int) -> Line:
    """Return the marks with their words, right or left of them; those that lie together have words
    in common, and where there is no room for any their number."""
    row: list[Span] = [(" ", "text")] * columns
    for mark in sorted(marks, key=lambda one: -_need(one)):
        row[mark.column] = ("▾", _MARK_ROLES[mark.kind])
    groups: list[list[_Mark]] = []
    for mark in marks:
        if groups and mark.column - groups[-1][-1].column <= _TOGETHER:
            groups[-1].append(mark)
        else:
            groups.append([mark])
    # The newest of the most needed first: it is what one looks for.
    for group in sorted(groups, key=lambda group: (min(map(_need, group)), -group[-1].column)):
        _put_words(row, group)
    return ((" " * _GUTTER, "text"), *join_cells(row))


def _need(mark: _Mark) -> int:
    return list(_MARK_ROLES).index(mark.kind)


def _put_words(row: list[Span], group: Sequence[_Mark]) -> None:
    """Write as much of a group's words as there is room for beside it."""
    first, last = group[0].column, group[-1].column
    after, before = _free(row, last + 1, 1), _free(row, first - 1, -1)
    named = min(reversed(group), key=_need).text
    texts = list(dict.fromkeys(mark.text for mark in group))
    more = len(group) - 1
    tries = [", ".join(texts), f"{named} +{more}" if more else named]
    if max(after, before) >= _LEAST_MARK and not more:
        tries.append(left(named, max(after, before)))
    tries += [f"×{len(group)}"] if more else []
    for text in tries:
        size = cells(text)
        if 0 < size <= after:
            start = last + 1
        elif 0 < size <= before:
            start = first - size
        else:
            continue
        # Wide characters take two cells of the row, of which the second holds nothing.
        rest: list[Span] = [("", "dim")] * (size - 1)
        row[start : start + size] = [(text, "dim"), *rest]
        return


def _free(row: Sequence[Span], start: int, step: int) -> int:
    """Return how many cells are blank from one on, a blank before what comes next left out."""
    place = start
    while 0 <= place < len(row) and row[place][0] == " ":
        place += step
    number = abs(place - start)
    return number if not 0 <= place < len(row) else max(0, number - 1)


def _overlay_marks(plot: Sequence[list[Span]], marks: Sequence[_Mark]) -> None:
    # The most needed last, over the others of its cell.
    for mark in sorted(marks, key=_need, reverse=True):
        for row in plot:
            if row[mark.column][0] in " ┄┊":
                row[mark.column] = ("┊", _MARK_ROLES[mark.kind])


def _overlay_text(cells: list[Span], text: str) -> None:
    start = (len(cells) - len(text)) // 2
    if start >= 0:
        cells[start : start + len(text)] = [(letter, "dim") for letter in text]
