"""What is wanted of a place's routes, written down for whoever probes there next.

Rule 1: what somebody turned stays turned when an agent starts again: its settings file does not
know of it.
Rule 2: a setting that was changed in the file since is the newer word: the file's counts then, for
that setting of that route, and what was turned of the others stays.
Rule 3: a cool-down is not written down: a server that still wants one says so again, and its end is
a stamp of an engine that is gone.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from probes.control.commands import Adapt, Command, Pause, SetKnob
from probes.control.wanted import Wanted, WantedRoute
from probes.events import KnobKind

_WHO: Final = "restart"
_SET: Final[tuple[KnobKind, ...]] = ("interval", "rate", "max_tokens")


class WantedRecord(msgspec.Struct, frozen=True):
    """The value of `WANTED_BUCKET`, as JSON."""

    routes: dict[str, WantedRoute]
    """As they should be."""
    configured: dict[str, WantedRoute]
    """As the settings file had them then."""
    run: str = ""
    """Life of the agent that wrote it."""


def wanted_record(wanted: Wanted, run: str) -> bytes:
    """Return what is wanted as JSON."""
    record = WantedRecord(_lasting(wanted.routes), _lasting(wanted.configured), run)
    return msgspec.json.encode(record)


def decode_wanted(data: bytes) -> WantedRecord:
    """Return what was wanted of a place. Raises msgspec.DecodeError."""
    try:
        return msgspec.json.decode(data, type=WantedRecord)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(f"it is none of ours: {type(error).__name__}") from None


def commands_to_take_up(record: WantedRecord, wanted: Wanted) -> tuple[Command, ...]:
    """Return what brings a run that begins to what was wanted of the one before."""
    commands: list[Command] = []
    for name, now in wanted.configured.items():
        if name in record.routes and name in record.configured:
            commands += _of_route(name, record.routes[name], record.configured[name], now)
    return tuple(commands)


def _lasting(routes: Mapping[str, WantedRoute]) -> dict[str, WantedRoute]:
    return {
        name: msgspec.structs.replace(route, cool_until_ns=None) for name, route in routes.items()
    }


def _of_route(
    name: str, turned: WantedRoute, before: WantedRoute, now: WantedRoute
) -> Iterator[Command]:
    for knob in _SET:
        value = getattr(turned, knob)
        if value is not None and _is_kept(knob, turned, before, now):
            yield SetKnob(route=name, knob=knob, value=value, who=_WHO)
    # Together: whoever sets the concurrency by hand ends that it finds itself.
    if (now.adaptive, now.concurrency) == (before.adaptive, before.concurrency):
        found = turned.concurrency if turned.concurrency != now.concurrency else None
        if turned.adaptive != now.adaptive:
            yield Adapt(route=name, on=turned.adaptive, concurrency=found, who=_WHO)
        elif found is not None and turned.adaptive:
            yield Adapt(route=name, on=True, concurrency=found, who=_WHO)
        elif found is not None:
            yield SetKnob(route=name, knob="concurrency", value=found, who=_WHO)
    if _is_kept("paused", turned, before, now):
        yield Pause(route=name, paused=turned.paused, who=_WHO)


def _is_kept(knob: str, turned: WantedRoute, before: WantedRoute, now: WantedRoute) -> bool:
    """Whether a setting was turned, and the file says of it what it said then."""
    configured = getattr(now, knob)
    is_turned: bool = configured != getattr(turned, knob)
    return is_turned and configured == getattr(before, knob)
