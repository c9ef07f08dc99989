"""A program in a terminal of ours: its screen as somebody before it would see it.

The program runs in a pseudo-terminal; what it writes goes through a terminal emulator, and what is
read is the emulator's screen, never the bytes. A screen is read between two frames only: while the
program is in the middle of one (synchronised output) it is read on until that is whole.
"""

import base64
import contextlib
import copy
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import pyte
from pyte.screens import Char

Shows: TypeAlias = str | re.Pattern[str] | Callable[["TerminalReader"], object]
"""What is waited for: a text, a pattern of one line, or whatever tells it of the reader."""

KEYS: Final[Mapping[str, str]] = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "space": " ",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "pageup": "\x1b[5~",
    "pagedown": "\x1b[6~",
    "home": "\x1b[H",
    "end": "\x1b[F",
}
ROOT: Final = Path(__file__).resolve().parents[2]
PATIENCE_S: Final = 60.0
"""How long is waited for what must come: a machine that does six things at once takes long."""
_ALTERNATE: Final = 1049
_SYNCHRONISED: Final = 2026
_SYNC_QUERY: Final = b"\x1b[?2026$p"
_SYNC_ANSWER: Final = b"\x1b[?2026;2$y"
_BEYOND_THE_EMULATOR: Final = re.compile(
    rb"\x1b\[[<=>][0-9;]*[A-Za-z]|\x1b\]\d\d+;[^\x07\x1b]*(?:\x07|\x1b\\)"
)
"""Sequences that the emulator would read as others: kitty's keyboard protocol, the pointer's shape,
the clipboard."""
_CLIPBOARD: Final = re.compile(rb"\x1b\]52;[a-z]*;([A-Za-z0-9+/=]*)(?:\x07|\x1b\\)")
_PERHAPS_CUT: Final = re.compile(rb"\x1b(?:\[[0-9;<=>?$]*|\][^\x07\x1b]*\x1b?)?$")
"""A sequence at the end of a read whose rest is still to come."""


class _Screen(pyte.Screen):
    """The emulator's, which also keeps what stood there before a program took the whole screen."""

    def __init__(self, columns: int, lines: int) -> None:
        self.is_alternate = False
        self._behind: tuple[Any, Any] | None = None
        super().__init__(columns, lines)

    def set_mode(self, *modes: int, **kwargs: Any) -> None:
        if kwargs.get("private") and _ALTERNATE in modes and not self.is_alternate:
            self.is_alternate = True
            self._behind = copy.deepcopy(self.buffer), copy.copy(self.cursor)
            self.erase_in_display(2)
        super().set_mode(*modes, **kwargs)

    def reset_mode(self, *modes: int, **kwargs: Any) -> None:
        if kwargs.get("private") and _ALTERNATE in modes and self._behind is not None:
            self.is_alternate = False
            (self.buffer, self.cursor), self._behind = self._behind, None
        super().reset_mode(*modes, **kwargs)

    def is_in(self, mode: int) -> bool:
        """Tell whether a private mode is on."""
        return (mode << 5) in self.mode


