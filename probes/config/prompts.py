"""Prompts of a wanted size, and how large a text is for a model: estimates, said to be so."""

from itertools import cycle
from typing import Final

CHARACTERS_PER_TOKEN: Final = 4
"""Rule of thumb for English text; OpenAI's help pages give the same figure."""

_INSTRUCTION: Final = "Say in one short sentence what this text is about: "
_STORY: Final = (
    "the harbour lies quiet in the early morning while small boats wait for the tide and the "
    "people of the town carry baskets of bread fruit and coffee along the narrow streets where "
    "children count the gulls on the roofs and an old clock above the market tells the hour to "
    "everybody who asks and to many who do not care"
)


def estimate_tokens(text: str) -> int:
    """Return about how many tokens `text` is: its characters by four, rounded up.

    An estimate for English; code and other scripts take more. A server's usage replaces it.
    """
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def generated_prompt(tokens: int) -> str:
    """Return plain English of about `tokens` tokens, the same text for the same number.

    `estimate_tokens` of the result is exactly `tokens`.

    Raises:
        ValueError: `tokens` is below 1.
    """
    if tokens < 1:
        raise ValueError(f"a prompt has at least one token, not {tokens}")
    size = tokens * CHARACTERS_PER_TOKEN
    pieces = [_INSTRUCTION]
    length = len(_INSTRUCTION)
    for word in cycle(_STORY.split()):
        if length >= size:
            break
        pieces.append(word + " ")
        length += len(word) + 1
    return "".join(pieces)[: size - 1] + "."
