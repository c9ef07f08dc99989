"""Which prompt a route asks next, and of what size the text is that is made for it.

Rule 1. Prompts come by their weights, as evenly as these allow, the heaviest first: the same
        prompts give the same order, and whatever stretch one looks at has nearly the same mix.
Rule 2. A fresh prompt is sized by what the server counted of those before: its tokens are its own.
        The first is sized for tokenizers of today's models, and is told for what it was.
Rule 3. A count that no tokenizer can come to teaches nothing.
"""

from collections.abc import Sequence
from random import Random
from typing import Final

import msgspec

from probes.config.prompts import (
    CHARACTERS_PER_TOKEN,
    OVERHEAD_TOKENS,
    Message,
    Prompt,
    fresh_prompt,
)

_LEAST_BYTES: Final = 0.3
_MOST_BYTES: Final = 16.0
"""Bytes of a token of English: a tokenizer that falls back to bytes reads a blank as the three of
`▁`, and none reads more than a long word and its blank at once."""
_NEWEST: Final = 0.5
"""Weight of the newest count: a model behind a route may change its tokenizer with its version."""


class PromptRotation:
    """Gives a route's prompts in turn, by their weights."""

    __slots__ = ("_owed", "_prompts", "_total")

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self._prompts = tuple(prompts)
        self._total = sum(prompt.weight for prompt in prompts)
        self._owed = [0.0] * len(self._prompts)
        """What each has earned by its weight and not had yet."""

    def next(self) -> Prompt | None:
        """Return the prompt that is due; None where the route asks its one text alone."""
        if not self._prompts:
            return None
        for place, prompt in enumerate(self._prompts):
            self._owed[place] += prompt.weight
        due = max(range(len(self._prompts)), key=self._owed.__getitem__)
        self._owed[due] -= self._total
        return self._prompts[due]


class FreshPrompts:
    """Makes prompts that are like no other, of the size that a server is to count."""

    __slots__ = ("_bytes_per_token", "_random")

    def __init__(self, random: Random) -> None:
        self._random = random
        self._bytes_per_token: float | None = None

    def make(self, prompt: Prompt, *, max_tokens: int) -> Prompt:
        """Return a prompt with a text in it that is made for this request."""
        ratio = self._bytes_per_token or CHARACTERS_PER_TOKEN
        # What it is to be is what the server counts, the template around it included.
        size = round((prompt.fresh_tokens - OVERHEAD_TOKENS) * ratio)
        text = fresh_prompt(self._random, size=size, answer_tokens=max_tokens)
        return msgspec.structs.replace(prompt, messages=(Message(role="user", text=text),))

    def learn(self, sent: Prompt, input_tokens: int | None) -> None:
        """Take what a server counted of a prompt that was made here."""
        counted = (input_tokens or 0) - OVERHEAD_TOKENS
        if counted <= 0:
            return
        ratio = len(sent.messages[0].text) / counted
        if not _LEAST_BYTES <= ratio <= _MOST_BYTES:
            return
        before = self._bytes_per_token
        self._bytes_per_token = ratio if before is None else before + _NEWEST * (ratio - before)
