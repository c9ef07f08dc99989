"""An engine that is started, listened to, and started again when it dies.

Rule 1: one life of an engine after another, never two at once; when `run` has returned or raised
the engine is gone and reaped.
Rule 2: what a dead engine left open is ended in its place, so that the stream stays whole.
Rule 3: whatever it writes, memory is bounded: a line that is too long, or no event, is counted.
Rule 4: an engine that speaks a newer schema than ours is refused before anything of it is passed
on: what it means otherwise than we do would be believed.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

import anyio
import msgspec
from anyio.abc import TaskGroup

from probes.control.commands import Command, Stop, encode_command
from probes.control.status import HostState, HostStatus
from probes.events import (
    DURABLE_TYPES,
    SCHEMA_VERSION,
    AttemptFinished,
    AttemptStarted,
    Event,
    FirstToken,
    Held,
    Hello,
    Notice,
    ProbeFinished,
    StampLadder,
    decode_event,
    durable_lines,
    encode_event,
)
from probes.kit.clock import Clock, SystemClock, seconds
from probes.kit.sanitise import neutralise
from probes.kit.signals import first_of
from probes.sources.rules import HostLimits, ReadRate, RestartPolicy, SilenceMeter
from probes.sources.source import Receive

ENDED_WELL: Final = ("exit status 0", "ended")
"""How an engine ends that has told all there is to tell."""
_LAST_WORDS_CHARACTERS: Final = 2_000
"""As much as a screen shows of a traceback: its end says what went wrong."""
_NOISE_CHARACTERS: Final = 200
READ_BYTES: Final = 64 << 10
"""The most that is read at once: as much as a pipe of Linux holds."""


class Child(Protocol):
    """One engine at the other end of two pipes: bytes out, bytes in, an end."""

    async def read(self) -> bytes:
        """Return what the engine wrote since; empty when it will write no more.

        Where that is `READ_BYTES` or more, there may be more at once.
        """
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


class EngineEnd(msgspec.Struct, frozen=True):
    """How an engine ended, for a person and for whoever starts the next."""

    words: str
    starts_again: Literal["limited", "always", "never"] = "limited"
    """`limited`: until it has died too often; `always`: it is the way to it that failed; `never`:
    another would end in the same way, until a person mends that."""


Explain: TypeAlias = Callable[[str, str], EngineEnd]
"""Given how an engine ended and its last words (hostile text, made presentable), what that means.
"""


def plain_end(how: str, _last_words: str) -> EngineEnd:
    """Return how an engine of this machine ended."""
    return EngineEnd(f"the engine ended: {how}")


Launch: TypeAlias = Callable[[TaskGroup], Awaitable[Child]]
"""Start an engine whose helper tasks live in the group. Raises OSError where it cannot start."""


class EngineWay(NamedTuple):
    """How an engine is reached: what starts it, what its ends mean, how patient one is with it."""

    launch: Launch
    explain: Explain = plain_end
    limits: HostLimits | None = None
    decode: Callable[[bytes], Event] = decode_event
    """Reads a line of it."""


Prepare: TypeAlias = Callable[[str], Awaitable[Sequence[Command]]]
"""Given a new engine's id, what it must be told first: Configure, the wanted state, Go."""


