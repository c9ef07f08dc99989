"""Pane 1: the routes table: its columns, which rows it has in what order, and the lines it makes.

The row under the cursor is what the other panes show, so they ask here which one it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from math import ceil
from typing import Final, TypeAlias

from probes.board.views import (
    WINDOWS,
    ChartPoint,
    Figure,
    Grade,
    RouteState,
    RouteView,
    Snapshot,
)
from probes.kit.clock import NS_PER_S
from probes.kit.sanitise import neutralise
from tui.draw.chart import SPANS_NS, span_of, trend_cells
from tui.draw.table import BLANK, Cell, Column, Table, fit
from tui.draw.text import (
    NO_FIGURE,
    NOT_STREAMED,
    Line,
    Role,
    age,
    cells,
    count,
    lasting,
    left,
    seconds,
    share,
    three_digits,
    time_of_day,
    usd,
)
from tui.panes.view import ViewState

SortValue: TypeAlias = float | str | None
DrawTrend: TypeAlias = Callable[[Sequence[ChartPoint], int, float, float, int], Line]
"""Draws points in a width, against the top of the scale in s, a goal in s and a span in ns."""

STATE_GLYPHS: Final[dict[RouteState, str]] = {
    "down": "✖",
    "hanging": "◷",
    "failing": "▼",
    "throttled": "⊘",
    "stalling": "⋯",
    "sluggish": "▲",
    "slow": "△",
    "masked": "↻",
    "changed": "≠",
    "ok": "·",
    "held": "■",
    "paused": "‖",
    "starting": "○",
}
STATE_ROLES: Final[dict[RouteState, Role]] = {
    "down": "alert",
    "hanging": "alert",
    "failing": "missed",
    "throttled": "throttled",
    "stalling": "stall",
    "sluggish": "sluggish",
    "slow": "slow",
    "masked": "accent",
    "changed": "accent",
    "ok": "good",
    "held": "alert",
    "paused": "dim",
    "starting": "dim",
}

OURS: Final = "◌"
"""Beside what is our own machine's trouble: no latency is to be trusted."""
FEW_SAMPLES: Final = "°"
"""Beside a figure of too few samples: it is the largest of them, not yet a percentile."""
TREND_TOP_S: Final = 4.0
"""The trend's scale is fixed, 0 to this many seconds of TTFT, so that rows can be compared. The
default goal of 1 s stands at a quarter of it, and what is four times as slow is off the scale."""

_GRADE_MARKS: Final[dict[Grade, str]] = {"slow": "△", "sluggish": "▲"}
_SEVERE: Final = frozenset[RouteState](("down", "hanging"))
CALM: Final = frozenset[RouteState](("ok", "paused", "starting"))
"""States of which nobody asks since when."""
_GOOD_ENOUGH: Final = 0.95
"""Goodput from which nobody need look."""
_NOTICEABLE_AMPLIFICATION: Final = 1.005
"""From here on the two decimals of the factor are no longer 1.00."""
_SETTLING_S: Final = 10.0
"""How long the cursor rests on whatever row is the worst: by then each route has been probed at
the default interval of 5 s."""

