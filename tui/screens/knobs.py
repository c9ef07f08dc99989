"""From a key to a command for the engine: pure functions of a row and what was asked before.

How far a knob goes, and in which steps, is `probes.config.knob_ranges`' to say.
"""

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from probes.board.views import RouteView
from probes.control.commands import Burst, Command, EndCoolDown, Pause, SetKnob
from probes.control.knobs import KNOBS, KnobName, Move

Direction: TypeAlias = Literal["more", "fewer", "double", "halve"]

_ECHO_NS: Final = 1_500_000_000
"""How long a wish counts before the board has to confirm it."""


class Knobs:
    """What the user asked for lately, so that keys pressed faster than the engine answers add up.

    The board stays the only source of what is shown; a wish is only the base of the next one.
    """

    def __init__(self) -> None:
        self._wishes: dict[tuple[str, str], tuple[float, int]] = {}

    def concurrency(self, route: RouteView, direction: Direction, now_ns: int) -> SetKnob | None:
        """Return the command that changes how many probes run at once; None at an end."""
        return self._move(route, "concurrency", route.target, direction, now_ns)

    def interval(self, route: RouteView, *, longer: bool, now_ns: int) -> SetKnob | None:
        """Return the command for the next longer or shorter interval; None at an end."""
        move: Move = "longer" if longer else "shorter"
        return self._move(route, "interval", route.interval, move, now_ns)

    def cap(self, route: RouteView, *, longer: bool, now_ns: int) -> SetKnob | None:
        """Return the command that doubles or halves the answer cap; None at an end."""
        move: Move = "longer" if longer else "shorter"
        return self._move(route, "max_tokens", route.max_tokens, move, now_ns)

    def pause(self, route: RouteView, now_ns: int) -> Pause:
        """Return the command that pauses a route, or lets it go on."""
        paused = self._base(route, "paused", float(route.state == "paused"), now_ns)
        self._wishes[route.name, "paused"] = (1.0 - paused, now_ns)
        return Pause(route=route.name, paused=not paused)

    def panic(self, routes: Iterable[RouteView], now_ns: int) -> Pause:
        """Return the command that pauses all and cancels; the other way where all are paused."""
        rows = tuple(routes)
        wishes = (self._base(row, "paused", float(row.state == "paused"), now_ns) for row in rows)
        stop = not all(wishes) or not rows
        for row in rows:
            self._wishes[row.name, "paused"] = (float(stop), now_ns)
        return Pause(paused=stop, cancel=stop)

    def burst(self, route: RouteView) -> Command:
        """Return the command for as many probes now as the route's concurrency."""
        return Burst(route=route.name, count=max(1, route.target))

    def end_cool_down(self, route: RouteView) -> Command:
        """Return the command that ends the route's cool-down."""
        return EndCoolDown(route=route.name)

    def _base(self, route: RouteView, knob: str, shown: float, now_ns: int) -> float:
        wish, at_ns = self._wishes.get((route.name, knob), (shown, 0))
        return wish if now_ns - at_ns < _ECHO_NS else shown

    def _move(
        self, route: RouteView, knob: KnobName, shown: float, move: Move, now_ns: int
    ) -> SetKnob | None:
        value = KNOBS[knob].moved(self._base(route, knob, shown, now_ns), move)
        if value is None:
            return None
        self._wishes[route.name, knob] = (value, now_ns)
        return SetKnob(route=route.name, knob=knob, value=value)
