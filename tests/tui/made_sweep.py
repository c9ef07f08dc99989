"""Hand-made sweeps, and one that goes on as a test says."""

from dataclasses import dataclass, field
from typing import Any

import anyio
from changed import replace
from sweeping.swept import ROUTE, kept, missed, plan, point

from probes.sweeping.estimates import Estimate
from probes.sweeping.goals import GoalError
from probes.sweeping.sweep import Sweep
from probes.sweeping.views import SweepCost, SweepState, SweepView

COST = SweepCost(steps=16, probes=3_391, tokens=278_062, usd=0.495, seconds=480.0)


def begun(route: str = "eastus-gpt") -> SweepView:
    """Return a sweep of which nothing has ended."""
    made = plan(route=replace(ROUTE, name=route))
    return Sweep(made, COST).view()


def view(route: str = "eastus-gpt", state: SweepState = "running", **changes: Any) -> SweepView:
    """Return a sweep that has found its goal's edge, its knee and a limit."""
    sweep = Sweep(plan(route=replace(ROUTE, name=route)), COST)
    at = Estimate(20.0, 20.0, 20.0)
    for one in (
        kept(point(1.0, ttft=0.2)),
        kept(point(2.0, ttft=0.21)),
        kept(point(4.0, ttft=0.22)),
        kept(point(8.0, ttft=0.24)),
        kept(point(16.0, ttft=0.3, served=15.0)),
        missed(point(32.0, served=15.5, ttft=1.3, ok=60, throttled=38, failed=2, refused_at=at,
                     refused_for="concurrency", failure="throttled / rate_limit.concurrency")),
        point(1.0, ttft=0.2, purpose="check", end="time"),
        missed(point(32.0, served=15.5, ttft=1.3, ok=60, throttled=38, failed=2, refused_at=at,
                     refused_for="concurrency", failure="throttled / rate_limit.concurrency",
                     purpose="confirm")),
    ):  # fmt: skip
        sweep.take(one)
    sweep.end("running")
    step = sweep.next_step()
    assert step is not None
    running = point(step.load, ttft=0.34, n=41, ok=41, end="stopped")
    sweep.end(state)
    shown = replace(
        sweep.view(),
        running=running if state == "running" else None,
        load=step.load if state == "running" else None,
        doing=f"asks for {step.load:.0f} at once" if state == "running" else "",
        step_share=0.4,
        seconds=171.0,
        left_s=64.0 if state == "running" else None,
        spent_probes=712,
        spent_tokens=42_100,
        spent_usd=0.071,
    )
    return replace(shown, **changes)


@dataclass
class FakeSweep:
    """A sweep that goes on when it is told."""

    view: SweepView
    shows: SweepView | None = None
    runs: int = 0
    stopped: int = 0
    breaks: Exception | None = None
    ended: anyio.Event = field(default_factory=anyio.Event)

    async def run(self) -> None:
        self.runs += 1
        self.view = self.shows or replace(self.view, state="running")
        await self.ended.wait()
        if self.breaks is not None:
            raise self.breaks

    def go_on(self, shown: SweepView) -> None:
        self.view = shown
        if shown.is_over:
            self.ended.set()

    def stop(self) -> None:
        self.stopped += 1
        self.go_on(replace(self.view, state="stopped"))


@dataclass
class FakeSweeps:
    """Makes sweeps of any route, or refuses them."""

    refusal: str = ""
    proposed: list[tuple[str, str]] = field(default_factory=list)
    made: list[FakeSweep] = field(default_factory=list)

    def propose_typed(self, route: str, words: str) -> FakeSweep:
        if self.refusal:
            raise GoalError(self.refusal)
        self.proposed.append((route, words))
        self.made.append(FakeSweep(begun(route)))
        return self.made[-1]
