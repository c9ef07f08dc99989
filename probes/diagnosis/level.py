"""Level shifts: is a series higher than it usually is, since when, and by how much?

Rule 1: a sample is judged by its rank among what is usual, never by its distance. So no shape of
noise is assumed: two humps, long tails and whole numbers are judged alike.
Rule 2: it must be higher by more than the margin: a sample is ranked as if it were so much lower.
Nobody is told of a tenth.
Rule 3: one second is one sample, and one request is one sample. The caller makes the one; an open
request lends what its age is worth, once, until its own sample takes the place.
Rule 4: the threshold is the series' own. A restless one, or one whose neighbours resemble each
other, runs up more of a score by chance; how scores behaved while it was well says how much.
Rule 5: what is usual is learned from what is known to be well. While anything is in doubt it
stands still; what was in doubt enters when the doubt has gone, else the reference would lose its
own upper end and every gust would count for more. An alarm and thickened probes never enter.
Rule 6: memory is bounded: numbers in arrays, and no more of them than the constants say.
Rule 7: what an earlier run had learnt is on trial until the first samples of this one have shown
that level. Until then it judges nobody and tells nothing; where they show another it is dropped,
and the run learns afresh: a level that was there from the first probe on is no event of this run.

The statistic is a CUSUM (Page, 1954) of normal scores of ranks. `tests/bench/detector_race.py` says
how soon it knows and how often it is wrong; the constants were chosen by it.
"""

import math
from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Final, Literal, TypeAlias

import msgspec

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
"""The same where samples come slowly: at one in thirty seconds, thirty would take a quarter of an
hour."""
SLOW_PACE_NS: Final = 2_500_000_000
"""Time between samples from which on they come slowly."""
LEARNED: Final = 30
"""Samples from which on there is a usual at all."""
YOUNG: Final = 150
YOUNG_FACTOR: Final = 1.3
"""Below so many samples the reference is itself uncertain, and more evidence is asked for: samples
must exceed the upper end of what its median may be, by one standard deviation, and the threshold is
1.3 × as high. It also goes on learning from what has been in weak doubt for long: thirty samples
that lie low by chance would stand still for ever, with everything that follows above them."""

CLIP: Final = 1.5
"""The most one sample counts, in standard normal scores: so a single outlier is worth no more than
a sample at the 93rd percentile, and about sixteen of them are needed."""
LENT_CLIP: Final = 2.5
"""The most one open request counts for a suspicion: it may yet become much older; one that is twice
as old as any in the reference is suspicious by itself, since its worker may hang. Towards a name it
counts no more than a sample, which it may yet be: most of the false names were given on such a
loan."""
DRIFT: Final = 0.25
"""What a sample must be worth not to count against: half the shift that is found best."""

SUSPECTED: Final = 3.0
"""Three samples in a row that all stand out. At two, suspicion costs a route that is probed every
five seconds a quarter more probes; at three a twentieth, and names come as soon."""
PERHAPS: Final = 8.0

LOWEST: Final = 17.0
"""No score below this names a shift: a gust of six seconds comes to eight, and two that touch to
fifteen."""
RARE: Final = 17.0
"""A score that chance reaches once in exp(17) samples, which is most of a year, is enough for a
series that has shown how quiet it is; by Wald's approximation it does so with exp(−2 × score ×
drift / variance)."""
ROUGH_SPREAD: Final = 1.86
MOST_SPREAD: Final = 1.8
"""The threshold is meant for neighbours that correlate by 0.3 at most, whose sums vary (1 + 0.3) /
(1 − 0.3) as much as those of strangers. Where they correlate more it is raised in proportion, up to
1.8 ×: eight workers see the same second of the server, and gave one false alarm a day."""
THICKENED_FACTOR: Final = 1.2
"""Thickened probes lie closer together than those that the scores are known from, and meet all of a
gust of which the others met one second."""
LEAST_VARIANCE: Final = 0.3
"""Scores that vary less are all far below the margin, and their likeness sums up to nothing."""

