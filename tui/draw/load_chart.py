"""The chart of a sweep in characters: throughput to the right, latency up, points by their load.

Rule 1. Scales are those of `probes.sweeping.picture`; lines are braille, points and words lie over
them. A point never hides another one's load without a mark.
Rule 2. What differs by colour differs by sign too: `●` goals kept, `○` one missed, `⊘` 429s, `✕`
other failures; of a former sweep the points are `◌`.
"""

from collections.abc import Iterator
from itertools import pairwise
from math import inf
from typing import Final

from probes.kit.short_figures import three_digits
from probes.sweeping.picture import Axes, Dot, Look, SweepCurve, SweepPicture
from probes.sweeping.views import SweepView
from probes.sweeping.words import load_number
from tui.draw.chart import join_cells
from tui.draw.text import Line, Role, Span, cells, clip

LEAST_WIDTH: Final = 34
LEAST_HEIGHT: Final = 7
"""Below either a chart shows less than its table does."""
_SIGNS: Final[dict[Look, Span]] = {
    "within": ("●", "good"),
    "beyond": ("○", "sluggish"),
    "refused": ("⊘", "throttled"),
    "failing": ("✕", "missed"),
}
_FORMER: Final = "◌"
_BRAILLE: Final = 0x2800
_DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""By dot column, from the top down."""


def sign_of(look: Look) -> Span:
    """Return the sign of a point, with its role."""
    return _SIGNS[look]


class _Canvas:
    """Cells that dots and words are put into; the origin is at the top."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.cells: list[list[Span]] = [[(" ", "text")] * width for _ in range(height)]
        self._words: set[tuple[int, int]] = set()

    def dot(self, x: float, y: float, role: Role) -> None:
        """Put a braille dot at shares of width and height; words stay."""
        column = min(self.width * 2 - 1, int(x * self.width * 2))
        row = min(self.height * 4 - 1, int((1 - y) * self.height * 4))
        at = (row // 4, column // 2)
        if at in self._words:
            return
        old = ord(self.cells[at[0]][at[1]][0])
        bits = old - _BRAILLE if _BRAILLE <= old < _BRAILLE + 256 else 0
        bits |= _DOTS[column % 2][row % 4]
        self.cells[at[0]][at[1]] = (chr(_BRAILLE + bits), role)

    def line(self, start: tuple[float, float], end: tuple[float, float], role: Role) -> None:
        """Join two places."""
        steps = int(
            max(
                abs(end[0] - start[0]) * self.width * 2, abs(end[1] - start[1]) * self.height * 4, 1
            )
        )
        for step in range(steps + 1):
            part = step / steps
            self.dot(
                start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1]), role
            )

    def place(self, x: float, y: float) -> tuple[int, int]:
        """Return row and column of shares of height and width."""
        row = min(self.height - 1, int((1 - y) * self.height))
        return max(0, row), min(self.width - 1, int(x * self.width))

    def put(self, row: int, column: int, text: str, role: Role) -> bool:
        """Write a word where nothing else stands; return whether it had room."""
        if not 0 <= row < self.height or column < 0 or column + cells(text) > self.width:
            return False
        places = [(row, column + offset) for offset in range(cells(text))]
        if any(place in self._words for place in places):
            return False
        for (_, at), character in zip(places, text, strict=False):
            self.cells[row][at] = (character, role)
        self._words.update(places)
        return True


