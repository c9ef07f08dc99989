"""What one probe of an arm came to, as a comparison counts it.

Rule 1: latencies are of probes that ended ok, and whose stamps are to be trusted.
Rule 2: good is what the board calls so: ok, within the goals of TTFT and E2E, and no dearer than
its goal. A probe that a gap of ours spoilt is not held against its server.
"""

import msgspec

from probes.config import Route
from probes.events import AttemptFinished, ProbeFinished
from probes.kit.clock import seconds
from probes.stats.tokens import seconds_per_token


class ArmResult(msgspec.Struct, frozen=True):
    """One probe that ended."""

    ok: bool = True
    good: bool = True
    throttled: bool = False
    ttft_s: float | None = None
    e2e_s: float | None = None
    tokens_per_s: float | None = None
    failure: str = ""
    """How it failed and why, such as `client_error / auth`; empty of one that is ok."""


def result_of(route: Route, attempt: AttemptFinished, probe: ProbeFinished) -> ArmResult:
    """Return what a probe of one attempt came to; its goals are those of `route`."""
    if probe.outcome != "ok":
        reason = f" / {probe.reason}" if probe.reason else ""
        return ArmResult(
            ok=False,
            good=False,
            throttled=probe.outcome == "throttled",
            failure=f"{probe.outcome}{reason}",
        )
    cost_goal = route.goals.cost_usd_per_probe
    cheap = cost_goal is None or (probe.cost_usd or 0.0) <= cost_goal
    if probe.flagged:
        return ArmResult(good=cheap)
    came_in_parts = attempt.ttft_kind not in ("not_streamed", "none")
    ttft_s = _since_start(probe, probe.first_token_ns if came_in_parts else None)
    e2e_s = _since_start(probe, probe.done_ns)
    token_s = seconds_per_token(attempt)
    in_time = _is_within(ttft_s, route.goals.ttft_s) and _is_within(e2e_s, route.e2e_goal_s)
    return ArmResult(
        good=cheap and in_time,
        ttft_s=ttft_s,
        e2e_s=e2e_s,
        tokens_per_s=None if token_s is None else 1 / token_s,
    )


def _since_start(probe: ProbeFinished, stamp_ns: int | None) -> float | None:
    return None if stamp_ns is None else seconds(stamp_ns - probe.started_ns)


def _is_within(value_s: float | None, goal_s: float | None) -> bool:
    return value_s is None or goal_s is None or value_s <= goal_s
