"""The time axis of a page's charts: columns of equal time that end at the moment that is shown, and
the marks on it.

Rule 1. A chart ends at that moment, not at its newest sample: where nothing comes back, that is
what it shows.
Rule 2. Edges of columns are whole multiples of a column's length, so that charts scroll by whole
columns. A slice that lies in two columns belongs to each by the time it shares with it.
Rule 3. Marks are the same on all charts of a page, and stand on the axis itself.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final

from probes.board.views import ChartPoint, Snapshot
from probes.kit.clock import NS_PER_S
from probes.kit.sanitise import neutralise
from tui.draw.chart import (
    FAILED,
    NO_SAMPLE,
    SLICE_NS,
    SPANS_NS,
    THROTTLED,
    join_cells,
    nice_top,
    times_text,
)
from tui.draw.text import Line, Role, Span, cells, time_of_day
from tui.panes.moment import NOW
from tui.panes.page.subject import Subject, incidents_of
from tui.panes.routes import STATE_ROLES
from tui.panes.view import ViewState

ONSET: Final = "▲"
TURNED: Final = "▾"
OVER: Final = "✓"
T0: Final[tuple[str, Role, str]] = ("T", "title", "0")
"""Read together; where there is no room for both the letter is left."""
RULE: Final = "─"
DOWN: Final = "┊"
"""What a mark looks like in a chart, where nothing else stands."""

_LONGEST_MARK: Final = 24


@dataclass(frozen=True, slots=True)
class PageMark:
    """A moment that matters: an onset, an end, a knob, T0."""

    at_ns: int
    glyph: str
    role: Role
    words: str


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """The time that columns stand for."""

    columns: int
    column_ns: int
    first: int
    """Index of the first column: it starts at `first * column_ns`."""
    span_ns: int

    def column_of(self, at_ns: int) -> int | None:
        """Return the column of a moment; None where it is not in sight."""
        column = at_ns // self.column_ns - self.first
        return column if 0 <= column < self.columns else None

    def shares(self, start_ns: int) -> Iterable[tuple[int, float]]:
        """Yield the columns that a slice lies in, each with the share of the slice that it has."""
        end_ns = start_ns + SLICE_NS
        for column in range(start_ns // self.column_ns, (end_ns - 1) // self.column_ns + 1):
            if 0 <= column - self.first < self.columns:
                begin = max(start_ns, column * self.column_ns)
                until = min(end_ns, (column + 1) * self.column_ns)
                yield column - self.first, (until - begin) / SLICE_NS


class Redraw:
    """Tells when a chart is to be drawn anew: for another size, axis or mark at once, for what is
    new in its open slice once a second."""

    def __init__(self) -> None:
        self._drawn: tuple[object, ...] = ()
        self._second = 0

    def due(self, now_ns: int, *drawn: object) -> bool:
        """Tell whether a chart that shows `drawn` at a moment is another one than was drawn.

        The first of them is what may wait for the next second.
        """
        second = now_ns // NS_PER_S
        if drawn[1:] == self._drawn[1:] and (second == self._second or drawn[0] == self._drawn[0]):
            return False
        self._drawn, self._second = drawn, second
        return True


def axis_until(now_ns: int, starts: Sequence[int], columns: int) -> TimeAxis:
    """Return an axis that ends at the slice of `now_ns` and holds slices from the first of
    `starts` on, as far back as a page reaches."""
    # The end moves slice by slice: a chart is then drawn once for each.
    end_ns = (now_ns // SLICE_NS + 1) * SLICE_NS
    reach_ns = end_ns - min(starts, default=end_ns)
    span_ns = next((span for span in SPANS_NS if reach_ns <= span), SPANS_NS[-1])
    column_ns = max(1, span_ns // max(1, columns))
    last = (end_ns - 1) // column_ns
    return TimeAxis(columns, column_ns, last + 1 - columns, span_ns)


def scale_top(largest: float) -> float:
    """Return the top of a scale of seconds: a power of two, or half as much again, that holds the
    largest.

    Those are far enough apart that the scale stays put while samples come and go.
    """
    top = nice_top((largest,), 0.0)
    return top * 0.75 if largest <= top * 0.75 else top


def marks_of(
    snapshot: Snapshot, view: ViewState, subject: Subject, zone: tzinfo | None = None
) -> tuple[PageMark, ...]:
    """Return what happened to a route, oldest first: onsets, ends, knobs, a user's marks, T0."""

    def clock(at_ns: int) -> str:
        return time_of_day(at_ns, snapshot.wall_anchor_ns, zone)

    # What is open has the colour of what it makes of the route; what is over is dim.
    onsets: dict[int, Role] = {
        one.diagnosis.since_ns: _on_line(STATE_ROLES[one.state or "slow"])
        for one in incidents_of(snapshot, subject.route.name)
    }
    marks = []
    for mark in subject.detail.percentiles.markers if subject.detail is not None else ():
        words = neutralise(mark.text, _LONGEST_MARK)
        if mark.kind == "onset":
            onsets.setdefault(mark.at_ns, "dim")
        elif mark.kind == "recovered":
            marks.append(PageMark(mark.at_ns, OVER, "good", clock(mark.at_ns)))
        else:
            marks.append(PageMark(mark.at_ns, TURNED, "accent", words))
    marks += [PageMark(at_ns, ONSET, role, clock(at_ns)) for at_ns, role in onsets.items()]
    if view.page.t0_ns is not None and t0_is_of(view, subject):
        marks.append(PageMark(view.page.t0_ns, *T0))
    return tuple(sorted(marks, key=lambda mark: mark.at_ns))


