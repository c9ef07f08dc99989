"""Shares: do failures, 429s, stalls, cold connects or cache misses exceed what they usually are?

Rule 1: nothing is said of one failure. A share is a matter of many attempts.
Rule 2: a second is worth one attempt, however many end in it. So a worker that fails fast, or eight
of them, weigh no more than one. What an attempt weighs is known before its outcome is looked at.
Rule 3: what is usual is the share of the last hour in which all was well. While anything is in
doubt it stands still; what was in doubt enters when the doubt has gone.
Rule 4: memory is bounded: counts of sixty minutes.
Rule 5: what an earlier run had learnt counts once the first attempts of this one have shown it.

The statistic is the Bernoulli CUSUM (Reynolds and Stoumbos, 1999): the log-likelihood ratio of a
share of `bad` against the share that is usual.
"""

import math
from array import array
from typing import Final

from probes.diagnosis.level import Level
from probes.kit.clock import NS_PER_S

USUAL_FACTOR: Final = 1.5
"""The share that is still taken for usual, over the last hour's: at a steady 3 % a fixed test of
1 % gives twenty false alarms a day."""
WORSE_FACTOR: Final = 2.5
"""What is looked for is at least so many times the share that is still usual."""
HOPELESS: Final = 0.9
"""From such a usual share on nothing can be told: it is as bad as it gets."""
PRIOR_SECONDS: Final = 60
"""Seconds without a failure that every route starts with, so that one failure in the first minute
is no usual share of a tenth."""
YOUNG_SECONDS: Final = 600
WEAK_SECONDS: Final = 120
"""While so little is known of the usual share, two minutes of weak doubt enter it all the same: a
route that always fails one in thirty would never be free of doubt long enough to show it."""
CREDIT: Final = 2.0
"""Attempts that may weigh one each although they end at once: of a probe a second, often two end in
one second of the clock and none in the next, and would be worth a half each."""
SPACING: Final = 1 / 16
"""Weight of the newest time between two ends in what is usual of it."""
SHOWN: Final = 3
"""First attempts that must all be as the usual share says of most before it is taken over."""
MINUTES: Final = 60
MINUTE_NS: Final = 60 * NS_PER_S

SUSPECTED: Final = 4.0
"""Two failures near each other; one alone is worth 2.3."""
PERHAPS: Final = 8.0
NAMED: Final = 13.7
"""Six in a row."""
HEADROOM: Final = 4.0

SURE: Final = 9.5
"""Attempts in a row without a failure clear an alarm where they are one chance in exp(9.5) at its
share; that is asked of each of them."""
SURELY_WELL: Final = 6
CLEARED: Final = 8.0
SURELY_BAD: Final = 0.6
"""The share of an alarm is taken for no more than this by the clearing test: after an outage four
successes would clear it, and something that fails every other time has those."""
DOUBT: Final = 1.5
"""The clearing test takes the share of an alarm for the lower end of what it may be, by so many
standard deviations (Wilson's interval): the failures that named it are an unlucky choice of what
the share is, and taken as it stands alarms are cleared while they last."""


