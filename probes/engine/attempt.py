"""One HTTP exchange: from the first network act to the last byte, under three clocks.

The measuring loop stamps, counts and hands bytes on; it formats nothing and touches no disk.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from probes.answers.answer import AnswerReader
from probes.answers.dialects.base import Dialect
from probes.answers.facts import Answer
from probes.answers.judging import Ending
from probes.answers.progress import IDLE, Progress
from probes.config import Timeouts
from probes.engine.health import GapWatch
from probes.engine.retry import STALE_CONNECTION
from probes.engine.stamp_recorder import Tape
from probes.engine.unanswered import failed_before_answer
from probes.engine.watchdog import Watchdog
from probes.events import StampLadder, TtftKind
from probes.kit.clock import Clock
from probes.money.pricing import USUAL_CHARACTERS, seen_tokens
from probes.stats.chunk_gaps import longest_gap_ns
from probes.transport import Request, Transport
from probes.transport.failures import CONNECTION_LOST, NETWORK_ERRORS, end_of_body, shortage_of


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
    characters: int = 0
    """Of all output."""
    passed: bool = False
    """It was cut because more came than it may use."""
    http_version: str = ""


class Attempt:
    """Runs once. Of an answer that is not `streamed` no output is stamped, only its end.

    A stream that goes on when surely more than `most_tokens` of output came is cut.
    """

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
        streamed: bool = True,
        most_tokens: int = sys.maxsize,
    ) -> None:
        self._transport = transport
        self._dialect = dialect
        self._clock = clock
        self._gaps = gaps
        self._timeouts = timeouts
        self._stall_ns = longest_gap_ns(stall_after)
        self._listener = listener
        self._keep_text = keep_text
        self._streamed = streamed
        self._most_tokens = most_tokens
        self._most_characters = most_tokens * USUAL_CHARACTERS
        """What the hot path compares with: fewer are never too many tokens."""
        self._tape = Tape()
        self._answered = False
        self._over = False
        """The terminal signal came, and no output after it."""
        self._watchdog: Watchdog | None = None
        self._reader: AnswerReader | None = None
        self._status: int | None = None
        self._headers: Mapping[str, str] = {}
        self._http_version = ""

    @property
    def stamps(self) -> Mapping[str, int]:
        """Monotonic ns of each step that was reached so far, by its name in the stamp ladder."""
        return self._tape.stamps

    @property
    def chunks(self) -> int:
        """Output chunks so far."""
        return self._tape.chunks

    @property
    def last_output_ns(self) -> int | None:
        """Arrival of the newest of them."""
        return self._tape.last_ns

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
        self._watchdog = Watchdog(self._timeouts, streamed=self._streamed)
        failure: BaseException | None = None
        with self._watchdog.scope as scope:
            try:
                await self._exchange(request)
            except (*NETWORK_ERRORS, MemoryError) as error:
                failure = error
        now_ns = self._clock.monotonic_ns()
        if self._tape.first("started", now_ns):
            self._listener.on_started(now_ns)
        ending = self._ending(failure, expired=scope.cancelled_caught, now_ns=now_ns)
        return self._result(ending, failure, now_ns)

    async def _exchange(self, request: Request) -> None:
        async with self._transport.exchange(request, self) as exchange:
            self._status, self._headers = exchange.status, exchange.headers
            self._http_version = exchange.http_version
            self._reader = AnswerReader(
                exchange.status,
                exchange.headers,
                self._dialect,
                keep_text=self._keep_text,
                wall_ns=self._clock.wall_ns(),
                streamed=self._streamed,
            )
            if not exchange.headers_exact:
                self._tape.inexact.add("headers")
            self._tape.first("done", await exchange.read_body(self._read))

    def _read(self, data: bytes, at_ns: int, trailed: bool, cuts: Sequence[int]) -> None:
        """Take what one read brought of the body."""
        assert self._reader is not None  # noqa: S101 - made before the body is read
        progress = self._reader.feed(data, trailed, cuts)
        if progress is IDLE:
            return
        tape, watchdog = self._tape, self._watchdog
        assert watchdog is not None  # noqa: S101 - set in run
        if not tape.chunks:
            self._before_output(progress, at_ns)
        if progress.output:
            exact = progress.first_is_newest
            if progress.answer and not self._answered:
                self._answered = tape.first("first_answer", at_ns, exact=exact)
            tape.output(
                at_ns, self._stall_ns, first_exact=exact, last_exact=progress.last_is_newest
            )
            if tape.characters > self._most_characters:
                self._cut_beyond_cap()
            tape.characters += progress.characters
            if self._over:  # the answer goes on after what looked like its end
                self._over = False
                del tape.stamps["terminal"]
            watchdog.output(at_ns)
            self._listener.on_output(progress, at_ns)
        if progress.terminal and tape.first("terminal", at_ns):
            self._over = True
            watchdog.terminal()

    def _cut_beyond_cap(self) -> None:
        """End a stream that goes on when surely more than it may use has come.

        What one read brought is never cut: it was paid for, and its end may be in it.
        """
        assert self._reader is not None  # noqa: S101 - it has read the output
        assert self._watchdog is not None  # noqa: S101 - set in run
        if seen_tokens(self._reader.events, self._tape.characters) > self._most_tokens:
            self._watchdog.cut()

    def _before_output(self, progress: Progress, at_ns: int) -> None:
        """Stamp what happens once, up to the first output."""
        if progress.event:
            self._tape.first("first_event", at_ns, exact=progress.alone)
        if progress.output:
            self._tape.first("first_token", at_ns, exact=progress.first_is_newest)
            self._listener.on_first_token(at_ns, progress.kind)

    def _ending(self, failure: BaseException | None, *, expired: bool, now_ns: int) -> Ending:
        assert self._watchdog is not None  # noqa: S101 - set in run
        phase = self._watchdog.phase
        if phase == "cancelled" or phase == "cap_ignored":
            return phase
        if expired and phase == "linger":
            return "closed_by_us"
        since_ns = self._tape.last_ns or self._tape.stamps["started"]
        if expired:
            gap = self._gaps.overlaps(since_ns, now_ns)
            return "local_gap" if gap else _TIMEOUT_OF_PHASE[phase]
        return "complete" if failure is None else end_of_body(failure)

    def _result(self, ending: Ending, failure: BaseException | None, now_ns: int) -> AttemptResult:
        tape = self._tape
        tape.close()
        if self._reader is not None:
            shortage = shortage_of(failure)
            said = "" if failure is None else str(failure)
            answer = self._reader.finish("cancelled" if shortage else ending, said)
            if shortage and answer.outcome == "cancelled":
                answer = msgspec.structs.replace(answer, reason=shortage)
        else:
            answer = failed_before_answer(failure if failure is not None else ending)
            lost = answer.outcome != "cancelled" and isinstance(failure, CONNECTION_LOST)
            if lost and "tcp" not in tape.stamps:
                answer = msgspec.structs.replace(answer, reason=STALE_CONNECTION)
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
            inexact=tuple(sorted(tape.inexact - {"terminal"})),
            inexact_chunks=tape.inexact_chunks,
            characters=tape.characters,
            passed=ending == "cap_ignored",
            http_version=self._http_version,
        )


_TIMEOUT_OF_PHASE: Final[dict[str, Ending]] = {
    "connect": "timeout.connect",
    "first_token": "timeout.first_token",
    "stall": "timeout.stall",
    "total": "timeout.total",
}
