"""What a turn of a knob did: samples of its route before it, and of what began after it.

Rule 1: samples are of one cohort. Before a turn are the last two minutes, at most 200 samples, and
nothing from before the knob that was turned last. After it is what began once the turn had taken
effect: fewer workers cancel nothing, so that is when no more are at work than are wanted.
Rule 2: it ends with another knob of the route, another cohort, another engine, or after five
minutes. Whatever was under way at either end belongs to neither side.
Rule 3: quick answers come first. So of a moment only what began before all that is still open is
known whole, and nothing later is looked at.
Rule 4: the two sides are compared when the second has 20, 40, 80 … samples, and what was said then
stands until the next look: see `probes.stats.comparison`. Before that there is no judgement.
Rule 5: it is better or worse only where the test is sure and the figure on the screen has moved
that way too.
Rule 6: a new answer cap begins another cohort. Shares are compared all the same, for each probe is
good or not by the goals of its own cap; times of answers of two lengths are not.
"""

from array import array
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Final, get_args

from probes.board.views import Judged, KnobComparison, KnobEffect, KnobFigure
from probes.config.goals import band_of, cap_of
from probes.events import Knob, KnobKind
from probes.events.knob_turns import is_next_step
from probes.kit.clock import NS_PER_S, kept_ns
from probes.stats.comparison import LOOKS, SURE, fisher_exact, mann_whitney

BEFORE_NS: Final = 120 * NS_PER_S
"""So far back reaches what a turn is compared with: what was longer ago may be another story."""
BEFORE_MOST: Final = 200
"""Samples of it: with more, the test would be hardly any surer."""
AFTER_NS: Final = 300 * NS_PER_S
"""So long a turn is watched: what changes later is hardly its doing."""
_PATIENCE_NS: Final = 30 * NS_PER_S
"""A probe that is open for longer holds up no comparison: it hangs."""

_COMPARED: Final[dict[KnobKind, tuple[KnobFigure, ...]]] = {
    "concurrency": ("throttled_share", "ttft_p95", "tokens_per_s", "good_share"),
    "interval": ("throttled_share", "ttft_p95", "tokens_per_s", "good_share"),
    "rate": ("throttled_share", "ttft_p95", "tokens_per_s", "good_share"),
    "max_tokens": ("throttled_share", "good_share"),
}
"""By the knobs that have an effect line. A pause, a burst and an ended cool-down have none, and end
one: what they do to the load would be held against the knob before."""
_SHARES: Final[frozenset[KnobFigure]] = frozenset(("throttled_share", "good_share"))
_MORE_IS_WORSE: Final[frozenset[KnobFigure]] = frozenset(("throttled_share", "ttft_p95"))
_NEVER: Final = 1 << 63
"""Later than any stamp."""


class _Samples:
    """Values with when what they are of began, the newest `most` of them."""

    __slots__ = ("_most", "_next", "began", "values")

    def __init__(self, most: int) -> None:
        self.began = array("q")
        self.values = array("d")
        self._most = most
        self._next = 0

    def __len__(self) -> int:
        return len(self.values)

    def add(self, began_ns: int, value: float) -> None:
        """Take a sample, in the place of the oldest where there are enough."""
        began_ns = kept_ns(began_ns)
        if len(self.values) < self._most:
            self.began.append(began_ns)
            self.values.append(value)
            return
        self.began[self._next], self.values[self._next] = began_ns, value
        self._next = (self._next + 1) % self._most

    def between(self, from_ns: int, until_ns: int) -> list[float]:
        """Return the values of what began from one stamp until before another, in that order."""
        pairs = zip(self.began, self.values, strict=True)
        found = sorted(pair for pair in pairs if from_ns <= pair[0] < until_ns)
        return [value for _, value in found]


