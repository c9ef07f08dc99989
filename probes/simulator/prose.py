"""What the simulated models say, and what counts as a token: one word of an answer, four bytes
of a prompt."""

import math
import re
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
_ASKED: Final = re.compile(rb"the one word: ([A-Za-z]{1,40})\.?\s*\Z")
"""A canary: a question of which every model knows the answer."""


def count_tokens(prompt: bytes) -> int:
    """Return the tokens of a prompt; at least one."""
    return max(1, math.ceil(len(prompt) / BYTES_PER_TOKEN))


def asked_word(prompt: bytes) -> bytes:
    """Return the word that a prompt asks for at its end; empty where it asks for none."""
    found = _ASKED.search(prompt)
    return found[1] if found else b""


class Prose:
    """An endless text, one token at a time; every token has at least one visible character."""

    def __init__(self, random: Random, word: str = "") -> None:
        """Begin with a word, if there is one, then a sentence somewhere in the words."""
        self._word = word
        self._random = random
        self._position = random.randrange(len(_WORDS))
        self._left = random.randint(*_SENTENCE)
        self._first = True
        self._capital = True

    def tokens(self, count: int) -> str:
        """Return the next `count` tokens."""
        return "".join(self._token() for _ in range(count))

    def _token(self) -> str:
        if self._word:
            text, self._word, self._first = f"{self._word}.", "", False
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
