"""Samples of one metric, read over any window at nearly the same cost at any time.

A window is read from parts: all that has closed but the newest closed slice, that slice, and the
open one. The first part is the big one, and what is in it is sealed before it is needed: it is put
together ahead, while the newest slice is still open, a piece at a time, so that no frame has to
wait for it. An hour and the run have a part more, which changes once a minute.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import msgspec

from probes.kit.shared import slots_of
from probes.stats.digest import Digest
from probes.stats.ladders import LadderSlices
from probes.stats.quantiles import Distribution, Quantiles
from probes.stats.windows import (
    SLICES_A_MINUTE,
    Rolling,
    WindowName,
    Windows,
    first_slice,
    slice_index,
)

Metric: TypeAlias = Literal["ttft", "e2e", "speed", "scheduled_ttft", "scheduled_e2e"]
"""TTFT and E2E in seconds, from the start, or from when an open pace wanted it; speed in tokens a
second of one stream."""

_pack: Final = msgspec.msgpack.Encoder().encode
_unpack: Final = msgspec.msgpack.Decoder(tuple[int, int]).decode

_Slot: TypeAlias = tuple[str, int]
_Key: TypeAlias = tuple[int, ...]
_Closed: TypeAlias = tuple[_Key, int, tuple[Distribution, ...]]
"""(what it holds for, first slice that is not in the parts, parts)."""


class SampleWindows(Windows[Digest]):
    """Samples of one metric of one cohort. What is read depends on what was written and sealed,
    never on what was read before."""

    __slots__ = ("_ahead", "_closed", "_prepared", "_read_in")

    def __init__(self) -> None:
        super().__init__(Digest)
        self._prepared: dict[_Slot, tuple[_Key, Distribution]] = {}
        """Place to keep it → (what it was made of, part ready to be read)."""
        self._closed: dict[_Slot, _Closed] = {}
        """Window and parity of its open slice → the parts that have closed. Two are kept, as the
        next one is put together while the present one is read."""
        self._read_in: dict[WindowName, int] = {}
        """Window → slice that was open when it was last read."""
        self._ahead: dict[WindowName, int] = {}
        """Window → slice that was open when it was last put together ahead."""

    def __getstate__(self) -> object:
        """Return what a copy is made of: what was written, and nothing of what was read."""
        unread: dict[str, object] = {"_prepared": {}, "_closed": {}, "_read_in": {}, "_ahead": {}}
        return None, {**slots_of(self), **unread}

    def add(self, offset_ns: int, value: float) -> None:
        """Take a sample into the slice of its own stamp."""
        for digest in self.at(offset_ns):
            digest.add(value)

    def read(self, window: WindowName, now_ns: int) -> Quantiles:
        """Return the samples of `window` at offset `now_ns`, ready to be read."""
        index = self._opened(now_ns)
        self._read_in[window] = index
        _, first, closed = self._closed_parts(window, index)
        parts = [*closed]
        for newest in range(first, index + 1):
            part = self.slice(newest)
            if part is not None:
                parts.append(part)
        return Quantiles(parts)

    def since(self, first: int, now_ns: int) -> Quantiles:
        """Return the samples of the slices from `first` up to the one that is open at an offset.

        They are put together anew at each call: for a window that nobody looks at for long.
        """
        digests = self.slices.between(first, slice_index(now_ns) + 1)
        return Quantiles((Distribution(digests),) if digests else ())

    def slice(self, index: int) -> Distribution | None:
        """Return the samples of one slice; None without any."""
        known = self._prepared.get(("slice", index % 2))
        if known is not None and known[0][0] == index < self.slices.sealed and known[0][2]:
            return known[1]  # nothing came late for it: that would have had it forgotten
        digest = self.slices.get(index)
        if digest is None:
            return None
        return self._once(
            ("slice", index % 2), (index, digest.n, index < self.slices.sealed), (digest,)
        )

    def seal(self, now_ns: int) -> int:
        """Do one piece of what is due at offset `now_ns`, else put one window together ahead that
        is being read; return the size of the piece, 0 when all is done."""
        done = super().seal(now_ns)
        index = slice_index(now_ns)
        if done or self.slices.sealed < index:
            return done
        for window, read in self._read_in.items():
            if read == index != self._ahead.get(window):
                self._ahead[window] = index
                _, _, now = self._closed_parts(window, index)
                _, _, soon = self._closed_parts(window, index + 1)
                return 1 + sum(len(part.values) for part in (*now, *soon)) // 3
        return 0

    def _closed_parts(self, window: WindowName, index: int) -> _Closed:
        """Return a window without its two newest slices, while `index` is open."""
        slot, key = (window, index % 2), (index, self.slices.sealed, self.minutes.sealed)
        known = self._closed.get(slot)
        if known is not None and known[0] == key:
            return known
        first = max(0, first_slice(window, index))
        split = self._split(window, index)
        # What has been sealed since changes nothing where the window ends before it.
        sealed = min(self.slices.sealed, index - 1)
        minutes = min(self.minutes.sealed, (index - 1) // SLICES_A_MINUTE)
        pieces = self.pieces(split, index - 1)
        parts = [self._once(slot, (split, index, sealed, minutes), pieces)]
        if window == "run":
            parts.append(self._once(("all", 0), (split,), (self.run,)))
        elif split > first:
            minute, end = first // SLICES_A_MINUTE, split // SLICES_A_MINUTE
            hour = self.minutes.between(minute, end)
            parts.append(self._once(("minutes", minute % 2), (minute, end), hour))
        found = self._closed[slot] = (key, max(index - 1, split), tuple(parts))
        return found

    def _split(self, window: WindowName, index: int) -> int:
        """Return the slice up to which a window is read from a part that changes once a minute."""
        first = max(0, first_slice(window, index))
        if window == "run":
            return self.minutes.sealed * SLICES_A_MINUTE
        if window != "1h":
            return first
        end_minute = min(index // SLICES_A_MINUTE - 1, self.minutes.sealed)
        return max(first, end_minute * SLICES_A_MINUTE)

    def _once(self, slot: _Slot, key: _Key, digests: Sequence[Digest]) -> Distribution:
        """Return what the digests hold, prepared anew only where the key has changed."""
        known = self._prepared.get(slot)
        if known is None or known[0] != key:
            known = self._prepared[slot] = (key, Distribution(digests))
        return known[1]

    def _changed(self) -> None:
        self._prepared.clear()
        self._closed.clear()
        self._ahead.clear()


@dataclass(slots=True)
class Lost:
    """Probes of one slice that ended otherwise than ok, but those we cancelled."""

    failed: int = 0
    silent: int = 0
    """Of these, those of which no output came at all."""

    def absorb(self, other: "Lost") -> None:
        """Add what `other` has counted."""
        self.failed += other.failed
        self.silent += other.silent

    def compact(self) -> int:
        """Return 1: counters are as small as they get."""
        return 1

    def pack(self) -> bytes:
        """Return both counts."""
        return _pack((self.failed, self.silent))

    @classmethod
    def unpacked(cls, packed: bytes) -> "Lost":
        """Return the counts again."""
        return cls(*_unpack(packed))


class LostWindows(Rolling[Lost]):
    """Failed probes of one cohort: in a percentile of all that was asked they never came."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(Lost)

    def add(self, offset_ns: int, *, is_silent: bool) -> None:
        """Count a probe in the slice of its end."""
        for lost in self.at(offset_ns):
            lost.failed += 1
            lost.silent += is_silent


