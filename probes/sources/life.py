"""One engine from its start to its end, as its host lives through it."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import anyio
from anyio.abc import TaskGroup

from probes.control.commands import Command, Stop, encode_command
from probes.kit.clock import Clock
from probes.sources.child import ENDED_WELL, Child, Launch
from probes.sources.lines import LineSplitter
from probes.sources.rules import HostLimits, SilenceMeter

_CANNOT_START: Final = "cannot start"


class Gate:
    """Open or closed; who listens waits while it is closed."""

    def __init__(self) -> None:
        """Begin open."""
        self._opened = anyio.Event()
        self._opened.set()

    @property
    def is_open(self) -> bool:
        """Whether one may pass."""
        return self._opened.is_set()

    def open(self) -> None:
        """Let everybody pass."""
        self._opened.set()

    def close(self) -> None:
        """Let nobody pass until opened."""
        if self._opened.is_set():
            self._opened = anyio.Event()

    async def wait(self) -> None:
        """Return as soon as it is open."""
        await self._opened.wait()


class EngineLife:
    """Starts one engine, tells it what it must know, hears it out, and sees it ended.

    `hear` takes each batch of lines. Invariant: when `run` has returned or raised, the engine is
    gone and reaped.
    """

    def __init__(
        self,
        launch: Launch,
        hear: Callable[[list[bytes]], None],
        *,
        gate: Gate,
        limits: HostLimits,
        clock: Clock,
    ) -> None:
        """Prepare a life; while `gate` is closed the engine's pipe is not read."""
        self._launch = launch
        self._hear = hear
        self._gate = gate
        self._limits = limits
        self._clock = clock
        self._meter = SilenceMeter(limits.check_s)
        self._splitter = LineSplitter(limits.line_bytes)
        self._outgoing: deque[bytes] = deque()
        self._wake = anyio.Event()
        self._stopping = anyio.Event()
        self._killed_for_silence = False
        self.last_words = ""
        """The end of its stderr, once it has ended: hostile text."""
        self.in_order = False
        """It has ended, and has told all it did before; or it never began."""

    @property
    def silent_s(self) -> float:
        """Seconds since it was last heard while we listened."""
        return self._meter.silent_s

    @property
    def oversized(self) -> int:
        """Lines thrown away because they were too long."""
        return self._splitter.oversized

    def send(self, command: Command) -> None:
        """Queue a command; returns at once."""
        self._outgoing.append(encode_command(command))
        self._wake.set()

    def stop(self) -> None:
        """Ask the engine to end; it is ended when it does not in time."""
        if not self._stopping.is_set():
            self.send(Stop())
            self._stopping.set()

    async def run(self, first: Sequence[Command]) -> str:
        """Live through it all; return how the engine ended, in words."""
        self._outgoing.extendleft(encode_command(command) for command in reversed(first))
        async with anyio.create_task_group() as tasks:
            try:
                child = await self._launch(tasks)
            except OSError as error:
                self.in_order = True
                return f"{_CANNOT_START}: {error.strerror or error}"
            try:
                await self._accompany(child)
            except BaseException:
                child.kill()
                raise
            finally:
                how = await self._end(child)
                tasks.cancel_scope.cancel()
        self.in_order = how in ENDED_WELL and not self._killed_for_silence
        return f"killed: silent for {self.silent_s:.0f} s" if self._killed_for_silence else how

    async def _accompany(self, child: Child) -> None:
        async with anyio.create_task_group() as tasks:
            self._start_helpers(tasks, child)
            await self._read(child)
            tasks.cancel_scope.cancel()

    def _start_helpers(self, tasks: TaskGroup, child: Child) -> None:
        tasks.start_soon(self._write, child)
        tasks.start_soon(self._watch_silence, child)
        tasks.start_soon(self._end_when_stopped, child)

    async def _read(self, child: Child) -> None:
        while True:
            await self._gate.wait()
            data = await child.read()
            if not data:
                return
            self._meter.heard()
            self._hear(list(self._splitter.feed(data)))

    async def _write(self, child: Child) -> None:
        while True:
            while self._outgoing:
                await child.write(self._outgoing.popleft())
            if self._stopping.is_set():
                await child.close_input()
                return
            self._wake = anyio.Event()
            await self._wake.wait()

    async def _watch_silence(self, child: Child) -> None:
        while True:
            await self._clock.sleep(self._limits.check_s)
            now_ns = self._clock.monotonic_ns()
            silent_s = self._meter.check(now_ns, listening=self._gate.is_open)
            if silent_s >= self._limits.kill_after_s:
                self._killed_for_silence = True
                child.kill()
                return

    async def _end_when_stopped(self, child: Child) -> None:
        """Cut short an engine that was asked to end and does not."""
        await self._stopping.wait()
        await self._clock.sleep(self._limits.stop_grace_s)
        child.terminate()
        await self._clock.sleep(self._limits.terminate_grace_s)
        child.kill()

    async def _end(self, child: Child) -> str:
        """See the engine gone, whatever it takes; also when we are being cancelled ourselves."""
        how = ""
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(self._limits.stop_grace_s):
                how = await child.wait()
            if not how:
                child.kill()
                how = await child.wait()
        self.last_words = child.last_words()
        return how
