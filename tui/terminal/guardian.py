"""Gives a terminal back when the screen on it has died unheard: killed, out of memory, crashed.

Run beside each screen as `python -I -S guardian.py MODES`, in a session of its own, with the
terminal as its standard output. It sleeps on its standard input, which is the screen's word on the
terminal: `HELD`, `RELEASED`, and the end, which comes with the screen's, whatever that was. It
imports little of the standard library and nothing else: it must cost next to nothing.
"""

import contextlib
import marshal
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

if sys.platform != "win32":
    import termios

HELD: Final = b"h"
RELEASED: Final = b"r"

GIVE_BACK: Final = (
    "\x1b[?2026l"  # a frame that was begun is shown
    "\x1b[?2004l\x1b[?7h\x1b[?2048l"  # pasted text as typed, lines wrap, no reports of the size
    "\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"  # no reports of the mouse
    "\x1b[<u"  # the keyboard as before; each screen has its own, so this one's comes first
    "\x1b[23;0t"  # the title that it had
    "\x1b[0m\x1b[?1049l\x1b[?25h\x1b[?1004l"  # the shell's screen, its cursor, no reports of focus
)
"""Undoes all that Textual's driver and ours ask of a terminal."""

_WRITE_FOR_S: Final = 0.5
"""How long a terminal that takes nothing is tried."""
_END_WITHIN_S: Final = 2.0
_STDIN: Final = 0
_STDOUT: Final = 1
_LOCAL: Final = 3
"""Where the modes of the keyboard stand in what termios gives."""


class TerminalState:
    """A terminal as it was found."""

    def __init__(self, keys: int, screen: int, modes: list[Any] | None = None) -> None:
        """Keep the modes of the terminal that `keys` is read from; `screen` is written to.

        Raises:
            termios.error: it is no terminal, or gone.
        """
        self.keys, self._screen = keys, screen
        self.modes: list[Any] = termios.tcgetattr(keys) if modes is None else modes

    def restore(self, last_words: str = "", *, if_raw: bool = False) -> None:
        """Put everything back and write `last_words` below; half a second at most.

        With `if_raw` the modes are left alone where somebody, such as a shell, has made them anew.
        """
        # From the background the kernel would stop us for this.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        with contextlib.suppress(termios.error):
            # A shell that edits a line has no canonical mode either, but it has signals.
            theirs = termios.tcgetattr(self.keys)[_LOCAL] & (termios.ICANON | termios.ISIG)
            if not (if_raw and theirs):
                termios.tcsetattr(self.keys, termios.TCSANOW, self.modes)
        with contextlib.suppress(OSError):
            self._write(f"{GIVE_BACK}{last_words}".encode())

    def _write(self, data: bytes) -> None:
        """Write to an open file of our own: the shared one may be held by a write that blocks."""
        until_s = time.monotonic() + _WRITE_FOR_S
        try:
            terminal = os.open(os.ttyname(self._screen), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:  # it has no name in this container, or is another user's
            if select.select([], [self._screen], [], _WRITE_FOR_S)[1]:
                os.write(self._screen, data)
            return
        try:
            while data and time.monotonic() < until_s:
                try:
                    data = data[os.write(terminal, data) :]
                except BlockingIOError:
                    time.sleep(0.01)
        finally:
            os.close(terminal)


class Guardian:
    """The process that watches over a terminal, as the screen sees it."""

    def __init__(self, terminal: TerminalState, environ: Mapping[str, str]) -> None:
        """Start it with an environment; where no process can be started nobody watches."""
        self._process: subprocess.Popen[bytes] | None = None
        modes = marshal.dumps(terminal.modes).hex()
        with contextlib.suppress(OSError):
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and file
                [sys.executable, "-I", "-S", __file__, modes],
                stdin=subprocess.PIPE,
                stdout=terminal.keys,
                stderr=subprocess.DEVNULL,
                env=dict(environ),
                cwd="/",
                start_new_session=True,
            )

    def tell(self, word: bytes) -> None:
        """Say `HELD` or `RELEASED`."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                os.write(self._process.stdin.fileno(), word)

    def close(self) -> None:
        """End it."""
        if self._process is None or self._process.stdin is None:
            return
        self._process.stdin.close()
        try:
            self._process.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main() -> None:
    """Wait for the screen's end; give the terminal back if it still held it."""
    modes = marshal.loads(bytes.fromhex(sys.argv[1]))  # noqa: S302 - from the screen we serve
    terminal = TerminalState(_STDOUT, _STDOUT, modes)
    word = RELEASED
    while told := os.read(_STDIN, 64):
        word = told[-1:]
    if word == HELD:
        terminal.restore(if_raw=True)


if __name__ == "__main__":
    main()
