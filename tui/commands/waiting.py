"""What `once` and `check` do while a server lets them wait: say so, and take Ctrl-C as an end.

Rule 1. Whoever waits is told on stderr for what, and how long: on a terminal in one line that is
written over, elsewhere in a line every few seconds.
Rule 2. Ctrl-C, SIGTERM and a terminal that goes away end the probes, not the program: what they met
so far is printed, and the status says which it was. The second of them ends the program.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import anyio
from rich.cells import cell_len

from probes.kit.exit_status import status_of_signal
from probes.kit.sanitise import neutralise
from tui.commands.output import complain, warn
from tui.draw.text import left

_REDRAW_S: Final = 0.2
_SAY_S: Final = 5.0
"""Between two lines where they stay; also how long nothing is said there."""
_QUIET_S: Final = 1.0
"""A terminal says nothing of waits that are no waits."""
_NAMED: Final = 3
_LONGEST_NAME: Final = 40


class Waited(Protocol):
    """A probe that is under way."""

    @property
    def waited_s(self) -> float:
        """Seconds since it began."""
        ...

    @property
    def stage(self) -> str:
        """In words, how far it has come."""
        ...


def waited_words(probe: Waited) -> str:
    """Return `waited 12.3 s, connected, no first token`."""
    return f"waited {probe.waited_s:.1f} s, {probe.stage}"


class OverwrittenLine:
    """One line of a terminal's stderr, which each that follows is written over."""

    def __init__(self) -> None:
        self._drawn = 0

    def draw(self, text: str) -> None:
        """Write a line over the one before, or take it off where `text` is empty.

        That is done with blanks, for not every terminal knows how to erase.
        """
        room = max(1, shutil.get_terminal_size().columns - 1)
        shown = left(text, min(room, cell_len(text)))
        width = cell_len(shown)
        if not width and not self._drawn:
            return
        end = " " * max(0, min(room, self._drawn) - width)
        warn([f"\r{shown}{end}" if width else f"\r{end}\r"])
        self._drawn = width


class WaitingLine:
    """Tells on stderr what is waited for; `open_probes` gives that by route name."""

    def __init__(self, open_probes: Callable[[], Sequence[tuple[str, Waited]]]) -> None:
        self._open_probes = open_probes
        self._is_terminal = sys.stderr.isatty()
        self._line = OverwrittenLine()

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            await anyio.sleep(_REDRAW_S if self._is_terminal else _SAY_S)
            probes = self._open_probes()
            if self._is_terminal:
                waits = [pair for pair in probes if pair[1].waited_s >= _QUIET_S]
                self._line.draw(_in_one_line(waits) if waits else "")
            elif probes:
                complain([_in_one_line(probes)])

    def clear(self) -> None:
        """Take the line off the terminal, for something that stays."""
        self._line.draw("")


class WaitingFor:
    """Tells on stderr that one thing is waited for, and how long: `what … 3 s`."""

    def __init__(self, what: str) -> None:
        self._what = what

    async def run(self) -> None:
        """Tell until cancelled; then take the line off the terminal."""
        is_terminal, line = sys.stderr.isatty(), OverwrittenLine()
        began_s = anyio.current_time()
        try:
            while True:
                await anyio.sleep(_REDRAW_S if is_terminal else _SAY_S)
                waited_s = anyio.current_time() - began_s
                told = f"{self._what} … {waited_s:.0f} s"
                if not is_terminal:
                    complain([told])
                elif waited_s >= _QUIET_S:
                    line.draw(told)
        finally:
            line.draw("")


def _in_one_line(probes: Sequence[tuple[str, Waited]]) -> str:
    named = [
        f"{neutralise(name, _LONGEST_NAME)}: {waited_words(probe)}"
        for name, probe in probes[:_NAMED]
    ]
    more = len(probes) - len(named)
    return "; ".join(named) + (f"; and {more} more" if more else "")


class Interrupt:
    """A signal that asked the command to end."""

    def __init__(self) -> None:
        self._number: int | None = None

    @property
    def status(self) -> int | None:
        """The exit status that tells of it; None where there was none."""
        return None if self._number is None else status_of_signal(self._number)

    async def run(self, cancel: Callable[[], None]) -> None:
        """Call `cancel` at the first signal; leave at once at the second."""
        if os.name != "posix":
            return  # where loops know no signals, Ctrl-C raises by itself
        with anyio.open_signal_receiver(*_signals()) as signals:
            async for number in signals:
                if self._number is not None:
                    os._exit(status_of_signal(number))  # what was reserved counts as spent
                self._number = number
                cancel()


def _signals() -> list[signal.Signals]:
    """Return those that ask a command to end; `nohup` wants to have none of a terminal's end."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    return numbers
