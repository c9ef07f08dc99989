"""What came with an event of an answer, or with one read of its body, for whoever stamps it.

One record goes the whole way: an interpreter makes it of each event, and of the usual read, which
brings one event and nothing after it, that very record is handed on. So its defaults are those of
such an event; only a read of several events, or of none, is put together anew.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from probes.events import TtftKind


class Progress(msgspec.Struct, frozen=True, gc=False):
    """What an event, or one read of the body, brought."""

    kind: TtftKind = "none"
    """Of its first output; `none` where it carried no output."""
    answer: bool = False
    """It carried output other than reasoning."""
    characters: int = 0
    text: str = ""
    """As the server wrote it: hostile, and maybe with halves of characters."""
    reasoning: str = ""
    event: bool = True
    """An event, not a comment, was completed."""
    alone: bool = True
    """The read brought one event and nothing after it: its arrival is that of the event."""
    first_is_newest: bool = True
    """Nothing came after the read's first output: its arrival is that of the read."""
    last_is_newest: bool = True
    """The same of the read's last output."""
    terminal: bool = False
    """By all that came the answer is over, well or not: nothing after this needs to be waited for
    long. Output that comes all the same takes it back."""
    tokens: int = 0
    """Output tokens of the answer so far; 0 where the server does not count as it streams."""

    @property
    def output(self) -> bool:
        """Whether a delta came that is not empty and no bookkeeping: text, a call, an image."""
        return self.kind != "none"


NOTHING: Final = Progress()
"""Of an event that added nothing."""
IDLE: Final = Progress(event=False, alone=False, first_is_newest=False, last_is_newest=False)
"""Of a read that completed nothing."""
OVER: Final = msgspec.structs.replace(IDLE, terminal=True)
"""Of one after which nothing needs to be waited for long."""


def joined(parts: Sequence[Progress]) -> Progress:
    """Return what several parts added, as one event; those that added nothing are left out."""
    parts = [part for part in parts if part is not NOTHING]
    if len(parts) <= 1:
        return parts[0] if parts else NOTHING
    return Progress(
        kind=parts[0].kind,
        answer=any(part.answer for part in parts),
        characters=sum(part.characters for part in parts),
        text="".join(part.text for part in parts),
        reasoning="".join(part.reasoning for part in parts),
    )


def in_a_row(earlier: Progress, later: Progress) -> Progress:
    """Return what two parts of one read brought, the earlier of which had the later after it."""
    if earlier is IDLE:
        return later
    return Progress(
        kind=earlier.kind if earlier.output else later.kind,
        answer=earlier.answer or later.answer,
        characters=earlier.characters + later.characters,
        text=earlier.text + later.text,
        reasoning=earlier.reasoning + later.reasoning,
        event=earlier.event or later.event,
        alone=later.alone and not earlier.event,
        first_is_newest=later.first_is_newest and not earlier.output,
        last_is_newest=later.last_is_newest,
        terminal=later.terminal or (earlier.terminal and not later.output),
        tokens=later.tokens or earlier.tokens,
    )
