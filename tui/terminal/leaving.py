"""Leaving the screen: the terminal is given back and the process ends, whatever is in the way.

Rule 1. A signal that would end the process asks the screen to leave, as the key does.
Rule 2. Whoever was asked to leave is gone `LEAVE_WITHIN_S` later. What still waits then, for a
terminal that takes nothing or for a full disk, waits for ever; the engine ends with its pipe.
Rule 3. An end by force restores the terminal past everybody who draws on it, and never blocks.

What no handler sees (a crash of the interpreter, SIGKILL) is `tui.terminal.guardian`'s.
"""

import asyncio
import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final

if sys.platform != "win32":
    import termios

from probes.kit.child_environment import child_environment
from tui.terminal.guardian import HELD, RELEASED, Guardian, TerminalState

LEAVE_WITHIN_S: Final = 5.0
"""An engine is ended within two seconds of being asked, and the ledger answers within two."""

_QUIET: Final = ("SIGTERM", "SIGHUP")
"""Asked for by those who manage processes and terminals: leaving is what they expect."""
_NOT_ENDING: Final = (
    *("SIGCHLD", "SIGCONT", "SIGURG", "SIGWINCH", "SIGINFO"),  # nothing happens by default
    *("SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU"),  # they stop, and Textual answers them
    *("SIGKILL", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL"),  # no handler of Python's runs after them
)


def ending_signals() -> tuple[signal.Signals | int, ...]:
    """Return the signals that end a process by default and let it say a last word."""
    if sys.platform == "win32":
        return ()
    not_ending = {getattr(signal, name, None) for name in _NOT_ENDING}
    if sys.platform == "darwin":
        not_ending.add(signal.SIGIO)
    return tuple(sorted(signal.valid_signals() - not_ending))


def terminal_state() -> TerminalState | None:
    """Return the terminal of the standard streams as it is; None where there is none."""
    if sys.platform == "win32":
        return None
    try:
        keys = sys.stdin.fileno()
        screen = next(stream.fileno() for stream in (sys.stderr, sys.stdout) if stream.isatty())
        return TerminalState(keys, screen)
    except (OSError, ValueError, StopIteration, AttributeError, termios.error):
        return None


class Leaving:
    """Watches over the way out of one screen: `with` it the screen runs."""

    def __init__(
        self,
        terminal: TerminalState | None,
        *,
        within_s: float = LEAVE_WITHIN_S,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        """Prepare; `end` ends the process at once with a status."""
        self._terminal = terminal
        self._within_s = within_s
        self._end = end
        self._status = 1
        self._asked, self._ask = os.pipe()
        self._watch = threading.Thread(target=self._wait, name="leaving", daemon=True)
        self._guardian: Guardian | None = None

    def __enter__(self) -> "Leaving":
        self._watch.start()
        if self._terminal is not None:
            self._guardian = Guardian(self._terminal, child_environment(os.environ))
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._ask)
        self._watch.join()
        if self._guardian is not None:
            self._guardian.close()

    def ask(self) -> None:
        """Note that the screen has been asked to leave; safe in a signal handler."""
        os.write(self._ask, b"l")

    @contextlib.contextmanager
    def screen(self, leave: Callable[[int], object]) -> Iterator[None]:
        """The screen holds the terminal meanwhile; call this in its loop.

        `leave` is called with an exit status, in the loop, when a signal asks for the end.
        The status is 0 for those that manage a process, 128 + its number for the others, as shells
        number it. A signal that is ignored already stays so.
        """
        loop = asyncio.get_running_loop()

        def answer(number: int, _: FrameType | None) -> None:
            quiet = number in {getattr(signal, name) for name in _QUIET}
            status = 0 if quiet else 128 + number
            self._status = status or self._status
            self.ask()
            loop.call_soon_threadsafe(leave, status)

        before = {}
        for number in ending_signals():
            handler = signal.getsignal(number)
            if handler is signal.SIG_DFL or (number == signal.SIGINT and callable(handler)):
                # Not the loop's own way: a loop that stands still would hear nothing.
                before[number] = signal.signal(number, answer)
        self._tell(HELD)
        try:
            yield
        finally:
            self._tell(RELEASED)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _tell(self, word: bytes) -> None:
        if self._guardian is not None:
            self._guardian.tell(word)

    def _wait(self) -> None:
        """End the process where it was asked to leave and is here still when its time is over."""
        until_s: float | None = None
        while True:
            left_s = None if until_s is None else max(0.0, until_s - time.monotonic())
            ready = select.select([self._asked], [], [], left_s)[0]
            if not ready:
                break
            if not os.read(self._asked, 64):
                os.close(self._asked)
                return
            until_s = until_s or time.monotonic() + self._within_s
        if self._terminal is not None:
            self._terminal.restore(
                f"llmtop: still not at its end after {self._within_s:g} s: ended by force\r\n"
            )
        self._end(self._status)
