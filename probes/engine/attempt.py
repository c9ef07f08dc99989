"""One HTTP exchange: from the first network act to the last byte, under three clocks.

Rule 1. The measuring loop stamps, counts and hands bytes on; it formats nothing and touches no
        disk. What a chunk costs here every stream pays with every token.
Rule 2. What the network does is a result and no exception; only defects of ours are raised.
Rule 3. Two records come of it: what the server said (`Answer`) and what was measured of it
        (`StampRecorder`). `engine.report` makes the one event of both.
"""

import sys
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from probes.answers.answer import Answer, AnswerReader
from probes.answers.dialects.base import Dialect
from probes.answers.ending_verdict import Ending, of_ending
from probes.answers.error_body import LONGEST_MESSAGE
from probes.answers.progress import IDLE, Progress
from probes.config import Timeouts
from probes.engine.health import GapWatch
from probes.engine.retry import STALE_CONNECTION
from probes.engine.stamp_recorder import StampRecorder
from probes.engine.watchdog import Watchdog
from probes.events import TtftKind
from probes.kit.clock import Clock
from probes.kit.words import clean
from probes.money.pricing import USUAL_CHARACTERS, seen_tokens
from probes.stats.chunk_gaps import longest_gap_ns
from probes.transport import Request, Transport
from probes.transport.failures import (
    CONNECTION_LOST,
    NETWORK_ERRORS,
    end_of_body,
    of_failure,
    shortage_of,
    words_of,
)


