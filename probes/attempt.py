"""One HTTP exchange: from the first network act to the last byte, under three clocks.

The measuring loop stamps, counts and hands bytes on; it formats nothing and touches no disk.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, Protocol

import anyio
import httpx

from probes.answer import Answer, AnswerReader, Ending, Progress, failed_before_answer
from probes.clock import NS_PER_S, Clock
from probes.config import Timeouts
from probes.dialects.base import Dialect
from probes.events import StampLadder, TtftKind
from probes.health import GapWatch
from probes.retry import STALE_CONNECTION
from probes.transport import Request, Transport

__all__ = ["Attempt", "AttemptResult", "Listener", "Watchdog"]

LINGER_S: Final = 1.0
"""A body left open this long after its terminal signal is closed by us."""

MOST_SLACK_S: Final = 0.1
"""A stall that aborts is noticed so much too late at most."""

MAX_CHUNK_OFFSETS: Final = 20_000

Phase = Literal["connect", "first_token", "stall", "total", "linger", "cancelled"]


class Listener(Protocol):
    """Is told what happens on the wire while it happens; must return at once."""

    def on_started(self, at_ns: int) -> None:
        """The first network act."""
        ...

    def on_first_token(self, at_ns: int, kind: TtftKind) -> None:
        """The first output delta."""
        ...

    def on_output(self, progress: Progress, at_ns: int) -> None:
        """A read that carried output."""
        ...


class Watchdog:
    """The deadline of an attempt, moved along with its phase."""

    def __init__(self, timeouts: Timeouts) -> None:
        self.scope = anyio.CancelScope()
        self.phase: Phase = "connect"
        """What the deadline stands for: the stage, or `total` where that comes first."""
        self._stage: Phase = "connect"
        self._timeouts = timeouts
        self._slack = min(MOST_SLACK_S, timeouts.stall / 50)
        self._moved = 0.0
        now = anyio.current_time()
        self._first_token_at = now + timeouts.first_token
        self._total = now + timeouts.total
        self._move("connect", timeouts.connect)

    def connected(self) -> None:
        """From now on the first output delta is due, counted from `started`."""
        if self._stage == "connect":
            self._move("first_token", self._first_token_at - anyio.current_time())

    def started(self) -> None:
        """The first network act: the clocks run from here."""
        now = anyio.current_time()
        self._first_token_at = now + self._timeouts.first_token
        self._total = now + self._timeouts.total
        self._move("connect", self._timeouts.connect)

    def output(self) -> None:
        """An output chunk came: the next is due.

        Moving a deadline costs more than all else that is done for a chunk, so it is set a little
        late and then left alone for that while: a stall is noticed within its time plus `_slack`.
        """
        if self.phase == "linger":
            return
        now = anyio.current_time()
        if self._stage != "stall" or now > self._moved + self._slack:
            self._moved = now
            self._move("stall", self._timeouts.stall + self._slack)

    def terminal(self) -> None:
        """The answer is complete: its body may stay open a moment longer."""
        if self.phase != "linger":
            self._move("linger", LINGER_S)

    def cancel(self) -> None:
        """End the attempt now, on our own account."""
        if self.phase != "linger":
            self.phase = "cancelled"
        self.scope.cancel()

    def _move(self, phase: Phase, timeout_s: float) -> None:
        if self.phase == "cancelled":
            return
        self.phase = self._stage = phase
        deadline = anyio.current_time() + timeout_s
        if deadline > self._total and phase != "linger":
            self.phase, deadline = "total", self._total
        self.scope.deadline = deadline


@dataclass(slots=True)
class AttemptResult:
    """What one exchange gave."""

    answer: Answer
    stamps: StampLadder
    status: int | None
    headers: Mapping[str, str]
    cold: bool
    chunk_offsets_ns: tuple[int, ...]
    chunks: int
    longest_gap_ns: int
    stalls: int
    flagged: str
    inexact: tuple[str, ...] = ()
    """Stamps that are upper bounds."""
    inexact_chunks: int = 0


@dataclass(slots=True)
class _Tape:
    """Stamps and arrival counts while they come in."""

    stamps: dict[str, int] = field(default_factory=dict)
    offsets_ns: list[int] = field(default_factory=list)
    chunks: int = 0
    longest_gap_ns: int = 0
    stalls: int = 0
    inexact: dict[str, bool] = field(default_factory=dict)
    """Whether a stamp that may not be exact is not."""
    inexact_chunks: int = 0

    def first(self, step: str, at_ns: int, *, exact: bool = True) -> bool:
        """Stamp a step that has no stamp yet."""
        if step in self.stamps:
            return False
        self.stamps[step] = at_ns
        if not exact:
            self.inexact[step] = True
        return True

    def output(self, at_ns: int, stall_ns: int) -> None:
        """Count an output chunk and the gap before it."""
        last_ns = self.stamps.get("last_token")
        if last_ns is not None:
            gap_ns = at_ns - last_ns
            self.longest_gap_ns = max(self.longest_gap_ns, gap_ns)
            self.stalls += gap_ns > stall_ns
        self.stamps["last_token"] = at_ns
        self.chunks += 1
        if self.chunks <= MAX_CHUNK_OFFSETS:
            self.offsets_ns.append(at_ns - self.stamps["started"])


class Attempt:
    """Runs once."""

    def __init__(
        self,
        *,
        transport: Transport,
        dialect: Dialect,
        clock: Clock,
        gaps: GapWatch,
        timeouts: Timeouts,
        stall_after: float,
        listener: Listener,
        keep_text: bool = False,
    ) -> None:
        self._transport = transport
        self._dialect = dialect
        self._clock = clock
        self._gaps = gaps
        self._timeouts = timeouts
        self._stall_ns = round(stall_after * NS_PER_S)
        self._listener = listener
        self._keep_text = keep_text
        self._tape = _Tape()
        self._watchdog: Watchdog | None = None
        self._reader: AnswerReader | None = None
        self._status: int | None = None
        self._headers: Mapping[str, str] = {}

    def cancel(self) -> None:
        """End it as `cancelled`; nothing happens when it has not begun or is over."""
        if self._watchdog is not None:
            self._watchdog.cancel()

    def reached(self, step: str, at_ns: int) -> None:
        """Take a stamp of the transport."""
        assert self._watchdog is not None  # noqa: S101 - set before the transport is asked
        if not self._tape.first(step, at_ns):
            return
        if step == "started":
            self._watchdog.started()
            self._listener.on_started(at_ns)
        elif step == "sent":
            self._watchdog.connected()

    async def run(self, request: Request) -> AttemptResult:
        """Do the exchange. Failures of the network are results, not exceptions."""
        self._watchdog = Watchdog(self._timeouts)
        failure: BaseException | None = None
        with self._watchdog.scope as scope:
            try:
                await self._exchange(request)
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
                failure = error
        now_ns = self._clock.monotonic_ns()
        if self._tape.first("started", now_ns):
            self._listener.on_started(now_ns)
        ending = self._ending(failure, expired=scope.cancelled_caught, now_ns=now_ns)
        return self._result(ending, failure, now_ns)

    async def _exchange(self, request: Request) -> None:
        async with self._transport.exchange(request, self) as exchange:
            self._status, self._headers = exchange.status, exchange.headers
            self._reader = AnswerReader(
                exchange.status,
                exchange.headers,
                self._dialect,
                keep_text=self._keep_text,
                wall_ns=self._clock.wall_ns(),
            )
            if not exchange.headers_exact:
                self._tape.inexact["headers"] = True
            self._tape.first("done", await exchange.read_body(self._read))

    def _read(self, data: bytes, at_ns: int, trailed: bool) -> None:
        """Take what one read brought of the body."""
        assert self._reader is not None  # noqa: S101 - made before the body is read
        progress = self._reader.feed(data, trailed)
        tape, watchdog = self._tape, self._watchdog
        assert watchdog is not None  # noqa: S101 - set in run
        if progress.event:
            tape.first("first_event", at_ns, exact=progress.alone)
        if progress.output:
            exact = progress.first_is_newest
            if tape.first("first_token", at_ns, exact=exact):
                self._listener.on_first_token(at_ns, progress.kind)
            if progress.answer:
                tape.first("first_answer", at_ns, exact=exact)
            tape.output(at_ns, self._stall_ns)
            tape.inexact_chunks += not exact
            tape.inexact["last_token"] = not progress.last_is_newest
            watchdog.output()
            self._listener.on_output(progress, at_ns)
        if progress.terminal and tape.first("terminal", at_ns):
            watchdog.terminal()

    def _ending(self, failure: BaseException | None, *, expired: bool, now_ns: int) -> Ending:
        assert self._watchdog is not None  # noqa: S101 - set in run
        phase = self._watchdog.phase
        if phase == "cancelled":
            return "cancelled"
        if expired and phase == "linger":
            return "closed_by_us"
        since_ns = self._tape.stamps.get("last_token", self._tape.stamps["started"])
        if expired:
            gap = self._gaps.overlaps(since_ns, now_ns)
            return "local_gap" if gap else _TIMEOUT_OF_PHASE[phase]
        return "complete" if failure is None else _ending_of(failure)

    def _result(self, ending: Ending, failure: BaseException | None, now_ns: int) -> AttemptResult:
        tape = self._tape
        if self._reader is not None:
            answer = self._reader.finish(ending)
        else:
            answer = failed_before_answer(failure if failure is not None else ending)
            if "tcp" not in tape.stamps and isinstance(failure, _LOST):
                answer = replace(answer, reason=STALE_CONNECTION)
        terminal_ns = tape.stamps.pop("terminal", None)
        if terminal_ns is not None and ending != "complete":
            tape.stamps["done"] = max(terminal_ns, tape.stamps.get("last_token", terminal_ns))
        ended_ns = tape.stamps.get("done", now_ns)
        gap = self._gaps.overlaps(tape.stamps["started"], now_ns)
        return AttemptResult(
            answer=answer,
            stamps=StampLadder(ended=ended_ns, **tape.stamps),
            status=self._status,
            headers=self._headers,
            cold="tcp" in tape.stamps,
            chunk_offsets_ns=tuple(tape.offsets_ns),
            chunks=tape.chunks,
            longest_gap_ns=tape.longest_gap_ns,
            stalls=tape.stalls,
            flagged="local_gap" if gap else "",
            inexact=tuple(step for step, is_bound in tape.inexact.items() if is_bound),
            inexact_chunks=tape.inexact_chunks,
        )


_LOST: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
_TIMEOUT_OF_PHASE: Final[dict[str, Ending]] = {
    "connect": "timeout.connect",
    "first_token": "timeout.first_token",
    "stall": "timeout.stall",
    "total": "timeout.total",
}


def _ending_of(failure: BaseException) -> Ending:
    """Return how the body ended that a network failure ended."""
    if isinstance(failure, httpx.RemoteProtocolError):
        early = "without sending complete message body" in str(failure)
        return "cut" if early else "protocol"
    return "reset"
