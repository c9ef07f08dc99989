"""The names of our themes, known without Textual."""

from typing import Final

DARK: Final = "llmtop"
LIGHT: Final = "llmtop-light"
ANSI: Final = "llmtop-ansi"
ANSI_LIGHT: Final = "llmtop-ansi-light"
PLAIN: Final = "llmtop-plain"

OWN_THEMES: Final = frozenset({DARK, LIGHT, ANSI, ANSI_LIGHT, PLAIN})
