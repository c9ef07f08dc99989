"""Text that is flowed into lines: words are kept whole, and what each is for goes with it."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from tui.draw.text import Line, Role, Span, cells, pad

_QUOTED: Final = re.compile(r"`([^`]+)`")
_PIECES: Final = re.compile(r"\s+|\S+")


def marked(text: str, role: Role, quoted: Role = "accent") -> Iterator[Span]:
    """Give the text as spans; what stands between backticks is a key or a name."""
    at = 0
    for found in _QUOTED.finditer(text):
        if found.start() > at:
            yield text[at : found.start()], role
        yield found[1], quoted
        at = found.end()
    if at < len(text):
        yield text[at:], role


def flow(spans: Iterable[Span], width: int) -> list[Line]:
    """Return lines of at most `width` cells; a word that is longer than a line is broken."""
    width = max(1, width)
    lines: list[list[Span]] = [[]]
    used = 0
    for word in _words(spans):
        size = sum(cells(text) for text, _ in word)
        blank = 1 if used else 0
        if used and used + blank + size > width:
            lines.append([])
            used = blank = 0
        if blank:
            # Between words of two roles it has neither: it would be reversed with one of them.
            role = word[0][1]
            lines[-1].append((" ", role if lines[-1][-1][1] == role else "text"))
            used += 1
        for text, role in word:
            for character in _broken(text, size > width):
                if used + cells(character) > width and used:
                    lines.append([])
                    used = 0
                lines[-1].append((character, role))
                used += cells(character)
    return [_joined(line) for line in lines]


def _broken(text: str, by_character: bool) -> Iterable[str]:
    return text if by_character else (text,)


def _words(spans: Iterable[Span]) -> Iterator[tuple[Span, ...]]:
    """Give words: what stands without a blank between, of one role or of several."""
    word: list[Span] = []
    for text, role in spans:
        for piece in _PIECES.findall(text):
            if piece.isspace():
                if word:
                    yield tuple(word)
                word = []
            else:
                word.append((piece, role))
    if word:
        yield tuple(word)


def _joined(line: Iterable[Span]) -> Line:
    """Return a line in which neighbours of one role are one span."""
    return tuple(
        ("".join(text for text, _ in group), role)
        for role, group in groupby(line, key=lambda span: span[1])
    )


def hanging(head: Span, spans: Iterable[Span], *, indent: int, width: int) -> Iterator[Line]:
    """Yield a term and what is said of it, flowed beside it with a hanging indent."""
    start = pad((head,), indent)
    for number, line in enumerate(flow(spans, width - indent) or [()]):
        yield (*(start if number == 0 else ((" " * indent, "text"),)), *line)
