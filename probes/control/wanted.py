"""What the user wants of the engines, whatever becomes of them: a pure fold.

Rule 1. Commands alone say what is wanted. What an engine reports of a knob is an echo, and an old
one where keys were pressed faster than it answers; it changes nothing here.
Rule 2. A cool-down is the exception: a server asks for it, an engine reports it, and a new engine
must honour it as well.
Rule 3. This is the base of the next key, of the money that is leased ahead, and of what a new
engine is told before it begins. The board shows what an engine has made of it, and an engine holds
what it works by: neither is asked what is wanted.
"""

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from probes.config import Route
from probes.control.commands import Adapt, Command, EndCoolDown, Pause, SetKnob, WatchText
from probes.control.knobs import KNOBS
from probes.events import Event, Held, KnobKind, RouteInfo
from probes.events.knob_turns import BY_ITSELF
from probes.kit.clock import seconds

_WHO: Final = "restart"
_SWITCHED: Final[tuple[KnobKind, ...]] = ("concurrency", "interval", "rate", "max_tokens", "paused")
"""What a user sets of a route, as fields of `WantedRoute`; `adaptive` is the run's alone."""


class WantedRoute(msgspec.Struct, frozen=True):
    """One route as it should be. Its knobs are in it by their names."""

    concurrency: float
    interval: float
    """Seconds."""
    max_tokens: float
    paused: bool
    cool_until_ns: int | None = None
    """Monotonic ns of the engine that reported it."""
    rate: float | None = None
    """Probes a second of an open pace; None where it is closed, and there is nothing to turn."""
    adaptive: bool = False
    """The concurrency finds itself."""

    @property
    def is_open(self) -> bool:
        """Whether its pace is an open loop."""
        return self.rate is not None

    @property
    def per_s(self) -> float:
        """The most probes that its pace begins in a second; infinite where it is back to back."""
        if self.rate is not None:
            return self.rate
        return self.concurrency / self.interval if self.interval > 0 else math.inf


class Wanted(msgspec.Struct, frozen=True):
    """All routes, and the stream on preview."""

    configured: Mapping[str, WantedRoute]
    """As a new engine begins by itself."""
    routes: Mapping[str, WantedRoute]
    preview: str = ""
    """The route on preview; empty for none."""

    def after_command(self, command: Command) -> "Wanted":
        """Return the state that a command asks for."""
        match command:
            case SetKnob(knob="rate" | "interval") if command.route in self.routes and self.routes[
                command.route
            ].is_open != (command.knob == "rate"):
                return self  # a closed pace has no rate, an open one no interval
            case SetKnob(knob="concurrency") if command.who != BY_ITSELF:
                # Whoever sets it knows better, or wants to.
                return self._with([command.route], concurrency=command.value, adaptive=False)
            case SetKnob() if command.knob in KNOBS:
                return self._with([command.route], **{command.knob: command.value})
            case Adapt(concurrency=None):
                return self._with([command.route], adaptive=command.on)
            case Adapt():
                changes = {"concurrency": command.concurrency, "adaptive": command.on}
                return self._with([command.route], **changes)
            case Pause():
                routes = [command.route] if command.route else [*self.routes]
                return self._with(routes, paused=command.paused)
            case EndCoolDown(until_s=0):
                return self._with([command.route], cool_until_ns=None)
            case WatchText():
                return msgspec.structs.replace(self, preview=command.route)
            case _:
                return self

    def after_event(self, event: Event) -> "Wanted":
        """Return the state after an engine has reported something."""
        if not isinstance(event, Held) or event.reason != "cool_down":
            return self
        return self._with([event.route], cool_until_ns=None if event.released else event.until_ns)

    def _with(self, routes: list[str], **changes: Any) -> "Wanted":
        """Return the state with some routes changed; a route that is not known is left out."""
        changed = {
            name: msgspec.structs.replace(self.routes[name], **changes)
            for name in routes
            if name in self.routes
        }
        return (
            msgspec.structs.replace(self, routes=MappingProxyType({**self.routes, **changed}))
            if changed
            else self
        )


def wanted_of(routes: tuple[Route, ...]) -> Wanted:
    """Return what the configuration alone asks for."""
    configured = MappingProxyType(
        {
            route.name: WantedRoute(
                float(route.concurrency),
                route.interval,
                float(route.max_tokens),
                route.paused,
                rate=route.rate if route.is_open else None,
                adaptive=route.adaptive,
            )
            for route in routes
        }
    )
    return Wanted(configured, configured)


def wanted_of_reported(info: RouteInfo) -> WantedRoute:
    """Return what a hello says of a route, where it is probed for somebody else."""
    return WantedRoute(
        float(info.concurrency),
        info.interval,
        float(info.max_tokens),
        info.paused,
        rate=info.rate if info.pace != "interval" else None,
        adaptive=info.adaptive,
    )


class KnobChange(NamedTuple):
    """One knob of a route, or its pause, before and after."""

    route: str
    knob: KnobKind
    before: float
    after: float


def knob_changes(
    before: Mapping[str, WantedRoute], after: Mapping[str, WantedRoute]
) -> Iterator[KnobChange]:
    """Give what differs between two states of the same routes.

    For a new engine that is what it must be told; for whoever speaks for several engines, each of
    which knows only its part, it is what is to be reported of a command.
    """
    for name, route in after.items():
        for knob in _SWITCHED:
            old, new = getattr(before[name], knob), getattr(route, knob)
            if old != new:
                yield KnobChange(name, knob, float(old), float(new))


def commands_for_restart(wanted: Wanted, engine_now_ns: int) -> tuple[Command, ...]:
    """Return what a new engine must be told between Configure and Go to forget nothing.

    `engine_now_ns` is the present on the clock that the cool-downs' ends were reported in.
    """
    commands: list[Command] = [
        Pause(route=change.route, paused=bool(change.after), who=_WHO)
        if change.knob == "paused"
        else SetKnob(route=change.route, knob=change.knob, value=change.after, who=_WHO)
        for change in knob_changes(wanted.configured, wanted.routes)
    ]
    for name, route in wanted.routes.items():
        # What is left, not the end: a new engine's clock need not be the dead one's.
        left_s = seconds((route.cool_until_ns or engine_now_ns) - engine_now_ns)
        if left_s > 0:
            commands.append(EndCoolDown(route=name, until_s=left_s, who=_WHO))
    if wanted.preview:
        commands.append(WatchText(route=wanted.preview))
    return tuple(commands)
