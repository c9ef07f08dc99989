"""Every scenario that names its truth, played: what our own client measures of the fault it names.

Outcomes and counts over real sockets, with the server's clock made fast and set to the phase that
is wanted: each is probed until its fault is seen, and a bounded number of times. What is
a matter of time alone, on a clock that stands still but for the test.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from statistics import median
from typing import get_args

import anyio
import msgspec
import pytest
from official import KeptTransport
from probing import probe_once
from simulator_kit import Story, VirtualClock
from transports import stamping

from probes.config import Timeouts
from probes.events import AttemptFinished, Cause
from probes.kit.clock import NS_PER_S, SystemClock
from probes.simulator import (
    HostedModel,
    Phase,
    Scenario,
    SimulatorServer,
    Timeline,
    demo_routes,
    load_scenario,
    scenario_names,
    serve,
)

FAST, STEADY = 20.0, 2.0
"""How many seconds of the server's pass in one of ours. Where a fault is one of rates, few: on a
busy machine a probe costs so much of the hastened time that no limit would be hit."""
STRETCHED = 1_000
"""Phases last so much longer, so that none ends while it is measured, however busy the machine."""
LEAST, MOST = 3, 60
"""Probes of a worker in one phase: so many always, and so many before a fault is given up."""
PATIENCE_S, FOR_EVER_S = 0.8, 30.0
"""What a probe waits where something never comes, and where all does, however busy the machine."""


class FastClock:
    """The server's time: it runs fast, and is set forward by a test."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._system = SystemClock()
        self._began_ns = self._system.monotonic_ns()
        self._ahead_ns = 0

    def monotonic_ns(self) -> int:
        passed_ns = self._system.monotonic_ns() - self._began_ns
        return self._began_ns + self._ahead_ns + round(passed_ns * self._speed)

    def wall_ns(self) -> int:
        return self._system.wall_ns()

    async def sleep(self, seconds: float) -> None:
        await self._system.sleep(seconds / self._speed)

    def set_to(self, ns: int) -> None:
        self._ahead_ns += max(0, ns - self.monotonic_ns())


@dataclass
class Measured:
    """What was seen of one route in one phase."""

    workers: int = 0
    """Each has a connection of its own."""
    attempts: list[AttemptFinished] = field(default_factory=list)

    def of(self, figure: Callable[[AttemptFinished], float | None]) -> float:
        """Return the median of a figure over the attempts that have it."""
        values = [value for one in self.attempts if (value := figure(one)) is not None]
        return median(values) if values else 0.0

    @property
    def made_anew(self) -> int:
        """Connections that a worker made after its first."""
        return sum(map(is_cold, self.attempts)) - self.workers

    @property
    def builds(self) -> set[tuple[str, str]]:
        """Who answered: model and fingerprint."""
        return {(one.served_model, one.fingerprint) for one in self.attempts}

    def share(self, sees: Callable[[AttemptFinished], bool]) -> float:
        return sum(map(sees, self.attempts)) / max(1, len(self.attempts))


Sign = Callable[[Measured, Measured], bool]
"""Whether a fault is seen, from what was measured while all was well, and since."""


def fails(outcome: str, reason: str, status: int | None = None, *, always: bool = False) -> Sign:
    def is_it(one: AttemptFinished) -> bool:
        named = (one.outcome, one.reason) == (outcome, reason)
        return named and (status is None or one.status == status)

    return lambda _, ill: ill.share(is_it) == 1.0 if always else ill.share(is_it) > 0.05


def grows(figure: Callable[[AttemptFinished], float | None], least: float, most: float) -> Sign:
    def sign(well: Measured, ill: Measured) -> bool:
        return least < ill.of(figure) / well.of(figure) < most

    return sign


def both(*signs: Sign) -> Sign:
    return lambda well, ill: all(sign(well, ill) for sign in signs)


def is_cold(one: AttemptFinished) -> bool:
    return one.cold


def is_cached(one: AttemptFinished) -> bool:
    return bool(one.cached_tokens)


def load_s(one: AttemptFinished) -> float | None:
    told = [claim.seconds for claim in one.server_claims if claim.interval == "load"]
    return told[0] if told else None


def queue_s(one: AttemptFinished) -> float | None:
    told = [claim.seconds for claim in one.server_claims if claim.interval == "queue"]
    return told[0] if told else None


