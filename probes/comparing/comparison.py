"""A comparison as a pure fold: blocks of one probe an arm in, a view out.

Rule 1: a block asks every arm that is not settled once, in an order that the caller's randomness
gives. The first arm is part of each: it is what the others are compared with.
Rule 2: times are compared by the logarithm of their ratio, in the pairs in which both were ok. A
pair with a failure is no pair of times, whichever side failed, so that failures make nobody fast;
it is a pair of the shares. Each figure says how many pairs it rests on.
Rule 3: an arm is settled when its deciding figure is known, or when it is known which side is good
more often and most pairs have no times to compare.
Rule 4: what is known stays known: the intervals hold however often one looks.
"""

from collections.abc import Mapping, Sequence
from math import exp, log, log1p
from random import Random
from statistics import median
from typing import Final

from probes.comparing.arms import Arm
from probes.comparing.plan import ComparisonPlan
from probes.comparing.results import ArmResult
from probes.comparing.views import (
    ArmView,
    ComparedFigure,
    ComparisonCost,
    ComparisonFigure,
    ComparisonState,
    ComparisonVerdict,
    ComparisonView,
    TrailPoint,
)
from probes.comparing.words import sentence
from probes.stats.confidence_sequence import Centre, CentreSequence, ShareSequence

_TRAIL: Final = 120
"""Points of it at most: one more, and every second is left out."""
_STREAMED: Final[tuple[ComparisonFigure, ...]] = (
    *("ttft", "e2e", "tokens_per_s", "good", "throttled"),
)
_WHOLE: Final[tuple[ComparisonFigure, ...]] = ("e2e", "good", "throttled")
_MORE_IS_WORSE: Final[frozenset[ComparisonFigure]] = frozenset(("ttft", "e2e", "throttled"))
_SHARES: Final[frozenset[ComparisonFigure]] = frozenset(("good", "throttled"))
_PATIENCE: Final = 10
"""Blocks after which what never answered is not asked again."""
_HOPELESS: Final = 0.5
"""Where fewer than this share of the pairs have times, the share of good ones may settle an arm."""


class PairedComparison:
    """One comparison by now."""

    def __init__(self, plan: ComparisonPlan, cost: ComparisonCost) -> None:
        """Begin with nothing asked; `cost` is what it may use at most."""
        self.plan = plan
        self.cost = cost
        self.state: ComparisonState = "waiting"
        self.pairs = 0
        self._failure = ""
        self._sides = [_Side(arm) for arm in plan.arms]
        share = plan.alpha / (len(plan.arms) - 1)
        self._against = [_Against(plan, side, share) for side in self._sides[1:]]

    @property
    def is_known(self) -> bool:
        """Whether there is nothing left to ask."""
        return all(one.is_settled for one in self._against)

    @property
    def is_hopeless(self) -> bool:
        """Whether no arm has ever answered, after as many blocks as should tell."""
        return self.pairs >= _PATIENCE and not any(side.ever_ok for side in self._sides)

    @property
    def last_failure(self) -> str:
        """How the first arm failed last; empty where it never did."""
        return self._sides[0].failure

    def next_block(self, random: Random) -> Sequence[Arm]:
        """Return the arms of the next block in the order in which they are to be asked."""
        arms = [self._sides[0].arm]
        arms += [one.side.arm for one in self._against if not one.is_settled]
        random.shuffle(arms)
        return arms

    def take(self, results: Mapping[str, ArmResult]) -> None:
        """Take a block that is complete: what each of its arms came to, by its name."""
        self.pairs += 1
        for side in self._sides:
            if side.arm.name in results:
                side.add(results[side.arm.name])
        first = results[self._sides[0].arm.name]
        for one in self._against:
            if one.side.arm.name in results:
                one.add(first, results[one.side.arm.name])

    def spend(self, arm: str, tokens: int, usd: float) -> None:
        """Count what an attempt was charged, the warm-up's too."""
        side = next(side for side in self._sides if side.arm.name == arm)
        side.tokens += tokens
        side.usd += usd

    @property
    def spent_tokens(self) -> int:
        """Of all arms."""
        return sum(side.tokens for side in self._sides)

    @property
    def spent_usd(self) -> float:
        """Of all arms whose price is known."""
        return sum(side.usd for side in self._sides)

    def end(self, state: ComparisonState, why: str = "") -> None:
        """End it; `why` is told where it failed."""
        self.state, self._failure = state, why

    def verdicts(self) -> list[dict[ComparisonFigure, ComparisonVerdict]]:
        """Return what is known of each arm but the first, without the intervals of a view."""
        return [one.verdicts for one in self._against]

    def view(self, *, waits: str = "", asking: str = "", seconds: float = 0.0) -> ComparisonView:
        """Return how it stands."""
        arms = [self._sides[0].view()]
        arms += [
            one.side.view(one.figures(), tuple(one.trail), settled=one.is_settled)
            for one in self._against
        ]
        return ComparisonView(
            arms=tuple(arms),
            changed=self.plan.changed,
            state=self.state,
            pairs=self.pairs,
            cost=self.cost,
            sentence=sentence(arms, self.state, self.pairs, self.plan, self._failure),
            spent_tokens=self.spent_tokens,
            spent_usd=self.spent_usd,
            most_tokens=self.plan.most_tokens,
            most_usd=self.plan.most_usd,
            alpha=self.plan.alpha,
            margin=self.plan.margin,
            waits=waits,
            asking=asking,
            seconds=seconds,
        )


