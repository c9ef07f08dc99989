"""What all our apps do with the terminal: draw on it, notice its end, leave it in order."""

import os
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from rich.color import ColorSystem
from rich.console import RenderableType
from rich.segment import Segments
from textual.app import App
from textual.driver import Driver
from textual.filter import Monochrome, NoColor
from textual.theme import Theme

from tui.draw.theme import THEMES
from tui.draw.theme_names import DARK
from tui.terminal.capabilities import Colours, colours, theme_for
from tui.terminal.driver import Terminal, metered

_LOOK_EVERY_S: Final = 1.0
_COLOUR_SYSTEMS: Final[Mapping[Colours, ColorSystem]] = {
    "none": ColorSystem.STANDARD,  # of none, Textual makes the most; a filter takes them away
    "16": ColorSystem.STANDARD,
    "256": ColorSystem.EIGHT_BIT,
    "truecolor": ColorSystem.TRUECOLOR,
}

_Result = TypeVar("_Result")


class TerminalApp(App[_Result]):
    """An app that quits when its terminal hangs up, and tells when it begins to leave."""

    TITLE = "llmtop"

    def __init__(self, on_leaving: Callable[[], None] | None = None, theme: str = DARK) -> None:
        """Prepare to draw in `theme`, or in what the terminal can show of it.

        `on_leaving` is called at each `exit`, whoever asks for it.
        """
        super().__init__()
        self._terminal: Terminal | None = None
        self._on_leaving = on_leaving
        for own in THEMES:
            self.register_theme(own)
        self._take_colours(colours(os.environ))
        wanted = theme_for(theme, os.environ)
        self.theme = wanted if wanted in self.available_themes else DARK

    def _take_colours(self, many: Colours) -> None:
        """Use so many colours. Textual's own greys make of what is red something dim."""
        self.console._color_system = _COLOUR_SYSTEMS[many]
        self.no_color = many == "none"
        kept = [one for one in self._filters if not isinstance(one, (Monochrome, NoColor))]
        self._filters = [*kept, NoColor()] if self.no_color else kept

    def get_driver_class(self) -> type[Driver]:
        """Return Textual's choice, with a meter where there can be one."""
        return metered(super().get_driver_class())

    def attach_terminal(self, terminal: Terminal) -> None:
        """Take the terminal that the driver writes to; it calls this before anything is drawn."""
        self._terminal = terminal

    def on_mount(self) -> None:
        """Begin to look after the terminal."""
        self.set_interval(_LOOK_EVERY_S, self._leave_a_terminal_that_is_gone)
        self.theme_changed_signal.subscribe(self, self._paint_anew)

    def _paint_anew(self, _: Theme) -> None:
        """Take another theme's colours for what is drawn by roles.

        Textual paints only what its own style sheet draws otherwise: between two themes on the
        terminal's ground that is the borders.
        """
        for screen in self.screen_stack:
            for widget in screen.query("*"):
                widget.notify_style_update()
                widget.refresh()

    def exit(
        self,
        result: _Result | None = None,
        return_code: int = 0,
        message: RenderableType | None = None,
    ) -> None:
        """Leave with a result and an exit status."""
        if self._on_leaving is not None:
            self._on_leaving()
        super().exit(result, return_code, message)

    def _fatal_error(self) -> None:
        """Leave with the traceback of a defect: where it was, and none of the values there, which
        Textual would show: keys, passwords and names that the mask hides are among them."""
        from rich.traceback import Traceback  # it takes long to import, and is rarely needed

        traceback = Traceback(show_locals=False, width=None)
        rendered = self.console.render(traceback, self.console.options)
        self._exit_renderables.append(Segments(rendered))
        self._close_messages_no_wait()

    def _leave_a_terminal_that_is_gone(self) -> None:
        """Quit where the terminal hung up: a session that it does not control gets no signal."""
        if self._terminal is not None and self._terminal.gone:
            self.exit()
