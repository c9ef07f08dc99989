"""What earlier lives of a place's agent recorded here and did not send, before they were killed.

Rule 1: a small file beside the recordings says of each life which parts are its, and which number
the first event of each has. It is written at the start, and again when there is a new part or a
hole; it is deleted when all was sent.
Rule 2: how far a life got, the stream knows and nobody else: what is there is not sent again.
Rule 3: what cannot be read any more is counted where its numbers are known, and said in any case.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Final

import msgspec

from probes.exports.unsent import EngineLife, EventChunk
from probes.kit.open_regular import open_regular
from probes.kit.paths import state_folder
from probes.store.hellos import HELLO_PREFIX
from probes.store.recording_files import RECORDING_NAME, part_number
from probes.store.recording_reader import LONGEST_LINE

_SUFFIX: Final = ".agent.json"


class RecordedRow(msgspec.Struct, frozen=True):
    """Events in a row in one part."""

    file: str
    """Path of the part."""
    offset: int
    """Bytes before the first of them."""
    number: int
    """Of the first of them in its life."""


class RecordedLife(msgspec.Struct, frozen=True):
    """One life of an agent, as its file tells it."""

    place: str
    bus: str
    """Address of the bus without its secrets."""
    run: str
    rows: tuple[RecordedRow, ...] = ()
    """In order; what was written since may be behind the last of them, in further parts, too."""


class Missing(msgspec.Struct, frozen=True):
    """Events that cannot be read any more."""

    count: int
    """0 where nobody knows how many."""


def default_folder() -> Path:
    """Return the folder of these files, in the platform's state folder."""
    return state_folder() / "agents"


def lives_of(folder: Path, place: str, bus: str) -> list[RecordedLife]:
    """Return the lives of a place's agent that may have left something unsent, oldest first.

    Raises:
        OSError: the folder cannot be read.
    """
    found: list[RecordedLife] = []
    try:
        paths = [path for path in folder.iterdir() if path.name.endswith(_SUFFIX)]
    except FileNotFoundError:
        return []
    for path in paths:
        try:
            life = msgspec.json.decode(path.read_bytes(), type=RecordedLife)
        except (msgspec.DecodeError, FileNotFoundError):
            continue
        if (life.place, life.bus) == (place, bus):
            found.append(life)
    return sorted(found, key=lambda life: life.run)


def write_life(folder: Path, life: RecordedLife) -> None:
    """Write a life's file, whole or not at all. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = _path(folder, life)
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(life))
    fresh.replace(path)


def forget_life(folder: Path, life: RecordedLife) -> None:
    """Delete a life's file: all of it was sent. Raises OSError."""
    _path(folder, life).unlink(missing_ok=True)


def _path(folder: Path, life: RecordedLife) -> Path:
    return folder / f"{life.place}-{life.run}{_SUFFIX}"


def recorded_chunks(
    life: RecordedLife, after: int, most_bytes: int
) -> Iterator[EventChunk | Missing]:
    """Yield what a life recorded behind the event of a number, in order; a chunk has so many bytes,
    or one event.

    Raises:
        OSError: a part cannot be read, though it is there.
    """
    reading = _Reading(life.run, after, most_bytes)
    for path, rows in _parts(life):
        try:
            file = os.fdopen(open_regular(path), "rb")
        except FileNotFoundError:
            # A life that was killed before it wrote anything has a file of ours and no part.
            reading.is_broken = len(life.rows) > 1 or bool(reading.next - 1)
            continue
        with file:
            if rows or not reading.is_broken:  # else nobody knows the number of its first event
                yield from reading.part(file, rows)
    yield from reading.rest()
    if reading.is_broken:
        yield Missing(0)


def _parts(life: RecordedLife) -> Sequence[tuple[Path, list[RecordedRow]]]:
    """Return the parts of a life in order, each with the rows that are known to begin in it."""
    parts: dict[Path, list[RecordedRow]] = {}
    for row in life.rows:
        parts.setdefault(Path(row.file), []).append(row)
    if not parts:
        return ()
    last = next(reversed(parts))
    if RECORDING_NAME.fullmatch(last.name):
        beside = last.parent.glob(f"{last.name.split('.', 1)[0]}.*.jsonl")
        later = (path for path in beside if part_number(path) > part_number(last))
        parts |= {path: [] for path in sorted(later, key=part_number)}
    return list(parts.items())


class _Reading:
    """What is known between one line and the next."""

    def __init__(self, run: str, after: int, most_bytes: int) -> None:
        self._run = run
        self._after = after
        self._most_bytes = most_bytes
        self.next = 1
        """Number of the next line."""
        self._life = EngineLife(1, b"")
        self._lines: list[bytes] = []
        self._size = 0
        self._first = 0
        self._given = after
        """Number of the last event that was given, or counted as missing."""
        self.is_broken = False
        """A part is not there, and nobody has said since how much it held."""

    def part(self, file: IO[bytes], rows: list[RecordedRow]) -> Iterator[EventChunk | Missing]:
        """Yield what one part adds."""
        starts = {row.offset: row.number for row in rows}
        if rows and rows[0].offset:
            # A part repeats the hello at its head; the first row stands behind that.
            head = file.readline(LONGEST_LINE)
            if head.startswith(HELLO_PREFIX):
                self._greet(head)
            file.seek(rows[0].offset)
        offset = file.tell()
        while (line := file.readline(LONGEST_LINE)).endswith(b"\n"):
            if offset in starts:
                yield from self._jump(starts[offset])
            at_head, offset = offset == 0, offset + len(line)
            if line.startswith(HELLO_PREFIX):
                if at_head and line == self._life.hello and not rows:
                    continue
                yield from self.rest()
                self._life = EngineLife(self.next, line)
            yield from self._take(line)

    def _greet(self, hello: bytes) -> None:
        if hello != self._life.hello:  # its own line is in a part that is gone
            self._life = EngineLife(self.next, hello)

    def _jump(self, number: int) -> Iterator[EventChunk | Missing]:
        """Go on with an event of a known number."""
        if number <= self.next and not self.is_broken:
            return
        yield from self.rest()
        self.next = number
        self.is_broken = False
        if number - 1 > self._given:
            yield Missing(number - 1 - self._given)
            self._given = number - 1

    def _take(self, line: bytes) -> Iterator[EventChunk | Missing]:
        number, self.next = self.next, self.next + 1
        if number <= self._after:
            return
        if self._lines and self._size + len(line) > self._most_bytes:
            yield from self.rest()
        if not self._lines:
            self._first = number
        self._lines.append(line)
        self._size += len(line)
        self._given = number

    def rest(self) -> Iterator[EventChunk]:
        """Yield what was gathered."""
        lines, self._lines, self._size = self._lines, [], 0
        if lines:
            yield EventChunk(self._run, self._first, len(lines), b"".join(lines), self._life)
