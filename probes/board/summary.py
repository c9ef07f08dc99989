"""The end of a run in figures, for programs."""

from typing import Any

from probes.board.figures import SCHEDULED, RouteAt, amplification, share
from probes.board.goals import goals_verdict
from probes.board.route import RouteBoard
from probes.board.states import judge
from probes.board.views import Figure
from probes.kit.clock import NS_PER_S
from probes.stats.log_buckets import added
from probes.stats.tally import Tally


def route_summary(at: RouteAt) -> dict[str, Any]:
    """Return one route's run as JSON-able values: seconds, shares, USD; None where no sample.

    Percentiles are those of the last cohort; one whose n is below 1/(1−p) is the maximum of n.
    `goals_met` is None where it is not known whether they were, which `goals_unknown` then says the
    reasons of; `goals_missed` names what missed its goal.
    """
    route, tally = at.route, at.tally("run")
    ttft = at.percentiles("ttft", "run").at(0.5, 0.95, 0.99)
    e2e = at.percentiles("e2e", "run").at(0.5, 0.95, 0.99)
    speed = at.percentiles("speed", "run").at(0.5)
    gaps = added(route.chunk_gaps.total("run", at.offset_ns))
    verdict = goals_verdict(route, tally, ttft[1], e2e[1], speed[0])
    return {
        "state": judge(at).shown.state,
        "cohort": route.cohort,
        **_counts(route, tally),
        **_named("ttft", ttft),
        **_named("e2e", e2e),
        "tokens_per_s_p50": speed[0].value,
        "chunk_gap_p50_s": _seconds(gaps.quantile_ns(0.5)),
        "chunk_gap_p99_s": _seconds(gaps.quantile_ns(0.99)),
        "skipped": route.skipped,
        **_pace(at),
        "goals": _goals(route),
        "goals_met": verdict.met,
        "goals_missed": list(verdict.missed),
        "goals_unknown": list(verdict.unknown),
    }


def _counts(route: RouteBoard, tally: Tally) -> dict[str, Any]:
    """Return what was counted; what adds up to what stands in probes/README.md."""
    begun = route.accounts
    cancelled = tally.cancelled + begun.probes_lost
    return {
        "n": tally.finished,
        "probes": tally.finished,
        "ok": tally.ok,
        "failures": tally.failures,
        "good": tally.good,
        "success": share(tally.ok, tally.finished),
        "goodput": share(tally.good, tally.finished),
        "attempts": tally.probe_attempts,
        "amplification": amplification(tally),
        "probes_begun": begun.probes,
        "cancelled": cancelled,
        "open": begun.probes - tally.finished - cancelled,
        "attempts_begun": begun.attempts,
        "attempts_open": begun.open_attempts,
        "outcomes": {name: count for name, count in sorted(begun.outcomes.items()) if count},
        "throttled": begun.outcomes["throttled"],
        "timeouts": begun.outcomes["timeout"],
        "retries": tally.retries,
        "asked_again": begun.asked_again,
        "retries_recovered": tally.recovered,
        "retries_exhausted": tally.exhausted,
        "hidden_retries": tally.hidden_retries,
        "stalls": tally.stalls,
        "input_tokens": tally.input_tokens,
        "output_tokens": tally.output_tokens,
        "tokens_estimated": tally.token_estimates > 0,
        "cost_usd": tally.cost_usd if tally.costs else None,
        "cost_estimated": tally.cost_estimates > 0,
    }


def _pace(at: RouteAt) -> dict[str, Any]:
    """Return what an open pace has beside the rest; nothing of a closed one."""
    route = at.route
    if route.pace is None:
        return {}
    named: dict[str, Any] = {}
    for metric in SCHEDULED:
        named |= _named(metric, at.percentiles(metric, "run").at(0.5, 0.95, 0.99))
    return {
        "pace": route.info.pace,
        "rate": route.rate,
        "skipped_for": dict(sorted(route.skipped_for.items())),
        "due_waiting": route.due_waiting,
        **named,
    }


def _goals(route: RouteBoard) -> dict[str, float | None]:
    """Return the goals that hold at the present answer cap."""
    info = route.info
    return {
        "ttft_s": info.goal_ttft_s if info.streamed else None,
        "e2e_s": route.goal_e2e_s,
        "success": info.goal_success,
        "cost_usd_per_probe": info.goal_cost_usd_per_probe,
        "tokens_per_s": info.goal_tokens_per_s,
    }


def _named(metric: str, found: tuple[Figure, ...]) -> dict[str, Any]:
    names = (f"{metric}_p50_s", f"{metric}_p95_s", f"{metric}_p99_s")
    values = {name: figure.value for name, figure in zip(names, found, strict=True)}
    return {f"{metric}_n": found[0].n, **values}


def _seconds(span_ns: float | None) -> float | None:
    return None if span_ns is None else span_ns / NS_PER_S
