"""Every role has a look in every theme, and colour is never its only sign on few colours."""

import pytest
from rich.color import ColorType
from textual.theme import BUILTIN_THEMES, Theme

from tui.text import ROLES
from tui.theme import ANSI, DARK, LIGHT, THEMES, role_styles


@pytest.mark.parametrize("theme", THEMES, ids=lambda theme: theme.name)
def test_every_role_has_a_style(theme: Theme) -> None:
    assert set(role_styles(theme)) == set(ROLES)


def test_a_theme_of_others_gets_the_palette_that_fits_it() -> None:
    assert role_styles(BUILTIN_THEMES["dracula"]) == role_styles(DARK)
    assert role_styles(BUILTIN_THEMES["textual-light"]) == role_styles(LIGHT)
    assert role_styles(BUILTIN_THEMES["ansi-dark"]) == role_styles(ANSI)


def test_the_ansi_theme_keeps_to_sixteen_colours() -> None:
    for style in role_styles(ANSI).values():
        for colour in (style.color, style.bgcolor):
            assert colour is None or colour.type in (ColorType.DEFAULT, ColorType.STANDARD)


def test_what_hurts_most_differs_by_weight_too() -> None:
    for theme in THEMES:
        styles = role_styles(theme)
        assert all(styles[role].bold for role in ("sluggish", "missed", "alert"))
        assert not any(styles[role].bold for role in ("great", "fine", "dim"))
