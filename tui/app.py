"""The cockpit's App: theme, home screen, signals."""

import asyncio
import signal
import sys
from collections.abc import Iterable
from functools import partial
from typing import Final

from textual.app import App, SystemCommand
from textual.driver import Driver
from textual.screen import Screen

from probes.clock import Clock, SystemClock
from probes.config import Config
from tui.collector import Collector
from tui.keys import KEYS
from tui.screens.board import BoardScreen
from tui.session import Session
from tui.terminal import Terminal, metered
from tui.theme import ANSI, DARK, THEMES

__all__ = ["LlmtopApp"]

_SWEEP_EVERY_S: Final = 1.0
_LOOK_EVERY_S: Final = 1.0
_FEW_COLOURS: Final = ("standard", "windows")


class LlmtopApp(App[None]):
    """One session on one screen."""

    TITLE = "llmtop"
    CSS_PATH = "app.tcss"
    ESCAPE_TO_MINIMIZE = False

    def __init__(self, session: Session, config: Config, clock: Clock | None = None) -> None:
        super().__init__()
        self._terminal: Terminal | None = None
        self.session = session
        self._display_settings = config.display
        self._clock = clock or SystemClock()
        self._collector = Collector()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = self._theme_name()

    def get_driver_class(self) -> type[Driver]:
        """Return Textual's choice, with a meter where there can be one."""
        return metered(super().get_driver_class())

    def attach_terminal(self, terminal: Terminal) -> None:
        """Take the terminal that the driver writes to; it calls this before anything is drawn."""
        self._terminal = terminal

    def on_mount(self) -> None:
        """Show the board and take over signals and the collector."""
        settings = self._display_settings
        board = BoardScreen(
            self.session,
            self._clock,
            refresh_hz=settings.refresh_hz,
            window=settings.window,
            terminal=self._terminal,
        )
        self.push_screen(board)
        self._quit_on_signals()
        self.call_after_refresh(self._collector.start)
        self.set_interval(_SWEEP_EVERY_S, self._collector.sweep)
        self.set_interval(_LOOK_EVERY_S, self._leave_a_terminal_that_is_gone)

    def on_unmount(self) -> None:
        """Give back what was taken over."""
        self._collector.stop()
        if sys.platform != "win32":
            for number in (signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().remove_signal_handler(number)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Return Textual's own commands and every key of the table."""
        yield from super().get_system_commands(screen)
        if isinstance(screen, BoardScreen):
            for key in KEYS:
                title = f"{key.label} ({key.shown})"
                yield SystemCommand(title, key.tooltip, partial(screen.run_action, key.action))

    def _theme_name(self) -> str:
        """Return the theme of the settings; of 16 colours the terminal's own serve better."""
        name = self._display_settings.theme
        if name not in self.available_themes:
            name = DARK.name
        few = self.console.color_system in _FEW_COLOURS
        return ANSI.name if few and name == DARK.name else name

    def _leave_a_terminal_that_is_gone(self) -> None:
        """Quit where the terminal hung up: a session that it does not control gets no signal."""
        if self._terminal is not None and self._terminal.gone:
            self.exit()

    def _quit_on_signals(self) -> None:
        """Turn SIGTERM and SIGHUP into a normal quit, so that the terminal is restored."""
        if sys.platform != "win32":
            for number in (signal.SIGTERM, signal.SIGHUP):
                asyncio.get_running_loop().add_signal_handler(number, self.exit)
