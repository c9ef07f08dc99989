"""`llmtop replay`: a recording, as the run that wrote it printed it."""

import gc
import sys
from argparse import Namespace
from typing import Final

import anyio

from probes.run.replay import run_replay
from probes.store.recording_reader import RecordingError
from tui.commands.output import OutputError, UsageError, complain

_COLLECTED_AFTER: Final = 50_000
"""Allocations between two passes of the collector. Events hold no circles: passes find nothing, and
at the usual 700 they take a quarter of the time."""


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

    before = gc.get_threshold()
    gc.set_threshold(_COLLECTED_AFTER, *before[1:])
    try:
        return anyio.run(replay)
    except RecordingError as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise OutputError(f"standard output: {error.strerror or error}") from None
    finally:
        gc.set_threshold(*before)
