"""Every metric that is served: name, type, labels and meaning, in one table.

Rule 1: names and units follow Prometheus' conventions: base units (seconds, ratios from 0 to 1),
counters end in `_total`, facts in `_info`.
Rule 2: every label has a bounded set of values. Routes, models and places are those of the
settings; what a server or another file may have written goes through an allow-list, and what is
not on it is `other`. An empty value is no label at all: without several places none has a `place`.
Rule 3: buckets are the same for all routes, or sums over them would be nonsense. Whether a probe
was within its own route's goals is counted apart (`llmtop_good_probes_total`), exactly.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

from probes.events import Outcome

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

TTFT_BUCKETS: Final = (
    *(0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.2, 0.3, 0.45),
    # The bands of the default goal: great, fine, slow.
    *(0.6, 1.0, 1.5),
    *(2.0, 3.0, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 120.0),
)
"""Seconds: from a server on this machine to twice what an attempt waits at most by default: a probe
waits for its failed attempts, too. None is more than twice the one before: a quantile is read as if
all between two of them were spread evenly."""
DURATION_BUCKETS: Final = (
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
    # The same of E2E: 0.6, 1 and 1.5 times 3 s.
    *(1.8, 3.0, 4.5),
    *(6.0, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0),
)
"""Seconds: up to twice the time that an attempt may take by default."""
TOKEN_BUCKETS: Final = (
    *(0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.0125, 0.015, 0.02, 0.025),
    *(0.033, 0.05, 0.075, 0.1, 0.2, 0.5, 1.0),
)
"""Seconds a token: 2,000 tokens a second to 1."""

OTHER: Final = "other"
"""Stands for whatever is not on the allow-list of its label."""

OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
REASONS: Final = frozenset(
    {
        *("rate_limit", "rate_limit.requests", "rate_limit.tokens", "rate_limit.concurrency"),
        *("overloaded", "internal", "bad_gateway", "gateway_timeout", "unavailable", "upstream"),
        *("aborted", "quota", "auth", "permission", "blocked", "model_not_found", "not_found"),
        *("bad_request", "bad_url", "context_length", "too_large", "moderation", "redirect"),
        *("proxy", "client_closed", "conflict", "clear_text", "timeout.connect"),
        *("timeout.first_token", "timeout.total", "timeout.stall", "timeout.server"),
        *("connect.dns", "connect.refused", "connect.unreachable", "connect.reset"),
        *("connect.proxy", "connect.tls", "connect.tls.expired", "connect.tls.hostname"),
        *("connect.tls.untrusted", "connect.tls.certificate", "reset", "stale_connection"),
        *("protocol", "html", "not_an_answer", "bad_json", "empty", "encoding", "other_dialect"),
        *("cap_ignored", "cut", "no_finish", "cap_exhausted", "refusal", "content_filter"),
        *("wrong_answer", "cancelled", "user", "local_gap", "local.descriptors", "local.memory"),
        *("local.buffers", "local.ports", "local.threads", "engine_died", "stopped", "engine"),
    }
)
"""Precise reasons of an outcome, as `probes/answers/README.md` has them."""
LIMIT_KINDS: Final = frozenset(
    {"requests", "tokens", "concurrency", "input_tokens", "output_tokens", "usage"}
)
LIMIT_WINDOWS: Final = frozenset({"second", "minute", "hour", "day", "month"})

_ROUTE: Final = ("route", "model", "place")


class MetricFamily(NamedTuple):
    """One family of series."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()