SIGNS: dict[Cause, Sign] = {
    "no_answer": fails("timeout", "timeout.first_token"),
    "provider_errors": fails("server_error", "internal"),
    "provider_overloaded": fails("server_error", "overloaded", 503),
    "stream_truncation": fails("truncated", "no_finish"),
    "rate_limited_requests": fails("throttled", "rate_limit.requests"),
    "rate_limited_tokens": fails("throttled", "rate_limit.tokens"),
    "rate_limited_concurrency": fails("throttled", "rate_limit.concurrency"),
    "quota_exhausted": fails("client_error", "quota"),
    "auth_failure": fails("client_error", "auth"),
    "model_missing": fails("client_error", "model_not_found"),
    "bad_request": fails("client_error", "bad_request"),
    "model_changed": lambda well, ill: bool(ill.builds - well.builds) and len(well.builds) == 1,
    "wrong_answers": both(
        fails("content_error", "wrong_answer", 200),
        lambda well, ill: well.share(lambda one: one.right is True) == 1.0,
    ),
    "connection_churn": lambda well, ill: ill.made_anew > 0 == well.made_anew,
    "cold_start": lambda well, ill: ill.of(load_s) > 10 * well.of(load_s) > 0,
    "cache_loss": lambda well, ill: ill.share(is_cached) < well.share(is_cached) - 0.2,
    "prompt_growth": grows(lambda one: one.input_tokens, 1.4, 4.1),
    "output_growth": grows(lambda one: one.output_tokens, 1.5, 5),
    "retry_masking": fails("server_error", "internal"),
}
"""What is seen of a cause, where a scenario has no sign of its own."""

SIGNS_OF: dict[str, Sign] = {
    "outage-closed": fails("protocol_error", "reset", always=True),
    "outage-unavailable": fails("server_error", "unavailable", 503, always=True),
    "provider-errors-resets": fails("protocol_error", "reset"),
    "provider-overloaded-529": fails("server_error", "overloaded", 529),
    "provider-queueing-reported": lambda well, ill: ill.of(queue_s) > 1.0 > well.of(queue_s),
    "stream-stalls-for-ever": fails("timeout", "timeout.stall", always=True),
    "stream-truncation-closed": fails("truncated", "cut"),
    "stream-truncation-reset": fails("truncated", "reset"),
    "rate-limited-requests-silent": fails("throttled", "rate_limit"),
    "quota-exhausted": fails("client_error", "quota", 429, always=True),
    "quota-exhausted-402": fails("client_error", "quota", 402, always=True),
    "auth-failure": fails("client_error", "auth", 401, always=True),
    "auth-failure-permission": fails("client_error", "permission", 403, always=True),
    "model-missing": fails("client_error", "model_not_found", 404, always=True),
    "bad-request": fails("client_error", "bad_request", 400, always=True),
    "no-answer": fails("timeout", "timeout.first_token", always=True),
    "no-answer-after-headers": fails("timeout", "timeout.first_token", 200, always=True),
    "model-changed": lambda well, ill: ill.builds == {("hit-2-mini", "fp_9c14")} != well.builds,
    "connection-churn": lambda well, ill: ill.share(is_cold) == 1.0 and not well.made_anew,
}


@dataclass
class Span:
    """What was seen of one route over some seconds of the test's own clock."""

    ttft_s: list[float]
    token_s: list[float]
    longest_gap_s: list[float]

    @classmethod
    def of(cls, story: Story, since_s: float, until_s: float) -> "Span":
        samples = (story.ttfts, story.token_s, story.longest_gaps)
        return cls(*([x for at, x in one if since_s <= at < until_s] for one in samples))

    @property
    def stalled_share(self) -> float:
        return sum(gap > 1.0 for gap in self.longest_gap_s) / len(self.longest_gap_s)


