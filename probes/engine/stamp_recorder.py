"""What is measured of one attempt, while it comes in.

Rule 1. A step has the stamp it got first; one that never happened has none.
Rule 2. A chunk costs its arrival, in eight bytes, and a few counts: nothing is formatted here.
Rule 3. These counts are the only ones. Whoever tells of an attempt, the batches while it is open
        and the event when it has ended, reads them here; so nobody is called for a chunk.
"""

from array import array
from dataclasses import dataclass, field
from typing import Final

from probes.answers.progress import Progress
from probes.events import OpenPhase

MAX_CHUNK_OFFSETS: Final = 20_000
"""160 kB an attempt, and ten times what a long answer brings: a flood must not fill the memory."""


@dataclass(slots=True)
class StampRecorder:
    """Stamps, arrivals and counts; its fields are called as those of `AttemptFinished`."""

    stall_ns: int
    """A gap between two chunks above this is a stall."""
    stamps: dict[str, int] = field(default_factory=dict)
    """Monotonic ns by step of the stamp ladder; `last_token` and `ended` when it is closed."""
    inexact: set[str] = field(default_factory=set)
    """Steps whose stamps are upper bounds."""
    chunk_offsets_ns: "array[int]" = field(default_factory=lambda: array("q"))
    """Arrival of each output chunk, from `started`; of absurdly many the first ones."""
    last_ns: int | None = None
    """Arrival of the newest output chunk."""
    chunks: int = 0
    characters: int = 0
    """Of all output."""
    tokens: int = 0
    """Output tokens so far, told by the newest chunk; 0 where it told none."""
    inexact_chunks: int = 0
    """Chunks in which something came after their first output."""
    longest_gap_ns: int = 0
    stalls: int = 0
    http_version: str = ""
    """What the server answered in; empty where it did not."""
    flagged: str = ""
    """Why the stamps are not to be trusted; empty where they are."""
    passed: bool = False
    """The stream was cut because more came than it may use."""
    _started_ns: int = 0
    _last_is_exact: bool = True

    @property
    def open_phase(self) -> OpenPhase:
        """How far it has come, while it is open."""
        if self.chunks:
            return "streaming"
        if "headers" in self.stamps:
            return "headers"
        return "sent" if "sent" in self.stamps else "connecting"

    def stamp(self, step: str, at_ns: int, *, exact: bool = True) -> bool:
        """Stamp a step that has no stamp yet; return whether it had none."""
        if step in self.stamps:
            return False
        self.stamps[step] = at_ns
        if not exact:
            self.inexact.add(step)
        if step == "started":
            self._started_ns = at_ns
        return True

    def output(self, progress: Progress, at_ns: int) -> None:
        """Count a read that carried output, and the gap before it."""
        if self.last_ns is None:
            self.last_ns = at_ns
        self.more(progress.characters, at_ns)
        self.tokens = progress.tokens
        if not progress.first_is_newest:
            self.inexact_chunks += 1
        self._last_is_exact = progress.last_is_newest

    def more(self, characters: int, at_ns: int) -> None:
        """Count a read that carried output as the one before did: nothing came after it, and no
        tokens were told."""
        gap_ns = at_ns - self.last_ns  # type: ignore[operator]  # something came before
        if gap_ns > self.longest_gap_ns:
            self.longest_gap_ns = gap_ns
        if gap_ns > self.stall_ns:
            self.stalls += 1
        self.last_ns = at_ns
        self.chunks += 1
        self.characters += characters
        self.tokens = 0
        self._last_is_exact = True
        if self.chunks <= MAX_CHUNK_OFFSETS:
            self.chunk_offsets_ns.append(at_ns - self._started_ns)

    def close(self, now_ns: int, *, whole: bool) -> None:
        """Nothing more comes: stamp the last output and the end.

        An answer that was not read to the end of its body (`whole`) was done with its terminal
        signal, or with the output that came beside or after it.
        """
        if self.last_ns is not None:
            self.stamp("last_token", self.last_ns, exact=self._last_is_exact)
        terminal_ns = self.stamps.pop("terminal", None)
        if terminal_ns is not None and not whole:
            self.stamps["done"] = max(terminal_ns, self.stamps.get("last_token", terminal_ns))
        self.stamps["ended"] = self.stamps.get("done", now_ns)
