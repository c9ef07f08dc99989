"""A sweep at work: a session of its own, whose engine asks one route for more and more.

Rule 1: it runs beside whatever else runs: an engine process of its own, and a lease of its own on
the one ledger, so that the budgets of the hour hold for all together. Nothing of it is recorded.
Rule 2: a step ends before the next begins: what is in flight is let end, and whatever a server asks
us to wait is waited, and told. What hangs longer than a step may take is cancelled.
Rule 3: before a step it is made sure that all it may send is within what was told beforehand and
within the sweep's own budget; where it is not, the sweep ends.
Rule 4: it ends when it knows, at its budget, when it is told to, and when its engine dies; always
with what is known by then.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, get_args

import anyio
import msgspec

from probes.config import Config, Route
from probes.config.places import known_as
from probes.control.commands import Command, Pause, SetKnob
from probes.control.knobs import KNOBS
from probes.control.status import HostStatus
from probes.events import (
    AttemptFinished,
    AttemptStarted,
    Event,
    Held,
    Hello,
    ProbeFinished,
    RouteCounts,
    Tick,
)
from probes.kit.clock import NS_PER_S, Clock, SystemClock, seconds
from probes.kit.sanitise import neutralise
from probes.kit.short_figures import age, counted
from probes.kit.signals import Signal
from probes.money.ledger import Ledger
from probes.money.pricing import LearnedUse, most_tokens, most_usd, usd_charged
from probes.run.held_back import HeldBack
from probes.run.session import Session
from probes.run.sinks import Sink
from probes.sources.child_process import launch_process
from probes.sources.supervised import Launch
from probes.sweeping.goals import GoalError, read_goals
from probes.sweeping.plan import MOST_CONCURRENCY, MOST_RATE, SweepBy, SweepPlan
from probes.sweeping.results import probe_of
from probes.sweeping.step import SweepStep
from probes.sweeping.sweep import Sweep
from probes.sweeping.views import SweepCost, SweepState, SweepView
from probes.sweeping.words import load_words

MOST_LOAD: Final = KNOBS["concurrency"].most
"""Requests at once, or a second."""
LONGEST_WAIT_S: Final = 300.0
"""Whoever is asked to wait for longer sweeps another hour than it began in."""
CALM_S: Final = 1.0
"""Between two steps: what was asked for last has left the queues of the provider."""
LONGEST_DRAIN_S: Final = 30.0
"""What is in flight when a step ends may take so long; then it hangs, and is cancelled."""
_WHO: Final = "sweep"
_HELLO_PATIENCE_S: Final = 60.0
_DRY_S: Final = 5.0
"""A lease that is dry for so long is dry because a budget is: it is filled each second."""
_LOOK_S: Final = 0.25
"""How often one looks whether something is over that nothing tells of."""
_HOPELESS: Final = 10
"""Probes after which a route of which none was ok is not asked for more."""
_SERVER_WORDS: Final = 120


class SweepError(Exception):
    """There is nothing to sweep, or it must not be; the text is for a person."""


class _EndedError(Exception):
    """The sweep ends here, in a state, and why."""

    def __init__(self, state: SweepState, why: str = "") -> None:
        super().__init__(why)
        self.state = state
        self.why = why


class AskedSession(Protocol):
    """What a sweep needs of a session."""

    @property
    def status(self) -> HostStatus:
        """How its engine is."""
        ...

    def subscribe(self, sink: Sink) -> None:
        """Call back with every batch of events."""
        ...

    def command(self, command: Command) -> None:
        """Hand a command to its engine."""
        ...

    async def run(self) -> None:
        """Run until `stop`."""
        ...

    def stop(self) -> None:
        """End `run` soon."""
        ...


class SweepRun:
    """Runs one sweep once."""

    def __init__(
        self,
        plan: SweepPlan,
        session: AskedSession,
        *,
        clock: Clock | None = None,
    ) -> None:
        """Prepare it, with a session of its own that has the one route."""
        self._plan = plan
        self._clock = clock or SystemClock()
        self._route = plan.route.name
        self._session = session
        session.subscribe(self._receive)
        self._sweep = Sweep(plan, cost_of(plan))
        self._view = self._sweep.view()
        self._learned = LearnedUse()
        self._bell = Signal()
        self._attempts: dict[str, AttemptFinished] = {}
        """The last of each probe that is open."""
        self._open: dict[str, float] = {}
        """When each probe that is open began, in seconds of the engine's clock."""
        self._now_s = 0.0
        """Of the engine's clock, at its last event."""
        self._started = 0
        """Probes that the step that runs has sent."""
        self._sent = self._tokens = 0
        self._usd = 0.0
        self._held_back = HeldBack()
        self._skipped = self._skipped_before = 0
        self._in_vain = 0
        """Probes that ended before the first that was ok."""
        self._ever_ok = False
        self._last_failure = ""
        self._greeted = self._died = False
        self._stopping = False
        self._began_ns = self._began_wall_ns = 0

    @property
    def view(self) -> SweepView:
        """How it stands, with what it may cost before it begins; a new frozen object after each
        change."""
        return self._view

    def stop(self) -> None:
        """End `run` soon, with what is known; may be called twice."""
        self._stopping = True
        self._bell.ring()

    async def run(self) -> None:
        """Ask until it knows, its budget ends, or `stop`; then its engine is gone."""
        self._began_ns, self._began_wall_ns = self._clock.monotonic_ns(), self._clock.wall_ns()
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._session.run)
                try:
                    self._sweep.end("running")
                    self._say("starts its engine")
                    await self._all_steps()
                except _EndedError as ended:
                    self._sweep.end(ended.state, ended.why)
                finally:
                    self._session.stop()
        finally:
            if self._sweep.state == "running":  # cancelled, or cut off by a defect
                self._sweep.end("stopped")
            self._say()

    async def _all_steps(self) -> None:
        while not self._greeted:
            self._raise_if_over()
            if self._seconds > _HELLO_PATIENCE_S:
                raise _EndedError("failed", "its engine says nothing")
            await self._bell.wait(self._clock, _LOOK_S)
        while (step := self._sweep.next_step()) is not None:
            await self._calm()
            self._hold_budget(step)
            try:
                await self._measure(step)
            except _EndedError:
                step.stop()
                if step.n:
                    self._sweep.take(step.point(tuple(self._open.values())))
                raise
            self._sweep.take(step.point(tuple(self._open.values())))
            await self._drain()
            if not self._sweep.points[0].ok:
                failed = self._last_failure or "nothing comes back"
                raise _EndedError("failed", f"nothing answers at its first load: {failed}")
        raise _EndedError("done")

    async def _measure(self, step: SweepStep) -> None:
        """Ask for the load of a step until that has seen enough."""
        told = load_words(step.load, self._plan.by)
        self._started, self._skipped_before = 0, self._skipped
        step.look(self._now_s)
        self._turn(step.load)
        self._session.command(Pause(paused=False, route=self._route, who=_WHO))
        while step.end is None:
            self._raise_if_over()
            warming = "" if step.is_warm else ", warms up"
            checks = "asks once more for " if step.purpose == "check" else "asks for "
            self._say(f"{checks}{told}{warming}")
            await self._bell.wait(self._clock, _LOOK_S)
            step.skipped = self._skipped - self._skipped_before
            if not self._ever_ok and self._in_vain >= _HOPELESS:
                raise _EndedError("failed", f"nothing answers: {self._last_failure}")

    def _turn(self, load: float) -> None:
        """Ask for a load."""
        knob = "concurrency" if self._plan.by == "concurrency" else "rate"
        self._session.command(SetKnob(route=self._route, knob=knob, value=load, who=_WHO))

    async def _drain(self) -> None:
        """Start nothing more, and let what is in flight end."""
        self._session.command(Pause(paused=True, route=self._route, who=_WHO))
        until_ns = self._clock.monotonic_ns() + round(LONGEST_DRAIN_S * NS_PER_S)
        self._say("lets what is in flight end")
        while self._open:
            self._raise_if_over()
            if self._clock.monotonic_ns() > until_ns:
                self._session.command(Pause(paused=True, route=self._route, cancel=True, who=_WHO))
            await self._bell.wait(self._clock, _LOOK_S)

    async def _calm(self) -> None:
        """Wait until the server asks for no time any more, and a moment longer."""
        calm_ns = self._clock.monotonic_ns() + round(CALM_S * NS_PER_S * bool(self._sent))
        while True:
            self._raise_if_over()
            now_ns = self._clock.monotonic_ns()
            asked_s = self._held_back.asked_s(now_ns)
            left_s = max(asked_s, seconds(calm_ns - now_ns))
            if left_s <= 0:
                return
            told = f"waits {age(asked_s)}: the server asked for that" if asked_s > 0 else ""
            if asked_s > LONGEST_WAIT_S:
                raise _EndedError("stopped", told)
            self._say("waits between two steps", waits=told)
            await self._bell.wait(self._clock, min(left_s, 1.0))

    def _hold_budget(self, step: SweepStep) -> None:
        """End where not all that a step may send is allowed."""
        plan, cost = self._plan, self._sweep.cost
        probes = plan.most_probes(step.load)
        each = max(most_tokens(plan.route), self._learned.tokens)
        tokens, usd = probes * each, probes * most_usd(plan.route, each)
        if self._sent + probes > cost.probes:
            raise _EndedError(
                "budget", f"All that it was to send is sent: {counted(self._sent, 'probe')}"
            )
        if plan.most_tokens is not None and self._tokens + tokens > plan.most_tokens:
            held = counted(plan.most_tokens, "token")
            raise _EndedError("budget", f"Its budget of {held} has no room for another step")
        if plan.most_usd is not None and self._usd + usd > plan.most_usd:
            held = f"${plan.most_usd:.3g}"
            raise _EndedError("budget", f"Its budget of {held} has no room for another step")

    def _raise_if_over(self) -> None:
        """End where nothing more can come, or somebody wants no more."""
        if self._stopping:
            raise _EndedError("stopped")
        # Before its hello nothing but the status tells of a death; later one may miss that it was.
        if self._died or self._session.status.state in ("restarting", "gave_up"):
            raise _EndedError("failed", "its engine died")
        held = self._held_back
        if held.dry_s(self._clock.monotonic_ns()) > _DRY_S:
            raise _EndedError("budget", f"The budget of the hour is spent: {held.dry_words}")

    def _receive(self, events: list[Event], _lines: bytes) -> None:
        step = self._sweep.step
        for event in events:
            match event:
                case AttemptStarted():
                    self._open[event.probe] = seconds(event.at_ns)
                    self._sent += 1
                    self._started += 1
                case AttemptFinished():
                    self._attempts[event.probe] = event
                    self._learned.learn(event.charged_tokens)
                    self._tokens += event.charged_tokens
                    self._usd += usd_charged(event)
                    self._sweep.hear_limits(event.limits)
                case ProbeFinished():
                    self._ended_probe(event, step)
                case Held(reason="restarting"):
                    self._died = True
                case Held():
                    self._held_back.hear(event, self._clock.monotonic_ns())
                case Hello():
                    self._greeted = True
                    self._now_s = seconds(event.at_ns)
                    self._bell.ring()
                case Tick():
                    self._skipped = sum(map(_skipped, event.routes))
                    self._now_s = max(self._now_s, seconds(event.at_ns))
                    if step is not None:
                        step.lag_s = max(step.lag_s, seconds(event.health.loop_lag_p99_ns))
                        step.look(self._now_s, self._started)
                    self._bell.ring()

    def _ended_probe(self, event: ProbeFinished, step: SweepStep | None) -> None:
        self._open.pop(event.probe, None)
        attempt = self._attempts.pop(event.probe, None)
        self._now_s = max(self._now_s, seconds(event.at_ns))
        if attempt is None or event.outcome == "cancelled":
            return
        is_open = self._plan.by == "rate"
        made = probe_of(
            attempt,
            event,
            cap=self._plan.route.max_tokens,
            usd=usd_charged(attempt),
            is_open=is_open,
        )
        self._ever_ok = self._ever_ok or made.ok
        self._in_vain += not self._ever_ok
        if made.failure:
            words = neutralise(attempt.message, _SERVER_WORDS)
            self._last_failure = f"{made.failure}: {words}".rstrip(": ")
        if step is not None:
            step.take(made)
            step.look(self._now_s, self._started)
            if step.end is not None:
                self._bell.ring()

    def _say(self, doing: str = "", *, waits: str = "") -> None:
        """Show how it stands, and what is done now."""
        self._view = msgspec.structs.replace(
            self._sweep.view(),
            doing=doing,
            waits=waits,
            seconds=self._seconds,
            spent_probes=self._sent,
            spent_tokens=self._tokens,
            spent_usd=self._usd,
            wall_ns=self._began_wall_ns,
        )

    @property
    def _seconds(self) -> float:
        return seconds(self._clock.monotonic_ns() - self._began_ns) if self._began_ns else 0.0


