"""What a server asks of whoever tries again: how long to wait, and whether to try at all.

Rule 1  Headers are asked first, as the official clients do; then the fields of an error that are
        made for machines: Google's `RetryInfo`, `retry_after` of problem+json and of gateways,
        `resets_in_seconds`.
Rule 2  A wait that is only named in a message ("try again in 644ms") is never obeyed, as no
        official client does. `probes.answers.limits` shows it as the reset of a limit.
Rule 3  What is asked is told as it was asked, in seconds, under the name `retry_after_s`. Who waits
        for how much of it is decided elsewhere: `probes.engine.retry` tells the whole way.

Header names are lower case throughout.
"""

import math
from collections.abc import Mapping
from typing import Final

from probes.answers.error_body import copied_headers, layers_of
from probes.events import Verdict
from probes.kit.clock import NS_PER_S
from probes.kit.durations import (
    duration_s,
    moment_s_of,
    number,
    server_wall_ns,
    unix_time_s,
    wait_until_s,
)

LONGEST_WAIT_S: Final = 120.0
"""A longer Retry-After is not waited for: the probe gives up and the route cools down."""
_LONGEST_ASKED_S: Final = 1e9
"""From here on a number is a moment, in Unix time; what is larger still, more than anybody waits,
is read as this."""
_ABSURD: Final = 1e19
"""No Unix time is that large, not even in ns."""
_WAITS: Final = (
    ("retryafterms", 1000.0),
    ("retrydelay", 1.0),
    ("retryafter", 1.0),
    ("retryafterseconds", 1.0),
    ("retryaftersec", 1.0),
    ("resetsinseconds", 1.0),
    ("resetinseconds", 1.0),
    ("resetseconds", 1.0),
    ("quotaresetdelay", 1.0),
    ("resetsat", 1.0),
    ("resetat", 1.0),
    ("quotaresettimestamp", 1.0),
)
"""Plain names of the fields that ask for a wait, and how many of their units make a second."""


def read_retry_after_s(
    headers: Mapping[str, str], body: object | None, *, wall_ns: int
) -> float | None:
    """Return the seconds that a server asks us to wait, in its headers or the body of its error.

    None where it asks for none. `body` is the error's JSON, None where there is none; `wall_ns` is
    our wall clock, which a server's `Date` corrects.
    """
    in_headers_s = retry_after_in_headers_s(headers, wall_ns)
    if in_headers_s is not None or body is None:
        return in_headers_s
    return retry_after_in_body_s(body, server_wall_ns(headers, wall_ns))


def would_retry(verdict: Verdict, headers: Mapping[str, str], retry_after_s: float | None) -> bool:
    """Return whether a refused request would be tried again, were there retries left.

    The order is that of the official clients: a wait above `LONGEST_WAIT_S` ends it, then
    `x-should-retry` is obeyed literally, then the status decides. Money is never retried.
    """
    if verdict.reason == "quota" or (retry_after_s is not None and retry_after_s > LONGEST_WAIT_S):
        return False
    order = headers.get("x-should-retry", "").strip()
    if order in ("true", "false"):
        return order == "true"
    return verdict.retryable


def retry_after_in_headers_s(headers: Mapping[str, str], wall_ns: int) -> float | None:
    """Return the seconds that headers ask us to wait: `retry-after-ms`, else `Retry-After`.

    The order is that of the official clients: the first of the two that is a number decides, be it
    a fraction, negative or no wait at all. A number from 1e9 on is a moment, Unix time in s, ms or
    finer, as no wait is that long. `Retry-After` may have a unit (`30s`, `1m30s`, `2 minutes`) or
    be a date (RFC 9110, section 10.2.3, or RFC 3339). Moments are read by the server's own `Date`
    where our clock, `wall_ns`, disagrees with it. None where no wait is asked, or what is given is
    negative, past or garbage.
    """
    for name, units in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = _any_number(_unquoted(headers.get(name, "")))
        if value is None:
            continue
        moment_s = unix_time_s(value) if value < _ABSURD else None
        if moment_s is not None:
            return _until_s(moment_s, headers, wall_ns)
        wait_s = min(value / units, _LONGEST_ASKED_S)
        return wait_s if wait_s >= 0 else None
    text = _unquoted(headers.get("retry-after", ""))
    lasting_s = duration_s(text)
    if lasting_s is not None:
        return min(lasting_s, _LONGEST_ASKED_S)
    moment_s = moment_s_of(text)
    return None if moment_s is None else _until_s(moment_s, headers, wall_ns)


def retry_after_in_body_s(body: object, wall_ns: int | None = None) -> float | None:
    """Return the seconds that a field of an error asks to wait; None where there is none.

    A moment that has passed asks for nothing; `wall_ns` is the wall clock it is read by, without
    which moments are not read.
    """
    if wall_ns is not None:
        copied_s = retry_after_in_headers_s(copied_headers(body), wall_ns)
        if copied_s is not None:
            return copied_s
    for layer in layers_of(body):
        for name, units in _WAITS:
            wait_s = _wait_s(name, layer.get(name), units, wall_ns)
            if wait_s is not None:
                return wait_s
    return None


def _wait_s(name: str, value: object, units: float, wall_ns: int | None) -> float | None:
    if isinstance(value, Mapping):  # a protobuf duration
        seconds = value.get("seconds")
        return _bounded(seconds) if isinstance(seconds, int) else None
    if name == "retrydelay":  # Google's, with its unit
        lasting_s = duration_s(value) if isinstance(value, str) else None
        return None if lasting_s is None else _bounded(lasting_s)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = f"{_bounded(value, _ABSURD):.6f}"  # a moment is read from text
    if not isinstance(value, str):
        return None
    plain = number(value)
    if plain is not None and plain < _LONGEST_ASKED_S:  # else it is a moment in Unix time
        return plain / units
    lasting_s = duration_s(value)
    if lasting_s is not None:
        return _bounded(lasting_s)
    wait_s = None if wall_ns is None else wait_until_s(value, wall_ns)
    return _bounded(wait_s) if wait_s else None  # a moment that has passed asks for nothing


def _bounded(value: float, most: float = _LONGEST_ASKED_S) -> float:
    return 0.0 if value != value else float(min(max(0, value), most))  # NaN asks for nothing


def _until_s(moment_s: float, headers: Mapping[str, str], wall_ns: int) -> float | None:
    """Return the seconds until a moment; None where it has passed."""
    wait_s = moment_s - server_wall_ns(headers, wall_ns) / NS_PER_S
    return min(wait_s, _LONGEST_ASKED_S) if wait_s >= 0 else None


def _unquoted(text: str) -> str:
    return text.strip().strip("\"'")


def _any_number(text: str) -> float | None:
    """Return what the official clients take for a number: all that Python does.

    A literal infinity, like `nan`, asks for nothing (-1); a number that overflows asks for more
    than anybody waits.
    """
    try:
        value = float(text)
    except ValueError:
        return None
    if math.isnan(value) or text.strip().lower().lstrip("+-").startswith("inf"):
        return -1.0
    return value
