"""The points of a route's chart: closed slices are computed once, so a chart never shimmers."""

from typing import Final, Literal, Protocol, TypeAlias

from probes.views import ChartPoint

__all__ = ["Chart", "Metric"]

Metric: TypeAlias = Literal["ttft", "e2e"]

_CLOSED_SHOWN: Final = 90


class _Source(Protocol):
    def point(self, metric: Metric, index: int) -> ChartPoint: ...


class Chart:
    """Cache of the closed slices' points of one metric."""

    __slots__ = ("_closed", "_metric")

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._closed: dict[int, ChartPoint] = {}

    def amend(self, index: int) -> None:
        """Forget the point of a slice that was written to."""
        self._closed.pop(index, None)

    def clear(self) -> None:
        """Forget every point."""
        self._closed.clear()

    def points(self, source: _Source, open_index: int) -> tuple[ChartPoint, ...]:
        """Return the points of the last 15 minutes, oldest first, the open slice last."""
        oldest = max(0, open_index - _CLOSED_SHOWN)
        for stale in [index for index in self._closed if index < oldest]:
            del self._closed[stale]
        for index in range(oldest, open_index):
            if index not in self._closed:
                self._closed[index] = source.point(self._metric, index)
        closed = (self._closed[index] for index in range(oldest, open_index))
        return (*closed, source.point(self._metric, open_index))