class _Compared:
    """One figure of one turn."""

    __slots__ = ("after", "before", "figure", "found", "looked_at", "value_before")

    def __init__(self, figure: KnobFigure, before: Sequence[float]) -> None:
        self.figure = figure
        self.before = before
        self.value_before = _value(figure, before)
        self.begin()

    def begin(self) -> None:
        """Forget what came after."""
        self.after = _Samples(LOOKS[-1])
        self.looked_at = 0
        """Samples of the last look; 0 before the first."""
        self.found = self._waiting(())

    def look(self, whole_ns: int) -> None:
        """Look at what began before a stamp, where that is due."""
        due = next((look for look in LOOKS if look > self.looked_at), None)
        if due is None or (self.looked_at and len(self.after) < due):
            return
        after = self.after.between(0, whole_ns)
        if len(after) < due:
            if not self.looked_at:
                self.found = self._waiting(after)
            return
        self.looked_at = max(look for look in LOOKS if look <= len(after))
        after = after[: self.looked_at]
        is_enough = len(self.before) >= LOOKS[0]
        self.found = self._judged(after) if is_enough else self._waiting(after)

    def _waiting(self, after: Sequence[float]) -> KnobComparison:
        now = _value(self.figure, after)
        return KnobComparison(self.figure, self.value_before, now, len(self.before), len(after))

    def _judged(self, after: Sequence[float]) -> KnobComparison:
        before, was, now = self.before, self.value_before or 0.0, _value(self.figure, after) or 0.0
        if self.figure in _SHARES:
            p = fisher_exact(round(sum(before)), len(before), round(sum(after)), len(after))
            grew = now > was
        else:
            p, larger = mann_whitney(before, after)
            grew = larger > 0.5
        judged: Judged = "unclear"
        if p < SURE and (now > was if grew else now < was):
            judged = "worse" if grew == (self.figure in _MORE_IS_WORSE) else "better"
        return KnobComparison(self.figure, was, now, len(before), len(after), judged, p)


class _Turn:
    """One turn of a knob that is watched."""

    __slots__ = ("event", "figures")

    def __init__(self, event: Knob, figures: Mapping[KnobFigure, _Compared]) -> None:
        self.event = event
        """The last of its steps."""
        self.figures = figures

    def step(self, event: Knob) -> None:
        """Turn it further: what came since the step before says nothing."""
        self.event = event
        for figure in self.figures.values():
            figure.begin()

    def look(self, whole_ns: int) -> KnobEffect:
        """Look at what began before a stamp; return what is known."""
        for figure in self.figures.values():
            figure.look(whole_ns)
        return self._effect(None)

    def over(self, at_ns: int) -> KnobEffect:
        """Return what was known at the end."""
        return self._effect(at_ns)

    def _effect(self, until_ns: int | None) -> KnobEffect:
        comparisons = tuple([figure.found for figure in self.figures.values()])
        return KnobEffect(comparisons, _of_all(comparisons), until_ns)


