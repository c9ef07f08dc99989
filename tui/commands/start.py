"""The engine first, its screen as soon as it can be had.

Importing Textual takes longer than anything else at the start. It is done in a thread, while the
engine's process starts and sends its first requests.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol, TypeAlias

import anyio
from anyio import to_thread

from probes.config import Config
from probes.control.attention import Attention
from probes.events import Event
from probes.kit.clock import SystemClock
from tui.commands.output import OutputError, discard, say
from tui.commands.settings import check_display
from tui.commands.summary import summary_text
from tui.session import CockpitSession
from tui.terminal.collector import no_passes_at_the_start
from tui.terminal.leaving import Leaving, terminal_state

if TYPE_CHECKING:
    from tui.app import LlmtopApp


class Screen(Protocol):
    """What runs on the terminal until the user leaves."""

    @property
    def return_code(self) -> int | None:
        """The exit status; None is success."""
        ...

    async def run_async(self) -> object:
        """Run until the user leaves or `exit`."""
        ...

    def exit(self, *, return_code: int = 0) -> None:
        """Leave, with an exit status."""
        ...


Load: TypeAlias = Callable[[], Callable[[], Screen]]
"""Imports what a screen needs, in a thread; what it returns makes the screen, in the loop."""


def run_app(
    session: CockpitSession,
    config: Config,
    *,
    duration_s: float | None = None,
    subscribe: Callable[[Callable[[list[Event], bytes], None]], object] | None = None,
    attention: Attention | None = None,
) -> int:
    """Run the cockpit on a terminal until the user leaves, or for `duration_s` seconds of probing.

    Prints a summary of the run after the screen is gone; returns the exit status. `subscribe` lets
    somebody take the events as they happen: without it no alert calls anybody. `attention` is the
    run's own: what is muted on the screen calls nobody elsewhere.

    Raises:
        ConfigError: there is no theme or key such as the settings ask for.
        ExceptionGroup: the session failed in a way it does not handle; the terminal is restored.
    """
    check_display(config)

    apps: list[LlmtopApp] = []
    with no_passes_at_the_start(), Leaving(terminal_state()) as leaving:

        def load() -> Callable[[], Screen]:
            from tui.app import LlmtopApp
            from tui.screens.alert_desk import AlertDesk
            from tui.terminal.capabilities import is_in_tmux, notifies_by

            def make() -> Screen:
                alerts = config.alerts
                desk = AlertDesk(
                    SystemClock(),
                    bell=alerts.bell,
                    notifies_by=notifies_by(os.environ) if alerts.notify else "",
                    in_tmux=is_in_tmux(os.environ),
                    attention=attention,
                )
                if subscribe is not None:
                    subscribe(desk.receive)
                app = LlmtopApp(session, config, on_leaving=leaving.ask, desk=desk)
                apps.append(app)
                return app

            return make

        status = anyio.run(run_cockpit, session, load, duration_s, leaving)
        if session.replayed is not None:
            return status  # all of it is on record
        last = session.board.snapshot(window="run", anew=True)
        shown = apps[0].as_shown(last) if apps else last
        # Names the home folder: of who shares his screen.
        recording = session.recording_path if shown is last else ""
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        _say_last(summary_text(shown, recording, width).splitlines())
    return status


def _say_last(lines: Iterable[str]) -> None:
    """Write to stdout, where there still is one: the terminal may be gone."""
    try:
        say(lines)
    except (BrokenPipeError, OutputError):
        discard(sys.stdout)


async def run_cockpit(
    session: CockpitSession,
    load: Load,
    duration_s: float | None = None,
    leaving: Leaving | None = None,
) -> int:
    """Run the session and a screen over it; return the exit status.

    The engine's lifetime encloses the screen's, so that every way out stops it. `duration_s`, in
    seconds, counts from the engine's hello; None is until the user leaves. `leaving` is told of
    every way out, and turns signals into one.
    """
    async with anyio.create_task_group() as group:
        group.start_soon(session.run)
        try:
            make = await to_thread.run_sync(load)
            screen = make()
            async with anyio.create_task_group() as watch:
                if duration_s is not None:
                    watch.start_soon(_leave, session, screen, duration_s)
                with _held(leaving, screen):
                    await screen.run_async()
                watch.cancel_scope.cancel()
        finally:
            if leaving is not None:
                leaving.ask()
            session.stop()
    return screen.return_code or 0


def _held(leaving: Leaving | None, screen: Screen) -> AbstractContextManager[None]:
    if leaving is None:
        return nullcontext()
    return leaving.screen(lambda status: screen.exit(return_code=status))


async def _leave(session: CockpitSession, screen: Screen, after_s: float) -> None:
    await session.outlast(after_s)
    screen.exit()
