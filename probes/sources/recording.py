"""A recording as a source: its events as fast as they are taken, and then the end.

Nothing but the files is read: no settings, no ledger, no state.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
from anyio.lowlevel import checkpoint

from probes.control.commands import Command
from probes.control.status import HostState, HostStatus
from probes.sources.source import Receive
from probes.store.recording_files import RecordedPlace
from probes.store.recording_reader import Report, read_pieces


class RecordingSource:
    """Gives what a run has written down. Commands change nothing of what has happened."""

    def __init__(self, parts: Sequence[Path], receive: Receive, report: Report) -> None:
        """Prepare to read files in order; `report` takes what is missing of them, a line each."""
        self._parts = parts
        self._receive = receive
        self._report = report
        self._state: HostState = "starting"
        self._stopping = False
        self._released = anyio.Event()
        self._released.set()
        self._end: RecordedPlace | None = None

    @property
    def parts(self) -> Sequence[Path]:
        """The files, in order."""
        return self._parts

    def here(self, _hello: bytes) -> Callable[[], RecordedPlace | None]:
        """Return what tells the place behind all that was given by now; it knows its `hello`."""
        place = self._end
        return lambda: place

    @property
    def status(self) -> HostStatus:
        """Whether it is being read."""
        return HostStatus(state=self._state)

    def send(self, command: Command) -> None:
        """Do nothing: what has happened cannot be commanded."""

    def hold(self) -> None:
        """Read no further until `release`."""
        if self._released.is_set() and not self._stopping:
            self._released = anyio.Event()

    def release(self) -> None:
        """Read on."""
        self._released.set()

    def gather(self, for_s: float) -> None:
        """Do nothing: a recording is given as fast as it is taken."""

    def retry(self) -> None:
        """Do nothing: there is no engine to start."""

    def stop(self) -> None:
        """Read no further; `run` returns."""
        self._stopping = True
        self._released.set()

    async def run(self) -> None:
        """Give everything, or what comes before `stop`.

        Raises:
            RecordingError: a file cannot be read, or there is no event in any.
        """
        self._state = "running"
        try:
            for piece in read_pieces(self._parts, self._report):
                self._end = piece.end
                self._receive(piece.events, piece.lines)
                await checkpoint()  # signals are heard between two batches
                await self._released.wait()
                if self._stopping:
                    return
        finally:
            self._state = "stopped"
