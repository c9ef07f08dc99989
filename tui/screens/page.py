"""A page of lines that grows as long as it must; its container scrolls."""

from collections.abc import Iterator, Sequence
from textwrap import wrap

from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from tui.draw.text import Line, Role, Span, pad
from tui.draw.theme import role_styles
from tui.panes.pane import paint


class Page(Widget):
    """Lines made for the page's width by a pure function, which subclasses give."""

    DEFAULT_CSS = """
    Page { height: auto; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._lines: tuple[Line, ...] = ()
        self._drawn_for = 0

    def draw(self, width: int) -> Sequence[Line]:
        """Return the page for `width` cells."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw again although the width is the same."""
        self._drawn_for = 0
        self.refresh(layout=True)

    def get_content_height(
        self,
        container: Size,  # noqa: ARG002 - as Textual calls it
        viewport: Size,  # noqa: ARG002 - as Textual calls it
        width: int,
    ) -> int:
        """Return how many lines the page takes."""
        return len(self._lines_for(width))

    def render_line(self, y: int) -> Strip:
        """Return one line of the page."""
        width = self.size.width
        lines = self._lines_for(width)
        line = lines[y] if y < len(lines) else ()
        styles = role_styles(self.app.current_theme)
        return paint(line, styles, width, ground=self.rich_style)

    def _lines_for(self, width: int) -> tuple[Line, ...]:
        if width != self._drawn_for:
            self._drawn_for = width
            self._lines = tuple(self.draw(width))
        return self._lines


def wrapped_entry(head: Span, text: str, *, indent: int, width: int, role: Role) -> Iterator[Line]:
    """Yield a term and what it means, wrapped into a hanging indent."""
    lines = wrap(text, max(1, width - indent), break_on_hyphens=False) or [""]
    start = pad((head,), indent)
    for number, words in enumerate(lines):
        yield (*(start if number == 0 else ((" " * indent, "text"),)), (words, role))
