"""Percentiles of all that was asked, not only of what came.

Rule 1: what came counts by its value, what failed never came. What is still open is asked for up to
its age, and says nothing of what is slower (Kaplan and Meier, 1958). So where nothing is open, p of
all is p × asked / came of what came.
Rule 2: where the percentile lies beyond what came it is `≥ x`: x is the largest of what came and of
the ages.
Rule 3: how sure a percentile is, is told by two samples that hold it between them, whatever the
distribution. Of too few samples none do on one side: that side is open.
Rule 4: of too few the maximum is shown, and not graded, as elsewhere. An open one that is younger
than the figure is none of those that it is made of.
"""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

import msgspec

from probes.board.figures import grade_of, is_enough
from probes.board.views import FeltFigure, Grade
from probes.stats.order_statistics import ranks_around
from probes.stats.quantiles import Quantiles

SPAN_SURE: Final = 0.975
"""How sure it is that a percentile lies in its span: of two spans both do in 95 % at least, even
where they have samples in common (Bonferroni)."""
_RANK_ERROR: Final = 0.01
"""Share of the samples by which a condensed digest may miss a rank: it is most at p50."""
_HAIR: Final = 1e-9
"""Share of all that rounding may have cost a rank."""


class AskedProbes:
    """One metric of all that was asked in a span of time."""

    __slots__ = ("_ages_s", "_came", "_goal", "_lost", "_pieces", "n")

    def __init__(
        self, came: Quantiles, lost: int, ages_s: Sequence[float], goal: float | None
    ) -> None:
        """Take what came, how many never will, the ages of what is open, and the goal."""
        self._came, self._lost, self._goal = came, lost, goal
        self._ages_s = sorted(ages_s)
        self.n = came.n + lost + len(self._ages_s)
        """All that was asked."""
        # Between two ages nothing is lost from sight: of each such piece how many came before it,
        # how many are asked for as it begins, and the share of all that has not come by then.
        before, asked, left = 0.0, float(self.n), 1.0
        self._pieces = [(before, asked, left)]
        for number, age_s in enumerate(self._ages_s, start=1):
            upto = came.upto(age_s) if came.n else 0.0
            left *= (asked - (upto - before)) / asked
            before, asked = upto, self.n - upto - number
            self._pieces.append((before, asked, left))

    def at(self, *probabilities: float) -> tuple[FeltFigure, ...]:
        """Return one figure for each probability."""
        if not self.n:
            return (FeltFigure(),) * len(probabilities)
        return tuple([self._figure(probability) for probability in probabilities])

    def spanned(self, *probabilities: float) -> tuple[FeltFigure, ...]:
        """Return one figure for each probability, with the values between which it lies.

        Those are two of the samples, by their ranks: see `probes.stats.order_statistics`. What is
        open and younger than the figure is none of its samples. Where a digest has condensed them,
        the ranks are further apart by as much as it may be wrong.
        """
        return tuple(
            [
                self._with_span(figure, probability)
                for figure, probability in zip(self.at(*probabilities), probabilities, strict=True)
            ]
        )

    def _with_span(self, figure: FeltFigure, probability: float) -> FeltFigure:
        if not figure.enough or figure.value is None:
            return figure
        n = self.n - bisect_right(self._ages_s, figure.value)
        low, high = ranks_around(n, probability, SPAN_SURE)
        slack = 0.0 if self._came.is_exact else _RANK_ERROR
        below = None if low is None else low / n - slack
        above = None if high is None else high / n + slack
        return msgspec.structs.replace(
            figure,
            low=None if below is None or below <= 0 else self._value(below),
            high=None if above is None or above > 1 else self._value(above),
        )

    def _figure(self, probability: float) -> FeltFigure:
        value = self._value(probability)
        counted = self.n
        if value is not None:
            counted -= bisect_right(self._ages_s, value)
        if not is_enough(counted, probability):
            value = self._value(1.0)
            return FeltFigure(self._least() if value is None else value, value is None, self.n)
        if value is not None:
            grade = grade_of(value, self._goal)
            return FeltFigure(value, n=self.n, enough=True, grade=grade)
        least = self._least()
        return FeltFigure(least, True, self.n, enough=True, grade=self._grade(least, probability))

    def _value(self, probability: float) -> float | None:
        """Return the value up to which that share has come; None where so many have not."""
        if not self._came.n:
            return None
        ends = [before for before, _, _ in self._pieces[1:]]
        for (before, asked, left), end in zip(self._pieces, [*ends, self._came.n], strict=True):
            if asked <= 0 or left <= 0:
                break
            needed = asked * (1.0 - (1.0 - probability) / left)
            if needed <= end - before + _HAIR * self.n:
                return self._came.at((before + needed) / self._came.n)[0]
        return None

    def _least(self) -> float | None:
        """Return what everything that has not come takes at least; None where nobody knows."""
        known = [*self._ages_s[-1:], *((self._came.maximum,) if self._came.n else ())]
        return max(known, default=None)

    def _grade(self, least: float | None, probability: float) -> Grade:
        """Return the grade of what has not come: beyond every goal where it never will, however
        fast the open ones come."""
        never = probability * self.n > self._came.n + len(self._ages_s)
        if self._goal is not None and (never or least is None):
            return "sluggish"
        return "none" if least is None else grade_of(least, self._goal)
