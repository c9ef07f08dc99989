"""What is wanted of routes that are probed elsewhere, as far as it is known here.

Rule 1: it is what their place keeps of that, or as long as it keeps nothing what it reports.
Rule 2: but for the seconds in which a command of ours is on its way: a key counts from what was
asked for by the key before it. A place that says that it has not done it ends that.
Rule 3: what a place no longer probes is let go: one that names other routes each time would fill
the memory.
"""

from collections.abc import Iterable, Mapping, Set
from types import MappingProxyType
from typing import Final

import msgspec

from probes.control.commands import Adapt, Command, Pause, SetKnob
from probes.control.wanted import Wanted, WantedRoute, wanted_of_reported
from probes.control.wanted_record import WantedRecord
from probes.events import Event, Hello, Knob, KnobKind
from probes.kit.clock import NS_PER_S, Clock

_OURS_NS: Final = 3 * NS_PER_S
"""So long after a command of ours what a place reports of a knob may be of before it."""
_FIELDS: Final[Mapping[KnobKind, str]] = MappingProxyType(
    {
        "concurrency": "concurrency",
        "interval": "interval",
        "rate": "rate",
        "max_tokens": "max_tokens",
        "paused": "paused",
        "auto": "adaptive",
    }
)
"""Knobs that stay as they are turned, and the fields of `WantedRoute` that hold them."""


class WantedElsewhere:
    """Folds what places report and keep, and what is asked of them here."""

    def __init__(self, clock: Clock) -> None:
        """Begin with no route."""
        self._clock = clock
        self.now = Wanted(MappingProxyType({}), MappingProxyType({}))
        """What is wanted of each route by now."""
        self._reported: dict[str, WantedRoute] = {}
        """Each route as its place reports it."""
        self._kept: set[str] = set()
        """Those of which it keeps what is wanted: what it reports is older."""
        self._configured: dict[str, WantedRoute] = {}
        """Each as its place has it in its settings, where that is known."""
        self._ours: dict[tuple[str, str], int] = {}
        """Route and field of our newest commands → until when reports of it are not believed."""

    def command(self, command: Command) -> None:
        """Note what is asked for here."""
        until_ns = self._clock.monotonic_ns() + _OURS_NS
        self._ours.update(dict.fromkeys(_turned(command, self.now), until_ns))
        self.now = self.now.after_command(command)

    def not_done(self, command: Command, place: str) -> None:
        """Want again what a place reports, where it has not done what was asked for."""
        keys = [key for key in _turned(command, self.now) if key[0].endswith(f"@{place}")]
        for key in keys:
            self._ours.pop(key, None)
        self._believe({name for name, _ in keys})

    def receive(self, events: list[Event], _lines: bytes) -> None:
        """Take what places report of their routes for what is wanted of them."""
        moved: set[str] = set()
        for event in events:
            if isinstance(event, Hello):
                self._forget(event.place, {info.name for info in event.routes})
                told = [info for info in event.routes if info.name not in self._kept]
                self._reported.update((info.name, wanted_of_reported(info)) for info in told)
                moved.update(info.name for info in told)
            elif isinstance(event, Knob) and event.route in self._reported.keys() - self._kept:
                field = _FIELDS.get(event.knob)
                if field is not None:
                    is_switch = field in ("paused", "adaptive")
                    value = bool(event.after) if is_switch else event.after
                    self._reported[event.route] = msgspec.structs.replace(
                        self._reported[event.route], **{field: value}
                    )
                    moved.add(event.route)
        now_ns = self._clock.monotonic_ns()
        for key in [key for key, until_ns in self._ours.items() if until_ns <= now_ns]:
            del self._ours[key]
            moved.add(key[0])
        if moved:
            self._believe(moved)

    def keep(self, kept: WantedRecord) -> None:
        """Take what a place keeps of what is wanted of its routes."""
        for place in {name.rpartition("@")[2] for name in kept.routes}:
            self._forget(place, kept.routes.keys())
        self._kept |= kept.routes.keys()
        self._reported.update(kept.routes)
        self._configured.update(kept.configured)
        self._believe(kept.routes)

    def _forget(self, place: str, probed: Set[str]) -> None:
        """Let go of the routes of a place that are not probed."""
        gone = {
            name
            for name in {*self._reported, *self._configured}
            if name.endswith(f"@{place}") and name not in probed
        }
        if not gone:
            return
        self._kept -= gone
        for name in gone:
            self._reported.pop(name, None)
            self._configured.pop(name, None)
        routes = {name: one for name, one in self.now.routes.items() if name not in gone}
        self.now = msgspec.structs.replace(self.now, routes=MappingProxyType(routes))

    def _believe(self, names: Iterable[str]) -> None:
        """Want of routes what is reported of them, but for what is ours."""
        routes = dict(self.now.routes)
        for name in names:
            reported, wanted = self._reported.get(name), routes.get(name)
            if reported is not None:
                ours = (
                    {}
                    if wanted is None
                    else {field: getattr(wanted, field) for of, field in self._ours if of == name}
                )
                routes[name] = msgspec.structs.replace(reported, **ours)
        configured = MappingProxyType({**routes, **self._configured})
        self.now = msgspec.structs.replace(
            self.now, configured=configured, routes=MappingProxyType(routes)
        )


def _turned(command: Command, wanted: Wanted) -> list[tuple[str, str]]:
    """Return the routes and the fields of what is wanted of them that a command sets."""
    match command:
        case SetKnob(knob="concurrency"):
            return [(command.route, "concurrency"), (command.route, "adaptive")]
        case SetKnob() if command.knob in _FIELDS.values():
            return [(command.route, command.knob)]
        case Adapt(concurrency=None):
            return [(command.route, "adaptive")]
        case Adapt():
            return [(command.route, "concurrency"), (command.route, "adaptive")]
        case Pause():
            return [(name, "paused") for name in wanted.routes if command.route in ("", name)]
        case _:
            return []
