"""What bodies of errors say of limits: OpenRouter's copied headers, Google's error details.

Waits that are only named in a message ("try again in 644ms") are never obeyed, as no official
client does; Google's `RetryInfo` is made for machines, and its own clients obey it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from probes.events import Limit
from probes.limits.fields import words_of_type
from probes.moments import number, wait_until_s

__all__ = ["asked_in_body_s", "copied_headers", "limits_in_body"]

_MOST: Final = 16
_LONGEST_S: Final = 10**9
_SHORT: Final = ("second", "minute", "")
"""Periods that end within Google's `retryDelay`; of a day's end it says nothing."""


def copied_headers(body: object) -> dict[str, str]:
    """Return the headers that OpenRouter copies into `error.metadata.headers`."""
    for key in ("error", "metadata", "headers"):
        body = body.get(key) if isinstance(body, Mapping) else None
    if not isinstance(body, Mapping):
        return {}
    return {str(name).lower(): str(value) for name, value in list(body.items())[:48]}


def asked_in_body_s(body: object) -> float | None:
    """Return the seconds that a `google.rpc.RetryInfo` asks to wait; None where there is none."""
    for detail in _details(body):
        delay = detail.get("retryDelay")
        if isinstance(delay, str):
            return wait_until_s(delay, 0) if delay.endswith("s") else None
        if isinstance(delay, Mapping) and isinstance(delay.get("seconds"), int):
            return float(min(max(0, delay["seconds"]), _LONGEST_S))
    return None


def limits_in_body(body: object) -> list[Limit]:
    """Return the limits that a `google.rpc.QuotaFailure` says are used up."""
    asked_s = asked_in_body_s(body)
    found: list[Limit] = []
    for detail in _details(body):
        violations = detail.get("violations")
        for violation in violations[:_MOST] if isinstance(violations, list) else []:
            if isinstance(violation, Mapping) and isinstance(violation.get("quotaId"), str):
                found.append(_used_up(violation, asked_s))
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


def _details(body: object) -> Iterator[Mapping[Any, Any]]:
    """Yield `error.details[]`; Google's compatible endpoint wraps the error in a list."""
    if isinstance(body, list):
        body = body[0] if body else None
    error = body.get("error") if isinstance(body, Mapping) else None
    details = error.get("details") if isinstance(error, Mapping) else None
    for detail in details[:_MOST] if isinstance(details, list) else []:
        if isinstance(detail, Mapping):
            yield detail
