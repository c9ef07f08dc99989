"""What is left on the terminal after the screen is gone."""

from collections.abc import Callable
from typing import Final, get_args

from probes.board.views import RouteState, RouteView, Snapshot
from probes.kit.sanitise import neutralise
from tui.draw.table import Cell, Column, fit, printed
from tui.draw.text import NO_FIGURE, age, count, left, seconds, share, usd

_NAME_WIDTH: Final = 24
_FIGURE_WIDTH: Final = 9
_NAME_LIMIT: Final = 80
_STATE_WIDTH: Final = max(map(len, get_args(RouteState)))


def _figure(
    head: str, priority: int, text: Callable[[RouteView], str], group: str = ""
) -> Column[RouteView]:
    return Column(head, _FIGURE_WIDTH, lambda route: Cell(text(route)), priority, group=group)


def _factor(route: RouteView) -> str:
    return NO_FIGURE if route.amplification is None else f"×{route.amplification:.2f}"


def _scheduled(route: RouteView) -> str:
    return NO_FIGURE if route.pace is None else seconds(route.pace.scheduled_ttft[1].value)


_OPEN_PACE: Final = _figure("SCHED p95", 4, _scheduled)
"""There only where the pace of a route is open."""
_COLUMNS: Final[tuple[Column[RouteView], ...]] = (
    Column(
        "ROUTE",
        _NAME_WIDTH,
        lambda route: Cell(left(neutralise(route.name, _NAME_LIMIT), _NAME_WIDTH)),
        flush_left=True,
    ),
    _figure("probes", 6, lambda route: count(route.n)),
    _figure("OK%", 3, lambda route: share(route.success)),
    _figure("GOOD%", 2, lambda route: share(route.goodput)),
    _figure("p50", 8, lambda route: seconds(route.ttft_p50.value), "TTFT "),
    _figure("p95", 1, lambda route: seconds(route.ttft_p95.value), "TTFT "),
    _figure("E2E p95", 5, lambda route: seconds(route.e2e_p95.value)),
    _OPEN_PACE,
    _figure("429/m", 7, lambda route: count(route.throttled_per_min)),
    _figure("RETRY", 9, _factor),
    _figure("$/h", 10, lambda route: usd(route.usd_per_hour)),
    Column("", _STATE_WIDTH, lambda route: Cell(route.state), gap=2, flush_left=True),
)


def summary_text(snapshot: Snapshot, recording: str = "", width: int | None = None) -> str:
    """Return the run in one line per route, worst first; empty where nothing was measured.

    `recording` is the file that has the whole of it, if any; `width` that of the terminal, on which
    no line of the table wraps; None has all of it.
    """
    if not snapshot.routes:
        return ""
    is_open = any(route.pace is not None for route in snapshot.routes)
    columns = [column for column in _COLUMNS if is_open or column is not _OPEN_PACE]
    table = printed(columns, gap=0) if width is None else fit(columns, width)
    title = f"llmtop ran {age(snapshot.header.elapsed_s)} · figures: {snapshot.window}"
    kept = (f"recorded in {neutralise(recording)}",) if recording else ()
    lines = (title, table.head_text(), *map(table.text, snapshot.routes), *kept)
    return "\n".join(lines) + "\n"
