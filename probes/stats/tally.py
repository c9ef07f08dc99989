"""Counters of one route, by slices of time: what each end of an attempt or a probe adds up to."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Final, TypeVar

import msgspec

from probes.events import AttemptFinished, ProbeFinished
from probes.kit.shared import slots_of
from probes.stats.windows import (
    SLICES_A_MINUTE,
    WindowName,
    Windows,
    first_slice,
    slice_index,
)

_REASONS_KEPT: Final = 32
"""Reasons told apart; more are counted as `other`. Some are a server's words, without end."""
_OTHER: Final = "other"
_OTHER_RETRY: Final = ("other", 1)
_RETRIES_TOLD_APART: Final = 10
"""The tenth retry stands for all later ones."""

K = TypeVar("K")
N = TypeVar("N", int, float)


@dataclass(slots=True)
class Tally:
    """Counters of one slice of one route. Probes and attempts we cancelled are not in them, but
    the tokens and the money they used are."""

    finished: int = 0
    """Probes that ended, but those we cancelled."""
    ok: int = 0
    """Of these, those that ended ok."""
    good: int = 0
    """Of these, those within every goal."""
    cancelled: int = 0
    """Probes we cancelled."""
    probe_attempts: int = 0
    """Attempts of the finished probes."""
    attempts: int = 0
    """Attempts that ended, but those we cancelled."""
    cold: int = 0
    paths: int = 0
    """Attempts of which the kernel tells what was lost on their way; the next two are of those."""
    resent: int = 0
    """Segments of ours."""
    reordered: int = 0
    """Segments that came out of order."""
    """Of these, those on a connection that was made for them."""
    throttled: int = 0
    timeouts: int = 0
    retries: int = 0
    """Attempts that were a planned retry and have begun."""
    hidden_retries: int = 0
    """Further tries behind gateways, by their own word."""
    stalls: int = 0
    answers: int = 0
    """Attempts that brought output."""
    stalled: int = 0
    """Of these, those that paused."""
    input_tokens: int = 0
    input_counts: int = 0
    """Attempts whose input tokens are known."""
    output_tokens: int = 0
    output_counts: int = 0
    """Attempts whose output tokens are known."""
    cached_tokens: int = 0
    """Input tokens that came from the provider's cache."""
    cached_of: int = 0
    """Input tokens of the attempts of which that is known."""
    token_estimates: int = 0
    """Attempts whose output tokens are an estimate."""
    guessed_tokens: int = 0
    """Output tokens of attempts that were not counted, from their characters: for rates alone."""
    cost_usd: float = 0.0
    costs: int = 0
    """Attempts whose cost is known."""
    cost_estimates: int = 0
    """Attempts whose cost is computed from a price of the configuration."""
    recovered: int = 0
    """Retried probes that ended ok."""
    exhausted: int = 0
    """Retried probes that did not."""
    retried: dict[tuple[str, int], int] = field(default_factory=dict)
    """(reason, number of the retry) → how many."""
    recovered_by: dict[str, int] = field(default_factory=dict)
    exhausted_by: dict[str, int] = field(default_factory=dict)
    waited_by: dict[str, float] = field(default_factory=dict)
    """Reason → seconds waited."""
    throttled_by: dict[str, int] = field(default_factory=dict)
    """Reason → attempts the server throttled."""

    @property
    def failures(self) -> int:
        """Probes that did not end ok."""
        return self.finished - self.ok

    def count_attempt(self, event: AttemptFinished, guessed_tokens: int) -> None:
        """Count an attempt that ended; `guessed_tokens` are its output where nobody counted it."""
        if event.input_tokens is not None:
            self.input_tokens += event.input_tokens
            self.input_counts += 1
            if event.cached_tokens is not None:
                self.cached_tokens += event.cached_tokens
                self.cached_of += event.input_tokens
        if event.output_tokens is not None:
            self.output_tokens += event.output_tokens
            self.output_counts += 1
            self.token_estimates += event.token_source in ("estimate", "none")
        self.guessed_tokens += guessed_tokens
        if event.cost_usd is not None:
            self.cost_usd += event.cost_usd
            self.costs += 1
            self.cost_estimates += event.cost_source != "provider"
        if event.outcome == "cancelled":
            return
        self.attempts += 1
        self.cold += event.cold
        if event.retransmits is not None:
            self.paths += 1
            self.resent += event.retransmits
            self.reordered += event.reordered or 0
        if event.outcome == "throttled":
            self.throttled += 1
            _count(self.throttled_by, event.reason or event.outcome, 1, _OTHER)
        self.timeouts += event.outcome == "timeout"
        self.stalls += event.stalls
        if event.chunks:
            self.answers += 1
            self.stalled += event.stalls > 0
        self.hidden_retries += event.hidden_retries

    def count_probe(
        self, event: ProbeFinished, is_good: bool, retried_for: tuple[str, ...]
    ) -> None:
        """Count a probe that ended, with what its retries were for."""
        if event.outcome == "cancelled":
            self.cancelled += 1
            return
        ok = event.outcome == "ok"
        self.finished += 1
        self.ok += ok
        self.good += is_good
        self.probe_attempts += event.attempts
        if not retried_for:
            return
        self.recovered += ok
        self.exhausted += not ok
        for reason in retried_for:
            _count(self.recovered_by if ok else self.exhausted_by, reason, 1, _OTHER)

    def count_retry(self, reason: str, number: int, waited_s: float) -> None:
        """Count the retry `number` (1 for the first) that begins after a wait, for a reason."""
        _count(self.retried, (reason, min(number, _RETRIES_TOLD_APART)), 1, _OTHER_RETRY)
        _count(self.waited_by, reason, waited_s, _OTHER)
        self.retries += 1

    def absorb(self, other: "Tally") -> None:
        """Add everything `other` has counted."""
        self.finished += other.finished
        self.ok += other.ok
        self.good += other.good
        self.cancelled += other.cancelled
        self.probe_attempts += other.probe_attempts
        self.attempts += other.attempts
        self.cold += other.cold
        self.paths += other.paths
        self.resent += other.resent
        self.reordered += other.reordered
        self.throttled += other.throttled
        self.timeouts += other.timeouts
        self.retries += other.retries
        self.hidden_retries += other.hidden_retries
        self.stalls += other.stalls
        self.answers += other.answers
        self.stalled += other.stalled
        self.input_tokens += other.input_tokens
        self.input_counts += other.input_counts
        self.cached_tokens += other.cached_tokens
        self.cached_of += other.cached_of
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
        if other.throttled_by:
            _add(self.throttled_by, other.throttled_by, _OTHER)

    def compact(self) -> int:
        """Return 1: counters are as small as they get."""
        return 1

    def pack(self) -> bytes:
        """Return all counts."""
        retried = tuple([(reason, number, many) for (reason, number), many in self.retried.items()])
        told = (self.recovered_by, self.exhausted_by, self.waited_by, self.throttled_by)
        return _pack(_Packed(_numbers(self), self.cost_usd, retried, *told))

    @classmethod
    def unpacked(cls, packed: bytes) -> "Tally":
        """Return the counts again."""
        known = _unpack(packed)
        return cls(
            **dict(zip(_NUMBERS, known.counts, strict=True)),
            cost_usd=known.cost_usd,
            retried={(reason, number): many for reason, number, many in known.retried},
            recovered_by=known.recovered_by,
            exhausted_by=known.exhausted_by,
            waited_by=known.waited_by,
            throttled_by=known.throttled_by,
        )


