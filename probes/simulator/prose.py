"""What the simulated models say, and what counts as a token: one word of an answer, four bytes
of a prompt."""

import math
from random import Random
from typing import Final

BYTES_PER_TOKEN: Final = 4

_TEXT: Final = (
    "the sea keeps its own time and every tide returns what it borrowed from the shore while "
    "gulls argue over nothing a lighthouse counts the dark in slow patient turns salt settles on "
    "old rope boats lean into the wind and far out a swell begins its long walk home under cloud "
    "and lamp and star nobody hurries here except the small bright fish"
)
_WORDS: Final = tuple(_TEXT.split())
_SENTENCE: Final = (6, 14)


def count_tokens(prompt: bytes) -> int:
    """Return the tokens of a prompt; at least one."""
    return max(1, math.ceil(len(prompt) / BYTES_PER_TOKEN))


class Prose:
    """An endless text, one token at a time; every token has at least one visible character."""

    def __init__(self, random: Random, says: str = "") -> None:
        """Begin with the words `says`, then a sentence somewhere in the words."""
        self._says = says.split()[::-1]
        self._random = random
        self._position = random.randrange(len(_WORDS))
        self._left = random.randint(*_SENTENCE)
        self._first = True
        self._capital = True

    def tokens(self, count: int) -> str:
        """Return the next `count` tokens."""
        return "".join(self._token() for _ in range(count))

    def _token(self) -> str:
        if self._says:
            text = ("" if self._first else " ") + self._says.pop()
            self._first = False
            return text
        word = _WORDS[self._position % len(_WORDS)]
        self._position += 1
        self._left -= 1
        text = ("" if self._first else " ") + (word.capitalize() if self._capital else word)
        self._first = False
        self._capital = self._left == 0
        if self._capital:
            self._left = self._random.randint(*_SENTENCE)
            self._position += self._random.randrange(len(_WORDS))
            text += "."
        return text
