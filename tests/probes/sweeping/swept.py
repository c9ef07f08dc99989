"""Hand-made probes, points and plans of sweeps."""

from random import Random
from typing import Any

import msgspec

from probes.config import Price, Route
from probes.run.sweep_run import plan_of
from probes.sweeping.estimates import Estimate
from probes.sweeping.goals import SweepGoal, goals_of
from probes.sweeping.plan import SweepBy, SweepPlan
from probes.sweeping.results import SweepProbe
from probes.sweeping.step import SweepStep
from probes.sweeping.views import JudgedGoal, SweepPoint

ROUTE = Route(
    name="alpha",
    base_url="http://127.0.0.1:9/v1",
    model="m",
    price=Price(input=1.0, output=2.0),
)


def plan(by: SweepBy = "concurrency", most: float | None = None, **changes: Any) -> SweepPlan:
    """Return the plan of a sweep of that route, with its goals."""
    made = plan_of(ROUTE, by, most)
    return msgspec.structs.replace(made, **{"goals": goals_of(ROUTE), **changes})


def point(
    load: float, *, served: float | None = None, ttft: float = 0.1, **changes: Any
) -> SweepPoint:
    """Return a step of an easy-going provider: each answer takes a second."""
    per_s = load if served is None else served
    made = SweepPoint(
        load=load,
        purpose="grow",
        end="tight",
        seconds=30.0,
        n=100,
        ok=100,
        in_flight=load,
        ttft_p50=Estimate(ttft, ttft * 0.95, ttft * 1.05),
        ttft_p95=Estimate(ttft * 1.3, ttft * 1.2, ttft * 1.4),
        ttft_mean=Estimate(ttft, ttft * 0.97, ttft * 1.03),
        e2e_p50=Estimate(1.0, 0.9, 1.1),
        e2e_p95=Estimate(1.4, 1.3, 1.5),
        success=Estimate(1.0, 0.95, 1.0),
        requests_per_s=Estimate(per_s, per_s * 0.97, per_s * 1.03),
        tokens_per_s=Estimate(40 * per_s, 38 * per_s, 42 * per_s),
        stream_tokens_per_s=Estimate(45.0, 44.0, 46.0),
        reserved=76.0,
        samples=tuple(ttft * (0.9 + 0.002 * number) for number in range(100)),
        e2e_samples=tuple(0.9 + 0.002 * number for number in range(100)),
    )
    return msgspec.structs.replace(made, **changes)


def missed(at: SweepPoint, value: float = 1.7) -> SweepPoint:
    """Return a point that surely misses its goal of TTFT."""
    goal = JudgedGoal(SweepGoal("ttft_p95", 1.0), "missed")
    figure = Estimate(value, value * 0.9, value * 1.1)
    return msgspec.structs.replace(at, goals=(goal,), ttft_p95=figure)


def kept(at: SweepPoint) -> SweepPoint:
    """Return a point that surely meets it."""
    return msgspec.structs.replace(at, goals=(JudgedGoal(SweepGoal("ttft_p95", 1.0), "met"),))


def served(
    step: SweepStep, at_once: int, *, for_s: float = 60.0, took: float = 1.0, **changes: Any
) -> None:
    """Let a step see a closed loop of so many, until it ends or the time is over."""
    random, now_s = Random(at_once), 100.0
    step.look(now_s)
    due = sorted((now_s + 0.05 * number, number) for number in range(at_once))
    while due and now_s < 100.0 + for_s and step.end is None:
        start_s, number = due.pop(0)
        took_s = took * random.uniform(0.9, 1.1)
        now_s = start_s + took_s
        made = SweepProbe(
            started_s=start_s,
            ended_s=now_s,
            ttft_s=0.1 * random.uniform(0.9, 1.1),
            e2e_s=took_s,
            tokens_per_s=45.0,
            output_tokens=40,
            tokens=52,
            reserved_tokens=76,
            usd=0.0001,
        )
        step.take(msgspec.structs.replace(made, **changes))
        due = sorted([*due, (now_s + 0.01, number)])
