"""Lines of styled text and figures as people read them: pure functions, no Textual.

A line is a tuple of spans, a span is text and the *role* it plays; `tui.draw.theme` gives roles
colours. Text is measured in terminal cells. Nothing here interprets markup.
"""

from collections.abc import Iterable
from datetime import tzinfo
from itertools import zip_longest
from typing import Final, Literal, TypeAlias, get_args

from rich.cells import cell_len, set_cell_size

from probes.kit.wall_time import local_moment

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
    "throttled",
    "stall",
    "reasoning",
    "graph",
    "graph_dim",
    "goal",
    "border",
]
"""What a piece of text is for. `head` is a column's head, `alert` is bright on red."""

ROLES: Final[tuple[Role, ...]] = get_args(Role)

Span: TypeAlias = tuple[str, Role]
Line: TypeAlias = tuple[Span, ...]

MARK: Final = "…"
"""Stands where text was cut."""
NO_FIGURE: Final = "–"
NOT_STREAMED: Final = "whole"
"""Stands where a TTFT would: the answer came whole."""

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_MOST_COUNTED: Final = 999.5e12
_COUNT_UNITS: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


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


def join(parts: Iterable[Line]) -> Line:
    """Return one line of several."""
    return tuple(span for part in parts for span in part)


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


def three_digits(value: float | None) -> str:
    """Return a figure with three significant digits in at most five cells: `0.840`, `41.2`, `1.9k`.

    None gives `–`. Below 0.001 nothing is left but `0.000`; exactly zero is `0`.
    """
    if value is None:
        return NO_FIGURE
    size = abs(value)
    if size == 0:
        return "0"
    for limit, digits in ((0.9995, 3), (9.995, 2), (99.95, 1), (999.5, 0)):
        if size < limit:
            return f"{value:.{digits}f}"
    return count(value)


def seconds(value: float | None) -> str:
    """Return a duration of `value` seconds without its unit, which stands in the head."""
    return three_digits(value)


def age(value: float | None) -> str:
    """Return a duration with its units: `4.1s`, `42s`, `1m12s`, `2h03m`, `3d04h`."""
    if value is None:
        return NO_FIGURE
    if value < 9.95:
        return f"{max(0.0, value):.1f}s"
    whole = round(value)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02d}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02d}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02d}h"


def time_of_day(at_ns: int, anchor_ns: int, zone: tzinfo | None = None) -> str:
    """Return the wall time of a stamp, `–` where no calendar holds it.

    Args:
        at_ns: the stamp, by a monotonic clock.
        anchor_ns: what makes Unix time of it.
        zone: time zone; None is the machine's own.
    """
    moment = local_moment(at_ns + anchor_ns, zone)
    return NO_FIGURE if moment is None else moment.strftime("%H:%M:%S")


def count(value: float | None) -> str:
    """Return a count in at most four cells: `212`, `1.9k`, `60k`, `2.0M`; None gives `–`.

    From 1000 T on, which only a server makes up, it is `≥1P`.
    """
    if value is None:
        return NO_FIGURE
    if abs(value) < 999.5:
        return f"{value:.0f}"
    if abs(value) >= _MOST_COUNTED:
        return "≥1P" if value > 0 else "-≥1P"
    for unit, name in _COUNT_UNITS:
        scaled = value / unit
        if abs(scaled) >= 0.9995:
            return f"{scaled:.1f}{name}" if abs(scaled) < 9.95 else f"{scaled:.0f}{name}"
    return f"{value:.0f}"


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
