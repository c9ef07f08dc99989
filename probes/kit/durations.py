"""Moments and waits as servers spell them, brought to seconds."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from probes.kit.clock import NS_PER_S

_LONGEST: Final = 200
"""Characters of a value that are looked at."""
_EPOCHS: Final = ((1e18, 1e9), (1e15, 1e6), (1e12, 1e3), (1e9, 1.0))
"""Least value of a Unix time, and how many of its units make a second: ns, µs, ms, s."""
_NUMBER: Final = re.compile(r"[0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30}")
_TERM: Final = re.compile(
    r"(?P<number>[0-9]{1,15}(?:\.[0-9]{0,12})?)\s?"
    r"(?P<unit>milliseconds?|millis|ms|microseconds?|us|µs|μs|ns|seconds?|secs?|s|minutes?|mins?|m"
    r"|hours?|hrs?|h|days?|d|weeks?|w|毫秒|秒|分钟|分|小时|个小时|天|周)(?![a-zµμ])[\s,]{0,3}(?:and\s)?",
    re.IGNORECASE,
)
_ISO_DURATION: Final = re.compile(
    r"P(?:([0-9.]{1,12})D)?(?:T(?:([0-9.]{1,12})H)?(?:([0-9.]{1,12})M)?(?:([0-9.]{1,12})S)?)?",
    re.IGNORECASE,
)
_UNITS_S: Final = {
    **dict.fromkeys(("weeks", "week", "w", "周"), 604_800.0),
    **dict.fromkeys(("days", "day", "d", "天"), 86_400.0),
    **dict.fromkeys(("hours", "hour", "hrs", "hr", "h", "小时", "个小时"), 3600.0),
    **dict.fromkeys(("minutes", "minute", "mins", "min", "m", "分钟", "分"), 60.0),
    **dict.fromkeys(("seconds", "second", "secs", "sec", "s", "秒"), 1.0),
    **dict.fromkeys(("milliseconds", "millisecond", "millis", "ms", "毫秒"), 1e-3),
    **dict.fromkeys(("microseconds", "microsecond", "us", "µs", "μs"), 1e-6),
    "ns": 1e-9,
}
_ISO_UNITS_S: Final = (86_400.0, 3600.0, 60.0, 1.0)
_TRAILING_ZONE: Final = re.compile(
    r"(?P<offset>(?<=[0-9])\s?[+-][0-9]{2}:?[0-9]{2})?(?:\s(?:UTC|GMT|CST|Z))?\Z", re.IGNORECASE
)
_SKEW_NS: Final = 2 * NS_PER_S
"""A `Date` has whole seconds and travelled to us: nearer than this it proves no other clock."""


def number(text: str) -> float | None:
    """Return a plain decimal number that is not negative; None for anything else."""
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def wait_until_s(text: str, wall_ns: int) -> float | None:
    """Return the seconds until a limit is replenished; 0 where that moment has passed.

    Durations (`120ms`, `7.66s`, `6m0s`, `1h 2m`, `2 minutes`, `PT30S`), plain seconds, Unix time in
    s (from 1e9), ms (from 1e12) or finer, RFC 3339 and HTTP-dates are understood, in quotes too;
    None for anything else.
    """
    text = text.strip()[:_LONGEST].strip("\"' ")
    plain = number(text)
    if plain is not None:
        moment_s = unix_time_s(plain)
        return plain if moment_s is None else max(0.0, moment_s - wall_ns / NS_PER_S)
    lasting = duration_s(text)
    if lasting is not None:
        return lasting
    moment_s = moment_s_of(text)
    return None if moment_s is None else max(0.0, moment_s - wall_ns / NS_PER_S)


def unix_time_s(value: float) -> float | None:
    """Return a number that is too large for a wait as Unix time in s; None for a smaller one.

    >>> unix_time_s(1_795_430_060_000.0), unix_time_s(3600.0)
    (1795430060.0, None)
    """
    return next((value / units for least, units in _EPOCHS if value >= least), None)


def duration_s(text: str) -> float | None:
    """Return a duration with its units in s; None for anything else, a plain number too.

    >>> duration_s("4h 13m"), duration_s("30 seconds"), duration_s("PT1M30S"), duration_s("30")
    (15180.0, 30.0, 90.0, None)
    """
    text = text.strip()[:_LONGEST]
    iso = _ISO_DURATION.fullmatch(text)
    if iso is not None and any(iso.groups()):
        given_s = [
            _float(value) * s for value, s in zip(iso.groups("0"), _ISO_UNITS_S, strict=True)
        ]
        return math.fsum(given_s)
    terms: list[float] = []
    end = 0
    while (found := _TERM.match(text, end)) is not None:
        terms.append(float(found["number"]) * _UNITS_S[found["unit"].lower()])
        end = found.end()
    return math.fsum(terms) if terms and end == len(text) else None


def moment_s_of(text: str) -> float | None:
    """Return an RFC 3339 moment (a zone in words, or none, is UTC) or an HTTP-date in Unix time."""
    moment_s = _rfc_3339_s(text)
    return http_date_s(text) if moment_s is None else moment_s


def http_date_s(text: str) -> float | None:
    """Return an HTTP-date as Unix time in s; None where it is none.

    As the official clients do, a day beyond its month's end is counted into the next.
    """
    # A dozen modules, which a screen that reads a duration somebody typed has no need of.
    from email.utils import mktime_tz, parsedate_tz

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
    zone = _TRAILING_ZONE.search(text)
    offset = (zone["offset"] or "") if zone else ""
    stripped = text[: zone.start()] if zone else text
    try:
        return _seconds_of(datetime.fromisoformat(stripped + offset.strip()))
    except ValueError:
        return None


def _float(text: str) -> float:
    """Return a number of digits and points; 0 for one that is none."""
    try:
        return float(text)
    except ValueError:
        return 0.0


def _seconds_of(moment: datetime) -> float | None:
    """A moment without a zone is UTC."""
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (OverflowError, ValueError):
        return None
