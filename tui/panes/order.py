"""Which routes are shown and in what order: pure functions of a snapshot and the view."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from probes.board.views import WINDOWS, RouteView, Snapshot
from tui.panes.routes_columns import SORT_KEYS, SortValue, column_named
from tui.panes.view import ViewState

_NAME: Final = "name"
_SETTLING_S: Final = 10.0


def matches(route: RouteView, words: str) -> bool:
    """Tell whether a route's name, model, tags and state contain all of `words`."""
    text = " ".join((route.name, route.model, *route.tags, route.state)).lower()
    return all(word in text for word in words.lower().split())


def visible_routes(snapshot: Snapshot, view: ViewState) -> tuple[RouteView, ...]:
    """Return the rows of the table: filtered, in the order of the view."""
    rows = [route for route in snapshot.routes if matches(route, view.filter)]
    if view.sort:
        rows = _sorted(rows, view.sort)
    return tuple(reversed(rows) if view.reversed else rows)


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
    count = len(visible_routes(snapshot, view))
    return moved(snapshot, view, count if last else -count)


def next_sort(view: ViewState) -> ViewState:
    """Return the view sorted by the next column."""
    following = (SORT_KEYS.index(view.sort) + 1) % len(SORT_KEYS)
    return replace(view, sort=SORT_KEYS[following], reversed=False)


def next_window(view: ViewState) -> ViewState:
    """Return the view with the next window of time."""
    following = (WINDOWS.index(view.window) + 1) % len(WINDOWS)
    return replace(view, window=WINDOWS[following])


def _sorted(rows: Sequence[RouteView], key: str) -> list[RouteView]:
    """Return rows by a column: numbers from the largest, text from A, no sample last."""
    column = column_named(key)
    if key == _NAME or column is None:
        return sorted(rows, key=lambda route: route.name.lower())
    valued = [(column.value(route), route) for route in rows]
    texts = [pair for pair in valued if isinstance(pair[0], str)]
    if texts:
        return [route for _, route in sorted(valued, key=lambda pair: str(pair[0]))]
    return [route for _, route in sorted(valued, key=lambda pair: _descending(pair[0]))]


def _descending(value: SortValue) -> tuple[bool, float]:
    number = value if isinstance(value, int | float) else None
    return number is None, -(number or 0.0)
