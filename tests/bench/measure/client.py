"""What the benchmark asks of a client: to be started, to stream until told to stop, to report."""

import subprocess
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .readings import Report


@dataclass(frozen=True)
class Task:
    """What to do: so many streams at once, back to back, until told to stop."""

    base_url: str
    """Without `/v1`."""
    streams: int
    tokens: int
    folder: Path
    """The client's own, empty."""
    seconds: float
    """How long it will be watched from its first request on, for clients that must know before."""
    cores: frozenset[int] = frozenset()
    """The cores it is to use; none for any."""
    nice: int = 0
    """How it yields to others, -20 to 19."""


class RunningClient(Protocol):
    """A client at work."""

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was spawned."""
        ...

    def processes(self) -> Mapping[str, list[int]]:
        """Return its processes by what they do."""
        ...

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        ...

    def report(self, since_ns: int) -> Report:
        """Return what it says of the time since then; call it after `stop`."""
        ...


class Client(Protocol):
    """A kind of client."""

    name: str
    most_streams: int
    """Above, it is left out: it would take minutes, or collapse."""

    def missing(self) -> str:
        """Return why it cannot be run here, empty where it can."""
        ...

    def start(self, task: Task) -> AbstractContextManager[RunningClient]:
        """Spawn it; leaving the context leaves no process behind."""
        ...
