"""Percentiles with what is needed to judge them."""

from collections.abc import Sequence
from typing import Final

from probes.board.views import Figure, Grade
from probes.stats.quantiles import Quantiles

GREAT_SHARE: Final = 0.6
SLUGGISH_SHARE: Final = 1.5


def is_enough(n: int, probability: float) -> bool:
    """Return whether n ≥ 1/(1−p): 2 for p50, 10 for p90, 20 for p95, 100 for p99."""
    return n >= round(1.0 / (1.0 - probability))


def grade_of(value: float, goal: float | None) -> Grade:
    """Return the band: great ≤ 0.6 × goal < fine ≤ goal < slow ≤ 1.5 × goal < sluggish."""
    if goal is None:
        return "none"
    if value <= GREAT_SHARE * goal:
        return "great"
    if value <= goal:
        return "fine"
    return "slow" if value <= SLUGGISH_SHARE * goal else "sluggish"


class Figures:
    """The percentiles of one metric over one window; each is read once, however many ask for it."""

    __slots__ = ("_found", "_goal", "_parts", "n")

    def __init__(self, parts: Quantiles, goal: float | None) -> None:
        """Take the samples of the union of `parts`, to be graded by `goal`."""
        self._parts = parts
        self._goal = goal
        self._found: dict[float, Figure] = {}
        self.n = parts.n

    def at(self, *probabilities: float) -> tuple[Figure, ...]:
        """Return one figure for each probability.

        Below n = 1/(1−p) the value is the maximum of n and has no grade.
        """
        missing = [one for one in probabilities if one not in self._found]
        if missing and self.n:
            self._read(missing)
        return tuple(self._found.get(one, _NONE) for one in probabilities)

    def value(self, probability: float) -> float | None:
        """Return a percentile as it is, however few samples there are; None without any."""
        return self._parts.at(probability)[0]

    def maximum(self) -> Figure:
        """Return the exact maximum, which is never graded."""
        if not self.n:
            return _NONE
        return Figure(value=self._parts.maximum, n=self.n, enough=True)

    def _read(self, probabilities: Sequence[float]) -> None:
        n = self.n
        for probability, value in zip(probabilities, self._parts.at(*probabilities), strict=True):
            if value is None or not is_enough(n, probability):
                top = self._parts.maximum
                figure = Figure(value=top, n=n)
            else:
                figure = Figure(value=value, n=n, enough=True, grade=grade_of(value, self._goal))
            self._found[probability] = figure


_NONE: Final = Figure()
