"""Words wrapped into a hanging indent behind a label: nothing of them is cut."""

from collections.abc import Iterator, Sequence
from typing import Final

from tui.draw.text import Line, Span, cells, line_width, pad

INDENT: Final = 9
"""Cells of a label: the longest is `against`, a blank on either side."""
_LEAST_ROOM: Final = 24
"""Cells beside a label below which it stands in the text, and takes no column from it."""
_NARROW_INDENT: Final = 2


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
    words = list(_words(parts))
    at = before + indent
    if width - at < _LEAST_ROOM:
        at = min(_NARROW_INDENT, width - 1)
        if label:
            words.insert(0, ((label, "head"),))
            label = ""
    room = width - at
    body: list[Line] = []
    line: Line = ()
    for word in (piece for whole in words for piece in _broken(whole, room)):
        gap = 1 if line else 0
        if line and line_width(line) + gap + line_width(word) > room:
            body.append(line)
            line = word
        elif line:
            # Between words of two roles the blank has neither: it would be reversed with one.
            role = word[0][1]
            line = (*line, (" ", role if line[-1][1] == role else "text"), *word)
        else:
            line = word
    if line:
        body.append(line)
    start = pad(((" " * before, "text"), (label, "head")), at)
    blank: Line = ((" " * at, "text"),)
    return [(*(blank if number else start), *line) for number, line in enumerate(body)]


def _words(parts: Sequence[Line]) -> Iterator[Line]:
    """Yield what must not be parted; the dot between two parts stays with what is before it."""
    for number, part in enumerate(parts):
        made: list[Line] = []
        word: Line = ()
        for text, role in part:
            for place, piece in enumerate(text.split(" ")):
                if place and word:
                    made.append(word)
                    word = ()
                if piece:
                    word = (*word, (piece, role))
        if word:
            made.append(word)
        if made and number < len(parts) - 1:
            made[-1] = (*made[-1], (" ·", "dim"))
        yield from made


def _broken(word: Line, room: int) -> Iterator[Line]:
    """Yield a word in pieces that each have room: only what is longer than a line is broken."""
    if line_width(word) <= room:
        yield word
        return
    piece: list[Span] = []
    used = 0
    for text, role in word:
        for character in text:
            size = cells(character)
            if used + size > max(1, room) and piece:
                yield tuple(piece)
                piece, used = [], 0
            piece.append((character, role))
            used += size
    if piece:
        yield tuple(piece)
