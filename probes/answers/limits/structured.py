"""Structured values of rate-limit headers.

`draft-ietf-httpapi-ratelimit-headers` in all its forms: `RateLimit: "default";r=50;t=30` with
`RateLimit-Policy: "default";q=100;w=60` (08 and later), `RateLimit: limit=100, remaining=50,
reset=5` (07), and the policies that Envoy and the drafts before append to a limit: `100, 100;w=60`.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from probes.events import Limit
from probes.events.limit_periods import window_of
from probes.kit.durations import number, wait_until_s

_LONGEST: Final = 1000
_ITEM: Final = re.compile(r'(?:"[^"]{0,100}"|[^",]){1,300}')
_KINDS: Final = (("concurrent", "concurrency"), ("token", "tokens"), ("byte", "bytes"))
"""What a policy's unit or name says that it counts; requests where it says nothing."""


class _Item(NamedTuple):
    name: str
    parameters: dict[str, str]

    def amount(self, *keys: str) -> float | None:
        """Return the first parameter of these names that is a number."""
        return _first(*(number(self.parameters.get(key, "")) for key in keys))

    def reset_s(self, wall_ns: int) -> float | None:
        """Return the seconds until the reset: a number of them, by the drafts, or a moment."""
        return wait_until_s(self.parameters.get("t") or self.parameters.get("reset", ""), wall_ns)

    @property
    def quota(self) -> float | None:
        """A policy's quota: its `q`, before draft 08 its name."""
        return _first(self.amount("q"), number(self.name))


def structured_limits(headers: Mapping[str, str], wall_ns: int) -> list[Limit]:
    """Return the limits that `RateLimit` and `RateLimit-Policy` tell of."""
    items = _items(headers.get("ratelimit", ""))
    policies = [
        item
        for item in _items(headers.get("ratelimit-policy", ""))
        if item.quota is not None and (items or "q" in item.parameters)
    ]
    if items and not any(item.amount("r") is not None for item in items):
        whole: dict[str, str] = {}
        for item in items:
            whole |= item.parameters
        items = [_Item("", whole)]
    named = {item.name: item for item in policies}
    silent = _Item("", {})
    if not items:
        return [_limit(silent, item, len(policies) > 1, wall_ns) for item in policies]
    only = policies[0] if len(policies) == 1 else silent
    return [_limit(item, named.get(item.name, only), len(items) > 1, wall_ns) for item in items]


def period_of(limit: str, policy: str = "") -> str:
    """Return the period of the policy to which a plain limit belongs; empty where none is told.

    >>> period_of("100, 100;w=60, 5000;w=3600")
    'minute'
    """
    if ";" not in limit and not policy:
        return ""
    first, *appended = _items(limit) or [_Item("", {})]
    policies = [*appended, *_items(policy)]
    value = number(first.name)
    fits = [item for item in policies if value is not None and number(item.name) == value]
    fits = fits or (policies if len(policies) == 1 else [])
    return window_of(fits[0].amount("w", "window") or 0.0) if fits else ""


def _limit(item: _Item, policy: _Item, is_one_of_many: bool, wall_ns: int) -> Limit:
    name = item.name or policy.name
    unit = f"{policy.parameters.get('qu', '')} {name}".lower()
    return Limit(
        kind=next((kind for word, kind in _KINDS if word in unit), "requests"),
        limit=_first(policy.quota, item.amount("limit", "q")),
        remaining=item.amount("r", "remaining"),
        reset_s=item.reset_s(wall_ns),
        window=window_of(_first(policy.amount("w"), item.amount("w")) or 0.0),
        scope=name[:40] if is_one_of_many else "",
    )


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)


def _items(text: str) -> list[_Item]:
    """Return the items of a list; the last word without `=` is an item's name."""
    found: list[_Item] = []
    for item in _ITEM.findall(text[:_LONGEST])[:16]:
        name, parameters = "", {}
        for part in item.split(";"):
            key, is_parameter, value = part.strip().partition("=")
            if is_parameter:
                parameters[key.strip().lower()] = value.strip().strip('"')
            elif key:
                name = key.strip('"')
        found.append(_Item(name, parameters))
    return found
