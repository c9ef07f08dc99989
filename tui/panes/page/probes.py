"""Pane 4 of a route's page: the last probes one by one, each as a strip on one scale of time.

Rule 1. The cursor belongs to a probe and stays on it while new ones come; where the list has lost
that one, it is on the last row. Until somebody moves it, it is on the first.
Rule 2. All strips begin with their probe and share one scale, so that their lengths compare. What
is much longer than the others ends in a mark: it shall not squeeze them into a corner.
Rule 3. What is open stands above what ended: a request that hangs is no row of those that ended.
"""

import dataclasses
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import tzinfo
from math import ceil
from typing import Final, NamedTuple

from msgspec.structs import replace

from probes.board.views import LaneView, ProbeView, Snapshot
from probes.events import WRONG_ANSWER, Outcome
from probes.kit.clock import NS_PER_S
from probes.kit.sanitise import neutralise
from tui.draw.chart import FAILED, THROTTLED, join_cells
from tui.draw.glyphs import EIGHTHS
from tui.draw.table import Cell, Column, Table, fit
from tui.draw.text import (
    MARK,
    NO_FIGURE,
    Line,
    Role,
    Span,
    age,
    clip,
    count,
    left,
    line_width,
    three_digits,
    time_of_day,
)
from tui.keys import hints, with_keys
from tui.panes.page.axis import scale_top
from tui.panes.page.subject import (
    Subject,
    incidents_of,
    of_subject,
    recoveries_of,
    subject_of,
)
from tui.panes.view import ViewState

CELL_S: Final = 0.1
"""What a count of chunks stands for."""
_LEAST_STRIP: Final = 16
_MOST_TIMES_MEDIAN: Final = 3.0
"""The scale holds what takes up to so many times the median of what is listed."""
_LEAST_SCALE_S: Final = 0.5
"""Below that a tenth of a second, for which chunks are counted, would be too wide."""
_OPEN_SHARE: Final = 3
"""At most every third row is of what is open."""
_ENDS: Final[dict[Outcome, Span]] = {
    "ok": ("┤", "dim"),
    "throttled": (THROTTLED, "throttled"),
    "server_error": (FAILED, "missed"),
    "client_error": (FAILED, "missed"),
    "timeout": ("◷", "missed"),
    "protocol_error": (FAILED, "missed"),
    "truncated": ("╱", "missed"),
    "content_error": (FAILED, "missed"),
    "cancelled": ("○", "dim"),
}
_ENDED: Final[dict[Outcome, str]] = {
    "throttled": "429",
    "server_error": "error",
    "client_error": "refused",
    "timeout": "timeout",
    "protocol_error": "broken",
    "truncated": "cut",
    "content_error": "content",
    "cancelled": "by us",
}


class _Explained(NamedTuple):
    """A glyph of the strips, and what it means."""

    shown: str
    role: Role
    words: str
    also: str = ""
    """Glyphs that it stands for."""


_LEGEND: Final = (
    _Explained("▶", "good", "first token"),
    _Explained("↻", "slow", "waits to retry"),
    _Explained("⋯", "stall", "stall"),
    _Explained(THROTTLED, "throttled", "429"),
    _Explained(FAILED, "missed", "failed"),
    _Explained("╱", "missed", "cut"),
    _Explained("◷", "missed", "timeout"),
    _Explained("▁█", "graph", "chunks", "".join(EIGHTHS)),
    _Explained("○", "dim", "by us"),
    _Explained(MARK, "title", "goes on"),
    _Explained("┤", "dim", "end"),
)
"""What a strip's glyphs mean. Only those in sight are explained: then there is room for the rare
ones where they matter. What has none goes from the end."""


class ListRow(NamedTuple):
    """A probe as a row: of one that ended, or of an attempt that is open."""

    probe: ProbeView | None
    lane: LaneView | None
    at: str
    """Wall time of its end; of what is open, for how long it has been."""


class Listed(NamedTuple):
    """What is listed in a height, and which part of it is in sight."""

    open: tuple[LaneView, ...]
    hidden_open: int
    ended: Sequence[ProbeView]
    first: int
    """Of `ended`, the first that is in sight."""
    room: int
    """How many of `ended` have room."""
    cursor: int | None
    """Of `ended`, which is selected."""
    framed: bool
    """There is a head and a foot."""


def listed_probes(probes: Sequence[ProbeView], view: ViewState) -> Sequence[ProbeView]:
    """Return the probes of a list in the order of the view."""
    page = view.page
    if not (page.only_failed or page.slowest):
        return probes  # each is made when it is looked at
    chosen = [one for one in probes if not (page.only_failed and one.is_good)]
    if page.slowest:
        chosen.sort(key=lambda one: -one.lasted_s)
    return chosen


