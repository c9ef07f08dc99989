"""The grid of places: a row for each route, a column for each place, worst routes first.

Rule 1. A cell is the state's glyph and the figure that says how bad it is: times its usual of the
median TTFT, the share that fails, or for how long nothing was heard. What is well is a dim dot.
Rule 2. What is the way there is a column, what is the provider is a row: a column or a row of which
more than half hurts is bright from end to end, and its count stands at its end.
Rule 3. Where there is no room for all columns those go first in which nothing hurts, and those of
which nothing is heard stay; where there is none for all rows the last go; both are counted.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from probes.board.views import HURT_STATES, Figure, RouteView, Snapshot
from probes.kit.clock import NS_PER_S
from probes.kit.sanitise import neutralise
from tui.draw.chart import strip_cells
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
    pad,
    right,
    seconds,
    share,
)
from tui.keys import hints
from tui.panes.pace import pace_of
from tui.panes.routes import (
    NOTABLE_RATIO,
    STATE_GLYPHS,
    STATE_ROLES,
    STRIP_TOP_S,
    DrawTrend,
    hurts,
    is_shown,
    shortened,
    strip_cell_s,
    window_words,
)
from tui.panes.view import ViewState

NOTHING: Final = "One place is all there is: --place and --bus show routes from several."
_CELL: Final = 7  # "✖ 100%", "▲ ×12", and a blank before it
_LONG_CELL: Final = 17  # "▲ ×3.1  0.744 s"
_STRIP_CELL: Final = 30
"""From here on a cell has a strip of the last minutes: since when, from where, side by side."""
_LONGEST_CELL: Final = 48  # fifteen minutes by 30 s
_LEAST_NAME: Final = 10
_MOST_NAME: Final = 26
_NAME_LIMIT: Final = 120
_COUNT: Final = 7  # " 20/20!"
_MORE: Final = 4  # " +15"
_BORDER: Final = 4
"""Of a border's line: what stands beside its words."""
_MOST_AROUND: Final = 3
"""Lines above and below the rows."""
_WHOLE: Final = "!"
"""Beside the count of a row or a column that hurts as a whole."""
_WELL: Final = "·"
_NOT_THERE: Final = " "
_UNKNOWN: Final = frozenset(("silent", "starting", "paused", "held"))
"""Nobody knows by such a cell whether the route hurts from there."""


class PlacesGrid(NamedTuple):
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

    def worth_of_column(self, place: str) -> tuple[bool, bool, int]:
        """Return what is less the sooner a column must be seen: one that hurts as a whole, then
        one of which nothing is known, then by how much hurts."""
        hurt = self.hurt_in_column(place)
        return not _is_bad(hurt), hurt[1] > 0, -hurt[0]


class GridPart(NamedTuple):
    """What of a grid stands in a size."""

    names: tuple[str, ...]
    first: int
    """How many rows are above them."""
    places: tuple[str, ...]
    cell: int
    """Cells of a column, its blank included."""
    name: int
    heads: int
    """Lines above the first row."""
    footed: bool


def grid_of(snapshot: Snapshot, view: ViewState) -> PlacesGrid | None:
    """Return the grid of a frame; None where there is one place alone."""
    rows = [one for one in snapshot.routes if one.place]
    every = sorted({route.place for route in rows})
    if len(every) < 2:
        return None
    # A row is whole: a cell that were left out would look like a place that does not probe it.
    names = dict.fromkeys(one.shared_name for one in rows if _is_wanted(one, view))
    by_cell = {
        (route.shared_name, route.place): route for route in rows if route.shared_name in names
    }
    return PlacesGrid(tuple(names), tuple(every), by_cell)


def _is_wanted(route: RouteView, view: ViewState) -> bool:
    """Tell whether the row of a route is shown for this one of its cells."""
    if view.rows is not None:  # where rows are named, a group that is closed is named alone
        return route.name in view.rows or route.shared_name in view.rows
    return is_shown(route, view)


