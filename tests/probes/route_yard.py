"""A route runner with everything around it, on a scripted network and a manual clock."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from random import Random

import anyio
from clocks import ManualClock, settle
from scripted import Network, Script, chat

from probes.config import Route
from probes.config.scrubbing import Scrubber
from probes.engine.health import GapWatch, Shortages
from probes.engine.outbox import Outbox
from probes.engine.route import RouteRunner, RouteTools
from probes.events import Event, Knob, ProbeFinished
from probes.money.spending import Spending


class Yard:
    """A route runner with everything around it."""

    def __init__(self, *scripts: Script, **route: object) -> None:
        self.clock = ManualClock()
        self.began_ns = self.clock.now_ns
        self.network = Network(list(scripts) or [chat("a")])
        self.outbox = Outbox(self.clock)
        self.gaps = GapWatch(self.clock.now_ns, asleep_ns=lambda: 0)
        self.events: list[Event] = []
        self.outbox.emit = self.events.append  # type: ignore[method-assign]
        self.shortages = Shortages()
        self.spending = Spending()
        tools = RouteTools(
            engine="1",
            clock=self.clock,
            random=Random(1),
            gaps=self.gaps,
            outbox=self.outbox,
            spending=self.spending,
            scrub=Scrubber(frozenset()),
            numbers=count(1),
            transport=self.network.transport,
            shortages=self.shortages,
        )
        settings = {"base_url": "http://127.0.0.1/v1", "model": "m", "interval": 1.0, **route}
        self.runner = RouteRunner(Route(name="r", **settings), {}, tools)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with anyio.create_task_group() as group:
            group.start_soon(self.runner.run)
            await settle()
            yield
            self.runner.stop()
            await self.clock.advance(1)

    async def advance(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.5)):
            self.gaps.beat(self.clock.now_ns)
            await self.clock.advance(0.5)

    def finished(self) -> list[ProbeFinished]:
        return [event for event in self.events if isinstance(event, ProbeFinished)]

    def knobs(self) -> list[tuple[str, float, float]]:
        return [(e.knob, e.before, e.after) for e in self.events if isinstance(e, Knob)]
