"""The events of a run that are still to be sent: in memory, and beyond that in the recording.

Rule 1: events are numbered from 1 in the order in which they were given, those that are lost, too.
Rule 2: memory holds the newest ones up to a bound. What it had to let go is read from the
recording, in its turn: the oldest is always sent first.
Rule 3: what is in neither is lost: counted, and passed over by its numbers, so that a reader counts
the same.
Rule 4: a chunk is of one engine's life: its stamps are moved by one constant.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from anyio import to_thread

from probes.events import Hello, decode_event
from probes.events.placing import offset_of
from probes.store.hellos import HELLO_PREFIX
from probes.store.recording import RecordedSpan, Recorder

MEMORY_BYTES: Final = 32 << 20
"""Some 25 minutes of eight routes at a probe a second each."""
_MARKS: Final = 200_000
"""Batches whose numbers are known to the last one: 5 h of ten a second. Of older ones every second
is forgotten, again and again: only where the recording lost something is that felt."""


class EngineLife:
    """The events from one hello to the next."""

    def __init__(self, first: int, hello: bytes) -> None:
        self.first = first
        """Number of the hello."""
        self.hello = hello
        """Its line."""
        self.offset_ns: int | None = None
        """What moves its stamps to Unix time; None until it was asked for, then for good."""

    @property
    def own_offset_ns(self) -> int:
        """What moves its stamps to Unix time by the wall clock of its machine."""
        event = decode_event(self.hello)
        return offset_of(event) if isinstance(event, Hello) else 0


class EventChunk(msgspec.Struct, frozen=True):
    """Events in a row, to be sent at once."""

    run: str
    first: int
    """Number of the first event."""
    count: int
    lines: bytes
    life: EngineLife

    @property
    def next(self) -> int:
        """Number of the event behind them."""
        return self.first + self.count


class _Held(msgspec.Struct, frozen=True):
    """Lines in memory."""

    first: int
    begin: int
    """Bytes that were given before them."""
    count: int
    lines: bytes


class _Mark(NamedTuple):
    """Where an event begins."""

    number: int
    begin: int
    """Bytes that were given before it."""


def cut_lines(lines: bytes, most_bytes: int, most_lines: int | None = None) -> tuple[bytes, int]:
    """Return the lines that fit, one at least, and how many they are."""
    if len(lines) > most_bytes:
        end = lines.rfind(b"\n", 0, most_bytes) + 1 or lines.find(b"\n") + 1
        lines = lines[:end]
    count = lines.count(b"\n")
    if most_lines is not None and count > most_lines:
        end = 0
        for _ in range(most_lines):
            end = lines.index(b"\n", end) + 1
        return lines[:end], most_lines
    return lines, count


class UnsentEvents:
    """What a run has given and nobody has acknowledged. For the event loop's thread."""

    def __init__(
        self,
        run: str,
        recorder: Recorder | None,
        *,
        memory_bytes: int = MEMORY_BYTES,
        lost: Callable[[int], object] = lambda _count: None,
    ) -> None:
        """Begin without any; `lost` hears how many events each time that some are."""
        self.run = run
        self._recorder = recorder
        self._most_bytes = memory_bytes
        self._report_lost = lost
        self._memory: deque[_Held] = deque()
        self.memory_bytes = 0
        self._given = 0
        self._given_bytes = 0
        self._next = 1
        self._next_begin = 0
        self._lives: list[EngineLife] = []
        self._marks = (array("q"), array("q"))
        """Bytes given before a batch, and the number of its first event."""
        self.sent_events = 0
        self.lost = 0
        """Events that can be had nowhere any more."""

    @property
    def waiting(self) -> int:
        """How many events are not acknowledged."""
        return self._given + 1 - self._next

    @property
    def waiting_bytes(self) -> int:
        """The same in bytes."""
        return self._given_bytes - self._next_begin

    @property
    def newest_life(self) -> EngineLife | None:
        """The engine's that speaks now; None before the first hello."""
        return self._lives[-1] if self._lives else None

    def add(self, lines: bytes) -> None:
        """Take the lines of a batch, as the recorder was given them. The first ever is a hello."""
        at = 0
        while at < len(lines):
            # No text inside of JSON can spell the beginning of a line.
            next_hello = lines.find(b"\n" + HELLO_PREFIX, at) + 1 or len(lines)
            piece = lines[at:next_hello]
            first = self._given + 1
            if piece.startswith(HELLO_PREFIX):
                self._lives.append(EngineLife(first, piece[: piece.index(b"\n") + 1]))
            count = piece.count(b"\n")
            self._memory.append(_Held(first, self._given_bytes, count, piece))
            begins, numbers = self._marks
            begins.append(self._given_bytes)
            numbers.append(first)
            self._given += count
            self._given_bytes += len(piece)
            self.memory_bytes += len(piece)
            at = next_hello
        while self.memory_bytes > self._most_bytes and len(self._memory) > 1:
            self.memory_bytes -= len(self._memory.popleft().lines)
        if len(self._marks[0]) > _MARKS:
            begins, numbers = self._marks
            self._marks = _thinned(begins), _thinned(numbers)

    async def peek(self, most_bytes: int) -> EventChunk | None:
        """Return the oldest events, as many as fit and one at least; None where none waits."""
        while self.waiting:
            head = self._memory[0]
            if head.first <= self._next:
                return self._remembered(most_bytes)
            found = await to_thread.run_sync(self._recorded, head, most_bytes)
            if isinstance(found, bytes):
                return self._chunk(found, most_bytes)
            count = found.number - self._next
            self._next, self._next_begin = found
            self.lost += count
            self._report_lost(count)
        return None

    def sent(self, chunk: EventChunk) -> None:
        """Note that the chunk that was peeked at last is where it should be."""
        self.sent_events += chunk.count
        self._next, self._next_begin = chunk.next, self._next_begin + len(chunk.lines)
        memory = self._memory
        while memory and memory[0].first + memory[0].count <= self._next:
            self.memory_bytes -= len(memory.popleft().lines)
        if memory and memory[0].first < self._next:
            head = memory[0]
            gone, rest = self._next_begin - head.begin, head.first + head.count - self._next
            memory[0] = _Held(self._next, self._next_begin, rest, head.lines[gone:])
            self.memory_bytes -= gone
        while len(self._lives) > 1 and self._lives[1].first <= self._next:
            del self._lives[0]

    def where(self) -> list[tuple[RecordedSpan, int]]:
        """Return all that was written down of the run so far, in rows, each with the number of its
        first event."""
        found: list[tuple[RecordedSpan, int]] = []
        span = None if self._recorder is None else self._recorder.written_from(0)
        while span is not None and self._recorder is not None:
            mark = self._mark_from(span.begin)
            skipped = mark.begin - span.begin
            if skipped < span.size:
                size, offset = span.size - skipped, span.offset + skipped
                found.append((RecordedSpan(mark.begin, size, span.part, offset), mark.number))
            span = self._recorder.written_from(span.begin + span.size)
        return found

    def _remembered(self, most_bytes: int) -> EventChunk:
        pieces: list[bytes] = []
        size = 0
        for held in self._memory:
            if size >= most_bytes:
                break
            pieces.append(held.lines)
            size += len(held.lines)
        return self._chunk(b"".join(pieces), most_bytes)

    def _chunk(self, lines: bytes, most_bytes: int) -> EventChunk:
        at = bisect_right(self._lives, self._next, key=lambda life: life.first) - 1
        life, following = self._lives[max(0, at)], self._lives[at + 1 : at + 2]
        most_lines = following[0].first - self._next if following else None
        lines, count = cut_lines(lines, most_bytes, most_lines)
        return EventChunk(self.run, self._next, count, lines, life)

    def _recorded(self, head: _Held, most_bytes: int) -> "bytes | _Mark":
        """Return the next lines from the recording, in a thread; where those are lost, where
        it goes on. `head` is the first that is in memory."""
        recorder, next_begin = self._recorder, self._next_begin
        span = None if recorder is None else recorder.written_from(next_begin)
        while recorder is not None and span is not None and span.begin < head.begin:
            end = span.begin + span.size
            if span.begin == next_begin:
                size = min(span.size, head.begin - span.begin)
                if lines := _read_lines(span.part, span.offset, size, most_bytes):
                    return lines
                # Retention has come to that part.
            else:
                mark = self._mark_from(span.begin)
                if mark.begin < min(end, head.begin):
                    return mark
            span = recorder.written_from(end)
        return _Mark(head.first, head.begin)

    def _mark_from(self, begin: int) -> "_Mark":
        """Return the first place at or behind so many bytes whose number is known."""
        begins, numbers = self._marks
        at = bisect_left(begins, begin)
        if at == len(begins):
            return _Mark(self._given + 1, self._given_bytes)
        return _Mark(numbers[at], begins[at])


def _thinned(marks: "array[int]") -> "array[int]":
    half = len(marks) // 2
    return marks[:half:2] + marks[half:]


def _read_lines(part: Path, offset: int, size: int, most_bytes: int) -> bytes:
    """Return whole lines of a file, about as many as fit and one at least; nothing where it is
    gone."""
    try:
        with part.open("rb") as file:
            file.seek(offset)
            lines = file.read(min(size, most_bytes))
            if b"\n" not in lines:
                lines += file.readline(max(0, size - len(lines)))
    except OSError:
        return b""
    return lines[: lines.rfind(b"\n") + 1]