GROSS_MARGIN: Final = 2.0
GROSS_CLIP: Final = 2.5
GROSS_DRIFT: Final = 0.75
GROSS: Final = 8.0
GROSS_NS: Final = 12 * NS_PER_S
GROSS_SCORE: Final = 5.0
"""A second CUSUM, of samples taken for half as high: five that are far beyond what ever was seen,
over twelve seconds, name a shift before the first does. A route with one worker slows its own
sampling down when it is ill. Twelve seconds, because gusts last for six and may touch; a sum and no
run in a row, because outliers stretch the reference so that single samples fall short of them."""

CLEARED: Final = 10.0
"""Evidence against the alarm that clears it."""
CLEAR_DRIFT: Final = 0.1
CLEARING: Final = 3.0
"""From here on more probes would end an alarm sooner."""
HEADROOM: Final = 4.0
"""The score of an alarm goes so far above the threshold and no further: it must come down within
a minute."""
SMALLEST_SHIFT, LARGEST_SHIFT = 1.2, 4.0
"""The clearing test stands half way (on the logarithm) between the usual and the shift that was
found, held within these: nearer than the first, noise would clear it; farther than the second, a
route that has come down to twice its usual would pass for well."""
RECENT: Final = 120
"""Samples since the onset that the size is reckoned from, the newest."""
_MOST_MS: Final = 2**32 - 1
SHARP: Final = 5
"""Samples at least, the newest, that tell how large a shift is when its onset is dated."""
RECKONED_EVERY: Final = 5
"""Samples between two reckonings of the size in an alarm: a median costs as much as ten samples."""

HEIR_SAMPLES: Final = 12
"""Samples of a new cohort by which the old reference is scaled."""

BLOCK: Final = 60
SLOW_BLOCK: Final = 30
"""Well samples that become one median: a minute of them, or where they come slowly, enough of them
that the median means something. With twelve, a route of one probe in five seconds had a false ramp
in four days."""
BLOCKS: Final = 60
"""Blocks that are kept one by one: an hour of them."""
LEVEL_BLOCKS: Final = 5
"""Blocks of which the mean is taken for a level: the noise of one median would pass for wander."""
LIFT_QUANTILE: Final = 0.8
MOST_LIFT: Final = 1.5
"""A wandering route is not ill for coming back to where it was half an hour ago: where the
reference lies below the level that a fifth of the hour exceeded, samples must exceed that one by
the margin. Never by more than this: an hour that began slow must not hide what comes next."""
HOUR_NS: Final = 3600 * NS_PER_S
SWING: Final = 0.03
"""What a level moves in an hour of health: a day's swing of ±22 % does 3.7 % between its ends. At
one probe in thirty seconds the reference is two hours and a half long."""

ANCHORS: Final = 120
"""Medians that stand for the whole run. When so many are there, each two neighbours become one."""
ANCHORED: Final = 20
ANCHOR_AGE: Final = 30
"""A block enters them when it is half an hour old: no ramp may raise what it is held against."""
RAMP_MARGIN: Final = 1.5
"""A day's swing is ±22 %, so its crest is ×1.5 of its trough."""
RAMP_NAMED: Final = 7.0
"""Six minutes that all stand far out. Neighbouring minutes resemble each other, so that the sum
of their scores says less than it would of strangers; it is the margin that makes a ramp sure."""
RAMP_BLOCKS: Final = 5
"""Blocks from which the size of a ramp is reckoned."""

KEPT_QUANTILES: Final = 32
"""By so many a reference is handed on, from the least to the greatest at even steps."""
LEAST_HANDED_ON: Final = 60
"""Samples below which a reference is not: what so short a run had learnt is learnt anew as fast."""
REMEMBERED: Final = 150
"""Samples that a remembered reference counts for: enough not to be a young one, and few enough that
five minutes of this run are all of it."""
IN_BAND: Final = 0.6
"""A first sample shows the remembered level where neither it, the margin taken off, scores above
this, nor, the margin added, below its negative: at σ 0.3 three in four do."""
SHOWN: Final = 3
NOT_SHOWN: Final = 4
"""So many more in the band than out of it, and the level is shown; so many more out of it, and it
is another. One twice as high is taken for the same in one of two hundred cases, and then rule 7
holds at the naming, too."""
LONGEST_TRIAL: Final = 30
"""Samples after which one that is undecided is dropped: as many as are learnt from at least."""
FIRST_SAMPLES: Final = 60
"""Well samples of the run after which the remembered reference is as good as its own."""
APART: Final = 0.8
"""Before that nothing is named unless they lie nearer to what is remembered than to what is to be
named, and of all pairs of one and of a sample since the onset so many rise: else it has been so all
the time, and some samples were low by chance."""

