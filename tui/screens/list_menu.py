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
    """The lines of a menu, one a choice, and where its cursor is."""

    def __init__(self, length: int, at: int = 0) -> None:
        super().__init__()
        self.length = length
        self.at = at

    def draw(self, width: int) -> Sequence[Line]:
        """Return a line for each choice."""
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

    def chosen(self, at: int) -> Chosen:
        """Return what a line stands for."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Return the menu in a box that scrolls."""
        box = VerticalScroll(self.lines)
        box.border_title = self._title
        box.border_subtitle = self._subtitle
        yield box

    def on_mount(self) -> None:
        """Show the line that the cursor is on."""
        self.call_after_refresh(self.go_to, self.lines.at)

    def go_to(self, at: int) -> None:
        """Put the cursor on a line, and show that."""
        self.lines.at = at
        self.lines.redraw()
        box = self.query_one(VerticalScroll)
        top, height = box.scroll_y, box.scrollable_content_region.height
        if not top <= at < top + height:
            box.scroll_to(y=at if at < top else at - height + 1, animate=False)

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self.go_to(min(max(0, self.lines.at + by), self.lines.length - 1))

    def action_edge(self, to: int) -> None:
        """Move the cursor to the first or the last."""
        self.go_to(to % self.lines.length)

    def action_take(self) -> None:
        """Choose what the cursor is on."""
        self.dismiss(self.chosen(self.lines.at))

    def on_click(self, event: Click) -> None:
        """Choose what was clicked; beside the menu, leave."""
        region = self.lines.region
        if region.contains(event.screen_x, event.screen_y):
            self.lines.at = min(event.screen_y - region.y, self.lines.length - 1)
            self.action_take()
        else:
            self.dismiss()
