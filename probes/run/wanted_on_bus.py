"""What is wanted of a place's routes, kept on the bus for the next agent of the place."""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec

from probes.bus.connection import BusError, Entry
from probes.control.commands import Command
from probes.control.wanted import Wanted
from probes.control.wanted_record import commands_to_take_up, decode_wanted, wanted_record
from probes.events import Event
from probes.kit.clock import Clock
from probes.kit.signals import Signal
from probes.sources.place_commands import command_words

_NAMED_MOST: Final = 8
"""Settings that are named as they are taken up."""
_APART_S: Final = 0.5
"""Between two writes, however fast knobs are turned."""


class CommandedRun(Protocol):
    """A run, as far as what is wanted of it goes."""

    @property
    def wanted(self) -> Wanted:
        """What is wanted by now."""
        ...

    def command(self, command: Command) -> None:
        """Change that."""
        ...


class _Bucket(Protocol):
    async def get(self, key: str) -> Entry | None: ...

    async def put(self, key: str, value: bytes) -> int: ...


class WantedOnBus:
    """Begins a run with what was wanted of its place, and writes down what is."""

    def __init__(self, bucket: _Bucket, place: str, run: CommandedRun, *, clock: Clock) -> None:
        """Name the bucket, which is `WANTED_BUCKET`."""
        self._bucket = bucket
        self._place = place
        self._run = run
        self._clock = clock
        self._bell = Signal()

    async def take_up(self) -> str:
        """Begin with what was wanted of the place when it was probed last; return what a person
        should know of that, empty for nothing. Raises BusError."""
        entry = await self._bucket.get(self._place)
        if entry is None:
            return ""
        try:
            record = decode_wanted(entry.value)
        except msgspec.DecodeError as error:
            return f"what was wanted of {self._place} cannot be read: {error}"
        commands = commands_to_take_up(record, self._run.wanted)
        for command in commands:
            self._run.command(command)
        if not commands:
            return ""
        named = [
            f"{getattr(command, 'route', '')} {command_words(command)}"
            for command in commands[:_NAMED_MOST]
        ]
        more = len(commands) - len(named)
        told = ", ".join(named) + (f" and {more} more" if more else "")
        return f"as turned before: {told}; one that you change in the file counts again"

    def receive(self, _events: list[Event], _lines: bytes) -> None:
        """Take a batch: what a server asks for may be wanted of its routes."""
        self.look()

    def look(self) -> None:
        """Have it looked at whether another thing is wanted."""
        self._bell.ring()

    async def keep(self, life: str, connected: Callable[[], Awaitable[bool]]) -> None:
        """Write down what is wanted, at once and after each change, as an agent's life.

        It waits for `connected`, and ends where that says that the place is ours no more: what is
        wanted there is for whoever has it to keep.
        """
        written_routes, written = None, b""
        while True:
            while self._run.wanted.routes is written_routes:
                await self._bell.wait(self._clock)
            wanted = self._run.wanted
            data = wanted_record(wanted, life)
            if not await connected():
                return
            try:
                if data != written:  # a cool-down is none of it
                    await self._bucket.put(self._place, data)
                written, written_routes = data, wanted.routes
            except BusError:
                pass  # with the next look
            await self._clock.sleep(_APART_S)
