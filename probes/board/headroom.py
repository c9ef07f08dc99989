"""How far a route is from its next refusal, from what its server told: a pure fold.

Rule 1: what is not told stays unknown. A limit whose fall is not seen yet, or that lasts until it
is replenished, has no time to a refusal.
Rule 2: what fits is counted at the sizes and times of the answers that came lately, each weighing a
tenth: prompts and answers of another size are another story at once.
Rule 3: limits that name no period are by the minute, as everywhere (`probes.events.limit_periods`).
"""

from collections import deque
from collections.abc import Sequence
from math import floor
from typing import Final

from probes.board.views import Headroom, LimitLasts
from probes.events import AttemptFinished, Limit
from probes.events.limit_periods import seconds_of
from probes.kit.clock import NS_PER_S

SLOPE_S: Final = 120.0
"""A slope is of what was told in the last two minutes: what was longer ago is another load."""
LEAST_S: Final = 10.0
LEAST_TOLD: Final = 5
"""Tellings, over so many seconds at least, that make a slope."""
_TOLD_KEPT: Final = 240
_WEIGHT: Final = 0.1

_Told = deque[tuple[float, float]]


class HeadroomWatch:
    """What one route's answers told, and what they were like."""

    __slots__ = ("_input", "_left", "_output", "_took_s")

    def __init__(self) -> None:
        self._left: dict[tuple[str, str, str], _Told] = {}
        self._input: float | None = None
        self._output: float | None = None
        self._took_s: float | None = None

    def hear(self, event: AttemptFinished) -> None:
        """Take an attempt that has ended."""
        at_s = event.at_ns / NS_PER_S
        for limit in event.limits:
            if limit.remaining is None or limit.kind == "concurrency":
                continue
            told = self._left.setdefault(
                (limit.kind, limit.window, limit.scope), deque(maxlen=_TOLD_KEPT)
            )
            if told and limit.remaining > told[-1][1] + 0.5 * (limit.limit or 0.0):
                told.clear()  # it was replenished: what fell before says nothing of now
            told.append((at_s, limit.remaining))
            while at_s - told[0][0] > SLOPE_S:
                told.popleft()
        if event.outcome != "ok" or event.stamps_ns.started is None:
            return
        took_s = (event.at_ns - event.stamps_ns.started) / NS_PER_S
        self._took_s = _smoothed(self._took_s, took_s)
        self._input = _smoothed(self._input, event.input_tokens)
        self._output = _smoothed(self._output, event.output_tokens)

    def view(
        self, limits: Sequence[Limit], now_ns: int, concurrency: int, interval_s: float
    ) -> Headroom | None:
        """Return what is known; None where nothing is.

        Args:
            limits: those that hold, as they were told.
            now_ns: time of the stream.
            concurrency: workers that are wanted.
            interval_s: seconds from one start of a worker to its next.
        """
        lasts = tuple(
            LimitLasts(limit.kind, limit.window, lasts_s)
            for limit in limits
            if (lasts_s := self._lasts_s(limit, now_ns)) is not None
        )
        rate = min((one for limit in limits if (one := self._probes_a_second(limit))), default=None)
        at_once = min(
            (limit.limit for limit in limits if limit.kind == "concurrency" and limit.limit),
            default=None,
        )
        most, shortest_s = None if at_once is None else floor(at_once), None
        if rate is not None and self._took_s is not None:
            bears = floor(rate * max(self._took_s, interval_s))
            most = bears if most is None else min(bears, most)
            shortest_s = max(0.0, concurrency / rate)
            # Back to back a worker starts no sooner than its answer ends.
            shortest_s = 0.0 if shortest_s <= self._took_s else shortest_s
        if not lasts and most is None and shortest_s is None:
            return None
        return Headroom(lasts, most, shortest_s)

    def _lasts_s(self, limit: Limit, now_ns: int) -> float | None:
        """Return the seconds until nothing is left, at the slope; None where it lasts."""
        told = self._left.get((limit.kind, limit.window, limit.scope))
        if told is None or len(told) < LEAST_TOLD or told[-1][0] - told[0][0] < LEAST_S:
            return None
        mean_s = sum(at_s for at_s, _ in told) / len(told)
        mean = sum(value for _, value in told) / len(told)
        spread = sum((at_s - mean_s) ** 2 for at_s, _ in told)
        slope = sum((at_s - mean_s) * (value - mean) for at_s, value in told) / spread
        age_s = now_ns / NS_PER_S - told[-1][0]
        if slope >= 0:
            return None
        lasts_s = told[-1][1] / -slope - age_s
        if lasts_s < 0 or (limit.reset_s is not None and lasts_s > max(0.0, limit.reset_s - age_s)):
            return None
        return lasts_s

    def _probes_a_second(self, limit: Limit) -> float | None:
        """Return how many probes a second a limit lets in; None where that is not known."""
        if not limit.limit:
            return None
        a_second = limit.limit / (seconds_of(limit.window) or 60.0)
        sizes = {
            "requests": 1.0,
            "input_tokens": self._input,
            "output_tokens": self._output,
            "tokens": None
            if self._input is None or self._output is None
            else self._input + self._output,
        }
        size = sizes.get(limit.kind)
        return a_second / size if size else None


def _smoothed(before: float | None, now: float | None) -> float | None:
    if now is None or before is None:
        return before if now is None else float(now)
    return before + _WEIGHT * (now - before)
