"""Events of several sources in the order of time. Pure.

Rule 1: the stamps of all sources are of one line of time, which is ours too: engines of one machine
stamp with its CLOCK_MONOTONIC, and what comes of other places was moved onto a line that all share.
Rule 2: a source's own events keep their order whatever their stamps say: an event counts as no
earlier than the one before it.
"""

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from probes.events import DURABLE_TYPES, Batch, Event, Hello
from probes.kit.clock import NS_PER_S, seconds
from probes.sources.source import is_engine_end

PATIENCE_NS: Final = NS_PER_S // 5
"""Two batches: an engine that has not told yet what it did so long ago is waited for no more."""


class Heard(msgspec.Struct, frozen=True):
    """One event on its way, and its JSON line where it is durable."""

    key_ns: int
    """What it is ordered by: its stamp, or that of the event before it where that is later."""
    source: int
    event: Event
    line: bytes | None


@dataclass(slots=True)
class _Feed:
    """One engine's events that wait, and up to when it has told everything."""

    items: deque[Heard] = field(default_factory=deque)
    key_ns: int = 0
    told_until_ns: int = 0
    """Its last batch ended here: what follows is later."""
    lives: bool = False
    fresh: bool = False
    """A batch came since the last take."""

    def is_prompt(self, now_ns: int) -> bool:
        return self.lives and now_ns - self.told_until_ns < PATIENCE_NS


class TimeMerge:
    """Holds events until every living engine has told what lies before them.

    Invariants: nothing is held for longer than `PATIENCE_NS` by one who takes whenever it is
    complete and when `patience_s` have passed since. What is taken is in order of its keys, but for
    what an engine tells later than that after the fact. Nothing is lost, nothing doubled.
    """

    def __init__(self, sources: int) -> None:
        """Expect events of sources 0 to `sources` − 1; none lives yet."""
        self._sources = [_Feed() for _ in range(sources)]

    def add(self, source: int, events: Iterable[Event], lines: bytes) -> None:
        """Take what came of one engine: events in order, JSON lines of the durable ones.

        `hello` begins an engine's life, `held: restarting` ends it.
        """
        known = self._sources[source]
        durable = iter(lines.split(b"\n"))
        for event in events:
            known.key_ns = max(known.key_ns, event.at_ns)
            line = next(durable) + b"\n" if isinstance(event, DURABLE_TYPES) else None
            known.items.append(Heard(known.key_ns, source, event, line))
            if isinstance(event, (Batch, Hello)):
                known.told_until_ns, known.lives = known.key_ns, True
                known.fresh = known.fresh or isinstance(event, Batch)
            elif is_engine_end(event):
                known.lives = False

    def end(self, source: int) -> None:
        """Note that an engine has ended for good."""
        self._sources[source].lives = False

    def is_complete(self, now_ns: int) -> bool:
        """Return whether something waits and no prompt engine is waited for."""
        waits = any(source.items for source in self._sources)
        return waits and all(source.fresh for source in self._prompt(now_ns))

    def patience_s(self, now_ns: int) -> float:
        """Return after how many seconds to take again, complete or not: some engine is waited for
        no more then."""
        told = (source.told_until_ns for source in self._prompt(now_ns))
        return seconds(min(told, default=now_ns) + PATIENCE_NS - now_ns)

    def take(self, now_ns: int) -> list[Heard]:
        """Return, in order, what no prompt engine can add anything before."""
        prompt = self._prompt(now_ns)
        until_ns = min((source.told_until_ns for source in prompt), default=None)
        ready = [_ready(source.items, until_ns) for source in self._sources]
        for source in self._sources:
            source.fresh = False
        return list(heapq.merge(*ready, key=lambda item: item.key_ns))

    def take_all(self) -> list[Heard]:
        """Return, in order, everything that waits."""
        ready = [_ready(source.items, None) for source in self._sources]
        return list(heapq.merge(*ready, key=lambda item: item.key_ns))

    def _prompt(self, now_ns: int) -> list[_Feed]:
        return [source for source in self._sources if source.is_prompt(now_ns)]


def _ready(items: deque[Heard], until_ns: int | None) -> list[Heard]:
    taken: list[Heard] = []
    while items and (until_ns is None or items[0].key_ns <= until_ns):
        taken.append(items.popleft())
    return taken
