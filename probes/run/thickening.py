"""More evidence where something is suspected: when an engine is asked to probe a route more often.

Rule 1: for `LONGEST_EVIDENCE_S` at a time and then not for as long again: never more than half of
the time. What is no longer suspected is ended at once: probes cost money.
Rule 2: where a route's only request hangs, one more may go on a connection of its own. Asking for
that waits for no plain asking before it, of which nothing can have come.
Rule 3: whether a server can bear it is not known here: the diagnostician suspects no route for its
limits, and the engine keeps to its own bounds.
"""

from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Final

from probes.control.commands import Thicken
from probes.control.evidence import LONGEST_EVIDENCE_S
from probes.kit.clock import NS_PER_S

_LONGEST_NS: Final = round(LONGEST_EVIDENCE_S * NS_PER_S)


@dataclass(slots=True)
class _Asked:
    """What an engine was asked for last of a route, and what has yet to pass before the next."""

    since_ns: int = 0
    until_ns: int = 0
    fresh: bool = False
    rest_until_ns: int = 0
    fresh_rest_until_ns: int = 0
    is_open: bool = False
    """It goes on, as far as is known."""

    def end(self, at_ns: int) -> None:
        """Rest for as long as it went on."""
        self.is_open = False
        self.rest_until_ns = at_ns + (at_ns - self.since_ns)
        if self.fresh:
            self.fresh_rest_until_ns = self.rest_until_ns


class Thickening:
    """Turns what is suspected now into commands; the clock is the caller's."""

    def __init__(self, routes: Set[str]) -> None:
        """Begin with nothing asked; `routes` are those of which more may be asked at all."""
        self._routes = routes
        self._asked: dict[str, _Asked] = {}

    def commands(self, now_ns: int, suspects: Set[str], hanging: Set[str]) -> Iterator[Thicken]:
        """Give what is to be sent now; in `hanging` the only worker of a route waits in vain."""
        for name in sorted((suspects & self._routes) | self._asked.keys()):
            asked = self._asked.setdefault(name, _Asked())
            if asked.is_open and now_ns >= asked.until_ns:
                asked.end(asked.until_ns)
            if name not in suspects:
                if asked.is_open:
                    asked.end(now_ns)
                    yield Thicken(route=name, for_s=0.0)
                continue
            fresh = name in hanging
            if asked.is_open and (asked.fresh or not fresh):
                continue
            if now_ns < (asked.fresh_rest_until_ns if fresh else asked.rest_until_ns):
                continue
            asked.since_ns, asked.until_ns = now_ns, now_ns + _LONGEST_NS
            asked.fresh, asked.is_open = fresh, True
            yield Thicken(route=name, for_s=LONGEST_EVIDENCE_S, fresh=fresh)
