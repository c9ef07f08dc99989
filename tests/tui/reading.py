"""Read a table as a person does: each cell under its own head."""

import re
from collections.abc import Sequence

Head = tuple[str, str]
"""What stands in the head line, and `l` or `r`: flush left or right."""


def _places(head_line: str, heads: Sequence[Head]) -> list[tuple[int, int]]:
    """Return where each head begins and ends; they stand in this order."""
    places, at = [], 0
    for text, _ in heads:
        begin = head_line.index(text, at)
        at = begin + len(text)
        places.append((begin, at))
    return places


def cells_under(head_line: str, line: str, heads: Sequence[Head]) -> list[str]:
    """Return the texts under the heads; empty where nothing ends, or begins, with its head."""
    found = []
    for (begin, end), (_, side) in zip(_places(head_line, heads), heads, strict=True):
        if side == "l":
            there = line[begin:].rstrip() if begin == 0 or line[begin - 1 : begin] == " " else ""
            found.append(re.split(r"\s{2,}", there)[0] if there[:1].strip() else "")
        else:
            there = line[:end]
            found.append(there.split()[-1] if there[-1:].strip() and len(there) == end else "")
    return found


def marks_beside(head_line: str, line: str, heads: Sequence[Head]) -> list[str]:
    """Return the one-cell marks right behind the cells of flush-right columns."""
    return [line[end : end + 1].strip() for _, end in _places(head_line, heads)]
