"""The points of a route's chart: closed slices are computed once, so a chart never shimmers."""

from typing import Final, Protocol

from probes.views import ChartPoint

__all__ = ["Chart"]

_CLOSED_SHOWN: Final = 90


class _Source(Protocol):
    def point(self, index: int) -> ChartPoint: ...


class Chart:
    """Cache of the closed slices' points."""

    __slots__ = ("_closed",)

    def __init__(self) -> None:
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
                self._closed[index] = source.point(index)
        closed = (self._closed[index] for index in range(oldest, open_index))
        return (*closed, source.point(open_index))
