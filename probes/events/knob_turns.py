"""Turns of knobs: what is one turn, and what it is called; the one place for both."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from probes.events.parts import KnobKind
from probes.events.stream import Knob
from probes.kit.clock import NS_PER_S

KNOB_NAMES: Final[Mapping[KnobKind, str]] = MappingProxyType(
    {"concurrency": "CONC", "interval": "pace", "rate": "rate", "max_tokens": "cap"}
)
"""Knobs that have a value, as the columns and keys of the cockpit call them."""
BY_ITSELF: Final = "auto"
"""Who turns the concurrency of a route that finds it itself."""
ONE_TURN_NS: Final = 10 * NS_PER_S
"""A knob that is turned the same way again so soon is one turn: a key was pressed several times."""

_UNITS: Final[Mapping[KnobKind, str]] = MappingProxyType({"interval": " s", "rate": "/s"})


def is_next_step(last: Knob, event: Knob) -> bool:
    """Return whether a turn goes on with the last one of its route: the same knob, by the same one,
    the same way, a moment later. What it did is the doing of both."""
    return (
        (event.knob, event.before, event.who) == (last.knob, last.after, last.who)
        and (event.after > event.before) == (last.after > last.before)
        and event.at_ns - last.at_ns <= ONE_TURN_NS
    )


def knob_words(knob: KnobKind, before: float, after: float) -> str:
    """Return what was done: `CONC 3→6`, `pace 5→2 s`, `rate 2→3/s`, `paused`, `burst 20`."""
    match knob:
        case "concurrency" | "interval" | "rate" | "max_tokens":
            return f"{KNOB_NAMES[knob]} {before:g}→{after:g}{_UNITS.get(knob, '')}"
        case "paused":
            return "paused" if after else "resumed"
        case "burst":
            return f"burst {after:g}"
        case "cool_down":
            return f"cools for {after:.3g} s" if after > 0 else "cool-down ended"
        case "usual":
            return "usual accepted"
        case "auto":
            return "CONC finds itself" if after else "CONC no longer finds itself"


def who_turned(who: str) -> str:
    """Return who turned a knob, to whoever reads it: `you` where it was the user."""
    return "you" if who == "user" else who
