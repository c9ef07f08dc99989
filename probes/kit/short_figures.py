"""Figures, durations and moments as people read them: short, and as wide however large they are."""

from datetime import datetime, tzinfo
from typing import Final

from probes.kit.clock import NS_PER_S

NO_FIGURE: Final = "–"

_MINUTE: Final = 60
_HOUR: Final = 3600
_DAY: Final = 86_400
_SECONDS_TOLD: Final = 10 * _MINUTE
_MOST_COUNTED: Final = 999.5e12
_COUNT_UNITS: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def three_digits(value: float | None) -> str:
    """Return a figure with three significant digits in at most five cells: `0.840`, `41.2`, `1.9k`.

    None gives `–`. Below 0.001 nothing is left but `0.000`; exactly zero is `0`.
    """
    if value is None:
        return NO_FIGURE
    size = abs(value)
    if size == 0:
        return "0"
    for limit, digits in ((0.9995, 3), (9.995, 2), (99.95, 1), (999.5, 0)):
        if size < limit:
            return f"{value:.{digits}f}"
    return count(value)


def age(value: float | None) -> str:
    """Return a duration with its units: `4.1s`, `42s`, `1m12s`, `2h03m`, `3d04h`."""
    if value is None:
        return NO_FIGURE
    if value < 9.95:
        return f"{max(0.0, value):.1f}s"
    whole = round(value)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02d}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02d}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02d}h"


def time_of_day(at_ns: int, anchor_ns: int, zone: tzinfo | None = None) -> str:
    """Return the wall time of a stamp, `–` where no calendar holds it.

    Args:
        at_ns: the stamp, by a monotonic clock.
        anchor_ns: what makes Unix time of it.
        zone: time zone; None is the machine's own.
    """
    moment = local_moment(at_ns + anchor_ns, zone)
    return NO_FIGURE if moment is None else moment.strftime("%H:%M:%S")


def date_and_time(wall_ns: int | None, zone: tzinfo | None = None) -> str:
    """Return Unix ns as `2026-11-29 14:17:31`, `–` where that is not known or in no calendar.

    Without `zone` it is in the machine's own.
    """
    moment = None if wall_ns is None else local_moment(wall_ns, zone)
    return NO_FIGURE if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S")


def local_moment(wall_ns: int, zone: tzinfo | None = None) -> datetime | None:
    """Return Unix ns as a moment of a time zone, in whole seconds; None where no calendar holds it.

    Without `zone` it is in the machine's own.
    """
    try:
        return datetime.fromtimestamp(wall_ns // NS_PER_S, zone).astimezone(zone)
    except (OverflowError, OSError, ValueError):
        return None


def count(value: float | None) -> str:
    """Return a count in at most four cells: `212`, `1.9k`, `60k`, `2.0M`; None gives `–`.

    From 1000 T on, which only a server makes up, it is `≥1P`.
    """
    if value is None:
        return NO_FIGURE
    if abs(value) < 999.5:
        return f"{value:.0f}"
    if abs(value) >= _MOST_COUNTED:
        return "≥1P" if value > 0 else "-≥1P"
    for unit, name in _COUNT_UNITS:
        scaled = value / unit
        if abs(scaled) >= 0.9995:
            return f"{scaled:.1f}{name}" if abs(scaled) < 9.95 else f"{scaled:.0f}{name}"
    return f"{value:.0f}"


def counted(number: float, one: str, several: str = "", *, short: bool = False) -> str:
    """Return a number with the noun that it counts: `1 stall`, `3 stalls`, `1,204 lines`.

    Args:
        number: how many there are.
        one: the noun for one of them.
        several: the noun for any other number, where that is not the former with an `s`.
        short: the number takes at most four cells: `1.2k lines`.
    """
    told = count(number) if short else f"{number:,.0f}"
    return f"{told} {one if told == '1' else several or f'{one}s'}"


def lasting(seconds: float) -> str:
    """Return how long something has lasted: `41s`, `1m50s`, from ten minutes on `12m`, `1h12m`.

    Seconds are of use while an incident is young; later they only make a screen restless.
    """
    whole = max(0, int(seconds))
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _SECONDS_TOLD:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02d}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m"
    return age(whole)
