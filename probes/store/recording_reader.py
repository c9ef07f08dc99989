"""Recordings read back, whatever has become of the file.

Rule 1. A line that cannot be read costs itself and nothing after it: it is skipped and counted, and
its reader is told how many there were, of which kind, and where the first stands.
Rule 2. A line has a bound: a longer one is passed over in pieces, in little memory.
Rule 3. What was torn by a kill or a full disk may have the next line glued to it: an event begins
with its type, which no text inside of one can spell, so that the last beginning in a line is tried.
Rule 4. Events of another schema are not guessed at. A file of which nothing can be read is none.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, Literal, TypeAlias

import msgspec

from probes.events import SCHEMA_VERSION, Event, Hello, decode_event
from probes.kit.open_regular import open_regular
from probes.store.recording_files import RECORDING_NAME

LONGEST_LINE: Final = 16 << 20
"""Bytes. An attempt with all of its texts and 100,000 chunks has a twentieth of it."""
HELLO_PREFIX: Final = b'{"type":"hello"'
_EVENT_PREFIX: Final = b'{"type":"'
_PIECE: Final = 1 << 16

Reason: TypeAlias = Literal["cut short", "too long", "unreadable", "unknown", "schema"]

_WORDS: Final[dict[Reason, str]] = {
    "unreadable": "cannot be read",
    "unknown": "no event that this version knows",
    "too long": f"longer than {LONGEST_LINE >> 20} MB",
    "schema": "of another schema",
    "cut short": "cut short",
}


class RecordingError(Exception):
    """A recording cannot be read; its message is for a person."""


@dataclass(slots=True)
class SkippedLines:
    """What could not be read of a recording, all its segments together."""

    by_reason: Counter[Reason] = field(default_factory=Counter)
    first: str = ""
    """Where the first of them stands: `run.jsonl: line 17`."""

    @property
    def total(self) -> int:
        """How many lines were skipped, in whole or in part."""
        return self.by_reason.total()

    def note(self, reason: Reason, path: Path, number: int) -> None:
        """Count one line."""
        self.by_reason[reason] += 1
        self.first = self.first or f"{path.name}: line {number}"


@dataclass(slots=True)
class _Reading:
    """What is known between one line and the next."""

    skipped: SkippedLines
    hello: bytes = b""
    schema: int = SCHEMA_VERSION
    events: int = 0
    refused: str = ""
    """Why, if nothing else can be read, this is no recording for us."""


def read_recording(
    path: Path,
    on_problem: Callable[[str], None] = lambda _text: None,
    skipped: SkippedLines | None = None,
) -> Iterator[Event]:
    """Yield the events of a recording in order; of a segment, of the later segments too.

    Lines that cannot be read are skipped, counted in `skipped`, and told to `on_problem`, in one
    text a file, once that was read.

    Raises:
        RecordingError: the file cannot be read, or there are lines and none of them is an event.
    """
    reading = _Reading(skipped if skipped is not None else SkippedLines())
    for segment in _segments_from(path):
        before = reading.skipped.by_reason.copy()
        yield from _events(segment, reading)
        words = _remark(reading.skipped.by_reason - before)
        if words:
            on_problem(f"{segment.name}: {words}")
    if not reading.events and reading.skipped.total:
        why = reading.refused or "no line of it is an event: no recording of llmtop"
        raise RecordingError(f"{path}: {why}")


def _segments_from(path: Path) -> list[Path]:
    if not RECORDING_NAME.fullmatch(path.name):
        return [path]
    run = path.name.split(".", 1)[0]
    family = sorted(path.parent.glob(f"{run}.*.jsonl"))
    return [segment for segment in family if segment.name >= path.name] or [path]


def _events(path: Path, reading: _Reading) -> Iterator[Event]:
    for number, line in enumerate(_lines(path), 1):
        if line is None:
            reading.skipped.note("too long", path, number)
        elif line != reading.hello:  # a segment's own copy of it
            event = _event(line, path, number, reading)
            if event is not None:
                reading.events += 1
                yield event


def _lines(path: Path) -> Iterator[bytes | None]:
    """Give the lines with their ends; None stands for one that is too long."""
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            while line := file.readline(LONGEST_LINE + 1):
                if len(line) <= LONGEST_LINE:
                    yield line
                else:
                    del line  # as large as two of them would be
                    _pass_over(file)
                    yield None
    except OSError as error:
        raise RecordingError(f"{path}: {error.strerror or error}") from error


def _pass_over(file: IO[bytes]) -> None:
    """Read to the end of a line, and keep nothing of it."""
    while (piece := file.readline(_PIECE)) and not piece.endswith(b"\n"):
        pass


def _event(line: bytes, path: Path, number: int, reading: _Reading) -> Event | None:
    """Return the event of a line, or count it; of a torn line, the event that is glued to it."""
    event, reason = _decoded(line)
    if reason is not None:
        reading.skipped.note(reason, path, number)
        begins = line.rfind(_EVENT_PREFIX)
        if begins > 0:
            line = line[begins:]
            event, _ = _decoded(line)
    if isinstance(event, Hello):
        reading.hello, reading.schema = line, event.schema
        if event.schema != SCHEMA_VERSION:
            reading.refused = f"schema {event.schema}; this version reads {SCHEMA_VERSION}"
    if event is not None and reading.schema != SCHEMA_VERSION:
        reading.skipped.note("schema", path, number)
        return None
    return event


def _decoded(line: bytes) -> tuple[Event | None, Reason | None]:
    try:
        return decode_event(line), None
    except msgspec.ValidationError:
        return None, "unknown"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None, "unreadable" if line.endswith(b"\n") else "cut short"


def _remark(skipped: Counter[Reason]) -> str:
    """Return in words what was skipped of one file."""
    if not skipped:
        return ""
    if skipped.total() == 1 and skipped["cut short"]:
        return "the last line was cut short and is left out"
    parts = [f"{skipped[reason]} {words}" for reason, words in _WORDS.items() if skipped[reason]]
    number = skipped.total()
    lines = "line is" if number == 1 else "lines are"
    return f"{number} {lines} left out: {', '.join(parts)}"
