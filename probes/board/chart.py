"""The points of a route's chart: sealed slices are computed once, so a chart never shimmers."""

from typing import Final, Protocol

from probes.board.views import ChartPoint
from probes.stats.samples import Metric

_CLOSED_SHOWN: Final = 90


class _Source(Protocol):
    def point(self, metric: Metric, index: int) -> ChartPoint: ...

    def is_final(self, index: int) -> bool: ...


class Chart:
    """Cache of the sealed slices' points of one metric."""

    __slots__ = ("_final", "_metric")

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._final: dict[int, ChartPoint] = {}

    def amend(self, index: int) -> None:
        """Forget the point of a slice that was written to."""
        self._final.pop(index, None)

    def clear(self) -> None:
        """Forget every point."""
        self._final.clear()

    def points(self, source: _Source, open_index: int) -> tuple[ChartPoint, ...]:
        """Return the points of the last 15 minutes, oldest first, the open slice last."""
        oldest = max(0, open_index - _CLOSED_SHOWN)
        for stale in [index for index in self._final if index < oldest]:
            del self._final[stale]
        final = self._final.get
        indexes = range(oldest, open_index + 1)
        return tuple(final(index) or self._point(source, index) for index in indexes)

    def _point(self, source: _Source, index: int) -> ChartPoint:
        point = source.point(self._metric, index)
        if source.is_final(index):
            self._final[index] = point
        return point
