"""A recording as a run that somebody looks at: what a cockpit needs of one.

Rule 1: it is read once, as fast as that goes, in a thread of its own: so far reaches what can be
shown. Where somebody stands in it, and how fast that moves, is the cockpit's business.
Rule 2: the events are judged as a replay judges them; verdicts of the recording are dropped.
Rule 3: commands change nothing of what has happened.
"""

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import anyio
from anyio import to_thread

from probes.board import Board
from probes.control.commands import Command
from probes.control.status import HostState, HostStatus
from probes.control.wanted import Wanted, WantedRoute
from probes.diagnosis import Diagnostician
from probes.events import Event, Hello
from probes.run.timeline import Locate, Timeline
from probes.run.verdicts import with_verdicts
from probes.store.recording_files import Place
from probes.store.recording_reader import RecordingError, Report, read_pieces, recorded_parts


class RecordedSession:
    """A recording and how far it has been read."""

    def __init__(
        self,
        paths: Sequence[Path],
        report: Report,
        *,
        diagnostician: Diagnostician | None = None,
    ) -> None:
        """Find the parts; `report` takes what is missing of them, a line each, from any thread.

        Raises:
            RecordingError: a file cannot be opened.
        """
        self._report = report
        self._parts = recorded_parts(paths, report)
        self._bytes = sum(part.stat().st_size for part in self._parts)
        self._read = 0
        self._end: Place | None = None
        self._board = Board()
        self._timeline = Timeline(self._board, self, judges_anew=True)
        self._diagnostician = diagnostician or Diagnostician()
        self._wanted = Wanted(MappingProxyType({}), MappingProxyType({}))
        self._state: HostState = "starting"
        self._failure: RecordingError | None = None
        self._stopping = False
        self._stopped = anyio.Event()

    # What a timeline asks of a recording.

    @property
    def parts(self) -> Sequence[Path]:
        """Its files, in order."""
        return self._parts

    def here(self, _hello: bytes, /) -> Locate:
        """Return what tells the place behind all that was read by now; it knows its `hello`."""
        place = self._end
        return lambda: place

    # What a cockpit asks of a session.

    @property
    def board(self) -> Board:
        """All that has been read. It is folded in another thread: nobody draws it."""
        return self._board

    @property
    def timeline(self) -> Timeline:
        """What can be gone to by now."""
        return self._timeline

    @property
    def comparisons(self) -> None:
        """Nothing can be asked of what has happened."""
        return None

    @property
    def read_share(self) -> float:
        """How much of the recording has been read, 0 to 1."""
        return 1.0 if self._state == "stopped" else min(1.0, self._read / max(1, self._bytes))

    @property
    def failure(self) -> RecordingError | None:
        """Why the rest cannot be read; None where it can."""
        return self._failure

    @property
    def wanted(self) -> Wanted:
        """The routes as they began. No knob turns."""
        return self._wanted

    @property
    def status(self) -> HostStatus:
        """Whether it is being read."""
        return HostStatus(state=self._state)

    @property
    def recording_path(self) -> str:
        """Its first file."""
        return str(self._parts[0])

    def command(self, command: Command) -> None:
        """Do nothing: what has happened cannot be commanded."""

    def retry(self) -> None:
        """Do nothing: there is no engine to start."""

    def lift(self) -> None:
        """Do nothing: nothing is spent."""

    def stop(self) -> None:
        """Read no further; `run` returns."""
        self._stopping = True
        self._stopped.set()

    async def run(self) -> None:
        """Read all of it, then wait for `stop`."""
        self._state = "running"
        try:
            await to_thread.run_sync(self._read_all)
        except RecordingError as error:
            self._failure = error
        self._state = "stopped"
        await self._stopped.wait()

    async def outlast(self, duration_s: float) -> None:
        """Return after so many seconds."""
        await anyio.sleep(duration_s)

    def _read_all(self) -> None:
        for piece in read_pieces(self._parts, self._report):
            self._end = piece.end
            self._receive(piece.events, piece.lines)
            self._read += len(piece.lines)
            if self._stopping:
                return

    def _receive(self, events: list[Event], lines: bytes) -> None:
        events, lines = with_verdicts(self._diagnostician, events, lines)
        for event in events:
            self._board.fold(event)
            if isinstance(event, Hello):
                self._greet(event)
        self._timeline.receive(events, lines)

    def _greet(self, hello: Hello) -> None:
        routes = {
            info.name: WantedRoute(
                float(info.concurrency), info.interval, float(info.max_tokens), info.paused
            )
            for info in hello.routes
        }
        known = MappingProxyType({**self._wanted.routes, **routes})
        self._wanted = Wanted(known, known)
