"""What the user wants of the engine, whatever becomes of it: a pure fold, told to a new engine.

Commands say what is wanted, events what the engine made of it (a cool-down, another's knob).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from probes.config import Route
from probes.config.knob_ranges import KNOBS
from probes.control.commands import Command, EndCoolDown, Pause, SetKnob, WatchText
from probes.events import Event, Held, Knob
from probes.kit.clock import seconds

_WHO: Final = "restart"


@dataclass(frozen=True, slots=True)
class RouteDesire:
    """One route as it should be."""

    configured: Mapping[str, float]
    """Its knobs as a new engine would set them by itself."""
    knobs: Mapping[str, float]
    starts_paused: bool
    paused: bool
    cool_until_ns: int | None = None
    """Monotonic ns of the engine that said so."""


@dataclass(frozen=True, slots=True)
class Desired:
    """All routes, and the stream on preview."""

    routes: Mapping[str, RouteDesire] = field(default_factory=dict)
    preview: str = ""

    def knob(self, route: str, name: str) -> float:
        """Return a knob's wanted value. Raises KeyError for an unknown route or knob."""
        return self.routes[route].knobs[name]

    def after_command(self, command: Command) -> "Desired":
        """Return the state that a command asks for."""
        match command:
            case SetKnob() if command.knob in KNOBS:
                return self._with_knob(command.route, command.knob, command.value)
            case Pause(route=""):
                return self._with_all(paused=command.paused)
            case Pause():
                return self._with(command.route, paused=command.paused)
            case EndCoolDown(until_s=0):
                return self._with(command.route, cool_until_ns=None)
            case WatchText():
                return replace(self, preview=command.route)
            case _:
                return self

    def after_event(self, event: Event) -> "Desired":
        """Return the state after the engine has told something."""
        match event:
            case Knob(knob="paused"):
                return self._with(event.route, paused=bool(event.after))
            case Knob() if event.knob in KNOBS:
                return self._with_knob(event.route, event.knob, event.after)
            case Held(reason="cool_down"):
                until_ns = None if event.released else event.until_ns
                return self._with(event.route, cool_until_ns=until_ns)
            case _:
                return self

    def _with(
        self, route: str, *, paused: bool | None = None, cool_until_ns: int | None = -1
    ) -> "Desired":
        known = self.routes.get(route)
        if known is None:
            return self
        changed = replace(
            known,
            paused=known.paused if paused is None else paused,
            cool_until_ns=known.cool_until_ns if cool_until_ns == -1 else cool_until_ns,
        )
        return replace(self, routes=MappingProxyType({**self.routes, route: changed}))

    def _with_all(self, *, paused: bool) -> "Desired":
        routes = {name: replace(route, paused=paused) for name, route in self.routes.items()}
        return replace(self, routes=MappingProxyType(routes))

    def _with_knob(self, route: str, knob: str, value: float) -> "Desired":
        known = self.routes.get(route)
        if known is None:
            return self
        changed = replace(known, knobs=MappingProxyType({**known.knobs, knob: value}))
        return replace(self, routes=MappingProxyType({**self.routes, route: changed}))


def desired_of(routes: tuple[Route, ...]) -> Desired:
    """Return what the configuration alone asks for."""
    return Desired(MappingProxyType({route.name: _desire(route) for route in routes}))


def _desire(route: Route) -> RouteDesire:
    knobs = MappingProxyType({name: float(getattr(route, name)) for name in KNOBS})
    return RouteDesire(knobs, knobs, starts_paused=route.paused, paused=route.paused)


def commands_for_restart(desired: Desired, engine_now_ns: int) -> tuple[Command, ...]:
    """Return what a new engine must be told between Configure and Go to forget nothing.

    `engine_now_ns` is the present on the clock that the cool-downs' ends were told in.
    """
    commands: list[Command] = []
    for name, route in desired.routes.items():
        commands.extend(_route_commands(name, route, engine_now_ns))
    if desired.preview:
        commands.append(WatchText(route=desired.preview))
    return tuple(commands)


def _route_commands(name: str, route: RouteDesire, engine_now_ns: int) -> list[Command]:
    commands: list[Command] = [
        SetKnob(route=name, knob=knob, value=value, who=_WHO)
        for knob, value in route.knobs.items()
        if value != route.configured[knob]
    ]
    if route.paused != route.starts_paused:
        commands.append(Pause(route=name, paused=route.paused, who=_WHO))
    left_s = seconds((route.cool_until_ns or engine_now_ns) - engine_now_ns)
    if left_s > 0:
        commands.append(EndCoolDown(route=name, until_s=left_s, who=_WHO))
    return commands