class Sweeps:
    """Makes sweeps of the routes of one configuration."""

    def __init__(
        self,
        config: Config,
        headers: Mapping[str, Mapping[str, str]],
        *,
        ledger: Ledger,
        apart: Path | None = None,
        in_process: bool = False,
        launch: Launch = launch_process,
    ) -> None:
        """Take what all of them share: the routes and budgets of `config`, the headers of these
        routes with secrets filled in, and how sessions spend and start their engines."""
        self._config = config
        self._headers = headers
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
        route: str,
        *,
        by: SweepBy = "concurrency",
        most: float | None = None,
        goals: Sequence[str] = (),
        step_s: float | None = None,
        most_tokens: int | None = None,
        most_usd: float | None = None,
    ) -> SweepRun:
        """Return a sweep that is not begun: its view says what it may cost.

        Args:
            route: name of the route.
            by: what is raised: requests at once, or requests a second.
            most: the largest load; a common one by default.
            goals: such as `ttft_p95=1.0`; the route's own by default.
            step_s: seconds that a step may measure.
            most_tokens: its own budget.
            most_usd: the same in USD; of a route whose price is known.

        Raises:
            SweepError: there is no such route.
            GoalError: a goal is none.
        """
        if most is not None and not 0 < most <= MOST_LOAD:
            raise SweepError(f"max: expected a number above 0, at most {MOST_LOAD:,.0f}")
        found = next((one for one in self._config.routes if one.name == route), None)
        if found is None:
            hint = known_as(route, [one.name for one in self._config.routes])
            raise SweepError(f"no route is named {neutralise(route, 60)}{hint}")
        plan = plan_of(found, by, most)
        plan = msgspec.structs.replace(
            plan,
            goals=read_goals(goals, found),
            step_s=plan.step_s if step_s is None else step_s,
            most_tokens=most_tokens,
            most_usd=most_usd,
        )
        session = self._session(
            msgspec.structs.replace(self._config, routes=(plan.route,)),
            {route: self._headers.get(route, {})},
        )
        return SweepRun(plan, session)

    def propose_typed(self, route: str, words: str) -> SweepRun:
        """Return a sweep as words ask for it: `by=rate max=64 ttft_p95=1.0`.

        Raises:
            GoalError: it cannot be swept so; the text is for a person.
        """
        try:
            return self.propose(route, **typed(words))
        except SweepError as error:
            raise GoalError(str(error)) from None


