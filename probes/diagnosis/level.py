"""Level shifts: is a series higher than it usually is, since when, and by how much?

Rule 1: a sample is judged by its rank among what is usual, never by its distance. So no shape of
noise is assumed: two humps, long tails and whole numbers are judged alike.
Rule 2: it must be higher by more than the margin: a sample is ranked as if it were so much lower.
Nobody is told of a tenth.
Rule 3: one second is one sample, and one request is one sample. The caller makes the one; an open
request lends what its age is worth, once, until its own sample takes the place.
Rule 4: what is usual is learned from what is known to be well. While anything is in doubt it
stands still; what was in doubt enters when the doubt has gone, else the reference would lose its
own upper end and every gust would count for more. An alarm and thickened probes never enter.
Rule 5: memory is bounded: numbers in arrays, and no more of them than the constants say.

The statistic is a CUSUM (Page, 1954) of normal scores of ranks.
"""

import math
from array import array
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Literal, TypeAlias

from probes.kit.clock import NS_PER_S

Level: TypeAlias = Literal["learning", "well", "suspected", "perhaps", "named"]
"""How sure it is: `suspected` calls for more probes and says nothing, `perhaps` is said dimly."""

REFERENCE: Final = 300
"""Samples that are the usual: five minutes at one a second. Twice as many find no more, and follow
a wandering route later."""
GUARD: Final = 30
"""A sample enters the reference when so many newer ones are known to be well: an onset that is not
noticed yet must not become the usual."""
SLOW_GUARD: Final = 12
"""The same where samples come slowly: thirty of them would be an old route's morning."""
SLOW_PACE_NS: Final = 2_500_000_000
"""Time between samples from which on they come slowly."""
LEARNED: Final = 30
"""Samples from which on there is a usual at all."""
YOUNG: Final = 150
"""Below so many samples the reference is itself uncertain, and more evidence is asked for."""
YOUNG_FACTOR: Final = 1.3

CLIP: Final = 1.5
"""The most one sample counts, in standard normal scores: so a single outlier is worth no more than
a sample at the 93rd percentile, and about sixteen of them are needed."""
LENT_CLIP: Final = 2.5
"""The most one open request counts: it may yet become much older."""
DRIFT: Final = 0.25
"""What a sample must be worth not to count against: half the shift that is found best."""

SUSPECTED: Final = 2.0
PERHAPS: Final = 8.0

GROSS_SAMPLES: Final = 5
GROSS_FACTOR: Final = 1.5
GROSS_NS: Final = 10 * NS_PER_S
GROSS_SCORE: Final = 5.0
"""So many finished samples in a row beyond 1.5 × the 98th percentile, over ten seconds, name a
shift before the score does: a route with one worker slows its own sampling down when it is ill. Ten
seconds, because gusts last for six."""

CLEARED: Final = 10.0
"""Evidence against the alarm that clears it."""
CLEAR_DRIFT: Final = 0.1
HEADROOM: Final = 4.0
"""The score of an alarm goes so far above the threshold and no further: it must come down within
a minute."""
SMALLEST_SHIFT, LARGEST_SHIFT = 1.2, 4.0
"""The clearing test stands half way (on the logarithm) between the usual and the shift that was
found, held within these: nearer than the first, noise would clear it; farther than the second, a
route that has come down to twice its usual would pass for well."""
RECENT: Final = 120
"""Samples since the onset that the size is reckoned from, the newest."""
RECKONED_EVERY: Final = 5
"""Samples between two reckonings of the size in an alarm: a median costs as much as ten samples."""

HEIR_SAMPLES: Final = 12
"""Samples of a new cohort by which the old reference is scaled."""

LEAST, MOST = 1e-9, 1e18
"""Bounds of a value, whatever a server made of it: zero has no ratio, and a float of four bytes
ends at 3e38."""

_NORMAL: Final = NormalDist()


@dataclass(frozen=True, slots=True)
class Shift:
    """What a shift amounts to."""

    ratio: float
    """Median since the onset over the usual median."""
    low: float
    high: float
    """The interval that holds the ratio with 95 %, from order statistics; with less than six
    samples on a side the range of what was seen."""
    now: float
    usual: float
    """The two medians, in the unit of the series."""
    n_now: int
    n_usual: int


