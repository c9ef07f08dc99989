"""The event stream on disk: append, rotate, retain.

Rule 1. Whole batches of durable lines are appended as they are, at most a second apart, by a thread
of their own: nothing of it runs in the event loop, and a run that is killed loses that second.
Rule 2. Each part of a run begins with the `hello` that was the last before it, of several places
with that of each, so that it can be read alone: `hello` carries the schema and the routes.
Rule 3. A disk that takes nothing stops nothing: it is reported once, tried again, and what is lost
meanwhile is counted; a `hello` never is.
Rule 4. Where in its parts each byte went that was given is known, for whoever goes back to it.
"""

import os
import queue
import secrets
import threading
import time
from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from probes.kit.paths import state_folder
from probes.kit.short_figures import counted
from probes.store.hellos import HELLO_PREFIX, hellos_after, hellos_before
from probes.store.recording_files import OpenPart, RecordedPlace, open_part, retain

PART_BYTES: Final = 16 << 20
"""What an editor still opens. A sixteenth of the usual bound: so much goes when the oldest goes."""
FLUSH_S: Final = 0.5
"""Between two writes; with a write's own time well under the second that may be lost."""
RETRY_S: Final = 5.0
"""After a write that failed: a disk that is full is rarely empty sooner."""
MAX_PENDING_BYTES: Final = 32 << 20
"""What waits for a disk at most: half an hour of 8 routes at a probe a second each."""
_CLOSE_S: Final = 5.0
"""What a disk that hangs may cost the end of a run."""


def default_folder() -> Path:
    """Return the folder of all recordings, in the platform's state folder."""
    return state_folder() / "recordings"


