"""An engine that spends no more than it has leased.

Rule 1: no engine begins before it is told what it may spend.
Rule 2: the lease hears the engine before anybody else: money does not wait for a place in a stream.
Rule 3: nothing is awaited between reading what is wanted and telling it to a new engine.
"""

from collections.abc import Callable, Sequence
from typing import Final

import anyio

from probes.control.commands import Burst, Command, ProbeNow, SetKnob
from probes.events import Event, decode_event
from probes.kit.clock import Clock
from probes.kit.signals import Signal
from probes.money.budget_lease import BudgetLease
from probes.sources.rules import HostLimits
from probes.sources.source import Brief, Receive, is_engine_end
from probes.sources.supervised import Explain, Launch, SupervisedEngine, plain_end

TOP_UP_S: Final = 1.0
_REST_TOP_UP_S: Final = 10.0
"""The same while nothing is spent: only what other runs spend is news."""
_LEAST_TOP_UP_S: Final = 0.1
"""Between two questions to the ledger, however fast an engine spends: each may write to a disk."""


class FundedEngine(SupervisedEngine):
    """Tops its engine's lease up before it would run dry, and gives it back at the end."""

    def __init__(
        self,
        brief: Brief,
        receive: Receive,
        *,
        lease: BudgetLease,
        launch: Launch,
        clock: Clock,
        topped_up: Callable[[], None],
        limits: HostLimits | None = None,
        scrub: Callable[[str], str] = str,
        explain: Explain = plain_end,
        decode: Callable[[bytes], Event] = decode_event,
    ) -> None:
        """Prepare to run it; `topped_up` is called after each question to the ledger."""
        super().__init__(
            self._first_words,
            self._account_for,
            launch=launch,
            limits=limits,
            clock=clock,
            scrub=scrub,
            explain=explain,
            decode=decode,
        )
        self._brief = brief
        self._forward = receive
        self._lease = lease
        self._topped_up = topped_up
        self._is_due = False
        self._bell = Signal()
        self._resting = False
        lease.on_due(self.top_up)

    def send(self, command: Command) -> None:
        """Pass a command on, and lease for it."""
        self._lease.expect(command)
        if isinstance(command, (Burst, ProbeNow, SetKnob)):
            self.top_up()
        super().send(command)

    def top_up(self) -> None:
        """Ask the ledger soon."""
        self._is_due = True
        self._bell.ring()

    async def run(self) -> None:
        """Give events until `stop`; then the lease is settled and given back."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._keep_topped_up)
                await super().run()
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await self._lease.close(in_order=self.in_order)

    async def _first_words(self, engine: str) -> Sequence[Command]:
        """Return what a new engine must know: rules 1 and 3."""
        allow = await self._lease.begin()
        configure, *wanted = self._brief(engine)
        return [configure, allow, *wanted]

    def _account_for(self, events: list[Event], lines: bytes) -> None:
        for event in events:
            self._lease.fold(event)
            if is_engine_end(event):
                self._lease.end_engine(in_order=self.in_order)
        self._forward(events, lines)
        if self._lease.is_due or (self._resting and not self._lease.at_rest):
            self.top_up()

    async def _keep_topped_up(self) -> None:
        while True:
            if not self._is_due:
                patience_s = _REST_TOP_UP_S if self._resting else TOP_UP_S
                await self._bell.wait(self._clock, patience_s)
            self._is_due = False
            allow = await self._lease.top_up()
            if allow is not None:
                super().send(allow)
            self._topped_up()
            self._resting = self._lease.at_rest
            await self._clock.sleep(_LEAST_TOP_UP_S)
