"""`llmtop replay`: a recording, as the run that wrote it printed it."""

import sys
from argparse import Namespace

import anyio

from probes.run.replay import run_replay
from probes.store.recording_reader import RecordingError
from tui.commands.output import OutputError, UsageError, complain
from tui.terminal.collector import passes_seldom


def run(arguments: Namespace) -> int:
    """Print a recording's events and the summary of its run; return the exit status.

    Raises:
        UsageError: there is no recording at a path, or --headless is missing.
        OutputError: the events cannot be written.
    """
    if not arguments.headless:
        raise UsageError("replay: the screen cannot show a recording yet; add --headless")

    async def replay() -> int:
        return await run_replay(
            arguments.paths,
            out=sys.stdout.buffer,
            only=arguments.only,
            fail_on_incident=arguments.fail_on_incident,
            report=lambda text: complain([text]),
        )

    try:
        with passes_seldom():
            return anyio.run(replay)
    except RecordingError as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise OutputError(f"standard output: {error.strerror or error}") from None
