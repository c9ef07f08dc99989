"""Without a screen: the durable events as JSON lines, and a summary last."""

import queue
import re
import select
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO, Final

import anyio
import msgspec
from anyio import to_thread

from probes.board.goals import goals_remarks, goals_status
from probes.events import Event
from probes.kit.exit_status import ExitStatus
from probes.run.session import Session

_HOLD_BYTES: Final = 4 << 20
"""Unwritten output above which the engine's pipe is no longer read."""
_RELEASE_BYTES: Final = 1 << 20
_LOOK_S: Final = 0.1
_LAST_WRITE_S: Final = 2.0
"""What a reader has to take the end of the output."""
_ESCAPED: Final = re.compile("[\x7f-\U0010ffff]")


def ascii_json(data: bytes) -> bytes:
    """Return JSON in which every character outside printable ASCII is escaped.

    JSON encoders pass C1 controls and bidirectional marks through, which a terminal obeys;
    escaped, the JSON means the same (RFC 8259, section 7) and is harmless.
    """
    if data.isascii() and b"\x7f" not in data:
        return data
    return _ESCAPED.sub(_escape, data.decode("utf-8", "replace")).encode("ascii")


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


async def run_headless(
    session: Session,
    *,
    duration_s: float | None,
    out: BinaryIO,
    fail_on_goals: bool,
    told: Callable[[Iterable[str]], object] = list,
) -> int:
    """Run a session and print its durable events, then one line of type `summary`.

    Ends `duration_s` seconds after the first hello, on SIGINT, SIGTERM or SIGHUP, when `out` is
    closed by its reader, or when the engine crashes again and again. Returns a status; `told` takes
    for a person, a line each, what became of the goals, where `fail_on_goals` asks for it.

    Raises:
        OSError: `out` could not be written, though its reader had not left.
    """
    run = _HeadlessRun(session, _Output(out))
    await run.run(duration_s)
    summary = session.board.summary()
    await run.finish(summary)
    if run.failure is not None:
        raise run.failure
    if run.gave_up:
        return ExitStatus.FAILED
    if not fail_on_goals:
        return ExitStatus.OK
    told(goals_remarks(summary))
    return goals_status(summary)


class _HeadlessRun:
    """A session whose face is a stream of bytes."""

    def __init__(self, session: Session, output: "_Output") -> None:
        self._session = session
        self._output = output
        self.gave_up = False
        session.subscribe(self._print)

    @property
    def failure(self) -> OSError | None:
        """Why the output ended early, if it did."""
        return self._output.failure

    async def run(self, duration_s: float | None) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._stop_on_signal)
            tasks.start_soon(self._look_after)
            if duration_s is not None:
                tasks.start_soon(self._stop_after, duration_s)
            await self._session.run()
            tasks.cancel_scope.cancel()

    async def finish(self, summary: Mapping[str, Any]) -> None:
        line = msgspec.json.encode({"type": "summary", "routes": summary}) + b"\n"
        self._output.put(ascii_json(line))
        await self._output.finish()

    def _print(self, _events: list[Event], lines: bytes) -> None:
        self._output.put(ascii_json(lines))
        if self._output.waiting > _HOLD_BYTES:
            self._session.hold()

    async def _look_after(self) -> None:
        """Mind the reader of our output and the engine."""
        while True:
            if self._output.closed:
                self._session.stop()
            if self._output.waiting < _RELEASE_BYTES:
                self._session.release()
            if self._session.status.state == "gave_up":
                self.gave_up = True
                self._session.stop()
            await anyio.sleep(_LOOK_S)

    async def _stop_after(self, duration_s: float) -> None:
        await self._session.outlast(duration_s)
        self._session.stop()

    async def _stop_on_signal(self) -> None:
        names = ["SIGINT", "SIGTERM"]
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            names.append("SIGHUP")  # `nohup` wants to outlive the terminal
        numbers = [getattr(signal, name) for name in names]
        with anyio.open_signal_receiver(*numbers) as signals:
            async for _number in signals:
                self._session.stop()


class _Output:
    """Writes to a reader that may be slow, stop or go away, from a thread of its own.

    The thread is a daemon and writes past Python's buffer: a reader that never reads again cannot
    keep the process from ending.
    """

    def __init__(self, out: BinaryIO) -> None:
        out.flush()
        self._out: BinaryIO = getattr(out, "raw", out)
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self.waiting = 0
        """Bytes not yet taken by the reader."""
        self.closed = False
        """The reader is gone."""
        self.failure: OSError | None = None
        """Why nothing more can be written, where that is no reader's doing: a full disk."""
        self._thread = threading.Thread(target=self._run, name="llmtop-output", daemon=True)
        self._thread.start()

    def put(self, data: bytes) -> None:
        """Queue bytes; returns at once. What comes after the reader has gone is dropped."""
        if data and not self.closed:
            with self._lock:
                self.waiting += len(data)
            self._queue.put(data)

    async def finish(self) -> None:
        """Wait until all is written, or until the reader has had its time."""
        self._queue.put(None)
        await to_thread.run_sync(self._thread.join, _LAST_WRITE_S)

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
