"""Lines to people and programs on the standard streams, and the statuses commands end with."""

import os
import sys
from collections.abc import Iterable
from typing import Final, TextIO

from probes.kit.exit_status import ExitStatus
from probes.kit.sanitise import neutralise

OK: Final = ExitStatus.OK
FAILED: Final = ExitStatus.FAILED
USAGE: Final = ExitStatus.USAGE
INTERRUPTED: Final = ExitStatus.INTERRUPTED


class UsageError(Exception):
    """The command line asks for something impossible; one line for each problem."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class OutputError(Exception):
    """Standard output takes no more, such as on a full disk."""


def say(lines: Iterable[str]) -> None:
    """Write lines to stdout at once.

    Raises:
        BrokenPipeError: whoever read us has gone.
        OutputError: it cannot be written for another reason.
    """
    try:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"standard output: {error.strerror or error}") from None


def complain(problems: Iterable[str]) -> None:
    """Write problems to stderr, one line each."""
    warn(f"llmtop: {neutralise(problem)}\n" for problem in problems)


def warn(texts: Iterable[str]) -> None:
    """Write texts to stderr as they are; where that takes no more nobody is left to be told."""
    try:
        sys.stderr.write("".join(texts))
        sys.stderr.flush()
    except OSError:
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Send a stream whose reader is gone nowhere, lest the interpreter flush into it at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