class LevelShift:
    """One series of one route and cohort: is it higher than usual, since when, by how much?

    Values are in one unit of the caller's, above zero; stamps in ns. `margin` is the ratio below
    which nothing is a shift, `threshold` the score at which one is named.
    """

    __slots__ = (
        "_answered_ns",
        "_cleared",
        "_doubtful",
        "_former",
        "_former_now",
        "_gross",
        "_gross_ns",
        "_guard",
        "_half",
        "_lent",
        "_lent_ns",
        "_margin",
        "_newest_ns",
        "_on_credit",
        "_pace_ns",
        "_recent",
        "_score",
        "_since_ns",
        "_sorted",
        "_threshold",
        "_well",
        "named_since_ns",
        "samples_since",
    )

    def __init__(self, *, margin: float = 1.2, threshold: float = 19.0) -> None:
        self._margin, self._threshold = margin, threshold
        self._well: array[float] = array("f")
        """Samples known to be well, in their order: the reference, then those on guard."""
        self._sorted: array[float] = array("f")
        """The reference in order of size."""
        self._doubtful: array[float] = array("f")
        """Samples since the onset that enter the reference if nothing comes of it."""
        self._recent: array[float] = array("f")
        """Samples since the onset, those of thickened probes too."""
        self._former: array[float] | None = None
        """What is to be scaled to the first samples, for an heir, and where its series stood."""
        self._former_now = 1.0
        self._guard = GUARD
        self._newest_ns: int | None = None
        self._pace_ns = 0.0
        self._answered_ns = -1
        self._score = self._cleared = self._lent = 0.0
        self._since_ns: int | None = None
        self._lent_ns: int | None = None
        self._gross, self._gross_ns = 0, 0
        self._half = 1.0
        self._on_credit = False
        self.samples_since = 0
        """Samples judged since the onset."""
        self.named_since_ns: int | None = None
        """When it was named, as long as it is; who settles a level asks for this."""

    @classmethod
    def heir(cls, former: "LevelShift") -> "LevelShift":
        """Return the detector of a cohort that a knob of our own began.

        It starts from the former's reference, scaled by its own first samples: the shape of the
        noise is known, only the level is new. Where the former had no reference it learns afresh.
        """
        heir = cls(margin=former._margin, threshold=former._threshold)
        if former.n_usual >= LEARNED:
            # What is known to be higher than usual stays so under the new knob: the first samples
            # are compared with how things stood, not with how they should have been.
            stands = former._recent if former.level == "named" and former._recent else former._well
            heir._former = array("f", former._well)
            heir._former_now = _quantile(sorted(stands), 0.5)
        return heir

    # ------------------------------------------------------------------ what it says

    @property
    def level(self) -> Level:
        """Return how sure it is that the series is higher than usual."""
        if len(self._sorted) < LEARNED:
            return "learning"
        if self.named_since_ns is not None:
            return "named"
        score = self._score + self._lent
        if score >= PERHAPS:
            return "perhaps"
        return "suspected" if score >= SUSPECTED else "well"

    @property
    def score(self) -> float:
        """Return the evidence, with what open requests lend."""
        return self._score + self._lent

    @property
    def since_ns(self) -> int | None:
        """Return when the request began that showed it first; None while nothing speaks for it."""
        if self._since_ns is None:
            return self._lent_ns
        return self._since_ns if self._lent_ns is None else min(self._since_ns, self._lent_ns)

    @property
    def n_usual(self) -> int:
        """Return how many samples the usual is known from."""
        return len(self._sorted)

    def usual(self, q: float) -> float | None:
        """Return a quantile of the reference; None while learning."""
        return _quantile(self._sorted, q) if len(self._sorted) >= LEARNED else None

    def shift(self) -> Shift | None:
        """Return what the shift amounts to; None before a sample has shown one."""
        if not self._recent or len(self._sorted) < LEARNED:
            return None
        return _shift_between(sorted(self._recent), self._sorted)

    # ------------------------------------------------------------------ what it is told

    def sample(self, at_ns: int, value: float, began_ns: int, *, evidence: bool = False) -> None:
        """Take one second's sample, known at `at_ns`, of a request that began at `began_ns`.

        `evidence`: of thickened probes. It is judged and never enters the reference.
        """
        value = _bounded(value)
        self._answered_ns = max(self._answered_ns, at_ns)
        if not evidence:
            self._learn_pace(at_ns)
        known = self._sorted
        n = len(known)
        if n < LEARNED:
            if not evidence:
                self._learn(value)
            return
        below = bisect_left(known, value / self._margin)
        score = self._score + _normal_score(below, n, CLIP) - DRIFT
        if self.named_since_ns is not None:
            self._judge_named(value, score, evidence)
            return
        if score <= 0.0:
            self._score = 0.0
            self._back_to_zero()
            if not evidence:
                self._admit(value)
            return
        self._score = score
        if self._since_ns is None:
            self._since_ns = began_ns
        self._keep(value, evidence)
        gross = self._is_gross(at_ns, value, began_ns)
        if self.score >= self._wanted() or gross:
            self._name(at_ns)

    def lend(self, requests: Sequence[tuple[int, float]], at_ns: int | None = None) -> None:
        """Take the open requests: when each began, and its age in the unit of the series.

        Replaces what was lent before. With the time `at_ns` of the ages, a request is taken for no
        older than the newest sample: while others answer, the oldest of many is the tail of a
        distribution, and its own sample will say so. Those that began within one second lend
        together what the worst of them is worth.
        """
        self._lent, self._lent_ns = 0.0, None
        known = self._sorted
        n = len(known)
        if n < LEARNED or not requests:
            return
        lent: dict[int, float] = {}
        for began_ns, age in requests:
            if at_ns is not None and began_ns < self._answered_ns:
                if at_ns <= self._answered_ns:
                    continue
                age *= (at_ns - self._answered_ns) / (at_ns - began_ns)
            if age <= 0.0:
                continue
            worth = _normal_score(bisect_left(known, age / self._margin), n, LENT_CLIP) - DRIFT
            if worth > 0.0:
                second = began_ns // NS_PER_S
                lent[second] = max(worth, lent.get(second, 0.0))
                if self._lent_ns is None or began_ns < self._lent_ns:
                    self._lent_ns = began_ns
        self._lent = sum(lent.values())
        if self.named_since_ns is None and self.score >= self._wanted():
            self._name(at_ns if at_ns is not None else self._newest_ns or 0)
            self._on_credit = True

    def forget_open(self) -> None:
        """Take back what was lent: the engine died, and with it what was open."""
        self._lent, self._lent_ns = 0.0, None
        if self._on_credit:
            self.named_since_ns, self._on_credit = None, False

    def settle(self) -> None:
        """Accept the present level: it becomes the usual."""
        if self._since_ns is None:
            return
        if len(self._doubtful) >= LEARNED + self._guard:
            self._well = array("f", self._doubtful)
        else:
            # Too few to be a reference of their own: keep the shape, move the level.
            shift = self.shift()
            scale = shift.ratio if shift is not None else 1.0
            self._well = array("f", (value * scale for value in self._well))
        self._clear()
        self._rebuild()

    # ------------------------------------------------------------------ the reference

    def _learn(self, value: float) -> None:
        """Take a sample before there is a usual."""
        self._admit(value)
        if self._former is not None and len(self._well) >= HEIR_SAMPLES:
            scale = _quantile(sorted(self._well), 0.5) / self._former_now
            self._well = array("f", (value * scale for value in self._former))
            self._former = None
            self._rebuild()

    def _learn_pace(self, at_ns: int) -> None:
        """Learn how fast samples come, and from it how many of them stand on guard."""
        if self._newest_ns is not None:
            # A pause is no pace: an hour counts as a minute.
            gap_ns = min(at_ns - self._newest_ns, 60 * NS_PER_S)
            self._pace_ns += (gap_ns - self._pace_ns) / 8.0 if self._pace_ns else gap_ns
            guard = SLOW_GUARD if self._pace_ns > SLOW_PACE_NS else GUARD
            if guard != self._guard:
                self._guard = guard
                self._rebuild()
        self._newest_ns = at_ns

    def _admit(self, value: float) -> None:
        """Take a sample that is known to be well; the oldest on guard enters the reference."""
        well, known = self._well, self._sorted
        well.append(value)
        at = len(well) - 1 - self._guard
        if at < 0:
            return
        insort(known, well[at])
        if at >= REFERENCE:
            del known[bisect_left(known, well[0])]
            del well[0]

    def _rebuild(self) -> None:
        """Put the reference in order anew, after the guard or the samples have changed."""
        keep = REFERENCE + self._guard
        del self._well[:-keep]
        self._sorted = array("f", sorted(self._well[: max(0, len(self._well) - self._guard)]))

    # ------------------------------------------------------------------ doubt and alarm

    def _wanted(self) -> float:
        young = YOUNG_FACTOR if len(self._sorted) < YOUNG else 1.0
        return self._threshold * young

    def _keep(self, value: float, evidence: bool) -> None:
        self.samples_since += 1
        self._recent.append(value)
        if len(self._recent) > RECENT:
            del self._recent[0]
        if not evidence:
            self._doubtful.append(value)
            if len(self._doubtful) > REFERENCE + GUARD:
                del self._doubtful[0]

    def _back_to_zero(self) -> None:
        """Let what was in doubt into the reference: nothing came of it."""
        if self._since_ns is None:
            return
        for value in self._doubtful:
            self._admit(value)
        self._forget_doubt()

    def _forget_doubt(self) -> None:
        self._since_ns = None
        self._doubtful, self._recent = array("f"), array("f")
        self._gross = self.samples_since = 0

    def _is_gross(self, at_ns: int, value: float, began_ns: int) -> bool:
        """Return whether finished samples in a row are so far out that the score need not wait."""
        known = self._sorted
        if value <= GROSS_FACTOR * known[int(0.98 * len(known))]:
            self._gross = 0
            return False
        if not self._gross:
            self._gross_ns = began_ns
        self._gross += 1
        return (
            self._gross >= GROSS_SAMPLES
            and at_ns - self._gross_ns >= GROSS_NS
            and self._score > GROSS_SCORE
        )

    def _name(self, at_ns: int) -> None:
        self.named_since_ns = at_ns
        self._cleared = 0.0
        self._reckon_half()

    def _judge_named(self, value: float, score: float, evidence: bool) -> None:
        """Judge a sample of an alarm by two tests: either may clear it."""
        known = self._sorted
        self._score = min(score, self._wanted() + HEADROOM)
        self._on_credit = self._on_credit and self._score < self._wanted()
        if self._since_ns is None:
            self._since_ns = self._lent_ns if self._lent_ns is not None else self._newest_ns
        self._keep(value, evidence)
        if not self._cleared and self.samples_since % RECKONED_EVERY == 0:
            # Only while nothing speaks for its end: samples of the recovery would pull the size
            # down, and with it the bar that they have to come under.
            self._reckon_half()
        z = _normal_score(bisect_left(known, value / self._half), len(known), CLIP)
        self._cleared = max(0.0, self._cleared - z - CLEAR_DRIFT)
        # Without the second test noise holds an alarm for minutes.
        if self._cleared >= CLEARED or score <= 0.0:
            self._clear()

    def _reckon_half(self) -> None:
        """Put the bar of the clearing test half way to the present level."""
        shift = self.shift()
        ratio = shift.ratio if shift is not None else SMALLEST_SHIFT
        self._half = math.sqrt(min(max(ratio, SMALLEST_SHIFT), LARGEST_SHIFT))

    def _clear(self) -> None:
        """End an alarm; nothing of it enters the reference."""
        self.named_since_ns = None
        self._score = self._cleared = 0.0
        self._on_credit = False
        self._forget_doubt()


