"""Whether an open pace is kept: what began against what was due, by the engine's own counts.

Rule 1. What began is compared with what was due, never with the rate: how many a Poisson pace wants
        in a minute is chance, and that chance is in both counts alike. What is left is the queue,
        which comes and goes where the places suffice: so it must have grown by more than three
        times the root of their number, and by more than 5 %.
Rule 2. A slow pace is counted for longer: until 300 were due.
Rule 3. It is lit and put out at two different marks, so that it does not flicker.
Rule 4. What was due while we were paused is no one's failure: a pause begins the count anew, and
        so does a knob that was turned.
"""

import math
from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from probes.events import RouteCounts, SkipReason
from probes.kit.clock import NS_PER_S

LEAST_NS: Final = 30 * NS_PER_S
"""Counted is for so long at least: a single slow answer fills a place for as long."""
MOST_NS: Final = 900 * NS_PER_S
ENOUGH_DUE: Final = 300
"""Of so many three times the root is a sixth: an overload of a quarter is told then."""
LEAST_DUE: Final = 20
"""Before that nothing is said."""
SHORT_SHARE: Final = 0.05
SHORT_ROOTS: Final = 3.0
"""So many times √due, the standard deviation of a Poisson count."""
GOES_OUT: Final = 0.5
"""The lamp goes out where so much of what lights it is left."""


class KeptPace(msgspec.Struct, frozen=True):
    """What an open pace came to, over the last stretch that was counted."""

    begun_per_s: float
    """Probes that began, a second."""
    due_per_s: float
    is_late: bool = False
    """They are fewer than were due, by more than chance."""
    why: SkipReason = "late"
    """What most of the others were skipped or waited for; `late`: no place was free."""
    since_ns: int | None = None
    """Since when it is late: all that was due had begun then. None while it is not."""


class _Count(NamedTuple):
    at_ns: int
    due: int
    begun: int
    skipped: Mapping[SkipReason, int]


class PaceWatch:
    """Counts one route; a tick a second."""

    __slots__ = ("_begun_all_ns", "_counts", "_is_late", "_since_ns", "kept")

    def __init__(self) -> None:
        self._counts: deque[_Count] = deque()
        self._is_late = False
        self._begun_all_ns: int | None = None
        """When all that was due had begun, last."""
        self._since_ns: int | None = None
        self.kept: KeptPace | None = None
        """None while too little was due to say."""

    def restart(self) -> None:
        """Count anew: it is another pace from now on."""
        self._counts.clear()
        self._is_late, self.kept = False, None
        self._begun_all_ns = self._since_ns = None

    def count(self, counts: RouteCounts, at_ns: int) -> None:
        """Take what an engine has counted since it began."""
        begun = counts.due - counts.due_waiting - counts.skipped
        newest = _Count(at_ns, counts.due, begun, counts.skipped_for)
        known = self._counts
        if known and (newest.due < known[-1].due or newest.begun < known[-1].begun):
            self.restart()  # another engine, which begins at nothing
        is_kept = not known or newest.due - known[-1].due <= newest.begun - known[-1].begun
        if self._begun_all_ns is None or (is_kept and not counts.due_waiting):
            self._begun_all_ns = at_ns
        known.append(newest)
        while len(known) > 2 and self._is_long_enough(known[1], newest):
            known.popleft()
        self.kept = self._judged(known[0], newest)

    def _is_long_enough(self, oldest: _Count, newest: _Count) -> bool:
        lasted_ns = newest.at_ns - oldest.at_ns
        is_enough = lasted_ns >= LEAST_NS and newest.due - oldest.due >= ENOUGH_DUE
        return is_enough or lasted_ns >= MOST_NS

    def _judged(self, oldest: _Count, newest: _Count) -> KeptPace | None:
        due, begun = newest.due - oldest.due, newest.begun - oldest.begun
        lasted_ns = newest.at_ns - oldest.at_ns
        if due < LEAST_DUE or lasted_ns < LEAST_NS:
            return None
        lights = max(SHORT_SHARE * due, SHORT_ROOTS * math.sqrt(due))
        short, was_late = due - begun, self._is_late
        self._is_late = short > (lights * GOES_OUT if self._is_late else lights)
        lasted_s = lasted_ns / NS_PER_S
        why: SkipReason = "late"
        if self._is_late and not was_late:
            self._since_ns = self._begun_all_ns
        if self._is_late:
            skipped: dict[SkipReason, int] = {
                reason: number - oldest.skipped.get(reason, 0)
                for reason, number in newest.skipped.items()
                if reason != "late"
            }
            most = max(skipped, key=lambda reason: skipped[reason], default=why)
            # What is neither is in the queue, or waited there for too long.
            if skipped and skipped[most] > short - sum(skipped.values()):
                why = most
        since_ns = self._since_ns if self._is_late else None
        return KeptPace(begun / lasted_s, due / lasted_s, self._is_late, why, since_ns)
