"""What takes the events of a run. A sink takes a batch at a time, and knows no other sink."""

from collections.abc import Callable
from typing import TypeAlias

from probes.board import Board
from probes.config import Route
from probes.control.commands import Command
from probes.control.wanted import commands_for_restart, wanted_of
from probes.events import Event
from probes.run.verdicts import Judge, with_verdicts
from probes.store.recording import Recorder

Sink: TypeAlias = Callable[[list[Event], bytes], None]
"""Takes a batch of events in order, and the JSON lines of its durable ones; returns at once."""


def board_sink(board: Board) -> Sink:
    """Return what folds events into what the screen and the summary show."""

    def receive(events: list[Event], _lines: bytes) -> None:
        for event in events:
            board.fold(event)

    return receive


def recorder_sink(recorder: Recorder) -> Sink:
    """Return what writes durable events down as they were sent."""
    return lambda _events, lines: recorder.append(lines)


class JudgedSinks:
    """Sinks in the order in which they hear each batch, once it is judged."""

    def __init__(self, judge: Judge, *sinks: Sink) -> None:
        """Begin with those that a run always has."""
        self._judge = judge
        self._sinks = list(sinks)

    def add(self, sink: Sink) -> None:
        """Have another hear what comes, behind all others."""
        self._sinks.append(sink)

    def give(self, events: list[Event], lines: bytes) -> tuple[list[Event], bytes]:
        """Have a batch judged and heard; return it as it was heard."""
        events, lines = with_verdicts(self._judge, events, lines)
        for sink in self._sinks:
            sink(events, lines)
        return events, lines


class WantedState:
    """What is wanted of the engines: what was commanded, and what servers ask us to wait."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        """Begin with what is configured."""
        self.now = wanted_of(routes)

    def receive(self, events: list[Event], _lines: bytes) -> None:
        """Note a batch."""
        for event in events:
            self.now = self.now.after_event(event)

    def command(self, command: Command) -> None:
        """Note what somebody asks for."""
        self.now = self.now.after_command(command)

    def commands(self, now_ns: int) -> tuple[Command, ...]:
        """Return what a new engine must be told; `now_ns` is the present on its clock."""
        return commands_for_restart(self.now, now_ns)
