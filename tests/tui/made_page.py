"""Hand-made pages of a route: an incident of queueing as it is seen 5m44s after its onset."""

import math
from functools import cache
from random import Random
from typing import Any

import made
from changed import replace
from made import NOW_NS

from probes.board.views import (
    CohortView,
    FeltColumn,
    FeltFigure,
    Happening,
    HeatSlice,
    KnobComparison,
    KnobEffect,
    PhaseRow,
    PhaseSlice,
    ProbeView,
    RouteDetail,
    RoutePage,
    RouteView,
    Snapshot,
    heat_row,
)
from probes.events import Outcome
from probes.kit.clock import NS_PER_S
from tui.panes.view import ViewState

NAME = "queue-eu"
VIEW = ViewState(selected=NAME)
ONSET_S = 344
SLICES = 90
STARTS = tuple((NOW_NS // NS_PER_S // 10 - back) * 10 * NS_PER_S for back in range(SLICES)[::-1])
"""Of the slices of the last 15 minutes, oldest first."""


def is_ill(start_ns: int) -> bool:
    """Tell whether a slice lies behind the onset."""
    return start_ns >= NOW_NS - ONSET_S * NS_PER_S


@cache
def phases() -> tuple[PhaseSlice, ...]:
    """Return phases of which the wait for the headers grows at the onset."""
    made = []
    for index, start_ns in enumerate(STARTS):
        wobble = 1 + 0.06 * math.sin(index * 1.3)
        headers = (2.38 if is_ill(start_ns) else 0.51) * wobble
        made.append(PhaseSlice(start_ns, 12, (0.0, 0.02, headers, 0.22, 1.3 * wobble)))
    return tuple(made)


def phase_rows() -> tuple[PhaseRow, ...]:
    """Return the table beside them."""
    return (
        PhaseRow("retries", 0.0, 0.0, 103, 240),
        PhaseRow("connect", 0.021, 0.02, 103, 240),
        PhaseRow("headers", 2.38, 0.51, 103, 240),
        PhaseRow("first_token", 0.22, 0.22, 103, 240),
        PhaseRow("writing", 1.31, 1.3, 103, 240),
    )


@cache
def heat(normal_s: float, ill_s: float, spread: float, number: int = 40) -> tuple[HeatSlice, ...]:
    """Return a map with one hump before the onset, and another one behind it."""
    chance = Random(7)
    made = []
    for start_ns in STARTS:
        middle = ill_s if is_ill(start_ns) else normal_s
        counts: dict[int, int] = {}
        for _ in range(number):
            row = heat_row(middle * math.exp(chance.gauss(0.0, spread)))
            counts[row] = counts.get(row, 0) + 1
        made.append(HeatSlice(start_ns, tuple(sorted(counts.items()))))
    return tuple(made)


def felt(value: float | None, goal: float = 1.0, n: int = 100, **changes: Any) -> FeltFigure:
    """Return a graded percentile over all that was asked."""
    made_figure = FeltFigure(value, False, n, value is not None, made.grade(value, goal))
    return replace(made_figure, **changes)


def column(name: str, ttft: float = 0.73, e2e: float = 2.05, **changes: Any) -> FeltColumn:
    """Return the figures of one span."""
    made_column = FeltColumn(
        name=name,
        ttft=(felt(ttft), felt(ttft * 1.25), felt(ttft * 1.5)),
        e2e=(felt(e2e, 3.0), felt(e2e * 1.2, 3.0), felt(e2e * 1.4, 3.0)),
        tokens_per_s=33.0,
        gap_p99_s=0.062,
        gap_max_s=0.31,
        cached_share=0.92,
        rtt_s=0.018,
        cold_share=0.02,
        lost_segments=0.1,
        stalled_share=0.0,
        input_tokens=212.0,
        output_tokens=40.0,
        finished=100,
        good=100,
        usd_per_hour=0.14,
    )
    return replace(made_column, **changes)


def columns() -> tuple[FeltColumn, ...]:
    """Return now, usual, and the windows."""
    worst = (felt(2.6), felt(3.26), felt(4.1, is_least=True))
    return (
        replace(column("now", 2.6, 3.9, good=22, failed=2), ttft=worst),
        column("usual", finished=0, good=0),
        column("1m", 2.6, 3.9, good=22, failed=2),
        column("5m", 1.55, 3.1, finished=500, good=220, failed=2),
        column("15m", 1.1, 2.6, finished=1_500, good=1_100, failed=2),
        column("1h", 0.8, 2.2, finished=2_209, good=1_800, failed=3, throttled=1),
        column("run", 0.91, 2.2, finished=2_209, good=1_800, failed=3, throttled=1),
    )  # fmt: skip


def probe(number: int = 1690, ago_s: float = 0.8, **changes: Any) -> ProbeView:
    """Return a probe that waited for its first token and wrote 40 tokens."""
    ttft_s, writing_s = 2.61, 1.31
    cells = (*[0] * 26, *[3 + place % 3 for place in range(13)])
    made_probe = ProbeView(
        probe=f"1-{number}",
        at_ns=NOW_NS - int(ago_s * NS_PER_S),
        started_ns=NOW_NS - int((ago_s + ttft_s + writing_s) * NS_PER_S),
        outcome="ok",
        status=200,
        ttft_s=ttft_s,
        e2e_s=ttft_s + writing_s,
        lasted_s=ttft_s + writing_s,
        output_tokens=40,
        tokens_per_s=33.0,
        longest_gap_s=0.06,
        cells=cells,
        request_id=f"req_{number:08x}",
        served_by="qwen3-235b fp_7a",
        is_good=False,
        cohort="64/256",
    )
    return replace(made_probe, **changes)


def failed(number: int, outcome: Outcome, reason: str, status: int | None, ago_s: float, **changes:
           Any) -> ProbeView:  # fmt: skip
    """Return a probe that did not end ok."""
    bare: dict[str, Any] = {"ttft_s": None, "cells": (), "output_tokens": None, "lasted_s": 0.4}
    fields = {**bare, "tokens_per_s": None, "longest_gap_s": 0.0, **changes}
    return probe(number, ago_s, outcome=outcome, reason=reason, status=status, e2e_s=None, **fields)


@cache
def probes(number: int = 200) -> tuple[ProbeView, ...]:
    """Return the last probes, newest first: slow ones, every kind of end, and before them well."""
    kinds = (
        probe(1690),
        failed(1689, "throttled", "rate_limit", 429, 1.2, attempts=3, throttled=3, lasted_s=2.4,
               wait_s=2.1, waits_s=((0.1, 1.1), (1.2, 2.3))),
        probe(1688, 1.9, attempts=2, wait_s=1.0, waits_s=((0.2, 1.2),)),
        failed(1687, "server_error", "overloaded", 503, 2.2),
        failed(1686, "truncated", "reset", 200, 3.1, ttft_s=0.7, lasted_s=1.9,
               cells=(*[0] * 7, *[3] * 12)),
        failed(1685, "timeout", "timeout.first_token", None, 3.4, lasted_s=60.0),
        probe(1684, 3.9, stalls=1, longest_gap_s=1.6,
              cells=(*[0] * 10, *[4] * 4, *[0] * 16, *[4] * 8), ttft_s=1.0),
        failed(1683, "cancelled", "paused", None, 4.4),
        failed(1682, "protocol_error", "connect.reset", None, 4.9, lasted_s=0.05),
    )  # fmt: skip
    usual = tuple(
        probe(
            1681 - place,
            5.5 + place * 0.6,
            ttft_s=0.7 + 0.02 * (place % 5),
            e2e_s=2.0,
            lasted_s=2.0,
            cells=(*[0] * 7, *[3] * 13),
            is_good=True,
        )
        for place in range(number - len(kinds))
    )
    return (*kinds, *usual)


def effect(**changes: Any) -> KnobEffect:
    """Return what a turn of the concurrency did: for the worse."""
    made_effect = KnobEffect(
        (
            KnobComparison("throttled_share", 0.0, 0.0, 112, 117, "unclear", 1.0),
            KnobComparison("ttft_p95", 0.9, 3.26, 112, 117, "worse", 0.0001),
            KnobComparison("tokens_per_s", 33.4, 33.0, 112, 117, "unclear", 0.4),
            KnobComparison("good_share", 1.0, 0.218, 112, 117, "worse", 0.0001),
        ),
        "worse",
    )
    return replace(made_effect, **changes)


def turned(ago_s: float = 350.0, **changes: Any) -> Happening:
    """Return a turn of a knob with what it did."""
    made_turn = Happening(
        at_ns=NOW_NS - int(ago_s * NS_PER_S),
        kind="knob",
        routes=(NAME,),
        text="you: CONC 3→6",
        effect=effect(),
    )
    return replace(made_turn, **changes)


def page(**changes: Any) -> RoutePage:
    """Return the whole page."""
    cohorts = (
        CohortView("64/256", (made.figure(0.73), made.figure(0.91)),
                   (made.figure(2.0, goal=3.0), made.figure(2.6, goal=3.0)), is_current=True),
        CohortView("128/256", (made.figure(0.74), made.figure(0.93)),
                   (made.figure(4.0, goal=3.0), made.figure(4.6, goal=3.0))),
    )  # fmt: skip
    made_page = RoutePage(
        phases=phases(),
        phase_rows=phase_rows(),
        ttft_heat=heat(0.73, 2.6, 0.16),
        gap_heat=heat(0.03, 0.031, 0.3, 300),
        columns=columns(),
        cohorts=cohorts,
        probes=probes(),
        ended=2_209,
    )
    return replace(made_page, **changes)


def row(**changes: Any) -> RouteView:
    """Return the row of the route."""
    made_row = made.route(
        NAME,
        "sluggish",
        3.26,
        model="Qwen/Qwen3-235B-A22B-Instruct-2507",
        base_url="https://api.example.com/v1",
        dialect="chat",
        since_s=float(ONSET_S),
        since_ns=NOW_NS - ONSET_S * NS_PER_S,
        in_flight=6,
        target=6,
        interval=0.5,
        goodput=0.218,
        oldest_open_s=3.4,
        oldest_phase="sent",
    )
    return replace(made_row, **changes)


def detail(**changes: Any) -> RouteDetail:
    """Return the detail of the route with its page."""
    return made.detail(NAME, page=page(**changes))


def snapshot(route: RouteView | None = None, **changes: Any) -> Snapshot:
    """Return a frame in which the route of the page is ill; `changes` are those of its page."""
    one = route or row()
    whole = made.snapshot()
    rows = tuple(one if each.name == NAME else each for each in whole.routes)
    return made.snapshot(
        routes=rows,
        details={**whole.details, NAME: detail(**changes)},
        happenings=(turned(),),
        limits=(*whole.limits[:1], made.limits(NAME, cool_down_s=None, cool_down_asked_s=None)),
    )


def calm() -> Snapshot:
    """Return a frame of a route that is well, and of which little is known yet."""
    whole = made.snapshot(incidents=(), recoveries=())
    one = made.route(NAME, "ok", 0.31, since_s=720.0, oldest_open_s=None)
    rows = tuple(one if each.name == NAME else each for each in whole.routes)
    young = made.detail(NAME, lanes=(), page=RoutePage())
    return replace(whole, routes=rows, details={**whole.details, NAME: young})
