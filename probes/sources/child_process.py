"""An engine in a process and a session of its own: its figures do not suffer from a busy screen."""

import os
import site
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import ByteReceiveStream, Process, TaskGroup

from probes.kit.child_environment import child_environment
from probes.sources.supervised import READ_BYTES, Child

PACKAGE_ROOT: Final = Path(__file__).absolute().parents[2]
"""The folder that `probes` is imported from."""

_STDERR_BYTES: Final = 64 << 10
"""Kept of what an engine says beside the stream: the end of it tells why it died."""
_DRAIN_S: Final = 0.2
"""Stderr of a dead engine is at its end at once, unless a process of its own still holds it."""


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
    paths = sysconfig.get_paths()
    installed = [paths["purelib"], paths["platlib"], *site.getsitepackages()]
    if package_root not in {Path(root).absolute() for root in installed} or entries:
        entries.insert(0, str(package_root))
    environment.pop("PYTHONPATH", None)
    if entries:
        environment["PYTHONPATH"] = os.pathsep.join(entries)
    return environment


async def launch_process(
    tasks: TaskGroup,
    *,
    argv: Sequence[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Child:
    """Start an engine.

    Raises:
        OSError: the process cannot be started.
    """
    if environment is None:  # keys come by its pipe
        environment = engine_environment(child_environment(os.environ))
    process = await anyio.open_process(
        argv or engine_argv(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        # Ctrl-C in the terminal is for us, who end it in order.
        start_new_session=True,
    )
    child = _ProcessChild(process)
    tasks.start_soon(child.drain_stderr)
    return child


class _ProcessChild:
    """One life of an engine that is a process."""

    def __init__(self, process: Process) -> None:
        """Own a started process with its three pipes."""
        self._process = process
        self._words = bytearray()
        self._drained = anyio.Event()

    async def drain_stderr(self) -> None:
        """Read stderr to its end, so that the engine never blocks on it; keep its tail."""
        if self._process.stderr is not None:
            while data := await _read_some(self._process.stderr):
                self._words += data
                del self._words[:-_STDERR_BYTES]
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
                return  # it was dead already; closing flushes what it never read

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
        # What it said last is often why it died, and is still in the pipe.
        with anyio.move_on_after(_DRAIN_S):
            await self._drained.wait()
        await self._process.aclose()
        return f"killed by signal {-code}" if code < 0 else f"exit status {code}"

    def last_words(self) -> str:
        """Return the end of its stderr."""
        return self._words.decode("utf-8", "replace")


async def _read_some(stream: ByteReceiveStream) -> bytes:
    try:
        return await stream.receive(READ_BYTES)
    except (anyio.EndOfStream, anyio.ClosedResourceError, anyio.BrokenResourceError):
        return b""
