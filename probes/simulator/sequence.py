"""One request inside the serving loop, from admission to its last token."""

from collections import deque
from dataclasses import dataclass
from typing import Literal, TypeAlias

import anyio

FinishReason: TypeAlias = Literal["stop", "length"]


class SequenceCutError(Exception):
    """The sequence will get no further token; the text says why."""


@dataclass(frozen=True, slots=True)
class Prompt:
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
        "prefill_left",
        "produced",
        "prompt",
        "resume_ns",
    )

    def __init__(self, prompt: Prompt, fate: Fate) -> None:
        """Start before the queue."""
        self.prompt = prompt
        self.fate = fate
        self.cached_tokens = 0
        self.prefill_left = float(prompt.tokens)
        """Prefill work left, in tokens to compute."""
        self.produced = 0
        self.resume_ns = 0
        """Stalled until then."""
        self._ready: deque[int] = deque()
        self._cut = ""
        self._changed = anyio.Event()

    @property
    def ended(self) -> bool:
        """Whether the loop is done with it."""
        return bool(self._cut) or self.produced >= self.fate.answer_tokens

    def deliver(self, tokens: int) -> None:
        """Add one chunk of at most `tokens` tokens."""
        gained = min(tokens, self.fate.answer_tokens - self.produced)
        self.produced += gained
        self._ready.append(gained)
        self._wake()

    def cut(self, why: str) -> None:
        """End it here; tokens already delivered can still be read."""
        self._cut = why
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
            if self._cut:
                raise SequenceCutError(self._cut)
            if self.ended:
                return 0
            await self._changed.wait()
        return self._ready.popleft()
