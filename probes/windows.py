"""Rolling windows over slices of time: counters and samples, bounded for ever.

Slices are aligned to multiples of their width since the run's start, so charts do not shimmer. A
window is the open slice plus the last N closed ones (1m: 6 of 10 s, so 60 to 70 s); an hour is
read from slices of a minute; `run` is kept by itself. What is written enters the slice of its own
stamp, late or not. All offsets are ns since the run's start.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Final, Generic, TypeVar

from probes.clock import NS_PER_S
from probes.digest import Digest, distribution
from probes.distribution import Distribution
from probes.views import WindowName

__all__ = [
    "SLICE_NS",
    "SampleWindows",
    "Slices",
    "Tally",
    "TallyWindows",
    "Windows",
    "elapsed_s",
    "slice_index",
]

SLICE_NS: Final = 10 * NS_PER_S
_MINUTE_NS: Final = 60 * NS_PER_S
_SLICES_A_MINUTE: Final = _MINUTE_NS // SLICE_NS
_SLICES_KEPT: Final = 90
_MINUTES_KEPT: Final = 60
_CLOSED: Final[dict[WindowName, tuple[int, int]]] = {
    "1m": (SLICE_NS, 6),
    "5m": (SLICE_NS, 30),
    "15m": (SLICE_NS, 90),
    "1h": (_MINUTE_NS, 60),
}
_REASONS_KEPT: Final = 32
"""Reasons of one slice told apart; more are counted as `other`."""

T = TypeVar("T")


def slice_index(offset_ns: int, width_ns: int = SLICE_NS) -> int:
    """Return the number of the slice that holds `offset_ns`; what is before the start is in 0."""
    return max(0, offset_ns) // width_ns


def elapsed_s(window: WindowName, now_ns: int) -> float:
    """Return the seconds `window` truly covers at offset `now_ns`, at least one.

    Less than its name while the run is younger, up to a slice more while one is open.
    """
    covered = max(0, now_ns)
    if window != "run":
        width, closed = _CLOSED[window]
        covered = min(covered, covered - (slice_index(now_ns, width) - closed) * width)
    return max(1.0, covered / NS_PER_S)


class Slices(Generic[T]):
    """The newest slices of one width; older ones are dropped as time goes on."""

    __slots__ = ("_by_index", "_kept", "_make", "_newest", "width_ns")

    def __init__(self, width_ns: int, kept: int, make: Callable[[], T]) -> None:
        self.width_ns = width_ns
        self._kept = kept
        self._make = make
        self._by_index: dict[int, T] = {}
        self._newest = 0

    def at(self, index: int) -> T:
        """Return the slice to write to; one that is too old to be kept is forgotten at once."""
        found = self._by_index.get(index)
        if found is not None:
            return found
        made = self._make()
        self._newest = max(self._newest, index)
        oldest = self._newest - self._kept
        if index >= oldest:
            self._by_index[index] = made
        if len(self._by_index) > self._kept + 1:
            for stale in [known for known in self._by_index if known < oldest]:
                del self._by_index[stale]
        return made

    def get(self, index: int) -> T | None:
        """Return a slice if anything was written to it."""
        return self._by_index.get(index)

    def between(self, first: int, last: int) -> list[T]:
        """Return the slices that exist from `first` to `last`, both included."""
        found = (self._by_index.get(index) for index in range(max(0, first), last + 1))
        return [item for item in found if item is not None]

    def __len__(self) -> int:
        return len(self._by_index)


class Windows(Generic[T]):
    """One kind of thing kept by 10 s, by minute and for the run."""

    __slots__ = ("minutes", "run", "slices")

    def __init__(self, make: Callable[[], T]) -> None:
        self.slices: Slices[T] = Slices(SLICE_NS, _SLICES_KEPT, make)
        self.minutes: Slices[T] = Slices(_MINUTE_NS, _MINUTES_KEPT, make)
        self.run = make()

    def at(self, offset_ns: int) -> tuple[T, T, T]:
        """Return the three places where something of this stamp is written."""
        return (
            self.slices.at(slice_index(offset_ns)),
            self.minutes.at(slice_index(offset_ns, _MINUTE_NS)),
            self.run,
        )


class SampleWindows(Windows[Digest]):
    """Samples of one metric of one cohort; what has closed is prepared for reading once."""

    __slots__ = ("_closed", "_loose", "_open_ns", "_whole")

    def __init__(self) -> None:
        super().__init__(Digest)
        self._loose: set[tuple[int, int]] = set()
        self._closed: dict[WindowName, tuple[int, Distribution]] = {}
        self._open_ns = 0
        self._whole: Distribution | None = None

    def add(self, offset_ns: int, value: float) -> None:
        """Take a sample into the slices of its own stamp."""
        if offset_ns < self._open_ns:
            self._closed.clear()
        self._whole = None
        for digest in self.at(offset_ns):
            digest.add(value)
        self._loose.add((SLICE_NS, slice_index(offset_ns)))
        self._loose.add((_MINUTE_NS, slice_index(offset_ns, _MINUTE_NS)))

    def read(self, window: WindowName, now_ns: int) -> list[Distribution]:
        """Return the samples of `window` at offset `now_ns`, ready to be read: those of the closed
        slices together, and those of the open one."""
        if window == "run":
            self._whole = self._whole or distribution([self.run])
            return [self._whole]
        width, closed = _CLOSED[window]
        open_index = slice_index(now_ns, width)
        self._open_ns = slice_index(now_ns) * SLICE_NS
        kind = self.slices if width == SLICE_NS else self.minutes
        cached = self._closed.get(window)
        if cached is None or cached[0] != open_index:
            past = distribution(self._past(width, open_index - closed, open_index))
            cached = self._closed[window] = (open_index, past)
        current = kind.get(open_index)
        return [cached[1]] if current is None else [cached[1], distribution([current])]

    def _past(self, width: int, first: int, end: int) -> list[Digest]:
        """Return what holds the samples of the slices from `first` to before `end`: minutes where
        whole ones lie between, which have the same samples in fewer centroids."""
        if width == _MINUTE_NS:
            return self.minutes.between(first, end - 1)
        first_minute, end_minute = -(-max(0, first) // _SLICES_A_MINUTE), end // _SLICES_A_MINUTE
        if first_minute >= end_minute:
            return self.slices.between(first, end - 1)
        return [
            *self.slices.between(first, first_minute * _SLICES_A_MINUTE - 1),
            *self.minutes.between(first_minute, end_minute - 1),
            *self.slices.between(end_minute * _SLICES_A_MINUTE, end - 1),
        ]

    def close(self, now_ns: int) -> None:
        """Compact what has closed by `now_ns`: once each, again only after a late sample."""
        closed = {(w, index) for w, index in self._loose if index < slice_index(now_ns, w)}
        for width, index in sorted(closed):
            kind = self.slices if width == SLICE_NS else self.minutes
            digest = kind.get(index)
            if digest is not None:
                digest.compact()
        self._forget_read({width for width, _ in closed})
        self._loose -= closed

    def _forget_read(self, compacted: set[int]) -> None:
        """Prepare anew what is read from slices of these widths: all that minutes may be in."""
        stale = [name for name in self._closed if {_CLOSED[name][0], _MINUTE_NS} & compacted]
        for window in stale:
            del self._closed[window]


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
    stalls: int = 0
    input_tokens: int = 0
    input_counts: int = 0
    output_tokens: int = 0
    output_counts: int = 0
    token_estimates: int = 0
    """Attempts whose output tokens are an estimate."""
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

    def count_retry(self, reason: str, number: int) -> None:
        """Count the retry `number` (1 for the first) for a reason."""
        key = (reason, min(number, 10))
        if key not in self.retried and len(self.retried) >= _REASONS_KEPT:
            key = ("other", 1)
        self.retried[key] = self.retried.get(key, 0) + 1
        self.retries += 1

    def count_recovery(self, reasons: tuple[str, ...], ok: bool) -> None:
        """Count the end of a probe that was retried for these reasons."""
        if ok:
            self.recovered += 1
        else:
            self.exhausted += 1
        counts = self.recovered_by if ok else self.exhausted_by
        for reason in reasons:
            key = _bounded(counts, reason)
            counts[key] = counts.get(key, 0) + 1

    def count_failure(self, reason: str) -> None:
        """Count why a probe did not end ok."""
        key = _bounded(self.failed_by, reason)
        self.failed_by[key] = self.failed_by.get(key, 0) + 1

    def count_throttled(self, reason: str) -> None:
        """Count an attempt that was throttled."""
        self.throttled += 1
        key = _bounded(self.throttled_by, reason)
        self.throttled_by[key] = self.throttled_by.get(key, 0) + 1

    def count_wait(self, reason: str, waited_s: float) -> None:
        """Add the time a retry had to wait."""
        key = _bounded(self.waited_by, reason)
        self.waited_by[key] = self.waited_by.get(key, 0.0) + waited_s

    def merge(self, other: "Tally") -> None:
        """Add everything `other` has counted."""
        for name in _NUMBERS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for key, count in other.retried.items():
            self.retried[key] = self.retried.get(key, 0) + count
        _add(self.recovered_by, other.recovered_by)
        _add(self.exhausted_by, other.exhausted_by)
        _add(self.waited_by, other.waited_by)
        _add(self.failed_by, other.failed_by)
        _add(self.throttled_by, other.throttled_by)


_NUMBERS: Final = tuple(f.name for f in fields(Tally) if f.type in (int, float))

N = TypeVar("N", int, float)


def _bounded(counts: dict[str, N], reason: str) -> str:
    return reason if reason in counts or len(counts) < _REASONS_KEPT else "other"


def _add(counts: dict[str, N], more: dict[str, N]) -> None:
    for key, value in more.items():
        counts[key] = counts[key] + value if key in counts else value


class TallyWindows(Windows[Tally]):
    """Counters of one route; the sum of the closed slices is kept until it changes."""

    __slots__ = ("_closed", "_open_ns")

    def __init__(self) -> None:
        super().__init__(Tally)
        self._closed: dict[WindowName, tuple[int, Tally]] = {}
        self._open_ns = 0

    def at(self, offset_ns: int) -> tuple[Tally, Tally, Tally]:
        """Return the three tallies where something of this stamp is counted."""
        if offset_ns < self._open_ns:
            self._closed.clear()
        return super().at(offset_ns)

    def newest(self, now_ns: int) -> Tally:
        """Return a new tally: the open slice and the one before it, 10 to 20 s."""
        total = Tally()
        open_index = slice_index(now_ns)
        for tally in self.slices.between(open_index - 1, open_index):
            total.merge(tally)
        return total

    def total(self, window: WindowName, now_ns: int) -> Tally:
        """Return a new tally: the sum over `window` at offset `now_ns`."""
        total = Tally()
        if window == "run":
            total.merge(self.run)
            return total
        width, closed = _CLOSED[window]
        kind = self.slices if width == SLICE_NS else self.minutes
        open_index = slice_index(now_ns, width)
        self._open_ns = slice_index(now_ns) * SLICE_NS
        total.merge(self._closed_total(window, kind, open_index, closed))
        current = kind.get(open_index)
        if current is not None:
            total.merge(current)
        return total

    def _closed_total(
        self, window: WindowName, kind: Slices[Tally], open_index: int, closed: int
    ) -> Tally:
        cached = self._closed.get(window)
        if cached is not None and cached[0] == open_index:
            return cached[1]
        total = Tally()
        for tally in kind.between(open_index - closed, open_index - 1):
            total.merge(tally)
        self._closed[window] = (open_index, total)
        return total
