"""A line to type on, at the foot of a live screen, which goes on above it.

It is there only while it is asked for: whoever asks mounts it, and it takes itself away.
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, Static

from tui.draw.text import clip, line_text

_LONGEST: Final = 400
"""Characters that can be typed: more than any command, filter or mark."""


class Prompt(Vertical):
    """Asks for one line of text; Esc leaves it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False),
        # A completion is this line's own; on the screen Tab goes from pane to pane.
        Binding("tab", "complete(1)", show=False, priority=True),
        Binding("shift+tab", "complete(-1)", show=False, priority=True),
        Binding("up", "recall(-1)", show=False),
        Binding("down", "recall(1)", show=False),
    ]
    DEFAULT_CSS = """
    Prompt { dock: bottom; height: auto; background: $panel; }
    Prompt > .hint { height: auto; width: 100%; color: $foreground 60%; padding: 0 1; }
    Prompt > .hint.-wrong { color: $error; text-style: bold; }
    Prompt > Horizontal { height: 1; }
    Prompt .lead { width: auto; color: $accent; text-style: bold; padding: 0 0 0 1; }
    Prompt Input { height: 1; border: none; padding: 0; width: 1fr; background: $panel; }
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
        self._round: Sequence[str] = ()
        """What Tab goes round, and the line that it was asked for."""
        self._completed = ""

    def compose(self) -> ComposeResult:
        """Return what can be typed, and below it the line."""
        yield Static(classes="hint", markup=False)
        with Horizontal():
            yield Static(self._lead, classes="lead", markup=False)
            yield Input(compact=True, select_on_focus=False, max_length=_LONGEST)

    def on_mount(self) -> None:
        """Take the keys."""
        self._before = self.screen.focused
        self.screen.set_focus(self._input)
        self._say(self._hint(""), wrong=False)

    @property
    def _input(self) -> Input:
        return self.query_one(Input)

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
        if self._letters:
            self._answer(event.value[-1:].lower())
            return
        if event.value != self._completed:
            self._round = ()
        self._say(self._hint(event.value), wrong=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Give the line to whoever asked; where it is wrong, say why."""
        event.stop()
        if self._letters:
            return  # Enter alone says neither yes nor no
        wrong = self._take(event.value)
        if wrong is None:
            self._end()
        else:
            self._say(wrong, wrong=True)

    def _answer(self, letter: str) -> None:
        """Take a letter for the answer, if it is one of those that were asked for."""
        if letter and letter in self._letters:
            self._take(letter)
            self._end()
        else:
            self._input.value = ""

    def on_descendant_blur(self) -> None:
        """Leave where a click went elsewhere."""
        if self.is_mounted and self.screen.focused is not self._input:
            self._end()

    def action_leave(self) -> None:
        """Leave without a line."""
        self._end()

    def _end(self) -> None:
        if not self.is_attached:
            return
        if self._before is not None and self.screen.focused is self._input:
            self._before.focus()
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
