"""The knobs of a route: what each may be set to, and where a key takes it. The one place for both.

Rule 1: a knob is a setting that can be turned while probing. Its range is the setting's own, on its
field in `probes.config.settings`: the file is refused outside of it, a command is kept within it.
Rule 2: a key never moves a knob the wrong way. More is never less, also from a value that no key
reaches, and where there is nothing beyond, a key does nothing.
Rule 3: of several engines each has a part of the concurrency, which may be none.

The walk of one turn: a key asks `moved` for the next value, from what is wanted by now. The command
made of it (`probes.control.commands`) is the one place that keeps a value in its range. The run
notes it as wanted (`probes.control.wanted`) and hands it to the engine, which obeys and reports it;
the board folds that event, and the row shows it. So a value is kept three times, each for a reason:
what is wanted outlives an engine, an engine works by what it was told last, and the board shows
what was so at its last event, live or replayed.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

import msgspec

from probes.config import Route
from probes.config.fields import Range, fields_of

KnobName: TypeAlias = Literal["concurrency", "interval", "rate", "max_tokens"]
Move: TypeAlias = Literal["more", "fewer", "double", "halve", "longer", "shorter"]


class KnobRange(msgspec.Struct, frozen=True):
    """What one knob may be set to, both ends included."""

    name: KnobName
    least: float
    most: float
    whole: bool
    steps: tuple[float, ...] = ()
    """Where keys stop; none where they count by one, double or halve."""

    def nearest(self, value: float, *, part: bool = False) -> float:
        """Return the nearest value in range; of a `part` zero is in range too.

        Raises:
            ValueError: it is no number.
        """
        # It is in no range and nearest to nothing; comparing would let it through as it is.
        if math.isnan(value):
            raise ValueError(f"{self.name} is not a number")
        nearest = min(max(value, 0.0 if part else self.least), self.most)
        return float(round(nearest) if self.whole else nearest)

    def moved(self, base: float, move: Move) -> float | None:
        """Return where a key takes the knob from `base`; None where there is nothing further."""
        up = move in ("more", "double", "longer")
        if self.steps and up:
            wanted = next((step for step in self.steps if step > base), base)
        elif self.steps:
            wanted = next((step for step in reversed(self.steps) if step < base), base)
        elif move in ("more", "fewer"):
            wanted = base + (1 if up else -1)
        else:
            wanted = base * 2 if up else base // 2
        found = self.nearest(wanted)  # which may lie on the wrong side of a base out of range
        return found if (found > base if up else found < base) else None


_INTERVALS_S: Final = (
    *(0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0),
    *(60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 21_600.0, 86_400.0),
)
"""Round numbers, each about twice the one before: doubling 5 s would soon lead to odd ones."""
_RATES: Final = (
    *(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    *(1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0, 70.0),
    *(100.0, 150.0, 200.0, 300.0, 500.0, 700.0, 1_000.0),
)
"""Finer from one a second on: the edge of what a provider carries lies between two of them, and
twice as much at once runs past it."""


def _knob(name: KnobName, steps: tuple[float, ...] = ()) -> KnobRange:
    """Return the knob that turns a setting of a route."""
    setting = fields_of(Route)[name]
    assert isinstance(setting.takes, Range)  # noqa: S101 - a knob is a number
    return KnobRange(
        name, setting.takes.least, setting.takes.most, whole=setting.kind is int, steps=steps
    )


KNOBS: Final[Mapping[str, KnobRange]] = MappingProxyType(
    {
        "concurrency": _knob("concurrency"),
        "interval": _knob("interval", _INTERVALS_S),
        "rate": _knob("rate", _RATES),
        "max_tokens": _knob("max_tokens"),
    }
)
"""By the name of the setting."""

MAX_BURST: Final = round(KNOBS["concurrency"].most)
"""Most probes of one burst: as many as the concurrency can be."""
