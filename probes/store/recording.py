"""The event stream on disk: append, rotate, retain.

A writer thread appends whole batches of durable lines, at most a second apart; nothing of it runs
in the event loop. Each file is JSON lines and begins with the `hello` that carries the schema
version, so that every segment of a long run can be read alone.
"""

import os
import queue
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from probes.kit.paths import state_folder
from probes.store.recording_files import Segment, open_segment, retain

HELLO_PREFIX: Final = b'{"type":"hello"'
SEGMENT_BYTES: Final = 16 << 20
FLUSH_S: Final = 0.5
"""Between two writes; with a write's own time well under the second that may be lost."""
RETRY_S: Final = 5.0
MAX_PENDING_BYTES: Final = 32 << 20
_CLOSE_S: Final = 5.0


def default_folder() -> Path:
    """Return the folder of all recordings, in the platform's state folder."""
    return state_folder() / "recordings"


@dataclass(frozen=True, slots=True)
class _Place:
    """Where segments go: a folder with rotation, or one named file without."""

    path: Path
    named: bool
    stem: str
    max_bytes: int
    max_days: float

    @property
    def segment_bytes(self) -> int:
        return min(SEGMENT_BYTES, max(1, self.max_bytes // 4))

    def segment_path(self, number: int) -> Path:
        return self.path if self.named else self.path / f"{self.stem}.{number:04}.jsonl"


class Recorder:
    """Appends durable lines to disk from a thread of its own; never blocks its caller.

    A write that fails is reported once, measuring goes on, and it is tried again; what waits is
    bounded, and what is lost is reported too.
    """

    def __init__(
        self,
        place: _Place,
        *,
        first: Segment | None = None,
        opener: Callable[..., Segment] = open_segment,
        wall_ns: Callable[[], int] = time.time_ns,
        flush_s: float = FLUSH_S,
        retry_s: float = RETRY_S,
    ) -> None:
        """Use `to_folder` or `to_file`."""
        self._place = place
        self._opener = opener
        self._wall_ns = wall_ns
        self._flush_s = flush_s
        self._retry_s = retry_s
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="llmtop-recorder", daemon=True)
        self._report: Callable[[str], None] = lambda _text: None
        self._segment = first
        self._number = 0
        self._hello = b""
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._lost_lines = 0
        self._failing = False

    @classmethod
    def to_folder(
        cls,
        folder: Path,
        *,
        max_mb: float,
        max_days: float,
        wall_ns: Callable[[], int] = time.time_ns,
        opener: Callable[..., Segment] = open_segment,
        flush_s: float = FLUSH_S,
        retry_s: float = RETRY_S,
    ) -> "Recorder":
        """Record into segments of a unique name, all recordings bounded by size and age."""
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(wall_ns() / 1e9))
        stem = f"{stamp}-{os.getpid()}-{secrets.token_hex(4)}"
        place = _Place(folder, False, stem, round(max_mb * 1_000_000), max_days)
        return cls(place, opener=opener, wall_ns=wall_ns, flush_s=flush_s, retry_s=retry_s)

    @classmethod
    def to_file(cls, path: Path, *, flush_s: float = FLUSH_S) -> "Recorder":
        """Record into `path`, which is emptied at the first write; it neither rotates nor ages.

        Raises:
            OSError: the file cannot be written, another run writes it, or it holds what is no
                recording; nothing of it was touched.
        """
        first = open_segment(path, exclusive=False)
        return cls(_Place(path, True, "", 0, 0.0), first=first, flush_s=flush_s)

    @property
    def path(self) -> Path:
        """The file being written, or the first to be."""
        return self._place.segment_path(max(1, self._number))

    @property
    def has_begun(self) -> bool:
        """Whether anything was written."""
        return bool(self._hello)

    def start(self, report: Callable[[str], None]) -> None:
        """Begin to write; `report` takes problems as text, in the writer's thread."""
        self._report = report
        self._thread.start()

    def append(self, lines: bytes) -> None:
        """Take whole lines; returns at once."""
        if lines:
            self._queue.put(lines)

    def close(self) -> None:
        """Write what waits, bring it to the disk, end the thread; waits 5 s at most."""
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        open_for_more = True
        while open_for_more:
            open_for_more = self._gather()
            self._flush()
            if open_for_more:
                self._rest()
        self._let_go()

    def _rest(self) -> None:
        """Wait until the next write is due; the end of the run interrupts it."""
        due = time.monotonic() + (self._retry_s if self._failing else self._flush_s)
        while (left := due - time.monotonic()) > 0:
            try:
                item = self._queue.get(timeout=left)
            except queue.Empty:
                return
            if item is None:
                self._queue.put(None)
                return
            self._keep(item)

    def _gather(self) -> bool:
        """Take what waits, at least one item; return False when no more will come."""
        if not self._pending:
            item = self._queue.get()
            if item is None:
                return False
            self._keep(item)
        while not self._queue.empty():
            item = self._queue.get()
            if item is None:
                return False
            self._keep(item)
        return True

    def _keep(self, lines: bytes) -> None:
        self._pending.append(lines)
        self._pending_bytes += len(lines)
        while self._pending_bytes > MAX_PENDING_BYTES and len(self._pending) > 1:
            lost = self._pending.pop(0)
            self._pending_bytes -= len(lost)
            self._lost_lines += lost.count(b"\n")
            if hello := _hello_in(lost):  # without it nobody could read what follows
                self._pending[0] = hello + self._pending[0]
                self._pending_bytes += len(hello)
                self._lost_lines -= 1

    def _flush(self) -> None:
        data = b"".join(self._pending)
        hello = self._hello or _hello_in(data)
        if not hello:
            return  # nothing is a recording before the engine has introduced itself
        try:
            self._write(data, hello)
        except OSError as error:
            self._fail(error)
            return
        self._hello = _hello_in(data) or hello
        self._pending.clear()
        self._pending_bytes = 0
        self._recover()

    def _write(self, data: bytes, hello: bytes) -> None:
        segment = self._segment
        if segment is not None and not self._place.named:
            full = segment.size > 0 and segment.size + len(data) > self._place.segment_bytes
            segment = None if full else segment
        if segment is None:
            segment = self._rotate(len(hello) + len(data))
        if segment.size == 0 and not data.startswith(HELLO_PREFIX):
            data = hello + data
        segment.write(data)

    def _rotate(self, size: int) -> Segment:
        """Close the full segment and begin the next, with `size` bytes first."""
        self._let_go()
        place = self._place
        if not place.named:
            place.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.path.chmod(0o700)
            room = place.max_bytes - max(place.segment_bytes, size)
            retain(place.path, room, place.max_days, self._wall_ns())
        segment = self._opener(place.segment_path(self._number + 1), exclusive=not place.named)
        self._number += 1
        self._segment = segment
        return segment

    def _let_go(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            try:
                segment.close()
            except OSError as error:
                self._report(f"recording: {error.strerror or error}")

    def _fail(self, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            self._report(
                f"not recording: {error.strerror or error}; measuring goes on, "
                f"trying again every {self._retry_s:g} s"
            )

    def _recover(self) -> None:
        if self._failing:
            self._failing = False
            lost, self._lost_lines = self._lost_lines, 0
            self._report(f"recording again; {lost} lines were lost")


def _hello_in(data: bytes) -> bytes:
    """Return the last hello line of `data`, empty where there is none."""
    at = data.rfind(b"\n" + HELLO_PREFIX) + 1
    if not at and not data.startswith(HELLO_PREFIX):
        return b""
    return data[at : data.index(b"\n", at) + 1]
