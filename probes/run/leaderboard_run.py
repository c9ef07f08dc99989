"""A leaderboard measured on purpose: some probes of each route, all asked alike.

Rule 1: what it may cost is known before anything is sent, and no probe begins that may pass it:
where a tokenizer counts more than was expected, fewer go.
Rule 2: the first probe of a route warms its connection up and teaches how its server counts; it is
in no figure.
Rule 3: a route is asked one probe at a time, all routes at once; what refuses the first request
will refuse all, so no other follows.
Rule 4: a route that cannot be asked any more costs only itself: the others go on.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import anyio
import msgspec

from probes.board.standings import Standings
from probes.board.views import Snapshot
from probes.config import Config, Route
from probes.config.workloads import WORKLOADS, WorkloadName
from probes.control.commands import ProbeNow
from probes.engine.introduction import route_info
from probes.events import AttemptFinished, Event, Held, Hello, ProbeFinished
from probes.kit.clock import NS_PER_S, Clock, SystemClock
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import age, counted
from probes.kit.signals import Signal
from probes.money.ledger import Ledger
from probes.money.pricing import LearnedUse, most_tokens, most_usd
from probes.run.held_back import HeldBack
from probes.run.session import Session
from probes.sources.child_process import launch_process
from probes.sources.supervised import Launch
from probes.stats.tokens import seconds_per_token

_LOOK_S: Final = 0.5
_DRY_S: Final = 10.0
"""A budget that lets nothing go for so long is spent."""
_LONGEST_WAIT_S: Final = 60.0
"""A server that asks for more time than this is asked no more."""
_HELLO_PATIENCE_S: Final = 30.0
_SERVER_WORDS: Final = 200


class LeaderboardCost(msgspec.Struct, frozen=True):
    """What it may use at most, as the budgets reckon it."""

    routes: int
    probes: int
    """Of all routes, the first of each with them."""
    tokens: int
    usd: float | None
    """None where no price is known."""
    unpriced: tuple[str, ...]


class _Asked:
    """One route, and what has come of it."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.standings = Standings()
        self.learned = LearnedUse()
        self.spent = 0
        self.done = 0
        """Probes that ended, the first with them."""
        self.last: AttemptFinished | None = None
        self.held_back = HeldBack()
        self.why = ""
        """Why it was asked no more, before all of its probes; empty where it was not so."""

    @property
    def most_tokens(self) -> int:
        """What its next probe may use."""
        return max(most_tokens(self.route), self.learned.tokens)


