"""Intervals that stay valid however often one looks, for pairs that were measured in random order.

Rule 1: a coin decided in each pair which side was asked first. So where the sides do not differ,
the difference of a pair is as likely to be +d as -d, whatever went before: that is the coin's doing
and no assumption of how latencies are distributed, whether they drift, or whether a gust hits many
pairs in a row.
Rule 2: what a centre has against it is a non-negative martingale that begins at 1, a mixture of
bets on the signs: it ever reaches 1/alpha with probability alpha at most (Ville's inequality). So
one may look after each pair and stop when one knows. The interval is all centres that have less
against them; that another centre than 0 is the true one means that the differences are symmetric
about it, as they are where one side takes a fixed factor of the other's time.
Rule 3: a bet is the larger the larger the difference is among those before it, by its rank alone:
as `mann_whitney`, it is told by order, and one answer of a minute weighs no more than one of a
second. That decides with a third fewer pairs than signs alone, where times are lognormal.
Rule 4: shares are known by the pairs in which one side did and the other did not; such a pair is
a coin where the sides do not differ.

Sources: J. Ville, Étude critique de la notion de collectif (1939). H. Robbins, Statistical Methods
Related to the Law of the Iterated Logarithm, Annals of Mathematical Statistics 41 (1970): mixtures.
M. R. Reynolds, A Sequential Signed-Rank Test for Symmetry, Annals of Statistics 3 (1975): ranks
among what came before. A. Ramdas, J. Ruf, M. Larsson, W. Koolen, Admissible Anytime-Valid
Sequential Inference Must Rely on Nonnegative Martingales (2020): bets on symmetry. S. R. Howard,
A. Ramdas, J. McAuliffe, J. Sekhon, Time-Uniform, Nonparametric, Nonasymptotic Confidence Sequences,
Annals of Statistics 49 (2021): intervals of them, and the beta-binomial mixture.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from math import cosh, exp, inf, lgamma, log
from typing import Final, NamedTuple

_BETS: Final = ((0.15, 0.1), (0.3, 0.2), (0.6, 0.3), (1.2, 0.2), (2.5, 0.1), (6.0, 0.1))
"""How much is bet on a rank of 1, and the share of the stake that is bet so. A factor of 1.3 is
found by bets of 0.3 in times of a sigma of 0.9, and by bets of 1 in those of 0.3; a factor of 4 by
bets of 6."""
_LARGE: Final = 1e200
"""A product is folded into its logarithm from here on: the next factor is 201 at most."""
_STEP: Final = 1e-4
"""An interval is as exact as this, on the scale of the differences: 0.01 % of a ratio."""
_WIDER: Final = 0.05
"""So far out one looks for its end first."""
_FARTHEST: Final = 64.0
"""No ratio is as large as e^64: where such a centre is not excluded there is no end."""


class Interval(NamedTuple):
    """Where the true value lies; an end is None where nothing is known of it."""

    low: float | None
    high: float | None


class Centre:
    """What there is against one centre of the differences, value by value."""

    __slots__ = ("_logs", "_products", "_sizes", "centre", "lean", "most_against")

    def __init__(self, centre: float) -> None:
        self.centre = centre
        self.lean = 0.0
        """Of the signed ranks: above 0 where the true centre seems to be above this one."""
        self.most_against = 0.0
        """The logarithm of the most evidence there was against it at any time."""
        self._sizes: list[float] = []
        self._products = [1.0] * len(_BETS)
        self._logs = [0.0] * len(_BETS)

    def add(self, value: float) -> None:
        """Take a difference."""
        self._take(value)
        self.most_against = max(self.most_against, self.against)

    def _take(self, value: float) -> None:
        off = value - self.centre
        size = abs(off)
        # Among equal ones in the middle of them. Any rank would do that does not know the sign.
        below, upto = bisect_left(self._sizes, size), bisect_right(self._sizes, size)
        rank = ((below + upto) / 2 + 1) / (len(self._sizes) + 2)
        insort(self._sizes, size)
        self.lean += rank if off > 0 else -rank if off < 0 else 0.0
        products, logs = self._products, self._logs
        for at, (bet, _) in enumerate(_BETS):
            product = products[at] * cosh(bet * rank)
            if product > _LARGE:
                logs[at] += log(product)
                product = 1.0
            products[at] = product

    @property
    def against(self) -> float:
        """The logarithm of the evidence against it now: of the factor by which whoever bet on it
        has multiplied the stake."""
        lean = abs(self.lean)
        grown = [
            log(share / 2) + bet * lean + log(1 + exp(-2 * bet * lean)) - logged - log(product)
            for (bet, share), logged, product in zip(_BETS, self._logs, self._products, strict=True)
        ]
        most = max(grown)
        return most + log(sum(exp(one - most) for one in grown))

    @classmethod
    def of(cls, centre: float, values: list[float]) -> "Centre":
        """Return what stands against a centre after all these values."""
        made = cls(centre)
        for value in values:
            made._take(value)
        return made


class CentreSequence:
    """The centre of paired differences, with an interval in which the true one lies.

    That it ever does not has the probability `alpha` at most, over all the times one looks.
    """

    def __init__(self, alpha: float) -> None:
        """Begin without a value."""
        self._needed = log(1 / alpha)
        self._values: list[float] = []
        self._told: tuple[int, float | None, Interval] = (0, None, Interval(None, None))

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: float) -> None:
        """Take a difference."""
        self._values.append(value)

    @property
    def estimate(self) -> float | None:
        """The centre that has least against it: to either side of it lie as many ranks."""
        return self._now()[1]

    @property
    def interval(self) -> Interval:
        """All centres that are not excluded now."""
        return self._now()[2]

    def _now(self) -> tuple[int, float | None, Interval]:
        number, estimate, interval = self._told
        if number != len(self._values):
            estimate = self._middle(estimate)
            low = self._end(estimate, interval.low, -1)
            high = self._end(estimate, interval.high, 1)
            self._told = (len(self._values), estimate, Interval(low, high))
        return self._told

    def _middle(self, before: float | None) -> float:
        """Return where the ranks stop leaning up; they lean less the higher the centre is."""
        if before is None:
            before = sorted(self._values)[len(self._values) // 2]
        found = _crossing(lambda centre: Centre.of(centre, self._values).lean <= 0, before)
        return before if found is None else found

    def _end(self, estimate: float, before: float | None, way: int) -> float | None:
        """Return the end of the interval in one direction; None where there is none."""

        def is_out(distance: float) -> bool:
            centre = Centre.of(estimate + way * distance, self._values)
            return centre.against >= self._needed

        if not is_out(_FARTHEST):
            return None
        start = _WIDER if before is None else max(_WIDER, abs(before - estimate))
        distance = _crossing(is_out, start, floor=0.0)
        return None if distance is None else estimate + way * distance


def _crossing(
    is_beyond: Callable[[float], bool], start: float, *, floor: float = -_FARTHEST
) -> float | None:
    """Return where a question that is answered no below and yes above changes; None if nowhere."""
    step, low, high = _WIDER, start, start
    while low > floor and is_beyond(low):
        low, high, step = max(floor, low - step), low, step * 2
    if low <= floor and is_beyond(low):
        return low
    step = _WIDER
    while not is_beyond(high):
        if high >= _FARTHEST:
            return None
        low, high, step = high, min(_FARTHEST, high + step), step * 2
    while high - low > _STEP:
        middle = (low + high) / 2
        if is_beyond(middle):
            high = middle
        else:
            low = middle
    return high


class ShareSequence:
    """By how much more often one side did something than the other, from pairs.

    Invariants: a share that both have, or neither, says nothing of which has more; that one has
    more is known with probability 1 - `alpha` however often one looks, and so is the interval.
    """

    def __init__(self, alpha: float) -> None:
        """Begin without a pair."""
        # Half of it for which side it is where they differ, half for how often they do.
        self._needed = log(2 / alpha)
        self.pairs = 0
        self.more = 0
        """Pairs in which the second alone did."""
        self.fewer = 0
        """Pairs in which the first alone did."""
        self._told: tuple[int, Interval] = (0, Interval(None, None))
        self.most_against = 0.0
        """The logarithm of the most evidence there ever was against that they are the same."""

    def add(self, first: bool, second: bool) -> None:
        """Take a pair: whether each did it."""
        self.pairs += 1
        if first != second:
            self.more += second
            self.fewer += first
            against = _coin_against(self.more, self.fewer, 0.5)
            self.most_against = max(self.most_against, against)

    @property
    def differs(self) -> bool:
        """Whether it is sure that one side has more."""
        return self.most_against >= self._needed

    @property
    def estimate(self) -> float | None:
        """The second's share less the first's."""
        return (self.more - self.fewer) / self.pairs if self.pairs else None

    @property
    def interval(self) -> Interval:
        """Where the true difference lies, from -1 to 1."""
        if not self.pairs:
            return Interval(None, None)
        if self._told[0] != self.pairs:
            unlike = self.more + self.fewer
            often = self._share(unlike, self.pairs - unlike)
            which = self._share(self.more, self.fewer)
            ends = [2 * one - 1 for one in which]
            # The least and the most of often × (2 which - 1), as both go through their intervals.
            low = min(often[0] * ends[0], often[1] * ends[0])
            high = max(often[0] * ends[1], often[1] * ends[1])
            self._told = (self.pairs, Interval(low, high))
        return self._told[1]

    def _share(self, did: int, did_not: int) -> tuple[float, float]:
        """Return the interval of a share of which so many were counted."""
        whole = did + did_not
        if not whole:
            return 0.0, 1.0
        seen = did / whole

        def end(outer: float) -> float:
            inside, outside = seen, outer
            if _coin_against(did, did_not, outer) < self._needed:
                return outer
            for _ in range(30):
                middle = (inside + outside) / 2
                if _coin_against(did, did_not, middle) < self._needed:
                    inside = middle
                else:
                    outside = middle
            return outside

        return end(0.0), end(1.0)


def _coin_against(heads: int, tails: int, probability: float) -> float:
    """Return the logarithm of the evidence against a coin of this probability of heads.

    The likelihood of all coins, weighed by Beta(1/2, 1/2), over that of this one: the beta-binomial
    mixture.
    """
    mixed = _log_beta(heads + 0.5, tails + 0.5) - _log_beta(0.5, 0.5)
    for number, chance in ((heads, probability), (tails, 1 - probability)):
        if number:
            mixed -= number * log(chance) if chance > 0 else -inf
    return mixed


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
