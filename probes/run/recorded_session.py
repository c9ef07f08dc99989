"""A recording as a run that somebody looks at: what a cockpit needs of one.

Rule 1: it is read once, in a thread of its own: so far reaches what can be shown. Where somebody
stands in it, and how fast that moves, is the cockpit's business.
Rule 2: whoever draws comes first. The thread that reads does a millisecond of work at a time and
lets go between: what waits for the interpreter has it then.
Rule 3: the events are judged as a replay judges them; verdicts of the recording are dropped.
Rule 4: commands change nothing of what has happened.
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

import anyio
from anyio import to_thread

from probes.board import Board
from probes.control.commands import Command
from probes.control.status import HostState, HostStatus
from probes.control.wanted import Wanted, wanted_of_reported
from probes.diagnosis import Diagnostician
from probes.events import Event, Hello
from probes.run.sinks import JudgedSinks, board_sink
from probes.run.timeline import Locate, RunTimeline
from probes.run.verdicts import Judge
from probes.store.recording_files import RecordedPlace
from probes.store.recording_reader import (
    Piece,
    RecordingError,
    last_stamp_ns,
    read_pieces,
    recorded_parts,
)

_PIECE_BYTES: Final = 8 << 10
"""Of lines that are read at once: a millisecond of judging and folding."""
_LETS_GO_S: Final = 0.0001
"""Long enough that a thread that waits for the interpreter is woken, and a twentieth of the time
that a piece takes."""


class RecordedSession:
    """A recording and how far it has been read."""

    def __init__(
        self, paths: Sequence[Path], *, diagnostician: Diagnostician | None = None
    ) -> None:
        """Find the parts, and read as far as the first `hello`: before it there is nothing to see.

        Raises:
            RecordingError: a file cannot be opened, or nothing of it can be shown.
        """
        self._remarks: list[str] = []
        self._parts = recorded_parts(paths, self._remarks.append)
        self._bytes = sum(part.stat().st_size for part in self._parts)
        self._read = 0
        self._end: RecordedPlace | None = None
        self._board = Board()
        self._timeline = RunTimeline(self._board, self, judges_anew=True)
        self._sinks = JudgedSinks(
            Judge(diagnostician or Diagnostician()),
            board_sink(self._board),
            self._learn,
            # Its checkpoints are of what the board has folded.
            self._timeline.receive,
        )
        self._wanted = Wanted(MappingProxyType({}), MappingProxyType({}))
        self._state: HostState = "starting"
        self._failure = ""
        self._stopping = False
        self._stopped = anyio.Event()
        self._last_ns = last_stamp_ns(self._parts) or 0
        self._pieces = read_pieces(self._parts, self._remarks.append, batch_bytes=_PIECE_BYTES)
        self._read_to_hello()

    # What a timeline asks of a recording.

    @property
    def parts(self) -> Sequence[Path]:
        """Its files, in order."""
        return self._parts

    def here(self, _hello: bytes, /) -> Locate:
        """Return what tells the place behind all that was read by now; it knows its `hello`."""
        place = self._end
        return lambda: place

    # What a cockpit asks of a recording.

    @property
    def name(self) -> str:
        """Its first file's."""
        return self._parts[0].name

    @property
    def read_share(self) -> float:
        """How much of the recording has been read, 0 to 1."""
        return 1.0 if self._state == "stopped" else min(0.99, self._read / max(1, self._bytes))

    @property
    def end_ns(self) -> int:
        """Stamp of its end, as its last line has it until that is read."""
        read_ns = self._timeline.span.end_ns
        return read_ns if self._state == "stopped" else max(read_ns, self._last_ns)

    @property
    def remarks(self) -> Sequence[str]:
        """What is missing of it, a line each, in the order in which that was found."""
        return tuple(self._remarks)

    def remark(self, words: Iterable[str]) -> None:
        """Have something else told beside them."""
        self._remarks.extend(words)

    @property
    def failure(self) -> str:
        """Why the rest cannot be read; empty where it can."""
        return self._failure

    # What a cockpit asks of a session.

    @property
    def replayed(self) -> "RecordedSession":
        """Itself: it is a recording."""
        return self

    @property
    def board(self) -> Board:
        """All that has been read. It is folded in another thread: nobody draws it."""
        return self._board

    @property
    def timeline(self) -> RunTimeline:
        """What can be gone to by now."""
        return self._timeline

    @property
    def comparisons(self) -> None:
        """Nothing can be asked of what has happened."""
        return

    @property
    def sweeps(self) -> None:
        """The same."""
        return

    @property
    def wanted(self) -> Wanted:
        """The routes as they began. No knob turns."""
        return self._wanted

    @property
    def status(self) -> HostStatus:
        """Whether it is being read."""
        return HostStatus(state=self._state)

    @property
    def asks(self) -> bool:
        """Whether its routes can be compared and swept: what has happened cannot."""
        return False

    @property
    def has_text(self) -> bool:
        """Whether the text of open streams can be had: it is never kept, nor sent anywhere."""
        return False

    @property
    def recording_path(self) -> str:
        """Its first file."""
        return str(self._parts[0])

    def command(self, command: Command) -> None:
        """Do nothing: what has happened cannot be commanded."""

    def gather(self, for_s: float) -> None:
        """Do nothing: all of it has come."""

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
            self._failure = str(error)
        self._state = "stopped"
        await self._stopped.wait()

    async def outlast(self, duration_s: float) -> None:
        """Return after so many seconds."""
        await anyio.sleep(duration_s)

    def _read_to_hello(self) -> None:
        """Take what comes up to the first `hello`. Raises RecordingError."""
        for piece in self._pieces:
            self._take(piece)
            if self._board.routes:
                return
        raise RecordingError(f"{self._parts[0]}: has no hello with a route: nothing can be shown")

    def _read_all(self) -> None:
        for piece in self._pieces:
            self._take(piece)
            if self._stopping:
                return
            time.sleep(_LETS_GO_S)

    def _take(self, piece: Piece) -> None:
        self._end = piece.end
        self._sinks.give(piece.events, piece.lines)
        self._read += len(piece.lines)

    def _learn(self, events: list[Event], _lines: bytes) -> None:
        for event in events:
            if isinstance(event, Hello):
                routes = {info.name: wanted_of_reported(info) for info in event.routes}
                known = MappingProxyType({**self._wanted.routes, **routes})
                self._wanted = Wanted(known, known)
