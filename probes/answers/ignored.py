"""What came with an answer and is no part of it, kept for its words where the answer ends unwell.

Servers speak outside of the framing: pretty-printed errors in the middle of an event stream, fields
that the standard does not know, pages of a proxy. The first words are kept, and as much of what
came last as an error needs: however much comes, the memory is bounded.
"""

from collections import deque
from typing import Final

MOST_KEPT: Final = 16 * 1024
"""Characters kept of what came last: the longest error that was seen whole had 5,000."""
_MOST_FIRST: Final = 1024
"""Kept of what came first, enough for its first 200 characters without white space."""


class Ignored:
    """Lines that were passed over."""

    __slots__ = ("_last", "_size", "first")

    def __init__(self) -> None:
        self.first = ""
        """What came first."""
        self._last: deque[str] = deque()
        self._size = 0

    def add(self, line: str) -> None:
        """Take a line."""
        kept = line[:MOST_KEPT]
        if len(self.first) < _MOST_FIRST:
            self.first = f"{self.first}\n{kept[:_MOST_FIRST]}" if self.first else kept[:_MOST_FIRST]
        self._last.append(kept)
        self._size += len(kept) + 1
        while self._size > MOST_KEPT + 1:
            self._size -= len(self._last.popleft()) + 1

    @property
    def text(self) -> str:
        """What came last, a line a line."""
        return "\n".join(self._last)
