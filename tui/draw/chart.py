"""Charts from characters: eighth-block sparklines, bars and braille lines, all pure.

Two invariants hold for everything here. Time: a bucket's edges are whole multiples of its span, so
a sample stays in its bucket for as long as it is shown, and a chart scrolls by whole columns
instead of shimmering. Scale: a chart is drawn against a top that its caller labels, never against
whatever its data happens to be.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from math import ceil, isfinite
from operator import itemgetter
from typing import Final, Literal, TypeAlias

import msgspec

from probes.board.views import ChartPoint
from probes.kit.clock import NS_PER_S
from tui.draw.glyphs import EIGHTHS, LEFT_EIGHTHS
from tui.draw.text import Line, Role, Span

SLICE_NS: Final = 10 * NS_PER_S
"""Length of the slices a `ChartPoint` stands for."""
_TIMES: Final = {
    2: ((0.0, "−2m"), (1 / 2, "−1m")),
    5: ((0.0, "−5m"), (2 / 5, "−3m"), (4 / 5, "−1m")),
    15: ((0.0, "−15m"), (1 / 3, "−10m"), (2 / 3, "−5m")),
}
"""By minutes of the span, where each label of a time axis stands."""
SPANS_NS: Final = tuple(minutes * 60 * NS_PER_S for minutes in _TIMES)
"""What timelines and trends reach back: a young run is not drawn into a corner."""

_MANY_TIMES_FROM: Final = 30
"""Columns from which a time axis has more labels than that of its beginning."""

NO_SAMPLE: Final = "·"
FAILED: Final = "✕"
THROTTLED: Final = "⊘"
STALLED: Final = "⋯"
RESCUED: Final = "↻"
OFF_SCALE: Final = "▲"

_THROTTLED_SHARE: Final = 0.25
"""Share of the attempts of a cell of a strip from which it is throttling that users feel most: each
fourth one waits for a retry, or fails."""
_MARKED_SHARE: Final = 0.1
"""Share of its answers that paused, or that a retry rescued, from which a cell says so: a single
one among many is chance, and of five it is no small part."""

_BRAILLE_BASE: Final = 0x2800
_BRAILLE_DOTS: Final = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""By dot column, from the lowest dot up."""
_DOTS_HIGH: Final = 4
_DOTS_WIDE: Final = 2
_DOT_RUNS: Final = tuple(
    {
        (low, high): sum(dots[low : high + 1])
        for low in range(_DOTS_HIGH)
        for high in range(low, _DOTS_HIGH)
    }
    for dots in _BRAILLE_DOTS
)
"""By dot column, the bits of a run from its lowest to its highest dot."""

Sample: TypeAlias = float | Literal["failed", "throttled", "stalled", "rescued", "done"] | None
"""A value, or what is to be said instead of it; `done` is well without a value, None is no sample
at all."""


class Series(msgspec.Struct, frozen=True):
    """One line of a braille chart, two values a cell, oldest first."""

    values: tuple[float | None, ...]
    role: Role = "graph"
    goal: float | None = None
    """Where given, a cell takes its role from its worst value against this, not from `role`."""
    filled: bool = False
    """An area from the base instead of a line."""


class Buckets(msgspec.Struct, frozen=True):
    """A timeline cut into columns of equal time."""

    bucket_ns: int
    first: int
    """Index of the first column: it starts at `first * bucket_ns`."""
    slots: tuple[ChartPoint | None, ...]
    """One a column, oldest first; None where no slice reaches."""

    def column_of(self, at_ns: int) -> int | None:
        """Return the column a stamp lies in; None where it is not shown."""
        column = at_ns // self.bucket_ns - self.first
        return column if 0 <= column < len(self.slots) else None


def nice_top(values: Iterable[float | None], goal: float) -> float:
    """Return the smallest power of two (from 1/64) that holds all values, with room above the goal.

    Powers of two are far enough apart that the scale stays put while samples come and go.
    """
    largest = max((value for value in values if value is not None and isfinite(value)), default=0.0)
    needed = max(largest, goal * 1.25)
    top = 1 / 64
    while top < needed:
        top *= 2
    return top


def role_of(value: float, goal: float | None) -> Role:
    """Return the role of a figure against its goal, by the bands of `probes.config.Goals`."""
    if goal is None or goal <= 0:
        return "graph"
    ratio = value / goal
    if ratio <= 1.0:
        return "great" if ratio <= 0.6 else "fine"
    return "slow" if ratio <= 1.5 else "sluggish"


def level_glyph(value: float, top: float, goal: float | None = None) -> str:
    """Return the eighth block of a value, `OFF_SCALE` above the top.

    A value above the goal is always drawn higher than one that meets it, so that a missed goal is
    seen without colour too.
    """
    if not value <= top:
        return OFF_SCALE
    level = _level(value, top)
    if goal is not None and value > goal:
        level = max(level, min(_level(goal, top) + 1, len(EIGHTHS)))
    return EIGHTHS[level - 1]


