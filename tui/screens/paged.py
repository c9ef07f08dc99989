"""A screen that is one page of lines: it scrolls by lines, and tells where it is."""

from collections.abc import Sequence

from msgspec.structs import replace

from tui.draw.text import Line
from tui.panes.view import PaneName, ViewState
from tui.screens.layout import LEAST_FOR_AXIS
from tui.screens.live import LiveScreen
from tui.screens.page_layout import LEAST_FRAMED_HEIGHT, LEAST_FRAMED_WIDTH


class PagedScreen(LiveScreen):
    """A live screen whose pane 1 shows a part of a longer page."""

    PAGE: PaneName
    """The pane that shows it."""

    page: Sequence[Line] = ()
    """All of it, as it was last drawn for a width."""

    def frame_page(self) -> bool:
        """Give the page its border and footer where there is room, and return whether there is."""
        columns, rows = self.size
        framed = columns >= LEAST_FRAMED_WIDTH and rows >= LEAST_FRAMED_HEIGHT
        self.set_class(not framed, "-bare")
        self.panes["footer"].display = framed
        return framed

    def show_strips(self) -> tuple[bool, bool]:
        """Show the banner, and the axis of the run, where they have something to tell and there is
        room; return which of them are shown."""
        banner, axis = self.panes["banner"], self.panes["axis"]
        banner.display = self.has_banner()
        axis.display = self.view.past is not None and self.size.height >= LEAST_FOR_AXIS
        return banner.display, axis.display

    def shown_part(self, view: ViewState, height: int) -> list[Line]:
        """Return the lines that the view is scrolled to."""
        return list(self.page[self._first(view, height) :][:height])

    def part_words(self, view: ViewState) -> str:
        """Return which lines are shown, and of how many; empty where all are."""
        height, lines = self.pane(1).size.height, len(self.page)
        if not 0 < height < lines:
            return ""
        first = self._first(view, height)
        return f" · lines {first + 1}–{first + height} of {lines}"

    def _first(self, view: ViewState, height: int) -> int:
        """Return the first line that is shown: the page's end is as far as it goes."""
        return max(0, min(view.offset(self.PAGE), len(self.page) - height))

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        height = self.pane(1).size.height
        last = max(0, len(self.page) - height)
        offset = min(max(0, self._first(self.view, height) + lines), last)
        self.look(replace(self.view, offsets={**self.view.offsets, self.PAGE: offset}))

    def action_scroll_pane(self, direction: int) -> None:
        """Scroll by a screenful, but for a line that both have."""
        self.action_scroll(direction * max(1, self.pane(1).size.height - 1))

    def action_edge(self, last: bool) -> None:
        """Go to the first or the last line."""
        self.action_scroll(len(self.page) if last else -len(self.page))
