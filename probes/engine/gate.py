"""Who of a route may start an attempt now: pauses, cool-downs, budgets, a reader that stopped.

Rule 1. Whatever holds attempts back says so once, and once when it lets go.
Rule 2. The reasons count in this order: paused, cool-down, reader, budget. Money is reserved last,
        for nothing is awaited between the reservation and the attempt.
Rule 3. Beside the pace an attempt goes only where all is calm: it waits for nothing, it says of
        nothing that it is held, and it stays away from a server that asked for less.
Rule 4. A cool-down is never shortened by a later answer; when it ends, its workers come back one by
        one. (`engine.retry` tells how a 429 becomes one.)
"""

from collections.abc import Callable
from random import Random
from typing import Any, Final, Literal, TypeAlias

from probes.answers.limits.state import LimitState
from probes.control.evidence import CALM_S, asks_for_less
from probes.engine.retry import cool_down_s
from probes.events import AttemptFinished, Event, Held, HeldReason, Limit, LimitReading
from probes.kit.clock import NS_PER_S, Clock
from probes.kit.signals import Signal
from probes.money.pricing import usd_charged
from probes.money.spending import AttemptReservation, Spending

_Block: TypeAlias = Literal["paused", "cool_down", "reader_stalled", "budget"]
"""Why an attempt may not start: a gate's own part of the reasons for which a route is held."""

STAGGER_S: Final = 0.1
"""Seconds between two releases when a cool-down ends, so that not all come back at once."""
DRY_NS: Final = 3 * NS_PER_S
"""A lease that is dry is filled within a second or so; if it is not, somebody must know."""
LIMIT_EVERY_NS: Final = NS_PER_S
"""Limits change with every answer: nobody reads them more often."""
LIMIT_AGAIN_NS: Final = 10 * NS_PER_S
"""What an answer only repeats is told again after this, so that it is seen to be fresh."""


