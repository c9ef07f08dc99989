"""The cockpit's App: home screen, palette, the collector's beat."""

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from textual import work
from textual.app import SystemCommand
from textual.command import CommandPalette
from textual.css.query import NoMatches
from textual.events import Key
from textual.screen import Screen
from textual.widgets import Input

from probes.board.views import Snapshot
from probes.config import Config, Route
from probes.kit.clock import Clock, SystemClock
from tui.keys import keys_of, remapped
from tui.panes.header import terminal_title
from tui.screens.alert_desk import AlertDesk
from tui.screens.cockpit import CockpitState
from tui.screens.home import HomeScreen
from tui.screens.live import LiveScreen
from tui.screens.masking import mask_of
from tui.screens.prompt import TypedLine
from tui.session import CockpitSession, HandedOver, Proposal
from tui.terminal.collector import Collector
from tui.terminal.terminal_app import TerminalApp

if TYPE_CHECKING:
    from probes.config.saving import SettingsFile
    from probes.history.views import HistoryView

_SWEEP_EVERY_S: Final = 1.0
_WRITTEN_BY_S: Final = 0.01
"""A frame is usually on its terminal by then."""
_TITLE_EVERY_S: Final = 1.0
"""A title that changes more often is not read."""


class Palette(CommandPalette):
    """Textual's, which outlives a search that is still begun when it has been closed."""

    @work(exclusive=True, group=CommandPalette._GATHER_COMMANDS_GROUP)
    async def _gather_commands(self, search_value: str) -> None:
        # A letter and Esc in a row, on a busy machine: the list that the search would fill is gone
        # before it begins, and Textual ends the app for that.
        search: Any = CommandPalette._gather_commands
        with contextlib.suppress(NoMatches):
            await search.__wrapped__(self, search_value)


