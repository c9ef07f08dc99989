"""The help: pages of a screen or two, the first of them about what one is looking at.

Rule 1. Keys come from the one table, as the user has them; every word and glyph from the glossary.
Rule 2. Nothing is cut: what does not fit a line is flowed into the next.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Final, NamedTuple

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input

from probes.board.views import RouteState
from tui.draw.flow import flow, hanging, marked
from tui.draw.text import MARK, Line, cells, left, side_by_side
from tui.keys import KEYS, Hotkey, hotkey
from tui.panes.view import PaneName
from tui.screens.glossary import HELP_PAGES, HelpPage, Section, Term, sections_of
from tui.screens.page import Page

_TWO_COLUMNS_FROM: Final = 100
"""Width from which a sentence is still read in one go in half of it."""
_GUTTER: Final = 3
_PARTED: Final = 4
"""Lines that two columns may differ by before a section is parted for it."""
_MOST_INDENT: Final = 13
"""Cells that a term may take beside its meaning; a longer one has a line of its own."""
_LEAST_BESIDE: Final = 40
"""Width below which meanings stand under their terms: beside them there would be a word a line."""


def help_lines(sections: Iterable[Section], width: int) -> list[Line]:
    """Return sections for `width` cells, in two columns of about one height where there is room."""
    if width < _TWO_COLUMNS_FROM:
        return [line for section in sections for line in _joined(_entries(section, width))]
    half = (width - _GUTTER) // 2
    blocks = [list(_entries(section, half)) for section in sections]
    first, second = min(_cuts(blocks), key=lambda cut: cut.cost)[:2]
    return side_by_side(first, second, half + _GUTTER)


class _Cut(NamedTuple):
    """One way to part sections into two columns."""

    first: list[Line]
    second: list[Line]
    cost: int


def _cuts(blocks: Sequence[list[list[Line]]]) -> Iterator[_Cut]:
    """Give each way to part them: between two sections, or within one where an entry begins."""
    lines = [_joined(entries) for entries in blocks]
    for place, entries in enumerate(blocks):
        before = _joined(lines[:place])
        after = _joined(lines[place + 1 :])
        for at in range(1, len(entries) + 1):
            first = [*before, *_joined(entries[:at])]
            rest = _joined(entries[at:])
            second = [*rest, *after]
            yield _Cut(first, second, max(len(first), len(second)) + _PARTED * bool(rest))


def _joined(parts: Iterable[Sequence[Line]]) -> list[Line]:
    return [line for part in parts for line in part]


def _entries(section: Section, width: int) -> Iterator[list[Line]]:
    """Give the lines of each term; the title stands with the first, a blank line with the last."""
    longest = max((cells(term.shown) for term in section.terms), default=0)
    indent = min(longest, _MOST_INDENT) + 1
    title = list(flow(((section.title, "head"),), width))
    if not section.terms:
        yield [*title, ()]
    for number, term in enumerate(section.terms):
        head = [] if number else title
        foot: list[Line] = [()] if term is section.terms[-1] else []
        yield [*head, *_term_lines(term, indent, width), *foot]


def _term_lines(term: Term, indent: int, width: int) -> Iterator[Line]:
    if width < _LEAST_BESIDE or cells(term.shown) >= indent:
        yield from flow(((term.shown, term.role),), width)
        for line in flow(marked(term.meaning, term.said), width - 2):
            yield (("  ", "text"), *line)
        return
    yield from hanging(
        (term.shown, term.role), marked(term.meaning, term.said), indent=indent, width=width
    )


def found(words: str, pages: Iterable[Sequence[Section]]) -> tuple[Section, ...]:
    """Return what of all pages contains all the words, in its sections, each once."""
    wanted = words.lower().split()
    sections: dict[str, dict[Term, None]] = {}
    for section in (section for page in pages for section in page):
        for term in section.terms:
            text = f"{term.shown} {term.meaning}".lower()
            if all(word in text for word in wanted):
                sections.setdefault(section.title, {})[term] = None
    return tuple(Section(title, tuple(terms)) for title, terms in sections.items())


class HelpText(Page):
    """One page of the help."""

    def __init__(self, sections: Sequence[Section]) -> None:
        super().__init__()
        self.sections = sections

    def draw(self, width: int) -> Sequence[Line]:
        """Return the page."""
        return help_lines(self.sections, width - 1)  # a blank before the scroll bar


class HelpScreen(ModalScreen[None]):
    """Keys and words over a live screen; collection goes on behind it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", show=False),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
        Binding("right,l,tab", "turn(1)", show=False),
        Binding("left,h,shift+tab", "turn(-1)", show=False),
        Binding("slash", "search", show=False),
        *(
            Binding(str(number), f"page({number})", show=False)
            for number in range(1, len(HELP_PAGES) + 1)
        ),
    ]
    AUTO_FOCUS = "VerticalScroll"
    DEFAULT_CSS = """
    HelpScreen { align: center middle; background: $background 60%; }
    HelpScreen VerticalScroll {
        width: 100%;
        max-width: 132;
        height: 1fr;
        background: $background;
        border: round $border;
        border-title-color: $foreground 60%;
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
    HelpScreen Input {
        dock: bottom; height: 1; border: none; background: $panel; padding: 0 1; display: none;
    }
    """

    def __init__(
        self,
        page: HelpPage = "here",
        *,
        keys: Sequence[Hotkey] = KEYS,
        pane: PaneName = "routes",
        route: str = "",
        state: RouteState | None = None,
    ) -> None:
        """Prepare to open at a page; the first one is of a pane and of the route's state."""
        super().__init__()
        sections = {name: sections_of(name, keys, pane=pane, state=state) for name in HELP_PAGES}
        self._pages = {
            name: tuple(
                Section(section.title.format(route=route), section.terms) for section in page
            )
            for name, page in sections.items()
        }
        self._names = {**{name: name for name in HELP_PAGES}, "here": pane}
        self._page = page if self._pages[page] else "keys"
        for name in ("help", "quit"):
            for key in filter(None, hotkey(name, keys).keys.split(",")):
                self._bindings.bind(key, "close", show=False)

    def compose(self) -> ComposeResult:
        """Return the page in a box that scrolls, and the line to search on."""
        yield VerticalScroll(HelpText(self._pages[self._page]))
        yield Input(placeholder="words to look for", compact=True)

    def on_mount(self) -> None:
        """Name the pages."""
        self._show(self._page)

    @property
    def page(self) -> HelpPage:
        """The page that is shown."""
        return self._page

    def _show(self, page: HelpPage) -> None:
        self._page = page
        self._fill(self._pages[page])

    def _fill(self, sections: Sequence[Section]) -> None:
        box = self.query_one(VerticalScroll)
        text = self.query_one(HelpText)
        text.sections = sections
        text.redraw()
        box.scroll_home(animate=False)
        room = max(0, min(self.app.size.width, 132) - 4)
        box.border_title = self._tabs(room)
        keys = "← → page  ↑ ↓ scroll  / search  Esc close"
        box.border_subtitle = keys if cells(keys) <= room else "← → /  Esc"

    def _tabs(self, room: int) -> Content:
        """Return the pages by number, as many as fit; the one that is shown stands out."""
        parts: list[str | tuple[str, str]] = [("help", "$foreground bold")]
        room -= cells("help")
        for number, name in enumerate(HELP_PAGES, 1):
            entry = f" {number} {self._names[name]}"
            more = 0 if number == len(HELP_PAGES) else 2
            if cells(entry) + more > room:
                parts.append((f" {MARK}", "not bold"))
                break
            room -= cells(entry)
            parts.append((entry, "$accent bold" if name == self._page else "not bold"))
        return Content.assemble(*parts)

    def action_close(self) -> None:
        """Leave the search, or the help."""
        line = self.query_one(Input)
        if line.display:
            line.display = False
            line.value = ""
            self.query_one(VerticalScroll).focus()
            self._show(self._page)
        else:
            self.dismiss()

    def action_turn(self, step: int) -> None:
        """Turn to the next page, or to the one before."""
        at = HELP_PAGES.index(self._page) + step
        self._show(HELP_PAGES[at % len(HELP_PAGES)])

    def action_page(self, number: int) -> None:
        """Open the page of a number."""
        self._show(HELP_PAGES[number - 1])

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_search(self) -> None:
        """Ask for words to look for on all pages."""
        line = self.query_one(Input)
        line.display = True
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Show what has the words."""
        event.stop()
        words = event.value.strip()
        if not words:
            self._show(self._page)
            return
        nothing = Section(f"nothing has {left(words, 20).strip()} in it", ())
        self._fill(found(words, self._pages.values()) or (nothing,))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Read what was found."""
        event.stop()
        self.query_one(VerticalScroll).focus()