def _bounded(value: float) -> float:
    """Return a value that has a ratio to others; what is no number counts as the least."""
    if LEAST <= value <= MOST:
        return value
    return MOST if value > MOST else LEAST


def _normal_score(below: int, n: int, clip: float) -> float:
    """Return where a sample stands with `below` of `n` beneath it, as a standard normal score."""
    z = _NORMAL.inv_cdf((below + 0.5) / (n + 1))
    return clip if z > clip else max(z, -clip)


def _quantile(known: Sequence[float], q: float) -> float:
    """Return a quantile of values in order, between two of them by straight interpolation."""
    place = q * (len(known) - 1)
    lower = int(place)
    upper = min(lower + 1, len(known) - 1)
    return known[lower] + (place - lower) * (known[upper] - known[lower])


def _median_bounds(n: int) -> tuple[int, int]:
    """Return the places, counted from 0, of the two values that hold the median with 95 %.

    The number of samples below the median is binomial with one half.
    """
    below, tail = 0, 0.5**n
    while tail <= 0.025 and below < n // 2:
        below += 1
        tail += math.comb(n, below) * 0.5**n
    lower = max(0, below - 1)
    return lower, n - 1 - lower


def _shift_between(now: Sequence[float], usual: Sequence[float]) -> Shift:
    """Compare the medians of two lists in order.

    The ratio is uncertain by both sides; their distances add up as squares, each towards the end
    that widens it (Donner and Zou, 2012).
    """
    now_median, usual_median = _quantile(now, 0.5), _quantile(usual, 0.5)
    lower, upper = _median_bounds(len(now))
    usual_lower, usual_upper = _median_bounds(len(usual))
    ratio = now_median / usual_median
    down = math.hypot(
        math.log(now_median / now[lower]), math.log(usual[usual_upper] / usual_median)
    )
    up = math.hypot(math.log(now[upper] / now_median), math.log(usual_median / usual[usual_lower]))
    return Shift(
        ratio=ratio,
        low=ratio * math.exp(-down),
        high=ratio * math.exp(up),
        now=now_median,
        usual=usual_median,
        n_now=len(now),
        n_usual=len(usual),
    )
