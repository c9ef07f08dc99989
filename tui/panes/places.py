"""The grid of places: a row for each route, a column for each place, worst routes first.

Rule 1. A cell is the state's glyph and the figure that says how bad it is: times its usual of the
median TTFT, the share that fails, or for how long nothing was heard. What is well is a dim dot.
Rule 2. What is the way there is a column, what is the provider is a row: a column or a row of which
more than half hurts is bright from end to end, and its count stands at its end.
Rule 3. Where there is no room for all columns those go first in which nothing hurts, where there is
none for all rows the last; both are counted.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from probes.board.views import HURT_STATES, Figure, RouteView, Snapshot
from probes.kit.sanitise import neutralise
from tui.draw.text import (
    MARK,
    Line,
    Role,
    Span,
    cells,
    clip,
    counted,
    lasting,
    left,
    right,
    seconds,
    share,
)
from tui.keys import hints
from tui.panes.routes import NOTABLE_RATIO, STATE_GLYPHS, STATE_ROLES, is_shown, shortened
from tui.panes.view import ViewState

NOTHING: Final = "One place is all there is: --place and --bus show routes from several."
_CELL: Final = 7  # "✖ 100%", "▲ ×12", and a blank before it
_LONG_CELL: Final = 15  # "▲ ×3.1  2.60 s"
_LEAST_NAME: Final = 10
_MOST_NAME: Final = 26
_NAME_LIMIT: Final = 120
_COUNT: Final = 6  # " 20/20"
_WELL: Final = "·"
_NOT_THERE: Final = " "
_UNKNOWN: Final = frozenset(("silent", "starting", "paused", "held"))
"""Nobody knows by such a cell whether the route hurts from there."""


class Grid(NamedTuple):
    """What stands in the grid of a frame, before there is a size."""

    names: tuple[str, ...]
    """Routes, worst first."""
    places: tuple[str, ...]
    by_cell: dict[tuple[str, str], RouteView]

    def hurt_in_row(self, name: str) -> tuple[int, int]:
        """Return from how many places a route hurts, and of how many that is known."""
        return _hurt([self.by_cell.get((name, place)) for place in self.places])

    def hurt_in_column(self, place: str) -> tuple[int, int]:
        """Return how many routes hurt from a place, and of how many that is known."""
        return _hurt([self.by_cell.get((name, place)) for name in self.names])


class GridPart(NamedTuple):
    """What of a grid stands in a size."""

    names: tuple[str, ...]
    first: int
    """How many rows are above them."""
    places: tuple[str, ...]
    cell: int
    """Cells of a column, its blank included."""
    name: int


def grid_of(snapshot: Snapshot, view: ViewState) -> Grid | None:
    """Return the grid of a frame; None where there is one place alone."""
    rows = [route for route in snapshot.routes if route.place and is_shown(route, view)]
    every = sorted({route.place for route in snapshot.routes if route.place})
    if len(every) < 2:
        return None
    names = dict.fromkeys(route.shared_name for route in rows)
    by_cell = {(route.shared_name, route.place): route for route in rows}
    return Grid(tuple(names), tuple(every), by_cell)


def grid_lines(snapshot: Snapshot, view: ViewState, width: int, height: int) -> list[Line]:
    """Return heads, a line for each route that has room, and how many hurt from each place."""
    grid = grid_of(snapshot, view)
    if grid is None:
        return [clip(((NOTHING, "dim"),), width)]
    part = part_of(grid, view, width, height)
    chosen = selected_cell(grid, view)
    bad = {place for place in part.places if _is_bad(grid.hurt_in_column(place))}
    hidden = len(grid.places) - len(part.places)
    more = f" +{hidden}" if hidden else ""
    lines = [_head(part, chosen, bad, more, width)] if height > 1 else []
    for name in part.names:
        hurt, known = grid.hurt_in_row(name)
        is_bad = _is_bad((hurt, known))
        role: Role = "title" if hurt else "dim"
        is_row = chosen is not None and chosen[0] == name
        line: list[Span] = [("▸" if is_row else " ", "accent")]
        line.append((left(shortened(neutralise(name, _NAME_LIMIT), part.name), part.name), role))
        for place in part.places:
            line.extend(
                _cell(grid, name, place, part, is_lit=is_bad or place in bad, chosen=chosen)
            )
        line.append((right(f"{hurt}/{known}", _COUNT), _count_role(hurt, is_bad)))
        lines.append(clip(tuple(line), width))
    if height > len(lines) + 1 or height > 3:
        lines = lines[: height - 1]
        lines.append(_foot(grid, part, bad, width))
    return lines[:height]


def part_of(grid: Grid, view: ViewState, width: int, height: int) -> GridPart:
    """Return which rows and columns have room, and how wide they are."""
    longest = max((cells(neutralise(name, _NAME_LIMIT)) for name in grid.names), default=0)
    name = min(max(longest, _LEAST_NAME), _MOST_NAME)
    count = len(grid.places)
    room = width - 1 - _COUNT
    if room - name < count * _CELL:  # names give way before a column does
        name = max(_LEAST_NAME, min(name, room - count * _CELL))
    fitting = max(1, (room - name) // _CELL)
    places = grid.places
    if fitting < count:
        ill = sorted(grid.places, key=lambda place: -grid.hurt_in_column(place)[0])
        chosen = selected_cell(grid, view)
        kept = dict.fromkeys(([chosen[1]] if chosen else []) + ill)
        shown = frozenset(list(kept)[:fitting])
        places = tuple(place for place in grid.places if place in shown)
    cell = min(_LONG_CELL, (room - name) // max(1, len(places)))
    body = max(1, height - (height > 1) - (height > 3))
    chosen = selected_cell(grid, view)
    under = grid.names.index(chosen[0]) if chosen else 0
    first = 0 if under < body else min(under - body + 1, len(grid.names) - body)
    return GridPart(grid.names[first : first + body], first, places, cell, name)


def selected_cell(grid: Grid, view: ViewState) -> tuple[str, str] | None:
    """Return the route and the place under the cursor: the worst until the user moves it."""
    wanted = next((key for key, route in grid.by_cell.items() if route.name == view.selected), None)
    return wanted or next(iter(grid.by_cell), None)


def moved_cell(snapshot: Snapshot, view: ViewState, down: int, on: int) -> str | None:
    """Return the name of the route that is so many rows and columns from the cursor; None where
    there is none."""
    grid = grid_of(snapshot, view)
    chosen = None if grid is None else selected_cell(grid, view)
    if grid is None or chosen is None:
        return None
    row = min(max(grid.names.index(chosen[0]) + down, 0), len(grid.names) - 1)
    column = min(max(grid.places.index(chosen[1]) + on, 0), len(grid.places) - 1)
    step = -1 if on < 0 or down < 0 else 1
    # Not every route is probed from every place: the next one that is.
    while 0 <= row < len(grid.names) and 0 <= column < len(grid.places):
        found = grid.by_cell.get((grid.names[row], grid.places[column]))
        if found is not None:
            return found.name
        row, column = (row, column + step) if on or not down else (row + step, column)
    return None


def cell_at(
    snapshot: Snapshot, view: ViewState, width: int, height: int, x: int, y: int
) -> str | None:
    """Return the name of the route that is drawn at a cell of the pane; None where none is."""
    grid = grid_of(snapshot, view)
    if grid is None:
        return None
    part = part_of(grid, view, width, height)
    row, column = y - (height > 1), (x - 1 - part.name) // part.cell
    if not (0 <= row < len(part.names) and 0 <= column < len(part.places)):
        return None
    found = grid.by_cell.get((part.names[row], part.places[column]))
    return None if found is None else found.name


def grid_title(snapshot: Snapshot, view: ViewState) -> str:
    """Return the pane's title."""
    grid = grid_of(snapshot, view)
    if grid is None:
        return "routes × places"
    routes, places = counted(len(grid.names), "route"), counted(len(grid.places), "place")
    told = f"{routes} × {places} · × = median TTFT against its usual · % fails"
    return f"{told} · filter {neutralise(view.filter, 30)}" if view.filter else told


