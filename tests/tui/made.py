"""Hand-made views with believable figures, for the tests of the panes."""

import math
from typing import Any

from changed import replace

from probes.board.views import (
    ChartPoint,
    Figure,
    Grade,
    HeaderView,
    IncidentView,
    LaneView,
    LimitsView,
    Marker,
    PercentileTable,
    RecoveryView,
    RetryRow,
    RetryView,
    RouteDetail,
    RouteState,
    RouteView,
    Snapshot,
    ThrottleEntry,
    UsualView,
    WindowColumn,
    WindowName,
)
from probes.events import Advice, Cause, Diagnosis, Evidence, Limit
from probes.kit.clock import NS_PER_S
from probes.stats.windows import WINDOWS

NOW_NS = 761 * NS_PER_S
WALL_ANCHOR_NS = 1_700_000_000 * NS_PER_S
HOSTILE = "\x1b[2J\x1b]0;own\x07[red]a\u202eb\u200bc\ufdfd" + "\u0301" * 40 + "漢字" * 20
"""Everything a server might try on a terminal, in one name."""


def grade(value: float | None, goal: float) -> Grade:
    """Return the band of a value."""
    if value is None:
        return "none"
    for band, factor in (("great", 0.6), ("fine", 1.0), ("slow", 1.5)):
        if value <= goal * factor:
            return band  # type: ignore[return-value]
    return "sluggish"


def figure(value: float | None, n: int = 480, goal: float = 1.0, needed: int = 20) -> Figure:
    """Return a graded figure; not graded where `n` is below `needed`."""
    enough = value is not None and n >= needed
    return Figure(value, n, enough, grade(value, goal) if enough else "none")


def trend(level: float, rise: float = 0.0, slices: int = 90) -> tuple[ChartPoint, ...]:
    """Return 15 minutes of 10 s slices around `level`, climbing by `rise` in the last third."""
    points = []
    for index in range(slices):
        climb = rise * max(0.0, index / slices - 0.6) / 0.4
        p95 = level + climb + 0.05 * level * math.sin(index * 1.7)
        start = NOW_NS - (slices - index) * 10 * NS_PER_S
        hurt = climb > 1.2
        points.append(
            ChartPoint(start, p95 * 0.6, p95, 16, int(hurt), 3 if hurt and index % 3 == 0 else 0)
        )
    return tuple(points)


def route(name: str, state: RouteState = "ok", ttft: float = 0.5, **changes: Any) -> RouteView:
    """Return one healthy row; `changes` replaces any of its fields."""
    made = RouteView(
        name=name,
        model="Llama-3.3-70B",
        base_url="https://api.example.test/v1",
        tags=("eu",),
        state=state,
        since_ns=NOW_NS - 90 * NS_PER_S,
        goal_ratio=ttft,
        in_flight=4,
        target=4,
        interval=5.0,
        max_tokens=64,
        cohort="64/256",
        probes_per_min=48.0,
        ttft_p50=figure(ttft * 0.6),
        ttft_p95=figure(ttft),
        ttft_p99=figure(ttft * 1.2, needed=100),
        e2e_p50=figure(ttft * 3.5, goal=3.0),
        e2e_p95=figure(ttft * 4.4, goal=3.0),
        stream_tokens_per_s=55.0,
        success=1.0,
        success_missed=False,
        goodput=0.99,
        hurt_share=0.01,
        stalled_share=0.0,
        good_per_min=47.5,
        throttled_per_min=0.0,
        timeouts_per_min=0.0,
        failures_per_min=0.0,
        retries_per_min=0.0,
        amplification=1.0,
        input_tokens=212.0,
        output_tokens=96.0,
        usd_per_hour=0.09,
        cost_estimated=False,
        since_s=90.0,
        oldest_open_s=1.9,
        last_event_s=0.2,
        cool_down_s=None,
        skipped=0,
        n=480,
        trend=trend(ttft),
        goal_ttft_s=1.0,
        goal_e2e_s=3.0,
    )
    return replace(made, **changes)