class Listener(Protocol):
    """Is told what happens on the wire while it happens; must return at once."""

    hears_output: bool
    """Whether it is told of every read: such a call costs as much as all that is noted of one."""

    def on_started(self, at_ns: int) -> None:
        """The first network act."""
        ...

    def on_first_token(self, at_ns: int, kind: TtftKind) -> None:
        """The first output delta."""
        ...

    def on_output(self, progress: Progress) -> None:
        """A read that carried output."""
        ...


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
        self.recorder = StampRecorder(longest_gap_ns(stall_after))
        """What is measured, while it comes in."""
        self._transport = transport
        self._dialect = dialect
        self._clock = clock
        self._gaps = gaps
        self._timeouts = timeouts
        self._listener = listener
        self._keep_text = keep_text
        self._streamed = streamed
        self._most_tokens = most_tokens
        self._most_characters = most_tokens * USUAL_CHARACTERS
        """What the hot path compares with: fewer are never too many tokens."""
        self._answered = False
        self._over = False
        """The terminal signal came, and no output after it."""
        self._watchdog: Watchdog | None = None
        self._reader: AnswerReader | None = None

    def cancel(self) -> None:
        """End it as `cancelled`; nothing happens when it has not begun or is over."""
        if self._watchdog is not None:
            self._watchdog.cancel()

    def reached(self, step: str, at_ns: int) -> None:
        """Take a stamp of the transport."""
        assert self._watchdog is not None  # noqa: S101 - set before the transport is asked
        if not self.recorder.stamp(step, at_ns):
            return
        if step == "started":
            self._watchdog.started()
            self._listener.on_started(at_ns)
        elif step == "sent":
            self._watchdog.connected()

    async def run(self, request: Request) -> Answer:
        """Do the exchange and return what was said; what was measured is then in `recorder`."""
        self._watchdog = Watchdog(self._timeouts, streamed=self._streamed)
        failure: BaseException | None = None
        with self._watchdog.scope as scope:
            try:
                await self._exchange(request)
            except (*NETWORK_ERRORS, MemoryError) as error:
                failure = error
        now_ns = self._clock.monotonic_ns()
        if self.recorder.stamp("started", now_ns):  # it failed before any network act
            self._listener.on_started(now_ns)
        ending = self._ending(failure, expired=scope.cancelled_caught, now_ns=now_ns)
        answer = self._answer(ending, failure)
        recorder = self.recorder
        recorder.passed = ending == "cap_ignored"
        recorder.close(now_ns, whole=ending == "complete")
        if self._gaps.overlaps(recorder.stamps["started"], now_ns):
            recorder.flagged = "local_gap"
        return answer

    async def _exchange(self, request: Request) -> None:
        async with self._transport.exchange(request, self) as exchange:
            self.recorder.http_version = exchange.http_version
            self._reader = AnswerReader(
                exchange.status,
                exchange.headers,
                self._dialect,
                keep_text=self._keep_text,
                wall_ns=self._clock.wall_ns(),
                streamed=self._streamed,
            )
            if not exchange.headers_exact:
                self.recorder.inexact.add("headers")
            self.recorder.stamp("done", await exchange.read_body(self._read))

    def _read(self, data: bytes, at_ns: int, trailed: bool, cuts: Sequence[int]) -> None:
        """Take what one read brought of the body: the hot path.

        The usual read adds words to those of the one before, and nothing else is to be done: what
        happens once has happened, no deadline is near, no cap is reached, nobody listens.
        """
        recorder = self.recorder
        if (
            at_ns <= self._watchdog.fresh_until_ns  # type: ignore[union-attr]  # set in run
            and recorder.characters <= self._most_characters
            and not (trailed or self._listener.hears_output)
        ):
            characters = self._reader.more(data)  # type: ignore[union-attr]  # as in _take
            if characters:
                recorder.more(characters, at_ns)
                return
        self._take(data, at_ns, trailed, cuts)

    def _take(self, data: bytes, at_ns: int, trailed: bool, cuts: Sequence[int]) -> None:
        """Take a read of any other kind."""
        reader, recorder, watchdog = self._reader, self.recorder, self._watchdog
        assert reader is not None  # noqa: S101 - made before the body is read
        assert watchdog is not None  # noqa: S101 - set in run
        progress = reader.feed(data, trailed, cuts)
        if progress is IDLE:
            return
        if not recorder.chunks:
            self._before_output(progress, at_ns)
        if progress.kind != "none":  # as `output` says, without its call
            if progress.answer and not self._answered:
                self._answered = recorder.stamp(
                    "first_answer", at_ns, exact=progress.first_is_newest
                )
            # Before this read is counted: what one read brought is never cut, for it was paid for,
            # and its end may be in it.
            if (
                recorder.characters > self._most_characters
                and seen_tokens(reader.events, recorder.characters) > self._most_tokens
            ):
                watchdog.cut()
            recorder.output(progress, at_ns)
            if self._over:  # the answer goes on after what looked like its end
                self._over = False
                del recorder.stamps["terminal"]
            if at_ns > watchdog.fresh_until_ns:
                watchdog.output(at_ns)
            if self._listener.hears_output:
                self._listener.on_output(progress)
        if progress.terminal and recorder.stamp("terminal", at_ns):
            self._over = True
            watchdog.terminal()

    def _before_output(self, progress: Progress, at_ns: int) -> None:
        """Stamp what happens once, up to the first output."""
        if progress.event:
            self.recorder.stamp("first_event", at_ns, exact=progress.alone)
        if progress.output:
            self.recorder.stamp("first_token", at_ns, exact=progress.first_is_newest)
            self._listener.on_first_token(at_ns, progress.kind)

    def _ending(self, failure: BaseException | None, *, expired: bool, now_ns: int) -> Ending:
        assert self._watchdog is not None  # noqa: S101 - set in run
        phase = self._watchdog.phase
        if phase == "cancelled" or phase == "cap_ignored":
            return phase
        if not expired:
            return "complete" if failure is None else end_of_body(failure)
        if phase == "linger":
            return "closed_by_us"
        # A deadline that passed while this process did not run says nothing of the server.
        since_ns = self.recorder.last_ns or self.recorder.stamps["started"]
        return "local_gap" if self._gaps.overlaps(since_ns, now_ns) else _TIMEOUT_OF_PHASE[phase]

    def _answer(self, ending: Ending, failure: BaseException | None) -> Answer:
        """Return what was said, in the words of the network where no server said anything."""
        if self._reader is None:
            answer = failed_before_answer(failure if failure is not None else ending)
            # Without a connection made for it, it went on one that lay idle: servers close these.
            lost = answer.outcome != "cancelled" and isinstance(failure, CONNECTION_LOST)
            if lost and "tcp" not in self.recorder.stamps:
                return msgspec.structs.replace(answer, reason=STALE_CONNECTION)
            return answer
        shortage = shortage_of(failure)  # ours, so it says nothing of the server
        words = "" if failure is None else str(failure)
        answer = self._reader.finish("cancelled" if shortage else ending, words)
        if shortage and answer.outcome == "cancelled":
            return msgspec.structs.replace(answer, reason=shortage)
        return answer


def failed_before_answer(error: BaseException | Ending) -> Answer:
    """Return the answer of an exchange that ended before any HTTP answer.

    By the exception that ended it, or by how it ended where there is none.
    """
    if isinstance(error, BaseException):
        verdict = of_failure(error)
        words = clean(words_of(error, verdict.reason)[:LONGEST_MESSAGE])
        return Answer(
            outcome=verdict.outcome,
            reason=verdict.reason,
            message=words or type(error).__name__,
            retryable=verdict.retryable,
        )
    if error in ("complete", "cut", "reset", "closed_by_us"):
        return Answer(outcome="protocol_error", reason="reset", retryable=True)
    verdict = of_ending(error, began=False)
    return Answer(
        outcome=verdict.outcome,
        reason=verdict.reason,
        retryable=verdict.outcome in ("timeout", "protocol_error"),
    )


_TIMEOUT_OF_PHASE: Final[dict[str, Ending]] = {
    "connect": "timeout.connect",
    "first_token": "timeout.first_token",
    "stall": "timeout.stall",
    "total": "timeout.total",
}
