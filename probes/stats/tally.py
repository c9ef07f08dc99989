"""Counters of one route, by slices of time."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from probes.stats.windows import SLICES_A_MINUTE, WindowName, Windows, first_slice, slice_index

_REASONS_KEPT: Final = 32
"""Reasons told apart; more are counted as `other`."""
_OTHER: Final = "other"
_OTHER_RETRY: Final = ("other", 1)

K = TypeVar("K")
N = TypeVar("N", int, float)


@dataclass(slots=True)
class Tally:
    """Counters of one slice of one route. Probes and attempts we cancelled are not in them, but
    the tokens and the money they used are."""

    finished: int = 0
    ok: int = 0
    good: int = 0
    cancelled: int = 0
    probe_attempts: int = 0
    """Attempts of the finished probes."""
    attempts: int = 0
    """Finished attempts."""
    throttled: int = 0
    timeouts: int = 0
    retries: int = 0
    """Attempts that were a planned retry and have begun."""
    hidden_retries: int = 0
    """Further tries behind gateways, by their own word."""
    stalls: int = 0
    input_tokens: int = 0
    input_counts: int = 0
    output_tokens: int = 0
    output_counts: int = 0
    token_estimates: int = 0
    """Attempts whose output tokens are an estimate."""
    guessed_tokens: int = 0
    """Output tokens of attempts that were not counted, from their characters: for rates alone."""
    cost_usd: float = 0.0
    costs: int = 0
    cost_estimates: int = 0
    """Attempts whose cost is computed from a price of the configuration."""
    recovered: int = 0
    exhausted: int = 0
    retried: dict[tuple[str, int], int] = field(default_factory=dict)
    """(reason, number of the retry) → how many."""
    recovered_by: dict[str, int] = field(default_factory=dict)
    exhausted_by: dict[str, int] = field(default_factory=dict)
    waited_by: dict[str, float] = field(default_factory=dict)
    """Reason → seconds waited."""
    failed_by: dict[str, int] = field(default_factory=dict)
    """Reason → probes that did not end ok."""
    throttled_by: dict[str, int] = field(default_factory=dict)
    """Reason → attempts the server throttled."""

    @property
    def failures(self) -> int:
        """Probes that did not end ok."""
        return self.finished - self.ok

    def count_retry(self, reason: str, number: int, waited_s: float) -> None:
        """Count the retry `number` (1 for the first) that begins after a wait, for a reason."""
        _count(self.retried, (reason, min(number, 10)), 1, _OTHER_RETRY)
        _count(self.waited_by, reason, waited_s, _OTHER)
        self.retries += 1

    def count_recovery(self, reasons: tuple[str, ...], ok: bool) -> None:
        """Count the end of a probe that was retried for these reasons."""
        if ok:
            self.recovered += 1
        else:
            self.exhausted += 1
        counts = self.recovered_by if ok else self.exhausted_by
        for reason in reasons:
            _count(counts, reason, 1, _OTHER)

    def count_failure(self, reason: str) -> None:
        """Count why a probe did not end ok."""
        _count(self.failed_by, reason, 1, _OTHER)

    def count_throttled(self, reason: str) -> None:
        """Count an attempt that was throttled."""
        self.throttled += 1
        _count(self.throttled_by, reason, 1, _OTHER)

    def absorb(self, other: "Tally") -> None:
        """Add everything `other` has counted."""
        self.finished += other.finished
        self.ok += other.ok
        self.good += other.good
        self.cancelled += other.cancelled
        self.probe_attempts += other.probe_attempts
        self.attempts += other.attempts
        self.throttled += other.throttled
        self.timeouts += other.timeouts
        self.retries += other.retries
        self.hidden_retries += other.hidden_retries
        self.stalls += other.stalls
        self.input_tokens += other.input_tokens
        self.input_counts += other.input_counts
        self.output_tokens += other.output_tokens
        self.output_counts += other.output_counts
        self.token_estimates += other.token_estimates
        self.guessed_tokens += other.guessed_tokens
        self.cost_usd += other.cost_usd
        self.costs += other.costs
        self.cost_estimates += other.cost_estimates
        self.recovered += other.recovered
        self.exhausted += other.exhausted
        if other.retried:
            _add(self.retried, other.retried, _OTHER_RETRY)
        if other.waited_by:
            _add(self.waited_by, other.waited_by, _OTHER)
        if other.recovered_by:
            _add(self.recovered_by, other.recovered_by, _OTHER)
        if other.exhausted_by:
            _add(self.exhausted_by, other.exhausted_by, _OTHER)
        if other.failed_by:
            _add(self.failed_by, other.failed_by, _OTHER)
        if other.throttled_by:
            _add(self.throttled_by, other.throttled_by, _OTHER)

    def compact(self) -> int:
        """Return 1: counters are as small as they get."""
        return 1


def _count(counts: dict[K, N], key: K, value: N, other: K) -> None:
    if key not in counts and len(counts) >= _REASONS_KEPT:
        key = other
    counts[key] = counts[key] + value if key in counts else value


def _add(counts: dict[K, N], more: dict[K, N], other: K) -> None:
    for key, value in more.items():
        _count(counts, key, value, other)


class TallyWindows(Windows[Tally]):
    """Counters of one route; the sum of what has closed is kept until it changes."""

    __slots__ = ("_closed",)

    def __init__(self) -> None:
        super().__init__(Tally)
        self._closed: dict[WindowName, tuple[tuple[int, int, int], Tally]] = {}

    def newest(self, now_ns: int) -> tuple[int, int]:
        """Return how many probes finished, and how many of them ok, in the open slice and the one
        before it, 10 to 20 s."""
        index = slice_index(now_ns)
        slices = self.slices.between(index - 1, index + 1)
        return sum(one.finished for one in slices), sum(one.ok for one in slices)

    def total(self, window: WindowName, now_ns: int) -> Tally:
        """Return a new tally: the sum over `window` at offset `now_ns`."""
        index = self._opened(now_ns)
        first = first_slice(window, index)
        if window == "run":
            first = self.sealed_minutes * SLICES_A_MINUTE
        newest = self.slices.between(max(first, index - 1), index + 1)
        return summed([self._closed_total(window, first, index), *newest])

    def _closed_total(self, window: WindowName, first: int, index: int) -> Tally:
        """Return the sum of a window without its two newest slices, while `index` is open."""
        key = (index, self.sealed, self.sealed_minutes)
        cached = self._closed.get(window)
        if cached is None or cached[0] != key:
            before = [self.run] if window == "run" else []
            total = summed([*before, *self.pieces(first, index - 1)])
            cached = self._closed[window] = (key, total)
        return cached[1]

    def _changed(self) -> None:
        self._closed.clear()


def summed(tallies: Iterable[Tally]) -> Tally:
    """Return a new tally with everything these have counted."""
    total = Tally()
    for tally in tallies:
        total.absorb(tally)
    return total
