"""A comparison at work: a session of its own, whose engine sends one probe at a time.

Rule 1: it runs beside whatever else runs: an engine process of its own, and a lease of its own on
the one ledger, so that the budgets of the hour hold for all together. Nothing of it is recorded.
Rule 2: a block asks its arms one after the other, in a random order. The first block warms up:
names are looked up and connections made, and nothing of it counts but what it costs.
Rule 3: whatever a server asks us to wait is waited before the next block begins, and told: a block
that stood still between two arms would compare two moments.
Rule 4: it ends when it knows, at its budget, when it is told to, and when its engine dies; always
with what is known by then.
Rule 5: an arm has the headers of the route that it is made of, and goes to no other place than
`probes.comparing.arms` allows.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from random import Random, SystemRandom
from typing import Final

import anyio
import msgspec
from anyio import to_thread

from probes.comparing.arms import (
    Arm,
    ArmChange,
    ArmError,
    arms_of_change,
    arms_of_routes,
)
from probes.comparing.comparison import PairedComparison
from probes.comparing.plan import MARGIN, MOST_PAIRS, ComparisonPlan
from probes.comparing.results import ArmResult, result_of
from probes.comparing.views import ComparisonCost, ComparisonState, ComparisonView
from probes.config import Config
from probes.config.places import known_as
from probes.control.commands import ProbeNow
from probes.events import AttemptFinished, Event, Held, Hello, ProbeFinished
from probes.kit.clock import Clock, SystemClock, seconds
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import age, counted
from probes.kit.signals import Signal
from probes.money.ledger import Ledger
from probes.money.pricing import LearnedUse, most_tokens, most_usd, usd_charged
from probes.run.held_back import HeldBack
from probes.run.session import Session
from probes.sources.child_process import launch_process
from probes.sources.supervised import Launch

LONGEST_WAIT_S: Final = 300.0
"""Whoever is asked to wait for longer compares another hour than it began in."""
_HELLO_PATIENCE_S: Final = 60.0
_DRY_S: Final = 5.0
"""A lease that is dry for so long is dry because a budget is: it is filled each second."""
_LOOK_S: Final = 0.5
"""How often one looks whether an answer that is awaited can still come."""
_SERVER_WORDS: Final = 120


class _EndedError(Exception):
    """The comparison ends here, in a state, and why."""

    def __init__(self, state: ComparisonState, why: str = "") -> None:
        super().__init__(why)
        self.state = state
        self.why = why


class ComparisonRun:
    """Runs one comparison once."""

    def __init__(
        self,
        plan: ComparisonPlan,
        session: Session,
        *,
        random: Random | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Prepare it, with a session of its own whose routes are the arms; `random` orders these in
        each block."""
        self._plan = plan
        self._random = random or SystemRandom()
        self._clock = clock or SystemClock()
        self._session = session
        session.subscribe(self._receive)
        self._comparison = PairedComparison(plan, cost_of(plan))
        self._view = self._comparison.view()
        self._learned = {arm.name: LearnedUse() for arm in plan.arms}
        self._bell = Signal()
        self._attempts: dict[str, AttemptFinished] = {}
        """The last of each arm."""
        self._ended: dict[str, ProbeFinished] = {}
        """The last probe of each arm that ended and was not taken yet."""
        self._held_back: defaultdict[str, HeldBack] = defaultdict(HeldBack)
        """By arm; of what holds all of them by no name."""
        self._greeted = self._died = False
        self._stopping = False
        self._began_ns = 0

    @property
    def view(self) -> ComparisonView:
        """How it stands, with what it may cost before it begins; a new frozen object after each
        change."""
        return self._view

    def stop(self) -> None:
        """End `run` soon, with what is known; may be called twice."""
        self._stopping = True
        self._bell.ring()

    async def run(self) -> None:
        """Ask until it knows, its budget ends, or `stop`; then its engine is gone."""
        self._began_ns = self._clock.monotonic_ns()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._session.run)
                try:
                    self._comparison.end("running")
                    await self._look()
                    await self._compare()
                except _EndedError as ended:
                    self._comparison.end(ended.state, ended.why)
                finally:
                    self._session.stop()
        finally:
            if self._comparison.state == "running":  # cancelled, or cut off by a defect
                self._comparison.end("stopped")
            self._view = self._comparison.view(seconds=self._seconds)

    async def _compare(self) -> None:
        while not self._greeted:
            self._raise_if_over()
            if self._seconds > _HELLO_PATIENCE_S:
                raise _EndedError("failed", "its engine says nothing")
            await self._bell.wait(self._clock, _LOOK_S)
        comparison = self._comparison
        await self._block(warms_up=True)
        while not comparison.is_known:
            if comparison.pairs >= self._plan.most_pairs:
                raise _EndedError("budget")
            await self._block()
            if comparison.is_hopeless:
                raise _EndedError("failed", f"nothing answers: {comparison.last_failure}")
        raise _EndedError("decided")

    async def _block(self, *, warms_up: bool = False) -> None:
        arms = self._comparison.next_block(self._random)
        await self._wait_until_calm(arms)
        self._hold_budget(arms)
        results: dict[str, ArmResult] = {}
        for arm in arms:
            results[arm.name] = await self._ask(arm, warms_up=warms_up)
        if not warms_up:
            self._comparison.take(results)
        await self._look()

    async def _ask(self, arm: Arm, *, warms_up: bool) -> ArmResult:
        """Send one probe of an arm and return what it came to."""
        self._ended.pop(arm.name, None)
        self._say(asking=arm.name)
        self._session.command(ProbeNow(route=arm.name))
        while arm.name not in self._ended:
            self._raise_if_over()
            await self._bell.wait(self._clock, _LOOK_S)
        probe, attempt = self._ended.pop(arm.name), self._attempts[arm.name]
        if probe.outcome == "cancelled":
            self._raise_if_over()
            raise _EndedError("failed", f"{_shown(arm.name)}: its probe was cancelled")
        if warms_up and probe.outcome != "ok" and not attempt.retryable:
            # What refuses the first request will refuse all: a key, a model, a path.
            words = neutralise(attempt.message, _SERVER_WORDS)
            why = f"{probe.outcome} / {probe.reason}" if probe.reason else probe.outcome
            raise _EndedError("failed", f"{_shown(arm.name)}: {why}: {words}".rstrip(": "))
        return result_of(arm.route, attempt, probe)

    async def _wait_until_calm(self, arms: Sequence[Arm]) -> None:
        """Wait until no server asks for time any more."""
        while True:
            self._raise_if_over()
            now_ns = self._clock.monotonic_ns()
            asked = {arm.name: self._held_back[arm.name].asked_s(now_ns) for arm in arms}
            name = max(asked, key=asked.__getitem__)
            left_s = asked[name]
            if left_s <= 0:
                break
            told = f"waits {age(left_s)}: {_shown(name)} asked for that"
            if left_s > LONGEST_WAIT_S:
                raise _EndedError("stopped", told)
            self._say(waits=told)
            await self._bell.wait(self._clock, min(left_s, 1.0))
        self._say()

    def _hold_budget(self, arms: Sequence[Arm]) -> None:
        """End where the comparison's own budget does not allow another block."""
        plan, comparison = self._plan, self._comparison
        tokens, usd = 0, 0.0
        for arm in arms:
            most = max(most_tokens(arm.route), self._learned[arm.name].tokens)
            tokens += most
            usd += most_usd(arm.route, most)
        if plan.most_tokens is not None and comparison.spent_tokens + tokens > plan.most_tokens:
            raise _EndedError(
                "budget", f"Its budget of {counted(plan.most_tokens, 'token')} is spent"
            )
        if plan.most_usd is not None and comparison.spent_usd + usd > plan.most_usd:
            raise _EndedError("budget", f"Its budget of ${plan.most_usd:.3g} is spent")

    def _raise_if_over(self) -> None:
        """End where nothing more can come, or somebody wants no more."""
        if self._stopping:
            raise _EndedError("stopped")
        # Before its hello nothing but the status tells of a death; later one may miss that it was.
        if self._died or self._session.status.state in ("restarting", "gave_up"):
            raise _EndedError("failed", "its engine died")
        now_ns = self._clock.monotonic_ns()
        for held in self._held_back.values():
            if held.dry_s(now_ns) > _DRY_S:
                raise _EndedError("budget", f"The budget of the hour is spent: {held.dry_words}")

    def _receive(self, events: list[Event], _lines: bytes) -> None:
        for event in events:
            match event:
                case AttemptFinished():
                    self._attempts[event.route] = event
                    self._learned[event.route].learn(event.charged_tokens)
                    usd = usd_charged(event)
                    self._comparison.spend(event.route, event.charged_tokens, usd)
                case ProbeFinished():
                    self._ended[event.route] = event
                    self._bell.ring()
                case Held(reason="restarting"):
                    self._died = True
                case Held():
                    self._held_back[event.route].hear(event, self._clock.monotonic_ns())
                case Hello():
                    self._greeted = True
                    self._bell.ring()

    def _say(self, *, asking: str = "", waits: str = "") -> None:
        """Show what is done now."""
        self._view = msgspec.structs.replace(
            self._view,
            asking=asking,
            waits=waits,
            seconds=self._seconds,
            spent_tokens=self._comparison.spent_tokens,
            spent_usd=self._comparison.spent_usd,
        )

    async def _look(self) -> None:
        """Make the view anew: in a thread, for the intervals take some ten milliseconds."""
        make = partial(self._comparison.view, seconds=self._seconds)
        self._view = await to_thread.run_sync(make)

    @property
    def _seconds(self) -> float:
        return seconds(self._clock.monotonic_ns() - self._began_ns)


