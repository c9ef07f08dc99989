"""Pane 2: token arrival of the selected route: a lane a stream on a time axis that ends at what is
shown.

A cell is a slot of time whose edges are whole multiples of its length, so lanes scroll by cells.
Its height is the number of output chunks per 100 ms, on the fixed scale of the legend.
"""

from collections.abc import Sequence
from datetime import tzinfo
from math import ceil
from typing import Final

import msgspec

from probes.board.views import LaneView, RouteDetail, Snapshot
from probes.events import Outcome
from probes.kit.clock import NS_PER_S
from probes.kit.sanitise import neutralise
from tui.draw.chart import FAILED, THROTTLED, join_cells
from tui.draw.glyphs import EIGHTHS
from tui.draw.table import Cell, Column, fit
from tui.draw.text import (
    MARK,
    NO_FIGURE,
    Line,
    Role,
    Span,
    age,
    cells,
    clip,
    count,
    line_width,
)
from tui.panes.moment import end_names
from tui.panes.pane import Want
from tui.panes.routes import selected_route
from tui.panes.view import ViewState

SLOT_NS: Final = 100_000_000
"""The engine counts chunks by slots of this length."""

_LEAST_SPAN_NS: Final = 6 * NS_PER_S
"""What a lane reaches back at least: an answer of the default cap of 64 tokens takes about so long
where it is slow, and is then seen whole."""
_SLOTS: Final = (1, 2, 5, 10, 20, 50)
"""Slots a cell may stand for: round figures, so that the axis has some too."""
_NOTE_WIDTH: Final = 14
"""Kept free after the end of the axis; a lane that ended earlier leaves more room for its words."""
_LEAST_NOTE: Final = 6
"""Cells below which words are left out rather than cut to nothing."""
_LEAST_LANE: Final = 10
_LEAST_WITH_NOTE: Final = 70
"""Width from which words have a place of their own: below it the lane needs it more."""
_LEAST_FRAMED: Final = 4
"""Lines from which heads and axis are worth one each, and the legend one more."""
_LEAST_WITH_LEGEND: Final = 9
_LEAST_LANES: Final = 3
_FEW_LANES: Final = 8
_MANY_LANES: Final = 24
"""Lanes that the pane wants where workers are few, and where they are many: more than these no eye
follows."""
_ID_WIDTH: Final = 8
_CUT: Final = "╱"
_PREVIEW_LIMIT: Final = 4000
"""Characters of a stream's text: more than a screen of 300×100 shows in its share of lines."""
_MOST_PREVIEW: Final = 7
"""Lines of it: the lanes are what the pane is for."""
_LEGEND: Final[Line] = (
    ("▶", "good"),
    (" first token  ", "faint"),
    ("▁█", "graph"),
    (" 1–8 chunks/0.1s  ", "faint"),
    ("⋯", "stall"),
    (" stall  ", "faint"),
    (THROTTLED, "throttled"),
    (" 429  ", "faint"),
    (FAILED, "missed"),
    (" failed  ", "faint"),
    (_CUT, "missed"),
    (" cut  ", "faint"),
    ("┤", "dim"),
    (" end  ", "faint"),
    ("◷", "missed"),
    (" timeout  ", "faint"),
    ("○", "dim"),
    (" cancelled  ", "faint"),
)
"""Glyphs and what they mean, by turns; the more needed first."""
_END_GLYPHS: Final[dict[Outcome, Span]] = {
    "ok": ("┤", "dim"),
    "throttled": (THROTTLED, "throttled"),
    "server_error": (FAILED, "missed"),
    "client_error": (FAILED, "missed"),
    "timeout": ("◷", "missed"),
    "protocol_error": (FAILED, "missed"),
    "truncated": (_CUT, "missed"),
    "content_error": (FAILED, "missed"),
    "cancelled": ("○", "dim"),
}


class Axis(msgspec.Struct, frozen=True):
    """The time a lane's cells stand for."""

    cells: int
    slot_ns: int
    last: int
    """Index of the newest cell's slot, counted from the clock's zero."""

    @property
    def span_s(self) -> float:
        """Seconds from the left edge to its end."""
        return self.cells * self.slot_ns / NS_PER_S

    def column(self, at_ns: int) -> int:
        """Return the cell of a moment; below 0 it has scrolled out."""
        return at_ns // self.slot_ns - self.last + self.cells - 1


