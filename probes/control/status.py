"""What the host knows of its engine, frozen for whoever shows it."""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

HostState: TypeAlias = Literal[
    "starting",
    "running",
    "silent",
    "restarting",
    "gave_up",
    "stopped",
    "lost",  # the way to engines elsewhere: nobody here knows how they are
]


class HostStatus(msgspec.Struct, frozen=True):
    """How the engine is, as its host sees it."""

    state: HostState
    since_s: float = 0.0
    """Seconds in this state."""
    silent_s: float = 0.0
    """Seconds since the engine was last heard while we listened."""
    restarts: int = 0
    last_words: str = ""
    """End of the last dead engine's stderr, neutralised line by line, without secrets."""
    detail: str = ""
    """How it ended and when it starts again, or its last line that was no event; neutralised."""
    end: str = ""
    """How the last engine ended, by itself; neutralised."""
    noise: int = 0
    """Lines on the pipe that were no events."""
    read_percent: int | None = None
    """While it starts: how much of what came before has been read; None where nothing is."""
    engine: str = ""
    """Which of several engines this is, such as `engine 2 of 4` or `place eu`; empty for one that
    is alone."""


# Where nobody probes, and where nobody knows, comes before what mends itself.
_WORST_FIRST: Final[tuple[HostState, ...]] = (
    *("gave_up", "lost", "silent", "restarting", "starting", "running", "stopped"),
)


def worst_of(statuses: Sequence[HostStatus], names: Sequence[str] = ()) -> HostStatus:
    """Return how several engines are: as the worst of them, which `engine` names: by its name, or
    by its number.

    Of those that run, the one that was started again last.
    """
    place = min(
        range(len(statuses)),
        key=lambda number: (
            _WORST_FIRST.index(statuses[number].state),
            not statuses[number].restarts,
            statuses[number].since_s,
        ),
    )
    return msgspec.structs.replace(
        statuses[place],
        restarts=sum(status.restarts for status in statuses),
        noise=sum(status.noise for status in statuses),
        engine=names[place] if names else f"engine {place + 1} of {len(statuses)}",
    )
