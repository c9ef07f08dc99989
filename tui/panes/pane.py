"""The base of every live pane: lines in, changed rows out.

A pane computes its lines from a snapshot by a pure function, compares them with what it shows and
repaints the rows that differ. A DataTable would repaint every cell for each change.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from probes.board.views import EMPTY_SNAPSHOT, Snapshot
from tui.draw.ink import Brush, Pens, pens_for
from tui.draw.text import Line, Role, pad
from tui.draw.theme import role_styles
from tui.panes.view import DEFAULT_VIEW, ViewState

_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"


def paint(line: Line, styles: dict[Role, Style], width: int, *, ground: Style) -> Strip:
    """Return the line as a strip of exactly `width` cells; the roles' styles go over `ground`.

    Neighbours of one style become one segment, which saves bytes on the way to the terminal. Text
    is never read as markup.
    """
    segments = (Segment(text, ground + styles[role]) for text, role in pad(line, width) if text)
    return Strip(Segment.simplify(segments), width)


class Pane(Widget, can_focus=True):
    """A numbered pane with its title in the border; subclasses say what to draw."""

    NUMBER: ClassVar[int] = 0
    """Its key; 0 for strips without a border title."""
    MOVES: ClassVar[bool] = False
    """It is drawn at each frame, not only twice a second: it moves with the time."""
    ALLOW_MAXIMIZE = False  # the board gives a pane the whole screen, its strips included

    DEFAULT_CSS = """
    Pane { height: 1fr; padding: 0; }
    """

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id)
        self._snapshot: Snapshot = EMPTY_SNAPSHOT
        self._view: ViewState = DEFAULT_VIEW
        self._drawn: tuple[Line, ...] = ()
        self._rows: list[Line] = []
        self._highlighted: int | None = None
        self._grounds: dict[bool, Style] = {}
        self._pens: dict[bool, Pens] = {}
        self._shown_title = ""
        self._shown_subtitle = ""

    def draw(self, snapshot: Snapshot, view: ViewState, width: int, height: int) -> Sequence[Line]:
        """Return the pane's lines for `width` × `height` cells; longer ones are clipped."""
        raise NotImplementedError

    def title_for(self, snapshot: Snapshot, view: ViewState) -> str:
        """Return the title in the border, without its number."""
        raise NotImplementedError

    def subtitle_for(self, snapshot: Snapshot, view: ViewState) -> str:  # noqa: ARG002
        """Return what stands at the right of the lower border; empty for nothing."""
        return ""

    def highlighted(self, snapshot: Snapshot, view: ViewState, height: int) -> int | None:  # noqa: ARG002
        """Return the row that carries the cursor, if any."""
        return None

    def show(self, snapshot: Snapshot, view: ViewState, brush: Brush | None = None) -> None:
        """Draw a snapshot and repaint the rows that changed.

        With a brush they are written at once, past Textual: only where nothing lies over the pane.
        """
        self._snapshot, self._view = snapshot, view
        self._set_titles()
        self._redraw(brush)

    def on_resize(self) -> None:
        """Draw again at the new size."""
        self._set_titles()
        self._drawn = ()
        self._redraw(None)
        self.refresh()

    def notify_style_update(self) -> None:
        """Look colours up anew: the theme has changed."""
        super().notify_style_update()
        self._grounds.clear()
        self._pens.clear()

    def render_line(self, y: int) -> Strip:
        """Return row `y` of the content, from the lines of the last draw."""
        line = self._rows[y] if y < len(self._rows) else ()
        styles = role_styles(self.app.current_theme)
        return paint(line, styles, self.size.width, ground=self._ground(y == self._highlighted))

    def _redraw(self, brush: Brush | None) -> None:
        width, height = self.size
        if width <= 0 or height <= 0:
            return
        drawn_before, cursor_before, before = self._drawn, self._highlighted, self._rows
        self._drawn = tuple(self.draw(self._snapshot, self._view, width, height)[:height])
        self._highlighted = self.highlighted(self._snapshot, self._view, height)
        changed = _changed_rows(drawn_before, self._drawn)
        self._rows = [
            pad(line, width) if row in changed else before[row]
            for row, line in enumerate(self._drawn)
        ]
        recoloured: set[int] = set()
        if cursor_before != self._highlighted:
            recoloured = {row for row in (cursor_before, self._highlighted) if row is not None}
        rows = sorted(row for row in changed | recoloured if row < height)
        if rows and brush is None:
            self.refresh(*(Region(0, row, width, 1) for row in rows))
        elif rows and brush is not None:
            known = {row: line for row, line in enumerate(before) if row not in recoloured}
            self._write(rows, known, brush)

    def _write(self, rows: Sequence[int], before: Mapping[int, Line], brush: Brush) -> None:
        """Write rows of which the terminal shows `before`."""
        region = self.content_region
        for row in rows:
            line = self._rows[row] if row < len(self._rows) else pad((), region.width)
            pens = self._pens_of(row == self._highlighted)
            brush.row(region.x, region.y + row, before.get(row), line, pens)
        # Textual has not seen this: what it keeps of these rows is old.
        offset = self.content_offset
        self._styles_cache.set_dirty(
            *(Region(0, row, region.width, 1).translate(offset) for row in rows)
        )

    def _ground(self, highlighted: bool) -> Style:
        ground = self._grounds.get(highlighted)
        if ground is None:
            ground = self.rich_style
            if highlighted:
                ground += role_styles(self.app.current_theme)["cursor"]
            self._grounds[highlighted] = ground
        return ground

    def _pens_of(self, highlighted: bool) -> Pens:
        pens = self._pens.get(highlighted)
        if pens is None:
            pens = self._pens[highlighted] = pens_for(
                role_styles(self.app.current_theme),
                self._ground(highlighted),
                self.app.console,
                self.get_line_filters(),
                self.background_colors[1],
            )
        return pens

    def _set_titles(self) -> None:
        title = self.title_for(self._snapshot, self._view)
        subtitle = self.subtitle_for(self._snapshot, self._view)
        if title != self._shown_title:
            self._shown_title = title
            number = _SUPERSCRIPTS[self.NUMBER] if self.NUMBER else ""
            self.border_title = Content.assemble((number, "$accent bold"), title)
        if subtitle != self._shown_subtitle:
            self._shown_subtitle = subtitle
            self.border_subtitle = Content(subtitle)


def _changed_rows(before: Sequence[Line], after: Sequence[Line]) -> set[int]:
    shared = min(len(before), len(after))
    changed = {row for row in range(shared) if before[row] != after[row]}
    return changed | set(range(shared, max(len(before), len(after))))
