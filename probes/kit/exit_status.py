"""The exit statuses of every command: one table, which tui/README.md repeats.

What ends a command by a signal is told as shells number it: 128 + the signal.
"""

import signal
from enum import IntEnum


class ExitStatus(IntEnum):
    """What a program that called llmtop may rely on."""

    OK = 0
    """All went well; a run that a person or a signal ended in order, too."""
    FAILED = 1
    """A probe was not ok, a goal was missed, the engine was given up, or output was lost."""
    USAGE = 2
    """The command line or the settings are wrong, or a recording that was named is none."""
    UNKNOWN = 3
    """Whether the goals were met is not known: nothing, or too little, was measured."""
    INCIDENT = 4
    """An incident was named, where it was asked for one."""
    HANGUP = 129
    """The terminal went away while `once` or `check` waited."""
    INTERRUPTED = 130
    """Ctrl-C, but where it is the way to end a run."""
    PIPE_CLOSED = 141
    """Whoever read our output went away."""
    TERMINATED = 143
    """SIGTERM while `once` or `check` waited."""


def status_of_signal(number: int) -> int:
    """Return the status of a command that a signal ended."""
    return 128 + signal.Signals(number)
