"""The manual in the cockpit: a list of topics, and one topic at a time.

Rule 1. What stands there is what `llmtop manual` prints: the pages of the rooms.
Rule 2. A page is what stands under one heading, a screen or two: a whole README at once would keep
the cockpit from drawing while it is made.
"""

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Click
from textual.screen import ModalScreen
from textual.widgets import Input

from tui.draw.text import Line, cells, clip, counted, left
from tui.manual import Topic, topics
from tui.screens.page import Page


def has(topic: Topic, words: str) -> bool:
    """Tell whether a topic's name and text contain all of some words."""
    text = f"{topic.name} {topic.own}".lower()
    return all(word in text for word in words.lower().split())


def list_lines(some: Sequence[Topic], at: int, width: int) -> list[Line]:
    """Return a line for each topic; `at` is the one that the cursor is on."""
    names = max([cells(topic.title) for topic in some], default=0) + 2
    names = min(names, max(12, width * 2 // 5))
    lines: list[Line] = []
    for row, topic in enumerate(some):
        here = row == at
        lines.append(
            clip(
                (
                    ("▸ " if here else "  ", "accent"),
                    (left(topic.room, 10) + " ", "head" if topic.is_room else "dim"),
                    (left(topic.title, names) + "  ", "title" if here else "accent"),
                    (topic.summary, "text" if here else "dim"),
                ),
                width,
            )
        )
    return lines or [(("nothing has these words in it", "dim"),)]


class ManualText(Page):
    """The list of topics, or one of them."""

    def __init__(self, some: Sequence[Topic]) -> None:
        super().__init__()
        self.some = some
        self.at = 0
        self.open = False

    def draw(self, width: int) -> Sequence[Line]:
        """Return the list, or the topic."""
        width -= 1  # a blank before the scroll bar
        if not self.open:
            return list_lines(self.some, self.at, width)
        from tui.draw.markdown import markdown_lines  # nobody else on the screen has a need of it

        return markdown_lines(self.some[self.at].own, width)


class ManualScreen(ModalScreen[None]):
    """The manual over a live screen; collection goes on behind it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", show=False),
        Binding("q", "dismiss", show=False),
        Binding("j,down", "move(1)", show=False, priority=True),
        Binding("k,up", "move(-1)", show=False, priority=True),
        Binding("right,l,n,tab", "turn(1)", show=False),
        Binding("left,h,N,shift+tab", "turn(-1)", show=False),
        Binding("enter", "open", show=False),
        Binding("slash", "search", show=False),
    ]
    AUTO_FOCUS = "VerticalScroll"
    DEFAULT_CSS = """
    ManualScreen { align: center middle; background: $background 60%; }
    ManualScreen VerticalScroll {
        width: 100%; max-width: 104; height: 1fr;
        background: $background; border: round $border;
        border-title-color: $foreground 60%;
        border-subtitle-color: $foreground 50%; border-subtitle-align: right;
        padding: 0 1; scrollbar-size-vertical: 1; scrollbar-color: $border;
        scrollbar-background: $background;
    }
    ManualScreen Input {
        dock: bottom; height: 1; border: none; background: $panel; padding: 0 1; display: none;
    }
    """

    def __init__(self, some: Sequence[Topic] = ()) -> None:
        """Prepare to open a topic, the list of several, or of all where there is none."""
        super().__init__()
        self._text = ManualText(some or topics())
        self._text.open = len(some) == 1
        if self._text.open:
            self._text.some = topics()
            self._text.at = topics().index(some[0])

    def compose(self) -> ComposeResult:
        """Return the text in a box that scrolls, and the line to search on."""
        yield VerticalScroll(self._text)
        yield Input(placeholder="words to look for", compact=True)

    def on_mount(self) -> None:
        """Name what is shown."""
        self._show()

    @property
    def topic(self) -> Topic | None:
        """The topic that is open; None where the list is."""
        return self._text.some[self._text.at] if self._text.open else None

    def _show(self, *, top: bool = True) -> None:
        box = self.query_one(VerticalScroll)
        topic, number = self.topic, len(self._text.some)
        room = max(1, min(self.app.size.width, 104) - 6)
        if topic is None:
            title, keys = (
                f"manual · {counted(number, 'topic')}",
                "j k Enter open  / search  Esc close",
            )
        else:
            title = f"manual · {topic.name} · {self._text.at + 1} of {number}"
            keys = "← → topic  j k scroll  / search  Esc topics"
        box.border_title = Content(left(title, room).rstrip())
        box.border_subtitle = Content(keys if cells(keys) <= room else "← → /  Esc")
        self._text.redraw()
        if top:
            box.scroll_home(animate=False)

    def action_back(self) -> None:
        """Leave the search, the topic or the manual."""
        line = self.query_one(Input)
        if line.display:
            line.display = False
            line.value = ""
            self.query_one(VerticalScroll).focus()
        elif self._text.open:
            self._text.open = False
            self._show()
            self.call_after_refresh(self._follow)
        else:
            self.dismiss()

    def action_move(self, by: int) -> None:
        """Move the cursor of the list, or scroll the topic."""
        if self._text.open:
            self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)
        elif self._text.some:
            self._text.at = min(max(0, self._text.at + by), len(self._text.some) - 1)
            self._show(top=False)
            self._follow()

    def _follow(self) -> None:
        """Scroll the list to its cursor."""
        box = self.query_one(VerticalScroll)
        top, height = box.scroll_y, box.scrollable_content_region.height
        if not top <= self._text.at < top + height:
            to = self._text.at if self._text.at < top else self._text.at - height + 1
            box.scroll_to(y=to, animate=False)

    def action_turn(self, step: int) -> None:
        """Open the next topic, or the one before."""
        if self._text.open:
            self._text.at = (self._text.at + step) % len(self._text.some)
            self._show()

    def action_open(self) -> None:
        """Open the topic that the cursor is on."""
        if self._text.some and not self._text.open:
            self._text.open = True
            self._show()

    def action_search(self) -> None:
        """Ask for words to look for in all topics."""
        line = self.query_one(Input)
        line.display = True
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """List the topics that have the words; with none, all of them."""
        event.stop()
        self._text.some = tuple(topic for topic in topics() if has(topic, event.value))
        self._text.at = 0
        self._text.open = False
        self._show()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go to what was found, and keep it."""
        event.stop()
        self.query_one(Input).display = False
        self.query_one(VerticalScroll).focus()
        if len(self._text.some) == 1:
            self.action_open()

    def on_click(self, event: Click) -> None:
        """Open what was clicked."""
        row = event.screen_y - self._text.region.y
        inside = self._text.region.contains(event.screen_x, event.screen_y)
        if inside and not self._text.open and row < len(self._text.some):
            self._text.at = row
            self.action_open()
