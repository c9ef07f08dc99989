"""Pages that are read when somebody looks at them: of a frame that holds those of many routes.

Rule 1: a page is of the moment of its frame. So what is owed is read at the latest before its route
changes: by its next event, or at its turn.
Rule 2: what nobody can look at any more is owed no longer.
"""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from probes.board.views import RouteDetail, RoutePage


class OwedPage:
    """The page of one route at one moment, read once."""

    __slots__ = ("__weakref__", "_page", "_read")

    def __init__(self, read: Callable[[], RoutePage]) -> None:
        self._read = read
        self._page: RoutePage | None = None

    def page(self) -> RoutePage:
        """Return the page; the route must not have changed before the first time."""
        if self._page is None:
            self._page = self._read()
        return self._page


class FrameDetails(Mapping[str, RouteDetail]):
    """The details of a frame, by route."""

    __slots__ = ("_details", "_owed")

    def __init__(self, details: dict[str, RouteDetail], owed: dict[str, OwedPage]) -> None:
        self._details = details
        self._owed = owed

    def __getitem__(self, route: str) -> RouteDetail:
        owed = self._owed.pop(route, None)
        if owed is not None:
            detail = self._details[route]
            self._details[route] = msgspec.structs.replace(detail, page=owed.page())
        return self._details[route]

    def __iter__(self) -> Iterator[str]:
        return iter(self._details)

    def __len__(self) -> int:
        return len(self._details)

    def __contains__(self, route: object) -> bool:
        return route in self._details
