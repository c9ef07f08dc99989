"""The beat: when each token of each stream is due."""

from dataclasses import dataclass
from random import Random
from typing import Final

from probes.kit.clock import NS_PER_S

_GOLDEN: Final = 0.6180339887498949
"""Its multiples, wrapped at 1, lie evenly however many there are: neighbours share no moment."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What every stream looks like."""

    tokens: int = 64
    """Output tokens of a stream, at most; one a chunk. A request's own cap may be lower."""
    tokens_per_s: float = 50.0
    first_after_s: tuple[float, float] = (0.1, 0.3)
    """Least and largest delay from the request's arrival to the first token; drawn evenly between.
    The turn of the beat adds up to one beat more."""

    def __post_init__(self) -> None:
        """Refuse what has no schedule.

        Raises:
            ValueError: a number is out of its range.
        """
        low, high = self.first_after_s
        if not 1 <= self.tokens <= 16_384:
            raise ValueError("tokens is a number from 1 to 16384")
        if not 0.1 <= self.tokens_per_s <= 10_000:
            raise ValueError("tokens a second are a number from 0.1 to 10000")
        if not 0.0 <= low <= high <= 3_600:
            raise ValueError("the delay of the first token is from 0 to 3600 s, the least first")


class Schedule:
    """Draws the moment of a stream's first token; the others follow from it, without drift."""

    def __init__(self, pace: Pace, random: Random) -> None:
        """Begin a run; `random` repeats it."""
        self._pace = pace
        self._random = random
        self._streams = 0
        self.beat_ns = round(NS_PER_S / pace.tokens_per_s)
        """From one token of a stream to its next."""

    def first_ns(self, arrived_ns: int) -> int:
        """Return when the first token is due of the request that arrived at `arrived_ns`."""
        self._streams += 1
        delay_ns = round(self._random.uniform(*self._pace.first_after_s) * NS_PER_S)
        turn_ns = round(self._streams * _GOLDEN % 1.0 * self.beat_ns)
        earliest_ns = arrived_ns + delay_ns
        return earliest_ns + (turn_ns - earliest_ns) % self.beat_ns
