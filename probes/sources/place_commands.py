"""Commands on their way to places over a bus, and what becomes of them.

Those of one place go one after the other. One that was refused or had no answer is told, in words;
it is not sent again, for it may have been done.
"""

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

import msgspec
from anyio.abc import TaskGroup

from probes.bus.connection import BusError, BusLostError, NoAnswerError, NobodyListensError
from probes.bus.messages import decode_reply
from probes.bus.names import commands_of
from probes.control.commands import Command, Pause, encode_command
from probes.kit.sanitise import neutralise

_ANSWER_S: Final = 3.0
"""What an agent has to answer a command in: it does so between two batches."""
_MOST_WAITING: Final = 100
"""Commands that wait for a place."""
_WORDS_LIMIT: Final = 200


class _AskedBus(Protocol):
    async def request(self, subject: str, payload: bytes, *, timeout_s: float) -> bytes: ...


class PlaceCommands:
    """Sends what is asked of places."""

    def __init__(self, bus: _AskedBus, not_done: Callable[[str, Command, str], object]) -> None:
        """Prepare; `not_done` takes the place, the command that it has not done or may not have,
        and that in words."""
        self._bus = bus
        self._not_done = not_done
        self._waiting: dict[str, deque[Command]] = {}
        self.tasks: TaskGroup | None = None
        """Where they are sent from; None where none can be."""

    def send(self, place: str, command: Command) -> None:
        """Have a place obey, after what it is asked already; returns at once."""
        waiting = self._waiting.get(place)
        if waiting is None and self.tasks is not None:
            waiting = self._waiting[place] = deque()
            self.tasks.start_soon(self._send_all, place, waiting)
        if waiting is None or len(waiting) >= _MOST_WAITING:
            self._tell(place, command, "it was not sent: too many wait, or none can")
        else:
            waiting.append(command)

    async def _send_all(self, place: str, waiting: deque[Command]) -> None:
        while waiting:
            command = waiting[0]
            why = await self._ask(place, command)
            if why:
                self._tell(place, command, why)
            waiting.popleft()
        del self._waiting[place]

    async def _ask(self, place: str, command: Command) -> str:
        """Have a place obey; return why it did not, or may not have; empty where it did."""
        try:
            reply = await self._bus.request(
                commands_of(place), encode_command(command), timeout_s=_ANSWER_S
            )
            return neutralise(decode_reply(reply).refusal, _WORDS_LIMIT)
        except NobodyListensError:
            return "no agent answers there"
        except NoAnswerError:
            # It has it, and does it when it goes on: a machine that sleeps, a process that is held.
            return f"its agent has not answered for {_ANSWER_S:g} s, and may do it later"
        except BusLostError:
            return "the bus is lost"
        except BusError as error:
            return neutralise(str(error), _WORDS_LIMIT)
        except msgspec.DecodeError:
            return "its answer was none"

    def _tell(self, place: str, command: Command, why: str) -> None:
        self._not_done(place, command, f"{command_words(command)} not done at {place}: {why}")


def command_words(command: Command) -> str:
    """Return what a command asks for, in a few words."""
    kind = str(command.__struct_config__.tag)
    if isinstance(command, Pause):
        return "pause" if command.paused else "resume"
    if knob := getattr(command, "knob", ""):
        return f"{knob} {getattr(command, 'value', 0.0):g}"
    return kind.replace("_", " ")