def load_chart(
    picture: SweepPicture, view: SweepView, width: int, height: int, *, former_name: str = ""
) -> list[Line]:
    """Return a chart of so many lines at most: its heads, the plot, its axis, and what signs mean.

    None of a picture has no room below `LEAST_WIDTH` and `LEAST_HEIGHT`: then there is no line.
    """
    axes = picture.axes
    ticks = {tick: f"{tick:g}" for tick in axes.y_ticks}
    left = max(map(len, ticks.values())) + 2
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        return []
    plot = _Canvas(width - left - 1, height - 4)
    for place in reversed(range(len(picture.curves))):
        _draw(plot, picture.curves[place], axes, view, is_former=place > 0)
    rows: dict[int, str] = {}
    for tick, words in ticks.items():
        rows.setdefault(plot.place(0, axes.y_share(tick))[0], words)
    head = f"{axes.y_name}, s (log) ↑"
    legend = _legend(picture, former_name)
    lines: list[Line] = [clip(((head, "head"), ("  ", "text"), *legend), width)]
    for number, row in enumerate(plot.cells):
        words = rows.get(number, "")
        mark = "┤" if words else "│"
        lines.append(((words.rjust(left - 1) + mark, "head"), *join_cells(row)))
    lines.append(((" " * (left - 1) + "└" + "─" * plot.width, "head"),))
    lines.append(((" " * left + _x_words(axes, plot.width), "head"),))
    lines.append(((f"{axes.x_name} →".rjust(width), "head"),))
    return [clip(line, width) for line in lines]


def _draw(
    plot: _Canvas, curve: SweepCurve, axes: Axes, view: SweepView, *, is_former: bool
) -> None:
    def at(dot: Dot) -> tuple[float, float]:
        return axes.x_share(dot.x), axes.y_share(dot.y.value)

    # Words first: dots go round them.
    for dot in curve.dots:
        mark: Span = (_FORMER, "dim") if is_former else _SIGNS[dot.look]
        plot.put(*plot.place(*at(dot)), *mark)
    if not is_former:
        _loads(plot, curve, axes, view)
        _goal_and_knee(plot, curve, axes, view)
    for before, after in pairwise(curve.dots):
        plot.line(at(before), at(after), "faint" if is_former else "graph")
    for dot in curve.dots:
        if dot.y.high < inf and not is_former:
            x = axes.x_share(dot.x)
            plot.line((x, axes.y_share(dot.y.low)), (x, axes.y_share(dot.y.high)), "graph_dim")


def _loads(plot: _Canvas, curve: SweepCurve, axes: Axes, view: SweepView) -> None:
    """Write each load beside its point, where there is room; the largest first."""
    for dot in reversed(curve.dots):
        row, column = plot.place(axes.x_share(dot.x), axes.y_share(dot.y.value))
        words = load_number(dot.load, view.by)
        for down, aside in ((0, 1), (0, -len(words)), (1, 1), (-1, 1), (1, 0), (-1, 0)):
            if plot.put(row + down, column + aside, words, "text"):
                break


def _goal_and_knee(plot: _Canvas, curve: SweepCurve, axes: Axes, view: SweepView) -> None:
    if curve.goal_s is not None:
        share = axes.y_share(curve.goal_s)
        row, _ = plot.place(0, share)
        plot.put(row, 0, f"goal {three_digits(curve.goal_s)} ", "goal")
        for column in range(0, plot.width, 2):
            plot.put(row, column, "┄", "goal")
    if curve.knee is not None and view.knee is not None:
        _, column = plot.place(axes.x_share(curve.knee), 0)
        words = f"knee {load_number(view.knee, view.by)}"
        for row in range(plot.height):
            if plot.put(row, max(0, column - len(words) - 1), words, "accent"):
                break
        for row in range(plot.height):
            plot.put(row, column, "┊", "accent")


def _legend(picture: SweepPicture, former_name: str) -> Iterator[Span]:
    words: dict[Look, str] = {
        "within": "goals kept",
        "beyond": "goal missed",
        "refused": "429s",
        "failing": "failures",
    }
    seen = {dot.look for dot in picture.curves[0].dots}
    for look, meaning in words.items():
        if look in seen:
            sign, role = _SIGNS[look]
            yield (f"{sign} ", role)
            yield (f"{meaning}  ", "dim")
    if len(picture.curves) > 1:
        yield (f"{_FORMER} {former_name or 'before'}", "dim")


def _x_words(axes: Axes, width: int) -> str:
    text = [" "] * width
    free_from = 0
    for tick in axes.x_ticks:
        words = f"{tick:,.4g}"
        at = min(round(axes.x_share(tick) * (width - 1)) - len(words) // 2, width - len(words))
        at = max(0, at)
        if at >= free_from:
            text[at : at + len(words)] = words
            free_from = at + len(words) + 1
    return "".join(text)