def grid_lines(
    snapshot: Snapshot,
    view: ViewState,
    width: int,
    height: int,
    draw_trend: DrawTrend = strip_cells,
) -> list[Line]:
    """Return heads, a line for each route that has room, and how many hurt from each place."""
    grid = grid_of(snapshot, view)
    if grid is None:
        return [clip(((NOTHING, "dim"),), width)]
    if not grid.names:
        words = f"no route matches {neutralise(view.filter, 40)}" if view.filter else "none hurts"
        return [clip(((f" {words}", "dim"),), width)]
    part = part_of(grid, view, width, height)
    chosen = selected_cell(grid, view)
    bad = {place for place in part.places if _is_bad(grid.hurt_in_column(place))}
    hidden = len(grid.places) - len(part.places)
    more = f" +{hidden}" if hidden else ""
    lines = _heads(part, chosen, bad, more, width)
    for name in part.names:
        hurt, known = grid.hurt_in_row(name)
        is_bad = _is_bad((hurt, known))
        role: Role = "title" if hurt else "dim"
        is_row = chosen is not None and chosen[0] == name
        line: list[Span] = [("▸" if is_row else " ", "accent")]
        line.append((left(shortened(neutralise(name, _NAME_LIMIT), part.name), part.name), role))
        for place in part.places:
            is_lit = is_bad or place in bad
            marker = "▸" if chosen == (name, place) else " "
            line.append((marker, "accent"))
            route = grid.by_cell.get((name, place))
            line.extend(_cell(route, part.cell - 1, draw_trend, is_lit=is_lit))
        line.append((right(_told(hurt, known, is_bad), _COUNT), _count_role(hurt, is_bad)))
        lines.append(clip(tuple(line), width))
    if part.footed:
        lines.append(_foot(grid, part, bad, width))
    return lines[:height]


def grid_height(snapshot: Snapshot, view: ViewState, width: int) -> int:
    """Return how many lines all of the grid takes."""
    grid = grid_of(snapshot, view)
    if grid is None or not grid.names:
        return 1
    part = part_of(grid, view, width, len(grid.names) + _MOST_AROUND)
    return part.heads + len(part.names) + part.footed


