"""Colours, and the only place that has any.

What is fine is dim, what hurts is bright. Every role is also told by a glyph, a word or a weight,
so that nothing is lost under NO_COLOR or on a terminal of 16 colours (the ANSI theme).
"""

from typing import Final

from rich.style import Style
from textual.theme import Theme

from tui.text import ROLES, Role

__all__ = ["ANSI", "DARK", "LIGHT", "THEMES", "role_styles"]

DARK: Final = Theme(
    name="llmtop",
    primary="#5fafd7",
    secondary="#5f8787",
    accent="#5fafd7",
    warning="#e5c07b",
    error="#ff5f5f",
    success="#6fae6f",
    foreground="#c8c8c8",
    background="#0b0d0f",
    surface="#0b0d0f",
    panel="#14181c",
    boost="#14181c",
    dark=True,
    variables={
        "border": "#39434d",
        "border-blurred": "#39434d",
        "block-cursor-background": "#22303f",
        "block-cursor-foreground": "#ffffff",
        "footer-background": "#0b0d0f",
        "footer-key-foreground": "#5fafd7",
        "footer-description-foreground": "#8a8a8a",
        "input-selection-background": "#22303f",
    },
)

LIGHT: Final = Theme(
    name="llmtop-light",
    primary="#005f87",
    secondary="#3f6f6f",
    accent="#005f87",
    warning="#8a5a00",
    error="#c00000",
    success="#2f6f2f",
    foreground="#262626",
    background="#fbfaf7",
    surface="#fbfaf7",
    panel="#eeece6",
    boost="#eeece6",
    dark=False,
    variables={
        "border": "#c4c0b6",
        "border-blurred": "#c4c0b6",
        "block-cursor-background": "#d9e6ef",
        "block-cursor-foreground": "#000000",
        "footer-background": "#fbfaf7",
        "footer-key-foreground": "#005f87",
        "footer-description-foreground": "#6a6a6a",
    },
)

ANSI: Final = Theme(
    name="llmtop-ansi",
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_cyan",
    accent="ansi_cyan",
    warning="ansi_yellow",
    error="ansi_red",
    success="ansi_green",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    boost="ansi_default",
    dark=True,
    variables={
        "border": "ansi_bright_black",
        "border-blurred": "ansi_bright_black",
        "block-cursor-background": "ansi_white",
        "block-cursor-foreground": "ansi_black",
        "ansi-background": "ansi_black",
        "ansi-foreground": "ansi_white",
        "input-cursor-background": "ansi_white",
        "input-cursor-foreground": "ansi_black",
        "input-cursor-text-style": "none",
        "input-selection-background": "ansi_blue",
        "input-selection-foreground": "ansi_white",
    },
)

THEMES: Final = (DARK, LIGHT, ANSI)

_DARK_ROLES: Final[dict[Role, str]] = {
    "text": "#c8c8c8",
    "dim": "#8a9096",
    "faint": "#586068",
    "title": "bold #e6e6e6",
    "accent": "#5fafd7",
    "head": "#6d7a86",
    "great": "#7f9a86",
    "fine": "#8a9a86",
    "slow": "#e5c07b",
    "sluggish": "bold #ff9a4d",
    "missed": "bold #ff5f5f",
    "alert": "bold #ffffff on #a3161f",
    "good": "#6fae6f",
    "cursor": "bold on #1a2733",
    "throttled": "#d78fd7",
    "stall": "#e5a050",
    "reasoning": "italic #7c8fb0",
    "graph": "#6f9f9a",
    "graph_dim": "#48605f",
    "goal": "#9a8a5a",
    "border": "#39434d",
}

_LIGHT_ROLES: Final[dict[Role, str]] = {
    "text": "#262626",
    "dim": "#606060",
    "faint": "#b0aca2",
    "title": "bold #000000",
    "accent": "#005f87",
    "head": "#7a7f85",
    "great": "#4f6f57",
    "fine": "#5c6b57",
    "slow": "#8a5a00",
    "sluggish": "bold #b34700",
    "missed": "bold #c00000",
    "alert": "bold #ffffff on #b3121d",
    "good": "#2f6f2f",
    "cursor": "bold on #d9e6ef",
    "throttled": "#8a2f8a",
    "stall": "#9a5a00",
    "reasoning": "italic #4a5f8a",
    "graph": "#3f7f7a",
    "graph_dim": "#b5c4c2",
    "goal": "#8a7430",
    "border": "#c4c0b6",
}

_ANSI_ROLES: Final[dict[Role, str]] = {
    "text": "default",
    "dim": "default",
    "faint": "bright_black",
    "title": "bold",
    "accent": "cyan",
    "head": "bright_black",
    "great": "default",
    "fine": "default",
    "slow": "yellow",
    "sluggish": "bold yellow",
    "missed": "bold red",
    "alert": "bold white on red",
    "good": "green",
    "cursor": "bold",
    "throttled": "magenta",
    "stall": "yellow",
    "reasoning": "italic blue",
    "graph": "cyan",
    "graph_dim": "bright_black",
    "goal": "yellow",
    "border": "bright_black",
}


def _parsed(roles: dict[Role, str]) -> dict[Role, Style]:
    return {role: Style.parse(roles[role]) for role in ROLES}


_STYLES: Final = {
    DARK.name: _parsed(_DARK_ROLES),
    LIGHT.name: _parsed(_LIGHT_ROLES),
    ANSI.name: _parsed(_ANSI_ROLES),
}


def role_styles(theme: Theme) -> dict[Role, Style]:
    """Return what each role looks like in `theme`.

    A theme that is not ours gets the palette that fits it: ANSI, dark or light.
    """
    own = _STYLES.get(theme.name)
    if own is not None:
        return own
    if theme.ansi:
        return _STYLES[ANSI.name]
    return _STYLES[DARK.name if theme.dark else LIGHT.name]
