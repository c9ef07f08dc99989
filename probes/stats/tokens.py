"""Figures per token, and which counts they may come from: pure functions over one attempt.

Rule 1: chunks are not tokens. A figure per token comes from a server's own count or is not given.
Rule 2: hidden reasoning was paid for but never streamed: it is no part of a stream's speed.
"""

from typing import Final

from probes.events import AttemptFinished
from probes.kit.clock import seconds

EXACT_SOURCES: Final = frozenset({"usage", "x_groq.usage", "continuous_usage", "timings"})
"""Token counts that a server made; all others are estimates."""
_USUAL: Final = 4.0
"""Characters a token until a route's own answers say better: English, and most tokenisers."""
_LEAST_TOKENS: Final = 32
"""Counted tokens from which a route's own ratio is taken: half an answer at the default cap."""
_MOST_TOKENS: Final = 20_000
"""Counted tokens at which older answers begin to weigh less."""
_FEWEST_A_CHUNK: Final = 0.5
"""Fewer tokens a chunk than this are no count of what was streamed."""


def is_exact(attempt: AttemptFinished) -> bool:
    """Return whether the output tokens were counted by the server."""
    return attempt.token_source in EXACT_SOURCES and attempt.output_tokens is not None


def streamed_tokens(attempt: AttemptFinished) -> int | None:
    """Return the output tokens that were streamed: without hidden reasoning.

    None where that is not known: no exact count, reasoning of which only a summary came, or a
    count that cannot be of this stream, fewer than one token for two output chunks.
    """
    if not is_exact(attempt) or attempt.output_tokens is None or attempt.hidden_tokens is None:
        return None
    streamed = max(0, attempt.output_tokens - attempt.hidden_tokens)
    return None if streamed < _FEWEST_A_CHUNK * attempt.chunks else streamed


def tokens_after_first_chunk(attempt: AttemptFinished) -> int | None:
    """Return the tokens that came after the first output chunk; None where that is not known.

    A server that counts as it streams may have counted its hidden reasoning with the first chunk.
    Where it does not count so, the first chunk is taken to hold one token, as NVIDIA's aiperf does.
    """
    streamed = streamed_tokens(attempt)
    if streamed is None or attempt.output_tokens is None:
        return None
    first = attempt.first_chunk_tokens or 1
    has_hidden = bool(attempt.hidden_tokens) and first > (attempt.hidden_tokens or 0)
    return (attempt.output_tokens if has_hidden else streamed) - first


def seconds_per_token(attempt: AttemptFinished) -> float | None:
    """Return TPOT in seconds, (last_token − first_token) / tokens after the first chunk.

    None without exact counts, and where everything came in one chunk.
    """
    stamps = attempt.stamps_ns
    tokens = tokens_after_first_chunk(attempt)
    if stamps.first_token is None or stamps.last_token is None or tokens is None:
        return None
    span_ns = stamps.last_token - stamps.first_token
    return seconds(span_ns) / tokens if tokens > 0 and span_ns > 0 else None


def tokens_per_chunk(attempt: AttemptFinished) -> float | None:
    """Return the mean of streamed tokens an output chunk; None without exact counts."""
    streamed = streamed_tokens(attempt)
    return streamed / attempt.chunks if streamed and attempt.chunks else None


class CharactersPerToken:
    """How long a route's tokens are, learned from its own answers; newer ones weigh more."""

    __slots__ = ("_characters", "_tokens")

    def __init__(self) -> None:
        self._characters = 0.0
        self._tokens = 0.0

    def learn(self, attempt: AttemptFinished) -> None:
        """Take the characters and the counted tokens of an answer."""
        tokens = streamed_tokens(attempt)
        if not tokens or attempt.characters <= 0:
            return
        self._characters += attempt.characters
        self._tokens += tokens
        if self._tokens > _MOST_TOKENS:
            self._characters /= 2
            self._tokens /= 2

    @property
    def ratio(self) -> float:
        """Characters a token; 4 until enough answers were counted."""
        return self._characters / self._tokens if self._tokens >= _LEAST_TOKENS else _USUAL

    def tokens_of(self, characters: int) -> int:
        """Return the estimate of so many characters in tokens, at least one of any."""
        return max(1, round(characters / self.ratio)) if characters > 0 else 0
