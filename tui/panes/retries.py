"""Pane 5: retries: of the selected route by reason and number, with what they brought and cost.

Where that one has none, how many each other route has: retries anywhere are never out of sight.
"""

from collections.abc import Sequence
from typing import Final

from probes.board.views import RetryRow, RetryView, RouteView, Snapshot, WindowName
from probes.kit.sanitise import neutralise
from tui.draw.table import Cell, Column, Table, fit
from tui.draw.text import Line, age, clip, count, counted, three_digits
from tui.panes.pane import Want
from tui.panes.routes import selected_route, spaced
from tui.panes.view import ViewState

_NAME_LIMIT: Final = 40
_LONGEST: Final = 500
"""Characters of a reason that are looked at."""
_MOST_REASON: Final = 28
_ORDINALS: Final = ("1st", "2nd", "3rd", "4th", "5th", "6th")
"""Retry numbers with a column of their own; the last one that is shown takes the rest."""
_FEWEST: Final = 2
"""Of them, before what came of the retries may stand: the default is two retries."""
_NUMBER_WIDTH: Final = 6
_LEAST_LINES: Final = 3
_MOST_LINES: Final = 5
"""Heads, totals, and more reasons than an incident has."""


def _numbered(place: int, head: str, *, rest: bool = False) -> Column[RetryRow]:
    def cell(row: RetryRow) -> Cell:
        retries = sum(row.by_number[place:] if rest else row.by_number[place : place + 1])
        return Cell(count(retries), "text" if retries else "faint")

    return Column(head, _NUMBER_WIDTH, cell, place)


_REASON: Final[Column[RetryRow]] = Column(
    "REASON", 8, lambda row: Cell(neutralise(row.reason, _LONGEST)), key="reason", flush_left=True
)
_CAME_OF_IT: Final[tuple[Column[RetryRow], ...]] = (
    Column(
        "RECOVERED",
        11,
        lambda row: Cell(count(row.recovered), "good" if row.recovered else "faint"),
        2,
    ),
    Column(
        "EXHAUSTED",
        11,
        lambda row: Cell(count(row.exhausted), "missed" if row.exhausted else "faint"),
        3,
    ),
    Column("ADDED WAIT", 12, lambda row: Cell(age(row.added_wait_s)), 4),
)


_ROUTE_COLUMNS: Final[tuple[Column[RouteView], ...]] = (
    Column(
        "ROUTE",
        12,
        lambda row: Cell(neutralise(row.name, _LONGEST), "dim"),
        key="route",
        flush_left=True,
    ),
    Column("RETRIES/m", 9, lambda row: Cell(count(row.retries_per_min), "slow")),
    Column("RETRY", 6, lambda row: Cell(f"×{three_digits(row.amplification)}", "text"), 1),
    Column("FAILED/m", 8, lambda row: _failures(row.failures_per_min), 2),
)
"""Of all routes, where the selected one has no retries."""


def _failures(rate: float) -> Cell:
    return Cell(count(rate), "missed" if rate > 0 else "faint")


def retries_lines(snapshot: Snapshot, view: ViewState, width: int, height: int) -> Sequence[Line]:
    """Return the retries of the selected route over the home screen's window.

    The last line holds the totals. Calm and short where nothing was retried.
    """
    route = selected_route(snapshot, view)
    detail = snapshot.details.get(route.name) if route else None
    retries = detail.retries if detail else RetryView()
    if width <= 0 or height <= 0:
        return ()
    if not retries.rows:
        others = _retrying(snapshot)
        calm = _calm(retries, snapshot.window, width)
        return _of_all(others, width, height) if others and height > 1 else calm[:height]
    table = _table(retries.rows, width)
    room = height - 2
    rows = retries.rows if len(retries.rows) <= room else retries.rows[: max(0, room - 1)]
    lines = [table.head_line(), *(table.line(row) for row in rows)]
    if len(rows) < len(retries.rows) and room > 0:
        lines.append(((f"… {counted(len(retries.rows) - len(rows), 'more reason')}", "faint"),))
    lines = [*lines[: height - 1], _totals(retries)]
    return tuple(clip(line, width) for line in lines)


