"""The prefix cache: prompts that begin with the same bytes are not computed twice.

Blocks of 16 tokens, each known by the hash of everything up to its end, as vLLM's automatic
prefix caching does it; the least recently used blocks go first.
"""

from collections import OrderedDict
from hashlib import blake2b
from typing import Final

from probes.simulator.prose import BYTES_PER_TOKEN

BLOCK_TOKENS: Final = 16
_BLOCK_BYTES: Final = BLOCK_TOKENS * BYTES_PER_TOKEN


class PrefixCache:
    """Which prompt blocks are in memory."""

    def __init__(self) -> None:
        """Start empty."""
        self._blocks: OrderedDict[bytes, None] = OrderedDict()

    def lookup(self, prompt: bytes) -> int:
        """Return how many leading tokens of `prompt` are cached: a multiple of 16."""
        found = 0
        for block in _block_hashes(prompt):
            if block not in self._blocks:
                break
            self._blocks.move_to_end(block)
            found += BLOCK_TOKENS
        return found

    def store(self, prompt: bytes, capacity: int) -> None:
        """Keep the whole blocks of `prompt`, and at most `capacity` blocks in all."""
        for block in _block_hashes(prompt):
            self._blocks[block] = None
            self._blocks.move_to_end(block)
        while len(self._blocks) > capacity:
            self._blocks.popitem(last=False)

    def clear(self) -> None:
        """Forget everything, as a model that is loaded anew does."""
        self._blocks.clear()


def _block_hashes(prompt: bytes) -> list[bytes]:
    running = blake2b(digest_size=16)
    hashes: list[bytes] = []
    for end in range(_BLOCK_BYTES, len(prompt) + 1, _BLOCK_BYTES):
        running.update(prompt[end - _BLOCK_BYTES : end])
        hashes.append(running.copy().digest())
    return hashes
