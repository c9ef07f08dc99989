"""Events that another machine wrote: read with a bound on every number.

Rule 1: whoever folds events makes nanoseconds of seconds, sums counts and keeps them in 64 bits. A
number that none of ours writes, such as a wait of 1e308 s or a count of 40 digits, would end who
folds it; a line that has one is no event.
Rule 2: what was used and what it cost is never less than nothing: booked, it would be a budget that
nobody gave.
"""

from typing import Annotated, Any, Final

import msgspec

from probes.events.stream import AttemptFinished, AttemptStarted, Event, Notice, decode_event

_LARGEST: Final = 1 << 61
"""Unix time in ns until 2043. A stamp is moved by as much at most, and a difference of two that
were moved still fits into 64 bits."""
_LARGEST_REAL: Final = 1e100
"""Far above what servers say of themselves (a moment in ns, told as a float), and in ns still no
infinity."""
_MOST_USED: Final = 1 << 40
"""Tokens or USD of one attempt that are believed."""
_DEPTH: Final = 6
"""Lists and objects within one another; an event has three."""


def _bounded() -> Any:
    whole = Annotated[int, msgspec.Meta(ge=-_LARGEST, le=_LARGEST)]
    real = Annotated[float, msgspec.Meta(ge=-_LARGEST_REAL, le=_LARGEST_REAL)]
    leaf: Any = whole | real | str | bool | None
    many: Any = list
    named: Any = dict
    value = leaf
    for _ in range(_DEPTH):
        value = leaf | many[value] | named[str, value]
    return named[str, value]


_bounds: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_bounded())


def decode_foreign(line: bytes) -> Event:
    """Return the event of one JSON line of another machine's.

    Raises:
        msgspec.DecodeError: the line is not an event of this schema, nests too deep, or has a
            number beyond all bounds.
        UnicodeDecodeError: it is no text.
        RecursionError: it nests without end.
    """
    event = decode_event(line)
    # Twice: constraints are checked as quickly as a line is read, fields one by one are not.
    _bounds.decode(line)
    if not all(0 <= used <= _MOST_USED for used in _used(event) if used is not None):
        raise msgspec.DecodeError("it has used less than nothing, or more than there is")
    return event


def _used(event: Event) -> tuple[float | None, ...]:
    if isinstance(event, AttemptFinished):
        return (
            event.reserved_tokens,
            event.charged_tokens,
            event.charged_usd,
            event.input_tokens,
            event.cached_tokens,
            event.output_tokens,
            event.reasoning_tokens,
            event.billed_tokens,
            event.cost_usd,
        )
    if isinstance(event, AttemptStarted):
        return event.reserved_tokens, event.reserved_usd
    if isinstance(event, Notice) and event.price is not None:
        return event.price.input, event.price.output, event.price.cached_input
    return ()