TIMED: dict[str, Callable[[Span, Span], bool]] = {
    "provider-queueing": lambda well, ill: (
        4 < ratio(ill.ttft_s, well.ttft_s) < 6 and ratio(ill.token_s, well.token_s) < 1.2
    ),
    "provider-queueing-mild": lambda well, ill: (
        1.8 < ratio(ill.ttft_s, well.ttft_s) < 2.3 and ratio(ill.token_s, well.token_s) < 1.2
    ),
    "provider-slow-decode": lambda well, ill: (
        4.5 < ratio(ill.token_s, well.token_s) < 5.5 and ratio(ill.ttft_s, well.ttft_s) < 1.3
    ),
    "provider-slow-decode-mild": lambda well, ill: (
        1.8 < ratio(ill.token_s, well.token_s) < 2.2 and ratio(ill.ttft_s, well.ttft_s) < 1.15
    ),
    "stream-stalls": lambda well, ill: 0.4 < ill.stalled_share < 0.8 and not well.stalled_share,
    "stream-stalls-mild": lambda well, ill: 0.1 < ill.stalled_share < 0.3,
    "cache-loss": lambda well, ill: 2.5 < ratio(ill.ttft_s, well.ttft_s) < 8,
    "own-load": lambda well, ill: 3 < ratio(ill.ttft_s, well.ttft_s) < 12,
    "all-routes-queueing": lambda well, ill: 4 < ratio(ill.ttft_s, well.ttft_s) < 6,
}
"""Scenarios whose fault is one of time: how much longer it takes."""


def ratio(now: list[float], usual: list[float]) -> float:
    return median(now) / median(usual)


class Play:
    """A scenario that is being served, and what is measured of it."""

    def __init__(self, scenario: Scenario, server: SimulatorServer, clock: FastClock) -> None:
        self.scenario, self._server, self._clock = scenario, server, clock
        routes = demo_routes(server.base_url, scenario.name)
        self._routes = {route.model: route for route in routes}

    def go_to(self, phase: Phase) -> None:
        self._clock.set_to(self._server.started_ns + round(phase.start_s * STRETCHED * NS_PER_S))

    async def measure(
        self, model: HostedModel, phase: Phase, sign: Sign, well: Measured | None = None
    ) -> Measured:
        """Probe a model as its route does, but back to back, until there is a sign of its fault.

        Without `well` it is well, and what is measured is what the sign is told from.
        """
        wait_s = PATIENCE_S if phase.conditions.faults.hang_share else FOR_EVER_S
        route = msgspec.structs.replace(
            self._routes[model.name],
            timeouts=Timeouts(connect=20, first_token=wait_s, stall=wait_s, total=FOR_EVER_S),
            retries=0,
        )
        workers = route.concurrency * (3 if is_limited(model) else 1)
        measured = Measured(workers)

        async def work() -> None:
            transport = stamping(route, SystemClock())
            for sent in range(MOST):
                record = await probe_once(
                    route,
                    {},
                    clock=SystemClock(),
                    random=Random(1),
                    transport=lambda _route, _clock: KeptTransport(transport),
                )
                measured.attempts += record.attempts
                if sent + 1 >= LEAST and (well is None or sign(well, measured)):
                    break
            await transport.aclose()

        async with anyio.create_task_group() as group:
            for _ in range(workers):
                group.start_soon(work)
        return measured


@asynccontextmanager
async def playing(name: str) -> AsyncIterator[Play]:
    scenario = load_scenario(name)
    clock = FastClock(STEADY if any(map(is_limited, scenario.models)) else FAST)
    models = tuple(stretched(model) for model in scenario.models)
    slow = msgspec.structs.replace(scenario, models=models)
    async with serve(slow, clock=clock, random=Random(3)) as server:
        yield Play(scenario, server, clock)


def stretched(model: HostedModel) -> HostedModel:
    timeline = model.timeline
    phases = tuple(
        msgspec.structs.replace(phase, start_s=phase.start_s * STRETCHED)
        for phase in timeline.phases
    )
    return msgspec.structs.replace(model, timeline=Timeline(phases=phases))


def ill_phase(model: HostedModel) -> Phase | None:
    """Return the phase in which most is wrong: the last that says so."""
    return next((phase for phase in reversed(model.timeline.phases) if phase.truth), None)


TOLD = {name: load_scenario(name) for name in scenario_names()}
JUDGED = {name: one for name, one in TOLD.items() if any(map(ill_phase, one.models))}
ONLY_TIMED = TIMED.keys() - SIGNS_OF.keys() - {"cache-loss"}