def grid_subtitle(snapshot: Snapshot, view: ViewState, width: int, height: int) -> str:
    """Return what is not shown, what the selected cell is, and the keys."""
    grid = grid_of(snapshot, view)
    if grid is None:
        return hints(view.keys, ("leave", "back"))
    part = part_of(grid, view, width, height)
    parts = []
    if len(part.names) < len(grid.names):
        last = part.first + len(part.names)
        parts.append(f"routes {part.first + 1}–{last} of {len(grid.names)}")
    if len(part.places) < len(grid.places):
        parts.append(f"{len(part.places)} of {len(grid.places)} places")
    chosen = selected_cell(grid, view)
    if chosen is not None:
        route = grid.by_cell[chosen]
        why = neutralise(route.said or route.why, 40)
        since = "" if route.since_s is None else f" {lasting(route.since_s)}"
        told = f"{neutralise(route.name, 40)} {route.state}{since}"
        parts.append(f"{told}: {why}" if why else told)
    parts.append(hints(view.keys, ("open_cell", "its page"), ("leave", "back")))
    return " · ".join(filter(None, parts))


def cell_figure(route: RouteView) -> str:
    """Return the figure that says how a route is from a place; empty where all is as usual."""
    if route.state == "silent":
        return "" if route.since_s is None else lasting(route.since_s)
    failing = route.success is not None and route.success_missed and route.success < 1
    if route.state in ("down", "failing") or (failing and route.state in HURT_STATES):
        failed = 1.0 if route.success is None else 1 - route.success
        return f"{share(failed)}%" if failed < 1 else "100%"
    slower = ttft_median_times(route)
    if slower is None or slower < NOTABLE_RATIO:
        return ""
    return f"×{slower:.1f}" if slower < 9.95 else f"×{min(slower, 999):.0f}"