class SupervisedEngine:
    """Keeps one engine running; commands go in, events come out, whatever becomes of it.

    `run` returns after `stop`; cancelling it kills the engine. Nothing is left behind either way.
    """

    def __init__(
        self,
        prepare: Prepare,
        receive: Receive,
        *,
        launch: Launch,
        limits: HostLimits | None = None,
        clock: Clock | None = None,
        scrub: Callable[[str], str] = str,
        explain: Explain = plain_end,
        decode: Callable[[bytes], Event] = decode_event,
    ) -> None:
        """Prepare to run it; `scrub` takes secrets out of what it says beside the stream,
        `explain` says what an end of it means, and `decode` reads a line of the stream."""
        self._prepare = prepare
        self._receive = receive
        self._launch = launch
        self._limits = limits or HostLimits()
        self._clock = clock or SystemClock()
        self._scrub = scrub
        self._explain = explain
        self._decode = decode
        self._policy = RestartPolicy(self._limits)
        self._open = OpenWork()
        self._reading = _ReadGate(self._clock)
        self._life: _EngineLife | None = None
        self._lives = 0
        self._stopping = anyio.Event()
        self._retry = anyio.Event()
        self._state: HostState = "starting"
        self._since_ns = self._clock.monotonic_ns()
        self._last_words = ""
        self._detail = ""
        self._last_end = ""
        self._noise = 0
        self._restart_announced = False
        self._in_order = True
        self._refusal = ""
        """Why the engine that lives is not listened to; empty where it is."""
        self._is_slowed = False
        self._renewing = ""
        """Why the engine that lives is to be followed by another; empty where it is not."""

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
            end=self._last_end,
            noise=self._noise + (self._life.oversized if self._life else 0),
        )

    def send(self, command: Command) -> None:
        """Pass a command to the engine; without one it is gone: the wanted state outlives it."""
        if self._life is not None:
            self._life.send(command)

    def hold(self) -> None:
        """Stop reading the engine's pipe: its own rule for a reader that stops applies."""
        if not self._stopping.is_set():
            self._reading.close()

    def release(self) -> None:
        """Read on."""
        self._reading.open()

    def gather(self, for_s: float) -> None:
        """Read the pipe every so many seconds only, all that came since: each waking up costs as
        much as the reading does. Stamps are the engine's, and what it could not write waits there.
        """
        self._reading.gather(for_s)

    def retry(self) -> None:
        """Start an engine now, after giving up or amid a back-off."""
        self._policy.forget()
        self._retry.set()

    def renew(self, why: str) -> None:
        """End the engine in order and start another, at once unless that one has hardly lived."""
        if self._life is not None and not self._renewing:
            self._renewing = why
            self._life.stop()

    def stop(self) -> None:
        """End the engine in order; `run` returns when it has."""
        self._stopping.set()
        self._reading.open()
        self._reading.gather(0.0)
        if self._life is not None:
            self._life.stop()

    async def run(self) -> None:
        """Keep an engine running until `stop`."""
        try:
            while not self._stopping.is_set():
                started_ns = self._clock.monotonic_ns()
                how = await self._live()
                if not self._stopping.is_set():
                    await self._back_off(how, seconds(self._clock.monotonic_ns() - started_ns))
        finally:
            self._enter("stopped")

    async def _live(self) -> str:
        """Run one engine to its end; return how it ended."""
        self._lives += 1
        self._refusal = ""
        self._enter("starting")
        first = await self._prepare(str(self._lives))
        if self._stopping.is_set():
            return "stopped"
        self._is_slowed = False
        life = _EngineLife(
            self._launch,
            self._hear,
            slowed=self._note_slowed,
            reading=self._reading,
            limits=self._limits,
            clock=self._clock,
        )
        self._life = life
        try:
            return await life.run(first)
        except BaseException:
            self._stopping.set()  # we are ending: the engine did not die of itself
            raise
        finally:
            self._life = None
            # Before what it left open is ended: whoever hears that asks whether it is all.
            self._in_order = life.in_order
            self._noise += life.oversized
            self._last_words = self._presentable(life.last_words)[-_LAST_WORDS_CHARACTERS:]
            ends = self._stopping.is_set() or bool(self._renewing)
            endings = self._open.end_all("stopped" if ends else "engine_died")
            if endings:
                self._deliver(endings)

    async def _back_off(self, how: str, lived_s: float) -> None:
        """Say that the engine died; return when the next is due, or asked for."""
        wait_s, self._last_end = self._next_start(how, lived_s)
        self._detail = self._last_end
        if wait_s:
            self._detail = f"{self._last_end}; restart in {wait_s:g} s"
        last_line = self._last_words.rpartition("\n")[2]
        detail = f"{self._detail}: {last_line}" if last_line else self._detail
        self._restart_announced = True
        self._deliver([Held(at_ns=self._open.last_ns, reason="restarting", detail=detail)])
        self._enter("gave_up" if wait_s is None else "restarting")
        self._retry = anyio.Event()  # a wish from before this death has been granted
        due = [] if wait_s is None else [partial(self._clock.sleep, wait_s)]
        await first_of(self._stopping.wait, self._retry.wait, *due)

    def _next_start(self, how: str, lived_s: float) -> tuple[float | None, str]:
        """Return after how many seconds the next engine is due, None for never, and how this one
        ended."""
        if self._renewing:
            why, self._renewing = self._renewing, ""
            return self._policy.renewed(lived_s), f"the engine begins anew: {why}"
        if self._refusal:
            return None, self._refusal
        end = self._explain(how, self._last_words)
        if self._last_words.rstrip(".") in end.words:
            self._last_words = ""  # nobody has to read it twice
        if end.starts_again == "never":
            return None, end.words
        if end.starts_again == "always":
            return self._policy.lost(lived_s), end.words
        return self._policy.died(self._clock.monotonic_ns(), lived_s), end.words

    def _deliver(self, events: list[Event]) -> None:
        """Put events of our own into the stream."""
        for event in events:
            self._open.fold(event)
        self._receive(events, durable_lines(events))

    def _hear(self, lines: list[bytes]) -> None:
        """Take lines of the pipe: events go on, anything else is noise."""
        events: list[Event] = []
        durable: list[bytes] = []
        for line in lines:
            if self._refusal:
                break
            if not line:
                continue  # what an engine elsewhere begins with
            try:
                event = self._decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self._noise += 1
                text = self._presentable(line[: 4 * _NOISE_CHARACTERS].decode("utf-8", "replace"))
                self._detail = f"not an event: {text[:_NOISE_CHARACTERS]}"
                continue
            if isinstance(event, Hello) and event.schema > SCHEMA_VERSION:
                self._refuse(event)
                break
            self._open.fold(event)
            events.append(event)
            if isinstance(event, DURABLE_TYPES):
                # As it came: what is written down is what was sent, byte for byte.
                durable.append(line + b"\n")
            if isinstance(event, Hello):
                self._greet(event, events, durable)
        if events:
            self._receive(events, b"".join(durable))

    def _refuse(self, hello: Hello) -> None:
        """End an engine whose events mean what we do not know."""
        version = neutralise(hello.version, 40)
        self._refusal = (
            f"the engine is of llmtop {version}, whose events have schema {hello.schema}; "
            f"this one reads up to {SCHEMA_VERSION}: upgrade it"
        )
        if self._life is not None:
            self._life.cut_short()

    def _note_slowed(self) -> None:
        """Say once in a life that there is more of it than is read."""
        if not self._is_slowed:
            self._is_slowed = True
            rate = f"{self._limits.bytes_per_s / 1e6:g} MB"
            text = f"the engine says more than {rate} a second: it is read no faster"
            self._deliver([Notice(at_ns=self._open.last_ns, route="", text=text)])

    def _greet(self, hello: Hello, events: list[Event], durable: list[bytes]) -> None:
        self._enter("running")
        if self._life is not None:
            self._life.is_greeted = True
        self._detail = self._last_end  # the wait for its restart is over, why it died is not
        if self._restart_announced:
            self._restart_announced = False
            released = Held(at_ns=hello.at_ns, reason="restarting", released=True)
            events.append(released)
            durable.append(encode_event(released))

    def _presentable(self, text: str) -> str:
        """Return hostile text without secrets, its lines kept, fit for a screen."""
        return "\n".join(neutralise(line) for line in self._scrub(text).rstrip().splitlines())

    def _enter(self, state: HostState) -> None:
        if state != self._state:
            self._state = state
            self._since_ns = self._clock.monotonic_ns()


