"""When the probes of a route are due: per worker in a closed loop, by one schedule in an open one.

Rule 1. Closed (`interval`): a worker's next probe is due at max(its end, its start + the interval,
        10 % more or less). Who is slow is asked less often, and nobody sees who could not ask.
Rule 2. Open: a probe is due when the schedule says so, whatever the others do. Gaps of `poisson`
        are exponential, those of `constant` are equal; neither has a jitter, and no start that was
        late moves the next one.
Rule 3. What is due begins at once where a place is free. Else it waits for one, first come first
        served: its start is late, and its wait is in its scheduled latency (… − `scheduled`).
Rule 4. What has waited for longer than the route waits for a first token is *skipped* as `late`:
        nobody would still have waited for it, and a queue that only grows is never caught up with.
        So a queue is bounded, and what it lost is counted.
Rule 5. What is due while something else holds the route back (a pause, a cool-down, the budget, a
        reader that stopped, our own standstill) is skipped for that reason, and so is what waited
        then: it is not sent in a burst afterwards.
Rule 6. Due = begun + waiting + skipped, always.
"""

import math
from collections import Counter, deque
from random import Random
from typing import Final

from probes.control.commands import PacePart
from probes.events import PaceKind, SkipReason
from probes.kit.clock import NS_PER_S

JITTER: Final = 0.1
"""Of an interval: workers that started together drift apart."""
FAILURE_PAUSE_S: Final = 0.5
"""After a failed probe: a server that refuses at once would be hammered by an interval of 0."""
MIN_STAGGER_S: Final = 0.05
"""Between two workers' first starts: all at once would queue in front of each other."""
MOST_COUNTED: Final = 10_000
"""Ticks that are passed one by one; where more went by unsent, as in a process that was stopped for
an hour, their number is reckoned, so that nobody waits for the count."""


class Schedule:
    """The ticks of an open pace: absolute stamps that follow from its rate and chance alone."""

    def __init__(
        self,
        pace: PaceKind,
        rate: float,
        random: Random,
        now_ns: int,
        part: PacePart | None = None,
    ) -> None:
        """Begin at once; of several engines, where the first tick is this one's."""
        self.rate = rate
        self._pace = pace
        self._random = random
        self._part = part
        self._from_ns = now_ns
        self._after_ns = 0.0
        """From there to the next tick: a sum of gaps as they are, so that no rounding adds up."""
        if self._is_shared or (part is not None and 0 not in part.ticks):
            self._restart(now_ns)

    @property
    def due_ns(self) -> int | None:
        """The next tick; None where there is none, for an engine that has no part."""
        return self._from_ns + round(self._after_ns) if self.rate > 0 else None

    def advance(self) -> None:
        """Go on to the next tick."""
        if self._is_shared:
            self._restart(self._from_ns + round(self._after_ns) + 1)
        else:
            self._after_ns += self._gap_ns()

    def turn(self, rate: float, now_ns: int, part: PacePart | None = None) -> None:
        """Take another rate: what is left until the next tick shrinks or grows with it, which for
        exponential gaps is exponential again."""
        left_ns = self._from_ns + self._after_ns - now_ns
        before, self.rate, self._part = self.rate, rate, part
        if self._is_shared or before <= 0 or rate <= 0:
            self._restart(now_ns)
        else:
            self._from_ns, self._after_ns = now_ns, max(0.0, left_ns) * before / rate

    def pass_over(self, until_ns: int) -> int:
        """Go on to the first tick after a stamp; return how many lie before it."""
        passed = 0
        while (due_ns := self.due_ns) is not None and due_ns <= until_ns:
            ahead = (until_ns - due_ns) / NS_PER_S * self.rate
            if ahead > MOST_COUNTED:
                self._restart(until_ns + 1)
                return passed + 1 + int(ahead)
            self.advance()
            passed += 1
        return passed

    @property
    def _is_shared(self) -> bool:
        """Whether its ticks are some of a constant pace's, which other engines fill up."""
        return self._pace == "constant" and self._part is not None and self._part.of > 0

    def _gap_ns(self) -> float:
        if self._pace == "constant":
            return NS_PER_S / self.rate
        # 1 − random() is above 0, whose logarithm there is none of.
        return -math.log(1.0 - self._random.random()) / self.rate * NS_PER_S

    def _restart(self, now_ns: int) -> None:
        """Find the next tick from a stamp on, whatever there was before."""
        self._from_ns, self._after_ns = now_ns, 0.0
        if self.rate <= 0:
            return
        part = self._part
        if not self._is_shared or part is None:
            self._after_ns = self._gap_ns()
            return
        # Counted from the clock's zero, which all engines of a machine share.
        gap_ns = NS_PER_S / part.rate
        number, own = math.ceil(now_ns / gap_ns), frozenset(part.ticks)
        while number % part.of not in own:
            number += 1
        self._after_ns = number * gap_ns - now_ns


class OpenPace:
    """What is due of one route, waits for a place, and was skipped. It sends nothing itself."""

    def __init__(self, schedule: Schedule, patience_ns: int, now_ns: int) -> None:
        """`patience_ns`: so long something that is due waits for a place."""
        self.schedule = schedule
        self.due = 0
        self.skipped: Counter[SkipReason] = Counter()
        self.waiting: deque[int] = deque()
        """When each was due, oldest first."""
        self._patience_ns = patience_ns
        self._looked_ns = now_ns

    @property
    def looked_ns(self) -> int:
        """When it was looked at last."""
        return self._looked_ns

    def look(self, now_ns: int, held: SkipReason | None) -> None:
        """Take what has become due; skip it, and what waits, where something holds it back."""
        self._looked_ns = now_ns
        if held is not None:
            self.skip(held, len(self.waiting))
            self.waiting.clear()
            passed = self.schedule.pass_over(now_ns)
            self.due += passed
            self.skip(held, passed)
            return
        while (due_ns := self.schedule.due_ns) is not None and due_ns <= now_ns:
            self.schedule.advance()
            self.due += 1
            self.waiting.append(due_ns)
        self._give_up(now_ns)

    def take(self, now_ns: int) -> int | None:
        """Return when the probe was due that is to begin now; None where none waits."""
        self._give_up(now_ns)
        return self.waiting.popleft() if self.waiting else None

    def _give_up(self, now_ns: int) -> None:
        while self.waiting and now_ns - self.waiting[0] > self._patience_ns:
            self.waiting.popleft()
            self.skip("late")

    def skip(self, reason: SkipReason, number: int = 1) -> None:
        """Count what was due and does not begin."""
        if number:
            self.skipped[reason] += number


def next_start_ns(
    start_ns: int, end_ns: int, interval_s: float, random: Random, *, failed: bool = False
) -> int:
    """Return when a worker's next probe is due: max(its end, its start + interval ± 10 %).

    An interval of 0 is back to back; but after a failed probe a worker pauses half a second.
    """
    factor = 1 + JITTER * (2 * random.random() - 1)
    earliest_ns = end_ns + round(FAILURE_PAUSE_S * NS_PER_S) if failed else end_ns
    return max(earliest_ns, start_ns + round(interval_s * factor * NS_PER_S))


def first_start_ns(now_ns: int, worker: int, concurrency: int, interval_s: float) -> int:
    """Return when a worker begins: spread over the interval, for starts all at once add their own
    queueing to everybody's first figures."""
    share_s = interval_s / max(1, concurrency)
    return now_ns + round(worker * max(share_s, MIN_STAGGER_S) * NS_PER_S)
