"""What the host knows of its engine, frozen for whoever shows it."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["HostState", "HostStatus"]

HostState: TypeAlias = Literal["starting", "running", "silent", "restarting", "gave_up", "stopped"]


@dataclass(frozen=True, slots=True)
class HostStatus:
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
    noise: int = 0
    """Lines on the pipe that were no events."""
