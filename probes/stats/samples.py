"""Samples of one metric, read over any window at nearly the same cost at any time.

A window is read from parts: all that has closed but the newest closed slice, that slice, and the
open one. The first part is the big one, and what is in it is sealed before it is needed: it is put
together ahead, while the newest slice is still open, a piece at a time. An hour and the run have a
part more, which changes once a minute.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeAlias

from probes.stats.digest import Digest, distribution
from probes.stats.distribution import Distribution
from probes.stats.windows import SLICES_A_MINUTE, WindowName, Windows, first_slice, slice_index

Metric: TypeAlias = Literal["ttft", "e2e"]
"""What is charted."""

_Slot: TypeAlias = tuple[str, int]
_Key: TypeAlias = tuple[int, ...]


class SampleWindows(Windows[Digest]):
    """Samples of one metric of one cohort. What is read depends on what was written and sealed,
    never on what was read before."""

    __slots__ = ("_ahead", "_prepared", "_read_in")

    def __init__(self) -> None:
        super().__init__(Digest)
        self._prepared: dict[_Slot, tuple[_Key, Distribution]] = {}
        """Place to keep it → (what it was made of, parts ready to be read)."""
        self._read_in: dict[WindowName, int] = {}
        """Window → slice that was open when it was last read."""
        self._ahead: dict[WindowName, int] = {}
        """Window → slice that was open when it was last put together ahead."""

    def add(self, offset_ns: int, value: float) -> None:
        """Take a sample into the slice of its own stamp."""
        for digest in self.at(offset_ns):
            digest.add(value)

    def read(self, window: WindowName, now_ns: int) -> list[Distribution]:
        """Return the samples of `window` at offset `now_ns` in parts, ready to be read."""
        index = self._opened(now_ns)
        self._read_in[window] = index
        newest = range(max(index - 1, self._split(window, index)), index + 1)
        return [*self._closed(window, index), *filter(None, map(self.slice, newest))]

    def slice(self, index: int) -> Distribution | None:
        """Return the samples of one slice; None without any."""
        digest = self.slices.get(index)
        if digest is None:
            return None
        key = (index, digest.n, index < self.sealed)
        return self._once(("slice", index % 2), key, lambda: [digest])

    def seal(self, now_ns: int) -> int:
        """Do one piece of what is due at offset `now_ns`, else put one window together ahead that
        is being read; return the size of the piece, 0 when all is done."""
        return super().seal(now_ns) or self._prepare(slice_index(now_ns))

    def _split(self, window: WindowName, index: int) -> int:
        """Return the slice up to which a window is read from a part that changes once a minute."""
        first = max(0, first_slice(window, index))
        if window == "run":
            return self.sealed_minutes * SLICES_A_MINUTE
        if window != "1h":
            return first
        end_minute = min(index // SLICES_A_MINUTE - 1, self.sealed_minutes)
        return max(first, end_minute * SLICES_A_MINUTE)

    def _closed(self, window: WindowName, index: int) -> list[Distribution]:
        """Return a window without its two newest slices, while `index` is open."""
        first, split = max(0, first_slice(window, index)), self._split(window, index)
        made_of = (
            min(self.sealed, index - 1),
            min(self.sealed_minutes, (index - 1) // SLICES_A_MINUTE),
        )
        parts = [
            self._once(
                (window, index % 2),
                (split, index, *made_of),
                partial(self.pieces, split, index - 1),
            )
        ]
        if window == "run":
            parts.append(self._once(("all", 0), (split,), lambda: [self.run]))
        elif split > first:
            minute, end = first // SLICES_A_MINUTE, split // SLICES_A_MINUTE
            minutes = partial(self.minutes.between, minute, end)
            parts.append(self._once(("minutes", minute % 2), (minute, end), minutes))
        return parts

    def _once(self, slot: _Slot, key: _Key, make: Callable[[], list[Digest]]) -> Distribution:
        cached = self._prepared.get(slot)
        if cached is None or cached[0] != key:
            cached = self._prepared[slot] = (key, distribution(make()))
        return cached[1]

    def _prepare(self, index: int) -> int:
        if self.sealed < index:
            return 0
        for window, read in self._read_in.items():
            if read == index != self._ahead.get(window):
                self._ahead[window] = index
                parts = (*self._closed(window, index), *self._closed(window, index + 1))
                return 1 + sum(len(part.values) for part in parts) // 3
        return 0

    def _changed(self) -> None:
        self._prepared.clear()
        self._ahead.clear()


@dataclass(slots=True)
class CohortSamples:
    """What was measured under one cohort, in seconds; speed in tokens a second of a stream."""

    ttft: SampleWindows = field(default_factory=SampleWindows)
    e2e: SampleWindows = field(default_factory=SampleWindows)
    speed: SampleWindows = field(default_factory=SampleWindows)

    def metric(self, name: Metric) -> SampleWindows:
        """Return the windows of a charted metric."""
        return self.ttft if name == "ttft" else self.e2e

    def seal(self, now_ns: int) -> int:
        """Do one piece of what is due at offset `now_ns`; return its size, 0 when all is done."""
        return self.ttft.seal(now_ns) or self.e2e.seal(now_ns) or self.speed.seal(now_ns)
