"""Workloads: prompts and answer caps by name, so that what is measured can be compared.

Rule 1. A workload is what is asked and how long an answer may be: it stands for `prompt`, `system`
        and `cache`, and for `max_tokens` where the route has none of its own beside it.
Rule 2. `aa-100`, `aa-1k` and `aa-10k` are the shapes by which Artificial Analysis, a public
        leaderboard, measures (its page "Performance Benchmarking Methodology"): about so many
        tokens in and out, each prompt made for its request alone. There a prompt is the same for
        all models; here it is another for each, as a text says nothing of a speed.
Rule 3. `short`, `chat` and `long` are always the same text: what a provider may have in its cache,
        as it has the beginning of what most users send.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias

from probes.config.prompts import Message, Prompt, generated_prompt

WorkloadName: TypeAlias = Literal["short", "chat", "long", "aa-100", "aa-1k", "aa-10k"]


class Workload(NamedTuple):
    """What is asked, and how long an answer may be."""

    max_tokens: int
    prompt: Prompt | None
    """None for the prompt that a route has without any setting."""

    @property
    def is_fresh(self) -> bool:
        """Whether no two of its prompts are alike."""
        return self.prompt is not None and self.prompt.fresh_tokens > 0


_CHAT: Final = (
    Message(
        role="system",
        text=(
            "You are the assistant of a small hotel by the sea. You answer in plain words, kindly"
            " and to the point. Breakfast is from seven to half past ten, the house is quiet from"
            " ten in the evening, dogs are welcome on the ground floor, and the last ferry to the"
            " island leaves at a quarter past five. You never promise what you do not know."
        ),
    ),
    Message(
        role="user",
        text=(
            "Hello! We come on Friday with two children and a dog, by train, and shall be with you"
            " late in the afternoon. Is there a room on the ground floor, and how do we get from"
            " the station to you with all our bags?"
        ),
    ),
    Message(
        role="assistant",
        text=(
            "Welcome! There is a family room on the ground floor with a door to the garden, and"
            " your dog may stay in it. From the station it is twelve minutes on foot along the"
            " harbour; with bags I would take the number four bus, which stops at our door every"
            " twenty minutes until eight. Shall I keep the room for you, and for how many nights?"
        ),
    ),
    Message(
        role="user",
        text=(
            "Three nights, please. On Saturday we would like to see the island and be back for an"
            " early supper. Please plan that day for us, hour by hour, with what we should take"
            " along, what the children might enjoy, and what to do if it rains."
        ),
    ),
)

WORKLOADS: Final[Mapping[WorkloadName, Workload]] = {
    "short": Workload(64, None),
    "chat": Workload(200, Prompt(name="chat", messages=_CHAT)),
    "long": Workload(
        200,
        Prompt(
            name="long",
            messages=(
                Message(
                    role="user",
                    text=generated_prompt(8_000, "Retell this text in about 150 words: "),
                ),
            ),
        ),
    ),
    "aa-100": Workload(300, Prompt(name="aa-100", fresh_tokens=100)),
    "aa-1k": Workload(1_000, Prompt(name="aa-1k", fresh_tokens=1_000)),
    "aa-10k": Workload(1_500, Prompt(name="aa-10k", fresh_tokens=10_000)),
}
