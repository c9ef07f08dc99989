"""What the metronome knows of what it did: the truth of each request, and how late it was itself.

Kept compact, as a run at full speed makes 25,000 stamps a second.
"""

import time
from array import array
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import msgspec

from probes.events import ClockSource
from probes.simulator.sequence import FinishReason
from probes.simulator.truth import Ending, TruthPage, TruthRecord

_BITS: Final = 5
_BUCKETS: Final = 640
"""Enough for two hours; what takes longer is counted in the last."""


class MetronomeRecord(TruthRecord, kw_only=True):
    """One request. `read_ns` is the arrival of the request's last byte, by the kernel's stamp where
    it gives one."""

    first_of_connection: bool = False
    """The client had to connect for it."""
    response_id: str
    """The `id` of all its chunks."""


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """How some durations are spread, in ns; quantiles are exact to 1/16 of their size."""

    n: int
    p50: int
    p99: int
    max: int


class MetronomePage(TruthPage, frozen=True, kw_only=True):
    """The answer to `GET /truth`."""

    records: tuple[MetronomeRecord, ...]
    arrival_clock: ClockSource
    """Who stamped the arrival of requests."""
    begun: int
    """Requests whose stream was begun since the log was cleared."""
    first_arrival_ns: int | None
    """Arrival of the first of them."""
    late_ns: Spread
    """Send stamp − due time of each token: large where this process did not get its core, or
    where a client had no room for more."""
    send_ns: Spread
    """Duration of the send calls; a stamp lies that much before its bytes were on their way, at
    most."""


class Histogram:
    """Counts durations in buckets that are 1/16 of their size wide; bounded, and cheap to use.

    A bucket's number is the place of the highest bit and the four bits after it, as in a float.
    """

    __slots__ = ("_counts", "_max")

    def __init__(self) -> None:
        """Begin empty."""
        self._counts = array("Q", bytes(8 * _BUCKETS))
        self._max = 0

    def add(self, duration_ns: int) -> None:
        """Count a duration; one below zero is zero."""
        if duration_ns > self._max:
            self._max = duration_ns
        elif duration_ns < 0:
            duration_ns = 0
        shift = max(duration_ns.bit_length() - _BITS, 0)
        self._counts[min((shift << _BITS - 1) + (duration_ns >> shift), _BUCKETS - 1)] += 1

    def spread(self) -> Spread:
        """Return what was counted."""
        n = sum(self._counts)
        return Spread(n=n, p50=self._quantile(n, 0.5), p99=self._quantile(n, 0.99), max=self._max)

    def _quantile(self, n: int, share: float) -> int:
        """Return the upper end of the bucket in which the quantile lies; 0 where there is none."""
        below, wanted = 0, n * share
        for bucket, count in enumerate(self._counts):
            below += count
            if count and below >= wanted:
                return min(_upper_end(bucket), self._max)
        return 0


def _upper_end(bucket: int) -> int:
    """Return the largest duration that is counted in a bucket."""
    half = 1 << _BITS - 1
    shift = max((bucket >> _BITS - 1) - 1, 0)
    return ((bucket - shift * half + 1) << shift) - 1


@dataclass(slots=True, kw_only=True)
class Score:
    """The truth of one stream while it goes on, and after."""

    request_id: str
    response_id: str
    path: str
    model: str
    read_ns: int
    prompt_tokens: int
    count: int
    """Tokens it will get."""
    finish_reason: FinishReason
    first_of_connection: bool
    headers_ns: int | None = None
    stamps: "array[int]" = field(default_factory=lambda: array("q"))
    """Of every body sent: role, tokens, finish, usage, end."""
    ended_ns: int | None = None
    ending: Ending = ""

    def record(self, n: int) -> MetronomeRecord:
        """Return it in the form of the embedded provider's truth."""
        sent = len(self.stamps)
        tokens = min(max(sent - 1, 0), self.count)
        return MetronomeRecord(
            n=n,
            request_id=self.request_id,
            path=self.path,
            model=self.model,
            read_ns=self.read_ns,
            headers_ns=self.headers_ns,
            chunks_ns=self.stamps.tolist(),
            chunk_tokens=[int(0 < at <= tokens) for at in range(sent)],
            ended_ns=self.ended_ns,
            status=200,
            ending=self.ending,
            prompt_tokens=self.prompt_tokens,
            output_tokens=tokens,
            finish_reason=self.finish_reason if sent > self.count + 1 else None,
            first_of_connection=self.first_of_connection,
            response_id=self.response_id,
        )


class MetronomeLog:
    """The last streams that ended, a bounded number of them, and the metronome's own lateness."""

    def __init__(self, capacity: int, arrival_clock: ClockSource) -> None:
        """Keep at most `capacity` streams; `arrival_clock` says who stamps
        the arrival of requests."""
        self._scores: deque[tuple[int, Score]] = deque(maxlen=capacity)
        self._arrival_clock = arrival_clock
        self._started_ns = time.monotonic_ns()
        self._last = 0
        self._cleared = 0
        self.clear()

    def clear(self) -> None:
        """Forget everything; numbers go on."""
        self._scores.clear()
        self._cleared = self._last
        self._begun = 0
        self._first_arrival_ns: int | None = None
        self.late = Histogram()
        self.sends = Histogram()

    def begin(self, score: Score) -> None:
        """Count a stream that begins."""
        self._begun += 1
        if self._first_arrival_ns is None:
            self._first_arrival_ns = score.read_ns

    def add(self, score: Score) -> None:
        """Number a stream that ended, and keep it."""
        self._last += 1
        self._scores.append((self._last, score))

    def page(self, since: int = 0) -> MetronomePage:
        """Return the records numbered above `since`, oldest first."""
        return MetronomePage(
            started_ns=self._started_ns,
            last=self._last,
            dropped=self._last - self._cleared - len(self._scores),
            records=tuple(score.record(n) for n, score in self._scores if n > since),
            arrival_clock=self._arrival_clock,
            begun=self._begun,
            first_arrival_ns=self._first_arrival_ns,
            late_ns=self.late.spread(),
            send_ns=self.sends.spread(),
        )