class LeaderboardRun:
    """Asks once; the routes are those of `config`."""

    def __init__(
        self,
        config: Config,
        headers: Mapping[str, Mapping[str, str]],
        *,
        probes: int,
        ledger: Ledger,
        workload: WorkloadName | None = None,
        apart: Path | None = None,
        clock: Clock | None = None,
        launch: Launch = launch_process,
        in_process: bool = False,
    ) -> None:
        """Prepare it. With a `workload` all routes are asked that, else each what it asks always;
        `headers` are those of each route, secrets filled in."""
        routes = [asked_alone(route, workload) for route in config.routes]
        self._asked = {route.name: _Asked(route) for route in routes}
        self._probes = probes
        self._clock = clock or SystemClock()
        self._session = Session(
            msgspec.structs.replace(config, routes=tuple(routes)),
            headers,
            recorder=None,
            ledger=ledger,
            apart=apart,
            clock=clock,
            launch=launch,
            in_process=in_process,
        )
        self._session.subscribe(self._receive)
        self._bell = Signal()
        self._greeted = self._stopping = False

    @property
    def cost(self) -> LeaderboardCost:
        """What it may use at most."""
        each = self._probes + 1
        routes = [asked.route for asked in self._asked.values()]
        unpriced = tuple(route.name for route in routes if route.price is None)
        usd = sum(most_usd(route, most_tokens(route)) for route in routes)
        return LeaderboardCost(
            routes=len(routes),
            probes=each * len(routes),
            tokens=each * sum(map(most_tokens, routes)),
            usd=None if len(unpriced) == len(routes) else each * usd,
            unpriced=unpriced,
        )

    @property
    def progress(self) -> str:
        """How far it is, in one line."""
        all_of_it = (self._probes + 1) * len(self._asked)
        done = sum(asked.done for asked in self._asked.values())
        spent = sum(asked.spent for asked in self._asked.values())
        return f"{done:,} of {counted(all_of_it, 'probe')} · {counted(spent, 'token')}"

    @property
    def remarks(self) -> tuple[str, ...]:
        """Routes that were asked less than was wanted, and why; what servers say is neutralised."""
        return tuple(
            f"{neutralise(name, 60)}: {asked.why}"
            for name, asked in self._asked.items()
            if asked.why
        )

    def snapshot(self) -> Snapshot:
        """Return what came of it, as a screen has it."""
        shown = self._session.board.snapshot(window="run")
        views = [
            view
            for asked in self._asked.values()
            for view in asked.standings.views(route_info(asked.route))
        ]
        return msgspec.structs.replace(shown, standings=tuple(views))

    def stop(self) -> None:
        """End `run` soon, with what is known."""
        self._stopping = True
        self._bell.ring()

    async def run(self) -> None:
        """Ask until all probes are through or `stop`; then its engine is gone."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._session.run)
            try:
                async with anyio.create_task_group() as asking:
                    for asked in self._asked.values():
                        asking.start_soon(self._ask_all, asked)
            finally:
                self._session.stop()

    async def _ask_all(self, asked: _Asked) -> None:
        name = asked.route.name
        bound = (self._probes + 1) * most_tokens(asked.route)
        began_ns = self._clock.monotonic_ns()
        while not self._greeted:
            if self._clock.monotonic_ns() - began_ns > _HELLO_PATIENCE_S * NS_PER_S:
                asked.why = "its engine says nothing"
            if self._is_over(asked):
                return
            await self._bell.wait(self._clock, _LOOK_S)
        for number in range(self._probes + 1):
            if number and asked.spent + asked.most_tokens > bound:
                asked.why = "more tokens were counted than expected: the told cost is spent"
            if self._is_over(asked):
                return
            self._session.command(ProbeNow(route=name))
            while asked.done <= number:
                if self._is_over(asked):
                    return
                await self._bell.wait(self._clock, _LOOK_S)

    def _is_over(self, asked: _Asked) -> bool:
        """Return whether nothing more can come of a route, and note why."""
        now_ns = self._clock.monotonic_ns()
        held = asked.held_back
        left_s = held.asked_s(now_ns)
        if self._session.status.state in ("restarting", "gave_up"):
            asked.why = asked.why or "its engine died"
        elif left_s > _LONGEST_WAIT_S:
            asked.why = asked.why or f"its server asked to wait for {age(left_s)}"
        elif held.dry_s(now_ns) > _DRY_S:
            asked.why = asked.why or f"the budget of the hour is spent: {held.dry_words}"
        return self._stopping or bool(asked.why)

    def _receive(self, events: list[Event], _lines: bytes) -> None:
        for event in events:
            if isinstance(event, Hello):
                self._greeted = True
                self._bell.ring()
                continue
            asked = self._asked.get(getattr(event, "route", ""))
            if asked is None:
                continue
            match event:
                case AttemptFinished():
                    asked.spent += event.charged_tokens
                    asked.last = event
                    if asked.done:  # from the first one the engine learns to send less
                        asked.learned.learn(event.charged_tokens)
                        asked.standings.attempt_ended(event, seconds_per_token(event))
                case ProbeFinished():
                    self._ended(asked, event)
                case Held():
                    asked.held_back.hear(event, self._clock.monotonic_ns())

    def _ended(self, asked: _Asked, event: ProbeFinished) -> None:
        last = asked.last
        if asked.done:
            asked.standings.probe_ended(event, is_measured=not event.flagged)
        elif event.outcome not in ("ok", "cancelled") and last is not None and not last.retryable:
            why = f"{event.outcome} / {event.reason}".removesuffix(" / ")
            asked.why = f"{why}: {neutralise(last.message, _SERVER_WORDS)}".removesuffix(": ")
        asked.done += 1
        self._bell.ring()


def asked_alone(route: Route, name: WorkloadName | None) -> Route:
    """Return a route without a pace of its own, that is asked a workload where one is named."""
    alone = msgspec.structs.replace(route, concurrency=0, retries=0, evidence=False, paused=False)
    if name is None:
        return alone
    workload = WORKLOADS[name]
    default = Route(name="", base_url="http://localhost", model="m")
    return msgspec.structs.replace(
        alone,
        workload=name,
        prompt=default.prompt,
        prompts=() if workload.prompt is None else (workload.prompt,),
        max_tokens=workload.max_tokens,
        system=None,
        cache="warm",
    )


def asked_routes(config: Config, names: Sequence[str]) -> Config:
    """Return the settings with the routes named alone, in that order; all without names.

    Raises:
        KeyError: there is none of a name; its argument is the name.
    """
    known = {route.name: route for route in config.routes}
    routes = tuple(known[name] for name in dict.fromkeys(names)) if names else config.routes
    return msgspec.structs.replace(config, routes=routes)
