"""Recordings read back, whatever has become of their files.

Rule 1. A line that cannot be read costs itself and nothing after it: it is skipped, and who reads
is told how many there were in a file, of which kind, and where the first stands.
Rule 2. A line has a bound: a longer one is passed over in pieces, in little memory.
Rule 3. What was torn by a kill or a full disk may have the next line glued to it: an event begins
with its type, which no text inside of one can spell, so that the last beginning in a line is tried.
Rule 4. Events of another schema are not guessed at. Files of which nothing can be read are none.
Rule 5. Events come with the very bytes that stand in the file, so that what is printed of a
recording is what was printed of the run. Two things in a file never were an event of the run, and
are left out without a word: the greeting that a part repeats at its head, and the summary that ends
what `--headless` printed.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Literal, NamedTuple, TypeAlias

import msgspec

from probes.events import DURABLE_TYPES, SCHEMA_VERSION, Event, Hello, decode_event
from probes.kit.open_regular import open_regular
from probes.kit.short_figures import counted
from probes.store.hellos import hellos_after
from probes.store.recording_files import RECORDING_NAME, RecordedPlace, RecordingHead, part_number

LONGEST_LINE: Final = 16 << 20
"""Bytes. An attempt with all of its texts and 100,000 chunks has a twentieth of it."""
_BATCH_BYTES: Final = 64 << 10
"""Of lines that are given at once: some 10 ms of folding, so that a signal is heard meanwhile."""
_TAIL_BYTES: Final = 1 << 20
"""Of a file, in which its last event is looked for: more than the lines of a second."""
_EVENT_PREFIX: Final = b'{"type":"'
_SUMMARY_PREFIX: Final = b'{"type":"summary"'
_PIECE: Final = 1 << 16
_DURABLE: Final = frozenset(DURABLE_TYPES)
_MANY_DIGITS: Final = b"0" * 40
_EACH_DIGIT: Final = bytes.maketrans(b"0123456789", _MANY_DIGITS[:10])
"""JSON has no largest number, and arithmetic has: whoever edits a file may write one that the
figures cannot be made of. So many digits in a row stand in an id or a text, else in no line of
ours."""

Report: TypeAlias = Callable[[str], object]
"""Takes a line for a person: what is missing of a recording."""

_Reason: TypeAlias = Literal["unreadable", "unknown", "too long", "schema", "cut short"]

_WORDS: Final[dict[_Reason, str]] = {
    "unreadable": "unreadable",
    "unknown": "no event that this version knows",
    "too long": f"longer than {LONGEST_LINE >> 20} MB",
    "schema": "of another schema",
    "cut short": "cut short",
}


class RecordingError(Exception):
    """A recording cannot be read; its message is for a person."""


class Piece(NamedTuple):
    """Some events of a recording, in order."""

    events: list[Event]
    lines: bytes
    """Those of the durable ones."""
    end: RecordedPlace
    """Where the next piece begins."""


def newest_recording(folder: Path) -> list[Path]:
    """Return what is left of the run that began last, of those recorded into a folder, in order.

    Raises:
        RecordingError: there is none, or the folder cannot be read.
    """
    try:
        found = [path for path in folder.iterdir() if RECORDING_NAME.fullmatch(path.name)]
    except FileNotFoundError:
        found = []
    except OSError as error:
        raise RecordingError(f"{folder}: {error.strerror or error}") from error
    if not found:
        raise RecordingError(f"{folder}: no run is recorded there: name a recording")
    # A name begins with the moment at which its run began.
    newest = max(path.name for path in found).split(".", 1)[0]
    return sorted((path for path in found if path.name.startswith(newest)), key=part_number)


def recorded_parts(paths: Sequence[Path], report: Report) -> list[Path]:
    """Return the files to read for what a person named, in the order of the run.

    One part of a rotated run stands for all that follow it. Several files are read as they are
    named, but parts of one run by their numbers: a shell sorts `10000` before `9999`. Parts that
    are missing (retention deletes the oldest) are told to `report`.

    Raises:
        RecordingError: a file cannot be opened; all are tried before the first is read.
    """
    parts = list(dict.fromkeys(paths))
    stems = {path.name.split(".", 1)[0] for path in parts}
    if len(stems) == 1 and all(RECORDING_NAME.fullmatch(path.name) for path in parts):
        beside = parts_beside(parts[0])
        if len(parts) == 1:
            named = part_number(parts[0])
            parts += [path for number, path in beside.items() if number > named]
        parts.sort(key=part_number)
        read = {part_number(part) for part in parts}
        missing = [number for number in range(1, max(read)) if number not in read]
        for why, numbers in (
            ("deleted", [number for number in missing if number not in beside]),
            ("not named", [number for number in missing if number in beside]),
        ):
            if numbers:
                report(f"{parts[0].name}: {_numbered(numbers)} left out: {why}")
    for part in parts:
        try:
            _opened(part).close()
        except OSError as error:
            raise RecordingError(f"{part}: {error.strerror or error}") from error
    return parts


def read_recording(parts: Sequence[Path], report: Report) -> Iterator[tuple[list[Event], bytes]]:
    """Yield the events of files in order, a batch at a time, with the lines of the durable ones.

    What was skipped of a file is told to `report` in one line, once the file was read.

    Raises:
        RecordingError: a file cannot be read, none holds an event, or the first `hello` is of
            another schema.
    """
    return ((piece.events, piece.lines) for piece in read_pieces(parts, report))


def read_pieces(
    parts: Sequence[Path], report: Report, *, batch_bytes: int = _BATCH_BYTES
) -> Iterator[Piece]:
    """Yield what `read_recording` yields, each time with where it ends; a piece has so many bytes
    and the line that passes them. Raises RecordingError."""
    reading = _Reading(batch_bytes=batch_bytes)
    remarks: list[str] = []
    for part in parts:
        skipped = reading.skipped = _Skipped()
        try:
            with _opened(part) as file:
                yield from reading.pieces(part, file)
        except FileNotFoundError:  # it was there: another run's retention has come to it
            remarks.append(f"{part.name}: was deleted meanwhile, and is left out")
        except _OtherSchemaError as error:
            raise RecordingError(f"{part}: {error}") from None
        except OSError as error:
            raise RecordingError(f"{part}: {error.strerror or error}") from error
        if skipped.by_reason:
            remarks.append(f"{part.name}: {skipped.remark()}")
        while reading.events and remarks:  # of what is no recording, only that is told
            report(remarks.pop(0))
    if not reading.events:
        why = "is empty" if reading.is_empty else "no line of it is an event"
        raise RecordingError(f"{parts[0]}: {why}: no recording of llmtop")


def read_on(parts: Sequence[Path], place: RecordedPlace) -> Iterator[Piece]:
    """Yield what follows a place that was reached before, up to what is written by now.

    A last line without its end is still being written, and is left for the next time. What is
    damaged is skipped without a word: who has been at that place has been told.

    Raises:
        RecordingError: a file cannot be read, or is not there any more.
    """
    reading = _Reading(place.hellos)
    for part in parts[parts.index(place.part) :]:
        try:
            with _opened(part) as file:
                if part == place.part:
                    file.seek(place.offset)
                yield from reading.pieces(part, file, is_growing=True)
        except OSError as error:
            raise RecordingError(f"{part}: {error.strerror or error}") from error


def last_stamp_ns(parts: Sequence[Path]) -> int | None:
    """Return the stamp of the last durable event of files, without reading what is before it; None
    where the last megabyte has none, or cannot be read."""
    try:
        with _opened(parts[-1]) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read(_TAIL_BYTES)
    except OSError:
        return None
    for line in reversed(tail.splitlines()):
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            event = decode_event(line)
            if type(event) in _DURABLE:
                return event.at_ns
    return None


def _is_beyond(line: bytes) -> bool:
    """Whether a line of JSON holds a number that does not fit into 64 bits."""
    lengths: list[int] = []
    try:
        text = line.decode("utf-8", "replace")
        json.loads(text, parse_int=lambda digits: lengths.append(len(digits)))
    except (ValueError, RecursionError):  # a field that we do not know may hold anything
        return True
    return max(lengths, default=0) > len(str(-(1 << 63)))


def parts_beside(part: Path) -> dict[int, Path]:
    """Return the parts of a run that lie in one folder, by number."""
    found = part.parent.glob(f"{part.name.split('.', 1)[0]}.*.jsonl")
    return {part_number(path): path for path in found if RECORDING_NAME.fullmatch(path.name)}


def _numbered(numbers: Sequence[int]) -> str:
    if len(numbers) == 1:
        return f"part {numbers[0]} is"
    return f"{counted(len(numbers), 'part')}, {numbers[0]} to {numbers[-1]}, are"


def _opened(path: Path) -> IO[bytes]:
    return os.fdopen(open_regular(path), "rb")


class _OtherSchemaError(Exception):
    """The events that follow mean something that this version does not know."""


@dataclass(slots=True)
class _Skipped:
    """The lines of one file that were skipped, in whole or in part."""

    by_reason: Counter[_Reason] = field(default_factory=Counter)
    first: int = 0
    """Number of the first."""

    def note(self, reason: _Reason, number: int) -> None:
        self.by_reason[reason] += 1
        self.first = self.first or number

    def remark(self) -> str:
        """Return it in words: `2 lines are left out, the first is line 7: 2 unreadable`."""
        if self.by_reason.total() == 1:
            (reason,) = self.by_reason
            return f"1 line is left out: line {self.first} is {_WORDS[reason]}"
        found = (f"{self.by_reason[reason]} {_WORDS[reason]}" for reason in self.by_reason)
        lines = f"{counted(self.by_reason.total(), 'line')} are left out"
        lines += f", the first is line {self.first}"
        return f"{lines}: {', '.join(found)}"


class _Reading:
    """What is known between one line and the next, and between one file and the next."""

    def __init__(self, hellos: bytes = b"", *, batch_bytes: int = _BATCH_BYTES) -> None:
        """Begin where those `hello` lines were the last of their kind."""
        self._batch_bytes = batch_bytes
        self.events = 0
        """Events given so far."""
        self.is_empty = True
        """No file had a line."""
        self.skipped = _Skipped()
        self._hellos = hellos
        self._schema = SCHEMA_VERSION
        self._offset = 0
        """Bytes of the file before what is read next."""

    def pieces(self, part: Path, file: IO[bytes], *, is_growing: bool = False) -> Iterator[Piece]:
        """Yield what one file holds from where it is open. Raises OSError, _OtherSchemaError."""
        self._offset = file.tell()
        events: list[Event] = []
        lines: list[bytes] = []
        size = 0
        for event, line in self._events(self._lines(file, is_growing=is_growing)):
            events.append(event)
            if type(event) in _DURABLE:
                # The last line of a file may lack its end, and nothing else.
                lines.append(line if line.endswith(b"\n") else line + b"\n")
            size += len(line)
            if size > self._batch_bytes:
                yield Piece(
                    events, b"".join(lines), RecordedPlace(part, self._offset, self._hellos)
                )
                events, lines, size = [], [], 0
        if events:
            yield Piece(events, b"".join(lines), RecordedPlace(part, self._offset, self._hellos))

    def _events(self, lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[Event, bytes]]:
        for number, line in lines:
            try:
                event = decode_event(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                salvaged = self._salvage(line, number, error)
                if salvaged is None:
                    continue
                event, line = salvaged  # of a torn line, what is glued to it
            if _MANY_DIGITS in line.translate(_EACH_DIGIT) and _is_beyond(line):
                self.skipped.note("unreadable", number)
                continue
            if isinstance(event, Hello):
                if line in self._hellos.splitlines(keepends=True):
                    continue  # a part repeats it at its head
                self._hellos = hellos_after(self._hellos, line)
                self._enter_schema(event.schema, event.version)
            if self._schema != SCHEMA_VERSION:
                self.skipped.note("schema", number)
                continue
            self.events += 1
            yield event, line

    def _lines(self, file: IO[bytes], *, is_growing: bool) -> Iterator[tuple[int, bytes]]:
        """Yield the lines with their ends and numbers, but those that are too long."""
        number = 0
        while line := file.readline(LONGEST_LINE + 1):
            if is_growing and len(line) <= LONGEST_LINE and not line.endswith(b"\n"):
                return
            number += 1
            self._offset += len(line)
            self.is_empty = False
            if len(line) <= LONGEST_LINE:
                yield number, line
                continue
            self.skipped.note("too long", number)
            del line  # as large as two of them would be
            while piece := file.readline(_PIECE):
                self._offset += len(piece)
                if piece.endswith(b"\n"):
                    break

    def _salvage(self, line: bytes, number: int, error: Exception) -> tuple[Event, bytes] | None:
        """Count a line that is no event of ours; return the event that is glued to its end."""
        if line.startswith(_SUMMARY_PREFIX) and isinstance(error, msgspec.ValidationError):
            return None
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            head = msgspec.json.decode(line, type=RecordingHead)  # of a schema all of its own
            self._enter_schema(head.schema, head.version)
        if self._schema != SCHEMA_VERSION:
            reason: _Reason = "schema"
        elif isinstance(error, msgspec.ValidationError):
            reason = "unknown"
        else:
            reason = "unreadable" if line.endswith(b"\n") else "cut short"
        self.skipped.note(reason, number)
        begins = line.rfind(_EVENT_PREFIX)
        if begins <= 0:
            return None
        line = line[begins:]
        try:
            return decode_event(line), line
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None

    def _enter_schema(self, schema: int, version: str) -> None:
        """Take the schema that a `hello` says the events after it are of."""
        self._schema = schema
        if schema != SCHEMA_VERSION and not self.events:
            newer = ": a newer version reads it" if schema > SCHEMA_VERSION else ""
            raise _OtherSchemaError(
                f"is of schema {schema}, written by llmtop {version[:40]}; "
                f"this version reads schema {SCHEMA_VERSION}{newer}"
            )