class _Shown(msgspec.Struct, frozen=True):
    """A lane at a moment."""

    lane: LaneView
    now_ns: int

    @property
    def role(self) -> Role:
        return "text" if self.lane.ended_ns is None else "faint"

    def name(self) -> Cell:
        name = _name(self.lane.probe) + (f".{self.lane.attempt}" if self.lane.attempt else "")
        if cells(name) > _ID_WIDTH:  # its end tells one lane from another
            name = MARK + name[1 - _ID_WIDTH :]
        return Cell(name, "dim" if self.role == "text" else self.role)

    def age(self) -> Cell:
        ended_ns = self.now_ns if self.lane.ended_ns is None else self.lane.ended_ns
        return Cell(age((ended_ns - self.lane.started_ns) / NS_PER_S), self.role)

    def tokens(self) -> Cell:
        if self.lane.tokens is not None:
            return Cell(count(self.lane.tokens), self.role)
        guess = self.lane.tokens_estimate
        return Cell(f"~{count(guess)}" if guess else NO_FIGURE, self.role)

    def speed(self) -> Cell:
        is_guess = self.lane.tokens is None and self.lane.tokens_per_s is not None
        return Cell(("~" if is_guess else "") + count(self.lane.tokens_per_s), self.role)


_COLUMNS: Final[tuple[Column[_Shown], ...]] = (
    Column("id", _ID_WIDTH, _Shown.name, flush_left=True),
    Column("age", 6, _Shown.age),
    Column("tok", 6, _Shown.tokens),
    Column("tok/s", 6, _Shown.speed, marked=True),
)
"""Before the lane; the mark is the blank between them."""
_FIGURES: Final = fit(_COLUMNS, 27)
_FIGURES_WIDTH: Final = line_width(_FIGURES.head_line())
_LEAST_WITH_FIGURES: Final = _FIGURES_WIDTH + _LEAST_LANE


