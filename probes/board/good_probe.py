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
    return event.outcome == "ok" and is_within_goals(
        info,
        ttft_s=lasted_s(event.started_ns, event.first_token_ns) if is_measured else None,
        e2e_s=lasted_s(event.started_ns, event.done_ns) if is_measured else None,
        e2e_goal=e2e_goal,
        cost_usd=event.cost_usd,
    )


def is_within_goals(
    info: RouteInfo,
    *,
    ttft_s: float | None,
    e2e_s: float | None,
    e2e_goal: float | None,
    cost_usd: float | None,
) -> bool:
    """Return whether what a probe took and cost is within its route's goals; what is not known of
    it is."""
    dearest = info.goal_cost_usd_per_probe
    return (
        (ttft_s is None or ttft_s <= info.goal_ttft_s)
        and (e2e_s is None or e2e_goal is None or e2e_s <= e2e_goal)
        and (dearest is None or cost_usd is None or cost_usd <= dearest)
    )


def lasted_s(started_ns: int, ended_ns: int | None) -> float | None:
    """Return the seconds from a stamp to another; None where that never was."""
    return None if ended_ns is None else (ended_ns - started_ns) / NS_PER_S


def e2e_goal_at(info: RouteInfo, cap: int) -> float | None:
    """Return the E2E goal of a route at an answer cap, in seconds; None where it has none."""
    return e2e_goal_s(
        info.goal_e2e_s, cap, is_own=info.goal_e2e_set, configured_cap=info.max_tokens
    )


def e2e_goal_of(info: RouteInfo, cohort: str) -> float | None:
    """Return the E2E goal of a cohort; of one without a cap, that of the configured one."""
    return e2e_goal_at(info, cap_of(cohort) or info.max_tokens)
