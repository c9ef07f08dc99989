"""The allowances of subscriptions, which tell the share that is used rather than what is left.

Anthropic's `anthropic-ratelimit-unified-{5h,7d,7d_opus,…}-{status,utilization,reset}` with an
overall `-status`, `-reset` and `-representative-claim`, and Codex'
`x-codex-{primary,secondary}-{used-percent,window-minutes,reset-after-seconds,reset-at}`. They are
told as limits of kind `usage` of 100: per cent of the allowance.
"""

import re
from collections.abc import Mapping
from typing import Final

from probes.events import Limit
from probes.events.limit_periods import window_of
from probes.kit.durations import number, server_wall_ns, wait_until_s

_ALL: Final = 100.0
_MOST: Final = 8
_ANTHROPIC: Final = "anthropic-ratelimit-unified-"
_CODEX: Final = "x-codex-"
_UNIFIED: Final = re.compile(
    r"(?P<amount>[0-9]{1,4})(?P<unit>h|d)(?:[_-](?P<scope>[a-z0-9_]{1,40}))?"
    r"-(?P<what>status|utilization|reset)"
)
_CODEX_FIELD: Final = re.compile(
    r"(?P<name>primary|secondary)-(?P<what>used-percent|window-minutes|reset-after-seconds|reset-at)"
)
_CLAIMS: Final = {"five_hour": (5, "h", ""), "seven_day": (7, "d", "")}
_HOURS: Final = {"h": 1, "d": 24}
_SPENT: Final = ("rejected", "rate_limited", "exhausted")
"""Statuses of an allowance of which nothing is left."""


def limits_of_plans(headers: Mapping[str, str], wall_ns: int) -> list[Limit]:
    """Return what headers tell of a subscription's allowances; names are lower case."""
    anthropic = _under(headers, _ANTHROPIC)
    codex = _under(headers, _CODEX)
    if not (anthropic or codex):
        return []
    wall_ns = server_wall_ns(headers, wall_ns)
    return [*_of_anthropic(anthropic, wall_ns), *_of_codex(codex, wall_ns)][:_MOST]


def _under(headers: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {
        name.removeprefix(prefix): value
        for name, value in headers.items()
        if name.startswith(prefix) and len(name) <= 120
    }


def _of_anthropic(given: Mapping[str, str], wall_ns: int) -> list[Limit]:
    """Return each window's allowance; the claim that stands for all has the overall state."""
    windows: dict[tuple[int, str, str], dict[str, str]] = {}
    for name, value in given.items():
        found = _UNIFIED.fullmatch(name)
        if found is not None:
            key = (int(found["amount"]), found["unit"], found["scope"] or "")
            windows.setdefault(key, {})[found["what"]] = value
    claim = given.get("representative-claim", "").strip().lower()
    amount, unit, scope = _CLAIMS.get(claim, (0, "h", claim[:40]))
    if given.get("status", "").strip().lower() in _SPENT or claim in _CLAIMS:
        whole = windows.setdefault((amount, unit, scope), {})
        for what in ("status", "reset"):
            if what in given:
                whole.setdefault(what, given[what])
    limits = (
        _allowance(
            number(fields.get("utilization", "")),
            fields.get("status", ""),
            reset_s=wait_until_s(fields.get("reset", ""), wall_ns),
            window=window_of(amount * _HOURS[unit] * 3600.0),
            scope=scope,
        )
        for (amount, unit, scope), fields in windows.items()
    )
    return [limit for limit in limits if limit is not None]


def _allowance(
    used: float | None, status: str, *, reset_s: float | None, window: str, scope: str
) -> Limit | None:
    """Return a limit of which the share `used` is spent; None where nothing is told of it."""
    is_spent = status.strip().lower() in _SPENT
    if used is None and not is_spent:
        return None
    left = 0.0 if is_spent or used is None else max(0.0, round(_ALL * (1.0 - used), 2))
    return Limit(
        kind="usage", limit=_ALL, remaining=left, reset_s=reset_s, window=window, scope=scope
    )


def _of_codex(given: Mapping[str, str], wall_ns: int) -> list[Limit]:
    windows: dict[str, dict[str, str]] = {}
    for name, value in given.items():
        found = _CODEX_FIELD.fullmatch(name)
        if found is not None:
            windows.setdefault(found["name"], {})[found["what"]] = value
    limits = []
    for fields in windows.values():
        used = number(fields.get("used-percent", ""))
        reset = fields.get("reset-after-seconds") or fields.get("reset-at", "")
        limits.append(
            _allowance(
                None if used is None else used / _ALL,
                "",
                reset_s=wait_until_s(reset, wall_ns),
                window=window_of(60.0 * (number(fields.get("window-minutes", "")) or 0.0)),
                scope="",
            )
        )
    return [limit for limit in limits if limit is not None]
