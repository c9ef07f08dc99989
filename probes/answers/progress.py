"""What one read of an answer's body brought, for whoever stamps and counts it."""

from typing import Final

import msgspec

from probes.events import TtftKind


class Progress(msgspec.Struct, frozen=True, gc=False):
    """What one read of the body brought."""

    event: bool = False
    """A server-sent event, not a comment, was completed."""
    output: bool = False
    """A delta came that is not empty and no bookkeeping: text, reasoning, a call, an image."""
    answer: bool = False
    """Output that is not reasoning came."""
    kind: TtftKind = "none"
    """Of the first output in this read."""
    alone: bool = False
    """The read brought one event and nothing after it: its arrival is that of the event."""
    first_is_newest: bool = False
    """Nothing came after the read's first output: its arrival is that of the read."""
    last_is_newest: bool = False
    """The same of the read's last output."""
    characters: int = 0
    text: str = ""
    """As the server wrote it: hostile, and maybe with halves of characters."""
    reasoning: str = ""
    terminal: bool = False
    """By all that came the answer is over, well or not: nothing after this needs to be waited for
    long. Output that comes all the same takes it back."""
    tokens: int = 0
    """Output tokens of the answer so far; 0 where the server does not count as it streams."""


IDLE: Final = Progress()
"""Of a read that completed nothing."""
OVER: Final = Progress(terminal=True)
"""Of one after which nothing needs to be waited for long."""


def together(earlier: Progress, later: Progress) -> Progress:
    """Return what two parts of one read brought, the earlier of which had the later after it."""
    if earlier is IDLE:
        return later
    return Progress(
        event=earlier.event or later.event,
        output=earlier.output or later.output,
        answer=earlier.answer or later.answer,
        kind=earlier.kind if earlier.output else later.kind,
        alone=later.alone and not earlier.event,
        first_is_newest=later.first_is_newest and not earlier.output,
        last_is_newest=later.last_is_newest,
        characters=earlier.characters + later.characters,
        text=earlier.text + later.text,
        reasoning=earlier.reasoning + later.reasoning,
        terminal=later.terminal or (earlier.terminal and not later.output),
        tokens=later.tokens or earlier.tokens,
    )
