"""A session with a face: the screen, or events as JSON lines on standard output."""

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import anyio
import msgspec

from probes.board import Board
from probes.config import Config
from probes.config.places import GivenPlace, config_at
from probes.config.secrets import note_variables, resolve_headers
from probes.control.attention import Attention
from probes.kit.paths import NOWHERE, state_complaint
from probes.money.ledger import Ledger
from probes.run.pass_or_fail import PassOrFail
from probes.run.printing import HeadlessRun
from probes.run.session import Session
from probes.run.sinks import Sink
from probes.store.recording import Recorder, default_folder
from tui.commands.exports import export
from tui.commands.output import OutputError, UsageError, complain
from tui.commands.settings import with_window
from tui.session import CockpitSession
from tui.terminal.capabilities import no_screen_because

if TYPE_CHECKING:
    from probes.history.keeper import HistoryKeeper
    from probes.run.comparison_run import Comparisons
    from probes.run.sweep_run import Sweeps


class WatchedRun(HeadlessRun, CockpitSession, Protocol):
    """A run that can be shown either way."""

    @property
    def board(self) -> Board:
        """All that it has told."""
        ...

    @property
    def attention(self) -> Attention:
        """What somebody does about its alerts."""
        ...


def watch(
    config: Config,
    arguments: Namespace,
    ledger: Ledger,
    *,
    apart: Path | None = None,
    accompany: Callable[[Session], object] | None = None,
    keeps_history: bool = True,
) -> int:
    """Run a session on the screen, or headless; return the exit status.

    `apart` is the ledger that takes what the shared one does not at the end; `accompany` is given
    the session before it runs; what is probed without `keeps_history` is nobody's to remember.

    Raises:
        UsageError: --record cannot be written, an export cannot be had, or several engines were to
            share this process.
        ConfigError: a key cannot be had, or there is no theme of that name.
        OutputError: the events of a headless run cannot be written.
    """
    if arguments.in_process and arguments.engines > 1:
        raise UsageError("--engines and --in-process exclude each other")
    places: list[GivenPlace] = getattr(arguments, "place", [])
    if places:
        config = config_at(config, *(place.name for place in places))
    config = with_window(config, arguments)
    here = {place.name for place in places if place.way == "local"}
    probed_here = tuple(route for route in config.routes if not route.place or route.place in here)
    headers = resolve_headers(msgspec.structs.replace(config, routes=probed_here), os.environ)
    note_variables(config.routes)  # ssh sends no key, not of what is probed elsewhere alone either

    def compare() -> "Comparisons":
        from probes.run.comparison_run import Comparisons  # no start should pay for it

        in_process = arguments.in_process
        return Comparisons(config, headers, ledger=ledger, apart=apart, in_process=in_process)

    def sweep() -> "Sweeps":
        from probes.run.sweep_run import Sweeps  # the same

        in_process = arguments.in_process
        return Sweeps(config, headers, ledger=ledger, apart=apart, in_process=in_process)

    session = Session(
        config,
        headers,
        recorder=recorder_of(config, arguments),
        ledger=ledger,
        apart=apart,
        in_process=arguments.in_process,
        engines=arguments.engines,
        include_text=config.recording.text,
        places=places,
        # They have engines of their own, on this machine.
        compare=None if places else compare,
        sweep=None if places else sweep,
        goes_back=not arguments.headless,
        history=history_of(config, arguments) if keeps_history else None,
    )
    if accompany is not None:
        accompany(session)
    complaint = state_complaint()
    if complaint is not None and ledger.shared:
        session.note(complaint)
    try:
        export(session, arguments)
        return show(session, config, arguments, call=session.subscribe)
    finally:
        ledger.close()


def show(
    session: WatchedRun,
    config: Config,
    arguments: Namespace,
    *,
    call: Callable[[Sink], object],
) -> int:
    """Show a run on the screen, or print it; return the exit status.

    `call` lets the screen take the events of which it calls people.

    Raises:
        OutputError: the events of a headless run cannot be written.
    """
    if not arguments.headless:
        from tui.commands.start import run_app

        asked = PassOrFail(on_goals=arguments.fail_on_goals, on_incident=arguments.fail_on_incident)
        session.subscribe(asked.receive)
        status = run_app(
            session,
            config,
            duration_s=arguments.duration,
            subscribe=call,
            attention=session.attention,
        )
        return status or asked.status(session.board.summary(), complain)

    from probes.run.headless import run_headless  # a screen has no need of it

    async def headless() -> int:
        return await run_headless(
            session,
            duration_s=arguments.duration,
            out=sys.stdout.buffer,
            fail_on_goals=arguments.fail_on_goals,
            fail_on_incident=arguments.fail_on_incident,
            only=arguments.only,
            report=complain,
        )

    try:
        return anyio.run(headless)
    except OSError as error:
        raise OutputError(f"standard output: {error.strerror or error}") from None


def need_face(arguments: Namespace, command: str, *, bounded: str = " --duration 60") -> None:
    """Make sure that `command` can show itself; `bounded` is what ends it where it is headless.

    Raises:
        UsageError: there is no terminal, and --headless is missing.
    """
    if arguments.headless:
        return
    if not has_terminal():
        raise UsageError(f"no terminal for the screen; without one: {command} --headless{bounded}")
    if why := no_screen_because(os.environ):
        raise UsageError(
            f"{why}; without one: {command} --headless{bounded}, or llmtop once; "
            "a terminal that can do more is named like TERM=xterm-256color"
        )


def has_terminal() -> bool:
    """Return whether there is a terminal to draw on and to read keys from."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def history_of(config: Config, arguments: Namespace) -> "HistoryKeeper | None":
    """Return what keeps the history of a run, where that is wanted."""
    settings = config.history
    if not settings.enabled or arguments.no_history or arguments.no_record:
        return None
    # What it is made of is imported in its own thread.
    from probes.history.keeper import HistoryKeeper, default_history_path

    path = default_history_path()
    if path.is_relative_to(NOWHERE):
        return None  # the session says why
    return HistoryKeeper(path, max_mb=settings.max_mb, max_days=settings.max_days)


def recorder_of(config: Config, arguments: Namespace) -> Recorder | None:
    """Return what records the run, if anything does.

    A file that was asked for must be had; the folder of all recordings is a convenience.

    Raises:
        UsageError: it cannot be had.
    """
    settings = config.recording
    try:
        if arguments.record is not None:
            return Recorder.to_file(arguments.record)
        if arguments.no_record or not settings.enabled:
            return None
        folder = default_folder()
        if folder.is_relative_to(NOWHERE):
            return None  # the session says why
        return Recorder.to_folder(folder, max_mb=settings.max_mb, max_days=settings.max_days)
    except OSError as error:
        raise UsageError(f"--record: {arguments.record}: {error.strerror or error}") from None
