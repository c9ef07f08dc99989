"""Percentiles with what is needed to judge them."""

from collections.abc import Sequence
from typing import Final

from probes.distribution import Distribution, read_quantiles
from probes.views import Figure, Grade

__all__ = ["GREAT_SHARE", "SLUGGISH_SHARE", "figures", "grade_of", "is_enough", "maximum_figure"]

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


def figures(
    parts: Sequence[Distribution], probabilities: Sequence[float], goal: float | None
) -> tuple[Figure, ...]:
    """Return one figure for each probability, of the union of `parts`.

    Below n = 1/(1−p) the value is the maximum of n and has no grade.
    """
    n = sum(part.n for part in parts)
    if n == 0:
        return (Figure(),) * len(probabilities)
    top = max(part.maximum for part in parts)
    found: list[Figure] = []
    for probability, value in zip(probabilities, read_quantiles(parts, probabilities), strict=True):
        if value is None or not is_enough(n, probability):
            found.append(Figure(value=top, n=n))
        else:
            found.append(Figure(value=value, n=n, enough=True, grade=grade_of(value, goal)))
    return tuple(found)


def maximum_figure(parts: Sequence[Distribution]) -> Figure:
    """Return the exact maximum, which is never graded."""
    n = sum(part.n for part in parts)
    if n == 0:
        return Figure()
    return Figure(value=max(part.maximum for part in parts), n=n, enough=True)