_MARKER_WIDTH: Final = 4  # the cursor, a blank, the state's glyph, a blank
_LEAST_NAME: Final = 10  # "all routes"
_MOST_NAME: Final = 24
_LEAST_MODEL: Final = 6
_USUAL_MODEL: Final = 14
_MOST_MODEL: Final = 40
_STATE: Final = 9  # "throttled"
_LEAST_WHY: Final = 14
_MOST_WHY: Final = 28
_LEAST_TREND: Final = 10
_USUAL_TREND: Final = 19
_MOST_TREND: Final = 90
_NAME_LIMIT: Final = 120
"""Characters of what others wrote that are looked at: no column is wider."""
_TEXT_LIMIT: Final = 80
_NOTICE_LIMIT: Final = 100
_WHY_LIMIT: Final = 40
_SAID_LIMIT: Final = 60
_MINUTE_S: Final = 60
_FRAME_ROWS: Final = 2  # the heads and the totals
_TRENDS_KEPT: Final = 256
"""More than the rows of any screen, less than a thousand routes' worth of memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteColumn(Column[RouteView]):
    """A column that rows can be sorted by."""

    value: Callable[[RouteView], SortValue]
    """What they are sorted by, largest first; text sorts from A to Z, and None comes last."""
    totalled: bool = True
    """The foot has it for all routes together. Percentiles never mix routes."""


def figure_cell(figure: Figure) -> Cell:
    """Return a percentile: graded by colour and mark, faint where it has too few samples."""
    if figure.value is None:
        return Cell(NO_FIGURE, "faint")
    if not figure.enough:
        return Cell(seconds(figure.value), "faint", FEW_SAMPLES)
    role: Role = "dim" if figure.grade == "none" else figure.grade
    return Cell(seconds(figure.value), role, _GRADE_MARKS.get(figure.grade, " "))


def _percentile(
    group: str, head: str, priority: int, pick: Callable[[RouteView], Figure]
) -> RouteColumn:
    def cell(route: RouteView) -> Cell:
        if group == "TTFT" and head == "p95" and not route.streamed:
            return Cell(NOT_STREAMED, "faint")
        return figure_cell(pick(route))

    return RouteColumn(
        head,
        5,
        cell,
        priority,
        key=f"{group}_{head}".lower(),
        group=group,
        marked=True,
        value=lambda route: pick(route).value,
        totalled=False,
    )


def _rate(
    key: str, head: str, priority: int, role: Role, pick: Callable[[RouteView], float]
) -> RouteColumn:
    def cell(route: RouteView) -> Cell:
        rate = pick(route)
        if rate <= 0:
            return Cell("0", "faint")
        return Cell(f"{rate:.1f}" if rate < 9.95 else count(rate), role)

    return RouteColumn(head, 5, cell, priority, key=key, value=pick)


def _model(route: RouteView) -> Cell:
    return Cell(neutralise(route.model, _TEXT_LIMIT), "dim")


def _state(route: RouteView) -> Cell:
    ours = f" {OURS}" if route.observer_busy else ""
    role: Role = "faint" if route.state == "ok" else STATE_ROLES[route.state]
    return Cell(route.state + ours, role)


def _reason(route: RouteView) -> Cell:
    # The server's own words say more than ours, and both would seldom fit.
    words = neutralise(route.said or route.why, _TEXT_LIMIT)
    if route.cool_down_s:
        words = f"cooling {age(route.cool_down_s)} {words}".rstrip()
        return Cell(words, "throttled")
    return Cell(words, "dim")


def _since(route: RouteView) -> Cell:
    if route.since_s is None:
        return Cell(NO_FIGURE, "faint")
    return Cell(lasting(route.since_s), "faint" if route.state in CALM else "text")


def _open(route: RouteView) -> Cell:
    if route.oldest_open_s is None:
        return Cell(NO_FIGURE, "faint")
    if route.overdue:
        return Cell(age(route.oldest_open_s), "missed", "!")
    return Cell(age(route.oldest_open_s), "dim")


def _concurrency(route: RouteView) -> Cell:
    # More in flight than the target: it was lowered, and what was open then is let end.
    role: Role = "text" if route.in_flight <= route.target else "slow"
    return Cell(f"{route.in_flight}/{route.target}", role)


def _stream_speed(route: RouteView) -> Cell:
    speed, grade = route.stream_tokens_per_s, route.speed_grade
    role: Role = "faint" if speed is None else "dim" if grade == "none" else grade
    return Cell(three_digits(speed), role, _GRADE_MARKS.get(grade, " "))


def _success(route: RouteView) -> Cell:
    if route.success is None:
        return Cell(NO_FIGURE, "faint")
    if route.success_missed:
        return Cell(share(route.success), "missed", "▼")
    return Cell(share(route.success), "dim")


def _goodput(route: RouteView) -> Cell:
    if route.goodput is None:
        return Cell(NO_FIGURE, "faint")
    return Cell(share(route.goodput), "dim" if route.goodput >= _GOOD_ENOUGH else "text")


def _amplification(route: RouteView) -> Cell:
    factor = route.amplification
    if factor is None:
        return Cell(NO_FIGURE, "faint")
    return Cell(f"×{factor:.2f}", "slow" if factor >= _NOTICEABLE_AMPLIFICATION else "faint")


def _tokens(route: RouteView) -> Cell:
    if route.input_tokens is None and route.output_tokens is None:
        return Cell(NO_FIGURE, "faint")
    return Cell(f"{count(route.input_tokens)}/{count(route.output_tokens)}", "dim")


def _cost(route: RouteView) -> Cell:
    if route.usd_per_hour is None:
        return Cell(NO_FIGURE, "faint")
    return Cell(("~" if route.cost_estimated else "") + usd(route.usd_per_hour), "dim")


COLUMNS: Final = (
    RouteColumn(
        "MODEL",
        _LEAST_MODEL,
        _model,
        18,
        key="model",
        flush_left=True,
        value=lambda route: route.model.lower(),
        totalled=False,
    ),
    RouteColumn(
        "STATE",
        _STATE,
        _state,
        8,
        key="state",
        flush_left=True,
        value=lambda route: route.goal_ratio,
        totalled=False,
    ),
    RouteColumn(
        "SINCE",
        5,
        _since,
        2,
        key="since",
        value=lambda route: route.since_s,
        totalled=False,
    ),
    RouteColumn(
        "WHY",
        _LEAST_WHY,
        _reason,
        21,
        key="why",
        flush_left=True,
        # Verdicts say it already: words come when model and trend have their usual widths.
        room=_LEAST_WHY + _USUAL_MODEL + _USUAL_TREND - _LEAST_TREND,
        value=lambda route: route.why,
        totalled=False,
    ),
    RouteColumn("CONC", 5, _concurrency, 3, key="conc", value=lambda route: route.target),
    RouteColumn(
        "OPEN", 5, _open, 10, key="open", marked=True, value=lambda route: route.oldest_open_s
    ),
    _rate("per_min", "/min", 16, "dim", lambda route: route.probes_per_min),
    _percentile("TTFT", "p50", 12, lambda route: route.ttft_p50),
    _percentile("TTFT", "p95", 1, lambda route: route.ttft_p95),
    _percentile("TTFT", "p99", 19, lambda route: route.ttft_p99),
    _percentile("E2E", "p50", 14, lambda route: route.e2e_p50),
    _percentile("E2E", "p95", 9, lambda route: route.e2e_p95),
    RouteColumn(
        "tok/s",
        5,
        _stream_speed,
        11,
        key="speed",
        marked=True,
        value=lambda route: route.stream_tokens_per_s,
        totalled=False,
    ),
    RouteColumn("OK%", 4, _success, 4, key="ok", marked=True, value=lambda route: route.success),
    RouteColumn("GOOD%", 5, _goodput, 6, key="good", value=lambda route: route.goodput),
    _rate("throttled", "429/m", 5, "throttled", lambda route: route.throttled_per_min),
    _rate("timeouts", "TOUT/m", 20, "missed", lambda route: route.timeouts_per_min),
    RouteColumn(
        "RETRY", 5, _amplification, 13, key="retry", value=lambda route: route.amplification
    ),
    RouteColumn("IN/OUT", 9, _tokens, 15, key="tokens", value=lambda route: route.output_tokens),
    RouteColumn("$/h", 6, _cost, 17, key="usd", value=lambda route: route.usd_per_hour),
)
"""All but the name, which comes first, and the trend, which comes last."""

SORT_KEYS: Final[tuple[str, ...]] = ("", "name", *(column.key for column in COLUMNS))
"""What `s` goes through; empty is worst first."""

_FOOT: Final = {column.key: BLANK for column in COLUMNS if not column.totalled}
_TREND: Final[Column[RouteView]] = Column("", _LEAST_TREND, None, 7, key="trend", gap=2)


def column_named(key: str) -> RouteColumn | None:
    """Return the column of a sort key, None for no such column."""
    return next((column for column in COLUMNS if column.key == key), None)


def matches(route: RouteView, words: str) -> bool:
    """Tell whether a route's name, model, tags and state contain all of `words`."""
    text = " ".join((route.name, route.model, *route.tags, route.state)).lower()
    return all(word in text for word in words.lower().split())


