"""Every role has a look in every theme, and colour is never its only sign on few colours."""

import pytest
from rich.color import Color, ColorType
from textual.theme import BUILTIN_THEMES, Theme

from tui.draw.text import ROLES, Role
from tui.draw.theme import ANSI, ANSI_LIGHT, DARK, HURTS, LIGHT, PLAIN, THEMES, role_styles


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_every_role_has_a_style(theme: Theme) -> None:
    assert set(role_styles(theme)) == set(ROLES)


def test_a_theme_of_others_gets_the_palette_that_fits_it() -> None:
    assert role_styles(BUILTIN_THEMES["dracula"]) == role_styles(DARK)
    assert role_styles(BUILTIN_THEMES["textual-light"]) == role_styles(LIGHT)
    assert role_styles(BUILTIN_THEMES["ansi-dark"]) == role_styles(ANSI)
    assert role_styles(BUILTIN_THEMES["ansi-light"]) == role_styles(ANSI_LIGHT)


@pytest.mark.parametrize("theme", [ANSI, ANSI_LIGHT, PLAIN], ids=lambda theme: theme.name)
def test_the_terminals_own_themes_keep_to_its_colours(theme: Theme) -> None:
    for style in role_styles(theme).values():
        for colour in (style.color, style.bgcolor):
            assert colour is None or colour.type in (ColorType.DEFAULT, ColorType.STANDARD)


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_what_hurts_most_differs_by_weight_too(theme: Theme) -> None:
    styles = role_styles(theme)
    assert all(styles[role].bold for role in ("sluggish", "missed", "alert"))
    assert not any(styles[role].bold for role in ("great", "fine", "dim"))


def test_without_colours_what_hurts_is_loudest() -> None:
    def loud(role: Role) -> int:
        style = role_styles(PLAIN)[role]
        return 2 * bool(style.reverse) + bool(style.bold) - bool(style.dim)

    def hurts_more(role: Role) -> bool:
        style = role_styles(PLAIN)[role]
        return bool(style.bold and (style.reverse or style.underline))

    assert min(map(loud, HURTS)) > max(loud(role) for role in ROLES if role not in HURTS)
    assert all(hurts_more(role) for role in ("sluggish", "missed", "alert"))
    assert not any(style.color or style.bgcolor for style in role_styles(PLAIN).values())


Rgb = tuple[int, int, int]
XTERM = (
    "000000 cd0000 00cd00 cdcd00 0000ee cd00cd 00cdcd e5e5e5 "
    "7f7f7f ff0000 00ff00 ffff00 5c5cff ff00ff 00ffff ffffff"
)
VGA = (
    "000000 aa0000 00aa00 aa5500 0000aa aa00aa 00aaaa aaaaaa "
    "555555 ff5555 55ff55 ffff55 5555ff ff55ff 55ffff ffffff"
)
MACOS = (
    "000000 c23621 25bc24 adad27 492ee1 d338d3 33bbc8 cbcccd "
    "818383 fc391f 31e722 eaec23 5833ff f935f8 14f0f0 e9ebeb"
)
DRAWN_ONLY = ("border", "cursor")
"""Frames tell nothing, and a ground is no text."""


def rgb(text: str) -> Rgb:
    return int(text[:2], 16), int(text[2:4], 16), int(text[4:], 16)


def contrast(one: Rgb, other: Rgb) -> float:
    """As WCAG 2 has it."""

    def luminance(colour: Rgb) -> float:
        shares = (part / 255 for part in colour)
        linear = [
            share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4
            for share in shares
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_contrast_is_that_of_the_standard() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == 21
    assert round(contrast((0x77, 0x77, 0x77), (255, 255, 255)), 2) == 4.48


@pytest.mark.parametrize("role", [role for role in ROLES if role not in DRAWN_ONLY])
@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_our_own_colours_can_be_read(theme: Theme, role: Role) -> None:
    style, cursor = role_styles(theme)[role], role_styles(theme)["cursor"]
    assert style.color is not None
    assert style.color.triplet is not None
    grounds = [rgb(theme.background[1:])]
    if role in HURTS:
        grounds.append(tuple(cursor.bgcolor.triplet))
    if style.bgcolor is not None:
        grounds = [tuple(style.bgcolor.triplet)]
    for ground in grounds:
        assert contrast(tuple(style.color.triplet), ground) >= (4.5 if role in HURTS else 3.0)


@pytest.mark.parametrize("palette", [XTERM, VGA, MACOS], ids=["xterm", "vga", "macos"])
@pytest.mark.parametrize(
    ("theme", "text", "ground"),
    [(ANSI, 7, (0, 0, 0)), (ANSI_LIGHT, 0, (255, 255, 255))],
    ids=["dark", "light"],
)
def test_the_terminals_own_colours_can_be_read(
    theme: Theme, text: int, ground: Rgb, palette: str
) -> None:
    colours = [rgb(word) for word in palette.split()]

    def shown(colour: Color | None, otherwise: Rgb) -> Rgb:
        return otherwise if colour is None or colour.number is None else colours[colour.number]

    for role, style in role_styles(theme).items():
        if role in (*DRAWN_ONLY, "graph_dim"):  # an area: its figure is the line above it
            continue
        ratio = contrast(shown(style.color, colours[text]), shown(style.bgcolor, ground))
        assert ratio >= (4.5 if role in HURTS else 3.0), (role, ratio)