class Gate:
    """Admission to one route."""

    def __init__(
        self,
        route: str,
        *,
        clock: Clock,
        random: Random,
        spending: Spending,
        emit: Callable[[Event], None],
        reader_stalled: Callable[[], bool],
        usd_of: Callable[[int], float] = lambda _tokens: 0.0,
    ) -> None:
        self.changed = Signal()
        """Rings when somebody who waits should look again."""
        self.paused = False
        self.stopping = False
        self.waiting = 0
        self._route = route
        self._clock = clock
        self._random = random
        self._spending = spending
        self._emit = emit
        self._reader_stalled = reader_stalled
        self._usd_of = usd_of
        self._cool_down_until_ns: int | None = None
        self._released = 0
        """Workers that the cool-down which ended last has let go."""
        self._held: HeldReason | None = None
        self._asked_less_ns: int | None = None
        """When an answer last asked for less."""
        self._dry_ns: int | None = None
        """Since when no lease lets an attempt start."""
        self._reservations: list[AttemptReservation] = []
        self._limits = LimitState()
        self._told_limits: tuple[Limit, ...] = ()
        self._told_limits_ns: int | None = None

    async def admit(
        self,
        tokens: Callable[[], int],
        cancelled: Callable[[], bool],
        *,
        evidence: bool = False,
        gives_way: bool = False,
    ) -> bool:
        """Wait until an attempt may start and reserve its tokens; False when it no longer may.

        `tokens` is asked anew each time, for the answer cap may change while an attempt waits.
        One that goes beside the pace, as `evidence`, does not wait: it may start now or not at all.
        One that `gives_way` waits for a lease that is dry for the moment, and for nothing else.
        """
        cooled = False
        while not (self.stopping or cancelled()):
            if evidence and not self.is_calm:
                return False
            reason = self._reserve(tokens(), evidence=evidence)
            if reason is None:
                return True
            if evidence or (gives_way and self._is_told(reason)):
                return False
            if reason == "cool_down":
                cooled = True
            self.waiting += 1
            try:
                cooling = self._cool_down_until_ns is not None and not self.paused
                await self.changed.wait(self._clock, self.cool_down_left_s if cooling else None)
                if cooled and self._cool_down_until_ns is None:
                    cooled = False
                    await self._stagger(cancelled)
            finally:
                self.waiting -= 1
        return False

    def look(self, tokens: int) -> _Block | None:
        """Return what holds back an attempt of so many tokens that would start now, and say so.

        For an open pace, which sends when it is time and not when it may: nobody waits to be let
        go, so somebody has to look. A lease that is dry for the moment holds nothing back.
        """
        before, reason = self._held, self._reserve(tokens)
        if reason is None:
            self._spending.settle(self._reservations.pop(), 0, 0.0)
            return None
        if self._held != before:
            self.changed.ring()  # who waited for the lease gives way
        return reason if self._is_told(reason) else None

    def settle(self, event: AttemptFinished) -> None:
        """Book an attempt's cost; take over what its answer says of limits and cool-downs."""
        # Which of several alike does not matter: they are settled by what they were reserved as.
        for reservation in self._reservations:
            if reservation.tokens == event.reserved_tokens:
                self._reservations.remove(reservation)
                self._spending.settle(reservation, event.charged_tokens, usd_charged(event))
                if self._held == "budget":
                    self.changed.ring()
                break
        if asks_for_less(event.outcome, event.reason, event.retry_after_s):
            self._asked_less_ns = event.at_ns
        seconds = cool_down_s(event.outcome, event.retry_after_s)
        if seconds is not None:
            self.cool_down(seconds, event.at_ns, event.retry_after_s)
        self._tell_limits(event)

    def cool_down(self, seconds: float, now_ns: int, retry_after_s: float | None = None) -> None:
        """Hold the route back for some seconds, never shorter than it is held already."""
        until_ns = now_ns + round(seconds * NS_PER_S)
        if until_ns <= max(now_ns, self._cool_down_until_ns or 0):
            return
        self._cool_down_until_ns = until_ns
        self._asked_less_ns = now_ns  # of an engine before this one, or beside it
        self._released = 0
        self._tell_held("cool_down", now_ns, until_ns=until_ns, asked_s=retry_after_s)
        self.changed.ring()  # who sleeps until something is due is to look for its end

    def end_cool_down(self, detail: str = "") -> bool:
        """Let the route go on; return whether it was cooling down."""
        if self._cool_down_until_ns is None:
            return False
        self._cool_down_until_ns = None
        self._tell_held("cool_down", released=True, detail=detail)
        self.changed.ring()
        return True

    @property
    def is_calm(self) -> bool:
        """Whether an attempt may go beside the pace: nothing holds the route, nobody waits, and no
        answer asked for less within the last minute."""
        if self.stopping or self.paused or self.waiting or self.cool_down_left_s > 0:
            return False
        if self._held is not None or self._dry_ns is not None or self._reader_stalled():
            return False
        passed_ns = self._clock.monotonic_ns() - (self._asked_less_ns or 0)
        return self._asked_less_ns is None or passed_ns >= CALM_S * NS_PER_S

    @property
    def cool_down_left_s(self) -> float:
        """Seconds left of the cool-down; 0 without one."""
        if self._cool_down_until_ns is None:
            return 0.0
        return max(0, self._cool_down_until_ns - self._clock.monotonic_ns()) / NS_PER_S

    def _reserve(self, tokens: int, *, evidence: bool = False) -> _Block | None:
        """Reserve an attempt's tokens, or return why it may not start."""
        if self._cool_down_until_ns is not None and self.cool_down_left_s == 0:
            self.end_cool_down()
        if self.paused:
            return "paused"
        if self._cool_down_until_ns is not None:
            return "cool_down"
        if self._reader_stalled():
            self._hold("reader_stalled")
            return "reader_stalled"
        reservation = self._spending.reserve(self._route, tokens, self._usd_of(tokens))
        if reservation is None and evidence:
            return "budget"  # there may be enough for what the pace asks: nothing is held
        if reservation is None:
            # A lease runs dry every few seconds and is filled again: that is no news, a budget is.
            now_ns = self._clock.monotonic_ns()
            self._dry_ns = self._dry_ns or now_ns
            if not self._spending.awaits_more(self._route) or now_ns - self._dry_ns > DRY_NS:
                self._hold("budget")
            return "budget"
        self._dry_ns = None
        self._hold(None)
        self._reservations.append(reservation)
        return None

    def _is_told(self, reason: _Block) -> bool:
        """Whether it is more than a lease that is dry for the moment."""
        return reason != "budget" or self._held == "budget"

    def _hold(self, reason: HeldReason | None) -> None:
        """Say what holds attempts back from now on, where that is another reason than before."""
        if reason == self._held:
            return
        if self._held is not None:
            self._tell_held(self._held, released=True)
        self._held = reason
        if reason is not None:
            detail = self._spending.shortage(self._route) if reason == "budget" else ""
            self._tell_held(reason, detail=detail)

    def _tell_held(self, reason: HeldReason, at_ns: int | None = None, **more: Any) -> None:
        at_ns = self._clock.monotonic_ns() if at_ns is None else at_ns
        self._emit(Held(at_ns=at_ns, reason=reason, route=self._route, **more))

    async def _stagger(self, cancelled: Callable[[], bool]) -> None:
        """Wait for this worker's turn after a cool-down."""
        self._released += 1
        wait_s = STAGGER_S * (self._released - self._random.random())
        due_ns = self._clock.monotonic_ns() + round(wait_s * NS_PER_S)
        while (left_ns := due_ns - self._clock.monotonic_ns()) > 0:
            if self.stopping or cancelled():
                return
            await self.changed.wait(self._clock, left_ns / NS_PER_S)

    def _tell_limits(self, event: AttemptFinished) -> None:
        """Tell all that is known of the limits: news of a 429 at once, the rest now and then."""
        self._limits.hear(event)
        if not event.limits:
            return
        is_new = event.limits != self._told_limits
        if self._told_limits_ns is not None and not (is_new and event.outcome == "throttled"):
            passed_ns = event.at_ns - self._told_limits_ns
            if passed_ns < (LIMIT_EVERY_NS if is_new else LIMIT_AGAIN_NS):
                return
        self._told_limits, self._told_limits_ns = event.limits, event.at_ns
        self._emit(LimitReading(at_ns=event.at_ns, route=self._route, limits=self._limits.parts))
