"""What holds a route back, told once for all engines of a group: pure."""

from collections.abc import Callable, Collection

from probes.events import Event, Held, HeldReason

Working = Callable[[str], Collection[int]]
"""Given a route, the living engines that have workers of it."""


class Holds:
    """Folds each engine's holds, in the order of the merged stream, into those of the run.

    A cool-down is every engine's: its first word counts, and its first release when it is over.
    A budget holds a route when it holds every engine that works on it: until then the money is
    only being handed round. A reader that stalled holds it as soon as one engine says so.
    """

    def __init__(self, working: Working) -> None:
        """Begin with nothing held."""
        self._working = working
        self._cooling: dict[str, int] = {}
        self._holders: dict[tuple[str, HeldReason], set[int]] = {}
        self._details: dict[tuple[str, HeldReason], str] = {}
        self._shown: set[tuple[str, HeldReason]] = set()

    def told(self, event: Held) -> None:
        """Note what the group itself has told: the user ended a cool-down."""
        self._cooling.pop(event.route, None)

    def hear(self, source: int, event: Held) -> list[Event]:
        """Take an engine's word; return what is to be told of it."""
        if event.reason == "cool_down":
            return [event] if self._is_news(event) else []
        key = (event.route, event.reason)
        holders = self._holders.setdefault(key, set())
        if event.released:
            holders.discard(source)
        else:
            holders.add(source)
            self._details[key] = event.detail
        return self._changes(key, event.at_ns)

    def left(self, source: int, at_ns: int) -> list[Event]:
        """Note that an engine has ended or is a new one: it holds nothing any more."""
        events: list[Event] = []
        for key, holders in self._holders.items():
            holders.discard(source)
            events += self._changes(key, at_ns)
        return events

    def _is_news(self, event: Held) -> bool:
        until_ns = self._cooling.get(event.route)
        if event.released:
            over = until_ns is not None and event.at_ns >= until_ns
            if over:
                del self._cooling[event.route]
            return over
        if event.asked_s is None or event.until_ns is None or event.until_ns <= (until_ns or 0):
            return False
        self._cooling[event.route] = event.until_ns
        return True

    def _changes(self, key: tuple[str, HeldReason], at_ns: int) -> list[Event]:
        """Return what must be told that the route is held, or no longer, if it was not yet."""
        held, shown = self._is_held(key), key in self._shown
        if held == shown:
            return []
        route, reason = key
        if held:
            self._shown.add(key)
            detail = self._details[key]
            return [Held(at_ns=at_ns, reason=reason, route=route, detail=detail)]
        self._shown.discard(key)
        return [Held(at_ns=at_ns, reason=reason, route=route, released=True)]

    def _is_held(self, key: tuple[str, HeldReason]) -> bool:
        holders = self._holders[key]
        if key[1] != "budget":
            return bool(holders)
        return bool(holders) and holders.issuperset(self._working(key[0]))
