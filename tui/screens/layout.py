"""What stands where on the home screen: a pure function of its size and of what panes have to say.

Rule 1. Header, time axis, verdicts and footer take a line each; the table takes what its rows need,
at most half of what is left.
Rule 2. A pane with nothing to say is one line, and so is one for which there is no room; the room
goes to those that speak.
Rule 3. The pane that the user is in is always open.
Rule 4. Where there is more room than anybody wants, lanes and charts take it; where there is so
much that neither wants half of the lines, they stand one below the other, as wide as the screen.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from tui.panes.pane import Want

LOWER_PANES: Final = (2, 3, 4, 5, 6)

_TWO_COLUMNS: Final = 116
"""Width from which a lane with its figures and a table of all windows stand side by side."""
_LEFT_OF_20: Final = 11
"""Twentieths of the width that the left of two panes has: lanes need more than figures."""
_LEAST_FOR_TWO: Final = 12
"""Height below which the routes and one pane would both be too low to be read."""
_LEAST_LOWER: Final = 8
_TABLE_FRAME: Final = 5  # borders, heads, a blank line, totals
_LEAST_FRAMED_HEIGHT: Final = 8  # below it the borders would take a third of the lines
_LEAST_FRAMED_WIDTH: Final = 30
_LEAST_HEADED_HEIGHT: Final = 3
LEAST_FOR_AXIS: Final = 8
"""Height from which there is a line for where in time one stands; the header says it at any."""
_LEAST_FOR_VERDICTS: Final = (8, 20, 32)
"""Height from which there is a first, a second and a third verdict: the table that they are about
must keep most of the room."""
_LEAST_FOLDED: Final = 24
"""Cells in which a pane that is one line still says something."""
_LIVE: Final = (2, 3)
"""Lanes, and the percentiles with their charts: side by side where lines are scarce."""
_MOST_APART: Final[Mapping[int, int]] = {2: 100, 3: 18}
"""Lines that they need where they are as wide as the screen: the charts stand beside the table."""
_NEED: Final = (2, 6, 3, 4, 5)
"""Lower panes by who is opened first: the lanes, and the log of what happened. Throttling and
retries have a figure each in the table, and in their folded lines."""
_FOLDED_FIRST: Final = (4, 5, 6, 3, 2)
"""The same of those that are one line, where there is not room for all beside one another."""
_FOLDED_WHERE_LOW: Final = (4, 5)
_LOW: Final = 16
"""Lines below the table from which throttling and retries have lines of their own: before that
lanes and log need them all."""
_WEIGHTS: Final[Mapping[int, int]] = {2: 5, 3: 5, 4: 3, 5: 3, 6: 4}
"""How the lines that nobody needs are shared, until a pane has all that it wants."""


class PanePlace(msgspec.Struct, frozen=True):
    """Where a pane stands, borders included."""

    number: int
    x: int
    y: int
    width: int
    height: int
    folded: bool = False
    """It is one line, without borders."""


class Arrangement(msgspec.Struct, frozen=True):
    """What is shown; header, axis, banner, filter and footer take a line each."""

    header: bool
    axis: bool
    """The line of where in time one stands."""
    banner: bool
    footer: bool
    verdicts: int
    """Lines they take."""
    framed: bool
    """Panes have borders."""
    places: tuple[PanePlace, ...]
    """Numbered panes, from the top down."""

    def place(self, number: int) -> PanePlace | None:
        """Return where a pane stands; None where it does not."""
        return next((place for place in self.places if place.number == number), None)


def arrange(
    width: int,
    height: int,
    *,
    routes: int,
    banner: bool,
    verdicts: int,
    current: int,
    maximised: int | None,
    wants: Mapping[int, Want],
    filtering: bool = False,
    axis: bool = False,
) -> Arrangement:
    """Return what fits on a terminal of `width` × `height`.

    Args:
        width: cells of a line.
        height: lines of the terminal.
        routes: rows that the table would like to have.
        banner: there is a banner below the header.
        verdicts: how many lines of them there are to tell.
        current: the pane the user is in.
        maximised: the pane that has the whole screen.
        wants: what each lower pane would do with its lines.
        filtering: the line of the filter stands above the footer.
        axis: what is shown is not now.
    """
    framed = height >= _LEAST_FRAMED_HEIGHT and width >= _LEAST_FRAMED_WIDTH
    header = height >= _LEAST_HEADED_HEIGHT
    verdicts = min(verdicts, sum(height >= least for least in _LEAST_FOR_VERDICTS))
    axis = axis and height >= LEAST_FOR_AXIS
    top = header + axis + banner + verdicts
    room = max(1, height - top - framed - filtering)
    alone = maximised if maximised is not None else current if room < _LEAST_FOR_TWO else None
    if alone is not None:
        whole = PanePlace(alone, 0, top, width, room)
        return Arrangement(header, axis, banner, framed, verdicts, framed, (whole,))
    table = min(max(routes, 1) + _TABLE_FRAME, room - max(_LEAST_LOWER, room // 2))
    places = [PanePlace(1, 0, top, width, table)]
    frame = 2 * framed
    speaking = [n for n in _NEED if n in wants and (n == current or not wants[n].quiet)]
    columns = 2 if width >= _TWO_COLUMNS else 1
    # The pane that the user is in comes before all others.
    groups = sorted(_grouped(speaking, columns), key=lambda group: current not in group)
    opened: list[tuple[int, ...]] = []
    heights: dict[tuple[int, ...], int] = {}
    left = room - table
    for group in groups:
        if group[0] in _FOLDED_WHERE_LOW and current not in group and room - table < _LOW:
            continue
        least = frame + max(wants[n].least for n in group)
        others = len(wants) - sum(map(len, opened)) - len(group)
        if least + bool(others) <= left or (not opened and left >= frame + 1):
            heights[group] = min(least, left)
            opened.append(group)
            left -= heights[group]
    folded = [n for n in _FOLDED_FIRST if n in wants and not any(n in group for group in opened)]
    if left < 1:
        folded = []
    left -= bool(folded)
    most = {group: frame + max(wants[n].most for n in group) for group in opened}
    if _LIVE in most:
        apart = {(n,): frame + min(wants[n].most, _MOST_APART[n]) for n in _LIVE}
        rest = sum(most[group] for group in opened if group != _LIVE)
        if sum(apart.values()) + rest <= left + sum(heights.values()):
            left += heights.pop(_LIVE) - 2 * (frame + 1)
            heights |= dict.fromkeys(apart, frame + 1)
            most = {group: size for group, size in most.items() if group != _LIVE} | apart
    _share(heights, most, left)
    y = top + table
    for group in sorted(heights):
        at = width * _LEFT_OF_20 // 20 if len(group) > 1 else width
        places.append(PanePlace(group[0], 0, y, at, heights[group]))
        if len(group) > 1:
            places.append(PanePlace(group[1], at, y, width - at, heights[group]))
        y += heights[group]
    places += _folded(folded, y, width)
    return Arrangement(header, axis, banner, framed, verdicts, framed, tuple(places))


def _grouped(speaking: Sequence[int], columns: int) -> list[tuple[int, ...]]:
    """Return the panes that share lines, most needed first; the log has lines of its own."""
    if columns == 1:
        return [(number,) for number in speaking]
    pairs = (tuple(n for n in pair if n in speaking) for pair in (_LIVE, (6,), (4, 5)))
    return [pair for pair in pairs if pair]


def _share(
    heights: dict[tuple[int, ...], int], most: Mapping[tuple[int, ...], int], left: int
) -> None:
    """Give away the lines that are left: by weight up to what each wants, then to the first row."""
    while left > 0 and (hungry := [group for group in heights if heights[group] < most[group]]):
        group = min(hungry, key=lambda group: (heights[group] / _WEIGHTS[group[0]], group))
        heights[group] += 1
        left -= 1
    if left > 0 and heights:
        # Charts grow with the room that they have; lanes end with the streams that there are.
        heights[(3,) if (3,) in heights and (2,) in heights else min(heights)] += left


def _folded(numbers: Sequence[int], y: int, width: int) -> list[PanePlace]:
    """Return panes that are one line beside one another, as many as say something."""
    shown = sorted(numbers[: max(1, width // _LEAST_FOLDED)])
    if not shown:
        return []
    edges = [width * place // len(shown) for place in range(len(shown) + 1)]
    ends = zip(shown, edges, edges[1:], strict=False)
    return [PanePlace(n, begin, y, end - begin, 1, folded=True) for n, begin, end in ends]
