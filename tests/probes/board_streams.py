"""Event streams made by hand for the tests of the board."""

from dataclasses import dataclass, field
from typing import Any

from probes.events import (
    Arrival,
    Arrivals,
    AttemptFinished,
    AttemptStarted,
    Batch,
    Cause,
    Diagnosis,
    Event,
    FirstToken,
    Health,
    Hello,
    ProbeFinished,
    RetryPlan,
    RouteCounts,
    RouteInfo,
    StampLadder,
    Tick,
)
from probes.kit.clock import NS_PER_S

START_NS = 1_000 * NS_PER_S


def at(seconds: float) -> int:
    """Return the stamp `seconds` after the run's start."""
    return START_NS + round(seconds * NS_PER_S)


def route_info(name: str = "alpha", **changes: Any) -> RouteInfo:
    settings: dict[str, Any] = {
        "base_url": "http://localhost:1/v1",
        "model": "m",
        "dialect": "chat",
        "concurrency": 4,
        "interval": 5.0,
        "max_tokens": 64,
        "prompt_tokens": 20,
        "stall_after": 1.0,
        "goal_ttft_s": 1.0,
        "goal_e2e_s": 3.0,
    }
    return RouteInfo(name=name, **(settings | changes))


def hello(*routes: RouteInfo, at_s: float = 0.0, **changes: Any) -> Hello:
    return Hello(
        at_ns=at(at_s),
        wall_ns=at(at_s) + 7,
        engine=changes.pop("engine", "e1"),
        version="0",
        routes=routes or (route_info(),),
        schema=1,
        **changes,
    )


def tick(at_s: float, *counts: RouteCounts, **changes: Any) -> Tick:
    health = Health(open_streams=1, drops=2, loop_lag_p99_ns=300_000, clock="kernel")
    return Tick(at_ns=at(at_s), wall_ns=at(at_s) + 7, health=health, routes=counts, **changes)


def batch(at_s: float, seq: int = 0) -> Batch:
    return Batch(at_ns=at(at_s), seq=seq, health=Health(loop_lag_p99_ns=seq))


def arrivals(at_s: float, *of: Arrival, route: str = "alpha") -> Arrivals:
    return Arrivals(at_ns=at(at_s), route=route, arrivals=of)


def diagnosis(
    at_s: float, cause: Cause = "outage", since_s: float | None = None, **changes: Any
) -> Diagnosis:
    """Return what was decided at `at_s` of an incident that began at `since_s`."""
    values: dict[str, Any] = {"id": "e1-1", "state": "named", "routes": ("alpha",), "size": 1.0}
    since_ns = at(at_s if since_s is None else since_s)
    return Diagnosis(at_ns=at(at_s), cause=cause, since_ns=since_ns, **(values | changes))


@dataclass
class ProbeScript:
    """One probe: `ttft_s` None for none, `e2e_s` its length, retried after `retry_s` or not."""

    name: str
    start_s: float
    ttft_s: float | None = 0.4
    e2e_s: float = 2.0
    outcome: Any = "ok"
    reason: str = ""
    route: str = "alpha"
    cohort: str = "64/256"
    flagged: str = ""
    tokens: int | None = 11
    cost_usd: float | None = None
    finished: dict[str, Any] = field(default_factory=dict)

    def started(self, attempt: int = 0, at_s: float | None = None) -> AttemptStarted:
        stamp = at(self.start_s if at_s is None else at_s)
        return AttemptStarted(
            at_ns=stamp,
            route=self.route,
            probe=self.name,
            attempt=attempt,
            scheduled_ns=stamp,
            admitted_ns=stamp,
            cohort=self.cohort,
        )

    def first_token(self, attempt: int = 0) -> FirstToken:
        assert self.ttft_s is not None
        return FirstToken(
            at_ns=at(self.start_s + self.ttft_s),
            route=self.route,
            probe=self.name,
            attempt=attempt,
            felt_ns=round(self.ttft_s * NS_PER_S),
            kind="content",
            cohort=self.cohort,
        )

    def attempt_finished(self, attempt: int = 0, from_s: float | None = None) -> AttemptFinished:
        began = self.start_s if from_s is None else from_s
        end = at(self.start_s + self.e2e_s)
        first = None if self.ttft_s is None else at(self.start_s + self.ttft_s)
        values: dict[str, Any] = {
            "at_ns": end,
            "outcome": self.outcome,
            "reason": self.reason,
            "cohort": self.cohort,
            "stamps_ns": StampLadder(
                started=at(began), first_token=first, last_token=first and end, ended=end
            ),
            "input_tokens": 20 if self.tokens else None,
            "output_tokens": self.tokens,
            "token_source": "usage" if self.tokens else "none",
            "cost_usd": self.cost_usd,
            "cost_source": "unknown" if self.cost_usd is None else "provider",
            "flagged": self.flagged,
        }
        return AttemptFinished(
            route=self.route, probe=self.name, attempt=attempt, **(values | self.finished)
        )

    def probe_finished(self, attempts: int = 1) -> ProbeFinished:
        end = at(self.start_s + self.e2e_s)
        return ProbeFinished(
            at_ns=end,
            route=self.route,
            probe=self.name,
            outcome=self.outcome,
            attempts=attempts,
            started_ns=at(self.start_s),
            scheduled_ns=at(self.start_s),
            reason=self.reason,
            first_token_ns=None if self.ttft_s is None else at(self.start_s + self.ttft_s),
            done_ns=end if self.outcome == "ok" else None,
            cost_usd=self.cost_usd,
            cohort=self.cohort,
            flagged=self.flagged,
        )

    def events(self) -> list[Event]:
        """Return the whole probe of one attempt."""
        first = [] if self.ttft_s is None else [self.first_token()]
        return [self.started(), *first, self.attempt_finished(), self.probe_finished()]


def throttled(
    script: ProbeScript, end_s: float, wait_s: float | None, number: int = 1, **changes: Any
) -> AttemptFinished:
    """Return attempt 0 of a probe, throttled at `end_s`, retried after `wait_s` or not at all."""
    plan = None if wait_s is None else RetryPlan(reason="rate_limit", wait_s=wait_s, number=number)
    values: dict[str, Any] = {
        "reason": "rate_limit",
        "status": 429,
        "retry": plan,
        "cohort": script.cohort,
        "stamps_ns": StampLadder(started=at(script.start_s), ended=at(end_s)),
    }
    return AttemptFinished(
        at_ns=at(end_s),
        route=script.route,
        probe=script.name,
        attempt=number - 1,
        outcome="throttled",
        **(values | changes),
    )
