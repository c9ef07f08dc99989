"""One engine as its host sees it: bytes out, bytes in, an end. In a process, or in this loop."""

import os
import site
import subprocess
import sys
import sysconfig
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import anyio
from anyio.abc import ByteReceiveStream, Process, TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from probes.control.commands import Command, decode_command
from probes.kit.clock import Clock

PACKAGE_ROOT: Final = Path(__file__).absolute().parents[2]
"""The folder that `probes` is imported from."""

ENDED_WELL: Final = ("exit status 0", "ended")
"""How an engine ends that has told all there is to tell."""

_READ_BYTES: Final = 64 << 10
_INLINE_BATCHES: Final = 64
_DRAIN_S: Final = 0.2
"""Stderr of a dead engine is at its end at once, unless a process of its own still holds it."""


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


class Child(Protocol):
    """What the host needs of an engine."""

    async def read(self) -> bytes:
        """Return what the engine wrote since; empty when it will write no more."""
        ...

    async def write(self, data: bytes) -> None:
        """Send command lines; nothing happens when the engine no longer reads."""
        ...

    async def close_input(self) -> None:
        """Tell the engine that no command will follow: it ends."""
        ...

    def terminate(self) -> None:
        """Ask it to end at once."""
        ...

    def kill(self) -> None:
        """End it; no engine survives this."""
        ...

    async def wait(self) -> str:
        """Return how it ended, in words, once it has."""
        ...

    def last_words(self) -> str:
        """Return the end of what it said beside the stream: hostile text."""
        ...


Launch: TypeAlias = Callable[[TaskGroup], Awaitable[Child]]
"""Start an engine whose helper tasks live in the group. Raises OSError where it cannot start."""


def engine_argv() -> list[str]:
    """Return the engine's command line.

    `-P` keeps the current directory off the child's path: a folder named `probes` there must not
    run instead.
    """
    return [sys.executable, "-P", "-m", "probes"]


def engine_environment(
    environ: Mapping[str, str], package_root: Path = PACKAGE_ROOT
) -> dict[str, str]:
    """Return the child's environment, in which it finds the very package that we run from.

    An installed package is found by itself. A source checkout goes first on PYTHONPATH, whose
    empty and relative entries, which mean the current directory, are left out.
    """
    environment = dict(environ)
    inherited = environ.get("PYTHONPATH", "").split(os.pathsep)
    entries = [entry for entry in inherited if Path(entry).is_absolute()]
    if package_root not in _installed_roots() or entries:
        entries.insert(0, str(package_root))
    environment.pop("PYTHONPATH", None)
    if entries:
        environment["PYTHONPATH"] = os.pathsep.join(entries)
    return environment


def _installed_roots() -> set[Path]:
    paths = sysconfig.get_paths()
    roots = [paths["purelib"], paths["platlib"], *site.getsitepackages()]
    return {Path(root).absolute() for root in roots}


async def launch_process(
    tasks: TaskGroup,
    *,
    argv: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
    stderr_bytes: int = 64 << 10,
) -> Child:
    """Start an engine in a process and a session of its own.

    Raises:
        OSError: the process cannot be started.
    """
    process = await anyio.open_process(
        argv or engine_argv(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment if environment is not None else engine_environment(os.environ),
        start_new_session=True,
    )
    child = ProcessChild(process, stderr_bytes)
    tasks.start_soon(child.drain_stderr)
    return child


class ProcessChild:
    """An engine in a process of its own."""

    def __init__(self, process: Process, stderr_bytes: int) -> None:
        """Own a started process with its three pipes."""
        self._process = process
        self._words = _Tail(stderr_bytes)
        self._drained = anyio.Event()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    async def drain_stderr(self) -> None:
        """Read stderr to its end, so that the engine never blocks on it; keep its tail."""
        if self._process.stderr is not None:
            while data := await _read_some(self._process.stderr):
                self._words.add(data)
        self._drained.set()

    async def read(self) -> bytes:
        """Return what the engine wrote since; empty at the pipe's end."""
        return b"" if self._process.stdout is None else await _read_some(self._process.stdout)

    async def write(self, data: bytes) -> None:
        """Write to its stdin; a broken pipe is the engine's end, which `read` reports."""
        if self._process.stdin is not None:
            try:
                await self._process.stdin.send(data)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return

    async def close_input(self) -> None:
        """Close its stdin."""
        if self._process.stdin is not None:
            try:
                await self._process.stdin.aclose()
            except (BrokenPipeError, ConnectionResetError, anyio.BrokenResourceError):
                return

    def terminate(self) -> None:
        """Send SIGTERM."""
        if self._process.returncode is None:
            self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL."""
        if self._process.returncode is None:
            self._process.kill()

    async def wait(self) -> str:
        """Reap the process and close our ends of its pipes; return how it ended."""
        code = await self._process.wait()
        with anyio.move_on_after(_DRAIN_S):
            await self._drained.wait()
        await self._process.aclose()
        return f"killed by signal {-code}" if code < 0 else f"exit status {code}"

    def last_words(self) -> str:
        """Return the end of its stderr."""
        return self._words.text()


async def launch_inline(tasks: TaskGroup, *, run_engine: RunEngine, clock: Clock) -> Child:
    """Start an engine in this very loop: for tests, debugging and Windows."""
    child = InlineChild(run_engine, clock)
    tasks.start_soon(child.run)
    return child


class InlineChild:
    """An engine that runs as a task of this loop."""

    def __init__(self, run_engine: RunEngine, clock: Clock) -> None:
        """Prepare an engine; `run` runs it."""
        self._run_engine = run_engine
        self._clock = clock
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        self._how = "ended"
        self._words = ""
        self._rest = b""
        self._to_engine: MemoryObjectSendStream[Command]
        self._commands: MemoryObjectReceiveStream[Command]
        self._batches_in: MemoryObjectSendStream[bytes]
        self._batches: MemoryObjectReceiveStream[bytes]
        self._to_engine, self._commands = anyio.create_memory_object_stream(_INLINE_BATCHES)
        self._batches_in, self._batches = anyio.create_memory_object_stream(_INLINE_BATCHES)

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
        """Return the next batch; empty once the engine has ended."""
        try:
            return await self._batches.receive()
        except anyio.EndOfStream:
            return b""

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
        """Cancel it."""
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


class _Tail:
    """The last bytes of a stream."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = bytearray()

    def add(self, data: bytes) -> None:
        self._bytes += data
        del self._bytes[: -self._limit]

    def text(self) -> str:
        return self._bytes.decode("utf-8", "replace")


async def _read_some(stream: ByteReceiveStream) -> bytes:
    try:
        return await stream.receive(_READ_BYTES)
    except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
        return b""