LEAST, MOST = 1e-9, 1e18
"""Bounds of a value, whatever a server made of it: zero has no ratio, and a float of four bytes
ends at 3e38."""


class Shift(msgspec.Struct, frozen=True):
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
        "_anchor_blocks",
        "_anchor_waiting",
        "_anchors",
        "_answered_ns",
        "_block",
        "_blocks",
        "_blocks_ns",
        "_cleared",
        "_covariance",
        "_doubtful",
        "_first",
        "_former",
        "_former_now",
        "_gross",
        "_gross_ns",
        "_guard",
        "_half",
        "_last",
        "_lent",
        "_lent_ns",
        "_lent_sure",
        "_lift",
        "_margin",
        "_mean",
        "_newest_ns",
        "_on_credit",
        "_own",
        "_pace_ns",
        "_ramp",
        "_ramp_ns",
        "_recent",
        "_recent_ms",
        "_score",
        "_scored",
        "_scores_before",
        "_since_ns",
        "_sorted",
        "_thickened",
        "_threshold",
        "_trial",
        "_tried",
        "_variance",
        "_well",
        "named_since_ns",
        "ramp_named_ns",
        "samples_since",
    )

    def __init__(self, *, margin: float = 1.2, threshold: float = 19.0) -> None:
        self._margin, self._threshold = margin, threshold
        # The reference.
        self._well: array[float] = array("f")
        """Samples known to be well, in their order: the reference, then those on guard."""
        self._sorted: array[float] = array("f")
        """The reference in order of size."""
        self._former: array[float] | None = None
        """What is to be scaled to the first samples, for an heir, and where its series stood."""
        self._former_now = 1.0
        self._tried: array[float] | None = None
        """The first samples, while a remembered reference is on trial."""
        self._trial = 0
        """How many more of them were in its band than out of it."""
        self._first: array[float] | None = None
        """Well samples of the run since then, up to `FIRST_SAMPLES`."""
        self._guard = GUARD
        self._newest_ns: int | None = None
        self._pace_ns = 0.0
        # How scores behave while all is well; at first as those of a rough route.
        self._mean, self._variance, self._covariance, self._last = -0.3, 0.8, 0.24, 0.0
        self._scored = 0
        self._scores_before = (self._mean, self._variance, self._covariance)
        self._own = threshold
        # Doubt and alarm.
        self._score = self._cleared = self._gross = 0.0
        self._since_ns: int | None = None
        self._gross_ns = 0
        self._doubtful: array[float] = array("f")
        """Samples since the onset that enter the reference if nothing comes of it."""
        self._recent: array[float] = array("f")
        """Samples since the onset, those of thickened probes too."""
        self._recent_ms: array[int] = array("I")
        """When their requests began, in ms from the onset."""
        self._thickened = False
        self._half = 1.0
        self.samples_since = 0
        """Samples judged since the onset."""
        self.named_since_ns: int | None = None
        """When it was named, as long as it is; who settles a level asks for this."""
        # What is open.
        self._answered_ns = -1
        self._lent = self._lent_sure = 0.0
        self._lent_ns: int | None = None
        self._on_credit = False
        # The hour and the run.
        self._block: array[float] = array("f")
        self._blocks: array[float] = array("f")
        """Medians of the last blocks that were well, and when each ended."""
        self._blocks_ns = array("q")
        self._lift = 1.0
        """By how much the reference lies below where the hour has been."""
        self._anchors: array[float] = array("f")
        """Medians of the run's older blocks."""
        self._anchor_blocks = 1
        """Blocks that one of them stands for."""
        self._anchor_waiting = 0
        self._ramp = 0.0
        self._ramp_ns: int | None = None
        self.ramp_named_ns: int | None = None
        """When a slow ramp was named, as long as it is."""

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

    # ------------------------------------------------------------------ from run to run

    @property
    def is_on_trial(self) -> bool:
        """Whether it waits for the first samples to show what is remembered."""
        return self._tried is not None

    def reference(self) -> tuple[tuple[float, ...], int, tuple[float, float, float]] | None:
        """Return what is usual for a later run to start from: quantiles, samples behind them, and
        how scores behave; None while too little is known."""
        n = self.n_usual
        if n < LEAST_HANDED_ON:
            return None
        steps = KEPT_QUANTILES - 1
        values = tuple(_quantile(self._sorted, step / steps) for step in range(KEPT_QUANTILES))
        return values, n, (self._mean, self._variance, self._covariance)

    def remember(self, values: Sequence[float], n: int, scores: tuple[float, float, float]) -> None:
        """Begin with what an earlier run handed on, on trial. Only before the first sample."""
        if len(values) < 2 or n < LEAST_HANDED_ON or self._well:
            return
        self._well = array("f", spread_out(values, min(n, REMEMBERED) + self._guard))
        self._rebuild()
        self._mean, self._variance, self._covariance = scores
        self._scores_before = scores
        self._scored = n
        self._tried = array("f")

    def _try(self, value: float, tried: "array[float]") -> None:
        """Hold one of the first samples against what is remembered."""
        known = self._sorted
        tried.append(value)
        high = _normal_score(bisect_left(known, value / self._margin), len(known), CLIP)
        low = _normal_score(bisect_left(known, value * self._margin), len(known), CLIP)
        self._trial += 1 if high <= IN_BAND and low >= -IN_BAND else -1
        if self._trial >= SHOWN:
            self._tried, self._first = None, array("f")
            for one in tried:
                self._admit(one)
        elif self._trial <= -NOT_SHOWN or len(tried) >= LONGEST_TRIAL:
            self._tried = None
            self._learn_afresh(tried)

    def _was_always_so(self) -> bool:
        """Whether the run's own well samples are like those since the onset, and not like what was
        remembered (rule 7)."""
        first = self._first
        if first is None or not self._recent:
            return False
        since = sorted(self._recent)
        middle = math.sqrt(_quantile(self._sorted, 0.5) * _quantile(since, 0.5))
        if _quantile(sorted(first), 0.5) > middle:
            return True
        rises = sum(len(since) - bisect_right(since, one) for one in first)
        return rises < APART * len(first) * len(since)

    def _learn_afresh(self, samples: Sequence[float]) -> None:
        """Drop what was remembered; the samples of this run are what is known."""
        self._first = None
        self._well, self._sorted = array("f"), array("f")
        self._mean, self._variance, self._covariance, self._last = -0.3, 0.8, 0.24, 0.0
        self._scores_before = (self._mean, self._variance, self._covariance)
        self._scored = 0
        self._forget_run()
        self._clear()
        for one in samples:
            self._learn(one)

    # ------------------------------------------------------------------ what it says

    @property
    def level(self) -> Level:
        """Return how sure it is that the series is higher than usual."""
        if len(self._sorted) < LEARNED or self._tried is not None:
            return "learning"
        if self.named_since_ns is not None:
            return "named"
        score = self._score + self._lent
        if score >= PERHAPS and not self._was_always_so():
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
    def clearing(self) -> bool:
        """Return whether an alarm seems to be over, and more probes would tell."""
        return self.named_since_ns is not None and self._cleared >= CLEARING

    @property
    def guard(self) -> int:
        """Return how many newer samples must be well before one enters what is usual."""
        return self._guard

    @property
    def n_usual(self) -> int:
        """Return how many samples the usual is known from."""
        return 0 if self._tried is not None else len(self._sorted)

    def usual(self, q: float) -> float | None:
        """Return a quantile of the reference; None while learning."""
        return _quantile(self._sorted, q) if self.n_usual >= LEARNED else None

    def shift(self) -> Shift | None:
        """Return what the shift amounts to; None before a sample has shown one."""
        if not self._recent or self.n_usual < LEARNED:
            return None
        return _shift_between(sorted(self._recent), self._sorted)

    @property
    def restless(self) -> float | None:
        """Return the smallest ratio that is surely named in some minutes; None while learning.

        A sample of such a shift lies, in the middle, at the 64th percentile of what counts at all.
        """
        known = self._sorted
        if self.n_usual < LEARNED:
            return None
        return self._least_shift() * _quantile(known, 0.64) / _quantile(known, 0.5)

    @property
    def ramp_since_ns(self) -> int | None:
        """Return about when a slow ramp left what the run had been; None without one."""
        return self._ramp_ns if self.ramp_named_ns is not None else None

    def ramp(self) -> Shift | None:
        """Return how far the last minutes lie above the run; None unless that is named.

        What creeps takes the reference along and never is a shift; it is one against an hour ago.
        """
        if self.ramp_named_ns is None:
            return None
        return _shift_between(sorted(self._blocks[-RAMP_BLOCKS:]), sorted(self._anchors))

    # ------------------------------------------------------------------ what it is told

    def sample(self, at_ns: int, value: float, began_ns: int, *, evidence: bool = False) -> None:
        """Take one second's sample, known at `at_ns`, of a request that began at `began_ns`.

        `evidence`: of thickened probes. It is judged and never enters the reference.
        """
        value = _bounded(value)
        self._answered_ns = at_ns
        if not evidence:
            self._learn_pace(at_ns)
        known = self._sorted
        n = len(known)
        if n < LEARNED or self._tried is not None:
            if not evidence:
                self._learn(value)
            return
        z = _normal_score(bisect_left(known, value / self._least_shift()), n, CLIP)
        score = self._score + z - DRIFT
        if self.named_since_ns is not None:
            self._judge_named(value, score, evidence, began_ns)
            return
        if score <= 0.0:
            self._score = 0.0
            self._back_to_zero()
            if not evidence:
                self._learn_scores(z)
                self._admit(value)
            return
        self._score = score
        if self._since_ns is None:
            self._begin_doubt(began_ns)
        if not evidence:
            self._learn_scores(z)
        self._keep(value, evidence, began_ns)
        if self._is_gross(at_ns, value, began_ns) or self._is_enough():
            self._name(at_ns)

    def lend(self, requests: Sequence[tuple[int, float]], at_ns: int | None = None) -> None:
        """Take the open requests: when each began, and its age in the unit of the series.

        Replaces what was lent before. With the time `at_ns` of the ages, a request is taken for no
        older than the newest sample: while others answer, the oldest of many is the tail of a
        distribution, and its own sample will say so. Those that began within one second, or before
        the newest sample, lend together what the worst of them is worth.
        """
        self._lent, self._lent_sure, self._lent_ns = 0.0, 0.0, None
        if self.n_usual < LEARNED:
            return
        lent: dict[int, float] = {}
        for began_ns, age in requests:
            second = began_ns // NS_PER_S
            if at_ns is not None and began_ns < self._answered_ns:
                age *= max(0, at_ns - self._answered_ns) / max(1, at_ns - began_ns)
                second = self._answered_ns // NS_PER_S
            worth = self._worth(age)
            if worth > 0.0:
                lent[second] = max(worth, lent.get(second, 0.0))
                if self._lent_ns is None or began_ns < self._lent_ns:
                    self._lent_ns = began_ns
        for worth in lent.values():
            self._lent += worth
            self._lent_sure += min(worth, CLIP - DRIFT)
        if lent and self.named_since_ns is None and self._is_enough():
            if self._since_ns is None and self._lent_ns is not None:
                self._begin_doubt(self._lent_ns)
            self._name(at_ns if at_ns is not None else self._newest_ns or 0)
            self._on_credit = self.named_since_ns is not None

    def _worth(self, age: float) -> float:
        """Return what a request of that age says for a shift."""
        known = self._sorted
        if age > GROSS_MARGIN * self._lift * known[-1]:
            return SUSPECTED
        below = bisect_left(known, age / self._least_shift())
        return _normal_score(below, len(known), LENT_CLIP) - DRIFT

    def forget_open(self) -> None:
        """Take back what was lent: the engine died, and with it what was open."""
        self._lent, self._lent_sure, self._lent_ns = 0.0, 0.0, None
        if self._on_credit:
            self.named_since_ns, self._on_credit = None, False
            if not self._score:
                self._forget_doubt()

    def settle(self) -> None:
        """Accept the present level: it becomes the usual.

        Nothing changes in a series that is well: noise is no level. One that is merely suspected
        may have moved with what is accepted, as the gaps of a stream do with its speed: it keeps
        its shape, and learns from its next samples where it stands. Else it would be named next.
        """
        if self.ramp_named_ns is not None:
            self._forget_run()  # the reference has gone along
        level = self.level
        if level in ("learning", "well"):
            return
        self._forget_run()
        if level == "suspected":
            self._former, self._former_now = self._well, _quantile(self._sorted, 0.5)
            self._well = array("f")
        elif len(self._doubtful) >= LEARNED + self._guard:
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
        """Take a sample before there is a usual, or before it is known whether that holds."""
        if self._tried is not None:
            self._try(value, self._tried)
            return
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
            gap_ns = min(max(0, at_ns - self._newest_ns), 60 * NS_PER_S)
            self._pace_ns += (gap_ns - self._pace_ns) / 8.0 if self._pace_ns else gap_ns
            guard = SLOW_GUARD if self._pace_ns > SLOW_PACE_NS else GUARD
            if guard != self._guard:
                self._guard = guard
                self._rebuild()
        self._newest_ns = at_ns

    def _learn_scores(self, z: float) -> None:
        """Learn how scores of this series behave: mean, variance, and likeness of neighbours.

        Over as many samples as the reference has.
        """
        self._scored += 1
        if self._scored == 1:
            # No guess of the mean would do: until it is forgotten, neighbours seem alike.
            self._mean = z
            return
        off, weight = z - self._mean, 1.0 / len(self._sorted)
        self._mean += off * max(weight, 1.0 / self._scored)
        self._variance += (off * off - self._variance) * weight
        self._covariance += (off * self._last - self._covariance) * weight
        self._last = off

    def _admit(self, value: float) -> None:
        """Take a sample that is known to be well; the oldest on guard enters the reference."""
        well, known = self._well, self._sorted
        if self._first is not None:
            self._first.append(value)
            if len(self._first) >= FIRST_SAMPLES:
                self._first = None
        self._block.append(value)
        if len(self._block) >= (BLOCK if self._guard == GUARD else SLOW_BLOCK):
            self._close_block()
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

    def _least_shift(self) -> float:
        """Return the ratio that a sample must exceed to count."""
        known = self._sorted
        n = len(known)
        if n >= YOUNG:
            return self._margin * self._lift
        # The rank of the median is binomial: its standard deviation is half the root of n.
        return self._margin * self._lift * known[(n + math.isqrt(n)) // 2] / known[n // 2]

    def _own_threshold(self) -> float:
        """Return the score at which this series is named, from how it behaves while it is well."""
        alike = min(max(self._covariance / max(self._variance, LEAST_VARIANCE), 0.0), 0.8)
        spread = (1.0 + alike) / (1.0 - alike)
        if spread > ROUGH_SPREAD:
            return self._threshold * min(spread / ROUGH_SPREAD, MOST_SPREAD)
        chance = RARE * self._variance * spread / (2.0 * max(DRIFT - self._mean, 0.1))
        return min(self._threshold, max(LOWEST, chance))

    def _wanted(self) -> float:
        wanted = self._own
        if self._thickened:
            wanted = max(wanted, THICKENED_FACTOR * self._threshold)
        return wanted * (YOUNG_FACTOR if len(self._sorted) < YOUNG else 1.0)

    def _is_enough(self) -> bool:
        return self._score + self._lent_sure >= self._wanted()

    def _begin_doubt(self, began_ns: int) -> None:
        """Note the onset, and how things stood: what follows may be no part of the usual."""
        self._since_ns = began_ns
        self._own = self._own_threshold()
        self._scores_before = (self._mean, self._variance, self._covariance)

    def _sharpen_onset(self) -> None:
        """Date the onset anew, now that it is known how large the shift is.

        The score may have hovered above zero by noise for a minute before. The likeliest onset of a
        shift of this size is where the scores, less half of what its samples are worth, sum up to
        the most.
        """
        known, n = self._sorted, len(self._sorted)
        bar = self._margin * self._lift
        scores = [_normal_score(bisect_left(known, one / bar), n, CLIP) for one in self._recent]
        if len(scores) < SHARP or self._since_ns is None:
            return
        drift = max(DRIFT, 0.4 * sum(scores[-SHARP:]) / SHARP)
        best, total, onset = 0.0, 0.0, 0
        for place in range(len(scores) - 1, -1, -1):
            total += scores[place] - drift
            if total > best:
                best, onset = total, place
        later_ms = self._recent_ms[onset]
        self._since_ns += later_ms * 1_000_000
        # They are told from the onset.
        self._recent_ms = array("I", (max(0, one - later_ms) for one in self._recent_ms))

    def _keep(self, value: float, evidence: bool, began_ns: int) -> None:
        self.samples_since += 1
        self._recent.append(value)
        since_ms = (began_ns - (self._since_ns or began_ns)) // 1_000_000
        self._recent_ms.append(min(max(since_ms, 0), _MOST_MS))
        if len(self._recent) > RECENT:
            del self._recent[0]
            del self._recent_ms[0]
        self._thickened = self._thickened or evidence
        if not evidence:
            self._doubtful.append(value)
            weak = self.named_since_ns is None and self._score < PERHAPS
            if weak and len(self._sorted) < YOUNG:
                if len(self._doubtful) > self._guard:
                    self._admit(self._doubtful[0])
                    del self._doubtful[0]
            elif len(self._doubtful) > REFERENCE + GUARD:
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
        self._doubtful, self._recent, self._recent_ms = array("f"), array("f"), array("I")
        self._gross, self.samples_since, self._thickened = 0.0, 0, False

    def _is_gross(self, at_ns: int, value: float, began_ns: int) -> bool:
        """Return whether samples are so far out that the score need not wait."""
        known = self._sorted
        below = bisect_left(known, value / (GROSS_MARGIN * self._lift))
        gross = self._gross + _normal_score(below, len(known), GROSS_CLIP) - GROSS_DRIFT
        if gross <= 0.0:
            self._gross = 0.0
            return False
        if not self._gross:
            self._gross_ns = began_ns
        self._gross = min(gross, GROSS + HEADROOM)
        return gross >= GROSS and at_ns - self._gross_ns >= GROSS_NS and self._score > GROSS_SCORE

    def _name(self, at_ns: int) -> None:
        if self._was_always_so():
            self._learn_afresh([*(self._first or ()), *self._doubtful])
            return
        self.named_since_ns = at_ns
        self._cleared = 0.0
        self._sharpen_onset()
        if self._since_ns is not None:
            self._mean, self._variance, self._covariance = self._scores_before
        self._reckon_half()

    def _judge_named(self, value: float, score: float, evidence: bool, began_ns: int) -> None:
        """Judge a sample of an alarm by two tests: either may clear it."""
        known = self._sorted
        self._score = min(score, self._wanted() + HEADROOM)
        self._on_credit = self._on_credit and self._score < self._wanted()
        self._keep(value, evidence, began_ns)
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
        ratio = SMALLEST_SHIFT
        if self._recent:
            ratio = _quantile(sorted(self._recent), 0.5) / _quantile(self._sorted, 0.5)
        self._half = math.sqrt(min(max(ratio, SMALLEST_SHIFT), LARGEST_SHIFT))

    def _clear(self) -> None:
        """End an alarm; nothing of it enters the reference."""
        self.named_since_ns = None
        self._score = self._cleared = 0.0
        self._on_credit = False
        self._forget_doubt()

    # ------------------------------------------------------------------ the hour and the run

    def _close_block(self) -> None:
        """Make a block of well samples one median, and see where the hour and the run stand."""
        median = _quantile(sorted(self._block), 0.5)
        del self._block[:]
        blocks = self._blocks
        blocks.append(median)
        self._blocks_ns.append(self._newest_ns or 0)
        if len(blocks) > BLOCKS:
            del blocks[0], self._blocks_ns[0]
        levels = sorted(
            _geometric_mean(blocks[end - LEVEL_BLOCKS : end])
            for end in range(len(blocks), LEVEL_BLOCKS - 1, -LEVEL_BLOCKS)
        )
        lift = 1.0
        if len(levels) > 1 and len(self._sorted) >= LEARNED:
            lift = _quantile(levels, LIFT_QUANTILE) / _quantile(self._sorted, 0.5)
        span_ns = REFERENCE * self._pace_ns
        self._lift = min(max(1.0 + SWING * span_ns / HOUR_NS, lift), MOST_LIFT)
        self._judge_ramp(median)

    def _judge_ramp(self, median: float) -> None:
        """Judge a block against the run: the reference goes along with what creeps."""
        anchors = self._anchors
        if len(anchors) >= ANCHORED:
            below = bisect_left(sorted(anchors), median / RAMP_MARGIN)
            ramp = self._ramp + _normal_score(below, len(anchors), CLIP) - DRIFT
            self._ramp = min(max(0.0, ramp), RAMP_NAMED + HEADROOM)
            if not self._ramp:
                self._ramp_ns = self.ramp_named_ns = None
            elif self._ramp >= RAMP_NAMED and self.ramp_named_ns is None:
                self.ramp_named_ns = self._newest_ns
                self._ramp_ns = self._last_usual_ns(_quantile(sorted(anchors), 0.75))
        # As the reference does, the run stands still while a ramp is in doubt.
        if self._ramp or len(self._blocks) <= ANCHOR_AGE:
            return
        self._anchor_waiting += 1
        if self._anchor_waiting < self._anchor_blocks:
            return
        self._anchor_waiting = 0
        end = len(self._blocks) - ANCHOR_AGE
        anchors.append(_geometric_mean(self._blocks[max(0, end - self._anchor_blocks) : end]))
        if len(anchors) >= ANCHORS:
            self._anchor_blocks *= 2
            pairs = zip(anchors[::2], anchors[1::2], strict=True)
            self._anchors = array("f", (math.sqrt(one * other) for one, other in pairs))

    def _last_usual_ns(self, usual: float) -> int:
        """Return when a block last was no higher than this: what creeps passed the margin late."""
        for median, at_ns in zip(reversed(self._blocks), reversed(self._blocks_ns), strict=True):
            if median <= usual:
                return at_ns
        return self._blocks_ns[0]

    def _forget_run(self) -> None:
        self._block, self._blocks, self._anchors = array("f"), array("f"), array("f")
        self._blocks_ns = array("q")
        self._anchor_blocks, self._anchor_waiting, self._lift = 1, 0, 1.0
        self._ramp = 0.0
        self._ramp_ns = self.ramp_named_ns = None


def spread_out(values: Sequence[float], n: int) -> list[float]:
    """Return `n` samples that have these quantiles, in an order of which each stretch is like the
    whole: the oldest leave a reference first."""
    found: list[float] = []
    golden = 0.618_033_988_749_895  # its multiples lie evenly, however many are taken
    for number in range(1, n + 1):
        found.append(_quantile(values, number * golden % 1.0))
    return found


def _bounded(value: float) -> float:
    """Return a value that has a ratio to others; what is no number counts as the least."""
    if LEAST <= value <= MOST:
        return value
    return MOST if value > MOST else LEAST


@cache
def _inverse_normal() -> Callable[[float], float]:
    """Return the quantile function of the standard normal distribution."""
    # It brings fractions and decimals, 18 ms of every start; the first sample comes much later.
    from statistics import NormalDist

    return NormalDist().inv_cdf


def _normal_score(below: int, n: int, clip: float) -> float:
    """Return where a sample stands with `below` of `n` beneath it, as a standard normal score."""
    z = _inverse_normal()((below + 0.5) / (n + 1))
    return clip if z > clip else max(z, -clip)


def _quantile(known: Sequence[float], q: float) -> float:
    """Return a quantile of values in order, between two of them by straight interpolation."""
    place = q * (len(known) - 1)
    lower = int(place)
    upper = min(lower + 1, len(known) - 1)
    return known[lower] + (place - lower) * (known[upper] - known[lower])


def _geometric_mean(values: Sequence[float]) -> float:
    return math.exp(math.fsum(map(math.log, values)) / len(values))


@lru_cache(maxsize=REFERENCE + RECENT)
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
