"""A menu of lines to choose one from: what all such menus share."""

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.events import Click
from textual.screen import ModalScreen

from tui.draw.text import Line
from tui.screens.page import Page

Chosen = TypeVar("Chosen")


class ListPage(Page):
    """The lines of a menu and where its cursor is, a choice."""

    ENTRY: ClassVar[int] = 1
    """Lines of a choice."""

    def __init__(self, length: int, at: int = 0) -> None:
        super().__init__()
        self.length = length
        self.at = at

    def draw(self, width: int) -> Sequence[Line]:
        """Return the lines of each choice."""
        raise NotImplementedError


class ListMenu(ModalScreen[Chosen | None]):
    """Asks for one of several; None is none of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", show=False),
        Binding("j,down", "move(1)", show=False, priority=True),
        Binding("k,up", "move(-1)", show=False, priority=True),
        Binding("home", "edge(0)", show=False, priority=True),
        Binding("end", "edge(-1)", show=False, priority=True),
        Binding("enter,space", "take", show=False),
    ]
    AUTO_FOCUS = "VerticalScroll"
    DEFAULT_CSS = """
    ListMenu { align: center middle; background: $background 60%; }
    ListMenu VerticalScroll {
        width: 100%; max-width: 100; height: auto; max-height: 100%;
        background: $background; border: round $border;
        border-title-color: $foreground; border-title-style: bold;
        border-subtitle-color: $foreground 50%; border-subtitle-align: right;
        padding: 0 1; scrollbar-size-vertical: 1;
    }
    """

    def __init__(self, lines: ListPage, title: str, subtitle: str) -> None:
        super().__init__()
        self.lines = lines
        self._title, self._subtitle = title, subtitle

    def chosen(self, at: int) -> Chosen | None:
        """Return what a choice stands for."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Return the menu in a box that scrolls."""
        box = VerticalScroll(self.lines)
        box.border_title = self._title
        box.border_subtitle = self._subtitle
        yield box

    def on_mount(self) -> None:
        """Show the choice that the cursor is on."""
        self.call_after_refresh(self.go_to, self.lines.at)

    def go_to(self, at: int) -> None:
        """Put the cursor on a choice, and show that; there may be none."""
        lines = self.lines
        lines.at = min(max(0, at), max(0, lines.length - 1))
        lines.redraw()
        box = self.query_one(VerticalScroll)
        top, height = box.scroll_y, box.scrollable_content_region.height
        first, after = lines.at * lines.ENTRY, (lines.at + 1) * lines.ENTRY
        if first < top or after > top + height:
            box.scroll_to(y=first if first < top else after - height, animate=False)

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self.go_to(self.lines.at + by)

    def action_edge(self, to: int) -> None:
        """Move the cursor to the first or the last."""
        self.go_to(to % max(1, self.lines.length))

    def action_take(self) -> None:
        """Choose what the cursor is on."""
        self.dismiss(self.chosen(self.lines.at))

    def on_click(self, event: Click) -> None:
        """Choose what was clicked; beside the menu, leave."""
        region = self.lines.region
        if region.contains(event.screen_x, event.screen_y):
            self.go_to((event.screen_y - region.y) // self.lines.ENTRY)
            self.action_take()
        else:
            self.dismiss()
