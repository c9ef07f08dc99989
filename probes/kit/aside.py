"""What a disk or another program wants of the events is done aside: a bounded queue and a thread.

Rule 1: who gives us events never waits. They are queued, and a thread of its own works them off,
one after the other, in order.
Rule 2: the queue is bounded. What finds no place in it is left out and counted: that it begins is
said once, and how much it was when there is a place again, or at the end.
Rule 3: what fails costs itself alone: a piece of work that raises is said and the next one begins.
Each reason is said once, until something has gone well.
Rule 4: who leaves does not wait for ever: at the end what is queued has some seconds, and what runs
on then ends with the process.
"""

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, Generic, TypeVar

_Piece = TypeVar("_Piece")

Report = Callable[[str], object]
"""Takes what a person should read once, from any thread."""


class WorkError(Exception):
    """A piece of work came to nothing; the text says why, for a person, without a secret."""


class Aside(Generic[_Piece]):
    """A bounded queue and the thread that works it off."""

    def __init__(
        self,
        name: str,
        work: Callable[[_Piece], None],
        *,
        most: int,
        pieces: str,
        report: Report,
        idle: tuple[float, Callable[[], None]] | None = None,
    ) -> None:
        """Prepare; the thread begins with the first piece.

        Args:
            name: begins each report, such as `on_alert`.
            work: takes one piece, in the thread. What it raises is reported.
            most: what may wait, as the sum of sizes.
            pieces: what the sizes count, for a person: `alerts`.
            report: takes what a person should read.
            idle: what is done, in the thread, where for so many seconds nothing has come.
        """
        self._name = name
        self._work = work
        self._most: Final = most
        self._pieces = pieces
        self._report = report
        self._idle = idle
        self._waiting: deque[tuple[_Piece, int]] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._leaving = False
        self._left_out = 0
        """Since it was last said that there is no place."""
        self._told = ""
        self.dropped = 0
        """All that was left out since the beginning, in the unit of the sizes."""
        # A daemon: where the process ends otherwise, nothing waits for a receiver that hangs.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._has_begun = False

    def put(self, piece: _Piece, size: int = 1) -> bool:
        """Queue a piece; return at once, and whether there was a place for it: what has no size
        always has one."""
        with self._changed:
            # One that is larger than the whole queue still has it for itself.
            has_place = not self._size or self._size + size <= self._most
            left_out, is_first = self._left_out, not self._left_out
            if has_place:
                self._waiting.append((piece, size))
                self._size += size
                if size:
                    self._left_out = 0
                self._changed.notify()
            else:
                self.dropped += size
                self._left_out += size
            can_work = self._has_begun or self._begin()
            if not can_work and has_place:
                self._waiting.pop()
                self._size -= size
                self.dropped += size
        if not can_work:
            self._fail("cannot begin: this machine gives us no more threads")
            return False
        if not has_place and is_first:
            self._say(
                f"is too slow: {self._most:,} {self._pieces} wait for it, the next are left out"
            )
        elif has_place and left_out and size:
            self._say(f"goes on: {left_out:,} {self._pieces} were left out")
        return has_place

    def _begin(self) -> bool:
        """Start the thread; return whether there is one. Whoever gives events must not fail where
        there is none: it is tried again with the next piece."""
        try:
            self._thread.start()
        except RuntimeError:
            return False
        self._has_begun = True
        return True

    def rest(self, seconds: float) -> bool:
        """Wait, in the thread, for so long or until the run ends; return whether it goes on."""
        with self._changed:
            self._changed.wait_for(lambda: self._leaving, seconds)
            return not self._leaving

    def close(self, within_s: float) -> None:
        """Work off what waits, in so many seconds at most."""
        with self._changed:
            self._leaving = True
            self._changed.notify_all()
        if self._has_begun:
            self._thread.join(within_s)
        with self._changed:
            lost = self._left_out + sum(size for _, size in self._waiting)
            self._left_out = 0
        if lost:
            self._say(f"ends: {lost:,} {self._pieces} were left out")

    def _run(self) -> None:
        while True:
            with self._changed:
                patience_s = None if self._idle is None else self._idle[0]
                self._changed.wait_for(lambda: self._waiting or self._leaving, patience_s)
                if not self._waiting and self._leaving:
                    return
                piece, size = self._waiting.popleft() if self._waiting else (None, 0)
            if piece is not None:
                self._do(partial(self._work, piece))
            elif self._idle is not None:
                self._do(self._idle[1])
            with self._changed:
                # Only now: what is being worked on takes a place, too.
                self._size -= size

    def _do(self, work: Callable[[], None]) -> None:
        try:
            work()
        except WorkError as error:
            why = str(error)
        except Exception as error:  # a defect of ours, or of a library: it must not end the thread
            why = f"failed: {type(error).__name__}: {error}"
        else:
            self._told = ""
            return
        self._fail(why)

    def _fail(self, why: str) -> None:
        if why != self._told:
            self._told = why
            self._say(why)

    def _say(self, what: str) -> None:
        self._report(f"{self._name} {what}")
