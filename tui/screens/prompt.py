"""A line to type on, at the foot of a live screen, which goes on above it.

Rule 1. It is there only while it is asked for: whoever asks mounts it, and it takes itself away.
Rule 2. Keys count in the order in which they were pressed, however fast. What was typed before the
line was there is given to it by the app; Enter and Esc are obeyed where the letters before them
are, and what comes after them goes back to be a key.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import Key
from textual.screen import Screen
from textual.widgets import Input, Static

from tui.draw.text import clip, line_text

_LONGEST: Final = 400
"""Characters that can be typed: more than any command, filter or mark."""


class TypedLine(Input):
    """The line itself."""

    def __init__(self, prompt: "PromptLine") -> None:
        super().__init__(compact=True, select_on_focus=False, max_length=_LONGEST)
        self._prompt = prompt

    def on_unmount(self) -> None:
        """Be forgotten: Textual keeps each line that was ever shown, for as long as its screen."""
        self._prompt.home.text_selection_started_signal.unsubscribe(self)

    def on_key(self, event: Key) -> None:
        """Obey what ends the line at once; Textual would after the letters that follow it."""
        if self._prompt.ended:
            self.app.post_message(Key(event.key, event.character))
        elif not self.take_key(event):
            return  # as any other line does
        event.stop()
        event.prevent_default()

    def take_key(self, event: Key) -> bool:
        """Take a key that ends the line, or answers it; tell whether it was one."""
        if event.key == "enter":
            self._prompt.submit(self.value)
        elif event.key == "escape":
            self._prompt.leave()
        elif not self._prompt.answer(event):
            return False
        return True

    def type_ahead(self, event: Key) -> bool:
        """Take a key that was pressed before the line was there; tell whether it was for it."""
        if self._prompt.ended:
            return False
        if self.take_key(event):
            return True
        if event.is_printable and event.character:
            self.insert_text_at_cursor(event.character)
            return True
        return False


class PromptLine(Vertical):
    """Asks for one line of text; Esc leaves it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # A completion is this line's own; on the screen Tab goes from pane to pane.
        Binding("tab", "complete(1)", show=False, priority=True),
        Binding("shift+tab", "complete(-1)", show=False, priority=True),
        Binding("up", "recall(-1)", show=False),
        Binding("down", "recall(1)", show=False),
    ]
    DEFAULT_CSS = """
    PromptLine { dock: bottom; height: auto; background: $panel; }
    PromptLine > .hint { height: auto; width: 100%; color: $foreground 60%; padding: 0 1; }
    PromptLine > .hint.-wrong { color: $error; text-style: bold; }
    PromptLine > Horizontal { height: 1; }
    PromptLine .lead { width: auto; color: $accent; text-style: bold; padding: 0 0 0 1; }
    PromptLine Input { height: 1; border: none; padding: 0; width: 1fr; background: $panel; }
    """

    def __init__(
        self,
        lead: str,
        take: Callable[[str], str | None],
        *,
        hint: Callable[[str], str],
        complete: Callable[[str], Sequence[str]] = lambda _: (),
        history: Sequence[str] = (),
        letters: str = "",
    ) -> None:
        """Prepare to ask.

        `take` is given the line; what it returns is what is wrong with it, and the line stays.
        `hint` says what can be typed, `complete` what a beginning can become. Where `letters` are
        given one of them is the answer, and needs no Enter.
        """
        super().__init__(id="prompt")
        self._lead = lead
        self._take = take
        self._hint = hint
        self._complete = complete
        self._history = (*history, "")
        self._at = len(history)
        self._letters = letters
        self._refused: str | None = None
        """The line that is wrong, for as long as that is said."""
        self.ended = False
        """It takes no more keys."""
        self._round: Sequence[str] = ()
        """What Tab goes round, and the line that it was asked for."""
        self._completed = ""

    def compose(self) -> ComposeResult:
        """Return what can be typed, and below it the line."""
        yield Static(classes="hint", markup=False)
        with Horizontal():
            yield Static(self._lead, classes="lead", markup=False)
            yield TypedLine(self)

    def on_mount(self) -> None:
        """Take the keys."""
        self.home: Screen[object] = self.screen
        self._before = self.screen.focused
        self.screen.set_focus(self._input)
        self._say(self._hint(""), wrong=False)

    @property
    def _input(self) -> TypedLine:
        return self.query_one(TypedLine)

    def _say(self, words: str, *, wrong: bool) -> None:
        room = max(0, self.app.size.width - 2)
        told = self.query_one(".hint", Static)
        told.set_class(wrong, "-wrong")
        told.update(
            "\n".join(line_text(clip(((line, "text"),), room)) for line in words.split("\n"))
        )

    def on_input_changed(self, event: Input.Changed) -> None:
        """Say what can follow."""
        event.stop()  # the screen below has a line of its own, the filter
        if self.ended or event.value == self._refused:
            return
        if event.value != self._completed:
            self._round = ()
        if event.value == self._input.value:  # else it tells of what was there before
            self._refused = None
            self._say(self._hint(event.value), wrong=False)

    def submit(self, text: str) -> None:
        """Give the line to whoever asked; where it is wrong, say why."""
        if self._letters:
            return  # Enter alone says neither yes nor no
        wrong = self._take(text)
        if wrong is None:
            self.leave()
        else:
            self._refused = text
            self._say(wrong, wrong=True)

    def answer(self, event: Key) -> bool:
        """Take a letter for the answer, where one was asked for: no other is typed then."""
        letter = (event.character or "").lower()
        if not self._letters or not event.is_printable:
            return False
        if letter in self._letters:
            self._take(letter)
            self.leave()
        return True

    def on_descendant_blur(self) -> None:
        """Leave where a click went elsewhere."""
        if self.is_mounted and self.screen.focused is not self._input:
            self.leave()

    def leave(self) -> None:
        """Go, and give the keys back to whom they belonged."""
        if self.ended:
            return
        self.ended = True
        if self.screen.focused is self._input:
            self.screen.set_focus(self._before)
        self.remove()

    def action_complete(self, step: int) -> None:
        """Put the next of what the beginning can become."""
        if not self._round:
            self._round = self._complete(self._input.value)
            at = 0 if step > 0 else -1
        else:
            at = self._round.index(self._completed) + step
        if self._round:
            self._put(self._round[at % len(self._round)])

    def action_recall(self, step: int) -> None:
        """Put a line that was typed before."""
        self._at = min(max(0, self._at + step), len(self._history) - 1)
        self._put(self._history[self._at])

    def _put(self, line: str) -> None:
        self._completed = line
        self._input.value = line
        self._input.cursor_position = len(line)
