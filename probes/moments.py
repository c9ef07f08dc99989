"""Moments and waits as servers spell them, brought to seconds."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import mktime_tz, parsedate_tz
from typing import Final

from probes.clock import NS_PER_S

__all__ = ["http_date_s", "number", "server_wall_ns", "wait_until_s"]

_LONGEST: Final = 200
"""Characters of a value that are looked at."""
_EPOCHS: Final = ((1e18, 1e9), (1e15, 1e6), (1e12, 1e3), (1e9, 1.0))
"""Least value of a Unix time, and how many of its units make a second: ns, µs, ms, s."""
_NUMBER: Final = re.compile(r"[0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30}")
_DURATION: Final = re.compile(
    r"(?=.)(?:(?P<d>\d{1,9}(?:\.\d{0,12})?)d)?(?:(?P<h>\d{1,9}(?:\.\d{0,12})?)h)?"
    r"(?:(?P<m>\d{1,9}(?:\.\d{0,12})?)m(?!s))?(?:(?P<s>\d{1,9}(?:\.\d{0,12})?)s)?"
    r"(?:(?P<ms>\d{1,15}(?:\.\d{0,12})?)ms)?(?:(?P<us>\d{1,15}(?:\.\d{0,12})?)(?:us|µs|μs))?"
    r"(?:(?P<ns>\d{1,15}(?:\.\d{0,12})?)ns)?",
    re.ASCII,
)
_UNITS_S: Final = {
    "d": 86_400.0,
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "ns": 1e-9,
}
_SKEW_NS: Final = 2 * NS_PER_S
"""A `Date` has whole seconds and travelled to us: nearer than this it proves no other clock."""


def number(text: str) -> float | None:
    """Return a plain decimal number that is not negative; None for anything else."""
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def wait_until_s(text: str, wall_ns: int) -> float | None:
    """Return the seconds until a limit is replenished; 0 where that moment has passed.

    Durations (`120ms`, `7.66s`, `6m0s`, `1h2m`), plain seconds, Unix time in s (from 1e9), ms (from
    1e12) or finer, RFC 3339 and HTTP-dates are understood; None for anything else.
    """
    text = text.strip()[:_LONGEST]
    plain = number(text)
    now_s = wall_ns / NS_PER_S
    if plain is not None:
        units = next((units for least, units in _EPOCHS if plain >= least), None)
        return plain if units is None else max(0.0, plain / units - now_s)
    parts = _DURATION.fullmatch(text)
    if parts is not None:
        given = {unit: value for unit, value in parts.groupdict().items() if value}
        return math.fsum(float(value) * _UNITS_S[unit] for unit, value in given.items())
    moment_s = _rfc_3339_s(text)
    moment_s = http_date_s(text) if moment_s is None else moment_s
    return None if moment_s is None else max(0.0, moment_s - now_s)


def http_date_s(text: str) -> float | None:
    """Return an HTTP-date as Unix time in s; None where it is none.

    As the official clients do, a day beyond its month's end is counted into the next.
    """
    try:
        parts = parsedate_tz(text[:_LONGEST])
        return None if parts is None else float(mktime_tz(parts))
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def server_wall_ns(headers: Mapping[str, str], wall_ns: int) -> int:
    """Return the wall clock by which the moments that a server names are to be read.

    It is the server's own `Date` where that differs from our clock, `wall_ns`, by more than 2 s: a
    wait told as a moment is then right although one of the clocks is wrong.
    """
    date_s = http_date_s(headers.get("date", ""))
    if date_s is None:
        return wall_ns
    date_ns = round(date_s * NS_PER_S)
    return date_ns if abs(date_ns - wall_ns) > _SKEW_NS else wall_ns


def _rfc_3339_s(text: str) -> float | None:
    try:
        return _seconds_of(datetime.fromisoformat(text.removesuffix(" UTC")))
    except ValueError:
        return None


def _seconds_of(moment: datetime) -> float | None:
    """A moment without a zone is UTC."""
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):
        return None
