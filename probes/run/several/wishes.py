"""What the user turned, told once for all engines of a group: pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from probes.config import Route
from probes.control.commands import Burst, Command, EndCoolDown, Pause, SetKnob
from probes.events import Event, Held, Knob, KnobKind
from probes.kit.clock import seconds


@dataclass(slots=True)
class _Wish:
    """One route's settings for all its engines together."""

    concurrency: float
    interval: float
    max_tokens: float
    paused: bool
    cool_until_ns: int = 0
    """Until when it cools down; 0 where it does not."""
    cool_ended_ns: int = 0
    """When the user last ended a cool-down."""


class Wishes:
    """The settings of all routes, and the events that tell of their changes.

    A group tells of a knob itself, with the totals, for each of its engines knows only its part.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        """Begin with what is configured."""
        self._routes = {
            route.name: _Wish(route.concurrency, route.interval, route.max_tokens, route.paused)
            for route in routes
        }

    def concurrency(self, route: str) -> int:
        """Return the concurrency wanted of a route. Raises KeyError for an unknown one."""
        return round(self._routes[route].concurrency)

    def max_tokens(self, route: str) -> int:
        """Return the answer cap wanted of a route. Raises KeyError for an unknown one."""
        return round(self._routes[route].max_tokens)

    def turn(self, command: Command, now_ns: int) -> list[Event]:
        """Take a command of the user's; return what is to be told of it, stamped `now_ns`."""
        match command:
            case Pause(route=""):
                routes = tuple(self._routes)
                return [event for name in routes for event in self._pause(name, command, now_ns)]
            case Pause() if command.route in self._routes:
                return self._pause(command.route, command, now_ns)
            case SetKnob(knob="concurrency" | "interval" | "max_tokens" as knob) if (
                command.route in self._routes
            ):
                return self._set(knob, command, now_ns)
            case Burst() if command.route in self._routes:
                return [_knob(command.route, "burst", 0, command.count, command.who, now_ns)]
            case EndCoolDown(until_s=0) if command.route in self._routes:
                return self._end_cool_down(command, now_ns)
            case _:
                return []

    def cooled(self, event: Held) -> bool:
        """Take an engine's word that a route cools down; return whether it is news to the others.

        It is not where the host had told the engine so, where the others cool for as long
        already, and where the user has ended that cool-down since.
        """
        known = self._routes.get(event.route)
        if known is None or event.released or event.asked_s is None or event.until_ns is None:
            return False
        if event.at_ns < known.cool_ended_ns or event.until_ns <= known.cool_until_ns:
            return False
        known.cool_until_ns = event.until_ns
        return True

    def _pause(self, route: str, command: Pause, now_ns: int) -> list[Event]:
        known = self._routes[route]
        before, known.paused = known.paused, command.paused
        if before == command.paused:
            return []
        return [_knob(route, "paused", before, command.paused, command.who, now_ns)]

    def _set(self, knob: KnobKind, command: SetKnob, now_ns: int) -> list[Event]:
        known = self._routes[command.route]
        before: float = getattr(known, knob)
        setattr(known, knob, command.value)
        if command.value == before:
            return []
        return [_knob(command.route, knob, before, command.value, command.who, now_ns)]

    def _end_cool_down(self, command: EndCoolDown, now_ns: int) -> list[Event]:
        known = self._routes[command.route]
        left_ns = known.cool_until_ns - now_ns
        known.cool_until_ns, known.cool_ended_ns = 0, now_ns
        if left_ns <= 0:
            return []
        released = Held(
            at_ns=now_ns,
            reason="cool_down",
            route=command.route,
            released=True,
            detail=f"ended by {command.who}",
        )
        left_s = seconds(left_ns)
        return [released, _knob(command.route, "cool_down", left_s, 0, command.who, now_ns)]


def _knob(route: str, knob: KnobKind, before: float, after: float, who: str, now_ns: int) -> Knob:
    return Knob(
        at_ns=now_ns, route=route, knob=knob, before=float(before), after=float(after), who=who
    )
