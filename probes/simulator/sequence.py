"""One request inside the serving loop, from admission to its last token."""

from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias

import anyio

from probes.simulator.scenario import CutHow, HangAt

FinishReason: TypeAlias = Literal["stop", "length"]


class SequenceCutError(Exception):
    """The sequence will get no further token; the text says why."""

    def __init__(self, why: str, how: CutHow) -> None:
        """Keep how its client is to see that."""
        super().__init__(why)
        self.how = how


@dataclass(frozen=True, slots=True)
class SentPrompt:
    """The input of a request as its model sees it."""

    data: bytes
    tokens: int
    cap: int
    """Most tokens the answer may have."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What was drawn for a request when it was let in, so that a seed repeats a run."""

    answer_tokens: int
    finish_reason: FinishReason
    stall_at: int | None = None
    """Tokens after which the sequence stops for `stall_s` seconds."""
    stall_s: float = 0.0
    cut_at: int | None = None
    """Tokens after which it is cut."""
    cut_how: CutHow = "reset"
    hang_at: HangAt | None = None
    """Where it is left hanging."""
    hang_after: int = 0
    """Tokens after which it is, in mid-stream."""
    misses: bool = False
    """It finds nothing in the prefix cache."""
    closes: bool = False
    """Its connection is closed after it."""
    swapped: bool = False
    """Another model or build answers it."""
    is_wrong: bool = False
    """It does not say what its model says."""


class Sequence:
    """A request the model has let in.

    The serving loop is the only writer; a handler reads with `next_chunk`, in any pace.
    """

    __slots__ = (
        "_changed",
        "_cut",
        "_ready",
        "cached_tokens",
        "fate",
        "first_ns",
        "last_ns",
        "load_ns",
        "prefill_left",
        "produced",
        "prompt",
        "queued_ns",
        "resume_ns",
        "taken_ns",
    )

    def __init__(self, prompt: SentPrompt, fate: Fate) -> None:
        """Start before the queue."""
        self.prompt = prompt
        self.fate = fate
        self.cached_tokens = 0
        self.prefill_left = float(prompt.tokens)
        """Prefill work left, in tokens to compute."""
        self.produced = 0
        self.resume_ns = 0
        """Stalled until then."""
        self.queued_ns = 0
        """When it stood in the queue, was taken into the batch, had its first and last token."""
        self.taken_ns = 0
        self.first_ns = 0
        self.last_ns = 0
        self.load_ns = 0
        """How long it waited for the model to be loaded."""
        self._ready: deque[int] = deque()
        self._cut: SequenceCutError | None = None
        self._changed = anyio.Event()

    @property
    def ended(self) -> bool:
        """Whether the loop is done with it."""
        return self._cut is not None or self.produced >= self.fate.answer_tokens

    def deliver(self, tokens: int, now_ns: int) -> None:
        """Add one chunk of at most `tokens` tokens."""
        self.first_ns = self.first_ns or now_ns
        self.last_ns = now_ns
        gained = min(tokens, self.fate.answer_tokens - self.produced)
        self.produced += gained
        self._ready.append(gained)
        self._wake()

    def cut(self, why: str, how: CutHow) -> None:
        """End it here; tokens already delivered can still be read."""
        self._cut = SequenceCutError(why, how)
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def next_chunk(self) -> int:
        """Return the number of tokens of the next chunk, waiting for it; 0 after the last one.

        Raises:
            SequenceCutError: the model ended it before its answer was whole.
        """
        while not self._ready:
            if self._cut is not None:
                raise self._cut
            if self.ended:
                return 0
            await self._changed.wait()
        return self._ready.popleft()