class _Side:
    """What one arm alone came to."""

    def __init__(self, arm: Arm) -> None:
        self.arm = arm
        self.tokens = 0
        self.usd = 0.0
        self.ever_ok = False
        self.failure = ""
        self._probes = self._good = self._failed = self._throttled = 0
        self._times: dict[str, list[float]] = {"ttft_s": [], "e2e_s": [], "tokens_per_s": []}

    def add(self, result: ArmResult) -> None:
        self._probes += 1
        self.ever_ok = self.ever_ok or result.ok
        self.failure = result.failure or self.failure
        self._good += result.good
        self._failed += not result.ok
        self._throttled += result.throttled
        for name, values in self._times.items():
            value = getattr(result, name)
            if value is not None:
                values.append(value)

    def view(
        self,
        figures: tuple[ComparedFigure, ...] = (),
        trail: tuple[TrailPoint, ...] = (),
        *,
        settled: bool = False,
    ) -> ArmView:
        medians = {name: median(values) for name, values in self._times.items() if values}
        return ArmView(
            name=self.arm.name,
            probes=self._probes,
            good=self._good,
            failed=self._failed,
            throttled=self._throttled,
            ttft_s=medians.get("ttft_s"),
            e2e_s=medians.get("e2e_s"),
            tokens_per_s=medians.get("tokens_per_s"),
            tokens=self.tokens,
            usd=self.usd,
            figures=figures,
            trail=trail,
            settled=settled,
        )


class _Times:
    """One figure that is a ratio, of one arm against the first."""

    def __init__(self, figure: ComparisonFigure, alpha: float, margin: float) -> None:
        self.figure = figure
        self._sequence = CentreSequence(alpha)
        self._needed = log(1 / alpha)
        self._same = Centre(0.0)
        self._below, self._above = Centre(-log1p(margin)), Centre(log1p(margin))
        self._known: ComparisonVerdict = "unknown"

    def add(self, first: ArmResult, second: ArmResult) -> None:
        before, after = (getattr(one, _FIELDS[self.figure]) for one in (first, second))
        if not before or not after:  # none, or a clock that did not move
            return
        value = log(after / before)
        self._sequence.add(value)
        for centre in (self._same, self._below, self._above):
            centre.add(value)
        self._known = self._judged()

    @property
    def pairs(self) -> int:
        return len(self._sequence)

    @property
    def verdict(self) -> ComparisonVerdict:
        return self._known

    def _judged(self) -> ComparisonVerdict:
        if self._known != "unknown":
            return self._known
        if self._same.most_against >= self._needed:
            is_more = self._same.lean > 0
            return "worse" if is_more == (self.figure in _MORE_IS_WORSE) else "better"
        within = self._above.lean < 0 < self._below.lean
        out = (self._below.most_against >= self._needed, self._above.most_against >= self._needed)
        return "same" if within and all(out) else "unknown"

    def told(self, *, decides: bool) -> ComparedFigure:
        if not self.pairs:
            return ComparedFigure(self.figure, 0, decides=decides)
        estimate, (low, high) = self._sequence.estimate, self._sequence.interval
        # What was excluded once stays so, also where later pairs would let it in again.
        if self._same.most_against >= self._needed and estimate is not None:
            low = max(low or 0.0, 0.0) if estimate > 0 else low
            high = min(high or 0.0, 0.0) if estimate < 0 else high
        return ComparedFigure(
            self.figure,
            self.pairs,
            None if estimate is None else exp(estimate),
            None if low is None else exp(low),
            None if high is None else exp(high),
            self._known,
            decides,
        )


