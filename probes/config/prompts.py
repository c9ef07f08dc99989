"""What a probe asks, and how large a text is for a model: estimates, said to be so.

Rule 1. A route asks either its `prompt`, always the same text, or one of its `prompts` in turn: of
        a prompts file a line each, of a workload the one that it names.
Rule 2. What a prompt says is kept once, in the words of Chat Completions; each dialect says it in
        its own.
Rule 3. A fresh prompt is a text that nobody has sent before, from its first word on: what caches it
        is the few tokens that a chat template puts before it.
Rule 4. Fresh prompts are made of short common words, a token each in the tokenizers of today's
        models, and of four bytes each with the blank between them, so that those who count bytes
        agree. Where a server counts otherwise, the next prompt is sized by its count.
"""

from collections.abc import Sequence
from functools import cache
from itertools import cycle
from random import Random
from typing import Any, Final, Literal, TypeAlias

from probes.config.expect import Expect
from probes.config.fields import Settings
from probes.kit.short_figures import counted

CHARACTERS_PER_TOKEN: Final = 4
"""Rule of thumb for English text; OpenAI's help pages give the same figure."""
OVERHEAD_TOKENS: Final = 8
"""Chat templates wrap each message in a few tokens of their own."""
IMAGE_TOKENS: Final = 1_500
"""What a picture is taken for before a server has counted one: what most providers count for one of
about a megapixel."""

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]

_INSTRUCTION: Final = "Say in one short sentence what this text is about: "
_STORY: Final = (
    "the harbour lies quiet in the early morning while small boats wait for the tide and the "
    "people of the town carry baskets of bread fruit and coffee along the narrow streets where "
    "children count the gulls on the roofs and an old clock above the market tells the hour to "
    "everybody who asks and to many who do not care"
)

# Short words of many kinds, none of them a name or a beginning of another's spelling.
_TEXT: Final = """
as at be by do go he if in is it me my no of on or so to up us we add age ago air all any arm
art ask bad bag bar bed big bit boy bus but buy can cap car cat cup cut day dog dry eat egg end
eye far few fly for fun gas get god gun guy hat her him his hit hot how ice its job key kid law
leg let lie lot low man map may men mix mom new nor not now off oil old one our out own pan pay
pen per pet put red row run sad say sea see set she sir sit six sky son sun tax tea ten the tie
tip toe too top toy try two use via war was way web who why win yes yet you rest back best book
case date even fire game hair help hour land love note plan rock seat snow team tree wine
"""
_WORDS: Final = tuple(_TEXT.split())
BYTES_PER_WORD: Final = 4
"""On average, with the blank."""
_LEAST_WORDS: Final = 16
"""Even the shortest text is one of its own."""
_PHRASE_WORDS: Final = 4
_PHRASES: Final = 1_024
_WORDS_A_TOKEN: Final = 0.9
"""What a model is asked to write for each token of its cap: a little more than fits, as English has
three words for four tokens. So it is the cap that ends the answer, on all models alike."""


class Message(Settings, frozen=True, kw_only=True):
    """One message of a conversation."""

    role: Role
    text: str = ""
    images: tuple[str, ...] = ()
    """Data URLs."""
    tool_calls: tuple["ToolCall", ...] = ()
    """What an assistant has asked for."""
    tool_call_id: str = ""
    """Which of these a tool answers."""


class ToolCall(Settings, frozen=True, kw_only=True):
    """A call of a tool in an assistant's message."""

    id: str
    name: str
    arguments: str
    """As JSON."""


class Tool(Settings, frozen=True, kw_only=True):
    """A function that the model may call."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}  # noqa: RUF012 - frozen, and copied by msgspec
    """JSON Schema of its arguments."""


class Prompt(Settings, frozen=True, kw_only=True):
    """One of the shapes that a route asks in turn."""

    name: str
    """Which shape it is; its cohort is named so."""
    messages: tuple[Message, ...] = ()
    """What is said; empty where it is made anew each time."""
    tools: tuple[Tool, ...] = ()
    weight: float = 1.0
    """How often it comes, beside the weights of the others."""
    max_tokens: int | None = None
    """Its own answer cap, at most the route's; None for the route's."""
    fresh_tokens: int = 0
    """A text of about so many tokens is made anew each time; 0 where the messages are sent."""
    line: int = 0
    """Of its prompts file, from 1; 0 where it is of none."""
    expect: Expect | None = None
    """What its answer must be; None for what the route says."""

    @property
    def tokens(self) -> int:
        """The estimated size of the input in tokens."""
        if self.fresh_tokens:
            return self.fresh_tokens + OVERHEAD_TOKENS
        size = sum(_size(message) for message in self.messages)
        for tool in self.tools:
            size += estimate_tokens(f"{tool.name}{tool.description}{tool.parameters}")
        return size + OVERHEAD_TOKENS

    def cap(self, max_tokens: int) -> int:
        """Return its answer cap where the route's is `max_tokens`."""
        return max_tokens if self.max_tokens is None else min(self.max_tokens, max_tokens)


def _size(message: Message) -> int:
    words = estimate_tokens(message.text) + IMAGE_TOKENS * len(message.images)
    calls = (estimate_tokens(call.name + call.arguments) for call in message.tool_calls)
    return words + sum(calls) + OVERHEAD_TOKENS // 2


def estimate_tokens(text: str) -> int:
    """Return about how many tokens `text` is: its characters by four, rounded up.

    An estimate for English; code and other scripts take more. A server's usage replaces it.
    """
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def generated_prompt(tokens: int, instruction: str = _INSTRUCTION) -> str:
    """Return plain English of about `tokens` tokens, the same text for the same number.

    `estimate_tokens` of the result is exactly `tokens`.

    Raises:
        ValueError: `tokens` is below 1.
    """
    if tokens < 1:
        raise ValueError(f"a prompt has at least one token, not {tokens}")
    size = tokens * CHARACTERS_PER_TOKEN
    pieces = [instruction]
    length = len(instruction)
    for word in cycle(_STORY.split()):
        if length >= size:
            break
        pieces.append(word + " ")
        length += len(word) + 1
    return "".join(pieces)[: size - 1] + "."


def fresh_prompt(random: Random, *, size: int, answer_tokens: int) -> str:
    """Return a text of about `size` bytes that no other begins like, asking for a long answer.

    Args:
        random: what chooses the words; the same state gives the same text.
        size: in bytes, all ASCII; at least a few words come, and what is asked.
        answer_tokens: the answer cap, which the answer is to fill.
    """
    words = max(10, round(answer_tokens * _WORDS_A_TOKEN))
    length = counted(words, "word")
    asked = f".\n\nWrite a story of {length} with these words, in one go and to its end."
    size = max(_LEAST_WORDS * BYTES_PER_WORD, size - len(asked))
    # A phrase more than it takes on average, and some: what is too much is cut off.
    count = size // (BYTES_PER_WORD * _PHRASE_WORDS) * 9 // 8 + 4
    text = " ".join(random.choices(_phrases(), k=count))
    return text[: text.rindex(" ", 0, size)] + asked


@cache
def _phrases() -> Sequence[str]:
    """Return words in fours: a prompt of 10,000 tokens is put together in half a millisecond."""
    random = Random(1)  # noqa: S311 - which words stand together is no secret
    return tuple(" ".join(random.choices(_WORDS, k=_PHRASE_WORDS)) for _ in range(_PHRASES))
