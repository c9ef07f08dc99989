"""Lines to people and programs on the standard streams, and the statuses commands end with."""

import os
import select
import sys
from collections.abc import Iterable
from typing import Final, TextIO

from probes.kit.exit_status import ExitStatus
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import counted

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
        _stderr.write("".join(texts))
    except OSError:
        discard(sys.stderr)


class PatientWriter:
    """Writes to stderr what that takes, and holds up nobody where it takes nothing: a log that is
    no longer read, a terminal that was stopped. What it does not take is left out, and counted:
    neither a probe nor the end of a process waits for who does not read."""

    def __init__(self) -> None:
        self._left_out = 0
        """Lines since anything was taken."""

    def write(self, text: str) -> None:
        """Write a text, or what of it is taken. Raises OSError."""
        if self._left_out:
            if not _takes(0.0):
                self._left_out += text.count("\n")
                return
            told = f"llmtop: {counted(self._left_out, 'line')} were left out: nobody read them\n"
            self._left_out = 0
            text = told + text
        for at in range(0, len(text), _PIECE):
            if not _takes(_PATIENCE_S):
                self._left_out += max(1, text.count("\n", at))
                return
            sys.stderr.write(text[at : at + _PIECE])
            sys.stderr.flush()


_PIECE: Final = 1_000
"""Characters, of 4 bytes at most: a pipe that has any room takes 4 KB at once."""
_PATIENCE_S: Final = 0.25
"""What a reader who is only slow has, once: whoever takes nothing then is asked no more."""
_stderr = PatientWriter()


def _takes(within_s: float) -> bool:
    """Whether stderr takes a piece without making us wait, now or within some seconds."""
    try:
        descriptor = sys.stderr.fileno()
    except (OSError, ValueError):  # it is in memory, or was closed, which writing tells
        return True
    if not hasattr(select, "poll"):  # Windows cannot tell
        return True
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)
    return bool(ready.poll(within_s * 1e3))


def discard(stream: TextIO) -> None:
    """Send a stream whose reader is gone nowhere, lest the interpreter flush into it at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, stream.fileno())
    os.close(null)
