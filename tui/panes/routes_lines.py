"""The routes table as lines: which columns fit, and what each row says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from math import ceil
from typing import Final, TypeAlias

from rich.cells import cell_len

from probes.board.views import ChartPoint, RouteView, Snapshot
from probes.events import PriceInfo
from probes.kit.clock import NS_PER_S
from probes.kit.sanitise import neutralise
from tui.draw.chart import SPANS_NS, span_of, trend_cells
from tui.draw.text import Line, Role, Span, left, right
from tui.panes.order import selected_route, visible_routes
from tui.panes.routes_columns import COLUMNS, STATE_GLYPHS, STATE_ROLES, Column, column_named
from tui.panes.throttling_lines import wall_time
from tui.panes.view import ViewState

TREND_TOP_S: Final = 4.0
"""The trend's scale is fixed: 0 to this many seconds of TTFT."""

_MARKER_WIDTH: Final = 4
_LEAST_NAME: Final = 10  # "all routes"
_MOST_NAME: Final = 24
_USUAL_MODEL: Final = 14
_MOST_MODEL: Final = 40
_LEAST_TREND: Final = 10
_USUAL_TREND: Final = 19
_MOST_TREND: Final = 90
_TREND_PRIORITY: Final = 7
_STATE_PRIORITY: Final = 19
_NAME_LIMIT: Final = 120
_NOTICE_LIMIT: Final = 100
_WHY_LIMIT: Final = 40
_NOT_OF_TOTALS: Final = frozenset(
    {"state", "model", "speed", "ttft_p50", "ttft_p95", "ttft_p99", "e2e_p50", "e2e_p95"}
)
"""Percentiles never mix routes."""
_MOST_STATE: Final = 28
_MINUTE_S: Final = 60
_FRAME_ROWS: Final = 2  # the heads and the totals


