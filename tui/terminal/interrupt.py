"""Ctrl-C while nothing has begun, and when all is done: the process ends without a word.

Python would raise KeyboardInterrupt, which can come up in the middle of an import or at the
interpreter's end, where nobody can catch it. A handler that somebody else has set is left alone:
a shell that starts us in the background has Ctrl-C ignored.
"""

import os
import signal

_INTERRUPTED = 130
"""As in `probes.kit.exit_status`, which is too long an import to stand here."""


def end_on_interrupt() -> None:
    """Let Ctrl-C end the process, at once and quietly."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_on_interrupt() -> None:
    """Let Ctrl-C raise KeyboardInterrupt, as a command that has begun something needs it."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(_number: int, _frame: object) -> None:
    os._exit(_INTERRUPTED)