_NUMBERS: Final = tuple(one.name for one in fields(Tally) if one.type is int)
_numbers: Final = attrgetter(*_NUMBERS)


class _Packed(msgspec.Struct, array_like=True):
    """A tally as it is packed."""

    counts: tuple[int, ...]
    cost_usd: float
    retried: tuple[tuple[str, int, int], ...] = ()
    recovered_by: dict[str, int] = {}
    exhausted_by: dict[str, int] = {}
    waited_by: dict[str, float] = {}
    throttled_by: dict[str, int] = {}


_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(_Packed).decode


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

    def __getstate__(self) -> object:
        """Return what a copy is made of: what was written, and nothing of what was read."""
        return None, {**slots_of(self), "_closed": {}}

    def total(self, window: WindowName, now_ns: int) -> Tally:
        """Return a new tally: the sum over `window` at offset `now_ns`."""
        index = self._opened(now_ns)
        first = first_slice(window, index)
        if window == "run":
            first = self.minutes.sealed * SLICES_A_MINUTE
        key = (index, self.slices.sealed, self.minutes.sealed)
        known = self._closed.get(window)
        if known is None or known[0] != key:
            before = [self.run] if window == "run" else []
            known = key, summed([*before, *self.pieces(first, index - 1)])
            if self.slices.sealed >= index:
                # The newest closed slice, only now that it is complete; and after the others, as
                # the order of a sum is seen in its last digit.
                for newest in self.slices.between(max(first, index - 1), index):
                    known[1].absorb(newest)
            self._closed[window] = known
        unsealed = index if self.slices.sealed >= index else index - 1
        return summed([known[1], *self.slices.between(max(first, unsealed), index + 1)])

    def since(self, first: int, now_ns: int) -> Tally:
        """Return a new tally: the sum of the slices from `first`, of the newest fifteen minutes, up
        to the one that is open at offset `now_ns`."""
        return summed(self.slices.between(first, slice_index(now_ns) + 1))

    def _changed(self) -> None:
        self._closed.clear()


def summed(tallies: Iterable[Tally]) -> Tally:
    """Return a new tally with everything these have counted."""
    total = Tally()
    for tally in tallies:
        total.absorb(tally)
    return total
