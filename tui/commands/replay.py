"""`llmtop replay`: a recording on the screen, or as the run that wrote it printed it."""

import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping

import anyio

from probes.config import Config
from probes.config.errors import ConfigError
from probes.config.file import load_config, locate_config
from probes.run.recorded_session import RecordedSession
from probes.run.replay import run_replay
from probes.store.recording_reader import RecordingError
from tui.commands.output import OutputError, UsageError, complain
from tui.commands.progress_bar import ProgressBar, bytes_of, megabytes
from tui.commands.settings import check_display
from tui.commands.watch import need_face
from tui.terminal.collector import passes_seldom


def run(arguments: Namespace) -> int:
    """Show a recording, or print its events and the summary of its run; return the exit status.

    Raises:
        UsageError: there is no recording at a path, or no terminal.
        OutputError: the events cannot be written.
    """
    try:
        return _print(arguments) if arguments.headless else _show(arguments)
    except RecordingError as error:
        raise UsageError(str(error)) from None


def _print(arguments: Namespace) -> int:
    bar = ProgressBar()
    size = bytes_of(arguments.paths)
    # Lines that come to the same terminal say themselves how far it is.
    is_silent = not sys.stdout.isatty() or arguments.only == {"summary"}

    def progress(done: int | None) -> None:
        if done is None:
            bar.clear()
        elif is_silent:
            bar.draw("replaying", done, size, megabytes(done))

    def remark(text: str) -> None:
        bar.clear()
        complain([text])

    async def replay() -> int:
        return await run_replay(
            arguments.paths,
            out=sys.stdout.buffer,
            only=arguments.only,
            fail_on_incident=arguments.fail_on_incident,
            report=remark,
            progress=progress,
        )

    try:
        with passes_seldom():
            return anyio.run(replay)
    except OSError as error:
        raise OutputError(f"standard output: {error.strerror or error}") from None
    finally:
        bar.clear()


def _show(arguments: Namespace) -> int:
    if arguments.fail_on_incident:
        raise UsageError("replay: --fail-on-incident goes with --headless")
    need_face(arguments, "llmtop replay PATH", bounded="")
    session = RecordedSession(arguments.paths)
    config, problems = display_settings(os.environ)
    from tui.commands.start import run_app

    session.remark(problems)
    status = run_app(session, config)
    # On the screen they stood for some seconds.
    complain([*session.remarks, *([session.failure] if session.failure else [])])
    return status


def display_settings(environ: Mapping[str, str]) -> tuple[Config, Iterable[str]]:
    """Return the settings of the user that do not depend on whose routes are shown, and what is
    wrong with them: display, keys, alerts and recording.

    Recordings and other places are looked at when something is wrong: a mistake in a file that
    they have no need of must not stand in the way.
    """
    plain = Config(routes=())
    try:
        path = locate_config(None, environ)
        if path is None:
            return plain, ()
        found = load_config(path, environ)
        check_display(found)
    except ConfigError as error:
        return plain, [f"settings left aside: {problem}" for problem in error.problems[:1]]
    own = Config(
        routes=(),
        history=found.history,
        display=found.display,
        keys=found.keys,
        alerts=found.alerts,
        recording=found.recording,
    )
    return own, ()
