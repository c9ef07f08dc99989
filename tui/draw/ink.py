"""Lines as terminal sequences: what changed of a row, and no more.

Textual composes a whole frame of styled segments for every change; a live screen that changes ten
times a second cannot afford that. A `Brush` writes the changed cells of rows by themselves.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter
from textual.strip import Strip

from tui.draw.text import Line, Role, Span, cells, parted

_RESET = "\x1b[0m"


class Pen(msgspec.Struct, frozen=True):
    """The sequences of one style."""

    whole: str
    """Sets it from any style."""
    colour: str
    """Sets it from a style of the same `base`; empty where it has no colour of its own."""
    base: str
    """All of it but the foreground colour."""
    trims: bool = False
    """It would show on blanks: those around a text are not drawn with it."""


Pens: TypeAlias = Mapping[Role, Pen]


def trims(role: Role, style: Style) -> bool:
    """Tell whether a role marks figures so that the blanks which pad them must stay bare.

    Without colours what hurts is underlined or reversed: a column's padding would read as a bar.
    An alert is a block on purpose, in colours too.
    """
    return role != "alert" and bool(style.underline or style.reverse)


def trimmed(span: Span) -> tuple[Span, ...]:
    """Return a span with the blanks around its text as spans of their own, which bear no mark."""
    before, core, after = parted(span[0])
    parts: tuple[Span, ...] = ((before, "text"), (core, span[1]), (after, "text"))
    return tuple(part for part in parts if part[0])


def pens_for(
    styles: Mapping[Role, Style],
    ground: Style,
    console: Console,
    filters: Sequence[LineFilter] = (),
    background: Color | None = None,
) -> Pens:
    """Return the pens of the roles over `ground`, as `console` and Textual's filters draw them."""

    def codes(style: Style) -> str:
        text = Strip([Segment("x", style)], 1).render(console)
        return text[2 : text.index("m")] if text.startswith("\x1b[") else ""

    pens: dict[Role, Pen] = {}
    for role, style in styles.items():
        strip = Strip([Segment("x", ground + style)], 1)
        for line_filter in filters:
            strip = strip.apply_filter(line_filter, background or Color(0, 0, 0))
        shown = next(iter(strip)).style or Style.null()
        base = codes(shown.without_color + Style(bgcolor=shown.bgcolor))
        colour = codes(Style(color=shown.color)) if shown.color is not None else ""
        whole = codes(shown)
        pens[role] = Pen(
            f"\x1b[0;{whole}m" if whole else _RESET,
            f"\x1b[{colour}m" if colour else "",
            base,
            trims(role, style),
        )
    return pens


class Brush:
    """Gathers one frame: rows of any pane, each where it stands on the screen."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._pen: Pen | None = None

    def row(self, x: int, y: int, before: Line | None, after: Line, pens: Pens) -> None:
        """Write what makes `after` of `before` at cell `x`, `y`, counted from 0.

        Both lines are of one width. Without `before` the whole line is written.
        """
        at = -1
        column = 0
        for span, changed in _marked(before, after):
            text, role = span
            width = cells(text)
            if changed and width:
                if at < 0:
                    self._parts.append(f"\x1b[{y + 1};{x + column + 1}H")
                elif at < column:
                    self._parts.append(f"\x1b[{column - at}C")
                for part, part_role in trimmed(span) if pens[role].trims else (span,):
                    self._take(pens[part_role])
                    self._parts.append(part)
                at = column + width
            column += width

    def take(self) -> str:
        """Return the frame and begin the next; empty where nothing was written."""
        if not self._parts:
            return ""
        frame = "".join(self._parts) + _RESET
        self._parts, self._pen = [], None
        return frame

    def _take(self, pen: Pen) -> None:
        current = self._pen
        if current == pen:
            return
        same_base = current is not None and current.base == pen.base
        self._parts.append(pen.colour if same_base and pen.colour else pen.whole)
        self._pen = pen


def _marked(before: Line | None, after: Line) -> list[tuple[tuple[str, Role], bool]]:
    """Return the spans of `after`, each with whether it must be written."""
    if before is None:
        return [(span, True) for span in after]
    if _aligned(before, after):
        return [(new, new != old) for old, new in zip(before, after, strict=True)]
    shortest = min(len(before), len(after))
    head = 0
    while head < shortest and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < shortest - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    end = len(after) - tail
    return [(span, head <= index < end) for index, span in enumerate(after)]


def _aligned(before: Line, after: Line) -> bool:
    """Tell whether two lines have their spans in the same cells."""
    return len(before) == len(after) and all(
        cells(old) == cells(new) for (old, _), (new, _) in zip(before, after, strict=True)
    )
