"""What bodies of errors say of limits: Google's error details, and resets that are told alone.

A wait that is only named in a message ("try again in 644ms", "will reset at …") is never obeyed; it
is kept as the reset of a limit with nothing left, and so shown as when to look again.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from probes.answers.error_body import layers_of
from probes.answers.limits.fields import words_of_type
from probes.answers.limits.resets import reset_s_of
from probes.answers.retry_after import retry_after_in_body_s
from probes.events import Limit
from probes.kit.durations import number

_MOST: Final = 16
"""Of the quotas that an error names, and of the limits that are told of them."""
_SHORT: Final = ("second", "minute", "")
"""Periods that end within Google's `retryDelay`; of a day's end it says nothing."""
_IN_WORDS: Final = ("message", "msg", "error", "detail", "statusmsg", "errormessage")
"""Fields that may say in words when a limit is back."""
_CHINESE_NUMBERS: Final = ("1308", "1310")
"""Zhipu's spent allowances: their resets are told in China's time, in English words too."""
_LEAST_SHOWN_S: Final = 60.0
"""A shorter wait in words is the message's own affair: it has passed before anybody reads it."""


def limits_in_body(body: object, wall_ns: int | None = None, *, alone: bool = True) -> list[Limit]:
    """Return the limits that an error says are used up.

    Those of a `google.rpc.QuotaFailure`, else, where the answer tells of no other limit (`alone`),
    the one of which its words or fields tell the reset only.
    """
    retry_after_s = retry_after_in_body_s(body, wall_ns)
    found: list[Limit] = []
    for layer in layers_of(body):
        violations = layer.get("violations")
        for violation in violations[:_MOST] if isinstance(violations, list) else []:
            if isinstance(violation, Mapping) and isinstance(violation.get("quotaId"), str):
                found.append(_used_up(violation, retry_after_s))
    if alone and not found:
        found += _named_in_words(body, retry_after_s, wall_ns)
    return found[:_MOST]


def _used_up(violation: Mapping[Any, Any], retry_after_s: float | None) -> Limit:
    key = words_of_type(violation["quotaId"])
    return Limit(
        kind=key.kind,
        window=key.window,
        limit=number(str(violation.get("quotaValue", ""))[:40]),
        remaining=0.0,
        reset_s=retry_after_s if key.window in _SHORT else None,
    )


def _named_in_words(
    body: object, retry_after_s: float | None, wall_ns: int | None
) -> Iterator[Limit]:
    """Yield the limit of which an error only says when it is back: what is limited is not told."""
    reset_s = retry_after_s
    for layer in layers_of(body):
        zone_s = 8 * 3600.0 if str(layer.get("code")) in _CHINESE_NUMBERS else 0.0
        for name in _IN_WORDS:
            words = layer.get(name)
            if not isinstance(words, str) or wall_ns is None:
                continue
            named_s = reset_s_of(words, wall_ns, zone_s)
            reset_s = named_s if reset_s is None else reset_s
    if reset_s is not None and reset_s >= _LEAST_SHOWN_S:
        yield Limit(kind="usage", remaining=0.0, reset_s=reset_s)
