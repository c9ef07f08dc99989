"""What a source is: it gives the events of a run, takes commands, and tells how it is.

Rule 1: events come in the order of the stream, a batch at a time, together with the JSON lines of
its durable ones: whoever writes them down writes what was sent.
Rule 2: `run` returns after `stop`, or when there is nothing more to give; cancelled, it leaves
nothing behind.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from probes.control.commands import Command
from probes.control.status import HostStatus
from probes.events import Event, Held

Receive: TypeAlias = Callable[[list[Event], bytes], None]
"""Takes a batch of events in order, and the JSON lines of its durable ones. Every sink is one."""

Brief: TypeAlias = Callable[[str], Sequence[Command]]
"""Given a new engine's id, what is wanted of it now: Configure, the wanted state, Go."""


def is_engine_end(event: Event) -> bool:
    """Return whether an event says that an engine has ended: nothing more comes of that one."""
    return isinstance(event, Held) and event.reason == "restarting" and not event.released


class Source(Protocol):
    """Who gives events."""

    @property
    def status(self) -> HostStatus:
        """How it is now."""
        ...

    def send(self, command: Command) -> None:
        """Pass a command on; returns at once."""
        ...

    def hold(self) -> None:
        """Give no more events until `release`."""
        ...

    def release(self) -> None:
        """Go on giving."""
        ...

    def gather(self, for_s: float) -> None:
        """Give what comes about so many seconds after it came, much at once: nobody looks. With 0,
        as at first, give it as it comes."""
        ...

    def retry(self) -> None:
        """Start again now, after crashes made it give up."""
        ...

    def stop(self) -> None:
        """End in order; `run` returns when it has."""
        ...

    async def run(self) -> None:
        """Give events until `stop`, or until there are no more."""
        ...