@pytest.mark.anyio
@pytest.mark.parametrize("name", sorted(JUDGED.keys() - ONLY_TIMED))
async def test_a_fault_is_measured_on_the_routes_it_is_of(name: str) -> None:
    scenario = JUDGED[name]
    ill = {model.name: phase for model in scenario.models if (phase := ill_phase(model))}
    signs = {
        model: [one for true in phase.truth if (one := SIGNS_OF.get(name) or SIGNS.get(true.cause))]
        for model, phase in ill.items()
    }
    found: dict[str, Measured] = {}
    async with playing(name) as play:

        async def measure(
            model: HostedModel, phase: Phase, sign: Sign, before: Measured | None
        ) -> None:
            found[model.name] = await play.measure(model, phase, sign, before)

        async with anyio.create_task_group() as group:
            for model in scenario.models:
                group.start_soon(measure, model, model.timeline.phases[0], both(), None)
        well = dict(found)
        for phase in sorted(ill.values(), key=lambda one: one.start_s):
            play.go_to(phase)
        async with anyio.create_task_group() as group:
            for model in scenario.models:
                sign = both(*signs.get(model.name, ()))
                phase = ill.get(model.name, model.timeline.phases[0])
                group.start_soon(measure, model, phase, sign, well[model.name])
    for name, seen in well.items():
        assert {one.outcome for one in seen.attempts} == {"ok"}, name
    for name, seen in found.items():
        outcomes = {(one.outcome, one.reason) for one in seen.attempts}
        assert both(*signs.get(name, ()))(well[name], seen), outcomes
        assert name in ill or outcomes == {("ok", "")}


def is_limited(model: HostedModel) -> bool:
    """Whether the fault of a model is one of rates: it takes more workers than usual to hit it."""
    phase = ill_phase(model)
    return phase is not None and any("rate_limited" in true.cause for true in phase.truth)


@pytest.mark.anyio
@pytest.mark.parametrize("name", sorted(TIMED))
async def test_a_fault_of_time_takes_as_much_longer_as_its_title_says(name: str) -> None:
    model = JUDGED[name].models[0]
    phase = ill_phase(model)
    assert phase is not None
    clock = VirtualClock()
    story = Story(model, clock)
    clock.now_ns += round((phase.start_s - 40) * NS_PER_S)
    turned = [one for one in JUDGED[name].turns if one.at_s == phase.start_s]
    more = int(turned[0].value) - model.route.concurrency if turned else 0
    async with anyio.create_task_group() as group:
        group.start_soon(story.model.run)
        for _ in range(model.route.concurrency):
            group.start_soon(story.worker)
        await clock.advance(40)
        for _ in range(more):
            group.start_soon(story.worker)
        await clock.advance(60)
        group.cancel_scope.cancel()
    well = Span.of(story, phase.start_s - 40, phase.start_s)
    assert TIMED[name](well, Span.of(story, phase.start_s + 3, phase.start_s + 60))


def test_every_scenario_of_a_cause_is_named_after_it_and_has_a_sign() -> None:
    for name, scenario in JUDGED.items():
        causes = {one.cause for one in scenario.incidents(10_000)}
        if len(causes) == 1 and not name.startswith("all-routes-"):
            (cause,) = causes
            assert name.startswith(cause.replace("_", "-")), name
        signs = name in SIGNS_OF or name in TIMED
        assert signs or causes <= {*SIGNS, "provider_queueing", "provider_slow_decode"}, name


NOT_PLAYED: frozenset[Cause] = frozenset(
    {"network_path", "dns", "tls", "local_observer", "unknown"}
)
"""What no provider can do by itself: the way to it, its name, its certificate, our machine."""


def test_every_cause_that_a_provider_can_have_is_played_grossly() -> None:
    played = {one.cause for name, scenario in JUDGED.items() for one in scenario.incidents(10_000)}
    assert played == set(get_args(Cause)) - NOT_PLAYED


@pytest.mark.parametrize("name", sorted(JUDGED))
def test_a_scenario_is_well_long_enough_to_be_learned_then_ill_then_well(name: str) -> None:
    for incident in JUDGED[name].incidents(10_000):
        assert incident.start_s >= 120, "what is usual needs two minutes to be known"
        assert incident.end_s is not None
        assert 60 <= incident.end_s - incident.start_s <= 120
    for model in JUDGED[name].models:
        first, last = model.timeline.phases[0], model.timeline.phases[-1]
        assert first.conditions == last.conditions
        assert not first.truth
        assert not last.truth