def part_of(grid: PlacesGrid, view: ViewState, width: int, height: int) -> GridPart:
    """Return which rows and columns have room, and how wide they are."""
    longest = max((cells(neutralise(name, _NAME_LIMIT)) for name in grid.names), default=0)
    name = min(max(longest, _LEAST_NAME), _MOST_NAME)
    count = len(grid.places)
    room = width - 1 - _COUNT
    if room - name < count * _CELL:  # names give way before a column does
        name = max(_LEAST_NAME, min(name, room - count * _CELL))
    places = grid.places
    if (room - name) // _CELL < count:
        room -= _MORE
        fitting = max(1, (room - name) // _CELL)
        ill = sorted(grid.places, key=grid.worth_of_column)
        chosen = selected_cell(grid, view)
        kept = dict.fromkeys(([chosen[1]] if chosen else []) + ill)
        shown = frozenset(list(kept)[:fitting])
        places = tuple(place for place in grid.places if place in shown)
    cell = max(1, min(_LONGEST_CELL, (room - name) // max(1, len(places))))
    # Two lines of heads where names have no room in one.
    heads = 0 if height < 2 else 1
    if height > 5 and any(cells(place) > cell - 1 for place in places):
        heads = 2
    footed = height > 3
    body = max(1, height - heads - footed)
    chosen = selected_cell(grid, view)
    under = grid.names.index(chosen[0]) if chosen else 0
    first = 0 if under < body else min(under - body + 1, len(grid.names) - body)
    return GridPart(grid.names[first : first + body], first, places, cell, name, heads, footed)


def selected_cell(grid: PlacesGrid, view: ViewState) -> tuple[str, str] | None:
    """Return the route and the place under the cursor: the worst until the user moves it."""
    worst = in_row = None
    for key, route in grid.by_cell.items():
        if route.name == view.selected:
            return key
        worst = worst or key
        if route.shared_name == view.selected:
            in_row = in_row or key
    return in_row or worst


def route_of_cell(snapshot: Snapshot, view: ViewState) -> RouteView | None:
    """Return the route under the cursor."""
    grid = grid_of(snapshot, view)
    chosen = None if grid is None else selected_cell(grid, view)
    return None if grid is None or chosen is None else grid.by_cell[chosen]


def troubled_cell(snapshot: Snapshot, view: ViewState, step: int) -> str | None:
    """Return the name of the route in the next cell that hurts, row by row, or with `step` −1 in
    the one before; None where there is no other."""
    grid = grid_of(snapshot, view)
    chosen = None if grid is None else selected_cell(grid, view)
    if grid is None or chosen is None:
        return None
    order = [(name, place) for name in grid.names for place in grid.places]
    at = order.index(chosen)
    others = (*order[at + 1 :], *order[:at])
    found = (grid.by_cell.get(key) for key in others[::step])
    return next((route.name for route in found if route is not None and hurts(route)), None)


def edge_cell(snapshot: Snapshot, view: ViewState) -> str | None:
    """Return the name of the route in the last row, in the column of the cursor if it can be."""
    grid = grid_of(snapshot, view)
    chosen = None if grid is None else selected_cell(grid, view)
    if grid is None or chosen is None:
        return None
    last = [(grid.names[-1], place) for place in (chosen[1], *grid.places)]
    return next(grid.by_cell[key].name for key in last if key in grid.by_cell)


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
    row, column = y - part.heads, (x - 1 - part.name) // part.cell
    if not (0 <= row < len(part.names) and 0 <= column < len(part.places)):
        return None
    found = grid.by_cell.get((part.names[row], part.places[column]))
    return None if found is None else found.name


def grid_title(snapshot: Snapshot, view: ViewState) -> str:
    """Return the pane's title."""
    grid = grid_of(snapshot, view)
    if grid is None:
        return "routes × places"
    parts = [
        f"{counted(len(grid.names), 'route')} × {counted(len(grid.places), 'place')}",
        window_words(view.window, ""),
        "× = times its usual TTFT",
        "% fails",
    ]
    among = len({route.shared_name for route in snapshot.routes if route.place})
    of = f"{len(grid.names)} of {among}"
    if view.only_hurt:
        parts.insert(1, "only what hurts" if view.filter else f"only what hurts: {of}")
    if view.filter:
        parts.insert(1, f"filter {neutralise(view.filter, 30)}: {of}")
    return " · ".join(parts)


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
        parts.append(f"{len(part.places)} of {counted(len(grid.places), 'place')}")
    chosen = selected_cell(grid, view)
    if chosen is not None:
        route = grid.by_cell[chosen]
        why = neutralise(route.said or route.why, 40)
        since = "" if route.since_s is None else f" {lasting(route.since_s)}"
        told = f"{neutralise(route.name, 40)} {route.state}{since}"
        parts.append(f"{told}: {why}" if why else told)
        knobs = f"CONC {route.target} · {pace_of(route)}"  # what keys turn here
        keys = hints(view.keys, ("open_cell", "its page"), ("leave", "back"))
        for more in (knobs, keys):  # the footer has the keys, too
            if more and cells(" · ".join((*parts, more))) <= width - _BORDER:
                parts.append(more)
    return " · ".join(parts)


def cell_figure(route: RouteView) -> str:
    """Return the figure that says how a route is from a place; empty where all is as usual."""
    if route.state not in HURT_STATES and route.state not in ("ok", "silent"):
        return ""
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


def _told(hurt: int, known: int, is_bad: bool) -> str:
    return f"{hurt}/{known}{_WHOLE if is_bad else ' '}"


def _count_role(hurt: int, is_bad: bool) -> Role:
    return "missed" if is_bad else "title" if hurt else "faint"


def _heads(
    part: GridPart,
    chosen: tuple[str, str] | None,
    bad: set[str],
    more: str,
    width: int,
) -> list[Line]:
    lines: list[Line] = []
    for at in range(part.heads):
        is_last = at == part.heads - 1
        spans: list[Span] = [(left(" ROUTE" if is_last else "", part.name + 1), "head")]
        for place in part.places:
            name = _folded(place, part.cell - 1, part.heads)[at]
            is_column = chosen is not None and chosen[1] == place
            role: Role = "missed" if place in bad else "accent" if is_column else "head"
            spans += [(" ", "text"), (left(name, part.cell - 1), role)]
        if is_last:
            spans += [(right("HURT ", _COUNT), "head"), (more, "slow")]
        lines.append(clip(tuple(spans), width))
    return lines


def _folded(place: str, room: int, lines: int) -> tuple[str, ...]:
    """Return a place's name in so many lines of a width, broken at its hyphens; the last of them
    first, so that it stands right above its column."""
    if lines < 2 or cells(place) <= room:
        return (*("",) * (lines - 1), place if cells(place) <= room else place[: room - 1] + MARK)
    parts = place.split("-")
    rest = parts.pop()
    while len(parts) > 1 and cells(f"{parts[-1]}-{rest}") <= room:
        rest = f"{parts.pop()}-{rest}"
    before = "-".join(parts)
    if not before or max(cells(before), cells(rest)) > room:  # no hyphen stands where it would
        before, rest = place[:room], place[room:]
        rest = rest if cells(rest) <= room else rest[: room - 1] + MARK
    return (before, rest)


def _cell(
    route: RouteView | None, room: int, draw_trend: DrawTrend, *, is_lit: bool
) -> Sequence[Span]:
    """Return what stands in a cell, the blank before it left aside."""
    if route is None:
        return ((left(_NOT_THERE, room), "faint"),)
    glyph = _WELL if route.state == "ok" else STATE_GLYPHS[route.state]
    figure = cell_figure(route)
    text = f"{glyph} {figure}".rstrip()
    if room + 1 >= _LONG_CELL:
        text = f"{left(text, _CELL)} {_detail(route)}".rstrip()
    role: Role = STATE_ROLES[route.state]
    if route.state == "ok":  # it may be slower than usual, and is still well
        role = "text" if is_lit and figure else "faint"
    if room + 1 < _STRIP_CELL:
        return ((left(text, room), role),)
    length = room - _LONG_CELL - 1
    cell_ns = strip_cell_s(length) * NS_PER_S
    strip = draw_trend(route.trend, length, STRIP_TOP_S, route.goal_ttft_s, cell_ns)
    return ((left(text, _LONG_CELL - 1), role), (" ", "text"), *pad(strip, length), (" ", "text"))


def _detail(route: RouteView) -> str:
    """Return what there is room for in a wide cell: the median itself, or the state."""
    median: Figure = route.ttft_p50
    if route.state in ("down", "failing", "silent") or median.value is None:
        return route.state
    return f"{seconds(median.value)} s"


def _foot(grid: PlacesGrid, part: GridPart, bad: set[str], width: int) -> Line:
    spans: list[Span] = [(left(" hurt", part.name + 1), "head")]
    for place in part.places:
        hurt, known = grid.hurt_in_column(place)
        told = _told(hurt, known, place in bad) if known else "–"
        spans += [(" ", "text"), (left(told, part.cell - 1), _count_role(hurt, place in bad))]
    all_hurt = sum(route.state in HURT_STATES for route in grid.by_cell.values())
    line = (*spans, (right(f"{all_hurt} ", _COUNT), "title" if all_hurt else "faint"))
    return clip(line, width)
