"""The knobs of a route: what each may be set to, and where a key takes it. The one place for both.

Rule 1: a setting of the file and the knob of that name have the same range. The file is refused
outside of it, a command is kept within it.
Rule 2: a key never moves a knob the wrong way. More is never less, also from a value that no key
reaches, and where there is nothing beyond, a key does nothing.
Rule 3: of several engines each has a part of the concurrency, which may be none.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

KnobName: TypeAlias = Literal["concurrency", "interval", "max_tokens"]
Move: TypeAlias = Literal["more", "fewer", "double", "halve", "longer", "shorter"]

MAX_BURST: Final = 1_000
"""Most probes of one burst: as many as the concurrency can be."""


@dataclass(frozen=True, slots=True)
class KnobRange:
    """What one knob may be set to, both ends included."""

    name: KnobName
    least: float
    most: float
    expected: str
    """The range in words, for whoever set something else."""
    whole: bool = True
    steps: tuple[float, ...] = ()
    """Where `longer` and `shorter` stop; none where they double and halve."""

    def holds(self, value: float) -> bool:
        """Tell whether a setting is in range."""
        return math.isfinite(value) and self.least <= value <= self.most

    def kept(self, value: float, *, part: bool = False) -> float:
        """Return the nearest value in range; of a `part` zero is in range too.

        Raises:
            ValueError: it is no number.
        """
        if math.isnan(value):
            raise ValueError(f"{self.name} is not a number")
        nearest = min(max(value, 0.0 if part else self.least), self.most)
        return float(round(nearest) if self.whole else nearest)

    def moved(self, base: float, move: Move) -> float | None:
        """Return where a key takes the knob from `base`; None where there is nothing further."""
        up = move in ("more", "double", "longer")
        wanted = self._stop_beyond(base, up=up) if self.steps else self._reckoned(base, move)
        found = self.kept(wanted)
        return found if (found > base if up else found < base) else None

    def _stop_beyond(self, base: float, *, up: bool) -> float:
        if up:
            return next((step for step in self.steps if step > base), base)
        return next((step for step in reversed(self.steps) if step < base), base)

    def _reckoned(self, base: float, move: Move) -> float:
        if move in ("more", "fewer"):
            return base + (1 if move == "more" else -1)
        return base * 2 if move in ("double", "longer") else base // 2


KNOBS: Final[Mapping[str, KnobRange]] = MappingProxyType(
    {
        knob.name: knob
        for knob in (
            KnobRange("concurrency", 1, 1_000, "a whole number from 1 to 1,000"),
            KnobRange(
                "interval",
                0,
                86_400,
                "a number of seconds from 0 to 86,400",
                whole=False,
                steps=(
                    *(0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0),
                    *(60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 21_600.0, 86_400.0),
                ),
            ),
            KnobRange("max_tokens", 1, 1_000_000, "a whole number from 1 to 1,000,000"),
        )
    }
)
"""By the name of the setting."""