def retries_wants(snapshot: Snapshot, view: ViewState) -> Want:  # noqa: ARG001 - a pane's own
    """Return lines for some reasons, or the routes that retry; one where none does."""
    number = len(_retrying(snapshot))
    return Want(_LEAST_LINES, min(_LEAST_LINES + number, _MOST_LINES), quiet=not number)


def retries_brief(snapshot: Snapshot, view: ViewState) -> Line:  # noqa: ARG001 - a pane's own
    """Return how many retries there were, and of how many routes."""
    routes = _retrying(snapshot)
    if not routes:
        return (("none", "dim"),)
    rate = sum(route.retries_per_min for route in routes)
    where = counted(len(routes), "route")
    return ((f"{count(rate)}/min", "slow"), (f" on {where}", "dim"))


def _retrying(snapshot: Snapshot) -> list[RouteView]:
    """Return the routes that retry, those that do so most first."""
    routes = [route for route in snapshot.routes if route.retries_per_min > 0]
    return sorted(routes, key=lambda route: -route.retries_per_min)


def retries_title(snapshot: Snapshot, view: ViewState) -> str:
    """Return the route and the window."""
    route = selected_route(snapshot, view)
    if route is None:
        return "retries"
    detail = snapshot.details.get(route.name)
    is_own = (detail is not None and detail.retries.rows) or not _retrying(snapshot)
    whose = neutralise(route.name, _NAME_LIMIT) if is_own else "all routes"
    return f"retries · {whose} · {spaced(snapshot.window)}"


def _table(rows: Sequence[RetryRow], width: int) -> Table[RetryRow]:
    """Return what fits: two retry numbers, what came of the retries, then further numbers."""
    most = max(len(row.by_number) for row in rows)
    few = [_numbered(place, _ORDINALS[place]) for place in range(_FEWEST)]
    fitted = fit([_REASON, *few, *_CAME_OF_IT], width)
    shown = sum(column in few for column in fitted.columns)
    if shown == _FEWEST:
        wanted = max(_FEWEST, min(len(_ORDINALS), most))
        shown = min(wanted, _FEWEST + fitted.spare // _NUMBER_WIDTH)
    numbered = [_numbered(place, _ORDINALS[place]) for place in range(shown)]
    more = "+" if most > shown else ""
    numbered[-1] = _numbered(shown - 1, _ORDINALS[shown - 1] + more, rest=True)
    tail = [column for column in _CAME_OF_IT if column in fitted.columns]
    return fit([_REASON, *numbered, *tail], width).grown(("reason", _MOST_REASON))


def _of_all(routes: Sequence[RouteView], width: int, height: int) -> tuple[Line, ...]:
    """Return the routes that retry, those that do so most first."""
    table = fit(_ROUTE_COLUMNS, width, gap=2).grown(("route", _MOST_REASON))
    shown = routes if len(routes) < height else routes[: height - 2]
    lines = [table.head_line(), *map(table.line, shown)]
    if len(shown) < len(routes):
        lines.append(((f"… {counted(len(routes) - len(shown), 'more route')}", "faint"),))
    return tuple(clip(line, width) for line in lines[:height])


def _calm(view: RetryView, window: WindowName, width: int) -> tuple[Line, ...]:
    lines: list[Line] = [((f"nothing was retried {_when(window)}", "dim"),)]
    if view.hidden:
        lines.append(((_behind(view), "text"),))
    return tuple(clip(line, width) for line in lines)


def _when(window: WindowName) -> str:
    return "since start" if window == "run" else f"in the last {spaced(window)}"


def _behind(view: RetryView) -> str:
    """Tell of tries that are in no other figure of the pane: a gateway made them."""
    return f"{count(view.hidden)} behind the gateway"


def _totals(view: RetryView) -> Line:
    """Return the pane in one sentence: attempts a probe, and what they were good for."""
    start: Line = ((f"×{three_digits(view.amplification)}", "title"), (" attempts a probe", "dim"))
    if len(view.rows) == 1 and not view.hidden:
        return start  # the row above has the rest
    return (
        *start,
        (" · ", "dim"),
        (f"{count(view.recovered)} recovered", "text"),
        (" · ", "dim"),
        (f"{count(view.exhausted)} exhausted", "missed" if view.exhausted else "text"),
        (" · ", "dim"),
        (f"{age(view.added_wait_s)} waited", "text"),
        *(((" · ", "dim"), (_behind(view), "text")) if view.hidden else ()),
    )
