"""What is said of a route, wrapped into a hanging indent behind a label: nothing of it is cut."""

from collections.abc import Sequence
from typing import Final

from tui.draw.flow import flow
from tui.draw.text import Line, Span, pad

INDENT: Final = 9
"""Cells of a label: the longest is `against`, a blank on either side."""
_LEAST_ROOM: Final = 24
"""Cells beside a label below which it stands in the text, and takes no column from it."""
_NARROW_INDENT: Final = 2
_JOINT: Final = "·"
"""Between two parts; it ends a line and never begins one."""
_JOINT_ROOM: Final = 2


def wrapped(
    label: str, parts: Sequence[Line], width: int, *, before: int = 0, indent: int = INDENT
) -> list[Line]:
    """Return parts with ` · ` between them in lines of at most `width` cells.

    Args:
        label: stands before the first line.
        parts: what is said; spans keep their roles.
        width: cells of a line.
        before: blank cells before the label.
        indent: cells of the label.
    """
    if width <= 0 or not parts:
        return []
    spans: list[Span] = []
    for part in parts:
        if spans:
            spans.append((f" {_JOINT} ", "dim"))
        spans += part
    at = before + indent
    if width - at < _LEAST_ROOM:
        at = min(_NARROW_INDENT, width - 1)
        if label:
            spans.insert(0, (f"{label} ", "head"))
            label = ""
    body: list[Line] = []
    for line in flow(spans, max(1, width - at - _JOINT_ROOM)):
        joint, rest = _without_joint(line)
        if joint and body and width - at > _JOINT_ROOM:
            body[-1] = (*body[-1], (f" {_JOINT}", "dim"))
        body += [rest] if rest else []
    start = pad(((" " * before, "text"), (label, "head")), at)
    blank: Line = ((" " * at, "text"),)
    return [(*(blank if number else start), *line) for number, line in enumerate(body)]


def _without_joint(line: Line) -> tuple[bool, Line]:
    """Return whether a line begins with the joint, and what follows it."""
    if not line or not line[0][0].startswith(_JOINT):
        return False, line
    first, role = line[0]
    rest = first.removeprefix(_JOINT).lstrip()
    return True, ((rest, role), *line[1:]) if rest else line[1:]
