"""The help: every key from the one table, every word and glyph from the glossary."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from tui.draw.text import Line, side_by_side
from tui.keys import KEYS, Hotkey
from tui.screens.glossary import GLOSSARY, Section
from tui.screens.page import Page, wrapped_entry

_GROUPS: Final = {
    "knobs": "knobs of the route",
    "look": "look",
    "move": "move",
    "program": "program",
}
_TWO_COLUMNS_FROM: Final = 64
_SENTENCES_FROM: Final = 100
_BRIEF_COLUMN: Final = 28
_GUTTER: Final = 2
_KEY_INDENT: Final = 8
_TERM_INDENT: Final = 12


def help_lines(width: int, keys: Sequence[Hotkey] = KEYS) -> list[Line]:
    """Return the help for `width` cells: keys left and words right, one below the other if narrow.

    Where two whole sentences do not fit side by side a key has only its label. Nothing is cut: what
    does not fit a line is wrapped.
    """
    if width < _TWO_COLUMNS_FROM:
        return [*_key_lines(keys, width), *_glossary_lines(GLOSSARY, width)]
    brief = width < _SENTENCES_FROM
    at = _BRIEF_COLUMN if brief else width // 2
    left = _key_lines(keys, at - _GUTTER, brief=brief)
    return side_by_side(left, _glossary_lines(GLOSSARY, width - at), at)


def _key_lines(keys: Sequence[Hotkey], width: int, *, brief: bool = False) -> Iterator[Line]:
    groups = [*_GROUPS, *(key.group for key in keys)]
    for group in dict.fromkeys(groups):
        members = [key for key in keys if key.group == group]
        if not members:
            continue
        yield from _title(_GROUPS.get(group, group), width)
        for key in members:
            text = key.label if brief else key.tooltip
            yield from wrapped_entry(
                (key.shown, "accent"), text, indent=_KEY_INDENT, width=width, role="text"
            )
        yield ()


def _glossary_lines(sections: Sequence[Section], width: int) -> Iterator[Line]:
    for section in sections:
        yield from _title(section.title, width)
        for term in section.terms:
            yield from wrapped_entry(
                (term.shown, term.role),
                term.meaning,
                indent=_TERM_INDENT,
                width=width,
                role="dim",
            )
        yield ()


def _title(text: str, width: int) -> Iterator[Line]:
    return wrapped_entry(("", "text"), text, indent=0, width=width, role="head")


class HelpPage(Page):
    """The help's text."""

    def draw(self, width: int) -> Sequence[Line]:
        """Return keys and glossary."""
        return help_lines(width)


class HelpScreen(ModalScreen[None]):
    """Keys and words over the home screen; collection goes on behind it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "dismiss", "close"),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]
    AUTO_FOCUS = "VerticalScroll"
    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background 60%; }
    HelpScreen VerticalScroll {
        width: 100%;
        max-width: 132;
        height: 100%;
        background: $background;
        border: round $border;
        border-title-color: $foreground;
        border-title-style: bold;
        border-subtitle-color: $foreground 50%;
        border-subtitle-align: right;
        padding: 0 1;
        scrollbar-size-vertical: 1;
        scrollbar-color: $border;
        scrollbar-color-hover: $border;
        scrollbar-color-active: $accent;
        scrollbar-background: $background;
        scrollbar-background-hover: $background;
        scrollbar-background-active: $background;
    }
    """

    def compose(self) -> ComposeResult:
        """Return the page in a box that scrolls."""
        box = VerticalScroll(HelpPage())
        box.border_title = "help"
        box.border_subtitle = "↑ ↓ scroll · Esc close"
        yield box

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)
