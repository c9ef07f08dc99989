"""What single probes took while all was well, as their users felt it.

The series know medians of seconds; a tail is known from single probes alone. These judge nothing:
what is in doubt is said by the series.
"""

from array import array
from collections.abc import Sequence
from typing import Final

from probes.diagnosis.level import LEARNED, spread_out

_KEPT: Final = 400
"""Felt times: of 95 % of them the rank is known to 0.02 then."""
_A_SECOND: Final = 2
"""Probes of one second that are kept: with more, those that are kept would span too short a time to
be what is usual."""
_HANDED_ON: Final = 16
"""Quantiles by which they are handed on to a later run; there they count for four times as many."""
_ON_GUARD: Final = 90
"""Seconds of them that wait until it is known whether they were well; a doubt takes no longer."""


class FeltTimes:
    """What single probes took while all was well, in seconds."""

    __slots__ = ("_counts", "_is_ill", "_known", "_second", "_waiting")

    def __init__(self) -> None:
        self._known: array[float] = array("f")
        """Those that were well, oldest first."""
        self._second: list[float] = []
        """What came in this second."""
        self._waiting: array[float] = array("f")
        """Those of which that is not known yet, and how many came in each second."""
        self._counts: array[int] = array("B")
        self._is_ill = False
        """Those on guard were measured in an alarm."""

    def add(self, value: float) -> None:
        """Take the time of one probe."""
        if len(self._second) < _A_SECOND:
            self._second.append(value)

    def close(self, guard: int, *, in_doubt: bool, in_alarm: bool) -> None:
        """End a second; what has `guard` newer ones behind it is known, unless something is in
        doubt."""
        if self._second:
            self._waiting.extend(self._second)
            self._counts.append(len(self._second))
            self._second = []
        if in_alarm:
            self._is_ill = True
        elif self._is_ill and not in_doubt:
            self._waiting, self._counts = array("f"), array("B")
            self._is_ill = False
        waits = _ON_GUARD if in_doubt or in_alarm else guard
        while len(self._counts) > waits:
            count = self._counts.pop(0)
            if not in_doubt and not in_alarm:
                self._known.extend(self._waiting[:count])
            del self._waiting[:count]
        del self._known[:-_KEPT]

    def settle(self) -> None:
        """Take what was measured last for what is usual."""
        if self._is_ill or len(self._waiting) >= LEARNED:
            self._known, self._waiting, self._counts = self._waiting, array("f"), array("B")
            self._is_ill = False

    def reference(self) -> tuple[float, ...]:
        """Return what is known for a later run to start from, by quantiles at even steps."""
        if len(self._known) < LEARNED:
            return ()
        last, steps = len(self._known) - 1, _HANDED_ON - 1
        ordered = sorted(self._known)
        return tuple(round(ordered[round(step * last / steps)], 6) for step in range(_HANDED_ON))

    def remember(self, values: Sequence[float]) -> None:
        """Begin with what an earlier run handed on; later ones take its place."""
        if len(values) > 1:
            self._known[:0] = array("f", spread_out(values, 4 * _HANDED_ON))

    def __len__(self) -> int:
        return len(self._known)

    def at(self, *shares: float) -> tuple[float | None, ...]:
        """Return quantiles; None each while too few are known."""
        n = len(self._known)
        if n < LEARNED:
            return (None,) * len(shares)
        # Asked every ten seconds: to keep them in order at each sample would cost more.
        ordered = sorted(self._known)
        return tuple([ordered[min(int(share * n), n - 1)] for share in shares])


class Felt:
    """What users felt of one band of prompt sizes."""

    __slots__ = ("e2e", "ttft")

    def __init__(self) -> None:
        self.ttft, self.e2e = FeltTimes(), FeltTimes()
