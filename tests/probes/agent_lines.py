"""Lines of an agent's life, given, recorded and taken back with their numbers."""

import time
from pathlib import Path

from probes.exports.unsent import EventChunk, UnsentEvents
from probes.store.recording import Recorder

RUN = "1".zfill(20)
PLENTY = 1 << 20


def hello(engine: int) -> bytes:
    return (
        b'{"type":"hello","at_ns":%d,"wall_ns":%d,"engine":"e","version":"0","routes":[],"schema":1}\n'
        % (
            engine,
            engine + 1_000,
        )
    )


def line(number: int) -> bytes:
    return b'{"type":"mark","at_ns":%d,"text":"x"}\n' % number


def lines(first: int, count: int) -> bytes:
    return b"".join(line(number) for number in range(first, first + count))


async def drained(unsent: UnsentEvents, most_bytes: int = PLENTY) -> list[EventChunk]:
    chunks: list[EventChunk] = []
    while (chunk := await unsent.peek(most_bytes)) is not None:
        unsent.sent(chunk)
        chunks.append(chunk)
    return chunks


def numbered(chunks: list[EventChunk]) -> dict[int, bytes]:
    """Return each line by its number."""
    found: dict[int, bytes] = {}
    for chunk in chunks:
        told = chunk.lines.splitlines(keepends=True)
        assert len(told) == chunk.count
        found |= dict(enumerate(told, start=chunk.first))
    return found


class Recorded:
    """A recording that is written when the test says so."""

    def __init__(self, folder: Path, max_mb: float = 1.0) -> None:
        self.recorder = Recorder.to_folder(folder, max_mb=max_mb, max_days=7.0, flush_s=0.001)
        self.problems: list[str] = []
        self.recorder.start(self.problems.append)

    def give(self, unsent: UnsentEvents, given: bytes) -> None:
        self.recorder.append(given)
        unsent.add(given)

    def settle(self) -> None:
        deadline = time.monotonic() + 5.0
        given = self.recorder.given
        while self.recorder.place(given, b"") is None:
            assert time.monotonic() < deadline
            time.sleep(0.002)