class LlmtopApp(TerminalApp[None]):
    """One session on one screen."""

    CSS_PATH = "app.tcss"
    ESCAPE_TO_MINIMIZE = False

    def __init__(
        self,
        session: CockpitSession,
        config: Config,
        clock: Clock | None = None,
        *,
        on_leaving: Callable[[], None] | None = None,
        desk: AlertDesk | None = None,
    ) -> None:
        super().__init__(on_leaving, config.display.theme)
        self.session = session
        self._display_settings = config.display
        self._keys = remapped(config.keys)
        self._config = config
        self._file: SettingsFile | None = None
        self._clock = clock or SystemClock()
        self._desk = desk or AlertDesk(self._clock)
        self._collector = Collector()
        self._cockpit: CockpitState | None = None

    def on_mount(self) -> None:
        """Show the board and take over the collector."""
        settings = self._display_settings
        cockpit = self._cockpit = CockpitState(
            self.session,
            self._clock,
            refresh_hz=settings.refresh_hz,
            window=settings.window,
            terminal=self._terminal,
            keys=self._keys,
            propose=self._propose,
            desk=self._desk,
            hand_over=self._hand_over,
            weeks=self._weeks,
        )
        self._desk.attach(self._terminal, cockpit.worded)
        cockpit.settle(theme=self.theme, window=settings.window)
        self.push_screen(HomeScreen(cockpit))
        self.set_interval(_TITLE_EVERY_S, partial(self._show_title, cockpit))
        self.call_after_refresh(self._settle_in)
        self.set_interval(_SWEEP_EVERY_S, partial(self._sweep, cockpit))

    def _settle_in(self) -> None:
        """Load what the first frame did not need and the first key may, and take over the
        collector: it never looks at what was there before.

        Not while the first frame is on its way: the thread that writes it would wait for us.
        """
        if self._terminal is not None and self._terminal.busy:
            self.set_timer(_WRITTEN_BY_S, self._settle_in)
            return
        import_module("tui.screens.route")
        import_module("tui.screens.comparing")
        import_module("tui.screens.sweeping")
        self._collector.start()

    def as_shown(self, snapshot: Snapshot) -> Snapshot:
        """Return a frame as it may be shown when the screen is gone: masked where that was."""
        cockpit = self._cockpit
        if cockpit is None or not cockpit.view.private:
            return snapshot
        return mask_of(self.session.wanted.routes, snapshot).snapshot(snapshot)

    def _sweep(self, cockpit: CockpitState) -> None:
        """Sweep up between frames."""
        stays = cockpit.travel.is_live and isinstance(self.screen, HomeScreen)
        self._collector.sweep(stays=stays)

    def _show_title(self, cockpit: CockpitState) -> None:
        """Have the terminal's title tell the worst, for whoever looks at another window."""
        if self._terminal is not None:
            shown = terminal_title(cockpit.frames.present(), self.session.status)
            self._terminal.title(shown)

    @staticmethod
    def _weeks(route: str, ago_s: float) -> "HistoryView | str":
        """Read the history of a route of this machine, or say why there is none."""
        from probes.history.database import EmptyHistoryError, HistoryError, HistoryFile
        from probes.history.keeper import default_history_path
        from probes.history.reading import UnknownRouteError, read_history

        path = default_history_path()
        try:
            if path.exists():
                with HistoryFile(path, writes=False) as file:
                    return read_history(file, since_s=time.time() - ago_s, route=route)
        except (EmptyHistoryError, UnknownRouteError):
            pass
        except HistoryError as error:
            return str(error)
        return "Nothing of it is kept yet: a run is written down every three minutes."

    def _propose(
        self, routes: Mapping[str, Mapping[str, float | str]], display: Mapping[str, str]
    ) -> Proposal:
        """Say what saving would change in the settings file, if there is one."""
        if not self._config.source:
            return Proposal(refusal="there is no settings file: `llmtop init` writes one")
        is_of_places = any(route.place for route in self._config.routes)
        if is_of_places and _is_turned(self._config.routes, routes):
            refusal = (
                "The settings have one value for all places: knobs of one place are not saved."
            )
            return Proposal(refusal=refusal)
        from probes.config.saving import SaveError, SettingsFile  # nobody else has a need of it

        # Of places elsewhere this machine may have no keys.
        environ = None if is_of_places else os.environ
        file = self._file = self._file or SettingsFile(self._config, environ)

        def write() -> str:
            try:
                file.write(changes)
            except SaveError as error:
                return str(error)
            return ""

        try:
            changes = file.propose(routes, display)
        except SaveError as error:
            return Proposal(refusal=str(error))
        return Proposal(tuple(change.words for change in changes), "", str(file.path), write)

    def _hand_over(
        self,
        snapshot: Snapshot,
        route: str,
        *,
        writes: bool,
        progress: Callable[[str, float | None], object],
    ) -> HandedOver:
        """Hand over what is shown, from the recording of the run."""
        # Nobody else has a need of it, and the first frame is not to wait for it.
        from probes.handover.from_snapshot import hand_over_snapshot

        told = hand_over_snapshot(
            self.session.timeline, snapshot, route, writes=writes, progress=progress
        )
        return HandedOver(told.summary, told.folder, told.failure)

    async def on_unmount(self) -> None:
        """Give the collector back, and let what is compared or swept end."""
        self._collector.stop()
        if self._cockpit is not None:
            await self._cockpit.comparisons.close()
            await self._cockpit.sweeps.close()

    def on_key(self, event: Key) -> None:
        """Give the line to type on what was typed before it was there.

        Keys go to what is focused when they come, and only then is asked what they do: after a
        colon and a word in a row, the word's letters come here. As keys they would turn knobs.
        """
        line = self.focused
        if isinstance(line, TypedLine):
            taken = line.type_ahead(event)
        elif isinstance(line, Input) and event.is_printable and event.character:
            line.insert_text_at_cursor(event.character)
            taken = True
        else:
            taken = False
        if taken:
            event.prevent_default()
            event.stop()

    def action_command_palette(self) -> None:
        """Show the palette."""
        if not isinstance(self.screen, CommandPalette):
            self.push_screen(Palette(id="--command-palette"))

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Return Textual's own commands and every key of the table."""
        yield from super().get_system_commands(screen)
        if isinstance(screen, LiveScreen):
            for key in keys_of(screen.NAME, self._keys):
                if key.id in screen.view.idle:
                    continue
                title = f"{key.label} ({key.shown})" if key.shown else key.label
                yield SystemCommand(title, key.tooltip, partial(screen.run_action, key.action))


def _is_turned(routes: Iterable[Route], wanted: Mapping[str, Mapping[str, float | str]]) -> bool:
    """Tell whether any knob is wanted otherwise than the settings have it."""
    return any(
        value != (route.asked_concurrency if key == "concurrency" else getattr(route, key))
        for route in routes
        for key, value in wanted.get(route.name, {}).items()
    )
