"""Leaving the screen: the terminal is given back and the process ends, whatever is in the way.

Rule 1. A signal that would end the process asks the screen to leave, as the key does.
Rule 2. Whoever was asked to leave is gone `LEAVE_WITHIN_S` later. What still waits then, for a
terminal that takes nothing or for a full disk, waits for ever; the engine ends with its pipe.
Rule 3. An end by force restores the terminal past everybody who draws on it, and never blocks.

What no handler sees (a crash of the interpreter, SIGKILL) is `tui.guardian`'s.
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
from typing import Any, Final

if sys.platform != "win32":
    import termios

__all__ = [
    "GIVE_BACK",
    "LEAVE_WITHIN_S",
    "Leaving",
    "TerminalState",
    "ending_signals",
    "terminal_state",
]

LEAVE_WITHIN_S: Final = 5.0
"""An engine is ended within two seconds of being asked, and the ledger answers within two."""

GIVE_BACK: Final = (
    "\x1b[?2026l"  # a frame that was begun is shown
    "\x1b[?2004l\x1b[?7h\x1b[?2048l"  # pasted text as typed, lines wrap, no reports of the size
    "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"  # no reports of the mouse
    "\x1b[<u"  # the keyboard as before; each screen has its own, so this one's comes first
    "\x1b[0m\x1b[?1049l\x1b[?25h\x1b[?1004l"  # the shell's screen, its cursor, no reports of focus
)
"""Undoes all that Textual's driver asks of a terminal."""

_WRITE_FOR_S: Final = 0.5
"""How long a terminal that takes nothing is tried."""
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


class TerminalState:
    """A terminal as it was found."""

    def __init__(self, keys: int, screen: int) -> None:
        """Keep the modes of the terminal that `keys` is read from; `screen` is written to.

        Raises:
            OSError, termios.error: it is no terminal, or gone.
        """
        self._keys, self._screen = keys, screen
        self._name = os.ttyname(screen)
        self.modes: list[Any] = termios.tcgetattr(keys)

    def restore(self, last_words: str = "") -> None:
        """Put everything back and write `last_words` below; half a second at most."""
        # From the background the kernel would stop us for this.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._keys, termios.TCSANOW, self.modes)
        with contextlib.suppress(OSError):
            self._write(f"{GIVE_BACK}{last_words}".encode())

    def _write(self, data: bytes) -> None:
        """Write to an open file of our own: the shared one may be held by a write that blocks."""
        until_s = time.monotonic() + _WRITE_FOR_S
        terminal = os.open(self._name, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            while data and time.monotonic() < until_s:
                try:
                    data = data[os.write(terminal, data) :]
                except BlockingIOError:
                    time.sleep(0.01)
        finally:
            os.close(terminal)


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

    def __enter__(self) -> "Leaving":
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._ask)
        self._watch.join()

    def ask(self) -> None:
        """Note that the screen has been asked to leave; safe in a signal handler."""
        os.write(self._ask, b"l")

    @contextlib.contextmanager
    def signals(self, leave: Callable[[int], object]) -> Iterator[None]:
        """Call `leave` with an exit status, in the running loop, when a signal asks for the end.

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
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

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