class KnobEffects:
    """The turn of a knob that is watched on one route, and the samples for the next one."""

    __slots__ = ("_awaits_cap", "_cohort", "_from_ns", "_most_open", "_recent", "_turn")

    def __init__(self) -> None:
        self._recent: dict[KnobFigure, _Samples] = {}
        self._turn: _Turn | None = None
        self._cohort = ""
        self._awaits_cap = False
        """A new cap was set, and nothing has begun under it yet."""
        self._most_open: float | None = None
        """A turn takes effect when no more attempts are open than this."""
        self._from_ns = -1
        """What began before it is of before the last knob."""
        self._begin(self._from_ns)

    @property
    def is_watching(self) -> bool:
        """Whether a turn is still being compared."""
        return self._turn is not None

    # Samples.

    def add(self, figure: KnobFigure, cohort: str, began_ns: int, value: float) -> None:
        """Take a sample of what began at a stamp, and has ended."""
        if began_ns < self._from_ns or cohort != self._cohort or self._awaits_cap:
            return
        self._recent[figure].add(began_ns, value)
        if self._turn is not None:
            compared = self._turn.figures.get(figure)
            if compared is not None and len(compared.after) < LOOKS[-1]:
                compared.after.add(began_ns, value)

    def ended(self, still_open: int, at_ns: int) -> None:
        """Note that an attempt has ended, and how many are open."""
        if self._most_open is not None and still_open <= self._most_open:
            self._most_open, self._from_ns = None, at_ns

    # What begins and ends a comparison. Each returns what is known of the turn that it ends.

    def began(self, cohort: str, at_ns: int) -> KnobEffect | None:
        """Note the cohort of an attempt that begins."""
        if cohort == self._cohort and not self._awaits_cap:
            return None  # as nearly always
        if self._awaits_cap and self._turn is not None:
            if cap_of(cohort) != self._turn.event.after:
                return None  # one more try of a probe that began under the former cap
            self._awaits_cap = False
            if band_of(cohort) == band_of(self._cohort):
                self._cohort = cohort
                self._begin(at_ns)
                return None
        ended = self.broken_off(at_ns)
        self._cohort = cohort
        return ended

    def turned(self, event: Knob, still_open: int, oldest_ns: int | None) -> KnobEffect | None:
        """Begin to watch a turn, or go on where it is one more step of the last one.

        Args:
            event: the turn.
            still_open: attempts that are open.
            oldest_ns: when the oldest open probe began; None where none is open.
        """
        ended, at_ns = None, event.at_ns
        if self._turn is not None and is_next_step(self._turn.event, event):
            self._turn.step(event)
        else:
            whole_ns = _whole_until(oldest_ns, at_ns)
            before = {
                figure: self._recent[figure].between(at_ns - BEFORE_NS, whole_ns)
                for figure in _COMPARED.get(event.knob, ())
            }
            ended = self.broken_off(at_ns)
            if not before:
                return ended
            figures = {figure: _Compared(figure, values) for figure, values in before.items()}
            self._turn = _Turn(event, figures)
        self._begin(at_ns)
        self._awaits_cap = event.knob == "max_tokens"
        if event.knob == "concurrency" and still_open > event.after:
            self._most_open, self._from_ns = event.after, _NEVER
        return ended

    def broken_off(self, at_ns: int) -> KnobEffect | None:
        """End what is compared: the route is not what it was."""
        turn, self._turn = self._turn, None
        self._awaits_cap, self._most_open = False, None
        self._begin(at_ns)
        return None if turn is None else turn.over(at_ns)

    def looked(self, now_ns: int, oldest_ns: int | None) -> KnobEffect | None:
        """Return what is known of the turn that is watched; None where none is.

        Args:
            now_ns: time of the stream.
            oldest_ns: when the oldest open probe began; None where none is open.
        """
        turn = self._turn
        if turn is None:
            return None
        known = turn.look(_whole_until(oldest_ns, now_ns))
        if now_ns - turn.event.at_ns <= AFTER_NS:
            return known
        self._turn = None  # its samples stay: the next turn is compared with them
        return turn.over(turn.event.at_ns + AFTER_NS)

    def _begin(self, from_ns: int) -> None:
        """Take samples only of what begins from a stamp on."""
        self._from_ns = from_ns
        self._recent = {figure: _Samples(BEFORE_MOST) for figure in get_args(KnobFigure)}


def _whole_until(oldest_ns: int | None, now_ns: int) -> int:
    """Return the stamp before which all that began is known."""
    return now_ns if oldest_ns is None else min(now_ns, max(oldest_ns, now_ns - _PATIENCE_NS))


def _value(figure: KnobFigure, values: Sequence[float]) -> float | None:
    """Return the figure of some samples, a percentile by rank; None without any."""
    if not values:
        return None
    if figure in _SHARES:
        return sum(values) / len(values)
    rank = ceil(len(values) * (0.95 if figure == "ttft_p95" else 0.5))
    return sorted(values)[rank - 1]


def _of_all(comparisons: Sequence[KnobComparison]) -> Judged:
    """Return the worst that is sure, else the best that is, else whether any was compared."""
    found = {one.judged for one in comparisons}
    order: tuple[Judged, ...] = ("worse", "better", "unclear")
    return next((judged for judged in order if judged in found), "waiting")
