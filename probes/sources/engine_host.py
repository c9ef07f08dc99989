"""The engine's host: starts it, listens to it, tells when it is silent, and starts it again.

One life of an engine after another; what a dead one left open is ended in its place, so that the
stream stays whole.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, TypeAlias

import anyio
import msgspec

from probes.control.commands import Command
from probes.control.status import HostState, HostStatus
from probes.events import DURABLE_TYPES, Event, Held, Hello, decode_event, encode_event
from probes.kit.clock import Clock, SystemClock, seconds
from probes.kit.sanitise import neutralise
from probes.sources.child import Launch, RunEngine, launch_inline, launch_process
from probes.sources.life import EngineLife, Gate
from probes.sources.orphans import OpenWork
from probes.sources.rules import HostLimits, RestartPolicy
from probes.sources.source import Receive

Prepare: TypeAlias = Callable[[str], Awaitable[Sequence[Command]]]
"""Given a new engine's id, what it must be told first: Configure, what is wanted, Go."""

_LAST_WORDS_CHARACTERS: Final = 2_000
_NOISE_CHARACTERS: Final = 200


class EngineHost:
    """Owns the engine's process; commands go in, events come out, whatever becomes of it.

    `run` returns after `stop`; cancelling it kills the engine. Nothing is left behind either way.
    """

    def __init__(
        self,
        prepare: Prepare,
        receive: Receive,
        *,
        launch: Launch = launch_process,
        limits: HostLimits | None = None,
        clock: Clock | None = None,
        scrub: Callable[[str], str] = str,
    ) -> None:
        """Prepare a host; `scrub` takes secrets out of what an engine says beside the stream."""
        self._prepare = prepare
        self._receive = receive
        self._launch = launch
        self._limits = limits or HostLimits()
        self._clock = clock or SystemClock()
        self._scrub = scrub
        self._policy = RestartPolicy(self._limits)
        self._open = OpenWork()
        self._gate = Gate()
        self._life: EngineLife | None = None
        self._lives = 0
        self._stopping = anyio.Event()
        self._retry = anyio.Event()
        self._state: HostState = "starting"
        self._since_ns = self._clock.monotonic_ns()
        self._last_words = ""
        self._detail = ""
        self._last_end = ""
        self._noise = 0
        self._oversized = 0
        self._restart_announced = False
        self._in_order = True

    @property
    def in_order(self) -> bool:
        """Whether the last engine has told all it did before it ended; so where there was none."""
        return self._in_order

    @property
    def status(self) -> HostStatus:
        """How the engine is now."""
        silent_s = self._life.silent_s if self._life else 0.0
        silent = self._life is not None and silent_s >= self._limits.silent_after_s
        in_state_s = seconds(self._clock.monotonic_ns() - self._since_ns)
        return HostStatus(
            state="silent" if silent else self._state,
            since_s=silent_s if silent else in_state_s,
            silent_s=silent_s,
            restarts=max(0, self._lives - 1),
            last_words=self._last_words,
            detail=self._detail,
            noise=self._noise + self._oversized + (self._life.oversized if self._life else 0),
        )

    def send(self, command: Command) -> None:
        """Pass a command to the engine; without one it is gone: what is wanted outlives it."""
        if self._life is not None:
            self._life.send(command)

    def hold(self) -> None:
        """Stop reading the engine's pipe: its own rule for a reader that stops applies."""
        if not self._stopping.is_set():
            self._gate.close()

    def release(self) -> None:
        """Read on."""
        self._gate.open()

    def retry(self) -> None:
        """Start an engine now, after giving up or amid a back-off."""
        self._policy.forget()
        self._retry.set()

    def stop(self) -> None:
        """End the engine in order; `run` returns when it has."""
        self._stopping.set()
        self._gate.open()
        if self._life is not None:
            self._life.stop()

    async def run(self) -> None:
        """Keep an engine running until `stop`."""
        try:
            while not self._stopping.is_set():
                started_ns = self._clock.monotonic_ns()
                how = await self._live()
                if not self._stopping.is_set():
                    await self._mourn(how, seconds(self._clock.monotonic_ns() - started_ns))
        finally:
            self._enter("stopped")

    async def _live(self) -> str:
        """Run one engine to its end; return how it ended."""
        self._lives += 1
        self._enter("starting")
        first = await self._prepare(str(self._lives))
        if self._stopping.is_set():
            return "stopped"
        life = EngineLife(
            self._launch, self._hear, gate=self._gate, limits=self._limits, clock=self._clock
        )
        self._life = life
        try:
            return await life.run(first)
        except BaseException:
            self._stopping.set()  # we are ending: the engine did not die of itself
            raise
        finally:
            self._life = None
            self._in_order = life.in_order
            self._oversized += life.oversized
            self._last_words = self._presentable(life.last_words)[-_LAST_WORDS_CHARACTERS:]
            self._end_open_work()

    async def _mourn(self, how: str, lived_s: float) -> None:
        """Say that the engine died; return when the next is due."""
        wait_s = self._policy.died(self._clock.monotonic_ns(), lived_s)
        what = f"the engine ended: {how}"
        self._last_end = what
        self._detail = f"{what}; restart in {wait_s:g} s" if wait_s is not None else what
        self._announce_restart()
        self._enter("gave_up" if wait_s is None else "restarting")
        self._retry = anyio.Event()
        async with anyio.create_task_group() as tasks:
            for wake in (self._stopping.wait, self._retry.wait):
                tasks.start_soon(_cancel_after, wake, tasks.cancel_scope)
            if wait_s is not None:
                await self._clock.sleep(wait_s)
                tasks.cancel_scope.cancel()

    def _announce_restart(self) -> None:
        last_line = self._last_words.rpartition("\n")[2]
        detail = f"{self._detail}: {last_line}" if last_line else self._detail
        self._restart_announced = True
        self._deliver([Held(at_ns=self._open.last_ns, reason="restarting", detail=detail)])

    def _end_open_work(self) -> None:
        endings = self._open.end_all("stopped" if self._stopping.is_set() else "engine_died")
        if endings:
            self._deliver(endings)

    def _deliver(self, events: list[Event]) -> None:
        """Put events of our own into the stream."""
        for event in events:
            self._open.fold(event)
        self._receive(events, b"".join(encode_event(event) for event in events))

    def _hear(self, lines: list[bytes]) -> None:
        """Take lines of the pipe: events go on, anything else is noise."""
        events: list[Event] = []
        durable: list[bytes] = []
        for line in lines:
            try:
                event = decode_event(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._note_noise(line)
                continue
            self._open.fold(event)
            events.append(event)
            if isinstance(event, DURABLE_TYPES):
                durable.append(line + b"\n")
            if isinstance(event, Hello):
                self._greet(event, events, durable)
        if events:
            self._receive(events, b"".join(durable))

    def _greet(self, hello: Hello, events: list[Event], durable: list[bytes]) -> None:
        self._enter("running")
        self._detail = self._last_end
        if self._restart_announced:
            self._restart_announced = False
            released = Held(at_ns=hello.at_ns, reason="restarting", released=True)
            events.append(released)
            durable.append(encode_event(released))

    def _note_noise(self, line: bytes) -> None:
        self._noise += 1
        text = self._presentable(line[: 4 * _NOISE_CHARACTERS].decode("utf-8", "replace"))
        self._detail = f"not an event: {text[:_NOISE_CHARACTERS]}"

    def _presentable(self, text: str) -> str:
        """Return hostile text without secrets, its lines kept, fit for a screen."""
        return "\n".join(neutralise(line) for line in self._scrub(text).rstrip().splitlines())

    def _enter(self, state: HostState) -> None:
        if state != self._state:
            self._state = state
            self._since_ns = self._clock.monotonic_ns()


class InProcessHost(EngineHost):
    """A host whose engine runs in the same loop: for tests, debugging and Windows."""

    def __init__(
        self,
        prepare: Prepare,
        receive: Receive,
        *,
        run_engine: RunEngine,
        limits: HostLimits | None = None,
        clock: Clock | None = None,
        scrub: Callable[[str], str] = str,
    ) -> None:
        """Prepare a host that runs `run_engine`, started anew after each death, as a task."""
        clock = clock or SystemClock()
        super().__init__(
            prepare,
            receive,
            launch=partial(launch_inline, run_engine=run_engine, clock=clock),
            limits=limits,
            clock=clock,
            scrub=scrub,
        )


async def _cancel_after(wait: Callable[[], Awaitable[object]], scope: anyio.CancelScope) -> None:
    await wait()
    scope.cancel()
