"""How far a long piece of work is, or how long it is waited for: on a terminal's stderr alone.

Rule 1. Nothing is drawn before somebody wonders, and no more often than he can read.
Rule 2. It says how far, and how long it will take from here: by what it took so far.
"""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from probes.kit.short_figures import age
from probes.store.recording_reader import recorded_parts
from tui.commands.waiting import OverwrittenLine

_QUIET_S: Final = 0.5
"""Who waits for less does not wonder."""
_REDRAW_S: Final = 0.1
_BAR: Final = 24
_FORETOLD_S: Final = 2.0
"""What came before says too little of what is to come."""
_MINUTE_S: Final = 60


class ProgressBar:
    """One line that is written over until it is taken off."""

    def __init__(self) -> None:
        """Begin to wait."""
        self._line = OverwrittenLine() if sys.stderr.isatty() else None
        self._begun = self._drawn = self._what_begun = time.monotonic()
        self._what = ""

    def draw(self, what: str, done: float, whole: float, told: str = "") -> None:
        """Say that of `what` so much of the whole is done; how much that is, is `told` in words.

        Where nobody knows the whole (0), the words stand alone.
        """
        now = time.monotonic()
        is_new = what != self._what
        if is_new:
            self._what, self._what_begun = what, now
        if self._line is None or now - self._begun < _QUIET_S:
            return
        if not is_new and now - self._drawn < _REDRAW_S:
            return
        self._drawn = now
        words = f", {told}" if told else ""
        if whole <= 0:
            self._line.draw(f"{what}{words}")
            return
        part = min(1.0, max(0.0, done / whole))
        full = int(part * _BAR)
        bar = "█" * full + "·" * (_BAR - full)
        took_s = now - self._what_begun
        if 0.0 < part < 1.0 and took_s >= _FORETOLD_S:
            left_s = max(1, round(took_s * (1 - part) / part))
            words += f", {f'{left_s}s' if left_s < _MINUTE_S else age(left_s)} left"
        self._line.draw(f"{what} {bar} {int(part * 100)} %{words}")

    def clear(self) -> None:
        """Take it off."""
        if self._line is not None:
            self._line.draw("")


@contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """Say, once somebody wonders, what is waited for, and how long so far.

    From a thread of its own: what is waited for may hold this one.
    """
    if not sys.stderr.isatty():
        yield
        return
    line, is_over, begun = OverwrittenLine(), threading.Event(), time.monotonic()

    def tell() -> None:
        while not is_over.wait(_QUIET_S):
            line.draw(f"{what}: {time.monotonic() - begun:.1f} s")

    teller = threading.Thread(target=tell, name="waiting", daemon=True)
    teller.start()
    try:
        yield
    finally:
        is_over.set()
        teller.join()
        line.draw("")


def megabytes(done: float) -> str:
    """Return bytes as they are told beside a bar."""
    return f"{done / 1e6:,.0f} MB"


def bytes_of(paths: Sequence[Path]) -> int:
    """Return how much there is to read of a recording, its other parts included; 0 where that is
    not known, of a pipe such.

    Raises:
        RecordingError: there is no recording at a path.
    """
    return sum(path.stat().st_size for path in recorded_parts(paths, str) if path.exists())