def lane(probe: str = "8812", started_s: float = 4.1, **changes: Any) -> LaneView:
    """Return an open attempt that began `started_s` ago and streams steadily."""
    started = NOW_NS - int(started_s * NS_PER_S)
    first = started + int(0.6 * NS_PER_S)
    slots = range(first, NOW_NS, NS_PER_S // 10)
    made = LaneView(
        route="busy-llama",
        probe=probe,
        attempt=0,
        started_ns=started,
        first_token_ns=first,
        ended_ns=None,
        outcome=None,
        reason="",
        status=200,
        cells=tuple((at, 2 + index % 4) for index, at in enumerate(slots)),
        chunks=71,
        tokens=None,
        tokens_estimate=71,
        tokens_per_s=41.0,
        stalled_s=None,
        retry_wait_s=None,
        retry_number=0,
        retries=2,
    )
    return replace(made, **changes)


def percentiles(ttft: float = 0.9, e2e: float = 4.1) -> PercentileTable:
    """Return the percentiles of a route whose TTFT rises."""

    def five(value: float, goal: float, n: int) -> tuple[Figure, Figure, Figure, Figure, Figure]:
        factors = ((0.6, 2), (0.9, 10), (1.0, 20), (1.2, 100), (1.5, 1))
        made = [figure(value * factor, n, goal, needed) for factor, needed in factors]
        return (made[0], made[1], made[2], made[3], made[4])

    columns = tuple(
        WindowColumn(
            window=window,
            ttft=five(ttft / (1 + 0.3 * index), 1.0, 60 * (index + 1)),
            e2e=five(e2e / (1 + 0.3 * index), 3.0, 60 * (index + 1)),
            failures=index,
            finished=60 * (index + 1),
            failure_share=index / (60 * (index + 1)),
        )
        for index, window in enumerate(WINDOWS)
    )
    return PercentileTable(
        columns=columns,
        timeline=trend(ttft, rise=1.8),
        e2e_timeline=trend(ttft * 3, rise=1.8),
        markers=(Marker(NOW_NS - 300 * NS_PER_S, "concurrency 4 → 8"),),
        goal_ttft_s=1.0,
        goal_e2e_s=3.0,
        oldest_open_s=4.1,
        cohort="64/256",
    )


def retries() -> RetryView:
    """Return retries of two reasons."""
    return RetryView(
        rows=(
            RetryRow("rate_limit", (31, 9), 28, 3, 72.0),
            RetryRow("server_error", (4, 1), 4, 0, 3.1),
        ),
        amplification=1.31,
        recovered=32,
        exhausted=3,
        added_wait_s=75.1,
    )


def throttle(seconds_ago: float = 2.0, **changes: Any) -> ThrottleEntry:
    """Return one 429 that was retried."""
    made = ThrottleEntry(
        at_ns=NOW_NS - int(seconds_ago * NS_PER_S),
        route="busy-llama",
        probe="8818",
        attempt=0,
        kind="concurrency",
        asked_s=2.0,
        waited_s=2.0,
        retried=True,
        remaining="0/8",
        reset_s=12.0,
        request_id="req_7f3a9c01",
        message="Too many requests",
    )
    return replace(made, **changes)


def rate_limit(
    kind: str, remaining: float, limit: float, reset_s: float | None, age_s: float = 1.0
) -> Limit:
    """Return a limit by the minute that was told some seconds ago."""
    return Limit(
        kind=kind,
        limit=limit,
        remaining=remaining,
        reset_s=reset_s,
        window="minute",
        told_ns=NOW_NS - round(age_s * NS_PER_S),
    )


def limits(name: str = "busy-llama", **changes: Any) -> LimitsView:
    """Return what a route has left of two limits."""
    made = LimitsView(
        route=name,
        limits=(
            rate_limit("requests", 212, 600, 12.0),
            rate_limit("tokens", 41_000, 60_000, 30.0),
        ),
        cool_down_s=1.4,
        cool_down_asked_s=2.0,
    )
    return replace(made, **changes)


def lanes() -> tuple[LaneView, ...]:
    """Return lanes of every kind: streaming, stalled, waiting, throttled, done, cut, failed."""
    second = NS_PER_S
    return (
        lane("1-8812", 7.1),
        lane(
            "1-8815",
            5.9,
            stalled_s=2.4,
            stalls=((NOW_NS - 24 * second // 10, NOW_NS),),
            cells=tuple((NOW_NS - second * 5 + i * second // 10, 3) for i in range(26)),
            tokens_per_s=12.0,
            tokens_estimate=22,
        ),
        lane(
            "1-8817",
            1.2,
            first_token_ns=None,
            cells=(),
            chunks=0,
            tokens_estimate=0,
            tokens_per_s=None,
            status=None,
        ),
        lane(
            "1-8818",
            3.0,
            first_token_ns=None,
            cells=(),
            chunks=0,
            tokens_estimate=0,
            tokens_per_s=None,
            status=429,
            outcome="throttled",
            reason="rate_limit",
            ended_ns=NOW_NS - 2 * second,
            retry_wait_s=2.0,
            retry_number=1,
        ),
        lane(
            "1-8811",
            8.0,
            tokens=64,
            outcome="ok",
            ended_ns=NOW_NS - 3 * second,
            cells=tuple((NOW_NS - second * 7 + i * second // 10, 2 + i % 3) for i in range(40)),
        ),
        lane(
            "1-8810",
            9.0,
            outcome="truncated",
            reason="reset",
            ended_ns=NOW_NS - 5 * second,
            cells=tuple((NOW_NS - second * 8 + i * second // 10, 2) for i in range(30)),
        ),
        lane(
            "1-8809",
            6.0,
            first_token_ns=None,
            cells=(),
            chunks=0,
            tokens_estimate=0,
            tokens_per_s=None,
            status=503,
            outcome="server_error",
            reason="overloaded",
            ended_ns=NOW_NS - 5 * second,
        ),
    )


def detail(name: str = "busy-llama", **changes: Any) -> RouteDetail:
    """Return the panes' view of one route."""
    made = RouteDetail(
        route=name,
        now_ns=NOW_NS,
        lanes=tuple(replace(made, route=name) for made in lanes()),
        percentiles=percentiles(),
        retries=retries(),
        preview="The sea was calm and\nwide \x1b[31mand grey, and the gulls",
        preview_probe="1-8812",
    )
    return replace(made, **changes)


def routes() -> tuple[RouteView, ...]:
    """Return six routes, worst first, one of each kind of trouble."""
    return (
        route(
            "eastus-gpt",
            "down",
            3.2,
            model="gpt-4o-mini",
            success=0.0,
            success_missed=True,
            goodput=0.0,
            hurt_share=1.0,
            failures_per_min=22.0,
            timeouts_per_min=6.0,
            goal_ratio=9.0,
            in_flight=2,
            ttft_p50=Figure(),
            ttft_p95=Figure(),
            ttft_p99=Figure(),
            e2e_p50=Figure(),
            e2e_p95=Figure(),
            stream_tokens_per_s=None,
            amplification=2.8,
            retries_per_min=40.0,
            probes_per_min=22.0,
            input_tokens=None,
            output_tokens=None,
            usd_per_hour=None,
        ),
        route(
            "busy-llama",
            "throttled",
            2.91,
            in_flight=8,
            target=8,
            probes_per_min=96.0,
            success=0.972,
            success_missed=True,
            goodput=0.61,
            hurt_share=0.39,
            usual=UsualView(0.4, 0.62, 1.6, 2.4, 52.0, 480),
            throttled_per_min=14.0,
            failures_per_min=2.0,
            retries_per_min=9.0,
            amplification=1.31,
            goal_ratio=2.9,
            stream_tokens_per_s=41.0,
            trend=trend(0.5, 2.4),
            cool_down_s=1.4,
        ),
        route(
            "queue-eu",
            "slow",
            1.34,
            model="Qwen2.5-72B-Instruct",
            goal_ratio=1.34,
            usual=UsualView(0.4, 0.7, 2.1, 4.8, 90.0, 300),
            evidence=True,
            stalled_share=0.12,
        ),
        route("deepseek-eu", "ok", 0.62, model="DeepSeek-V3", n=480, learning=True),
        route("local-llama", "ok", 0.084, model="tiny-gguf", usd_per_hour=0.0, goal_ratio=0.1),
        route(
            "new-route",
            "starting",
            0.4,
            model="gpt-4.1-nano",
            n=0,
            success=None,
            goodput=None,
            hurt_share=None,
            ttft_p50=Figure(),
            ttft_p95=Figure(),
            ttft_p99=Figure(),
            e2e_p50=Figure(),
            e2e_p95=Figure(),
            stream_tokens_per_s=None,
            amplification=None,
            input_tokens=None,
            output_tokens=None,
            usd_per_hour=None,
            trend=(),
            probes_per_min=0.0,
        ),
    )


def diagnosis(
    cause: Cause = "provider_queueing", since_s: float = 110.0, **fields: Any
) -> Diagnosis:
    """Return what is known of an incident that began so many seconds ago."""
    made = Diagnosis(
        at_ns=NOW_NS - 2 * NS_PER_S,
        id="e1-1",
        state="named",
        cause=cause,
        routes=("queue-eu",),
        since_ns=NOW_NS - int(since_s * NS_PER_S),
    )
    return replace(made, **fields)


def incidents() -> tuple[IncidentView, ...]:
    """Return five things that are wrong: three of them are named, one may be chance."""
    share = {"unit": "share"}
    return (
        IncidentView(
            diagnosis(
                "outage",
                routes=("eastus-gpt",),
                evidence=(Evidence(figure="failed_share", now=1.0, usual=0.0, n_now=41, **share),),
                advice=Advice(act="move"),
            ),
            "down",
            '503 "The engine is currently overloaded"',
        ),
        IncidentView(
            diagnosis(
                "rate_limited_concurrency",
                78.0,
                routes=("busy-llama",),
                evidence=(
                    Evidence(figure="throttled_share", now=0.31, n_now=117, **share),
                    Evidence(figure="open_requests", now=6, usual=3, unit="count"),
                ),
                advice=Advice(act="undo_knob", knob="concurrency", value=4),
            ),
            "throttled",
            '429 "Too many requests"',
        ),
        IncidentView(
            diagnosis(
                "provider_queueing",
                344.0,
                size=3.6,
                evidence=(Evidence(figure="ttft", now=2.6, usual=0.73, n_now=103, n_usual=240),),
                against=(
                    Evidence(figure="time_per_token", now=0.03, usual=0.03, n_now=103),
                    Evidence(figure="rtt", now=0.018, usual=0.018, n_now=103),
                ),
                advice=Advice(act="move", route="deepseek-eu"),
            ),
            "sluggish",
        ),
        IncidentView(
            diagnosis(
                "prompt_growth",
                700.0,
                size=4.0,
                routes=("deepseek-eu", "local-llama"),
                evidence=(
                    Evidence(figure="input_tokens", now=480, usual=120, n_now=30, unit="tokens"),
                ),
                advice=Advice(act="check_prompt"),
            ),
            "changed",
        ),
        IncidentView(
            diagnosis(
                "cache_loss",
                50.0,
                state="perhaps",
                routes=("local-llama",),
                evidence=(Evidence(figure="cached_share", now=0.0, usual=0.92, n_now=8, **share),),
            ),
            "slow",
        ),
    )


def recovery(**changes: Any) -> RecoveryView:
    """Return an outage that ended 95 s ago, after 55 s."""
    over = diagnosis("outage", 150.0, state="cleared", routes=("deepseek-eu",))
    made = RecoveryView(replace(over, at_ns=NOW_NS - 95 * NS_PER_S), "down")
    return replace(made, **changes)


def header(**changes: Any) -> HeaderView:
    """Return a busy header."""
    made = HeaderView(
        elapsed_s=761.0,
        routes=6,
        in_flight=23,
        probes_per_min=312.0,
        tokens_per_s=1900.0,
        throttled_per_min=14.0,
        retries_per_min=9.0,
        failures_per_min=2.0,
        finished=605,
        failed=38,
        throttled=14,
        retries=31,
        good_share=0.84,
        hurt=3,
        usd_per_hour=0.42,
        budget_share=0.21,
        budget_text="412k of 2M tok/h",
        loop_lag_p99_s=0.0003,
        loop_lag_max_s=0.0011,
        engine_cpu=0.07,
        clock="kernel",
        last_batch_ns=NOW_NS,
    )
    return replace(made, **changes)


def snapshot(**changes: Any) -> Snapshot:
    """Return one whole frame with six routes, details for all of them."""
    rows = routes()
    totals = route(
        "all routes",
        "ok",
        1.2,
        model="",
        in_flight=23,
        target=26,
        probes_per_min=312.0,
        success=0.951,
        success_missed=True,
        goodput=0.84,
        hurt_share=0.16,
        throttled_per_min=14.0,
        timeouts_per_min=6.0,
        amplification=1.2,
        usd_per_hour=0.42,
    )
    made = Snapshot(
        version=1,
        now_ns=NOW_NS,
        wall_anchor_ns=WALL_ANCHOR_NS,
        window="5m",
        header=header(),
        routes=rows,
        totals=totals,
        throttles=tuple(throttle(2.0 * index + 1) for index in range(12)),
        limits=(limits(), limits("queue-eu", cool_down_s=None, cool_down_asked_s=None)),
        details={row.name: detail(row.name) for row in rows},
        incidents=incidents(),
        recoveries=(recovery(),),
    )
    return replace(made, **changes)


def of_one(window: WindowName = "5m", row: RouteView | None = None, **changes: Any) -> Snapshot:
    """Return a frame of one route; `changes` are those of its detail."""
    one = row or route("busy-llama")
    details = {one.name: detail(one.name, **changes)}
    return snapshot(routes=(one,), totals=None, window=window, details=details)
