"""What of a frame is computed at most once a second of the stream, each part at its own moment.

Percentiles are dear. Were all of them renewed when a second begins, one frame of ten would pay for
everything; so each route, and each column of its table, begins its second at another moment.
"""

from collections.abc import Callable
from typing import Final, Generic, TypeAlias, TypeVar

from probes.board.route import RouteBoard
from probes.board.rows import RowFigures, row_figures, window_column
from probes.clock import NS_PER_S
from probes.views import WINDOWS, ChartPoint, WindowColumn, WindowName

__all__ = ["Renewal"]

T = TypeVar("T")
_Key: TypeAlias = tuple[int, str]
"""(second, cohort) that something was computed for."""

_STEP_NS: Final = NS_PER_S // (len(WINDOWS) + 2)
"""Between the moments of the parts of one route: its row, its columns, its chart of E2E."""


class _Kept(Generic[T]):
    """The last result for each of a bounded number of things."""

    __slots__ = ("_kept",)

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[_Key, T]] = {}

    def get(self, slot: tuple[str, str], key: _Key, make: Callable[[], T]) -> T:
        """Return what was made for this key, else what `make` returns now."""
        kept = self._kept.get(slot)
        if kept is None or kept[0] != key:
            kept = self._kept[slot] = (key, make())
        return kept[1]


class Renewal:
    """Rows, columns and charts as they were when they were last renewed."""

    __slots__ = ("_charts", "_columns", "_rows")

    def __init__(self) -> None:
        self._rows: _Kept[RowFigures] = _Kept()
        self._columns: _Kept[WindowColumn] = _Kept()
        self._charts: _Kept[tuple[ChartPoint, ...]] = _Kept()

    def row(self, route: RouteBoard, window: WindowName, now_ns: int) -> RowFigures:
        """Return the figures of a route's row over `window` at the stamp `now_ns`."""
        slot, key = (route.info.name, window), self._key(route, 0, now_ns)
        return self._rows.get(slot, key, lambda: row_figures(route, window, now_ns))

    def columns(self, route: RouteBoard, now_ns: int) -> tuple[WindowColumn, ...]:
        """Return the figures of a route over all windows at the stamp `now_ns`."""
        return tuple(
            self._column(route, window, self._key(route, place, now_ns), now_ns)
            for place, window in enumerate(WINDOWS, start=1)
        )

    def e2e_chart(self, route: RouteBoard, now_ns: int) -> tuple[ChartPoint, ...]:
        """Return the chart of a route's E2E at the stamp `now_ns`."""
        key = self._key(route, len(WINDOWS) + 1, now_ns)
        return self._charts.get((route.info.name, ""), key, lambda: route.points("e2e", now_ns))

    def _column(
        self, route: RouteBoard, window: WindowName, key: _Key, now_ns: int
    ) -> WindowColumn:
        slot = (route.info.name, window)
        return self._columns.get(slot, key, lambda: window_column(route, window, now_ns))

    def _key(self, route: RouteBoard, place: int, now_ns: int) -> _Key:
        begin_ns = round(route.moment * NS_PER_S) + place * _STEP_NS
        return (now_ns - begin_ns) // NS_PER_S, route.cohort
