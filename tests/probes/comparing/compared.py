"""Comparisons that tests make, pair by pair."""

import math
from random import Random

from probes.comparing.arms import ArmChange, arms_of_change, arms_of_routes
from probes.comparing.comparison import PairedComparison
from probes.comparing.plan import ComparisonPlan
from probes.comparing.results import ArmResult
from probes.comparing.views import ComparisonCost
from probes.config import Route

FAILED = ArmResult(ok=False, good=False, failure="server_error / 500")
THROTTLED = ArmResult(ok=False, good=False, throttled=True, failure="throttled / rate_limit")
COST = ComparisonCost(pairs=300, probes=602, tokens=15_652, usd=None)


def route(name: str, **settings: object) -> Route:
    return Route(name=name, base_url="https://api.example.com/v1", model="m", **settings)


def plan_of(*names: str, **settings: object) -> ComparisonPlan:
    return ComparisonPlan(arms_of_routes([route(name) for name in names]), **settings)


def plan_of_change(change: ArmChange) -> ComparisonPlan:
    return ComparisonPlan(arms_of_change(route("alpha"), change), change)


def comparison_of(plan: ComparisonPlan) -> PairedComparison:
    made = PairedComparison(plan, COST)
    made.end("running")
    return made


def answer(ttft_s: float, speed: float = 50.0) -> ArmResult:
    return ArmResult(ttft_s=ttft_s, e2e_s=ttft_s + 1.0, tokens_per_s=speed)


def feed(comparison: PairedComparison, pairs: int, *, seed: int = 1, **ratios: float) -> None:
    """Give it blocks of lognormal times, σ 0.3, until it knows; each arm takes its ratio of them.

    Speeds are alike, and nothing fails.
    """
    random = Random(seed)
    for _ in range(pairs):
        if comparison.is_known:
            return
        results = {}
        for arm in comparison.next_block(random):
            ttft_s = 0.3 * ratios.get(arm.name, 1.0) * math.exp(random.gauss(0, 0.3))
            results[arm.name] = answer(ttft_s, 50 * math.exp(random.gauss(0, 0.1)))
        comparison.take(results)
