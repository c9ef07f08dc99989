"""Lines to people and programs on the standard streams, and the statuses commands end with."""

import sys
from collections.abc import Iterable
from typing import Final

from probes.exit_status import ExitStatus
from probes.neutral import neutralise

__all__ = ["FAILED", "INTERRUPTED", "OK", "USAGE", "OutputError", "UsageError", "complain", "say"]

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
    sys.stderr.write("".join(f"llmtop: {neutralise(problem)}\n" for problem in problems))
    sys.stderr.flush()
