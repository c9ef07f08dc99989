"""The engine as a process: commands on standard input, events on standard output.

Started by `probes.sources` as `python -P -m probes`, in a session of its own.

Rule 1. Only events go where events are read: standard output is moved away before anything else
        can print, and what is printed all the same goes to standard error.
Rule 2. The terminal's signals are the host's; this process ends at SIGTERM, at the end of its
        commands, or when nobody reads its events any more.
Rule 3. No descriptor blocks: a reader that has stopped must not stop a stamp.
"""

import gc
import os
import signal
import sys
from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import Final

import anyio

from probes.control.commands import Command, decode_command
from probes.engine.engine import run_engine
from probes.kit.descriptors import raise_descriptor_limit

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
MAX_COMMAND: Final = 16 * 1024 * 1024
"""The longest is `configure`, with every route's prompt in it."""
READ_BYTES: Final = 65_536


def main() -> int:
    """Run an engine on the standard streams; return the exit status."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise_descriptor_limit()  # each worker has a connection of its own
    events = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)  # a stray print must not be read as an event
    os.set_blocking(events, False)
    os.set_blocking(STDIN, False)
    gc.freeze()
    gc.disable()  # passes run between batches only, never while a chunk is stamped
    anyio.run(_serve, events, backend_options={"use_uvloop": has_uvloop()})
    return 0


def has_uvloop() -> bool:
    """Whether the extra `fast` is installed, whose event loop spends less between two reads."""
    return find_spec("uvloop") is not None


class CommandReader:
    """The commands on standard input, until EOF or `end`."""

    def __init__(self) -> None:
        self._buffer = b""
        self._ended = False
        self._waiting = anyio.CancelScope()

    def end(self) -> None:
        """Behave as at EOF."""
        self._ended = True
        self._waiting.cancel()

    async def commands(self) -> AsyncIterator[Command]:
        """Give the commands as their lines come."""
        while data := await self._read():
            *lines, self._buffer = (self._buffer + data).split(b"\n")
            if len(self._buffer) > MAX_COMMAND:
                raise ValueError(f"a command is longer than {MAX_COMMAND} bytes")
            for line in filter(None, lines):
                yield decode_command(line)

    async def _read(self) -> bytes:
        with anyio.CancelScope() as self._waiting:
            if self._ended:
                return b""
            await anyio.wait_readable(STDIN)
            return os.read(STDIN, READ_BYTES)
        return b""


async def _serve(events: int) -> None:
    async def write(batch: bytes) -> None:
        await _write_all(events, batch)

    reader = CommandReader()
    async with anyio.create_task_group() as group:
        group.start_soon(_end_on_sigterm, reader)
        try:
            await run_engine(reader.commands(), write)
        except* BrokenPipeError:
            reader.end()  # the host is gone: nobody is left to report to
        group.cancel_scope.cancel()


async def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        await anyio.wait_writable(descriptor)
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            continue


async def _end_on_sigterm(reader: CommandReader) -> None:
    with anyio.open_signal_receiver(signal.SIGTERM) as signals:
        async for _ in signals:
            reader.end()


if __name__ == "__main__":
    sys.exit(main())
