"""Pane 4: throttling: what is left of each limit, then the log of 429s of all routes."""

from collections.abc import Sequence
from datetime import tzinfo
from math import ceil
from typing import Final

import msgspec

from probes.board.views import LimitsView, Snapshot, ThrottleEntry
from probes.events import Limit
from probes.events.limit_periods import as_of, is_in_force
from probes.kit.clock import NS_PER_S, seconds
from probes.kit.sanitise import neutralise
from tui.draw.chart import bar
from tui.draw.table import Cell, Column, Table, fit
from tui.draw.text import (
    NO_FIGURE,
    Line,
    Role,
    Span,
    age,
    clip,
    count,
    counted,
    left,
    line_width,
    right,
    three_digits,
    time_of_day,
)
from tui.panes.pane import Want
from tui.panes.routes import selected_route
from tui.panes.view import ViewState

_ROUTE: Final = 14
_LEFT: Final = 10
"""Cells of what is left of a limit, such as `1.2k/60k`."""
_LONGEST: Final = 500
"""Characters of server text that are looked at."""
_AGEING_S: Final = 10.0
"""A limit in force without a reset tells its age from here on."""
_LONG_AGO_S: Final = 60.0
"""A limit in force that was reported longer ago says so, where there is room."""
_LOW: Final = 0.1
_SCARCE: Final = 0.3
"""Shares left from which a limit stands out, and from which it is coloured: at a third there is
still time to turn a knob."""
_WINDOWS: Final = {"minute": "min", "second": "s"}
_LEAST_REQUEST: Final = 10
_MOST_REQUEST: Final = 24
_LEAST_MESSAGE: Final = 8
"""Cells below which words of the server's are left out rather than cut to nothing."""
_GAP: Final = "  "
_CALM: Final[Span] = ("no 429 since start", "dim")
_LEAST_LINES: Final = 4
_MOST_LOGGED: Final = 20
_MINUTE_NS: Final = 60 * NS_PER_S
_NEWS_NS: Final = 5 * _MINUTE_NS
"""How long after a 429 the pane has lines of its own: as long as a recovery is told."""


_SOON_S: Final = 300.0
"""A limit that runs out so soon is told as what it will be: a refusal."""


class _Style(msgspec.Struct, frozen=True):
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


class _Logged(msgspec.Struct, frozen=True):
    """One 429 on the moment's screen."""

    entry: ThrottleEntry
    snapshot: Snapshot
    role: Role
    zone: tzinfo | None

    def time(self) -> Cell:
        at = time_of_day(self.entry.at_ns, self.snapshot.wall_anchor_ns, self.zone)
        return Cell(at, self.role)

    def waited(self) -> Cell:
        if self.entry.waited_s is not None:
            return Cell(three_digits(self.entry.waited_s), self.role)
        return Cell("waits" if self.entry.retried else "no retry", self.role)

    def resets(self) -> Cell:
        passed_s = seconds(self.snapshot.now_ns - self.entry.at_ns)
        reported_s = self.entry.reset_s
        resets_s = None if reported_s is None else max(0.0, reported_s - passed_s)
        return Cell(age(resets_s or None), self.role)

    def words(self, text: str) -> Cell:
        return Cell(neutralise(text, _LONGEST), self.role)


_REQUEST: Final[Column[_Logged]] = Column(
    "REQUEST",
    _LEAST_REQUEST,
    lambda row: row.words(row.entry.request_id),
    5,
    key="request",
    flush_left=True,
)
_COLUMNS: Final[tuple[Column[_Logged], ...]] = (
    Column("TIME", 8, _Logged.time, flush_left=True),
    Column("ROUTE", _ROUTE, lambda row: row.words(row.entry.route), 2, flush_left=True),
    Column(
        "LIMIT",
        13,
        lambda row: Cell(_label(row.entry.kind, row.entry.window), "throttled"),
        1,
        flush_left=True,
        gap_like_before=True,
    ),
    Column(
        "ASKED s",
        7,
        lambda row: Cell(three_digits(row.entry.asked_s), row.role),
        3,
        gap_like_before=True,
    ),
    Column("WAITED s", 8, _Logged.waited, 4),
    Column(
        "LEFT", 8, lambda row: Cell(row.words(row.entry.remaining).text or NO_FIGURE, row.role), 6
    ),
    Column("RESETS", 6, _Logged.resets, 7),
    _REQUEST,
)
"""Of the log; behind them stands the server's message, as far as it has room."""


