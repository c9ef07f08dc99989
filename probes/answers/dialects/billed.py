"""Which output a usage bills: the first rule of `probes.money.pricing`, where usages are read."""

from typing import Final

OTHER_TOKENISER: Final = 1.5
"""Two tokenisers count the same words so differently at most: 522 tokens of reasoning in an output
of 494 were met."""


def counts_reasoning_apart(
    given: int | None, output: int | None, reasoning: int | None, total: int | None
) -> bool:
    """Return whether a usage counts its reasoning beside the output instead of in it.

    The total decides (xAI: "counted separately from completion_tokens, but in total_tokens"). Where
    it holds no reasoning beside the output, the reasoning may still exceed the output that holds
    it: OpenRouter counts the two by different tokenisers. But not by half.
    """
    if not reasoning or output is None:
        return False
    beside = (total or 0) - (given or 0) - output
    return beside >= reasoning or reasoning > output * (1 if total is None else OTHER_TOKENISER)


def billed_output(
    given: int | None,
    output: int | None,
    reasoning: int | None,
    total: int | None,
    cached: int | None = None,
) -> int | None:
    """Return the output that a usage bills (rule 1); None where it tells none.

    Gemini's OpenAI endpoint leaves its thoughts out of `completion_tokens` and of the details, and
    has them in the total alone. A cached part beyond the input is counted beside it, and is none of
    the output.
    """
    apart = counts_reasoning_apart(given, output, reasoning, total)
    billed = None if output is None else output + (reasoning or 0 if apart else 0)
    if total is None or given is None:
        return billed
    beside = cached if cached is not None and cached > given else 0
    rest = total - given - beside
    return max(billed or 0, rest) if rest > 0 or billed is not None else None
