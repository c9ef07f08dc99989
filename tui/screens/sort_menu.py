"""The menu of columns to sort by: each with what it means, the present one marked."""

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.events import Click, Key
from textual.screen import ModalScreen

from tui.draw.flow import marked
from tui.draw.text import Line, cells, clip, join, left
from tui.panes.routes import COLUMNS, SORT_KEYS
from tui.screens.glossary import COLUMN_MEANINGS
from tui.screens.page import Page

_OTHERS: Final = {
    "": ("hurt", "most users hurt first, as the table is by itself"),
    "name": ("ROUTE", "its name, from A to Z"),
}
"""Orders that are no column's: what they are called, and what they mean."""


def choices() -> dict[str, tuple[str, str]]:
    """Return each order by its key: the head that it stands under, and what it means."""
    columns = {
        column.key: (
            f"{column.group}{column.head}",
            COLUMN_MEANINGS.get(column.key, ""),
        )
        for column in COLUMNS
    }
    return {key: (_OTHERS | columns)[key] for key in SORT_KEYS}


def menu_lines(width: int, present: str, at: int) -> list[Line]:
    """Return a line for each order; `present` is the one that the table has, `at` the cursor's."""
    entries = choices()
    heads = max(cells(head) for head, _ in entries.values())
    lines: list[Line] = []
    for row, (key, (head, meaning)) in enumerate(entries.items()):
        start: Line = (
            ("▸" if row == at else " ", "accent"),
            ("● " if key == present else "  ", "good"),
            (left(head, heads) + "  ", "title" if row == at else "accent"),
        )
        words = tuple(marked(meaning, "text" if row == at else "dim"))
        lines.append(clip(join((start, words)), width))
    return lines


class SortPage(Page):
    """The menu's text."""

    def __init__(self, present: str) -> None:
        super().__init__()
        self.present = present
        self.at = SORT_KEYS.index(present)

    def draw(self, width: int) -> Sequence[Line]:
        """Return the menu."""
        return menu_lines(width, self.present, self.at)


class SortMenu(ModalScreen[str | None]):
    """Asks by which column to sort; None is as it was."""

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
    SortMenu { align: center middle; background: $background 60%; }
    SortMenu VerticalScroll {
        width: 100%; max-width: 100; height: auto; max-height: 100%;
        background: $background; border: round $border;
        border-title-color: $foreground; border-title-style: bold;
        border-subtitle-color: $foreground 50%; border-subtitle-align: right;
        padding: 0 1; scrollbar-size-vertical: 1;
    }
    """

    def __init__(self, present: str) -> None:
        super().__init__()
        self._list = SortPage(present)

    def compose(self) -> ComposeResult:
        """Return the menu in a box that scrolls."""
        box = VerticalScroll(self._list)
        box.border_title = f"sort by one of {len(SORT_KEYS)}"
        box.border_subtitle = "j k Enter, or the first letter · Esc"
        yield box

    def on_mount(self) -> None:
        """Show the present one."""
        self.call_after_refresh(self._show)

    def _show(self) -> None:
        self._list.redraw()
        box = self.query_one(VerticalScroll)
        top, height = box.scroll_y, box.scrollable_content_region.height
        at = self._list.at
        if not top <= at < top + height:
            box.scroll_to(y=at if at < top else at - height + 1, animate=False)

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self._list.at = min(max(0, self._list.at + by), len(SORT_KEYS) - 1)
        self._show()

    def action_edge(self, to: int) -> None:
        """Move the cursor to the first or the last."""
        self._list.at = to % len(SORT_KEYS)
        self._show()

    def action_take(self) -> None:
        """Sort by what the cursor is on."""
        self.dismiss(SORT_KEYS[self._list.at])

    def on_key(self, event: Key) -> None:
        """Take the order whose head begins with a letter; of several go to the next one."""
        letter = (event.character or "").lower()
        heads = [head.lower() for head, _ in choices().values()]
        rows = [row for row, head in enumerate(heads) if letter and head.startswith(letter)]
        if not rows or letter.isspace():
            return
        event.stop()
        self._list.at = next((row for row in rows if row > self._list.at), rows[0])
        if len(rows) == 1:
            self.action_take()
        else:
            self._show()

    def on_click(self, event: Click) -> None:
        """Take what was clicked; beside the menu, leave."""
        region = self._list.region
        if region.contains(event.screen_x, event.screen_y):
            self._list.at = min(event.screen_y - region.y, len(SORT_KEYS) - 1)
            self.action_take()
        else:
            self.dismiss()
