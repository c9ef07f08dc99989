"""What a frame says twice, it must say alike: the claims that `frames.py` counts and tests hold."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from probes.board.views import HURT_STATES, HeaderView, RouteView, Snapshot
from probes.stats.windows import WindowName, first_slice, slice_index

RATES = (
    "probes_per_min",
    "throttled_per_min",
    "retries_per_min",
    "failures_per_min",
    "usd_per_hour",
)
CLAIMS = (
    "windows that begin alike differ in n",
    "a longer window has fewer samples",
    "the row's percentiles are not its column's",
    "the row's grades are not its column's",
    "the row's n, OK% or retries are not its column's",
    "the row's trend is not the chart's",
    "in flight is not the sum of the rows shown",
    "rates of the header are not the sums of the rows shown",
    "the totals are not the sums of the rows",
    "the state knows of a milder p95 than the columns",
    "counts of the header are not those of the rows shown",
    "routes that hurt are not as many as the header says",
)


def disagreements(snapshot: Snapshot, origin_ns: int) -> Iterator[str]:
    """Give what contradicts itself in one snapshot."""
    for row in snapshot.routes:
        detail = snapshot.details.get(row.name)
        if detail is not None:
            onset = slice_index(_newest_onset(snapshot, row) - origin_ns)
            open_index = slice_index(snapshot.now_ns - origin_ns)
            yield from _of_columns(detail.percentiles.columns, onset, open_index)
            yield from _of_row(row, detail, snapshot.window)
    if snapshot.totals is not None and not _adds_up(snapshot.totals, snapshot.routes):
        yield CLAIMS[8]


def header_disagreements(header: HeaderView, rows: tuple[RouteView, ...]) -> Iterator[str]:
    """Give what a header says otherwise than the rows that stand under it."""
    if header.in_flight != sum(row.in_flight for row in rows):
        yield CLAIMS[6]
    if not _adds_up(header, rows):
        yield CLAIMS[7]
    counts = (
        (header.finished, sum(row.n for row in rows)),
        (header.failed, sum(row.n * (1.0 - (row.success or 0.0)) for row in rows)),
        (
            (header.good_share or 0.0) * header.finished,
            sum((row.goodput or 0.0) * row.n for row in rows),
        ),
        (header.throttled, sum(row.throttled_per_min * row.window_s / 60 for row in rows)),
        (header.retries, sum(row.retries_per_min * row.window_s / 60 for row in rows)),
    )
    if not all(_close(one, other) for one, other in counts):
        yield CLAIMS[10]
    hurting = [row for row in rows if row.state in HURT_STATES]
    if header.hurt != len(hurting) or (hurting and header.well_since_ns is not None):
        yield CLAIMS[11]


def _newest_onset(snapshot: Snapshot, row: RouteView) -> int:
    """Return the newest onset on a route, of which the shortest window may begin."""
    told = [view.diagnosis for view in snapshot.incidents]
    return max(row.since_ns or 0, *(one.since_ns for one in told if row.name in one.routes), 0)


def _of_columns(columns: Any, onset: int, open_index: int) -> Iterator[str]:
    for shorter, longer in pairwise(columns):
        begins = [max(0, first_slice(c.window, open_index)) for c in (shorter, longer)]
        for count in (lambda c: c.ttft[0].n, lambda c: c.e2e[0].n, lambda c: c.finished):
            # The shortest window begins no earlier than the onset of what is wrong.
            is_cut = shorter is columns[0] and onset >= first_slice(shorter.window, open_index)
            if begins[0] == begins[1] and not is_cut and count(shorter) != count(longer):
                yield CLAIMS[0]
            if count(shorter) > count(longer):
                yield CLAIMS[1]


def _of_row(row: RouteView, detail: Any, window: WindowName) -> Iterator[str]:
    table = detail.percentiles
    column = next(column for column in table.columns if column.window == window)
    pairs = [
        (row.ttft_p50, column.ttft[0]),
        (row.ttft_p95, column.ttft[2]),
        (row.ttft_p99, column.ttft[3]),
        (row.e2e_p50, column.e2e[0]),
        (row.e2e_p95, column.e2e[2]),
    ]
    if any((one.value, one.n) != (other.value, other.n) for one, other in pairs):
        yield CLAIMS[2]
    if any(one.grade != other.grade for one, other in pairs):
        yield CLAIMS[3]
    failed = None if row.success is None else 1.0 - row.success
    if (
        row.n != column.finished
        or not _close(failed, column.failure_share)
        or row.amplification != detail.retries.amplification
    ):
        yield CLAIMS[4]
    if row.trend != table.timeline:
        yield CLAIMS[5]
    if _latency_ratio(detail.percentiles) > row.goal_ratio + 1e-9:
        yield CLAIMS[9]


def _latency_ratio(table: Any) -> float:
    """Return the worse p95 as a multiple of its goal, of the first minute or five that has one."""
    ratios = [0.0]
    for name, goal in (("ttft", table.goal_ttft_s), ("e2e", table.goal_e2e_s)):
        judged = (getattr(column, name)[2] for column in table.columns[:2])
        enough = next((figure for figure in judged if figure.enough), None)
        if enough is not None and goal:
            ratios.append(enough.value / goal)
    return max(ratios)


def _adds_up(whole: Any, rows: tuple[RouteView, ...]) -> bool:
    return all(
        _close(getattr(whole, name), sum(getattr(row, name) or 0.0 for row in rows))
        for name in RATES
    )


def _close(one: float | None, other: float | None) -> bool:
    return math.isclose(one or 0.0, other or 0.0, rel_tol=1e-9, abs_tol=1e-9)
