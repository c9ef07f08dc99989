"""Lines of styled text and figures as people read them: pure functions, no Textual.

A line is a tuple of spans, a span is text and the *role* it plays; `tui.draw.theme` gives roles
colours. Text is measured in terminal cells. Nothing here interprets markup.
"""

import re
from collections.abc import Iterable
from itertools import groupby, zip_longest
from typing import Final, Literal, TypeAlias, get_args

from rich.cells import cell_len, set_cell_size

# Also for whoever draws: what is shown and what is said of a figure is rounded alike.
from probes.kit.short_figures import NO_FIGURE as NO_FIGURE
from probes.kit.short_figures import age as age
from probes.kit.short_figures import count as count
from probes.kit.short_figures import counted as counted
from probes.kit.short_figures import lasting as lasting
from probes.kit.short_figures import three_digits as three_digits
from probes.kit.short_figures import time_of_day as time_of_day

Role: TypeAlias = Literal[
    "text",
    "dim",
    "faint",
    "title",
    "accent",
    "head",
    "great",
    "fine",
    "slow",
    "sluggish",
    "missed",
    "alert",
    "good",
    "cursor",
    "past",
    "throttled",
    "stall",
    "reasoning",
    "graph",
    "graph_dim",
    "goal",
    "border",
]
"""What a piece of text is for. `head` is a column's head, `alert` is bright on red, `past`
stands out as calmly as can be."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)

Span: TypeAlias = tuple[str, Role]
Line: TypeAlias = tuple[Span, ...]

MARK: Final = "…"
"""Stands where text was cut."""
NOT_STREAMED: Final = "whole"
"""Stands where a TTFT would: the answer came whole."""


def cells(text: str) -> int:
    """Return the width of `text` in cells."""
    return len(text) if text.isascii() else cell_len(text)


def line_text(line: Line) -> str:
    """Return the line without its roles."""
    return "".join(text for text, _ in line)


def line_width(line: Line) -> int:
    """Return the line's width in cells."""
    return sum(cells(text) for text, _ in line)


def clip(line: Line, width: int) -> Line:
    """Return at most `width` cells of the line; what is cut leaves a mark."""
    if line_width(line) <= width:
        return line
    if width <= 0:
        return ()
    kept: list[Span] = []
    room = width - 1
    for text, role in line:
        size = cells(text)
        if size > room:
            return (*kept, (_cut(text, room) + MARK, role))
        kept.append((text, role))
        room -= size
    return tuple(kept)


def pad(line: Line, width: int) -> Line:
    """Return the line exactly `width` cells wide: clipped, or filled with spaces."""
    missing = width - line_width(line)
    if missing < 0:
        line = clip(line, width)
        missing = width - line_width(line)
    return (*line, (" " * missing, "text")) if missing > 0 else line


def parted(text: str) -> tuple[str, str, str]:
    """Return the blanks before a text, the text, and the blanks after it."""
    core = text.strip(" ")
    if not core:
        return text, "", ""
    begin = text.index(core)
    return text[:begin], core, text[begin + len(core) :]


def join(parts: Iterable[Line]) -> Line:
    """Return one line of several."""
    return tuple(span for part in parts for span in part)


def fold(line: Line, width: int, indent: int = 0) -> list[Line]:
    """Return the line in as many as it takes in `width` cells, broken between words where that can
    be; all but the first begin with `indent` blanks."""
    width = max(1, width)
    indent = min(indent, max(0, width - 2))  # so that a wide character has room
    start: list[Span] = [(" " * indent, "text")] if indent else []
    lines: list[list[Span]] = [[]]
    room, is_empty = width, True
    for piece, role in ((piece, role) for text, role in line for piece in _pieces(text)):
        if cells(piece) > room and piece.isspace():
            continue  # the break stands for it
        rest = piece
        while cells(rest) > room:
            is_longer = cells(rest) > width - indent
            if is_empty or (is_longer and room >= max(2, width // 2)):  # such as an id
                head = _longest_head(rest, room)
                lines[-1].append((head, role))
                rest = rest[len(head) :]
            if not rest:
                break
            lines.append([*start])
            room, is_empty = width - indent, True
        if rest:
            lines[-1].append((rest, role))
            room, is_empty = room - cells(rest), False
    return [_simplified(parts) for parts in lines]


def _simplified(spans: Iterable[Span]) -> Line:
    """Return spans with neighbours of one role put together."""
    return tuple(
        ("".join(text for text, _ in group), role)
        for role, group in groupby(spans, key=lambda span: span[1])
    )


def _pieces(text: str) -> list[str]:
    """Return words and the blanks between them."""
    return re.findall(r" +|[^ ]+", text)


def _longest_head(text: str, width: int) -> str:
    """Return as many characters as fit into `width` cells, at least one."""
    taken = 0
    for place, character in enumerate(text):
        taken += cells(character)
        if taken > width:
            return text[: max(1, place)]
    return text


def side_by_side(left_lines: Iterable[Line], right_lines: Iterable[Line], at: int) -> list[Line]:
    """Return two columns of lines, the right one beginning in cell `at`."""
    return [
        (*pad(one, at), *other) if other else one
        for one, other in zip_longest(left_lines, right_lines, fillvalue=())
    ]


def left(text: str, width: int) -> str:
    """Return `text` flush left in exactly `width` cells, cut with a mark where too long."""
    return _fitted(text, width, before=False)


def right(text: str, width: int) -> str:
    """Return `text` flush right in exactly `width` cells, cut with a mark where too long."""
    return _fitted(text, width, before=True)


def _fitted(text: str, width: int, *, before: bool) -> str:
    if width <= 0:
        return ""
    size = cells(text)
    if size > width:
        return _cut(text, width - 1) + MARK
    space = " " * (width - size)
    return space + text if before else text + space


def _cut(text: str, width: int) -> str:
    return set_cell_size(text, width)


def seconds(value: float | None) -> str:
    """Return a duration of `value` seconds without its unit, which stands in the head."""
    return three_digits(value)


def share(value: float | None) -> str:
    """Return a share of 0 to 1 in per cent without its sign: `97.2`, `100`; None gives `–`.

    Only a whole 1.0 is shown as `100`, so that one failure in ten thousand is never hidden.
    """
    if value is None:
        return NO_FIGURE
    if value >= 1:
        return f"{value * 100:.0f}"
    return f"{min(value * 100, 99.9):.1f}"


def usd(value: float | None) -> str:
    """Return dollars without their sign in at most five cells: `0.004`, `0.42`, `12.3`, `1.2k`."""
    if value is None:
        return NO_FIGURE
    if value == 0:
        return "0"
    if value < 0.0095:
        return f"{value:.3f}" if value >= 0.0005 else "<.001"
    if value < 99.95:
        return f"{value:.2f}" if value < 9.995 else f"{value:.1f}"
    return count(value)
