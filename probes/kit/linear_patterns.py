"""Regular expressions whose search takes time in proportion to the text, whatever stands in it.

Rule 1. They are RE2's: an automaton that never goes back. What Python's own engine takes hours for
        on a text that a server chose costs here what any other text of its length costs.
Rule 2. RE2 is imported where somebody has a pattern, and nowhere else; whoever has none needs none.
Rule 3. What a pattern may cost is bounded when it is made: one that is too large is refused.
"""

from importlib.util import find_spec
from typing import Any, Final

from probes.kit.words import clean

MOST_CHARACTERS: Final = 1_000
"""Of a pattern. Nobody reads a longer one, and each step of a search may cost as much as it has."""
_MOST_BYTES: Final = 1 << 20
"""Of a compiled pattern and its automaton: `\\pL{1000}` has 14 characters and needs more."""


class PatternError(ValueError):
    """A pattern cannot be used; the text says why."""


def is_installed() -> bool:
    """Tell whether there is an engine for patterns; it is not imported for that."""
    return find_spec("re2") is not None


class LinearPattern:
    """A pattern to look for anywhere in a text."""

    def __init__(self, pattern: str, *, ignore_case: bool = False) -> None:
        """Compile a pattern.

        Raises:
            PatternError: it is none that RE2 knows, or too large.
        """
        if len(pattern) > MOST_CHARACTERS:
            raise PatternError(f"has more than {MOST_CHARACTERS:,} characters")
        import re2  # an extra: only who has a pattern needs it

        options = re2.Options()
        options.max_mem = _MOST_BYTES
        options.case_sensitive = not ignore_case
        options.log_errors = False  # the error says it all; a screen must not be written on
        try:
            self._compiled: Any = re2.compile(pattern, options=options)
        except (re2.error, UnicodeEncodeError) as error:
            raise PatternError(f"is no pattern of RE2: {_words_of(error)}") from None

    def is_in(self, text: str) -> bool:
        """Tell whether some part of a text matches."""
        return self._compiled.search(clean(text)) is not None


def _words_of(error: Exception) -> str:
    words = error.args[0] if error.args else ""
    if isinstance(words, bytes):
        return words.decode("utf-8", "replace")
    return "it has half a character" if isinstance(error, UnicodeEncodeError) else str(words)