def typed(words: str) -> dict[str, Any]:
    """Return what words such as `by=rate max=64 ttft_p95=1.0` ask for, for `Sweeps.propose`.

    Raises:
        GoalError: one of them is none.
    """
    asked: dict[str, Any] = {}
    goals = []
    for word in words.split():
        name, _, value = word.partition("=")
        if name == "by" and value in get_args(SweepBy):
            asked["by"] = value
        elif name == "by":
            raise GoalError(f"by: got {neutralise(value, 40)}, expected concurrency or rate")
        elif name == "max":
            asked["most"] = _most_of(value)
        else:
            goals.append(word)
    return {**asked, "goals": goals}


def _most_of(text: str) -> float:
    try:
        most = float(text)
    except ValueError:
        most = 0.0
    if not 0 < most <= MOST_LOAD:
        got = neutralise(text, 40) or "nothing"
        raise GoalError(f"max: got {got}, expected a number above 0, at most {MOST_LOAD:,.0f}")
    return most


def plan_of(route: Route, by: SweepBy, most: float | None) -> SweepPlan:
    """Return the plan of a sweep, whose route is asked in no other way than the sweep does: never
    again after a failure, and nothing beside that."""
    alone = msgspec.structs.replace(
        route,
        concurrency=1,
        interval=0.0,
        pace="interval",
        rate=None,
        adaptive=False,
        retries=0,
        evidence=False,
        paused=True,
    )
    if by == "concurrency":
        return SweepPlan(alone, (), by, float(most or MOST_CONCURRENCY))
    plan = SweepPlan(alone, (), by, most or MOST_RATE)
    places = min(round(KNOBS["concurrency"].most), plan.in_flight(plan.most))
    alone = msgspec.structs.replace(alone, pace="poisson", rate=plan.first, concurrency=places)
    return msgspec.structs.replace(plan, route=alone)


def cost_of(plan: SweepPlan) -> SweepCost:
    """Return what a sweep may use at most, as the budgets reckon it."""
    loads = plan.step_loads
    probes = sum(map(plan.most_probes, loads))
    tokens = most_tokens(plan.route)
    usd = None if plan.route.price is None else probes * most_usd(plan.route, tokens)
    return SweepCost(len(loads), probes, probes * tokens, usd, len(loads) * plan.step_s)


def _skipped(counts: RouteCounts) -> int:
    """Return the starts that were due and not made; between two steps none is due."""
    return counts.skipped - counts.skipped_for.get("paused", 0)
