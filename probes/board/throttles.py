"""The log of 429s: which limit was hit, what the server asked us to wait, what we really waited."""

from collections.abc import Sequence
from typing import Final

import msgspec

from probes.answers.limits.state import share_left
from probes.board.views import ThrottleEntry
from probes.events import AttemptFinished, AttemptStarted, Limit, ProbeFinished
from probes.kit.clock import NS_PER_S

_ENTRIES_KEPT: Final = 200
"""More than any screen has lines."""
_KINDS: Final = ("concurrency", "input_tokens", "output_tokens", "tokens", "requests")
"""What a reason may name, the longer words before those that they hold."""


def throttle_kind(reason: str, limits: Sequence[Limit]) -> str:
    """Return which limit was hit: named by the reason, else the only one used up, else the reason.

    >>> throttle_kind("rate_limit", [Limit(kind="requests", limit=8, remaining=0)])
    'requests'
    """
    named = next((kind for kind in _KINDS if kind in reason), None)
    if named is not None:
        return named
    used_up = {limit.kind for limit in limits if limit.remaining == 0}
    return used_up.pop() if len(used_up) == 1 else reason or "unknown"


def hit_limit(kind: str, limits: Sequence[Limit]) -> Limit | None:
    """Return the limit of this kind that was hit: the tightest of its periods and holders.

    Input and output tokens are tokens where the answer tells of no other.

    >>> minute = Limit(kind="requests", limit=30, remaining=30, window="minute")
    >>> day = Limit(kind="requests", limit=900, remaining=0, window="day")
    >>> hit_limit("requests", [minute, day]).window
    'day'
    """
    same = [limit for limit in limits if limit.kind == kind]
    same = same or [limit for limit in limits if limit.kind.endswith(f"_{kind}")]
    return min(same, key=share_left, default=None)


def remaining_text(limit: Limit | None) -> str:
    """Return what is left of a limit, such as `0/8` or `212/60k`; empty where nobody said."""
    if limit is None or limit.remaining is None:
        return ""
    left = short_number(limit.remaining)
    return left if limit.limit is None else f"{left}/{short_number(limit.limit)}"


def short_number(number: float) -> str:
    """Return a number in three digits, such as `999`, `60k` or `2M`."""
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


class ThrottleLog:
    """All routes' throttled attempts, the newest 200."""

    __slots__ = ("_entries", "_next", "_view", "_waiting")

    def __init__(self) -> None:
        self._entries: dict[int, ThrottleEntry] = {}
        self._next = 0
        self._waiting: dict[str, tuple[int, int]] = {}
        """Probe → (entry, when its attempt ended)."""
        self._view: tuple[ThrottleEntry, ...] | None = ()

    def throttled(self, event: AttemptFinished) -> None:
        """Log an attempt that was throttled."""
        kind = throttle_kind(event.reason, event.limits)
        limit = hit_limit(kind, event.limits)
        ended = event.stamps_ns.ended or event.at_ns
        self._entries[self._next] = ThrottleEntry(
            at_ns=ended,
            route=event.route,
            probe=event.probe,
            attempt=event.attempt,
            kind=kind,
            window="" if limit is None else limit.window,
            asked_s=event.retry_after_s,
            waited_s=None,
            retried=event.retry is not None,
            remaining=remaining_text(limit),
            reset_s=None if limit is None else limit.reset_s,
            request_id=event.request_id or "",
            message=event.message,
        )
        if event.retry is not None:
            self._waiting[event.probe] = (self._next, ended)
        self._next += 1
        self._view = None
        # The same bound for those that wait: a probe whose end is never reported must not stay.
        if len(self._entries) > _ENTRIES_KEPT:
            del self._entries[next(iter(self._entries))]
        if len(self._waiting) > _ENTRIES_KEPT:
            del self._waiting[next(iter(self._waiting))]

    def resumed(self, event: AttemptStarted) -> None:
        """Fill in what a probe really waited, now that its next attempt has started."""
        number, ended = self._waiting.pop(event.probe, (-1, 0))
        self._amend(number, True, (event.at_ns - ended) / NS_PER_S)

    def ended(self, event: ProbeFinished) -> None:
        """Note that a probe which waited will not be tried again."""
        number, _ = self._waiting.pop(event.probe, (-1, 0))
        self._amend(number, False, None)

    def view(self) -> tuple[ThrottleEntry, ...]:
        """Return the entries, newest first."""
        if self._view is None:
            self._view = tuple(reversed(self._entries.values()))
        return self._view

    def _amend(self, number: int, retried: bool, waited_s: float | None) -> None:
        entry = self._entries.get(number)
        if entry is not None:
            self._entries[number] = msgspec.structs.replace(
                entry, retried=retried, waited_s=waited_s
            )
            self._view = None