def visible_routes(snapshot: Snapshot, view: ViewState) -> tuple[RouteView, ...]:
    """Return the rows of the table: filtered, in the order of the view."""
    if view.rows is not None:
        by_name = {route.name: route for route in snapshot.routes}
        return tuple(by_name[name] for name in view.rows)
    rows = [route for route in snapshot.routes if matches(route, view.filter)]
    if view.sort:
        rows = _sorted(rows, view.sort)
    return tuple(reversed(rows) if view.reversed else rows)


def _sorted(rows: Sequence[RouteView], key: str) -> list[RouteView]:
    """Return rows by a column: numbers from the largest, text from A, no sample last."""
    column = column_named(key)
    if column is None:
        return sorted(rows, key=lambda route: route.name.lower())
    valued = [(column.value(route), route) for route in rows]
    if any(isinstance(value, str) for value, _ in valued):
        return [route for _, route in sorted(valued, key=lambda pair: str(pair[0]))]
    return [route for _, route in sorted(valued, key=lambda pair: _descending(pair[0]))]


def _descending(value: SortValue) -> tuple[bool, float]:
    number = value if isinstance(value, int | float) else None
    return number is None, -(number or 0.0)


def selected_route(snapshot: Snapshot, view: ViewState) -> RouteView | None:
    """Return the row under the cursor: the selected one while it is visible, else the first."""
    rows = visible_routes(snapshot, view)
    chosen = next((route for route in rows if route.name == view.selected), None)
    return chosen or (rows[0] if rows else None)


