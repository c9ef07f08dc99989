"""The durable events as JSON lines for a program or a terminal, and a summary last.

Rule 1: each line has the bytes that the engine wrote, but that everything outside printable ASCII
is escaped: a terminal obeys C1 controls and bidirectional marks, which JSON encoders pass through.
Rule 2: who gives us events never waits for who reads ours: lines are written by a thread of its
own, as soon as they come, past Python's buffer.
Rule 3: a reader may be slow, stop for ever or go away, and keeps neither the run nor the process
from ending.
"""

import queue
import re
import select
import threading
from collections.abc import Mapping, Set
from typing import Any, BinaryIO, Final

import msgspec
from anyio import to_thread

from probes.events import DURABLE_TYPES, LINE_TYPES, Event

_LAST_WRITE_S: Final = 2.0
"""What a reader has to take the end of the output."""
_ESCAPED: Final = re.compile("[\x7f-\U0010ffff]")


def ascii_json(data: bytes) -> bytes:
    """Return JSON in which every character outside printable ASCII is escaped.

    Escaped, the JSON means the same (RFC 8259, section 7) and is harmless.
    """
    if data.isascii() and b"\x7f" not in data:
        return data
    return _ESCAPED.sub(_escape, data.decode("utf-8", "replace")).encode("ascii")


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


class JsonLines:
    """Writes a run to `out`; where `only` is given, the lines of its types alone."""

    def __init__(self, out: BinaryIO, only: Set[str] | None = None) -> None:
        out.flush()
        self._out: BinaryIO = getattr(out, "raw", out)
        self._has_summary = only is None or "summary" in only
        self._kinds: frozenset[type] | None = None
        if only is not None:
            named = zip(LINE_TYPES, DURABLE_TYPES, strict=False)  # `summary`, the last, is none
            self._kinds = frozenset(kind for name, kind in named if name in only)
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self.waiting = 0
        """Bytes not yet taken by the reader."""
        self.closed = False
        """The reader is gone."""
        self.failure: OSError | None = None
        """Why nothing more can be written, where that is no reader's doing: a full disk."""
        # A daemon: a reader that never reads again cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="llmtop-output", daemon=True)
        self._thread.start()

    def receive(self, events: list[Event], lines: bytes) -> None:
        """Take a batch of events in order, and the lines of its durable ones; returns at once."""
        if self._kinds is not None:
            # Each durable event has a line, in order. The end of the last one ends nothing.
            durable = (event for event in events if isinstance(event, DURABLE_TYPES))
            pairs = zip(durable, lines.split(b"\n"), strict=False)
            lines = b"".join(line + b"\n" for event, line in pairs if type(event) in self._kinds)
        self._put(ascii_json(lines))

    def end_with(self, summary: Mapping[str, Any]) -> None:
        """Take the run's figures by route: the last line."""
        if self._has_summary:
            line = msgspec.json.encode({"type": "summary", "routes": summary}) + b"\n"
            self._put(ascii_json(line))

    async def finish(self) -> None:
        """Wait until all is written, or until the reader has had its time."""
        self._queue.put(None)
        await to_thread.run_sync(self._thread.join, _LAST_WRITE_S)

    def _put(self, data: bytes) -> None:
        """Queue bytes. What comes after the reader has gone is dropped."""
        if data and not self.closed:
            with self._lock:
                self.waiting += len(data)
            self._queue.put(data)

    def _run(self) -> None:
        while (data := self._queue.get()) is not None:
            if not self.closed:
                self._write(data)
            with self._lock:
                self.waiting -= len(data)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                written: int | None = self._out.write(view)
                if written is None:  # a pipe that somebody made non-blocking is full
                    select.select([], [self._out], [], 1.0)
                else:
                    view = view[written:]
        except (BrokenPipeError, ValueError):  # the reader closed its end, or `out` was closed
            self.closed = True
        except OSError as error:
            self.closed, self.failure = True, error