def t0_is_of(view: ViewState, subject: Subject) -> bool:
    """Tell whether the figures of T0 are those of this route."""
    return view.page.t0 is not None and view.page.t0_route == subject.route.name


def _on_line(role: Role) -> Role:
    # White on red is for a glyph alone, and on an axis it would be read as a failure.
    return "missed" if role == "alert" else role


def draw_down(rows: Sequence[list[Span]], axis: TimeAxis, marks: Iterable[PageMark]) -> None:
    """Draw the marks through a chart, where its cells are blank or a goal's line."""
    for mark in marks:
        column = axis.column_of(mark.at_ns)
        if column is None:
            continue
        for row in rows:
            if row[column][0] in " ┄":
                row[column] = (DOWN, mark.role)


def write_in(row: list[Span], text: str) -> None:
    """Write words into the middle of a chart that has nothing else to show."""
    start = (len(row) - len(text)) // 2
    if start >= 0:
        row[start : start + len(text)] = [(letter, "dim") for letter in text]


def base_line(
    axis: TimeAxis, points: Sequence[ChartPoint], has_sample: Sequence[bool]
) -> list[Span]:
    """Return the base of a chart: columns in which something failed or was throttled, and those
    without a sample since the first one, say so."""
    failed, throttled = [0] * axis.columns, [0] * axis.columns
    for point in points:
        if point.failures or point.throttled:
            for column, _ in axis.shares(point.start_ns):
                failed[column] += point.failures
                throttled[column] += point.throttled
    begun = next((at for at, there in enumerate(has_sample) if there), axis.columns)
    # What has begun in the open slice may end in it yet.
    closed = axis.columns - -(-SLICE_NS // axis.column_ns)
    base: list[Span] = []
    for column, there in enumerate(has_sample):
        if failed[column] or throttled[column]:
            more = throttled[column] > failed[column]
            base.append((THROTTLED, "throttled") if more else (FAILED, "missed"))
        else:
            silent = not there and begun <= column < closed
            base.append((NO_SAMPLE, "faint") if silent else (RULE, "border"))
    return base


def axis_lines(
    axis: TimeAxis,
    marks: Iterable[PageMark],
    gutter: int,
    base: Sequence[Span] = (),
    ends: Sequence[str] = (NOW,),
) -> tuple[Line, Line]:
    """Return the base line with its marks, and what the columns mean in time.

    Args:
        axis: of the chart.
        marks: what stands on it, oldest first.
        gutter: cells before the first column, the rule of the scale among them.
        base: what the base line says where no mark stands; empty is a plain rule.
        ends: what the moment that it ends at may be called, the longest first.
    """
    line = list(base) or [(RULE, "border")] * axis.columns
    placed = [(column, one) for one in marks if (column := axis.column_of(one.at_ns)) is not None]
    free = 0
    for number, (column, mark) in enumerate(placed):
        line[column] = (mark.glyph, mark.role)
        if not mark.words or cells(mark.words) != len(mark.words):
            free = column + 1
            continue
        end = placed[number + 1][0] if number + 1 < len(placed) else axis.columns
        size = len(mark.words)
        # Right of the mark, or left of it; what stands on the axis is not hidden by words.
        places = ((column + 1, end), (column - size, column))
        begin = next(
            (
                begin
                for begin, until in places
                if free <= begin
                and begin + size <= until
                and all(cell[0] == RULE for cell in line[begin : begin + size])
            ),
            None,
        )
        if begin is None:
            free = column + 1
            continue
        line[begin : begin + size] = [(letter, "dim") for letter in mark.words]
        line[column] = (mark.glyph, mark.role)
        free = max(column + 1, begin + size)
    rule: Line = ((" " * (gutter - 1) + "└", "border"), *join_cells(line))
    return rule, ((" " * gutter + times_text(axis.span_ns, axis.columns, ends), "head"),)
