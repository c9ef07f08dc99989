"""`llmtop` itself: routes watched live, on a screen or, with --headless, as JSON lines."""

import os
import sys
from argparse import Namespace
from pathlib import Path

import anyio
import msgspec

from probes.config import Config
from probes.config_file import default_config_path
from probes.headless import run_headless
from probes.ledger import Ledger, default_ledger_path
from probes.recording import Recorder, default_folder
from probes.secrets import resolve_headers
from probes.session import Session
from tui.commands import init
from tui.commands.output import FAILED, OK, UsageError, say
from tui.commands.settings import given_settings

__all__ = ["need_face", "run", "watch"]


def run(arguments: Namespace) -> int:
    """Watch the routes of the settings; without settings, show how to begin.

    Raises:
        UsageError: there is no terminal, or nothing to watch.
        ConfigError: the settings have mistakes.
    """
    config = given_settings(arguments, os.environ)
    if config is None:
        return _begin(arguments)
    need_face(arguments, "llmtop")
    return watch(config, arguments, Ledger(default_ledger_path()))


def watch(config: Config, arguments: Namespace, ledger: Ledger) -> int:
    """Run a session on the screen, or headless; return the exit status.

    Raises:
        UsageError: --record cannot be written.
        ConfigError: a key cannot be had.
    """
    if arguments.window is not None:
        display = msgspec.structs.replace(config.display, window=arguments.window)
        config = msgspec.structs.replace(config, display=display)
    session = Session(
        config,
        resolve_headers(config, os.environ),
        recorder=_recorder(config, arguments),
        ledger=ledger,
        in_process=arguments.in_process,
        include_text=config.recording.text,
    )
    try:
        return _face(session, config, arguments)
    finally:
        ledger.close()


def _face(session: Session, config: Config, arguments: Namespace) -> int:
    if not arguments.headless:
        from tui.commands.screen import run_screen  # Textual only when a screen is wanted

        status = run_screen(session, config, duration_s=arguments.duration)
        return status or _goals_status(session, arguments)

    async def headless() -> int:
        return await run_headless(
            session,
            duration_s=arguments.duration,
            out=sys.stdout.buffer,
            fail_on_goals=arguments.fail_on_goals,
        )

    return anyio.run(headless)


def _goals_status(session: Session, arguments: Namespace) -> int:
    missed = any(route["goals_missed"] for route in session.board.summary().values())
    return FAILED if arguments.fail_on_goals and missed else OK


def need_face(arguments: Namespace, command: str) -> None:
    """Make sure that `command` can show itself.

    Raises:
        UsageError: there is no terminal, and --headless is missing.
    """
    if not arguments.headless and not _has_terminal():
        raise UsageError(
            f"no terminal for the screen; without one: {command} --headless --duration 60"
        )


def _has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _recorder(config: Config, arguments: Namespace) -> Recorder | None:
    """Return what records the run, if anything does.

    A file that was asked for must be had; the folder of all recordings is a convenience.
    """
    settings = config.recording
    try:
        if arguments.record is not None:
            return Recorder.to_file(arguments.record)
        if arguments.no_record or not settings.enabled:
            return None
        return Recorder.to_folder(
            default_folder(), max_mb=settings.max_mb, max_days=settings.max_days
        )
    except OSError as error:
        raise UsageError(f"--record: {arguments.record}: {error.strerror or error}") from None


def _begin(arguments: Namespace) -> int:
    """Show the first-run screen and do what was chosen."""
    path = default_config_path()
    if arguments.headless or not _has_terminal():
        why = "" if arguments.headless else "no terminal for the first-run screen, and "
        raise UsageError(
            f"{why}nothing to watch: {path} is not there; write it with `llmtop init`, or name a "
            "route: llmtop --headless --duration 60 --base-url URL --model M"
        )
    from tui.screens.first_run import run_first_run  # Textual only when a screen is wanted

    found = [provider.variable for provider in init.found_providers(os.environ)]
    choice = run_first_run(path, found)
    if choice == "demo":
        from tui.commands import demo

        return demo.run(Namespace(**{**vars(arguments), "scenario": "demo", "seed": None}))
    if choice == "write":
        _write(path)
    return OK


def _write(path: Path) -> None:
    try:
        init.write_config(path, init.config_text(os.environ))
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror or error}") from None
    say([f"wrote {path}", "next: llmtop check, then llmtop"])
