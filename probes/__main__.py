"""The engine as a process: commands on standard input, events on standard output.

Started by `probes.sources` as `python -P -m probes`, in a session of its own; or, where its host is
another machine, by sshd as `llmtop engine`.

Rule 1. Only events go where events are read: standard output is moved away before anything else
        can print, and what is printed all the same goes to standard error.
Rule 2. The terminal's signals are the host's; this process ends at SIGTERM, at the end of its
        commands, or when nobody reads its events any more.
Rule 3. No descriptor blocks: a reader that has stopped must not stop a stamp.
Rule 4. For a host elsewhere nothing is taken that is secret: keys are those of this machine. Nor is
        it trusted to be there still: a way that was cut without a word leaves its pipe open, and
        nobody would end what is probed for nobody.
"""

import gc
import math
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from importlib.util import find_spec
from typing import Final, TypeAlias, TypeVar

import anyio
import msgspec

from probes import __version__
from probes.config.errors import ConfigError
from probes.config.own_machine import headers_here
from probes.control.commands import Command, Configure, decode_command
from probes.engine.engine import run_engine
from probes.kit.descriptors import raise_descriptor_limit
from probes.kit.exit_status import ExitStatus

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
MAX_COMMAND: Final = 16 * 1024 * 1024
"""The longest is `configure`, with every route's prompt in it."""
READ_BYTES: Final = 65_536
HOST_SILENT_S: Final = 60.0
"""A host says at least every 10 s what may be spent, and while its ledger hangs every 30 s."""

Fill: TypeAlias = Callable[[Configure], Configure]
"""Adds to what a host configures what is this machine's to add. Raises ConfigError."""
_Leaf = TypeVar("_Leaf", bound=BaseException)


def serve_elsewhere(*, commands: bool) -> int:
    """Run an engine whose host is another machine; return the exit status.

    Where it cannot begin, or does not understand its host, it says so on standard error, a line
    for each reason, and ends with status 2. `commands` allows the host's settings to name key
    commands.
    """

    def fill(configure: Configure) -> Configure:
        if configure.headers:
            raise ConfigError(("a host must not send headers: keys are those of this machine",))
        headers = headers_here(configure.routes, os.environ, commands=commands)
        return msgspec.structs.replace(configure, headers=headers)

    try:
        return main(fill, host_silent_s=HOST_SILENT_S)
    except* ConfigError as refused:
        lines = [line for error in _leaves(refused) for line in error.problems]
    except* msgspec.DecodeError as unread:
        # Settings are read strictly: what this version does not know would not be obeyed.
        why = next(iter(_leaves(unread)))
        lines = [f"llmtop {__version__} here does not understand its host: {why}"]
    sys.stderr.write("".join(f"llmtop: {line}\n" for line in lines))
    return ExitStatus.USAGE


def main(fill: Fill | None = None, *, host_silent_s: float = math.inf) -> int:
    """Run an engine on the standard streams; return the exit status.

    It ends, too, where its host has said nothing for `host_silent_s` seconds.
    """
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise_descriptor_limit()  # each worker has a connection of its own
    events = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)  # a stray print must not be read as an event
    os.set_blocking(events, False)
    os.set_blocking(STDIN, False)
    gc.freeze()
    gc.disable()  # passes run between batches only, never while a chunk is stamped
    anyio.run(_serve, events, fill, host_silent_s, backend_options={"use_uvloop": has_uvloop()})
    return 0


def has_uvloop() -> bool:
    """Whether the extra `fast` is installed, whose event loop spends less between two reads."""
    return find_spec("uvloop") is not None


class CommandReader:
    """The commands on standard input, until EOF, silence or `end`."""

    def __init__(self, fill: Fill | None = None, host_silent_s: float = math.inf) -> None:
        self._fill = fill
        self._host_silent_s = host_silent_s
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
                command = decode_command(line)
                if self._fill is not None and isinstance(command, Configure):
                    # Blocks where a key command does: nothing is probed yet.
                    command = self._fill(command)
                yield command

    async def _read(self) -> bytes:
        with anyio.move_on_after(self._host_silent_s) as self._waiting:
            if self._ended:
                return b""
            await anyio.wait_readable(STDIN)
            return os.read(STDIN, READ_BYTES)
        if not self._ended:
            sys.stderr.write(f"the host has said nothing for {self._host_silent_s:g} s\n")
        return b""


async def _serve(events: int, fill: Fill | None, host_silent_s: float) -> None:
    async def write(batch: bytes) -> None:
        await _write_all(events, batch)

    reader = CommandReader(fill, host_silent_s)
    if fill is not None:
        # A login's own files may have printed something, and no end of line: it is not ours.
        await write(b"\n")
    async with anyio.create_task_group() as group:
        group.start_soon(_end_on_sigterm, reader)
        try:
            await run_engine(reader.commands(), write)
        except* BrokenPipeError:
            reader.end()  # the host is gone: nobody is left to report to
        group.cancel_scope.cancel()


def _leaves(group: BaseExceptionGroup[_Leaf]) -> list[_Leaf]:
    """Return the exceptions of a group, however deep they lie in it."""
    found: list[_Leaf] = []
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            found += _leaves(error)
        else:
            found.append(error)
    return found


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