def throttling_lines(
    snapshot: Snapshot, view: ViewState, width: int, height: int, zone: tzinfo | None = None
) -> Sequence[Line]:
    """Return a line of limits a route, those that cool first, then 429s, newest first.

    The limits take at most half of the lines. Of the log the selected route's entries stand out.
    `zone` is the time zone of its wall times; None is the machine's own.
    """
    if width <= 0 or height <= 0:
        return ()
    entries = snapshot.throttles
    gauges = _gauges(snapshot, width, height // 2 if entries else height - 2)
    limits = gauges or _limit_lines(snapshot, width, max(1, height // 2))
    if not entries:
        return tuple([*limits, *([()] if limits else []), clip((_CALM,), width)][:height])
    table = _log_table(width)
    # The message comes when the request's id has all its room.
    whole_id = table.width("request") == _MOST_REQUEST
    has_message = whole_id and table.spare >= len(_GAP) + _LEAST_MESSAGE
    head = table.head_line()
    lines = [*limits, (*head, (f"{_GAP}MESSAGE", "head")) if has_message else head]
    route = selected_route(snapshot, view)
    first = max(0, min(view.offset("throttling"), len(entries) - 1))
    for entry in entries[first : first + height]:
        role: Role = "text" if route is not None and entry.route == route.name else "dim"
        line = table.line(_Logged(entry, snapshot, role, zone))
        message: Line = ((_GAP + neutralise(entry.message, _LONGEST), "faint"),)
        lines.append((*line, *message) if has_message else line)
    return tuple(clip(line, width) for line in lines[:height])


def _log_table(width: int) -> Table[_Logged]:
    table = fit(_COLUMNS, width, gap=len(_GAP))
    if not table.width("request"):  # it may still fill what a wider column left
        table = fit([*table.columns, _REQUEST], width, gap=len(_GAP))
    return table.grown(("request", _MOST_REQUEST))


def throttling_title(snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG001 - a pane's own
    """Return the pane's name, and how many routes the log is of."""
    throttled = len({entry.route for entry in snapshot.throttles})
    among = (
        f"{throttled} of {counted(len(snapshot.routes), 'route')}" if throttled else "all routes"
    )
    return f"throttling · {among}"


def throttling_wants(snapshot: Snapshot, view: ViewState) -> Want:  # noqa: ARG001 - a pane's own
    """Return lines for each limit and for as many 429s as there are; one where none is new."""
    limits = sum(
        max(1, len(view.limits)) + (view.headroom is not None) for view in _reported(snapshot)
    )
    entries = min(len(snapshot.throttles), _MOST_LOGGED)
    return Want(_LEAST_LINES, limits + 1 + entries, quiet=not _is_news(snapshot))


def throttling_brief(snapshot: Snapshot, view: ViewState) -> Line:  # noqa: ARG001 - a pane's own
    """Return how many 429s there were lately, or how long ago the last one was."""
    entries = snapshot.throttles
    if not entries:
        return (("no 429 yet", "dim"),)
    recent = sum(entry.at_ns >= snapshot.now_ns - _MINUTE_NS for entry in entries)
    if recent:
        last = neutralise(entries[0].route, _ROUTE)
        return ((f"{recent} 429s/min", "throttled"), (f" · last {last}", "dim"))
    return ((f"last 429 {_coarse(seconds(snapshot.now_ns - entries[0].at_ns))} ago", "dim"),)


def _is_news(snapshot: Snapshot) -> bool:
    """Tell whether a 429 is not long past, a route cools down, or a limit is nearly spent."""
    entries = snapshot.throttles
    if entries and entries[0].at_ns >= snapshot.now_ns - _NEWS_NS:
        return True
    return any(
        view.cool_down_s is not None or any(_is_scarce(limit) for limit in view.limits)
        for view in snapshot.limits
    )


def _is_scarce(limit: Limit) -> bool:
    """Tell whether nearly nothing is left of it; requests at once are meant to be used up."""
    left_over = _share_left(limit)
    return limit.kind != "concurrency" and left_over is not None and left_over <= _LOW


def limit_words(view: LimitsView, now_ns: int) -> list[Span]:
    """Return what one route has left of its limits, a part each: `requests/min 212/600, 12s`."""
    words: list[Span] = []
    if view.cool_down_s is not None:
        asked = "" if view.cool_down_asked_s is None else f", asked {age(view.cool_down_asked_s)}"
        words.append((f"cools {age(view.cool_down_s)}{asked}", "throttled"))
    for limit in view.limits:
        age_s = _age_s(limit, now_ns)
        in_force, share = is_in_force(limit, age_s), _share_left(limit)
        role: Role = _left_role(share) if in_force and share is not None else "dim"
        when = _when(limit, age_s, in_force=in_force)
        told = f"{_label(limit.kind, limit.window)} "
        told += f"{_amount(limit.remaining)}/{_amount(limit.limit)}"
        words.append((f"{told}, {when}" if when else told, role))
    return words


def headroom_words(view: LimitsView) -> list[Span]:
    """Return how far a route is from its next refusal, a part each; nothing of what is unknown."""
    room = view.headroom
    if room is None:
        return []
    words: list[Span] = []
    for one in room.lasts:
        role: Role = "throttled" if one.lasts_s < _SOON_S else "dim"
        words.append((f"{_label(one.kind, one.window)} run out in {age(one.lasts_s)}", role))
    if room.most is not None:
        # Not even one at a time: only a longer interval fits.
        words.append((f"at most {room.most} at once" if room.most else "not even 1 at once", "dim"))
    if room.shortest_s is not None:
        pace = f"{three_digits(room.shortest_s)} s" if room.shortest_s else "back to back"
        words.append((f"shortest interval {pace}", "dim"))
    return words


def _limit_lines(snapshot: Snapshot, width: int, room: int) -> list[Line]:
    views = _reported(snapshot)
    views.sort(key=lambda view: view.cool_down_s is None)
    if len(views) > room:
        more: Line = ((f"… {counted(len(views) - room + 1, 'more route')} with limits", "faint"),)
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
    views = sorted(_reported(snapshot), key=lambda view: view.cool_down_s is None)
    lines = [line for view in views for line in _gauges_of(view, snapshot.now_ns, width)]
    return lines if len(lines) <= room else []


def _gauges_of(view: LimitsView, now_ns: int, width: int) -> list[Line]:
    name = left(neutralise(view.route, _LONGEST), _ROUTE) + " "
    start: Line = ((name, "text"), (_cooling(view, _GAUGE.cooling), "throttled"))
    blank: Line = ((" " * line_width(start), "text"),)
    room = width - line_width(start)
    limits = [_gauge_cells(limit, _age_s(limit, now_ns), room) for limit in view.limits] or [()]
    parts = headroom_words(view)
    if parts:
        between: Line = ((" · ", "faint"),)
        told: Line = (("headroom ", "dim"), parts[0])
        limits.append(sum(((*between, part) for part in parts[1:]), told))
    starts = [start, *[blank] * (len(limits) - 1)]
    return [clip((*begin, *cells), width) for begin, cells in zip(starts, limits, strict=True)]


def _gauge_cells(limit: Limit, age_s: float, room: int) -> Line:
    """Return label, a thin bar, what is left, and when it is whole again or how old this is."""
    share = _share_left(limit)
    label, figures, countdown = _limit_cells(limit, age_s, msgspec.structs.replace(_GAUGE, bar=0))
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
    """Return how long ago a limit was reported, in s."""
    return 0.0 if limit.told_ns is None else max(0.0, seconds(now_ns - limit.told_ns))


def _reported(snapshot: Snapshot) -> list[LimitsView]:
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
