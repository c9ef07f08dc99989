"""Stamps and arrivals of one attempt while they come in."""

from array import array
from dataclasses import dataclass, field
from typing import Final

MAX_CHUNK_OFFSETS: Final = 20_000


@dataclass(slots=True)
class Tape:
    """What is noted of a chunk is its arrival, in eight bytes, and a few counts."""

    stamps: dict[str, int] = field(default_factory=dict)
    """Monotonic ns by step; without `last_token` until `close`."""
    inexact: set[str] = field(default_factory=set)
    """Steps whose stamps are upper bounds."""
    offsets_ns: "array[int]" = field(default_factory=lambda: array("q"))
    """Arrival of each output chunk, from `started`; of absurdly many the first ones."""
    last_ns: int | None = None
    """Arrival of the newest output chunk."""
    chunks: int = 0
    characters: int = 0
    """Of all output; whoever reads it counts it."""
    inexact_chunks: int = 0
    longest_gap_ns: int = 0
    stalls: int = 0
    _started_ns: int = 0
    _last_is_exact: bool = True

    def first(self, step: str, at_ns: int, *, exact: bool = True) -> bool:
        """Stamp a step that has no stamp yet; return whether it had none."""
        if step in self.stamps:
            return False
        self.stamps[step] = at_ns
        if not exact:
            self.inexact.add(step)
        if step == "started":
            self._started_ns = at_ns
        return True

    def output(self, at_ns: int, stall_ns: int, *, first_exact: bool, last_exact: bool) -> None:
        """Count an output chunk and the gap before it; a gap above `stall_ns` is a stall.

        The chunk is exact where nothing came after its first output.
        """
        if self.last_ns is not None:
            gap_ns = at_ns - self.last_ns
            if gap_ns > self.longest_gap_ns:
                self.longest_gap_ns = gap_ns
            if gap_ns > stall_ns:
                self.stalls += 1
        self.last_ns = at_ns
        self.chunks += 1
        if not first_exact:
            self.inexact_chunks += 1
        self._last_is_exact = last_exact
        if self.chunks <= MAX_CHUNK_OFFSETS:
            self.offsets_ns.append(at_ns - self._started_ns)

    def close(self) -> None:
        """Nothing more comes: note when the last output did."""
        if self.last_ns is not None:
            self.first("last_token", self.last_ns, exact=self._last_is_exact)
