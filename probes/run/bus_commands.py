"""Commands that come to an agent over the bus: read, held against what there is, obeyed.

Rule 1: whatever comes is answered, in words where it is not done; nothing of it raises.
Rule 2: only what a user may want of a run that is on is taken. What an engine is told by its host
(its settings with their keys, its money, its begin and its end) nobody tells it from outside.
Rule 3: what comes faster than any person turns is refused unread.
Rule 4: a stamp on the bus is Unix time; it is moved to the engine's clock, as events were moved to
Unix time.
"""

from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from probes.bus.messages import LONGEST_COMMAND, CommandReply
from probes.control.commands import (
    AcceptUsual,
    Adapt,
    Burst,
    Command,
    EndCoolDown,
    Lift,
    MarkTime,
    Pause,
    ProbeNow,
    SetKnob,
    decode_command,
)
from probes.control.knobs import KNOBS
from probes.control.wanted import Wanted
from probes.kit.clock import seconds

_Obeyed: TypeAlias = (
    SetKnob | Adapt | Pause | Burst | ProbeNow | EndCoolDown | AcceptUsual | Lift | MarkTime
)
OBEYED: Final = (SetKnob, Adapt, Pause, Burst, ProbeNow, EndCoolDown, AcceptUsual, Lift, MarkTime)
"""The kinds that may come over the bus."""
_NAMED_MOST: Final = 10
"""Routes in an answer: one of more names these."""
LATEST_NS: Final = 1 << 62
"""A century from now: what is far beyond no engine could write down."""
LONGEST_NOTE: Final = 1_000
"""Characters of a note: it stands in one line of a log."""


MOST_AT_ONCE: Final = 200
MOST_PER_S: Final = 20.0
"""Commands that are read: a key that is held down repeats thirty times a second, for a while."""


class CommandRate:
    """How many commands are read. Each that is obeyed is an event, which is sent, recorded and
    kept: whoever may send commands must not fill what others read with them."""

    def __init__(self) -> None:
        self._left = float(MOST_AT_ONCE)
        self._counted_ns: int | None = None

    def takes(self, now_ns: int) -> bool:
        """Count a command; return whether it is to be read. `now_ns` is monotonic."""
        if self._counted_ns is not None:
            gained = MOST_PER_S * seconds(now_ns - self._counted_ns)
            self._left = min(float(MOST_AT_ONCE), self._left + gained)
        self._counted_ns = now_ns
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


TOO_MANY: Final = CommandReply(refusal=f"more than {MOST_PER_S:g} commands a second come here")


def obey(
    data: bytes,
    *,
    wanted: Wanted,
    command: Callable[[Command], object],
    offset_ns: int,
    unliftable: str = "",
) -> CommandReply:
    """Do what a command asks for, where it is one that may come over the bus.

    Args:
        data: its JSON, as it came.
        wanted: what is wanted by now, of the routes that there are.
        command: takes what is to be done.
        offset_ns: what moves the engine's stamps to Unix time.
        unliftable: what is in doubt of the budgets and cannot be lifted; empty where nothing is.
    """
    if len(data) > LONGEST_COMMAND:
        return _refused(f"{len(data):,} bytes are no command, it has {LONGEST_COMMAND:,} at most")
    try:
        asked = decode_command(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _refused(f"that is no command: {error}")
    if not isinstance(asked, OBEYED):
        return _refused(f"an agent does not take {type(asked).__struct_config__.tag} from the bus")
    if refusal := _complaint(asked, wanted):
        return _refused(refusal)
    if isinstance(asked, Lift) and unliftable:
        return _refused(f"that cannot be lifted, other places spend of them, too: {unliftable}")
    if isinstance(asked, MarkTime) and asked.about_ns is not None:
        if not 0 <= asked.about_ns < LATEST_NS:
            return _refused("about_ns is no moment, expected Unix time in ns")
        asked = msgspec.structs.replace(asked, about_ns=asked.about_ns - offset_ns)
    command(asked)
    return CommandReply()


def _refused(why: str) -> CommandReply:
    return CommandReply(refusal=why)


def _complaint(asked: _Obeyed, wanted: Wanted) -> str:
    """Return why it cannot be done; empty where it can."""
    if isinstance(asked, MarkTime):
        is_long = len(asked.text) > LONGEST_NOTE
        return f"a note has at most {LONGEST_NOTE:,} characters" if is_long else ""
    if isinstance(asked, Lift) or (isinstance(asked, Pause) and not asked.route):
        return ""
    route = wanted.routes.get(asked.route)
    if route is None:
        names = sorted(wanted.routes)
        more = f" and {len(names) - _NAMED_MOST} more" if len(names) > _NAMED_MOST else ""
        there = ", ".join(names[:_NAMED_MOST]) + more
        return f"no route is named {asked.route[:100]} here; there are: {there}"
    if isinstance(asked, SetKnob):
        if asked.knob not in KNOBS:
            return f"no knob is named {asked.knob[:100]}; there are: {', '.join(KNOBS)}"
        if asked.part or asked.pace_part is not None:
            return "a part of a knob is its host's to give"
        if asked.knob == "rate" and not route.is_open:
            return f"{asked.route} has no rate: its pace is closed"
        if asked.knob == "interval" and route.is_open:
            return f"{asked.route} has no interval: its pace is open"
    if isinstance(asked, EndCoolDown) and asked.until_s:
        return "a cool-down is its server's to ask for; it can be ended"
    return ""