def selected_index(probes: Sequence[ProbeView], view: ViewState) -> int | None:
    """Return which probe of a list is under the cursor; None where there is none."""
    if not probes:
        return None
    wanted = view.page.probe
    if not wanted:
        return 0
    # What was selected has left the list at its end: the newest ones push the oldest out.
    last = len(probes) - 1
    return next((place for place, one in enumerate(probes) if one.probe == wanted), last)


def selected_probe(snapshot: Snapshot, view: ViewState) -> ProbeView | None:
    """Return the probe under the cursor."""
    subject = subject_of(snapshot, view)
    if subject is None:
        return None
    probes = listed_probes(subject.page.probes, view)
    index = selected_index(probes, view)
    return None if index is None else probes[index]


def moved_probe(snapshot: Snapshot, view: ViewState, by: int) -> ViewState:
    """Return the view with the cursor `by` probes further down."""
    subject = subject_of(snapshot, view)
    probes = listed_probes(subject.page.probes, view) if subject is not None else ()
    index = selected_index(probes, view)
    if index is None:
        return view
    to = min(max(index + by, 0), len(probes) - 1)
    # At the top the cursor is free again, and stays with the newest.
    name = probes[to].probe if to else ""
    return replace(view, page=replace(view.page, probe=name))


def listing(subject: Subject, view: ViewState, height: int) -> Listed:
    """Return what has room in a height, such that the cursor is in sight."""
    framed = height >= 4
    room = max(1, height - 2 * framed)
    ended = listed_probes(subject.page.probes, view)
    lanes = subject.detail.lanes if subject.detail is not None else ()
    waiting = sorted(
        (lane for lane in lanes if lane.ended_ns is None), key=lambda lane: lane.started_ns
    )
    most = min(len(waiting), room // _OPEN_SHARE) if not view.page.slowest else 0
    shown = tuple(waiting[:most])
    body = max(1, room - len(shown))
    cursor = selected_index(ended, view)
    first = max(0, (cursor or 0) - body + 1)
    return Listed(shown, len(waiting) - most, ended, first, body, cursor, framed)


@dataclass(frozen=True, slots=True)
class Scale:
    """The time that a strip's cells stand for, from the start of a probe."""

    cells: int
    top_s: float

    def column(self, at_s: float) -> int:
        """Return the cell of a moment; the last where it is beyond the scale."""
        return min(int(max(0.0, at_s) / self.top_s * self.cells), self.cells - 1)

    def holds(self, at_s: float) -> bool:
        """Tell whether a moment is on the scale."""
        return at_s <= self.top_s


def scale_for(usual_s: Sequence[float], others_s: Sequence[float], cells: int) -> Scale:
    """Return the scale on which all strips stand, but for those that are far longer than most.

    Args:
        usual_s: how long those lasted that brought output; the scale is theirs.
        others_s: how long the others did: what fails at once or hangs for a minute says little of
            how long answers take.
        cells: of a strip.
    """
    lasted = sorted(usual_s) or sorted(others_s)
    if not lasted:
        return Scale(cells, 1.0)
    most = _MOST_TIMES_MEDIAN * lasted[len(lasted) // 2]
    longest = max((*usual_s, *others_s))
    return Scale(cells, scale_top(max(min(longest, most), _LEAST_SCALE_S)))


def strip_cells(probe: ProbeView, scale: Scale) -> list[Span]:
    """Return one probe as a strip: waiting, first token, chunks, stalls, and how it ended."""
    made: list[Span] = [(" ", "text")] * scale.cells
    end = scale.column(probe.lasted_s)
    for column in range(end + 1):
        made[column] = ("·", "faint")
    first_s = probe.ttft_s
    for begin_s, until_s in probe.waits_s:
        for column in range(scale.column(begin_s), scale.column(until_s) + 1):
            made[column] = ("↻", "slow")
    first = 0 if first_s is None else scale.column(first_s)
    _draw_output(made, probe.cells, scale, "graph_dim", first, end)
    for begin_s, until_s in _stalls(probe):
        for column in range(scale.column(begin_s) + 1, scale.column(until_s)):
            made[column] = ("⋯", "stall")
    if first_s is not None and scale.holds(first_s):
        made[first] = ("▶", "good")
    if end > 0:
        made[0] = ("▕", "dim")
    if not scale.holds(probe.lasted_s) and end > 0:
        made[end - 1] = (MARK, "title")
    made[end] = _ENDS[probe.outcome]
    return made


def _draw_output(
    made: list[Span],
    counts: Sequence[int],
    scale: Scale,
    role: Role,
    first: int,
    end: int,
) -> None:
    """Draw output chunks as blocks, as high as so many come in a tenth of a second.

    None stands before `first`, the cell of the first token: its tenth may have begun before it.
    """
    sums: dict[int, int] = {}
    slots = max(1.0, scale.top_s / scale.cells / CELL_S)
    for place, number in enumerate(counts):
        if number <= 0 or not scale.holds(place * CELL_S):
            continue
        begin, after = scale.column(place * CELL_S), scale.column((place + 1) * CELL_S)
        # Where a cell stands for less than a slot, the slot is as wide as several of them.
        for column in range(begin, max(begin + 1, after)):
            sums[column] = sums.get(column, 0) + number
    for column, number in sums.items():
        if first <= column <= end:
            height = min(ceil(number / slots), len(EIGHTHS))
            made[column] = (EIGHTHS[height - 1], role)


def _stalls(probe: ProbeView) -> list[tuple[float, float]]:
    """Return a probe's stalls, in s from its start: its longest silences in mid-stream, and the one
    that it was given up for, which never ended and so is not counted."""
    runs: list[tuple[int, int]] = []
    last: int | None = None
    for place, number in enumerate(probe.cells):
        if number > 0:
            if last is not None and place - last > 1:
                runs.append((last, place))
            last = place
    runs = sorted(runs, key=lambda run: run[0] - run[1])[: probe.stalls]
    ended = int(probe.lasted_s / CELL_S)
    if last is not None and probe.outcome == "timeout" and ended - last > 1:
        runs.append((last, ended))
    return [(begin * CELL_S, until * CELL_S) for begin, until in runs]


def open_cells(lane: LaneView, now_ns: int, scale: Scale) -> list[Span]:
    """Return an open attempt as a strip: it goes on at its right end."""
    made: list[Span] = [(" ", "text")] * scale.cells
    lasted_s = (now_ns - lane.started_ns) / NS_PER_S
    end = scale.column(lasted_s)
    for column in range(end + 1):
        made[column] = ("·", "faint")
    counts: dict[int, int] = {}
    for at_ns, number in lane.cells:
        place = int((at_ns - lane.started_ns) / NS_PER_S / CELL_S)
        if 0 <= place <= lasted_s / CELL_S:
            counts[place] = counts.get(place, 0) + number
    longest = max(counts, default=-1)
    first_ns = lane.first_token_ns
    first_s = None if first_ns is None else (first_ns - lane.started_ns) / NS_PER_S
    first = 0 if first_s is None else scale.column(first_s)
    slots = [counts.get(at, 0) for at in range(longest + 1)]
    _draw_output(made, slots, scale, "graph", first, end)
    for begin_ns, until_ns in lane.stalls:
        begin, until = (
            scale.column((at - lane.started_ns) / NS_PER_S) for at in (begin_ns, until_ns)
        )
        for column in range(begin + 1, until + 1):
            made[column] = ("⋯", "stall")
    if first_s is not None and scale.holds(first_s):
        made[first] = ("▶", "good")
    if end > 0:
        made[0] = ("▕", "dim")
    if not scale.holds(lasted_s):
        made[end] = (MARK, "title")
    return made


def _glyph(row: ListRow) -> Cell:
    if row.probe is None:
        return Cell("")
    if row.probe.outcome == "ok":
        return Cell("" if row.probe.is_good else "△", "slow")
    return Cell(_ENDS[row.probe.outcome][0], _ended(row).role)


def _ended(row: ListRow) -> Cell:
    if row.probe is None:
        return Cell("open", "accent")
    probe = row.probe
    if probe.outcome == "ok":
        return Cell("ok", "faint" if probe.is_good else "slow")
    refused = probe.status is not None and probe.status >= 400
    what = str(probe.status) if refused else _ENDED.get(probe.outcome, str(probe.outcome))
    if probe.reason == WRONG_ANSWER.reason:
        what = "wrong"
    role: Role = "throttled" if probe.outcome == "throttled" else "missed"
    role = "dim" if probe.outcome == "cancelled" else role
    return Cell(what, role)


def _why(row: ListRow) -> Cell:
    if row.probe is None:
        return Cell("")
    return Cell(neutralise(row.probe.reason, 40), "dim")


def _first(row: ListRow) -> Cell:
    if row.lane is not None:
        lane = row.lane
        first_ns = lane.first_token_ns
        value = None if first_ns is None else (first_ns - lane.started_ns) / NS_PER_S
        return Cell(three_digits(value), "dim")
    value = row.probe.ttft_s if row.probe is not None else None
    return Cell(three_digits(value), _figure_role(row, value))


def _figure_role(row: ListRow, value: float | None) -> Role:
    if value is None:
        return "faint"
    good = row.probe is None or row.probe.is_good
    return "dim" if good else "text"


def _whole(row: ListRow) -> Cell:
    value = row.probe.e2e_s if row.probe is not None else None
    return Cell(three_digits(value), _figure_role(row, value))


def _tokens(row: ListRow) -> Cell:
    if row.lane is not None:
        return Cell(f"~{count(row.lane.tokens_estimate)}" if row.lane.chunks else "", "dim")
    return Cell(count(row.probe.output_tokens if row.probe is not None else None), "dim")


def _speed(row: ListRow) -> Cell:
    return Cell(count(row.probe.tokens_per_s if row.probe is not None else None), "dim")


def _gap(row: ListRow) -> Cell:
    if row.probe is None or not row.probe.longest_gap_s:
        return Cell("", "dim")
    return Cell(three_digits(row.probe.longest_gap_s), "stall" if row.probe.stalls else "dim")


def _tries(row: ListRow) -> Cell:
    if row.lane is not None:
        return Cell(str(row.lane.attempt + 1) if row.lane.attempt else "", "slow")
    if row.probe is None or row.probe.attempts <= 1:
        return Cell("", "dim")
    waited = f" +{age(row.probe.wait_s)}" if row.probe.wait_s else ""
    return Cell(f"{row.probe.attempts}{waited}", "slow")


def _by(row: ListRow) -> Cell:
    return Cell(neutralise(row.probe.served_by if row.probe is not None else "", 60), "text")


def _name(row: ListRow) -> Cell:
    name = row.probe.probe if row.probe is not None else row.lane.probe if row.lane else ""
    return Cell(probe_name(name), "dim")


def probe_name(probe: str) -> str:
    """Return what a probe is called: its number, and before it the engine of any but the first one,
    which counts its own."""
    engine, _, number = neutralise(probe, 40).rpartition("-")
    if not number:
        return NO_FIGURE
    return f"#{number[-5:]}" if engine in ("", "1") else f"#{engine[-3:]}-{number[-5:]}"


_COLUMNS: Final[tuple[Column[ListRow], ...]] = (
    Column("TIME", 8, lambda row: Cell(row.at, "dim"), 5, flush_left=True),
    Column("PROBE", 8, _name, 4, flush_left=True),
    Column("", 1, _glyph),
    Column("ENDED", 7, _ended, flush_left=True),
    Column("TTFT", 5, _first, 1),
    Column("E2E", 5, _whole, 3),
    Column("TOK", 4, _tokens, 6),
    Column("tok/s", 5, _speed, 8),
    Column("GAP", 5, _gap, 7),
    Column("TRIES", 7, _tries, 2),
    Column("ANSWERED BY", 18, _by, 10, key="by", flush_left=True),
    Column("WHY", 14, _why, 9, flush_left=True),
)
"""Before the strip; TTFT, E2E and GAP are in seconds."""
_STRIP: Final[Column[ListRow]] = Column("", _LEAST_STRIP, None, 0, key="strip")
_WISHED_STRIP: Final = 28
_STRIP_SHARE: Final = 0.36
"""Of the width: then figures of less need make room."""


class Probes:
    """Draws the list; holds nothing but the time zone of its wall times."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone

    @of_subject
    def lines(
        self, subject: Subject, snapshot: Snapshot, view: ViewState, width: int, height: int
    ) -> Sequence[Line]:
        """Return head, what is open, the probes around the cursor, and the foot with the count."""
        listed = listing(subject, view, height)
        shown = listed.ended[listed.first : listed.first + listed.room]
        table = _table(width, by=_changed(snapshot, subject))
        strip = table.width("strip") + table.spare
        now_ns = snapshot.now_ns if subject.detail is None else subject.detail.now_ns
        open_s = [(now_ns - lane.started_ns) / NS_PER_S for lane in listed.open]
        brought = [one.lasted_s for one in shown if one.ttft_s is not None]
        others = [one.lasted_s for one in shown if one.ttft_s is None]
        scale = scale_for(brought, [*others, *open_s], strip)
        lines: list[Line] = []
        seen: set[str] = set()
        for lane, for_s in zip(listed.open, open_s, strict=True):
            row = ListRow(None, lane, age(for_s))
            drawn = open_cells(lane, now_ns, scale)
            seen.update(glyph for glyph, _ in drawn)
            lines.append(_line(table, row, drawn, width))
        for probe in shown:
            at = time_of_day(probe.at_ns, snapshot.wall_anchor_ns, self._zone)
            row = ListRow(probe, None, at)
            drawn = strip_cells(probe, scale)
            seen.update(glyph for glyph, _ in drawn)
            lines.append(_line(table, row, drawn, width))
        if not listed.ended:
            lines.append(clip(_nothing(subject, view), width))
        if not listed.framed:
            return lines[:height]
        blank: list[Line] = [()] * max(0, height - 2 - len(lines))
        return [_head(table, scale, width), *lines, *blank, _foot(listed, subject, seen, width)]


def _table(width: int, *, by: bool) -> Table[ListRow]:
    """Return the columns that leave the strip its share of the width, as far as that goes; with
    who answered, where that has changed, before what is less needed."""
    columns = [
        dataclasses.replace(column, priority=2) if column.key == "by" else column
        for column in _COLUMNS
        if by or column.key != "by"
    ]
    wished = dataclasses.replace(
        _STRIP, room=min(max(_WISHED_STRIP, int(width * _STRIP_SHARE)), max(0, width - 10))
    )
    return fit([*columns, wished], width, gap=1)


def _changed(snapshot: Snapshot, subject: Subject) -> bool:
    """Tell whether another model or build answers than did, or it did a while ago."""
    name = subject.route.name
    open_ones = [one.diagnosis for one in incidents_of(snapshot, name)]
    over = [one.diagnosis for one in recoveries_of(snapshot, name)]
    return any(one.cause == "model_changed" for one in (*open_ones, *over))


def _line(table: Table[ListRow], row: ListRow, strip: Sequence[Span], width: int) -> Line:
    figures = table.line(row)
    if not strip:
        return clip(figures, width)
    return clip((*figures, (" ", "text"), *join_cells(strip)), width)


def _head(table: Table[ListRow], scale: Scale, width: int) -> Line:
    """Return the heads, and over the strips what their cells mean."""
    heads = table.head_line()
    if scale.cells < 10:
        return clip(heads, width)
    half, end = f"{scale.top_s / 2:g}s", f"{scale.top_s:g}s"
    text = left("0s", scale.cells // 2) + half
    text = left(text, scale.cells - len(end)) + end
    return clip((*heads, (f" {text}", "head")), width)


def _foot(listed: Listed, subject: Subject, seen: Set[str], width: int) -> Line:
    """Return which part of the list is in sight, and what the glyphs of its strips mean."""
    number, shown = len(listed.ended), min(len(listed.ended) - listed.first, listed.room)
    ended = f" ({subject.page.ended:,} ended)" if subject.page.ended > number else ""
    words = f"{listed.first + 1}–{listed.first + shown} of {number}{ended}" if number else "none"
    line: Line = ((words, "dim"),)
    if listed.hidden_open:
        line = (*line, (f" · +{listed.hidden_open} open", "accent"))
    line = clip(line, width)
    told = [one for one in _LEGEND if seen & set(one.shown + one.also)]
    while told:
        legend: Line = tuple(
            span for one in told for span in ((one.shown, one.role), (f" {one.words}  ", "faint"))
        )
        gap = width - line_width(line) - line_width(legend)
        if gap >= 2:
            return (*line, (" " * gap, "text"), *legend)
        told.pop()
    return line


def _nothing(subject: Subject, view: ViewState) -> Line:
    if view.page.only_failed and subject.page.probes:
        return (
            (
                with_keys("all of the last probes were good · {only_failed} shows them", view.keys),
                "dim",
            ),
        )
    return (("no probe has ended yet", "dim"),)


def probes_cursor(snapshot: Snapshot, view: ViewState, height: int) -> int | None:
    """Return the row of the selected probe in `Probes.lines`; None where there is none."""
    subject = subject_of(snapshot, view)
    if subject is None:
        return None
    listed = listing(subject, view, height)
    if listed.cursor is None:
        return None
    return listed.cursor - listed.first + len(listed.open) + listed.framed


def probes_title(snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG001 - a pane's own
    """Return what is listed, in which order."""
    order = "slowest first" if view.page.slowest else "newest first"
    which = "probes that were not good" if view.page.only_failed else "probes"
    return f"{which} · {order}"


def probes_subtitle(snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG001
    """Return the keys that change that."""
    order = "newest first" if view.page.slowest else "slowest first"
    which = "all" if view.page.only_failed else "only those not good"
    each = (("slowest", order), ("only_failed", which), ("open_probe", "one probe"))
    return hints(view.keys, *each)
