"""When the same probe is tried again: what the official clients do, made visible.

The deliberate differences stand in the README under "Where our retries differ", and a test holds
them and the constants below to the official client. Nothing else in the program retries; every
retry has its reason.
"""

from collections.abc import Mapping
from random import Random
from typing import Final, Protocol

from probes.answers.would_retry import LONGEST_WAIT_S
from probes.events import Outcome, RetryPlan

LONGEST_COOL_DOWN_S: Final = 3600.0
STALE_CONNECTION: Final = "stale_connection"
"""Reason of an attempt that a kept connection lost before a byte of the answer: most likely it was
closed while it lay idle. It is tried again at once, on a fresh connection."""
FIRST_BACK_OFF_S: Final = 0.5
"""Before the first retry; it doubles from one retry to the next."""
LONGEST_BACK_OFF_S: Final = 8.0
JITTER: Final = 0.25
"""The most of a back-off that is taken off at random: many probes do not come back as one."""


class Judged(Protocol):
    """What the policy must know of an answer."""

    @property
    def outcome(self) -> Outcome:
        """What it came to."""
        ...

    @property
    def reason(self) -> str:
        """Why, precisely."""
        ...

    @property
    def retryable(self) -> bool:
        """Whether the same request would be tried again."""
        ...

    @property
    def retry_after_s(self) -> float | None:
        """What the server asked us to wait, in s."""
        ...


class RetryPolicy:
    """Plans the next attempt of a probe, or none."""

    def __init__(self, retries: int, random: Random) -> None:
        self._retries = retries
        self._random = random

    def plan(self, answer: Judged, headers: Mapping[str, str], number: int) -> RetryPlan | None:
        """Return when to try again, `number` being 1 for the first retry; None for not at all.

        Waits what the server asked for, else 0.5 s doubling to 8 s, less up to a quarter at random.
        """
        if number > self._retries or not answer.retryable:
            return None
        if answer.reason == STALE_CONNECTION:
            return RetryPlan(reason=STALE_CONNECTION, wait_s=0.0, number=number)
        insisted = headers.get("x-should-retry", "").strip() == "true"
        return RetryPlan(
            reason="x-should-retry" if insisted else answer.reason or answer.outcome,
            wait_s=self._wait_s(answer.retry_after_s, number),
            number=number,
        )

    def _wait_s(self, asked_s: float | None, number: int) -> float:
        if asked_s is not None and 0 < asked_s <= LONGEST_WAIT_S:
            return asked_s
        doubled: float = FIRST_BACK_OFF_S * 2.0 ** min(number - 1, 10)
        return min(doubled, LONGEST_BACK_OFF_S) * (1 - JITTER * self._random.random())


def cool_down_s(outcome: Outcome, asked_s: float | None) -> float | None:
    """Return how long the whole route holds back, in s; None where only this probe backs off.

    A throttled answer that asks for a wait cools the route down, and so does any answer that asks
    for more than a probe waits; at most an hour.
    """
    if asked_s is None or asked_s <= 0:
        return None
    if outcome == "throttled" or asked_s > LONGEST_WAIT_S:
        return min(asked_s, LONGEST_COOL_DOWN_S)
    return None