def settled(snapshot: Snapshot, view: ViewState) -> ViewState:
    """Return the view with its cursor on a route of its own.

    At first the cursor rests on the worst row; once the first figures are in, or when the user
    moves, it belongs to a route and follows it.
    """
    if view.selected is not None or snapshot.header.elapsed_s < _SETTLING_S:
        return view
    route = selected_route(snapshot, view)
    return view if route is None else replace(view, selected=route.name)


def moved(snapshot: Snapshot, view: ViewState, by: int) -> ViewState:
    """Return the view with the cursor `by` rows further down."""
    rows = visible_routes(snapshot, view)
    current = selected_route(snapshot, view)
    if current is None:
        return view
    index = min(max(rows.index(current) + by, 0), len(rows) - 1)
    return replace(view, selected=rows[index].name, offsets={})


def moved_to_edge(snapshot: Snapshot, view: ViewState, *, last: bool) -> ViewState:
    """Return the view with the cursor on the first or the last row."""
    number = len(visible_routes(snapshot, view))
    return moved(snapshot, view, number if last else -number)


def next_trouble(snapshot: Snapshot, view: ViewState, step: int) -> ViewState | None:
    """Return the view with the cursor on the next row that hurts, or with `step` −1 on the one
    before; None where there is no other."""
    rows, current = visible_routes(snapshot, view), selected_route(snapshot, view)
    if current is None:
        return None
    at = rows.index(current)
    others = (*rows[at + 1 :], *rows[:at])
    hurt = [row for row in others[::step] if row.state not in CALM]
    return replace(view, selected=hurt[0].name, offsets={}) if hurt else None


def next_sort(view: ViewState) -> ViewState:
    """Return the view sorted by the next column."""
    following = (SORT_KEYS.index(view.sort) + 1) % len(SORT_KEYS)
    return replace(view, sort=SORT_KEYS[following], reversed=False)


def next_window(view: ViewState) -> ViewState:
    """Return the view with the next window of time."""
    following = (WINDOWS.index(view.window) + 1) % len(WINDOWS)
    return replace(view, window=WINDOWS[following])


def routes_table(
    rows: Sequence[RouteView], width: int, current: RouteView | None = None
) -> Table[RouteView]:
    """Return the table that fits into `width` cells, markers not counted, as `rows` need it.

    The trend comes last and is left to whoever draws it. `current` is the row under the cursor.
    """

    def name(route: RouteView) -> Cell:
        stands_out = route is current or route.state not in ("ok", "paused")
        return Cell(neutralise(route.name, _NAME_LIMIT), "title" if stands_out else "text")

    longest = max((cells(neutralise(row.name, _NAME_LIMIT)) for row in rows), default=0)
    wide = min(max(longest, _LEAST_NAME), _MOST_NAME, max(1, width))
    first: Column[RouteView] = Column(left("ROUTE", wide), wide, name, key="name", flush_left=True)
    # As wide as the sum of all targets needs, which is in the foot.
    digits = len(str(sum(row.target for row in rows)))
    columns = [
        replace(column, width=max(column.width, 2 * digits + 1)) if column.key == "conc" else column
        for column in COLUMNS
    ]
    table = fit([first, *columns, _TREND], width, gap=1)
    model = max((cells(neutralise(row.model, _NAME_LIMIT)) for row in rows), default=0)
    # Where no column but the state has gone, the trend has its usual width before others grow.
    roomy = len(table.columns) > len(columns) and table.spare >= _USUAL_TREND - _LEAST_TREND
    return table.grown(
        *([("trend", _USUAL_TREND)] if roomy else []),
        ("model", min(model, _USUAL_MODEL)),
        ("trend", _USUAL_TREND),
        ("why", _MOST_WHY),
        ("model", min(model, _MOST_MODEL)),
        ("trend", _MOST_TREND),
    )


