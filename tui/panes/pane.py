"""The widget of every live pane: lines in, changed rows out.

Rule 1. What a pane shows is a pure function of a snapshot and the view: its spec names it.
Rule 2. A pane compares its lines with those it shows and repaints the rows that differ; a DataTable
would repaint every cell for each change.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from probes.board.views import EMPTY_SNAPSHOT, Snapshot
from tui.draw.ink import Brush, Pens, pens_for, trimmed, trims
from tui.draw.text import Line, Role, cells, clip, left, pad
from tui.draw.theme import role_styles
from tui.panes.view import DEFAULT_VIEW, PaneName, ViewState

DO: Final = "→ "
"""Begins what to do."""
_SUPERSCRIPTS: Final = "⁰¹²³⁴⁵⁶⁷⁸⁹"

DrawLines: TypeAlias = Callable[[Snapshot, ViewState, int, int], Sequence[Line]]
"""Makes at most `height` lines of at most `width` cells: (snapshot, view, width, height)."""
Title: TypeAlias = Callable[[Snapshot, ViewState], str]


class Want(msgspec.Struct, frozen=True):
    """What a pane would do with lines, borders left out."""

    least: int = 2
    """With fewer it says nothing that is worth a frame."""
    most: int = 1000
    """With more it says nothing more."""
    quiet: bool = False
    """It has nothing to say: one line is enough."""


def _nothing(_: Snapshot, __: ViewState) -> str:
    return ""


def _no_count(_: Snapshot, __: ViewState, ___: int) -> str:
    return ""


def _no_brief(_: Snapshot, __: ViewState) -> Line:
    return ()


def _wants_all(_: Snapshot, __: ViewState) -> Want:
    return Want()


class PaneSpec(msgspec.Struct, frozen=True):
    """All that is particular to one pane."""

    name: PaneName
    """Its widget's id too."""
    number: int
    """The key that goes to it; 0 for a strip, which has no border and no focus."""
    lines: DrawLines
    title: Title = _nothing
    subtitle: Title = _nothing
    """At the right of the lower border."""
    cursor: Callable[[Snapshot, ViewState, int], int | None] | None = None
    """Gives the row that carries the cursor in a height; a row that is clicked is reported."""
    moves: bool = False
    """It is drawn at each frame, not only twice a second: it moves with the time."""
    count: Callable[[Snapshot, ViewState, int], str] = _no_count
    """Which of its rows stand in a height, and of how many: at the right of the upper border."""
    brief: Callable[[Snapshot, ViewState], Line] = _no_brief
    """What it says while it is one line, after its name."""
    wants: Callable[[Snapshot, ViewState], Want] = _wants_all
    """What it would do with lines; it must not change from frame to frame."""


def paint(line: Line, styles: dict[Role, Style], width: int, *, ground: Style) -> Strip:
    """Return the line as a strip of exactly `width` cells; the roles' styles go over `ground`.

    Neighbours of one style become one segment, which saves bytes on the way to the terminal. Text
    is never read as markup.
    """
    spans = (
        part
        for span in pad(line, width)
        for part in (trimmed(span) if trims(span[1], styles[span[1]]) else (span,))
    )
    segments = (Segment(text, ground + styles[role]) for text, role in spans if text)
    return Strip(Segment.simplify(segments), width)


