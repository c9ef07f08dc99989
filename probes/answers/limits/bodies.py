"""What bodies of errors say of limits: OpenRouter's copied headers, Google's error details, waits.

A wait in a field is made for machines and obeyed: Google's `RetryInfo`, `retry_after` of
problem+json and of gateways, `resets_in_seconds`. A wait that is only named in a message ("try
again in 644ms", "will reset at …") is never obeyed, as no official client does; it is kept as the
reset of a limit with nothing left, and so shown as when to look again.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from probes.answers.error_body import layers_of
from probes.answers.limits.fields import words_of_type
from probes.answers.limits.resets import reset_s_of
from probes.answers.retry_after import retry_after_s
from probes.events import Limit
from probes.kit.durations import duration_s, number, wait_until_s

_MOST: Final = 16
_LONGEST_S: Final = 1e9
"""From here on a number is a moment, in Unix time."""
_LATEST: Final = 1e19
_SHORT: Final = ("second", "minute", "")
"""Periods that end within Google's `retryDelay`; of a day's end it says nothing."""
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
_IN_WORDS: Final = ("message", "msg", "error", "detail", "statusmsg", "errormessage")
_CHINESE_NUMBERS: Final = ("1308", "1310")
"""Zhipu's spent allowances: their resets are told in China's time, in English words too."""
_LEAST_SHOWN_S: Final = 60.0
"""A shorter wait in words is the message's own affair: it has passed before anybody reads it."""


def copied_headers(body: object) -> dict[str, str]:
    """Return the headers that OpenRouter copies into `error.metadata.headers`."""
    for key in ("error", "metadata", "headers"):
        body = body.get(key) if isinstance(body, Mapping) else None
    if not isinstance(body, Mapping):
        return {}
    return {str(name).lower(): str(value) for name, value in list(body.items())[:48]}


def asked_in_body_s(body: object, wall_ns: int | None = None) -> float | None:
    """Return the seconds that a field of an error asks to wait; None where there is none.

    A moment that has passed asks for nothing; `wall_ns` is the wall clock it is read by, without
    which moments are not read.
    """
    if wall_ns is not None:
        copied_s = retry_after_s(copied_headers(body), wall_ns=wall_ns)
        if copied_s is not None:
            return copied_s
    for layer in layers_of(body):
        for name, units in _WAITS:
            asked_s = _wait_s(name, layer.get(name), units, wall_ns)
            if asked_s is not None:
                return asked_s
    return None


def _wait_s(name: str, value: object, units: float, wall_ns: int | None) -> float | None:
    if isinstance(value, Mapping):  # a protobuf duration
        seconds = value.get("seconds")
        return _bounded(seconds) if isinstance(seconds, int) else None
    if name == "retrydelay":  # Google's, with its unit
        lasting_s = duration_s(value) if isinstance(value, str) else None
        return None if lasting_s is None else _bounded(lasting_s)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = f"{_bounded(value, _LATEST):.6f}"
    if not isinstance(value, str):
        return None
    plain = number(value)
    if plain is not None and plain < _LONGEST_S:
        return plain / units
    lasting_s = duration_s(value)
    if lasting_s is not None:
        return _bounded(lasting_s)
    wait_s = None if wall_ns is None else wait_until_s(value, wall_ns)
    return _bounded(wait_s) if wait_s else None  # a moment that has passed asks for nothing


def _bounded(value: float, most: float = _LONGEST_S) -> float:
    return 0.0 if value != value else float(min(max(0, value), most))  # NaN asks for nothing


def limits_in_body(body: object, wall_ns: int | None = None, *, alone: bool = True) -> list[Limit]:
    """Return the limits that an error says are used up.

    Those of a `google.rpc.QuotaFailure`, else, where the answer tells of no other limit (`alone`),
    the one of which its words or fields tell the reset only.
    """
    asked_s = asked_in_body_s(body, wall_ns)
    found: list[Limit] = []
    for layer in layers_of(body):
        violations = layer.get("violations")
        for violation in violations[:_MOST] if isinstance(violations, list) else []:
            if isinstance(violation, Mapping) and isinstance(violation.get("quotaId"), str):
                found.append(_used_up(violation, asked_s))
    if alone and not found:
        found += _told_in_words(body, asked_s, wall_ns)
    return found[:_MOST]


def _used_up(violation: Mapping[Any, Any], asked_s: float | None) -> Limit:
    key = words_of_type(violation["quotaId"])
    return Limit(
        kind=key.kind,
        window=key.window,
        limit=number(str(violation.get("quotaValue", ""))[:40]),
        remaining=0.0,
        reset_s=asked_s if key.window in _SHORT else None,
    )


def _told_in_words(body: object, asked_s: float | None, wall_ns: int | None) -> Iterator[Limit]:
    """Yield the limit of which an error only says when it is back: what is limited is not told."""
    reset_s = asked_s
    for layer in layers_of(body):
        zone_s = 8 * 3600.0 if str(layer.get("code")) in _CHINESE_NUMBERS else 0.0
        for name in _IN_WORDS:
            words = layer.get(name)
            if not isinstance(words, str) or wall_ns is None:
                continue
            told_s = reset_s_of(words, wall_ns, zone_s)
            reset_s = told_s if reset_s is None else reset_s
    if reset_s is not None and reset_s >= _LEAST_SHOWN_S:
        yield Limit(kind="usage", remaining=0.0, reset_s=reset_s)