class Trends:
    """Draws each trend once for as long as the board hands on the same points: for a second."""

    def __init__(self) -> None:
        self._drawn: dict[int, tuple[Sequence[ChartPoint], tuple[float, ...], Line]] = {}

    def __len__(self) -> int:
        return len(self._drawn)

    def __call__(
        self, points: Sequence[ChartPoint], width: int, top_s: float, goal_s: float, span_ns: int
    ) -> Line:
        how = (width, top_s, goal_s, span_ns)
        known = self._drawn.get(id(points))
        # An id is given anew when its object is gone: the points themselves are kept with it.
        if known is not None and known[0] is points and known[1] == how:
            return known[2]
        if len(self._drawn) >= _TRENDS_KEPT:
            self._drawn.clear()
        line = trend_cells(points, width, top_s, goal_s, span_ns)
        self._drawn[id(points)] = (points, how, line)
        return line


def routes_lines(
    snapshot: Snapshot,
    view: ViewState,
    width: int,
    height: int,
    draw_trend: DrawTrend = trend_cells,
) -> list[Line]:
    """Return the table: heads, the rows around the cursor, and the totals in the last line."""
    rows = visible_routes(snapshot, view)
    current = selected_route(snapshot, view)
    table = routes_table(snapshot.routes, width - _MARKER_WIDTH, current)
    span_ns = max((span_of(row.trend) for row in snapshot.routes), default=SPANS_NS[0])
    head = _head(table, snapshot, view, span_ns)
    if not rows:
        return [head, *_nothing(snapshot, view)][:height]
    trend_width = table.width("trend")
    body, first = _window(snapshot, view, height)
    lines: list[Line] = []
    for row in rows[first : first + body]:
        trend: Line = ()
        if trend_width and row.streamed:
            trend = draw_trend(row.trend, trend_width, TREND_TOP_S, row.goal_ttft_s, span_ns)
        elif trend_width:
            trend = ((left("not streamed", trend_width), "faint"),)
        marker: Line = (
            ("▸ " if row is current else "  ", "accent"),
            (STATE_GLYPHS[row.state], STATE_ROLES[row.state]),
            (" ", "text"),
        )
        gap: Line = (("  ", "text"),) if trend else ()
        lines.append((*marker, *table.line(row), *gap, *trend))
    if height < _FRAME_ROWS:
        return lines
    lines.insert(0, head)
    if snapshot.totals is not None and height > _FRAME_ROWS:
        blank: list[Line] = [()] * max(0, min(1, height - len(lines) - 1))
        foot = table.line(snapshot.totals, {**_FOOT, "name": Cell("all routes", "head")})
        lines += [*blank, ((" " * _MARKER_WIDTH, "text"), *foot)]
    return lines


def _head(table: Table[RouteView], snapshot: Snapshot, view: ViewState, span_ns: int) -> Line:
    heads: Line = ((" " * _MARKER_WIDTH, "head"), *table.head_line(view.sort))
    trend_width = table.width("trend")
    if not trend_width:
        return heads
    goals = {row.goal_ttft_s for row in snapshot.routes if row.streamed}
    goal = f" goal {goals.pop():g}" if len(goals) == 1 else ""
    scale = f"{span_ns // (_MINUTE_S * NS_PER_S)}m 0–{TREND_TOP_S:g}s"
    texts = (f"TTFT p95 {scale}{goal}", f"p95 {scale}{goal}", f"{scale}{goal}")
    text = next((text for text in texts if len(text) <= trend_width), scale)
    return (*heads, ("  " + left(text, trend_width), "head"))