class Comparisons:
    """Makes comparisons of the routes of one configuration."""

    def __init__(
        self,
        config: Config,
        headers: Mapping[str, Mapping[str, str]],
        *,
        ledger: Ledger,
        apart: Path | None = None,
        random: Random | None = None,
        in_process: bool = False,
        launch: Launch = launch_process,
    ) -> None:
        """Take what all of them share: the routes and budgets of `config`, the headers of these
        routes with secrets filled in, and how sessions spend and start their engines."""
        self._config = config
        self._headers = headers
        self._random = random
        self._session = partial(
            Session,
            recorder=None,
            ledger=ledger,
            apart=apart,
            in_process=in_process,
            launch=launch,
        )

    def propose(
        self,
        routes: Sequence[str],
        change: ArmChange | None = None,
        *,
        most_pairs: int = MOST_PAIRS,
        most_tokens: int | None = None,
        most_usd: float | None = None,
        margin: float = MARGIN,
    ) -> ComparisonRun:
        """Return a comparison that is not begun: its view says what it may cost.

        Args:
            routes: two to four names, the first is what the others are compared with; one name
                with a `change`.
            change: the one thing that differs between two arms of one route.
            most_pairs: blocks after which it ends though it does not know.
            most_tokens: its own budget.
            most_usd: the same in USD, of the arms whose price is known.
            margin: of a ratio: differences below it are of no use.

        Raises:
            ArmError: they cannot be compared so; the text is for a person.
        """
        known = {route.name: route for route in self._config.routes}
        for name in routes:
            if name not in known:
                raise ArmError(f"no route is named {_shown(name)}{known_as(name, known)}")
        if change is None:
            arms = arms_of_routes([known[name] for name in routes])
        elif len(routes) == 1:
            arms = arms_of_change(known[routes[0]], change)
        else:
            raise ArmError(f"a change is made to one route, not to {len(routes)}")
        plan = ComparisonPlan(
            arms=arms,
            change=change,
            most_pairs=most_pairs,
            most_tokens=most_tokens,
            most_usd=most_usd,
            margin=margin,
        )
        session = self._session(
            msgspec.structs.replace(self._config, routes=tuple(arm.route for arm in arms)),
            {arm.name: self._headers.get(arm.of, {}) for arm in arms},
        )
        return ComparisonRun(plan, session, random=self._random)


def cost_of(plan: ComparisonPlan) -> ComparisonCost:
    """Return what a comparison may use at most, as the budgets reckon it."""
    blocks = plan.most_pairs + 1
    usd = [most_usd(arm.route, most_tokens(arm.route)) for arm in plan.arms]
    unpriced = tuple(arm.name for arm in plan.arms if arm.route.price is None)
    return ComparisonCost(
        pairs=plan.most_pairs,
        probes=blocks * len(plan.arms),
        tokens=blocks * sum(most_tokens(arm.route) for arm in plan.arms),
        usd=None if len(unpriced) == len(plan.arms) else blocks * sum(usd),
        unpriced=unpriced,
    )


def _shown(name: str) -> str:
    return neutralise(name, 60)
