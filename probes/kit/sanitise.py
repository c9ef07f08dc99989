"""Hostile text made harmless for a terminal, visibly.

Whatever a server, a file or another process sent passes here before it is displayed. What could
move the cursor, colour the screen, reorder a line or hide in it becomes a visible mark.
Sources: ECMA-48 (control functions), UAX #9 (bidirectional controls), UAX #44 (categories).
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

ESCAPE_MARK: Final = "�"
"""Stands for a whole escape sequence."""
JUNK_MARK: Final = "·"
"""Stands for one character that may not be displayed."""
NEWLINE_MARK: Final = "⏎"
_CUT_MARK: Final = "…"

_ESCAPES: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # control sequences
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"  # strings
    r"|\x1b[ -/]*[0-~]?"  # the rest
)
_NEWLINES: Final = re.compile(r"\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
_HIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARK_CATEGORIES: Final = frozenset({"Mn", "Me"})
_LONGEST_MARK_RUN: Final = 2
_INVISIBLE_LETTERS: Final = frozenset("\u034f\u115f\u17b4\u17b5\u2800\u3164\uffa0")
_WIDER_THAN_THEY_SAY: Final = frozenset("\u2e3a\u2e3b\ua9c1\ua9c2\ufdfa\ufdfb\ufdfd")
_ROOM_PER_CHARACTER: Final = 16


def neutralise(text: str, limit: int | None = None) -> str:
    """Return `text` fit for one line of a terminal, at most `limit` characters of it.

    Escape sequences become `�`, line ends `⏎`, tabs and odd spaces a space; control, format,
    bidirectional, invisible, unassigned and private characters `·`; of a run of combining marks
    the first two are kept. Text that is cut ends in `…`. The result is plain text: whoever
    displays it must not read markup in it.
    """
    if limit is None:
        return _cleaned(text)
    cleaned = _cleaned(text[: limit * _ROOM_PER_CHARACTER])
    if len(cleaned) <= limit and len(text) <= limit * _ROOM_PER_CHARACTER:
        return cleaned
    return (cleaned[: limit - 1] + _CUT_MARK)[:limit]


def _cleaned(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    text = _NEWLINES.sub(NEWLINE_MARK, _ESCAPES.sub(ESCAPE_MARK, text))
    if text.isascii() and text.isprintable():
        return text
    kept: list[str] = []
    marks = 0
    for character in text:
        shown = _shown(character)
        marks = marks + 1 if not shown else 0
        if shown:
            kept.append(shown)
        elif kept and marks <= _LONGEST_MARK_RUN:
            kept.append(character)
    return "".join(kept)


@lru_cache(maxsize=4096)
def _shown(character: str) -> str:
    """Return what stands for a character; empty for a combining mark, which its run decides on."""
    category = unicodedata.category(character)
    if character == "\t" or category == "Zs":
        return " "
    if category in _HIDDEN_CATEGORIES or _is_junk(character):
        return JUNK_MARK
    return "" if category in _MARK_CATEGORIES else character


def _is_junk(character: str) -> bool:
    """Tell characters that are drawn with another width than terminals count for them."""
    code = ord(character)
    return (
        character in _INVISIBLE_LETTERS
        or character in _WIDER_THAN_THEY_SAY
        or 0x1160 <= code <= 0x11FF  # conjoining vowels and finals, zero wide
        or 0x12000 <= code <= 0x1254F  # cuneiform, wider than any cell
        or 0x180B <= code <= 0x180F  # variation selectors
        or 0xFE00 <= code <= 0xFE0F
        or 0xE0100 <= code <= 0xE01EF
    )
