"""Colours, and the only place that has any.

What is fine is dim, what hurts is bright. Every role is also told by a glyph, a word or a weight,
so that nothing is lost under NO_COLOR or on a terminal of 16 colours (the ANSI themes).

Rule 1. What hurts stands out from its ground by 4.5 to 1 and all else that is read by 3 to 1, as
WCAG measures it; in 16 colours so in the palettes that terminals usually have.
Rule 2. Without colours what hurts, and nothing else, is bold or reversed.
"""

from typing import Final

from rich.style import Style
from textual.theme import Theme

from tui.draw import theme_names
from tui.draw.text import ROLES, Role

HURTS: Final[tuple[Role, ...]] = ("slow", "sluggish", "missed", "alert", "throttled", "stall")
"""What an eye that has been asleep must find."""

DARK: Final = Theme(
    name=theme_names.DARK,
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
    name=theme_names.LIGHT,
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

_ANSI_VARIABLES: Final = {
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
}
_ANSI_LIGHT_VARIABLES: Final = {
    **_ANSI_VARIABLES,
    "block-cursor-background": "ansi_blue",
    "block-cursor-foreground": "ansi_bright_white",
    "ansi-background": "ansi_white",
    "ansi-foreground": "ansi_black",
    "input-cursor-background": "ansi_black",
    "input-cursor-foreground": "ansi_bright_white",
}


def _terminals_own(name: str, *, dark: bool, hue: str, variables: dict[str, str]) -> Theme:
    """Return a theme on the terminal's own ground, whose frames and keys have one hue."""
    return Theme(
        name=name,
        ansi=True,
        primary=hue,
        secondary=hue,
        accent=hue,
        warning="ansi_yellow" if dark else "ansi_magenta",
        error="ansi_bright_red" if dark else "ansi_red",
        success="ansi_green" if dark else "ansi_blue",
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        dark=dark,
        variables=variables,
    )


ANSI: Final = _terminals_own(
    theme_names.ANSI, dark=True, hue="ansi_cyan", variables=_ANSI_VARIABLES
)
ANSI_LIGHT: Final = _terminals_own(
    theme_names.ANSI_LIGHT, dark=False, hue="ansi_blue", variables=_ANSI_LIGHT_VARIABLES
)
PLAIN: Final = _terminals_own(
    theme_names.PLAIN, dark=True, hue="ansi_default", variables=_ANSI_VARIABLES
)

THEMES: Final = (DARK, LIGHT, ANSI, ANSI_LIGHT, PLAIN)

_DARK_ROLES: Final[dict[Role, str]] = {
    "text": "#c8c8c8",
    "dim": "#8a9096",
    "faint": "#6e7780",
    "title": "bold #e6e6e6",
    "accent": "#5fafd7",
    "head": "#74828f",
    "great": "#7f9a86",
    "fine": "#8a9a86",
    "slow": "#e5c07b",
    "sluggish": "bold #ff9a4d",
    "missed": "bold #ff5f5f",
    "alert": "bold #ffffff on #a3161f",
    "good": "#6fae6f",
    "cursor": "bold on #1a2733",
    "past": "bold #0b0d0f on #5fafd7",
    "throttled": "#d78fd7",
    "stall": "#e5a050",
    "reasoning": "italic #7c8fb0",
    "graph": "#6f9f9a",
    "graph_dim": "#58726f",
    "goal": "#9a8a5a",
    "border": "#39434d",
}

_LIGHT_ROLES: Final[dict[Role, str]] = {
    "text": "#262626",
    "dim": "#606060",
    "faint": "#75726a",
    "title": "bold #000000",
    "accent": "#005f87",
    "head": "#6f747a",
    "great": "#4f6f57",
    "fine": "#5c6b57",
    "slow": "#8a5a00",
    "sluggish": "bold #a84300",
    "missed": "bold #c00000",
    "alert": "bold #ffffff on #b3121d",
    "good": "#2f6f2f",
    "cursor": "bold on #d9e6ef",
    "past": "bold #ffffff on #005f87",
    "throttled": "#8a2f8a",
    "stall": "#8f5300",
    "reasoning": "italic #4a5f8a",
    "graph": "#3f7f7a",
    "graph_dim": "#7d8f8d",
    "goal": "#8a7430",
    "border": "#c4c0b6",
}

_ANSI_ROLES: Final[dict[Role, str]] = {
    "text": "default",
    "dim": "default",
    "faint": "default",
    "title": "bold",
    "accent": "cyan",
    "head": "default",
    "great": "default",
    "fine": "default",
    "slow": "bright_yellow",
    "sluggish": "bold bright_yellow",
    "missed": "bold bright_red",
    "alert": "bold bright_white on red",
    "good": "green",
    "cursor": "bold",
    "past": "bold black on cyan",
    "throttled": "bright_magenta",
    "stall": "bright_yellow",
    "reasoning": "italic bright_cyan",
    "graph": "cyan",
    "graph_dim": "bright_black",
    "goal": "yellow",
    "border": "bright_black",
}

_ANSI_LIGHT_ROLES: Final[dict[Role, str]] = {
    # On white, the usual palettes leave nothing of yellow, green and cyan, and little of magenta.
    **_ANSI_ROLES,
    "accent": "blue",
    "past": "bold bright_white on blue",
    "slow": "blue",
    "sluggish": "bold red",
    "missed": "bold underline red",
    "good": "default",
    "throttled": "blue",
    "stall": "blue",
    "reasoning": "italic blue",
    "graph": "blue",
    "goal": "magenta",
}

_PLAIN_ROLES: Final[dict[Role, str]] = {
    **dict.fromkeys(ROLES, "none"),
    "slow": "bold",
    "sluggish": "bold underline",  # bars have it too, which reversed would read the other way
    "missed": "bold reverse",
    "alert": "bold reverse",
    "throttled": "bold",
    "stall": "bold",
    "cursor": "underline",
    "past": "underline",
    "reasoning": "italic",
}


def _parsed(roles: dict[Role, str]) -> dict[Role, Style]:
    return {role: Style.parse(roles[role]) for role in ROLES}


_STYLES: Final = {
    DARK.name: _parsed(_DARK_ROLES),
    LIGHT.name: _parsed(_LIGHT_ROLES),
    ANSI.name: _parsed(_ANSI_ROLES),
    ANSI_LIGHT.name: _parsed(_ANSI_LIGHT_ROLES),
    PLAIN.name: _parsed(_PLAIN_ROLES),
}


def role_styles(theme: Theme) -> dict[Role, Style]:
    """Return what each role looks like in `theme`.

    A theme that is not ours gets the palette that fits it: ANSI, dark or light.
    """
    own = _STYLES.get(theme.name)
    if own is not None:
        return own
    if theme.ansi:
        return _STYLES[ANSI.name if theme.dark else ANSI_LIGHT.name]
    return _STYLES[DARK.name if theme.dark else LIGHT.name]
