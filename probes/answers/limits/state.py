"""What is known of a route's limits now, put together from all its answers."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from probes.answers.limits.fields import LimitKey
from probes.events import AttemptFinished, Limit
from probes.events.limit_periods import valid_s
from probes.kit.clock import NS_PER_S

_MOST_PARTS: Final = 16
_FORGOTTEN_S: Final = 3600.0
"""A limit that no answer has told of for this long after it ran out is forgotten."""


class LimitState:
    """A route's limits. Answers tell parts of it: each is kept with the moment it was told.

    The newest telling of a limit (by kind, period and scope) wins; a limit that an answer does not
    mention stays as it was told before.
    """

    def __init__(self) -> None:
        self._parts: dict[LimitKey, Limit] = {}
        self._sorted: tuple[Limit, ...] | None = ()

    def add(self, limits: Iterable[Limit], at_ns: int) -> None:
        """Take what an answer of `at_ns` tells; a part may carry a moment of its own."""
        for limit in limits:
            told_ns = at_ns if limit.told_ns is None else limit.told_ns
            part = msgspec.structs.replace(limit, told_ns=told_ns)
            key = LimitKey(limit.kind, limit.window, limit.scope)
            known = self._parts.pop(key, None)
            self._parts[key] = part if known is None else _merged(known, part)
        self._forget(at_ns)
        self._sorted = None

    def hear(self, event: AttemptFinished) -> None:
        """Take what an ended attempt tells, by its answer and by being let through.

        A limit of which nothing was left before an attempt started that ended ok has something
        left again, though nobody says how much.
        """
        started_ns = event.stamps_ns.started
        if event.outcome == "ok" and started_ns is not None:
            for key, part in self._parts.items():
                if part.remaining == 0 and (part.told_ns or 0) < started_ns:
                    self._parts[key] = msgspec.structs.replace(part, remaining=None, reset_s=None)
            self._sorted = None
        if event.limits:
            self.add(event.limits, event.at_ns)

    @property
    def parts(self) -> tuple[Limit, ...]:
        """The limits as they were told, each with `told_ns`, in the order of their names."""
        if self._sorted is None:
            self._sorted = tuple(self._parts[key] for key in sorted(self._parts))
        return self._sorted

    def _forget(self, now_ns: int) -> None:
        for key, part in list(self._parts.items()):
            told_ns = part.told_ns or 0
            if (now_ns - told_ns) / NS_PER_S > valid_s(part) + _FORGOTTEN_S:
                del self._parts[key]
        while len(self._parts) > _MOST_PARTS:
            del self._parts[min(self._parts, key=lambda key: self._parts[key].told_ns or 0)]


def tightest(limits: Sequence[Limit]) -> tuple[Limit, ...]:
    """Return one limit of each kind and period: of several scopes that with the least share left.

    What says neither a limit nor what is left is dropped.
    """
    found: dict[tuple[str, str], Limit] = {}
    for limit in limits:
        if limit.limit is None and limit.remaining is None:
            continue
        known = found.get((limit.kind, limit.window))
        if known is None or share_left(limit) < share_left(known):
            found[limit.kind, limit.window] = limit
    return tuple(found.values())


def share_left(limit: Limit) -> float:
    """Return the share of a limit that is left, from 0; 2 where that is untold, to sort by."""
    if limit.remaining is None:
        return 2.0
    if limit.limit is None or limit.limit <= 0:
        return 0.0 if limit.remaining <= 0 else 1.0
    return limit.remaining / limit.limit


def _merged(known: Limit, newer: Limit) -> Limit:
    """Return the newer of two tellings, its gaps filled: a capacity stays, a countdown goes on."""
    known_ns, told_ns = known.told_ns or 0, newer.told_ns or 0
    if told_ns < known_ns:
        return known
    reset_s = newer.reset_s
    if reset_s is None and known.reset_s is not None:
        left_s = known.reset_s - (told_ns - known_ns) / NS_PER_S
        reset_s = left_s if left_s > 0 else None
    limit = known.limit if newer.limit is None else newer.limit
    return msgspec.structs.replace(newer, limit=limit, reset_s=reset_s)
