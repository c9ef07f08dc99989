"""The menu of columns to sort by: each with what it means, the present one marked."""

from collections.abc import Sequence
from typing import Final

from textual.events import Key

from tui.draw.flow import marked
from tui.draw.text import Line, cells, clip, join, left
from tui.panes.routes import COLUMNS, SORT_KEYS
from tui.screens.glossary import COLUMN_MEANINGS
from tui.screens.list_menu import ListMenu, ListPage

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


class SortPage(ListPage):
    """The menu's text."""

    def __init__(self, present: str) -> None:
        super().__init__(len(SORT_KEYS), SORT_KEYS.index(present))
        self.present = present

    def draw(self, width: int) -> Sequence[Line]:
        """Return the menu."""
        return menu_lines(width, self.present, self.at)


class SortMenu(ListMenu[str]):
    """Asks by which column to sort; None is as it was."""

    def __init__(self, present: str) -> None:
        super().__init__(
            SortPage(present),
            f"sort by one of {len(SORT_KEYS)}",
            "j k Enter, or the first letter · Esc",
        )

    def chosen(self, at: int) -> str:
        """Return the key of an order."""
        return SORT_KEYS[at]

    def on_key(self, event: Key) -> None:
        """Take the order whose head begins with a letter; of several go to the next one."""
        letter = (event.character or "").lower()
        heads = [head.lower() for head, _ in choices().values()]
        rows = [row for row, head in enumerate(heads) if letter and head.startswith(letter)]
        if not rows or letter.isspace():
            return
        event.stop()
        self.go_to(next((row for row in rows if row > self.lines.at), rows[0]))
        if len(rows) == 1:
            self.action_take()
