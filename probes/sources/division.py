"""How the work of one run is spread over its engines: pure.

Work that runs is never moved: a worker that stopped on one engine while another began elsewhere
would for the length of a probe send more than was asked for.
"""

from collections.abc import Collection, Mapping, Sequence

from probes.control.commands import PacePart


class Division:
    """Each route's concurrency, split.

    Invariants: a route's shares add up to its concurrency and differ by at most one. At the start
    the engines' loads, too, differ by at most one.
    """

    def __init__(self, concurrency: Mapping[str, int], engines: int) -> None:
        """Spread routes, in their order, over `engines` engines."""
        self._shares = {route: [0] * engines for route in concurrency}
        for route, wanted in concurrency.items():
            self.resize(route, wanted)

    @property
    def routes(self) -> Collection[str]:
        """The names of all routes."""
        return self._shares.keys()

    def shares(self, route: str) -> Sequence[int]:
        """Return the route's concurrency on each engine. Raises KeyError for an unknown route."""
        return tuple(self._shares[route])

    def of(self, engine: int) -> dict[str, int]:
        """Return one engine's concurrency of each route."""
        return {route: shares[engine] for route, shares in self._shares.items()}

    def resize(self, route: str, wanted: int) -> None:
        """Change a route's concurrency, on as few engines as can be: the idlest first, or the
        busiest where it is lowered."""
        shares = self._shares[route]
        while sum(shares) < wanted:
            shares[self._idlest(shares)] += 1
        while sum(shares) > wanted:
            shares[self._busiest(shares)] -= 1

    def pace_part(self, route: str, engine: int, rate: float) -> PacePart:
        """Return an engine's part of an open pace of so many probes a second: as many of its ticks
        as it has places, dealt out in turn, so that what each sends is spread as evenly as can be.
        """
        left = list(self._shares[route])
        own: list[int] = []
        dealt = 0
        while any(left):
            for place, share in enumerate(left):
                if share:
                    left[place] -= 1
                    own += [dealt] if place == engine else []
                    dealt += 1
        return PacePart(ticks=tuple(own), of=dealt, rate=rate)

    def split(self, number: int, engines: Sequence[int]) -> dict[int, int]:
        """Return how many of `number` probes each of some engines sends beside its pace."""
        by_load = sorted(engines, key=lambda engine: (self._load(engine), engine))
        if not by_load:
            return {}
        each, rest = divmod(number, len(by_load))
        parts = {engine: each + (place < rest) for place, engine in enumerate(by_load)}
        return {engine: part for engine, part in parts.items() if part > 0}

    def _idlest(self, shares: Sequence[int]) -> int:
        return min(range(len(shares)), key=lambda engine: (shares[engine], self._load(engine)))

    def _busiest(self, shares: Sequence[int]) -> int:
        return max(range(len(shares)), key=lambda engine: (shares[engine], self._load(engine)))

    def _load(self, engine: int) -> int:
        return sum(shares[engine] for shares in self._shares.values())