METRICS: Final[tuple[MetricFamily, ...]] = (
    MetricFamily(
        "llmtop_time_to_first_token_seconds",
        "histogram",
        (*_ROUTE, "outcome"),
        "What a user waits for the first output, failed attempts before it included, "
        "by how the probe ended.",
        TTFT_BUCKETS,
    ),
    MetricFamily(
        "llmtop_probe_duration_seconds",
        "histogram",
        (*_ROUTE, "outcome"),
        "A probe from its start to its end, all its attempts and the waits between them included.",
        DURATION_BUCKETS,
    ),
    MetricFamily(
        "llmtop_time_per_output_token_seconds",
        "histogram",
        (*_ROUTE, "outcome"),
        "Time for each output token after the first chunk of an attempt, "
        "of exact token counts alone.",
        TOKEN_BUCKETS,
    ),
    MetricFamily("llmtop_probes_total", "counter", (*_ROUTE, "outcome"), "Probes that ended."),
    MetricFamily(
        "llmtop_good_probes_total",
        "counter",
        _ROUTE,
        "Probes that ended ok and within the goals of their route.",
    ),
    MetricFamily(
        "llmtop_attempts_total",
        "counter",
        (*_ROUTE, "outcome", "reason"),
        "HTTP exchanges that ended, retries included.",
    ),
    MetricFamily(
        "llmtop_retries_total",
        "counter",
        (*_ROUTE, "reason"),
        "Retries that began, by why the attempt before failed.",
    ),
    MetricFamily(
        "llmtop_throttled_attempts_total",
        "counter",
        (*_ROUTE, "limit"),
        "Attempts that a rate limit refused (429), by the limit that was hit.",
    ),
    MetricFamily(
        "llmtop_skipped_probes_total",
        "counter",
        (*_ROUTE, "reason"),
        "Probes of an open pace that were due and never began.",
    ),
    MetricFamily(
        "llmtop_stalls_total",
        "counter",
        _ROUTE,
        "Pauses in the middle of an answer that were longer than the route's stall_after.",
    ),
    MetricFamily(
        "llmtop_input_tokens_total",
        "counter",
        _ROUTE,
        "Tokens of prompts as the server counted them, those from its cache included.",
    ),
    MetricFamily(
        "llmtop_cached_input_tokens_total",
        "counter",
        _ROUTE,
        "Of the input tokens, those from the server's cache.",
    ),
    MetricFamily(
        "llmtop_output_tokens_total",
        "counter",
        _ROUTE,
        "Tokens of answers as the server counted them, reasoning included.",
    ),
    MetricFamily(
        "llmtop_reasoning_tokens_total",
        "counter",
        _ROUTE,
        "Of the output tokens, those of reasoning.",
    ),
    MetricFamily(
        "llmtop_cost_usd_total",
        "counter",
        _ROUTE,
        "What attempts cost in USD, where that is known.",
    ),
    MetricFamily(
        "llmtop_requests_in_flight", "gauge", _ROUTE, "Attempts that have begun and not ended."
    ),
    MetricFamily("llmtop_concurrency_target", "gauge", _ROUTE, "Requests at once that are wanted."),
    MetricFamily(
        "llmtop_oldest_request_age_seconds",
        "gauge",
        _ROUTE,
        "Age of the oldest open attempt; 0 where none is open.",
    ),
    MetricFamily(
        "llmtop_route_held",
        "gauge",
        (*_ROUTE, "reason"),
        "1 while new attempts are held back for that reason.",
    ),
    MetricFamily(
        "llmtop_limit_remaining",
        "gauge",
        (*_ROUTE, "limit", "window"),
        "What is left of a rate limit, as its server said last.",
    ),
    MetricFamily(
        "llmtop_limit_capacity",
        "gauge",
        (*_ROUTE, "limit", "window"),
        "How much a rate limit allows in its window, as its server said last.",
    ),
    MetricFamily(
        "llmtop_incidents_open",
        "gauge",
        (*_ROUTE, "cause"),
        "Named incidents that stand, by what is wrong.",
    ),
    MetricFamily(
        "llmtop_incidents_total",
        "counter",
        (*_ROUTE, "cause"),
        "Incidents that were named.",
    ),
    MetricFamily(
        "llmtop_alerts_firing",
        "gauge",
        (*_ROUTE, "kind", "cause"),
        "Alerts that fire: somebody must know.",
    ),
    MetricFamily(
        "llmtop_goal_time_to_first_token_seconds",
        "gauge",
        _ROUTE,
        "What the p95 of TTFT is to stay within.",
    ),
    MetricFamily(
        "llmtop_goal_probe_duration_seconds",
        "gauge",
        _ROUTE,
        "What the p95 of E2E is to stay within at the configured answer cap, "
        "where there is such a goal.",
    ),
    MetricFamily(
        "llmtop_goal_success_ratio", "gauge", _ROUTE, "Least share of probes that must end ok."
    ),
    MetricFamily(
        "llmtop_goal_good_ratio",
        "gauge",
        _ROUTE,
        "Least share of probes that must be good: so many ok, and 95 % of these within the goals.",
    ),
    MetricFamily(
        "llmtop_budget_used_tokens",
        "gauge",
        ("route", "place"),
        "Tokens of a budget that the last hour used, at all places that share it; "
        "the overall budget has no route.",
    ),
    MetricFamily(
        "llmtop_budget_limit_tokens",
        "gauge",
        ("route", "place"),
        "Tokens that a budget allows in any hour.",
    ),
    MetricFamily(
        "llmtop_budget_used_usd",
        "gauge",
        ("route", "place"),
        "The same in USD, where a budget has such a limit.",
    ),
    MetricFamily("llmtop_budget_limit_usd", "gauge", ("route", "place"), "USD that it allows."),
    MetricFamily(
        "llmtop_route_info",
        "gauge",
        (*_ROUTE, "dialect", "server"),
        "1 for each route that is probed.",
    ),
    MetricFamily(
        "llmtop_place_heard",
        "gauge",
        ("place",),
        "1 while one of several places is heard; 0: nobody knows how its routes are.",
    ),
    MetricFamily(
        "llmtop_engine_last_tick_timestamp_seconds",
        "gauge",
        ("place",),
        "Unix time of the engine's last word; one comes each second.",
    ),
    MetricFamily(
        "llmtop_engine_lag_p99_seconds",
        "gauge",
        ("place",),
        "How late the engine woke for what was due, p99 of the last second.",
    ),
    MetricFamily("llmtop_engine_lag_max_seconds", "gauge", ("place",), "The same, the worst."),
    MetricFamily(
        "llmtop_engine_cpu_ratio",
        "gauge",
        ("place",),
        "Share of a core that the engine uses; of the busiest one where there are several.",
    ),
    MetricFamily(
        "llmtop_engine_inexact_ratio",
        "gauge",
        ("place",),
        "Share of output chunks whose arrival is only known to lie between two reads.",
    ),
    MetricFamily("llmtop_engine_open_sockets", "gauge", ("place",), "Connections that are held."),
    MetricFamily(
        "llmtop_engine_short_of_resources",
        "gauge",
        ("place",),
        "1 while the engine's machine has too little of something to send probes.",
    ),
    MetricFamily(
        "llmtop_engine_dropped_events_total",
        "counter",
        ("place",),
        "Transient events that were dropped because their reader was slow.",
    ),
    MetricFamily("llmtop_engine_starts_total", "counter", ("place",), "Engines that said hello."),
    MetricFamily(
        "llmtop_engine_gaps_total", "counter", ("place",), "Times that an engine did not run."
    ),
    MetricFamily(
        "llmtop_engine_gap_seconds_total",
        "counter",
        ("place",),
        "How long an engine did not run (suspended, stopped); nothing is measured then.",
    ),
    MetricFamily(
        "llmtop_route_faults_total", "counter", _ROUTE, "Defects of llmtop that restarted a route."
    ),
    MetricFamily(
        "llmtop_export_dropped_events_total",
        "counter",
        (),
        "Events that found no place in the queue of this exporter: figures miss them.",
    ),
    MetricFamily(
        "llmtop_build_info",
        "gauge",
        ("version", "digests"),
        "1; the version of llmtop, and the package that holds its percentiles.",
    ),
)

METRIC: Final[Mapping[str, MetricFamily]] = {metric.name: metric for metric in METRICS}


def table() -> str:
    """Return the table of the room's README, in Markdown."""
    lines = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for one in METRICS:
        labels = ", ".join(f"`{label}`" for label in one.labels) or "–"
        lines.append(f"| `{one.name}` | {one.kind} | {labels} | {one.help} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(table())