class _Place(msgspec.Struct, frozen=True):
    """Where parts go: into a folder, with rotation; or all of it into one file, without."""

    path: Path
    is_file: bool
    stem: str
    max_bytes: int
    max_days: float

    @property
    def part_bytes(self) -> int:
        # A small bound holds four parts: what retention takes is never most of what there is.
        return min(PART_BYTES, max(1, self.max_bytes // 4))

    def part_path(self, number: int) -> Path:
        return self.path if self.is_file else self.path / f"{self.stem}.{number:04}.jsonl"


class _Stretch(NamedTuple):
    """Lines that stand in one part, without a gap."""

    begin: int
    """Bytes that were given before them."""
    end: int
    part: Path
    offset: int
    """Of the first of them in the part."""


class RecordedSpan(NamedTuple):
    """Lines of those given that stand in one part, in a row."""

    begin: int
    """Bytes that were given before them."""
    size: int
    part: Path
    offset: int
    """Of the first of them in the part."""


class Recorder:
    """Appends durable lines to disk from a thread of its own; never blocks its caller.

    A write that fails is reported once, measuring goes on, and it is tried again; what waits is
    bounded, and what is lost is reported too.
    """

    def __init__(
        self,
        place: _Place,
        *,
        first: OpenPart | None = None,
        opener: Callable[..., OpenPart] = open_part,
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
        self._part = first
        self._number = 0
        self._hellos = b""
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._lost_lines = 0
        self._failing = False
        self.given = 0
        """Bytes of lines that were given so far."""
        self._waits_from = 0
        """Of these, those before the first that waits to be written."""
        self._repeated = 0
        """Bytes at the head of what waits that were given before: each `hello` of what was lost."""
        self._stretches: tuple[_Stretch, ...] = ()
        """Replaced whole by the writer's thread, and read by others."""

    @classmethod
    def to_folder(
        cls,
        folder: Path,
        *,
        max_mb: float,
        max_days: float,
        wall_ns: Callable[[], int] = time.time_ns,
        opener: Callable[..., OpenPart] = open_part,
        flush_s: float = FLUSH_S,
        retry_s: float = RETRY_S,
    ) -> "Recorder":
        """Record into parts of a unique name, all recordings bounded by size and age."""
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
        first = open_part(path, exclusive=False)
        return cls(_Place(path, True, "", 0, 0.0), first=first, flush_s=flush_s)

    @property
    def path(self) -> Path:
        """The file being written, or the first to be."""
        return self._place.part_path(max(1, self._number))

    @property
    def has_begun(self) -> bool:
        """Whether anything was written."""
        return bool(self._hellos)

    def start(self, report: Callable[[str], None]) -> None:
        """Begin to write; `report` takes problems as text, in the writer's thread."""
        self._report = report
        self._thread.start()

    def append(self, lines: bytes) -> None:
        """Take whole lines; returns at once."""
        if lines:
            self.given += len(lines)
            self._queue.put(lines)

    @property
    def parts(self) -> tuple[Path, ...]:
        """The files that were written, in order; retention may have deleted the first of them."""
        return tuple(dict.fromkeys(stretch.part for stretch in self._stretches))

    def here(self, hellos: bytes) -> Callable[[], RecordedPlace | None]:
        """Return what tells where the lines stand that follow those given by now; see `place`."""
        return partial(self.place, self.given, hellos)

    def place(self, given: int, hellos: bytes) -> RecordedPlace | None:
        """Return where the lines stand that followed so many bytes of those given, `hellos` being
        those that are needed by then; None where they are not written yet, or were lost."""
        stretches = self._stretches
        at = bisect_right(stretches, given, key=attrgetter("begin")) - 1
        if at < 0 or given > stretches[at].end:
            return None
        begin, _, part, offset = stretches[at]
        return RecordedPlace(part, offset + given - begin, hellos)

    def written_from(self, given: int) -> RecordedSpan | None:
        """Return the first lines that were written of those behind so many bytes of the given; they
        begin later where some were lost. None where nothing of it is written yet."""
        for begin, end, part, offset in self._stretches:
            if end > given:
                skipped = max(0, given - begin)
                begin += skipped
                return RecordedSpan(begin, end - begin, part, offset + skipped)
        return None

    def close(self) -> None:
        """Write what waits, bring it to the disk, end the thread; waits 5 s at most."""
        self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join(_CLOSE_S)

    def _run(self) -> None:
        ended, due_s = False, 0.0
        while not ended:
            ended = self._gather(due_s)
            self._flush()
            due_s = time.monotonic() + (self._retry_s if self._failing else self._flush_s)
        self._close_part()

    def _gather(self, due_s: float) -> bool:
        """Collect what comes until the next write is due, something at least; return True as soon
        as the end of the run has come."""
        while True:
            left_s = due_s - time.monotonic()
            try:
                if left_s > 0:
                    lines = self._queue.get(timeout=left_s)
                else:
                    lines = self._queue.get(block=not self._pending)
            except queue.Empty:
                if left_s > 0:
                    continue
                return False
            if lines is None:
                return True
            self._keep(lines)

    def _keep(self, lines: bytes) -> None:
        self._pending.append(lines)
        self._pending_bytes += len(lines)
        while self._pending_bytes > MAX_PENDING_BYTES and len(self._pending) > 1:
            lost = self._pending.pop(0)
            self._pending_bytes -= len(lost)
            self._waits_from += len(lost) - self._repeated
            self._repeated = 0
            self._lost_lines += lost.count(b"\n")
            if hellos := hellos_after(b"", lost):  # else nobody could tell whose events follow
                self._pending[0] = hellos + self._pending[0]
                self._pending_bytes += len(hellos)
                self._repeated = len(hellos)
                self._lost_lines -= hellos.count(b"\n")

    def _flush(self) -> None:
        data = b"".join(self._pending)
        known = self._hellos
        if not known and not data.startswith(HELLO_PREFIX):
            known = hellos_after(b"", data)
            if not known:
                return  # nothing is a recording before the engine has introduced itself
        try:
            self._write(data, hellos_before(known, data))
        except OSError as error:
            self._fail(error)
            return
        self._hellos = hellos_after(known, data)
        self._pending.clear()
        self._pending_bytes = 0
        self._recover()

    def _write(self, data: bytes, hellos: bytes) -> None:
        """Append lines; where they begin a part, behind the `hello` lines that it needs."""
        part, place = self._part, self._place
        is_full = part is not None and 0 < part.size > place.part_bytes - len(data)
        if part is None or (is_full and not place.is_file):
            part = self._rotate(len(hellos) + len(data))
        offset, known = part.size + self._repeated, len(data) - self._repeated
        if part.size == 0:
            offset += len(hellos)
            data = hellos + data
        part.write(data)
        before, begin, end = self._stretches, self._waits_from, self._waits_from + known
        if before and before[-1].part == self.path and before[-1].end == begin:
            self._stretches = (*before[:-1], before[-1]._replace(end=end))
        else:
            self._stretches = (*before, _Stretch(begin, end, self.path, offset))
        self._waits_from = end
        self._repeated = 0

    def _rotate(self, size: int) -> OpenPart:
        """Close the part that is full and begin the next, with `size` bytes first."""
        self._close_part()
        place = self._place
        if not place.is_file:
            place.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.path.chmod(0o700)
            # What this part may come to is made room for now: no part is deleted while it grows.
            room = place.max_bytes - max(place.part_bytes, size)
            retain(place.path, room, place.max_days, self._wall_ns())
        part = self._opener(place.part_path(self._number + 1), exclusive=not place.is_file)
        self._number += 1
        self._part = part
        return part

    def _close_part(self) -> None:
        part, self._part = self._part, None
        if part is not None:
            try:
                part.close()
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
            self._report(f"recording again; {counted(lost, 'line was', 'lines were')} lost")
