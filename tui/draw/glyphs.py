"""ASCII for terminals that show nothing else: each glyph has a stand-in of its own width.

One table, and one place where it is applied: the encoder of the standard streams, through which
the screen, its borders, the commands' lines and their complaints all go. What the stream's encoding
has is written as it is. No stand-in is a question mark, and no two states share one.
"""

import codecs
import sys
import unicodedata
from collections.abc import Mapping
from typing import Final, Protocol

ERRORS: Final = "llmtop-stand-ins"
"""Name of the encoder's way with what it cannot encode."""

EIGHTHS: Final = "▁▂▃▄▅▆▇█"
"""From the foot of a cell up."""
LEFT_EIGHTHS: Final = "▏▎▍▌▋▊▉█"
"""From its left edge to the right."""

STAND_INS: Final[dict[str, str]] = {
    # states of routes and of the engine
    "✖": "X",
    "▼": "v",
    "⊘": "%",
    "▲": "!",
    "△": "^",
    "·": ".",
    "■": "#",
    "‖": "=",
    "○": "o",
    "↻": "&",
    "⇡": "^",
    "«": "<",
    "≠": "~",
    "◌": "0",
    "∅": "z",
    "✓": "+",
    "●": "*",
    "◉": "@",
    # an alert that nobody, or somebody, has seen
    "⚑": "A",
    "⚐": "a",
    # a knob was turned
    "⚙": "*",
    # lanes: a failure, one cut off, a time-out, the first token, a stall, the end
    "✕": "x",
    "╱": "/",
    "◷": "T",
    "▶": ">",
    "⋯": ":",
    "┤": "|",
    # amounts
    **dict(zip(EIGHTHS, "_,-~+=*#", strict=True)),
    **dict(zip(LEFT_EIGHTHS, "|--==###", strict=True)),
    # shades, and the phases of a probe
    **dict(zip("░▒▓▚", ".:%/", strict=True)),
    # the axis of a run: here, there, an incident; and that it is not now
    "◆": "@",
    "◇": "o",
    "═": "#",
    "◀": "<",
    # lines and frames
    **dict.fromkeys("─━┄╌╴╶▔▀", "-"),
    "━": "=",
    "│": "|",
    "┃": "|",
    "┊": ":",
    "▕": "|",
    "▐": "|",
    **dict.fromkeys("╭╮╯╰┌┐└┘├┬┴┼┿", "+"),
    # words and figures
    "–": "-",
    "—": "-",
    "−": "-",
    "×": "x",
    "÷": "/",
    "°": "'",
    "µ": "u",
    "μ": "u",
    "≥": ">",
    "≤": "<",
    "…": ">",
    "‘": "'",
    "’": "'",
    "“": '"',
    "”": '"',
    "\N{NO-BREAK SPACE}": " ",
    # arrows and keys
    "↑": "^",
    "↓": "v",
    "→": ">",
    "←": "<",
    "▸": ">",
    "▾": "v",
    "⏎": "\\",
    # Textual's palette
    "🔎": "> ",
}

_BRAILLE: Final = 0x2800
_BRAILLE_ROWS: Final = (0x09, 0x12, 0x24, 0xC0)
"""The dots of a braille cell's rows, from the top."""
_UNKNOWN: Final = "?"


def stand_in(text: str) -> str:
    """Return ASCII in as many cells for characters of any kind.

    Letters lose their accents; what is no glyph of ours and has no such letter is a `?`.
    """
    return "".join(_one(character) for character in text)


def _one(character: str) -> str:
    known = STAND_INS.get(character)
    if known is not None:
        return known
    if 0 <= ord(character) - _BRAILLE < 0x100:
        return _braille(ord(character) - _BRAILLE)
    from rich.cells import cell_len  # most runs meet no such character

    width = cell_len(character)
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return plain if plain and len(plain) == width else _UNKNOWN * width


def _braille(dots: int) -> str:
    """Return a mark as high in the cell as the dots; filled for an area below a line."""
    rows = [row for row, mask in enumerate(_BRAILLE_ROWS) if dots & mask]
    if not rows:
        return " "
    if len(rows) == len(_BRAILLE_ROWS):
        return "#"
    if rows[-1] == len(_BRAILLE_ROWS) - 1 and len(rows) > 1:
        return ":"
    return "'--."[rows[0]]


class _Reconfigurable(Protocol):
    """A text stream whose encoder can be changed."""

    @property
    def encoding(self) -> str: ...

    def reconfigure(self, *, encoding: str, errors: str) -> None: ...


def make_readable(stream: object, environ: Mapping[str, str], *, utf8_mode: bool) -> None:
    """Have a standard stream write what its terminal shows, and never fail for a character.

    `utf8_mode` is `sys.flags.utf8_mode`. A stream that cannot be configured is left alone.
    """
    if not hasattr(stream, "reconfigure"):
        return
    text: _Reconfigurable = stream  # type: ignore[assignment]
    codecs.register_error(ERRORS, _stand_in_for_error)
    encoding = encoding_for(text.encoding, environ, utf8_mode=utf8_mode)
    text.reconfigure(encoding=encoding, errors=ERRORS)


def encoding_for(encoding: str, environ: Mapping[str, str], *, utf8_mode: bool) -> str:
    """Return the encoding that the terminal has, as far as anybody told.

    Python takes UTF-8 for every process that starts in the locale `C`, asked for or not. Where the
    environment asks for `C`, or names a character set that this machine has no locale of, that is
    what the terminal's other programs believe, and tmux draws accordingly. A locale nobody has
    chosen, as in most containers, tells nothing: there Python's guess is the best.
    """
    made_up = utf8_mode and environ.get("PYTHONUTF8") != "1"
    if not made_up or environ.get("PYTHONIOENCODING"):
        return encoding
    # LC_CTYPE is then Python's own.
    locale = environ.get("LC_ALL") or environ.get("LANG") or ""
    name, _, charset = locale.partition("@")[0].partition(".")
    if name in ("C", "POSIX") and not charset:
        return "ascii"
    try:
        return codecs.lookup(charset).name if charset else encoding
    except LookupError:
        return "ascii"


def _stand_in_for_error(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return stand_in(error.object[error.start : error.end]), error.end


def make_streams_readable(environ: Mapping[str, str]) -> None:
    """Make standard output and error readable."""
    for stream in (sys.stdout, sys.stderr):
        make_readable(stream, environ, utf8_mode=bool(sys.flags.utf8_mode))
