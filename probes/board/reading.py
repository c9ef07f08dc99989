"""All figures of one route at one moment.

What is read side by side must not contradict itself. So everything of a route that is taken from
its counters and samples (its row, the windows side by side, the ends of its charts, its retries and
what its state is judged by) is read at one point of the stream, by one `Reading`, and stands until
the route's next moment.

Windows that reach back equally far hold the same, as all of them do in a young run: they are read
once, under the name of the shortest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from probes.board.figures import Figures
from probes.board.rates import share
from probes.board.retries import retry_view
from probes.board.route import RouteBoard
from probes.board.views import ChartPoint, Figure, RetryView, WindowColumn
from probes.stats.tally import Tally
from probes.stats.windows import WINDOWS, WindowName, elapsed_s, first_slice, slice_index

_ROW_TTFT: Final = (0.5, 0.95, 0.99)
_ROW_E2E: Final = (0.5, 0.95)
_COLUMN: Final = (0.5, 0.9, 0.95, 0.99)


class Reading:
    """Reads the counters and samples of a route at the stamp `now_ns`, each thing once.

    Made, used up and dropped between two events: what it is asked for later is not of its moment.
    """

    __slots__ = ("_figures", "_shortest", "_tallies", "now_ns", "offset_ns", "route")

    def __init__(self, route: RouteBoard, now_ns: int) -> None:
        self.route = route
        self.now_ns = now_ns
        self.offset_ns = now_ns - route.origin_ns
        self._shortest = _shortest_alike(slice_index(self.offset_ns))
        self._tallies: dict[WindowName, Tally] = {}
        self._figures: dict[tuple[str, WindowName], Figures] = {}

    def tally(self, window: WindowName) -> Tally:
        """Return the counters over `window`."""
        window = self._shortest[window]
        found = self._tallies.get(window)
        if found is None:
            found = self._tallies[window] = self.route.tallies.total(window, self.offset_ns)
        return found

    def newest(self) -> tuple[int, int]:
        """Return how many probes of the last 10 to 20 s finished, and how many of them ok."""
        return self.route.tallies.newest(self.offset_ns)

    def figures(self, metric: str, window: WindowName) -> Figures:
        """Return the percentiles of `ttft`, `e2e` or `speed`, of the present cohort, over a window,
        graded by the goal that holds at the present answer cap."""
        window = self._shortest[window]
        found = self._figures.get((metric, window))
        if found is None:
            parts = self.route.samples(metric, window, self.now_ns)
            found = Figures(parts, self.route.goal_s(metric))
            self._figures[metric, window] = found
        return found


@lru_cache(maxsize=4)
def _shortest_alike(open_index: int) -> Mapping[WindowName, WindowName]:
    """Return for each window the shortest one that begins where it does."""
    by_first: dict[int, WindowName] = {}
    return {
        window: by_first.setdefault(max(0, first_slice(window, open_index)), window)
        for window in WINDOWS
    }


@dataclass(frozen=True, slots=True)
class Sides:
    """What the percentiles pane and the retries pane show beside the row."""

    columns: tuple[WindowColumn, ...]
    e2e_chart: tuple[ChartPoint, ...]
    retries: RetryView


@dataclass(frozen=True, slots=True)
class RouteFigures:
    """What a route shows, until its next moment."""

    window: WindowName
    window_s: float
    """Seconds the window truly covered."""
    tally: Tally
    cohort: str
    ttft: tuple[Figure, ...]
    """p50, p95, p99."""
    e2e: tuple[Figure, ...]
    """p50, p95."""
    speed: float | None
    trend: tuple[ChartPoint, ...]
    sides: Sides | None
    """None where only its row is looked at."""


def route_figures(reading: Reading, window: WindowName, *, whole: bool) -> RouteFigures:
    """Return what a route's row shows over `window`, and its panes where `whole`."""
    route = reading.route
    return RouteFigures(
        window=window,
        window_s=elapsed_s(window, reading.offset_ns),
        tally=reading.tally(window),
        cohort=route.cohort,
        ttft=reading.figures("ttft", window).at(*_ROW_TTFT),
        e2e=reading.figures("e2e", window).at(*_ROW_E2E),
        speed=reading.figures("speed", window).value(0.5),
        trend=route.points("ttft", reading.now_ns),
        sides=_sides(reading, window) if whole else None,
    )


def _sides(reading: Reading, window: WindowName) -> Sides:
    return Sides(
        columns=tuple(_column(reading, shown) for shown in WINDOWS),
        e2e_chart=reading.route.points("e2e", reading.now_ns),
        retries=retry_view(reading.tally(window)),
    )


def _column(reading: Reading, window: WindowName) -> WindowColumn:
    tally = reading.tally(window)
    return WindowColumn(
        window=window,
        ttft=_five(reading.figures("ttft", window)),
        e2e=_five(reading.figures("e2e", window)),
        failures=tally.failures,
        finished=tally.finished,
        failure_share=share(tally.failures, tally.finished),
    )


def _five(figures: Figures) -> tuple[Figure, Figure, Figure, Figure, Figure]:
    p50, p90, p95, p99 = figures.at(*_COLUMN)
    return (p50, p90, p95, p99, figures.maximum())
