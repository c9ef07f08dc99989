"""Hand-made comparisons, and one that goes on as a test says."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
from changed import replace

from probes.comparing.arms import ArmChange, ArmError
from probes.comparing.views import (
    ArmView,
    ComparedFigure,
    ComparisonCost,
    ComparisonState,
    ComparisonView,
    TrailPoint,
)

COST = ComparisonCost(pairs=300, probes=602, tokens=51_000, usd=0.03)
SENTENCE = (
    "So far busy-llama takes ×1.35 as long to its first token as eastus-gpt (×1.22 to ×1.49, 83 "
    "pairs): it is slower. Which is better by E2E is not known."
)


def figures(times: float = 1.0) -> tuple[ComparedFigure, ...]:
    """Return what is known of a slower arm; `times` as slow as it is by itself."""
    return (
        ComparedFigure("ttft", 83, 1.35 * times, 1.22 * times, 1.49 * times, "worse", True),
        ComparedFigure("e2e", 83, 1.12, 0.97, 1.28),
        ComparedFigure("tokens_per_s", 80, 0.73, 0.68, 0.79, "worse"),
        ComparedFigure("good", 84, -0.024, -0.09, 0.04),
        ComparedFigure("throttled", 84, 0.0, -0.03, 0.03, "same"),
    )


def trail() -> tuple[TrailPoint, ...]:
    """Return how its interval narrowed."""
    return (
        TrailPoint(2, 1.9, None, None),
        *(
            TrailPoint(n, 1.35 + 1 / n, 1.35 / (1 + 3 / n), 1.35 * (1 + 3 / n))
            for n in (6, 9, 13, 20, 28, 41, 60, 83)
        ),
    )


def arm(name: str, **changes: Any) -> ArmView:
    """Return an arm of 84 probes."""
    return replace(
        ArmView(name, 84, 84, 0, 0, 0.31, 1.4, 52.0, 4_200, 0.003, settled=False), **changes
    )


def view(*names: str, state: ComparisonState = "running", **changes: Any) -> ComparisonView:
    """Return a comparison of 84 pairs; each arm but the first is slower than it."""
    first, *others = names or ("eastus-gpt", "busy-llama")
    slower = [
        arm(
            name,
            good=82,
            failed=2,
            throttled=place,
            ttft_s=0.42,
            e2e_s=1.57,
            tokens_per_s=38.0,
            figures=figures(1 + place / 10),
            trail=trail(),
        )
        for place, name in enumerate(others)
    ]
    made = ComparisonView(
        arms=(arm(first), *slower),
        changed="the route",
        state=state,
        pairs=84,
        cost=COST,
        sentence=SENTENCE,
        spent_tokens=8_500,
        spent_usd=0.007,
        asking=others[-1],
        seconds=72.0,
    )
    return replace(made, **changes)


def begun(*names: str, changed: str = "the route") -> ComparisonView:
    """Return a comparison of which nothing has ended."""
    arms = tuple(ArmView(name) for name in names)
    return ComparisonView(arms, changed, "waiting", 0, COST, "Nothing can be said yet.")


@dataclass
class FakeComparison:
    """A comparison that goes on when it is told."""

    view: ComparisonView
    breaks: Exception | None = None
    stops: bool = True
    """It ends when it is stopped, as it should."""
    shows: ComparisonView | None = None
    """How it stands as soon as it runs; else as it did before."""
    runs: int = 0
    stopped: int = 0
    ended: anyio.Event = field(default_factory=anyio.Event)

    async def run(self) -> None:
        self.runs += 1
        self.view = self.shows or replace(self.view, state="running")
        await self.ended.wait()
        if self.breaks is not None:
            raise self.breaks

    def go_on(self, shown: ComparisonView) -> None:
        self.view = shown
        if shown.is_over:
            self.ended.set()

    def stop(self) -> None:
        self.stopped += 1
        if self.stops:
            self.go_on(replace(self.view, state="stopped"))


@dataclass
class FakeComparisons:
    """Makes comparisons of any routes, or refuses them."""

    refusal: str = ""
    far: bool = False
    """Those it makes have gone far as soon as they run."""
    proposed: list[tuple[tuple[str, ...], ArmChange | None]] = field(default_factory=list)
    made: list[FakeComparison] = field(default_factory=list)

    def propose(self, routes: Sequence[str], change: ArmChange | None = None) -> FakeComparison:
        if self.refusal:
            raise ArmError(self.refusal)
        self.proposed.append((tuple(routes), change))
        names = (*routes, f"{routes[0]} (fresh)") if change is not None else tuple(routes)
        far = view(*names) if self.far else None
        self.made.append(FakeComparison(begun(*names), shows=far))
        return self.made[-1]
