"""A command that asks servers for minutes: how it stands is told, and Ctrl-C ends it in order."""

import shutil
import sys
import textwrap
from collections.abc import Callable
from typing import Final, Protocol

import anyio

from probes.kit.sanitise import neutralise
from tui.commands.waiting import Interrupt, OverwrittenLine

_REDRAW_S: Final = 0.2
_WIDEST: Final = 120
"""Columns beyond which a sentence is hard to follow back to its beginning."""
_NARROWEST: Final = 40
_ON_A_PIPE: Final = 100
"""Columns of a chart that goes where there is no terminal."""
_LONGEST_TEXT: Final = 2_000


class Asking(Protocol):
    """What asks servers until it knows."""

    async def run(self) -> None:
        """Ask until it is over, or `stop`."""
        ...

    def stop(self) -> None:
        """End `run` soon, with what is known."""
        ...


class ToldRun:
    """Runs something to its end, and tells how it stands on a terminal's stderr; nowhere else."""

    def __init__(self, asking: Asking, progress: Callable[[], str]) -> None:
        """`progress` says in one line how it stands."""
        self.interrupt = Interrupt()
        self._asking = asking
        self._progress = progress
        self._line = OverwrittenLine()

    async def run(self) -> None:
        """Run it to its end, or until a signal asks for that."""
        async with anyio.create_task_group() as helpers:
            if sys.stderr.isatty():
                helpers.start_soon(self._tell)
            helpers.start_soon(self.interrupt.run, self._asking.stop)
            await self._asking.run()
            helpers.cancel_scope.cancel()
        self._line.draw("")

    async def _tell(self) -> None:
        while True:
            self._line.draw(self._progress())
            await anyio.sleep(_REDRAW_S)


def result_columns() -> int:
    """Return how wide a result is printed: as the terminal is, within what can be read."""
    if not sys.stdout.isatty():
        return _ON_A_PIPE
    return min(_WIDEST, max(_NARROWEST, shutil.get_terminal_size().columns))


def wrapped_result(text: str) -> list[str]:
    """Return a text in lines that a terminal has room for; in one where there is none."""
    words = neutralise(text, _LONGEST_TEXT)
    if not sys.stdout.isatty():
        return [words]
    return textwrap.wrap(words, result_columns(), break_long_words=False, break_on_hyphens=False)
