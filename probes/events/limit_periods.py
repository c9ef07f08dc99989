"""The periods that limits count, by name and in seconds, and limits as time goes by."""

import re
from typing import Final

import msgspec

from probes.events.parts import Limit

_SECONDS: Final = {1: "second", 60: "minute", 3600: "hour", 86_400: "day"}
_MONTHS_S: Final = range(28 * 86_400, 31 * 86_400 + 1)
"""Providers count a month in 28 to 31 days."""
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_UNKNOWN_WINDOW_S: Final = 60.0
"""The commonest period stands for one that the server does not name."""


def window_of(seconds: float) -> str:
    """Return the name of a period: `minute`, `day`, `5h`; empty for none.

    >>> window_of(60), window_of(300), window_of(0)
    ('minute', '5min', '')
    """
    whole = round(min(seconds, 1e9))
    if whole in _MONTHS_S:
        return "month"
    size, unit = next(((size, unit) for size, unit in _UNITS if not whole % size), (1, "s"))
    return _SECONDS.get(whole, f"{whole // size}{unit}" if whole else "")


def seconds_of(window: str) -> float | None:
    """Return the length of a named period in s; None for an unknown one.

    >>> seconds_of("minute"), seconds_of("5h"), seconds_of("")
    (60.0, 18000.0, None)
    """
    whole = {"month": float(_MONTHS_S[-1])} | {name: float(s) for s, name in _SECONDS.items()}
    if window in whole:
        return whole[window]
    found = re.fullmatch(r"([0-9]{1,9})(d|h|min|s)", window)
    sizes = {unit: size for size, unit in _UNITS}
    return float(found[1]) * sizes[found[2]] if found else None


def as_of(limit: Limit, age_s: float) -> Limit:
    """Return a limit as it is `age_s` seconds after its server stated it: with the reset nearer.

    `reset_s` is 0 from the reset on.
    """
    if limit.reset_s is None:
        return limit
    return msgspec.structs.replace(limit, reset_s=max(0.0, limit.reset_s - max(0.0, age_s)))


def is_in_force(limit: Limit, age_s: float) -> bool:
    """Return whether what was stated `age_s` seconds ago still holds: its reset has not passed.

    Where no reset was given, the limit's period stands for it, and a minute where that is unknown.
    """
    return age_s <= valid_s(limit)


def valid_s(limit: Limit) -> float:
    """Return for how many seconds what a server stated of a limit is held to be true."""
    if limit.reset_s is not None:
        return limit.reset_s
    return seconds_of(limit.window) or _UNKNOWN_WINDOW_S
