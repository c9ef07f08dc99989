"""The terminal's far end: how long it takes for what we write, which a slow line or window shows.

Textual hands its output to a thread, whose queue hides a slow terminal until it is full and the
whole screen stands still. The driver here is Textual's own with a meter at the end of that queue.

From the first write that fails on nothing is written: a terminal that is gone does not come back.
Textual's thread would end of that error, and the screen would wait for ever at a queue that nobody
empties.
"""

import os
import select
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import IO, Final, Protocol, cast

from textual.app import App
from textual.driver import Driver

from probes.kit.clock import Clock, SystemClock, seconds
from probes.kit.sanitise import neutralise

_MOST_TITLE: Final = 60
_UNTITLED: Final = "linux"
"""A console without windows: it has no title, and old ones print what sets it."""


class Terminal(Protocol):
    """What the board asks of the terminal it draws on."""

    def write(self, data: str) -> None:
        """Hand over output; it is written later, in order."""
        ...

    @property
    def busy(self) -> bool:
        """Whether some of what was handed over has not been written yet."""
        ...

    def slowest_s(self) -> float:
        """Return the longest that a write took since this was last asked, in seconds.

        One that still goes on counts with the time it has taken so far.
        """
        ...

    @property
    def gone(self) -> bool:
        """Whether nobody is at the far end any more."""
        ...

    def title(self, text: str) -> None:
        """Show a title in the terminal's window or tab; at the end it has its former one back."""
        ...


class WriteMeter:
    """Times how long output lies between us and the terminal.

    `queued` is called by the screen's thread, `written` by the one that writes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queued = 0
        self._passed = 0
        self._written = 0
        self._since_ns = 0
        self._slowest_s = 0.0

    @property
    def busy(self) -> bool:
        """Whether something is on its way."""
        return self._written < self._queued

    def queued(self, characters: int) -> None:
        """Note that something was handed over."""
        if not self.busy:
            self._since_ns = self._clock.monotonic_ns()
        self._queued += characters

    def passed(self, characters: int) -> None:
        """Note that something was given to the file, which may still hold it."""
        self._passed += characters

    def written(self) -> None:
        """Note that the file has let go of all that was given to it."""
        self._slowest_s = max(self._slowest_s, self._waited_s())
        self._written = self._passed

    def slowest_s(self) -> float:
        """Return the longest wait since this was last asked, in seconds."""
        slowest = max(self._slowest_s, self._waited_s() if self.busy else 0.0)
        self._slowest_s = 0.0
        return slowest

    def _waited_s(self) -> float:
        return seconds(self._clock.monotonic_ns() - self._since_ns)


class MeteredFile:
    """The terminal's file, as far as Textual's writer thread uses it."""

    def __init__(self, file: IO[str], meter: WriteMeter) -> None:
        self._file = file
        self._meter = meter
        self.gone = False
        """Whether a write has failed."""

    def write(self, text: str) -> int:
        """Write text, and count it."""
        self._unless_gone(lambda: self._file.write(text))
        self._meter.passed(len(text))
        return len(text)

    def flush(self) -> None:
        """Wait until the terminal has taken all of it."""
        self._unless_gone(self._file.flush)
        self._meter.written()

    def _unless_gone(self, act: Callable[[], object]) -> None:
        if not self.gone:
            try:
                act()
            except OSError:
                self.gone = True

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._file.fileno()


_PUSH_TITLE: Final = "\x1b[22;0t"
_POP_TITLE: Final = "\x1b]2;\x1b\\\x1b[23;0t"
"""Empty, for terminals that do not know the stack of titles, and then the former one."""


def title_sequence(text: str) -> str:
    """Return what sets a terminal's title; control characters in it end no sequence early."""
    return f"\x1b]2;{neutralise(text, _MOST_TITLE)}\x1b\\"


def is_terminal(stream: IO[str] | None) -> bool:
    """Return whether a stream is there and leads to a terminal."""
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # it is closed
        return False


def _hung_up(descriptor: int) -> bool:
    """Whether the terminal behind a descriptor is gone: it is then readable for ever, and empty."""
    poll = select.poll()
    poll.register(descriptor, 0)
    gone = select.POLLHUP | select.POLLERR | select.POLLNVAL
    return any(told & gone for _, told in poll.poll(0))


if sys.platform != "win32":
    from textual.drivers.linux_driver import LinuxDriver

    class MeteredDriver(LinuxDriver):
        """Textual's driver; every write is timed."""

        def __init__(
            self,
            app: App[object],
            *,
            debug: bool = False,
            mouse: bool = True,
            size: tuple[int, int] | None = None,
        ) -> None:
            super().__init__(app, debug=debug, mouse=mouse, size=size)
            self._meter = WriteMeter(SystemClock())
            # Textual draws on stderr. Where that is a file of errors, the screen is no such thing.
            screen = sys.__stderr__ if is_terminal(sys.__stderr__) else sys.__stdout__
            self._metered = MeteredFile(cast("IO[str]", screen), self._meter)
            # Textual's own type is that of stderr; its writer thread needs no more than this.
            self._file = cast("TextIOWrapper", self._metered)
            self._title: str | None = None
            """None where the terminal has its own."""
            if attach := getattr(app, "attach_terminal", None):
                attach(self)

        @property
        def busy(self) -> bool:
            """Whether output is on its way."""
            return self._meter.busy

        def write(self, data: str) -> None:
            """Hand over output, where somebody takes it.

            After a pause in the background on a terminal that has gone nobody does: Textual then
            does not begin to write again, and its queue would soon be full.
            """
            writer = self._writer_thread
            if not self._metered.gone and writer is not None and writer.is_alive():
                self._meter.queued(len(data))
                super().write(data)

        def slowest_s(self) -> float:
            """Return the longest that a write took since this was last asked."""
            return self._meter.slowest_s()

        @property
        def gone(self) -> bool:
            """Whether the terminal hung up."""
            return self._metered.gone or _hung_up(self.fileno)

        def title(self, text: str) -> None:
            """Show a title, where that is another one."""
            if text == self._title or os.environ.get("TERM", "").startswith(_UNTITLED):
                return
            before = _PUSH_TITLE if self._title is None else ""
            self._title = text
            self.write(before + title_sequence(text))

        def stop_application_mode(self) -> None:
            """Give the terminal back."""
            if self._title is not None:
                self._title = None
                self.write(_POP_TITLE)
            if self._mouse_pixels:
                self.write("\x1b[?1016l")  # Textual leaves it on
            super().stop_application_mode()


def metered(chosen: type[Driver]) -> type[Driver]:
    """Return Textual's `chosen` driver with a meter, where that is its own for Linux and macOS.

    It gives itself to an app that has `attach_terminal`.
    """
    if sys.platform == "win32":
        return chosen
    return MeteredDriver if chosen is LinuxDriver else chosen