class TerminalReader:
    """A program and its screen."""

    def __init__(
        self,
        argv: Sequence[str],
        size: tuple[int, int] = (120, 40),
        environ: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> None:
        """Start a program in a terminal of so many columns and rows."""
        columns, rows = size
        self._screen = _Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._rest = b""
        self.clipboard = ""
        """What the program last put there (OSC 52)."""
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._before = termios.tcgetattr(self._slave)
        self.started_s = time.monotonic()
        self.process = subprocess.Popen(
            [*argv],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
            cwd=cwd,
            env=dict(terminal_environment() if environ is None else environ),
        )

    def __enter__(self) -> "TerminalReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What is to be seen.

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows."""
        return self._screen.columns, self._screen.lines

    @property
    def lines(self) -> list[str]:
        """All rows from the top down, each as wide as the terminal."""
        return list(self._screen.display)

    @property
    def text(self) -> str:
        """All rows without the blanks at their ends."""
        return "\n".join(line.rstrip() for line in self.lines)

    @property
    def title(self) -> str:
        """What the program calls the window."""
        return str(self._screen.title)

    @property
    def takes_all(self) -> bool:
        """Whether the program has the whole screen to itself (the alternate one)."""
        return self._screen.is_alternate

    @property
    def shows_cursor(self) -> bool:
        """Whether the cursor is to be seen."""
        return not self._screen.cursor.hidden

    def cell(self, row: int, column: int) -> Char:
        """Return a cell: `data`, `fg`, `bg`, `bold`, `italics`, `underscore`, `reverse`."""
        return self._screen.buffer[row][column]

    def row_of(self, shows: str | re.Pattern[str]) -> int:
        """Return the first row that shows something; -1 where none does."""
        found = (row for row, line in enumerate(self.lines) if _is_in(shows, line))
        return next(found, -1)

    def is_given_back(self) -> bool:
        """Tell whether the terminal is as it was before the program: its screen, cursor, lines."""
        modes = (1000, 1002, 1003, 1006, 2004)  # mouse reports, bracketed paste
        return (
            not self.takes_all
            and self.shows_cursor
            and not any(self._screen.is_in(mode) for mode in modes)
            and termios.tcgetattr(self._slave)[:4] == self._before[:4]
        )

    # What is done.

    def press(self, *keys: str) -> None:
        """Type keys: by their name in `KEYS`, or the text itself."""
        for key in keys:
            os.write(self._master, KEYS.get(key, key).encode())

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size, as a window that is dragged does."""
        self._screen.resize(rows, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

    def wait_for(self, shows: Shows, patience_s: float = PATIENCE_S) -> list[str]:
        """Read until the screen shows something, and return its rows.

        Raises:
            AssertionError: it did not in time, or the program ended; with the screen as it is.
        """
        deadline = time.monotonic() + patience_s
        while not self._shows(shows):
            left_s = deadline - time.monotonic()
            assert left_s > 0, f"{shows!r} was not shown in {patience_s:g} s:\n{self.text}"
            is_over = self.process.poll() is not None
            if not self.read(min(left_s, 0.25)) and is_over:
                assert self._shows(shows), f"it ended without showing {shows!r}:\n{self.text}"
        return self.lines

    def read(self, within_s: float) -> bool:
        """Take in what the program writes next, up to the end of a frame; False where it writes
        nothing."""
        if not self._read(within_s):
            return False
        while self._screen.is_in(_SYNCHRONISED) and self._read(1.0):
            pass
        return True

    def ended(self, patience_s: float = PATIENCE_S) -> int:
        """Return the program's exit status; what it writes last is read meanwhile.

        Raises:
            AssertionError: it did not end in time.
        """
        deadline = time.monotonic() + patience_s
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it did not end:\n{self.text}"
            self._read(0.05)
        while self._read(0.0):
            pass
        return self.process.returncode

    def close(self) -> None:
        """End the program, and leave nothing behind."""
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(AssertionError):
                self.ended(10.0)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for descriptor in (self._master, self._slave):
            os.close(descriptor)

    def _shows(self, shows: Shows) -> bool:
        if isinstance(shows, (str, re.Pattern)):
            return self.row_of(shows) >= 0
        return bool(shows(self))

    def _read(self, within_s: float) -> bool:
        if not select.select([self._master], [], [], within_s)[0]:
            return False
        try:
            data = os.read(self._master, 65_536)
        except OSError:
            return False  # the program has gone
        if _SYNC_QUERY in data:
            os.write(self._master, _SYNC_ANSWER)
        data = self._rest + data
        cut = _PERHAPS_CUT.search(data)
        data, self._rest = (data[: cut.start()], data[cut.start() :]) if cut else (data, b"")
        for copied in _CLIPBOARD.findall(data):
            self.clipboard = base64.b64decode(copied).decode()
        self._stream.feed(_BEYOND_THE_EMULATOR.sub(b"", data))
        return True


def _is_in(shows: str | re.Pattern[str], line: str) -> bool:
    return shows in line if isinstance(shows, str) else shows.search(line) is not None


def terminal_environment(**changes: str) -> dict[str, str]:
    """Return the environment of a terminal of true colours that tells its size itself."""
    unwanted = ("LINES", "COLUMNS", "NO_COLOR", "TEXTUAL", "TMUX")
    inherited = {key: value for key, value in os.environ.items() if key not in unwanted}
    return inherited | {
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
    } | changes  # fmt: skip
