"""The limits that one answer tells of, of any provider."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from probes.answers.error_body import copied_headers
from probes.answers.limits.bodies import limits_in_body
from probes.answers.limits.fields import LimitKey, place_of, words_of_type
from probes.answers.limits.plans import limits_of_plans
from probes.answers.limits.structured import period_of, structured_limits
from probes.events import Limit
from probes.events.limit_periods import window_of
from probes.kit.durations import number, server_wall_ns, wait_until_s

_MOST_LIMITS: Final = 16
"""More tell nobody anything, and each stands in the event."""
_LEADING: Final = re.compile(r"[0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30}")
_GROQ_WINDOWS: Final = {LimitKey("requests"): "day", LimitKey("tokens"): "minute"}


def read_limits(
    headers: Mapping[str, str], body: object | None, *, wall_ns: int
) -> tuple[Limit, ...]:
    """Return every limit that an answer tells of, of any provider; headers win over the body.

    Args:
        headers: of the answer, names in lower case.
        body: its JSON where it is an error; None where there is none.
        wall_ns: our wall clock; a server's `Date` corrects it.
    """
    copied = copied_headers(body)
    fields_of = _fields((*copied.items(), *headers.items()))
    is_groq = any(name.startswith("x-groq") for name in headers)
    if fields_of or body is not None:  # a `Date` is dear to read, and most answers tell of no limit
        wall_ns = server_wall_ns(headers, wall_ns)
    plain = [
        _limit(_with_window(key, fields, headers, is_groq), fields, wall_ns)
        for key, fields in fields_of.items()
    ]
    found = [limit for limit in plain if limit is not None]
    found += [*structured_limits(headers, wall_ns), *_named_by_type(headers, wall_ns)]
    found += limits_of_plans(headers, wall_ns)
    if body is not None:
        found += limits_in_body(body, wall_ns, alone=not found)
    return tuple(_each_once(found))[:_MOST_LIMITS]


def _fields(items: Iterable[tuple[str, str]]) -> dict[LimitKey, dict[str, str]]:
    """Return what is told of each limit: part → value, the later of two winning."""
    fields_of: dict[LimitKey, dict[str, str]] = {}
    for name, value in items:
        place = place_of(name)
        if place is not None and (place[0] in fields_of or len(fields_of) < _MOST_LIMITS):
            fields_of.setdefault(place[0], {})[place[1]] = value
    return fields_of


def _with_window(
    key: LimitKey, fields: Mapping[str, str], headers: Mapping[str, str], is_groq: bool
) -> LimitKey:
    """Return the key with its period, where that stands in a value or is the provider's custom."""
    if key.window:
        return key
    period_s = number(fields.get("renewalperiod", ""))
    if period_s is not None:
        return key._replace(window=window_of(period_s))
    policy = headers.get("ratelimit-policy", "") if key == LimitKey("requests") else ""
    window = period_of(fields.get("limit", ""), policy)
    return key._replace(window=window or (_GROQ_WINDOWS.get(key, "") if is_groq else ""))


def _limit(key: LimitKey, fields: Mapping[str, str], wall_ns: int) -> Limit | None:
    limit, remaining = _leading(fields.get("limit")), _leading(fields.get("remaining"))
    reset_s = wait_until_s(fields.get("reset", ""), wall_ns)
    if limit is not None and limit < 0:
        return None
    if limit is None and remaining is None and reset_s is None:
        return None
    if remaining is not None:
        remaining = max(0.0, remaining)
    return Limit(
        kind=key.kind,
        limit=limit,
        remaining=remaining,
        reset_s=reset_s,
        window=key.window,
        scope=key.scope,
    )


def _named_by_type(headers: Mapping[str, str], wall_ns: int) -> list[Limit]:
    """Return the limit that was hit where its type is named: GitHub Models, on a 429."""
    name = headers.get("x-ratelimit-type", "").strip()
    if not name:
        return []
    key = words_of_type(name)
    reset_s = wait_until_s(headers.get("x-ratelimit-timeremaining", ""), wall_ns)
    return [Limit(kind=key.kind, window=key.window, remaining=0.0, reset_s=reset_s)]


def _each_once(limits: Iterable[Limit]) -> Iterable[Limit]:
    """Return each limit once, the first told; what a gateway only repeats is left out."""
    found: dict[LimitKey, Limit] = {}
    for limit in limits:
        found.setdefault(LimitKey(limit.kind, limit.window, limit.scope), limit)
    for key, limit in found.items():
        own = found.get(key._replace(scope="")) if key.scope == "upstream" else None
        if own is None or (own.limit, own.remaining) != (limit.limit, limit.remaining):
            yield limit


def _leading(text: str | None) -> float | None:
    """Return the number a value begins with: `100, 100;w=60` is 100."""
    text = (text or "").strip()
    sign = -1.0 if text.startswith("-") else 1.0
    found = _LEADING.match(text.removeprefix("-"))
    return sign * float(found.group()) if found else None
