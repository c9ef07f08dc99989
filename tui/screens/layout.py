"""Which panes are on the screen and how large: a pure function of its size."""

from dataclasses import dataclass
from typing import Final

LOWER_PANES: Final = (2, 3, 4, 5, 6)

_TWO_COLUMNS: Final = 116
"""Width from which a lane with its figures and a table of all windows stand side by side."""
_LEAST_PANE: Final = 9
"""Height of a lower pane: borders, heads, the six percentiles that matter most, the last line."""
_LEAST_FOR_TWO: Final = 12
"""Height below which the routes and one pane would both be too low to be read."""
_TABLE_FRAME: Final = 5  # borders, heads, a blank line, totals
_LEAST_FRAMED_HEIGHT: Final = 8  # below it the borders would take a third of the lines
_LEAST_FRAMED_WIDTH: Final = 30
_LEAST_HEADED_HEIGHT: Final = 3
_LEAST_FOR_VERDICTS: Final = (8, 20, 32)
"""Height from which there is a first, a second and a third verdict: the table that they are about
must keep most of the room."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """What is shown; header, banner and footer take a line each."""

    header: bool
    footer: bool
    verdicts: int
    """Lines they take."""
    framed: bool
    """Panes have borders."""
    routes_height: int
    """0 where the routes are not shown."""
    panes: tuple[int, ...]
    """Numbers of the lower panes, in order."""
    columns: int


def arrange(
    width: int,
    height: int,
    *,
    routes: int,
    banner: bool,
    verdicts: int,
    current: int,
    maximised: int | None,
) -> Arrangement:
    """Return what fits on a terminal of `width` × `height`.

    `current` is the pane the user is in: it is always shown. A maximised pane is alone. `verdicts`
    is how many lines of them there are to tell.
    """
    framed = height >= _LEAST_FRAMED_HEIGHT and width >= _LEAST_FRAMED_WIDTH
    header = height >= _LEAST_HEADED_HEIGHT
    verdicts = min(verdicts, sum(height >= least for least in _LEAST_FOR_VERDICTS))
    room = max(1, height - header - framed - banner - verdicts)
    alone = maximised if maximised is not None else current if room < _LEAST_FOR_TWO else None
    if alone is not None:
        is_table = alone == 1
        below = () if is_table else (alone,)
        return Arrangement(header, framed, verdicts, framed, room if is_table else 0, below, 1)
    columns = 2 if width >= _TWO_COLUMNS else 1
    lower_least = max(_LEAST_PANE - 1, room // 2)
    routes_height = min(max(routes, 1) + _TABLE_FRAME, room - lower_least)
    rows = max(1, (room - routes_height) // _LEAST_PANE)
    panes = _chosen(columns * rows, current)
    shown = min(columns, len(panes))
    return Arrangement(header, framed, verdicts, framed, routes_height, panes, shown)


def _chosen(room: int, current: int) -> tuple[int, ...]:
    """Return as many lower panes as there is room for; the current one is among them."""
    chosen = LOWER_PANES[:room]
    if current in LOWER_PANES and current not in chosen:
        chosen = (*chosen[:-1], current)
    return chosen
