"""The throttling pane as lines: what is left of each limit, then the log of 429s."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from math import ceil
from typing import Final

from probes.board.views import LimitsView, Snapshot, ThrottleEntry
from probes.events import Limit
from probes.events.limit_periods import as_of, is_in_force
from probes.kit.clock import NS_PER_S, seconds
from probes.kit.sanitise import neutralise
from tui.draw.chart import bar
from tui.draw.text import (
    NO_SAMPLE,
    Line,
    Role,
    age,
    clip,
    count,
    left,
    line_width,
    right,
    three_digits,
)

_ROUTE: Final = 14
_LEFT: Final = 10
_LONGEST: Final = 500
"""Characters of server text that are looked at."""
_AGEING_S: Final = 10.0
"""A limit in force without a reset tells its age from here on."""
_LONG_AGO_S: Final = 60.0
"""A limit in force that was told longer ago says so, where there is room."""
_LOW: Final = 0.1
_SCARCE: Final = 0.3
_WINDOWS: Final = {"minute": "min", "second": "s"}
_LEAST_FLEX: Final = 10
"""Cells below which a column of free width is left out rather than cut to nothing."""
_REQUEST: Final = 24
_REQUEST_NEEDED: Final = 4
_GAP: Final = "  "


@dataclass(frozen=True, slots=True)
class _Style:
    """Widths of a limits line: cool-down, label, bar, countdown; 0 leaves a part out."""

    cooling: int
    label: int
    bar: int
    reset: int
    periods: bool


_STYLES: Final = (
    _Style(cooling=15, label=13, bar=6, reset=8, periods=True),
    _Style(cooling=15, label=13, bar=0, reset=8, periods=True),
    _Style(cooling=11, label=9, bar=0, reset=8, periods=False),
    _Style(cooling=11, label=9, bar=0, reset=0, periods=False),
)
"""The roomiest first."""
_GAUGE: Final = _Style(cooling=15, label=16, bar=18, reset=9, periods=True)
_LEAST_GAUGE: Final = 85
"""Name, cool-down, label, bar, what is left and the countdown of a gauge."""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of the log: `needed` orders which ones a narrow pane keeps, 0 first."""

    head: str
    width: int
    needed: int
    flush_left: bool = False


_COLUMNS: Final = (
    _Column("TIME", 8, 0, flush_left=True),
    _Column("ROUTE", _ROUTE, 2, flush_left=True),
    _Column("LIMIT", 13, 1, flush_left=True),
    _Column("ASKED s", 7, 3),
    _Column("WAITED s", 8, 4),
    _Column("LEFT", 8, 5),
    _Column("RESETS", 6, 6),
)


