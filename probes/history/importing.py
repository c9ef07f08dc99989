"""Recordings brought into the history: what their runs have not written, or other machines have.

Rule 1. Only the lines that the fold has a need of are decoded; the others are looked at by their
first bytes, which is what lets gigabytes be read.
Rule 2. A run's parts are read together and in order, each run by a fold of its own, and those that
lie beside one that is named are read with it: of a slot that two parts share each by itself knows a
half, and the smaller half would be lost. What its run has written already is written over by the
same, so nothing is doubled however often it is read.
Rule 3. Another history is taken as it is, where it is named: of another machine, or one that broke.
Rule 4. A line that cannot be read costs itself, a file that cannot be read costs itself, and both
are told.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from probes.events import SCHEMA_VERSION, Event, Hello, decode_event
from probes.history.database import HistoryFile
from probes.history.fold import KINDS, HistoryFold
from probes.history.records import HOUR_SLOTS, SLOT_S, Told
from probes.history.salvage import UnreadableHistoryError, is_database, kept_in
from probes.kit.open_regular import open_regular
from probes.kit.short_figures import counted
from probes.store.recording_files import RECORDING_NAME
from probes.store.recording_reader import LONGEST_LINE, parts_beside

_HEADS: Final = tuple(b'{"type":"%s"' % str(kind.__struct_config__.tag).encode() for kind in KINDS)
_READ_BYTES: Final = 4 << 20
_WRITTEN_AT: Final = 2_000
"""Closed slots that are written at once."""


class Imported(NamedTuple):
    """What an import has come to."""

    files: int
    events: int
    slots: int
    incidents: int
    routes: tuple[str, ...]
    first_s: float
    """Unix time of the first slot and of the end of the last; 0 without one."""
    last_s: float


def import_recordings(
    paths: Sequence[Path],
    history: HistoryFile,
    *,
    report: Callable[[str], object],
    progress: Callable[[int, int], object] = lambda _done, _all: None,
) -> Imported:
    """Read recordings into a history; `progress` is told bytes, read and all.

    Raises:
        HistoryError: the history cannot be written.
    """
    work = _Import(_by_run(paths), history, report, progress)
    return work.run()


class _Import:
    """The work, and what it has come to so far."""

    def __init__(
        self,
        runs: list[list[Path]],
        history: HistoryFile,
        report: Callable[[str], object],
        progress: Callable[[int, int], object],
    ) -> None:
        self._runs, self._history = runs, history
        self._report, self._progress = report, progress
        self._sizes = {path: _size(path) for run in runs for path in run}
        self._total, self._done = sum(self._sizes.values()), 0
        self._files = self._events = self._written = 0
        self._slots: set[int] = set()
        self._incidents: set[str] = set()
        self._routes: set[str] = set()

    def run(self) -> Imported:
        for run in self._runs:
            fold = HistoryFold()
            for path in run:
                try:
                    if is_database(path):
                        self._absorb(path)
                    else:
                        self._read(path, fold)
                except OSError as error:
                    self._report(f"{path}: {error.strerror or error}; left out")
                except _OtherSchemaError as error:
                    self._report(f"{path}: {error}; left out")
                self._done += self._sizes[path]
                self._progress(self._done, self._total)
            self._write(fold)
        return Imported(
            files=self._files,
            events=self._events,
            slots=self._written,
            incidents=len(self._incidents),
            routes=tuple(sorted(self._routes)),
            first_s=min(self._slots) * SLOT_S if self._slots else 0.0,
            last_s=(max(self._slots) + 1) * SLOT_S if self._slots else 0.0,
        )

    def _read(self, path: Path, fold: HistoryFold) -> None:
        """Fold one file. Raises OSError, _OtherSchemaError, HistoryError."""
        reading = _Reading(path)
        for events, read in reading.batches():
            for event in events:
                fold.fold(event)
            self._events += len(events)
            self._progress(self._done + min(read, self._sizes[path]), self._total)
            if fold.waiting >= _WRITTEN_AT:
                self._write(fold)
        if reading.bad:
            lines = counted(reading.bad, "line is", "lines are")
            self._report(f"{path}: {lines} unreadable, and left out")
        if reading.found:
            self._files += 1
        else:
            self._report(f"{path}: no line of it is an event: no recording of llmtop; left out")

    def _absorb(self, path: Path) -> None:
        """Take another history. Raises HistoryError where this one cannot be written."""
        if self._history.path.exists() and path.samefile(self._history.path):
            self._report(f"{path}: it is the history itself; left out")
            return
        try:
            for told in kept_in(path, self._report):
                self._keep(told)
        except UnreadableHistoryError as error:
            self._report(f"{error}; left out")
        else:
            self._files += 1

    def _write(self, fold: HistoryFold) -> None:
        self._keep(fold.told())

    def _keep(self, told: Told) -> None:
        self._history.write(told)
        self._written += len(told.slots) + HOUR_SLOTS * len(told.hours)
        self._slots.update(key.slot for key in told.slots)
        self._slots.update(key.slot * HOUR_SLOTS for key in told.hours)
        self._routes.update(key.route.full_name for key in (*told.slots, *told.hours))
        self._incidents.update(one.id for one in told.incidents)


class _OtherSchemaError(Exception):
    """The events that follow mean something that this version does not know."""


class _Reading:
    """One file, its lines by their first bytes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.bad = 0
        """Lines that begin as an event of ours, and are none."""
        self.found = False
        """There was an event."""

    def batches(self) -> Iterator[tuple[list[Event], int]]:
        """Give events with how many bytes were read. Raises OSError, _OtherSchemaError."""
        read, rest = 0, b""
        with open(open_regular(self._path), "rb") as file:  # noqa: PTH123 - a descriptor
            while piece := file.read(_READ_BYTES):
                read += len(piece)
                lines = (rest + piece).split(b"\n")
                rest = lines.pop()
                if len(rest) > LONGEST_LINE:
                    rest = b""  # its end will be no event
                    self.bad += 1
                yield list(self._events(lines)), read
        if rest:
            yield list(self._events([rest])), read

    def _events(self, lines: Iterable[bytes]) -> Iterator[Event]:
        for line in lines:
            if not line.startswith(_HEADS):
                continue
            try:
                event = decode_event(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self.bad += 1
                continue
            if isinstance(event, Hello) and event.schema != SCHEMA_VERSION:
                raise _OtherSchemaError(
                    f"is of schema {event.schema}, written by llmtop {event.version[:40]}; this"
                    f" version reads schema {SCHEMA_VERSION}"
                )
            self.found = True
            yield event


def _by_run(paths: Sequence[Path]) -> list[list[Path]]:
    """Return files by run, all the parts of each in order; what is named twice is read once."""
    runs: dict[tuple[Path, str], list[Path]] = {}
    for path in dict.fromkeys(paths):
        if RECORDING_NAME.fullmatch(path.name) is None:
            runs[path, ""] = [path]
        else:
            run = path.parent, path.name.split(".", 1)[0]
            if run not in runs:
                beside = parts_beside(path)
                runs[run] = [beside[number] for number in sorted(beside)] or [path]
    return list(runs.values())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