class _EngineLife:
    """Starts one engine, tells it what it must know, hears it out, and sees it ended."""

    def __init__(
        self,
        launch: Launch,
        hear: Callable[[list[bytes]], None],
        *,
        slowed: Callable[[], object],
        reading: "_ReadGate",
        limits: HostLimits,
        clock: Clock,
    ) -> None:
        """Prepare a life; while `reading` is closed the engine's pipe is not read, and `slowed`
        hears each time that it is read more slowly than it says things."""
        self._slowed = slowed
        self._launch = launch
        self._hear = hear
        self._reading = reading
        self._limits = limits
        self._clock = clock
        self._meter = SilenceMeter(limits.check_s)
        self._splitter = LineSplitter(limits.line_bytes)
        self._rate = ReadRate(limits.bytes_per_s)
        self._outgoing: deque[bytes] = deque()
        self._wake = anyio.Event()
        self._stopping = anyio.Event()
        self._killed_for_silence = False
        self._killed_unknown = False
        self._child: Child | None = None
        self.is_greeted = False
        """It has introduced itself."""
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

    def cut_short(self) -> None:
        """End the engine now; what it still says is not wanted."""
        if self._child is not None:
            self._child.kill()

    async def run(self, first: Sequence[Command]) -> str:
        """Live through it all; return how the engine ended, in words."""
        # Commands that were sent while it was prepared come after what it is told first.
        self._outgoing.extendleft(encode_command(command) for command in reversed(first))
        async with anyio.create_task_group() as tasks:
            try:
                self._child = child = await self._launch(tasks)
            except OSError as error:
                self.in_order = True  # what never began has done nothing
                return f"cannot start: {error.strerror or error}"
            try:
                async with anyio.create_task_group() as helpers:
                    helpers.start_soon(self._write, child)
                    helpers.start_soon(self._watch_silence, child)
                    helpers.start_soon(self._end_when_stopped, child)
                    await self._read(child)
                    helpers.cancel_scope.cancel()
            except BaseException:
                child.kill()  # we are cancelled: nobody will be there to hear it end in order
                raise
            finally:
                how = await self._end(child)
                tasks.cancel_scope.cancel()
        self.in_order = how in ENDED_WELL and not self._killed_for_silence
        if self._killed_unknown:
            return f"killed: no hello within {self._limits.hello_within_s:g} s"
        return f"killed: silent for {self.silent_s:.0f} s" if self._killed_for_silence else how

    async def _read(self, child: Child) -> None:
        while True:
            await self._reading.wait()
            data = await child.read()
            if not data:
                return
            self._meter.heard()
            lines = list(self._splitter.feed(data))
            self._hear(lines)
            rest_s = self._rate.rest_s(len(data), len(lines), self._clock.monotonic_ns())
            if rest_s:
                self._slowed()
                await self._clock.sleep(rest_s)
            elif len(data) < READ_BYTES:
                await self._reading.rest()

    async def _write(self, child: Child) -> None:
        while True:
            while self._outgoing:
                await child.write(self._outgoing.popleft())
            if self._stopping.is_set():
                # Its end of input ends an engine, too, which does not get so far as to read `stop`.
                await child.close_input()
                return
            self._wake = anyio.Event()
            await self._wake.wait()

    async def _watch_silence(self, child: Child) -> None:
        began_ns = self._clock.monotonic_ns()
        while True:
            await self._clock.sleep(self._limits.check_s)
            now_ns = self._clock.monotonic_ns()
            if not self.is_greeted and seconds(now_ns - began_ns) > self._limits.hello_within_s:
                self._killed_unknown = True
                child.kill()
                return
            silent_s = self._meter.check(now_ns, listening=self._reading.is_open)
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


