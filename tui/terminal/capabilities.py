"""What the terminal can show, as the environment tells it: asked here and nowhere else.

| asked | answer |
|---|---|
| `NO_COLOR` is not empty | no colours: weight and reverse alone |
| `CLICOLOR=0`, and no `CLICOLOR_FORCE` | the same |
| `TERM` names a terminal of one colour (`vt100`, `xterm-mono`) | the same |
| `COLORTERM` is `truecolor` or `24bit`, and it is not GNU screen's | 16.7 million |
| `TERM` ends in `-direct` or is a terminal known to have them | 16.7 million |
| `TERM` has `256color` | 256 |
| any other `TERM` | 16 |

| asked | a notification by |
|---|---|
| `TERM` names foot or rxvt, or `VTE_VERSION` or `WEZTERM_PANE` is set | OSC 777 |
| `TERM` is `linux`, or it is GNU screen's | nothing |
| any other `TERM` | OSC 9 |
"""

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from tui.draw.theme_names import ANSI, ANSI_LIGHT, DARK, PLAIN

Colours: TypeAlias = Literal["none", "16", "256", "truecolor"]
NotifiesBy: TypeAlias = Literal["", "osc9", "osc777"]

_NO_SCREEN: Final = ("", "dumb", "unknown", "network", "dialup")
"""They move no cursor: an editor's shell window, a log, a terminal nobody named."""
_ONE_COLOUR: Final = ("vt52", "vt100", "vt102", "vt220", "vt320", "vt420", "vt510")
_ONE_COLOUR_ENDS: Final = ("-m", "-mono")
_MANY_COLOURS: Final = (
    "alacritty",
    "contour",
    "foot",
    "ghostty",
    "iterm2",
    "kitty",
    "wezterm",
    "xterm-ghostty",
    "xterm-kitty",
)
_LIGHT_GROUNDS: Final = ("7", "15")
"""White and bright white, as `COLORFGBG` numbers them."""


def no_screen_because(environ: Mapping[str, str]) -> str:
    """Return why this terminal cannot show a screen; empty where it can."""
    term = environ.get("TERM", "").strip().lower()
    if term not in _NO_SCREEN:
        return ""
    return f"this terminal cannot show a screen (TERM={term})" if term else "TERM is not set"


def colours(environ: Mapping[str, str]) -> Colours:
    """Return how many colours to use."""
    term = environ.get("TERM", "").strip().lower()
    refused = environ.get("CLICOLOR") == "0" and environ.get("CLICOLOR_FORCE", "0") == "0"
    one = term in (*_NO_SCREEN, *_ONE_COLOUR) or term.endswith(_ONE_COLOUR_ENDS)
    if environ.get("NO_COLOR") or refused or one:
        return "none"
    claimed = environ.get("COLORTERM", "").strip().lower() in ("truecolor", "24bit")
    # GNU screen passes the variable on from the terminal it runs in, but not those colours.
    if (claimed and "STY" not in environ) or term.endswith("-direct") or term in _MANY_COLOURS:
        return "truecolor"
    return "256" if "256color" in term else "16"


def notifies_by(environ: Mapping[str, str]) -> NotifiesBy:
    """Return how the terminal is asked for a notification; empty where it would print that."""
    term = environ.get("TERM", "").strip().lower()
    if term in (*_NO_SCREEN, "linux") or "STY" in environ:
        return ""
    # Within tmux these are those of the terminal that it was started in.
    if term.startswith(("foot", "rxvt")) or {"VTE_VERSION", "WEZTERM_PANE"} & environ.keys():
        return "osc777"
    return "osc9"


def is_in_tmux(environ: Mapping[str, str]) -> bool:
    """Return whether tmux stands between us and the terminal."""
    return bool(environ.get("TMUX"))


def theme_for(wanted: str, environ: Mapping[str, str]) -> str:
    """Return the name of the theme to draw in where the settings want `wanted`.

    Of 16 colours the terminal's own serve better than ours do; without any there is one theme.
    """
    few = colours(environ)
    if few == "none":
        return PLAIN
    if few == "16" and wanted == DARK:
        ground = environ.get("COLORFGBG", "").rpartition(";")[2]
        return ANSI_LIGHT if ground in _LIGHT_GROUNDS else ANSI
    return wanted