def sparkline(values: Sequence[Sample], width: int, top: float, goal: float | None = None) -> Line:
    """Return the newest `width` values in one row, right-aligned, against a fixed scale."""
    shown = values[-width:] if width > 0 else ()
    blank: list[Span] = [(" ", "faint")] * max(0, width - len(shown))
    return join_cells([*blank, *(_spark_cell(value, top, goal) for value in shown)])


def span_of(points: Sequence[ChartPoint]) -> int:
    """Return the shortest span, in ns, that holds a timeline whole; the longest where none does."""
    if not points:
        return SPANS_NS[0]
    reach_ns = points[-1].start_ns + SLICE_NS - points[0].start_ns
    return next((span_ns for span_ns in SPANS_NS if reach_ns <= span_ns), SPANS_NS[-1])


def times_text(span_ns: int, columns: int, ends: Sequence[str]) -> str:
    """Return what the columns of a chart mean in time, in as many cells: as many labels as do not
    touch, and last the moment that they end at.

    Args:
        span_ns: one of `SPANS_NS`, which the columns stand for.
        columns: of the chart.
        ends: what that moment may be called, the longest first: a label less is worth its time.
    """
    labels = _TIMES[span_ns // (60 * NS_PER_S)][: None if columns >= _MANY_TIMES_FROM else 1]
    first = len(labels[0][1]) + 1
    end = next((name for name in ends if first + len(name) <= columns), ends[-1])
    text = ""
    for place, label in labels:
        longer = text.ljust(round(place * columns)) + label
        if len(longer) + 1 + len(end) <= columns:
            text = longer
    return (text.ljust(columns - len(end)) + end)[-columns:]


def strip_cells(
    points: Sequence[ChartPoint], width: int, top_s: float, goal_s: float, cell_ns: int
) -> Line:
    """Return how a route has been in `width` cells of `cell_ns`, the newest at the right.

    Its height is the p95, unless something else in the cell hurt users more. A cell before the
    first slice is blank; one in which no probe ended has a mark of its own, once it is over.
    """
    if width <= 0:
        return ()
    buckets = rebucket(points, width, span_ns=cell_ns * width)
    cells: list[Span] = []
    last = len(buckets.slots) - 1
    for place, bucket in enumerate(buckets.slots):
        sample = bucket_sample(bucket)
        # In the newest cell a probe may well end yet: it has no mark for none.
        if bucket is None or (sample is None and place == last):
            cells.append((" ", "faint"))
        else:
            cells.append(_spark_cell(sample, top_s, goal_s))
    return join_cells(cells)


def bucket_sample(bucket: ChartPoint | None) -> Sample:
    """Return what a bucket is drawn as: its p95, unless most of it failed, much was throttled, or
    answers paused or were rescued by retries."""
    if bucket is None:
        return None
    ended = max(bucket.finished, bucket.n + bucket.failures)
    if bucket.failures * 2 > ended and bucket.failures >= bucket.throttled:
        return "failed"
    attempts = ended + bucket.throttled
    if bucket.throttled and bucket.throttled >= _THROTTLED_SHARE * attempts:
        return "throttled"
    if not ended:
        return bucket.p95
    if bucket.stalled and bucket.stalled >= _MARKED_SHARE * ended:
        return "stalled"
    if bucket.recovered and bucket.recovered >= _MARKED_SHARE * ended:
        return "rescued"
    return "done" if bucket.p95 is None else bucket.p95


def rebucket(
    points: Sequence[ChartPoint], columns: int, *, span_ns: int, align: int = 1
) -> Buckets:
    """Return the last `span_ns` of a timeline as `columns` buckets, the newest slice in the last.

    A bucket shorter than a slice takes the slice that covers its middle. p95 is the worst of the
    slices, p50 their mean by samples. With `align` the columns scroll by that many at a time, so
    that those which share a cell always share it; up to `align` − 1 at the right are still empty.
    """
    bucket_ns = max(1, span_ns // max(1, columns))
    if not points or columns <= 0:
        return Buckets(bucket_ns, 0, (None,) * max(0, columns))
    end = _bucket_indices(points[-1].start_ns, bucket_ns)[-1] + 1
    first = -(-end // align) * align - columns
    groups: dict[int, list[ChartPoint]] = {}
    for point in points:
        for index in _bucket_indices(point.start_ns, bucket_ns):
            groups.setdefault(index, []).append(point)
    slots = tuple(
        _merged(groups[index]) if index in groups else None
        for index in range(first, first + columns)
    )
    return Buckets(bucket_ns, first, slots)


def bar(share: float | None, width: int, role: Role) -> Line:
    """Return a horizontal bar of `share` (0 to 1) in eighth blocks over a faint track."""
    if width <= 0:
        return ()
    if share is None:
        return (("·" * width, "faint"),)
    eighths = ceil(min(1.0, max(0.0, share)) * width * 8)
    whole, rest = divmod(eighths, 8)
    filled = "█" * whole + (LEFT_EIGHTHS[rest - 1] if rest else "")
    track = "·" * (width - len(filled))
    return tuple(span for span in ((filled, role), (track, "faint")) if span[0])


def braille_cells(
    series: Sequence[Series], width: int, height: int, top: float
) -> list[list[Span]]:
    """Return a chart's cells by row, from the top down, one character each.

    Series are drawn in their order: dots are merged, the later series gives the cell its role. What
    else belongs in the chart goes where cells are blank; `join_cells` makes lines of the rows.
    """
    rows: list[list[Span]] = [[(" ", "graph")] * width for _ in range(max(0, height))]
    if width <= 0 or height <= 0:
        return rows
    for one in series:
        _draw(one, rows, width, height * _DOTS_HIGH, top)
    return rows


def row_of(value: float, height: int, top: float) -> int:
    """Return the row, counted from the top, in which a chart of that height draws a value."""
    return height - 1 - _dot_level(value, height * _DOTS_HIGH, top) // _DOTS_HIGH


def join_cells(cells: Iterable[Span]) -> Line:
    """Return cells as a line with neighbours of one role merged: one terminal segment a run."""
    return tuple(
        ("".join(text for text, _ in run), role) for role, run in groupby(cells, key=itemgetter(1))
    )


def _level(value: float, top: float) -> int:
    """Return 1 to 8, rounded up."""
    if top <= 0:
        return len(EIGHTHS)
    inside = min(top, max(0.0, value))
    return max(1, ceil(inside / top * len(EIGHTHS)))


def _spark_cell(value: Sample, top: float, goal: float | None) -> Span:
    if value is None:
        return NO_SAMPLE, "faint"
    if value == "failed":
        return FAILED, "missed"
    if value == "throttled":
        return THROTTLED, "throttled"
    if value == "stalled":
        return STALLED, "stall"
    if value == "rescued":
        return RESCUED, "accent"
    if value == "done":
        return EIGHTHS[0], "graph_dim"
    return level_glyph(value, top, goal), role_of(value, goal)


def _bucket_indices(start_ns: int, bucket_ns: int) -> range:
    """Return the buckets a slice is drawn in: that of its start, or all whose middle it covers."""
    first = start_ns // bucket_ns
    if bucket_ns >= SLICE_NS:
        return range(first, first + 1)
    half = bucket_ns // 2
    return range(
        (start_ns - half + bucket_ns - 1) // bucket_ns,
        (start_ns + SLICE_NS - half + bucket_ns - 1) // bucket_ns,
    )


def _merged(slices: Sequence[ChartPoint]) -> ChartPoint:
    """Return the slices of one bucket as one, under the start of the first."""
    if len(slices) == 1:
        return slices[0]
    worst = [point.p95 for point in slices if point.p95 is not None]
    middle = [(point.p50, max(1, point.n)) for point in slices if point.p50 is not None]
    weight = sum([n for _, n in middle])
    return ChartPoint(
        start_ns=slices[0].start_ns,
        p50=sum([p50 * n for p50, n in middle]) / weight if weight else None,
        p95=max(worst) if worst else None,
        n=sum([point.n for point in slices]),
        failures=sum([point.failures for point in slices]),
        throttled=sum([point.throttled for point in slices]),
        finished=sum([point.finished for point in slices]),
        good=sum([point.good for point in slices]),
        stalled=sum([point.stalled for point in slices]),
        recovered=sum([point.recovered for point in slices]),
    )


def _draw(series: Series, rows: list[list[Span]], width: int, dots_high: int, top: float) -> None:
    """Draw one series into the cells: dots are merged, the role is the later series'."""
    levels = [
        None if value is None else _dot_level(value, dots_high, top) for value in series.values
    ]
    for column in range(width):
        pair = slice(column * _DOTS_WIDE, (column + 1) * _DOTS_WIDE)
        values = [value for value in series.values[pair] if value is not None]
        if not values:
            continue
        role = series.role if series.goal is None else role_of(max(values), series.goal)
        for row, bits in _column_bits(levels, column, series.filled).items():
            glyph, _ = rows[-1 - row][column]
            old = 0 if glyph == " " else ord(glyph) - _BRAILLE_BASE
            rows[-1 - row][column] = (chr(_BRAILLE_BASE + (old | bits)), role)


def _dot_level(value: float, dots_high: int, top: float) -> int:
    if top <= 0 or not value < top:
        return dots_high - 1
    return int(max(0.0, value) / top * dots_high)


def _column_bits(levels: Sequence[int | None], column: int, filled: bool) -> dict[int, int]:
    """Return the dots of one cell column by cell row, counted from the base."""
    bits: dict[int, int] = {}
    for side in range(_DOTS_WIDE):
        index = column * _DOTS_WIDE + side
        level = levels[index] if index < len(levels) else None
        if level is None:
            continue
        before = levels[index - 1] if index else None
        low, high = (0, level) if filled else _stroke(before, level)
        for row in range(low // _DOTS_HIGH, high // _DOTS_HIGH + 1):
            base = row * _DOTS_HIGH
            run = (max(0, low - base), min(_DOTS_HIGH - 1, high - base))
            bits[row] = bits.get(row, 0) | _DOT_RUNS[side][run]
    return bits


def _stroke(before: int | None, level: int) -> tuple[int, int]:
    """Return the dots of one column that join it to the column before."""
    if before is None or before == level:
        return level, level
    return (before + 1, level) if before < level else (level, before - 1)
