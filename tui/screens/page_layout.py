"""Which panes of a route's page are on the screen and how large: a pure function of its size."""

from dataclasses import dataclass
from typing import Final

from tui.screens.layout import LEAST_FOR_AXIS

PAGE_PANES: Final = (1, 2, 3, 4)

_TWO_COLUMNS: Final = 116
"""Width from which a chart and a map, figures and probes stand side by side."""
_LEAST_PANE: Final = 8
"""Height of a pane: borders, three rows of a chart, axis and times; six lines of a list."""
_FIGURES_WIDTH: Final = 62
"""Cells of the figures with all their windows; they get no more, for the strips can use it."""
_FIGURES_SHARE: Final = 0.42
"""Of the width at most."""
_MOST_ABOVE: Final = 26
"""Lines of the charts: above that they say no more, and the probes can use them."""
LEAST_FRAMED_HEIGHT: Final = 8  # below it the borders would take a third of the lines
LEAST_FRAMED_WIDTH: Final = 30
_LEAST_HEADED_HEIGHT: Final = 3
_VERDICT_SHARE: Final = 3
"""The verdict takes at most every third line: it is proved by what stands below it."""


@dataclass(frozen=True, slots=True)
class PageArrangement:
    """What is shown of a page; crumbs, time axis, banner and footer take a line each."""

    header: bool
    axis: bool
    footer: bool
    verdict: int
    """Lines it takes."""
    framed: bool
    """Panes have borders."""
    above: tuple[int, ...]
    """Numbers of the panes in the upper row; in one column those of all, from the top down."""
    below: tuple[int, ...]
    above_height: int
    figures_width: int | None
    """Of pane 3 where it has pane 4 beside it."""
    columns: int


def arrange_page(
    width: int,
    height: int,
    *,
    banner: bool,
    verdict: int,
    current: int,
    maximised: int | None,
    axis: bool = False,
) -> PageArrangement:
    """Return what fits on a terminal of `width` × `height`.

    `current` is the pane the user is in: it is always shown. A maximised pane is alone. `verdict`
    is how many lines of it there are to tell; `axis` tells that what is shown is not now.
    """
    framed = height >= LEAST_FRAMED_HEIGHT and width >= LEAST_FRAMED_WIDTH
    header = height >= _LEAST_HEADED_HEIGHT
    axis = axis and height >= LEAST_FOR_AXIS
    lines = max(1, height - header - axis - framed - banner)
    verdict = min(verdict, height // _VERDICT_SHARE) if height >= LEAST_FRAMED_HEIGHT else 0
    room = max(1, lines - verdict)
    columns = 2 if width >= _TWO_COLUMNS else 1
    if maximised is not None or room < _LEAST_PANE * 2:
        alone = maximised if maximised is not None else current
        return PageArrangement(header, axis, framed, verdict, framed, (alone,), (), room, None, 1)
    if columns == 1:
        shown = _chosen(room // _LEAST_PANE, current)
        return PageArrangement(header, axis, framed, verdict, framed, shown, (), room, None, 1)
    above = min(max(_LEAST_PANE, room * 2 // 5), _MOST_ABOVE)
    figures = min(_FIGURES_WIDTH, int(width * _FIGURES_SHARE))
    return PageArrangement(header, axis, framed, verdict, framed, (1, 2), (3, 4), above, figures, 2)


def _chosen(room: int, current: int) -> tuple[int, ...]:
    """Return as many panes as there is room for, in their order; the current one is among them.

    The charts prove most at a glance, the probes what a chart cannot; the others come after them.
    """
    wanted = [current, *(pane for pane in (1, 4, 2, 3) if pane != current)]
    return tuple(sorted(wanted[: max(1, room)]))