DrawTrend: TypeAlias = Callable[[Sequence[ChartPoint], int, float, float, int], Line]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which columns are shown and how wide the elastic ones are."""

    columns: tuple[Column, ...]
    widths: tuple[int, ...]
    heads: tuple[str, ...]
    name: int
    trend: int
    """0 where there is no room for it."""


def plan(rows: Sequence[RouteView], width: int) -> Plan:
    """Return what fits into `width` cells; columns are dropped by priority, the name never is."""
    longest = max((cell_len(neutralise(row.name, _NAME_LIMIT)) for row in rows), default=0)
    name = min(max(longest, _LEAST_NAME), _MOST_NAME, max(1, width - _MARKER_WIDTH))
    shown, trend = _columns(rows), _USUAL_TREND
    while shown and _needed(shown, name, trend) + _comfort(shown) > width:
        worst = max(shown, key=lambda column: column.priority)
        if trend > _LEAST_TREND and worst.priority < _STATE_PRIORITY:
            trend = _LEAST_TREND
        elif trend and worst.priority < _TREND_PRIORITY:
            trend = 0
        else:
            shown.remove(worst)
    if _needed(shown, name, trend) > width:
        trend = 0
    model = max((cell_len(neutralise(row.model, _NAME_LIMIT)) for row in rows), default=0)
    return _stretched(shown, name, trend, model, width)


def _columns(rows: Sequence[RouteView]) -> list[Column]:
    """Return all columns, CONC as wide as the sum of all targets needs."""
    digits = len(str(sum(row.target for row in rows)))
    return [
        replace(column, width=max(column.width, 2 * digits + 1)) if column.key == "conc" else column
        for column in COLUMNS
    ]


def _needed(shown: Sequence[Column], name: int, trend: int) -> int:
    columns = sum(1 + width for width in _widths(shown))
    return _MARKER_WIDTH + name + columns + (2 + trend if trend else 0)


def _comfort(shown: Sequence[Column]) -> int:
    """Return what else must be free before the state is also said in words."""
    return _USUAL_MODEL if any(column.key == "state" for column in shown) else 0


def _widths(shown: Sequence[Column]) -> list[int]:
    return [
        max(column.width, len(head)) + column.marked
        for column, head in zip(shown, _heads(shown), strict=True)
    ]


def _heads(shown: Sequence[Column]) -> list[str]:
    seen: set[str] = set()
    heads = []
    for column in shown:
        first = column.group and column.group not in seen
        seen.add(column.group)
        heads.append(f"{column.group} {column.head}" if first else column.head)
    return heads


def _stretched(shown: Sequence[Column], name: int, trend: int, model: int, width: int) -> Plan:
    """Give what is left to model and trend as usual, to the state, then to model and trend."""
    widths = dict(zip((column.key for column in shown), _widths(shown), strict=True))
    elastic = {"model": widths.get("model"), "state": widths.get("state"), "trend": trend or None}
    spare = width - _needed(shown, name, trend)
    for key, most in (
        ("model", min(model, _USUAL_MODEL)),
        ("trend", _USUAL_TREND),
        ("state", _MOST_STATE),
        ("model", min(model, _MOST_MODEL)),
        ("trend", _MOST_TREND),
    ):
        now = elastic[key]
        if now is not None:
            elastic[key] = now + max(0, min(spare, most - now))
            spare -= (elastic[key] or 0) - now
    fitted = tuple(elastic.get(key) or size for key, size in widths.items())
    return Plan(tuple(shown), fitted, tuple(_heads(shown)), name, elastic["trend"] or 0)


def routes_lines(
    snapshot: Snapshot,
    view: ViewState,
    width: int,
    height: int,
    draw_trend: DrawTrend = trend_cells,
) -> list[Line]:
    """Return the table: heads, the rows around the cursor, and the totals in the last line.

    `draw_trend` draws points in a width against the scale's top, the goal and the span.
    """
    rows = visible_routes(snapshot, view)
    fitted = plan(snapshot.routes, width)
    body, first = _window(snapshot, view, height)
    if not rows:
        return [_head(fitted, snapshot, view), *_nothing(snapshot, view)][:height]
    current = selected_route(snapshot, view)
    span_ns = _trend_span(snapshot)
    shown = rows[first : first + body]
    lines = [_row(row, fitted, span_ns, draw_trend, selected=row is current) for row in shown]
    if height < _FRAME_ROWS:
        return lines
    lines.insert(0, _head(fitted, snapshot, view))
    if snapshot.totals is not None and height > _FRAME_ROWS:
        blank: list[Line] = [()] * max(0, min(1, height - len(lines) - 1))
        lines += [*blank, _totals(snapshot.totals, fitted)]
    return lines


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


def _worse(selected: RouteView | None, snapshot: Snapshot) -> str:
    """Return which other route is down, and why: it must not go unseen."""
    rows = (row for row in snapshot.routes if row.state == "down" and row is not selected)
    row = next(rows, None)
    if row is None:
        return ""
    why = f": {neutralise(row.why, _WHY_LIMIT)}" if row.why else ""
    return f"{STATE_GLYPHS['down']} {neutralise(row.name, _MOST_NAME)} down{why}"


def _about(route: RouteView, snapshot: Snapshot, zone: tzinfo | None) -> list[str]:
    state: str = route.state
    if route.since_ns is not None:
        at = wall_time(route.since_ns, snapshot.wall_anchor_ns, zone)
        for_s = (snapshot.now_ns - route.since_ns) // NS_PER_S
        state = f"{state} since {at} ({_lasting(for_s)})"
    return [
        neutralise(route.name, _MOST_NAME),
        f"{state}: {neutralise(route.why, _WHY_LIMIT)}" if route.why else state,
        f"every {route.interval:g} s" if route.interval else "back to back",
        f"cap {route.max_tokens}",
        "" if route.streamed else "not streamed",
        f"cooling {ceil(route.cool_down_s)} s" if route.cool_down_s else "",
        f"{route.skipped} skipped" if route.skipped else "",
        "" if route.price is None else _price(route.price),
    ]


def _price(price: PriceInfo) -> str:
    """Return USD a million tokens, of input and of output, and whose word that is."""
    source = " by its list" if price.source == "list" else ""
    return f"${price.input:g}/{price.output:g} per M{source}"


def _lasting(for_s: int) -> str:
    """Return how long a state has lasted in whole minutes: a border is costly to draw again."""
    if for_s < _MINUTE_S:
        return "<1m"
    hours, minutes = divmod(for_s // _MINUTE_S, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m"


def _window(snapshot: Snapshot, view: ViewState, height: int) -> tuple[int, int]:
    """Return how many rows fit and the first of them, such that the cursor is among them."""
    rows = visible_routes(snapshot, view)
    frame = 0 if height < _FRAME_ROWS else 1 if height == _FRAME_ROWS else _FRAME_ROWS
    body = max(1, height - frame)
    current = selected_route(snapshot, view)
    index = rows.index(current) if current else 0
    return body, max(0, index - body + 1)


def _nothing(snapshot: Snapshot, view: ViewState) -> list[Line]:
    if snapshot.routes and view.filter:
        return [((f"  no route matches {neutralise(view.filter, 40)} · Esc shows all", "dim"),)]
    return [(("  waiting for the engine", "dim"),)]


def _head(fitted: Plan, snapshot: Snapshot, view: ViewState) -> Line:
    cells: list[Span] = [
        (" " * _MARKER_WIDTH, "head"),
        (left("ROUTE", fitted.name), "accent" if view.sort == "name" else "head"),
    ]
    for column, width, head in zip(fitted.columns, fitted.widths, fitted.heads, strict=True):
        role: Role = "accent" if column.key == view.sort else "head"
        cells.append((" " + _placed(head, width - column.marked, column), role))
        if column.marked:
            cells.append((" ", "head"))
    if fitted.trend:
        cells.append(("  " + left(_trend_head(snapshot, fitted.trend), fitted.trend), "head"))
    return tuple(cells)


def _trend_head(snapshot: Snapshot, width: int) -> str:
    goals = {row.goal_ttft_s for row in snapshot.routes if row.streamed}
    goal = f" goal {goals.pop():g}" if len(goals) == 1 else ""
    span = f"{_trend_span(snapshot) // (60 * NS_PER_S)}m"
    scale = f"{span} 0–{TREND_TOP_S:g}s"
    heads = (f"TTFT p95 {scale}{goal}", f"p95 {scale}{goal}", f"{scale}{goal}")
    return next((head for head in heads if len(head) <= width), scale)


def _trend_span(snapshot: Snapshot) -> int:
    """Return what all trends reach back, in ns: as far as the longest needs."""
    return max((span_of(row.trend) for row in snapshot.routes), default=SPANS_NS[0])


def _row(
    route: RouteView, fitted: Plan, span_ns: int, draw_trend: DrawTrend, *, selected: bool
) -> Line:
    name_role: Role = "title" if selected or route.state not in ("ok", "paused") else "text"
    start: list[Span] = [
        ("▸ " if selected else "  ", "accent"),
        (STATE_GLYPHS[route.state], STATE_ROLES[route.state]),
        (" ", "text"),
        (left(neutralise(route.name, _NAME_LIMIT), fitted.name), name_role),
    ]
    trend: Line = ()
    if fitted.trend:
        trend = (("  ", "text"), *_trend(route, fitted.trend, span_ns, draw_trend))
    return (*start, *_cells(route, fitted), *trend)


def _trend(route: RouteView, width: int, span_ns: int, draw_trend: DrawTrend) -> Line:
    if not route.streamed:
        return ((left("not streamed", width), "faint"),)
    return draw_trend(route.trend, width, TREND_TOP_S, route.goal_ttft_s, span_ns)


def _cells(route: RouteView, fitted: Plan, blank: frozenset[str] = frozenset()) -> list[Span]:
    cells: list[Span] = []
    for column, width in zip(fitted.columns, fitted.widths, strict=True):
        is_blank = column.key in blank
        span: Span = ("", "text") if is_blank else column.cell(route)
        text, role = span
        cells.append((" " + _placed(text, width - column.marked, column), role))
        if column.mark is not None:
            cells.append((" " if is_blank else column.mark(route), role))
    return cells


def _placed(text: str, width: int, column: Column) -> str:
    return left(text, width) if column.flush_left else right(text, width)


def _totals(totals: RouteView, fitted: Plan) -> Line:
    start: Line = ((" " * _MARKER_WIDTH, "text"), (left("all routes", fitted.name), "head"))
    return (*start, *_cells(totals, fitted, blank=_NOT_OF_TOTALS))