class _ReadGate:
    """Open or closed; who reads waits while it is closed, and rests after each reading if told."""

    def __init__(self, clock: Clock) -> None:
        """Begin open, and without rests."""
        self._clock = clock
        self._opened = anyio.Event()
        self._opened.set()
        self._rest_s = 0.0
        self._resting: anyio.CancelScope | None = None

    @property
    def is_open(self) -> bool:
        """Whether one may read."""
        return self._opened.is_set()

    def open(self) -> None:
        """Let the reader go on."""
        self._opened.set()

    def close(self) -> None:
        """Let nobody read until opened."""
        if self._opened.is_set():
            self._opened = anyio.Event()

    async def wait(self) -> None:
        """Return as soon as it is open.

        Where it is, the loop is not asked to go round once more: that would be once a batch.
        """
        if not self._opened.is_set():
            await self._opened.wait()

    def gather(self, for_s: float) -> None:
        """Let who reads rest for so long each time; a rest that has begun ends."""
        self._rest_s = for_s
        if self._resting is not None:
            self._resting.cancel()

    async def rest(self) -> None:
        """Return when the next reading is due."""
        if self._rest_s:
            with anyio.CancelScope() as self._resting:  # no task: this comes twice a second
                await self._clock.sleep(self._rest_s)
            self._resting = None