def ttft_median_times(route: RouteView) -> float | None:
    """Return how many times its usual the median TTFT is; None where either is unknown."""
    now, usual = route.ttft_p50, route.usual.ttft_p50
    return now.value / usual if now.value is not None and now.enough and usual else None


def _hurt(found: Sequence[RouteView | None]) -> tuple[int, int]:
    known = [route for route in found if route is not None and route.state not in _UNKNOWN]
    return sum(route.state in HURT_STATES for route in known), len(known)


def _is_bad(hurt: tuple[int, int]) -> bool:
    """Tell whether so much of a row or a column hurts that it is one thing."""
    return hurt[1] > 1 and 2 * hurt[0] > hurt[1]


def _count_role(hurt: int, is_bad: bool) -> Role:
    return "missed" if is_bad else "title" if hurt else "faint"


def _head(
    part: GridPart,
    chosen: tuple[str, str] | None,
    bad: set[str],
    more: str,
    width: int,
) -> Line:
    spans: list[Span] = [(left(" ROUTE", part.name + 1), "head")]
    for place in part.places:
        name = _short(place, part.cell - 1)
        is_column = chosen is not None and chosen[1] == place
        role: Role = "missed" if place in bad else "accent" if is_column else "head"
        spans += [(" ", "text"), (left(name, part.cell - 1), role)]
    spans.append((right("HURT", _COUNT), "head"))
    return clip((*spans, (more, "slow")), width)


def _short(place: str, room: int) -> str:
    """Return a place's name in a width: its beginning and its end, which tells zones apart."""
    if cells(place) <= room:
        return place
    if room < 5:
        return left(place, room)
    end = place[-(room - 1) // 2 :]
    return place[: room - 1 - len(end)] + MARK + end


def _cell(
    grid: Grid,
    name: str,
    place: str,
    part: GridPart,
    *,
    is_lit: bool,
    chosen: tuple[str, str] | None,
) -> list[Span]:
    route, room = grid.by_cell.get((name, place)), part.cell - 1
    marker: Span = ("▸", "accent") if chosen == (name, place) else (" ", "text")
    if route is None:
        return [marker, (left(_NOT_THERE, room), "faint")]
    if route.state == "ok":
        figure = cell_figure(route)  # slower than usual, and still well
        role: Role = "text" if is_lit and figure else "faint"
        return [marker, (left(f"{_WELL} {figure}".rstrip(), room), role)]
    text = f"{STATE_GLYPHS[route.state]} {cell_figure(route)}".rstrip()
    if part.cell >= _LONG_CELL:
        text = f"{left(text, 7)} {_detail(route)}".rstrip()
    spans: list[Span] = [marker, (left(text, room), STATE_ROLES[route.state])]
    return spans


def _detail(route: RouteView) -> str:
    """Return what there is room for in a wide cell: the median itself, or the state."""
    median: Figure = route.ttft_p50
    if route.state in ("down", "failing", "silent") or median.value is None:
        return route.state
    return f"{seconds(median.value)} s"


def _foot(grid: Grid, part: GridPart, bad: set[str], width: int) -> Line:
    spans: list[Span] = [(left(" hurt", part.name + 1), "head")]
    for place in part.places:
        hurt, known = grid.hurt_in_column(place)
        told = f"{hurt}/{known}" if known else "–"
        spans += [(" ", "text"), (left(told, part.cell - 1), _count_role(hurt, place in bad))]
    all_hurt = sum(route.state in HURT_STATES for route in grid.by_cell.values())
    line = (*spans, (right(str(all_hurt), _COUNT), "title" if all_hurt else "faint"))
    return clip(line, width)
