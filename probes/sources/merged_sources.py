"""Several sources side by side, whose events become one stream: what is alike of engines on one
machine and of places.

Rule 1: each source starts its engine again by its own rules; the others go on meanwhile.
Rule 2: events are passed on in rounds, in the order of time: as soon as every source that is prompt
has told what it did, or has had its time.
Rule 3: what is told of all of them is an event beside theirs, in the same order.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import count
from typing import Generic, TypeVar

import anyio

from probes.control.commands import Command
from probes.events import Event, durable_lines
from probes.kit.clock import Clock
from probes.kit.signals import Signal
from probes.sources.source import Brief, Receive, Source
from probes.sources.time_merge import Heard, TimeMerge

OneSource = TypeVar("OneSource", bound=Source)


class MergedSources(ABC, Generic[OneSource]):
    """Owns its sources. Who inherits makes them, and says to whom a command goes, how they are by
    and large, and what becomes of a round.

    `run` returns after `stop`; cancelling it cancels the sources. Nothing is left behind either
    way.
    """

    def __init__(self, brief: Brief, receive: Receive, *, sources: int, clock: Clock) -> None:
        """Prepare to merge the events of so many; `brief` gives what one engine for all would be
        told, and `receive` takes the stream."""
        self._brief = brief
        self._receive = receive
        self._clock = clock
        self._engines: Sequence[OneSource] = ()
        """The sources, by their number: who inherits makes them last."""
        self._lives = count(1)
        self._merge = TimeMerge(sources + 1)
        self._ourselves = sources
        """Our number among those whose events are merged."""
        self._round = Signal()

    @property
    @abstractmethod
    def _now_ns(self) -> int:
        """The present on the line of time of all events."""

    @abstractmethod
    def _part(self, number: int, command: Command) -> Command | None:
        """Return what one source is told of what an engine for all would be; None for nothing."""

    @abstractmethod
    def _pass_on(self, items: Sequence[Heard]) -> None:
        """Give the events of a round, which may have none, to who receives the stream."""

    def _begin_round(self) -> None:
        """Add what is to come with the next round, of what the sources have not told themselves."""

    def _add_rest(self) -> None:
        """The same at the end."""

    def hold(self) -> None:
        """Stop reading the engines' pipes."""
        for engine in self._engines:
            engine.hold()

    def release(self) -> None:
        """Read on."""
        for engine in self._engines:
            engine.release()

    def gather(self, for_s: float) -> None:
        """Do nothing: their streams are merged, and none is waited for as long as that."""

    def retry(self) -> None:
        """Start those engines now that wait for it or were given up."""
        for engine in self._engines:
            engine.retry()

    def stop(self) -> None:
        """End all engines in order; `run` returns when they have."""
        for engine in self._engines:
            engine.stop()

    async def run(self) -> None:
        """Keep the engines running until `stop`."""
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._pass_on_rounds)
                async with anyio.create_task_group() as engines:
                    for number in range(len(self._engines)):
                        engines.start_soon(self._run_engine, number)
                tasks.cancel_scope.cancel()
        finally:
            self._add_rest()
            self._pass_on(self._merge.take_all())

    async def _run_engine(self, number: int) -> None:
        await self._engines[number].run()
        self._merge.end(number)
        self._look()

    async def _pass_on_rounds(self) -> None:
        while True:
            await self._round.wait(self._clock, self._merge.patience_s(self._now_ns))
            self._begin_round()
            self._pass_on(self._merge.take(self._now_ns))

    def _hear(self, number: int, events: Sequence[Event], lines: bytes) -> None:
        """Take what is to be told of one source."""
        self._merge.add(number, events, lines)
        self._look()

    def _tell(self, events: Sequence[Event]) -> None:
        """Put events of our own into the stream."""
        if events:
            self._hear(self._ourselves, events, durable_lines(events))

    def _look(self) -> None:
        """End the round where nobody is waited for."""
        if self._merge.is_complete(self._now_ns):
            self._round.ring()

    def _brief_of(self, number: int) -> Brief:
        def brief(_: str) -> list[Command]:
            """Return what this source must be told; ids count the lives of all engines."""
            told = self._brief(str(next(self._lives)))
            parts = (self._part(number, command) for command in told)
            return [part for part in parts if part is not None]

        return brief