class LineSplitter:
    """Cuts a byte stream at newlines; a line above the bound is thrown away and counted."""

    def __init__(self, limit: int) -> None:
        """Keep at most `limit` bytes of an unfinished line."""
        self._limit = limit
        self._rest = bytearray()
        self._skipping = False
        self.oversized = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield each line that `data` completes, without its newline."""
        *complete, rest = data.split(b"\n")
        for part in complete:
            if self._skipping:
                self._skipping = False  # the end of one that was thrown away already
                continue
            line = bytes(self._rest) + part if self._rest else part
            self._rest.clear()
            if len(line) > self._limit:
                self.oversized += 1
            else:
                yield line
        if self._skipping:
            return
        self._rest += rest
        if len(self._rest) > self._limit:
            self._rest.clear()
            self._skipping = True
            self.oversized += 1


OPEN_KEPT: Final = 20_000
"""Twenty routes at the most concurrency that settings can have."""


class _UnfinishedProbe(msgspec.Struct, frozen=True):
    """A probe that has begun, and its attempt where one is open."""

    first: AttemptStarted
    attempts: int
    open: AttemptStarted | None
    first_token_ns: int | None = None


class OpenWork:
    """Folds the stream into the probes that are open: no more of them than `OPEN_KEPT`, whatever
    an engine says that it has begun."""

    def __init__(self) -> None:
        """Begin with nothing open."""
        self._probes: dict[str, _UnfinishedProbe] = {}
        self.last_ns = 0
        """Time of the last event: the last thing known of the engine's clock."""

    def fold(self, event: Event) -> None:
        """Take one event of the stream."""
        self.last_ns = max(self.last_ns, event.at_ns)
        match event:
            case Hello():
                # Its machine may have started anew: then its clock has, and stands far behind.
                self.last_ns = event.at_ns
            case AttemptStarted():
                known = self._probes.get(event.probe)
                if known is None and len(self._probes) >= OPEN_KEPT:
                    return
                first = known.first if known else event
                self._probes[event.probe] = _UnfinishedProbe(first, event.attempt + 1, event)
            case FirstToken():
                # A probe that dies after it had output was felt by its user to have begun.
                known = self._probes.get(event.probe)
                if known is not None and known.open is not None:
                    self._probes[event.probe] = msgspec.structs.replace(
                        known, first_token_ns=event.at_ns
                    )
            case AttemptFinished():
                known = self._probes.get(event.probe)
                if known is not None:
                    self._probes[event.probe] = msgspec.structs.replace(known, open=None)
            case ProbeFinished():
                self._probes.pop(event.probe, None)
            case _:
                pass

    def end_all(self, reason: str) -> list[Event]:
        """Return the endings of everything open, in the order it began; nothing is open then.

        A stream whose usage will never come keeps its whole reservation as spending.
        """
        endings: list[Event] = []
        for name, probe in self._probes.items():
            if probe.open is not None:
                endings.append(_end_attempt(probe.open, probe.first_token_ns, self.last_ns, reason))
            endings.append(_end_probe(name, probe, self.last_ns, reason))
        self._probes.clear()
        return endings


def _end_attempt(
    started: AttemptStarted, first_token_ns: int | None, at_ns: int, reason: str
) -> AttemptFinished:
    return AttemptFinished(
        at_ns=at_ns,
        route=started.route,
        probe=started.probe,
        attempt=started.attempt,
        outcome="cancelled",
        reason=reason,
        stamps_ns=StampLadder(
            scheduled=started.scheduled_ns,
            admitted=started.admitted_ns,
            started=started.at_ns,
            first_token=first_token_ns,
            ended=at_ns,
        ),
        cohort=started.cohort,
        charged_tokens=started.reserved_tokens,
        charged_usd=started.reserved_usd,
        reserved_tokens=started.reserved_tokens,
        evidence=started.evidence,
    )


def _end_probe(name: str, probe: _UnfinishedProbe, at_ns: int, reason: str) -> ProbeFinished:
    return ProbeFinished(
        at_ns=at_ns,
        route=probe.first.route,
        probe=name,
        outcome="cancelled",
        reason=reason,
        attempts=probe.attempts,
        started_ns=probe.first.at_ns,
        scheduled_ns=probe.first.scheduled_ns,
        first_token_ns=probe.first_token_ns,
        cohort=probe.first.cohort,
        evidence=probe.first.evidence,
    )
