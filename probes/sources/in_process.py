"""An engine in this very loop: for tests, debugging and Windows.

It is supervised by the same rules as one in a process of its own: what it raises ends it, not us.
"""

import contextlib
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, Protocol

import anyio
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from probes.control.commands import Command, decode_command
from probes.kit.clock import Clock
from probes.sources.supervised import Child

_WAITING: Final = 64
"""Batches, and commands, that wait for their reader: as a pipe between processes holds some."""


class RunEngine(Protocol):
    """An engine in this loop: commands in, encoded batches of events out."""

    async def __call__(
        self,
        commands: AsyncIterator[Command],
        write: Callable[[bytes], Awaitable[None]],
        /,
        *,
        clock: Clock,
    ) -> None:
        """Run until told to stop or until the commands end."""
        ...


async def launch_task(tasks: TaskGroup, *, run_engine: RunEngine, clock: Clock) -> Child:
    """Start an engine as a task."""
    child = _TaskChild(run_engine, clock)
    tasks.start_soon(child.run)
    return child


class _TaskChild:
    """One life of an engine that runs as a task of this loop."""

    def __init__(self, run_engine: RunEngine, clock: Clock) -> None:
        """Prepare an engine; `run` runs it."""
        self._run_engine = run_engine
        self._clock = clock
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        self._how = "ended"
        self._words = ""
        self._to_engine: MemoryObjectSendStream[Command]
        self._commands: MemoryObjectReceiveStream[Command]
        self._batches_in: MemoryObjectSendStream[bytes]
        self._batches: MemoryObjectReceiveStream[bytes]
        self._to_engine, self._commands = anyio.create_memory_object_stream(_WAITING)
        self._batches_in, self._batches = anyio.create_memory_object_stream(_WAITING)

    async def run(self) -> None:
        """Run the engine to its end; what it raises becomes its last words, not ours."""
        try:
            with self._scope:
                await self._run_engine(self._commands, self._batches_in.send, clock=self._clock)
        except Exception as error:
            self._how = f"raised {type(error).__name__}"
            self._words = traceback.format_exc()
        finally:
            self._commands.close()
            self._batches_in.close()
            self._ended.set()

    async def read(self) -> bytes:
        """Return the batches that wait, or the next one; empty once the engine has ended."""
        try:
            batches = [await self._batches.receive()]
        except anyio.EndOfStream:
            return b""
        with contextlib.suppress(anyio.WouldBlock, anyio.EndOfStream):
            while True:
                batches.append(self._batches.receive_nowait())
        return b"".join(batches)

    async def write(self, data: bytes) -> None:
        """Hand over commands; nothing happens once the engine has ended."""
        for line in data.splitlines():
            try:
                await self._to_engine.send(decode_command(line))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async def close_input(self) -> None:
        """End the engine's commands."""
        self._to_engine.close()

    def terminate(self) -> None:
        """Cancel it: a task has nothing gentler."""
        self.kill()

    def kill(self) -> None:
        """Cancel it."""
        if not self._ended.is_set():
            self._how = "cancelled"
        self._scope.cancel()

    async def wait(self) -> str:
        """Return how it ended."""
        await self._ended.wait()
        self._batches.close()
        self._to_engine.close()
        return self._how

    def last_words(self) -> str:
        """Return the traceback of an engine that raised."""
        return self._words
