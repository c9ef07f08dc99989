"""Lines to people and programs on the standard streams, and the statuses commands end with."""

import sys
from collections.abc import Iterable
from typing import Final

from probes.neutral import neutralise

__all__ = ["FAILED", "INTERRUPTED", "OK", "USAGE", "UsageError", "complain", "say"]

OK: Final = 0
FAILED: Final = 1
"""A probe was not ok, or a goal was missed."""
USAGE: Final = 2
"""The command line or the settings are wrong."""
INTERRUPTED: Final = 130
"""Ctrl-C, as shells number it: 128 + SIGINT."""


class UsageError(Exception):
    """The command line asks for something impossible; one line for each problem."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def say(lines: Iterable[str]) -> None:
    """Write lines to stdout at once."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def complain(problems: Iterable[str]) -> None:
    """Write problems to stderr, one line each."""
    sys.stderr.write("".join(f"llmtop: {neutralise(problem)}\n" for problem in problems))
    sys.stderr.flush()