def lost_in(parts: Iterable[Lost]) -> Lost:
    """Return the sum of some counts."""
    total = Lost()
    for part in parts:
        total.absorb(part)
    return total


@dataclass(slots=True)
class CohortSamples:
    """What was measured under one cohort."""

    ttft: SampleWindows = field(default_factory=SampleWindows)
    e2e: SampleWindows = field(default_factory=SampleWindows)
    speed: SampleWindows = field(default_factory=SampleWindows)
    lost: LostWindows = field(default_factory=LostWindows)
    ladders: LadderSlices = field(default_factory=LadderSlices)
    """Of the probes that ended ok."""
    scheduled: tuple[SampleWindows, SampleWindows] | None = None
    """TTFT and E2E of an open pace, from when it wanted them; a closed one costs nothing here."""

    def of(self, metric: Metric) -> SampleWindows:
        """Return the windows of one metric."""
        match metric:
            case "ttft":
                return self.ttft
            case "e2e":
                return self.e2e
            case "speed":
                return self.speed
        if self.scheduled is None:
            self.scheduled = (SampleWindows(), SampleWindows())
        return self.scheduled[metric == "scheduled_e2e"]

    def seal(self, now_ns: int) -> int:
        """Do one piece of what is due at offset `now_ns`; return its size, 0 when all is done."""
        done = self.ttft.seal(now_ns) or self.e2e.seal(now_ns) or self.speed.seal(now_ns)
        if done or self.scheduled is None:
            return done
        ttft, e2e = self.scheduled
        return ttft.seal(now_ns) or e2e.seal(now_ns)