def axis_for(now_ns: int, cells: int) -> Axis:
    """Return an axis of `cells` that reaches back at least six seconds, in round slots."""
    fitting = (slots * SLOT_NS for slots in _SLOTS if slots * SLOT_NS * cells >= _LEAST_SPAN_NS)
    slot_ns = next(fitting, _SLOTS[-1] * SLOT_NS)
    return Axis(cells, slot_ns, now_ns // slot_ns)


def arrival_title(snapshot: Snapshot, view: ViewState) -> str:
    """Return the pane's title: whose streams they are."""
    route = selected_route(snapshot, view)
    return "token arrival" + (f" · {neutralise(route.name, 40)}" if route is not None else "")


def arrival_wants(snapshot: Snapshot, view: ViewState) -> Want:
    """Return lines for two lanes a worker, open and just ended: of the route that has most of them,
    so that the pane keeps its height while the cursor moves."""
    workers = max((route.target for route in snapshot.routes), default=0)
    preview = _MOST_PREVIEW if view.preview else 0
    return Want(_LEAST_LANES, min(max(2 * workers, _FEW_LANES), _MANY_LANES) + 4 + preview)


def arrival_brief(snapshot: Snapshot, view: ViewState) -> Line:
    """Return how many streams are open, and for how long the oldest is."""
    route = selected_route(snapshot, view)
    if route is None or route.oldest_open_s is None:
        return (("no open stream", "dim"),)
    role: Role = "missed" if route.overdue else "dim"
    return (
        (f"{route.in_flight} open, oldest ", "dim"),
        (age(route.oldest_open_s) + ("!" if route.overdue else ""), role),
    )


def arrival_lines(
    snapshot: Snapshot, view: ViewState, width: int, height: int, zone: tzinfo | None = None
) -> list[Line]:
    """Return heads, lanes, the axis, and the preview where it is on."""
    route = selected_route(snapshot, view)
    detail = snapshot.details.get(route.name) if route is not None else None
    if detail is None:
        return [(("no stream yet", "faint"),)]
    preview = []
    if view.preview and height >= 3:
        preview = _preview(detail, width, min(height // 2, _MOST_PREVIEW))
    axis = axis_for(detail.now_ns, max(1, _lane_width(width)))
    ends = end_names(snapshot, view, zone)
    frame = [] if height < _LEAST_FRAMED else _frame(axis, ends, width, height)
    room = height - len(preview) - len(frame)
    lanes = [
        lane for lane in detail.lanes if lane.ended_ns is None or axis.column(lane.ended_ns) >= 0
    ]
    first = min(view.offset("arrival"), max(0, len(lanes) - room))
    shown = lanes[first : first + max(0, room)]
    lines = [_lane_line(lane, axis, detail.now_ns, width) for lane in shown]
    if not lines and room > 0:
        lines = [(("no open stream", "faint"),)]
    lines += [()] * (room - len(lines))
    return [*frame[:1], *lines, *frame[1:], *preview]


def lane_cells(lane: LaneView, axis: Axis, now_ns: int) -> list[Span]:
    """Return one lane, a span a cell: waiting, first token, chunks, stalls, and how it ended."""
    cells: list[Span] = [(" ", "text")] * axis.cells
    begin = axis.column(lane.started_ns)
    end = axis.column(now_ns if lane.ended_ns is None else lane.ended_ns)
    for column in range(max(0, begin), min(end, axis.cells - 1) + 1):
        cells[column] = ("·", "faint")
    # What comes later is drawn over what came before: output matters more than a stall, the first
    # token more than its height, the end most.
    for first, last in lane.stalls:
        for column in range(max(0, axis.column(first) + 1), min(axis.column(last), axis.cells)):
            cells[column] = ("⋯", "stall")
    chunks: dict[int, int] = {}
    for at_ns, number in lane.cells:
        column = axis.column(at_ns)
        if 0 <= column < axis.cells and number > 0:
            chunks[column] = chunks.get(column, 0) + number
    role: Role = "graph" if lane.ended_ns is None else "graph_dim"
    for column, number in chunks.items():
        per_slot = ceil(number * SLOT_NS / axis.slot_ns)
        cells[column] = (EIGHTHS[min(per_slot, len(EIGHTHS)) - 1], role)
    if lane.first_token_ns is not None and 0 <= (at := axis.column(lane.first_token_ns)) < len(
        cells
    ):
        cells[at] = ("▶", "good")
    if lane.ended_ns is not None and lane.outcome is not None and 0 <= end < len(cells):
        cells[end] = _END_GLYPHS[lane.outcome]
    return cells


def lane_note(lane: LaneView) -> Span:
    """Return in words what hurts about a lane; nothing where nothing does."""
    if lane.ended_ns is None:
        if lane.stalled_s is not None:
            return f"stall {age(lane.stalled_s)}", "stall"
        return ("waiting", "dim") if lane.first_token_ns is None else ("", "dim")
    if lane.outcome == "ok":
        return ("" if lane.stalled_s is None else f"gap {age(lane.stalled_s)}", "stall")
    refused = lane.status is not None and lane.status >= 400
    what = neutralise(str(lane.status) if refused else lane.reason or str(lane.outcome), 40)
    if lane.retry_wait_s is not None:
        what = f"{what} retry {age(lane.retry_wait_s)} ({lane.retry_number}/{lane.retries})"
    # Its glyph is as loud as what hurts may be: words of ten lanes would outshout the verdict.
    return what, "text"


def _lane_width(width: int) -> int:
    if width < _LEAST_WITH_FIGURES:
        return width
    return width - _FIGURES_WIDTH - (_NOTE_WIDTH + 1 if width >= _LEAST_WITH_NOTE else 0)


def _frame(axis: Axis, ends: Sequence[str], width: int, height: int) -> list[Line]:
    """Return the heads, which go above the lanes, and the axis and legend, which go below."""
    with_figures = width >= _LEAST_WITH_FIGURES
    begin = f"−{axis.span_s:.3g}s "
    room = axis.cells - len(begin) - 1
    end = next((name for name in ends if len(name) <= room), ends[-1])
    rule = "─" * max(0, room - len(end))
    indent = " " * _FIGURES_WIDTH if with_figures else ""
    lines = [
        _FIGURES.head_line() if with_figures else (),
        ((f"{indent}{begin}{rule} {end}", "faint"),),
    ]
    if height >= _LEAST_WITH_LEGEND:
        legends = (_LEGEND[:end] for end in range(len(_LEGEND), 0, -2))  # glyphs with their words
        lines.append(next((part for part in legends if line_width(part) <= width), ()))
    return lines


def _lane_line(lane: LaneView, axis: Axis, now_ns: int, width: int) -> Line:
    """Return its figures, the lane, and right behind its end what hurts about it."""
    cells = lane_cells(lane, axis, now_ns)
    if width < _LEAST_WITH_FIGURES:
        return join_cells(cells)
    end = axis.cells if lane.ended_ns is None else max(0, axis.column(lane.ended_ns) + 1)
    line = (*_FIGURES.line(_Shown(lane, now_ns)), *join_cells(cells[:end]))
    text, role = lane_note(lane)
    if not text or width - line_width(line) < _LEAST_NOTE:
        return line
    return clip((*line, (f" {text}", role)), width)


def _name(probe: str) -> str:
    """Return what a probe is called here: its number, and before it the engine of any but the first
    one, which counts its own."""
    engine, _, number = neutralise(probe, 40).rpartition("-")
    if not number:
        return ""
    return f"#{number[-5:]}" if engine in ("", "1") else f"#{engine[-3:]}-{number[-5:]}"


def _preview(detail: RouteDetail, width: int, height: int) -> list[Line]:
    """Return the end of the stream's text, neutralised and broken into lines of cells."""
    name = _name(detail.preview_probe)
    text = neutralise(detail.preview[-_PREVIEW_LIMIT:])
    head: Line = ((f"text of {name} as it arrives" if name else "no open stream", "head"),)
    parts: list[str] = []
    while text:
        parts.append(_head_of(text, width))
        text = text[len(parts[-1]) :]
    shown = parts[-(height - 1) :] if height > 1 else []
    lines: list[Line] = [((part, "text"),) for part in shown]
    return [head, *lines, *[()] * (height - 1 - len(lines))]


def _head_of(text: str, width: int) -> str:
    """Return as much of the text's start as fits, at least one character, broken after a word."""
    part = text[: max(1, width)]
    while len(part) > 1 and line_width(((part, "text"),)) > width:
        part = part[:-1]
    space = part.rfind(" ")
    return part[: space + 1] if len(part) < len(text) and space > len(part) // 2 else part