class _Share:
    """One figure that is a share, of one arm against the first."""

    def __init__(self, figure: ComparisonFigure, alpha: float, margin: float) -> None:
        self.figure = figure
        self._sequence = ShareSequence(alpha)
        self._margin = margin
        self._known: ComparisonVerdict = "unknown"

    def add(self, first: ArmResult, second: ArmResult) -> None:
        field = _FIELDS[self.figure]
        self._sequence.add(getattr(first, field), getattr(second, field))
        if self._known == "unknown" and self._sequence.differs:
            is_more = self._sequence.more > self._sequence.fewer
            self._known = "worse" if is_more == (self.figure in _MORE_IS_WORSE) else "better"

    @property
    def pairs(self) -> int:
        return self._sequence.pairs

    @property
    def verdict(self) -> ComparisonVerdict:
        return self._known

    def told(self, *, decides: bool) -> ComparedFigure:
        low, high = self._sequence.interval
        narrow = low is not None and high is not None and max(-low, high) <= self._margin
        if self._known == "unknown" and narrow:
            self._known = "same"
        return ComparedFigure(
            self.figure, self.pairs, self._sequence.estimate, low, high, self._known, decides
        )


_FIELDS: Final[dict[ComparisonFigure, str]] = {
    "ttft": "ttft_s",
    "e2e": "e2e_s",
    "tokens_per_s": "tokens_per_s",
    "good": "good",
    "throttled": "throttled",
}


class _Against:
    """One arm against the first, figure by figure."""

    def __init__(self, plan: ComparisonPlan, side: _Side, alpha: float) -> None:
        self.side = side
        self.trail: list[TrailPoint] = []
        self._every = 1
        figures = _STREAMED if plan.deciding == "ttft" else _WHOLE
        others = alpha / 2 / (len(figures) - 1)
        self._deciding = _Times(plan.deciding, alpha / 2, plan.margin)
        self._figures: list[_Times | _Share] = [self._deciding]
        for figure in figures:
            if figure != plan.deciding:
                kind = _Share if figure in _SHARES else _Times
                self._figures.append(kind(figure, others, plan.margin))
        self._good = next(one for one in self._figures if one.figure == "good")

    def add(self, first: ArmResult, second: ArmResult) -> None:
        for figure in self._figures:
            figure.add(first, second)

    @property
    def is_settled(self) -> bool:
        if self._deciding.verdict != "unknown":
            return True
        hopeless = self._deciding.pairs < _HOPELESS * self._good.pairs
        return hopeless and self._good.verdict in ("better", "worse")

    @property
    def verdicts(self) -> dict[ComparisonFigure, ComparisonVerdict]:
        return {one.figure: one.verdict for one in self._figures}

    def figures(self) -> tuple[ComparedFigure, ...]:
        # An interval costs milliseconds: it is made for who looks, and the trail has what was seen.
        figures = tuple(one.told(decides=one is self._deciding) for one in self._figures)
        self._note(figures[0])
        return figures

    def _note(self, told: ComparedFigure) -> None:
        if told.estimate is None or (self.trail and self.trail[-1].pairs == told.pairs):
            return
        if told.pairs % self._every == 0:
            self.trail.append(TrailPoint(told.pairs, told.estimate, told.low, told.high))
        if len(self.trail) > _TRAIL:
            self.trail, self._every = self.trail[1::2], self._every * 2