class Pane(Widget, can_focus=True):
    """A pane of the home screen, with its number and title in the border."""

    ALLOW_MAXIMIZE = False  # the board gives a pane the whole screen, its strips included

    DEFAULT_CSS = """
    Pane { height: 1fr; padding: 0; }
    """

    class Pointed(Message):
        """The user clicked in a pane, or turned the wheel over it."""

        def __init__(self, pane: "Pane", x: int, y: int, *, clicks: int = 0, turned: int = 0):
            super().__init__()
            self.pane = pane
            self.x, self.y = x, y
            """Cell of its content."""
            self.clicks = clicks
            self.turned = turned
            """Steps of the wheel, down from the user's hand."""

    class RowClicked(Message):
        """The user pointed at a row, counted from the cursor's."""

        def __init__(self, rows_down: int) -> None:
            super().__init__()
            self.rows_down = rows_down

    def __init__(self, spec: PaneSpec) -> None:
        super().__init__(id=spec.name, classes="numbered" if spec.number else "strip")
        self.spec = spec
        self.can_focus = spec.number > 0
        self.folded = False
        """It is one line, with its name before what it says."""
        self.note = ""
        """What the screen says at the right of the upper border, where the pane counts no rows."""
        self._snapshot: Snapshot = EMPTY_SNAPSHOT
        self._view: ViewState = DEFAULT_VIEW
        self._drawn: tuple[Line, ...] = ()
        self._rows: list[Line] = []
        self._highlighted: int | None = None
        self._grounds: dict[bool, Style] = {}
        self._pens: dict[bool, Pens] = {}
        self._shown_upper: tuple[str, str, int, bool] = ("", "", 0, False)
        self._shown_subtitle = ""

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

    def on_focus(self) -> None:
        """Draw the border's own line in its new colour."""
        self._set_titles()

    def on_blur(self) -> None:
        """Draw the border's own line in its new colour."""
        self._set_titles()

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

    def on_click(self, event: Click) -> None:
        """Report which row was pointed at, where there is a cursor."""
        offset = event.get_content_offset(self)
        if offset is None:
            return
        self.post_message(self.Pointed(self, offset.x, offset.y, clicks=event.chain))
        cursor = self._cursor_row(self.size.height)
        if cursor is not None:
            self.post_message(self.RowClicked(offset.y - cursor))

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Report that the wheel was turned."""
        self.post_message(self.Pointed(self, event.x, event.y, turned=1))

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Report that the wheel was turned."""
        self.post_message(self.Pointed(self, event.x, event.y, turned=-1))

    def fold(self, folded: bool) -> None:
        """Make it one line, or a pane with borders."""
        if folded != self.folded:
            self.folded = folded
            self.set_class(folded, "-folded")
            self._drawn = ()

    def _cursor_row(self, height: int) -> int | None:
        cursor = self.spec.cursor
        return None if cursor is None else cursor(self._snapshot, self._view, height)

    def _redraw(self, brush: Brush | None) -> None:
        width, height = self.size
        if width <= 0 or height <= 0:
            return
        drawn_before, cursor_before, before = self._drawn, self._highlighted, self._rows
        self._drawn = tuple(self._lines(width, height)[:height])
        self._highlighted = self._cursor_row(height)
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

    def _lines(self, width: int, height: int) -> Sequence[Line]:
        if not self.folded:
            return self.spec.lines(self._snapshot, self._view, width, height)
        name = self.spec.title(self._snapshot, self._view).partition(" · ")[0]
        start: Line = ((f" {_SUPERSCRIPTS[self.spec.number]}", "accent"), (f"{name}  ", "title"))
        return [clip((*start, *self.spec.brief(self._snapshot, self._view)), width)]

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
        title = self.spec.title(self._snapshot, self._view)
        subtitle = self.spec.subtitle(self._snapshot, self._view)
        width, height = self.size
        count = self.spec.count(self._snapshot, self._view, height) or self.note
        number = _SUPERSCRIPTS[self.spec.number] if self.spec.number else ""
        upper = (title, count, width, self.has_focus)
        if upper != self._shown_upper:
            self._shown_upper = upper
            # A blank at either end of a label is the border's own, and one of ours before a count.
            room = width - 4 - len(number) - (cells(count) + 3 if count else 0)
            name = title if cells(title) <= room else left(title, max(0, room))
            parts: list[str | tuple[str, str]] = [(number, "$accent bold"), name]
            if count:
                line = "─" * (room - cells(name) + 1)
                hue = "$accent 60%" if self.has_focus else "$border"
                parts += [(f" {line} ", f"{hue} not bold"), (count, "$foreground 60% not bold")]
            self.border_title = Content.assemble(*parts)
        if subtitle != self._shown_subtitle:
            self._shown_subtitle = subtitle
            # What to do is what is looked for, and a narrow verdict has no room for it.
            first, joint, rest = subtitle.partition(" · ")
            lit = "$accent" if first.startswith(DO) else ""
            self.border_subtitle = Content.assemble((first, lit), joint + rest)


def _changed_rows(before: Sequence[Line], after: Sequence[Line]) -> set[int]:
    shared = min(len(before), len(after))
    changed = {row for row in range(shared) if before[row] != after[row]}
    return changed | set(range(shared, max(len(before), len(after))))