def throttling_lines(
    snapshot: Snapshot,
    *,
    selected: str | None,
    width: int,
    height: int,
    offset: int = 0,
    zone: tzinfo | None = None,
) -> tuple[Line, ...]:
    """Return the pane: a line of limits a route, those that cool first, then 429s, newest first.

    Args:
        snapshot: what there is.
        selected: route whose entries stand out.
        width: cells there are.
        height: lines there are; the limits take at most half of them.
        offset: entries of the log scrolled past.
        zone: time zone of the wall times; None is the machine's own.
    """
    if width <= 0 or height <= 0:
        return ()
    limits = _limit_lines(snapshot, width, max(1, height // 2))
    if not snapshot.throttles:
        limits = _gauges(snapshot, width, height - 2) or limits
        calm: Line = (("no 429 since start", "dim"),)
        return tuple([*limits, *([()] if limits else []), clip(calm, width)][:height])
    limits = _gauges(snapshot, width, height // 2) or limits
    columns = _fitting(width)
    first = max(0, min(offset, len(snapshot.throttles) - 1))
    rows = snapshot.throttles[first : first + height]
    entries = (
        _entry_line(
            entry,
            columns,
            _texts(entry, snapshot, zone),
            "text" if entry.route == selected else "dim",
            width,
        )
        for entry in rows
    )
    lines = (*limits, _head_line(columns, width), *entries)
    return tuple(clip(line, width) for line in lines[:height])


def wall_time(at_ns: int, anchor_ns: int, zone: tzinfo | None = None) -> str:
    """Return the time of day of a stamp, `–` where no calendar holds it."""
    try:
        return datetime.fromtimestamp((at_ns + anchor_ns) // NS_PER_S, zone).strftime("%H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return NO_SAMPLE


def _limit_lines(snapshot: Snapshot, width: int, room: int) -> list[Line]:
    views = _told(snapshot)
    views.sort(key=lambda view: view.cool_down_s is None)
    if len(views) > room:
        more: Line = ((f"… {len(views) - room + 1} more routes with limits", "faint"),)
        shown = [_limit_line(view, snapshot.now_ns, width) for view in views[: room - 1]]
        return [*shown, clip(more, width)]
    return [_limit_line(view, snapshot.now_ns, width) for view in views]


def _limit_line(view: LimitsView, now_ns: int, width: int) -> Line:
    """Return one route's limits, as roomy as lets all of them stand, else as many as fit."""
    name = left(neutralise(view.route, _LONGEST), _ROUTE) + " "
    start: Line = ()
    parts: list[Line] = []
    for style in _STYLES:
        start = ((name, "text"), (_cooling(view, style.cooling), "throttled"))
        parts = [_limit_cells(limit, _age_s(limit, now_ns), style) for limit in view.limits]
        if line_width(start) + sum(line_width(part) for part in parts) <= width:
            break
    return clip(_as_fit(start, parts, width), width)


def _gauges(snapshot: Snapshot, width: int, room: int) -> list[Line]:
    """Return one limit a line with a bar of what is left; nothing where they do not all fit."""
    if width < _LEAST_GAUGE:
        return []
    views = sorted(_told(snapshot), key=lambda view: view.cool_down_s is None)
    lines = [line for view in views for line in _gauges_of(view, snapshot.now_ns, width)]
    return lines if len(lines) <= room else []


def _gauges_of(view: LimitsView, now_ns: int, width: int) -> list[Line]:
    name = left(neutralise(view.route, _LONGEST), _ROUTE) + " "
    start: Line = ((name, "text"), (_cooling(view, _GAUGE.cooling), "throttled"))
    blank: Line = ((" " * line_width(start), "text"),)
    room = width - line_width(start)
    limits = [_gauge_cells(limit, _age_s(limit, now_ns), room) for limit in view.limits] or [()]
    starts = [start, *[blank] * (len(limits) - 1)]
    return [clip((*begin, *cells), width) for begin, cells in zip(starts, limits, strict=True)]


def _gauge_cells(limit: Limit, age_s: float, room: int) -> Line:
    """Return label, a thin bar, what is left, and when it is whole again or how old this is."""
    share = _share_left(limit)
    label, figures, countdown = _limit_cells(limit, age_s, replace(_GAUGE, bar=0))
    role: Role = "graph_dim" if figures[1] in ("dim", "graph") else figures[1]
    filled = 0 if share is None else ceil(min(1.0, max(0.0, share)) * _GAUGE.bar)
    line: Line = (
        label,
        ("━" * filled, role),
        ("─" * (_GAUGE.bar - filled), "border"),
        (f" {figures[0]}", figures[1]),
        countdown,
    )
    note = f"  told {_coarse(age_s)} ago"
    is_old = age_s >= _LONG_AGO_S and not countdown[0].endswith(" ago")
    return (*line, (note, "dim")) if is_old and line_width(line) + len(note) <= room else line


def _age_s(limit: Limit, now_ns: int) -> float:
    """Return how long ago a limit was told, in s."""
    return 0.0 if limit.told_ns is None else max(0.0, seconds(now_ns - limit.told_ns))


def _told(snapshot: Snapshot) -> list[LimitsView]:
    return [view for view in snapshot.limits if view.limits or view.cool_down_s is not None]


def _as_fit(start: Line, parts: Sequence[Line], width: int) -> Line:
    """Return the start and the parts that fit, and how many do not."""
    line = start
    for index, part in enumerate(parts):
        note = "" if index == len(parts) - 1 else f" +{len(parts) - index - 1}"
        if line_width(line) + line_width(part) + len(note) > width:
            return (*line, (f" +{len(parts) - index}", "faint"))
        line = (*line, *part)
    return line


def _cooling(view: LimitsView, width: int) -> str:
    """Return what is left of the cool-down and, where there is room, what the server asked."""
    if view.cool_down_s is None:
        return " " * width
    exact, coarse = age(view.cool_down_s), _coarse(view.cool_down_s)
    texts = [f"cools {exact}", f"cools {coarse}"]
    asked_s = view.cool_down_asked_s
    if asked_s is not None:
        texts = [f"cools {exact}/{age(asked_s)}", f"cools {coarse}/{_coarse(asked_s)}", *texts]
    return left(next((text for text in texts if len(text) <= width), texts[-1]), width)


def _limit_cells(limit: Limit, age_s: float, style: _Style) -> Line:
    """Return label, bar, what is left and the countdown; dim, with its age, once it ran out."""
    share = _share_left(limit)
    in_force = is_in_force(limit, age_s)
    role: Role = _left_role(share) if in_force and share is not None else "dim"
    period = limit.window if style.periods else ""
    return (
        (" " + left(_label(limit.kind, period), style.label), "head"),
        *bar(share, style.bar, role),
        (right(f"{_amount(limit.remaining)}/{_amount(limit.limit)}", _LEFT), role),
        (right(_when(limit, age_s, in_force=in_force), style.reset), "dim"),
    )


def _label(kind: str, window: str) -> str:
    """Return a limit's name, such as `tokens/min`."""
    period = _WINDOWS.get(window, window)
    return neutralise(f"{kind}/{period}" if period else kind, _LONGEST)


def _when(limit: Limit, age_s: float, *, in_force: bool) -> str:
    """Return the time to the reset, `12s`; without one how old the figure is, `3m ago`."""
    reset_s = as_of(limit, age_s).reset_s
    if in_force and reset_s:
        return age(reset_s)
    return f"{_coarse(age_s)} ago" if age_s >= (_AGEING_S if in_force else 1) else ""


def _coarse(age_s: float) -> str:
    """Return an age in its largest unit: `12s`, `3m`, `2h`, `4d`."""
    sizes = ((86_400, "d"), (3600, "h"), (60, "m"))
    size, unit = next(((size, unit) for size, unit in sizes if age_s >= size), (1, "s"))
    return f"{int(min(age_s // size, 999))}{unit}"


def _share_left(limit: Limit) -> float | None:
    if limit.limit is None or limit.remaining is None or limit.limit <= 0:
        return None
    return limit.remaining / limit.limit


def _amount(value: float | None) -> str:
    return "?" if value is None else count(value)


def _left_role(share: float) -> Role:
    if share <= _LOW:
        return "throttled"
    return "slow" if share <= _SCARCE else "graph"


def _fitting(width: int) -> tuple[_Column, ...]:
    """Return the columns that fit, in order; the request id goes before the least needed ones."""
    kept: list[_Column] = []
    used = -len(_GAP)
    for column in sorted(_COLUMNS, key=lambda column: column.needed):
        used += len(_GAP) + column.width
        request = len(_GAP) + _LEAST_FLEX if column.needed > _REQUEST_NEEDED else 0
        if kept and used + request > width:
            break
        kept.append(column)
    return tuple(column for column in _COLUMNS if column in kept)


def _head_line(columns: Sequence[_Column], width: int) -> Line:
    line: Line = ((_GAP.join(_aligned(column.head, column) for column in columns), "head"),)
    request, message = _flexible(line, width)
    heads = (
        _GAP + left("REQUEST", request) if request else "",
        f"{_GAP}MESSAGE" if message else "",
    )
    return (*line, (heads[0] + heads[1], "head"))


def _entry_line(
    entry: ThrottleEntry, columns: Sequence[_Column], texts: dict[str, str], role: Role, width: int
) -> Line:
    cells = [_aligned(texts[column.head], column) for column in columns]
    gaps = [_GAP] * (len(cells) - 1) + [""]
    line: Line = tuple(
        (cell + gap, "throttled" if column.head == "LIMIT" else role)
        for cell, gap, column in zip(cells, gaps, columns, strict=True)
    )
    request, message = _flexible(line, width)
    if request:
        line = (*line, (_GAP + left(neutralise(entry.request_id, _LONGEST), request), role))
    if message:
        line = (*line, (_GAP + neutralise(entry.message, _LONGEST), "faint"))
    return line


def _flexible(line: Line, width: int) -> tuple[int, bool]:
    """Return the width of the request id, 0 for none, and whether the message has room."""
    room = width - line_width(line) - len(_GAP)
    if room < _LEAST_FLEX:
        return 0, False
    if room < _REQUEST + _LEAST_FLEX:
        return min(room, _REQUEST), False
    return _REQUEST, True


def _texts(entry: ThrottleEntry, snapshot: Snapshot, zone: tzinfo | None) -> dict[str, str]:
    passed_s = seconds(snapshot.now_ns - entry.at_ns)
    resets_s = None if entry.reset_s is None else max(0.0, entry.reset_s - passed_s)
    return {
        "TIME": wall_time(entry.at_ns, snapshot.wall_anchor_ns, zone),
        "ROUTE": neutralise(entry.route, _LONGEST),
        "LIMIT": _label(entry.kind, entry.window),
        "ASKED s": three_digits(entry.asked_s),
        "WAITED s": _waited(entry),
        "LEFT": neutralise(entry.remaining, _LONGEST) or NO_SAMPLE,
        "RESETS": age(resets_s or None),
    }


def _waited(entry: ThrottleEntry) -> str:
    if entry.waited_s is not None:
        return three_digits(entry.waited_s)
    return "waits" if entry.retried else "no retry"


def _aligned(text: str, column: _Column) -> str:
    return left(text, column.width) if column.flush_left else right(text, column.width)