def _nothing(snapshot: Snapshot, view: ViewState) -> list[Line]:
    if snapshot.routes and view.filter:
        return [((f"  no route matches {neutralise(view.filter, 40)} · Esc shows all", "dim"),)]
    return [(("  waiting for the engine", "dim"),)]


def _window(snapshot: Snapshot, view: ViewState, height: int) -> tuple[int, int]:
    """Return how many rows fit and the first of them, such that the cursor is among them."""
    rows = visible_routes(snapshot, view)
    frame = 0 if height < _FRAME_ROWS else 1 if height == _FRAME_ROWS else _FRAME_ROWS
    body = max(1, height - frame)
    current = selected_route(snapshot, view)
    index = rows.index(current) if current else 0
    return body, max(0, index - body + 1)


def cursor_row(snapshot: Snapshot, view: ViewState, height: int) -> int | None:
    """Return the row of the selected route in `routes_lines`; None where there is none."""
    current = selected_route(snapshot, view)
    if current is None:
        return None
    _, first = _window(snapshot, view, height)
    return visible_routes(snapshot, view).index(current) - first + (height >= _FRAME_ROWS)


def routes_title(snapshot: Snapshot, view: ViewState) -> str:
    """Return the pane's title: the order, the window and the filter."""
    column = column_named(view.sort)
    head = f"{column.group} {column.head}".strip() if column else view.sort
    order = f"by {head}" if view.sort else "worst first"
    parts = ["routes", order + (", reversed" if view.reversed else ""), f"window {view.window}"]
    if view.filter:
        shown = len(visible_routes(snapshot, view))
        parts.append(f"filter {neutralise(view.filter, 30)}: {shown} of {len(snapshot.routes)}")
    return " · ".join(parts)


def routes_subtitle(snapshot: Snapshot, view: ViewState, zone: tzinfo | None = None) -> str:
    """Return the selected route's state with its begin, its knobs, and the newest notice.

    Args:
        zone: time zone of the wall time; None is the machine's own.
    """
    notices = snapshot.header.notices
    note = f"{neutralise(notices[-1], _NOTICE_LIMIT)}" if notices else ""
    route = selected_route(snapshot, view)
    parts = [] if route is None else _about(route, snapshot, zone)
    return " · ".join(part for part in (*parts, _worse(route, snapshot), note) if part)


def _about(route: RouteView, snapshot: Snapshot, zone: tzinfo | None) -> list[str]:
    state: str = route.state
    if route.since_ns is not None:
        at = time_of_day(route.since_ns, snapshot.wall_anchor_ns, zone)
        state = f"{state} since {at} ({_lasting((snapshot.now_ns - route.since_ns) // NS_PER_S)})"
    price, why = "", _why(route)
    if route.price is not None:
        price = f"${route.price.input:g}/{route.price.output:g} per M"  # tokens, in and out
        price += " by its list" if route.price.source == "list" else ""
    return [
        neutralise(route.name, _MOST_NAME),
        f"{state}: {why}" if why else state,
        f"every {route.interval:g} s" if route.interval else "back to back",
        f"cap {route.max_tokens}",
        "" if route.streamed else "not streamed",
        f"cooling {ceil(route.cool_down_s)} s" if route.cool_down_s else "",
        f"{route.skipped} skipped" if route.skipped else "",
        price,
    ]


def _why(route: RouteView) -> str:
    """Return why a route is in its state: in our words, and then in its server's own."""
    parts = (neutralise(route.why, _WHY_LIMIT), neutralise(route.said, _SAID_LIMIT))
    return " · ".join(part for part in parts if part)


def _lasting(for_s: int) -> str:
    """Return how long a state has lasted in whole minutes: a border is costly to draw again."""
    if for_s < _MINUTE_S:
        return "<1m"
    hours, minutes = divmod(for_s // _MINUTE_S, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m"


def _worse(selected: RouteView | None, snapshot: Snapshot) -> str:
    """Return which other route is down, and why: it must not go unseen where no verdict tells."""
    if snapshot.incidents:
        return ""
    rows = (row for row in snapshot.routes if row.state in _SEVERE and row is not selected)
    row = next(rows, None)
    if row is None:
        return ""
    why = _why(row)
    told = f"{STATE_GLYPHS[row.state]} {neutralise(row.name, _MOST_NAME)} {row.state}"
    return f"{told}: {why}" if why else told