class ShareShift:
    """A share of the attempts: does it exceed what it is when all is well?

    `least` is the share that is usual at any rate, `bad` the one that is looked for. `learned`:
    seconds of which the usual share must be known before anything is judged, for what may well be
    always so (every connection of a server that closes them is cold); 0 for what is never usual.
    `named`: the score at which it is named.
    """

    __slots__ = (
        "_at_ns",
        "_bad",
        "_better",
        "_clean",
        "_credit",
        "_doubt",
        "_doubt_failed",
        "_down",
        "_failed_in",
        "_failed_well",
        "_held",
        "_held_failed",
        "_ill",
        "_ill_failed",
        "_learned",
        "_least",
        "_minute",
        "_named",
        "_place",
        "_remembered",
        "_runs",
        "_score",
        "_shown",
        "_spacing_s",
        "_up",
        "_usual",
        "_well",
        "_well_in",
        "n",
        "n_failed",
        "named_since_ns",
        "since_ns",
    )

    def __init__(
        self, *, least: float = 0.01, bad: float = 0.10, learned: float = 0, named: float = NAMED
    ) -> None:
        self._least, self._bad, self._learned, self._named = least, bad, learned, named
        # The hour that was well: seconds and failed seconds by minute, and their sums.
        self._well_in, self._failed_in = array("d", [0.0] * MINUTES), array("d", [0.0] * MINUTES)
        self._place, self._minute = 0, -1
        self._well = self._failed_well = 0.0
        self._at_ns: int | None = None
        self._credit = CREDIT
        self._spacing_s = 1.0
        # Attempts since the newest failure, and runs of failures since the onset.
        self._clean = self._runs = 0
        # Seconds since the onset: those that may yet be usual, all of them, and of an alarm those
        # that the clearing test has not made up its mind about.
        self._doubt = self._doubt_failed = 0.0
        self._ill = self._ill_failed = self._held = self._held_failed = 0.0
        self._score = self._better = 0.0
        self.n = self.n_failed = 0
        """Attempts since the onset, and those of them that failed."""
        self.since_ns: int | None = None
        """When the first attempt of them began; None while nothing speaks for it."""
        self.named_since_ns: int | None = None
        self._usual = -1.0
        self._remembered: float | None = None
        """The usual share of an earlier run, until the first attempts have shown or refuted it."""
        self._shown = 0
        self._weigh()

    def reference(self) -> tuple[float, float] | None:
        """Return the usual share for a later run to start from, and the seconds it is known from;
        None where nothing has to be learned, or too little is known."""
        known = bool(self._learned) and self._well >= self._learned
        return (self.usual_share, self._well) if known else None

    def remember(self, share: float) -> None:
        """Begin with what an earlier run handed on. Only before the first attempt."""
        if self._learned and not self._well and 0.0 <= share <= 1.0:
            self._remembered = share

    def _learn(self, weight: float, failed: bool) -> None:
        """Take an attempt before there is a usual share; the first ones show or refute that of an
        earlier run."""
        self._admit(weight, weight * failed)
        share = self._remembered
        if share is None:
            return
        self._shown += 1
        if failed != (share > 0.5):
            self._remembered = None
        elif self._shown >= SHOWN:
            self._remembered = None
            self._admit(self._learned, share * self._learned)

    @property
    def level(self) -> Level:
        """Return how sure it is that the share is higher than usual."""
        if self._well < self._learned:
            return "learning"
        if self.named_since_ns is not None:
            return "named"
        if self._score >= PERHAPS:
            return "perhaps"
        return "suspected" if self._score >= SUSPECTED else "well"

    @property
    def score(self) -> float:
        """Return the evidence for a share above the usual, a log-likelihood ratio."""
        return self._score

    @property
    def share(self) -> float:
        """Return the share of the attempts since the onset; 0 without one."""
        return self.n_failed / self.n if self.n else 0.0

    @property
    def usual_share(self) -> float:
        """Return the share of the last hour in which all was well."""
        return self._failed_well / self._well if self._well >= 1.0 else 0.0

    @property
    def n_usual(self) -> int:
        """Return how many seconds the usual share is known from."""
        return round(self._well)

    def second(self, at_ns: int, failed: bool, began_ns: int, *, evidence: bool = False) -> None:
        """Take an attempt that ended at `at_ns`; all that end in one second weigh as one.

        `evidence`: of thickened probes. It is judged and never enters what is usual.
        """
        weight = self._weight(at_ns)
        if self._well < self._learned:
            if not evidence:
                self._learn(weight, failed)
            return
        self._score = max(0.0, self._score + weight * (self._up if failed else self._down))
        if not self._score and self.named_since_ns is None:
            self._back_to_zero()
            if not evidence:
                self._admit(weight, weight * failed)
            return
        if self.since_ns is None:
            self.since_ns = began_ns
        self.n += 1
        self.n_failed += failed
        if failed:
            self._runs += self._clean > 0 or self.n == 1
            self._clean = 0
        else:
            self._clean += 1
        if self.named_since_ns is not None:
            self._judge_named(weight, failed)
            return
        self._ill += weight
        self._ill_failed += weight * failed
        if self._score >= self._named:
            self.named_since_ns = at_ns
        elif not evidence:
            self._keep_in_doubt(weight, failed)

    def clear(self) -> None:
        """End an alarm, or a doubt, that something else has shown to be over."""
        if self.since_ns is not None:
            self._end()

    def settle(self) -> None:
        """Accept the present share: it becomes the usual."""
        if self.level not in ("perhaps", "named"):
            return
        self._well_in, self._failed_in = array("d", [0.0] * MINUTES), array("d", [0.0] * MINUTES)
        self._well = self._failed_well = 0.0
        well, failed = self._ill + self._held, self._ill_failed + self._held_failed
        self._end()
        self._admit(well, failed)

    def _weight(self, at_ns: int) -> float:
        """Return what an attempt weighs that ends now."""
        if self._at_ns is not None:
            passed_s = max(0, at_ns - self._at_ns) / NS_PER_S
            self._credit = min(CREDIT, self._credit + passed_s)
            self._spacing_s += (min(passed_s, 1.0) - self._spacing_s) * SPACING
        self._at_ns = at_ns
        # As much as its fellows: what fails, fails fast, and so ends soon after the one before it.
        weight = min(self._spacing_s, self._credit)
        self._credit -= weight
        return weight

    def _keep_in_doubt(self, weight: float, failed: bool) -> None:
        """Keep an attempt that may yet be a usual one."""
        self._doubt += weight
        self._doubt_failed += weight * failed
        is_weak = self._doubt >= WEAK_SECONDS and self._score < PERHAPS
        if is_weak and self._well < YOUNG_SECONDS:
            self._admit(self._doubt, self._doubt_failed)
            self._doubt = self._doubt_failed = 0.0

    def _judge_named(self, weight: float, failed: bool) -> None:
        """Ask of an alarm whether the share is the usual one again."""
        self._score = min(self._score, self._named + HEADROOM)
        usual, ill = self._usual, self._ill_share()
        ratio = usual / ill if failed else (1.0 - usual) / (1.0 - ill)
        self._better = max(0.0, self._better + weight * math.log(ratio))
        self._held += weight
        self._held_failed += weight * failed
        if not self._better:
            # Only now: the successes at its end are no part of an alarm.
            self._ill += self._held
            self._ill_failed += self._held_failed
            self._held = self._held_failed = 0.0
        if self._better >= CLEARED or not self._score or self._is_surely_over():
            self._end()

    def _is_surely_over(self) -> bool:
        """Return whether more attempts in a row were well than the old share ever leaves alone.

        The share of an alarm is taken for less than what named it, so that an unlucky choice does
        not clear it; a run without a single failure needs no such care. Failures in a row count for
        one: retries fail with what they retry, and between such runs much is well.
        """
        well = self.n - self.n_failed - self._clean
        share = min(self._runs / (well + self._runs), 0.999)
        return self._clean >= max(SURELY_WELL, SURE / -math.log(1.0 - share))

    def _ill_share(self) -> float:
        """Return the share that the clearing test takes the alarm's for."""
        n, square = self._ill, DOUBT * DOUBT
        share = self._ill_failed / n
        spread = DOUBT * math.sqrt(share * (1.0 - share) / n + square / (4.0 * n * n))
        lower = (share + square / (2.0 * n) - spread) / (1.0 + square / n)
        return max(_looked_for(self._usual, self._bad), min(lower, SURELY_BAD))

    def _admit(self, seconds: float, failed: float) -> None:
        """Take seconds that are known to be well into the hour."""
        minute = (self._at_ns or 0) // MINUTE_NS
        if minute != self._minute:
            # The next minute that is well takes the place of the oldest: what lay between, a pause
            # or an incident, ages nothing.
            self._minute, self._place = minute, (self._place + 1) % MINUTES
            self._well -= self._well_in[self._place]
            self._failed_well -= self._failed_in[self._place]
            self._well_in[self._place] = self._failed_in[self._place] = 0.0
        self._well_in[self._place] += seconds
        self._failed_in[self._place] += failed
        self._well += seconds
        self._failed_well += failed
        self._weigh()

    def _weigh(self) -> None:
        """Reckon the weights of a failure and of a success from what is usual."""
        if self._learned:
            share = (self._failed_well + 0.5) / (self._well + 1.0)
        else:
            share = self._failed_well / (self._well + PRIOR_SECONDS)
        usual = max(self._least, min(USUAL_FACTOR * share, (1.0 + share) / 2.0))
        if usual == self._usual:
            return  # nearly always: the least that is usual at any rate
        self._usual = usual
        if usual >= HOPELESS:
            self._up = self._down = 0.0
            return
        bad = _looked_for(usual, self._bad)
        self._up, self._down = math.log(bad / usual), math.log((1.0 - bad) / (1.0 - usual))

    def _back_to_zero(self) -> None:
        """Let what was in doubt into the hour: nothing came of it."""
        if self.since_ns is not None:
            doubt, failed = self._doubt, self._doubt_failed
            self._end()
            self._admit(doubt, failed)

    def _end(self) -> None:
        """End an onset or an alarm; nothing of it enters the hour."""
        self.named_since_ns = self.since_ns = None
        self.n = self.n_failed = 0
        self._score = self._better = 0.0
        self._clean = self._runs = 0
        self._doubt = self._doubt_failed = 0.0
        self._ill = self._ill_failed = self._held = self._held_failed = 0.0


def _looked_for(usual: float, bad: float) -> float:
    """Return the share that is told from a usual one: `bad`, or as much above it as there is."""
    return max(bad, min(WORSE_FACTOR * usual, (1.0 + usual) / 2.0))
