"""What takes the events of a run. A sink has one method, and knows no other sink."""

from collections.abc import Callable
from typing import Protocol, TypeAlias

from probes.board import Board
from probes.config import Route
from probes.control.commands import Command
from probes.control.wanted import Wanted, commands_for_restart, wanted_of
from probes.events import Event
from probes.store.recording import Recorder

Subscriber: TypeAlias = Callable[[list[Event], bytes], None]
"""Takes a batch of events in order, and the JSON lines of its durable ones."""


class Sink(Protocol):
    """Who takes events."""

    def receive(self, events: list[Event], lines: bytes) -> None:
        """Take a batch of events in order, and the JSON lines of its durable ones."""
        ...


class BoardSink:
    """Folds events into what the screen and the summary show."""

    def __init__(self, board: Board) -> None:
        """Fold into `board`."""
        self._board = board

    def receive(self, events: list[Event], _lines: bytes) -> None:
        """Fold a batch."""
        for event in events:
            self._board.fold(event)


class WantedSink:
    """What is wanted of the engines: what was commanded, and what became of it."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        """Begin with what is configured."""
        self._wanted = wanted_of(routes)

    def receive(self, events: list[Event], _lines: bytes) -> None:
        """Note a batch."""
        for event in events:
            self._wanted = self._wanted.after_event(event)

    def command(self, command: Command) -> None:
        """Note what somebody asks for."""
        self._wanted = self._wanted.after_command(command)

    @property
    def now(self) -> Wanted:
        """The wanted state."""
        return self._wanted

    def commands(self, now_ns: int) -> tuple[Command, ...]:
        """Return what a new engine must be told; `now_ns` is the present on its clock."""
        return commands_for_restart(self._wanted, now_ns)


class RecorderSink:
    """Writes the durable events down as they were sent."""

    def __init__(self, recorder: Recorder) -> None:
        """Write with `recorder`."""
        self._recorder = recorder

    def receive(self, _events: list[Event], lines: bytes) -> None:
        """Write a batch; returns at once."""
        self._recorder.append(lines)


class Subscribers:
    """Whoever else wants to hear: a screen, JSON lines, a test."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._subscribers: list[Subscriber] = []

    def add(self, subscriber: Subscriber) -> None:
        """Call this one, too, after those that came before."""
        self._subscribers.append(subscriber)

    def receive(self, events: list[Event], lines: bytes) -> None:
        """Call each with a batch."""
        for subscriber in self._subscribers:
            subscriber(events, lines)
