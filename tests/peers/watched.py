"""llmtop at work on servers of others: one probe by itself, or a whole run with its engine."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, TypeVar

import anyio
from probing import probe_once

from probes.board import Board
from probes.board.views import RouteView, Snapshot
from probes.config import Budget, Config, Route
from probes.engine.single import ProbeRecord
from probes.events import AttemptFinished, Event, ProbeFinished, StampLadder
from probes.kit.clock import SystemClock
from probes.money.ledger import Ledger
from probes.run.session import Session

T = TypeVar("T")

LONGEST_RUN_S: Final = 30.0
LADDER: Final = (
    *("scheduled", "admitted", "started", "tcp", "sent", "headers", "first_event", "first_token"),
    *("first_answer", "last_token", "done"),
)


@dataclass(frozen=True)
class Watched:
    """What a run told, in order, and the board that folded it."""

    events: list[Event]
    board: Board

    def of(self, kind: type[T], route: str) -> list[T]:
        """Return the events of one kind and one route."""
        return [event for event in self.events if isinstance(event, kind) and event.route == route]

    def attempts(self, route: str) -> list[AttemptFinished]:
        """Return a route's attempts, but for those that our own stop cut off."""
        return [a for a in self.of(AttemptFinished, route) if a.outcome != "cancelled"]

    def probes(self, route: str) -> list[ProbeFinished]:
        """Return a route's finished probes, but for those that our own stop cut off."""
        return [p for p in self.of(ProbeFinished, route) if p.outcome != "cancelled"]

    def row(self, route: str) -> RouteView:
        """Return a route's row of the table."""
        return next(row for row in self.snapshot().routes if row.name == route)

    def snapshot(self) -> Snapshot:
        """Return what a screen would show of the whole run."""
        return self.board.snapshot(window="run", detail_routes=())


async def probed(route: Route) -> ProbeRecord:
    """Send one probe with its retries."""
    return await probe_once(
        route, dict(route.headers), clock=SystemClock(), random=Random(1), include_text=True
    )


async def watched(*routes: Route, until: Callable[[Watched], bool]) -> Watched:
    """Run routes with an engine in a process of its own, until what was told is enough."""
    plenty = Budget(tokens_per_hour=10**9, route_tokens_per_hour=10**9)
    headers = {route.name: dict(route.headers) for route in routes}
    session = Session(
        Config(routes=routes, budget=plenty), headers, recorder=None, ledger=Ledger(None)
    )
    run = Watched([], session.board)

    def receive(batch: list[Event], _lines: bytes) -> None:
        run.events.extend(batch)
        if until(run):
            session.stop()

    session.subscribe(receive)
    with anyio.fail_after(LONGEST_RUN_S):
        await session.run()
    return run


def assert_ladder(stamps: StampLadder) -> None:
    """All stamps of a cold, streamed answer over plain http are there, and in order.

    A request is `sent` when the system call returns: on one machine the answer may be there first,
    and where the call was interrupted all of it.
    """
    rungs = {rung: getattr(stamps, rung) for rung in LADDER}
    assert None not in rungs.values()
    sent = rungs.pop("sent")
    assert list(rungs.values()) == sorted(rungs.values())
    assert rungs["tcp"] <= sent
    assert stamps.ended == stamps.done
