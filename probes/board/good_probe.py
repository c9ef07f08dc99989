"""Whether a probe was good: the one rule, for everything that counts such probes."""

from probes.config.goals import cap_of, e2e_goal_s
from probes.events import ProbeFinished, RouteInfo
from probes.kit.clock import NS_PER_S


def is_good_probe(
    event: ProbeFinished, info: RouteInfo, e2e_goal: float | None, *, is_measured: bool
) -> bool:
    """Return whether a probe ended ok and within its route's goals; what was not measured was.

    `e2e_goal` is that of the probe's own answer cap, in seconds (`e2e_goal_at`).
    """
    dearest = info.goal_cost_usd_per_probe
    if event.outcome != "ok" or (dearest is not None and (event.cost_usd or 0.0) > dearest):
        return False
    if not is_measured:
        return True
    return _is_within(event.first_token_ns, event.started_ns, info.goal_ttft_s) and (
        _is_within(event.done_ns, event.started_ns, e2e_goal)
    )


def e2e_goal_at(info: RouteInfo, cap: int) -> float | None:
    """Return the E2E goal of a route at an answer cap, in seconds; None where it has none."""
    return e2e_goal_s(
        info.goal_e2e_s, cap, is_own=info.goal_e2e_set, configured_cap=info.max_tokens
    )


def e2e_goal_of(info: RouteInfo, cohort: str) -> float | None:
    """Return the E2E goal of a cohort; of one without a cap, that of the configured one."""
    return e2e_goal_at(info, cap_of(cohort) or info.max_tokens)


def _is_within(stamp_ns: int | None, started_ns: int, goal_s: float | None) -> bool:
    return stamp_ns is None or goal_s is None or (stamp_ns - started_ns) / NS_PER_S <= goal_s
